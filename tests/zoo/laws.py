"""What must hold of the wiring of any model. None of the laws trusts the wiring: each runs the real model."""

import gc
import random
import time
from contextlib import contextmanager
from weakref import ref

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._pytree import tree_leaves, tree_map

from cofire.nets.wiring.dimensions import kept, leaves


def tensors_of(tree):
    return [one for one in tree_leaves(tree) if isinstance(one, Tensor)]


def shown(output):
    """The first floating-point tensor of what a module returns: the units lie in it."""
    tensors = tensors_of(output)
    return next((one for one in tensors if one.is_floating_point()), tensors[0])


def run(model, example):
    """What a model returns for an example: all its tensors."""
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - transformers draws masks from here
    random.seed(1)
    if isinstance(example, dict):
        return tensors_of(model(**example))
    return tensors_of(model(*example) if isinstance(example, tuple) else model(example))


def state_of(model):
    """Every parameter and buffer once, those that no state dict holds included."""
    return dict([*model.named_parameters(), *model.named_buffers()])


@torch.no_grad()
def roughen(model):
    """Change all entries a little: many are made equal or zero, which would hide that their order matters."""
    for tensor in state_of(model).values():
        if tensor.is_floating_point():
            spread = float(tensor.std()) if tensor.numel() > 1 else 0.0
            tensor.add_(torch.randn_like(tensor) * (0.3 * spread if 0 < spread < float("inf") else 0.1))


# a. The units of a free group can stand in any order.


@torch.no_grad()
def permute(model, wiring, groups, names=None):
    """Put the units of groups into random orders, in the parameters and buffers of the given names or in all."""
    generator = torch.Generator().manual_seed(2)
    orders = {group.leaf: torch.randperm(group.size, generator=generator) for group in groups}
    for name, tensor in state_of(model).items():
        for axis, dimension in enumerate(wiring.dimensions[name] if names is None or name in names else ()):
            if not orders.keys().isdisjoint(leaves(dimension)):
                tensor.copy_(tensor.index_select(axis, kept(dimension, orders)))


@torch.no_grad()
def farthest(found, expected):
    """The largest difference of any two tensors, in units of the largest entry of the expected one."""
    worst = 0.0
    for a, b in zip(found, expected, strict=True):
        a, b = a.double(), b.double()
        equal = (a == b) | (a.isnan() & b.isnan())
        scale = b[b.isfinite()].abs().max() if b.isfinite().any() else torch.tensor(1.0)
        worst = max(worst, float(((a - b).abs() / (scale + 1e-300)).masked_fill(equal, 0).nan_to_num(1e9).max()))
    return worst


def order_matters(model, wiring, example, expected):
    """The free groups whose order changes the output: none must."""
    tolerance = 1e-5 if next(model.parameters()).dtype == torch.float64 else 1e-3  # some norms compute in float32
    free = [group for group in wiring.groups if not group.fixed]
    before = {name: tensor.clone() for name, tensor in state_of(model).items()}

    def differs(groups, names=None):
        permute(model, wiring, groups, names)
        model.train().eval()  # drops tables that modules keep from their weights as long as they don't train
        found = farthest(run(model, example), expected)
        with torch.no_grad():
            for name, tensor in state_of(model).items():
                tensor.copy_(before[name])
        model.train().eval()
        return found > tolerance

    def culprits(groups):
        if not groups or not differs(groups):
            return []
        if len(groups) == 1:
            return groups
        half = len(groups) // 2
        return [*culprits(groups[:half]), *culprits(groups[half:])] or groups[:1]

    makers = {name for group in free for name in group.makers}
    wide = [group for group in free if group.size > 8]  # so few orders leave a small group alone
    assert not wide or differs(wide, makers), "no order of any unit changes the output: this test sees nothing"
    return culprits(free)


# b. A unit's own weights make its slice of the output, and nothing else of it.


def shapes_of(model, example):
    """The shape of what each module that runs returns, at its first call."""
    shapes = {}

    def keep(name):
        def hook(_module, _args, output):
            shapes.setdefault(name, tuple(shown(output).shape) if tensors_of(output) else ())

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in model.named_modules()]
    run(model, example)
    for handle in handles:
        handle.remove()
    return shapes


def misplaced(model, wiring, example):
    """Layers of which one unit's own weights change another part of the output than the layer says, with what."""
    found, seen, busy, of_module = {}, set(), [], {}
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for layer in wiring.layers:
        if layer.unit_axis is not None and layer.weight_axis is not None:
            of_module.setdefault(model.get_submodule(layer.module), []).append(layer)

    @torch.no_grad()
    def look(module, args, kwargs, output):
        if busy or module in seen:  # what it calls itself while it is looked at, and later calls
            return
        busy.append(module)
        seen.add(module)
        for layer in of_module[module]:
            found[layer.name] = _touched(module, args, kwargs, layer, parameters[layer.parameter])
        busy.pop()

    handles = [module.register_forward_hook(look, with_kwargs=True) for module in of_module]
    with torch.no_grad():
        run(model, example)
    for handle in handles:
        handle.remove()
    return {name: what for name, what in found.items() if what}


