"""What docstrings write in reStructuredText, in the site's Markdown: formulas as MathML, names as links."""

import re
from typing import Any

import griffe
from latex2mathml.converter import convert

ROLE = re.compile(r":(?:class|func|meth|mod):`(~?)([\w.]+)`")
INLINE = re.compile(r":math:`([^`]+)`")
EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)
DISPLAY = re.compile(r"^\.\. math:: *\n?((?:.+\n?)+)", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Rewrites each docstring before it is taken apart."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by griffe for every object that it has read."""
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(text: str) -> str:
    r"""One docstring.

    >>> markdown("see :func:`~cofire.stats.noise_floor`")
    'see `noise_floor`'
    >>> markdown(":math:`x^2`").startswith("<math")
    True
    """
    text = DISPLAY.sub(lambda found: convert(" ".join(found[1].split()), display="block") + "\n", text)
    text = EXAMPLE.sub("Examples:", text)  # the section whose prompts griffe knows
    text = INLINE.sub(lambda found: convert(found[1]), text)
    return ROLE.sub(lambda found: f"`{found[2].rsplit('.', 1)[-1] if found[1] else found[2]}`", text)
