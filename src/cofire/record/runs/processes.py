"""How many processes train together, as ``torch.distributed`` knows."""

import torch.distributed as dist


def n_processes() -> int:
    """Return the number of processes of ``torch.distributed``; 1 without it."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def follows() -> bool:
    """Return whether this is one of several processes, and not the first."""
    return n_processes() > 1 and dist.get_rank() > 0
