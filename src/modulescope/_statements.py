"""Which statement does a line belong to? Shared by the excerpts and by the recorder."""

import ast
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    """One statement of a function.

    A simple statement counts whole, however many lines it is written on. Of a statement with a
    body (``if``, ``for``, ``def`` ...) only the header counts, so that its body stays apart.

    Attributes:
        first: number of its first line, from 1.
        last: number of its last line, inclusive.
        names: the variables that it names, in order.
        body: first and last line of the body, or ``None``.
        skips: an ``if`` that decides whether the rest of a loop's turn, or of a generator, runs at
            all. ``True`` when entering the body skips it (``continue``), ``False`` when not
            entering it does, ``None`` when it is no such ``if``.
        loop: for such an ``if`` in a loop, the names of the loop's variables.
        test: the condition of an ``if``, else ``None``.
        condition: the same as text on one line, else ``""``.
        delegates: whether it is a ``yield from``: what passes through it comes from elsewhere.
    """

    first: int
    last: int
    names: tuple[str, ...]
    body: tuple[int, int] | None
    skips: bool | None
    loop: tuple[str, ...] = ()
    test: ast.expr | None = None
    condition: str = ""
    delegates: bool = False


def statements(lines: Sequence[str], first_line: int) -> dict[int, Statement]:
    """Map every code line to its statement.

    Args:
        lines: source lines; common indentation is removed first.
        first_line: the number of the first of them, from 1.

    Returns:
        Line number to :class:`Statement`; blank lines and comments are not in it.
    """
    tree = ast.parse(textwrap.dedent("\n".join(lines)))
    ast.increment_lineno(tree, first_line - 1)
    found: dict[int, Statement] = {}
    for parent in ast.walk(tree):
        for node in ast.iter_child_nodes(parent):
            if isinstance(node, ast.stmt | ast.ExceptHandler):
                statement = _statement(node, parent)
                for number in range(statement.first, statement.last + 1):
                    found[number] = statement
    return found


def _statement(node: ast.stmt | ast.ExceptHandler, parent: ast.AST) -> Statement:
    first, last = _first_line(node), node.end_lineno or node.lineno
    body = getattr(node, "body", None)
    if not body:
        delegates = any(isinstance(inner, ast.YieldFrom) for inner in ast.walk(node))
        return Statement(first, last, _names(node), None, None, delegates=delegates)
    start, end = _first_line(body[0]), body[-1].end_lineno
    header_end = max(first, start - 1)
    skips, loop, test = None, (), None
    if isinstance(node, ast.If):
        test = node.test
        if isinstance(parent, ast.For) and isinstance(node.body[-1], ast.Continue):
            skips, loop = True, _names(parent.target)
        elif isinstance(parent, ast.For) and parent.body == [node] and not node.orelse:
            skips, loop = False, _names(parent.target)
        elif _is_rest_of_generator(node, parent):
            skips = False
    condition = ast.unparse(test) if test is not None else ""
    return Statement(first, header_end, _names(node), (start, end), skips, loop, test, condition)


def _is_rest_of_generator(node: ast.If, parent: ast.AST) -> bool:
    """Return whether *parent* yields nothing more when the body of *node* is not entered."""
    return (
        isinstance(parent, ast.FunctionDef)
        and parent.body[-1] is node
        and not node.orelse
        and any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(node))
    )


def _names(node: ast.AST) -> tuple[str, ...]:
    """Return the variables that *node* names, those in its body left out."""
    found: list[ast.Name] = []
    pending = [node]
    while pending:
        current = pending.pop()
        if isinstance(current, ast.Name):
            found.append(current)
        for name, value in ast.iter_fields(current):
            if name not in ("body", "orelse", "handlers", "finalbody") or current is not node:
                children = value if isinstance(value, list) else [value]
                pending.extend(child for child in children if isinstance(child, ast.AST))
    found.sort(key=lambda name: (name.lineno, name.col_offset))
    return tuple(dict.fromkeys(name.id for name in found))


def _first_line(node: ast.stmt | ast.ExceptHandler) -> int:
    return min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
