"""Read runs and compare networks."""
