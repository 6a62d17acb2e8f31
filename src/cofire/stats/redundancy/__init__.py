"""Redundancy of a layer: duplicates, linear dependence, effective rank, width."""
