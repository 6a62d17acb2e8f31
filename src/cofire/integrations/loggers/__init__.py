"""Sinks for a tracker that hand its rows to experiment loggers, each package in its own file."""
