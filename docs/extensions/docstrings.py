"""Converts the docstrings' reStructuredText to the site's Markdown, with formulas as MathML."""

import re
from typing import Any

import griffe
from latex2mathml.converter import convert

ROLE = re.compile(r":(?:class|func|meth|mod):`(~?)([\w.]+)`")
INLINE = re.compile(r":math:`([^`]+)`")
EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)
DISPLAY = re.compile(r"^\.\. math:: *\n?((?:.+\n?)+)", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Converts each docstring before griffe parses it."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Convert an object's docstring; griffe calls this for each object that it has read."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(text: str) -> str:
    r"""Convert one docstring.

    >>> markdown("see :func:`~cofire.stats.noise_floor`")
    'see `noise_floor`'
    >>> markdown(":math:`x^2`").startswith("<math")
    True
    """
    text = DISPLAY.sub(lambda found: convert(" ".join(found[1].split()), display="block") + "\n", text)
    text = EXAMPLE.sub("Examples:", text)  # griffe renders prompts in a section of this name only
    text = INLINE.sub(lambda found: convert(found[1]), text)
    return ROLE.sub(lambda found: f"`{found[2].rsplit('.', 1)[-1] if found[1] else found[2]}`", text)
