"""What the checks of the "Build it" sections share: hidden models, and a fair comparison."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def missing_method(answer: Any, *methods: str) -> str | None:
    """Say which of *methods* the class *answer* does not define itself, or return ``None``."""
    if not isinstance(answer, type):
        return f"The answer is the class itself, not {type(answer).__name__}."
    for name in methods:
        if name not in vars(answer):
            return f"The class does not define {name} yet."
    return None


def leaf(module_class: type, first: float = 0.0) -> Any:
    """Return a module with every kind of entry, buffers registered before parameters."""
    module = module_class()
    module.register_buffer("count", torch.tensor(3))
    module.register_buffer("cache", torch.full((2,), first), persistent=False)
    module.register_buffer("empty", None)
    module.register_parameter("weight", nn.Parameter(torch.arange(4.0).reshape(2, 2) + first))
    module.register_parameter("bias", None)
    module.register_buffer("mean", torch.full((2,), first + 1))
    return module


def hidden_models(module_class: type) -> dict[str, Any]:
    """Return models that answers are tried on, from plain to tricky, each with a name for it.

    Args:
        module_class: ``torch.nn.Module`` or the reader's; the models are the same but for it.
    """
    chain = module_class()
    chain.first = leaf(module_class)
    chain.ab = leaf(module_class, 1.0)
    chain.a = module_class()
    chain.a.b = leaf(module_class, 2.0)
    # Registered last, yet written first: a module's own entries come before its children.
    chain.scale = nn.Parameter(torch.ones(3))
    chain.register_buffer("offset", torch.zeros(3))

    shared = module_class()
    shared.one = leaf(module_class)
    shared.nothing = leaf(module_class)
    shared.nothing = None
    shared.two = shared.one
    shared.deep = module_class()
    shared.deep.three = shared.one

    tied = module_class()
    tied.embed = leaf(module_class)
    tied.head = leaf(module_class, 1.0)
    tied.head.weight = tied.embed.weight
    tied.head.mean = tied.embed.mean

    return {
        "a module without children": leaf(module_class),
        "an empty module": module_class(),
        "a module with children and grandchildren": chain,
        "a module with a shared child": shared,
        "a module with tied tensors": tied,
    }


def outcome(action: Callable[[], Any]) -> Any:
    """Return what *action* returns, or type and message of the error that it raises, as a pair."""
    try:
        return action()
    except Exception as error:  # noqa: BLE001 - the error is what is compared
        return type(error), str(error)
