"""Refit what stays of a network, so that it puts out what it did."""
