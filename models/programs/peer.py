"""Two processes that call each other and exchange data: a program, and the tests that judge it.

The tests never share a process with the program, so what a program does to its own interpreter changes no
verdict. Each side runs this file, and nothing else of this package, inside its sandbox (``cpython``). What
crosses is JSON: data by value and of exact types, everything else as a stand-in that asks its owner. Data is
rebuilt from a fixed list of types, so no message runs code of the other side. The tests give away little
(``_guarded``): what they define, and no attribute that begins with an underscore.

An operator between an object of the program and data never gives data, and such an object equals data only
if it is made of that (a named tuple, an int of its own class). Otherwise an object that equals anything would
pass.
"""

from __future__ import annotations

import _thread
import builtins
import collections
import io
import json
import operator
import os
import sys
import types
from collections.abc import Callable, Iterable, Mapping

TYPE_CHECKING = False
if TYPE_CHECKING:  # each module that is imported here costs a program milliseconds
    from typing import Any

GONE = 3
"""Exit code of the tests' process where the program's has ended."""
_PRINTED = 1 << 20
"""Characters that a program may print in one call."""

_COMPARED = ("__lt__", "__le__", "__gt__", "__ge__", "__eq__", "__ne__")
_COMPUTED = "add sub mul matmul truediv floordiv mod pow lshift rshift and or xor".split(" ")  # noqa: SIM905


def _module(name: str) -> Any:
    """A module that few programs need."""
    return __import__(name)


