"""Run directories: rows, checkpoints, locking, resuming."""
