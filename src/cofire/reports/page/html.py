"""Self-contained HTML pages: no requests, no inline handlers, and every name from a run escaped."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ...record.runs.run_directory import Run, refuse_part_of_run
from ...record.runs.sqlite_connections import WrittenMeanwhileError
from ...stats._base.definitions import COPY
from ...stats._base.quantities import QUANTITIES
from ...stats._base.whole_files import replaced
from ..charts import svg
from ..charts.figures import chosen_layers, side_by_side
from ..charts.heatmaps import layers_over_training
from ..data import formatting
from ..data.run_view import BEFORE_ACTIVATION, Layer, View, read
from ..data.short_names import common_ends, short_site_names
from ..data.trends import correlation_at
from ..findings.meanings import meanings_of_run
from ..findings.summary_questions import several
from ..findings.unit_findings import spare
from .layer_table import columns_of, rows_of, shown
from .script_data import chart_data, heatmap_data, page_data
from .sections import reach, sections_of

WIDE = 1160.0
HALF = 440.0
NARROW = 400.0
SCRIPTS = (
    *("base", "save", "runs", "theme", "folds", "time", "chosen", "heatmap", "heatmap_pointer", "curves", "table"),
    *("spreads", "maps", "matrix", "scatter", "pairs", "figures", "order", "main"),
)
STYLES = ("style", "training")


def write_report(runs: str | Path | Run | Sequence[str | Path | Run], path: str | Path = "report.html") -> Path:
    """Write a report on one or more runs: a single HTML page that opens offline.

    The page holds everything it shows, and its content-security policy forbids any request.
    An older report at ``path`` is replaced only once the new one is complete.

    Args:
        runs: a run directory, an open `cofire.record.Run`, or several of them.
        path: the file to write.

    Returns:
        The path written to.

    Raises:
        FileNotFoundError: if a directory is not a run.
        ValueError: if no run is given, or a run is damaged.
        OSError: if the page cannot be written.
    """
    several = [runs] if isinstance(runs, str | Path | Run) else list(runs)
    if not several:
        raise ValueError("a report needs at least one run, got none; give a run directory")
    return written(page([view_of(run) for run in several]), path)


def written(text: str, path: str | Path) -> Path:
    """Write a page to a file, whole or not at all, and return the path."""
    refuse_part_of_run(Path(path))
    with replaced(path) as file:
        file.write(text.encode("utf-8", "replace"))
    return Path(path)


def view_of(run: str | Path | Run) -> View:
    """Read a run; one that is being written to is read as of one moment."""
    if isinstance(run, Run):
        return read(run)
    try:
        return _at_one_moment(run)
    except WrittenMeanwhileError:  # the next attempt opens the file as one that is written to
        return _at_one_moment(run)


def _at_one_moment(run: str | Path) -> View:
    with Run.open(run) as opened, opened.table.snapshot():
        return read(opened)


def page(views: Sequence[View]) -> str:
    """Return the report on one or more runs as HTML."""
    sections, groups = sections_of(views), side_by_side(views)
    sites = list(dict.fromkeys(layer.name for view in views for layer in view.layers))
    return rendered(
        "page.html",
        data=page_data(views, [section.pairs for section in sections], [section.histograms for section in sections]),
        sections=sections,
        several=several(views),
        groups=groups,
        heatmaps=layers_over_training(views, groups),
        chosen=chosen_layers(views),
        n_layers=len({site.removesuffix(BEFORE_ACTIVATION) for site in sites}),
        ends=common_ends(site.removesuffix(BEFORE_ACTIVATION) for site in sites),
        columns=columns_of(sections),
        meanings=meanings_of_run(any(section.shows_information for section in sections)),
        rows=rows_of(sections),
        shown=shown,
        reach=reach([layer for view in views for layer in view.measured]),
        labels=short_site_names(sites),
        places=[{layer.name: index for index, layer in enumerate(view.layers)} for view in views],
    )


def rendered(template: str, *, data: Any = None, **context: Any) -> str:
    """Render a template with the page's style, script, data and content-security policy."""
    style = "".join(source(f"{name}.css") for name in STYLES)
    script = page_script()
    text = (
        _environment()
        .get_template(template)
        .render(
            **context,
            data=data or {"runs": [], "quantities": {}},
            style=Markup(style),
            script=Markup(script),
            policy=Markup(policy(style, script)),  # safe: it holds no double quote and nothing from a run
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
    filters = (formatting.number, formatting.count, formatting.percent, formatting.plural, formatting.shorten)
    environment.filters.update({one.__name__: one for one in filters})
    environment.globals.update(
        {one.__name__: one for one in (chart_data, heatmap_data, whisker, correlation_at, spare)},
        svg=svg,
        QUANTITIES=QUANTITIES,
        COPY=COPY,
        WIDE=WIDE,
        HALF=HALF,
        NARROW=NARROW,
    )
    return environment


def whisker(layer: Layer, end: float) -> Markup:
    """Draw a layer's correlation for its row of the table."""
    last = correlation_at(layer, -1)
    return svg.whisker(layer.last("nc"), last.value, last.low, last.high, layer.last("nc_noise_floor"), end)


def policy(style: str, script: str) -> str:
    """Return a content-security policy that allows exactly this style and this script, and no request.

    Example:
        >>> policy("", "").split("; ")[0]
        "default-src 'none'"
    """
    allowed = f"style-src '{digest(style)}'; script-src '{digest(script)}'"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def digest(text: str) -> str:
    """Return the hash by which a content-security policy names a style or a script."""
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode("ascii")


def page_script() -> str:
    """Return the page's whole script: its parts share one function scope, so that nothing is global."""
    parts = "\n".join(source(f"script/{name}.js") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def source(name: str) -> str:
    """Return the text of a file among the templates."""
    return files("cofire.reports").joinpath("templates", name).read_text(encoding="utf-8")
