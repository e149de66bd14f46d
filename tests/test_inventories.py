"""The inventory agrees with torch, and the forecast with what to() then really does."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from modulescope import forecast, inventory

DTYPES = [torch.float32, torch.float64, torch.float16, torch.complex64, torch.int64, torch.bool]
TARGETS = [
    ((torch.float64,), {}),
    ((torch.float16,), {}),
    ((torch.float32,), {}),
    (("meta",), {}),
    (("cpu",), {}),
    (("meta", torch.bfloat16), {}),
    ((torch.zeros(1, dtype=torch.float64),), {}),
    ((), {"memory_format": torch.channels_last}),
    ((torch.float64,), {"memory_format": torch.channels_last}),
    ((), {}),
]
NAMES = ["a", "ab", "0", "weight", "bias"]


def pick(draw, pool):
    # By its index: hypothesis keeps a weak reference to what it draws, and torch refuses to swap a
    # tensor that has one.
    return pool[draw(st.integers(0, len(pool) - 1))]


@st.composite
def trees(draw, pool=None, depth=2):
    """Return a module tree with ties of every kind: objects, storages, modules."""
    pool = {"parameters": [], "buffers": [], "modules": []} if pool is None else pool
    net = nn.Module()
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4)):
        kinds = ["parameter", "buffer", "none", "tied parameter", "tied buffer", "view", "plain"]
        kind = draw(st.sampled_from([*kinds, "child", "child", "tied child"] if depth else kinds))
        shape = draw(st.sampled_from([(3,), (2, 2), (2, 3, 2, 2), ()]))
        tensor = torch.zeros(shape, dtype=draw(st.sampled_from(DTYPES)))
        floating = tensor.is_floating_point() or tensor.is_complex()
        if kind == "parameter":
            param = nn.Parameter(tensor, requires_grad=floating and draw(st.booleans()))
            if param.requires_grad and draw(st.booleans()):
                param.grad = torch.ones_like(param)
            pool["parameters"].append(param)
            net.register_parameter(name, param)
        elif kind == "buffer":
            pool["buffers"].append(tensor)
            net.register_buffer(name, tensor, persistent=draw(st.booleans()))
        elif kind == "none":
            net.register_buffer(name, None)
        elif kind == "plain":
            setattr(net, name, tensor)
        elif kind == "tied parameter" and pool["parameters"]:
            net.register_parameter(name, pick(draw, pool["parameters"]))
        elif kind == "tied buffer" and pool["buffers"]:
            net.register_buffer(name, pick(draw, pool["buffers"]))
        elif kind == "view" and pool["buffers"]:
            net.register_buffer(name, pick(draw, pool["buffers"]).view(-1)[:1])
        elif kind == "tied child" and pool["modules"]:
            net.register_module(name, pick(draw, pool["modules"]))
        elif kind == "child":
            child = draw(trees(pool, depth - 1))
            pool["modules"].append(child)
            net.register_module(name, child)
    return net


def tensors(net):
    """Return path to tensor, every name on its own, by torch's own walk."""
    found = dict(net.named_parameters(remove_duplicate=False))
    return found | dict(net.named_buffers(remove_duplicate=False))


def ties(found):
    groups = {}
    for path, tensor in found.items():
        groups.setdefault(tensor.untyped_storage()._cdata, set()).add(path)
    return [paths for paths in groups.values() if len(paths) > 1]


@settings(max_examples=300, deadline=None)
@given(trees(), st.sampled_from(TARGETS), st.booleans(), st.booleans())
def test_the_forecast_is_what_happens(net, target, swap, overwrite):
    args, kwargs = target
    before = tensors(net)
    looks = {path: f"{str(t.dtype)[6:]} {t.device}" for path, t in before.items()}
    versions = {path: tensor._version for path, tensor in before.items()}
    old_ties = ties(before)
    torch.__future__.set_swap_module_params_on_conversion(swap)
    torch.__future__.set_overwrite_module_params_on_conversion(overwrite)
    try:
        promised = forecast(net, *args, **kwargs)
        assert all(tensors(net)[path] is tensor for path, tensor in before.items())
        assert all(tensor._version == versions[path] for path, tensor in before.items())
        net.to(*args, **kwargs)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)
        torch.__future__.set_overwrite_module_params_on_conversion(False)
    after = tensors(net)

    assert {change.path: change.before for change in promised.changes} == looks
    assert {change.path: change.after for change in promised.changes} == {
        path: f"{str(t.dtype)[6:]} {t.device}" for path, t in after.items()
    }
    assert {change.path: change.same_object for change in promised.changes} == {
        path: tensor is before[path] for path, tensor in after.items()
    }
    kept = ties(after)
    broken = [paths for paths in old_ties if not any(paths <= other for other in kept)]
    assert sorted(map(sorted, promised.broken_ties)) == sorted(map(sorted, broken))


