"""Look inside ``torch.nn.Module``.

The names below are loaded when they are first used, so that ``import modulescope`` imports
neither torch nor matplotlib.
"""

import importlib
from typing import Any

_HOME = {
    "show_source": "source",
    "inventory": "inventories",
    "forecast": "inventories",
    "record": "trace",
    "step": "stepper",
    "check": "exercises",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
