"""One description, two renderings: the base of every object that the package displays.

A display object gives the same story twice. ``__repr__`` is plain text; it is complete and
deterministic, because the book's verification compares it. ``_repr_html_`` is HTML in the light
DOM that reads well when a front end strips scripts and styles.

Everything that ends up in HTML is escaped here and nowhere else.
"""

import html
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from importlib import resources

from pygments import lex
from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Operator, String

# Each output carries its own copy: some front ends isolate outputs from one another.
_BASE_CSS = resources.files(__package__).joinpath("base.css").read_text("utf-8")

_CODE_CLASSES = ((Keyword, "k"), (Operator.Word, "k"), (String, "s"), (Comment, "c"))


def escape(value: object) -> str:
    """Return ``str(value)`` with every character that HTML gives a meaning to replaced."""
    return html.escape(str(value), quote=True)


def code(value: object) -> str:
    """Return *value*, escaped, in a ``<code>`` element."""
    return f"<code>{escape(value)}</code>"


def code_lines(text: str) -> list[str]:
    """Return Python source as HTML, a string a line, with keywords, strings and comments classed.

    The classes are ``k``, ``s`` and ``c``; the text reads the same without them.
    """
    parts: list[str] = []
    for token, value in lex(text, PythonLexer(stripnl=False, ensurenl=False)):
        css_class = next((name for kind, name in _CODE_CLASSES if token in kind), "")
        pieces = [
            f'<span class="{css_class}">{escape(piece)}</span>'
            if css_class and piece.strip()
            else escape(piece)
            for piece in value.split("\n")
        ]
        parts.append("\n".join(pieces))
    return "".join(parts).split("\n")


def table_html(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    label: str,
    row_classes: Sequence[str] | None = None,
) -> str:
    """Return a scrollable table; *rows* hold cells that are HTML already.

    The region can be reached by keyboard, because a wide table scrolls sideways on a phone.
    """
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = []
    for index, row in enumerate(rows):
        css_class = row_classes[index] if row_classes else ""
        attribute = f' class="{escape(css_class)}"' if css_class else ""
        body.append(f"<tr{attribute}>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>")
    return (
        f'<div class="ms-scroll" tabindex="0" role="group" aria-label="{escape(label)}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def table_text(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return the rows as columns of plain text under their headings, no trailing spaces."""
    cells = [list(headings), *[[str(cell) for cell in row] for row in rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


class Display(ABC):
    """Base class of everything that a notebook shows: text for all, HTML where it can be."""

    _css = ""
    _script = ""

    @abstractmethod
    def to_text(self) -> str:
        """Return the whole story as plain text, the same on every machine."""

    @abstractmethod
    def to_html(self) -> str:
        """Return the story as an HTML fragment that needs neither style nor script."""

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        style = "".join(line.strip() for line in (_BASE_CSS + self._css).splitlines())
        lines = [line.strip() for line in self._script.splitlines()]
        script = "<script>{}</script>".format("\n".join(lines)) if lines else ""
        return f'<div class="modulescope"><style>{style}</style>{self.to_html()}{script}</div>'
