"""Checks of the chapter "Follow state_dict down the tree"."""

import copy
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from . import exercise
from ._hidden import hidden_models, leaf, missing_method, outcome


class _Error(Exception):
    """Carries what a check has to say out of the helpers below."""


def _require(right: bool, message: str) -> None:
    if not right:
        raise _Error(message)


# Build it


@exercise("follow_state_dict/build")
def _build(answer: Any) -> str | None:
    if message := missing_method(answer, "_save_to_state_dict", "state_dict"):
        return message
    mine, theirs = hidden_models(answer), hidden_models(nn.Module)
    try:
        for what, right in theirs.items():
            _same_own_entries(f"On {what}", mine[what], right)
        _same_destination(leaf(answer))
        for what, right in theirs.items():
            where = f"On {what}"
            _same_state_dict(where, mine[what], right)
            _same_tensors(where, mine[what])
            _same_prefix(where, mine[what], right)
        _same_versions(answer)
        _same_extra_state(answer)
    except _Error as error:
        return str(error)
    return None


def _same_own_entries(where: str, mine: Any, right: nn.Module) -> None:
    """Compare ``_save_to_state_dict``, for this module alone."""
    found: dict[str, Any] = {}
    expected: dict[str, Any] = {}
    result = outcome(lambda: mine._save_to_state_dict(found, "p.", False))
    right._save_to_state_dict(expected, "p.", False)
    where += ', after _save_to_state_dict(destination, "p.", False)'
    if isinstance(result, tuple):
        raise _Error(f"{where}: it raised {result[0].__name__}: {result[1]}. {_error(result[1])}")
    for key in found:
        if key not in expected and "." in key.removeprefix("p."):
            raise _Error(
                f"{where}, the destination has {key!r}. This method writes one module's own "
                "entries; the descendants are the work of state_dict."
            )
    _same_keys(where, list(found), list(expected), right, "p.")


def _same_state_dict(where: str, mine: Any, right: nn.Module) -> None:
    found = outcome(mine.state_dict)
    where += ", state_dict()"
    if isinstance(found, tuple):
        raise _Error(f"{where} raised {found[0].__name__}: {found[1]}. {_error(found[1])}")
    _require(
        isinstance(found, Mapping),
        f"{where} returned {type(found).__name__}: return the destination at the end.",
    )
    _same_keys(where, list(found), list(right.state_dict()), right)


def _same_keys(
    where: str, mine: list[str], right: list[str], module: nn.Module, prefix: str = ""
) -> None:
    """Raise with the first key that differs and the idea behind the difference."""
    for position, (key, expected) in enumerate(zip(mine, right, strict=False), 1):
        if key != expected:
            raise _Error(
                f"{where}: key {position} is {key!r}, torch has {expected!r}. "
                f"{_idea(key, mine, right, position, module, prefix)}"
            )
    if len(mine) > len(right):
        key = mine[len(right)]
        idea = _idea(key, mine, right, len(right) + 1, module, prefix)
        raise _Error(f"{where}: after {len(right)} right keys comes {key!r}. {idea}")
    if len(mine) < len(right):
        key = right[len(mine)]
        raise _Error(f"{where}: the keys end before {key!r}. {_why_absent(key, module, prefix)}")


def _idea(
    key: str, mine: list[str], right: list[str], position: int, module: nn.Module, prefix: str
) -> str:
    expected = right[position - 1] if position <= len(right) else ""
    if key in right[position:]:
        if expected not in mine:
            return _why_absent(expected, module, prefix)
        path, right_path = key.rpartition(".")[0], expected.rpartition(".")[0]
        if path == right_path:
            return "A module writes its parameters first, then its buffers."
        return "You went into the children before you saved this module's own entries."
    if expected and key.replace(".", "") == expected.replace(".", ""):
        return "A prefix ends in a dot: that of a child is prefix + name + '.'."
    if expected.endswith(f".{key}"):
        return (
            "The way from the root is lost. The prefix of a child begins with the prefix of its "
            "parent, and stands before each name."
        )
    path, _, name = key.removeprefix(prefix).rpartition(".")
    owner = dict(module.named_modules(remove_duplicate=False)).get(path)
    if owner is not None and name in owner._non_persistent_buffers_set:
        return "This buffer was registered with persistent=False: it is not saved."
    if owner is not None and name in {**owner._parameters, **owner._buffers, **owner._modules}:
        return "This entry is None: there is nothing to save."
    return "No module has an entry of this name under this path."


