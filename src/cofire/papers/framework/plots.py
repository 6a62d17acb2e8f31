"""What the figures share: panels, curves with bands over seeds, and files that are the same bytes each time."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...record.runs.whole_files import replaced
from .verdicts import interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's, told apart by color-blind readers too.
COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
LARGEST = 150_000
LABEL_INCHES, LINE_LETTERS = 0.06, 7  # a letter of a legend, and its line with the space around it, in letters
BELOW_LABELS = 5  # letters down from a panel: where its axis has been labeled
_LEGEND: dict[str, Any] = {"frameon": False, "fontsize": 7}
_STYLE: dict[Any, Any] = {"svg.hashsalt": "cofire", "svg.fonttype": "none"}


def panels(
    rows: int = 1, columns: int = 1, *, width: float = 3.2, height: float = 2.5, **shared: Any
) -> "tuple[Figure, Sequence[Sequence[Axes]]]":
    """A figure and its panels, row by row.

    Args:
        rows: rows of panels.
        columns: panels in a row.
        width: of a panel, in inches.
        height: of a panel, in inches.
        shared: ``sharex``, ``sharey`` as for matplotlib's ``Figure.subplots``.

    Raises:
        ImportError: if matplotlib is absent.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    axes: Any = figure.subplots(rows, columns, squeeze=False, **shared)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25, linewidth=0.5)
    return figure, axes


def draw(axis: "Axes", curve: Mapping[Any, Mapping[int, float]], label: str, *, color: str, **style: Any) -> None:
    """A curve of means over seeds, with their 95 % interval as a band where there are several seeds.

    Args:
        axis: the panel.
        curve: for each x the value of each seed, as from `Table.curve`.
        label: for the legend.
        color: of line and band.
        style: of the line, as matplotlib takes it.
    """
    means = [interval(seeds) for seeds in curve.values()]
    axis.plot(list(curve), [mean for mean, _, _ in means], label=label, color=color, **{"linewidth": 1.3, **style})
    if all(len(seeds) > 1 for seeds in curve.values()):
        lows, highs = [low for _, low, _ in means], [high for _, _, high in means]
        axis.fill_between(list(curve), lows, highs, color=color, alpha=0.18, linewidth=0)


def legend(figure: "Figure", *axes: "Axes") -> None:
    """What the curves are, each label once, above all panels: there it covers none of them.

    Args:
        figure: its width says how many labels stand side by side.
        axes: whose labels; by default those of all panels.
    """
    handles: dict[str, Any] = {}
    for axis in axes or figure.axes:
        for handle, label in zip(*axis.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    longest = max(map(len, handles), default=0)
    side_by_side = max(1, int(figure.get_figwidth() / (LABEL_INCHES * (longest + LINE_LETTERS))))
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=side_by_side, **_LEGEND)


def legend_below(axis: "Axes") -> None:
    """What the curves of one panel are, under it."""
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, 0), borderaxespad=BELOW_LABELS, **_LEGEND)


def save(figure: "Figure", stem: Path) -> Path:
    """Write a figure as SVG, or as PNG where the SVG would be above 150 kB; the file's path."""
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


def _rendered(figure: "Figure", kind: str, **options: Any) -> bytes:
    buffer = BytesIO()
    # Neither the date nor matplotlib's version: the same rows shall give the same bytes.
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(buffer, format=kind, metadata=metadata, **options)
    return buffer.getvalue()
