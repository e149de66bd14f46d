"""Checks of the chapter "Follow load_state_dict down the tree"."""

import copy
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from . import exercise
from ._hidden import hidden_models, leaf, missing_method, outcome

_OLD, _NEW = 3.0, 8.0


def _fill(model: Any, value: float) -> Any:
    """Write *value* into every tensor that *model* saves, and return the model."""
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.fill_(value)
    return model


def _tensors(model: Any) -> dict[str, Any]:
    return dict(model.state_dict(keep_vars=True))


# Build it


@exercise("follow_load/build")
def _build(answer: type) -> str | None:
    if message := missing_method(answer, "_load_from_state_dict", "load_state_dict"):
        return message
    steps = (_one_module, _good, _handed_down, _damaged, _shapes, _casts, _assigned)
    for step in steps:
        for message in step(answer):
            return message
    return None


def _one_module(answer: type) -> Iterator[str]:
    """Yield what is wrong when one module loads alone, without its descendants."""
    for name in ("a module without children", "a module with children and grandchildren"):
        model, right = (hidden_models(cls)[name] for cls in (answer, nn.Module))
        reports = []
        for each in (model, right):
            state = _fill(hidden_models(nn.Module)[name], _NEW).state_dict()
            state = {f"at.{key}": value for key, value in state.items()}
            state["elsewhere"] = torch.ones(1)
            lists: tuple[list[str], list[str], list[str]] = ([], [], [])
            returned = _fill(each, _OLD)._load_from_state_dict(state, "at.", {}, True, *lists)
            reports.append((returned, lists))
        if reports[0][0] is not None:
            yield "_load_from_state_dict returned something. It fills the module and returns None."
        below = {key for key in right.state_dict() if "." in key}
        filled = {key for key, tensor in model.state_dict().items() if tensor.eq(_NEW).all()}
        for key in model.state_dict():
            if key in below & filled:
                yield (
                    f"On {name}, _load_from_state_dict filled {key!r}. It knows one module only: "
                    "load_state_dict walks to the children."
                )
            if key not in below | filled:
                idea = (
                    "It is a buffer, and a state dict holds these too"
                    if key in right._buffers and filled & right._parameters.keys()
                    else "The key in the dictionary is the prefix and the name"
                )
                yield f"On {name} with the prefix 'at.', {key!r} was not filled. {idea}."
        yield from _compare_lists(
            f"On {name} with the prefix 'at.'", reports[0][1], reports[1][1], right
        )


def _good(answer: type) -> Iterator[str]:
    """Yield what is wrong after a dictionary was loaded in which every key fits."""
    for name, model in hidden_models(answer).items():
        right = _fill(hidden_models(nn.Module)[name], _NEW)
        state = right.state_dict()
        given = dict(state)
        before = _tensors(_fill(model, _OLD))
        result = outcome(lambda model=model, state=state: model.load_state_dict(state))
        if _raised(result):
            yield f"On {name}, a dictionary that fits raised {result[0].__name__}: {result[1]}"
        if not isinstance(result, tuple) or len(result) != 2:
            yield (
                f"On {name}, load_state_dict returned {type(result).__name__}. It returns a pair: "
                "the missing keys and the unexpected keys."
            )
        yield from _compare_lists(f"On {name}", result, ([], []), right)
        yield from _compare_objects(name, before, _tensors(model))
        for key, tensor in model.state_dict().items():
            if not tensor.eq(_NEW).all():
                yield f"On {name}, {key!r} still has its old numbers. {_why_old(key, right)}"
        if list(state) != list(given) or any(state[key] is not given[key] for key in given):
            yield "load_state_dict changed the dictionary of the caller. Work on a copy of it."
        for key, tensor in _tensors(model).items():
            if tensor.data_ptr() == state[key].data_ptr():
                yield (
                    f"On {name}, {key!r} uses the memory of the dictionary after loading. Without "
                    "assign the numbers are copied, and the dictionary is free again."
                )


