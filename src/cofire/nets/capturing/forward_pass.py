"""The record of one forward pass: samples for each call of each site."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from ..layers.kinds import Kind, captured_as
from ..layer_names import named_layers
from ..layers.sample_rows import Copy, rows, units_last
from ..layers.sites import Site, Stage
from .padding_masks import is_time_first, keep


@dataclass(frozen=True)
class Layer:
    """A module, and the sites that are captured at it."""

    name: str
    module: nn.Module
    kind: Kind
    sites: tuple[Site, ...]

    def wanted(self, stage: Stage, call: int) -> list[Site]:
        """Return the sites at one stage of one call."""
        return [site for site in self.sites if site.stage == stage and site.call in (None, call)]

    def unit_axis(self, x: Tensor) -> int | None:
        """Return the axis of the units; None if neither the sites nor the kind of layer say."""
        given = next((site.unit_axis for site in self.sites if site.unit_axis is not None), None)
        return self.kind.unit_axis(self.module, x) if given is None else given


@dataclass(eq=False)
class Record:
    """One call of one site within a pass: samples with the units on the last axis."""

    site: Site
    module: nn.Module
    samples: Tensor
    unit_axis: int
    padded: bool = True
    copy: Copy = units_last

    @property
    def n_position_axes(self) -> int:
        """Axes of the layer's output behind that of the units, which are a feature map's positions."""
        return -self.unit_axis - 1

    def applied(self, activation: Tensor) -> None:
        """Replace the layer's own output by the output of the activation function that was applied to it."""
        self.samples = self.copy(activation, self.unit_axis, over=self.samples)

    def rows(self, mask: Tensor | None, model: nn.Module) -> Tensor:
        """Return (n_samples, n_units); with a mask, only the samples that it keeps.

        Raises:
            ValueError: if the mask does not fit.
        """
        if mask is None or not self.padded:
            return rows(self.samples)
        shape = tuple(self.samples.shape[:-1])
        kept = keep(self.samples, mask, time_first=is_time_first(self.module, model, shape=shape, mask=mask))
        if kept is None:
            raise ValueError(
                f"the mask of shape {tuple(mask.shape)} does not fit {self.site}, whose samples have shape "
                f"{shape}; leave the layer out with '!{self.site.layer}', or capture without a mask"
            )
        return self.samples[kept]


@dataclass
class Pass:
    """One forward pass of the model so far."""

    mask: Tensor | None = None
    records: list[Record] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)


def layers_of(model: nn.Module, sites: Sequence[Site]) -> list[Layer]:
    """Return the layers of the sites, in the order of the sites."""
    modules = named_layers(model)
    wanted: dict[str, list[Site]] = {}
    for site in sites:
        wanted.setdefault(site.layer, []).append(site)
    return [Layer(name, modules[name], captured_as(modules[name]), tuple(of_it)) for name, of_it in wanted.items()]
