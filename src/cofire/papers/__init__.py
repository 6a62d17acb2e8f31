"""The four papers' experiments: framework, shared training code, and a package for each paper."""

from .._public import public

__getattr__, __dir__ = public(__name__)
