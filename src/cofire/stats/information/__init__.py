"""Entropy and mutual information of units, in nats."""
