import pytest

from cofire.papers.markdown import markdown_table, put_into


def test_a_table_takes_the_place_of_the_old_one_and_of_nothing_else(tmp_path):
    guide = tmp_path / "guide.md"
    guide.write_text("before\n<!-- results -->\nold\n<!-- /results -->\nafter ρ\n", encoding="utf-8")
    for _ in range(2):
        put_into(guide, "results", markdown_table(["a", "b"], [["1", "2"]]))
        text = guide.read_text(encoding="utf-8")
        assert text == "before\n<!-- results -->\n\n| a | b |\n|---|---:|\n| 1 | 2 |\n\n<!-- /results -->\nafter ρ\n"


@pytest.mark.parametrize("text", ["", "<!-- x -->", "<!-- /x --> <!-- x -->", "<!-- x --><!-- x --><!-- /x -->"])
def test_a_guide_without_the_marks_is_left_alone(tmp_path, text):
    guide = tmp_path / "guide.md"
    guide.write_text(text)
    with pytest.raises(ValueError, match="once each"):
        put_into(guide, "x", "table")
    assert guide.read_text() == text
