"""The matplotlib figures of the book, in one house style.

Every figure is readable without colour: series differ by marker, line style or hatch as well, and
carry their name beside the data.
"""

from collections.abc import Mapping
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
    "figure.dpi": 110,
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
