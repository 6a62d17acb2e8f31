"""`shrink`: cut what a network can spare, and refit what stays in closed form."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from torch import nn

from ..layer_names import unwrap
from ..layers.patterns import as_list, matching
from .candidates import Candidates, Per, prepared
from .data import divided, in_memory, n_samples
from .search import Score, Search
from .shrunk import Shrunk
from .watching import apart


def shrink(
    model: nn.Module,
    data: Any,
    *,
    keep: float | Mapping[str, int] | None = None,
    max_loss: float | None = None,
    score: Score | None = None,
    check: Any = None,
    per: Per = "parameters",
    uniform: bool = False,
    round_to: int = 1,
    leave: Any = (),
    seed: int = 0,
) -> Shrunk:
    r"""Cut the units that a network can spare, and refit the layers that read them, without training.

    The units are those of the model's wiring: hidden units, channels with all that rides on them, residual streams,
    attention heads. In each group those go whose loss moves the network's outputs least once the others make up for
    them (backward elimination, weighted by the outputs' sensitivity). Groups share the budget by what their next units
    cost the outputs. Then each layer that reads cut units is refitted by least squares to what it put out before, on
    the inputs that it gets in the smaller network, pulled toward its old weights by a ridge that held-out samples
    choose; biases, or batch norms behind the layer, take up constants.

    Args:
        model: the network; neither it nor its buffers change.
        data: inputs, run in eval mode: a tensor, or a collection of batches (tensors, (inputs, ...) or keyword inputs).
            They are held in memory.
        keep: the share of parameters (or multiplications) that stays, or how many units of each layer stay.
        max_loss: instead of ``keep``: the largest error. The rms change of the outputs over their standard deviation,
            or with ``score`` the loss of that score. It is kept as measured: the cut is chosen on one half of the check
            samples, with a margin of two standard errors, and reported from the other half.
        score: ``(model, batches) -> number``, larger is better.
        check: inputs to measure on. By default a third of ``data`` is held out for that.
        per: what ``keep`` is a share of: ``"parameters"``, or ``"flops"``, multiplications with parameters.
        uniform: give all layers of one kind (whose names differ in numbers only) the same size, so that a
            configuration can say it.
        round_to: sizes are multiples of this.
        leave: layers that are not cut: a pattern or a list of patterns.
        seed: of the random projections that measure the outputs' sensitivity.

    Returns:
        The smaller network with its plan and costs. With neither ``keep`` nor ``max_loss``, only units go that others
        explain exactly: constants, copies, linear combinations, and units that nothing reads. Nothing is cut where
            nothing can be; ``left`` says why.

    Raises:
        ValueError: for arguments that are out of range or exclude each other, data that can't be used, or a share that
            can't be reached.

    Example:
        >>> import torch
        >>> _ = torch.manual_seed(0)
        >>> model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
        >>> smaller = shrink(model, torch.randn(600, 4), keep=0.5)
        >>> smaller.model[0].out_features, smaller.measured < 0.5
        (7, True)
    """
    _check(keep, max_loss, per, round_to)
    whole = unwrap(model)
    left_alone = _named(whole, leave)
    with apart(whole):
        batches, given = in_memory(data), None if check is None else in_memory(check)
        held, fit = divided(batches, of=3) if given is None else (given, batches)
        if n_samples(fit) < 2 or not held:
            raise ValueError(f"shrink needs at least 3 samples, got {n_samples(batches)}")
        with prepared(whole) as net:
            found = Candidates.of(net, whole, fit, held, left_alone, per=per, uniform=uniform, round_to=round_to)
            if found.lots and not (keep is None and max_loss is None):
                found.learn(seed)
            return Search(found, score).run(keep, max_loss)


def _check(keep: Any, max_loss: float | None, per: str, round_to: int) -> None:
    if keep is not None and max_loss is not None:
        raise ValueError(
            "keep and max_loss exclude each other: one says how much stays, the other how much may be lost"
        )
    if isinstance(keep, Mapping):
        for name, number in keep.items():
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise ValueError(
                    f"keep must name a whole number of units above 0 for each layer, got {number!r} for {name!r}"
                )
    elif keep is not None and not (isinstance(keep, float | int) and not isinstance(keep, bool) and 0 < keep <= 1):
        raise ValueError(f"keep must be a share above 0 and at most 1, or units by layer; got {keep!r}")
    number = isinstance(max_loss, float | int) and not isinstance(max_loss, bool)
    if max_loss is not None and not (number and isfinite(max_loss) and max_loss > 0):
        raise ValueError(f"max_loss must be a number above 0, got {max_loss!r}")
    if per not in ("parameters", "flops"):
        raise ValueError(f"per must be 'parameters' or 'flops', got {per!r}")
    if isinstance(round_to, bool) or not isinstance(round_to, int) or round_to < 1:
        raise ValueError(f"round_to must be a whole number above 0, got {round_to!r}")


def _named(model: nn.Module, leave: Any) -> set[str]:
    modules = dict(model.named_modules(remove_duplicate=False))
    return {name for one in as_list(leave) for name in matching(one, modules)}  # pyright: ignore[reportArgumentType]
