"""The matplotlib figures of the book, in one house style.

Every figure is readable without colour: series differ by marker, line style or hatch as well, and
carry their name beside the data.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt

# Okabe and Ito's palette: told apart under the common kinds of colour blindness.
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#5F6B7A",
)

STYLE: dict[str, Any] = {
    "figure.figsize": (7.2, 3.6),
    "figure.dpi": 100,
    "figure.facecolor": "white",
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "savefig.bbox": "tight",
}


def new_figure(**settings: Any) -> tuple[plt.Figure, Any]:
    """Return ``plt.subplots(**settings)`` drawn in the house style."""
    with plt.rc_context(STYLE):
        return plt.subplots(layout="constrained", **settings)


def entries_by_kind(models: Mapping[str, Any]) -> plt.Figure:
    """Draw how many keys of each model's state dict come from parameters and how many from buffers.

    Args:
        models: name to ``torch.nn.Module``; models on the meta device will do.

    Returns:
        The figure: a bar a model, its length the number of keys.
    """
    figure, axes = new_figure(figsize=(7.2, 0.9 + 0.75 * len(models)))
    longest = max(len(model.state_dict()) for model in models.values())
    for row, model in enumerate(models.values()):
        parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
        keys = list(model.state_dict())
        counts = {"parameters": len(parameters.intersection(keys))}
        counts["buffers"] = len(keys) - counts["parameters"]
        start = 0
        for (kind, count), colour, hatch in zip(
            counts.items(), (BLUE, ORANGE), ("", "///"), strict=True
        ):
            axes.barh(
                row, count, left=start, color=colour, hatch=hatch, edgecolor="white", height=0.6
            )
            text_colour = "white" if kind == "parameters" else "black"
            if count:
                label = axes.text(
                    start + count / 2, row, f"{count} {kind}", va="center", ha="center"
                )
                label.set(color=text_colour, fontweight="bold")
                if kind == "buffers":
                    label.set_bbox({"facecolor": ORANGE, "edgecolor": "none", "pad": 1.5})
            start += count
        axes.text(start + longest * 0.01, row, f"{start} keys", va="center")
    axes.set_yticks(range(len(models)), models)
    axes.invert_yaxis()
    axes.set_xlim(0, longest * 1.13)
    axes.set_xlabel("keys in the state dict")
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)
    return figure


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
