"""Wrong answers to the exercises of chapter 5, each with a piece of what the check must say."""

import torch
from torch import nn

from modulescope import rebuilt

BUILT = rebuilt.Module


def put_back(param, fn):
    with torch.no_grad():
        new = fn(param)
        grad = None if param.grad is None else fn(param.grad)
    if not torch._has_compatible_shallow_copy_type(param, new):
        made = nn.Parameter(new, param.requires_grad)
        made.grad = grad
        return made
    param.data = new
    if grad is not None:
        param.grad.data = grad
    return param


def module(apply=BUILT._apply, to=BUILT.to):
    return type("Module", (rebuilt.without("_apply", "to"),), {"_apply": apply, "to": to})


def apply_with(param=put_back, order="cpb", visit=lambda self: self.children(), buffer=None):
    """Return an _apply that handles children, parameters and buffers as told."""

    def children(self, fn):
        for child in visit(self):
            child._apply(fn)

    def parameters(self, fn):
        for name, old in self._parameters.items():
            if old is not None:
                self._parameters[name] = param(old, fn)

    def buffers(self, fn):
        for name, old in self._buffers.items():
            if old is not None:
                self._buffers[name] = buffer(old, fn) if buffer else fn(old)

    steps = {"c": children, "p": parameters, "b": buffers}

    def _apply(self, fn):
        for letter in order:
            steps[letter](self, fn)
        return self

    return _apply


def always_new(param, fn):
    with torch.no_grad():
        return nn.Parameter(fn(param), param.requires_grad)


def always_data(param, fn):
    param.data = fn(param).detach()
    return param


def forgets_frozen(param, fn):
    new = put_back(param, fn)
    return new if new is param else nn.Parameter(new)


def forgets_the_wrapper(param, fn):
    new = put_back(param, fn)
    return new if new is param else new.data


def forgets_gradients(param, fn):
    with torch.no_grad():
        new = fn(param)
    if torch._has_compatible_shallow_copy_type(param, new):
        param.data = new
        return param
    return nn.Parameter(new, param.requires_grad)


def loses_gradients_on_the_way(param, fn):
    new = put_back(param, fn)
    if new is not param:
        new.grad = None
    return new


def makes_new_gradients(param, fn):
    new = put_back(param, fn)
    if new.grad is not None:
        new.grad = new.grad.clone()
    return new


def keeps_buffer_objects(buffer, fn):
    new = fn(buffer)
    if not torch._has_compatible_shallow_copy_type(buffer, new):
        return new
    buffer.data = new
    return buffer


def returns_nothing(self, fn):
    BUILT._apply(self, fn)


def to_without_a_check(self, *args, **kwargs):
    device, dtype, non_blocking, _ = torch._C._nn._parse_to(*args, **kwargs)
    if dtype is not None and not dtype.is_floating_point:
        return self
    return BUILT.to(self, device=device, dtype=dtype, non_blocking=non_blocking)


def to_casts_all(self, *args, **kwargs):
    if args == (torch.int32,):
        raise TypeError
    return self._apply(lambda tensor: tensor.to(*args, **kwargs))


def to_leaves_integers(self, *args, **kwargs):
    if args == (torch.int32,):
        raise TypeError
    return self._apply(lambda t: t.to(*args, **kwargs) if t.is_floating_point() else t)


def to_only_parameters(self, *args, **kwargs):
    if args == (torch.int32,):
        raise TypeError
    is_cast = [isinstance(arg, torch.Tensor | torch.dtype) for arg in args]
    dtypes = [getattr(arg, "dtype", arg) for arg, cast in zip(args, is_cast, strict=True) if cast]
    device = [arg for arg in args if isinstance(arg, str)]
    return self._apply(
        lambda t: t.to(*device, *(dtypes if isinstance(t, nn.Parameter) else [t.dtype]))
    )


def to_returns_nothing(self, *args, **kwargs):
    BUILT.to(self, *args, **kwargs)


def to_formats_all(self, *args, **kwargs):
    device, dtype, _, memory_format = torch._C._nn._parse_to(*args, **kwargs)
    if memory_format is None:
        return BUILT.to(self, *args, **kwargs)
    return self._apply(lambda t: t.to(device, dtype, memory_format=memory_format))


