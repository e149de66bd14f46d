"""What does the installed torch really say here?

:func:`show_source` shows the source that Python itself would run, folded to the lines that matter,
with notes that hang on pieces of code text. When a new torch no longer contains such a piece, the
call fails: a note can become wrong, but it cannot become wrong in silence.
"""

import ast
import difflib
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from types import CodeType
from typing import Any

from ._html import Display, code_lines, escape
from ._statements import Statement, statements


class AnchorError(ValueError):
    """A piece of code text that a highlight or a note hangs on is not in the source."""


@dataclass(frozen=True)
class Source:
    """The source of one function.

    Attributes:
        name: dotted name, such as ``"torch.nn.modules.module.Module.state_dict"``.
        version: the release of the package it comes from, without a build suffix, or ``""``.
        first_line: number of the first line in its file, from 1.
        lines: the lines, dedented, without line ends.
        docstring: the first and last line number of the docstring, or ``None``.
    """

    name: str
    version: str
    first_line: int
    lines: tuple[str, ...]
    docstring: tuple[int, int] | None

    def line(self, number: int) -> str:
        """Return the text of line *number*, counted as in the file."""
        return self.lines[number - self.first_line]

    @property
    def numbers(self) -> range:
        return range(self.first_line, self.first_line + len(self.lines))

    @property
    def heading(self) -> str:
        """One line that says what this is: name, release, line number."""
        release = f", {self.name.split('.')[0]} {self.version}" if self.version else ""
        return f"{self.name}{release}, line {self.first_line}"

    @property
    def statements(self) -> dict[int, Statement]:
        """Line number to the statement that the line belongs to."""
        return statements(self.lines, self.first_line)


def unwrap(function: Any) -> Any:
    """Return the plain function behind a method, property, class method or decorated function."""
    if isinstance(function, property):
        function = function.fget
    function = inspect.unwrap(function)
    return getattr(function, "__func__", function)


def code_of(function: Any) -> CodeType:
    """Return the code object that runs when *function* is called.

    Raises:
        TypeError: *function* is not written in Python.
    """
    plain = unwrap(function)
    if not hasattr(plain, "__code__"):
        raise TypeError(
            f"{function!r} has no Python code to show: it is built in, written in C or C++, or "
            "not a function. Give a function or a method that is written in Python."
        )
    return plain.__code__


def read_source(function: Any) -> Source:
    """Return the source of *function* as it is installed.

    Args:
        function: a function, method, property or class method written in Python.

    Raises:
        TypeError: there is no Python code behind it.
        OSError: Python cannot find the text of the code.

    Source: :func:`inspect.getsourcelines`.
    """
    plain = unwrap(function)
    code_of(plain)
    raw, first_line = inspect.getsourcelines(plain)
    lines = tuple(textwrap.dedent("".join(raw)).splitlines())
    module = plain.__module__
    package = sys.modules.get(module.split(".")[0])
    version = str(getattr(package, "__version__", "")).split("+")[0]
    # Code typed into a notebook or a shell lives in __main__, which tells a reader nothing.
    name = plain.__qualname__ if module == "__main__" else f"{module}.{plain.__qualname__}"
    return Source(name, version, first_line, lines, _docstring_lines(lines, first_line))


def _docstring_lines(lines: Iterable[str], first_line: int) -> tuple[int, int] | None:
    node = ast.parse("\n".join(lines)).body[0]
    body = getattr(node, "body", None)
    if not isinstance(body, list) or ast.get_docstring(node, clean=False) is None:
        return None
    return body[0].lineno + first_line - 1, body[0].end_lineno + first_line - 1


def _find(source: Source, anchor: str) -> list[int]:
    """Return the numbers of the lines that contain *anchor*, the docstring left out."""
    first, last = source.docstring or (0, -1)
    return [
        number
        for number in source.numbers
        if anchor in source.line(number) and not first <= number <= last
    ]


def _require(source: Source, anchor: str) -> list[int]:
    if not anchor.strip() or "\n" in anchor:
        raise ValueError(f"an anchor is a piece of one line of code, not {anchor!r}")
    found = _find(source, anchor)
    if not found:
        stripped = [line.strip() for line in source.lines]
        close = difflib.get_close_matches(anchor, stripped, n=1, cutoff=0.4)
        hint = f" The closest line is: {close[0]}" if close else ""
        raise AnchorError(
            f"{source.heading}: no line contains {anchor!r}.{hint} "
            "Read the function as it is now, then mend the anchor and what is said about it."
        )
    return found


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _parents(source: Source, number: int) -> list[int]:
    """Return the numbers of the lines above that open the blocks around line *number*."""
    parents = []
    depth = _indent(source.line(number))
    for above in range(number - 1, source.first_line - 1, -1):
        line = source.line(above)
        if line.strip() and _indent(line) < depth and not line.strip().startswith("#"):
            parents.append(above)
            depth = _indent(line)
    return parents


