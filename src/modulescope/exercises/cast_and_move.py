"""Checks of the chapter "Cast and move with to"."""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from . import exercise
from ._hidden import hidden_models, leaf, missing_method, outcome

_MADE_NEW = (
    "A cast gives the Parameter new data and keeps the object (param.data = ...): whoever holds "
    "the old object, such as an optimizer, would train a tensor that the model does not have."
)


def _slots(module: Any, prefix: str = "") -> Iterator[tuple[str, Any, dict[str, Any], str]]:
    """Yield key, tensor, table and name of every tensor below *module*, duplicates too."""
    for table in (module._parameters, module._buffers):
        for name, tensor in table.items():
            if tensor is not None:
                yield prefix + name, tensor, table, name
    for name, child in module._modules.items():
        if child is not None:
            yield from _slots(child, f"{prefix}{name}.")


def _tensors(module: Any) -> dict[str, torch.Tensor]:
    return {key: tensor for key, tensor, _, _ in _slots(module)}


def _kind(tensor: torch.Tensor) -> str:
    return "parameter" if isinstance(tensor, nn.Parameter) else "buffer"


def _look(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tensor.device.type}"


# Build it.


@exercise("cast_and_move/build")
def _build(answer: type) -> str | None:
    return (
        missing_method(answer, "_apply", "to")
        or _wrong_visits(answer)
        or _wrong_parsing(answer)
        or _wrong_results(answer)
        or _wrong_gradients(answer)
        or _wrong_formats(answer)
    )


def _wrong_visits(answer: type) -> str | None:
    """Compare which tensors ``fn`` sees, in which order, without changing any."""
    for what, model in hidden_models(nn.Module).items():
        mine = hidden_models(answer)[what]
        expected, _ = _visits(model)
        found, result = _visits(mine)
        for number, (name, right) in enumerate(zip(found, expected, strict=False), 1):
            if name != right:
                return (
                    f"On {what}, the {_nth(number)} tensor that fn gets is {name!r}, in torch it "
                    f"is {right!r}. {_visit_reason(name, right, expected)}"
                )
        if len(found) != len(expected):
            return _wrong_number(what, found, expected)
        if result is not mine:
            return "_apply must return the module itself, so that to() can return it."
    return None


def _visits(module: Any) -> tuple[list[str], Any]:
    names: dict[int, str] = {}
    for key, tensor in _tensors(module).items():
        names.setdefault(tensor.data_ptr(), key)
    seen: list[str] = []

    def look(tensor: torch.Tensor) -> torch.Tensor:
        seen.append(names[tensor.data_ptr()])
        return tensor

    return seen, module._apply(look)


