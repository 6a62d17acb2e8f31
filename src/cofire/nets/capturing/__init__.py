"""Capture the activations of chosen layers while a model runs, without changing the model."""
