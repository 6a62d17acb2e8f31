"""Small maps of correlations as HTML, for notebooks: similar units are side by side."""

import struct
from base64 import b64encode
from collections.abc import Iterable
from html import escape
from zlib import compress, crc32

import numpy as np
from numpy.typing import NDArray

from .cluster_order import cluster_order

RAMP = ("fcf7ec", "fde8c4", "fdcf95", "fcae6e", "f68a59", "e6605a", "c63f6d", "982d7b", "652173", "2b1145")
"""Colors of |ρ| from 0 to 1, as on the pages of reports."""
UNKNOWN = "9a949e"
SIDE = 168  # pixels


def html_maps(maps: Iterable[tuple[str, NDArray[np.floating]]]) -> str:
    """Return small maps of |ρ|, similar units side by side, with their legend; empty if there is none.

    Args:
        maps: names with matrices of correlations, NaN where undefined.
    """
    figures = []
    for name, rho in maps:
        rho = np.asarray(rho, dtype=np.float64)
        order = cluster_order(rho)
        address = f"data:image/png;base64,{b64encode(png(rho[np.ix_(order, order)])).decode()}"
        image = f'<img src="{address}" width="{SIDE}" height="{SIDE}" style="image-rendering: pixelated" alt="|ρ|">'
        figures.append(
            f'<figure style="display: inline-block; margin: 4px; width: {SIDE}px; overflow-wrap: anywhere">{image}'
            f"<figcaption>{escape(name)}</figcaption></figure>"
        )
    if not figures:
        return ""
    legend = "|ρ| of every pair of units: light 0, dark 1, gray undefined; units that fire together are neighbors."
    return f"<p>{legend}</p>{''.join(figures)}"


def png(rho: NDArray[np.float64]) -> bytes:
    """Return a matrix of correlations as a PNG image, one pixel a pair: light for 0, dark for ±1, gray for NaN."""
    ramp = np.array([tuple(bytes.fromhex(color)) for color in RAMP], dtype=np.float64)
    place = np.clip(np.abs(np.nan_to_num(rho)), 0, 1) * (len(RAMP) - 1)
    image = np.stack([np.interp(place, np.arange(len(RAMP)), channel) for channel in ramp.T], axis=-1)
    image[np.isnan(rho)] = tuple(bytes.fromhex(UNKNOWN))
    height, width = rho.shape
    lines = b"".join(b"\0" + line.tobytes() for line in np.rint(image).astype(np.uint8))
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)  # eight bits each of red, green and blue
    chunks = ((b"IHDR", header), (b"IDAT", compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc32(kind + content))
