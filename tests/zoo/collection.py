"""All architectures of the zoo."""

import importlib.util

import architectures_others
import architectures_timm
import architectures_torchvision
import architectures_transformers
from architectures import register_operators_of_torchvision

SOURCES = {
    "torchvision": architectures_torchvision.architectures,
    "timm": architectures_timm.architectures,
    "transformers": architectures_transformers.architectures,
    "diffusers": architectures_others.diffusers,
    "torch_geometric": architectures_others.torch_geometric,
    "small": architectures_others.small,
}


def missing(library):
    return library != "small" and importlib.util.find_spec(library) is None


def all_architectures():
    operators = register_operators_of_torchvision()
    found = [one for library, source in SOURCES.items() if not missing(library) for one in source()]
    return found, operators
