"""Read a pickle without importing, creating or calling anything that it names.

A pickle is a program for a stack machine. This machine knows its opcodes, and builds only lists, tuples, dicts, numbers
and texts. A class or function that the program names stays a name; what "calling" a name gives is for the caller's
table to say, and without an entry there it is a blank, which holds nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pickletools import genops
from struct import error as struct_error
from typing import Any, Protocol

from ...stats._base.wording import with_article

MOST_STEPS = 2_000_000
"""Opcodes that a file may have: more would take longer than ten seconds. A tensor takes about fifty."""


class Readable(Protocol):
    """What a pickle is read from: a file, a map of one, or ``io.BytesIO``."""

    def read(self, size: int, /) -> bytes:
        """Return the next bytes."""
        ...

    def readline(self) -> bytes:
        """Return the rest of the line."""
        ...


@dataclass(frozen=True)
class Global:
    """The name of a class or function, ``module.name``; never looked up."""

    path: str

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True, eq=False)
class Blank:
    """An object that was not built: it holds nothing but the name of its class."""

    path: str

    def __str__(self) -> str:
        return with_article(self.path.removeprefix("builtins."))


Calls = Mapping[str, Callable[..., Any]]
"""What to build in place of a call, by the path of what is called."""


class DamagedPickle(ValueError):
    """A pickle that ends early, holds an unknown opcode, or takes what is not there."""


def read_pickle(file: Readable, calls: Calls, persistent: Callable[[Any], Any]) -> tuple[Any, list[str]]:
    """Return the next pickle's value, and the paths of what it called that is not in the table.

    Args:
        file: read up to the end of the pickle.
        calls: what to build for which path. The functions get the arguments in the file, whatever these are.
        persistent: returns the value of what the pickle refers to outside of itself, such as a tensor's storage.

    Raises:
        DamagedPickle: if it is no pickle, or too long.

    Example:
        >>> import pickle, io, argparse
        >>> content = {"options": argparse.Namespace(rate=0.1), "epoch": 3}
        >>> value, unknown = read_pickle(io.BytesIO(pickle.dumps(content)), {}, lambda key: None)
        >>> value["options"], value["epoch"]
        (Blank(path='argparse.Namespace'), 3)
    """
    machine = _Machine(calls, persistent)
    try:
        for number, (opcode, argument, _) in enumerate(genops(file)):  # type: ignore[arg-type]  # a map of a file is one
            if number >= MOST_STEPS:
                raise DamagedPickle(f"its pickle has more than {MOST_STEPS:,} steps")
            if opcode.name == "STOP":
                return machine.stack.pop(), list(machine.unknown)
            machine.step(opcode.name, argument)
    except DamagedPickle:
        raise
    # The arguments that the file gives to its calls can be anything.
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, struct_error, MemoryError) as error:
        raise DamagedPickle("its pickle is broken") from error
    raise DamagedPickle("its pickle has no end")


# fmt: off
_PUSHED = frozenset({
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
})
# fmt: on
_MADE: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": list,
}
_NO_EFFECT = frozenset({"PROTO", "FRAME"})
_HASHED = (str, bytes, float, bool, type(None))


class _Machine:
    """The stack, and a method for each opcode that is more than a push, named after it in lower case."""

    def __init__(self, calls: Calls, persistent: Callable[[Any], Any]) -> None:
        self.stack: list[Any] = []
        self.unknown: dict[str, None] = {}
        self._calls, self._persistent = calls, persistent
        self._below: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        if name in _PUSHED:
            self.stack.append(argument)
        elif name in _MADE:
            self.stack.append(_MADE[name]())
        elif name not in _NO_EFFECT:
            # An opcode without a method here is unknown, which AttributeError says.
            getattr(self, f"on_{name.lower()}")(argument)

    def _since_mark(self) -> list[Any]:
        taken, self.stack = self.stack, self._below.pop()
        return taken

    def on_mark(self, _: Any) -> None:
        self._below.append(self.stack)
        self.stack = []

    def on_pop(self, _: Any) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self._since_mark()

    def on_pop_mark(self, _: Any) -> None:
        self._since_mark()

    def on_dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def on_put(self, place: int) -> None:
        self._memo[place] = self.stack[-1]

    on_binput = on_long_binput = on_put

    def on_memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self.stack[-1]

    def on_get(self, place: int) -> None:
        self.stack.append(self._memo[place])

    on_binget = on_long_binget = on_get

    def on_tuple(self, _: Any) -> None:
        taken = self._since_mark()
        self.stack.append(tuple(taken))

    def on_list(self, _: Any) -> None:
        taken = self._since_mark()
        self.stack.append(taken)

    on_frozenset = on_list

    def on_dict(self, _: Any) -> None:
        taken = self._since_mark()
        self.stack.append({})
        self._set_items(taken)

    def on_tuple1(self, _: Any) -> None:
        self._tuple_of(1)

    def on_tuple2(self, _: Any) -> None:
        self._tuple_of(2)

    def on_tuple3(self, _: Any) -> None:
        self._tuple_of(3)

    def _tuple_of(self, length: int) -> None:
        if len(self.stack) < length:
            raise DamagedPickle("its pickle is broken")
        self.stack[-length:] = [tuple(self.stack[-length:])]

    def on_append(self, _: Any) -> None:
        self._append([self.stack.pop()])

    def on_appends(self, _: Any) -> None:
        self._append(self._since_mark())

    on_additems = on_appends

    def _append(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], list):
            self.stack[-1].extend(items)

    def on_setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set_items([key, value])

    def on_setitems(self, _: Any) -> None:
        self._set_items(self._since_mark())

    def _set_items(self, items: list[Any]) -> None:
        if isinstance(self.stack[-1], dict):
            self.stack[-1].update(zip(map(_key, items[::2]), items[1::2], strict=True))

    def on_build(self, _: Any) -> None:
        # The state of an object: of blanks it is dropped, and a dict's attributes are no items.
        self.stack.pop()

    def on_global(self, names: str) -> None:
        self.stack.append(_global(*names.split(" ", 1)))

    def on_stack_global(self, _: Any) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        if not (isinstance(module, str) and isinstance(name, str)):
            raise DamagedPickle("its pickle is broken")
        self.stack.append(_global(module, name))

    def on_reduce(self, _: Any) -> None:
        arguments, called = self.stack.pop(), self.stack.pop()
        self._call(called, arguments)

    on_newobj = on_reduce

    def on_newobj_ex(self, _: Any) -> None:
        self.stack.pop()
        self.on_reduce(_)

    def on_inst(self, names: str) -> None:
        self._call(_global(*names.split(" ", 1)), tuple(self._since_mark()))

    def on_obj(self, _: Any) -> None:
        called, *arguments = self._since_mark()
        self._call(called, tuple(arguments))

    def on_ext1(self, code: int) -> None:
        self.stack.append(Global(f"copyreg extension {code}"))

    on_ext2 = on_ext4 = on_ext1

    def on_persid(self, key: str) -> None:
        self.stack.append(self._persistent(key))

    def on_binpersid(self, _: Any) -> None:
        self.stack.append(self._persistent(self.stack.pop()))

    def _call(self, called: Any, arguments: Any) -> None:
        path = called.path if isinstance(called, Global) else type(called).__name__
        if isinstance(called, Global) and path in self._calls and isinstance(arguments, tuple):
            self.stack.append(self._calls[path](*arguments))
            return
        # Objects of old-style and plain classes are made by a function whose first argument is the class.
        first = arguments[0] if isinstance(arguments, tuple) and arguments else None
        made = first.path if path.startswith("copy") and isinstance(first, Global) else path
        self.unknown[made] = None
        self.stack.append(Blank(made))


def _global(module: str, name: str) -> Global:
    # torch.save writes the names that Python 2 had.
    return Global(f"{module.replace('__builtin__', 'builtins').replace('copy_reg', 'copyreg')}.{name}")


def _key(value: Any) -> Any:
    """Return a key that is hashed fast: tuples within tuples can take for ever, and huge integers collide."""
    if isinstance(value, _HASHED) or (isinstance(value, int) and abs(value) < 1 << 60):
        return value
    return Blank(type(value).__name__)