def _why_old(key: str, model: nn.Module) -> str:
    if key.count(".") > 1:
        return "It belongs to a child of a child: loading must call itself for each child."
    if "." in key:
        return "It belongs to a child: after the module itself comes each child."
    if key in model._buffers:
        return "It is a buffer. A state dict holds these too."
    return "It is an entry of the module itself, which loads before its children."


def _handed_down(answer: type) -> Iterator[str]:
    """Yield what is wrong about the arguments that each module gets."""
    seen: dict[type, list[tuple[Any, ...]]] = {}
    for cls in (answer, nn.Module):
        calls = seen[cls] = []

        def spy(
            self: Any,
            state_dict: Any,
            prefix: str,
            local_metadata: Any,
            *args: Any,
            cls: type = cls,
            calls: list[tuple[Any, ...]] = calls,
            **kwargs: Any,
        ) -> None:
            calls.append((prefix, list(state_dict), local_metadata.get("version")))
            # Like a module that reads its old checkpoints, or a parent that renames for a child.
            state_dict.pop(prefix + "leftover", None)
            cls._load_from_state_dict(self, state_dict, prefix, local_metadata, *args, **kwargs)

        spied = type("Module", (cls,), {"_load_from_state_dict": spy, "_version": 4})
        model = hidden_models(spied)["a module with children and grandchildren"]
        state = model.state_dict()
        state["a.leftover"] = state["leftover"] = torch.ones(1)
        result = outcome(lambda model=model, state=state: model.load_state_dict(state))
        if cls is answer and "leftover" not in state:
            yield (
                "A module took a key out of its dictionary, and it is gone from the dictionary of "
                "the caller. load_state_dict works on a copy."
            )
        if cls is answer and _raised(result):
            yield (
                "A subclass takes the key 'leftover' out of the dictionary before it loads, and "
                f"load_state_dict raised {result[0].__name__}: {result[1]} What a module does to "
                "its dictionary must be known to what comes after."
            )
    mine, right = seen[answer], seen[nn.Module]
    if [call[0] for call in mine] != [call[0] for call in right]:
        yield (
            f"_load_from_state_dict ran with the prefixes {[call[0] for call in mine]}, in torch "
            f"with {[call[0] for call in right]}. A prefix is the path of the submodule plus a "
            "dot; a parent comes before its children."
        )
    for (prefix, keys, version), (_, right_keys, right_version) in zip(mine, right, strict=True):
        if keys != right_keys:
            yield (
                f"The module with the prefix {prefix!r} got the keys {keys}, in torch "
                f"{right_keys}. A child gets the keys that start with its prefix, dot included, "
                "and they keep their full names."
            )
        if version != right_version:
            yield (
                f"The module with the prefix {prefix!r} got the version {version}, and the "
                f"metadata says {right_version}. state_dict._metadata has a line for each path, "
                "without the dot at its end."
            )
    plain = answer()
    plain.weight = nn.Parameter(torch.zeros(1))
    result = outcome(lambda: plain.load_state_dict({"weight": torch.ones(1)}))
    if _raised(result):
        yield f"A plain dictionary without _metadata raised {result[0].__name__}: {result[1]}"


def _damaged(answer: type) -> Iterator[str]:
    """Yield what is wrong about missing and unexpected keys."""
    for name in hidden_models(nn.Module):
        state = _fill(hidden_models(nn.Module)[name], _NEW).state_dict()
        keys = list(state)
        lost = keys[::3]
        for key in lost:
            del state[key]
        extra = ["nobody.weight", "nobody", "bias", "cache", "a", "a.b", "a.b.bias", "one.cache.x"]
        for key in extra:
            state.setdefault(key, torch.ones(1))
        right = _fill(hidden_models(nn.Module)[name], _OLD)
        torchs = right.load_state_dict(state, strict=False)
        model = _fill(hidden_models(answer)[name], _OLD)
        mine = outcome(lambda model=model, state=state: model.load_state_dict(state, strict=False))
        if _raised(mine):
            yield (
                f"On {name}, strict=False raised {mine[0].__name__}: {mine[1]} Missing and "
                "unexpected keys are forgiven then, and returned."
            )
        yield from _compare_lists(f"On {name} with strict=False", mine, torchs, right)
        yield from _compare_values(f"On {name}", model, right)

        model = _fill(hidden_models(answer)[name], _OLD)
        mine = outcome(lambda model=model, state=state: model.load_state_dict(state))
        if not _raised(mine) or not issubclass(mine[0], RuntimeError):
            yield (
                f"On {name}, keys were missing and unexpected, and strict=True did not raise a "
                "RuntimeError."
            )
        for key in [*torchs.missing_keys, *torchs.unexpected_keys]:
            if key not in mine[1]:
                yield f"On {name}, the message of the error does not name {key!r}."
        yield from _compare_values(f"On {name}, after the error", model, right)


