"""Smaller networks: units folded into others that explain them, or pruned to a wanted number."""

from .calibrate import OutputError
from .cuts import Cut, Surgery
from .fold import fold
from .links import Link, Links, links
from .prune import prune

__all__ = ["Cut", "Link", "Links", "OutputError", "Surgery", "fold", "links", "prune"]
