"""What the process is set to neither changes a statistic nor is changed by one."""

from collections.abc import Callable, Iterator
from threading import Event, Thread

import pytest
import torch

from cofire.stats import neuronal_correlation
from cofire.stats._base.precision import exactly

CPU = torch.device("cpu")
MATMULS = (torch.backends.cuda.matmul, torch.backends.mkldnn.matmul)


def effective() -> list[str]:
    return [torch.backends.fp32_precision, *(matmul.fp32_precision for matmul in MATMULS)]


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    torch.set_float32_matmul_precision("highest")
    for place in (torch.backends, *MATMULS):
        place.fp32_precision = "none"


def for_one_backend(which: int, precision: str) -> Callable[[], None]:
    return lambda: setattr(MATMULS[which], "fp32_precision", precision)


SETTINGS = {
    "nothing": lambda: None,
    "the older names": lambda: torch.set_float32_matmul_precision("medium"),
    "the older flag": lambda: setattr(torch.backends.cuda.matmul, "allow_tf32", True),
    "one backend": for_one_backend(0, "tf32"),
    "the other": for_one_backend(1, "bf16"),
    "all backends": lambda: setattr(torch.backends, "fp32_precision", "tf32"),
    "older, then newer": lambda: (torch.set_float32_matmul_precision("high"), for_one_backend(1, "bf16")()),
}


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_any_precision_is_set_aside_and_set_back(setting) -> None:
    setting()
    before, x = effective(), torch.randn(50, 4)
    with exactly(CPU):
        assert not {"tf32", "bf16"} & set(effective()[1:])
    assert effective() == before
    assert neuronal_correlation(x).mean_abs > 0 and effective() == before


def test_what_follows_all_backends_goes_on_to_follow() -> None:
    torch.backends.fp32_precision = "tf32"
    with exactly(CPU):
        pass
    torch.backends.fp32_precision = "ieee"
    assert effective() == ["ieee"] * 3


def test_threads_that_overlap_neither_disturb_each_other_nor_leave_a_trace() -> None:
    torch.set_float32_matmul_precision("medium")
    second_is_in, first_is_out, met = Event(), Event(), []

    def second() -> None:
        with exactly(CPU):
            second_is_in.set()
            first_is_out.wait(10)
            met.append(torch.get_float32_matmul_precision())

    thread = Thread(target=second)
    with exactly(CPU):
        thread.start()
        assert second_is_in.wait(10)
    first_is_out.set()
    thread.join()
    assert met == ["highest"] and torch.get_float32_matmul_precision() == "medium"


def test_an_error_within_sets_it_back_too() -> None:
    torch.set_float32_matmul_precision("high")
    with pytest.raises(ZeroDivisionError), exactly(CPU):
        _ = 1 / 0
    assert torch.get_float32_matmul_precision() == "high"
