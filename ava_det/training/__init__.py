"""Trains networks: the loop, the losses, the optimizer and the log.

It is handed a model, a loader, a loss and a function `evaluate`; it imports none of their packages.
"""
