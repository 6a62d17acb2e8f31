"""Models of transformers, timm and torchvision by name, and how each library prepares images, texts and sounds."""

from ...._public import public

__getattr__, __dir__ = public(__name__)
