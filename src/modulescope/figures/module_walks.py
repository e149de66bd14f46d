"""Figures about walks over a tree of modules."""

from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt

from ._style import BLUE, GREY, RED, box, canvas

_ROW, _GAP = 0.44, 0.12  # height of a row, and what of it is left free, in inches
_TOP = 0.5
_INDENT = 0.3
_LEFT = 0.52
_CELL = 0.36
_INK = "#3B4654"


@dataclass(frozen=True)
class _Row:
    """One place in the tree: a path with the module that stands there.

    Attributes:
        parent: position of the row of the parent, or -1.
        module: what stands there; ``None`` for an entry that is switched off.
        number: as which one the walk yielded it, from 1, or 0 if it did not.
        reached: whether the walk came to this place.
    """

    path: str
    depth: int
    parent: int
    module: Any
    number: int
    reached: bool


def memo_of_walk(model: Any) -> plt.Figure:
    """Draw the walk of ``model.named_modules()`` over all places of the tree, with its memo.

    Args:
        model: a small ``torch.nn.Module``, with eight different modules or fewer. It may hold a
            module in two places, ``None``, or itself.

    Returns:
        The figure: a row a place, numbered as yielded, dashed if not; beside it the memo after
        the step, and what happens.
    """
    rows = _rows(model)
    numbers = {row.module: row.number for row in rows if row.number}
    width = 0.3 + 0.084 * max(len(_label(row)) for row in rows)
    grid = _LEFT + width + _INDENT * max(row.depth for row in rows) + 0.35
    words = grid + max(_CELL * len(numbers), 1.15) + 0.2
    figure, axes = canvas(words + 1.62, _TOP + _ROW * len(rows) + 0.08)
    for x, text in ((_LEFT, "place in the tree"), (grid, "memo after it"), (words, "the walk")):
        axes.text(x, 0.24, text, fontsize=10.5, fontweight="bold", va="center", color=_INK)

    middles = [_TOP + _ROW * position + (_ROW - _GAP) / 2 for position in range(len(rows))]
    for position, (row, y) in enumerate(zip(rows, middles, strict=True)):
        x = _LEFT + _INDENT * row.depth
        if row.parent >= 0:
            _line(axes, (x - _INDENT / 2, x), (y, y), dashed=not row.number)
        children = [y for child, y in zip(rows, middles, strict=True) if child.parent == position]
        if children:
            below = y + (_ROW - _GAP) / 2
            stem = x + _INDENT / 2
            _line(axes, (stem, stem), (below, children[-1]), dashed=not row.number)
        place = (x, y - (_ROW - _GAP) / 2, width, _ROW - _GAP)
        box(axes, *place, _label(row), BLUE if row.number else GREY, dashed=not row.number)
        if row.number:
            axes.text(
                0.22, y, str(row.number), fontsize=12, fontweight="bold", ha="center", va="center"
            )
        axes.text(words, y, _event(row), fontsize=10, va="center", color=_INK)

    known = 0
    for row, y in zip(rows, middles, strict=True):
        known = max(known, row.number)
        if row.reached and row.module is not None:
            for number in range(1, known + 1):
                _memo_cell(axes, grid + _CELL * (number - 1), y, number, row, numbers[row.module])
    return figure


def _rows(model: Any) -> list[_Row]:
    yielded = {path: number for number, (path, _) in enumerate(model.named_modules(), 1)}
    rows: list[_Row] = []

    def visit(path: str, module: Any, parent: int, ancestors: tuple[Any, ...]) -> None:
        reached = parent < 0 or rows[parent].number > 0
        position = len(rows)
        number = yielded.get(path, 0)
        rows.append(_Row(path, len(ancestors), parent, module, number, reached))
        # A module that holds itself has no last descendant.
        if module is None or module in ancestors:
            return
        for name, child in module._modules.items():
            visit(f"{path}.{name}".lstrip("."), child, position, (*ancestors, module))

    visit("", model, -1, ())
    return rows


def _event(row: _Row) -> str:
    if row.number:
        return "yields it"
    if not row.reached:
        return "does not come here"
    return "passes over None" if row.module is None else "known: turns back"


def _label(row: _Row) -> str:
    kind = "None" if row.module is None else type(row.module).__name__
    return f"{row.path or repr('')} · {kind}"


def _line(axes: plt.Axes, xs: tuple[float, float], ys: tuple[float, float], dashed: bool) -> None:
    style = (0, (3, 2)) if dashed else "solid"
    axes.plot(xs, ys, color=GREY, linewidth=1.2, linestyle=style, zorder=0)


def _memo_cell(axes: plt.Axes, x: float, y: float, number: int, row: _Row, here: int) -> None:
    """Draw one module of the memo: filled if it is new, with a broad edge if it was found there."""
    new, found = number == row.number, not row.number and number == here
    size = _CELL - 0.06
    axes.add_patch(
        plt.Rectangle(
            (x, y - size / 2),
            size,
            size,
            facecolor=BLUE if new else "white",
            edgecolor=RED if found else BLUE,
            linewidth=3 if found else 1.2,
            zorder=2 if found else 1,
        )
    )
    axes.text(
        x + size / 2,
        y,
        str(number),
        fontsize=10,
        ha="center",
        va="center",
        zorder=3,
        color="white" if new else "black",
        fontweight="bold" if new or found else "normal",
    )
