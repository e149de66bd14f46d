"""What does this module hold, and what would ``to(...)`` change?

:func:`inventory` lists every entry of a module tree: its kind, whether it is saved, and what it
shares with other entries. :func:`forecast` says, before the call, what ``model.to(...)`` would do
to each of them. Both look only at the outside of tensors: no data is read, copied or moved.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from ._html import Display, escape, table_html, table_text

# A longer table is folded: one row for each child of the root, the rest behind it.
_FOLD_ABOVE = 60

_TABLES = (("_parameters", "parameter"), ("_buffers", "buffer"))


@dataclass(frozen=True)
class Entry:
    """One name in a module tree.

    Attributes:
        path: the full dotted name.
        kind: ``"parameter"``, ``"buffer"``, ``"non-persistent buffer"`` or ``"module"``; with
            ``"None "`` in front for a name that holds ``None``.
        shape: the shape of a tensor, ``None`` for anything else and for a lazy parameter.
        dtype: such as ``"float32"``, or ``""``.
        device: such as ``"cpu"``, or ``""``.
        requires_grad: of a tensor, else ``None``.
        notes: what the entry shares, and other things worth knowing.
    """

    path: str
    kind: str
    shape: tuple[int, ...] | None = None
    dtype: str = ""
    device: str = ""
    requires_grad: bool | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Totals:
    """Sums over entries.

    Attributes:
        parameters, buffers: how many entries.
        elements: how many numbers they show.
        size: how many bytes these numbers take.
        trainable: how many of the numbers belong to parameters that require grad.
    """

    parameters: int
    buffers: int
    elements: int
    size: int
    trainable: int


@dataclass
class _Slot:
    """A name that holds a tensor, ``None`` or a module, and the module that it is a name in."""

    path: str
    kind: str
    owner: nn.Module
    name: str
    value: Any


def _require_module(model: Any) -> None:
    if not isinstance(model, nn.Module):
        kind = type(model).__name__
        raise TypeError(
            f"a torch.nn.Module is needed, not {kind}. Give the model itself, not its state dict "
            "or its parameters."
        )


def _slots(model: nn.Module, prefix: str = "", above: tuple[int, ...] = ()) -> Iterator[_Slot]:
    """Yield every name below *model*, in the order in which ``state_dict`` walks.

    Raises:
        TypeError: a module whose ``__init__`` did not call ``super().__init__()``.
        ValueError: a module that contains itself.
    """
    if "_modules" not in vars(model):
        raise TypeError(
            f"{type(model).__name__} at {prefix.removesuffix('.') or 'the root'} has no tables: "
            "its __init__ did not call super().__init__()."
        )
    if id(model) in above:
        raise ValueError(f"the module at {prefix.removesuffix('.')} contains itself")
    for table, kind in _TABLES:
        for name, value in vars(model)[table].items():
            persistent = name not in model._non_persistent_buffers_set or kind == "parameter"
            shown = kind if persistent else "non-persistent buffer"
            yield _Slot(prefix + name, shown, model, name, value)
    for name, child in model._modules.items():
        yield _Slot(prefix + name, "module", model, name, child)
        if child is not None:
            yield from _slots(child, f"{prefix}{name}.", (*above, id(model)))


def _storage(tensor: torch.Tensor) -> Any:
    """Return the storage of *tensor*, or ``None`` if it has none of its own."""
    try:
        return None if is_lazy(tensor) else tensor.untyped_storage()
    except (NotImplementedError, RuntimeError):
        return None


@dataclass(frozen=True, repr=False)
class Inventory(Display):
    """Everything that a module holds.

    Attributes:
        name: the class of the module.
        entries: in the order in which ``state_dict`` walks.
        keys: how many keys the state dict has, extra state left out.
        by_path: totals in which a tensor counts once for each name that it has.
        unique: totals in which a tensor object counts once.
        left_over: what an optimizer holds that the module does not, in words.
    """

    name: str
    entries: tuple[Entry, ...]
    keys: int
    by_path: Totals
    unique: Totals
    left_over: tuple[str, ...] = ()

    @property
    def summary(self) -> tuple[str, ...]:
        """The totals in words, a sentence each."""
        lines = [f"{_count(self.keys, 'key')} in the state dict.", _total_text(self.by_path)]
        if self.unique != self.by_path:
            lines.append(f"Each tensor counted once: {_total_text(self.unique)}")
        return (*lines, *self.left_over)

    def to_text(self) -> str:
        rows = [_row(entry) for entry, _ in _folded(self.entries)]
        return "\n".join([f"{self.name}", "", _text_table(_HEADINGS, rows), "", *self.summary])

    def to_html(self) -> str:
        parts = [f'<div class="ms-title">{escape(self.name)}</div>']
        parts.append(_folding_table(_HEADINGS, self.entries, _row, f"Inventory of {self.name}"))
        parts += [f"<div>{escape(line)}</div>" for line in self.summary]
        return "".join(parts)


_HEADINGS = ("path", "kind", "shape", "dtype", "device", "trained", "notes")


def _row(entry: Entry) -> tuple[str, ...]:
    shape = "" if entry.shape is None else str(list(entry.shape))
    trained = {True: "yes", False: "no", None: ""}[entry.requires_grad]
    notes = "; ".join(entry.notes)
    return (entry.path, entry.kind, shape, entry.dtype, entry.device, trained, notes)


def _text_table(headings: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return the table, columns left out that are empty in every row."""
    used = [i for i in range(len(headings)) if any(row[i] for row in rows) or i == 0]
    return table_text([headings[i] for i in used], [[row[i] for i in used] for row in rows])


