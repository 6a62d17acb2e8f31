"""Functions that a model holds and that reach its modules through their closures."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any

from torch import nn

Cells = list[tuple[CellType, Any]]


def copied_closures(model: nn.Module) -> tuple[dict[int, Any], Cells]:
    """Return copies of a model's functions for a deep copy of the model.

    ``copy.deepcopy`` takes a function over as it is. A wrapped ``forward`` in a copied model would therefore run the
    original. Lightning wraps it like that under DistributedDataParallel.

    Returns:
        The copies by the ids of the functions, for ``memo`` of ``copy.deepcopy``; and those of their cells that
        lead to the model, each with the contents to copy with the same ``memo`` afterwards.
    """
    own = {id(one) for one in (*model.modules(), *model.parameters(), *model.buffers())}
    copies: dict[int, Any] = {}
    cells: Cells = []
    for value in within([vars(module) for module in model.modules()], own):
        if not isinstance(value, FunctionType) or not any(_leads(cell, own) for cell in value.__closure__ or ()):
            continue
        closure = []
        for cell in value.__closure__ or ():
            closure.append(CellType() if _leads(cell, own) else cell)
            if closure[-1] is not cell:
                cells.append((closure[-1], cell.cell_contents))
        made = FunctionType(value.__code__, value.__globals__, value.__name__, value.__defaults__, tuple(closure))
        made.__kwdefaults__ = value.__kwdefaults__
        made.__dict__.update(vars(value))
        copies[id(value)] = made
    return copies, cells


def _leads(cell: CellType, own: set[int]) -> bool:
    return any(id(value) in own for value in within([cell], own))


def within(values: Iterable[Any], own: Collection[int] = ()) -> Iterator[Any]:
    """Yield values and what containers, methods, partial functions and closures among them hold.

    Other objects are not looked into: one of them may lead to a whole trainer, which must be neither copied nor put
    back.

    Args:
        values: where to begin.
        own: ids of what is not looked into either.
    """
    waiting, seen = list(values), set[int]()
    while waiting:
        value = waiting.pop()
        if id(value) in seen:
            continue
        seen.add(id(value))
        yield value
        if id(value) not in own:
            waiting += _held(value)


def _held(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if isinstance(value, MethodType):
        return [value.__self__]
    if isinstance(value, partial):
        return [value.func, *value.args, *value.keywords.values()]
    if isinstance(value, FunctionType):
        return list(value.__closure__ or ())
    if isinstance(value, CellType):
        try:
            return [value.cell_contents]
        except ValueError:  # it is empty
            return []
    return []
