"""Correlation between the incoming weight vectors of units."""
