import pytest

from cofire.papers.registry import PAPERS, chosen, experiments


def test_names_are_unique_and_start_with_their_paper() -> None:
    for name, experiment in experiments().items():
        assert name == experiment.name and experiment.paper in PAPERS


def test_a_choice_is_all_a_paper_or_an_experiment() -> None:
    assert [one.name for one in chosen(["all"])] == list(experiments())
    assert {one.paper for one in chosen(["jin2022"])} == {"jin2022"}
    assert [one.name for one in chosen(["jin2022.fig5"])] == ["jin2022.fig5"]


def test_an_unknown_name_suggests_near_ones() -> None:
    with pytest.raises(ValueError, match=r"unknown experiment 'jin2022.fig55'; did you mean jin2022.fig5"):
        chosen(["jin2022.fig55"])
    with pytest.raises(ValueError, match="see: cofire experiments"):
        chosen(["zzz"])
