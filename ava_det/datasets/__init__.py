"""Downloads or renders data sets."""
