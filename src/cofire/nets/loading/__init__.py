"""Load models, checkpoints and data from files."""
