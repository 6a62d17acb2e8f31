"""One self-contained page: no network, no inline handlers, every word from a run escaped."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ...record.runs.run_directory import Run
from ...record.runs.sqlite_connections import WrittenMeanwhileError
from ...record.runs.whole_files import replaced
from ..charts import svg
from ..charts.figures import side_by_side
from ..data import formatting
from ..data.run_view import Layer, View, read
from ..data.trends import correlation_at
from ..findings.summary_questions import several
from ..findings.unit_findings import spare
from .layer_table import columns_of, rows_of, shown
from .script_data import chart_data, page_data
from .sections import reach, sections_of

WIDE = 1160.0
HALF = 440.0
NARROW = 400.0
MOST_WEDGES = 60  # lines whose phases are drawn; those of more are told in words only
SCRIPTS = ("base", "runs", "theme", "time", "curves", "table", "spreads", "maps", "matrix", "scatter", "pairs", "main")


def write_report(runs: str | Path | Run | Sequence[str | Path | Run], path: str | Path = "report.html") -> Path:
    """Write a report on one or more runs: a single HTML page that opens offline.

    The page holds everything it shows and, by its content-security policy, can request nothing.
    It appears whole or not at all; an older report at ``path`` stays if writing fails.

    Args:
        runs: a run directory, an open `cofire.record.Run`, or several of them.
        path: the page to write.

    Returns: the path written to.

    Raises:
        FileNotFoundError: if a directory is not a run.
        ValueError: if no run is given, or a run is damaged.
        OSError: if the page cannot be written.
    """
    several = [runs] if isinstance(runs, str | Path | Run) else list(runs)
    if not several:
        raise ValueError("a report needs at least one run, got none; give a run directory")
    text = page([view_of(run) for run in several])
    with replaced(path) as file:
        file.write(text.encode("utf-8", "replace"))
    return Path(path)


def view_of(run: str | Path | Run) -> View:
    """A run as it is shown; of one that still goes on, its table at one moment."""
    if isinstance(run, Run):
        return read(run)
    try:
        return _at_one_moment(run)
    except WrittenMeanwhileError:  # from now on the writer keeps what a reader sees
        return _at_one_moment(run)


def _at_one_moment(run: str | Path) -> View:
    with Run.open(run) as opened, opened.table.snapshot():
        return read(opened)


def page(views: Sequence[View]) -> str:
    """The report on one or more runs as HTML."""
    sections = sections_of(views)
    return rendered(
        "page.html",
        data=page_data(views, [section.pairs for section in sections], [section.histograms for section in sections]),
        sections=sections,
        several=several(views),
        groups=side_by_side(views),
        columns=columns_of(sections),
        rows=rows_of(sections),
        shown=shown,
        reach=reach([layer for view in views for layer in view.measured]),
        labels=formatting.labels(dict.fromkeys(layer.name for view in views for layer in view.layers)),
        places=[{layer.name: index for index, layer in enumerate(view.layers)} for view in views],
    )


def rendered(template: str, *, data: Any = None, **context: Any) -> str:
    """A page from a template: styled, with its script, what that draws, its policy, and every word escaped."""
    style, script = source("style.css"), the_script()
    text = (
        _environment()
        .get_template(template)
        .render(
            **context,
            data=data or {"runs": []},
            style=Markup(style),
            script=Markup(script),
            policy=Markup(policy(style, script)),  # it holds no double quote and nothing from a run
            svg=svg,
            chart_data=chart_data,
            whisker=whisker,
            correlation_at=correlation_at,
            spare=spare,
            WIDE=WIDE,
            HALF=HALF,
            NARROW=NARROW,
            MOST_WEDGES=MOST_WEDGES,
        )
    )
    return formatting.unbroken(text)


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cofire.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    environment.filters.update(
        number=formatting.number,
        count=formatting.count,
        percent=formatting.percent,
        plural=formatting.plural,
        shorten=formatting.shorten,
    )
    return environment


def whisker(layer: Layer, end: float) -> Markup:
    """A layer's correlation drawn for its row of the table."""
    last = correlation_at(layer, -1)
    return svg.whisker(layer.last("nc"), last.value, last.low, last.high, layer.last("nc_noise_floor"), end)


def policy(style: str, script: str) -> str:
    """A content-security policy that lets exactly this style and this script through, and no request.

    Example:
        >>> policy("", "").split("; ")[0]
        "default-src 'none'"
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"style-src '{digest(style)}'",
            f"script-src '{digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def digest(text: str) -> str:
    """How a content-security policy names a style or a script."""
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode("ascii")


def the_script() -> str:
    """All of the page's script: the parts share a scope, so that nothing is global."""
    parts = "\n".join(source(f"script/{name}.js") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def source(name: str) -> str:
    """A file of the templates, as it is."""
    return files("cofire.reports").joinpath("templates", name).read_text(encoding="utf-8")
