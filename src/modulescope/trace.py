"""What ran, in what order, on which submodule?

:func:`record` calls a function while it watches the code of others. It writes down every statement
that they run: which submodule it ran on, what the local variables held, and what it added to the
containers that the caller names. Nothing is imitated: what runs is the installed code.
"""

import ast
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

# Comparisons that run no code of the model, with what each says when it does not hold.
_OPPOSITE = {ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In}


@dataclass(frozen=True)
class Entry:
    """One entry that a container gained, or one thing that a generator gave to the caller.

    Attributes:
        variable: the local variable that holds the container, or ``"yielded"``.
        key: the key in a dictionary, or the entry itself in a list or set.
        value: description of the value behind the key; ``""`` for a list or set.
        grew: whether a container grew; what was yielded went into none.
    """

    variable: str
    key: str
    value: str = ""
    grew: bool = True


@dataclass
class Step:
    """One thing that happened.

    Attributes:
        kind: ``"call"``, ``"line"``, ``"return"``, ``"yield"``, ``"resume"``, ``"end"`` (of a
            generator) or ``"raise"``.
        function: qualified name of the function that ran, such as ``"Module.state_dict"``.
        line: number of the first line of the statement, as in the file; for a call, of the
            function.
        depth: how many watched calls were open around this one, from 0.
        path: path of the submodule it ran on; ``""`` is the root, ``None`` means on no submodule.
        calls: the calls that were open, outermost first, each as the position of its step.
        values: for a call, its arguments; for a statement, the local variables that it names:
            name to short description, after the statement ran.
        added: what a tracked container gained, entry by entry; for a yield of the outermost
            function, what the caller received.
        value: description of what was returned, yielded or raised.
        test: the condition, for an ``if``.
        entered: for a statement with a body, whether the body was entered.
        skipped: the statement decided to skip the rest of a loop's turn, or of a generator.
        loop: for such a statement, the loop's variables with their descriptions.
        reason: for such a statement, the part of the condition that decided, if it can be told.
        passes_on: it stands in a ``yield from``: what passes through comes from elsewhere.
    """

    kind: str
    function: str
    line: int
    depth: int
    path: str | None
    calls: tuple[int, ...] = ()
    values: dict[str, str] = field(default_factory=dict)
    added: list["Entry"] = field(default_factory=list)
    value: str = ""
    test: str = ""
    entered: bool | None = None
    skipped: bool = False
    loop: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    passes_on: bool = False

    @property
    def matters(self) -> bool:
        """Whether it tells something: a call, a result, a new entry, something left out."""
        if self.kind == "return":
            return self.value != "None"
        if self.kind in ("yield", "resume") and self.passes_on:
            return bool(self.added)
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
        return text if len(text) <= 200 else text[:197] + "..."
    if paths and id(value) in paths:
        return f"{kind} at {paths[id(value)][0] or 'the root'}"
    if kind in ("dtype", "device", "memory_format"):
        return str(value)
    if isinstance(value, type):
        return f"class {value.__name__}"
    if hasattr(value, "dtype"):
        try:
            shape = list(value.shape)
        except (RuntimeError, AttributeError, TypeError):
            # A lazy parameter has no shape yet, and says so with an error.
            return f"{kind} without a shape"
        return f"{kind} {shape} {str(value.dtype).removeprefix('torch.')}"
    if hasattr(value, "_fields") and isinstance(value, tuple):
        fields = zip(value._fields, value, strict=True)
        return f"{kind}({', '.join(f'{name}={describe(item, paths)}' for name, item in fields)})"
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
    keep: Iterable[str] = (),
    root: Any = None,
    **kwargs: Any,
) -> Recording:
    """Call ``function(*args, **kwargs)`` and write down what the watched functions do.

    Args:
        function: what to call; what a generator function yields is consumed.
        watch: the functions whose statements are recorded, written in Python.
        track: names of local variables of theirs that hold a dictionary, list or set; an entry
            that one of these gains is written to the statement that added it.
        keep: names of local variables whose values are written to every statement, also to those
            that do not name them.
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
    tracer = _Tracer(list(watch), tuple(track), tuple(keep), module_paths(root))
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


def nested(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Return the function *name* that *function* defines in its body, to be watched.

    Raises:
        ValueError: *function* defines no function of that name.
    """
    for code in function.__code__.co_consts:
        if isinstance(code, types.CodeType) and code.co_name == name:
            cells = tuple(types.CellType() for _ in code.co_freevars)
            return types.FunctionType(code, function.__globals__, name, None, cells)
    raise ValueError(f"{function.__qualname__} defines no function {name!r}")


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
    """A watched call that has not returned yet.

    Attributes:
        number: position of the step of the call.
        owner: name of the argument that is the submodule it runs on, or ``""``.
        path: the path of that submodule, or of the one that the call around it runs on.
    """

    watched: _Watched
    depth: int
    number: int
    owner: str
    path: str | None
    step: Step | None = None
    statement: Statement | None = None


def _arguments(frame: types.FrameType) -> list[str]:
    """Return the names of the arguments, ``*args`` and ``**kwargs`` that hold nothing left out."""
    arguments = inspect.getargvalues(frame)
    packs = [name for name in (arguments.varargs, arguments.keywords) if name]
    return [*arguments.args, *(name for name in packs if frame.f_locals[name])]


