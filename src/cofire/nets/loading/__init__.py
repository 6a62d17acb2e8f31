"""Load models, checkpoints and batches."""