def _why_absent(key: str, module: nn.Module, prefix: str = "") -> str:
    path, _, name = key.removeprefix(prefix).rpartition(".")
    modules = dict(module.named_modules(remove_duplicate=False))
    owner = modules[path]
    first = {id(owner): path for path, owner in reversed(modules.items())}
    if first[id(owner)] != path:
        return (
            "The same module was saved before under another path. state_dict does not remember "
            "where it was: a shared module is saved under each of its paths."
        )
    if name in owner._buffers:
        return "It is a persistent buffer: it is saved like a parameter."
    if path:
        return "It belongs to a descendant: call state_dict of every child, at every depth."
    return "It is a parameter of the module itself."


def _error(message: str) -> str:
    if "NoneType" in message:
        return "An entry can be None, and a child too. Leave it out."
    if "positional" in message or "keyword" in message or "argument" in message:
        return "destination, prefix and keep_vars are keyword arguments of state_dict."
    return "torch raises nothing here."


def _same_tensors(where: str, mine: Any) -> None:
    """Compare identity and memory of each value, with and without ``keep_vars``."""
    held = _tensors(mine)
    for key, value in mine.state_dict().items():
        own = held[key]
        _require(
            isinstance(value, torch.Tensor) and value.data_ptr() == own.data_ptr(),
            f"{where}, {key!r} is a copy: a state dict shares the memory of the module.",
        )
        _require(
            value is not own and not value.requires_grad,
            f"{where}, {key!r} is the {type(own).__name__} itself. Without keep_vars each entry "
            "is detached: a new tensor object on the same memory.",
        )
    for key, value in mine.state_dict(keep_vars=True).items():
        _require(
            value is held[key],
            f"{where}, state_dict(keep_vars=True)[{key!r}] is not the object that the module "
            "holds. Do not detach then, and pass keep_vars on to the children.",
        )


def _tensors(module: Any, prefix: str = "") -> dict[str, Any]:
    found = {prefix + name: value for name, value in module._parameters.items()}
    found |= {prefix + name: value for name, value in module._buffers.items()}
    for name, child in module._modules.items():
        if child is not None:
            found |= _tensors(child, f"{prefix}{name}.")
    return found


def _same_destination(mine: Any) -> None:
    """Check that the dictionary that was given is filled and returned, also an empty one."""
    for given, shown in (({"before": torch.zeros(1)}, "{...}"), ({}, "{}")):
        returned = outcome(lambda given=given: mine.state_dict(destination=given))
        where = f"On a module without children, state_dict(destination={shown})"
        if isinstance(returned, tuple):
            hint = (
                "A plain dict has no attributes: write versions only where _metadata is."
                if "_metadata" in returned[1]
                else _error(returned[1])
            )
            raise _Error(f"{where} raised {returned[0].__name__}: {returned[1]}. {hint}")
        _require(
            isinstance(returned, Mapping),
            f"{where} returned {type(returned).__name__}: return the destination at the end.",
        )
        idea = "Fill the one that was given." if given else "Ask 'is None', not 'not'."
        _require(returned is given, f"{where} returned another dictionary. {idea}")


def _same_prefix(where: str, mine: Any, right: nn.Module) -> None:
    found = mine.state_dict(destination={}, prefix="top.")
    expected = right.state_dict(destination={}, prefix="top.")
    where += ', state_dict(prefix="top.")'
    _same_keys(where, list(found), list(expected), right, "top.")


def _same_versions(module_class: type) -> None:
    mine, right = _versioned(module_class), _versioned(nn.Module)
    found = getattr(mine.state_dict(), "_metadata", None)
    expected = right.state_dict()._metadata
    _require(
        found is not None,
        "The new dictionary has no attribute _metadata. torch makes an OrderedDict and gives it "
        "one, with the version of each module.",
    )
    if list(found) != list(expected):
        dotted = any(path.endswith(".") for path in found)
        idea = (
            "The key is the path: the prefix without its last dot."
            if dotted
            else "Each module writes its version before its children do, also one without tensors."
        )
        raise _Error(
            f"The keys of _metadata are {list(found)}, those of torch {list(expected)}. {idea}"
        )
    for path, entry in expected.items():
        _require(
            found[path] == entry,
            f"_metadata[{path!r}] is {found[path]!r}, that of torch {entry!r}. The version is the "
            "attribute _version of the module itself; a class may set its own.",
        )
    destination: Any = OrderedDict()
    destination._metadata = OrderedDict()
    mine.state_dict(destination=destination, prefix="top.")
    _require(
        list(destination._metadata)[:1] == ["top"],
        "A destination that has _metadata gets the versions too, under the path with its prefix.",
    )


