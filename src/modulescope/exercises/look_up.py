"""Checks of the chapter "Look up an attribute"."""

import copy
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from ..trace import record
from . import exercise
from ._hidden import missing_method, outcome

_TABLES = ("_parameters", "_buffers", "_modules")


@exercise("look_up/build")
def _build(answer: type) -> str | None:
    if message := missing_method(answer, "__getattr__"):
        return message
    return (
        _wrong_error(answer) or _wrong_entry(answer) or _wrong_order(answer) or _wrong_side(answer)
    )


def _wrong_error(answer: type) -> str | None:
    """Say what is wrong with the lookup of a name that is nowhere."""
    # The message names the class, so torch's must have the same name.
    torch_class = type(answer.__name__, (nn.Module,), {})
    ready, empty = answer(), answer.__new__(answer)
    for module, twin, what in (
        (ready, torch_class(), "For a name that is nowhere"),
        (empty, torch_class.__new__(torch_class), "On an object whose __init__ has not run"),
    ):
        mine = outcome(lambda module=module: module.depth)
        right = outcome(lambda twin=twin: twin.depth)
        if mine != right:
            return f"{what}, {_error_reason(mine, right[1], module is empty)}"
    return None


def _error_reason(mine: Any, right: str, empty: bool) -> str:
    if not (isinstance(mine, tuple) and len(mine) == 2 and isinstance(mine[0], type)):
        return (
            f"you return {mine!r} instead of an AttributeError. Then hasattr is True for every "
            "name, and a typing mistake goes on as a value."
        )
    error, message = mine
    if issubclass(error, RecursionError):
        return (
            "your method calls itself without an end. self._parameters is an attribute too: where "
            "it does not exist, Python calls __getattr__ for it. Ask self.__dict__."
        )
    if not issubclass(error, AttributeError):
        advice = " The tables are not there yet: ask before you use one." if empty else ""
        return (
            f"you raise {error.__name__}. Only an AttributeError tells Python, hasattr and getattr "
            f"with a default that there is no such attribute.{advice}"
        )
    return f"the message is {message!r}, torch has {right!r}."


class _Empty:
    """A module that counts as false, as an empty ``nn.ModuleList`` does."""

    def __len__(self) -> int:
        return 0


def _entries(answer: type) -> Iterator[tuple[str, str, Any, str]]:
    """Yield table, name, entry and what the entry is."""
    yield "_parameters", "weight", nn.Parameter(torch.ones(2, 2)), "a parameter"
    yield "_buffers", "mean", torch.ones(2), "a buffer"
    yield "_modules", "layer", answer(), "a child"
    yield "_modules", "0", answer(), "a child whose name is a digit"
    for table in _TABLES:
        yield table, f"none_in{table}", None, "an entry that is None"
    yield "_buffers", "zero", torch.tensor(0), "a buffer that counts as false"
    empty = type("Empty", (_Empty, answer), {})()
    yield "_modules", "empty", empty, "a child that counts as false"


def _wrong_entry(answer: type) -> str | None:
    module = answer()
    entries = list(_entries(answer))
    for table, name, entry, _ in entries:
        # The tables are filled by hand: registration asks hasattr, and so the answer.
        vars(module)[table][name] = entry
    for table, name, entry, what in entries:
        mine = outcome(lambda name=name: getattr(module, name))
        if mine is entry:
            continue
        if entry is None or "false" in what:
            return (
                f"{name!r} is {what}, and it is in {table}. Your method does not return it. Ask "
                "whether the name is in the table, not whether the entry counts as true."
            )
        if isinstance(mine, tuple):
            reason = (
                "All three tables are asked before the error."
                if mine[0] is AttributeError
                else "Ask only whether the name is in the table; do not look at the entry."
            )
            return (
                f"{name!r} is {what}, in {table}, and your method raises {mine[0].__name__}: "
                f"{mine[1]}. {reason}"
            )
        return f"{name!r} is {what}, in {table}. Your method returns something else than the entry."
    return None


