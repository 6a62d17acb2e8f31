"""Smaller networks: units folded into others that explain them, or pruned to a wanted number."""

from .cuts import Cut, Surgery
from .errors import OutputError
from .fold import fold
from .links import Link, Links, links
from .outputs import output_error
from .prune import prune

__all__ = ["Cut", "Link", "Links", "OutputError", "Surgery", "fold", "links", "output_error", "prune"]
