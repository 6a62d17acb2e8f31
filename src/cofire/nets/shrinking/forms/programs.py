"""Write a network as a program that runs without its code: torch.export, and ONNX."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...loading.batches import arguments, batch_length
from ...loading.eval_mode import evaluating
from ...surgery.copies import copied
from ...surgery.output_change import numbers
from ...torch_private import tree_leaves
from ..data import picked
from .same_outputs import agree, difference, outputs_of, outputs_of_program

ONNX = ("onnx", "onnxscript", "onnxruntime")
ONNX_TOLERANCE = 1e-4
"""Other kernels round differently."""


def onnx_is_installed() -> bool:
    """Return whether all that the extra ``onnx`` installs is there."""
    return all(find_spec(name) is not None for name in ONNX)


def write_program(model: nn.Module, example: Any, path: Path) -> tuple[Any, bool]:
    """Write what `torch.export` makes of a network, load it again and compare.

    Args:
        model: the network.
        example: a batch of what it takes.
        path: the file to write.

    Returns:
        The program, and whether it takes batches of any size.

    Raises:
        ValueError: if that can't be done, with the reason.
    """
    net = copied(model).eval()
    config: Any = getattr(net, "config", None)
    if getattr(config, "use_cache", False) is True:
        config.use_cache = False  # torch.export does not know the caches of transformers
    with evaluating(net), _quiet():
        try:
            program = _exported(net, example)
            torch.export.save(program, path)
            loaded = torch.export.load(path).module()
        except Exception as error:  # torch.export fails in many ways
            raise ValueError(_line(error)) from error
        return program, _checked(loaded, net, example)


def _checked(loaded: Callable[..., Any], net: nn.Module, example: Any) -> bool:
    """Return whether a loaded program takes batches of another size too.

    Raises:
        ValueError: if it puts out something else than the network.
    """
    mine, theirs = outputs_of(net, example), outputs_of_program(loaded, net, example)
    if not agree(mine, theirs):
        raise ValueError(f"the program puts out something else: by {difference(mine, theirs):.1g} of the largest")
    if (n := batch_length(example)) < 3:
        return False
    other = picked(example, torch.arange(n - 1))
    try:
        return agree(outputs_of(net, other), outputs_of_program(loaded, net, other))
    except Exception:  # guards on the size of the batch
        return False


def _exported(net: nn.Module, example: Any) -> Any:
    """Return a program, for batches of any size if torch.export finds no code that depends on it."""
    args, kwargs = arguments(net, example)
    n = batch_length(example)
    if n > 1:  # torch.export takes 1 for a constant
        free = tuple(_axes(one, n) for one in args) or {name: _axes(one, n) for name, one in kwargs.items()}
        try:
            return torch.export.export(net, args, kwargs, dynamic_shapes=free)
        except Exception:  # the code depends on the size, or has no shapes that torch could keep open
            args, kwargs = arguments(net, example)
    return torch.export.export(net, args, kwargs)


def _axes(value: Any, n: int) -> Any:
    """Return which axes of an argument are open: the first, where it has as many entries as the batch has samples."""
    if isinstance(value, Tensor):
        return {0: torch.export.Dim.AUTO} if value.ndim and len(value) == n else {}
    if isinstance(value, dict):
        return {name: _axes(one, n) for name, one in value.items()}
    return type(value)(_axes(one, n) for one in value) if type(value) in (list, tuple) else None


def write_onnx(program: Any, model: nn.Module, example: Any, path: Path) -> bool:
    """Write a program as ONNX, run it with onnxruntime and compare.

    Args:
        program: what `write_program` returned.
        model: the network.
        example: a batch of what it takes.
        path: the file to write.

    Returns:
        Whether it takes batches of any size.

    Raises:
        ValueError: if that can't be done, with the reason.
    """
    try:
        with _quiet(), torch.no_grad():
            torch.onnx.export(program, dynamo=True, verbose=False).save(path)  # pyright: ignore[reportOptionalMemberAccess]
            run = _onnx_runner(path)
            theirs = run(model, example)
    except Exception as error:  # operations that ONNX lacks, or that the runtime has no kernel for
        raise ValueError(_line(error)) from error
    mine = outputs_of(model, example)
    if not agree(mine, theirs, ONNX_TOLERANCE):
        raise ValueError(f"the program puts out something else: by {difference(mine, theirs):.1g} of the largest")
    if (n := batch_length(example)) < 3:
        return False
    other = picked(example, torch.arange(n - 1))
    try:
        with _quiet():
            return agree(outputs_of(model, other), run(model, other), ONNX_TOLERANCE)
    except Exception:  # a fixed size
        return False


def _onnx_runner(path: Path) -> Callable[[nn.Module, Any], list[Tensor]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]

    def run(model: nn.Module, batch: Any) -> list[Tensor]:
        given = [one.cpu().numpy() for one in tree_leaves(arguments(model, batch)) if isinstance(one, Tensor)]
        found = session.run(None, dict(zip(names, given, strict=True)))
        return numbers([torch.from_numpy(one) for one in found])

    return run


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings, the log and the prints of torch in a block; the error tells what fails."""
    before = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0].rstrip('.')}" if lines else type(error).__name__