def _wrong_order(answer: type) -> str | None:
    for first, second in pairwise(_TABLES):
        module = answer()
        one, other = object(), object()
        vars(module)[first]["both"] = one
        vars(module)[second]["both"] = other
        if outcome(lambda module=module: module.both) is not one:
            return (
                f"The name 'both' is in {first} and in {second}. torch returns the entry of "
                f"{first}: the order is parameters, buffers, modules."
            )
    return None


def _wrong_side(answer: type) -> str | None:
    """Say what else than a lookup the method does."""
    module = answer()
    vars(module)["_parameters"]["weight"] = nn.Parameter(torch.ones(2))
    before = {name: set(value) for name, value in vars(module).items() if name in _TABLES}
    names = set(vars(module))
    outcome(lambda: (module.weight, module.depth))
    outcome(lambda: module.depth)
    if set(vars(module)) != names:
        return (
            f"After a lookup the instance has {sorted(set(vars(module)) - names)}. A copy in the "
            "instance hides the table: a new parameter of that name would never be seen."
        )
    if any(set(vars(module)[table]) != keys for table, keys in before.items()):
        return "After a lookup the tables have other names than before: a lookup only reads."
    shadowed = type("Shadowed", (answer,), {"weight": "of the class"})()
    vars(shadowed)["_parameters"]["weight"] = nn.Parameter(torch.ones(2))
    if outcome(lambda: shadowed.weight) != "of the class":
        return (
            "A class attribute of the same name is found before the tables are asked. Python's own "
            "lookup comes first: leave __getattribute__ alone."
        )
    return None


class _Puzzle(nn.Module):
    rate = 0.1

    def __init__(self) -> None:
        super().__init__()
        self.size = 3
        self.head = nn.Linear(2, 3)
        self.blocks = nn.Sequential(nn.Linear(2, 2), nn.ReLU())

    @property
    def width(self) -> int:
        return self.head.out_features


_EXPRESSIONS: tuple[tuple[str, Callable[[Any], Any], str], ...] = (
    (
        "puzzle.size",
        lambda puzzle: puzzle.size,
        "A plain value stands in the instance dictionary, where Python finds it by itself.",
    ),
    (
        "puzzle.rate",
        lambda puzzle: puzzle.rate,
        "Python finds a class attribute by itself.",
    ),
    (
        "puzzle.head.weight",
        lambda puzzle: puzzle.head.weight,
        "Each dot is a lookup of its own, and both names are entries of a table.",
    ),
    (
        "puzzle.head.in_features",
        lambda puzzle: puzzle.head.in_features,
        "head is an entry of a table; in_features is a plain value in the instance of the layer.",
    ),
    (
        "puzzle.width",
        lambda puzzle: puzzle.width,
        "Python finds the property by itself, and then the property reads self.head.",
    ),
    (
        'hasattr(puzzle, "tail")',
        lambda puzzle: hasattr(puzzle, "tail"),
        "hasattr makes the whole lookup, and catches the error that __getattr__ raises.",
    ),
    (
        "puzzle.blocks[0].weight",
        lambda puzzle: puzzle.blocks[0].weight,
        "blocks and weight are entries of tables; the brackets read the table directly.",
    ),
    (
        "list(puzzle.parameters())",
        lambda puzzle: list(puzzle.parameters()),
        "The methods that walk the tree read the tables directly.",
    ),
)


@exercise("look_up/count")
def _count(answer: list[int]) -> str | None:
    mine = list(answer)
    if len(mine) != len(_EXPRESSIONS):
        return f"There are {len(_EXPRESSIONS)} expressions, and your list has {len(mine)} numbers."
    puzzle = _Puzzle()
    for number, (text, read, idea) in zip(mine, _EXPRESSIONS, strict=True):
        recording = record(read, puzzle, watch=[nn.Module.__getattr__])
        right = sum(step.kind == "call" for step in recording.steps)
        if number != right:
            times = "once" if right == 1 else f"{right} times"
            return f"In {text} it runs {times}, you have {number!r}. {idea}"
    return None


