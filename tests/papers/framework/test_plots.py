from pathlib import Path

import numpy as np

from cofire.papers.framework.plots import LARGEST, draw, legend, legend_below, panels, save


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


def test_a_legend_names_each_curve_once_and_covers_none() -> None:
    figure, axes = panels(1, 2)
    for axis in axes[0]:
        for color, name in zip(("red", "blue"), ("train", "test"), strict=True):
            draw(axis, {0: {0: 1.0}, 5: {0: 2.0}}, name, color=color)
    legend(figure)
    figure.draw_without_rendering()
    (drawn,) = figure.legends
    assert [text.get_text() for text in drawn.get_texts()] == ["train", "test"]
    assert not any(drawn.get_window_extent().overlaps(axis.get_tightbbox()) for axis in axes[0])


def test_a_legend_below_a_panel_leaves_its_axis_readable() -> None:
    figure, axes = panels()
    axis = axes[0][0]
    draw(axis, {0: {0: 1.0}, 5: {0: 2.0}}, "a curve", color="red")
    axis.set(xlabel="epoch")
    legend_below(axis)
    figure.draw_without_rendering()
    key = axis.get_legend().get_window_extent()
    assert not key.overlaps(axis.xaxis.get_tightbbox()) and not key.overlaps(axis.get_window_extent())
    assert key.y0 >= figure.bbox.y0
