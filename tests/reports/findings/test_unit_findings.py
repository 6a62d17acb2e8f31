from math import nan

from cofire.reports.data.run_view import View
from cofire.reports.findings.run_findings import findings
from cofire.reports.findings.unit_findings import spare

from ..layers import kinds, layer


def test_constant_units_are_counted_with_their_share() -> None:
    found = findings(View("run", (layer(nc=[0.1], constant=2), layer("b", nc=[0.1], constant=16))))
    assert [finding.kind for finding in found] == ["constant"]
    assert found[0].level == "act" and found[0].headline == "18 units never changed in b and fc"
    assert found[0].points == (("b", "16 of 64 units (25 %)"), ("fc", "2 of 64 units (3 %)"))


def test_copies_are_counted_by_group() -> None:
    found = findings(View("run", (layer(nc=[0.1], duplicates=[(0, 1, 1.0), (1, 2, -1.0), (7, 9, 0.99)]),)))
    assert found[0].kind == "duplicate" and found[0].points == (("fc", "3 pairs, 3 redundant"),)
    assert spare([(0, 1, 1.0), (1, 2, 1.0), (0, 2, 1.0)]) == 2  # a triangle frees two of three
    assert spare([]) == 0


def test_layers_without_pairs_or_with_few_samples_are_named() -> None:
    assert kinds(layer(nc=[nan], units=1)) == {"undefined": "watch"}
    assert kinds(layer(nc=[0.1], samples=20)) == {"few samples": "watch"}
