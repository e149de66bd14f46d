"""Checks of the chapter "Walk parameters and buffers"."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import Any

import torch
from torch import nn

from . import exercise
from ._hidden import hidden_models, missing_method, outcome

_TABLES = {"named_parameters": "_parameters", "named_buffers": "_buffers"}

_CALLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("", {}),
    ("recurse=False", {"recurse": False}),
    ("remove_duplicate=False", {"remove_duplicate": False}),
    ("prefix='net'", {"prefix": "net"}),
    (
        "prefix='net', recurse=False, remove_duplicate=False",
        {"prefix": "net", "recurse": False, "remove_duplicate": False},
    ),
)


def _walk_models(module_class: type) -> dict[str, Any]:
    """Return the hidden models, and those on which only a walk over tensors can go wrong."""
    twice = module_class()
    twice.register_parameter("one", nn.Parameter(torch.zeros(3)))
    twice.register_parameter("two", twice.one)
    twice.register_buffer("mean", torch.zeros(3))
    twice.register_buffer("again", twice.mean)

    equal = module_class()
    equal.register_parameter("one", nn.Parameter(torch.zeros(3)))
    equal.register_parameter("two", nn.Parameter(torch.zeros(3)))
    equal.register_buffer("mean", torch.zeros(3))
    equal.register_buffer("var", torch.zeros(3))

    views = module_class()
    memory = torch.zeros(3)
    views.register_parameter("one", nn.Parameter(memory))
    views.register_parameter("two", nn.Parameter(memory))
    views.register_buffer("mean", memory)
    views.register_buffer("var", memory[:])

    return hidden_models(module_class) | {
        "a module with one tensor under two names": twice,
        "a module with two tensors that are equal": equal,
        "a module with two tensors that use the same memory": views,
    }


def _lookup(model: Any, key: str) -> Any:
    """Return the entry behind *key*, read from the tables, or ``None`` if there is none."""
    *path, name = key.split(".")
    for child in path:
        model = vars(model)["_modules"].get(child)
        if model is None:
            return None
    return {**vars(model)["_parameters"], **vars(model)["_buffers"]}.get(name)


@exercise("walk_members/build")
def _build(answer: type) -> str | None:
    methods = ("_named_members", "named_parameters", "parameters", "named_buffers", "buffers")
    if message := missing_method(answer, *methods):
        return message
    torch_models = _walk_models(nn.Module)
    for what, mine in _walk_models(answer).items():
        for method, table in _TABLES.items():
            for arguments, kwargs in _CALLS:
                if message := _wrong_walk(mine, torch_models[what], method, table, kwargs):
                    return f"On {what}, {method}({arguments}): {message}"
    return _wrong_bare(answer) or _wrong_engine(answer)


def _wrong_walk(
    mine: Any, twin: nn.Module, method: str, table: str, kwargs: dict[str, Any]
) -> str | None:
    expected = [key for key, _ in getattr(twin, method)(**kwargs)]
    walk = outcome(lambda: getattr(mine, method)(**kwargs))
    if _is_error(walk):
        return _error_reason(*walk)
    if not isinstance(walk, Iterator):
        return (
            f"you return a {type(walk).__name__}, torch returns a generator. With yield in it, a "
            "method gives one entry at a time and waits."
        )
    found = outcome(lambda: list(walk))
    if _is_error(found):
        return _error_reason(*found)
    if not all(isinstance(pair, tuple) and len(pair) == 2 for pair in found):
        return "each thing that is yielded is a pair of a name and a tensor."
    for position, (pair, right) in enumerate(zip_longest(found, expected), 1):
        key = pair[0] if pair else None
        if key != right:
            keys = [key for key, _ in found]
            return _first_difference(position, pair, right, keys, twin, table, kwargs)
    for key, value in found:
        plain = key.removeprefix(f"{kwargs.get('prefix', '')}.")
        if value is not _lookup(mine, plain):
            return f"behind {key!r} is not the tensor of the table itself, but another object."
    again = [key for key, _ in getattr(mine, method)(**kwargs)]
    if again != expected:
        return (
            f"the second call yields {len(again)} entries, the first {len(expected)}. Make a new "
            "memo in each call: a set as a default argument is made only once."
        )
    return None


def _is_error(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], type)


def _error_reason(error: type, message: str) -> str:
    if "Boolean value of Tensor" in message:
        reason = (
            "A list or a comparison with == looks at the numbers. A set asks whether it holds this "
            "very object."
        )
    elif issubclass(error, RecursionError):
        reason = "named_modules goes down the tree already: do not go down once more."
    elif "argument" in message:
        reason = "Take the arguments prefix, recurse and remove_duplicate, as torch does."
    else:
        reason = "Some entries are None, and some modules have no entries."
    return f"your method raises {error.__name__}: {message}. {reason}"


def _first_difference(
    position: int,
    pair: tuple[str, Any] | None,
    right: str | None,
    keys: list[str],
    twin: nn.Module,
    table: str,
    kwargs: dict[str, Any],
) -> str:
    if pair is None:
        return f"the walk ends before {right!r}. {_missing_reason(right, twin, table, kwargs)}"
    key, value = pair
    torch_has = "torch has ended" if right is None else f"torch has {right!r}"
    return (
        f"entry {position} is {key!r}, {torch_has}. "
        f"{_extra_reason(position, value, right, keys, twin, table, kwargs)}"
    )


def _missing_reason(key: str, twin: nn.Module, table: str, kwargs: dict[str, Any]) -> str:
    plain = key.removeprefix(f"{kwargs.get('prefix', '')}.")
    path, _, name = plain.rpartition(".")
    method = {table: method for method, table in _TABLES.items()}[table]
    if plain not in dict(getattr(twin, method)()):
        return (
            "With remove_duplicate=False nothing is left out for being known: neither a module "
            "in the memo of named_modules nor a tensor in yours."
        )
    owner = twin.get_submodule(path)
    if name in owner._non_persistent_buffers_set:
        return "persistent=False is about saving. The walk yields such a buffer."
    values = [value for _, value in getattr(twin, method)()]
    value = _lookup(twin, plain)
    others = [other for other in values if other is not value]
    if any(other.shape == value.shape and other.data_ptr() == value.data_ptr() for other in others):
        return "Two tensor objects that use the same memory are two: the memo holds objects."
    if any(torch.equal(other, value) for other in others):
        return "Two tensors with equal numbers are two: the memo holds objects."
    if path:
        return "It belongs to a module further down, and recurse is true."
    return "It is an entry of the module itself: begin with this module, then go down."


def _extra_reason(
    position: int,
    value: Any,
    right: str | None,
    keys: list[str],
    twin: nn.Module,
    table: str,
    kwargs: dict[str, Any],
) -> str:
    key, seen = keys[position - 1], keys[: position - 1]
    prefix = kwargs.get("prefix", "")
    if value is None:
        return "This entry is None: it was switched off, and it is left out."
    if key.startswith(".") or ".." in key:
        return "A dot stands between path and name. The path of the root is empty: no dot there."
    if prefix and not key.startswith(f"{prefix}."):
        return (
            "The prefix stands in front of every name, with a dot that the method puts there. "
            "Hand it to named_modules, and use it when recurse is false."
        )
    plain = key.removeprefix(f"{prefix}.")
    if kwargs.get("recurse") is False and "." in plain:
        return "With recurse=False only the module's own table is asked."
    owner, _, name = plain.rpartition(".")
    entry = _lookup(twin, plain)
    if entry is None:
        return "This path is not in the tree. A path is that of named_modules, a dot, the name."
    if name not in vars(twin.get_submodule(owner))[table]:
        return f"This entry is not in the table {table} of its module."
    if kwargs.get("remove_duplicate", True) and any(
        _lookup(twin, other.removeprefix(f"{prefix}.")) is entry for other in seen
    ):
        return (
            "The same tensor was yielded before under another name. Keep what was yielded in a "
            "memo, also across modules, and with recurse=False too."
        )
    if right is None:
        return "torch does not yield it."
    if right not in keys:
        return f"{right!r} is missing. {_missing_reason(right, twin, table, kwargs)}"
    return (
        "The order is that of named_modules: a module's own table, in the order of assignment, "
        "then its children."
    )


def _wrong_bare(answer: type) -> str | None:
    """Say what is wrong with the two iterators without names."""
    for what, model in _walk_models(answer).items():
        for method in ("parameters", "buffers"):
            for kwargs in ({}, {"recurse": False}):
                pairs = list(getattr(model, f"named_{method}")(**kwargs))
                walk = getattr(model, method)(**kwargs)
                if not isinstance(walk, Iterator):
                    return f"{method}() returns a {type(walk).__name__}, torch returns a generator."
                found = list(walk)
                if any(isinstance(value, tuple) for value in found):
                    return f"{method}() yields the tensors alone, without their names."
                if [id(value) for value in found] != [id(value) for _, value in pairs]:
                    return (
                        f"On {what}, {method}({'recurse=False' if kwargs else ''}) yields "
                        f"{len(found)} tensors, named_{method} yields {len(pairs)}. Both must "
                        "yield the same: hand recurse on."
                    )
    return None


def _wrong_engine(answer: type) -> str | None:
    """Say whether the engine knows only two tables."""
    model = hidden_models(answer)["a module with children and grandchildren"]
    asked = []

    def own(module: Any) -> list[tuple[str, Any]]:
        asked.append(module)
        return [("self", module)]

    walk = iter(model._named_members(own))
    next(walk)
    if len(asked) != 1:
        return (
            f"_named_members asked {len(asked)} modules before it yielded its first entry. Yield "
            "inside the loop: the next module is asked when the caller wants more."
        )
    found = ["self", *(name for name, _ in walk)]
    right = [f"{path}.self".lstrip(".") for path, _ in model.named_modules()]
    if found != right:
        return (
            f"_named_members yields {found} for a function that gives one entry 'self' for each "
            f"module, torch yields {right}. The engine calls get_members_fn(module) and reads no "
            "table itself."
        )
    return None


class _Puzzle(nn.Module):
    """What the first exercise asks about, as on the page."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 4, bias=False)
        self.register_buffer("scale", torch.ones(4))
        self.register_buffer("mask", torch.ones(4), persistent=False)
        self.body = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.body[0].weight = self.head.weight
        self.gain = nn.Parameter(torch.ones(4))


