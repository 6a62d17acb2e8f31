"""Write a smaller network in the forms in which others load it, and load each again before it counts as written."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ...stats._base.whole_files import check_no_link, new_folder
from ..layer_names import unwrap
from ..loading.batches import batch_length
from ..loading.libraries.transformers_log import quiet
from ..surgery.copies import copied
from .forms.configurations import Unsayable, is_pretrained, read_pretrained, resized
from .forms.programs import onnx_is_installed, write_onnx, write_program
from .forms.same_outputs import agree, difference, outputs_of
from .forms.weights import PLAN, WEIGHTS, load_shrunk, write_weights
from .shrunk import Shrunk

PROGRAM, ONNX = "model.pt2", "model.onnx"


@dataclass(frozen=True)
class Form:
    """A form in which the smaller network was written.

    Attributes:
        files: names of its files in the folder.
        content: what they hold, in words.
        python: lines of Python that load it.
    """

    files: tuple[str, ...]
    content: str
    python: tuple[str, ...]


@dataclass(frozen=True)
class Saved:
    """What `save` wrote.

    Attributes:
        folder: the folder.
        forms: the forms in it; each was loaded again and put out the same.
        notes: which forms could not be written, and why.
    """

    folder: Path
    forms: tuple[Form, ...]
    notes: tuple[str, ...]


def save(
    shrunk: Shrunk, folder: str | Path, example: Any, *, original: nn.Module | None = None, factory: str = ""
) -> Saved:
    """Write a smaller network to a new folder, whole or not at all.

    - ``model.safetensors`` and ``plan.json``, always: the state dict, and what makes a fresh model of the old size fit
      it. `load_shrunk` reads both.
    - For a model of transformers whose configuration can say the new sizes, all that ``from_pretrained`` needs.
    - For others, ``model.pt2``, a program of ``torch.export`` that runs without the model's code. With the extra
      ``onnx``, ``model.onnx`` as well.

    Each form is loaded again and run on the example before the folder gets its name.

    Args:
        shrunk: the result of `shrink`.
        folder: where to write; it must not exist, or be empty.
        example: a batch of inputs, to run what was written.
        original: the network as it was; with it, `load_shrunk` is tried on a copy.
        factory: ``module:function`` or ``module:expression`` that makes a model of the old size, for the lines of
            Python that load the files.

    Returns:
        What was written, and which forms could not be, and why.

    Raises:
        ValueError: if the folder is taken, or what was written puts out something else.
        OSError: if it can't be written.

    Example:
        >>> import torch
        >>> from tempfile import TemporaryDirectory
        >>> from cofire.nets.shrinking import shrink
        >>> make = lambda: nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 2))
        >>> x = torch.randn(300, 4)
        >>> smaller = shrink(make(), x, keep=0.5)
        >>> with TemporaryDirectory() as place:
        ...     saved = save(smaller, f"{place}/smaller", x[:8])
        ...     same = load_shrunk(make(), saved.folder)
        >>> torch.equal(same(x), smaller.model(x))
        True
    """
    target = check_folder(folder)
    with new_folder(target) as temporary:
        return _Writer(shrunk, temporary, example, target, factory).run(original)


def check_folder(folder: str | Path) -> Path:
    """Return the path of a folder that can be written, before anything takes time.

    Raises:
        ValueError: if it can't be.
    """
    check_no_link(Path(folder))
    target = Path(folder).resolve()
    if target.exists() and not target.is_dir():
        raise ValueError(f"{folder} is a file; name a new folder")
    if target.is_dir() and (any(target.iterdir()) or target == Path.cwd()):
        taken = "is the current folder" if target == Path.cwd() else "is not empty"
        raise ValueError(f"{folder} {taken}; name a new folder, or an empty one")
    if not target.parent.is_dir():
        raise ValueError(f"cannot write {folder}: the folder {target.parent} does not exist")
    return target


class _Writer:
    """Writes the forms of a smaller network to a temporary folder, and loads each again."""

    def __init__(self, shrunk: Shrunk, folder: Path, example: Any, target: Path, factory: str) -> None:
        self._shrunk, self._folder, self._example = shrunk, folder, example
        self._target, self._factory = target, factory
        self._wanted = outputs_of(shrunk.model, example)
        self._notes: list[str] = []

    def run(self, original: nn.Module | None) -> Saved:
        """Return what was written."""
        forms = [self._pretrained()]
        weights = self._weights(original)
        if forms[0] is not None:
            forms = [self._read_pretrained(forms[0])]
        if forms[0] is None:
            forms = self._programs()
        found = (weights, *(one for one in forms if one is not None))
        return Saved(self._target, found, tuple(self._notes))

    def _weights(self, original: nn.Module | None) -> Form:
        self._notes += write_weights(self._shrunk, self._folder)
        if original is not None:
            self._compare(load_shrunk(copied(unwrap(original)), self._folder), WEIGHTS)
        build, _, call = (self._factory or ":build").partition(":")
        call = call if call.endswith(")") else f"{call}()"
        made = f"from {build} import {re.split(r'[.(]', call)[0]}; " if build else ""
        return Form(
            (WEIGHTS, PLAN),
            "weights, and the plan that makes a fresh model fit them",
            (
                f"{made}from cofire.nets.shrinking import load_shrunk",
                f"model = load_shrunk({call}, {str(self._target)!r})",
            ),
        )

    def _compare(self, model: nn.Module, what: str) -> None:
        theirs = outputs_of(model, self._example)
        if not agree(self._wanted, theirs):
            far = difference(self._wanted, theirs)
            raise ValueError(f"what {what} loads puts out something else, by {far:.1g} of the largest output")

    def _pretrained(self) -> Form | None:
        """Write all of a pretrained folder but the weights; return None if that can't be."""
        if not is_pretrained(self._shrunk.model):
            return None
        apart = self._folder / "pretrained"
        try:
            with quiet():
                resized(self._shrunk, self._example).save_pretrained(apart, max_shard_size="1000GB")
        except Unsayable as error:
            self._notes.append(f"no folder for from_pretrained was written: {error}")
            return None
        except Exception as error:  # transformers fails in many ways
            self._notes.append(f"no folder for from_pretrained was written: {_line(error)}")
            shutil.rmtree(apart, ignore_errors=True)
            return None
        settings = [one for one in apart.iterdir() if one.suffix == ".json" and not one.name.endswith(".index.json")]
        for one in settings:
            one.rename(self._folder / one.name)
        shutil.rmtree(apart)
        name = type(self._shrunk.model).__name__
        module = type(self._shrunk.model).__module__
        home = "transformers" if module.partition(".")[0] == "transformers" else module
        return Form(
            (WEIGHTS, *sorted(one.name for one in settings)),
            "a folder of save_pretrained",
            (f"from {home} import {name}", f"model = {name}.from_pretrained({str(self._target)!r})"),
        )

    def _read_pretrained(self, form: Form) -> Form | None:
        try:
            self._compare(read_pretrained(self._shrunk, self._folder), "from_pretrained")
        except Exception as error:  # transformers fails in many ways
            self._notes.append(f"no folder for from_pretrained was written: {_line(error)}")
            for name in form.files[1:]:
                (self._folder / name).unlink()
            return None
        return form

    def _programs(self) -> list[Form | None]:
        model, example = self._shrunk.model, self._example
        try:
            program, free = write_program(model, example, self._folder / PROGRAM)
        except ValueError as error:
            (self._folder / PROGRAM).unlink(missing_ok=True)
            self._notes.append(f"{PROGRAM} was not written, as torch.export failed: {error}")
            return []
        path = str(self._target / PROGRAM)
        forms: list[Form | None] = [
            Form(
                (PROGRAM,),
                f"a program of torch.export, {_size(free, example)}",
                ("import torch", f"model = torch.export.load({path!r}).module()"),
            )
        ]
        if onnx_is_installed():
            forms.append(self._onnx(program))
        return forms

    def _onnx(self, program: Any) -> Form | None:
        try:
            free = write_onnx(program, self._shrunk.model, self._example, self._folder / ONNX)
        except ValueError as error:
            for left in self._folder.glob(f"{ONNX}*"):
                left.unlink()
            self._notes.append(f"{ONNX} was not written: {error}")
            return None
        path = str(self._target / ONNX)
        return Form(
            tuple(sorted(one.name for one in self._folder.glob(f"{ONNX}*"))),
            f"a program in ONNX, {_size(free, self._example)}",
            ("import onnxruntime", f"session = onnxruntime.InferenceSession({path!r})"),
        )


def _size(free: bool, example: Any) -> str:
    return "for batches of any size" if free else f"for batches of {batch_length(example)}"


def _line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".") or type(error).__name__