def _shapes(answer: type) -> Iterator[str]:
    """Yield what is wrong when a tensor has another shape."""
    name = "a module with children and grandchildren"
    for key in ("first.weight", "scale"):
        for strict in (True, False):
            model = _fill(hidden_models(answer)[name], _OLD)
            right = _fill(hidden_models(nn.Module)[name], _OLD)
            state = _fill(hidden_models(nn.Module)[name], _NEW).state_dict()
            # One element would be broadcast by copy_.
            state[key] = torch.full((1,), _NEW)
            outcome(lambda r=right, s=state, strict=strict: r.load_state_dict(s, strict=strict))
            mine = outcome(
                lambda m=model, s=state, strict=strict: m.load_state_dict(s, strict=strict)
            )
            if not _raised(mine):
                yield (
                    f"{key!r} has the shape [1] in the dictionary and another in the model, and "
                    f"strict={strict} raised nothing. A wrong shape is always an error: strict is "
                    "about keys, and copy_ would repeat the one number."
                )
            if not issubclass(mine[0], RuntimeError) or key not in mine[1]:
                yield (
                    f"For a wrong shape of {key!r}, expected a RuntimeError that names the key, "
                    f"not {mine[0].__name__}: {mine[1]}"
                )
            yield from _compare_values(f"After a wrong shape of {key!r}", model, right)
    number = answer()
    number.register_buffer("value", torch.tensor(1.0))
    mine = outcome(lambda: number.load_state_dict({"value": torch.tensor([_NEW])}))
    if _raised(mine) or not number.value.eq(_NEW).all():
        yield (
            "A tensor with one element did not go into a tensor without dimensions. torch allows "
            "that, for very old files."
        )
    mine = outcome(lambda: number.load_state_dict({"value": torch.ones(2)}))
    if not _raised(mine):
        yield "A tensor with two elements went into a tensor without dimensions."


def _casts(answer: type) -> Iterator[str]:
    """Yield what is wrong when the dtype is another, or the tensors are tied."""
    model = answer()
    model.weight = nn.Parameter(torch.zeros(2, dtype=torch.half))
    model.register_buffer("count", torch.tensor(0))
    state = {"weight": torch.full((2,), 0.5, dtype=torch.double), "count": torch.tensor(2.9)}
    before = _tensors(model)
    result = outcome(lambda: model.load_state_dict(state))
    if _raised(result):
        yield f"Another dtype raised {result[0].__name__}: {result[1]} copy_ casts in silence."
    yield from _compare_objects("a model in half precision", before, _tensors(model))
    if model.weight.dtype != torch.half or not model.weight.eq(0.5).all() or model.count != 2:
        yield "A dictionary of another dtype: the numbers must be cast to the dtype of the model."


