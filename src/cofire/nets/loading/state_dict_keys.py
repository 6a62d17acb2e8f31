"""Find the state dict in what a training script saved, which may hold an optimizer's state and more."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from ...stats._base.wording import with_article
from .inert_pickle import Blank, Global
from .torch_values import StoredTensor, is_tensor

NESTED_UNDER = ("state_dict", "model_state_dict", "model_state", "model", "module", "net", "network", "weights")
"""Keys under which training scripts keep the weights beside an optimizer's state, tried in this order."""
NO_WEIGHTS = ("optim", "sched", "scaler", "rng", "random")
"""Parts of the keys under which they keep other tensors."""


def find_state_dict(content: Any, key: str | None = None) -> tuple[Mapping[Any, Any], str]:
    """Return the mapping of names to tensors in a saved value, and the path of keys that leads to it.

    Args:
        content: what was saved: dicts, in which tensors lie.
        key: where to look, keys joined by dots; by default where training scripts keep weights.

    Raises:
        ValueError: if there is none, or several; the message is a clause that follows the file's name.

    Example:
        >>> import torch
        >>> find_state_dict({"optimizer_state": {"m": torch.ones(2)}, "model_state": {"fc.weight": torch.ones(2)}})
        ({'fc.weight': tensor([1., 1.])}, 'model_state')
    """
    place: list[str] = []
    if key is not None:
        content, place = _at(content, key), [key]
    leading, matrices = _leading(content), _leading(content, axes=2)
    passed: set[int] = set()  # dicts may lie in a circle
    while isinstance(content, Mapping) and (found := _inner(content, leading - passed, matrices - passed)):
        passed.add(id(content))
        place.append(found)
        content = content[found]
    if _holds_tensors(content) and not _others(content, leading, matrices):
        return content, ".".join(place)
    raise ValueError(f"holds no state dict: {_what(content, leading)}")


def _what(content: Any, leading: set[int]) -> str:
    if isinstance(content, Blank | Global):
        return f"it is an object of {content.path}, which was not built; save model.state_dict()"
    if not isinstance(content, Mapping):
        kind = "Tensor" if is_tensor(content) else type(content).__name__
        return f"it is {with_article(kind)}; save model.state_dict()"
    several = [_shown(name) for name, value in content.items() if id(value) in leading]
    if len(several) == 1:
        return (
            f"the tensors in it lie under {several[0]}, where scripts keep other things than weights; if they are the "
            f"weights, choose them with key={several[0]}, or --key on a command line"
        )
    if several:
        return (
            f"there are several in it, {_some(several)}; choose one with key={several[0]}, or --key on a command line"
        )
    return (
        f"there are no tensors under its keys {_some(map(_shown, content)) or '(it has none)'}; save model.state_dict()"
    )


def _at(content: Any, key: str) -> Any:
    """Return what lies at a path; keys may have dots themselves."""
    rest = key
    while rest:
        known = [name for name in content if isinstance(name, str)] if isinstance(content, Mapping) else []
        fits = [name for name in known if rest == name or rest.startswith(f"{name}.")]
        if not fits:
            raise ValueError(f"has no {key!r}: there is no {rest!r} among {_some(map(repr, known)) or 'no keys'}")
        longest = max(fits, key=len)
        content, rest = content[longest], rest[len(longest) + 1 :]
    return content


def _inner(content: Mapping[Any, Any], leading: set[int], matrices: set[int]) -> str | None:
    """Return the key under which the weights are nested, if they are."""
    deeper = [key for key, value in content.items() if isinstance(key, str) and id(value) in leading]
    known = [key for key in NESTED_UNDER if key in deeper]
    if known:
        return known[0]
    others = _others(content, leading, matrices)
    return others[0] if len(others) == 1 else None


def _others(content: Mapping[Any, Any], leading: set[int], matrices: set[int]) -> list[str]:
    """Return unusual keys under which weights may be nested; none if the tensors beside them are weights.

    A script may keep a number or two beside them, such as the logarithm of a temperature.
    """
    if _holds_tensors(content, axes=2):
        return []
    leading = matrices if _holds_tensors(content) else leading
    return [
        key
        for key, value in content.items()
        if isinstance(key, str) and id(value) in leading and not any(part in key.lower() for part in NO_WEIGHTS)
    ]


def _leading(content: Any, *, axes: int = 0) -> set[int]:
    """Return the ids of the dicts that hold tensors of so many axes or more, or lead to such.

    Dicts may be shared or lie in a circle.
    """
    seen, holders = {id(content): content}, defaultdict[int, list[int]](list)
    waiting = [content]
    while waiting:
        one = waiting.pop()
        for value in one.values() if isinstance(one, Mapping) else ():
            if isinstance(value, Mapping):
                holders[id(value)].append(id(one))
                if id(value) not in seen:
                    seen[id(value)] = value
                    waiting.append(value)
    leading: set[int] = set()
    upward = [place for place, one in seen.items() if _holds_tensors(one, axes=axes)]
    while upward:
        place = upward.pop()
        if place not in leading:
            leading.add(place)
            upward.extend(holders[place])
    return leading


def _holds_tensors(value: Any, *, axes: int = 0) -> bool:
    return isinstance(value, Mapping) and any(
        isinstance(key, str)
        and is_tensor(one)
        and len(one.size if isinstance(one, StoredTensor) else one.shape) >= axes
        for key, one in value.items()
    )


def _shown(key: Any) -> str:
    return str(key) if isinstance(key, Blank | Global) else repr(key)


def _some(names: Iterable[str], most: int = 6) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
