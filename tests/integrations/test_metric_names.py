"""Names are readable, in the characters that all loggers accept, and different for different rows."""

import re

from hypothesis import given
from hypothesis import strategies as st

from cofire.integrations.metric_names import Names, name
from cofire.record import Row

ALPHABET = re.compile(r"cofire/[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+")
AWKWARD = st.text(st.sampled_from("ab-_./#:0 pre\x00éß%"), max_size=12) | st.text(max_size=100)


def row(site: str, measure: str = "nc", parameters: str = "{}") -> Row:
    return Row("", 1, 0, site, measure, parameters, 0.5, 10, 0)


def test_usual_names_are_plain():
    assert name("encoder.0.fc_1", "nc_debiased") == "cofire/encoder.0.fc_1/nc_debiased"
    assert name("conv#2", "nc") == "cofire/conv--2/nc"
    assert name("conv#2:pre", "nc") == "cofire/conv--2--pre/nc"
    assert name("", "loss") == "cofire/run/loss"


def test_unusable_names_end_in_a_checksum():
    for layer in ("a b", "a/b", "a--b", "run", "..", "é", "x" * 200, "conv\n", "\ud800"):
        found = name(layer, "nc")
        assert ALPHABET.fullmatch(found) and "--x" in found and len(found) < 120


@given(st.lists(st.tuples(AWKWARD, AWKWARD.filter(bool)), min_size=2, max_size=2, unique=True))
def test_different_rows_have_different_names(two):
    first, second = (name(site, measure) for site, measure in two)
    assert first != second
    assert ALPHABET.fullmatch(first) and ALPHABET.fullmatch(second)
    assert not {".", ".."} & {*first.split("/"), *second.split("/")}  # a file store makes paths of them


def test_one_quantity_with_several_parameters():
    names = Names()
    found = [names(row("fc", parameters=text)) for text in ('{"k": 1}', '{"k": 2}', '{"k": 3}', '{"k": 1}')]
    assert found[0] == found[3] == "cofire/fc/nc"
    assert len(set(found)) == 3 and all(ALPHABET.fullmatch(one) for one in found)
