"""Checks of the chapter "Register parameters, buffers and submodules"."""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from . import exercise
from ._hidden import missing_method, outcome

_TABLES = ("_parameters", "_buffers", "_modules")


def _puzzle() -> nn.Module:
    """Return the module that the page calls Puzzle."""
    puzzle = nn.Module()
    puzzle.gain = nn.Parameter(torch.ones(2))
    puzzle.double = 2 * puzzle.gain
    puzzle.mean = nn.Buffer(torch.zeros(2))
    puzzle.mean = torch.ones(2)
    puzzle.layers = [nn.Linear(2, 2)]
    puzzle.head = nn.Linear(2, 2)
    puzzle.head = None
    puzzle.tail = None
    puzzle.norm = nn.LayerNorm(2)
    puzzle.norm = nn.Parameter(torch.ones(2))
    return puzzle


_PUZZLE_IDEAS = {
    "gain": "A Parameter that is assigned to an attribute goes into _parameters.",
    "double": "The result of a computation with a Parameter is a plain tensor, not a Parameter.",
    "mean": "The name was in _buffers already, so a plain tensor stays in this table.",
    "layers": "A list is a plain attribute. Nobody looks at what is in it.",
    "head": "The name was in _modules already, and None keeps it there.",
    "tail": "No table had this name, so None is a plain attribute.",
    "norm": "A Parameter takes its name out of the other tables, and then it is registered.",
}


@exercise("register_entries/tables")
def _check_tables(answer: Mapping[str, str]) -> str | None:
    puzzle = _puzzle()
    if not isinstance(answer, Mapping):
        return "The answer is a dictionary from the name of an attribute to the name of a table."
    if unknown := [name for name in answer if name not in _PUZZLE_IDEAS]:
        return f"Puzzle has no attribute {unknown[0]!r}."
    for name, idea in _PUZZLE_IDEAS.items():
        right = next((t for t in _TABLES if name in vars(puzzle)[t]), "__dict__")
        if name not in answer:
            return f"There is no answer for {name!r}."
        if answer[name] not in (*_TABLES, "__dict__"):
            known = ", ".join(_TABLES)
            return f"{answer[name]!r} is not one of the four answers: {known}, __dict__."
        if answer[name] != right:
            return f"{name!r} is not in {answer[name]}. {idea}"
    return None


def _rearranged() -> nn.Module:
    """Return the module of the page after all its assignments."""
    module = nn.Module()
    module.child = nn.Linear(1, 1, bias=False)
    for name in "abcd":
        setattr(module, name, nn.Parameter(torch.ones(1)))
    module.e = nn.Linear(1, 1, bias=False)
    module.a = nn.Parameter(torch.zeros(1))
    del module.b
    module.b = nn.Parameter(torch.zeros(1))
    module.c = None
    module.c = nn.Parameter(torch.zeros(1))
    module.d = None
    module.e = nn.Parameter(torch.zeros(1))
    return module


_ORDER_IDEAS = {
    "a": "A new Parameter under a name that the table has keeps the place of the old one.",
    "b": "del takes the name out of the table. The next assignment puts it at the end.",
    "c": "None keeps the name in the table, so a Parameter later gets the old place back.",
    "d": "The name d is still in the table, but its value is None, and None is not saved.",
    "e": "e was a child. The Parameter took the name out of _modules: it is a new name at the end.",
    "child.weight": "A module's own parameters come before those of its children.",
}


@exercise("register_entries/order")
def _check_order(answer: Sequence[str]) -> str | None:
    expected = list(_rearranged().state_dict())
    given = list(answer)
    for key in given:
        if key == "e.weight":
            return f"'e.weight' is not a key. {_ORDER_IDEAS['e']}"
        if key not in expected:
            return f"{key!r} is not a key. " + _ORDER_IDEAS.get(key, "Nothing has this path.")
    for key in expected:
        if given.count(key) != 1:
            return f"{key!r} must be there once. {_ORDER_IDEAS[key]}"
    for position, (mine, right) in enumerate(zip(given, expected, strict=True), 1):
        if mine != right:
            # The one that moved explains the difference, whichever of the two it is.
            moved = next(key for key in ("child.weight", "b", "e", right) if key in (mine, right))
            return f"Key {position} is {mine!r}, torch has {right!r}. {_ORDER_IDEAS[moved]}"
    return None


