"""The graph of a model's forward, without running it."""

import inspect
from copy import deepcopy

from torch import fx, nn


def traced(model: nn.Module, *, training: bool) -> fx.Graph | str:
    """The graph as the model runs in one mode, optional arguments left out; or why there is none.

    A copy is traced, so that whatever forward does to the model stays there.
    """
    optional = {
        name: parameter.default
        for name, parameter in inspect.signature(model.forward).parameters.items()
        if parameter.default is not inspect.Parameter.empty
    }
    try:
        return fx.Tracer().trace(deepcopy(model).train(training), concrete_args=optional or None)
    except Exception as error:  # forward is the user's code and may raise anything when traced
        first_line = str(error).strip().partition("\n")[0]
        return f"the model could not be traced: {type(error).__name__}: {first_line}"
