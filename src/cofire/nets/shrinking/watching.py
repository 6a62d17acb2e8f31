"""See the products of parameters and data while a network runs, forward and backward."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from weakref import ReferenceType, ref

import torch
from torch import Tensor, nn

from ..surgery.cut_groups import named_tensors
from ..torch_private import DispatchMode, outside_transforms, without_modes
from .contraction import Contraction, contraction_of

NORMS = frozenset(
    {
        "aten::native_batch_norm",
        "aten::cudnn_batch_norm",
        "aten::_native_batch_norm_legit_no_training",
        "aten::_batch_norm_no_update",
        "aten::_batch_norm_with_update",
    }
)
MEANS = 3
"""Which argument of these operations is the running mean."""


UNCOUNTED = frozenset({"aten::detach", "aten::alias", "aten::lift_fresh"})
"""Operations that torch adds or leaves out, depending on who looks on."""


def first_of(output: Any) -> Tensor | None:
    """Return the tensor that an operation put out, or the first of several."""
    first = output[0] if isinstance(output, tuple | list) and output else output
    return first if isinstance(first, Tensor) else None


class Watch(DispatchMode):
    """Shows every product of a parameter and data inside its block.

    Args:
        net: the network; each of its parameters has memory of its own, unless two are the same.
        see: called with the parameter's name, how it takes the data in, and a function that runs the operation and
            returns its output; returns that output.
        see_gradient: the same for gradients in a backward pass: called with the name and the gradient's rows by block.
        remember: numbers of operations whose outputs are asked for later in the pass.

    Attributes:
        uses: how often operations took each parameter in, other than to view it.
        absorbs: for a parameter, what can take in a constant added to its output: its bias, or the running mean of the
            batch norm behind it.
        largest: bytes of the largest output.
        number: how many operations have run, without those that only pass a tensor on.
        outputs: of the operations whose numbers are in ``remember``, while they are alive.
    """

    def __init__(
        self,
        net: nn.Module,
        see: Callable[[str, Contraction, Callable[[], Tensor]], Tensor],
        see_gradient: Callable[[str, list[Tensor]], None] | None = None,
        *,
        remember: Collection[int] = (),
    ) -> None:
        super().__init__()
        named = reversed(named_tensors(net).items())
        self._buffers = dict(net.named_buffers(remove_duplicate=False))
        self._names = {one.untyped_storage().data_ptr(): name for name, one in named if one.numel()}
        self._see, self._see_gradient = see, see_gradient
        self.uses: Counter[str] = Counter()
        self.absorbs: dict[str, str] = {}
        self.largest = 0
        self.number = 0
        self.outputs: dict[int, ReferenceType[Tensor]] = {}
        self._remember = remember
        self._last: tuple[Any, str] | None = None
        self._made: dict[str, ReferenceType[Tensor]] = {}
        self._shared: set[str] = set()
        self._vectors: set[str] = set()
        self.backward = False

    def name_of(self, value: Any) -> str | None:
        """Return the parameter that a value is, or is a view of."""
        if not isinstance(value, Tensor) or not value.numel():
            return None
        return self._names.get(value.untyped_storage().data_ptr())

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation and show it if it is a product."""
        kwargs = kwargs or {}
        if self.backward:
            self._gradient(func, args)
            return func(*args, **kwargs)
        run = partial(func, *args, **kwargs)
        found = contraction_of(func, args, self.name_of)
        if found is None:
            if func._schema.name in NORMS and self._last is not None and args[0] is self._last[0]:
                mean = self.name_of(args[MEANS])
                if mean and self._last[1] not in self._shared:
                    self.absorbs.setdefault(self._last[1], mean)
            else:
                self._share(args)
            output = run()
        else:
            name, one = found
            self._share((one.data,))
            if one.weight.dim() == 1:
                self._vectors.add(name)
            if not kwargs and (bias := self._bias(one)):  # alpha and beta would scale it
                self.absorbs[name] = bias
            output = self._see(name, one, run)
            self._last = (output, name) if one.kind in ("linear", "convolution") else None
            self._made[name] = ref(output)
        if self.name_of(output) is None:  # not a mere view
            self.uses.update(name for one in args if (name := self.name_of(one)))
        if func._schema.name not in UNCOUNTED:
            first = first_of(output)
            if self.number in self._remember and first is not None:
                self.outputs[self.number] = ref(first)
            self.number += 1
        if isinstance(output, Tensor):
            self.largest = max(self.largest, output.numel() * output.element_size())
        return output

    def _share(self, args: tuple[Any, ...]) -> None:
        """Note whose outputs an operation other than a norm takes in: the norm can't take up constants for it."""
        taken = {id(one) for part in args for one in (part if isinstance(part, list | tuple) else (part,))}
        for name, output in list(self._made.items()):
            if (made := output()) is None:
                del self._made[name]
            elif id(made) in taken:
                self._shared.add(name)
                if self.absorbs.get(name) in self._buffers:
                    del self.absorbs[name]

    def _bias(self, one: Contraction) -> str | None:
        """Return the name of what is added to each row alike."""
        if one.kind == "convolution":
            return self.name_of(one.args[2])
        if one.kind != "linear" or not one.adds:
            return None
        bias, n = one.args[0], len(one.matrices()[0])
        units = bias.dim() - 2 if one.first and one.data.dim() > 1 else -1
        alike = bias.numel() == n and bias.dim() > 0 and bias.shape[units] == n
        return self.name_of(bias) if alike else None

    def _gradient(self, func: Any, args: tuple[Any, ...]) -> None:
        if self._see_gradient is None:
            return
        if func._schema.name == "aten::convolution_backward":
            gradient, data, weight = args[:3]
            if name := self.name_of(weight):
                kind = "transposed" if args[7] else "convolution"
                one = Contraction(kind, weight, data, False, (None, None, None, *args[4:10]))
                self._see_gradient(name, one.gradient_windows(gradient))
            return
        if func._schema.name == "aten::mul":  # a vector of weights is multiplied with the gradient of each row
            for one, other in (args[:2], args[1::-1]):
                if (name := self.name_of(one)) in self._vectors and name and isinstance(other, Tensor):
                    self._see_gradient(name, [other.reshape(-1, 1)])
            return
        found = contraction_of(func, args, self.name_of)
        if found is not None:
            self._see_gradient(found[0], found[1].rows())


@contextmanager
def apart(net: nn.Module) -> Iterator[None]:
    """Leave inference mode, whose tensors have no gradients, and autocast, which multiplies copies of the weights."""
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        for device in {"cpu", *(one.device.type for one in net.parameters())}:
            stack.enter_context(torch.autocast(device, enabled=False))
        yield


@contextmanager
def running(net: nn.Module, *, gradients: bool = False) -> Iterator[None]:
    """Let a network run in a block outside of the user's modes, with every product by itself.

    These switches are the process's, those of `in_thread` the thread's.
    """
    fused = torch.backends.mkldnn.enabled, torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        if any(isinstance(one, nn.RNNBase) for one in net.modules()):
            torch.backends.mkldnn.enabled = False  # it hides a recurrent layer's products; convolutions need it
        with in_thread(gradients=gradients):
            yield
    finally:
        torch.backends.mkldnn.enabled = fused[0]
        torch.backends.mha.set_fastpath_enabled(fused[1])


@contextmanager
def in_thread(*, gradients: bool = False) -> Iterator[None]:
    """Take the user's modes out of a block, and switch gradients on or off."""
    with outside_transforms(), without_modes(), torch.inference_mode(False), torch.set_grad_enabled(gradients):
        yield