@exercise("walk_members/names")
def _names(answer: Mapping[str, Iterable[str]]) -> str | None:
    if not isinstance(answer, Mapping):
        return f"The answer is a dictionary with three lists, not {type(answer).__name__}."
    puzzle = _Puzzle()
    truths = {
        "named_parameters": [name for name, _ in puzzle.named_parameters()],
        "named_buffers": [name for name, _ in puzzle.named_buffers()],
        "state_dict": list(puzzle.state_dict()),
    }
    for method, right in truths.items():
        if method not in answer:
            return f"The list for {method!r} is missing."
        if isinstance(answer[method], str):
            return f"{method}: give a list of names, even if it has one name only."
        for position, (mine, expected) in enumerate(zip_longest(answer[method], right), 1):
            if mine != expected:
                return f"{method}: {_name_reason(position, mine, expected, right, method)}"
    return None


def _name_reason(
    position: int, mine: str | None, expected: str | None, right: list[str], method: str
) -> str:
    if mine is None:
        where = f"the list ends before {expected!r}."
        if expected == "mask":
            return f"{where} persistent=False is about saving: the iterator yields it."
        if expected == "body.0.weight":
            return f"{where} The state dict has no memo: a tied tensor is saved under both names."
        return f"{where} It is in the tables of the model."
    torch_has = "torch has ended" if expected is None else f"torch has {expected!r}"
    where = f"entry {position} is {mine!r}, {torch_has}."
    if mine in right:
        if expected == "body.0.weight":
            return f"{where} The state dict has no memo: a tied tensor is saved under both names."
        return f"{where} A module's own entries come first, whatever was assigned before them."
    if mine == "body.0.weight":
        return (
            f"{where} It is the same tensor as 'head.weight', which was yielded before. The first "
            "name wins."
        )
    if mine == "mask" and method == "state_dict":
        return f"{where} It was registered with persistent=False, so it is not saved."
    if mine == "head.bias":
        return f"{where} This bias is None. None is left out."
    if mine in ("scale", "mask"):
        return f"{where} This is a buffer, and named_parameters reads the table of parameters only."
    if method == "named_buffers":
        return f"{where} This is not in a table of buffers."
    return f"{where} There is no entry of this name: a name is the path, a dot and the name."


