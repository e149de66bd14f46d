"""Figures about what ``load_state_dict`` does to the tensors of a module."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt

from ._style import BLUE, GREY, ORANGE, arrow, box, canvas

_WIDTH = 7.2
# Left edge and width of each column, in inches.
_SAVED, _FROM, _TO, _OWN = (0.1, 1.75), (2.3, 0.95), (4.0, 0.95), (5.35, 1.75)
_HEIGHT = 0.38


def copied_or_assigned(
    loads: Mapping[str, tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]],
) -> plt.Figure:
    """Draw which tensor objects a module has after loading, and which memory they use.

    Args:
        loads: a title for each panel to ``(before, after, state)``: the tensors of the module
            before and after loading, by key, as ``state_dict(keep_vars=True)`` gives them, and the
            state dict that was loaded.

    Returns:
        The figure: a panel a load, in it a row a key of *state*. A dashed box is an object that the
        module no longer has.
    """
    rows = [
        0.6 if after[key] is before[key] else 1.1
        for before, after, state in loads.values()
        for key in state
    ]
    figure, axes = canvas(_WIDTH, 0.33 + 0.45 * len(loads) + sum(rows))
    for column, text in (
        (_SAVED, "the dictionary"),
        (_FROM, "its memory"),
        (_TO, "its memory"),
        (_OWN, "the module"),
    ):
        axes.text(column[0] + column[1] / 2, 0.2, text, ha="center", va="center", fontsize=10.5)
    top = 0.4
    for title, (before, after, state) in loads.items():
        axes.plot([0.1, _WIDTH - 0.1], [top, top], color=GREY, linewidth=0.8)
        axes.text(0.1, top + 0.24, title, va="center", fontsize=11, weight="bold")
        top += 0.45
        for key, saved in state.items():
            top += _row(axes, top, key, before[key], after[key], saved)
    return figure


def _row(axes: plt.Axes, top: float, key: str, before: Any, after: Any, saved: Any) -> float:
    """Draw the tensors of one key; return how high the row is."""
    middle = top + _HEIGHT / 2
    box(axes, _SAVED[0], top, _SAVED[1], _HEIGHT, key, ORANGE)
    _memory(axes, _FROM[0], top, saved, ORANGE)
    arrow(axes, (sum(_SAVED), middle), (_FROM[0], middle))
    if after is before:
        _memory(axes, _TO[0], top, after, BLUE)
        box(axes, _OWN[0], top, _OWN[1], _HEIGHT, "same object", BLUE, code=False)
        arrow(axes, (_OWN[0], middle), (sum(_TO), middle))
        arrow(axes, (sum(_FROM), middle), (_TO[0], middle))
        between = (sum(_FROM) + _TO[0]) / 2
        axes.text(between, middle - 0.1, "values", ha="center", va="bottom", fontsize=9.5)
        return 0.6
    shares = after.untyped_storage().data_ptr() == saved.untyped_storage().data_ptr()
    text = "dictionary's tensor" if after is saved else f"new {type(after).__name__}"
    box(axes, _OWN[0], top, _OWN[1], _HEIGHT, text, BLUE, filled=True, code=False)
    if not shares:
        _memory(axes, _TO[0], top, after, BLUE)
    arrow(axes, (_OWN[0], middle), (sum(_FROM if shares else _TO), middle))
    below = top + 0.48
    _memory(axes, _TO[0], below, before, GREY, dashed=True)
    box(axes, _OWN[0], below, _OWN[1], _HEIGHT, "old object, gone", GREY, dashed=True, code=False)
    arrow(axes, (_OWN[0], below + _HEIGHT / 2), (sum(_TO), below + _HEIGHT / 2), dashed=True)
    return 1.1


def _memory(
    axes: plt.Axes, left: float, top: float, tensor: Any, colour: str, dashed: bool = False
) -> None:
    """Draw the first numbers of *tensor* as cells side by side."""
    numbers = tensor.detach().flatten()[:3].tolist()
    width = _FROM[1] / 3
    for place, number in enumerate(numbers):
        axes.add_patch(
            plt.Rectangle(
                (left + place * width, top),
                width,
                _HEIGHT,
                facecolor="none" if dashed else f"{colour}22",
                edgecolor=colour,
                linewidth=1.2,
                linestyle=(0, (4, 2)) if dashed else "solid",
            )
        )
        axes.text(
            left + (place + 0.5) * width,
            top + _HEIGHT / 2,
            f"{number:g}",
            ha="center",
            va="center",
            family="monospace",
            fontsize=10,
            color=GREY if dashed else "black",
        )
