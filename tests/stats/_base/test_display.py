"""Results print within 80 columns and show as a table in notebooks, whatever they hold."""

from dataclasses import dataclass
from html.parser import HTMLParser

import pytest
import torch
from torch import Tensor

from cofire.stats import (
    dependence_score,
    eigenvalue_bounds,
    gram_matrix,
    neuronal_correlation,
    permutation_threshold,
    weight_correlation_summary,
)
from cofire.stats._base.display import Shown
from cofire.stats.correlation.moments import Moments
from cofire.stats.redundancy.activation_redundancy import redundancy


def x() -> Tensor:
    return torch.randn(60, 5, generator=torch.Generator().manual_seed(0))


RESULTS = {
    "CorrelationSummary": lambda: neuronal_correlation(x()),
    "DependenceScore": lambda: dependence_score(x()),
    "PermutationThreshold": lambda: permutation_threshold(x(), n_permutations=20),
    "WeightSummary": lambda: weight_correlation_summary(x()),
    "Redundancy": lambda: redundancy(Moments().update(x())),
    "EigenvalueBounds": lambda: eigenvalue_bounds(gram_matrix(x(), bandwidth=1.0)),
}


@dataclass
class Inner(Shown):
    interval: tuple[int, int]


@dataclass
class Odd(Shown):
    name: str
    flag: bool
    empty: tuple[int, ...]
    many: list[int]
    nothing: Tensor
    matrix: Tensor
    inner: Inner
    several: tuple[Inner, ...]
    absent: None = None


ODD = Odd(
    "<script>alert(1)</script>\n" + "x" * 200,
    True,
    (),
    list(range(100)),
    torch.full((2, 2), torch.nan),
    torch.arange(6.0).reshape(2, 3),
    Inner((3, 5)),
    (Inner((1, 2)),) * 3,
)


class Cells(HTMLParser):
    """The tags and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.mark.parametrize("name", RESULTS)
def test_results_are_tables_of_at_most_80_columns(name):
    result = RESULTS[name]()
    lines = str(result).splitlines()
    assert lines[0] == name and len(lines) > 2
    assert max(map(len, lines)) <= 80
    page = Cells(result._repr_html_())
    assert page.texts[0] == name and page.tags.count("tr") == len(lines) - 1
    assert repr(result).startswith(f"{name}(")  # as dataclasses have it


def test_numbers_and_intervals_are_legible():
    found = neuronal_correlation(x())
    lines = dict(line.split(maxsplit=1) for line in str(found).splitlines()[1:])
    assert lines["mean_abs"] == f"{found.mean_abs:.4g}"
    assert lines["interval"] == f"[{found.interval[0]:.4g}, {found.interval[1]:.4g}]"
    assert lines["n_pairs"] == "10"


def test_odd_values():
    lines = dict(line.split(maxsplit=1) for line in str(ODD).splitlines()[1:])
    assert lines["flag"] == "yes" and lines["empty"] == "none" and lines["absent"] == "None"
    assert lines["many"] == "100: 0, 1, 2, 3, 4, 5, 6, 7, …"
    assert lines["nothing"] == "2 × 2, no finite entry"
    assert lines["matrix"] == "2 × 3: 0 to 5, median 2"
    assert lines["inner.interval"] == "[3, 5]" and lines["several"] == "3 of Inner"
    assert lines["name"].endswith("…") and max(map(len, str(ODD).splitlines())) == 80


def test_text_is_not_markup():
    page = Cells(ODD._repr_html_())
    assert "script" not in page.tags
    assert any("<script>" in text for text in page.texts)


def test_a_class_that_prints_in_its_own_way_keeps_it():
    @dataclass
    class Own(Shown):
        value: int

        def __str__(self) -> str:
            return "a < b"

    assert Own(1)._repr_html_() == "<pre>a &lt; b</pre>"
