"""Find the configuration with which the class of a transformers model makes a smaller one, and save both."""

import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from copy import deepcopy
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...loading.libraries.transformers_log import quiet
from ...torch_private import without_modes
from ..cutting import kind_of
from ..shrunk import Shrunk
from .same_outputs import agree, outputs_of

Shapes = dict[str, tuple[int, ...]]
MOST_BUILT = 300
"""How many configurations are tried."""


class Unsayable(ValueError):
    """The configuration can't say the new sizes; the message says why."""


def is_pretrained(model: nn.Module) -> bool:
    """Return whether a model is one of transformers, which is not imported for this."""
    transformers = sys.modules.get("transformers")
    return transformers is not None and isinstance(model, transformers.PreTrainedModel)


def resized(shrunk: Shrunk, example: Any) -> Any:
    """Return the smaller network as the model's class makes it of a configuration with the new sizes.

    Nothing is taken for granted: a field may have changed if it was a divisor of a size that changed, or None. The
    class has to make exactly the smaller network's shapes of it, and with its weights the same outputs.

    Raises:
        Unsayable: if no configuration does.
    """
    smaller: Any = shrunk.model
    search = _Search(shrunk)
    wanted, found = outputs_of(smaller, example), False
    for config in search.run():
        found = True
        with quiet(), torch.random.fork_rng(devices=[]):
            sized = type(smaller)(deepcopy(config)).to(smaller.dtype)
            sized.load_state_dict(smaller.state_dict())
            if getattr(smaller, "generation_config", None) is not None:
                sized.generation_config = deepcopy(smaller.generation_config)
            if agree(wanted, outputs_of(sized.eval(), example)):
                return sized
    if found:
        raise Unsayable(f"{type(smaller.config).__name__} can say the new shapes, but not how they are used")
    raise Unsayable(search.why())


class _Search:
    """Searches for configurations of which a class makes the shapes of a smaller network."""

    def __init__(self, shrunk: Shrunk) -> None:
        self._shrunk, self._model = shrunk, shrunk.model
        self._wanted = shapes_of(shrunk.model)
        self._wrong = frozenset(shrunk.plan["shapes"]) & self._wanted.keys()
        self._sizes: set[tuple[int, int]] = set()
        self._left = MOST_BUILT
        self._closest = self._wrong

    def run(self) -> Iterator[Any]:
        """Yield configurations, those first that change the fewest fields in their order.

        Raises:
            Unsayable: if the class does not even make the model as it was.
        """
        config: Any = self._model.config
        old = _built(self._model, config)
        if old is None or self._mismatched(old) != self._wrong:
            raise Unsayable(f"{type(self._model).__name__} makes another model of its configuration than this one was")
        for name in self._wrong:
            self._sizes |= {pair for pair in zip(old[name], self._wanted[name], strict=True) if pair[0] != pair[1]}
        yield from self._further(config, self._wrong, ())

    def _mismatched(self, made: Shapes | None) -> frozenset[str] | None:
        if made is None or made.keys() != self._wanted.keys():
            return None
        return frozenset(name for name in made if made[name] != self._wanted[name])

    def _further(self, config: Any, wrong: frozenset[str], changed: tuple[str, ...]) -> Iterator[Any]:
        """Change fields so that the first of the wrong shapes becomes right, and no right one wrong; then the next."""
        if not wrong:
            yield config
            return
        for fields in self._trials(changed):
            self._left -= 1
            if self._left < 0:
                return
            trial = _with(config, fields)
            left = None if trial is None else self._mismatched(_built(self._model, trial))
            if left is not None and left < wrong and min(wrong) not in left:
                self._closest = min(self._closest, left, key=len)
                yield from self._further(trial, left, (*changed, *fields))

    def _trials(self, changed: tuple[str, ...]) -> Iterator[dict[str, int]]:
        """Yield fields with new values: numbers alone, then fields that were None, then two numbers at once."""
        numbers: set[tuple[str, int]] = set()
        empty: set[tuple[str, int]] = set()
        config: Any = self._model.config
        for name, value in config.to_dict().items():
            if name in changed:
                continue
            if type(value) is int and value > 1:
                numbers |= {(name, new // (old // value)) for old, new in self._sizes if _scales(value, old, new)}
            elif value is None:
                empty |= {(name, new) for _, new in self._sizes}
        for one in (*sorted(numbers), *sorted(empty)):
            yield dict([one])
        for first, second in combinations(sorted(numbers), 2):
            if first[0] != second[0]:
                yield dict([first, second])

    def why(self) -> str:
        """Return why no configuration was found."""
        cuts, config = self._shrunk.cuts, type(self._model.config).__name__
        sizes = {layer: len(cut.kept) for cut in cuts.values() for layer in cut.layers}
        by_kind: dict[str, set[int]] = defaultdict(set)
        for name, _ in self._model.named_modules():
            by_kind[kind_of(name)].add(sizes.get(name, 0))
        if uneven := [kind for kind, found in by_kind.items() if len(found) > 1]:
            return f"layers of one kind have different sizes, such as {uneven[0]}; uniform sizes may give one"
        stuck = {kind_of(layer) for layer in sizes if any(name.startswith(f"{layer}.") for name in self._closest)}
        kinds = ", ".join(sorted(stuck or {kind_of(layer) for layer in sizes}))
        return f"{config} can't say the new sizes of {kinds}; leaving these layers whole may give one"


def shapes_of(model: nn.Module) -> Shapes:
    """Return the shapes of a state dict."""
    return {name: tuple(one.shape) for name, one in model.state_dict().items() if isinstance(one, torch.Tensor)}


def _scales(value: int, old: int, new: int) -> bool:
    return old % value == 0 and new % (old // value) == 0


def _with(config: Any, fields: Mapping[str, int]) -> Any:
    trial = deepcopy(config)
    try:
        with quiet():
            for name, value in fields.items():
                setattr(trial, name, value)
            type(trial).from_dict(trial.to_dict())  # checks what goes together, as loading will
    except Exception:  # configurations check their fields in any way
        return None
    return trial


def _built(model: Any, config: Any) -> Shapes | None:
    """Return the shapes of the model that a configuration makes, without memory; None if it makes none."""
    with quiet(), torch.random.fork_rng(devices=[]), without_modes():
        try:
            with torch.device("meta"):
                return shapes_of(type(model)(deepcopy(config)))
        except Exception:  # whatever a model's own code raises for sizes that don't go together
            return None


def read_pretrained(shrunk: Shrunk, folder: Path) -> nn.Module:
    """Load a folder of ``save_pretrained`` with the class of the smaller network.

    Raises:
        ValueError: if weights are missing or left over.
    """
    loader: Any = type(shrunk.model)
    with quiet(), torch.random.fork_rng(devices=[]):
        found, about = loader.from_pretrained(str(folder), local_files_only=True, output_loading_info=True)
    problems = [kind for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") if about.get(kind)]
    if problems:
        first = sorted(map(str, about[problems[0]]))[0]
        raise ValueError(f"from_pretrained has {problems[0].replace('_', ' ')}, such as {first}")
    return found
