"""Tables in notebooks: text stays text."""

from cofire.stats._base.notebook import html_lines, html_table

EVIL = '"><script>alert(1)</script>'


def test_text_is_not_markup():
    told = html_table([EVIL], [[EVIL]], caption=EVIL, meanings={EVIL: EVIL}) + html_lines([EVIL])
    assert "<script" not in told and told.count("&lt;script&gt;") == 5


def test_a_table_has_a_cell_for_each():
    told = html_table(["a", "b"], [["1", "2"], ["3", "4"]], meanings={"b": "the second"})
    assert told.count("<td>") == 4 and '<th title="the second">b</th>' in told and "<th>a</th>" in told
