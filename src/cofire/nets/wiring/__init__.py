"""How the units of a model are wired: which dimensions are the same, what makes, reads and scales them."""

from ..._public import public

__getattr__, __dir__ = public(__name__)
