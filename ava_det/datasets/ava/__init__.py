"""AVA: its annotations, boxes and movies."""
