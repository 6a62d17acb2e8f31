from math import nan
from shlex import split

import pytest
from rich.console import Console

from cofire.reports import View, summary
from cofire.reports.data.run_view import Layer, Series
from cofire.reports.findings.finding import Finding
from cofire.reports.terminal.run_table import finding_lines


def shown(view: View, width: int = 80) -> str:
    console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115
    with console.file:
        console.print(summary(view, width=width))
        return console.export_text()


def layer(name: str, value: float = 0.3) -> Layer:
    names = ("nc", "nc_debiased", "nc_low", "nc_high", "nc_noise_floor", "wc")
    return Layer(name, {key: Series((0,), (value,), 1000) for key in names} | {"n_units": Series((0,), (4096.0,))})


def test_it_fits_eighty_columns_with_long_names() -> None:
    text = shown(View("run", tuple(layer(f"model.encoder.layers.{i}.attention.output.dense") for i in range(12))))
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert text.count("4,096") == 12 and "0.300" in text


def test_names_are_neither_markup_nor_control_codes() -> None:
    text = shown(View("run", (layer("[red]x[/red]"), layer("\x1b[2Jb"))))
    assert "[red]x[/red]" in text and "\x1b" not in text


def test_unknown_values_are_dashes_and_an_empty_run_is_told() -> None:
    assert "–" in shown(View("run", (layer("a", nan),)))
    assert "Nothing has been recorded yet." in shown(View("run"))


def test_a_narrow_terminal_gets_fewer_columns_and_none_cut_short() -> None:
    view = View("run", (layer("hidden1"), layer("hidden2")))
    wide, narrow, least = (
        [line for line in shown(view, width).splitlines() if line.startswith(("Layer ", "hidden"))][:3]
        for width in (80, 50, 38)
    )
    assert "Floor" in wide[0] and "Floor" not in narrow[0] and "NC" in narrow[0] and "NC" not in least[0]
    for header, *layers in (wide, narrow, least):
        assert "95 % interval" in header and len(layers) == 2
        assert all("0.30 – 0.30" in line and "…" not in line for line in layers)


@pytest.mark.parametrize(
    "command",
    [
        "cofire shrink nets:build --data digits",
        "cofire shrink nets.of.a.project:build --weights last.pt --data 'my images' --keep 0.49 --out smaller",
        f"cofire shrink nets:build --weights {'w' * 70} --data {'d' * 30} --out smaller",
    ],
)
def test_a_command_on_several_lines_is_one_command_to_a_shell(command: str) -> None:
    console = Console(width=80, record=True, quiet=False)
    with console.capture() as captured:
        console.print(*finding_lines([Finding("what can go", "note", "One", (), "", "For example:", command)]))
    text = captured.get()
    said = text[text.index("cofire") :]
    assert split(said.strip().replace("\\\n", "")) == split(command)
    assert "\n" not in said.strip().replace("\\\n", "")