@exercise("register_entries/repair")
def _check_repair(answer: type) -> str | None:
    if not (isinstance(answer, type) and issubclass(answer, nn.Module)):
        return "The answer is the class itself, a subclass of nn.Module."
    for widths in ((2, 3), [4, 2, 3, 1]):
        stack = answer(widths)
        if message := _repair_fault(stack, list(widths)):
            return f"With widths {tuple(widths)}: {message}"
    return None


def _repair_fault(stack: nn.Module, widths: list[int]) -> str | None:
    trained = {id(param) for param in stack.parameters()}
    for name in ("layers", "gain", "steps", "mask"):
        if not hasattr(stack, name):
            return f"there is no attribute {name!r} any more."
    if id(stack.gain) not in trained:
        return "gain is not in parameters(): only an nn.Parameter is trained."
    buffers = dict(stack.named_buffers())
    for name in ("steps", "mask"):
        if id(getattr(stack, name)) in trained:
            return (
                f"{name} is in parameters(). requires_grad=False does not change that: what is "
                "not trained is a buffer."
            )
        if name not in buffers:
            return (
                f"{name} is in no table: a plain tensor stays a plain attribute. Assign an "
                "nn.Buffer or call register_buffer."
            )
    saved = stack.state_dict()
    if "steps" not in saved:
        return "steps is not saved: a buffer with persistent=False is left out."
    if "mask" in saved:
        return "mask is saved: give persistent=False to a buffer that can be computed again."
    if buffers["steps"].dtype.is_floating_point:
        return "steps was a counter, an integer tensor, and must stay one."
    shapes = sorted(tuple(param.shape) for param in stack.parameters())
    pairs = list(itertools.pairwise(widths))
    wanted = [(outs, ins) for ins, outs in pairs] + [(outs,) for _, outs in pairs] + [(widths[-1],)]
    if len(shapes) < len(wanted):
        return (
            f"parameters() gives {len(shapes)} parameters, and not {len(wanted)}. The layers are "
            "not registered: a list or tuple is a plain attribute, an nn.ModuleList is a module."
        )
    if shapes != sorted(wanted):
        return f"the shapes of the parameters are {shapes}, and not {sorted(wanted)}."
    with torch.no_grad():
        shape = tuple(stack(torch.ones(5, widths[0])).shape)
    if shape != (5, widths[-1]):
        return f"the output for 5 rows has shape {shape}, and not {(5, widths[-1])}."
    return None


def _lost_models() -> list[tuple[str, nn.Module, set[str]]]:
    """Return modules, each with what it is and the names that are lost on it."""
    clean = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    clean.register_buffer("mask", torch.ones(2), persistent=False)
    clean.names = ["a", "b"]
    clean.training = False

    plain = nn.Linear(2, 2)
    plain.shift = torch.ones(2)
    plain.double = 2 * plain.weight
    plain.register_module("head", None)

    listed = nn.Module()
    listed.layers = [nn.Linear(1, 1)]
    listed.pair = (3, nn.Parameter(torch.ones(1)))
    listed.by_name = OrderedDict(first=nn.ReLU())
    listed.sizes = {"a": [1, 2], "b": (3,)}
    listed.good = nn.ModuleList([nn.Linear(1, 1)])

    deep = nn.Module()
    deep.grid = [[1, 2], [3, {"last": torch.ones(1)}]]
    deep.words = ["ab", ["cd"], {"ef": "gh"}]
    deep.child = nn.Module()
    deep.child.lost = torch.ones(1)
    return [
        ("a module that lost nothing", clean, set()),
        ("a module with plain tensors", plain, {"shift", "double"}),
        ("a module with a list, a tuple and a dictionary", listed, {"layers", "pair", "by_name"}),
        ("a module with lists in lists", deep, {"grid"}),
    ]


