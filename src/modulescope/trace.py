"""What ran, in what order, on which submodule?

:func:`record` calls a function while it watches the code of others. It writes down every statement
that they run: which submodule it ran on, what the local variables held, and what it added to the
containers that the caller names. Nothing is imitated: what runs is the installed code.
"""

import dis
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ._statements import Statement, statements

_YIELD = dis.opmap["YIELD_VALUE"]


@dataclass(frozen=True)
class Entry:
    """One entry that a container gained.

    Attributes:
        variable: the local variable that holds the container.
        key: the key in a dictionary, or the entry itself in a list or set.
        value: description of the value behind the key; ``""`` for a list or set.
    """

    variable: str
    key: str
    value: str = ""


@dataclass
class Step:
    """One thing that happened.

    Attributes:
        kind: ``"call"``, ``"line"``, ``"return"``, ``"yield"``, ``"resume"`` or ``"raise"``.
        function: qualified name of the function that ran, such as ``"Module.state_dict"``.
        line: number of the first line of the statement, as in the file; for a call, of the
            function.
        depth: how many watched calls were open around this one, from 0.
        path: path of the submodule it ran on; ``""`` is the root, ``None`` means on no submodule.
        values: for a call, its arguments; for a statement, the local variables that it names:
            name to short description, after the statement ran.
        added: what a tracked container gained, entry by entry.
        value: description of what was returned, yielded or raised.
        entered: for a statement with a body, whether the body was entered.
        skipped: the statement decided to skip the rest of a loop's turn.
        loop: for such a statement, the loop's variables with their descriptions.
    """

    kind: str
    function: str
    line: int
    depth: int
    path: str | None
    values: dict[str, str] = field(default_factory=dict)
    added: list["Entry"] = field(default_factory=list)
    value: str = ""
    entered: bool | None = None
    skipped: bool = False
    loop: dict[str, str] = field(default_factory=dict)

    @property
    def matters(self) -> bool:
        """Whether it tells something: a call, a result, a new entry, something left out."""
        if self.kind == "return":
            return self.value != "None"
        return self.kind != "line" or bool(self.added) or self.skipped


@dataclass(frozen=True)
class Recording:
    """Everything that :func:`record` saw.

    Attributes:
        steps: in the order in which they happened.
        functions: qualified name to function, for the watched functions that ran.
        result: what the call returned; of a generator, the list of what it yielded.
        error: the exception that ended the call, or ``None``.
    """

    steps: tuple[Step, ...]
    functions: Mapping[str, Any]
    result: Any
    error: Exception | None


def describe(value: Any, paths: Mapping[int, Sequence[str]] | None = None) -> str:
    """Describe *value* in a few words that are the same in every run: no address, no data.

    Args:
        value: anything; tensors give their type, shape and dtype, containers their size.
        paths: ``id(module)`` to the paths that it has in the tree, so that modules are named.
    """
    kind = type(value).__name__
    if value is None or isinstance(value, bool | int | float | str):
        text = repr(value)
        return text if len(text) <= 60 else text[:57] + "..."
    if paths and id(value) in paths:
        return f"{kind} at {paths[id(value)][0] or 'the root'}"
    if kind in ("dtype", "device", "memory_format"):
        return str(value)
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{kind} {list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, tuple) and 0 < len(value) <= 3:
        return "(" + ", ".join(describe(item, paths) for item in value) + ")"
    if isinstance(value, types.FunctionType | types.MethodType):
        return f"function {value.__name__}"
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return f"{kind} with {len(value)} " + ("entry" if len(value) == 1 else "entries")
    return kind


def module_paths(root: Any) -> dict[int, list[str]]:
    """Map ``id`` of every module below *root*, itself included, to all its paths."""
    paths: dict[int, list[str]] = {}

    def walk(module: Any, path: str, above: tuple[int, ...]) -> None:
        paths.setdefault(id(module), []).append(path)
        for name, child in getattr(module, "_modules", {}).items():
            # A module that contains itself would be walked for ever.
            if child is not None and id(child) not in above:
                walk(child, f"{path}.{name}" if path else name, (*above, id(child)))

    walk(root, "", (id(root),))
    return paths


