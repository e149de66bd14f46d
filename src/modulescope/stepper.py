"""Show me, step by step: the line of torch's source, the submodule, the dictionary as it grows.

:func:`step` records a real call with :mod:`modulescope.trace` and keeps the steps that tell
something. Text and HTML tell the same story. The HTML is a plain list; where scripts are allowed,
one of a few KB turns it into a stepper for mouse, keyboard and touch.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from itertools import groupby
from typing import Any

from ._html import Display, code_lines, escape
from .source import Source, count_lines, read_source, unwrap
from .trace import Entry, Recording, Step, record

# A story longer than this folds a subtree that repeats an earlier one.
_FOLD_ABOVE = 60

_VERBS = {"return": "returns", "yield": "yields", "resume": "goes on", "raise": "raises"}

# What to watch, by the name of the method that is called: the methods that do the work, and the
# local variables of theirs that are worth watching grow.
_STORIES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "state_dict": (("state_dict", "_save_to_state_dict"), ("destination",)),
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
        added: the entries that a container gained.
        values: local variable to description.
    """

    depth: int
    where: str
    function: str
    line: int
    text: str
    kind: str
    added: list[Entry] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)


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
        used: dict[int, str] = {}
        for number, row in enumerate(self.rows, 1):
            reference = ""
            if row.kind == "line":
                used[row.line] = self.sources[row.function].line(row.line).strip()
                reference = f"  [line {row.line}]"
            out.append(f"{number:{width}}  {'  ' * row.depth}{_sentence(row)}{reference}")
        if used:
            out.append("")
            out.extend(f"line {line}: {code}" for line, code in sorted(used.items()))
        return "\n".join(out)

    def to_html(self) -> str:
        index = {name: number for number, name in enumerate(self.sources)}
        rows = "".join(_row_html(row, index.get(row.function, 0)) for row in self.rows)
        code = "".join(
            _source_html(source, number, self._ran(name))
            for number, (name, source) in enumerate(self.sources.items())
        )
        return (
            f'<div class="ms-title">{escape(self.heading)}</div><div class="ms-stepper">'
            f'<details class="ms-all" open><summary>All steps</summary><ol>{rows}</ol></details>'
            f'<details class="ms-code"><summary>The source that ran</summary>{code}</details></div>'
        )

    def _ran(self, function: str) -> set[int]:
        """Return the first lines of the statements of *function* that ran."""
        return {step.line for step in self.recording.steps if step.function == function}


def _sentence(row: Row) -> str:
    if row.kind == "folded":
        entries = f", {len(row.added)} new entries" if row.added else ""
        return row.text + entries
    if row.added:
        return ", ".join(_entry_text(entry) for entry in row.added)
    return row.text


def _entry_text(entry: Entry) -> str:
    return f"+ {entry.key!r}" + (f": {entry.value}" if entry.value else "")


def _row_html(row: Row, function: int) -> str:
    added = "".join(
        f' <ins data-v="{escape(entry.variable)}">{escape(_entry_text(entry))}</ins>'
        for entry in row.added
    )
    values = ", ".join(
        f"<span>{escape(name)} = {escape(value)}</span>" for name, value in row.values.items()
    )
    values = f" <small>{values}</small>" if values else ""
    # The text of a call or a result names the submodule itself.
    place = f"<b>{escape(row.where)}</b> " if row.kind == "line" else ""
    return (
        f'<li data-d="{row.depth}" data-f="{function}" data-l="{row.line}" data-k="{row.kind}">'
        f"{place}<span>{escape(row.text)}</span>{added}{values}</li>"
    )


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


def _rows(recording: Recording, root_name: str) -> Iterator[Row]:
    for step_ in recording.steps:
        if not step_.matters:
            continue
        where = root_name if step_.path == "" else step_.path or ""
        yield Row(
            step_.depth,
            where,
            step_.function,
            step_.line,
            _text(step_, where, recording),
            step_.kind,
            step_.added,
            step_.values,
        )


def _text(step_: Step, where: str, recording: Recording) -> str:
    called = f"{where}.{step_.function.rpartition('.')[2]}"
    if step_.kind == "call":
        return called + _arguments(step_, recording.functions[step_.function])
    if step_.kind in _VERBS:
        return f"{called} {_VERBS[step_.kind]} {step_.value}".rstrip()
    if step_.skipped:
        items = ", ".join(f"{name} = {value}" for name, value in step_.loop.items())
        return f"left out: {items}"
    return f"{' and '.join(dict.fromkeys(entry.variable for entry in step_.added))} grows"


def _arguments(step_: Step, function: Any) -> str:
    """Return the arguments of a call, in parentheses, those left at their defaults left out."""
    shown = []
    for name, parameter in inspect.signature(function).parameters.items():
        is_default = step_.values.get(name) == repr(parameter.default)
        if name in step_.values and not is_default:
            shown.append(f"{name}={step_.values[name]}")
    return f"({', '.join(shown)})"


def _fold(rows: list[Row]) -> list[Row]:
    """Replace every call that repeats an earlier one, name for name below its path, by one row."""
    seen: dict[tuple[Any, ...], Row] = {}
    folded: list[Row] = []
    position = 0
    while position < len(rows):
        row = rows[position]
        end = position + 1
        while end < len(rows) and rows[end].depth > row.depth:
            end += 1
        # What a call returns stands at the depth of the call, and belongs to it.
        if end < len(rows) and rows[end].kind == "return" and rows[end].depth == row.depth:
            end += 1
        block = rows[position:end]
        if row.kind != "call" or len(block) < 3:
            folded.append(row)
            position += 1
            continue
        shape = _shape(block)
        if shape in seen:
            text = f"{row.text}: the same {len(block)} steps as {seen[shape].where}"
            added = [entry for inner in block for entry in inner.added]
            folded.append(
                Row(row.depth, row.where, row.function, row.line, text, "folded", added, row.values)
            )
            position = end
        else:
            seen[shape] = row
            folded.append(row)
            position += 1
    return folded


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
    functions = [vars(kind)[name] for kind in classes for name in names if name in vars(kind)]
    return [function for function in functions if hasattr(unwrap(function), "__code__")]


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
    names, story_track = _STORIES.get(function.__name__, ((function.__name__,), ()))
    watched = _watched(root, names) if watch is None else list(watch)
    tracked = story_track if track is None else track
    recording = record(function, *args, watch=watched, track=tracked, **kwargs)
    root_name = type(root).__name__
    rows = list(_rows(recording, root_name))
    if fold or (fold is None and len(rows) > _FOLD_ABOVE):
        rows = _fold(rows)
    sources = {name: read_source(ran) for name, ran in recording.functions.items()}
    return Stepper(f"{root_name}.{function.__name__}", recording, tuple(rows), sources)
