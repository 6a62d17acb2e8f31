"""Learn how a model is wired from its next pass, for those who read only its weights."""

from torch import nn

from ..layers.sites import Asked, Request
from ..wiring.live_wiring import live_wiring
from .forward_pass import Pass
from .recorder import Recorder


class FirstPass:
    """Watches a model until it has run once, unless it has already; nothing is recorded.

    Args:
        model: without wrappers.
        pattern: the layers of interest.
    """

    def __init__(self, model: nn.Module, pattern: Asked = "*") -> None:
        self._live = live_wiring(model)
        self._recorder: Recorder | None = None
        if not self._live.layers:
            self._recorder = Recorder(
                model, [Request(pattern)], read_mask=None, emit=_ignore, leave_out=_leave_out, when=_never
            )
            self._recorder.attach()

    def end_if_seen(self) -> None:
        """Take the hooks off, if the model has run."""
        if self._recorder is not None:
            self._recorder.settle()
            if self._live.layers:
                self.end()

    def end(self) -> None:
        """Take the hooks off."""
        if self._recorder is not None:
            self._recorder.detach()
            self._recorder = None


def _ignore(shown: Pass) -> None:
    """Take nothing in."""


def _leave_out(layer: str, reason: str) -> None:
    """Take nothing in."""


def _never() -> bool:
    return False