def _assigned(answer: type) -> Iterator[str]:
    """Yield what is wrong after a load with ``assign=True``."""
    for name in hidden_models(nn.Module):
        model = _fill(hidden_models(answer)[name], _OLD)
        for tensor in _tensors(model).values():
            # Every second kind of parameter is frozen, whatever the dictionary says.
            if isinstance(tensor, nn.Parameter):
                tensor.requires_grad_(tensor.dim() == 1)
        before = _tensors(model)
        state = _fill(hidden_models(nn.Module)[name], _NEW).state_dict()
        state = OrderedDict((key, value.double()) for key, value in state.items())
        result = outcome(lambda m=model, s=state: m.load_state_dict(s, assign=True))
        if _raised(result):
            yield f"On {name}, assign=True raised {result[0].__name__}: {result[1]}"
        for key, tensor in _tensors(model).items():
            where = f"On {name} with assign=True, {key!r}"
            if tensor is before[key]:
                yield (
                    f"{where} is the same object as before. With assign=True the tensor of the "
                    "dictionary takes its place; local_metadata['assign_to_params_buffers'] tells "
                    "each module so."
                )
            if isinstance(before[key], nn.Parameter) != isinstance(tensor, nn.Parameter):
                yield f"{where} is no longer of its kind: a Parameter must stay a Parameter."
            shared = {value.data_ptr() for value in state.values()}
            if tensor.data_ptr() not in shared or tensor.dtype != torch.double:
                yield f"{where} does not use the memory of the dictionary: nothing is copied."
            if tensor.requires_grad != before[key].requires_grad:
                yield (
                    f"{where} requires a gradient: {tensor.requires_grad}. Before it was "
                    f"{before[key].requires_grad}, and that always stays as the model has it."
                )
    model = leaf(answer)
    state = _fill(leaf(nn.Module), _NEW).state_dict()
    for setting in (True, False):
        result = outcome(lambda setting=setting: model.load_state_dict(state, assign=setting))
        if _raised(result):
            yield f"assign={setting} raised {result[0].__name__}: {result[1]}"


def _raised(result: Any) -> bool:
    return isinstance(result, tuple) and bool(result) and isinstance(result[0], type)


