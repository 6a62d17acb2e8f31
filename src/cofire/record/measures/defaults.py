"""What a tracker records unless it is told."""

from torch import nn
from torch.nn.parameter import is_lazy

from .correlation_measures import correlation
from .measure import Measure
from .weight_measure import weight_correlation


def default_measures(model: nn.Module) -> list[Measure]:
    """Return the measures of a tracker that is given none: correlation, and of weights if the model has any."""
    has_weights = any(is_lazy(parameter) or parameter.ndim > 1 for parameter in model.parameters())
    return [correlation(), *([weight_correlation()] if has_weights else [])]
