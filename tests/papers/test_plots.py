from pathlib import Path

import numpy as np

from cofire.papers.plots import LARGEST, draw, panels, save


def test_a_curve_has_a_band_where_there_are_seeds() -> None:
    _, axes = panels(1, 2)
    draw(axes[0][0], {0: {0: 1.0, 1: 3.0}, 5: {0: 2.0, 1: 2.0}}, "two", color="black")
    draw(axes[0][1], {0: {0: 1.0}, 5: {0: 2.0}}, "one", color="black")
    (line,) = axes[0][0].get_lines()
    assert list(line.get_ydata()) == [2, 2] and len(axes[0][0].collections) == 1 and not axes[0][1].collections


def test_a_figure_is_svg_unless_that_is_large(tmp_path: Path) -> None:
    small, axes = panels()
    axes[0][0].plot([0, 1])
    assert save(small, tmp_path / "a.fig1").name == "a.fig1.svg"
    axes[0][0].scatter(*np.random.default_rng(0).normal(size=(2, 5000)))
    path = save(small, tmp_path / "a.fig1")
    assert path.name == "a.fig1.png" and path.stat().st_size <= LARGEST
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.fig1.png"]
