"""Run all benchmarks, or those named: ``python -m benchmarks [name ...]``."""

import pkgutil
import sys
from importlib import import_module

import torch

import benchmarks

NOT_BENCHMARKS = {"__main__", "harness", "reference_values", "gallery"}


def main() -> None:
    """Run each benchmark's ``main()`` on two threads."""
    torch.set_num_threads(2)
    found = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name not in NOT_BENCHMARKS]
    asked = sys.argv[1:] or found
    if unknown := set(asked) - set(found):
        sys.exit(f"no such benchmark: {', '.join(sorted(unknown))}; there are: {', '.join(found)}")
    for name in asked:
        import_module(f"benchmarks.{name}").main()


if __name__ == "__main__":
    main()
