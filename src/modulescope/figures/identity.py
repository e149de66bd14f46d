"""Figures about which object a name holds before and after a call."""

from collections.abc import Iterable, Mapping

import matplotlib.pyplot as plt
import torch

from ._style import BLUE, GREY, ORANGE, arrow, box, canvas

_WIDTH, _ROW, _HEADING, _TOP, _GAP = 7.2, 0.48, 0.44, 0.38, 0.12

# Left edge and width of the columns, in inches.
_NAME, _NOW, _OLD, _KEPT = (0.1, 2.15), (2.6, 1.6), (4.35, 1.6), (6.3, 0.8)

Tensors = Mapping[str, torch.Tensor]


def objects_kept(runs: Mapping[str, tuple[Tensors, Tensors]], names: Iterable[str]) -> plt.Figure:
    """Draw which object each name holds after a call, and which one a reference from before holds.

    Args:
        runs: a line about the call to what the names held before it and what they hold now.
        names: the names to draw, a row each.

    Returns:
        The figure: one wide box where both are the same object, two boxes where they are not.
    """
    names = list(names)
    strip = _HEADING + _ROW * len(names) + _GAP
    figure, axes = canvas(_WIDTH, _TOP + strip * len(runs) - _GAP + 0.1)
    for (left, width), text in (
        (_NAME, "name in the model"),
        ((_NOW[0], _OLD[0] + _OLD[1] - _NOW[0]), "tensor object"),
        (_KEPT, "reference"),
    ):
        axes.text(
            left + width / 2, 0.2, text, ha="center", va="center", fontsize=10, color="#3B4654"
        )
    for number, (title, (before, after)) in enumerate(runs.items()):
        top = _TOP + strip * number
        axes.plot([_NAME[0], _WIDTH - 0.1], [top + 0.02] * 2, color="#C9D0D8", linewidth=0.8)
        axes.text(_NAME[0], top + 0.22, title, va="center", fontsize=11, fontweight="bold")
        for row, name in enumerate(names):
            _row(axes, top + _HEADING + _ROW * row, name, before[name], after[name])
    return figure


def _row(axes: plt.Axes, top: float, name: str, before: torch.Tensor, after: torch.Tensor) -> None:
    height = 0.38
    middle = top + height / 2
    box(axes, _NAME[0], top, _NAME[1], height, name)
    box(axes, _KEPT[0], top, _KEPT[1], height, "before")
    right_edge = _OLD[0] + _OLD[1]
    if before is after:
        box(axes, _NOW[0], top, right_edge - _NOW[0], height, f"same: {_look(after)}", BLUE, True)
    else:
        box(axes, _NOW[0], top, _NOW[1], height, f"new: {_look(after)}", ORANGE)
        box(axes, _OLD[0], top, _OLD[1], height, f"old: {_look(before)}", GREY, dashed=True)
    arrow(axes, (_NAME[0] + _NAME[1], middle), (_NOW[0], middle))
    arrow(axes, (_KEPT[0], middle), (right_edge, middle))


def _look(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tensor.device.type}"
