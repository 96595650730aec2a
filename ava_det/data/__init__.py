"""Files to clips: moments, frames, transforms, batches."""