@dataclass(frozen=True, repr=False)
class SourceView(Display):
    """An excerpt of a source, ready to be shown.

    Attributes:
        source: the whole function.
        shown: numbers of the lines that are open; the others are folded.
        marked: numbers of the lines to highlight.
        notes: line number to note.
    """

    source: Source
    shown: frozenset[int]
    marked: frozenset[int]
    notes: Mapping[int, str]

    _css = resources.files(__package__).joinpath("source.css").read_text("utf-8")

    def _blocks(self) -> Iterable[tuple[bool, list[int]]]:
        """Yield runs of line numbers with whether they are open."""
        run: list[int] = []
        for number in self.source.numbers:
            if run and (number in self.shown) != (run[-1] in self.shown):
                yield run[-1] in self.shown, run
                run = []
            run.append(number)
        yield run[-1] in self.shown, run

    def _fold_label(self, run: list[int]) -> str:
        if self.source.docstring and run[0] <= self.source.docstring[0] <= run[-1]:
            return f"{count_lines(len(run))}, with the docstring"
        return count_lines(len(run))

    def to_text(self) -> str:
        width = len(str(self.source.numbers[-1]))
        out = [self.source.heading, ""]
        for is_open, run in self._blocks():
            if not is_open:
                out.append(f"  {'':{width}}  ... {self._fold_label(run)}")
                continue
            for number in run:
                sign = ">" if number in self.marked else " "
                out.append(f"{sign} {number:{width}}  {self.source.line(number)}".rstrip())
                if number in self.notes:
                    indent = " " * (width + 4 + _indent(self.source.line(number)))
                    note = textwrap.wrap(self.notes[number], 84 - min(len(indent), 30))
                    out.extend(f"{indent}^ {line}" for line in note)
        return "\n".join(out)

    def to_html(self) -> str:
        parts = []
        for is_open, run in self._blocks():
            if is_open:
                parts.append(self._open_html(run))
            else:
                folded = _pre(self._line_html(number) for number in run)
                parts.append(
                    f"<details><summary>{self._fold_label(run)}</summary>{folded}</details>"
                )
        label = escape(f"Source of {self.source.name}")
        return (
            f'<div class="ms-title">{escape(self.source.heading)}</div>'
            f'<div class="ms-src ms-scroll" tabindex="0" role="group" aria-label="{label}">'
            f"{''.join(parts)}</div>"
        )

    def _open_html(self, run: list[int]) -> str:
        parts, lines = [], []
        for number in run:
            lines.append(self._line_html(number))
            if number in self.notes:
                parts.append(_pre(lines))
                parts.append(f'<div class="ms-note">{escape(self.notes[number])}</div>')
                lines = []
        return "".join(parts) + (_pre(lines) if lines else "")

    @cached_property
    def _highlighted(self) -> list[str]:
        return code_lines("\n".join(self.source.lines))

    def _line_html(self, number: int) -> str:
        text = self._highlighted[number - self.source.first_line]
        width = len(str(self.source.numbers[-1]))
        return f"<i>{number:{width}}</i>  " + (
            f"<mark>{text}</mark>" if number in self.marked else text
        )


def count_lines(lines: int) -> str:
    """Return *lines* with its noun, such as ``"1 line"``."""
    return "1 line" if lines == 1 else f"{lines} lines"


def _pre(lines: Iterable[str]) -> str:
    return "<pre>" + "\n".join(lines) + "</pre>"


def show_source(
    function: Callable[..., Any],
    highlight: str | Iterable[str] = (),
    notes: Mapping[str, str] | None = None,
    around: int = 1,
) -> SourceView:
    """Show the installed source of *function*, folded to the lines that matter.

    Args:
        function: a function, method or property written in Python, usually one of torch's own.
        highlight: pieces of code text; every line that contains one is marked.
        notes: piece of code text to note. The piece must stand in exactly one line.
        around: how many lines above and below a marked line stay open. The lines that open the
            blocks around it stay open too. With neither highlight nor notes, all but the docstring
            is open.

    Returns:
        A :class:`SourceView`; a notebook shows it.

    Raises:
        AnchorError: a piece of text is not in the source, or a note's piece is there twice.
        TypeError: there is no Python code behind *function*.

    Source: :func:`inspect.getsourcelines` of the installed package.
    """
    source = read_source(function)
    anchors = [highlight] if isinstance(highlight, str) else list(highlight)
    marked = {number for anchor in anchors for number in _require(source, anchor)}
    placed: dict[int, str] = {}
    for anchor, note in (notes or {}).items():
        found = _require(source, anchor)
        if len(found) > 1:
            raise AnchorError(
                f"{source.heading}: {anchor!r} stands in lines {', '.join(map(str, found))}. "
                "A note needs one place: give a longer piece of text."
            )
        if found[0] in placed:
            raise ValueError(f"two notes hang on line {found[0]}: write them as one")
        placed[found[0]] = note
        marked.add(found[0])
    return SourceView(source, _open_lines(source, marked, around), frozenset(marked), placed)


def _open_lines(source: Source, marked: set[int], around: int) -> frozenset[int]:
    first, last = source.docstring or (0, -1)
    if not marked:
        return frozenset(n for n in source.numbers if not first <= n <= last)
    whole = {n: range(s.first, s.last + 1) for n, s in source.statements.items()}
    shown = {source.first_line}
    for number in marked:
        lines = whole.get(number, range(number, number + 1))
        shown.update(range(lines.start - around, lines.stop + around))
        shown.update(_parents(source, number))
    shown = {n for n in shown if n in source.numbers and not first <= n <= last}
    # Half a statement reads wrong, and so does an excerpt that ends in a blank line.
    for number in list(shown):
        shown.update(whole.get(number, ()))
    shown = {n for n in shown if source.line(n).strip() or {n - 1, n + 1} <= shown}
    # Folding a single line costs the reader a click and saves nothing.
    shown.update(
        n for n in source.numbers if n - 1 in shown and n + 1 in shown and not first <= n <= last
    )
    return frozenset(shown)
