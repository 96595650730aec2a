"""Converts data sets of tubes to our annotations: UCF101-24, JHMDB, MultiSports."""
