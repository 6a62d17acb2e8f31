"""Laws of short names, and the names of networks that people have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cofire.reports.data.short_names import common_ends, short_names

BLOCK = ("attention.self.query", "attention.self.key", "attention.output.dense", "intermediate.dense", "output.dense")
EXPERTS = [f"experts.{expert}.w{part}" for expert in range(4) for part in (1, 2, 3)]
NETWORKS = {
    "bert": ["bert.embeddings.word_embeddings"]
    + [f"bert.encoder.layer.{block}.{layer}" for block in range(12) for layer in BLOCK]
    + ["bert.pooler.dense", "classifier"],
    "mixtral": [f"model.layers.{block}.block_sparse_moe.{layer}" for block in range(12) for layer in EXPERTS]
    + ["lm_head"],
    "keras": [f"resnet_block_{block}_convolution_with_a_long_name_{half}" for block in range(30) for half in "ab"],
    "one word": [f"{'Convolution' * 12}{layer}{'Normalization' * 12}" for layer in range(60)],
    "right to left": [f"{'שכבה' * 10}.{layer}.{'מקודד' * 10}" for layer in range(60)],
    "each within the next": ["a" * length for length in range(1, 80)],
    "html": [f"<img src=x onerror=alert({layer})></script><!-- {'-' * 40}" for layer in range(5)],
}

words = st.text(st.sampled_from("ab0.:#_…é\u0301 ש"), max_size=40)


@given(st.lists(words, max_size=12), st.integers(8, 30))
def test_short_names_are_distinct_and_fit(names: list[str], longest: int) -> None:
    short = short_names(names, longest)
    assert list(short) == list(dict.fromkeys(names))
    assert len(set(short.values())) == len(short)
    assert all(0 < len(text) <= longest for text in short.values())


@given(st.lists(words, max_size=12))
def test_the_parts_that_are_left_out_and_the_rest_make_the_name(names: list[str]) -> None:
    start, end = common_ends(names)
    for name in names:
        assert name.startswith(start) and name.endswith(end) and len(start) + len(end) <= len(name)


@pytest.mark.parametrize("longest", [12, 16, 26])
@pytest.mark.parametrize("network", NETWORKS)
def test_blocks_are_told_apart_by_their_numbers_not_by_added_ones(network: str, longest: int) -> None:
    """The middle of a name is where a block's number stands, so that cutting there makes 60 equal rows."""
    names = NETWORKS[network]
    short = short_names(names, longest)
    assert len(set(short.values())) == len(names)
    if network != "each within the next":  # nothing but their length tells these apart
        assert not any("·" in text for text in short.values())
    for name, text in short.items():
        numbers = [word for word in name.replace("_", ".").split(".") if word.isdigit()]
        assert all(number in text for number in numbers)


def test_layers_of_one_kind_lose_the_same_words() -> None:
    short = short_names(NETWORKS["bert"])
    shapes = {short[f"bert.encoder.layer.{block}.output.dense"].replace(str(block), "N") for block in range(12)}
    assert shapes == {"…N.output.dense"}


def test_what_is_short_stays_whole() -> None:
    assert short_names(["fc1", "fc2:pre", "rnn#1"]) == {"fc1": "fc1", "fc2:pre": "fc2:pre", "rnn#1": "rnn#1"}
    assert list(short_names(["", "fc"]).values()) == ["(model)", "fc"]


def test_a_mark_that_belongs_to_a_letter_does_not_start_a_short_name() -> None:
    names = ["e\u0301" * 40 + str(layer) for layer in range(3)]
    assert all(text[1] == "e" for text in short_names(names, 10).values())