def _swapped(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda each, other: function(other, each)


_WITH_ANOTHER: dict[str, Callable[..., Any]] = {
    **{name: getattr(operator, name) for name in _COMPARED},
    **{f"__{name}__": getattr(operator, f"__{name}__") for name in _COMPUTED},
    **{f"__i{name}__": getattr(operator, f"__i{name}__") for name in _COMPUTED},
    **{f"__r{name}__": _swapped(getattr(operator, f"__{name}__")) for name in _COMPUTED},
    "__divmod__": divmod,
    "__rdivmod__": _swapped(divmod),
}
_AS_NUMBER: dict[str, Callable[..., Any]] = {
    **{name: getattr(operator, name) for name in ("__abs__", "__neg__", "__pos__", "__index__")},
    "__round__": round,
    "__float__": float,
    "__int__": int,
    "__trunc__": int,
    "__complex__": complex,
}
_OPERATIONS: dict[str, Callable[..., Any]] = {
    **_WITH_ANOTHER,
    **_AS_NUMBER,
    **{
        name: getattr(operator, name)
        for name in ("__getitem__", "__setitem__", "__delitem__", "__contains__")
    },
    "__invert__": operator.invert,
    "__bool__": bool,
    "__len__": len,
    "__hash__": hash,
    "__iter__": iter,
    "__next__": next,
    "__reversed__": reversed,
    "__repr__": repr,
    "__str__": str,
    "__format__": format,
    "__call__": lambda each, *given: each(*given),
    "__enter__": lambda each: type(each).__enter__(each),
    "__exit__": lambda each, *_: type(each).__exit__(each, None, None, None),
    "__copy__": lambda each: _module("copy").copy(each),
    "__deepcopy__": lambda each, memo: _module("copy").deepcopy(each),
    "__instancecheck__": lambda kind, each: isinstance(each, kind),
    "__subclasscheck__": lambda kind, each: issubclass(each, kind),
}
"""Operations that a stand-in forwards, by the method that Python calls."""
_ALWAYS = ("__eq__", "__ne__", "__hash__", "__repr__", "__str__", "__format__", "__copy__", "__deepcopy__")

_VALUES: dict[str, Callable[[Any], list[Any]]] = {
    "builtins.complex": lambda each: [each.real, each.imag],
    "builtins.bytes": lambda each: [list(each)],
    "builtins.bytearray": lambda each: [list(each)],
    "builtins.range": lambda each: [each.start, each.stop, each.step],
    "decimal.Decimal": lambda each: [str(each)],
    "fractions.Fraction": lambda each: [each.numerator, each.denominator],
    "datetime.date": lambda each: [each.isoformat()],
    "datetime.datetime": lambda each: [each.isoformat()],
    "datetime.time": lambda each: [each.isoformat()],
    "datetime.timedelta": lambda each: [each.days, each.seconds, each.microseconds],
}
"""Arguments that build a value of a class, each plain."""
_COLLECTIONS: tuple[type, ...] = (list, tuple, set, frozenset, collections.deque)
_MAPPINGS: tuple[type, ...] = (dict, collections.Counter, collections.OrderedDict, collections.defaultdict)
_DATA: dict[str, Any] = {kind.__name__: kind for kind in (*_COLLECTIONS, *_MAPPINGS)}
_BASES: dict[type, Callable[[Any], Any]] = {
    int: int.__int__,
    float: float.__float__,
    str: str.__str__,
    bytes: bytes,
    list: list,
    tuple: tuple,
    dict: dict,
    set: set,
    frozenset: frozenset,
}
"""The data that an object is whose class builds on one of these."""
_VIEWS: tuple[type, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType)
_HARMLESS = (*_BASES, bool, complex, bytearray, object)
"""Builtins that the program may hand to its tests."""


class Remote:
    """Stands for an object of the other side; a subclass stands for each of its classes.

    Attributes:
        peer: Who asks for it.
        handle: Its number on the other side.
        base: Data that it is, in a list; empty where its class builds on no type of data.
        is_derived: True for the result of an operator with plain data.
    """

    __slots__ = ("base", "handle", "is_derived", "peer")
    peer: Peer
    handle: int
    base: list[Any]
    is_derived: bool

    def __getattr__(self, name: str) -> Any:
        return self.peer.ask("getattr", self, name)

    def __setattr__(self, name: str, value: object) -> None:
        self.peer.ask("setattr", self, name, value)


class Peer:
    """One side.

    Args:
        reading: File descriptor of what the other side says.
        writing: File descriptor of what it is told.
        guarded: True for the side of the tests.
        names: The names of the program, on its side.
    """

    def __init__(
        self, reading: int, writing: int, *, guarded: bool, names: Mapping[str, object] | None = None
    ) -> None:
        self._reading = os.fdopen(reading, "rb")
        self._writing = os.fdopen(writing, "wb")
        self._guarded = guarded
        self._names = names or {}
        self._given: dict[int, object] = {}
        self._stand_ins: dict[int, Remote] = {}
        self._kinds: dict[int, type[Remote]] = {}
        self._errors: dict[tuple[str, ...], type[BaseException]] = {}
        self._turn = _thread.RLock()

    def ask(self, name: str, *operands: object) -> Any:
        """Have the other side do something; what it raises is raised."""
        with self._turn:
            self._send("do", name, [self._encode(each) for each in operands])
            while (message := self._receive())[0] == "do":
                self._serve(message[1], message[2])
            what, result, changed = message
        if what == "raised":
            names, arguments = result
            raise self._error(tuple(names), [self._decode(each) for each in arguments])
        for place, value in changed:
            _restore(_mutable(operands)[place], self._decode(value))
        return self._decode(result)

    def serve(self) -> None:
        """Do what the other side asks for, until it ends."""
        while True:
            _, name, operands = self._receive()
            self._serve(name, operands)

    def _serve(self, name: str, encoded: list[Any]) -> None:
        try:
            operands = [self._decode(each) for each in encoded]
            before = [self._encode(each) for each in _mutable(operands)]
            result = self._encode(self._do(name, *operands))
            after = [self._encode(each) for each in _mutable(operands)]
            pairs = enumerate(zip(before, after, strict=True))
            self._send("value", result, [[place, new] for place, (old, new) in pairs if old != new])
        except BaseException as error:
            names = [kind.__name__ for kind in type(error).__mro__[:-1]]
            try:
                arguments = [self._encode(each) for each in error.args]
            except Exception:
                arguments = [str(error)]
            self._send("raised", [names, arguments], [])

    def _do(self, name: str, *operands: Any) -> Any:
        if self._guarded and self._given.get(id(operands[0])) is not operands[0]:
            raise TypeError("the tests have not given this")
        match name, operands:
            case "name", (asked,):
                if asked not in self._names:
                    raise NameError(f"name {asked!r} is not defined")
                return self._names[asked]
            case "call", (function, arguments, named):
                return function(*arguments, **named)
            case "getattr", (each, attribute):
                if self._guarded and attribute.startswith("_"):
                    raise AttributeError(attribute)
                return getattr(each, attribute)
            case "setattr", (each, attribute, value) if not self._guarded:
                return setattr(each, attribute, value)
            case "run", (coroutine,):
                return _module("asyncio").run(coroutine)
        return _OPERATIONS[name](*operands)

    def _send(self, *message: object) -> None:
        printed = "" if self._guarded else _taken()
        try:
            self._writing.write(json.dumps([printed, *message]).encode() + b"\n")
            self._writing.flush()
        except BrokenPipeError:
            _end()

    def _receive(self) -> Any:
        line = self._reading.readline()
        if not line.endswith(b"\n"):
            _end()
        printed, *message = json.loads(line)
        if self._guarded:
            sys.stdout.write(str(printed))
        return message

    def _encode(self, value: Any) -> Any:
        """A value as JSON: what is no plain text, truth or small number is a list that begins with a word."""
        kind = type(value)
        if kind in (types.NoneType, bool, str, float) or (kind is int and -(1 << 53) < value < 1 << 53):
            return value
        if kind is int:
            return ["int", hex(value)]
        if kind in _COLLECTIONS:
            return [kind.__name__, [self._encode(each) for each in value]]
        if kind in _MAPPINGS:
            return [kind.__name__, [[self._encode(key), self._encode(each)] for key, each in value.items()]]
        if (name := f"{kind.__module__}.{kind.__name__}") in _VALUES:
            return [name, _VALUES[name](value)]
        if isinstance(value, Remote):
            return ["yours", value.handle]
        if isinstance(value, type) and issubclass(value, BaseException):
            return ["error", [each.__name__ for each in value.__mro__[:-1]]]
        if kind in (type, types.BuiltinFunctionType):
            name = value.__name__
            if getattr(builtins, name, None) is value:
                return ["builtin", name]
        return self._give(value)

    def _give(self, value: Any) -> list[Any]:
        """A stand-in for a value that is no data."""
        kind = type(value)
        if self._guarded:
            if kind in _VIEWS or hasattr(kind, "__next__"):
                return ["list" if kind in _VIEWS else "iterator", [self._encode(each) for each in value]]
            if kind not in _FUNCTIONS and "tests" not in (kind.__module__, getattr(value, "__module__", "")):
                raise TypeError(f"a test gives the program an object of the class {kind.__name__}")
        self._given[id(value)] = value
        if kind is types.CoroutineType:
            return ["coroutine", id(value)]
        own = [
            name
            for name in _OPERATIONS
            if getattr(kind, name, None) is not None
            and getattr(kind, name) is not getattr(object, name, None)
        ]
        base = [self._encode(data(value)) for each, data in _BASES.items() if isinstance(value, each)]
        return ["object", id(value), id(kind), kind.__name__, own, base]

    def _decode(self, value: Any) -> Any:
        match value:
            case None | bool() | str() | int() | float():
                return value
            case ["int", text]:
                return int(text, 16)
            case ["yours", handle]:
                return self._given[handle]
            case ["builtin", name]:
                return self._builtin(name)
            case ["error", names]:
                return self._error_class(tuple(names))
            case ["iterator", values]:
                return iter([self._decode(each) for each in values])
            case ["coroutine", handle]:
                return self._awaited(self._stand_in(handle, 0, "coroutine", [], []))
            case ["object", handle, kind, name, own, base]:
                return self._stand_in(handle, kind, name, own, [self._decode(each) for each in base])
            case [name, items] if name in _VALUES:
                module, _, kind = name.partition(".")
                build = getattr(_module(module), kind)
                return getattr(build, "fromisoformat", build)(*items)
            case [name, items]:
                return self._collection(_DATA[name], items)
        raise ValueError("a message that is none")

    def _collection(self, kind: Any, items: list[Any]) -> Any:
        if kind in _COLLECTIONS:
            return kind([self._decode(each) for each in items])
        pairs = {self._decode(key): self._decode(each) for key, each in items}
        return collections.defaultdict(None, pairs) if kind is collections.defaultdict else kind(pairs)

    def _builtin(self, name: str) -> Any:
        found = getattr(builtins, name)
        if self._guarded and found not in _HARMLESS:
            raise TypeError(f"the program gives the tests {name}")
        return found

    def _stand_in(self, handle: int, kind: int, name: str, own: list[str], base: list[Any]) -> Remote:
        if handle in self._stand_ins:
            return self._stand_ins[handle]
        if kind not in self._kinds:
            methods = {each: _forward(each) for each in (*own, *_ALWAYS) if each in _OPERATIONS}
            self._kinds[kind] = type(str(name), (Remote,), {**methods, "__slots__": ()})
        stand_in = self._kinds[kind]()
        for attribute, value in (("peer", self), ("handle", handle), ("base", base), ("is_derived", False)):
            object.__setattr__(stand_in, attribute, value)
        return self._stand_ins.setdefault(handle, stand_in)

    async def _awaited(self, coroutine: Remote) -> Any:
        return self.ask("run", coroutine)

    def _error_class(self, names: tuple[str, ...]) -> type[BaseException]:
        """The class of an error by the names of it and its bases; one that is not built in is made."""
        known = getattr(builtins, names[0], None) if names else Exception
        if isinstance(known, type) and issubclass(known, BaseException):
            return known
        if names not in self._errors:
            self._errors[names] = type(names[0], (self._error_class(names[1:]),), {})
        return self._errors[names]

    def _error(self, names: tuple[str, ...], arguments: list[Any]) -> BaseException:
        try:
            return self._error_class(names)(*arguments)
        except TypeError:
            return Exception(*arguments)


def _forward(name: str) -> Callable[..., Any]:
    """The method of a stand-in that has the other side do an operation."""

    def asked(self: Remote, *operands: Any, **named: Any) -> Any:
        if name == "__call__":
            return self.peer.ask("call", self, operands, named)
        if self.is_derived and name in _AS_NUMBER:
            raise TypeError("an object of the program is compared with data")
        return self.peer.ask(name, self, *operands)

    def operated(self: Remote, other: Any, *more: Any) -> Any:
        if isinstance(other, Remote):
            return self.peer.ask(name, self, other, *more)
        if self.base:
            return _OPERATIONS[name](self.base[0], other, *more)
        if name in ("__eq__", "__ne__"):
            return name == "__ne__"
        result = self.peer.ask(name, self, other, *more)
        if not isinstance(result, Remote):
            raise TypeError("an object of the program is compared with data")
        object.__setattr__(result, "is_derived", True)
        return result

    return operated if name in _WITH_ANOTHER else asked


def _mutable(operands: Iterable[Any]) -> list[Any]:
    """Collections among the arguments of a call, which it may change."""
    match [*operands]:
        case [_, arguments, dict(named)] if isinstance(arguments, list | tuple):
            kinds = (list, dict, set, bytearray, collections.deque)
            return [each for each in (*arguments, *named.values()) if isinstance(each, kinds)]
    return []


def _restore(value: Any, changed: Any) -> None:
    """Make a collection equal to what a call left of it."""
    value.clear()
    (value.extend if hasattr(value, "extend") else value.update)(changed)


def _taken() -> str:
    """Text that was printed since the last message."""
    try:
        sys.stdout.flush()
        raw: Any = sys.stdout.buffer
        text = raw.getvalue().decode("utf-8", "replace")
        raw.seek(0)
        raw.truncate()
    except Exception:  # the program has put something else there
        return ""
    return text[:_PRINTED] if isinstance(text, str) else ""


def _end() -> None:
    """End this process: the other side is no more."""
    sys.stdout.flush()
    os._exit(GONE)


def serve(program: str, reading: int, writing: int) -> None:
    """Run a program, then do what its tests ask for."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"] = module
    sys.stdout = io.TextIOWrapper(io.BytesIO(), "utf-8", "surrogateescape")
    peer = Peer(reading, writing, guarded=False, names=vars(module))
    exec(compile(program, "program.py", "exec", dont_inherit=True), vars(module))
    peer.serve()


def judge(tests: str, reading: int, writing: int, reporting: int) -> None:
    """Run tests, which ask for names of the program and report verdicts."""
    peer = Peer(reading, writing, guarded=True)
    reports = os.fdopen(reporting, "w", encoding="ascii")

    def report(outcome: str, detail: str) -> None:
        print(json.dumps([outcome, detail]), file=reports, flush=True)

    names = {"__name__": "tests", "report_adascale": report}
    names["program_adascale"] = lambda name: peer.ask("name", name)
    exec(compile(tests, "tests.py", "exec", dont_inherit=True), names)