def _nth(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")


def _visit_reason(found: str, right: str, expected: list[str]) -> str:
    if found in expected and found.count(".") < right.count("."):
        return "Children come first: a module turns to its own tensors when they are done."
    if found not in expected:
        return "torch never calls fn for it."
    return "In each module, torch takes the parameters before the buffers."


def _wrong_number(what: str, found: list[str], expected: list[str]) -> str:
    counts = f"On {what}, fn ran {len(found)} times, in torch {len(expected)} times."
    missing = [name for name in expected if name not in found]
    if missing:
        return f"{counts} It never saw {missing[0]!r}: every table of every module is walked."
    if len(found) < len(expected):
        return (
            f"{counts} A tensor that has two names is visited once for each. torch remembers only "
            "which children of one module it has seen."
        )
    return (
        f"{counts} A module that is a child twice under one parent is visited once: use "
        "self.children()."
    )


def _wrong_parsing(answer: type) -> str | None:
    mine = leaf(answer)
    refused = outcome(lambda: mine.to(torch.int32))
    if not (isinstance(refused, tuple) and refused[0] is TypeError):
        return (
            "to(torch.int32) must raise TypeError. torch refuses an integer dtype before it "
            "touches a tensor."
        )
    for args in ((torch.float64,), ("meta",), ("meta", torch.float16), (torch.ones(1).half(),)):
        expected = {
            key: _look(tensor) for key, tensor in _tensors(leaf(nn.Module).to(*args)).items()
        }
        mine = leaf(answer)
        shown = ", ".join("a tensor" if isinstance(a, torch.Tensor) else repr(a) for a in args)
        if mine.to(*args) is not mine:
            return f"to({shown}) must return the module itself."
        for key, tensor in _tensors(mine).items():
            if _look(tensor) != expected[key]:
                return (
                    f"After to({shown}), {key!r} is {_look(tensor)}, in torch {expected[key]}. "
                    f"{_look_reason(tensor, expected[key])}"
                )
    return None


def _look_reason(tensor: torch.Tensor, expected: str) -> str:
    if expected.split()[0] == "int64" and tensor.dtype != torch.int64:
        return "The dtype is for floating point and complex tensors. Integers keep theirs."
    if expected.split()[1] != tensor.device.type:
        return "The device is for every tensor, integers too."
    return "Give the dtype on to every floating point tensor, parameters and buffers."


def _wrong_results(answer: type) -> str | None:
    """Compare which objects stay, after a cast and after a move that needs new Parameters."""
    for args in ((torch.float32,), (torch.float64,), ("meta",)):
        for what, model in hidden_models(nn.Module).items():
            mine = hidden_models(answer)[what]
            for module in (model, mine):
                for tensor in _tensors(module).values():
                    if tensor.is_floating_point() and tensor.dim() == 2:
                        tensor.requires_grad_(False)
            expected, found = _stay(model, args), _stay(mine, args)
            for key, same in expected.items():
                tensor = _tensors(mine)[key]
                if found[key] != same:
                    return (
                        f"On {what}, after to({args[0]!r}), {key!r} holds "
                        f"{'the same' if found[key] else 'another'} object, in torch "
                        f"{'the same' if same else 'another'}. {_object_reason(tensor, same)}"
                    )
                right = _tensors(model)[key]
                if message := _wrong_tensor(key, tensor, right):
                    return f"On {what}, after to({args[0]!r}), {message}"
    return None


def _stay(module: Any, args: tuple[Any, ...]) -> dict[str, bool]:
    before = _tensors(module)
    module.to(*args)
    return {key: tensor is before[key] for key, tensor in _tensors(module).items()}


def _object_reason(tensor: torch.Tensor, same: bool) -> str:
    if not same and _kind(tensor) == "parameter":
        return (
            "When torch._has_compatible_shallow_copy_type says no, .data cannot be set: put a new "
            "Parameter into the table."
        )
    if not same:
        return "A buffer is not given new data: the table gets what fn returned."
    if _kind(tensor) == "parameter":
        return _MADE_NEW
    return "fn returns the same tensor when there is nothing to do: put in what it returns."


def _wrong_tensor(key: str, tensor: torch.Tensor, right: torch.Tensor) -> str | None:
    if _kind(tensor) != _kind(right):
        return f"{key!r} is a plain tensor, not a Parameter: torch wraps the new tensor."
    if tensor.requires_grad != right.requires_grad:
        return (
            f"{key!r} has requires_grad={tensor.requires_grad}, in torch {right.requires_grad}. A "
            "frozen parameter stays frozen: hand requires_grad over."
        )
    if tensor.grad_fn is not None:
        return f"{key!r} remembers how it was computed: call fn under torch.no_grad()."
    return None


def _with_gradients(module_class: type) -> Any:
    module = leaf(module_class)
    module.inner = leaf(module_class, 1.0)
    for tensor in _tensors(module).values():
        if isinstance(tensor, nn.Parameter):
            tensor.grad = torch.full_like(tensor, 2.0)
    return module


def _wrong_gradients(answer: type) -> str | None:
    for args in ((torch.float64,), ("meta",)):
        mine = _with_gradients(answer)
        held = {key: tensor.grad for key, tensor in _tensors(mine).items()}
        outcome_of_call = outcome(lambda mine=mine, args=args: mine.to(*args))
        if isinstance(outcome_of_call, tuple):
            return (
                f"With gradients, to({args[0]!r}) raised {outcome_of_call[0].__name__}: "
                f"{outcome_of_call[1]}. A gradient goes the way of its parameter."
            )
        for key, tensor in _tensors(mine).items():
            if not isinstance(tensor, nn.Parameter):
                continue
            if tensor.grad is None:
                return f"After to({args[0]!r}), the gradient of {key!r} is lost: hand it over."
            if _look(tensor.grad) != _look(tensor):
                return (
                    f"After to({args[0]!r}), {key!r} is {_look(tensor)} and its gradient "
                    f"{_look(tensor.grad)}. A gradient goes the way of its parameter."
                )
            if args == (torch.float64,) and tensor.grad is not held[key]:
                return f"The gradient of {key!r} is another object. torch sets its .data too."
    return None


def _wrong_formats(answer: type) -> str | None:
    for module_class in (nn.Module, answer):
        module = module_class()
        module.kernel = nn.Parameter(torch.zeros(2, 3, 2, 2))
        module.matrix = nn.Parameter(torch.zeros(2, 3))
        outcome_of_call = outcome(
            lambda module=module: module.to(memory_format=torch.channels_last)
        )
        if isinstance(outcome_of_call, tuple):
            return (
                f"to(memory_format=torch.channels_last) raised {outcome_of_call[1]!r}. The format "
                "is given only to tensors of 4 or 5 dimensions."
            )
        if not module.kernel.is_contiguous(memory_format=torch.channels_last):
            return "to(memory_format=torch.channels_last) left a kernel of 4 dimensions as it was."
    return None


# The exercises.


@exercise("cast_and_move/dtypes")
def _dtypes(answer: Mapping[str, torch.dtype]) -> str | None:
    expected = {
        "embed.weight": torch.bfloat16,
        "steps": torch.int64,
        "mask": torch.bool,
        "scale": torch.bfloat16,
        "offset": torch.float32,
    }
    ideas = {
        "embed.weight": "It is a parameter of a child, in floating point. to() reaches it.",
        "steps": "It is an integer, and to() casts floating point and complex only.",
        "mask": "It is a bool, and to() casts floating point and complex only.",
        "scale": (
            "It is a buffer in floating point. Whether it is saved makes no difference to to(), "
            "nor does the dtype that it had."
        ),
        "offset": (
            "It is a plain attribute: it stands in no table, so to() does not see it. It keeps the "
            "default dtype."
        ),
    }
    for name, right in expected.items():
        if name not in answer:
            return f"There is no answer for {name!r}."
        if answer[name] != right:
            return f"{name!r} is not {answer[name]} after the call. {ideas[name]}"
    if extra := set(answer) - set(expected):
        return f"There is no {min(extra)!r} in Puzzle."
    return None


def _models() -> dict[str, nn.Module]:
    """Return torch modules that answers are tried on, with a name for each."""
    models = hidden_models(nn.Module)
    models["a model of real layers"] = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    for model in models.values():
        model.plain = torch.zeros(1)
    return models


@exercise("cast_and_move/replaced")
def _replaced(answer: Callable[..., Any]) -> str | None:
    for args in ((torch.float64,), (torch.float32,), ("meta",)):
        for what, model in _models().items():
            twin = _models()[what]
            expected = [key for key, same in _stay(twin, args).items() if not same]
            found = answer(model, *args)
            if not isinstance(found, list | tuple | set):
                return f"The function returned {type(found).__name__}, not a list of names."
            for key, tensor in _tensors(model).items():
                if _look(tensor) != _look(_tensors(twin)[key]):
                    return f"{key!r} was not moved: the function calls model.to() with the rest."
            if message := _wrong_names(
                list(found), expected, model, _second_names(_models()[what])
            ):
                return f"On {what}, to({args[0]!r}): {message}"
    return None


def _second_names(model: nn.Module) -> set[str]:
    """Return the keys whose tensor has an earlier key."""
    first: dict[torch.Tensor, str] = {}
    return {key for key, tensor in _tensors(model).items() if first.setdefault(tensor, key) != key}


def _wrong_names(
    found: list[str], expected: list[str], model: nn.Module, second_names: set[str]
) -> str | None:
    known = _tensors(model)
    for key in found:
        if key not in known:
            return f"{key!r} is no parameter or buffer of the model."
        if key not in expected:
            if _kind(known[key]) == "buffer":
                reason = "There was nothing to do for it, so to() put the same tensor back."
            else:
                reason = (
                    "A Parameter stays the same object where .data can be set. Do not compare the "
                    "values of state_dict(): it makes new tensor objects in every call."
                )
            return f"{key!r} holds the same object as before. {reason}"
    for key in expected:
        if key not in found:
            some_buffer = any(_kind(known[name]) == "buffer" for name in found)
            is_buffer = _kind(known[key]) == "buffer"
            if key in second_names:
                reason = (
                    "It is the second name of a tensor. named_parameters() and named_buffers() "
                    "leave it out, unless you give remove_duplicate=False."
                )
            elif is_buffer and not some_buffer:
                reason = "It is a buffer. Buffers go through to() too, not only parameters."
            elif is_buffer and key not in model.state_dict():
                reason = "A buffer that is not saved is moved as well; state_dict() leaves it out."
            else:
                reason = (
                    "It holds another object now. Keep the old objects, not their id(): when an "
                    "object is gone, its number is free for the next one."
                )
            return f"{key!r} is missing. {reason}"
    if len(set(found)) != len(found):
        return "A name is in your list twice."
    return None


_OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD with momentum": lambda params: torch.optim.SGD(params, lr=0.5, momentum=0.9),
    "Adam": lambda params: torch.optim.Adam(params, lr=0.5),
    "RMSprop": lambda params: torch.optim.RMSprop(params, lr=0.5, momentum=0.9),
}


