"""Wrong answers to the exercises of chapter 2, each with a piece of what the check must say."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

import torch


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
