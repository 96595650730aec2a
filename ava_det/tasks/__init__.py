"""What can be trained, scored and written: the parts of a run that see a whole config."""
