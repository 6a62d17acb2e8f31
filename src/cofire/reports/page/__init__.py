"""HTML pages, written to a file or served live."""

from ..._public import public

__getattr__, __dir__ = public(__name__)
