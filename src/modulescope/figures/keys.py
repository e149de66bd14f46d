"""Figures about the keys of a state dict."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt

from ._style import BLUE, ORANGE, new_figure


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