def _compare_objects(
    name: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[str]:
    for key, tensor in after.items():
        if tensor is not before[key]:
            yield (
                f"On {name}, {key!r} is a new object after loading. Without assign, copy_ writes "
                "the numbers into the tensor that the module has, and an optimizer keeps working."
            )


def _compare_values(where: str, model: Any, right: nn.Module) -> Iterator[str]:
    torchs = right.state_dict()
    for key, tensor in model.state_dict().items():
        if not torch.equal(tensor, torchs[key]):
            state = "loaded" if torchs[key].eq(_NEW).all() else "as it was"
            yield (
                f"{where}, {key!r} is not as in torch, where it is {state}. What fits is loaded, "
                "also when other keys do not: the error comes after the walk."
            )


def _compare_lists(where: str, mine: Any, torchs: Any, model: nn.Module) -> Iterator[str]:
    """Yield the first difference between lists of missing and unexpected keys."""
    for what, my_keys, right_keys in zip(
        ("missing", "unexpected", "error messages"), mine, torchs, strict=False
    ):
        my_keys, right_keys = list(my_keys), list(right_keys)
        if my_keys == right_keys:
            continue
        absent = [key for key in right_keys if my_keys.count(key) < right_keys.count(key)]
        surplus = [key for key in my_keys if my_keys.count(key) > right_keys.count(key)]
        if surplus:
            reason = _why_not(surplus[0], what, model)
            yield f"{where}, {surplus[0]!r} is {what}, not so in torch. {reason}"
        elif absent:
            reason = _why(absent[0], what, model)
            yield f"{where}, {absent[0]!r} is not {what}, in torch it is. {reason}"
        else:
            yield (
                f"{where}, the {what} keys are {my_keys}, in torch {right_keys}. A module loads "
                "before its children."
            )


def _owner(key: str, model: nn.Module) -> tuple[nn.Module | None, str]:
    path, _, name = key.removeprefix("at.").rpartition(".")
    return dict(model.named_modules(remove_duplicate=False)).get(path), name


def _why_not(key: str, what: str, model: nn.Module) -> str:
    owner, name = _owner(key, model)
    if what == "missing" and owner is not None:
        if name in owner._non_persistent_buffers_set:
            return "It is a non-persistent buffer: no dictionary is expected to have it."
        if name in {**owner._parameters, **owner._buffers}:
            return "Either this entry is None, or it was there: the key is prefix and name."
    if what == "missing":
        return "A module misses only what it has in its own tables."
    return (
        "A key is unexpected for one module only: the one where its next word is neither a child, "
        "with more to follow, nor an entry. Keys without the prefix are not its business."
    )


def _why(key: str, what: str, model: nn.Module) -> str:
    owner, name = _owner(key, model)
    if what == "missing":
        return (
            "The module expects it and the dictionary does not have it. It is noted whatever "
            "strict says; a shared module notes it once for each of its paths."
        )
    if owner is not None and name in owner._non_persistent_buffers_set:
        return "It is a non-persistent buffer: no one expects it."
    if owner is not None and name in {**owner._parameters, **owner._buffers}:
        return "The entry of this name is None, and None expects nothing."
    if owner is not None and name in owner._modules:
        return "It is the name of a child, and nothing follows: that would be a tensor here."
    return (
        "Nobody wants it: its next word is neither a child, with more to follow, nor an entry. It "
        "is noted whatever strict says."
    )


# The exercises


@exercise("follow_load/report")
def _report(answer: tuple[list[str], list[str]]) -> str | None:
    puzzle = nn.Module()
    puzzle.scale = nn.Parameter(torch.ones(2))
    puzzle.shift = nn.Parameter(torch.ones(2))
    puzzle.register_buffer("mask", torch.ones(2), persistent=False)
    puzzle.body = nn.Linear(2, 2, bias=False)
    puzzle.tail = nn.Sequential(nn.BatchNorm1d(2, track_running_stats=False))
    state = {"scale": torch.ones(2), "mask": torch.ones(2), "body.weight": torch.ones(2, 2)}
    state |= {key: torch.ones(2) for key in ("body.bias", "body", "tail.0.weight")}
    if not isinstance(answer, (tuple, list)) or len(answer) != 2:
        return "The answer is a pair of two lists: the missing keys, then the unexpected keys."
    missing, unexpected = (sorted(set(keys)) for keys in answer)
    right = puzzle.load_state_dict(state, strict=False)
    for key in missing:
        if key in right.missing_keys:
            continue
        if key in state:
            return f"{key!r} is not missing: the dictionary has it."
        if key.startswith("tail.0."):
            return (
                f"{key!r} is not missing: with track_running_stats=False, a batch norm has no "
                "running buffers. They are None."
            )
        return f"{key!r} is not missing: a module misses only what it expects."
    for key in unexpected:
        if key in right.unexpected_keys:
            continue
        if key in right.missing_keys:
            return f"{key!r} is not unexpected: the module wants it, the dictionary has it not."
        return f"{key!r} is not unexpected: the module has an entry of this name, and saves it."
    for key in right.missing_keys:
        if key not in missing:
            return f"{key!r} is missing: the module has this parameter, the dictionary has it not."
    reasons = {
        "mask": "The buffer is non-persistent, so no dictionary is expected to have it.",
        "body.bias": "The layer was made with bias=False: an entry that is None expects nothing.",
        "body": "A child has this name. But nothing follows, so it would have to be a tensor.",
    }
    for key, reason in reasons.items():
        if key not in unexpected:
            return f"{key!r} is unexpected. {reason}"
    return None


class _Renamed(nn.Module):
    """Reads a key of its former version, and counts how often it was loaded."""

    _version = 2

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))

    def _load_from_state_dict(self, state_dict: Any, prefix: str, local: Any, *args: Any) -> None:
        if prefix + "gamma" in state_dict:
            state_dict[prefix + "weight"] = state_dict.pop(prefix + "gamma")
        super()._load_from_state_dict(state_dict, prefix, local, *args)


