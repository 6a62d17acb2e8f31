"""`shrink`: cut what a network can spare, and refit what stays in closed form."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite, sqrt
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ...stats._base.progress import progress
from ...stats._base.wording import plural
from ..layer_names import unwrap
from ..layers.patterns import as_list, matching
from ..loading.batches import arguments, forward
from ..loading.eval_mode import evaluating
from ..surgery.cuts import copied
from ..surgery.fold import fold
from ..surgery.groups import memory_shared
from ..surgery.output_change import output_error, predicted_error, shown, summed_errors
from ..surgery.output_errors import ErrorSums, combined
from ..wiring.dimensions import Dimension
from .allocation import Lot, allocate
from .cutting import allowed, cut_out, cuttable, kind_of
from .data import divided, in_memory, n_samples
from .elimination import Elimination, eliminate
from .free_groups import Free, Structure, structure
from .plans import plan_of
from .refitting import Refitting
from .shrunk import GroupCut, Point, Shrunk
from .statistics import NOT_FINITE, Statistics
from .watching import apart

Score = Callable[[nn.Module, Sequence[Any]], float]
"""A model and batches → a number; larger is better."""
Per = Literal["parameters", "flops"]
SHARES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
"""Shares of which the curve tells."""
MIXED_AT = (128, 8)
"""Parts of a group whose cut is measured where a normalization mixes its units."""
PARTS = 10
"""Parts of the samples whose scores tell how sure a score is."""
SEARCH = 6
"""How many smaller networks are built to find the smallest that keeps ``max_loss``."""


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
        explain exactly, see :func:`~cofire.nets.surgery.fold`. Nothing is cut where nothing can be; ``left`` says why.

    Raises:
        ValueError: for arguments that are out of range or exclude each other, data that can't be used, or a share that
            can't be reached.

    Example:
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
        if keep is None and max_loss is None:
            return _exact(whole, fit, held, score, left_alone)
        with _prepared(whole) as net:
            found = _Candidates.of(net, whole, fit, held, left_alone, per=per, uniform=uniform, round_to=round_to)
            if found.lots:
                found.learn(seed)
            return _Search(found, score).run(keep, max_loss)


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


@contextmanager
def _prepared(model: nn.Module) -> Iterator[nn.Module]:
    """Yield a copy of a network in eval mode whose parameters all have gradients."""
    net = copied(model)
    for parameter in net.parameters():
        parameter.requires_grad_(parameter.is_floating_point() or parameter.is_complex())
    with evaluating(net):
        yield net


@dataclass(eq=False)
class _Candidates:
    """What can be cut from a network, and what is known of it."""

    net: nn.Module
    model: nn.Module
    fit: list[Any]
    held: list[Any]
    structure: Structure
    lots: list[list[Free]]
    left: dict[str, str]
    per: Per
    step: dict[str, int]
    eliminations: dict[str, Elimination]
    spread: float = 0.0
    statistics: Statistics | None = None

    @classmethod
    def of(
        cls,
        net: nn.Module,
        model: nn.Module,
        fit: list[Any],
        held: list[Any],
        leave: set[str],
        *,
        per: Per,
        uniform: bool,
        round_to: int,
    ) -> "_Candidates":
        """Find the groups that can be cut; nothing is computed for others."""
        first = fit[0]
        for batch in (first, *held):
            if not all(bool(one.isfinite().all()) for one in shown(forward(net, batch))):
                raise ValueError(NOT_FINITE)
        known = structure(net, first, tuple(memory_shared(model)))
        bundles, bad = cuttable(net, known, arguments(net, first)) if known.groups else ([], {})
        left = {**known.left, **bad}
        kinds: dict[Any, list[Free]] = defaultdict(list)
        for groups in bundles:
            if any(leave.intersection(one.layers) for one in groups):
                left.update({one.name: "it was to be left" for one in groups})
                continue
            key = tuple((kind_of(one.name), one.n_units) for one in groups)
            kinds[key if uniform else groups[0].name] += groups
        lots = list(kinds.values())
        step = {one.name: max(round_to, known.steps.get(one.name, 1)) for some in lots for one in some}
        return cls(net, model, fit, held, known, lots, left, per, step, {})

    @property
    def groups(self) -> list[Free]:
        """All groups that may be cut."""
        return [one for some in self.lots for one in some]

    def learn(self, seed: int) -> None:
        """Learn in which order the units of each group go, and what that costs the outputs."""
        readers = dict.fromkeys(name for one in self.groups for name in one.readers)
        statistics = Statistics(self.net, self.structure, readers, seed=seed)
        with progress("Learning what layers need", n_samples(self.fit)) as advance:
            statistics.run(self.fit, advance)
        self.spread, self.statistics = statistics.spread, statistics
        with progress("Choosing units", sum(one.n_units for one in self.groups)) as advance:
            for one in self.groups:
                self.eliminations[one.name] = eliminate(
                    statistics.inputs(one), one.n_units, together=statistics.together(one), advance=advance
                )

    def whole_cost(self) -> float:
        """Return the cost of the network as it is."""
        return self.structure.count({}, per=self.per)

    def sizes(self, share: float) -> dict[str, int]:
        """Return the sizes of all groups at a share."""
        return allocate(
            [Lot.of(some, self.eliminations) for some in self.lots],
            self.structure.terms(self.per),
            budget=share * self.whole_cost(),
            steps=self.step,
        )

    def allowed_sizes(self, share: float) -> dict[str, int]:
        """Return the sizes at a share that the code allows; groups to which it doesn't allow theirs are left."""
        while refused := self.refused(sizes := self.sizes(share)):
            self.left.update(refused)
            self.lots = [some for some in self.lots if not any(one.name in refused for one in some)]
        return sizes

    def refused(self, sizes: Mapping[str, int]) -> dict[str, str]:
        """Return which groups can't have these sizes, with the reasons; all were tried at others."""
        keep = self.keep(sizes)
        return allowed(self.net, self.structure, self.lots, keep, arguments(self.net, self.fit[0]))[1] if keep else {}

    def share(self, sizes: Mapping[str, int]) -> float:
        """Return the share that sizes come to."""
        leafs = {one.leaf: sizes[one.name] for one in self.groups}
        return self.structure.count(leafs, per=self.per) / self.whole_cost()

    def keep(self, sizes: Mapping[str, int]) -> dict[Dimension, Tensor]:
        """Return the units that stay, for the groups that lose some."""
        return {
            one.leaf: self.eliminations[one.name].kept(sizes[one.name])
            for one in self.groups
            if sizes[one.name] < one.n_units
        }

    def cuts(self, sizes: Mapping[str, int]) -> dict[str, GroupCut]:
        """Return the cuts that sizes come to, by group."""
        found = {}
        for one in self.groups:
            order, n = self.eliminations[one.name], sizes[one.name]
            if n < one.n_units:
                share = float(order.error[one.n_units - n]) / self.spread if self.spread > 0 else float("nan")
                found[one.name] = GroupCut(one.layers, one.n_units, tuple(order.kept(n).tolist()), sqrt(share))
        return found

    def expected(self, sizes: Mapping[str, int]) -> float:
        """Return the relative error that the eliminations expect, in sample."""
        total = sum(float(self.eliminations[one.name].error[one.n_units - sizes[one.name]]) for one in self.groups)
        return sqrt(total / self.spread) if self.spread > 0 else float("nan")