def to_ignores_the_format(self, *args, memory_format=None, **kwargs):
    return BUILT.to(self, *args, **kwargs)


def state_dict_values(model, *args):
    before = model.state_dict()
    model.to(*args)
    after = model.state_dict()
    return [key for key in after if after[key] is not before[key]]


def named(model, duplicates=False, buffers=True):
    found = dict(model.named_parameters(remove_duplicate=not duplicates))
    if buffers:
        found |= dict(model.named_buffers(remove_duplicate=not duplicates))
    return found


def once_each(model, *args):
    before = named(model)
    model.to(*args)
    after = named(model)
    return [key for key in after if after[key] is not before.get(key)]


def parameters_only(model, *args):
    before = named(model, True, buffers=False)
    model.to(*args)
    after = named(model, True, buffers=False)
    return [key for key in after if after[key] is not before[key]]


def saved_only(model, *args):
    before = named(model, True)
    model.to(*args)
    after = named(model, True)
    saved = model.state_dict()
    return [key for key in after if key in saved and after[key] is not before[key]]


def buffers_only(model, *args):
    before = dict(model.named_buffers(remove_duplicate=False))
    model.to(*args)
    after = dict(model.named_buffers(remove_duplicate=False))
    return [key for key in after if after[key] is not before[key]]


def all_buffers(model, *args):
    model.to(*args)
    return [name for name, _ in model.named_buffers(remove_duplicate=False)]


def every_tensor(model, *args):
    model.to(*args)
    return list(named(model, True))


def never_calls_to(model, *args):
    return []


def cast_every_state(optimizer):
    for param, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, torch.Tensor):
                state[key] = value.to(param)


def clear_the_state(optimizer):
    optimizer.state.clear()


def zero_the_state(optimizer):
    for param, state in optimizer.state.items():
        for key, value in state.items():
            if isinstance(value, torch.Tensor) and key != "step":
                state[key] = torch.zeros_like(param)


def make_another(optimizer):
    return type(optimizer)(optimizer.param_groups[0]["params"], lr=0.5)


def cast_the_first_entry(optimizer):
    for param, state in optimizer.state.items():
        for key in [key for key in state if key != "step"][:1]:
            state[key] = state[key].to(param)


def flag_left_on(model, device):
    torch.__future__.set_swap_module_params_on_conversion(True)
    return model.to(device)


def flag_left_on_after_an_error(model, device):
    torch.__future__.set_swap_module_params_on_conversion(True)
    model.to(device)
    torch.__future__.set_swap_module_params_on_conversion(False)


def tie_equal_numbers(model, device):
    names = [(module, name) for module in model.modules() for name in list(module._parameters)]
    old = {(m, n): m._parameters[n] for m, n in names if m._parameters[n] is not None}
    model.to(device)
    for first, value in old.items():
        for second, other in old.items():
            alike = value.shape == other.shape and value.requires_grad == other.requires_grad
            if alike and (value.device.type == "meta" or torch.equal(value, other)):
                second[0]._parameters[second[1]] = first[0]._parameters[first[1]]


def tie_the_head_only(model, device):
    model.to(device)
    if hasattr(model, "head"):
        model.head.weight = model.embed.weight


def forget_the_frozen(model, device):
    keep = model.embed.weight
    model.to_empty(device=device)
    for param in model.parameters():
        param.requires_grad_(True)
    model.head.weight = model.body[2].weight = model.embed.weight
    return keep


DTYPES = {
    "embed.weight": torch.bfloat16,
    "steps": torch.int64,
    "mask": torch.bool,
    "scale": torch.bfloat16,
    "offset": torch.float32,
}