def _reason(test: ast.expr | None, frame: types.FrameType, entered: bool) -> str:
    """Return the part of *test* that decided, or ``""`` if that cannot be told without a call.

    A part that compares with ``None`` is not returned: the values beside it say so already.
    """
    parts = test.values if isinstance(test, ast.BoolOp) else [test]
    for part in parts:
        if not isinstance(part, ast.Compare) or type(part.ops[0]) not in _OPPOSITE:
            return ""
        try:
            left, right = (_look_up(side, frame) for side in (part.left, part.comparators[0]))
        except LookupError:
            return ""
        holds = left is right if isinstance(part.ops[0], ast.Is | ast.IsNot) else left in right
        holds ^= isinstance(part.ops[0], ast.IsNot | ast.NotIn)
        if holds == entered and right is None:
            return ""
        if holds == entered:
            said = part.ops[0] if holds else _OPPOSITE[type(part.ops[0])]()
            return ast.unparse(ast.Compare(part.left, [said], part.comparators))
    return ""


def _look_up(node: ast.expr, frame: types.FrameType) -> Any:
    """Return the value of a constant, a local variable or an instance attribute of one.

    Raises:
        LookupError: *node* is something else, or has no value.
    """
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return frame.f_locals[name]
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            return vars(frame.f_locals[name])[attribute]
    raise LookupError


class _Tracer:
    def __init__(
        self,
        watch: Sequence[Any],
        track: tuple[str, ...],
        keep: tuple[str, ...],
        paths: dict[int, list[str]],
    ) -> None:
        self.steps: list[Step] = []
        self.ran: dict[str, Any] = {}
        self._watched = {}
        for function in watch:
            watched = _Watched.of(function)
            self._watched[watched.function.__code__] = watched
        self._track = track
        self._keep = keep
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
        current = resumed or self._open(frame, watched)
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
        self._decide(frame, current, statement.first)
        current.statement = statement
        current.step = self._add("line", frame, current)

    def _on_return(self, frame: types.FrameType, current: _Open, value: Any) -> None:
        self._settle()
        self._decide(frame, current, None)
        is_yield = frame.f_code.co_code[frame.f_lasti] == _YIELD
        raised = value is None and current.step is not None and current.step.kind == "raise"
        if not raised:
            is_generator = bool(frame.f_code.co_flags & inspect.CO_GENERATOR)
            kind = "yield" if is_yield else "end" if is_generator else "return"
            self._add(kind, frame, current, describe(value, self._paths))
        if is_yield and current.depth == 0:
            self._deliver(value)
        self._stack.pop()
        if is_yield:
            self._suspended[frame] = current

    def _deliver(self, value: Any) -> None:
        """Write what the caller receives to the step in which it came up."""
        origin = next(s for s in reversed(self.steps) if s.kind == "yield" and not s.passes_on)
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
            entry = Entry("yielded", value[0], describe(value[1], self._paths), grew=False)
        else:
            entry = Entry("yielded", describe(value, self._paths), grew=False)
        origin.added.append(entry)

    def _decide(self, frame: types.FrameType, current: _Open, next_line: int | None) -> None:
        """Write to the statement that ran last whether its body was entered."""
        step, statement = current.step, current.statement
        if step is None or statement is None or statement.body is None or step.kind != "line":
            return
        first, last = statement.body
        step.entered = next_line is not None and first <= next_line <= last
        step.skipped = statement.skips is not None and step.entered == statement.skips
        if step.skipped:
            step.loop = {name: step.values[name] for name in statement.loop if name in step.values}
            step.reason = _reason(statement.test, frame, step.entered)

    def _open(self, frame: types.FrameType, watched: _Watched) -> _Open:
        code = frame.f_code
        owner = code.co_varnames[0] if code.co_argcount else ""
        path = self._path(frame, owner)
        if path is None:
            around = self._stack[-1][1].path if self._stack else None
            return _Open(watched, len(self._stack), len(self.steps), "", around)
        return _Open(watched, len(self._stack), len(self.steps), owner, path)

    def _add(self, kind: str, frame: types.FrameType, current: _Open, value: str = "") -> Step:
        line, statement = current.watched.first_line, current.statement
        if kind != "call" and statement is not None:
            line = statement.first
        calls = tuple(opened.number for _, opened in self._stack)
        step = Step(
            kind, current.watched.name, line, current.depth, current.path, calls, value=value
        )
        if kind != "call" and statement is not None:
            step.passes_on = statement.delegates
            if kind == "line":
                step.test = statement.condition
        self.steps.append(step)
        return step

    def _path(self, frame: types.FrameType, owner: str) -> str | None:
        paths = self._paths.get(id(frame.f_locals.get(owner)), [])
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
        names: Iterable[str] = _arguments(frame)
        if current.step.kind != "call" and current.statement is not None:
            names = (*current.statement.loop, *current.statement.names, *self._keep)
        current.step.values = {
            name: describe(frame.f_locals[name], self._paths)
            for name in names
            if name in frame.f_locals
            and name not in ("self", current.owner)
            and name not in self._track
        }
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
