"""What :mod:`.atoms` does, in operations on tensors: what atoms tell of one another and of continuous samples."""

import torch
from torch import Tensor

from .torch_neighbors import count_nearer
from .torch_shared import packed, slots
from .units import Units


def label_information(units: Units, pairs: Tensor, k: int, digamma: Tensor, n_labels: int) -> tuple[Tensor, Tensor]:
    """The terms of labels for each pair, and the share of samples that are continuous in both; float64, (n_pairs,).

    Args:
        units: prepared units.
        pairs: their numbers, shape (n_pairs, 2).
        k: which neighbor.
        digamma: ψ of 0 … n_samples, ψ(1) standing for ψ(0).
        n_labels: the most that one of these units has.
    """
    i, j = pairs.T
    n_samples = units.label.shape[1]
    table = _table(units.label[i], units.label[j], n_labels)
    information = _of_labels(table, n_samples)
    information += _of_classes(units, i, j, table[:, :, 0], k, digamma) / n_samples
    information += _of_classes(units, j, i, table[:, 0], k, digamma) / n_samples
    return information, table[:, 0, 0].double() / n_samples


def _table(rows: Tensor, columns: Tensor, n_labels: int) -> Tensor:
    """How often each two labels meet, int64, shape (n_pairs, n_labels, n_labels)."""
    cell = rows.long() * n_labels + columns
    cells = cell.new_zeros(len(cell), n_labels * n_labels)
    return cells.scatter_add_(1, cell, torch.ones_like(cell)).view(-1, n_labels, n_labels)


def _of_labels(table: Tensor, n_samples: int) -> Tensor:
    """Information of two labels from their counts, corrected by Miller and Madow."""
    joint, rows, columns = table.flatten(1), table.sum(dim=2), table.sum(dim=1)
    entropies = [_entropy(counts, n_samples) for counts in (rows, columns, joint)]
    return entropies[0] + entropies[1] - entropies[2]


def _entropy(counts: Tensor, n_samples: int) -> Tensor:
    number = counts.double()
    plain = torch.special.xlogy(number, n_samples / number.clamp(min=1)).sum(dim=1)
    return (plain + ((counts > 0).sum(dim=1).double() - 1) / 2) / n_samples


def _of_classes(units: Units, i: Tensor, j: Tensor, counts: Tensor, k: int, digamma: Tensor) -> Tensor:
    """By Ross, n I(labels of i; unit j | j continuous); a class of one sample tells nothing and is left out.

    Args:
        units: prepared units.
        i: the units whose labels count, shape (n_pairs,).
        j: the units whose numbers do.
        counts: samples of each label of i at which j is continuous, shape (n_pairs, n_labels).
        k: which neighbor.
        digamma: as above.
    """
    sizes = torch.where(counts > 1, counts, 0)
    n_values = sizes.sum(dim=1)
    width = max(1, int(n_values.max()))
    by_value = units.order[j]
    continuous = torch.arange(by_value.shape[1], device=j.device) < units.n_continuous[j, None]
    label = units.label[i].gather(1, by_value)
    kept = continuous & (sizes > 0).gather(1, label.long())
    values = units.score[j].gather(1, by_value)
    ascending = packed(values, slots(kept), width, torch.inf)
    # equal labels side by side, in each the values still ascend, and what is left out comes last
    classes, order = torch.where(kept, label, counts.shape[1]).sort(dim=1, stable=True)
    held = torch.arange(width, device=j.device) < n_values[:, None]
    grouped = values.gather(1, order[:, :width])
    radius = torch.where(held, _kth_in_class(grouped, classes[:, :width], sizes, k), 0.0)
    near = torch.where(held, digamma[count_nearer(ascending, grouped, radius).clamp_(min=0)], 0.0).sum(dim=1)
    own = (sizes * (digamma[(sizes - 1).clamp(0, k)] - digamma[sizes])).sum(dim=1)
    return torch.where((sizes > 0).sum(dim=1) > 1, n_values * digamma[n_values] + own - near, 0.0)


def _kth_in_class(grouped: Tensor, classes: Tensor, sizes: Tensor, k: int) -> Tensor:
    """Distance of each value to its k-th other of its class, or to the farthest where the class has no more.

    k + 1 values in a row hold one of them and its k nearest.

    Args:
        grouped: values, class after class, ascending in each, float32, shape (n_pairs, width).
        classes: theirs; those of the padding are numbered beyond the last.
        sizes: how many values each class has, shape (n_pairs, n_classes).
        k: which neighbor.
    """
    stop = sizes.cumsum(dim=1)
    first, last = (grouped.gather(1, end.clamp(0, grouped.shape[1] - 1)) for end in (stop - sizes, stop - 1))
    own_class = classes.long().clamp_(max=sizes.shape[1] - 1)
    nearest = torch.maximum(grouped - first.gather(1, own_class), last.gather(1, own_class) - grouped)
    n_spans = max(0, grouped.shape[1] - k)
    low, high = grouped[:, :n_spans], grouped[:, k:]
    within = classes[:, :n_spans] == classes[:, k:]
    low, high = torch.where(within, low, -torch.inf), torch.where(within, high, torch.inf)
    for place in range(k + 1 if n_spans else 0):
        own, so_far = grouped[:, place : place + n_spans], nearest[:, place : place + n_spans]
        torch.minimum(so_far, torch.maximum(own - low, high - own), out=so_far)
    return nearest
