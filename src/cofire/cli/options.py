"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="Weights (.safetensors; .pt, .pth, .bin, .ckpt, .pth.tar; a folder of save_pretrained), or module:factory "
        "to build a model.",
    ),
]
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", metavar="FILE", help="Load these weights into the model of module:factory.")
]
KeyOption = Annotated[
    str | None,
    typer.Option(
        "--key", metavar="NAME", help="Where the weights are in the file, keys joined by dots: ema.state_dict."
    ),
]
UnexpectedOption = Annotated[
    bool, typer.Option("--allow-unexpected", help="Ignore weights in the file that the model lacks.")
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DATA",
        help="Run the model on these inputs: a folder of .npy arrays, a data set (digits, mnist, fashion-mnist, "
        "cifar10), or module:loader.",
    ),
]
MaxSamplesOption = Annotated[int, typer.Option(min=2, help="Maximum number of inputs to run.")]
HtmlOption = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write an HTML report to FILE.")]
JsonOption = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers to FILE as JSON.")]
OutputOption = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Write the HTML report to FILE.")]
OpenOption = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]
LeaveOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Leave these layers whole: 'encoder.0.*', 're:.*fc'. Repeatable."),
]