def _folded(entries: Iterable[Any]) -> list[tuple[Any, list[Any]]]:
    """Return the entries that stay open, each with those that are folded behind it."""
    entries = list(entries)
    if len(entries) <= _FOLD_ABOVE:
        return [(entry, []) for entry in entries]
    shown: list[tuple[Any, list[Any]]] = []
    for entry in entries:
        if "." in entry.path and shown:
            shown[-1][1].append(entry)
        else:
            shown.append((entry, []))
    return [(_with_count(entry, behind), behind) for entry, behind in shown]


def _with_count(entry: Any, behind: list[Any]) -> Any:
    if not behind:
        return entry
    kinds = Counter(hidden.kind for hidden in behind)
    counts = ", ".join(_count(number, kind) for kind, number in kinds.items())
    return type(entry)(**{**vars(entry), "notes": (*entry.notes, f"below: {counts}")})


def _folding_table(headings: tuple[str, ...], entries: Iterable[Any], row: Any, label: str) -> str:
    """Return one table of the open rows, and after it one a folded child, closed."""
    open_rows = _folded(entries)
    parts = [_html_table(headings, [row(entry) for entry, _ in open_rows], label)]
    for entry, behind in open_rows:
        if behind:
            inner = _html_table(headings, [row(hidden) for hidden in behind], f"Below {entry.path}")
            parts.append(f"<details><summary>{escape(entry.path)}</summary>{inner}</details>")
    return "".join(parts)


def _html_table(headings: tuple[str, ...], rows: list[tuple[str, ...]], label: str) -> str:
    used = [i for i in range(len(headings)) if any(row[i] for row in rows) or i == 0]
    cells = [[escape(row[i]) for i in used] for row in rows]
    return table_html([headings[i] for i in used], cells, label)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "es" if noun[-1] == "s" else "s")


def _total_text(totals: Totals) -> str:
    return (
        f"{_count(totals.parameters, 'parameter')} and {_count(totals.buffers, 'buffer')}: "
        f"{_count(totals.elements, 'element')} in {_count(totals.size, 'byte')}, "
        f"{totals.trainable:,} of them trained."
    )


def _totals(slots: Iterable[_Slot]) -> Totals:
    tensors = [slot for slot in slots if isinstance(slot.value, torch.Tensor)]
    known = [slot.value for slot in tensors if not is_lazy(slot.value)]
    parameters = sum(slot.kind == "parameter" for slot in tensors)
    return Totals(
        parameters=parameters,
        buffers=len(tensors) - parameters,
        elements=sum(tensor.numel() for tensor in known),
        size=sum(tensor.numel() * tensor.element_size() for tensor in known),
        trainable=sum(tensor.numel() for tensor in known if tensor.requires_grad),
    )