def _loads() -> Iterator[tuple[str, nn.Module, Mapping[str, Any], str]]:
    """Yield what is tried, a model, a dictionary for it, and the idea that a wrong answer lacks."""

    def model() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2, bias=False))

    def changed(**changes: Any) -> Mapping[str, Any]:
        state = model().state_dict()
        for key, value in changes.items():
            key = key.replace("_", ".", 1)
            if value is None:
                del state[key]
            else:
                state[key] = value
        return state

    yield "a dictionary that fits", model(), changed(), "Nothing is missing, all shapes are right."
    yield "a key too few", model(), changed(**{"0_weight": None}), "A missing key is an error."
    yield (
        "a buffer too few",
        model(),
        changed(**{"1_running_mean": None}),
        "Buffers are expected too, not only parameters.",
    )
    yield "a key too many", model(), changed(x_y=torch.ones(1)), "An unexpected key is an error."
    yield (
        "another shape",
        model(),
        changed(**{"2_weight": torch.ones(2, 3)}),
        "Shapes must be equal.",
    )
    yield (
        "a shape that could be broadcast",
        model(),
        changed(**{"0_bias": torch.ones(1)}),
        "Shapes must be equal; copy_ alone would repeat the number.",
    )
    yield "no tensor", model(), changed(**{"0_bias": [1.0, 1.0]}), "A list is no tensor."
    yield "another dtype", model(), changed(**{"0_bias": torch.ones(2).double()}), "copy_ casts."
    yield (
        "one element for a tensor without dimensions",
        model(),
        changed(**{"1_num_batches_tracked": torch.tensor([3])}),
        "torch allows this, for very old files.",
    )
    yield (
        "an old batch norm without a counter, in a plain dictionary",
        model(),
        {k: v for k, v in model().state_dict().items() if "tracked" not in k},
        "Batch norm helps itself. A comparison of keys cannot know that: let a copy load.",
    )
    yield (
        "a module that reads its own old checkpoints",
        nn.Sequential(_Renamed()),
        {"0.gamma": torch.ones(2)},
        "It renames the key itself. A comparison of keys cannot know that: let a copy load.",
    )


@exercise("follow_load/will_load")
def _will_load(answer: Callable[[nn.Module, Mapping[str, Any]], bool]) -> str | None:
    for what, model, state, idea in _loads():
        _fill(model, _OLD)
        before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        objects = _tensors(model)
        given = dict(state)
        modes = [module.training for module in model.modules()]
        says = answer(model, state)
        if dict(state).keys() != given.keys() or any(state[k] is not v for k, v in given.items()):
            return f"On {what}, your function changed the dictionary that it was given."
        for key, tensor in _tensors(model).items():
            if tensor is not objects[key] or not torch.equal(tensor, before[key]):
                return (
                    f"On {what}, your function changed {key!r} of the model. A load writes as it "
                    "walks, also one that fails: do not ask the model itself."
                )
        if [module.training for module in model.modules()] != modes:
            return f"On {what}, your function changed the mode of the model."
        passes = not _raised(outcome(lambda m=model, s=state: copy.deepcopy(m).load_state_dict(s)))
        if not isinstance(says, bool):
            return f"On {what}, your function returned {type(says).__name__}, not True or False."
        if says != passes:
            return f"On {what}, your function says {says}, and torch says {passes}. {idea}"
    return None


