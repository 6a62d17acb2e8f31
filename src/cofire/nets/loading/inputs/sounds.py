"""Sounds from WAV files."""

import warnings
from collections.abc import Callable, Sequence
from io import BytesIO
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..libraries.preprocessing import Preprocessing

Sound = tuple[NDArray[np.float32], int]
"""Mono samples between -1 and 1, and how many a second."""


def sounds_in(folder: Path) -> list[Path]:
    """Return the WAV files in a folder and in the folders in it, by name."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".wav" and path.is_file())


def batch_of_sounds(preprocessing: Preprocessing) -> Callable[[Sequence[Path | bytes]], Any]:
    """Return a function that makes a batch of some files."""

    def make(some: Sequence[Path | bytes]) -> Any:
        found = [read_wav(file) for file in some]
        rates = {rate for _, rate in found}
        if preprocessing.rate is None and len(rates) > 1:
            raise ValueError(
                f"the sounds have several sampling rates ({', '.join(map(str, sorted(rates)))}), and the model does "
                "not say which it wants; resample them"
            )
        return preprocessing.sounds([at_rate(sound, preprocessing.rate) for sound in found])

    return make


def read_wav(file: Path | bytes) -> Sound:
    """Return the samples of a WAV file, its channels averaged.

    Raises:
        ValueError: if it is damaged, empty, or no WAV file.
    """
    from scipy.io import wavfile

    name = "a sound" if isinstance(file, bytes) else str(file)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that it doesn't know, such as titles
            rate, samples = wavfile.read(BytesIO(file) if isinstance(file, bytes) else file)
    except FileNotFoundError:
        raise
    except Exception as error:  # scipy raises what numpy and struct do
        raise ValueError(f"{name} is damaged, or no WAV file: {error}") from error
    if not len(samples):
        raise ValueError(f"{name} holds no samples")
    whole = samples.mean(axis=1, dtype=np.float64) if samples.ndim > 1 else samples.astype(np.float64)
    if samples.dtype == np.uint8:  # the only unsigned kind
        whole = (whole - 128) / 128
    elif samples.dtype.kind == "i":
        whole /= -float(np.iinfo(samples.dtype).min)
    return whole.astype(np.float32), int(rate)


def at_rate(sound: Sound, wanted: int | None) -> NDArray[np.float32]:
    """Return samples at another rate, by a polyphase filter."""
    samples, rate = sound
    if wanted is None or rate == wanted:
        return samples
    from scipy.signal import resample_poly

    common = gcd(rate, wanted)
    return resample_poly(samples, wanted // common, rate // common).astype(np.float32)
