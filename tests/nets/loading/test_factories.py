import sys

import pytest
import torch
from torch import nn

from cofire.nets.loading.factories import build_loader, build_model, is_factory

SOURCE = """
from os import system
import torch
from torch import nn
from torch.nn import ReLU

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(3, 2)

class Wide(Net):
    def __init__(self, width):
        super().__init__()

def build():
    from {name}_parts import part
    return nn.Sequential(part())

def fails():
    raise RuntimeError("no such card\\nmore")

def number():
    return 3

def batches():
    return [torch.zeros(4, 3)]

instance = Net()
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder of a user's, as the current directory; its modules are named so that no other test's are met."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    name = f"mine_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(SOURCE.format(name=name))
    (tmp_path / f"{name}_parts.py").write_text("from torch import nn\n\ndef part():\n    return nn.ReLU()\n")
    yield name
    for module in (name, f"{name}_parts"):
        sys.modules.pop(module, None)


def test_classes_and_functions_of_the_current_directory_make_models(here):
    assert isinstance(build_model(f"{here}:Net").fc, nn.Linear)
    assert isinstance(build_model(f"{here}:build")[0], nn.ReLU)


def test_a_package_may_hold_the_factory(here, tmp_path):
    (tmp_path / f"{here}_package").mkdir()
    (tmp_path / f"{here}_package" / "inner.py").write_text(
        "from torch import nn\n\ndef build():\n    return nn.ReLU()\n"
    )
    assert isinstance(build_model(f"{here}_package.inner:build"), nn.ReLU)


@pytest.mark.parametrize(
    "target",
    ["os:system", "os.path:join", "subprocess:run", "builtins:exec", "posix:abort", "code:interact", "__main__:f"],
)
def test_python_itself_is_refused_before_it_is_imported(target):
    with pytest.raises(ValueError, match="is part of Python itself"):
        build_model(target)
    with pytest.raises(ValueError, match="is part of Python itself"):
        build_loader(target)


def test_a_module_of_python_is_not_even_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "antigravity", raising=False)
    with pytest.raises(ValueError, match="is part of Python itself"):
        build_model("antigravity:fly")
    assert "antigravity" not in sys.modules


def test_what_a_module_imports_from_elsewhere_is_refused(here):
    with pytest.raises(ValueError, match="must be a function or a class"):
        build_model(f"{here}:system")
    with pytest.raises(ValueError, match=r"it comes from torch\.nn"):
        build_model(f"{here}:ReLU")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nothing", "has no 'nothing'"),
        ("instance", "must be a function or a class, got Net"),
        ("torch", "must be a function or a class, got module"),
        ("Wide", "must work without arguments: missing a required argument: 'width'"),
        ("number", "must return an nn.Module, got int"),
        ("fails", "failed: RuntimeError: no such card"),
        ("__builtins__", "two underscores"),
    ],
)
def test_what_makes_no_model_is_explained(here, name, says):
    with pytest.raises(ValueError, match=says) as refused:
        build_model(f"{here}:{name}")
    assert "\n" not in str(refused.value)


def test_a_module_that_does_not_import_is_explained(here, tmp_path):
    (tmp_path / f"{here}_broken.py").write_text("import nothing_of_this_name")
    with pytest.raises(ValueError, match=r"importing mine_.*_broken failed, ModuleNotFoundError"):
        build_model(f"{here}_broken:build")
    with pytest.raises(ValueError, match="there is no module 'nowhere_at_all'"):
        build_model("nowhere_at_all:build")


def test_installed_packages_make_models_only_where_they_say_so():
    assert isinstance(build_model("torch.nn:Flatten"), nn.Flatten)
    with pytest.raises(ValueError, match="must work without arguments"):
        build_model("torch.nn:Linear")
    for target in ("torch:get_default_device", "_pytest.config:console_main", "pip:main"):
        with pytest.raises(ValueError, match="outside of the current directory"):
            build_model(target)


def test_an_environment_in_the_current_directory_is_no_code_of_the_user(here, tmp_path, monkeypatch):
    folder = tmp_path / ".venv" / "lib" / "site-packages"
    folder.mkdir(parents=True)
    (folder / f"{here}_installed.py").write_text("def f():\n    raise SystemExit\n")
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(ValueError, match="outside of the current directory"):
        build_model(f"{here}_installed:f")


def test_loaders_come_from_the_current_directory_alone(here):
    assert torch.equal(build_loader(f"{here}:batches")[0], torch.zeros(4, 3))
    with pytest.raises(ValueError, match="outside of the current directory"):
        build_loader("torch.nn:Flatten")


@pytest.mark.parametrize(
    "text", ["net", "net:", ":build", "a b:c", "net:build()", "net:a.b", "dir/net.py:build", "C:/x"]
)
def test_what_has_not_the_form_of_a_factory(text):
    assert not is_factory(text)
    with pytest.raises(ValueError, match="does not have the form module:name"):
        build_model(text)
