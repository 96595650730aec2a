"""A trained network over whole videos."""
