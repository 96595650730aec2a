"""Data sets that can be fetched or made."""
