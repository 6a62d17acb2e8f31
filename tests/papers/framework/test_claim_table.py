import math

import pytest

from cofire.papers.framework.claim_table import MissingRows, Table

TABLE = Table(
    {"net": net, "seed": seed, "epoch": epoch, "measure": "nc", "value": seed + epoch / 10}
    for net in ("N3", "N4")
    for seed in (1, 0)
    for epoch in (0, 5)
)


def test_rows_are_chosen_by_value_set_and_function() -> None:
    assert len(TABLE.where(net="N3")) == 4 and len(TABLE.where(net=["N3", "N4"], epoch=lambda epoch: epoch > 1)) == 4
    assert not TABLE.where(absent=1) and not TABLE.where(net="N9")
    assert TABLE.values("epoch") == [0, 5] and TABLE.where(net="N3", seed=0).column("value") == [0.0, 0.5]


def test_values_by_seed_and_by_time() -> None:
    assert TABLE.where(net="N4").last().per_seed() == {0: 0.5, 1: 1.5}
    assert TABLE.curve("epoch", net="N3") == {0: {0: 0.0, 1: 1.0}, 5: {0: 0.5, 1: 1.5}}
    assert list(TABLE.where(net="N3").per_seed(epoch=0)) == [0, 1]


def test_ambiguity_and_absence_are_errors() -> None:
    with pytest.raises(ValueError, match="several rows of seed 1 have net='N3'; name more columns"):
        TABLE.per_seed(net="N3")
    with pytest.raises(MissingRows, match="no rows with net='N9', epoch=0"):
        TABLE.per_seed(net="N9", epoch=0)
    with pytest.raises(MissingRows):
        Table([]).curve("epoch")
    assert not Table([]).last()


def test_rows_without_a_column_are_in_no_group() -> None:
    table = Table([{"seed": 0, "value": 1.0, "width": 3}, {"seed": 0, "value": 2.0}])
    assert [(width, len(part)) for width, part in table.groups("width")] == [(3, 1)]
    assert table.values("width") == [3]


def test_an_index_changes_nothing(monkeypatch) -> None:
    odd = [{"net": [3], "seed": 0, "value": 1.0}, {"net": "N3", "seed": True, "value": math.nan}, {"value": 2.0}]
    table = Table([*TABLE, *odd, *odd])
    questions = [
        {"net": "N3"},
        {"seed": 1},
        {"net": [3]},
        {"value": math.nan},
        {"net": "N3", "seed": {0, 1}},
        {"absent": 1},
    ]
    expected = [str(list(table.where(**question))) for question in questions]
    monkeypatch.setattr("cofire.papers.framework.claim_table.INDEXED", 1)
    indexed = Table(table)
    assert [str(list(indexed.where(**question))) for question in questions * 2] == expected * 2