def record(
    function: Callable[..., Any],
    *args: Any,
    watch: Iterable[Callable[..., Any]],
    track: Iterable[str] = (),
    root: Any = None,
    **kwargs: Any,
) -> Recording:
    """Call ``function(*args, **kwargs)`` and write down what the watched functions do.

    Args:
        function: what to call; what a generator function yields is consumed.
        watch: the functions whose statements are recorded, written in Python.
        track: names of local variables of theirs that hold a dictionary, list or set; an entry
            that one of these gains is written to the statement that added it.
        root: the module whose submodules are named by path; by default the object whose method
            *function* is.

    Returns:
        A :class:`Recording`. If the call raised, the error is in it and is not raised again.

    Raises:
        TypeError: something to watch is not written in Python.

    The tracer that was active before, such as a debugger's, is put back at the end.
    Source: :func:`sys.settrace`.
    """
    root = getattr(function, "__self__", None) if root is None else root
    tracer = _Tracer(list(watch), tuple(track), module_paths(root))
    result, error, before = None, None, sys.gettrace()
    sys.settrace(tracer.on_call)
    try:
        result = function(*args, **kwargs)
        if inspect.isgenerator(result):
            result = list(result)
    except Exception as raised:  # noqa: BLE001 - the error is part of what is recorded
        error = raised
    finally:
        sys.settrace(before)
    return Recording(tuple(tracer.steps), tracer.ran, result, error)


@dataclass
class _Watched:
    function: Any
    name: str
    first_line: int
    statements: dict[int, Statement]

    @classmethod
    def of(cls, function: Any) -> "_Watched":
        plain = inspect.unwrap(getattr(function, "__func__", function))
        if not hasattr(plain, "__code__"):
            raise TypeError(f"{function!r} cannot be recorded: it is not written in Python")
        lines, first_line = inspect.getsourcelines(plain)
        return cls(
            plain,
            plain.__qualname__,
            first_line,
            statements([line.rstrip("\n") for line in lines], first_line),
        )


@dataclass
class _Open:
    """A watched call that has not returned yet."""

    watched: _Watched
    depth: int
    step: Step | None = None
    statement: Statement | None = None


def _empty_packs(frame: types.FrameType) -> list[str]:
    """Return the names of ``*args`` and ``**kwargs`` that hold nothing."""
    arguments = inspect.getargvalues(frame)
    packs = [name for name in (arguments.varargs, arguments.keywords) if name]
    return [name for name in packs if not frame.f_locals[name]]