def _touched(module, args, kwargs, layer, parameter):
    """What else than a unit's slice of the output changes with the unit's weights; empty if nothing."""
    unit, before = layer.units // 2, parameter.detach().clone()
    args = tree_map(_some, args)
    weight, expected = _weight(module, layer), shown(module.forward(*args, **kwargs)).clone()
    parameter.select(layer.weight_axis, unit).add_(torch.rand_like(before.select(layer.weight_axis, 0)) + 0.5)
    changed = (shown(module.forward(*args, **kwargs)) - expected).abs()
    units = [unit]
    if weight is not None:  # it is computed: some norms divide all units by a number that depends on each
        units = (
            (_weight(module, layer) != weight).movedim(layer.weight_axis, 0).flatten(1).any(1).nonzero()[:, 0].tolist()
        )
    parameter.copy_(before)
    by_unit = changed.movedim(layer.unit_axis, 0).flatten(1).sum(1)
    if any(module.children()) and weight is None:  # a norm of its own may follow and spread the change a little
        by_unit = by_unit * (by_unit > by_unit.max() / 3)
    which = by_unit.nonzero().flatten().tolist()
    return "" if which == units else f"unit {unit} of {layer.units} on axis {layer.unit_axis} changed {which[:5]}"


def _some(one):
    """A value that is not zero throughout, as the first input of a decoder may be."""
    empty = isinstance(one, Tensor) and one.is_floating_point() and not one.any()
    return one + 1e-3 if empty else one


def _weight(module, layer):
    """A copy of the weight that a parametrization computes; None if the parameter is the weight."""
    _, found, name = layer.parameter.partition("parametrizations.")
    return getattr(module, name.partition(".")[0]).clone() if found else None


# c. What a plain hook and the parameter's own shape say.

SIZES = {nn.Linear: "out_features", nn.Embedding: "embedding_dim", nn.modules.conv._ConvNd: "out_channels"}


def misshapen(model, wiring, example):
    """Layers whose units are others than their module's output, their weight or their attributes have."""
    found, shapes = {}, shapes_of(model, example)
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for layer in wiring.layers:
        if layer.module not in shapes:  # it runs in training mode only
            continue
        module, shape, sizes = model.get_submodule(layer.module), shapes[layer.module], {layer.units}
        if layer.unit_axis is not None:
            sizes.add(shape[layer.unit_axis])
        if layer.weight_axis is not None:
            sizes.add(parameters[layer.parameter].shape[layer.weight_axis])
        for kind, attribute in SIZES.items():
            if isinstance(module, kind) and layer.parameter.endswith(".weight"):
                sizes.add(getattr(module, attribute))
                axis = len(shape) - (module.weight.dim() - 1 if attribute == "out_channels" else 1)
                if layer.unit_axis not in (None, axis):
                    sizes.add(f"axis {layer.unit_axis} for {axis}")
        if len(sizes) != 1:
            found[layer.name] = sizes
    return found


# d. Nothing changes.


@contextmanager
def fakes():
    """References to all fake tensors made in a block."""
    made, new = [], FakeTensor.__new__

    def counted(*args, **kwargs):
        one = new(*args, **kwargs)
        made.append(ref(one))
        return one

    FakeTensor.__new__ = staticmethod(counted)
    try:
        yield made
    finally:
        FakeTensor.__new__ = staticmethod(new)


def traces(model):
    """All of a model and the process that following it must leave as it is."""
    return {
        "state": {name: tensor.detach().clone() for name, tensor in state_of(model).items() if not tensor.is_meta},
        "random state": (torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())),  # noqa: NPY002
        "attributes": {name: sorted(vars(module)) for name, module in model.named_modules()},
        "modes": {name: module.training for name, module in model.named_modules()},
        "hooks": {name: len(m._forward_hooks) + len(m._forward_pre_hooks) for name, m in model.named_modules()},
        "classes": {name: type(module) for name, module in model.named_modules()},
        "switches": (torch.backends.mkldnn.enabled, torch.backends.mha.get_fastpath_enabled(), torch.is_grad_enabled()),
    }


def changes(before, after):
    """What differs between two traces."""
    return [name for name in before if not same(before[name], after[name])]


def same(a, b):
    if isinstance(a, Tensor):
        return torch.equal(a.nan_to_num(), b.nan_to_num()) if a.is_floating_point() else torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b


def trained(model, example):
    """A model's state after one step of gradient descent on the mean square of what it returns."""
    model.train()
    outputs = [one for one in run(model, example) if one.requires_grad]
    model.zero_grad()
    sum(one.square().mean() for one in outputs).backward()
    torch.optim.SGD(model.parameters(), lr=1e-3).step()
    model.zero_grad()
    model.eval()
    return {name: tensor.detach().clone() for name, tensor in state_of(model).items()}


def timed(function, *args):
    """What a function returns, and how long the processor worked on it."""
    gc.collect()
    start = time.process_time()
    result = function(*args)
    return result, time.process_time() - start
