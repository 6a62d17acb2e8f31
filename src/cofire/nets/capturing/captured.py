"""What a capture returns: a mapping from names to activations or states."""

from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from torch import Tensor

from ...stats._base.notebook import html_lines, html_table
from ..layer_names import near
from ..layers.sites import Site
from .row_store import Store

T = TypeVar("T")


class Activations(Mapping[str, T], Generic[T]):
    """Captured activations, or states, by layer name; ``left_out`` names the layers without, and why.

    With ``per_call``, a layer's calls within one pass are ``name#0``, ``name#1``, ... Where both stages were captured,
    the one before the activation function is ``name:pre``. A `Site` is a key as well.
    """

    def __init__(self, store: Store[T]) -> None:
        self._store = store

    @property
    def left_out(self) -> Mapping[str, str]:
        """Layers that were not captured, with the reason."""
        return self._store.left_out

    @property
    def sites(self) -> list[Site]:
        """The sites captured so far, one for each call."""
        self._store.settle()
        return self._store.measured()

    def __getitem__(self, key: str | Site) -> T:
        site = self._site(key)
        if site is not None:
            return self._store.value(site)
        name = str(key)
        calls = [label for label in self if label.replace(":pre", "").startswith(f"{name.removesuffix(':pre')}#")]
        if calls:
            raise KeyError(f"{name!r} ran {len(calls)} times in one forward pass; ask for one of {', '.join(calls)}")
        if name in self.left_out:
            raise KeyError(f"{name!r} was left out: {self.left_out[name]}")
        raise KeyError(f"{name!r} was not captured; {near(name, list(self))}")

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str | Site) and self._site(key) is not None

    def __iter__(self) -> Iterator[str]:
        return iter([self._label(site) for site in self.sites])

    def __len__(self) -> int:
        return len(self.sites)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self) or 'nothing yet'})"

    def _repr_html_(self) -> str:
        head = ("layer", "samples", "units") if all(isinstance(one, Tensor) for one in self.values()) else ("layer", "")
        rows = [(name, *_sizes(one)) for name, one in self.items()]
        return html_table(head, rows) + html_lines(f"left out: {name}: {why}" for name, why in self.left_out.items())

    def _label(self, site: Site) -> str:
        return str(site) if self._store.mixes_stages else site.layer_and_call

    def _site(self, key: str | Site) -> Site | None:
        name = str(key)
        layer = name.removesuffix(":pre").partition("#")[0]
        name = self._store.aliases.get(layer, layer) + name.removeprefix(layer)
        found = self.sites
        names = {str(site): site for site in found}
        if isinstance(key, str):
            names |= {self._label(site): site for site in found}
        return names.get(name)


def _sizes(found: object) -> tuple[str, ...]:
    return tuple(f"{size:,}" for size in found.shape[:2]) if isinstance(found, Tensor) else (type(found).__name__,)
