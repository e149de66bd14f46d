"""Wrong answers to the exercises of chapter 3, each with a piece of what the check must say."""

import itertools

import torch
from torch import nn
from torch.nn import Buffer, Parameter

from modulescope import rebuilt

METHODS = ("__setattr__", "register_parameter", "register_buffer", "__delattr__")


def altered(**methods):
    """Return a class with the right four methods, but for those that are given here."""
    right = {name: vars(rebuilt.Module)[name] for name in METHODS}
    return type("Module", (rebuilt.without(*METHODS),), right | methods)


def assign(before=None, move=True, at_end=False, own_class=rebuilt.AnyModule):
    """Return a __setattr__ that is right but for what the arguments say."""

    def __setattr__(self, name, value):
        if before is not None and before(self, name, value):
            return
        if move and isinstance(value, Parameter) and vars(self).get("_parameters") is not None:
            for table in (vars(self), self._buffers, self._modules):
                table.pop(name, None)
            self._non_persistent_buffers_set.discard(name)
        if at_end and isinstance(value, Parameter):
            self._parameters.pop(name, None)
        if isinstance(value, own_class) or not isinstance(value, rebuilt.AnyModule):
            rebuilt.Module.__setattr__(self, name, value)
        else:
            object.__setattr__(self, name, value)

    return __setattr__


def register_without_moving(self, name, value):
    if isinstance(value, Parameter) and vars(self).get("_parameters") is not None:
        self._parameters[name] = value
        return True
    return False


def every_tensor_is_a_buffer(self, name, value):
    plain = isinstance(value, torch.Tensor) and not isinstance(value, Parameter | Buffer)
    if plain and name not in {**self._parameters, **self._modules}:
        self.register_buffer(name, value)
        return True
    return False


def none_is_plain(self, name, value):
    if value is None:
        for table in (self._parameters, self._buffers, self._modules):
            table.pop(name, None)
        object.__setattr__(self, name, None)
        return True
    return False


def always_persistent(self, name, value):
    if isinstance(value, Buffer) and "_buffers" in vars(self):
        self.register_buffer(name, value)
        return True
    return False


def forget_old_persistence(self, name, value):
    if isinstance(value, torch.Tensor) and name in vars(self).get("_buffers", ()):
        self._buffers[name] = value
        self._non_persistent_buffers_set.discard(name)
        return True
    return False


def module_first(self, name, value):
    if isinstance(value, rebuilt.AnyModule) and name in vars(self).get("_parameters", ()):
        del self._parameters[name]
    return False


def straight_into_the_dictionary(self, name, value):
    if name == "width":
        vars(self)[name] = value
        return True
    return False


def checked_module(self, name, value):
    if isinstance(value, rebuilt.AnyModule) and hasattr(type(self), name):
        raise KeyError(f"attribute '{name}' already exists")
    return False


def parameter_over_class_attribute(self, name, value):
    if isinstance(value, Parameter) and name == "rate":
        self._parameters[name] = value
        return True
    return False


def buffer_over_plain(self, name, value):
    if isinstance(value, Buffer):
        vars(self).pop(name, None)
    return False


def tensor_over_parameter(self, name, value):
    plain = isinstance(value, torch.Tensor) and not isinstance(value, Parameter)
    if plain and name in vars(self).get("_parameters", ()):
        self._parameters[name] = Parameter(value)
        return True
    return False


def tables_needed_for_all(self, name, value):
    if "_parameters" not in vars(self) and name != "training" and not name.startswith("_"):
        raise AttributeError("call Module.__init__() first")
    return False


def store_parameter(self, name, param):
    self._parameters[name] = param


def leaf_or_not(self, name, param):
    if param is not None and param.grad_fn:
        self._parameters[name] = param
    else:
        rebuilt.Module.register_parameter(self, name, param)


def none_is_not_registered(self, name, param):
    if param is not None:
        rebuilt.Module.register_parameter(self, name, param)


def no_second_time(self, name, param):
    if name in vars(self).get("_parameters", ()):
        raise KeyError(f"attribute '{name}' already exists")
    rebuilt.Module.register_parameter(self, name, param)


def other_words(self, name, param):
    try:
        rebuilt.Module.register_parameter(self, name, param)
    except KeyError as error:
        raise KeyError("bad name") from error


def never_persistent_again(self, name, tensor, persistent=True):
    was = name in vars(self).get("_non_persistent_buffers_set", ())
    rebuilt.Module.register_buffer(self, name, tensor, persistent and not was)


