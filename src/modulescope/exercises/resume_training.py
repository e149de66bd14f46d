"""Checks of the chapter "Write a checkpoint that resumes exactly"."""

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from . import exercise


class _PowerFailure(BaseException):
    """Ends a write in the middle; not an ``Exception``, as a kill would not be one."""


@exercise("resume_training/atomic")
def _atomic(answer: Callable[[Any, Any], None]) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint.pt")
        answer({"epoch": 1}, path)
        if not path.exists() or torch.load(path) != {"epoch": 1}:
            return "After a save without any failure, the file does not hold the object."
        targets: list[Path] = []
        with patch("torch.save", _dying_save(targets)):
            try:
                answer({"epoch": 2}, path)
            except _PowerFailure:
                pass
            else:
                return "Writing failed, and your function said nothing: pass the error on."
        if not targets:
            return "Your function did not call torch.save."
        if targets[0].resolve() == path.resolve():
            return (
                "The last good checkpoint is lost: torch.save wrote straight to the path, and the "
                "first byte that it writes destroys what was there."
            )
        if targets[0].resolve().parent != path.resolve().parent:
            return (
                "The draft stands in another folder. Renaming is atomic only inside one file "
                "system; write the draft next to the path."
            )
        if not path.exists() or torch.load(path) != {"epoch": 1}:
            return (
                "The last good checkpoint is lost, although the draft was another file: it must "
                "not be removed before the new one is complete."
            )
        if len(os.listdir(folder)) > 1:
            return "The draft of the failed write was left behind: remove it when writing fails."
        answer({"epoch": 3}, path)
        if torch.load(path) != {"epoch": 3}:
            return "A save after a failed one did not replace the file."
    return None


def _dying_save(targets: list[Path]) -> Callable[..., None]:
    def save(obj: Any, file: Any, *args: Any, **kwargs: Any) -> None:
        targets.append(Path(file.name if hasattr(file, "write") else file))
        targets[-1].write_bytes(b"half of a checkpo")
        raise _PowerFailure

    return save


_FORGOTTEN = {
    "Ada": (
        "buffers",
        "In train mode batch norm does not read its running mean; in a test it does.",
    ),
    "Ben": (
        "order",
        "Without dropout, only other pictures in the batch can change the first loss.",
    ),
    "Eve": ("scheduler", "The saved learning rate lasts for one step; then the scheduler sets it."),
}


@exercise("resume_training/forgotten")
def _forgotten(answer: Mapping[str, str]) -> str | None:
    for friend, (missing, reason) in _FORGOTTEN.items():
        if friend not in answer:
            return f"There is no answer for {friend}."
        if answer[friend] != missing:
            return f"{friend}: not {answer[friend]!r}. Think of this: {reason}"
    return None


@exercise("resume_training/entries")
def _entries(answer: tuple[int, int]) -> str | None:
    net = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5), nn.Linear(3, 1))
    optimizer = torch.optim.Adam(net.parameters())
    before = len(optimizer.state_dict()["state"])
    net(torch.ones(2, 3)).sum().backward()
    optimizer.step()
    after = len(optimizer.state_dict()["state"])
    first, second = answer
    if first != before:
        return "An optimizer makes its state in the first step: before it there is nothing."
    if second == len(net.state_dict()):
        return "That is the number of keys of the model. Buffers are not given to the optimizer."
    if second == 3 * after:
        return "Each parameter has one entry, a dictionary with three things in it."
    if second != after:
        return "Count the parameters: a weight and a bias for each linear layer and for batch norm."
    return None


class _Hidden(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(6, 16)
        self.norm = nn.BatchNorm1d(16)
        self.drop = nn.Dropout(0.4)
        self.head = nn.Linear(16, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.drop(torch.relu(self.norm(self.body(x)))))


def _start(seed: int) -> SimpleNamespace:
    torch.manual_seed(seed)
    data = torch.Generator().manual_seed(5)
    x = torch.randn(48, 6, generator=data)
    net, order = _Hidden(), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters())
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.05, total_steps=24)
    loader = DataLoader(
        TensorDataset(x, (x[:, 0] > 0).long()), batch_size=12, shuffle=True, generator=order
    )
    return SimpleNamespace(
        net=net, optimizer=optimizer, scheduler=scheduler, order=order, loader=loader
    )


def _train(run: SimpleNamespace, epochs: int) -> list[float]:
    losses = []
    for _ in range(epochs):
        run.net.train()
        for x, y in run.loader:
            run.optimizer.zero_grad()
            loss = nn.functional.cross_entropy(run.net(x), y)
            loss.backward()
            run.optimizer.step()
            run.scheduler.step()
            losses.append(loss.item())
        run.net.eval()
        with torch.no_grad():
            losses.append(run.net(run.loader.dataset.tensors[0]).square().mean().item())
    return losses


def _pack(run: SimpleNamespace, path: Path) -> None:
    checkpoint = {
        "epoch": 3,
        "loss": 0.0,
        "model": run.net.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "scheduler": run.scheduler.state_dict(),
        "rng": torch.get_rng_state(),
        "order": run.order.get_state(),
    }
    torch.save(checkpoint, path)


@exercise("resume_training/restore")
def _restore(answer: Callable[[dict[str, Any], SimpleNamespace], Any]) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "checkpoint.pt")
        expected = _train(_start(0), 6)[15:]
        stopped = _start(0)
        _train(stopped, 3)
        _pack(stopped, path)
        run = _start(99)
        answer(torch.load(path), run)
        forgotten = _forgotten_part(run, torch.load(path))
        losses = _train(run, 3)
    if losses == expected:
        return None
    step = next(
        n for n, (mine, right) in enumerate(zip(losses, expected, strict=True), 1) if mine != right
    )
    return f"The losses differ from step {step} after the interruption. {forgotten}"


def _forgotten_part(run: SimpleNamespace, checkpoint: dict[str, Any]) -> str:
    """Say which part of *run* is not where the checkpoint was made."""
    model = run.net.state_dict()
    buffers = {name for name, _ in run.net.named_buffers()}
    wrong = {key for key in model if not torch.equal(model[key], checkpoint["model"][key])}
    if wrong - buffers:
        return "The weights of the model were not loaded."
    if wrong:
        return "The buffers of the model were not loaded: batch norm tests with wrong statistics."
    saved = checkpoint["optimizer"]["state"]
    state = run.optimizer.state_dict()["state"]
    if state.keys() != saved.keys() or any(
        not torch.equal(state[key]["exp_avg"], saved[key]["exp_avg"]) for key in saved
    ):
        return "The state of the optimizer was not loaded: Adam begins with empty averages."
    if run.scheduler.last_epoch != checkpoint["scheduler"]["last_epoch"]:
        return "The scheduler was not loaded: it believes that training has just begun."
    if not torch.equal(torch.get_rng_state(), checkpoint["rng"]):
        return (
            "torch's random state is not the saved one: dropout takes out other values. If you set "
            "it, then something drew random numbers after that."
        )
    if not torch.equal(run.order.get_state(), checkpoint["order"]):
        return "The generator of the loader was not set: the batches have other pictures."
    return "Every part was loaded. Did you load into copies instead of the run that you were given?"
