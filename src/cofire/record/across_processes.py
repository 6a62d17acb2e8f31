"""Samples of several processes: each contributes those of its own batches, and all get the same."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ..nets import Site
from ..nets.layers.sites import Request
from .sampling import Samples, Source, TrainingBatches

Layout = tuple[str, str, int | None, int, int, torch.dtype]
"""A site's samples on one process: layer, stage, call, number of samples, number of units, type."""


def group_of(synchronize: "bool | dist.ProcessGroup") -> "dist.ProcessGroup | None":
    """Return the processes to synchronize; None for a single one, as without ``torch.distributed``."""
    running = dist.is_available() and dist.is_initialized()
    if synchronize is False or not running:
        return None
    group = dist.group.WORLD if synchronize is True else synchronize
    return group if group is not None and dist.get_world_size(group) > 1 else None


class Together(TrainingBatches):
    """Training batches whose samples are pooled over all processes of a group.

    A process may have seen fewer batches than others, or none; all must call `collect` for the same steps. They wait
    for one another as long as the group's time-out allows.

    Args:
        model: the model.
        group: the processes.
        **options: those of `TrainingBatches`.
    """

    def __init__(self, model: nn.Module, group: "dist.ProcessGroup", **options: Any) -> None:
        super().__init__(model, **options)
        self._group = group

    def collect(self, requests: Sequence[Request], step: int) -> Samples:
        """Return the samples of all processes, in the order of their ranks: the same on each.

        Raises:
            ValueError: on every process, if no process saw any site, or they saw different numbers of units.
            RuntimeError: if a process does not arrive within the group's time-out.
        """
        own = self.seen(step)
        layouts: list[list[Layout]] = [[] for _ in range(dist.get_world_size(self._group))]
        mine = [(site.layer, site.stage, site.call, len(x), x.shape[1], x.dtype) for site, x in own.items()]
        dist.all_gather_object(layouts, mine, group=self._group)
        places = dict.fromkeys(layout[:3] for of_rank in layouts for layout in of_rank)
        found = {
            Site(layer, stage, call): self._joined(own, (layer, stage, call), layouts)  # type: ignore[arg-type]
            for layer, stage, call in places
        }
        self._report_silent(found, requests, step)
        return found

    def _joined(self, own: Samples, place: tuple[str, str, int | None], layouts: list[list[Layout]]) -> Tensor:
        """Return one site's samples of all processes."""
        of_ranks = [next((one for one in layout if one[:3] == place), None) for layout in layouts]
        kinds = {one[4:] for one in of_ranks if one is not None}
        if len(kinds) > 1:
            units = sorted({n_units for n_units, _ in kinds})
            raise ValueError(f"processes saw {place[0]!r} with different numbers of units or types: {units} units")
        [(n_units, dtype)] = kinds
        counts = [0 if one is None else one[3] for one in of_ranks]
        # A collective takes tensors of one shape, so all are padded to the longest.
        padded = torch.zeros(max(counts), n_units, dtype=dtype, device=self._device(own))
        if (x := own.get(Site(*place))) is not None:  # type: ignore[arg-type]
            padded[: len(x)] = x
        parts = [torch.empty_like(padded) for _ in counts]
        dist.all_gather(parts, padded, group=self._group)
        return torch.cat([part[:count] for part, count in zip(parts, counts, strict=True)])

    def _device(self, own: Samples) -> torch.device:
        if own:
            return next(iter(own.values())).device
        on_gpu = dist.get_backend(self._group) == "nccl"
        return torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")


def training_batches(
    model: nn.Module, group: "dist.ProcessGroup | None", *, max_samples: int, **options: Any
) -> Source:
    """Return the source of this process's batches, or of all processes', each of which keeps its share of samples."""
    if group is None:
        return TrainingBatches(model, max_samples=max_samples, **options)
    share = -(-max_samples // dist.get_world_size(group))
    return Together(model, group, max_samples=share, **options)
