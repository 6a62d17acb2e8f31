"""The table of rules, and what holds for operations without one."""

from collections.abc import Callable
from typing import TypeAlias

from ..calls import Call, fresh
from ..dimensions import fix

Rule: TypeAlias = Callable[[Call], None]
RULES: dict[str, Rule] = {}


def rule(names: str) -> Callable[[Rule], Rule]:
    """Return a decorator that enters a function into the table under each of the names."""

    def enter(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names.split(), function))
        return function

    return enter


def unknown(call: Call) -> None:
    """Fix everything that an operation without a rule touches."""
    reason = f"cofire has no rule for {call.name}"
    for signal in call.inputs:
        for one in signal.dimensions:
            fix(one, reason)
    for tensor in call.outputs():
        call.emit([fresh(size, reason) for size in tensor.shape], tensor)
