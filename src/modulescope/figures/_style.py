"""The house style of the figures, and the shapes that diagrams are made of.

Every figure is readable without colour: series differ by marker, line style or hatch as well, and
carry their name beside the data.
"""

from typing import Any

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

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


def canvas(width: float, height: float) -> tuple[plt.Figure, plt.Axes]:
    """Return a figure to draw a diagram on; coordinates are inches from the upper left corner.

    Args:
        width, height: in inches; 7.2 is as wide as a page of the book.
    """
    figure = plt.figure(figsize=(width, height), facecolor="white", dpi=STYLE["figure.dpi"])
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    return figure, axes


def box(
    axes: plt.Axes,
    x: float,
    y: float,
    width: float,
    height: float,
    text: str,
    colour: str = GREY,
    filled: bool = False,
    dashed: bool = False,
    code: bool = True,
) -> None:
    """Draw a box with centred text; *x*, *y* is its upper left corner, in inches.

    Args:
        filled: colour the inside strongly and write in white.
        dashed: draw the edge dashed, for what is left out or gone.
        code: write in a fixed-width font.
    """
    patch = FancyBboxPatch(
        (x, y),
        width,
        height,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor=colour if filled else "white",
        edgecolor=colour,
        linewidth=1.6,
        linestyle=(0, (4, 2)) if dashed else "solid",
    )
    axes.add_patch(patch)
    axes.text(
        x + width / 2,
        y + height / 2,
        text,
        ha="center",
        va="center",
        color="white" if filled else "black",
        family="monospace" if code else "sans-serif",
        fontsize=10,
    )


def arrow(
    axes: plt.Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    text: str = "",
    colour: str = "#3B4654",
    dashed: bool = False,
    curve: float = 0.0,
) -> None:
    """Draw an arrow from *start* to *end*, in inches, with *text* beside its middle.

    Args:
        curve: how far it bends aside, as a share of its length; 0 is straight.
    """
    axes.annotate(
        "",
        xy=end,
        xytext=start,
        arrowprops={
            "arrowstyle": "-|>",
            "color": colour,
            "linewidth": 1.4,
            "linestyle": (0, (4, 2)) if dashed else "solid",
            "connectionstyle": f"arc3,rad={curve}",
            "shrinkA": 0,
            "shrinkB": 0,
        },
    )
    if text:
        middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        axes.text(*middle, f" {text} ", fontsize=9.5, color=colour, va="center", ha="left")
