"""Layers and sites: names, patterns, and where the units are in activations and weights."""
