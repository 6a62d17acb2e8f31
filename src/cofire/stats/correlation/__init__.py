"""Correlation between units: streaming moments, summaries, noise floor, interval."""
