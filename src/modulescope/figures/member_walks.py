"""Figures about walks over parameters and buffers."""

import inspect
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt

from ._style import BLUE, GREY, ORANGE, arrow, box, canvas

_PATHS, _COLUMNS, _WIDTH = 0.1, (1.35, 4.35), 2.75  # where each column begins, and how wide
_LINE, _GAP, _TOP = 0.36, 0.12, 3.1
_INK = "#3B4654"
_KINDS = (("parameters", BLUE), ("buffers", ORANGE))


@dataclass(frozen=True)
class _Entry:
    """One entry of a table, with its place in what the iterator yields, from 1, or 0."""

    text: str
    number: int


def member_engine(model: Any) -> plt.Figure:
    """Draw how the four iterators use one engine, and what it does with each entry of *model*.

    Args:
        model: a small ``torch.nn.Module``, with about ten entries.

    Returns:
        The figure: the calls from top to bottom on the left for parameters, on the right for
        buffers; below them a row a module, each entry numbered as yielded, dashed if it is not.
    """
    rows = [
        (path, module, [_entries(model, path, module, kind) for kind, _ in _KINDS])
        for path, module in model.named_modules()
    ]
    lines = [max(1, *map(len, columns)) for _, _, columns in rows]
    figure, axes = canvas(7.2, _TOP + _LINE * sum(lines) + _GAP * len(rows))
    for (kind, colour), x in zip(_KINDS, _COLUMNS, strict=True):
        _calls(axes, type(model), kind, colour, x)
    engine = _called(type(model), f"named_{_KINDS[0][0]}")
    left, right = _COLUMNS[0], _COLUMNS[1] + _WIDTH
    box(axes, left, 2.08, right - left, 0.38, f"{engine}(get_members_fn, ...)", _INK, filled=True)
    axes.text(
        (left + right) / 2,
        2.72,
        f"asks each module of {_called(type(model), engine)}() for one table, in turn",
        fontsize=10,
        ha="center",
        va="center",
        color=_INK,
    )
    y = _TOP
    for (path, module, columns), count in zip(rows, lines, strict=True):
        height = _LINE * count
        axes.plot([_PATHS, right], [y - _GAP / 2] * 2, color="#C9D1DA", linewidth=1)
        _label(axes, y + height / 2, path or repr(""), type(module).__name__, count > 1)
        for (_, colour), x, entries in zip(_KINDS, _COLUMNS, columns, strict=True):
            _draw_entries(axes, x, y, height, entries, colour)
        y += height + _GAP
    return figure


def _label(axes: plt.Axes, y: float, path: str, class_name: str, two_lines: bool) -> None:
    """Write path and class of a module to the left of its row, whose middle is *y*."""
    shift = 0.1 if two_lines else 0.0
    style = {"fontsize": 10, "va": "center"}
    axes.text(_PATHS, y - shift, path, family="monospace", **style)
    axes.text(_PATHS + (0 if two_lines else 0.3), y + shift, class_name, color=_INK, **style)


def _entries(model: Any, path: str, module: Any, kind: str) -> list[_Entry]:
    """Return what the table of *module* holds, and as which one the iterator yields it."""
    yielded = {key: n for n, (key, _) in enumerate(getattr(model, f"named_{kind}")(), 1)}
    found = []
    for name, value in vars(module)[f"_{kind}"].items():
        key = f"{path}.{name}" if path else name
        reason = "" if key in yielded else ": None" if value is None else ": in memo"
        found.append(_Entry(key + reason, yielded.get(key, 0)))
    return found


def _called(module_class: type, method: str) -> str:
    """Return the method of *module_class* that *method* calls first."""
    names = getattr(module_class, method).__code__.co_names
    return next(name for name in names if hasattr(module_class, name))


def _table(module_class: type, method: str) -> str:
    """Return the table that the lambda in *method* reads."""
    constants = getattr(module_class, method).__code__.co_consts
    return next(code.co_names[0] for code in constants if inspect.iscode(code))


def _calls(axes: plt.Axes, module_class: type, kind: str, colour: str, x: float) -> None:
    named = _called(module_class, kind)
    middle = x + _WIDTH / 2
    box(axes, x + 0.4, 0.1, _WIDTH - 0.8, 0.36, f"{kind}()", colour)
    arrow(axes, (middle, 0.46), (middle, 0.86), "drops the names")
    box(axes, x + 0.4, 0.86, _WIDTH - 0.8, 0.36, f"{named}()", colour)
    arrow(axes, (middle, 1.22), (middle, 2.08))
    table = f"module.{_table(module_class, named)}"
    axes.text(
        middle,
        1.62,
        f"hands over: {table}",
        fontsize=9.5,
        ha="center",
        va="center",
        color=_INK,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 2},
    )


def _draw_entries(
    axes: plt.Axes, x: float, y: float, height: float, entries: list[_Entry], colour: str
) -> None:
    if not entries:
        axes.text(
            x + _WIDTH / 2,
            y + height / 2,
            "empty table",
            fontsize=9.5,
            ha="center",
            va="center",
            color=GREY,
        )
    for entry in entries:
        left_out = not entry.number
        if entry.number:
            axes.text(
                x + 0.13,
                y + _LINE / 2,
                str(entry.number),
                fontsize=11,
                fontweight="bold",
                ha="center",
                va="center",
            )
        box(
            axes,
            x + 0.3,
            y + 0.04,
            _WIDTH - 0.3,
            _LINE - 0.08,
            entry.text,
            GREY if left_out else colour,
            dashed=left_out,
        )
        y += _LINE
