"""``run.json``: what a run says about itself."""

import json
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch


def differences(old: object, new: object, path: str = "") -> Iterator[str]:
    """Return where two nested configurations differ.

    Example:
        >>> list(differences({"lr": 0.1, "net": {"width": 8}}, {"lr": 0.2, "net": {"width": 8}, "seed": 1}))
        ['lr: was 0.1, now 0.2', 'seed: was absent, now 1']
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            place = f"{path}.{key}" if path else str(key)
            yield from differences(old.get(key, _ABSENT), new.get(key, _ABSENT), place)
    elif old != new:
        yield f"{path}: was {_shown(old)}, now {_shown(new)}"


def read_facts(path: Path) -> dict[str, Any]:
    """Read a description.

    Raises:
        ValueError: if it is damaged.
    """
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}; restore it from a backup") from error
    wrong = _of_wrong_type(facts) if isinstance(facts, dict) else "its content"
    if wrong is not None:
        raise ValueError(f"{path} is damaged: {wrong} is of the wrong type; restore it from a backup")
    return facts


def _of_wrong_type(facts: dict[str, Any]) -> str | None:
    """Return the first of the facts that is not of the type that a run has, or None."""
    kinds = {"config": dict, "versions": dict, "made": dict, "model": dict, "left_out": dict, "assumed": dict}
    kinds |= {"outputs": list, "measures": list}
    for name, kind in kinds.items():
        if not isinstance(facts.get(name), kind | None):
            return name
    layers = (facts.get("model") or {}).get("layers")
    if not isinstance(layers, dict | None):
        return "layers"
    texts = {"layers": layers, "left_out": facts.get("left_out"), "assumed": facts.get("assumed")}
    return next(
        (name for name, one in texts.items() if not all(isinstance(x, str) for x in (one or {}).values())), None
    )


_ABSENT = object()


def _shown(value: object) -> str:
    return "absent" if value is _ABSENT else json.dumps(value)


def as_json(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a configuration as it will be read back.

    Raises:
        ValueError: if JSON can't hold it.
    """
    if config is None:
        return None
    try:
        return json.loads(json.dumps(dict(config), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"a configuration must be made of numbers, strings, booleans, None, lists and dicts: {error}"
        ) from None


def made() -> dict[str, Any]:
    """Return how and where the run is made."""
    # The program's folder is left out, because reports that show the command may be shared.
    program = Path(sys.argv[0]).name if sys.argv and sys.argv[0] else "python"
    return {
        "command": " ".join([program, *sys.argv[1:]]),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
    }