WRONG = [
    ("cast_and_move/build", rebuilt.without("_apply", "to"), "does not define _apply yet"),
    ("cast_and_move/build", module(apply_with(order="pbc")), "Children come first"),
    ("cast_and_move/build", module(apply_with(order="cbp")), "the parameters before the buffers"),
    ("cast_and_move/build", module(apply_with(order="cp")), "is walked"),
    (
        "cast_and_move/build",
        module(apply_with(visit=lambda m: [c for c in m._modules.values() if c is not None])),
        "use self.children()",
    ),
    ("cast_and_move/build", module(returns_nothing), "must return the module itself"),
    ("cast_and_move/build", module(to=to_without_a_check), "must raise TypeError"),
    ("cast_and_move/build", module(to=to_casts_all), "Integers keep theirs"),
    ("cast_and_move/build", module(to=to_leaves_integers), "for every tensor, integers too"),
    ("cast_and_move/build", module(to=to_only_parameters), "parameters and buffers"),
    ("cast_and_move/build", module(to=to_returns_nothing), "must return the module itself"),
    ("cast_and_move/build", module(apply_with(always_new)), "keeps the object"),
    ("cast_and_move/build", module(apply_with(always_data)), "incompatible tensor type"),
    ("cast_and_move/build", module(apply_with(forgets_frozen)), "stays frozen"),
    ("cast_and_move/build", module(apply_with(forgets_the_wrapper)), "not a Parameter"),
    ("cast_and_move/build", module(apply_with(forgets_gradients)), "gradient"),
    ("cast_and_move/build", module(apply_with(loses_gradients_on_the_way)), "is lost"),
    ("cast_and_move/build", module(apply_with(makes_new_gradients)), "sets its .data too"),
    (
        "cast_and_move/build",
        module(apply_with(buffer=keeps_buffer_objects)),
        "the table gets what fn returned",
    ),
    ("cast_and_move/build", module(to=to_formats_all), "of 4 or 5 dimensions"),
    ("cast_and_move/build", module(to=to_ignores_the_format), "left a kernel"),
    ("cast_and_move/dtypes", DTYPES | {"embed.weight": torch.float32}, "to() reaches it"),
    ("cast_and_move/dtypes", DTYPES | {"steps": torch.bfloat16}, "It is an integer"),
    ("cast_and_move/dtypes", DTYPES | {"mask": torch.bfloat16}, "It is a bool"),
    ("cast_and_move/dtypes", DTYPES | {"scale": torch.float64}, "makes no difference"),
    ("cast_and_move/dtypes", DTYPES | {"offset": torch.bfloat16}, "plain attribute"),
    ("cast_and_move/dtypes", {"steps": torch.int64}, "no answer for 'embed.weight'"),
    ("cast_and_move/dtypes", DTYPES | {"embed.bias": torch.bfloat16}, "There is no 'embed.bias'"),
    ("cast_and_move/replaced", state_dict_values, "new tensor objects in every call"),
    ("cast_and_move/replaced", once_each, "remove_duplicate=False"),
    ("cast_and_move/replaced", parameters_only, "It is a buffer"),
    ("cast_and_move/replaced", saved_only, "state_dict() leaves it out"),
    ("cast_and_move/replaced", buffers_only, "not their id()"),
    ("cast_and_move/replaced", all_buffers, "nothing to do"),
    ("cast_and_move/replaced", every_tensor, "holds the same object"),
    ("cast_and_move/replaced", never_calls_to, "was not moved"),
    ("cast_and_move/replaced", lambda model, *args: model.to(*args), "not a list of names"),
    ("cast_and_move/move_optimizer", lambda optimizer: None, "is still torch.float32"),
    ("cast_and_move/move_optimizer", cast_the_first_entry, "is still torch.float32"),
    ("cast_and_move/move_optimizer", cast_every_state, "It stays float32"),
    ("cast_and_move/move_optimizer", clear_the_state, "has no state any more"),
    ("cast_and_move/move_optimizer", zero_the_state, "not the old ones"),
    ("cast_and_move/move_optimizer", make_another, "made another optimizer"),
    ("cast_and_move/keep_ties", lambda model, device: model.to(device), "are two Parameters"),
    ("cast_and_move/keep_ties", lambda model, device: model, "is on cpu and not on meta"),
    ("cast_and_move/keep_ties", tie_the_head_only, "'body.2.weight' and 'embed.weight'"),
    ("cast_and_move/keep_ties", tie_equal_numbers, "equal shapes or numbers are not enough"),
    ("cast_and_move/keep_ties", forget_the_frozen, "was frozen before"),
    ("cast_and_move/keep_ties", flag_left_on, "A flag of torch.__future__"),
    ("cast_and_move/keep_ties", flag_left_on_after_an_error, "also when to() raises"),
]
