"""One self-contained page: no network, no inline handlers, every word from a run escaped."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.resources import files
from math import isfinite, nan
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..record.files import replaced
from ..record.runs import Run
from . import figures, findings, maps, svg, words
from .course import correlation_at
from .findings_of_units import spare
from .view import Layer, View, flatten, read

WIDE = 1160.0
_LAYERS = "model.layers."
NARROW = 400.0


@dataclass(frozen=True)
class Section:
    """One run as the template asks for it."""

    key: str
    view: View

    @property
    def headline(self) -> str:
        """The run in one sentence."""
        return findings.headline(self.view)

    @property
    def findings(self) -> list[findings.Finding]:
        """What asks for action first."""
        return findings.findings(self.view)

    @cached_property
    def charts(self) -> list[figures.Chart]:
        """The curves over training."""
        return figures.charts(self.view)

    @cached_property
    def histograms(self) -> list[figures.Histogram]:
        """The spread of |ρ| by layer."""
        return figures.histograms(self.view.measured)

    @cached_property
    def heat_maps(self) -> list[maps.HeatMap]:
        """The map of |ρ| of each layer that has no comparison."""
        compared = {trio[0].layer for trio in self.comparisons}
        return maps.heat_maps(layer for layer in self.view.measured if layer.name not in compared)

    @cached_property
    def comparisons(self) -> list[tuple[maps.HeatMap, maps.HeatMap, maps.HeatMap]]:
        """Correlation, dependence and their difference, by layer."""
        return maps.comparisons(self.view.layers)

    @property
    def emblem(self) -> dict[str, str] | None:
        """The map that heads the page: that of the layer whose units fire together most."""
        strength = {layer.name: correlation_at(layer, -1).value for layer in self.view.measured}
        ids = {heat.layer: f"{self.key}-map{index}" for index, heat in enumerate(self.heat_maps)}
        ids |= {trio[0].layer: f"{self.key}-set{index}-{trio[0].kind}" for index, trio in enumerate(self.comparisons)}
        known = [(strength.get(layer, nan), layer) for layer in ids if isfinite(strength.get(layer, nan))]
        if not known:
            return None
        _, layer = max(known)
        return {"key": ids[layer], "layer": layer}

    @property
    def speaks_of_information(self) -> bool:
        """Whether the page has to say what dependence is."""
        return bool(self.comparisons) or any(layer.of("dependence").defined for layer in self.view.layers)

    @property
    def with_dependence(self) -> bool:
        """Whether any layer's dependence was recorded."""
        return any(layer.of("dependence").defined for layer in self.view.measured)

    @property
    def made(self) -> list[tuple[str, str]]:
        """How the run was made, as names and values; the model's layers are listed apart."""
        return [(name, value) for name, value in flatten(self.view.made) if not name.startswith(_LAYERS)]

    @property
    def model_layers(self) -> list[tuple[str, str]]:
        """The model's layers and what each is."""
        every = flatten(self.view.made)
        return [(name.removeprefix(_LAYERS), value) for name, value in every if name.startswith(_LAYERS)]

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The few figures that head the page."""
        layers = self.view.measured
        accuracy = self._accuracy()
        facts = [
            ("layers", words.count(len(layers))),
            ("units", words.count(sum(_known(layer.last("n_units")) for layer in layers) or None)),
            ("samples", words.count(max((layer.n_samples or 0 for layer in layers), default=0) or None)),
            ("last step", words.count(self.view.last_step)),
            *([("test accuracy", f"{100 * accuracy:.1f} %")] if accuracy is not None else []),
        ]
        return [(name, value) for name, value in facts if value != words.MISSING]

    def _accuracy(self) -> float | None:
        series = self.view.training.get("test_accuracy")
        return series.last if series is not None and isfinite(series.last) else None

    @property
    def reach(self) -> float:
        """The end of the table's common axis."""
        known = [layer.last(m) for layer in self.view.measured for m in ("nc", "nc_high", "nc_noise_floor")]
        return max([value for value in known if isfinite(value)], default=1.0)

    def whisker(self, layer: Layer) -> Markup:
        """A layer's correlation drawn for its row of the table."""
        last = correlation_at(layer, -1)
        raw, noise = layer.last("nc"), layer.last("nc_noise_floor")
        return svg.whisker(raw, last.value, last.low, last.high, noise, self.reach)


def _known(value: float) -> int:
    return int(value) if isfinite(value) else 0


def chart_data(chart: figures.Chart) -> dict[str, Any]:
    """What the page's script needs to say which line and step the pointer is at."""
    return {
        "logarithmic": chart.logarithmic,
        "steps": [chart.steps[0], chart.steps[-1]],
        "values": chart.domain,
        "lines": [
            {
                "name": line.name,
                "shade": line.shade,
                "steps": line.series.steps,
                "values": [round(value, 5) if isfinite(value) else None for value in line.series.values],
            }
            for line in chart.lines
        ],
    }


def heat_data(heat: maps.HeatMap) -> dict[str, Any]:
    """The values that the page's script draws."""
    return {"kind": heat.kind, "units": heat.units, "packed": heat.packed}


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
    text = page([_view(run) for run in several])
    with replaced(path) as file:
        file.write(text.encode("utf-8", "replace"))
    return Path(path)


def _view(run: str | Path | Run) -> View:
    if isinstance(run, Run):
        return read(run)
    with Run.open(run) as opened:
        return read(opened)


def page(views: Sequence[View]) -> str:
    """The report on one or more runs as HTML."""
    return rendered("page.html", sections=[Section(f"run{index}", view) for index, view in enumerate(views)])


def rendered(template: str, **context: Any) -> str:
    """A page from a template: styled, with its script, its policy, and every word escaped."""
    environment = Environment(
        loader=PackageLoader("cofire.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=words.number,
        count=words.count,
        percent=words.percent,
        plural=words.plural,
        shorten=words.shorten,
    )
    style, script = source("style.css"), source("script.js")
    text = environment.get_template(template).render(
        **context,
        style=Markup(style),
        script=Markup(script),
        policy=Markup(policy(style, script)),  # it holds no double quote and nothing from a run
        svg=svg,
        chart_data=chart_data,
        heat_data=heat_data,
        correlation_at=correlation_at,
        spare=spare,
        WIDE=WIDE,
        NARROW=NARROW,
    )
    return words.unbroken(text)


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


def source(name: str) -> str:
    """A file of the templates, as it is."""
    return files("cofire.report").joinpath("templates", name).read_text(encoding="utf-8")
