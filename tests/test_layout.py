"""The layout of the source tree: no import circle, small folders, and no file name twice in a package."""

import ast
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
LARGEST_FOLDER = 20


def module_name(path: Path, src: Path) -> str:
    return ".".join(path.relative_to(src).with_suffix("").parts).removesuffix(".__init__")


def for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def nodes_that_run(tree: ast.AST) -> list[ast.AST]:
    """Every node of a file, those inside functions too, but not what only type checkers read."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        found.append(node)
        children = node.orelse if for_types_only(node) else ast.iter_child_nodes(node)
        waiting.extend(children)
    return found


def modules_named(node: ast.AST, package: str) -> list[tuple[str, list[str]]]:
    """The (module, names) pairs that a node imports, ``import_module("...")`` included."""
    match node:
        case ast.Import(names=names):
            return [(one.name, []) for one in names]
        case ast.ImportFrom(module=module, names=names, level=level):
            base = package.split(".")[: len(package.split(".")) - level + 1] if level else []
            return [(".".join([*base, *([module] if module else [])]), [one.name for one in names])]
        case ast.Call(func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"), args=[name, *_]):
            text = ast.literal_eval(name) if isinstance(name, ast.Constant) else ""
            return [(package + text if text.startswith(".") else text, [])]
    return []


def imports_of(src: Path) -> dict[str, set[str]]:
    """For each module below ``src`` the modules that it imports, at the top or inside functions."""
    paths = {module_name(path, src): path for path in src.rglob("*.py")}
    graph = {}
    for name, path in paths.items():
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        imported = set()
        for node in nodes_that_run(ast.parse(path.read_text())):
            for module, names in modules_named(node, package):
                submodules = {f"{module}.{one}" for one in names} & paths.keys()
                imported |= submodules or ({module} & paths.keys())
        graph[name] = imported - {name}
    return graph


def test_no_imports_go_in_a_circle():
    graph = imports_of(SRC)
    assert len(graph) > 200
    TopologicalSorter(graph).prepare()  # raises CycleError, with the circle


def test_a_planted_circle_is_found(tmp_path):
    (tmp_path / "pkg" / "sub").mkdir(parents=True)
    files = {
        "pkg/__init__.py": "",
        "pkg/a.py": "def f():\n    from .sub.b import g\n    return g\n",
        "pkg/sub/__init__.py": "",
        "pkg/sub/b.py": "from importlib import import_module\ndef g():\n    return import_module('pkg.c')\n",
        "pkg/c.py": "from . import a\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    graph = imports_of(tmp_path)
    assert graph["pkg.a"] == {"pkg.sub.b"} and graph["pkg.sub.b"] == {"pkg.c"} and graph["pkg.c"] == {"pkg.a"}
    with pytest.raises(CycleError):
        TopologicalSorter(graph).prepare()
    (tmp_path / "pkg/c.py").write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import a\n")
    TopologicalSorter(imports_of(tmp_path)).prepare()


def test_folders_are_small():
    folders = Counter(path.parent.relative_to(SRC) for path in SRC.rglob("*.py"))
    assert {str(folder): n for folder, n in folders.items() if n > LARGEST_FOLDER} == {}


def test_no_file_name_stands_twice():
    names = Counter(path.name for path in SRC.rglob("*.py") if path.name != "__init__.py")
    assert [name for name, n in names.items() if n > 1] == []


def test_every_folder_says_what_it_holds():
    for path in SRC.rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path
        assert (path.parent / "__init__.py").exists(), path


def private_torch_names(tree: ast.AST) -> set[str]:
    """Names of torch that begin with an underscore, imported or reached through ``torch``."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "torch":
            parts = {*node.module.split("."), *(one.name for one in node.names)}
            found |= {one for one in parts if one.startswith("_")}
        elif isinstance(node, ast.Attribute):
            private = node.attr.startswith("_") and not node.attr.startswith("__")
            base = node.value
            while isinstance(base, ast.Attribute):
                base = base.value
            of_torch = isinstance(base, ast.Name) and base.id == "torch"
            if private and (of_torch or node.attr in {"_version", "_forward_hooks", "_cdata"}):
                found.add(node.attr)
    return found


def test_private_names_of_torch_are_used_in_one_file_a_floor():
    using = {path for path in SRC.rglob("*.py") if private_torch_names(ast.parse(path.read_text()))}
    assert {path.name for path in using} <= {"torch_private.py"}
    assert all(len(path.relative_to(SRC).parts) <= 4 for path in using)


def test_a_planted_private_name_is_found():
    for code in ("from torch._C import x", "from torch import _dynamo", "torch._dynamo.disable()", "x._version"):
        assert private_torch_names(ast.parse(code)), code
    assert not private_torch_names(ast.parse("from torch import nn\nself._base = torch.nn.Linear\ntorch.__version__"))
