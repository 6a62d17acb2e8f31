"""Kernel matrices of samples, and entropies estimated from them."""
