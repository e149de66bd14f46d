"""Figures about where an assignment to a module ends."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
from torch import nn

from ..trace import record
from ._style import BLUE, GREEN, GREY, ORANGE, RED, arrow, box, canvas

# Short words for the questions of torch's own code, so that a column has room for them.
_QUESTIONS = {
    "isinstance(value, Parameter)": "value is a\nParameter",
    "params is not None and name in params": "name in\n_parameters",
    "isinstance(value, Module)": "value is a\nModule",
    "modules is not None and name in modules": "name in\n_modules",
    "isinstance(value, Buffer) or (buffers is not None and name in buffers)": (
        "Buffer or in\n_buffers"
    ),
}

_COLOURS = {"_parameters": BLUE, "_modules": GREEN, "_buffers": ORANGE, "__dict__": GREY}
_PALE = "#9AA5B3"
# In inches: where the first column of questions and the boxes begin, and the steps.
_LEFT, _COLUMN, _BOX, _BOX_WIDTH = 1.55, 0.87, 6.02, 1.12
_HEAD, _ROW = 0.86, 0.4


@dataclass(frozen=True)
class _Assignment:
    """One assignment as it happened: what was answered, and where the value is now."""

    label: str
    answers: dict[str, bool]
    end: str


def assignment_paths(module: nn.Module, assignments: Iterable[tuple[str, Any]]) -> plt.Figure:
    """Make assignments to *module* and draw which questions ``__setattr__`` asked about each.

    Args:
        module: what is assigned to; it is changed.
        assignments: name and value of each, in the order in which they are made.

    Returns:
        The figure: a row an assignment, a column a question. A ring says no, a disc says yes and
        the row then goes straight to where the value ended, looked up after the assignment.

    Raises:
        ValueError: torch's code asks other questions than those that this figure knows.
    """
    made = [_make(module, name, value) for name, value in assignments]
    figure, axes = canvas(7.2, _HEAD + _ROW * len(made) + 0.06)
    for column, question in enumerate(_QUESTIONS.values()):
        axes.text(_x(column), 0.17, str(column + 1), ha="center", va="center", fontweight="bold")
        axes.text(_x(column), 0.5, question, ha="center", va="center", fontsize=9.5)
    axes.text(0.08, 0.5, "assignment", va="center", fontsize=9.5)
    axes.text(_BOX + _BOX_WIDTH / 2, 0.5, "ended in", ha="center", va="center", fontsize=9.5)
    axes.plot([0.06, 7.14], [_HEAD - 0.08] * 2, color=_PALE, linewidth=1)
    for row, assignment in enumerate(made):
        _draw(axes, assignment, _HEAD + _ROW * (row + 0.5))
    return figure


def _make(module: nn.Module, name: str, value: Any) -> _Assignment:
    recording = record(module.__setattr__, name, value, watch=[nn.Module.__setattr__])
    asked = {step.test: bool(step.entered) for step in recording.steps if step.test}
    answers = {test: asked[test] for test in _QUESTIONS if test in asked}
    # The first yes is the last question; without one, all five must have been asked.
    if True not in answers.values() and len(answers) != len(_QUESTIONS):
        raise ValueError(f"torch asks {list(asked)}, this figure knows {list(_QUESTIONS)}")
    end = type(recording.error).__name__ if recording.error else _home(module, name)
    kind = "Buffer" if isinstance(value, nn.Buffer) else type(value).__name__
    return _Assignment(f"{name} = {'None' if value is None else kind}", answers, end)


def _home(module: nn.Module, name: str) -> str:
    """Return the table that holds *name*, or ``"__dict__"``, the instance's own dictionary."""
    tables = ("_parameters", "_modules", "_buffers")
    return next((table for table in tables if name in vars(module)[table]), "__dict__")


def _x(column: int) -> float:
    return _LEFT + _COLUMN * (column + 0.5)


def _draw(axes: plt.Axes, assignment: _Assignment, y: float) -> None:
    failed = assignment.end not in _COLOURS
    colour = _COLOURS.get(assignment.end, RED)
    axes.text(0.08, y, assignment.label, family="monospace", fontsize=10, va="center")
    last = _x(len(assignment.answers) - 1)
    axes.plot([_LEFT, last], [y, y], color=_PALE, linewidth=1.4, zorder=1)
    arrow(axes, (last, y), (_BOX, y), colour=colour, dashed=failed)
    for column, yes in enumerate(assignment.answers.values()):
        # White on orange cannot be read.
        ink = "white" if yes and colour != ORANGE else "black"
        axes.text(
            _x(column),
            y,
            "yes" if yes else "no",
            ha="center",
            va="center",
            fontsize=9.5,
            fontweight="bold" if yes else "normal",
            color=ink,
            bbox={
                "boxstyle": "round,pad=0.3" if yes else "circle,pad=0.2",
                "facecolor": colour if yes else "white",
                "edgecolor": colour if yes else _PALE,
                "linewidth": 1.3,
            },
        )
    box(axes, _BOX, y - 0.145, _BOX_WIDTH, 0.29, assignment.end, colour, dashed=failed)
