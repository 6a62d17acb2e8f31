"""The table of rules: what each ATen operation does to the dimensions of its tensors.

A rule is a function of a `Call`. It says the dimensions of what came out (``call.emit``), unites dimensions that must
be the same, and notes what parameters do (``call.use``). Families share a rule. An operation without a rule fixes all
that it touches. To teach cofire an operation, add a rule to one of these files and a case to
``tests/nets/wiring/test_rules.py``.
"""

from ...._public import public
from . import choices, contractions
from .entrywise import along, elementwise
from .norms import batch_norm, group_norm, layer_norm
from .rule_table import RULES, Rule, unknown
from .shapes import permute, squeeze, transpose, transpose_two, unsqueeze, view
from .space import spatial

__all__ = [
    "RULES",
    "Rule",
    "along",
    "batch_norm",
    "choices",
    "contractions",
    "elementwise",
    "group_norm",
    "layer_norm",
    "permute",
    "spatial",
    "squeeze",
    "transpose",
    "transpose_two",
    "unknown",
    "unsqueeze",
    "view",
]

__getattr__, __dir__ = public(__name__)
