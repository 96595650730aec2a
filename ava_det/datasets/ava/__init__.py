"""Downloads AVA (annotations, person boxes, movies) and prepares its videos for training."""