def _trained(make: Callable[[Any], torch.optim.Optimizer]) -> tuple[nn.Module, Any]:
    model = nn.Linear(2, 2)
    optimizer = make(model.parameters())
    for param in model.parameters():
        param.grad = torch.full_like(param, 0.75)
    optimizer.step()
    return model, optimizer


@exercise("cast_and_move/move_optimizer")
def _move_optimizer(answer: Callable[[torch.optim.Optimizer], Any]) -> str | None:
    for dtype in (torch.bfloat16, torch.float64):
        for name, make in _OPTIMIZERS.items():
            model, optimizer = _trained(make)
            old = [copy.deepcopy(optimizer.state[param]) for param in model.parameters()]
            model.to(dtype)
            result = answer(optimizer)
            if isinstance(result, torch.optim.Optimizer) and result is not optimizer:
                return "The function made another optimizer. Change the one that it is given."
            for param, state in zip(model.parameters(), old, strict=True):
                now = optimizer.state[param]
                if message := _wrong_state(name, dtype, state, now):
                    return message
                if param.dtype != dtype:
                    return "The function changed the parameters. They are right already."
            if optimizer.param_groups[0]["lr"] != 0.5:
                return f"The learning rate of {name} changed."
            for param in model.parameters():
                param.grad = torch.ones_like(param)
            optimizer.step()
    return None