def _versioned(module_class: type) -> Any:
    newer = type("Newer", (module_class,), {"_version": 7})
    root = module_class()
    root.empty = module_class()
    root.body = newer()
    root.body.inner = module_class()
    return root


def _same_extra_state(module_class: type) -> None:
    kinds = {"get_extra_state": lambda self: {"words": 3}}
    extra = type("Extra", (module_class,), kinds)
    root = module_class()
    root.words = extra()
    root.words.weight = nn.Parameter(torch.ones(1))
    found = root.state_dict()
    _require(
        list(found) == ["words.weight", "words._extra_state"],
        f"A child whose class defines get_extra_state gave the keys {list(found)}, in torch they "
        "are ['words.weight', 'words._extra_state']. Extra state comes after the buffers, with "
        "the prefix before it.",
    )
    _require(
        found["words._extra_state"] == {"words": 3},
        "The value of _extra_state is what get_extra_state returns, unchanged.",
    )
    plain = module_class()
    plain.get_extra_state = lambda: 3
    _require(
        not list(plain.state_dict()),
        "A function that was assigned to one module counts as extra state in yours. torch asks "
        "the class: type(self), not self.",
    )


# The other exercises


def _puzzle() -> nn.Module:
    """Return the same tree as the one on the page."""
    tree = nn.Module()
    tree.scale = nn.Parameter(torch.ones(1))
    tree.body = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    tree.register_module("skip", None)
    tree.twin = tree.body
    return tree


@exercise("follow_state_dict/prefixes")
def _prefixes(answer: list[str]) -> str | None:
    metadata = _puzzle().state_dict()._metadata
    expected = [path + "." if path else "" for path in metadata]
    found = list(answer)
    if found[:1] != [""]:
        return "The first call is on the root. Its prefix is the empty string."
    for position, (mine, right) in enumerate(zip(found, expected, strict=False), 1):
        if mine == right:
            continue
        if mine + "." == right:
            idea = "A prefix ends in a dot."
        elif mine == "skip.":
            idea = "A child that is None is left out: there is nothing to call."
        elif right == "body.1.":
            idea = "A module without tensors is called too. It writes nothing."
        elif mine == "twin." and right != "body.":
            idea = "A module calls all its children before the next child of its parent has a turn."
        elif mine in ("0.", "1."):
            idea = "The prefix is the whole way from the root, not the last name alone."
        elif mine == "scale.":
            idea = "A parameter is no module: it has a name, and no call of its own."
        else:
            idea = "Follow the calls downwards: a module, then its first child, then that one's."
        return f"Call {position} has the prefix {right!r}, yours is {mine!r}. {idea}"
    if len(found) < len(expected):
        missing = expected[len(found)]
        idea = (
            "A shared module is called once for each of its names, and its children too."
            if missing.startswith("twin")
            else "A module without tensors is called too. It writes nothing."
        )
        return f"The calls end before {missing!r}. {idea}"
    if len(found) > len(expected):
        return f"After the last call comes {found[len(expected)]!r}: no module stands there."
    return None


def _tree() -> nn.Module:
    """Return a tree whose paths begin alike, with shared modules and own entries at each level."""
    tree = nn.Module()
    tree.norm = nn.BatchNorm1d(2)
    tree.norm2 = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    tree.deep = nn.Module()
    tree.deep.norm = tree.norm
    tree.deep.register_buffer("mask", torch.ones(2), persistent=False)
    tree.deep.gain = nn.Parameter(torch.ones(2))
    tree.register_buffer("step", torch.tensor(1))
    return tree


@exercise("follow_state_dict/part")
def _part(answer: Callable[[nn.Module, str], Mapping[str, Any]]) -> str | None:
    tree = _tree()
    whole = tree.state_dict()
    for path in ("norm", "norm2", "norm2.1", "deep", "deep.norm", ""):
        found = answer(tree, path)
        if not isinstance(found, Mapping):
            return f"For the path {path!r} the function returned {type(found).__name__}."
        prefix = f"{path}." if path else ""
        expected = [key for key in whole if key.startswith(prefix)]
        where = f"For the path {path!r}"
        for key in found:
            if key in expected:
                continue
            if key in whole:
                return (
                    f"{where} you return {key!r}. It begins with the path and belongs to another "
                    "submodule: compare with the prefix, the path plus a dot."
                )
            if not path and key.startswith("."):
                return f"{where} you return {key!r}. The prefix of the root is empty, without dot."
            if path and f"{prefix}{key}" in expected:
                return f"{where} you return {key!r}, without the prefix {prefix!r}."
            if key.replace(".", "") in [name.replace(".", "") for name in expected]:
                return f"{where} you return {key!r}. The prefix is the path plus a dot."
            return f"{where} you return {key!r}, which is no key of the whole model."
        for key in expected:
            if key not in found:
                return f"{where} {key!r} is missing. {_why_absent(key, tree)}"
        if list(found) != expected:
            return f"{where} the keys are right and their order is not."
        for key in expected:
            if found[key].data_ptr() != whole[key].data_ptr() or found[key].requires_grad:
                return f"{where} {key!r} is not what the state dict has: detached, and no copy."
    return None


