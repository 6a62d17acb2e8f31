"""Data sets, networks and training loops that the papers share."""
