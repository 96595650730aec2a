"""Renders a small data set in AVA's format."""
