"""Findings: what the numbers say, in sentences."""
