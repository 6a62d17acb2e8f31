"""Maps in notebooks: the image is a real one, with similar units side by side."""

from base64 import b64decode
from io import BytesIO

import numpy as np
import pytest

from cofire.stats.correlation.maps.map_images import html_maps, png


def test_the_image_shows_the_matrix():
    image = pytest.importorskip("PIL.Image", reason="needs pillow")
    rho = np.array([[1.0, 0.0, np.nan], [0.0, -1.0, 0.5], [np.nan, 0.5, 1.0]])
    pixels = np.asarray(image.open(BytesIO(png(rho))))
    assert pixels.shape == (3, 3, 3)
    assert (pixels[0, 0] == pixels[1, 1]).all() and pixels[0, 0].sum() < pixels[1, 2].sum() < pixels[0, 1].sum()
    assert tuple(pixels[0, 2]) == (0x9A, 0x94, 0x9E)


def test_similar_units_are_neighbors():
    image = pytest.importorskip("PIL.Image", reason="needs pillow")
    group = np.array([0, 1, 0, 1, 0, 1])
    told = html_maps([("fc", np.where(group[:, None] == group, 0.9, 0.0))])
    pixels = np.asarray(image.open(BytesIO(b64decode(told.split("base64,")[1].split('"')[0])))).sum(-1)
    assert (pixels[:3, :3] == pixels[0, 0]).all() and (pixels[:3, 3:] == pixels[0, 5]).all()
    assert pixels[0, 0] < pixels[0, 5] and html_maps([]) == ""


def test_names_are_text():
    assert "<script" not in html_maps([("<script>", np.eye(3))])
