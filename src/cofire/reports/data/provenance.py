"""How a run was made, in the words of a reader instead of the keys of its description."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from .formatting import count, plural
from .run_view import flatten

_MEASURE = re.compile(r"(?P<name>\w+)(?P<parameters>\{.*\}) of (?P<what>\w+) at (?P<sites>.*)", re.DOTALL)
_WHAT = {
    "post": "outputs after the activation function",
    "pre": "outputs before the activation function",
    "weights": "weights",
}
_TOLD = ("made", "model", "measures", "versions")


def provenance(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return how a run was made, as headings with text; what is not known here keeps its own name.

    Args:
        facts: the description of a run, as `cofire.reports.View.made` holds it.

    Example:
        >>> provenance({"model": {"class": "MLP", "parameters": 1200}, "config": {"seed": 0}})
        [('Model', 'MLP, 1,200 parameters'), ('config.seed', '0')]
    """
    parts = {key: of if isinstance(of := facts.get(key), Mapping) else {} for key in _TOLD}
    found = {
        "Started": _moment(parts["made"].get("started")),
        "Command": parts["made"].get("command"),
        "Model": _model(parts["model"]),
        "Measures": "; ".join(map(_measure, _texts(facts.get("measures")))),
        "Software": ", ".join(f"{name} {version}" for name, version in parts["versions"].items()),
        "Machine": _machine(parts["made"]),
    }
    rest = {key: value for key, value in facts.items() if key not in _TOLD and value is not None}
    known = {"started", "command", "platform", "cores", "threads"}
    rest |= {"made": {key: value for key, value in parts["made"].items() if key not in known}}
    return [(name, str(text)) for name, text in found.items() if text] + list(flatten(rest))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, list | tuple):
        yield from map(str, value)


def _moment(value: Any) -> str:
    """Format a time in ISO format for people; anything else stays as it is."""
    try:
        moment = datetime.fromisoformat(str(value)).astimezone(UTC)
    except ValueError:
        return str(value or "")
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _model(model: Mapping[str, Any]) -> str:
    parts = [str(model["class"])] if "class" in model else []
    if isinstance(parameters := model.get("parameters"), int):
        parts.append(f"{count(parameters)} parameters")
    if isinstance(layers := model.get("layers"), Mapping):
        parts.append(plural(len(layers), "module"))
    return ", ".join(parts)


def _measure(text: str) -> str:
    """Return a measure in words, without parameters that only name themselves."""
    found = _MEASURE.fullmatch(text)
    if not found:
        return text
    try:
        parameters = json.loads(found["parameters"])
    except json.JSONDecodeError:
        return text
    of = _WHAT.get(found["what"], found["what"])
    sites = "all layers" if found["sites"] == "*" else found["sites"]
    told = [f"{name.replace('_', ' ')} {value}" for name, value in parameters.items() if name != value]
    return f"{found['name'].replace('_', ' ')} of {of} in {sites}" + f" ({', '.join(told)})" * bool(told)


def _machine(made: Mapping[str, Any]) -> str:
    counts = [plural(made[key], key[:-1]) for key in ("cores", "threads") if isinstance(made.get(key), int)]
    return ", ".join([*([str(made["platform"])] if made.get("platform") else []), *counts])