class _Frozen(nn.Module):
    """A model with a tie, a frozen layer, a saved and an unsaved buffer, and a shared layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(7, 3)
        self.norm = nn.BatchNorm1d(3)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        self.again = self.frozen
        self.head = nn.Linear(3, 7)
        self.head.weight = self.embed.weight
        self.register_buffer("mask", torch.ones(5), persistent=False)


def _counts(model: nn.Module) -> tuple[int, int, int]:
    parameters = list(model.parameters())
    return (
        sum(param.numel() for param in parameters if param.requires_grad),
        sum(param.numel() for param in parameters if not param.requires_grad),
        sum(buffer.numel() for buffer in model.buffers()),
    )


@exercise("walk_members/count")
def _count(answer: Callable[[nn.Module], Any]) -> str | None:
    plain = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    for what, model in (("a plain model", plain), ("a model with ties", _Frozen())):
        right = _counts(model)
        mine = answer(model)
        if not isinstance(mine, tuple | list) or len(mine) != 3:
            return "The function returns three numbers: trained, frozen, in buffers."
        for number, expected, kind in zip(
            mine, right, ("trained", "frozen", "buffer"), strict=True
        ):
            if number != expected:
                reason = _count_reason(model, int(number), kind)
                where = "in buffers" if kind == "buffer" else kind
                return f"On {what} you find {number} numbers {where}, it has {expected}. {reason}"
    return None


def _count_reason(model: nn.Module, number: int, kind: str) -> str:
    wanted = {"trained": (True,), "frozen": (False,), "buffer": (False,)}[kind]
    walk = model.named_buffers if kind == "buffer" else model.named_parameters
    own = [p for _, p in walk() if p.requires_grad in wanted]
    every = [p for _, p in walk(remove_duplicate=False) if p.requires_grad in wanted]
    if number == len(own):
        return "You counted tensors. Each tensor holds numel() numbers."
    if number == sum(p.numel() for p in every):
        return "A tied tensor or a shared module was counted twice: each tensor counts once."
    saved = set(model.state_dict())
    if kind == "buffer" and number == sum(b.numel() for n, b in walk() if n in saved):
        return "A non-persistent buffer is a buffer too, although the state dict has not got it."
    if kind == "trained" and number == sum(p.numel() for p in model.parameters()):
        return "A parameter that does not require grad is not trained: it is frozen."
    if kind == "buffer":
        return "Walk over buffers(): no parameter, and every buffer of every module below."
    return "Walk over parameters(), and look at requires_grad of each."


@exercise("walk_members/ties")
def _ties(answer: Callable[[nn.Module], Any]) -> str | None:
    equal = nn.Sequential(nn.LayerNorm(3), nn.LayerNorm(3))
    twice = nn.Module()
    twice.one = nn.Parameter(torch.zeros(3))
    twice.two = twice.one
    twice.three = twice.one
    twice.four = nn.Parameter(twice.one.data)
    for what, model in (
        ("a model without ties", nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))),
        ("a model with two equal layer norms", equal),
        ("a model with a tied head and a shared layer", _Frozen()),
        ("a model with one tensor under three names", twice),
    ):
        groups: dict[Any, list[str]] = {}
        for name, param in model.named_parameters(remove_duplicate=False):
            groups.setdefault(param, []).append(name)
        right = {names[0]: names[1:] for names in groups.values() if len(names) > 1}
        mine = answer(model)
        if not isinstance(mine, Mapping):
            return f"The function returns a dictionary, not {type(mine).__name__}."
        if mine != right:
            return f"On {what}: {_ties_reason(dict(mine), right)}"
    return None


def _ties_reason(mine: dict[str, Any], right: dict[str, list[str]]) -> str:
    for name in mine:
        if name not in right:
            if mine[name] == []:
                return f"{name!r} has one name only: it is not tied, and not in the answer."
            if any(name in names for names in right.values()):
                return f"{name!r} is not the first name of its tensor. The first name is the key."
            return (
                f"you tie {name!r} to {mine[name]}. These are different tensor objects, although "
                "they are equal or use the same memory: compare with `is`."
            )
    for name in right:
        if name not in mine:
            return (
                f"{name!r} is missing. By default named_parameters() yields a tied tensor once, "
                "so its other names cannot be seen there."
            )
        if list(mine[name]) != right[name]:
            reason = ""
            if set(mine[name]) - set(right[name]):
                reason = " An equal tensor, or one that uses the same memory: compare with `is`."
            return f"the other names of {name!r} are {right[name]}, not {mine[name]}.{reason}"
    return "The values are lists of names."


class _Head(nn.Module):
    """A model whose names say nothing about which parameter is a weight."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(5, 4)
        self.unbiased = nn.Sequential(
            nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.LayerNorm(4)
        )
        self.normal = nn.Linear(4, 4)
        self.head = nn.Linear(4, 5)
        self.head.weight = self.embed.weight