def any_buffer(self, name, tensor, persistent=True):
    if isinstance(tensor, list):
        self._buffers[name] = tensor
    else:
        rebuilt.Module.register_buffer(self, name, tensor, persistent)


def delete_and_keep_the_set(self, name):
    was = set(self._non_persistent_buffers_set)
    rebuilt.Module.__delattr__(self, name)
    self._non_persistent_buffers_set.update(was)


def delete_from_the_dictionary(self, name):
    for table in (self._parameters, self._buffers, self._modules, vars(self)):
        if name in table:
            del table[name]
            self._non_persistent_buffers_set.discard(name)
            return
    raise KeyError(name)


def set_to_none(self, name):
    for table in (self._parameters, self._buffers, self._modules):
        if name in table:
            table[name] = None
            return
    object.__delattr__(self, name)


BUILDS = [
    (rebuilt.without("__setattr__"), "does not define __setattr__"),
    (altered()(), "The answer is the class itself"),
    (type("Module", (nn.Module,), dict.fromkeys(METHODS)), "is built on torch.nn.Module"),
    (altered(__setattr__=object.__setattr__), "A Parameter goes into _parameters"),
    (altered(__setattr__=assign(own_class=nn.Module)), "Ask for your own class"),
    (altered(__setattr__=assign(every_tensor_is_a_buffer)), "only if the name is one already"),
    (altered(__setattr__=assign(none_is_plain)), "None keeps the name in the table"),
    (altered(__setattr__=assign(always_persistent)), "says itself whether it is persistent"),
    (altered(__setattr__=assign(forget_old_persistence)), "as persistent as before"),
    (altered(__setattr__=assign(at_end=True)), "keeps its place"),
    (altered(__setattr__=assign(register_without_moving, move=False)), "in one place only"),
    (altered(__setattr__=assign(module_first)), "Ask this before you ask for a module"),
    (altered(__setattr__=assign(tensor_over_parameter)), "only a Parameter or None may follow"),
    (altered(__setattr__=assign(straight_into_the_dictionary)), "a property of the class"),
    (altered(__setattr__=assign(checked_module)), "its name may be taken"),
    (altered(__setattr__=assign(parameter_over_class_attribute)), "hasattr finds an attribute"),
    (altered(__setattr__=assign(buffer_over_plain)), "takes nothing out first"),
    (altered(__setattr__=assign(tables_needed_for_all)), "needs no __init__"),
    (altered(register_parameter=store_parameter), "hasattr finds an attribute"),
    (altered(register_parameter=leaf_or_not), "was computed: refuse it"),
    (altered(register_parameter=none_is_not_registered), "None keeps the name in the table"),
    (altered(register_parameter=no_second_time), "keeps its place"),
    (altered(register_parameter=other_words), "Only the words"),
    (altered(register_buffer=never_persistent_again), "persistent again"),
    (altered(register_buffer=any_buffer), "Only a tensor or None can be a buffer"),
    (altered(__delattr__=delete_and_keep_the_set), "takes its name out of _non_persistent"),
    (altered(__delattr__=delete_from_the_dictionary), "What is nowhere is an AttributeError"),
    (altered(__delattr__=set_to_none), "del looks for the name in _parameters"),
]

PLACES = {
    "gain": "_parameters",
    "double": "__dict__",
    "mean": "_buffers",
    "layers": "__dict__",
    "head": "_modules",
    "tail": "__dict__",
    "norm": "_parameters",
}


def stack(layers=nn.ModuleList, gain=Parameter, steps=Buffer, mask=None, count=0):
    """Return a class for the third exercise, right but for what the arguments say."""

    class Stack(nn.Module):
        def __init__(self, widths):
            super().__init__()
            pairs = itertools.pairwise(widths)
            self.layers = layers([nn.Linear(ins, outs) for ins, outs in pairs])
            self.gain = gain(torch.ones(widths[-1]))
            self.steps = steps(torch.tensor(count))
            ones = torch.ones(widths[-1])
            self.mask = mask(ones) if mask else Buffer(ones, persistent=False)

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            return x * self.gain * self.mask

    return Stack


def plain(value):
    return value


def frozen(value):
    return Parameter(value, requires_grad=False)


def brief(value):
    return Buffer(value, persistent=False)


def direct(module):
    return [name for name, value in vars(module).items() if isinstance(value, torch.Tensor)]


