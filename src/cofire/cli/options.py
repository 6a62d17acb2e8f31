"""Arguments and options that several commands share."""

from pathlib import Path
from typing import Annotated, Literal

import typer

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="Weights (.safetensors; .pt, .pth, .bin, .ckpt, .pth.tar), a folder or hub id of Hugging Face (hf:gpt2), "
        "timm:NAME, torchvision:NAME, or module:factory to build a model.",
    ),
]
WeightsOption = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        help="Load these weights into the model of module:factory, timm:NAME or torchvision:NAME.",
    ),
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
TaskOption = Annotated[
    str | None,
    typer.Option(
        "--task",
        metavar="TASK",
        help="Build a Hugging Face model for this task of its pipelines: text-classification. By default, as its "
        "weights were saved.",
    ),
]
DataOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DATA",
        help="Run the model on these inputs: a file or folder of images, text (.txt, .jsonl, .csv, .parquet), .wav or "
        ".npy; .npz or .pt; datasets:NAME; digits, mnist, fashion-mnist, cifar10; module:loader; or random.",
    ),
]
ColumnOption = Annotated[
    str | None, typer.Option("--column", metavar="NAME", help="Column of a table or data set to read.")
]
MaxSamplesOption = Annotated[int, typer.Option(min=2, help="Maximum number of inputs to run.")]
BatchSizeOption = Annotated[
    int | None,
    typer.Option(
        min=1, help="Number of inputs in a batch.", show_default="about four million numbers, at most 512; 32 texts"
    ),
]
DeviceOption = Annotated[str, typer.Option(help="Device to compute on: cpu, cuda, cuda:1, mps.")]
DtypeOption = Annotated[
    Literal["float64", "float32", "bfloat16", "float16"] | None,
    typer.Option(help="Precision to run the model in.", show_default="the model's own"),
]
HtmlOption = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write an HTML report to FILE.")]
JsonOption = Annotated[
    Path | None,
    typer.Option(
        "--json", metavar="FILE", help="Write all numbers to FILE as JSON; - for stdout, with the rest on stderr."
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors and exceeded limits.")]
OutputOption = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Write the HTML report to FILE.")]
OpenOption = Annotated[bool, typer.Option("--open", help="Open the page in a browser.")]
LeaveOption = Annotated[
    list[str] | None,
    typer.Option(metavar="PATTERN", help="Leave these layers whole: 'encoder.0.*', 're:.*fc'. Repeatable."),
]