def _tree() -> nn.Module:
    """Return a model in which every short cut for a path fails somewhere."""
    model = nn.Module()
    model.trunk = nn.Sequential(nn.Linear(2, 2, bias=False), nn.BatchNorm1d(2), nn.Module())
    model.trunk[2].register_buffer("mask", torch.ones(2), persistent=False)
    model.heads = nn.ModuleDict({"left": nn.Linear(2, 2), "right": nn.Linear(2, 2)})
    model.heads["right"].weight = model.heads["left"].weight
    model.twin = model.trunk
    return model


@exercise("look_up/by_path")
def _by_path(answer: Callable[[nn.Module, str], Any]) -> str | None:
    model = _tree()
    left = model.heads["left"]
    for path, right, idea in (
        ("", model, "The empty path is the model itself; ''.split('.') is a list with one name."),
        ("trunk", model.trunk, "It is a child."),
        ("trunk.1", model.trunk[1], "The names of a Sequential's children are digits."),
        ("trunk.0.weight", model.trunk[0].weight, "It is a parameter, two dots down."),
        ("trunk.1.running_mean", model.trunk[1].running_mean, "It is a buffer."),
        ("trunk.2.mask", model.trunk[2].mask, "It is a buffer that is not saved."),
        ("heads.left.bias", left.bias, "It is a parameter in a ModuleDict."),
        (
            "heads.right.weight",
            left.weight,
            "It is a tied parameter: named_parameters leaves out its second name.",
        ),
        (
            "twin.0",
            model.trunk[0],
            "It is in a shared module: named_modules leaves out its second path.",
        ),
        ("trunk.0.bias", None, "It is a parameter that was switched off: the name is there."),
        ("trunk.0.in_features", 2, "It is a plain attribute of the layer."),
    ):
        mine = outcome(lambda path=path: answer(model, path))
        if mine is right:
            continue
        if isinstance(mine, torch.Tensor) and isinstance(right, torch.Tensor):
            return (
                f"{path!r} gives another tensor than model.{path}: a state dict holds detached "
                "tensors, not the parameters themselves."
            )
        return f"For {path!r} your function {_shown(mine)}. {idea}"
    for path in ("trunk.9", "nothing", "heads.left.wieght"):
        mine = outcome(lambda path=path: answer(model, path))
        if not (isinstance(mine, tuple) and mine[0] is AttributeError):
            return (
                f"{path!r} leads nowhere. Your function {_shown(mine)}, and should raise an "
                "AttributeError."
            )
    return None


def _shown(mine: Any) -> str:
    """Say what an :func:`outcome` was: "raised ..." or "returned ..."."""
    if isinstance(mine, tuple) and len(mine) == 2 and isinstance(mine[0], type):
        return f"raised {mine[0].__name__}: {mine[1]}"
    if isinstance(mine, Exception):
        return f"returned {type(mine).__name__}: {mine}"
    plain = mine is None or isinstance(mine, int | float | str)
    return f"returned {mine!r}" if plain else f"returned a {type(mine).__name__}"


class _Faulty(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 3)
        self.runs: list[str] = []

    @property
    def typed_wrong(self) -> int:
        self.runs.append("typed_wrong")
        return self.layer.out_fetures

    @property
    def whole(self) -> int:
        return self.layer.out_features

    @property
    def negative(self) -> int:
        raise ValueError("negative")


class _Derived(_Faulty):
    @property
    def own(self) -> int:
        return self.depht


