"""The unpickler gives what pickle gives for plain values, and blanks for everything else."""

import argparse
import io
import os
import pickle
import sys
from collections import OrderedDict
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cofire.nets.loading.inert_pickle import Blank, DamagedPickle, read_pickle

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(max_size=300),
    lambda inner: (
        st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(-(2**50), 2**50), inner)
    ),
    max_leaves=30,
)


def read(content: bytes) -> object:
    return read_pickle(io.BytesIO(content), {}, lambda key: None)[0]


@given(PLAIN, st.integers(3, pickle.HIGHEST_PROTOCOL))
def test_plain_values_are_what_pickle_makes_of_them(value, protocol):
    assert read(pickle.dumps(value, protocol)) == value


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_value_or_in_damage(content):
    with suppress(DamagedPickle):
        read(content)


@given(st.binary(max_size=60), st.integers(0, 10_000))
def test_damaged_pickles_end_in_a_value_or_in_damage(patch, place):
    content = pickle.dumps({"a": [1, (2.5, None)], "b": argparse.Namespace(x=1), "c": OrderedDict(y=b"z")})
    place %= len(content)
    with suppress(DamagedPickle):
        read(content[:place] + patch + content[place + len(patch) :])


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("value", "path"),
    [
        (argparse.Namespace(rate=0.1), "argparse.Namespace"),
        (Path("x"), "pathlib.PosixPath"),
        (Decimal("1.5"), "decimal.Decimal"),
        (Fraction(1, 3), "fractions.Fraction"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="paths have another class there")
def test_objects_become_blanks_and_are_named(value, path, protocol):
    found, unknown = read_pickle(io.BytesIO(pickle.dumps([value, 3], protocol)), {}, lambda key: None)
    assert isinstance(found, list) and isinstance(found[0], Blank) and found[0].path == path and found[1] == 3
    assert path in unknown


def test_a_function_that_a_pickle_calls_is_not_called():
    class Run:
        def __reduce__(self) -> object:
            return sys.exit, (7,)

    found, unknown = read_pickle(io.BytesIO(pickle.dumps(Run())), {}, lambda key: None)
    assert isinstance(found, Blank) and unknown == ["sys.exit"]


def test_calls_in_the_table_are_built():
    found, unknown = read_pickle(io.BytesIO(pickle.dumps(Decimal("1.5"))), {"decimal.Decimal": float}, lambda key: None)
    assert found == 1.5 and not unknown


def test_a_call_with_the_wrong_arguments_is_damage():
    with pytest.raises(DamagedPickle, match="its pickle is broken"):
        read_pickle(io.BytesIO(pickle.dumps(Decimal("1.5"))), {"decimal.Decimal": lambda: 0}, lambda key: None)


def test_what_lies_outside_is_asked_for():
    class Outside(pickle.Pickler):
        def persistent_id(self, value: object) -> object:
            return ("storage", 3) if value == "outside" else None

    file = io.BytesIO()
    Outside(file, protocol=2).dump([1, "outside"])
    assert read_pickle(io.BytesIO(file.getvalue()), {}, lambda key: [*key])[0] == [1, ["storage", 3]]