def _wrong_state(
    name: str, dtype: torch.dtype, old: Mapping[str, Any], now: Mapping[str, Any]
) -> str | None:
    """Compare the state of one parameter of the optimizer *name*, cast to *dtype*, with *old*."""
    if not now:
        return (
            f"{name} has no state any more: everything that it had learned about the gradients is "
            "gone. Keep the numbers, in the new dtype."
        )
    for key, value in old.items():
        if key not in now:
            return f"{name}: {key!r} is gone from the state."
        if not isinstance(value, torch.Tensor):
            continue
        counter = key == "step"
        wanted = value.dtype if counter else dtype
        if now[key].dtype != wanted:
            if counter:
                return (
                    f"{name}: the counter 'step' is {now[key].dtype} now. It stays float32: in "
                    "16 bits it would soon stop counting, because the next whole number has no "
                    "place there. load_state_dict() of the optimizer knows this."
                )
            return f"{name}: {key!r} is still {now[key].dtype}, its parameter is {dtype}."
        if not torch.equal(now[key], value.to(wanted)):
            return f"{name}: the numbers in {key!r} are not the old ones, cast."
    return None


class _Tied(nn.Module):
    """Three names for one Parameter, two Parameters with equal numbers, and a frozen one."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(2, 2)
        self.body = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 2))
        self.head = nn.Linear(2, 2, bias=False)
        self.head.weight = self.embed.weight
        self.body[2].weight = self.embed.weight
        self.body[0].bias.requires_grad_(False)
        with torch.no_grad():
            for param in self.parameters():
                param.fill_(1.0)


@exercise("cast_and_move/keep_ties")
def _keep_ties(answer: Callable[[nn.Module, Any], Any]) -> str | None:
    flags = (
        torch.__future__.get_swap_module_params_on_conversion,
        torch.__future__.get_overwrite_module_params_on_conversion,
    )
    before = [flag() for flag in flags]
    try:
        return _wrong_ties(answer) or (
            "A flag of torch.__future__ is not as it was before: put it back, also when to() "
            "raises an error."
            if [flag() for flag in flags] != before
            else None
        )
    finally:
        torch.__future__.set_swap_module_params_on_conversion(before[0])
        torch.__future__.set_overwrite_module_params_on_conversion(before[1])


def _wrong_ties(answer: Callable[[nn.Module, Any], Any]) -> str | None:
    for device in ("meta", "cpu"):
        model = _Tied()
        answer(model, device)
        for key, tensor in _tensors(model).items():
            if tensor.device.type != device:
                return f"{key!r} is on {tensor.device} and not on {device}."
            if key != "body.0.bias" and _kind(tensor) == "parameter" and not tensor.requires_grad:
                return f"{key!r} can no longer be trained."
        if model.body[0].bias.requires_grad:
            return "'body.0.bias' was frozen before the call and is not frozen now."
        for name, module in (("head", model.head), ("body.2", model.body[2])):
            if "weight" not in module._parameters:
                return f"'{name}.weight' is no longer in the table of parameters."
            if module.weight is not model.embed.weight:
                return (
                    f"After the move, '{name}.weight' and 'embed.weight' are two Parameters. On "
                    f"the way to {device!r} torch made a new one for each name."
                )
        if model.body[0].weight is model.embed.weight:
            return (
                "'body.0.weight' and 'embed.weight' are one Parameter now, and were two before. A "
                "tie is one object under two names: equal shapes or numbers are not enough."
            )
    model = _Tied()
    outcome(lambda: answer(model, "no such device"))
    return None
