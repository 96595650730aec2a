"""Reads and writes files: annotations, label maps, boxes, results.

Action ids are 1-based in this package, and nowhere else.
"""
