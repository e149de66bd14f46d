"""A check refuses wrong answers that people give, and names the idea behind them."""

import contextlib
import copy
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from torch import nn

from modulescope import check
from modulescope.exercises import names


def children_first(module, prefix=""):
    found = {}
    for name, child in module._modules.items():
        if child is not None:
            found |= children_first(child, prefix + name + ".")
    found |= {prefix + name: p.detach() for name, p in module._parameters.items() if p is not None}
    kept = module._buffers.keys() - module._non_persistent_buffers_set
    return found | {
        prefix + name: b for name, b in module._buffers.items() if name in kept and b is not None
    }


def only_iterators(module, prefix=""):
    found = {prefix + name: param.detach() for name, param in module.named_parameters()}
    return found | {prefix + name: buffer for name, buffer in module.named_buffers()}


def only_parameters(model):
    return {name: param.detach().clone() for name, param in model.named_parameters()}


def eval_only(model, x):
    model.eval()
    return model(x)


def no_grad_only(model, x):
    with torch.no_grad():
        return model(x)


def stays_in_eval(model, x):
    with torch.no_grad():
        return model.eval()(x)


def unwrap_in_place(state):
    for key in list(state):
        state[key.removeprefix("module.")] = state.pop(key)
    return state


def save_straight(obj, path):
    torch.save(obj, path)


def save_elsewhere(obj, path):
    with tempfile.TemporaryDirectory() as folder:
        torch.save(obj, Path(folder, "draft"))
        shutil.move(Path(folder, "draft"), path)


def save_and_leave_the_draft(obj, path):
    torch.save(obj, f"{path}.draft")
    os.replace(f"{path}.draft", path)


def remove_then_save(obj, path):
    path.unlink(missing_ok=True)
    save_and_leave_the_draft(obj, path)


def save_and_hide_the_error(obj, path):
    with contextlib.suppress(BaseException):
        save_and_leave_the_draft(obj, path)


def restore_all_but(part):
    def restore(checkpoint, run):
        state = dict(checkpoint["model"])
        if part == "buffers":
            state |= dict(run.net.named_buffers())
        if part != "model":
            run.net.load_state_dict(state)
        for name in ("optimizer", "scheduler"):
            if part != name:
                getattr(run, name).load_state_dict(checkpoint[name])
        if part != "rng":
            torch.set_rng_state(checkpoint["rng"])
        if part != "order":
            run.order.set_state(checkpoint["order"])

    return restore


def restore_then_draw(checkpoint, run):
    restore_all_but("nothing")(checkpoint, run)
    torch.rand(1)


FRIENDS = {"Ada": "buffers", "Ben": "order", "Eve": "scheduler"}

WRONG = [
    ("save_weights/collect", children_first, "only then come its children"),
    ("save_weights/collect", only_iterators, "then its buffers, and only then"),
    ("save_weights/collect", lambda m: copy.deepcopy(m.state_dict()), "shares the memory"),
    ("save_weights/collect", lambda m: m.state_dict(keep_vars=True), "still requires grad"),
    ("save_weights/collect", lambda m: list(m.state_dict()), "not a dictionary"),
    ("save_weights/keys", ["head.weight", "scale", "gain"], "only then come its children"),
    ("save_weights/keys", ["gain", "scale", "mask", "head.weight"], "persistent=False"),
    ("save_weights/keys", ["gain", "scale", "head.weight", "head.bias"], "is None"),
    ("save_weights/keys", ["gain", "scale", "head.weight", "drop.p"], "Dropout holds no tensors"),
    ("save_weights/keys", ["gain", "head.weight"], "only then come its children"),
    ("save_weights/keys", 3, "raised TypeError"),
    ("save_weights/snapshot", lambda m: m.state_dict(), "holds the same tensors"),
    ("save_weights/snapshot", lambda m: m.state_dict().copy(), "holds the same tensors"),
    ("save_weights/snapshot", only_parameters, "no optimizer trains it"),
    (
        "save_weights/unwrap",
        lambda state: {key.replace("module.", ""): value for key, value in state.items()},
        "replace() also takes out",
    ),
    (
        "save_weights/unwrap",
        lambda state: {key[len("module.") :]: value for key, value in state.items()},
        "never wrapped",
    ),
    ("save_weights/unwrap", unwrap_in_place, "changed the dictionary"),
    ("save_weights/predict", eval_only, "eval() does not stop autograd"),
    ("save_weights/predict", no_grad_only, "no_grad() does not stop dropout"),
    ("save_weights/predict", stays_in_eval, "put the mode back"),
    ("resume_training/atomic", save_straight, "wrote straight to the path"),
    ("resume_training/atomic", save_elsewhere, "in another folder"),
    ("resume_training/atomic", save_and_leave_the_draft, "was left behind"),
    ("resume_training/atomic", remove_then_save, "must not be removed before"),
    ("resume_training/atomic", save_and_hide_the_error, "pass the error on"),
    ("resume_training/atomic", lambda obj, path: None, "does not hold the object"),
    ("resume_training/forgotten", FRIENDS | {"Ada": "rng"}, "in a test it does"),
    ("resume_training/forgotten", FRIENDS | {"Ben": "optimizer"}, "only other pictures"),
    ("resume_training/forgotten", FRIENDS | {"Eve": "optimizer"}, "then the scheduler"),
    ("resume_training/forgotten", {"Ada": "buffers"}, "no answer for Ben"),
    ("resume_training/entries", (6, 6), "before it there is nothing"),
    ("resume_training/entries", (0, 9), "Buffers are not given"),
    ("resume_training/entries", (0, 18), "a dictionary with three things"),
    ("resume_training/entries", (0, 4), "Count the parameters"),
    ("resume_training/restore", restore_all_but("model"), "weights of the model were not"),
    ("resume_training/restore", restore_all_but("buffers"), "wrong statistics"),
    ("resume_training/restore", restore_all_but("optimizer"), "begins with empty averages"),
    ("resume_training/restore", restore_all_but("scheduler"), "has just begun"),
    ("resume_training/restore", restore_all_but("rng"), "dropout takes out other values"),
    ("resume_training/restore", restore_all_but("order"), "other pictures"),
    ("resume_training/restore", restore_then_draw, "drew random numbers after that"),
]


@pytest.mark.parametrize(("name", "answer", "idea"), WRONG)
def test_a_wrong_answer_is_refused_with_its_idea(name, answer, idea):
    result = check(name, answer)
    assert result.status == "not yet"
    assert idea in result.message


def test_every_exercise_refuses_something_and_waits_for_an_answer():
    assert {name for name, _, _ in WRONG} == set(names())
    assert all(check(name, ...).status == "not attempted" for name in names())


def test_an_unknown_exercise_is_an_error_that_lists_the_known():
    with pytest.raises(KeyError, match="save_weights/keys"):
        check("save_weights/kyes", ...)


def test_a_check_leaves_the_readers_answer_alone():
    state = nn.Linear(1, 1).state_dict()
    assert not check("save_weights/keys", state).passed
    assert list(state) == ["weight", "bias"]
