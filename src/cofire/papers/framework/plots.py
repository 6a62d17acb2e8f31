"""Panels, curves with bands over seeds, and reproducible image files for the papers' figures."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ...stats._base.whole_files import replaced
from .estimates import interval

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure

# Texts, so that annotations load no matplotlib: only what draws pays for it.
Axes: TypeAlias = "matplotlib.axes.Axes"
Figure: TypeAlias = "matplotlib.figure.Figure"

# The palette of Okabe and Ito, which color-blind readers can distinguish.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
LARGEST = 150_000
LABEL_INCHES, LINE_LETTERS = 0.06, 7  # width of a letter in a legend; width of a line sample, in letters
BELOW_LABELS = 5  # distance of a legend from the panel above, in letters, to clear the axis label
_LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 7}
_STYLE: dict[Any, Any] = {"svg.hashsalt": "cofire", "svg.fonttype": "none"}


def panels(
    rows: int = 1, columns: int = 1, *, width: float = 3.2, height: float = 2.5, **shared: Any
) -> tuple[Figure, Sequence[Sequence[Axes]]]:
    """Create a figure and its panels, row by row.

    Args:
        rows: rows of panels.
        columns: panels per row.
        width: width of a panel, in inches.
        height: height of a panel, in inches.
        shared: ``sharex``, ``sharey`` as for matplotlib's ``Figure.subplots``.

    Raises:
        ImportError: if matplotlib is not installed.
    """
    import matplotlib.figure  # a figure made without pyplot belongs to no window and no global state

    figure = matplotlib.figure.Figure(figsize=(columns * width, rows * height), layout="constrained")
    axes: Any = figure.subplots(rows, columns, squeeze=False, **shared)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25, linewidth=0.5)
    return figure, axes


def draw(axis: Axes, curve: Mapping[Any, Mapping[int, float]], label: str, *, color: str, **style: Any) -> None:
    """Draw a curve of means over seeds; with several seeds, a band shows their 95 % interval.

    Args:
        axis: the panel.
        curve: ``{x: {seed: value}}``, as from `Table.curve`.
        label: label in the legend.
        color: color of line and band.
        style: further arguments of matplotlib's ``plot``.
    """
    means = [interval(seeds) for seeds in curve.values()]
    axis.plot(list(curve), [mean for mean, _, _ in means], label=label, color=color, **{"linewidth": 1.3, **style})
    if all(len(seeds) > 1 for seeds in curve.values()):
        lows, highs = [low for _, low, _ in means], [high for _, _, high in means]
        axis.fill_between(list(curve), lows, highs, color=color, alpha=0.18, linewidth=0)


def legend(figure: Figure, *axes: Axes) -> None:
    """Put a legend above all panels, where it covers no curve, with each label once.

    Args:
        figure: the figure; its width determines the number of columns.
        axes: panels whose labels to show; defaults to all.
    """
    handles: dict[str, Any] = {}
    for axis in axes or figure.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    longest = max(map(len, handles), default=0)
    side_by_side = max(1, int(figure.get_figwidth() / (LABEL_INCHES * (longest + LINE_LETTERS))))
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=side_by_side, **_LEGEND)


def legend_below(axis: Axes) -> None:
    """Put a panel's legend below it."""
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=BELOW_LABELS, **_LEGEND)


def save(figure: Figure, stem: Path) -> Path:
    """Write a figure as SVG, or as PNG if the SVG is larger than 150 kB, and return the file's path."""
    from matplotlib import rc_context

    with rc_context(_STYLE):
        content, suffix = _rendered(figure, "svg"), ".svg"
        for dpi in (160, 120, 80):
            if len(content) <= LARGEST:
                break
            content, suffix = _rendered(figure, "png", dpi=dpi), ".png"
    for other in (".svg", ".png"):
        stem.with_name(stem.name + other).unlink(missing_ok=True)
    path = stem.with_name(stem.name + suffix)
    with replaced(path) as file:
        file.write(content)
    return path


def _rendered(figure: Figure, kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    # Without the date and matplotlib's version, the same rows give the same bytes.
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(buffer, format=kind, metadata=metadata, **options)
    return buffer.getvalue()