@exercise("follow_state_dict/keep_metadata")
def _keep_metadata(answer: Callable[..., Any]) -> str | None:
    for module in (nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1)), _tree()):
        state = module.state_dict()
        keys, metadata = list(state), copy.deepcopy(state._metadata)
        result = answer(state, lambda key: "weight" in key)
        if list(state) != keys:
            return (
                f"The dictionary that was given has lost {len(keys) - len(state)} keys. "
                "Work on a copy of it."
            )
        expected = [key for key in keys if "weight" in key]
        if not isinstance(result, Mapping):
            return f"The function returned {type(result).__name__}, not a dictionary."
        if list(result) != expected:
            return f"The result has the keys {list(result)}, not {expected}."
        if not hasattr(result, "_metadata"):
            if "_metadata" in result:
                return "_metadata is an attribute of the dictionary, not one of its keys."
            return (
                "The result has no _metadata. A comprehension, dict() and the method copy() make "
                "a new dictionary of the entries only; the attribute stays behind."
            )
        if dict(result._metadata) != dict(metadata):
            return "The _metadata of the result is not that of the given dictionary."
        if dict(state._metadata) != dict(metadata):
            return "The _metadata of the given dictionary was changed."
        for key in expected:
            if result[key].data_ptr() != state[key].data_ptr():
                return f"{key!r} is a copy. The values can stay the same tensors."
    try:
        answer(OrderedDict(weight=torch.ones(1)), lambda key: True)
    except AttributeError:
        return (
            "A dictionary without _metadata raised AttributeError. Files from old versions and "
            "from other libraries have none: ask first."
        )
    return None


class _Wrapper(nn.Module):
    """A wrapper as on the page: one child with the name ``module``."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module


@exercise("follow_state_dict/hide_wrapper")
def _hide_wrapper(answer: Callable[..., None]) -> str | None:
    inner = nn.Module()
    inner.first = nn.Linear(2, 2)
    inner.module = nn.BatchNorm1d(2)
    plain = inner.state_dict()

    def hook(module: nn.Module, state: dict, prefix: str, metadata: dict) -> None:
        # A function of its own, so that the reader's is not marked by torch.
        return answer(module, state, prefix, metadata)

    wrapper = _Wrapper(inner)
    wrapper.register_state_dict_post_hook(hook)
    larger = nn.Module()
    larger.before = _Wrapper(nn.Linear(1, 1))
    larger.body = wrapper
    larger.after = nn.Linear(1, 1)
    before = list(larger.before.state_dict(prefix="before."))
    after = list(larger.after.state_dict(prefix="after."))
    for where, model, expected in (
        ("Alone", wrapper, list(plain)),
        ("Inside a larger model", larger, [*before, *(f"body.{key}" for key in plain), *after]),
    ):
        found = outcome(model.state_dict)
        if isinstance(found, tuple):
            idea = (
                "Change the dictionary in place, and return nothing."
                if "must return None" in found[1]
                else "The keys begin with the prefix of the wrapper, which the hook is given."
                if found[0] is KeyError
                else "A dictionary must not change while you walk it: walk list(state)."
                if "during iteration" in found[1]
                else ""
            )
            return f"{where}, your hook raised {found[0].__name__}: {found[1]}. {idea}".strip()
        for key in sorted(set(found) - set(expected)):
            if key.startswith("before."):
                return f"{where}, {key!r} came from a neighbour. Stay below your own prefix."
            return (
                f"{where}, the key {key!r} should not be there. The wrapper's own part stands "
                "right after the prefix: only prefix + 'module.' goes, and the prefix stays."
            )
        for key in expected:
            if key not in found:
                return (
                    f"{where}, the key {key!r} is missing. The hook sees all keys so far, also "
                    "those of neighbours; and a submodule further down may be named module too."
                )
            if key in before and found[key].shape != (1, 1) and found[key].shape != (1,):
                return f"{where}, {key!r} holds another tensor."
    state = wrapper.state_dict()
    for key, right in plain.items():
        if state[key].data_ptr() != right.data_ptr():
            return f"{key!r} holds another tensor than before."
    return None
