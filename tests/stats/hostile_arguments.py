"""Ordinary and hostile arguments, drawn from a seed."""

import math
import random
import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

NUMBERS = [
    -1, 0, 1, 2, 3, 5, 30, 10**6, 10**400, True, False, 0.0, -0.5, 1e-300, 1e300, 0.25, 0.95, 2.5, math.nan, math.inf,
    -math.inf, None, "3", "", "no", 1j, np.float32(0.5), np.int64(4), np.True_, torch.tensor(0.5), torch.tensor([1, 2]),
    [], [1.0], {}, object, b"x",
]  # fmt: skip
DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.uint16, torch.uint32,
    torch.uint64, torch.float16, torch.bfloat16, torch.float32, torch.float64,
]  # fmt: skip
with warnings.catch_warnings():  # of torch, which means to drop or to change them
    warnings.simplefilter("ignore")
    QUANTIZED = torch.quantize_per_tensor(torch.ones(3, 2), 0.1, 0, torch.quint8)
    NESTED = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)])
FOREIGN = [
    QUANTIZED, NESTED,
    None, "x", 3, 2.5, [], [[1.0, 2.0], [3.0]], [["a"]], object(), torch.ones(3, 2, dtype=torch.complex64),
    torch.ones(3, 2, device="meta"), torch.eye(3).to_sparse(), torch.ones(3, 2).to(torch.float8_e4m3fn),
    np.array(["a", "b"]), np.array(3.0),
    np.array([None, 1]), np.array(["2020-01-01"], "M8[D]"), np.ma.masked_less(np.arange(6.0).reshape(3, 2), 2),
    np.longdouble(1) * np.ones((6, 2)), {"a": 1},
]  # fmt: skip


class Draw:
    """Draws of arguments from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)

    def one(self, *choices: Any) -> Any:
        """Return one of several."""
        return self.random.choice(choices)

    def option(self, *ordinary: Any) -> Any:
        """Return an ordinary value of a parameter, or now and then a hostile one."""
        return self.random.choice(NUMBERS) if self.random.random() < 0.2 else self.random.choice(ordinary)

    def options(self, **parameters: tuple[Any, ...]) -> dict[str, Any]:
        """Return values of some of the parameters."""
        return {name: self.option(*ordinary) for name, ordinary in parameters.items() if self.random.random() < 0.4}

    def array(self, *shape: int) -> Any:
        """Return an array of a shape, or now and then something that is none."""
        if self.random.random() < 0.08:
            return self.random.choice(FOREIGN)
        if self.random.random() < 0.08:
            shape = tuple(self.random.choice([(0, 3), (3, 0), (0,), (), (1, 1), (2, 3, 4), (1, 5), (2, 2)]))
        x = self._spoiled(self._law(torch.randn(shape, generator=self.generator, dtype=torch.float64)))
        x = x.to(self.random.choice(DTYPES)) if self.random.random() < 0.4 else x
        if self.random.random() < 0.1:
            x = x.expand(x.shape).T.contiguous().T if x.ndim == 2 else x
        return x.numpy() if self.random.random() < 0.2 and x.dtype != torch.bfloat16 else x

    def samples(self) -> Any:
        """Return samples, shape (n_samples, n_units)."""
        return self.array(self.one(1, 2, 3, 5, 8, 30, 60, 200), self.one(1, 2, 2, 3, 5, 12))

    def unit(self, n_samples: int) -> Any:
        """Return the samples of one unit."""
        return self.array(n_samples)

    def _law(self, x: Tensor) -> Tensor:
        def rounded(one: Tensor) -> Tensor:
            return (2 * one).round()

        def repeated(one: Tensor) -> Tensor:
            return one[torch.arange(len(one)) % max(len(one) // 3, 1)] if one.ndim else one

        def copied(one: Tensor) -> Tensor:
            return one[:, :1].expand_as(one).clone() if one.ndim == 2 else one

        laws = [torch.relu, rounded, repeated, copied, torch.zeros_like, torch.exp, lambda one: one**9, torch.sign]
        return self.random.choice(laws)(x) if self.random.random() < 0.5 else x

    def _spoiled(self, x: Tensor) -> Tensor:
        scales = [1e-320, 1e-300, 1e-160, 1e-40, 1e-5, 1e5, 1e30, 1e150, 1e200, 1e307]
        if self.random.random() < 0.3:
            x = x * self.random.choice(scales)
        if x.ndim == 2 and x.numel() and self.random.random() < 0.2:
            x[:, 0] *= self.random.choice(scales)
        if self.random.random() < 0.15:
            x = x + self.random.choice([1.0, -1e8, 1e15, 1e300])
        if x.numel() and self.random.random() < 0.2:
            x.view(-1)[self.random.randrange(x.numel())] = self.random.choice([math.nan, math.inf, -math.inf, 1e308])
        return x
