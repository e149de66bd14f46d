"""Figures about training runs and their data."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt

from ._style import BLUE, GREY, ORANGE, RED, new_figure


def picture_row(pictures: Sequence[Any], titles: Sequence[str]) -> plt.Figure:
    """Draw small grey pictures in a row, each under its title.

    Args:
        pictures: arrays of shape [height, width]; bright is large.
        titles: one a picture.

    Returns:
        The figure.
    """
    figure, axes = new_figure(ncols=len(pictures), figsize=(7.2, 1.3))
    for axis, picture, title in zip(axes, pictures, titles, strict=True):
        axis.imshow(picture, cmap="gray")
        axis.set_title(title, fontsize=9.5, fontweight="normal", loc="center")
        axis.set_axis_off()
    return figure


def resumed_curves(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    test_loss: Collection[str] = (),
) -> plt.Figure:
    """Draw resumed runs over the run that never stopped, a panel for each thing left out.

    Args:
        curves: what was left out to ``(whole, later)``: the loss of the whole run, and of the part
            that was trained after resuming. The two end at the same step.
        test_loss: which of the panels show a loss an epoch on test data, not one a step.

    Returns:
        The figure. The whole run is broad and grey, the resumed part thin and marked at its start;
        the area between the two is filled.
    """
    rows = -(-len(curves) // 2)
    figure, axes = new_figure(nrows=rows, ncols=2, figsize=(7.2, 2.5 * rows), squeeze=False)
    for axis, (name, (whole, later)) in zip(axes.flat, curves.items(), strict=True):
        start = len(whole) - len(later)
        steps = range(start + 1, len(whole) + 1)
        axis.fill_between(steps, whole[start:], later, color=ORANGE, alpha=0.55, linewidth=0)
        axis.plot(range(1, len(whole) + 1), whole, color="#9AA5B3", linewidth=3.5)
        colour = BLUE if name == "nothing" else RED
        axis.plot(
            steps, later, color=colour, linewidth=1.3, marker="o", markevery=[0], markersize=5
        )
        axis.axvline(start + 0.5, color=GREY, linewidth=1, linestyle=":")
        # The steps long before the interruption are the same in every panel.
        axis.set_xlim(left=start // 2)
        axis.set_title(f"left out: {name}")
        axis.set_xlabel("epoch" if name in test_loss else "step")
        axis.set_ylabel("test loss" if name in test_loss else "training loss")
    for axis in axes.flat[len(curves) :]:
        axis.set_axis_off()
    return figure
