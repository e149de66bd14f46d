"""Show me, step by step: the line of torch's source, the submodule, the dictionary as it grows.

:func:`step` records a real call with :mod:`modulescope.trace` and keeps the steps that tell
something. Text and HTML tell the same story. The HTML is a plain list; where scripts are allowed,
one of a few KB turns it into a stepper for mouse, keyboard and touch.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib import resources
from itertools import groupby
from typing import Any

from ._html import Display, code_lines, escape
from .source import Source, count_lines, read_source, unwrap
from .trace import Entry, Recording, Step, nested, record

# A story longer than this folds a subtree that repeats an earlier one.
_FOLD_ABOVE = 60

_VERBS = {
    "return": "returns",
    "yield": "yields",
    "resume": "goes on",
    "end": "has nothing more",
    "raise": "raises",
}


@dataclass(frozen=True)
class Moment:
    """What it means that one statement of torch ran.

    Attributes:
        anchor: a piece of the first line of the statement.
        label: what happened, such as ``"copied"``.
        key: the local variable that holds the name of what it happened to.
        value: the local variable that holds the outcome, or ``""``.
    """

    anchor: str
    label: str
    key: str
    value: str = ""


@dataclass(frozen=True)
class Story:
    """How a method is told.

    Attributes:
        watch: the methods that do the work; ``"to.convert"`` is a function that ``to`` defines.
        track: local variables of theirs that are worth watching grow.
        keep: local variables that are shown with every statement.
        moments: the statements that change something without a container growing.
        decisions: whether each condition is shown with its outcome.
    """

    watch: tuple[str, ...]
    track: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    moments: tuple[Moment, ...] = ()
    decisions: bool = False


_REGISTER = Story(
    ("__setattr__", "register_parameter", "register_buffer", "add_module", "__delattr__"),
    moments=(
        Moment("self._parameters[name] = ", "put into _parameters", "name"),
        Moment("modules[name] = value", "put into _modules", "name"),
        Moment("self._modules[name] = module", "put into _modules", "name"),
        Moment("self._buffers[name] = tensor", "put into _buffers", "name"),
        Moment("_non_persistent_buffers_set.add(name)", "marked as non-persistent", "name"),
        Moment("super().__setattr__(name, value)", "put into the instance's __dict__", "name"),
        Moment("del self._parameters[name]", "taken out of _parameters", "name"),
        Moment("del self._buffers[name]", "taken out of _buffers", "name"),
        Moment("del self._modules[name]", "taken out of _modules", "name"),
        Moment("super().__delattr__(name)", "taken out of the instance's __dict__", "name"),
        Moment("del d[name]", "taken out of another dictionary", "name"),
    ),
    decisions=True,
)

_APPLY = Story(
    ("_apply",),
    keep=("key",),
    moments=(
        Moment("torch.utils.swap_tensors(param, param_applied)", "swapped", "key", "param"),
        Moment("param.data = param_applied", "same object, data set", "key", "param"),
        Moment("self._parameters[key] = out_param", "new object", "key", "out_param"),
        Moment("torch.utils.swap_tensors(param_grad, grad_applied)", "gradient swapped", "key"),
        Moment("out_param.grad.data = grad_applied", "same gradient, data set", "key"),
        Moment("out_param.grad = grad_applied", "new gradient", "key"),
        Moment("self._buffers[key] = fn(buf)", "result is now the buffer", "key"),
    ),
)


def _casting(*watch: str) -> Story:
    return replace(_APPLY, watch=(*watch, *_APPLY.watch))


def _walking(*watch: str) -> Story:
    return Story(watch, track=("memo",))


_STORIES: dict[str, Story] = {
    "state_dict": Story(("state_dict", "_save_to_state_dict"), track=("destination",)),
    "load_state_dict": Story(
        ("load_state_dict", "load_state_dict.load", "_load_from_state_dict"),
        track=("missing_keys", "unexpected_keys", "error_msgs"),
        keep=("key",),
        moments=(
            Moment("child_state_dict = {", "keys below", "child_prefix", "child_state_dict"),
            Moment("param.copy_(input_param)", "copied", "key", "input_param"),
            Moment("setattr(self, name, input_param)", "put in place", "key", "input_param"),
            Moment("torch.utils.swap_tensors(param, new_input_param)", "swapped", "key", "param"),
            Moment("self.set_extra_state(", "extra state set", "extra_state_key"),
        ),
    ),
    "_apply": _APPLY,
    "to": _casting("to", "to.convert"),
    **{
        name: _casting(name)
        for name in ("to_empty", "type", "half", "float", "double", "bfloat16", "cpu", "cuda")
    },
    "named_children": _walking("named_children"),
    "children": _walking("children", "named_children"),
    "named_modules": _walking("named_modules"),
    "modules": _walking("modules", "named_modules"),
    "_named_members": _walking("_named_members", "named_modules"),
    **{
        name: _walking(*names, "_named_members", "named_modules")
        for name, names in {
            "named_parameters": ("named_parameters",),
            "parameters": ("parameters", "named_parameters"),
            "named_buffers": ("named_buffers",),
            "buffers": ("buffers", "named_buffers"),
        }.items()
    },
    **dict.fromkeys(_REGISTER.watch, _REGISTER),
    # The function that __setattr__ defines takes the old entry out of the other tables.
    "__setattr__": replace(_REGISTER, watch=(*_REGISTER.watch, "__setattr__.remove_from")),
    "register_module": replace(_REGISTER, watch=("register_module", *_REGISTER.watch)),
    "__getattr__": Story(("__getattr__",), decisions=True),
}


@dataclass
class Row:
    """One step of the story, as it is shown.

    Attributes:
        depth: how many calls are open around it, from 0.
        where: path of the submodule; the root goes by the name of its class.
        function: qualified name of the function that ran.
        line: line number of the statement, as in the file.
        text: what happened, in a few words.
        kind: the kind of the :class:`~modulescope.trace.Step`, or ``"folded"``.
        added: the entries that a container gained, and what else happened to a name.
        values: local variable to description.
        calls: the calls that were open, outermost first, by the numbers of their rows.
        number: number of the row; the calls of other rows name it.
    """

    depth: int
    where: str
    function: str
    line: int
    text: str
    kind: str
    added: list[Entry] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    calls: tuple[int, ...] = ()
    number: int = 0


@dataclass(frozen=True, repr=False)
class Stepper(Display):
    """A recorded call, ready to be stepped through.

    Attributes:
        title: the call, as it would be typed.
        recording: everything that was recorded, every statement of it.
        rows: the steps that are shown.
        sources: qualified name to source, of the functions that ran.
    """

    title: str
    recording: Recording
    rows: tuple[Row, ...]
    sources: dict[str, Source]

    _css = resources.files(__package__).joinpath("stepper.css").read_text("utf-8")
    _script = resources.files(__package__).joinpath("stepper.js").read_text("utf-8")

    @property
    def heading(self) -> str:
        """One line that says what was recorded, on which release, in how many steps."""
        source = next(iter(self.sources.values()), None)
        package = source.name.split(".")[0] if source else ""
        release = f"{package} {source.version}, " if source and source.version else ""
        return f"{self.title}: {release}{len(self.rows)} steps"

    def to_text(self) -> str:
        width = len(str(len(self.rows)))
        out = [self.heading, ""]
        many = self._grow_many
        used: dict[int, str] = {}
        for number, row in enumerate(self.rows, 1):
            reference = ""
            if row.kind == "line":
                used[row.line] = self.sources[row.function].line(row.line).strip()
                reference = f"  [line {row.line}]"
            sentence = _sentence(row, many)
            out.append(f"{number:{width}}  {'  ' * row.depth}{sentence}{reference}")
        if used:
            out.append("")
            out.extend(f"line {line}: {code}" for line, code in sorted(used.items()))
        return "\n".join(out)

    def to_html(self) -> str:
        index = {name: number for number, name in enumerate(self.sources)}
        place = {row.number: position for position, row in enumerate(self.rows)}
        many = self._grow_many
        rows = "".join(_row_html(row, index.get(row.function, 0), place, many) for row in self.rows)
        code = "".join(
            _source_html(source, number, self._ran(name))
            for number, (name, source) in enumerate(self.sources.items())
        )
        return (
            f'<div class="ms-title">{escape(self.heading)}</div><div class="ms-stepper">'
            f'<details class="ms-all" open><summary>All steps</summary><ol>{rows}</ol></details>'
            f'<details class="ms-code"><summary>The source that ran</summary>{code}</details></div>'
        )

    @property
    def _grow_many(self) -> bool:
        """Whether the entries of the story are of more than one kind."""
        return len({entry.variable for row in self.rows for entry in row.added}) > 1

    def _ran(self, function: str) -> set[int]:
        """Return the first lines of the statements of *function* that ran."""
        return {step.line for step in self.recording.steps if step.function == function}


def _sentence(row: Row, many: bool) -> str:
    if row.kind == "folded":
        entries = f", {len(row.added)} new entries" if row.added else ""
        return row.text + entries
    if row.kind == "yield":
        items = [f"yields {_item_text(entry)}" for entry in row.added]
        return " ".join([row.text, *items])
    return ", ".join(_entry_text(entry, many) for entry in row.added) or row.text


def _entry_text(entry: Entry, many: bool) -> str:
    if not entry.grew:
        return f"{entry.variable} {_item_text(entry)}"
    return f"{entry.variable} + {_item_text(entry)}" if many else f"+ {_item_text(entry)}"


def _item_text(entry: Entry) -> str:
    return repr(entry.key) + (f": {entry.value}" if entry.value else "")


def _row_html(row: Row, function: int, place: dict[int, int], many: bool) -> str:
    added = "".join(
        f" <ins{_grown_attribute(entry)}>{escape(_entry_text(entry, many))}</ins>"
        for entry in row.added
    )
    values = ", ".join(
        f"<span>{escape(name)} = {escape(value)}</span>" for name, value in row.values.items()
    )
    values = f" <small>{values}</small>" if values else ""
    # The text of a call or a result names the submodule itself.
    where = f"<b>{escape(row.where)}</b> " if row.kind == "line" else ""
    calls = " ".join(str(place[number]) for number in row.calls if number in place)
    happened = row.kind == "line" and any(not entry.grew for entry in row.added)
    # What happened is said by the entry, label and all.
    text = "" if happened else row.text
    return (
        f'<li data-d="{row.depth}" data-f="{function}" data-l="{row.line}" data-s="{calls}">'
        f"{where}<span>{escape(text)}</span>{added}{values}</li>"
    )


def _grown_attribute(entry: Entry) -> str:
    return f' data-v="{escape(entry.variable)}"' if entry.grew else ""


def _source_html(source: Source, number: int, ran: set[int]) -> str:
    """Return the source, every line of it addressable; what never ran is folded to a count."""
    first, last = source.docstring or (0, -1)
    whole = source.statements
    open_lines = {
        line
        for start in ran
        for line in range(whole[start].first, whole[start].last + 1)
        if not first <= line <= last
    }
    highlighted = code_lines("\n".join(source.lines))
    parts: list[str] = []
    for is_open, run in groupby(source.numbers, key=open_lines.__contains__):
        lines = list(run)
        # Comments and blank lines do not run, yet a short one is no reason to fold.
        if is_open or (len(lines) <= 2 and not any(line in whole for line in lines)):
            parts.extend(
                f'<span data-l="{line}"><i>{line}</i>  {highlighted[line - source.first_line]}\n'
                "</span>"
                for line in lines
            )
        else:
            parts.append(
                f'<span class="ms-fold">... {count_lines(len(lines))} that did not run\n</span>'
            )
    return f'<pre data-f="{number}" data-n="{escape(source.name)}">{"".join(parts)}</pre>'


def _rows(
    recording: Recording, root_name: str, story: Story, sources: dict[str, Source]
) -> Iterator[Row]:
    # What a statement did is told after the calls that it made on the way.
    waiting: list[Row] = []
    for number, step_ in enumerate(recording.steps):
        while waiting and step_.depth <= waiting[-1].depth:
            row = waiting.pop()
            # A statement that raised has not done it.
            if step_.kind != "raise" or step_.calls != row.calls:
                yield row
        happened = _moment(step_, story, sources)
        is_decision = story.decisions and bool(step_.test)
        if not (step_.matters or happened or is_decision):
            continue
        where = root_name if step_.path == "" else step_.path or ""
        row = Row(
            step_.depth,
            where,
            step_.function,
            step_.line,
            _text(step_, where, recording, happened),
            step_.kind,
            [*step_.added, *([happened] if happened else [])],
            step_.values,
            step_.calls,
            number,
        )
        if happened:
            waiting.append(row)
        else:
            yield row
    yield from reversed(waiting)


def _moment(step_: Step, story: Story, sources: dict[str, Source]) -> Entry | None:
    """Return what the statement of *step_* did, if the story has a word for it."""
    if step_.kind != "line":
        return None
    code = sources[step_.function].line(step_.line)
    for moment in story.moments:
        if moment.anchor in code and moment.key in step_.values:
            name = step_.values[moment.key].strip("'\"")
            if step_.path and "." not in name:
                name = f"{step_.path}.{name}"
            return Entry(moment.label, name, step_.values.get(moment.value, ""), grew=False)
    return None


def _text(step_: Step, where: str, recording: Recording, happened: Entry | None) -> str:
    outer, _, name = step_.function.rpartition(".")
    # An override and the method of Module that it calls would else read the same.
    defined_in = outer.split(".<locals>")[-1].removeprefix(".").split(".")[0]
    called = ".".join(filter(None, [where, defined_in if defined_in != "Module" else "", name]))
    if step_.kind == "call":
        return called + _arguments(step_, recording.functions[step_.function])
    if step_.kind == "yield" and step_.added:
        return called
    if step_.kind in _VERBS:
        value = "" if step_.kind in ("resume", "end") else step_.value
        return f"{called} {_VERBS[step_.kind]} {value}".rstrip()
    if step_.skipped:
        items = ", ".join(f"{name} = {value}" for name, value in step_.loop.items())
        because = f"because {step_.reason}" if step_.reason else ""
        return f"left out: {', '.join(filter(None, (items, because)))}"
    if happened:
        return happened.variable
    if step_.added:
        return f"{' and '.join(dict.fromkeys(entry.variable for entry in step_.added))} grows"
    return f"{step_.test}: {'yes' if step_.entered else 'no'}"


def _arguments(step_: Step, function: Any) -> str:
    """Return the arguments of a call, in parentheses, those left at their defaults left out."""
    shown = []
    for name, parameter in inspect.signature(function).parameters.items():
        value = step_.values.get(name)
        if value is None or value == repr(parameter.default):
            continue
        if parameter.kind is parameter.VAR_POSITIONAL:
            shown.append(value[1:-1] if value.startswith("(") else f"*{value}")
        else:
            shown.append(f"{name}={value}")
    return f"({', '.join(shown)})"


def _fold(rows: list[Row]) -> list[Row]:
    """Replace what repeats an earlier part of the story by one row that says so."""
    is_walk = any(entry.variable == "yielded" for row in rows for entry in row.added)
    folded = _fold_turns(rows) if is_walk else _fold_calls(rows)
    # The text of a call has its arguments already, and a long story must open at once.
    return [replace(row, values={}) if row.kind == "call" else row for row in folded]


def _fold_calls(rows: list[Row]) -> list[Row]:
    """Replace every call that repeats an earlier one, name for name below its path, by one row."""
    seen: dict[tuple[Any, ...], Row] = {}
    folded: list[Row] = []
    position = 0
    while position < len(rows):
        row = rows[position]
        end = position + 1
        # What a call does itself and what it returns stand at its own depth, and belong to it.
        while end < len(rows) and (row.number in rows[end].calls):
            end += 1
        block = rows[position:end]
        if row.kind != "call" or len(block) < 2:
            folded.append(row)
            position += 1
            continue
        shape = _shape(block)
        if shape in seen:
            text = f"{row.text}: the same {len(block)} steps as {seen[shape].where}"
            folded.append(_folded_row(row, text, block))
            position = end
        else:
            seen[shape] = row
            folded.append(row)
            position += 1
    return folded


def _fold_turns(rows: list[Row]) -> list[Row]:
    """Replace every turn of a generator that runs like an earlier one by one row.

    A turn is all that happens until the caller receives the next value. Two turns are alike if the
    same statements run in them, however often.
    """
    seen: dict[frozenset[Any], str] = {}
    folded: list[Row] = []
    turn: list[Row] = []
    for row in rows:
        turn.append(row)
        received = [entry for entry in row.added if entry.variable == "yielded"]
        if not received:
            continue
        shape = frozenset((step_.kind, step_.function, step_.line) for step_ in turn)
        if shape in seen and len(turn) > 1:
            text = f"{len(turn)} steps of the same kinds as for {seen[shape]}"
            folded.append(_folded_row(turn[-1], text, turn))
        else:
            seen.setdefault(shape, received[0].key)
            folded += turn
        turn = []
    return folded + turn


def _folded_row(row: Row, text: str, block: list[Row]) -> Row:
    added = [entry for inner in block for entry in inner.added]
    return replace(row, text=text, kind="folded", added=added, values={})


def _shape(block: list[Row]) -> tuple[Any, ...]:
    """Return what two blocks must have in common to be the same but for the path they start at."""
    top = block[0].where

    def below(text: str) -> str:
        return text.removeprefix(top)

    return tuple(
        (
            row.kind,
            row.function,
            row.line,
            row.depth - block[0].depth,
            below(row.where),
            tuple((entry.variable, below(entry.key)) for entry in row.added),
        )
        for row in block
    )


def _watched(root: Any, names: Iterable[str]) -> list[Any]:
    """Return the functions of these names of every class in the tree, overridden ones too.

    One that is written in C++ cannot be recorded and is left out.
    """
    classes = dict.fromkeys(kind for module in root.modules() for kind in type(module).__mro__)
    found = []
    for kind in classes:
        for name in names:
            outer, _, inner = name.partition(".")
            function = unwrap(vars(kind).get(outer))
            code = getattr(function, "__code__", None)
            if code and not inner:
                found.append(function)
            elif code and any(getattr(const, "co_name", "") == inner for const in code.co_consts):
                found.append(nested(function, inner))
    return found


def step(
    function: Callable[..., Any],
    *args: Any,
    watch: Iterable[Callable[..., Any]] | None = None,
    track: Iterable[str] | None = None,
    fold: bool | None = None,
    **kwargs: Any,
) -> Stepper:
    """Call ``function(*args, **kwargs)`` and show how torch's own source runs it, step by step.

    Args:
        function: a method of your module, such as ``net.state_dict``.
        watch: functions whose statements are recorded; by default the ones that matter for the
            method, or the method alone.
        track: names of their local variables that hold a dictionary, list or set to watch grow.
        fold: whether a submodule that repeats an earlier one is folded to one step; by default
            when the story has more than 60 steps.

    Returns:
        A :class:`Stepper`; a notebook shows it. If the call raised, that is its last step.

    Raises:
        TypeError: *function* is not a method of a module, or is not written in Python.

    Source: the installed ``torch.nn.Module``, recorded with :func:`sys.settrace`.
    """
    root = getattr(function, "__self__", None)
    if root is None or not hasattr(root, "_modules"):
        raise TypeError(
            f"step() takes a method of your module, such as net.state_dict, not {function!r}. "
            "Give the method itself, without calling it."
        )
    story = _STORIES.get(function.__name__, Story((function.__name__,)))
    watched = _watched(root, story.watch) if watch is None else list(watch)
    tracked = story.track if track is None else track
    recording = record(function, *args, watch=watched, track=tracked, keep=story.keep, **kwargs)
    sources = {name: read_source(ran) for name, ran in recording.functions.items()}
    root_name = type(root).__name__
    rows = list(_rows(recording, root_name, story, sources))
    if fold or (fold is None and len(rows) > _FOLD_ABOVE):
        rows = _fold(rows)
    return Stepper(f"{root_name}.{function.__name__}", recording, tuple(rows), sources)