@exercise("look_up/reveal")
def _reveal(answer: Callable[[nn.Module, str], Any]) -> str | None:
    for name, error, text in (
        ("own", AttributeError, "'_Derived' object has no attribute 'depht'"),
        ("typed_wrong", AttributeError, "'Linear' object has no attribute 'out_fetures'"),
        ("negative", ValueError, "negative"),
    ):
        mine = outcome(lambda name=name: answer(_Derived(), name))
        if not isinstance(mine, Exception):
            return (
                f"A property raised {error.__name__}: {text}. Your function {_shown(mine)}, "
                "and should return the exception itself. The property may also stand in a base "
                "class, where vars(type(model)) does not have it."
            )
        if type(mine) is not error or str(mine) != text:
            return (
                f"A property raised {error.__name__}: {text}. Your function returned "
                f"{type(mine).__name__}: {mine}. Reading the attribute gives the second error, "
                "the one of __getattr__. Run the function of the property."
            )
    for name, what in (
        ("whole", "a property that raises nothing"),
        ("layer", "a child, not a property"),
        ("runs", "a plain attribute"),
        ("forward", "a method, not a property"),
        ("nothing", "a name that is nowhere"),
    ):
        mine = outcome(lambda name=name: answer(_Derived(), name))
        if mine is not None:
            return f"{name!r} is {what}, so None is right. Your function {_shown(mine)}."
    model = _Derived()
    answer(model, "typed_wrong")
    if len(model.runs) != 1:
        return f"The property ran {len(model.runs)} times. It may do work: run it once."
    return None


class _Copying(nn.Linear):
    """A module that says itself how it is copied."""

    rate = 0.1
    _unit = "metre"

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Copying":
        return _Copying(self.in_features, self.out_features)


@exercise("look_up/wrapper")
def _wrapper(answer: type) -> str | None:
    if not (isinstance(answer, type) and issubclass(answer, nn.Module)):
        return "The answer is no subclass of nn.Module, so its parameters would not be found."
    if answer.__getattr__ is nn.Module.__getattr__:
        return "The class does not define __getattr__ yet: nothing is passed on."
    empty = outcome(lambda: answer.__new__(answer).rate)
    if not (isinstance(empty, tuple) and empty[0] is AttributeError):
        return (
            f"On an object whose __init__ has not run, a lookup {_shown(empty)}; it should raise "
            "an AttributeError. There is no model yet: stop at the name 'model'."
        )
    inner = _Copying(2, 3)
    wrapper = answer(inner)
    for name, right, idea in (
        ("model", inner, "The model is the child 'model' of the wrapper."),
        ("rate", inner.rate, "It is a class attribute of the model."),
        ("weight", inner.weight, "It is a parameter of the model."),
        ("in_features", 2, "It is a plain attribute of the model."),
        ("_unit", inner._unit, "One underscore is not special to Python: pass the name on."),
    ):
        mine = outcome(lambda name=name: getattr(wrapper, name))
        if mine is not right:
            return f"wrapper.{name} {_shown(mine)}. {idea}"
    if outcome(lambda: hasattr(wrapper, "nothing")) is not False:
        return "hasattr(wrapper, 'nothing') is not False: a name that nobody has is an error."
    if list(wrapper.state_dict()) != ["model.weight", "model.bias"]:
        return (
            f"The keys are {list(wrapper.state_dict())}. The model must be the child 'model', and "
            "nothing else."
        )
    x = torch.ones(1, 2)
    if not torch.equal(wrapper(x), inner(x)):
        return "The wrapper computes something else than the model."
    if type(copy.deepcopy(wrapper)) is not answer:
        return (
            "A deep copy of the wrapper is no wrapper. copy asks for __deepcopy__; the wrapper has "
            "none, so its __getattr__ passes the name on, and the model is copied alone."
        )
    other = answer(nn.Sequential(nn.ReLU()))
    other.register_buffer("own", torch.ones(1))
    if outcome(lambda: other.own) is not other._buffers["own"]:
        return "A buffer of the wrapper itself is not found: ask nn.Module before the model."
    return None