@exercise("register_entries/lost")
def _check_lost(answer: Callable[[nn.Module], Iterable[str]]) -> str | None:
    for what, module, wanted in _lost_models():
        before = {name: id(value) for name, value in vars(module).items()}
        found = answer(module)
        if isinstance(found, str) or not isinstance(found, Iterable):
            return f"The function returned {type(found).__name__}, not a list of names."
        found = list(found)
        if before != {name: id(value) for name, value in vars(module).items()}:
            return f"On {what}, your function changed the attributes of the module."
        for name in found:
            if name in _TABLES:
                return (
                    f"On {what}, {name!r} is in your answer. It is one of the three tables: what "
                    "stands in it is registered."
                )
            if name not in wanted:
                reason = (
                    "It is registered."
                    if any(name in vars(module)[table] for table in _TABLES)
                    else "No tensor or module of this module is lost there."
                )
                return f"On {what}, {name!r} is in your answer. {reason}"
        for name in sorted(wanted):
            if name not in found:
                return f"On {what}, {name!r} is not in your answer. {_lost_idea(module, name)}"
        if len(found) != len(wanted):
            return f"On {what}, a name is in your answer twice."
    return None


def _lost_idea(module: nn.Module, name: str) -> str:
    value = getattr(module, name)
    if isinstance(value, torch.Tensor):
        return "It is a plain tensor, and in no table."
    if name == "grid":
        return "A list can hold lists and dictionaries: look into those too."
    kind = type(value).__name__
    return f"It is not a tensor itself, but this {kind} holds a tensor or a module."


# The script that "Build it" is tried on: what is done, how, and the idea behind it.
_Operation = tuple[str, Callable[[Any, Any], Any], str]


def _assign(name: str, value: str, idea: str) -> _Operation:
    return f"net.{name} = {value}", lambda net, has: setattr(net, name, getattr(has, value)), idea


def _delete(name: str, idea: str) -> _Operation:
    return f"del net.{name}", lambda net, has: delattr(net, name), idea


def _parameter(name: Any, value: str, idea: str) -> _Operation:
    return (
        f"net.register_parameter({name!r}, {value})",
        lambda net, has: net.register_parameter(name, getattr(has, value)),
        idea,
    )


def _buffer(name: Any, value: str, idea: str, **settings: bool) -> _Operation:
    given = "".join(f", {key}={value}" for key, value in settings.items())
    return (
        f"net.register_buffer({name!r}, {value}{given})",
        lambda net, has: net.register_buffer(name, getattr(has, value), **settings),
        idea,
    )


_CHILD = (
    "A module goes into _modules. Ask for your own class with isinstance, not for torch.nn.Module."
)
_NAME = "A name is a string that is not empty and has no dot: it becomes a part of a key."
_TAKEN = "hasattr finds an attribute of this name that is not in the table: refuse it."
_MOVE = (
    "A Parameter or a module leaves its name in one place only: take it out of the instance "
    "dictionary, of the other tables and of _non_persistent_buffers_set before you register it."
)
_PLACE = "A name that the table has keeps its place: do not take it out before you put it in."
_STRICT_PARAMETER = "The name is in _parameters, so only a Parameter or None may follow."

_ASSIGNMENTS: list[_Operation] = [
    _assign("gain", "param1", "A Parameter goes into _parameters."),
    _assign("weight", "param2", "A Parameter goes into _parameters, after those before it."),
    _assign("child", "module1", _CHILD),
    _assign("other", "module2", _CHILD),
    _assign("mean", "buffer", "An nn.Buffer goes into _buffers."),
    _assign("mask", "brief", "An nn.Buffer says itself whether it is persistent: ask the value."),
    _assign("shift", "tensor1", "A plain tensor becomes a buffer only if the name is one already."),
    _assign("layers", "listed", "A list is a plain attribute."),
    _assign("bias", "none", "None under a name that no table has is a plain attribute."),
    _assign("steps", "number", "Everything else is a plain attribute."),
    _assign("gain", "param3", _PLACE),
    _assign("gain", "none", "None keeps the name in the table."),
    _assign("gain", "tensor1", f"{_STRICT_PARAMETER} A table that holds None has the name too."),
    _assign("weight", "module3", f"{_STRICT_PARAMETER} Ask this before you ask for a module."),
    _assign("weight", "buffer", f"{_STRICT_PARAMETER} Ask this before you ask for a buffer."),
    _assign("gain", "param1", _PLACE),
    _assign("child", "none", "None keeps the name in the table."),
    _assign("child", "tensor1", "The name is in _modules, so only a module or None may follow."),
    _assign("child", "module3", _PLACE),
    _assign("mean", "tensor1", "The name is in _buffers: a plain tensor takes the place."),
    _assign("mask", "tensor2", "A plain tensor under an old name stays as persistent as before."),
    _assign("mean", "none", "None keeps the name in the table."),
    _assign("mean", "listed", "The name is in _buffers, so only a tensor or None may follow."),
    _assign("mean", "tensor2", "The name is in _buffers: a plain tensor takes the place."),
    _assign("other", "param4", _MOVE),
    _assign("mask", "module2", _MOVE),
    _assign("shift", "param5", _MOVE),
    _assign("layers", "module4", _MOVE),
    _assign("mean", "param6", _MOVE),
    _assign("fresh", "tensor1", "A plain tensor becomes a buffer only if the name is one already."),
    _assign("fresh", "buffer", f"{_TAKEN} A Buffer, unlike a Parameter, takes nothing out first."),
    _assign(
        "width",
        "number",
        "All else goes the ordinary way, super().__setattr__: only that way a property of the "
        "class gets the value.",
    ),
    _assign("rate", "param7", _TAKEN),
    _assign("rate", "module5", "A module that is assigned is not checked: its name may be taken."),
]