@exercise("walk_members/groups")
def _groups(answer: Callable[[nn.Module, float], Any]) -> str | None:
    for model in (nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), _Head()):
        groups = answer(model, 0.25)
        if not (
            isinstance(groups, list | tuple)
            and len(groups) == 2
            and all(isinstance(group, dict) and "params" in group for group in groups)
        ):
            return 'The function returns a list of two dictionaries, each with "params".'
        tensors = [list(group["params"]) for group in groups]
        tensors = [[p[1] if isinstance(p, tuple) else p for p in group] for group in tensors]
        if message := _wrong_groups(model, tensors):
            return f"On a hidden model: {message}"
        decays = [group.get("weight_decay") for group in groups]
        if decays != [0.25, 0.0]:
            return (
                f"The groups have the weight decay {decays}. The first must have the decay that "
                "was given, the second 0. A group without the key takes what the optimizer has."
            )
    return None


def _wrong_groups(model: nn.Module, tensors: list[list[Any]]) -> str | None:
    given = [id(tensor) for group in tensors for tensor in group]
    names = {id(param): name for name, param in model.named_parameters()}
    if any(id(tensor) not in names for group in tensors for tensor in group):
        return "There is a tensor that parameters() does not yield: a buffer, or a copy."
    for one in names:
        if given.count(one) > 1:
            return (
                f"{names[one]!r} is given {given.count(one)} times. A walk over modules that asks "
                "each for all its descendants, or one without a memo, finds tensors again."
            )
    for one, name in names.items():
        if one not in given:
            return f"{name!r} is in no group: no optimizer will train it."
    decayed, kept = tensors
    for param in decayed:
        if param.ndim < 2:
            return (
                f"{names[id(param)]!r} has {param.ndim} dimension and is in the first group. A "
                "name does not say what a tensor is: the weight of a norm ends in 'weight' too."
            )
    for param in kept:
        if param.ndim >= 2:
            return (
                f"{names[id(param)]!r} has {param.ndim} dimensions and is in the second group. "
                "Look at the tensor, not for a piece of text in its name."
            )
    return None