def inventory(model: nn.Module, optimizer: torch.optim.Optimizer | None = None) -> Inventory:
    """List everything that *model* holds: kinds, shapes, what is saved, what is shared.

    Args:
        model: any module, also on the meta device or with lazy parameters.
        optimizer: if given, each parameter is noted with its group and with whether the optimizer
            holds state for it, and what the optimizer holds beyond the model is listed.

    Returns:
        An :class:`Inventory`; a notebook shows it.

    Raises:
        TypeError: *model* is not a module, or one in it was never initialised.
        ValueError: a module contains itself.

    Source: the tables ``_parameters``, ``_buffers``, ``_modules`` and
    ``_non_persistent_buffers_set`` of :class:`torch.nn.Module`.
    """
    _require_module(model)
    slots = list(_slots(model))
    groups = _groups(optimizer)
    first_name: dict[int, str] = {}
    first_in_storage: dict[int, str] = {}
    entries = [_entry(slot, first_name, first_in_storage, groups, optimizer) for slot in slots]
    tensors = [slot for slot in slots if isinstance(slot.value, torch.Tensor)]
    unique = {id(slot.value): slot for slot in reversed(tensors)}
    held = {id(slot.value) for slot in tensors}
    stale = sum(identity not in held for identity in groups)
    left_over = (
        (f"The optimizer trains {_count(stale, 'tensor')} that the model does not have.",)
        if stale
        else ()
    )
    return Inventory(
        name=type(model).__name__,
        entries=tuple(entries),
        keys=sum(slot.kind in ("parameter", "buffer") for slot in tensors),
        by_path=_totals(tensors),
        unique=_totals(unique.values()),
        left_over=left_over,
    )


def _groups(optimizer: torch.optim.Optimizer | None) -> dict[int, int]:
    if optimizer is None:
        return {}
    return {
        id(param): number
        for number, group in enumerate(optimizer.param_groups)
        for param in group["params"]
    }


def _entry(
    slot: _Slot,
    first_name: dict[int, str],
    first_in_storage: dict[int, str],
    groups: dict[int, int],
    optimizer: torch.optim.Optimizer | None,
) -> Entry:
    value = slot.value
    if value is None:
        return Entry(slot.path, f"None {slot.kind}")
    notes = [type(value).__name__] if slot.kind == "module" else []
    earlier = first_name.setdefault(id(value), slot.path)
    if earlier != slot.path:
        notes.append(f"same object as {earlier}")
    if slot.kind == "module":
        return Entry(slot.path, "module", notes=tuple(notes))
    if is_lazy(value):
        return Entry(
            slot.path,
            slot.kind,
            dtype=str(value.dtype).removeprefix("torch."),
            device=str(value.device),
            requires_grad=value.requires_grad,
            notes=(*notes, "not initialised yet"),
        )
    if earlier == slot.path:
        notes += _storage_notes(value, slot.path, first_in_storage)
    if optimizer is not None and slot.kind == "parameter":
        notes.append(_optimizer_note(value, groups, optimizer))
    return Entry(
        slot.path,
        slot.kind,
        tuple(value.shape),
        str(value.dtype).removeprefix("torch."),
        str(value.device),
        value.requires_grad,
        tuple(notes),
    )


def _storage_notes(tensor: torch.Tensor, path: str, first: dict[int, str]) -> list[str]:
    storage = _storage(tensor)
    if storage is None:
        return []
    notes = []
    earlier = first.setdefault(storage._cdata, path)
    if earlier != path:
        notes.append(f"shares storage with {earlier}")
    whole = storage.nbytes() // tensor.element_size()
    if tensor.numel() < whole:
        notes.append(f"shows {tensor.numel():,} of {whole:,} elements of its storage")
    return notes


def _optimizer_note(
    param: torch.Tensor, groups: dict[int, int], optimizer: torch.optim.Optimizer
) -> str:
    if id(param) not in groups:
        return "not in the optimizer"
    state = ", ".join(optimizer.state[param]) if param in optimizer.state else "no state yet"
    return f"group {groups[id(param)]}: {state}"


@dataclass(frozen=True)
class Change:
    """What ``to(...)`` would do to one name.

    Attributes:
        path: the full dotted name.
        kind: as in :class:`Entry`.
        before: dtype and device now.
        after: dtype and device then.
        same_object: whether the name would hold the same Python object as now.
        how: ``"nothing to do"``, ``"new data in the same object"``,
            ``"swapped into the same object"`` or ``"new object"``.
        notes: kept free for what a folded row hides.
    """

    path: str
    kind: str
    before: str
    after: str
    same_object: bool
    how: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, repr=False)
class Forecast(Display):
    """What ``model.to(...)`` would do, object by object.

    Attributes:
        call: the call, as it would be typed.
        changes: one for each name that holds a tensor, in the order of ``state_dict``.
        broken_ties: groups of names that hold one object or share storage now and would no longer.
        left_behind: what stays as it is although one may expect otherwise, in words.
    """

    call: str
    changes: tuple[Change, ...]
    broken_ties: tuple[tuple[str, ...], ...]
    left_behind: tuple[str, ...] = ()

    @property
    def summary(self) -> tuple[str, ...]:
        """What to watch out for, a sentence each."""
        ties = [f"This tie breaks: {', '.join(paths)}." for paths in self.broken_ties]
        return (*ties, *self.left_behind)

    def to_text(self) -> str:
        rows = [_change_row(change) for change, _ in _folded(self.changes)]
        return "\n".join([self.call, "", _text_table(_CHANGE_HEADINGS, rows), *self.summary])

    def to_html(self) -> str:
        parts = [f'<div class="ms-title">{escape(self.call)}</div>']
        parts.append(_folding_table(_CHANGE_HEADINGS, self.changes, _change_row, self.call))
        parts += [f"<div>{escape(line)}</div>" for line in self.summary]
        return "".join(parts)


