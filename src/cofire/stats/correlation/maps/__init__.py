"""Maps of correlation: units in an order that shows groups, and pictures of them."""

from ...._public import public

__getattr__, __dir__ = public(__name__)
