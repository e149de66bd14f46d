"""The matplotlib figures of the book, in one house style.

Every figure is readable without colour: series differ by marker, line style or hatch as well, and
carry their name beside the data.
"""

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
