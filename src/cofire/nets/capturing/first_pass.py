"""Learn how a model is wired from its next pass, for those who read only its weights."""

from torch import nn

from ..layers.sites import Asked, Request
from ..wiring.live_wiring import live_wiring
from .forward_pass import Pass
from .recorder import Recorder


class FirstPass:
    """Watches a model until it has run once, unless it has already, and again when its modules were exchanged.

    Nothing is recorded.

    Args:
        model: without wrappers.
        pattern: the layers of interest.
    """

    def __init__(self, model: nn.Module, pattern: Asked = "*") -> None:
        self._model: nn.Module | None = model
        self._pattern = pattern
        self._recorder: Recorder | None = None
        self._begin(model)

    def _begin(self, model: nn.Module) -> None:
        if not live_wiring(model).layers and self._recorder is None:
            recorder = Recorder(
                model, [Request(self._pattern)], read_mask=None, emit=_ignore, leave_out=_leave_out, when=_never
            )
            recorder.attach()
            self._recorder = recorder

    def end_if_seen(self) -> None:
        """Take the hooks off, if the model has run as it is now; put them on again, if it has not."""
        if self._model is None:
            return
        if self._recorder is not None:
            self._recorder.settle()
        if live_wiring(self._model).layers:
            self._unhook()
        else:
            self._begin(self._model)

    def end(self) -> None:
        """Take the hooks off, and let the model go."""
        self._unhook()
        self._model = None

    def _unhook(self) -> None:
        if self._recorder is not None:
            self._recorder.detach()
            self._recorder = None


def _ignore(shown: Pass) -> None:
    """Take nothing in."""


def _leave_out(layer: str, reason: str) -> None:
    """Take nothing in."""


def _never() -> bool:
    return False
