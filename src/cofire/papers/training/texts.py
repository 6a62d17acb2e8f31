"""Texts for character models: tinyshakespeare, text8, WikiText-2, and a bundled one for tests."""

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

from ..framework.tasks import DATA_ROOT
from .download import Remote, fetch


@dataclass(frozen=True, eq=False)
class Text:
    """Characters for training and for testing, as indices into the vocabulary.

    Attributes:
        name: name of the text.
        train: int64, shape (n_train,).
        test: int64, shape (n_test,).
        vocabulary: the sorted characters of both parts.
    """

    name: str
    train: Tensor
    test: Tensor
    vocabulary: tuple[str, ...]

    def first(self, n_train: int, n_test: int | None = None) -> "Text":
        """Return the first characters of each part, with the vocabulary of the whole text."""
        return Text(self.name, self.train[:n_train], self.test[:n_test], self.vocabulary)


@dataclass(frozen=True)
class _Source:
    """A text's file name under ``data_root``, its download, and a function from bytes to the two parts."""

    file: str
    remote: Remote
    parts: Callable[[bytes], tuple[str, str]]


def _split(text: str, share: float) -> tuple[str, str]:
    """Split off the last ``share`` of a text for testing."""
    place = len(text) - round(len(text) * share)
    return text[:place], text[place:]


def _member(archive: bytes, name: str) -> str:
    """Read one file of a zip archive without unpacking it to disk."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            return opened.read(name).decode("utf-8")
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"the file is not a zip archive with {name}: {error}") from error


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
        lambda content: (
            _member(content, "wikitext-2/wiki.train.tokens"),
            _member(content, "wikitext-2/wiki.test.tokens"),
        ),
    ),
}

BUNDLED = "zen"
TEXTS = (*_SOURCES, BUNDLED)


def load_text(name: str) -> Text:
    """Load a text by its name; each process reads it once.

    The file is read from the folder ``COFIRE_DATA_ROOT`` (tinyshakespeare.txt, text8.zip, wikitext-2-v1.zip). If that
    variable is not set, the file is downloaded once, checked, and kept in the user's cache. The last tenth of
    tinyshakespeare and the last twentieth of text8 are the test parts. ``"zen"``, a few lines that come with Python,
    is for quick trials.

    Raises:
        FileNotFoundError: if the folder lacks the file.
        ValueError: if the name is unknown, or the file has another format.

    Example:
        >>> text = load_text("zen")
        >>> "".join(text.vocabulary[index] for index in text.train[:18])
        'The Zen of Python,'
    """
    if name not in TEXTS:
        raise ValueError(f"unknown text {name!r}; choose from {', '.join(TEXTS)}")
    return _loaded(name, os.environ.get(DATA_ROOT))


@cache
def _loaded(name: str, data_root: str | None) -> Text:
    if name == BUNDLED:
        return as_text(name, *_split(_zen(), 0.2))
    source = _SOURCES[name]
    path = fetch(source.remote) / next(iter(source.remote.md5)) if data_root is None else Path(data_root) / source.file
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; unset {DATA_ROOT} to download it")
    return as_text(name, *source.parts(path.read_bytes()))


def _zen() -> str:
    """Return the text of PEP 20, which Python stores enciphered, and suppress what importing it prints."""
    from contextlib import redirect_stdout

    with redirect_stdout(io.StringIO()):
        import this
    return "".join(this.d.get(letter, letter) for letter in this.s)


def as_text(name: str, train: str, test: str) -> Text:
    """Encode two strings as a `Text`.

    Raises:
        ValueError: if a string is empty.

    Example:
        >>> as_text("own", "abba", "cab").train.tolist()
        [0, 1, 1, 0]
    """
    if not train or not test:
        raise ValueError(f"both parts of a text need characters, got {len(train)} to train and {len(test)} to test on")
    codes = [np.frombuffer(part.encode("utf-32-le"), np.uint32) for part in (train, test)]
    # One pass over code points replaces a dict look-up per character: text8 has 100 million.
    known, places = np.unique(np.concatenate(codes), return_inverse=True)
    numbers = torch.from_numpy(places.astype(np.int64).reshape(-1))
    return Text(name, numbers[: len(codes[0])], numbers[len(codes[0]) :], tuple(chr(code) for code in known))
