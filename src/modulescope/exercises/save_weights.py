"""Checks of the chapter "Save and load a model's weights"."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from . import exercise


class _Block(nn.Module):
    """Every kind of entry at once, with names that come after those of the children."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2))
        self.module = nn.Linear(2, 2)
        self.register_module("nothing", None)
        self.register_buffer("kept", torch.arange(3))
        self.register_buffer("dropped", torch.arange(3), persistent=False)
        self.register_buffer("empty", None)
        self.gain = nn.Parameter(torch.ones(2))
        self.register_parameter("absent", None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.module(self.inner(x)) * self.gain


def _models() -> list[nn.Module]:
    """Return the models that answers are tried on, from plain to tricky."""
    shared = nn.Linear(2, 2)
    return [
        nn.Linear(2, 3),
        nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Dropout(0.5), nn.ReLU()),
        _Block(),
        nn.Sequential(shared, nn.Sequential(shared, _Block())),
    ]


def first_difference(keys: list[str], model: nn.Module) -> str | None:
    """Say where *keys* first differ from the keys of *model*, and which idea leads there.

    Args:
        keys: the keys in the order of the answer.
        model: what the answer is about; ``model.state_dict()`` is the truth.

    Returns:
        ``None`` if the keys are right, else one or two sentences.
    """
    expected = list(model.state_dict())
    for position, (mine, right) in enumerate(zip(keys, expected, strict=False), 1):
        if mine != right:
            return (
                f"Key {position} is {mine!r}, torch has {right!r}. {_reason(mine, expected, model)}"
            )
    if len(keys) > len(expected):
        extra = keys[len(expected)]
        return (
            f"After {len(expected)} right keys comes {extra!r}. {_reason(extra, expected, model)}"
        )
    if len(keys) < len(expected):
        missing = expected[len(keys)]
        return f"The keys end before {missing!r}. {_missing_reason(missing, model)}"
    return None


def _reason(key: str, expected: list[str], model: nn.Module) -> str:
    if key in expected:
        return (
            "It is in the dictionary, but not here: a module writes its parameters, then its "
            "buffers, and only then come its children."
        )
    path, _, name = key.rpartition(".")
    modules = dict(model.named_modules(remove_duplicate=False))
    if path not in modules:
        return "No submodule has this path: check the prefix, the path plus a dot."
    owner = modules[path]
    if name in owner._non_persistent_buffers_set:
        return "This buffer was registered with persistent=False, so it is not saved."
    if name in {**owner._parameters, **owner._buffers}:
        return "This entry is None: it was switched off, and there is nothing to save."
    if isinstance(owner, nn.Dropout):
        return "Dropout holds no tensors: it has no keys at all."
    return "The submodule has no parameter or buffer of this name."


def _missing_reason(key: str, model: nn.Module) -> str:
    path, _, name = key.rpartition(".")
    owner = dict(model.named_modules(remove_duplicate=False))[path]
    if name in owner._buffers:
        return "It is a buffer: no optimizer trains it, yet it is saved."
    if sum(1 for _ in model.named_parameters(remove_duplicate=False)) > sum(
        1 for _ in model.parameters()
    ):
        return (
            "A module that is used in two places is saved under both paths; parameters() and "
            "named_parameters() give it once."
        )
    return "It is a parameter of a submodule further down."


@exercise("save_weights/collect")
def _collect(answer: Callable[..., Any]) -> str | None:
    for model in _models():
        found = answer(model)
        if not isinstance(found, Mapping):
            return f"The function returned {type(found).__name__}, not a dictionary."
        if message := first_difference(list(found), model):
            return f"On a hidden model: {message}"
        for key, right in model.state_dict().items():
            if found[key].data_ptr() != right.data_ptr():
                return f"{key!r} is a copy: a state dict shares the memory of the model."
            if found[key].requires_grad:
                return f"{key!r} still requires grad: torch detaches each entry."
    return None


@exercise("save_weights/keys")
def _keys(answer: list[str]) -> str | None:
    puzzle = nn.Module()
    puzzle.head = nn.Linear(4, 2, bias=False)
    puzzle.drop = nn.Dropout(0.1)
    puzzle.register_buffer("scale", torch.ones(4))
    puzzle.register_buffer("mask", torch.ones(4), persistent=False)
    puzzle.gain = nn.Parameter(torch.ones(4))
    return first_difference(list(answer), puzzle)


@exercise("save_weights/snapshot")
def _snapshot(answer: Callable[[nn.Module], Mapping[str, torch.Tensor]]) -> str | None:
    for model in _models():
        before = copy.deepcopy(model.state_dict())
        taken = answer(model)
        if message := first_difference(list(taken), model):
            return f"On a hidden model: {message}"
        with torch.no_grad():
            for tensor in model.state_dict().values():
                tensor.add_(1)
        for key, right in before.items():
            if not torch.equal(taken[key], right):
                return (
                    f"{key!r} changed when the model was trained: it still uses the memory of the "
                    "model. A new dictionary is not enough, because it holds the same tensors."
                )
        for key, now in model.state_dict().items():
            if torch.equal(before[key], now):
                return f"{key!r} of the model can no longer be trained after the snapshot."
    return None


@exercise("save_weights/unwrap")
def _unwrap(answer: Callable[[dict[str, Any]], dict[str, Any]]) -> str | None:
    model = _Block()
    plain = model.state_dict()
    for wrapped, what in (
        ({f"module.{key}": value for key, value in plain.items()}, "a wrapped state dict"),
        ({f"encoder.{key}": value for key, value in plain.items()}, "one that was never wrapped"),
    ):
        given = dict(wrapped)
        result = answer(given)
        if list(given) != list(wrapped):
            return "Your function changed the dictionary that it was given."
        expected = [key.removeprefix("module.") for key in wrapped]
        for key, mine, right in zip(wrapped, result, expected, strict=False):
            if mine != right:
                return (
                    f"On {what}, {key!r} became {mine!r} and not {right!r}. Only a prefix at the "
                    "very start is the wrapper's: replace() also takes out those further down."
                )
        if len(result) != len(expected):
            return f"On {what}, {len(expected)} keys became {len(result)}."
        if any(result[new] is not wrapped[old] for new, old in zip(expected, wrapped, strict=True)):
            return "The values must stay the same tensors."
    return None


@exercise("save_weights/predict")
def _predict(answer: Callable[[nn.Module, torch.Tensor], torch.Tensor]) -> str | None:
    for training in (True, False):
        model = nn.Sequential(nn.Linear(3, 64), nn.BatchNorm1d(64), nn.Dropout(0.5))
        model.train(training)
        x = torch.linspace(-1, 1, 12).reshape(4, 3)
        before = copy.deepcopy(model.state_dict())
        first, second = answer(model, x), answer(model, x)
        if first.requires_grad:
            return "The output requires grad: eval() does not stop autograd, no_grad() does."
        if not torch.equal(first, second):
            return "Two calls gave different outputs: no_grad() does not stop dropout, eval() does."
        if not torch.equal(before["1.running_mean"], model.state_dict()["1.running_mean"]):
            return "The running mean of batch norm moved: the model ran in train mode."
        if model.training != training:
            return (
                f"The model was in {'train' if training else 'eval'} mode before the call and is "
                "not after it. The caller may be in the middle of training: put the mode back."
            )
    return None
