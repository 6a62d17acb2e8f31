"""The record of one forward pass: samples for each call of each site."""

from collections import Counter
from dataclasses import dataclass, field

from torch import Tensor, nn

from ..layers.sample_rows import rows
from ..layers.sites import Site
from .padding_masks import is_time_first, keep


@dataclass(eq=False)
class Record:
    """One call of one site within a pass: samples with the units on the last axis."""

    site: Site
    module: nn.Module
    samples: Tensor
    unit_axis: int
    padded: bool = True

    @property
    def n_position_axes(self) -> int:
        """Axes of the layer's output behind that of the units, which are a feature map's positions."""
        return -self.unit_axis - 1

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
    """One forward pass of the model so far; nothing is recorded of one that has failed, such as by its mask."""

    mask: Tensor | None = None
    failed: bool = False
    records: list[Record] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
