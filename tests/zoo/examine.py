"""Put an architecture to all the laws, and keep what its wiring says for the table."""

from collections import Counter
from dataclasses import asdict, dataclass, field

import torch
from laws import (
    changes,
    fakes,
    gc,
    misplaced,
    misshapen,
    order_matters,
    roughen,
    run,
    same,
    timed,
    traces,
    trained,
)  # fmt: skip

from cofire.nets.wiring.dimensions import leaves
from cofire.nets.wiring.wiring import wire


@dataclass
class Row:
    """What was found of an architecture.

    Attributes:
        library: whose it is.
        name: of the architecture.
        parameters: how many.
        layers: how many make units.
        without_axis: how many of them do not show their units on an axis of their output.
        named: share of the parameters that belong to a named layer.
        free: share of the parameters that lie in a free group.
        unruled: share of the parameters that are fixed for want of a rule.
        left_out: reasons, with how many parameters each holds for and one of them.
        unknown: operations without a rule.
        seconds: that `wire` took.
        notes: what `wire` says of how it followed the model, if not by a pass on fake tensors in both modes.
        faults: by law, what breaks it.
    """

    library: str
    name: str
    parameters: int = 0
    layers: int = 0
    without_axis: int = 0
    named: float = 0.0
    free: float = 0.0
    unruled: float = 0.0
    left_out: dict = field(default_factory=dict)
    unknown: list = field(default_factory=list)
    seconds: float = 0.0
    notes: tuple = ()
    faults: dict = field(default_factory=dict)

    as_dict = asdict


def examine(architecture):
    """Return the row of an architecture; whatever law it breaks stands among its faults."""
    row = Row(architecture.library, architecture.name)
    (_examine_large if architecture.large else _examine)(architecture, row)
    row.faults = {law: str(fault)[:600] for law, fault in row.faults.items() if fault}
    return row


def _examine_large(architecture, row):
    try:
        with torch.device("meta"):
            model = architecture.build().eval()
    except (NotImplementedError, RuntimeError):  # it reads values from tensors while it is built
        model = architecture.build().eval().to("meta")
    with torch.device("meta"):
        example = architecture.example()
    wiring, row.seconds = timed(wire, model, example)
    row.faults["shapes"] = misshapen(model, wiring, example)
    _describe(row, model, wiring)


def _examine(architecture, row):
    torch.set_default_dtype(architecture.dtype)
    try:
        torch.manual_seed(0)
        model, example = architecture.build().to(architecture.dtype).eval(), architecture.example()
        roughen(model)
        _leave_it_alone(row, model, example)
        with torch.no_grad():
            expected = run(model, example)
            wiring, row.seconds = timed(wire, model, example)
            row.faults["outputs"] = "" if same_outputs(run(model, example), expected) else "differ after wire()"
            row.faults["shapes"] = misshapen(model, wiring, example)
            row.faults["order"] = [(one.makers, one.size) for one in order_matters(model, wiring, example, expected)]
        row.faults["slices"] = misplaced(model, wiring, example)
        _describe(row, model, wiring)
    finally:
        torch.set_default_dtype(torch.float32)


def same_outputs(a, b):
    return all(same(x.detach(), y.detach()) for x, y in zip(a, b, strict=True))


def _leave_it_alone(row, model, example):
    """Follow a model that never ran, in both modes; then train one step without `wire`, and from there with it."""
    start = traces(model)["state"]
    for train in (True, False):
        model.train(train)
        before = traces(model)
        with fakes() as made:
            wire(model, example)
        gc.collect()
        if alive := sum(one() is not None for one in made):
            row.faults["fakes"] = f"{alive} of {len(made)} fake tensors live on"
        row.faults[f"traces, {'train' if train else 'eval'}"] = changes(before, traces(model))
    trained(model, example)  # some modules make what they keep at their first pass
    back(model, start)
    without = trained(model, example)
    back(model, start)
    wire(model, example)
    if not same(trained(model, example), without):
        row.faults["training"] = "differs after wire()"
    back(model, start)


@torch.no_grad()
def back(model, state):
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        tensor.copy_(state[name])


def _describe(row, model, wiring):
    parameters = dict(model.named_parameters())
    tied = {id(one): name for name, one in parameters.items()}
    first = {name: tied[id(one)] for name, one in model.named_parameters(remove_duplicate=False)}
    row.parameters = sum(one.numel() for one in parameters.values())

    def share(names):
        return sum(parameters[one].numel() for one in {first[one] for one in names if one in first}) / row.parameters

    def members(groups):
        return {name for one in groups for name in (*one.makers, *one.readers, *one.riders)}

    row.layers, row.without_axis = len(wiring.layers), sum(one.unit_axis is None for one in wiring.layers)
    row.named = share({one.parameter for one in wiring.layers} | members(wiring.groups))
    row.free = share(members(one for one in wiring.groups if not one.fixed))
    row.unruled = share(
        name
        for name, dimensions in wiring.dimensions.items()
        if any("no rule" in leaf.fixed for one in dimensions for leaf in leaves(one))
    )
    row.unknown, row.notes = sorted(wiring.unknown), wiring.notes
    row.faults["assumed"] = next((one.assumed for one in wiring.layers if one.assumed), "")
    reasons = Counter(wiring.left_out.values())
    row.left_out = {
        reason: (n, next(name for name, why in wiring.left_out.items() if why == reason))
        for reason, n in reasons.most_common()
    }