@settings(max_examples=150, deadline=None)
@given(trees())
def test_the_inventory_agrees_with_torch(net):
    found = inventory(net)
    saved = [entry.path for entry in found.entries if entry.kind in ("parameter", "buffer")]
    assert saved == list(net.state_dict())
    assert found.keys == len(saved)
    everything = tensors(net)
    held = {entry.path: entry for entry in found.entries if entry.shape is not None}
    assert held.keys() == everything.keys()
    assert all(held[path].shape == tuple(tensor.shape) for path, tensor in everything.items())
    unique = {id(tensor): tensor for tensor in everything.values()}
    assert found.by_path.elements == sum(tensor.numel() for tensor in everything.values())
    assert found.unique.elements == sum(tensor.numel() for tensor in unique.values())
    assert found.unique.trainable == sum(p.numel() for p in net.parameters() if p.requires_grad)
    # A note on sharing stands exactly where a later name leads to an earlier one's memory.
    shared = {path for paths in ties(everything) for path in paths}
    noted = {
        p
        for p, e in held.items()
        if any("same object" in n or "storage with" in n for n in e.notes)
    }
    assert noted <= shared
    assert len(shared) - len(noted) == len(ties(everything))
    assert repr(found) == repr(inventory(net))


def test_the_optimizer_is_told_apart_from_the_model():
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    optimizer = torch.optim.Adam(net.parameters())
    assert "group 0: no state yet" in repr(inventory(net, optimizer))
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert "group 0: step, exp_avg, exp_avg_sq" in repr(inventory(net, optimizer))

    kept = forecast(net, torch.float64, optimizer=optimizer).left_behind
    assert kept[0] == "The optimizer's state of 0.weight stays as it is: exp_avg, exp_avg_sq."
    lost = forecast(net, "meta", optimizer=optimizer).left_behind
    assert lost[0].startswith("The optimizer keeps the old 0.weight")
    net.to("meta")
    assert "trains 4 tensors that the model does not have" in repr(inventory(net, optimizer))


def test_lazy_sparse_and_meta_entries_are_listed():
    net = nn.Sequential(nn.LazyLinear(3), nn.Linear(2, 2, device="meta"))
    net.register_buffer("sparse", torch.eye(2).to_sparse())
    text = repr(inventory(net))
    assert "not initialised yet" in text
    assert "meta" in text
    assert "sparse" in text


def test_a_large_model_is_folded_and_loses_no_row():
    net = nn.Sequential(*[nn.Sequential(nn.Linear(1, 1), nn.BatchNorm1d(1)) for _ in range(300)])
    found = inventory(net)
    assert len(repr(found).splitlines()) < 310
    assert found._repr_html_().count("<tr>") == len(found.entries) + 1 + 300


@pytest.mark.parametrize("wrong", [{}, nn.Linear, [nn.Linear(1, 1)]])
def test_what_is_not_a_module_is_refused(wrong):
    for look in (inventory, forecast):
        with pytest.raises(TypeError, match="Give the model itself"):
            look(wrong)


def test_a_module_that_was_never_initialised_is_named():
    class Broken(nn.Module):
        def __init__(self):
            pass

    with pytest.raises(TypeError, match=r"did not call super\(\).__init__"):
        inventory(Broken())


def test_an_integer_dtype_is_refused_in_torchs_words():
    net = nn.Linear(1, 1)
    with pytest.raises(TypeError) as ours:
        forecast(net, torch.int64)
    with pytest.raises(TypeError) as theirs:
        net.to(torch.int64)
    assert str(ours.value) == str(theirs.value)
