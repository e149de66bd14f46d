"""Our Module and torch's do the same, on random trees and after random operations."""

import inspect

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from modulescope import rebuilt

NAMES = st.sampled_from(["a", "ab", "a_b", "0", "10", "weight"])
SHAPES = st.sampled_from([(), (1,), (2, 3)])
DTYPES = [torch.float32, torch.float64, torch.float16, torch.int64]


@st.composite
def specs(draw, depth=2):
    """Return what to put into a module: name, what, and what it takes, in order."""
    leaves = [
        "parameter",
        "frozen",
        "buffer",
        "passing",
        "no parameter",
        "no buffer",
        "no module",
        "tied",
    ]
    entries = []
    for name in draw(st.lists(NAMES, unique=True, max_size=4)):
        kind = draw(st.sampled_from([*leaves, "extra"] + ["child", "shared"] * bool(depth)))
        inner = draw(specs(depth - 1)) if kind == "child" else draw(SHAPES)
        entries.append((name, kind, inner))
    return entries


def build(kind_of_module, spec, pool=None):
    """Return the module that *spec* describes; *pool* holds what can be shared and tied."""
    pool = {"tensors": [], "modules": []} if pool is None else pool
    extra = any(kind == "extra" for _, kind, _ in spec)
    cls = with_extra_state(kind_of_module) if extra else kind_of_module
    module = cls()
    for name, kind, inner in spec:
        if kind in ("parameter", "frozen"):
            values = torch.full(inner, float(len(pool["tensors"])))
            pool["tensors"].append(nn.Parameter(values, requires_grad=kind == "parameter"))
            module.register_parameter(name, pool["tensors"][-1])
        elif kind in ("buffer", "passing"):
            module.register_buffer(name, torch.arange(2), persistent=kind == "buffer")
        elif kind == "no parameter":
            module.register_parameter(name, None)
        elif kind == "no buffer":
            module.register_buffer(name, None)
        elif kind == "no module":
            module.register_module(name, None)
        elif kind == "tied" and pool["tensors"]:
            setattr(module, name, pool["tensors"][0])
        elif kind == "shared" and pool["modules"]:
            setattr(module, name, pool["modules"][0])
        elif kind == "child":
            setattr(module, name, build(kind_of_module, inner, pool))
            pool["modules"].append(getattr(module, name))
    return module


def with_extra_state(base):
    class Extra(base):
        def get_extra_state(self):
            return torch.tensor(7)

        def set_extra_state(self, state):
            object.__setattr__(self, "received", state)

    return Extra


def look(tensor):
    if tensor is None:
        return None
    return type(tensor), tensor.dtype, str(tensor.device), tensor.shape, tensor.requires_grad


def picture(module, seen=None):
    """Describe tables, order, tensors and who is the same object as whom; no identity itself."""
    seen = {} if seen is None else seen

    def number(value):
        return None if value is None else seen.setdefault(id(value), len(seen))

    tables = [
        [(n, look(t), number(t)) for n, t in module._parameters.items()],
        [(n, look(t), number(t)) for n, t in module._buffers.items()],
        sorted(module._non_persistent_buffers_set),
        [(n, number(c)) for n, c in module._modules.items()],
    ]
    return tables, [picture(c, seen) for c in module._modules.values() if c is not None]


def numbers(module):
    return {
        name: tensor.tolist()
        for name, tensor in module.named_parameters(remove_duplicate=False)
        if tensor.device.type == "cpu"
    }


def outcome(action, *args, **kwargs):
    try:
        return action(*args, **kwargs)
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        return type(error), str(error)


@settings(max_examples=200, deadline=None)
@given(specs())
def test_walks_and_state_dicts_are_the_same(spec):
    ours, theirs = build(rebuilt.Module, spec), build(nn.Module, spec)
    assert picture(ours) == picture(theirs)
    for name in ("named_modules", "named_parameters", "named_buffers"):
        for arguments in ({}, {"remove_duplicate": False}, {"prefix": "x"}):
            walks = [getattr(net, name)(**arguments) for net in (ours, theirs)]
            assert [path for path, _ in walks[0]] == [path for path, _ in walks[1]]
    for name in ("named_parameters", "named_buffers"):
        walks = [getattr(net, name)(recurse=False) for net in (ours, theirs)]
        assert [path for path, _ in walks[0]] == [path for path, _ in walks[1]]
    assert [name for name, _ in ours.named_children()] == [n for n, _ in theirs.named_children()]
    for name in ("modules", "children", "parameters", "buffers"):
        assert len(list(getattr(ours, name)())) == len(list(getattr(theirs, name)()))
    for keep in (False, True):
        mine, right = ours.state_dict(keep_vars=keep), theirs.state_dict(keep_vars=keep)
        assert list(mine) == list(right)
        assert mine._metadata == right._metadata
        assert [look(value) for value in mine.values()] == [look(v) for v in right.values()]
    # The memory is the model's own, as in torch.
    for key, tensor in ours.named_parameters(remove_duplicate=False):
        assert mine[key] is tensor
    listed = [set(dir(net)) - set(dir(type(net))) for net in (ours, theirs)]
    assert listed[0] == listed[1] - hook_tables(theirs)


DAMAGES = ["fill", "fill", "trained", "one element", "drop", "shape", "rename", "text"]


def hook_tables(module):
    """Return the attributes that torch's Module has for hooks, and ours has not."""
    return {name for name in vars(module) if "hook" in name}


