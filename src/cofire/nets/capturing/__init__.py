"""Capture activations while a model runs, without changing the model."""
