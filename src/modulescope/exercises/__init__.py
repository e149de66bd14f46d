"""Is my answer right, and if not, where does it first differ from torch?

An exercise is a cell that ends in ``check("name", answer)``. A stub holds ``...`` in the place of
the answer; ``check`` then says that nothing was attempted yet and raises nothing. The checks of a
chapter stand in the module of this package that is named after the chapter.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .._html import Display, escape

# Exercise names are "chapter/exercise"; the chapter names the module that holds its checks.
CHAPTERS = (
    "save_weights",
    "resume_training",
    "register_entries",
    "look_up",
    "cast_and_move",
    "follow_state_dict",
    "follow_load",
    "walk_modules",
    "walk_members",
)

_checks: dict[str, Callable[[Any], str | None]] = {}


@dataclass(frozen=True, repr=False)
class Result(Display):
    """What a check found.

    Attributes:
        name: the exercise, as ``"chapter/exercise"``.
        status: ``"not attempted"``, ``"right"`` or ``"not yet"``.
        message: for ``"not yet"``, where the answer first differs and which idea is behind that.
    """

    name: str
    status: str
    message: str = ""

    _css = """
    .modulescope .ms-verdict{padding-left:.6rem;border-left:4px solid var(--ms-line)}
    .modulescope .ms-verdict.ms-right{border-color:var(--ms-new-edge)}
    .modulescope .ms-verdict.ms-not-yet{border-color:var(--ms-warn-edge)}
    """

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.status == "right"

    def to_text(self) -> str:
        return f"{self.name}: {self.status}" + (f". {self.message}" if self.message else "")

    def to_html(self) -> str:
        message = f"<div>{escape(self.message)}</div>" if self.message else ""
        verdict = self.status.replace(" ", "-")
        return (
            f'<div class="ms-verdict ms-{verdict}"><div class="ms-title">{escape(self.name)}: '
            f"{escape(self.status)}</div>{message}</div>"
        )


def exercise(name: str) -> Callable[[Callable[[Any], str | None]], Callable[[Any], str | None]]:
    """Register the decorated function as the check of the exercise *name*.

    The function takes the answer. It returns ``None`` when the answer is right, else a message
    that says where the answer first differs from torch and which misconception leads there.
    """

    def register(function: Callable[[Any], str | None]) -> Callable[[Any], str | None]:
        _checks[name] = function
        return function

    return register


def names() -> list[str]:
    """Return the names of all exercises, in the order of the chapters."""
    for chapter in CHAPTERS:
        importlib.import_module(f".{chapter}", __name__)
    return list(_checks)


def check(name: str, answer: Any) -> Result:
    """Compare *answer* with what torch does.

    Args:
        name: the exercise, as the cell gives it.
        answer: a value or a function, as the exercise asks; ``...`` means not attempted.

    Returns:
        A :class:`Result`. An answer that raises is "not yet", with the error as its message.

    Raises:
        KeyError: there is no exercise of that name.
    """
    known = names()
    if name not in known:
        raise KeyError(f"there is no exercise {name!r}; the exercises are {', '.join(known)}")
    if answer is ...:
        return Result(name, "not attempted", "Replace the ... with your answer and run the cell.")
    import torch

    try:
        # A check makes models, and the reader's next random numbers must not depend on that.
        with torch.random.fork_rng(devices=[]):
            message = _checks[name](answer)
    except Exception as error:  # noqa: BLE001 - a reader's answer may raise anything
        message = f"Your answer raised {type(error).__name__}: {error}"
    return Result(name, "right") if message is None else Result(name, "not yet", message)
