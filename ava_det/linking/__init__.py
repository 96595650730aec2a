"""Links boxes of single frames to tubes, and trims tubes in time."""
