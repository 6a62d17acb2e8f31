"""Callbacks, metrics and sinks for other frameworks; each file imports one of them."""