_CHANGE_HEADINGS = ("path", "kind", "now", "then", "how", "notes")


def _change_row(change: Change) -> tuple[str, ...]:
    return (
        change.path,
        change.kind,
        change.before,
        change.after,
        change.how,
        "; ".join(change.notes),
    )


@dataclass
class _Object:
    """A tensor as the forecast imagines it: who it is, and what it looks like from outside."""

    layout: torch.Tensor
    device: torch.device
    subclass: bool
    storage: object = field(default_factory=object)

    @property
    def text(self) -> str:
        return f"{str(self.layout.dtype).removeprefix('torch.')} {self.device}"


class _Rehearsal:
    """Runs ``Module._apply`` on imagined tensors: same order, same three branches."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        device, dtype, _, self.format = torch._C._nn._parse_to(*args, **kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                "nn.Module.to only accepts floating point or complex "
                f"dtypes, but got desired dtype={dtype}"
            )
        self.device, self.dtype = device, dtype
        self.objects: dict[int, _Object] = {}
        self.storages: dict[int, object] = {}
        self.now: dict[tuple[int, str], _Object] = {}
        self.how: dict[tuple[int, str], str] = {}

    def imagine(self, tensor: torch.Tensor) -> _Object:
        """Return the one imagined object for *tensor*."""
        if id(tensor) not in self.objects:
            plain = tensor.detach()
            lazy = is_lazy(tensor)
            strided = not lazy and tensor.layout == torch.strided
            layout = torch.empty_strided(
                plain.shape if strided else (),
                plain.stride() if strided else (),
                dtype=tensor.dtype,
                device="meta",
            )
            subclass = is_traceable_wrapper_subclass(tensor)
            imagined = _Object(layout, tensor.device, subclass)
            storage = _storage(tensor)
            if storage is not None:
                imagined.storage = self.storages.setdefault(storage._cdata, imagined.storage)
            self.objects[id(tensor)] = imagined
        return self.objects[id(tensor)]

    def convert(self, old: _Object) -> tuple[_Object, bool]:
        """Return what ``convert`` in ``Module.to`` would return, and whether torch could copy it.

        A tensor without elements stands in for the real one: torch itself decides, nothing is
        copied.
        """
        layout = old.layout
        dtype = self.dtype if layout.is_floating_point() or layout.is_complex() else None
        probe = torch.empty(0, dtype=layout.dtype, device=old.device)
        converted = probe.to(self.device, dtype)
        compatible = torch._has_compatible_shallow_copy_type(probe, converted)
        if self.format is not None and layout.dim() in (4, 5):
            new_layout = layout.to(None, dtype, memory_format=self.format)
        else:
            new_layout = layout.to(None, dtype)
        if converted is probe and new_layout is layout:
            return old, compatible
        return _Object(new_layout, converted.device, old.subclass), compatible

    def apply(self, module: nn.Module) -> None:
        """Rehearse ``module._apply(convert)``, children first as torch does."""
        for child in module.children():
            self.apply(child)
        swap = torch.__future__.get_swap_module_params_on_conversion()
        overwrite = torch.__future__.get_overwrite_module_params_on_conversion()
        for name, param in module._parameters.items():
            if param is None:
                continue
            slot = (id(module), name)
            old = self.now.setdefault(slot, self.imagine(param))
            new, compatible = self.convert(old)
            if swap or new.subclass:
                how = "swapped into the same object"
            elif compatible and not overwrite:
                how = "new data in the same object"
            else:
                how = "new object"
            if how == "new object":
                # Parameter(...) makes a new object even around a tensor that did not change.
                self.now[slot] = _Object(new.layout, new.device, new.subclass, new.storage)
            elif new is not old:
                old.layout, old.device, old.storage = new.layout, new.device, new.storage
            else:
                how = how if swap else "nothing to do"
            self._note(slot, how)
        for name, buffer in module._buffers.items():
            if buffer is None:
                continue
            slot = (id(module), name)
            old = self.now.setdefault(slot, self.imagine(buffer))
            self.now[slot], _ = self.convert(old)
            self._note(slot, "nothing to do" if self.now[slot] is old else "new object")

    def _note(self, slot: tuple[int, str], how: str) -> None:
        # A module with two parents is visited twice; the first visit did the work.
        if self.how.get(slot, "nothing to do") == "nothing to do":
            self.how[slot] = how


def forecast(
    model: nn.Module,
    *args: Any,
    optimizer: torch.optim.Optimizer | None = None,
    **kwargs: Any,
) -> Forecast:
    """Say what ``model.to(*args, **kwargs)`` would do, without doing it.

    Args:
        model: any module; it is not changed.
        args, kwargs: what you would give to :meth:`torch.nn.Module.to`.
        optimizer: if given, what would stay behind in it is listed.

    Returns:
        A :class:`Forecast`; a notebook shows it.

    Raises:
        TypeError: *model* is not a module, or the dtype is not floating point or complex, in the
            words of torch.

    Source: :meth:`torch.nn.Module.to` and ``Module._apply``, and the flags
    ``torch.__future__.set_swap_module_params_on_conversion`` and
    ``set_overwrite_module_params_on_conversion``.
    """
    _require_module(model)
    rehearsal = _Rehearsal(args, kwargs)
    slots = [slot for slot in _slots(model) if isinstance(slot.value, torch.Tensor)]
    before = {slot.path: rehearsal.imagine(slot.value) for slot in slots}
    texts = {path: imagined.text for path, imagined in before.items()}
    ties_before = _ties(before)
    rehearsal.apply(model)
    after = {slot.path: rehearsal.now[id(slot.owner), slot.name] for slot in slots}
    changes = tuple(
        Change(
            slot.path,
            slot.kind,
            texts[slot.path],
            after[slot.path].text,
            after[slot.path] is before[slot.path],
            rehearsal.how[id(slot.owner), slot.name],
        )
        for slot in slots
    )
    kept = _ties(after)
    broken = tuple(tie for tie in ties_before if not any(set(tie) <= set(other) for other in kept))
    left = (*_plain_tensors(model), *_optimizer_rest(optimizer, slots, after, rehearsal))
    return Forecast(_call(model, args, kwargs), changes, broken, left)


def _ties(objects: dict[str, _Object]) -> list[tuple[str, ...]]:
    """Return the groups of names that hold one object or share one storage."""
    groups: dict[int, list[str]] = defaultdict(list)
    for path, imagined in objects.items():
        groups[id(imagined.storage)].append(path)
    return [tuple(paths) for paths in groups.values() if len(paths) > 1]


def _call(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    shown = ["a tensor" if isinstance(arg, torch.Tensor) else _argument(arg) for arg in args]
    shown += [f"{name}={_argument(value)}" for name, value in kwargs.items()]
    return f"{type(model).__name__}.to({', '.join(shown)})"


def _argument(value: Any) -> str:
    return str(value) if isinstance(value, torch.dtype | torch.memory_format) else repr(value)


def _plain_tensors(model: nn.Module) -> Iterator[str]:
    """Yield a sentence for each tensor that is an attribute but in no table."""
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if name in ("_parameters", "_buffers", "_modules"):
                continue
            inner = value.values() if isinstance(value, dict) else value
            is_many = isinstance(value, dict | list | tuple)
            if isinstance(value, torch.Tensor) or (
                is_many and any(isinstance(item, torch.Tensor) for item in inner)
            ):
                full = f"{path}.{name}" if path else name
                what = "is a plain attribute" if not is_many else "keeps tensors in a container"
                yield f"{full} {what}, in no table: to() does not see it."


def _optimizer_rest(
    optimizer: torch.optim.Optimizer | None,
    slots: list[_Slot],
    after: dict[str, _Object],
    rehearsal: _Rehearsal,
) -> Iterator[str]:
    """Yield a sentence for each parameter that the optimizer would lose or hold old state for."""
    if optimizer is None:
        return
    final = {id(imagined) for imagined in after.values()}
    names = {id(slot.value): slot.path for slot in reversed(slots)}
    for group in optimizer.param_groups:
        for param in group["params"]:
            name = names.get(id(param), "a tensor that is not in the model")
            imagined = rehearsal.imagine(param)
            if id(imagined) not in final:
                yield f"The optimizer keeps the old {name}: training would not move the model."
                continue
            old = [
                key
                for key, value in optimizer.state.get(param, {}).items()
                if isinstance(value, torch.Tensor)
                and value.shape == imagined.layout.shape
                and (value.dtype, value.device) != (imagined.layout.dtype, imagined.device)
            ]
            if old:
                yield f"The optimizer's state of {name} stays as it is: {', '.join(old)}."
