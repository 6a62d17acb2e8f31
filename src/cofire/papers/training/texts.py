"""Texts as numbers, for models of characters: tinyshakespeare, text8, WikiText-2, and a bundled one for tests."""

import io
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .datasets import DATA_ROOT
from .download import Remote, fetch


@dataclass(frozen=True, eq=False)
class Text:
    """Characters for training and for testing, as places in the vocabulary.

    Attributes:
        name: of the text.
        train: int64, shape (n_train,).
        test: int64, shape (n_test,).
        vocabulary: the characters, sorted; those of the training part and of the test part.
    """

    name: str
    train: Tensor
    test: Tensor
    vocabulary: tuple[str, ...]

    def first(self, n_train: int, n_test: int | None = None) -> "Text":
        """The first characters of each part, with the vocabulary of the whole."""
        return Text(self.name, self.train[:n_train], self.test[:n_test], self.vocabulary)


@dataclass(frozen=True)
class _Source:
    """A text's file as ``data_root`` has it, the download, and how the parts are read out of the bytes."""

    file: str
    remote: Remote
    parts: Callable[[bytes], tuple[str, str]]


def _split(text: str, share: float) -> tuple[str, str]:
    """The first part to train on, the last ``share`` to test on."""
    place = len(text) - round(len(text) * share)
    return text[:place], text[place:]


def _member(archive: bytes, name: str) -> str:
    """One file of a zip archive, read in memory; nothing is unpacked to the disk."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return opened.read(name).decode("utf-8")
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"this is not the archive that holds {name}: {error}") from error


def _wikitext(archive: bytes) -> tuple[str, str]:
    train, test = (_member(archive, f"wikitext-2/wiki.{part}.tokens") for part in ("train", "test"))
    return train, test


_SOURCES = {
    "tinyshakespeare": _Source(
        "tinyshakespeare.txt",
        Remote(
            folder="tinyshakespeare",
            mirrors=("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/",),
            md5={"input.txt": "6fb458f1232090904fb40fe944165e91"},
        ),
        lambda content: _split(content.decode("utf-8"), 0.1),
    ),
    "text8": _Source(
        "text8.zip",
        Remote(
            folder="text8",
            mirrors=("https://mattmahoney.net/dc/", "http://mattmahoney.net/dc/"),
            md5={"text8.zip": "f26f94c5209bc6159618bad4a559ff81"},
        ),
        lambda content: _split(_member(content, "text8"), 0.05),
    ),
    "wikitext-2": _Source(
        "wikitext-2-v1.zip",
        Remote(
            folder="wikitext-2",
            mirrors=("https://s3.amazonaws.com/research.metamind.io/wikitext/",),
            md5={"wikitext-2-v1.zip": "542ccefacc6c27f945fb54453812b3cd"},
        ),
        _wikitext,
    ),
}

BUNDLED = "zen"
TEXTS = (*_SOURCES, BUNDLED)


def load_text(name: str) -> Text:
    """A text by its name, read once in a process.

    The file is looked for in the folder ``COFIRE_DATA_ROOT`` (tinyshakespeare.txt, text8.zip, wikitext-2-v1.zip);
    without that variable it is downloaded once, checked, and kept in the user's cache. The last tenth of
    tinyshakespeare, and the last twentieth of text8, are for testing. ``"zen"``, a few lines that come with Python, is
    for trying out.

    Raises:
        FileNotFoundError: if the folder lacks it.
        ValueError: if there is no such text, or the file is something else.

    Example:
        >>> text = load_text("zen")
        >>> "".join(text.vocabulary[place] for place in text.train[:18])
        'The Zen of Python,'
    """
    if name not in TEXTS:
        raise ValueError(f"there is no text {name!r}; there are: {', '.join(TEXTS)}")
    return _loaded(name, os.environ.get(DATA_ROOT))


@cache
def _loaded(name: str, data_root: str | None) -> Text:
    if name == BUNDLED:
        return as_text(name, *_split(_zen(), 0.2))
    return as_text(name, *_SOURCES[name].parts(_content(_SOURCES[name], data_root)))


def _content(source: _Source, data_root: str | None) -> bytes:
    if data_root is None:
        (file,) = source.remote.md5
        return (fetch(source.remote) / file).read_bytes()
    path = Path(data_root) / source.file
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; unset {DATA_ROOT} to have it downloaded")
    return path.read_bytes()


def _zen() -> str:
    """The text of PEP 20, which Python keeps ciphered; importing it prints it, so that is caught."""
    from contextlib import redirect_stdout

    with redirect_stdout(io.StringIO()):
        import this
    return "".join(this.d.get(letter, letter) for letter in this.s)


def as_text(name: str, train: str, test: str) -> Text:
    """Any two strings as a `Text`.

    Raises:
        ValueError: if one is empty.

    Example:
        >>> as_text("own", "abba", "cab").train.tolist()
        [0, 1, 1, 0]
    """
    if not train or not test:
        raise ValueError(f"a text needs characters to train and to test on, got {len(train)} and {len(test)}")
    codes = [np.frombuffer(part.encode("utf-32-le"), np.uint32) for part in (train, test)]
    known, places = np.unique(np.concatenate(codes), return_inverse=True)
    numbers = torch.from_numpy(places.astype(np.int64).reshape(-1))
    return Text(name, numbers[: len(codes[0])], numbers[len(codes[0]) :], tuple(chr(code) for code in known))
