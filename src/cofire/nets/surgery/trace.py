"""Copy a model to work on, and trace the graph of its forward without running it."""

import inspect
from copy import deepcopy

from torch import Tensor, fx, nn


def copied(model: nn.Module) -> nn.Module:
    """Return a copy that shares nothing with the model.

    Tensors that a hook has computed from parameters, as ``weight_norm`` and ``torch.nn.utils.prune`` do, are detached:
    torch cannot copy them, and the hook computes them again.
    """
    computed = [value for module in model.modules() for value in vars(module).values() if isinstance(value, Tensor)]
    return deepcopy(model, {id(tensor): tensor.detach().clone() for tensor in computed if not tensor.is_leaf})


def traced(model: nn.Module, *, training: bool) -> fx.Graph | str:
    """Return the graph of the model in one mode, without its optional arguments; or why it cannot be traced.

    A copy is traced, so that whatever forward does to the model is lost with it.
    """
    try:
        given = inspect.signature(model.forward).parameters.items()
        optional = {name: one.default for name, one in given if one.default is not inspect.Parameter.empty}
        return fx.Tracer().trace(copied(model).train(training), concrete_args=optional or None)
    except Exception as error:  # forward is the user's code and may raise anything when traced
        first_line = str(error).strip().partition("\n")[0]
        return f"the model could not be traced: {type(error).__name__}: {first_line}"
