"""Lets many processes, on one machine or several, do the items of one job; each is done once.

That the result of an item exists means that it is done. Who works on what stands in `claims/` and
`drivers/` of a folder, or object store, that all processes see.
"""
