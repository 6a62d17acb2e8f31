"""What a statistic does about samples that hold a NaN or an infinity: the three policies of scipy.

``"propagate"`` makes NaN of whatever such a sample takes part in, ``"raise"`` raises ``ValueError``, and ``"omit"``
leaves out the sample in all units, so that the rest still belongs together. Functions differ in their default only:
correlations propagate, since they are defined unit by unit, and estimators of entropy and information raise.
"""

from typing import Literal, TypeAlias, get_args

import torch
from torch import Tensor

from .argument_checks import check_choice
from .arrays import Array

HINT = 'NaN or infinite values; remove those samples first, or pass nan="omit" where it is taken'
NanPolicy: TypeAlias = Literal["propagate", "raise", "omit"]


def check_nan_policy(nan: str) -> None:
    """Raise ``ValueError`` for an unknown policy."""
    check_choice(nan, "nan", get_args(NanPolicy))


def by_nan_policy(nan: str, **samples: Tensor) -> tuple[Tensor, ...] | None:
    """Return samples under a policy; None if they are not finite and that propagates to the result.

    Args:
        nan: the policy.
        samples: tensors that share their first axis, by the names for errors.

    Raises:
        ValueError: for an unknown policy, or for "raise" if a value is NaN or infinite.

    Example:
        >>> x = torch.tensor([[1.0, 2.0], [torch.nan, 3.0]])
        >>> by_nan_policy("omit", x=x)
        (tensor([[1., 2.]]),)
        >>> by_nan_policy("propagate", x=x) is None
        True
    """
    check_nan_policy(nan)
    poor = [name for name, one in samples.items() if not is_finite(one)]
    if not poor:
        return tuple(samples.values())
    if nan == "raise":
        raise ValueError(f"{poor[0]} holds {HINT}")
    if nan == "propagate":
        return None
    kept = torch.stack([finite_rows(samples[name]) for name in poor]).all(dim=0)
    return tuple(one[kept.to(one.device)] for one in samples.values())


def undefined(x: Array) -> Tensor:
    """Return NaN, a float64 scalar on the device of the samples: what propagates to a statistic of one number."""
    return torch.tensor(torch.nan, dtype=torch.float64, device=x.device if isinstance(x, Tensor) else "cpu")


def check_finite(samples: Tensor, name: str = "x") -> Tensor:
    """Return samples that hold neither NaN nor infinities.

    Raises:
        ValueError: for others.
    """
    if not is_finite(samples):
        raise ValueError(f"{name} holds {HINT}")
    return samples


def is_finite(samples: Tensor) -> bool:
    """Return whether samples hold neither NaN nor infinities."""
    return not samples.is_floating_point() or bool(torch.isfinite(samples).all())


def finite_rows(samples: Tensor) -> Tensor:
    """Return which samples are finite in all units, bool, shape (n_samples,)."""
    return torch.isfinite(samples).flatten(1).all(dim=1) if samples.ndim > 1 else torch.isfinite(samples)
