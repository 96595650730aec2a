"""Makes clips for a network from videos: sampling, datasets, transforms and batches."""
