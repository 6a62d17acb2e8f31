"""Data as people have them, turned into batches for a model."""