class _Tracer:
    def __init__(
        self, watch: Sequence[Any], track: tuple[str, ...], paths: dict[int, list[str]]
    ) -> None:
        self.steps: list[Step] = []
        self.ran: dict[str, Any] = {}
        self._watched = {}
        for function in watch:
            watched = _Watched.of(function)
            self._watched[watched.function.__code__] = watched
        self._track = track
        self._paths = paths
        self._stack: list[tuple[types.FrameType, _Open]] = []
        self._suspended: dict[types.FrameType, _Open] = {}
        # Containers and what they hold are kept, so that an id cannot be given to another object.
        self._seen: dict[int, tuple[Any, dict[Any, Any]]] = {}

    def on_call(self, frame: types.FrameType, event: str, arg: Any) -> Any:
        watched = self._watched.get(frame.f_code)
        if watched is None:
            return None
        self._settle()
        self.ran[watched.name] = watched.function
        resumed = self._suspended.pop(frame, None)
        current = resumed or _Open(watched, len(self._stack))
        current.depth = len(self._stack)
        self._stack.append((frame, current))
        current.step = self._add("resume" if resumed else "call", frame, current)
        self._settle()
        return self._on_event

    def _on_event(self, frame: types.FrameType, event: str, arg: Any) -> Any:
        if not self._stack or self._stack[-1][0] is not frame:
            # A generator that is thrown away is closed without having been resumed.
            return self._on_event
        current = self._stack[-1][1]
        if event == "line":
            self._on_line(frame, current)
        elif event == "exception" and not issubclass(arg[0], StopIteration | GeneratorExit):
            self._settle()
            message = textwrap.shorten(str(arg[1]), 300, placeholder=" ...")
            value = f"{arg[0].__name__}: {message}".removesuffix(": ")
            current.step = self._add("raise", frame, current, value)
        elif event == "return":
            self._on_return(frame, current, arg)
        return self._on_event

    def _on_line(self, frame: types.FrameType, current: _Open) -> None:
        statement = current.watched.statements.get(frame.f_lineno)
        if statement is None or statement is current.statement:
            return
        self._settle()
        self._decide(current, statement.first)
        current.statement = statement
        current.step = self._add("line", frame, current)

    def _on_return(self, frame: types.FrameType, current: _Open, value: Any) -> None:
        self._settle()
        self._decide(current, None)
        is_yield = frame.f_code.co_code[frame.f_lasti] == _YIELD
        raised = value is None and current.step is not None and current.step.kind == "raise"
        if not raised:
            self._add(
                "yield" if is_yield else "return", frame, current, describe(value, self._paths)
            )
        self._stack.pop()
        if is_yield:
            self._suspended[frame] = current

    def _decide(self, current: _Open, next_line: int | None) -> None:
        """Write to the statement that ran last whether its body was entered."""
        step, statement = current.step, current.statement
        if step is None or statement is None or statement.body is None or step.kind != "line":
            return
        first, last = statement.body
        step.entered = next_line is not None and first <= next_line <= last
        step.skipped = statement.skips is not None and step.entered == statement.skips
        if step.skipped:
            step.loop = {name: step.values[name] for name in statement.loop if name in step.values}

    def _add(self, kind: str, frame: types.FrameType, current: _Open, value: str = "") -> Step:
        line = current.watched.first_line
        if kind != "call" and current.statement is not None:
            line = current.statement.first
        step = Step(kind, current.watched.name, line, current.depth, self._path(frame), value=value)
        self.steps.append(step)
        return step

    def _path(self, frame: types.FrameType) -> str | None:
        paths = self._paths.get(id(frame.f_locals.get("self")), [])
        prefix = frame.f_locals.get("prefix")
        # A shared module has several paths; the prefix tells by which one it was reached.
        if isinstance(prefix, str) and prefix.removesuffix(".") in paths:
            return prefix.removesuffix(".")
        return paths[0] if paths else None

    def _settle(self) -> None:
        """Write to the innermost open step what has changed since it began."""
        if not self._stack:
            return
        frame, current = self._stack[-1]
        if current.step is None:
            return
        names: Iterable[str] = frame.f_locals
        if current.step.kind != "call" and current.statement is not None:
            names = (*current.statement.loop, *current.statement.names)
        current.step.values = {
            name: describe(frame.f_locals[name], self._paths)
            for name in names
            if name in frame.f_locals and name != "self" and name not in self._track
        }
        if current.step.kind == "call":
            for name in _empty_packs(frame):
                current.step.values.pop(name, None)
        for name in self._track:
            container = frame.f_locals.get(name)
            if isinstance(container, Mapping | list | set):
                is_argument = current.step.kind == "call" and id(container) not in self._seen
                gained = list(self._gained(name, container))
                # What the caller's own container held before was not added by the call.
                current.step.added.extend([] if is_argument else gained)

    def _gained(self, name: str, container: Any) -> Iterator[Entry]:
        _, seen = self._seen.setdefault(id(container), (container, {}))
        if len(seen) == len(container):
            return
        for item in container:
            identity = item if isinstance(item, str) else id(item)
            if identity not in seen:
                seen[identity] = item
                key = item if isinstance(item, str) else describe(item, self._paths)
                value = container[item] if isinstance(container, Mapping) else None
                yield Entry(name, key, "" if value is None else describe(value, self._paths))
