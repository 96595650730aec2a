"""Compares runs of published weights with their published numbers, and finds why they differ."""