_REGISTRATIONS: list[_Operation] = [
    _parameter("bias", "none", "None is registered too: it keeps a place for the name."),
    _parameter("weight", "param1", "A Parameter goes into _parameters."),
    _parameter("bias", "param2", _PLACE),
    _parameter("weight", "tensor1", "A plain tensor is not a Parameter: refuse it."),
    _parameter("made", "computed", "A Parameter with a grad_fn was computed: refuse it."),
    _parameter("a.b", "param3", _NAME),
    _parameter("", "param3", _NAME),
    _parameter(3, "param3", _NAME),
    _parameter("rate", "param3", _TAKEN),
    _parameter("register_buffer", "none", f"{_TAKEN} Also if the value is None."),
    _buffer("mean", "tensor1", "The third argument may be left out: a buffer is persistent."),
    _buffer("mask", "tensor2", "Note the name of a buffer that is not saved.", persistent=False),
    _buffer("mask", "tensor1", "Registered again, a buffer is persistent again."),
    _buffer("mean", "tensor2", "Registered again, it is left out from now on.", persistent=False),
    _buffer("empty", "none", "None is registered too: it keeps a place for the name."),
    _buffer("sizes", "listed", "Only a tensor or None can be a buffer."),
    _buffer("a.b", "tensor1", _NAME),
    _buffer("", "tensor1", _NAME),
    _buffer(3, "tensor1", _NAME),
    _buffer("rate", "tensor1", _TAKEN),
    _buffer("weight", "tensor1", f"{_TAKEN} That the name is in another table counts."),
]

_DELETIONS: list[_Operation] = [
    _assign("gain", "param1", "A Parameter goes into _parameters."),
    _assign("weight", "param2", "A Parameter goes into _parameters, after those before it."),
    _assign("mean", "buffer", "An nn.Buffer goes into _buffers."),
    _assign("mask", "brief", "An nn.Buffer says itself whether it is persistent: ask the value."),
    _assign("child", "module1", _CHILD),
    _assign("shift", "tensor1", "A plain tensor becomes a buffer only if the name is one already."),
    _delete("gain", "del looks for the name in _parameters."),
    _delete("mask", "del of a buffer also takes its name out of _non_persistent_buffers_set."),
    _delete("child", "del looks for the name in _modules."),
    _delete("shift", "What is in no table is deleted the ordinary way, super().__delattr__."),
    _delete("nothing", "What is nowhere is an AttributeError, as super().__delattr__ says it."),
    _delete("mean", "del looks for the name in _buffers."),
    _assign("gain", "param1", "After del, the name is a new name at the end of the table."),
]

_EARLY = "Without __init__ there are no tables: say so before you touch one."
_BEFORE_INIT: list[_Operation] = [
    _assign("steps", "number", "A plain attribute needs no table, so it needs no __init__."),
    _assign("shift", "tensor1", "A plain attribute needs no table, so it needs no __init__."),
    _assign("gain", "param1", _EARLY),
    _assign("child", "module1", _EARLY),
    _assign("mean", "buffer", _EARLY),
    _parameter("bias", "none", _EARLY),
    _buffer("mean", "none", _EARLY),
]

_SCRIPTS: dict[str, list[_Operation]] = {
    "On a new module": _ASSIGNMENTS,
    "With the register methods": _REGISTRATIONS,
    "When entries are deleted": _DELETIONS,
    "Before Module.__init__ has run": _BEFORE_INIT,
}


