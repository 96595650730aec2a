"""Chooses the device of this process, its precision, and the settings of torch."""
