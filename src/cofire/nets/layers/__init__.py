"""Layers and sites: names, patterns, and where units lie in activations and weights."""
