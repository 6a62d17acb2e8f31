"""Names of layers, as ``named_modules()`` gives them, without the parts that wrappers add."""

from difflib import get_close_matches

from torch import nn
from torch.jit import ScriptModule

WRAPPERS = ("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module")
"""Names under which torch.compile, FSDP and checkpoint wrappers keep the module they wrap."""


def clean(name: str) -> str:
    """Return a name without the parts that wrappers add.

    Example:
        >>> clean("encoder._orig_mod.0._checkpoint_wrapped_module.fc")
        'encoder.0.fc'
    """
    return ".".join(part for part in name.split(".") if part not in WRAPPERS)


def unwrap(module: nn.Module) -> nn.Module:
    """Return the module inside the wrappers of compile, FSDP, DistributedDataParallel and weight averaging."""
    while True:
        children = dict(module.named_children())
        # Users' models may have a child named "module"; in DataParallel, DDP and AveragedModel it is the only child.
        only = ("module",) if type(module).__module__.startswith("torch.") and len(children) == 1 else ()
        inside = next((children[name] for name in (*WRAPPERS, *only) if name in children), None)
        if inside is None:
            return module
        module = inside


def named_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return every module under each of its names; the name of a wrapper leads to the module inside.

    Example:
        >>> list(named_layers(nn.Sequential(nn.Linear(2, 3), nn.ReLU())))
        ['', '0', '1']
    """
    return {clean(name): unwrap(module) for name, module in unwrap(model).named_modules(remove_duplicate=False)}


def first_names(layers: dict[str, nn.Module]) -> dict[str, str]:
    """Return for each name the first name of the same module, under which a shared module is measured."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(module), name) for name, module in layers.items()}


def distinct_layers(model: nn.Module) -> dict[str, nn.Module]:
    """Return every module once, under its first name: one with several names is one module, which runs as one.

    Example:
        >>> act = nn.ReLU()
        >>> list(distinct_layers(nn.Sequential(nn.Linear(2, 3), act, nn.Linear(3, 3), act)))
        ['', '0', '1', '2']
    """
    layers = named_layers(model)
    first = first_names(layers)
    return {name: module for name, module in layers.items() if first[name] == name}


def structure(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return what shows whether modules were exchanged: all of them, under all their names."""
    return list(model.named_modules(remove_duplicate=False))


def takes_hooks(module: nn.Module) -> bool:
    """Return whether hooks can be put on a module; on those of TorchScript they can't."""
    return not isinstance(module, ScriptModule)


def near(name: str, names: list[str]) -> str:
    """Return a hint for an error: the names most like the one that was not found."""
    close = get_close_matches(name, names, n=3, cutoff=0.5)
    if close:
        return f"did you mean {', '.join(map(repr, close))}?"
    shown = ", ".join(map(repr, names[:10])) or "none"
    return f"there are: {shown}{', ...' if len(names) > 10 else ''}"