@settings(max_examples=200, deadline=None)
@given(specs(), st.data())
def test_loading_a_damaged_dictionary_is_the_same(spec, data):
    ours, theirs = build(rebuilt.Module, spec), build(nn.Module, spec)
    state = theirs.state_dict()
    for key in list(state):
        damage = data.draw(st.sampled_from(DAMAGES))
        if damage == "fill":
            state[key] = torch.full_like(state[key], 5)
        elif damage == "trained":
            state[key] = nn.Parameter(torch.full(state[key].shape, 6.0))
        elif damage == "one element":
            state[key] = torch.full((1,), 7)
        elif damage == "shape":
            state[key] = torch.zeros(4, 4)
        elif damage == "text":
            state[key] = "no tensor"
        else:
            value = state.pop(key)
            if damage == "rename":
                state[key + data.draw(st.sampled_from([".deeper", "x"]))] = value
    if data.draw(st.booleans()):
        state = dict(state)
    flags = {"strict": data.draw(st.booleans()), "assign": data.draw(st.booleans())}
    given_keys = list(state)
    mine = outcome(ours.load_state_dict, state, **flags)
    assert list(state) == given_keys
    right = outcome(theirs.load_state_dict, state, **flags)
    assert str(mine).removeprefix("_") == str(right).removeprefix("_")
    assert picture(ours) == picture(theirs)
    assert numbers(ours) == numbers(theirs)


@settings(max_examples=150, deadline=None)
@given(
    specs(), st.sampled_from([(torch.float64,), (torch.float16,), ("meta",), (torch.int64,), ()])
)
def test_casting_and_moving_is_the_same(spec, target):
    ours, theirs = build(rebuilt.Module, spec), build(nn.Module, spec)
    for net in (ours, theirs):
        for param in net.parameters():
            param.grad = torch.ones_like(param)
    results = []
    for net in (ours, theirs):
        before = dict(net.named_parameters(remove_duplicate=False))
        result = outcome(net.to, *target)
        after = dict(net.named_parameters(remove_duplicate=False))
        same = {name: after[name] is before[name] for name in after}
        grads = {name: look(param.grad) for name, param in after.items()}
        results.append((picture(net), same, grads, result if result is not net else "itself"))
    assert results[0] == results[1]


VALUES = st.sampled_from(
    ["parameter", "tensor", "module", "none", "buffer", "passing buffer", "number", "non-leaf"]
)
ATTRIBUTES = st.sampled_from(["a"] * 8 + ["b", "a.b", "", "state_dict"])
CALLS = st.sampled_from(
    [
        "setattr",
        "setattr",
        "delattr",
        "register_parameter",
        "register_buffer",
        "add_module",
        "getattr",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(CALLS, ATTRIBUTES, VALUES), min_size=3))
def test_a_script_of_registrations_is_the_same(script):
    ours, theirs = rebuilt.Module(), nn.Module()
    for call, name, value in script:
        results = []
        for net, cls in ((ours, rebuilt.Module), (theirs, nn.Module)):
            made = {
                "parameter": lambda: nn.Parameter(torch.ones(1)),
                "tensor": lambda: torch.ones(2),
                "module": cls,
                "none": lambda: None,
                "buffer": lambda: nn.Buffer(torch.ones(3)),
                "passing buffer": lambda: nn.Buffer(torch.ones(3), persistent=False),
                "number": lambda: 3,
                "non-leaf": lambda: nn.Parameter(torch.ones(1)) * 2,
            }[value]()
            if call in ("delattr", "getattr"):
                result = outcome({"delattr": delattr, "getattr": getattr}[call], net, name)
            elif call == "setattr":
                result = outcome(setattr, net, name, made)
            else:
                result = outcome(getattr(net, call), name, made)
            is_error = isinstance(result, tuple)
            results.append(result if is_error else type(result).__name__)
        # The name of the class is all that the words of an error may differ in.
        words = [str(result).replace("modulescope.rebuilt.", "") for result in results]
        assert words[0] == words[1].replace("torch.nn.modules.module.", "")
        plain = [
            {key for key in vars(net) if key in ("a", "b", "a.b", "", "state_dict")}
            for net in (ours, theirs)
        ]
        assert plain[0] == plain[1]
        assert picture(ours) == picture(theirs)


@pytest.mark.parametrize(
    ("assign", "words"),
    [
        (lambda net, cls: setattr(net, "x", nn.Parameter(torch.ones(1))), "parameters before"),
        (lambda net, cls: setattr(net, "x", cls()), "module before"),
        (lambda net, cls: net.register_buffer("x", None), "buffer before"),
        (lambda net, cls: net.x, "no attribute 'x'"),
    ],
)
def test_without_init_the_errors_are_the_same(assign, words):
    messages = []
    for cls in (rebuilt.Module, nn.Module):

        class Broken(cls):
            def __init__(self):
                pass

        with pytest.raises(AttributeError, match=words) as caught:
            assign(Broken(), cls)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


def test_ours_does_not_mark_the_callers_metadata():
    state = rebuilt.Module().state_dict()
    rebuilt.Module().load_state_dict(state, assign=True)
    assert state._metadata == {"": {"version": 1}}


def test_without_takes_a_method_out_and_super_reaches_object():
    class Mine(rebuilt.without("__setattr__")):
        def __setattr__(self, name, value):
            super().__setattr__(name, value)

    module = Mine()
    module.weight = nn.Parameter(torch.ones(1))
    assert module._parameters == {}
    assert "weight" in vars(module)
    with pytest.raises(AttributeError, match="no method 'state_dikt'"):
        rebuilt.without("state_dikt")


def test_every_method_fits_on_a_screen_and_calls_nothing_of_torchs_module():
    for name, function in inspect.getmembers(rebuilt.Module, inspect.isfunction):
        assert len(inspect.getsource(function).splitlines()) <= 50, name
    assert not issubclass(rebuilt.Module, nn.Module)
    assert "nn" not in vars(rebuilt)
