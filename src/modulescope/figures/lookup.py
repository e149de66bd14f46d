"""A figure about where an attribute of a module is looked for, and where it is found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.patches import FancyBboxPatch
from torch import nn

from ..trace import Recording, Step, record
from ._style import BLUE, GREY, ORANGE, RED, canvas

_STATIONS = (
    ("class:", "property?"),
    ("instance:", "__dict__"),
    ("class:", "all else"),
    ("table:", "_parameters"),
    ("table:", "_buffers"),
    ("table:", "_modules"),
)
_ORDINARY = 3  # so many of the stations are Python's own
_LINE, _PALE = "#3B4654", "#C3CAD3"
# All in inches: the middle of each station, the two frames around them, the first row.
_CENTRES = (1.55, 2.25, 2.92, 3.88, 4.78, 5.55)
_PYTHON, _GETATTR, _RESULT = (1.18, 3.3), (3.37, 5.97), 6.03
_TOP, _ROW = 1.02, 0.32

_LEGEND = {
    "missed": "asked, not there",
    "found": "found here",
    "raised": "raised AttributeError",
    "hidden": "is there too, never asked",
}


@dataclass(frozen=True)
class _Lookup:
    """What one lookup did: a mark for each station that counts, and what came back."""

    marks: Mapping[int, str]
    result: str


def _look_up(module: Any, name: str) -> _Lookup:
    class_entry = next((vars(c)[name] for c in type(module).__mro__ if name in vars(c)), None)
    in_class = any(name in vars(c) for c in type(module).__mro__)
    # Python calls these data descriptors; a property is the one that people write.
    is_property = hasattr(type(class_entry), "__set__") or hasattr(type(class_entry), "__delete__")
    tables = [vars(module).get(table, ()) for _, table in _STATIONS[_ORDINARY:]]
    holds = [
        in_class and is_property,
        name in vars(module),
        in_class and not is_property,
        *(name in table for table in tables),
    ]
    recording = record(getattr, module, name, watch=[nn.Module.__getattr__], root=module)
    questions = _table_questions(recording, name)
    # Python stops at the first station that holds the name, whether that gives a value or raises.
    stop = next((s for s in range(_ORDINARY) if holds[s]), _ORDINARY)
    marks = dict.fromkeys(range(stop), "missed")
    if questions is None:
        marks[stop] = "found"
    else:
        if stop < _ORDINARY:
            marks[stop] = "raised"
        for station, question in enumerate(questions, _ORDINARY):
            marks[station] = "found" if question.entered else "missed"
    hidden = {s: "hidden" for s, held in enumerate(holds) if held and s not in marks}
    return _Lookup(marks | hidden, _result(recording))


def _table_questions(recording: Recording, name: str) -> list[Step] | None:
    """Return the questions ``name in table`` of the call for *name*, or None without a call."""
    for number, step in enumerate(recording.steps):
        if step.kind == "call" and step.path == "" and step.values.get("name") == repr(name):
            return [
                other
                for other in recording.steps
                if other.calls and other.calls[-1] == number and other.test.startswith("name in ")
            ]
    return None


def _result(recording: Recording) -> str:
    if recording.error is not None:
        return type(recording.error).__name__
    return "None" if recording.result is None else type(recording.result).__name__


def lookup_order(lookups: Mapping[str, Any]) -> plt.Figure:
    """Draw which places are asked for an attribute, in order, and where it is found.

    Each lookup is made, and recorded while it runs.

    Args:
        lookups: what a reader would type, such as ``"net.scale"``, to the module before the last
            dot.

    Returns:
        The figure: a line a lookup, from left to right through the places that were asked.
    """
    found = {label: _look_up(m, label.rpartition(".")[2]) for label, m in lookups.items()}
    bottom = _TOP + _ROW * len(found)
    figure, axes = canvas(7.2, bottom + 0.56)
    _band(axes, _PYTHON, bottom, "1. Python's lookup", BLUE, False)
    _band(axes, _GETATTR, bottom, "2. nn.Module.__getattr__", ORANGE, True)
    for centre, (kind, place) in zip(_CENTRES, _STATIONS, strict=True):
        is_code = place.startswith("_")
        axes.text(centre, 0.59, kind, ha="center", va="center", fontsize=9.5, color=GREY)
        axes.text(
            centre,
            0.79,
            place,
            ha="center",
            va="center",
            fontsize=9.5,
            family="monospace" if is_code else "sans-serif",
        )
    axes.text(_RESULT, 0.79, "result", ha="left", va="center", fontsize=9.5, color=GREY)
    for row, (label, lookup) in enumerate(found.items()):
        _draw_lookup(axes, _TOP + _ROW * (row + 0.5), label, lookup)
    used = {mark for lookup in found.values() for mark in lookup.marks.values()}
    _draw_legend(axes, bottom + 0.36, [mark for mark in _LEGEND if mark in used])
    return figure


def _band(
    axes: plt.Axes,
    sides: tuple[float, float],
    bottom: float,
    title: str,
    colour: str,
    dashed: bool,
) -> None:
    left, right = sides
    axes.add_patch(
        FancyBboxPatch(
            (left, 0.1),
            right - left,
            bottom - 0.04,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=colour + "14",
            edgecolor=colour,
            linewidth=1.4,
            linestyle=(0, (4, 2)) if dashed else "solid",
        )
    )
    axes.text(
        (left + right) / 2, 0.3, title, ha="center", va="center", fontsize=10.5, weight="bold"
    )


def _draw_lookup(axes: plt.Axes, y: float, label: str, lookup: _Lookup) -> None:
    axes.text(0.04, y, label, ha="left", va="center", fontsize=9.5, family="monospace")
    asked = [station for station, mark in lookup.marks.items() if mark != "hidden"]
    last = _CENTRES[max(asked)]
    axes.plot([_PYTHON[0] - 0.05, last], [y, y], color=_LINE, linewidth=1.5, zorder=2)
    axes.plot([last, _RESULT - 0.06], [y, y], color=_PALE, linewidth=1, linestyle=":", zorder=1)
    for station, mark in lookup.marks.items():
        _draw_mark(axes, _CENTRES[station], y, mark)
    axes.text(_RESULT, y, lookup.result, ha="left", va="center", fontsize=9.5, family="monospace")


def _draw_mark(axes: plt.Axes, x: float, y: float, mark: str) -> None:
    looks: dict[str, dict[str, Any]] = {
        "missed": {"marker": "o", "markersize": 7, "markerfacecolor": "white"},
        "found": {"marker": "o", "markersize": 10, "markerfacecolor": _LINE},
        "raised": {"marker": "X", "markersize": 10, "markerfacecolor": RED},
        "hidden": {"marker": "D", "markersize": 7.5, "markerfacecolor": "white"},
    }
    axes.plot([x], [y], color=_LINE, markeredgecolor=_LINE, zorder=3, **looks[mark])


def _draw_legend(axes: plt.Axes, y: float, marks: list[str]) -> None:
    x = 0.2
    for mark in marks:
        _draw_mark(axes, x, y, mark)
        text = axes.text(x + 0.14, y, _LEGEND[mark], ha="left", va="center", fontsize=9.5)
        x += 0.14 + 0.072 * len(text.get_text()) + 0.42
