"""The page that a command writes."""

from pathlib import Path


def refuse_unwritable(output: Path, example: str = "report.html") -> None:
    """Before anything takes time."""
    if output.is_dir():
        raise ValueError(f"{output} is a folder; name the file to write, for example {output / example}")
    if not output.parent.is_dir():
        raise ValueError(f"{output} cannot be written: there is no folder {output.parent}")


def write_page(runs: list[Path], output: Path) -> str:
    """Write the report; what to say of it."""
    from ..reports import write_report

    return f"Wrote {write_report(runs, output)}; open it in a browser."
