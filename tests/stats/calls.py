"""Random calls of every public function of `cofire.stats`, and what is wrong with their outcomes."""

import linecache
import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from hostile_arguments import Draw
from ranges import (
    a_choice,
    a_disagreement,
    a_matrix,
    a_scan,
    a_score,
    a_summary,
    an_entropy,
    an_information,
    is_scalar,
    of_moments,
    of_weights,
    or_nan,
    ranged,
)  # fmt: skip
from torch import Tensor

import cofire
from cofire import stats
from cofire.stats import HighDimensionWarning, Moments, WhiteningWarning

OURS = str(Path(cofire.__file__).parent)


class Call(NamedTuple):
    """A call: a public name, what is called, its arguments, and the law of its result."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    law: Callable[..., bool]

    def __str__(self) -> str:
        shown = [*map(_shown, self.arguments), *(f"{name}={_shown(value)}" for name, value in self.options.items())]
        return f"{self.name}({', '.join(shown)})"


def calls(seed: int) -> "list[Call]":
    """Return one call of every public function."""
    draw = Draw(seed)
    n = draw.one(2, 5, 8, 60, 200)
    nan = {"nan": ("raise", "omit", "propagate")}
    k, whiten = {"n_neighbors": (1, 2, 3, 20)}, {"whiten": (True, False)}
    method, seeds = {"method": ("3h", "ksg", "default")}, {"seed": (0, 7)}
    kernel = {"kernel": ("gaussian", "laplacian")}
    features = {"features": ("eigen", "gram")}
    width = {"bandwidth": (0.1, 1.0, 50.0)}
    layout = {"unit_axis": (0, 1), "groups": (1, 2), "reading": ("flattened", "per_input_channel")}
    square = draw.one(1, 2, 4, 6)
    samples, options, of = draw.samples, draw.options, draw.array

    def labels() -> Any:
        return draw.one(None, torch.arange(n) % 3, of(n))

    def pair() -> tuple[Any, Any]:
        return draw.unit(n), draw.unit(draw.one(n, n, n, n + 1))

    def moments(*batches: Any, **given: Any) -> Moments:
        found = Moments(**given)
        for batch in batches:
            found = found.update(batch)
        return found + Moments(**given) if draw.one(True, False) else found

    def gram() -> Any:
        x = torch.randn(square, 2, generator=draw.generator)
        return draw.one(stats.gram_matrix(x, 1.0), of(square, square))

    listed: list[tuple[str, Any, tuple[Any, ...], dict[str, Any], Callable[..., bool]]] = [
        ("Moments", moments, (samples(),), options(compute_dtype=(torch.float32, torch.float64), **nan), of_moments),
        ("neuronal_correlation", None, (samples(),), options(compute_dtype=(torch.float32,), **nan), a_summary),
        ("noise_floor", None, (draw.option(2, 3, 50, 10**7),), {}, ranged(0, 1)),
        ("epsilon", None, (draw.option(0.2, 0.7), draw.option(0.1, 1.0)), {}, ranged(0, 2)),
        ("preactivation_correlation", None, (of(4, square), gram()), {}, a_matrix(-1, 1)),
        ("preactivation_neuronal_correlation", None, (of(4, square), gram()), {}, ranged(0, 1)),
        ("dropout_second_moment", None, (gram(),), {"keep": draw.option(0.5, 1.0)}, ranged(-math.inf, math.inf)),
        ("dropout_correlation", None, (gram(), of(square)), {"keep": draw.option(0.5, 1.0)}, ranged(-1, 1)),
        ("entropy_knn", None, (samples(),), options(**k, **whiten, **nan), or_nan(an_entropy)),
        ("entropy_gaussian", None, (samples(),), options(**nan), or_nan(an_entropy)),
        ("entropy_independence_bound", None, (samples(),), options(**k, **nan), or_nan(an_entropy)),
        ("entropy_binned", None, (samples(),), options(bins=(1, 2, 30), **nan), or_nan(ranged(0, 6))),
        ("total_correlation", None, (samples(),), options(**k, **whiten, **nan), or_nan(an_information)),
        (
            "entropy_kde",
            None,
            (samples(),),
            options(variance=(None, 0.1), bound=("upper", "lower", "leave_one_out"), **nan),
            or_nan(an_entropy),
        ),
        (
            "entropy_embedded",
            None,
            (of(n, 3),),
            options(
                **width,
                labels=(labels(),),
                beta=(0.0, 0.5),
                **kernel,
                **features,
                estimator=("loo_kde", "kt", "knn", "binned", "per_dimension", "spectral"),
                **nan,
            ),
            or_nan(an_entropy),
        ),
        ("mutual_information", None, pair(), options(**nan), or_nan(an_information)),
        ("mutual_information_ksg", None, pair(), options(**k, **nan), or_nan(an_information)),
        ("mutual_information_3h", None, pair(), options(**k, standardize=(True, False), **nan), or_nan(an_information)),
        ("mutual_information_gaussian", None, pair(), options(**nan), or_nan(ranged(0, math.inf))),
        ("nonlinear_excess", None, pair(), options(**nan), or_nan(an_information)),
        (
            "dependence_score",
            None,
            (samples(),),
            options(**k, **method, max_pairs=(None, 1, 5), **seeds, **nan),
            a_score,
        ),
        (
            "permutation_threshold",
            None,
            (of(n, draw.one(1, 3)),),
            options(**k, **method, n_permutations=(19, 20), **nan, level=(0.5, 0.9)),
            lambda found, **_: is_scalar(found.mean) and is_scalar(found.pair),
        ),
        (
            "disagreement",
            None,
            (of(n, draw.one(1, 3)),),
            options(**k, **method, level=(0.5, 0.95), **nan),
            a_disagreement,
        ),
        ("information_coefficient", None, (draw.one(of(5), draw.option(0.5)),), {}, ranged(-1, 1)),
        ("information_of_correlation", None, (draw.one(of(5), draw.option(0.5)),), {}, ranged(0, math.inf)),
        (
            "choose_bandwidth",
            None,
            (of(n, 3), labels()),
            options(bandwidths=([0.5, 2.0],), beta=(0.0, 1.0), **kernel, **features),
            a_choice,
        ),
        (
            "kernel_width_scan",
            None,
            (of(n, 3), draw.option([1.0], [0.5, 2.0])),
            options(labels=(labels(),), **kernel),
            a_scan,
        ),
        ("gram_matrix", None, (samples(), draw.option(1.0, 0.1)), options(**kernel), a_matrix(0, 1)),
        ("kernel_alignment", None, (gram(), gram()), {}, ranged(-1, 1)),
        ("feature_matrix", None, (gram(),), options(**features), lambda found, **_: found.ndim == 2),
        (
            "eigenvalue_bounds",
            None,
            (gram(),),
            {},
            lambda found, **_: not found.lower > found.upper and not found.lower < 0,
        ),
        (
            "split_units",
            None,
            (of(12, 3),),
            {"kind": draw.option("rnn", "lstm", "gru", "attention")},
            lambda found, **_: bool(found),
        ),
        (
            "structure_coefficient",
            None,
            (draw.option(4, 6), draw.option(2, 8)),
            options(
                gamma=(1.0, 0.5),
                kernel_size=(1, 3, (2, 2)),
                input_size=(8, (6, 7)),
                stride=(1, 2),
                padding=(0, "same", "valid"),
                dilation=(1, 2),
                groups=(1, 2),
            ),
            ranged(0, math.inf),
        ),
        (
            "weight_correlation",
            None,
            (of(*draw.one((4, 6), (4, 2, 3, 3), (2, 1))),),
            options(absolute=(True, False), **layout),
            ranged(-1, 1),
        ),
        ("weight_correlation_quartiles", None, (of(*draw.one((4, 6), (4, 2, 3, 3))),), options(**layout), ranged(0, 1)),
        ("weight_correlation_summary", None, (of(*draw.one((4, 6), (4, 2, 3, 3))),), options(**layout), of_weights),
    ]
    return [Call(name, function or getattr(stats, name), *rest) for name, function, *rest in listed]


def fault(call: Call) -> str:
    """Return what is wrong with a call's outcome; nothing for a result within its law and for an error of ours."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for known in (HighDimensionWarning, WhiteningWarning):
                warnings.simplefilter("ignore", known)
            found = call.function(*call.arguments, **call.options)
            nan = call.options.get("nan", "raise")
            if not call.law(found, nan=nan):
                return f"{call} is {' '.join(str(found).split())[:300]}"
    except Exception as error:
        place, line = _raised_at(error)
        ours = isinstance(error, ValueError | TypeError) and place.startswith(OURS) and line.startswith("raise ")
        return "" if ours else f"{call} raised {type(error).__name__}: {str(error)[:200]} at {place}: {line}"
    return ""


def _raised_at(error: BaseException) -> tuple[str, str]:
    """Return the file and the line of code that raised an error."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    assert trace is not None
    name = trace.tb_frame.f_code.co_filename
    return name, linecache.getline(name, trace.tb_lineno).strip()


def _shown(value: Any) -> str:
    if isinstance(value, Tensor | np.ndarray) and value.ndim:
        return f"<{value.dtype} {tuple(value.shape)}>"
    return repr(value)[:40]
