import numpy as np

from cofire.reports.data.run_view import Layer, Series, View
from cofire.reports.page.layer_table import columns_of, rows_of
from cofire.reports.page.sections import sections_of

from ..layers import layer


def test_a_row_holds_what_was_recorded_last_and_what_changed() -> None:
    (row,) = rows_of(sections_of([View("run", (layer("fc", [0.1, 0.4], constant=2),))]))
    values = {column.key: row.value(column.key) for column in columns_of(sections_of([View("run")]))}
    assert values["nc_debiased"] == 0.4 and values["since_start"] == 0.4 - 0.1
    assert (values["n_units"], values["n_constant"], values["copy_pairs"]) == (64, 2, 0)
    assert np.isnan(values["wc"]) and "beside" not in values and "dependence" not in values


def test_layers_of_the_same_name_stand_below_one_another_with_their_difference() -> None:
    views = [View("a", (layer("fc", [0.1]), layer("b", [0.2]))), View("b", (layer("b", [0.3]), layer("c", [0.3])))]
    sections = sections_of(views)
    rows = rows_of(sections)
    assert [(row.layer.name, row.run) for row in rows] == [("fc", 0), ("b", 0), ("b", 1), ("c", 1)]
    assert "beside" in [column.key for column in columns_of(sections)]
    beside = [row.value("beside") for row in rows]
    assert np.allclose(beside, [np.nan, np.nan, 0.1, np.nan], equal_nan=True)


def test_dependence_has_a_column_only_where_it_was_recorded() -> None:
    recorded = Layer("fc", {"nc": Series((0,), (0.1,)), "dependence": Series((0,), (0.2,))})
    keys = [column.key for column in columns_of(sections_of([View("a"), View("b", (recorded,))]))]
    assert "dependence" in keys
