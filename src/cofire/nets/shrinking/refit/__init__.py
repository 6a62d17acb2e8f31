"""Refit what stays of a network, so that it puts out what it did."""

from ...._public import public

__getattr__, __dir__ = public(__name__)
