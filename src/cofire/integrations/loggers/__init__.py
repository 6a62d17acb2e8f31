"""Sinks that pass a tracker's rows to experiment loggers; each file imports one package."""
