"""The states of the random generators that training code draws from: torch, numpy and Python."""

import random
from typing import Any

import numpy as np
import torch


def rng_states() -> dict[str, Any]:
    """Return the global generators' states, in types that ``torch.load(weights_only=True)`` reads."""
    name, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002 - users' code draws from it
    version, state, next_gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
        "numpy": [name, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, gauss],
        "python": [version, torch.tensor(state, dtype=torch.int64), next_gauss],
    }


def restore_rng(states: dict[str, Any]) -> None:
    """Set the global generators to what `rng_states` returned."""
    torch.set_rng_state(states["torch"])
    if states["cuda"] and torch.cuda.device_count() == len(states["cuda"]):
        torch.cuda.set_rng_state_all(states["cuda"])
    name, keys, *rest = states["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002 - see above
    version, state, next_gauss = states["python"]
    random.setstate((version, tuple(state.tolist()), next_gauss))


def seed_from(*numbers: int) -> int:
    """Return a seed for a separate generator that depends on all the numbers, and on nothing else.

    Example:
        >>> seed_from(0, 1) != seed_from(1, 0)
        True
    """
    # torch accepts negative seeds, numpy does not.
    words = [number % 2**64 for number in numbers]
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))
