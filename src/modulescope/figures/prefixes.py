"""Figures about prefixes: how the tree of modules becomes the keys of a state dict."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch

from ._style import BLUE, GREY, ORANGE, arrow, box, canvas

# In inches; a character is one of a fixed-width font at 10 points.
_WIDTH, _ROW, _GAP, _TOP = 7.2, 0.27, 0.13, 0.55
_BOX, _INDENT, _CHARACTER = 0.28, 0.42, 0.0845
_INK = "#3B4654"


@dataclass
class _Band:
    """One module of the tree with the keys that it writes itself; ``None`` where no module is."""

    label: str
    prefix: str
    depth: int
    keys: list[str]
    there: bool = True

    @property
    def height(self) -> float:
        return _ROW * max(1, len(self.keys))


def _bands(module: Any, keys: list[str], name: str, prefix: str = "") -> Iterator[_Band]:
    """Yield a band a module, in the order in which ``state_dict`` comes to them."""
    seen: dict[int, str] = {}

    def walk(module: Any, name: str, prefix: str, depth: int) -> Iterator[_Band]:
        if module is None:
            yield _Band(f"{name}: None", prefix, depth, [], there=False)
            return
        label = f"{name}: {seen.get(id(module), type(module).__name__)}"
        seen.setdefault(id(module), f"same as {prefix[:-1]}")
        own = [key for key in keys if key.rpartition(".")[0] == prefix[:-1]]
        yield _Band(label, prefix, depth, own)
        for child_name, child in module._modules.items():
            yield from walk(child, child_name, f"{prefix}{child_name}.", depth + 1)

    yield from walk(module, name, prefix, 0)


def tree_beside_keys(module: Any, name: str = "model") -> plt.Figure:
    """Draw the tree of *module* on the left and its state dict on the right, row beside row.

    Args:
        module: a ``torch.nn.Module`` of up to about 25 keys; the meta device will do.
        name: what to call the module itself.

    Returns:
        The figure. Each module stands beside the keys that it writes itself, and the line between
        them carries its prefix. A child that is ``None`` is dashed. Entries that are not saved are
        not drawn.
    """
    state = module.state_dict()
    bands = list(_bands(module, list(state), name))
    parameters = {key for key, _ in module.named_parameters(remove_duplicate=False)}
    tree_right = 0.05 + max(_INDENT * band.depth + _box_width(band) for band in bands)
    dict_left = _WIDTH - 0.05 - max(2.75, 0.62 + _CHARACTER * max(len(key) for key in state))
    prefix_x = (tree_right + dict_left) / 2
    last = max(i for i, band in enumerate(bands) if band.keys)
    bottom = _TOP + sum(band.height + _GAP for band in bands[: last + 1])
    height = max(bottom + 0.34, _TOP + sum(band.height + _GAP for band in bands))
    figure, axes = canvas(_WIDTH, height)
    for x, text, side in (
        (0.05, "tree of modules", "left"),
        (prefix_x, "prefix", "center"),
        (dict_left, "one dictionary, filled downwards", "left"),
    ):
        axes.text(x, 0.2, text, fontsize=10.5, fontweight="bold", va="center", ha=side)

    y, number = _TOP, 0
    lower_edges: list[float] = []  # of the last box at each depth
    for band in bands:
        middle = y + band.height / 2
        left = 0.05 + _INDENT * band.depth
        right = left + _box_width(band)
        if band.depth:
            stem = left - _INDENT + 0.2
            branch = [lower_edges[band.depth - 1], middle, middle]
            axes.plot([stem, stem, left], branch, color="#9AA5B3", linewidth=1.3, zorder=0)
        colour = BLUE if band.there else GREY
        box(
            axes,
            left,
            middle - _BOX / 2,
            right - left,
            _BOX,
            band.label,
            colour,
            dashed=not band.there,
        )
        lower_edges[band.depth :] = [middle + _BOX / 2]
        if band.keys:
            arrow(axes, (right + 0.06, middle), (dict_left - 0.1, middle), colour=_INK)
            sides = [y + 0.02, y + band.height - 0.02]
            axes.plot([dict_left - 0.07] * 2, sides, color=_INK, linewidth=2)
            label = axes.text(prefix_x, middle, f'"{band.prefix}"', ha="center", va="center")
            label.set(family="monospace", fontsize=10, color=BLUE)
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 2})
        else:
            nothing = "writes no key itself" if band.there else "left out"
            axes.text(right + 0.12, middle, nothing, fontsize=9.5, va="center", style="italic")
        for row, key in enumerate(band.keys):
            number += 1
            line = y + _ROW * (row + 0.5)
            _key(axes, dict_left, line, number, key, band.prefix, key in parameters)
        y += band.height + _GAP

    frame = FancyBboxPatch(
        (dict_left, _TOP - 0.1),
        _WIDTH - 0.05 - dict_left,
        bottom - _TOP + 0.07,
        boxstyle="round,pad=0,rounding_size=0.06",
        facecolor="#F5F7FA",
        edgecolor=GREY,
        linewidth=1.2,
        zorder=0,
    )
    axes.add_patch(frame)
    for x, kind in ((dict_left + 0.1, "parameter"), (dict_left + 1.2, "buffer")):
        _marker(axes, x, bottom + 0.16, kind == "parameter")
        axes.text(x + 0.12, bottom + 0.16, kind, fontsize=9.5, va="center")
    return figure


def _box_width(band: _Band) -> float:
    return _CHARACTER * len(band.label) + 0.16


def _marker(axes: plt.Axes, x: float, y: float, parameter: bool) -> None:
    marker, colour = ("s", BLUE) if parameter else ("D", ORANGE)
    axes.plot([x], [y], marker=marker, color=colour, markersize=5)


def _key(
    axes: plt.Axes, x: float, y: float, number: int, key: str, prefix: str, parameter: bool
) -> None:
    """Write one row of the dictionary: number, kind, key with its prefix in colour."""
    style: dict[str, Any] = {"va": "center", "fontsize": 10, "family": "monospace"}
    axes.text(x + 0.28, y, str(number), ha="right", color=GREY, **style)
    _marker(axes, x + 0.4, y, parameter)
    axes.text(x + 0.52, y, prefix, color=BLUE, fontweight="bold", **style)
    name_x = x + 0.52 + _CHARACTER * len(prefix)
    axes.text(name_x, y, key.removeprefix(prefix), **style)
