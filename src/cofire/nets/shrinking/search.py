"""Build and measure smaller networks until one is as it was asked for."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite, sqrt
from typing import Any

import torch
from torch import Tensor, nn

from ...stats._base.progress import progress
from ...stats._base.wording import plural
from ..loading.batches import arguments
from ..loading.eval_mode import evaluating
from ..surgery.copies import copied
from ..surgery.output_change import output_error, predicted_error, summed_errors
from ..surgery.output_errors import ErrorSums, combined
from ..wiring.dimensions import Dimension
from .candidates import Candidates
from .cutting import Bundles, allowed, cut_out, differs
from .data import divided, n_samples
from .exact import Explained, rounded, why_not
from .free_groups import Free
from .plans import plan_of
from .refit.refitting import Refitting
from .shrunk import GroupCut, Point, Shrunk

Score = Callable[[nn.Module, Sequence[Any]], float]
"""A model and batches → a number; larger is better."""
SHARES = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
"""Shares of which the curve tells."""
MIXED_AT = (128, 8)
"""Parts of a group whose cut is measured where a normalization mixes its units."""
PARTS = 10
"""Parts of the samples whose scores tell how sure a score is."""
SEARCH = 6
"""How many smaller networks are built to find the smallest that keeps ``max_loss``."""


@dataclass(eq=False)
class Built:
    """A smaller network that was built."""

    model: nn.Module
    share: float = 1.0
    keep: Mapping[Dimension, Tensor] = field(default_factory=dict)
    cuts: Mapping[str, GroupCut] = field(default_factory=dict)
    counts: Mapping[str, Any] = field(default_factory=dict)
    few: Sequence[str] = ()


class Search:
    """Builds and measures smaller networks."""

    def __init__(self, found: Candidates, score: Score | None) -> None:
        self._found, self._score = found, score

    def run(self, keep: float | Mapping[str, int] | None, max_loss: float | None) -> Shrunk:
        """Return the smaller network that was asked for."""
        found = self._found
        if not found.lots and not isinstance(keep, Mapping):
            return self._result(self._untouched(), found.held)
        if isinstance(keep, Mapping):
            return self._result(self._build(self._wanted(keep)), found.held)
        if keep is None and max_loss is None:
            return self._result(self._exact(), found.held)
        self._measure_mixed()
        if keep is not None:
            return self._result(self._build(self._reached(float(keep))), found.held)
        assert max_loss is not None
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
                    squares[gone] = output_error(found.net, built.model, batches).relative ** 2 * found.spread
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

    def _untouched(self) -> Built:
        return Built(copied(self._found.model))

    def _build(self, sizes: Mapping[str, int]) -> Built:
        """Return the smaller network at the given sizes, refitted."""
        found = self._found
        keep = found.keep(sizes)
        smaller = copied(found.model)
        if not keep:
            return Built(smaller)
        change = cut_out(smaller, found.structure, keep)
        with evaluating(smaller):
            refitting = Refitting(found.net, smaller, found.structure, keep, found.fit)
            refitting.run()
        return Built(smaller, found.share(sizes), keep, found.cuts(sizes), change.counts, refitting.few)

    def curve(self) -> list[Point]:
        """Return the expected error for each of some shares, on the held-out samples."""
        self._measure_mixed()
        return self._curve(1.0, self._found.held)

    def spare(self) -> tuple[dict[str, int], float]:
        """Return how many units of each group others explain exactly, and the share that stays without them."""
        keep, _ = self._explained()
        groups = [one for one in self._found.groups if one.leaf in keep]
        sizes = {one.name: len(keep.get(one.leaf, range(one.n_units))) for one in self._found.groups}
        return {one.name: one.n_units - sizes[one.name] for one in groups}, self._found.share(sizes)

    def _exact(self) -> Built:
        """Return the network without the units that others explain exactly."""
        found = self._found
        keep, weights = self._explained()
        smaller = copied(found.model)
        change = cut_out(smaller, found.structure, keep, weights)
        kept = {one: keep[one.leaf].tolist() for one in found.groups if one.leaf in keep}
        cuts = {one.name: GroupCut(one.layers, one.n_units, tuple(units), 0.0) for one, units in kept.items()}
        sizes = {one.name: len(kept.get(one, range(one.n_units))) for one in found.groups}
        return Built(smaller, found.share(sizes), keep, cuts, change.counts)

    def _explained(self) -> tuple[dict[Dimension, Tensor], dict[str, Tensor]]:
        """Return the units that stay where others explain some exactly, and weights that make up for the rest."""
        found = self._found
        reasons = {one.name: why_not(one, found.structure.readers) for one in found.groups}
        lots = [some for some in found.lots if not any(reasons[one.name] for one in some)]
        found.left.update({name: reason for name, reason in reasons.items() if reason})
        explained = Explained(found.net, found.structure, [one for some in lots for one in some])
        with progress("Learning which units others explain", n_samples(found.fit)) as advance:
            explained.run(found.fit, advance)
        keep = {}
        for some in lots:
            stays = rounded(some, {one.name: explained.stays(one) for one in some}, found.step)
            keep |= {one.leaf: stays[one.name] for one in some if len(stays[one.name]) < one.n_units}
        groups = self._same([some for some in lots if any(one.leaf in keep for one in some)], keep)
        keep = {one.leaf: keep[one.leaf] for one in groups}
        return keep, explained.weights(keep)

    def _same(self, lots: Bundles, keep: Mapping[Dimension, Tensor]) -> list[Free]:
        """Return the groups without whose units the network computes what it does if nothing reads them."""
        found = self._found
        where = found.net, found.structure
        example = arguments(found.net, found.fit[0])
        good, refused = allowed(*where, lots, keep, example)
        found.left.update(refused)
        groups = [[one for one in some if one.leaf in keep] for some in good]
        if differs(*where, [one for some in groups for one in some], keep, example):
            reasons = [differs(*where, some, keep, example) for some in groups]
            found.left.update(
                {one.name: reason for some, reason in zip(groups, reasons, strict=True) if reason for one in some}
            )
            groups = [some for some, reason in zip(groups, reasons, strict=True) if not reason]
        return [one for some in groups for one in some]

    def _smallest(self, max_loss: float, choose: list[Any]) -> Built:
        """Return the smallest network whose loss is within bounds, by bisection over shares."""
        found = self._found
        low, high, best = found.share(found.sizes(0.0)), 1.0, self._untouched()
        whole = self._scores(found.net, choose)
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

    def _loss(self, built: Built, choose: list[Any], whole: Sequence[float]) -> float:
        """Return the loss, two standard errors above what was measured; ``whole`` are the scores of the network."""
        if self._score is None:
            return upper_error(self._found.net, built.model, choose)
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

    def _result(self, built: Built, report: list[Any]) -> Shrunk:
        found, net = self._found, self._found.net
        measured = output_error(net, built.model, report).relative
        score = None
        if self._score is not None:
            score = scored(self._score, net, report), scored(self._score, built.model, report)
        exact = found.statistics is None
        predicted = self._predicted(built.keep, report) if built.cuts and not exact else 0.0
        point = Point(built.share, predicted, measured, None if score is None else score[1])
        curve = [*self._curve(built.share, report), point] if built.cuts and not exact else [point]
        notes = []
        if built.few:
            more = f" and {plural(len(built.few) - 1, 'other layer')}" if len(built.few) > 1 else ""
            notes.append(
                f"{built.few[0]}{more} saw fewer than three rows of data for each input; more data make a better fit"
            )
        return Shrunk(
            built.model,
            plan_of(net, built.model, built.cuts, built.counts),
            built.cuts,
            {name: reason for name, reason in found.left.items() if name not in built.cuts},
            built.share,
            found.per,
            tuple(sorted(curve, key=lambda one: -one.share)),
            predicted,
            measured,
            score,
            (_n_parameters(net), _n_parameters(built.model)),
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
        points: list[Point] = []
        for one in SHARES:
            if one < least:
                continue
            sizes = found.sizes(one)
            # Rounded sizes can be the same at several shares.
            known = (share, *(point.share for point in points))
            if all(abs(found.share(sizes) - other) > 0.005 for other in known):
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


def _n_parameters(model: nn.Module) -> int:
    return sum(one.numel() for one in model.parameters())


def _example(left: Mapping[str, str]) -> str:
    return next((f"{name} ({reason})" for name, reason in left.items()), "none")
