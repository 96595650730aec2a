"""A small data set in AVA's format, drawn by this code."""
