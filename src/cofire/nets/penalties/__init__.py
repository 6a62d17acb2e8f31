"""Penalties that keep the units of a network from co-varying, to be added to a loss."""

from .activations import correlation_penalty, decov_penalty, vicreg_covariance_penalty

__all__ = ["correlation_penalty", "decov_penalty", "vicreg_covariance_penalty"]