@exercise("follow_load/migrate")
def _migrate(answer: type) -> str | None:
    if not isinstance(answer, type) or not issubclass(answer, nn.Module):
        return "The answer is the class itself, a subclass of nn.Module."
    fresh = answer()
    if list(fresh.state_dict()) != ["log_std"]:
        return (
            f"The state dict of Noise() has the keys {list(fresh.state_dict())}, not ['log_std']."
        )
    std, log_std = torch.tensor([0.25, 4.0]), torch.tensor([math.log(0.25), math.log(4.0)])
    deep = "inner.1."
    for where, wrap in (
        ("alone", lambda: (answer(), "")),
        ("as a child", lambda: (nn.Sequential(nn.Linear(1, 1), answer()), "1.")),
        ("as a child of a child", lambda: (_nested(answer), deep)),
    ):
        for version, name, value in (
            (1, "std", std),
            (None, "std", std),
            (2, "log_std", log_std),
        ):
            model, prefix = wrap()
            state = model.state_dict()
            state.pop(prefix + "log_std")
            state[prefix + name] = value
            state._metadata[prefix[:-1]] = {} if version is None else {"version": version}
            given = value.clone()
            file = f"{where}, a file of version {version or 'that it does not say'}"
            result = outcome(lambda model=model, state=state: model.load_state_dict(state))
            if _raised(result):
                return f"{file} raised {result[0].__name__}: {result[1]} {_migrate_hint(where)}"
            loaded = model.get_submodule(prefix[:-1]).log_std
            if not torch.allclose(loaded, log_std):
                return (
                    f"{file}: log_std should be {log_std.tolist()}, and it is {loaded.tolist()}. "
                    + (
                        "Version 2 saves the logarithm already."
                        if version == 2
                        else "The old number must be turned into its logarithm."
                    )
                )
            if not isinstance(loaded, nn.Parameter):
                return f"{file}: log_std is no longer a Parameter."
            if prefix + name not in state or not torch.equal(value, given):
                return f"{file}: the dictionary of the caller was changed."
    if fresh.state_dict()._metadata[""].get("version") != 2:
        return (
            "A new file says version "
            f"{fresh.state_dict()._metadata[''].get('version')}. The class needs _version = 2."
        )
    result = answer().load_state_dict({}, strict=False)
    if result.missing_keys != ["log_std"]:
        return "From an empty dictionary, 'log_std' must be reported as missing."
    lying = answer().state_dict()
    lying["std"] = std
    if "std" not in answer().load_state_dict(lying, strict=False).unexpected_keys:
        return (
            "A file of version 2 that also has 'std' is damaged: the key is unexpected. Look at "
            "the version before you take it."
        )
    return None


def _nested(cls: type) -> nn.Module:
    model = nn.Module()
    model.inner = nn.Sequential(nn.Linear(1, 1), cls())
    return model


def _migrate_hint(where: str) -> str:
    if where == "alone":
        return "A file without a version is of version 1, and its key is 'std'."
    return "The key in the dictionary is the prefix and the name."


@exercise("follow_load/fitting")
def _fitting(answer: Callable[[nn.Module, Mapping[str, Any]], set[str]]) -> str | None:
    model = _fill(nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)), _OLD)
    state = _fill(copy.deepcopy(model), _NEW).state_dict()
    state["2.weight"], state["2.bias"] = torch.ones(9, 3), torch.ones(1)
    state["3.weight"] = torch.ones(4)
    del state["0.weight"]
    wrong = {"2.weight", "2.bias", "3.weight"}
    given, before = dict(state), _tensors(model)
    result = outcome(lambda: answer(model, state))
    if _raised(result):
        return (
            f"It raised {result[0].__name__}: {result[1]} strict=False forgives missing and "
            "unexpected keys. It does not forgive a wrong shape."
        )
    if dict(state).keys() != given.keys():
        return "Your function changed the dictionary that it was given."
    for key, tensor in _tensors(model).items():
        if tensor is not before[key]:
            return (
                f"{key!r} is a new object: assign replaces, and an optimizer loses its parameters."
            )
        fits = key in state and key not in wrong
        if fits and not tensor.eq(_NEW).all():
            kind = "a buffer" if key.startswith("1.") else "a tensor that fits"
            return f"{key!r} was not loaded. It is {kind}: its key and shape are right."
        if not fits and not tensor.eq(_OLD).all():
            return f"{key!r} does not fit and was changed all the same. copy_ repeats one number."
    if result is None or isinstance(result, (str, int)):
        return "Your function must return the set of keys of the dictionary that were left out."
    if set(result) != wrong:
        missing, extra = sorted(wrong - set(result)), sorted(set(result) - wrong)
        if extra:
            return (
                f"{extra[0]!r} is among the keys that you return. The answer names keys of the "
                "dictionary that did not fit, not keys of the model that got nothing."
            )
        return f"{missing[0]!r} was left out, and you do not return it."
    return None