def _net_class(module_class: type, initialised: bool) -> type:
    """Return a subclass with a class attribute and a property, the same but for its base."""

    def set_width(self: Any, value: Any) -> None:
        object.__setattr__(self, "set_by_property", value)

    body: dict[str, Any] = {
        "__module__": "hidden",
        "rate": 0.1,
        "width": property(lambda self: 1, set_width),
    }
    if not initialised:
        body["__init__"] = lambda self: None
    return type("Net", (module_class,), body)


def _belongings(net_class: type) -> SimpleNamespace:
    """Return the values that the scripts assign, by name."""
    computed = nn.Parameter(torch.ones(2), requires_grad=False)
    computed.mul_(torch.ones(2, requires_grad=True))
    return SimpleNamespace(
        none=None,
        number=3,
        listed=[1],
        computed=computed,
        buffer=nn.Buffer(torch.zeros(2)),
        brief=nn.Buffer(torch.zeros(2), persistent=False),
        **{f"tensor{i}": torch.full((2,), float(i)) for i in range(1, 3)},
        **{f"param{i}": nn.Parameter(torch.full((2,), float(i))) for i in range(1, 8)},
        **{f"module{i}": net_class() for i in range(1, 6)},
    )


def _places(net: Any, has: Any, ignored: set[str]) -> dict[str, list[str]]:
    """Say for each place of *net* what is in it, in order, with the names of the values."""
    labels = {id(value): name for name, value in vars(has).items()}

    def listed(entries: Mapping[str, Any]) -> list[str]:
        return [f"{name}: {labels.get(id(value), '?')}" for name, value in entries.items()]

    own = vars(net)
    places = {table: listed(own[table]) for table in _TABLES if table in own}
    if "_non_persistent_buffers_set" in own:
        places["_non_persistent_buffers_set"] = sorted(own["_non_persistent_buffers_set"])
    plain = {name: value for name, value in own.items() if name not in ignored}
    places["the instance dictionary"] = sorted(listed(plain))
    return places


@exercise("register_entries/build")
def _check_build(answer: type) -> str | None:
    methods = ("__setattr__", "register_parameter", "register_buffer", "__delattr__")
    if message := missing_method(answer, *methods):
        return message
    if issubclass(answer, nn.Module):
        return "The class is built on torch.nn.Module, which has the four methods. Use Base."
    words: list[str] = []
    for where, script in _SCRIPTS.items():
        if message := _run_script(answer, where, script, words):
            return message
    if words:
        shown = " ".join(words[:2])
        return (
            "Every entry is where it should be, and every error has its type. Only the words of "
            f"{len(words)} errors differ from torch's; readers search for these words. {shown}"
        )
    return None


def _run_script(answer: type, where: str, script: list[_Operation], words: list[str]) -> str | None:
    """Do *script* on the reader's class and on torch's; return where they first differ.

    Args:
        words: gets a sentence for each error that differs in its message alone.
    """
    sides = []
    for module_class in (answer, nn.Module):
        net = _net_class(module_class, "Before" not in where)()
        has = _belongings(_net_class(module_class, True))
        sides.append((net, has, set(vars(net))))
    for number, (text, action, idea) in enumerate(script, 1):
        step = f"{where}, step {number}, {text}"
        results = [outcome(partial(action, net, has)) for net, has, _ in sides]
        mine, right = results
        if _kind(mine) != _kind(right):
            return f"{step}: torch {_said(right)}, yours {_said(mine)}. {idea}"
        if isinstance(right, tuple) and mine[1] != right[1]:
            words.append(f'After {text} torch says "{right[1]}", yours "{mine[1]}".')
        found = [_places(net, has, ignored) for net, has, ignored in sides]
        if set(found[0]) != set(found[1]):
            return f"{step}: one of the tables is gone. {idea}"
        # The table is told first: what is wrong in two places was put into the wrong one.
        for place, wanted in found[1].items():
            got = found[0][place]
            if got != wanted:
                return (
                    f"{step}: {place} holds {_words(got)}, and with torch {_words(wanted)}. {idea}"
                )
    return None


def _kind(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


def _said(result: Any) -> str:
    if isinstance(result, tuple):
        return f"raises {result[0].__name__}"
    return "accepts it" if result is None else f"returns {type(result).__name__}"


def _words(entries: list[str]) -> str:
    return ", ".join(entries) if entries else "nothing"
