"""Registry of the experiments of the four papers and our own, by name."""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module

from .framework.experiment import Experiment

PAPERS = {
    "jin2022": "Jin, Yi, Huang: Neuronal Correlation: a Central Concept in Neural Network",
    "zhang2018": "Zhang, Jia, Li, Song: On the Weak Neural Dependence Phenomenon in Deep Learning",
    "peganov2021": "Correlation and Decorrelation in Neural Networks",
    "simon2016": "Simon: Decorrelating Neural Network Activations",
    "ours": "Questions of our own",
}


def experiments() -> dict[str, Experiment]:
    """Return every experiment by its name, paper by paper, in the order of the figures.

    Example:
        >>> "jin2022.fig5" in experiments()
        True
    """
    # Imported by name: no paper's package is loaded by another, or before it is needed.
    found = [one for paper in PAPERS for one in import_module(f"cofire.papers.{paper}").EXPERIMENTS]
    return {experiment.name: experiment for experiment in found}


def chosen(names: Iterable[str]) -> list[Experiment]:
    """Return the experiments that the names ask for, each once.

    Args:
        names: ``"all"``, names of papers and of experiments.

    Raises:
        ValueError: for an unknown name.

    Example:
        >>> [experiment.name for experiment in chosen(["jin2022.fig5", "jin2022.fig5"])]
        ['jin2022.fig5']
    """
    known = experiments()
    found: dict[str, Experiment] = {}
    for name in names:
        matching = {key: one for key, one in known.items() if name in ("all", key, one.paper)}
        if not matching:
            near = get_close_matches(name, [*known, *PAPERS], n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "see: cofire experiments"
            raise ValueError(f"unknown experiment {name!r}; {hint}")
        found |= matching
    return list(found.values())
