"""Runs a trained network over whole videos."""