def shallow(module):
    kinds = torch.Tensor | nn.Module
    found = []
    for name, value in vars(module).items():
        inside = value.values() if isinstance(value, dict) else value
        inside = inside if isinstance(value, dict | list | tuple) else [value]
        if name not in ("_parameters", "_buffers", "_modules") and any(
            isinstance(item, kinds) for item in inside
        ):
            found.append(name)
    return found


def with_tables(module):
    inside = {name: value for name, value in vars(module).items() if isinstance(value, dict)}
    return [name for name, value in inside.items() if any(map(torch.is_tensor, value.values()))]


def every_attribute(module):
    return [name for name in vars(module) if not name.startswith("_")]


def registered(module):
    return list(module._parameters)


WRONG = [
    *(("register_entries/build", build, idea) for build, idea in BUILDS),
    ("register_entries/tables", PLACES | {"gain": "__dict__"}, "goes into _parameters"),
    ("register_entries/tables", PLACES | {"double": "_parameters"}, "not a Parameter"),
    ("register_entries/tables", PLACES | {"mean": "__dict__"}, "stays in this table"),
    ("register_entries/tables", PLACES | {"layers": "_modules"}, "Nobody looks at what is in it"),
    ("register_entries/tables", PLACES | {"head": "__dict__"}, "None keeps it there"),
    ("register_entries/tables", PLACES | {"tail": "_modules"}, "No table had this name"),
    ("register_entries/tables", PLACES | {"norm": "_modules"}, "out of the other tables"),
    ("register_entries/tables", PLACES | {"norm": "parameters"}, "not one of the four answers"),
    ("register_entries/tables", PLACES | {"bias": "_parameters"}, "has no attribute 'bias'"),
    ("register_entries/tables", {"gain": "_parameters"}, "no answer for 'double'"),
    ("register_entries/tables", list(PLACES), "The answer is a dictionary"),
    ("register_entries/order", ["a", "b", "c", "e", "child.weight"], "puts it at the end"),
    ("register_entries/order", ["child.weight", "a", "c", "b", "e"], "before those of its child"),
    ("register_entries/order", ["c", "b", "a", "e", "child.weight"], "keeps the place of the old"),
    ("register_entries/order", ["a", "b", "e", "c", "child.weight"], "puts it at the end"),
    ("register_entries/order", ["a", "c", "d", "b", "e", "child.weight"], "None is not saved"),
    ("register_entries/order", ["a", "c", "b", "child.weight", "e.weight"], "was a child"),
    ("register_entries/order", ["a", "c", "e", "b", "child.weight"], "puts it at the end"),
    ("register_entries/order", ["a", "c", "b", "child.weight"], "'e' must be there once"),
    ("register_entries/order", ["a", "c", "b", "e", "child.bias"], "Nothing has this path"),
    ("register_entries/order", ["a", "a", "c", "b", "e", "child.weight"], "must be there once"),
    ("register_entries/repair", stack()([1, 2]), "The answer is the class itself"),
    ("register_entries/repair", stack(layers=plain), "an nn.ModuleList is a module"),
    ("register_entries/repair", stack(gain=plain), "only an nn.Parameter is trained"),
    ("register_entries/repair", stack(gain=Buffer), "only an nn.Parameter is trained"),
    ("register_entries/repair", stack(mask=frozen), "requires_grad=False does not change that"),
    ("register_entries/repair", stack(mask=plain), "a plain tensor stays a plain attribute"),
    ("register_entries/repair", stack(mask=Buffer), "can be computed again"),
    ("register_entries/repair", stack(steps=plain), "steps is in no table"),
    ("register_entries/repair", stack(steps=brief), "steps is not saved"),
    ("register_entries/repair", stack(count=0.0), "must stay one"),
    ("register_entries/repair", stack(steps=Parameter), "raised RuntimeError"),
    ("register_entries/lost", direct, "holds a tensor or a module"),
    ("register_entries/lost", shallow, "A list can hold lists"),
    ("register_entries/lost", with_tables, "one of the three tables"),
    ("register_entries/lost", every_attribute, "No tensor or module of this module is lost"),
    ("register_entries/lost", registered, "It is registered"),
    ("register_entries/lost", lambda module: [], "It is a plain tensor"),
    ("register_entries/lost", lambda module: None, "not a list of names"),
    ("register_entries/lost", lambda module: [*shallow(module)] * 2, "twice"),
]
