"""The page of the documentation that shows the zoo."""

from itertools import groupby
from statistics import median

INTRODUCTION = """# The zoo

`cofire.nets.wire` finds the layers of a model, the axis of each layer's units, and the groups of units that can only be
cut together. This page shows what it finds in {n} architectures with random weights (torch {version}). The test that
checks them (`pytest tests/zoo --run-slow`) also writes this page.

For each architecture that has at most 100 million parameters, five laws are tested on the real model:

1. Put the units of every free group into a random order, in all parameters and buffers at once: the outputs stay.
2. Change the weights of one unit of a layer: its slice of the layer's output changes, and no other.
3. The number of units is what a forward hook and the shape of the weight say.
4. Outputs, state, random numbers, attributes, hooks and modes are the same, bit by bit, with and without `wire`, and
   so is a step of training. No fake tensor stays alive.
5. At most 5 % of the parameters are fixed because cofire has no rule for an operation.

Larger ones (in *italics*) are built and followed without memory, and only law 3 and 5 are tested.

The columns: *layers* make units; *axis* is how many of them show their units on an axis of their module's output;
*named* is the share of the parameters that belong to a named layer; *free* is the share that a group of units which may
be cut runs through; *seconds* is how long the processor worked on `wire`. In the median architecture {named:.1%} of the
parameters belong to a named layer.
"""


def page(rows, version):
    head = INTRODUCTION.format(n=len(rows), version=version, named=median(row.named for row in rows))
    return "\n".join([head, *(_section(name, list(some)) for name, some in groupby(rows, lambda row: row.library))])


def _section(library, rows):
    head = "| architecture | parameters | layers | axis | named | free | left out | seconds |"
    lines = [f"## {library}", "", head, "|---|---:|---:|---:|---:|---:|---|---:|", *map(_line, rows)]
    return "\n".join([*lines, ""])


def _line(row):
    name = f"*{row.name}*" if row.parameters > 1e8 else row.name
    cells = [
        name,
        _number(row.parameters),
        str(row.layers),
        str(row.layers - row.without_axis),
        f"{row.named:.1%}",
        f"{row.free:.1%}",
        _left_out(row),
        f"{row.seconds:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def _number(n):
    for size, letter in ((10**9, " G"), (10**6, " M"), (10**3, " k")):
        if n >= size:
            return f"{n / size:.3g}{letter}"
    return str(n)


def _left_out(row):
    reasons = [f"{n} such as `{name}`: {reason}" for reason, (n, name) in row.left_out.items()]
    return "; ".join([*reasons, *(f"no rule for `{name}`" for name in row.unknown)])