@dataclass(eq=False)
class _Built:
    """A smaller network that was built."""

    model: nn.Module
    share: float = 1.0
    keep: Mapping[Dimension, Tensor] = field(default_factory=dict)
    cuts: Mapping[str, GroupCut] = field(default_factory=dict)
    counts: Mapping[str, Any] = field(default_factory=dict)
    few: Sequence[str] = ()


class _Search:
    """Builds and measures smaller networks."""

    def __init__(self, found: _Candidates, score: Score | None) -> None:
        self._found, self._score = found, score

    def run(self, keep: Any, max_loss: float | None) -> Shrunk:
        """Return the smaller network that was asked for."""
        found = self._found
        if not found.lots and not isinstance(keep, Mapping):
            return self._result(self._untouched(), found.held)
        if not isinstance(keep, Mapping):
            self._measure_mixed()
        if max_loss is None:
            sizes = self._wanted(keep) if isinstance(keep, Mapping) else self._reached(float(keep))
            return self._result(self._build(sizes), found.held)
        report, choose = divided(found.held, of=2)
        if not choose:
            raise ValueError("max_loss needs at least two samples to check, one to choose by and one to report on")
        return self._result(self._smallest(max_loss, choose), report)

    def _measure_mixed(self) -> None:
        """Measure what cuts of groups cost whose units a normalization mixes; second moments don't tell."""
        found = self._found
        whole = {one.name: one.n_units for one in found.groups}
        batches = found.fit[: max(1, len(found.fit) // 4)]
        for one in [one for one in found.groups if one.mixed]:
            squares = {}
            step = found.step[one.name]
            sizes = {(one.n_units - max(1, one.n_units // part)) // step * step for part in MIXED_AT}
            for gone in {one.n_units - size for size in sizes}:
                cut = {**whole, one.name: one.n_units - gone}
                if gone < one.n_units and not found.refused(cut):
                    built = self._build(cut)
                    squares[gone] = output_error(found.model, built.model, batches).relative ** 2 * found.spread
            if all(map(isfinite, squares.values())):
                found.eliminations[one.name] = found.eliminations[one.name].corrected(squares)

    def _reached(self, share: float) -> dict[str, int]:
        sizes = self._found.allowed_sizes(share)
        if (smallest := self._found.share(sizes)) > share + 1e-9:
            raise ValueError(
                f"keep={share:g} can't be reached: what can be cut leaves at least {smallest:.3g} of the "
                f"{self._found.per}; {plural(len(self._found.left), 'layer')} can't be cut, for example "
                f"{_example(self._found.left)}"
            )
        return sizes

    def _wanted(self, keep: Mapping[str, int]) -> dict[str, int]:
        found = self._found
        sizes = {one.name: one.n_units for one in found.groups}
        for name, number in keep.items():
            named = [one for one in found.groups if name == one.name or name in one.layers]
            if not named:
                raise ValueError(f"{name!r} can't be cut: {found.left.get(name, 'no layer has that name')}")
            if len(named) > 1 and name not in sizes:
                raise ValueError(
                    f"the units of {name!r} fall into several groups; name one of them: "
                    f"{', '.join(one.name for one in named)}"
                )
            one = next((one for one in named if one.name == name), named[0])
            if number > one.n_units:
                raise ValueError(f"keep asks for {number:,} units of {name!r}, which has {one.n_units:,}")
            if number < one.n_units and number % (step := found.step[one.name]):
                raise ValueError(f"keep asks for {number:,} units of {name!r}, which must be a multiple of {step:,}")
            lot = next(some for some in found.lots if one in some)
            for tied in lot:
                if number * tied.n_units % one.n_units:
                    raise ValueError(f"{number:,} units of {name!r} leave no whole number of {tied.name!r}, tied to it")
                sizes[tied.name] = number * tied.n_units // one.n_units
        for name, reason in found.refused(sizes).items():
            raise ValueError(f"{sizes[name]:,} units of {name!r} can't stay: {reason}")
        return sizes

    def _untouched(self) -> _Built:
        return _Built(copied(self._found.model))

    def _build(self, sizes: Mapping[str, int]) -> _Built:
        """Return the smaller network at the given sizes, refitted."""
        found = self._found
        keep = found.keep(sizes)
        smaller = copied(found.model)
        if not keep:
            return _Built(smaller)
        change = cut_out(smaller, found.structure, keep)
        with evaluating(smaller):
            refitting = Refitting(found.net, smaller, found.structure, keep, found.fit)
            refitting.run()
        return _Built(smaller, found.share(sizes), keep, found.cuts(sizes), change.counts, refitting.few)

    def _smallest(self, max_loss: float, choose: list[Any]) -> _Built:
        """Return the smallest network whose loss is within bounds, by bisection over shares."""
        found = self._found
        low, high, best = found.share(found.sizes(0.0)), 1.0, self._untouched()
        whole = self._scores(found.model, choose)
        share = self._first_guess(max_loss, low)
        for _ in range(SEARCH):
            built = self._build(found.allowed_sizes(share))
            if self._loss(built, choose, whole) <= max_loss:
                best, high = built, share
            else:
                low = share
            if high - low < 0.01:
                break
            share = (low + high) / 2
        return best

    def _first_guess(self, max_loss: float, low: float) -> float:
        """Return the smallest share whose expected error is within bounds."""
        if self._score is not None:
            return max(low, 0.7)
        shares = [one for one in SHARES if one > low] or [(1 + low) / 2]
        fine = [one for one in shares if self._found.expected(self._found.sizes(one)) <= max_loss]
        return min(fine, default=shares[0])

    def _loss(self, built: _Built, choose: list[Any], whole: Sequence[float]) -> float:
        """Return the loss, two standard errors above what was measured; ``whole`` are the scores of the network."""
        if self._score is None:
            return upper_error(self._found.model, built.model, choose)
        lost = torch.tensor(whole, dtype=torch.float64) - torch.tensor(
            self._scores(built.model, choose), dtype=torch.float64
        )
        doubt = 2 * float(lost[1:].std()) / (len(lost) - 1) ** 0.5 if len(lost) > 2 else 0.0
        return float(lost[0]) + doubt

    def _scores(self, model: nn.Module, batches: list[Any]) -> list[float]:
        """Return the score of all samples, and those of parts of them, which tell how sure it is."""
        if self._score is None:
            return []
        parts = [divided(batches, of=PARTS, at=k)[0] for k in range(PARTS)]
        return [scored(self._score, model, some) for some in (batches, *parts) if some]

    def _result(self, built: _Built, report: list[Any]) -> Shrunk:
        found, model = self._found, self._found.model
        measured = output_error(model, built.model, report).relative
        score = None
        if self._score is not None:
            score = scored(self._score, model, report), scored(self._score, built.model, report)
        predicted = self._predicted(built.keep, report) if built.cuts else 0.0
        point = Point(built.share, predicted, measured, None if score is None else score[1])
        curve = [*self._curve(built.share, report), point] if built.cuts else [point]
        notes = []
        if built.few:
            notes.append(
                f"{plural(len(built.few), 'layer')} saw fewer than three rows of data for each input, such as "
                f"{built.few[0]}; more data make a better fit"
            )
        return Shrunk(
            built.model,
            plan_of(model, built.model, built.cuts, built.counts),
            built.cuts,
            {name: reason for name, reason in found.left.items() if name not in built.cuts},
            built.share,
            found.per,
            tuple(sorted(curve, key=lambda one: -one.share)),
            predicted,
            measured,
            score,
            (_n_parameters(model), _n_parameters(built.model)),
            (n_samples(found.fit), n_samples(report)),
            tuple(notes),
        )

    def _predicted(self, keep: Mapping[Dimension, Tensor], batches: Sequence[Any]) -> float | None:
        """Return how far the outputs move to first order, on held-out samples, by weights fitted apart."""
        found = self._found
        if found.statistics is None:
            return None
        weights = found.statistics.made_up(keep)
        moved = predicted_error(found.net, weights, batches)
        return None if moved is None or not isfinite(moved.relative) else moved.relative

    def _curve(self, share: float, batches: Sequence[Any]) -> list[Point]:
        found = self._found
        least = found.share(found.sizes(0.0))
        points = []
        for one in SHARES:
            if one < least:
                continue
            sizes = found.sizes(one)
            if abs(found.share(sizes) - share) > 0.005:
                points.append(Point(found.share(sizes), self._predicted(found.keep(sizes), batches)))
        return points


def scored(score: Score, model: nn.Module, batches: Sequence[Any]) -> float:
    """Return the score of a model.

    Raises:
        ValueError: if it is no number.
    """
    found = float(score(model, batches))
    if not isfinite(found):
        raise ValueError(f"score must return a finite number, larger is better; got {found!r}")
    return found


def upper_error(model: nn.Module, other: nn.Module, batches: Sequence[Any]) -> float:
    """Return the relative error of another network's outputs, two standard errors above its mean over batches."""
    sums: list[ErrorSums] = []
    means, square, entries = [], 0.0, 0
    for sums in summed_errors(model, other, batches):
        total, n = sum(one.square for one in sums), sum(one.entries for one in sums)
        means.append((total - square) / (n - entries))
        square, entries = total, n
    error = combined(sums)
    if len(means) < 2 or not error.rms:
        return error.relative
    mean = torch.tensor(means, dtype=torch.float64)
    high = float(mean.mean() + 2 * mean.std() / len(mean) ** 0.5)
    return error.relative * sqrt(high / float(mean.mean()))


def _exact(model: nn.Module, fit: list[Any], held: list[Any], score: Score | None, leave: set[str]) -> Shrunk:
    """Cut only what others explain exactly."""
    for batch in held:
        with evaluating(model):
            if not all(bool(one.isfinite().all()) for one in shown(forward(model, batch))):
                raise ValueError(NOT_FINITE)
    surgery = fold(model, fit, pattern=["*", *(f"!{name}" for name in sorted(leave))])
    measured = output_error(model, surgery.model, held).relative
    scores = None if score is None else (scored(score, model, held), scored(score, surgery.model, held))
    cuts = {name: GroupCut(cut.layers, cut.n_units, cut.kept, 0.0) for name, cut in surgery.cuts.items()}
    n = _n_parameters(model), _n_parameters(surgery.model)
    predicted = None if surgery.predicted is None else surgery.predicted.relative
    return Shrunk(
        surgery.model,
        plan_of(model, surgery.model, cuts, surgery.counts),
        cuts,
        surgery.left,
        n[1] / n[0] if n[0] else 1.0,
        "parameters",
        (Point(n[1] / n[0] if n[0] else 1.0, predicted, measured, None if scores is None else scores[1]),),
        predicted,
        measured,
        scores,
        n,
        (n_samples(fit), n_samples(held)),
    )


def _n_parameters(model: nn.Module) -> int:
    return sum(one.numel() for one in model.parameters())


def _example(left: Mapping[str, str]) -> str:
    return next((f"{name} ({reason})" for name, reason in left.items()), "none")
