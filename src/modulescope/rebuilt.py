"""The ``Module`` that the reader builds, chapter by chapter.

:class:`Module` behaves like ``torch.nn.Module`` and calls none of its methods. Each method is as
short as its explanation in the book. :func:`without` takes methods out, so that a reader can write
them: the chapters before have given the rest.
"""

import inspect
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import Buffer, Parameter

_EXTRA_STATE = "_extra_state"


class IncompatibleKeys(NamedTuple):
    """What :meth:`Module.load_state_dict` returns.

    Attributes:
        missing_keys: keys that the module has and the state dict has not.
        unexpected_keys: keys that the state dict has and the module has not.
    """

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return (
            f"IncompatibleKeys(missing_keys={self.missing_keys}, "
            f"unexpected_keys={self.unexpected_keys})"
        )


class AnyModule:
    """What all our modules are, also those that methods were taken out of."""


class Module(AnyModule):
    """A module: three tables, and methods that walk them.

    Source: ``torch.nn.Module``, whose behaviour each method has.
    """

    _version: int = 1
    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, "Module | None"]
    _non_persistent_buffers_set: set[str]

    def __init__(self) -> None:
        # The tables must exist before the first ordinary assignment asks for them.
        object.__setattr__(self, "training", True)
        object.__setattr__(self, "_parameters", {})
        object.__setattr__(self, "_buffers", {})
        object.__setattr__(self, "_modules", {})
        object.__setattr__(self, "_non_persistent_buffers_set", set())

    # Registration: where an assignment goes.

    def __setattr__(self, name: str, value: Any) -> None:
        parameters = vars(self).get("_parameters")
        modules = vars(self).get("_modules")
        buffers = vars(self).get("_buffers")
        if isinstance(value, Parameter):
            _require_tables(parameters, "parameters")
            _forget(self, name, keep=parameters)
            self.register_parameter(name, value)
        elif parameters is not None and name in parameters:
            _require_none(value, "parameter", name, "torch.nn.Parameter or None")
            self.register_parameter(name, None)
        elif isinstance(value, AnyModule):
            _require_tables(modules, "module")
            _forget(self, name, keep=modules)
            modules[name] = value
        elif modules is not None and name in modules:
            _require_none(value, "child module", name, "torch.nn.Module or None")
            modules[name] = None
        elif isinstance(value, Buffer) or (buffers is not None and name in buffers):
            if value is not None and not isinstance(value, Tensor):
                _require_none(value, "buffer", name, "torch.nn.Buffer, torch.Tensor or None")
            if isinstance(value, Buffer):
                self.register_buffer(name, value, value.persistent)
            else:
                self.register_buffer(name, value, name not in self._non_persistent_buffers_set)
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        if name in self._parameters:
            del self._parameters[name]
        elif name in self._buffers:
            del self._buffers[name]
            self._non_persistent_buffers_set.discard(name)
        elif name in self._modules:
            del self._modules[name]
        else:
            object.__delattr__(self, name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Put *param* under *name* into the table of parameters.

        Raises:
            AttributeError: ``__init__`` has not run.
            KeyError: the name is empty, holds a dot or is an attribute already.
            TypeError: *param* is neither a Parameter nor ``None``.
            ValueError: *param* is not a leaf: it was computed from other tensors.
        """
        _require_tables(vars(self).get("_parameters"), "parameter")
        _require_name(self, name, "parameter", self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{torch.typename(param)}' object to parameter '{name}' "
                "(torch.nn.Parameter or None required)"
            )
        if param is not None and param.grad_fn:
            raise ValueError(
                f"Cannot assign non-leaf Tensor to parameter '{name}'. Model "
                f"parameters must be created explicitly. To express '{name}' "
                "as a function of another Tensor, compute the value in "
                "the forward() method."
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Put *tensor* under *name* into the table of buffers.

        Args:
            persistent: whether the state dict has it.

        Raises:
            AttributeError, KeyError: as for :meth:`register_parameter`.
            TypeError: *tensor* is neither a tensor nor ``None``.
        """
        _require_tables(vars(self).get("_buffers"), "buffer")
        _require_name(self, name, "buffer", self._buffers)
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"cannot assign '{torch.typename(tensor)}' object to buffer '{name}' "
                "(torch Tensor or None required)"
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: "Module | None") -> None:
        """Put *module* under *name* into the table of children.

        Raises:
            KeyError: the name is empty, holds a dot or is an attribute already.
            TypeError: *module* is neither a module nor ``None``.
        """
        if module is not None and not isinstance(module, AnyModule):
            raise TypeError(f"{torch.typename(module)} is not a Module subclass")
        if not isinstance(name, str):
            raise TypeError(f"module name should be a string. Got {torch.typename(name)}")
        if hasattr(self, name) and name not in self._modules:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'module name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError('module name can\'t be empty string ""')
        self._modules[name] = module

    def register_module(self, name: str, module: "Module | None") -> None:
        """Call :meth:`add_module`."""
        self.add_module(name, module)

    # Lookup: what Python asks when it found no attribute.

    def __getattr__(self, name: str) -> Any:
        for table in ("_parameters", "_buffers", "_modules"):
            # Without __init__ there is no table, and asking for it would come back here.
            if name in vars(self).get(table, ()):
                return vars(self)[table][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __dir__(self) -> list[str]:
        names = [*dir(type(self)), *vars(self), *self._parameters, *self._modules, *self._buffers]
        return sorted(name for name in names if not name[0].isdigit())

    # Casting and moving.

    def _apply(self, fn: Callable[[Tensor], Tensor]) -> "Module":
        for child in self.children():
            child._apply(fn)
        for name, param in self._parameters.items():
            if param is not None:
                self._parameters[name] = _put_back(param, fn)
        for name, buffer in self._buffers.items():
            if buffer is not None:
                self._buffers[name] = fn(buffer)
        return self

    def to(self, *args: Any, **kwargs: Any) -> "Module":
        """Move and cast parameters and buffers; a dtype is for floating point and complex only.

        Args:
            args, kwargs: a device, a dtype, a tensor to take both from, ``non_blocking``,
                ``memory_format``.

        Raises:
            TypeError: the dtype is an integer one.
        """
        device, dtype, non_blocking, memory_format = torch._C._nn._parse_to(*args, **kwargs)
        if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                "nn.Module.to only accepts floating point or complex "
                f"dtypes, but got desired dtype={dtype}"
            )

        def convert(tensor: Tensor) -> Tensor:
            cast = dtype if tensor.is_floating_point() or tensor.is_complex() else None
            if memory_format is not None and tensor.dim() in (4, 5):
                return tensor.to(device, cast, non_blocking, memory_format=memory_format)
            return tensor.to(device, cast, non_blocking)

        return self._apply(convert)

    # From the tree to a dictionary.

    def _save_to_state_dict(
        self, destination: dict[str, Any], prefix: str, keep_vars: bool
    ) -> None:
        for name, param in self._parameters.items():
            if param is not None:
                destination[prefix + name] = param if keep_vars else param.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buffer if keep_vars else buffer.detach()
        if hasattr(type(self), "get_extra_state"):
            destination[prefix + _EXTRA_STATE] = self.get_extra_state()

    def state_dict(
        self,
        *,
        destination: dict[str, Any] | None = None,
        prefix: str = "",
        keep_vars: bool = False,
    ) -> dict[str, Any]:
        """Return parameters and persistent buffers, this module's own before its children's.

        Args:
            destination: the dictionary to fill; by default a new one with ``_metadata``.
            prefix: what stands before each name.
            keep_vars: keep the tensors themselves; by default they are detached.
        """
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = {"version": self._version}
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, child in self._modules.items():
            if child is not None:
                child.state_dict(
                    destination=destination, prefix=prefix + name + ".", keep_vars=keep_vars
                )
        return destination

    # From a dictionary back to the tree.

    def _load_from_state_dict(
        self,
        state_dict: Mapping[str, Any],
        prefix: str,
        local_metadata: Mapping[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        own = {**self._parameters, **self._buffers}
        own = {
            name: tensor
            for name, tensor in own.items()
            if tensor is not None and name not in self._non_persistent_buffers_set
        }
        assign = local_metadata.get("assign_to_params_buffers", False)
        for name, tensor in own.items():
            key = prefix + name
            if key in state_dict:
                error = _fill(self, name, tensor, key, state_dict[key], assign)
                error_msgs.extend([error] if error else [])
            elif strict:
                missing_keys.append(key)
        extra = prefix + _EXTRA_STATE
        if hasattr(type(self), "set_extra_state") and extra in state_dict:
            self.set_extra_state(state_dict[extra])
        elif strict and hasattr(type(self), "set_extra_state") != (extra in state_dict):
            (unexpected_keys if extra in state_dict else missing_keys).append(extra)
        if strict:
            for key in state_dict:
                name, dot, _ = key[len(prefix) :].partition(".")
                known = self._modules if dot else own
                if key.startswith(prefix) and key != extra and name not in known:
                    unexpected_keys.append(key)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> IncompatibleKeys:
        """Copy the tensors of *state_dict* into this module and its descendants.

        Args:
            state_dict: key to tensor; it is not changed.
            strict: whether missing and unexpected keys are an error.
            assign: put the tensors of the state dict in place, instead of copying.

        Returns:
            The missing and the unexpected keys.

        Raises:
            TypeError: *state_dict* is not a mapping.
            RuntimeError: keys or shapes do not match; what matched was loaded all the same.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
        metadata = getattr(state_dict, "_metadata", None) or {}
        missing: list[str] = []
        unexpected: list[str] = []
        errors: list[str] = []

        def load(module: Module, state: Mapping[str, Any], prefix: str = "") -> None:
            # A copy: torch writes into the caller's metadata here (pytorch#188166).
            local = dict(metadata.get(prefix[:-1], {}))
            if assign:
                local["assign_to_params_buffers"] = True
            module._load_from_state_dict(state, prefix, local, True, missing, unexpected, errors)
            for name, child in module._modules.items():
                if child is not None:
                    below = prefix + name + "."
                    load(child, {k: v for k, v in state.items() if k.startswith(below)}, below)

        load(self, OrderedDict(state_dict))
        heads = [
            f"{what} key(s) in state_dict: {_quoted(keys)}. "
            for what, keys in (("Missing", missing), ("Unexpected", unexpected))
            if strict and keys
        ]
        if heads or errors:
            listed = "\n\t".join([*heads, *errors])
            raise RuntimeError(
                f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listed}"
            )
        return IncompatibleKeys(missing, unexpected)

    # Walking the tree of modules.

    def named_children(self) -> Iterator[tuple[str, "Module"]]:
        """Yield name and module of each child once."""
        memo = set()
        for name, child in self._modules.items():
            if child is not None and child not in memo:
                memo.add(child)
                yield name, child

    def children(self) -> Iterator["Module"]:
        """Yield each child once."""
        for _, child in self.named_children():
            yield child

    def named_modules(
        self,
        memo: set["Module"] | None = None,
        prefix: str = "",
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, "Module"]]:
        """Yield path and module, this one first, then all below it.

        Args:
            memo: the modules that were yielded already; those are left out.
            prefix: path of this module.
            remove_duplicate: whether a shared module is yielded once only.
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, child in self._modules.items():
            if child is not None:
                path = f"{prefix}.{name}" if prefix else name
                yield from child.named_modules(memo, path, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator["Module"]:
        """Yield this module and all below it."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    # Walking their parameters and buffers.

    def _named_members(
        self,
        get_members_fn: Callable[["Module"], Any],
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Tensor]]:
        memo = set()
        everything = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, module in everything if recurse else [(prefix, self)]:
            for name, member in get_members_fn(module):
                if member is None or member in memo:
                    continue
                if remove_duplicate:
                    memo.add(member)
                yield (f"{path}.{name}" if path else name), member

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Yield key and parameter; *recurse* says whether those of descendants too."""
        yield from self._named_members(
            lambda module: module._parameters.items(), prefix, recurse, remove_duplicate
        )

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield each parameter once."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield key and buffer; *recurse* says whether those of descendants too."""
        yield from self._named_members(
            lambda module: module._buffers.items(), prefix, recurse, remove_duplicate
        )

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """Yield each buffer once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer


def _quoted(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _forget(module: Any, name: str, keep: dict[str, Any]) -> None:
    """Take *name* out of the instance and of every table of *module* but *keep*."""
    for table in (vars(module), module._parameters, module._buffers, module._modules):
        if table is not keep:
            table.pop(name, None)
    module._non_persistent_buffers_set.discard(name)


def _require_tables(table: dict[str, Any] | None, what: str) -> None:
    if table is None:
        raise AttributeError(f"cannot assign {what} before Module.__init__() call")


def _require_none(value: Any, what: str, name: str, expected: str) -> None:
    if value is not None:
        raise TypeError(
            f"cannot assign '{torch.typename(value)}' as {what} '{name}' ({expected} expected)"
        )


def _require_name(module: Any, name: Any, what: str, table: dict[str, Any]) -> None:
    if not isinstance(name, str):
        raise TypeError(f"{what} name should be a string. Got {torch.typename(name)}")
    if "." in name:
        raise KeyError(f'{what} name can\'t contain "."')
    if name == "":
        raise KeyError(f'{what} name can\'t be empty string ""')
    if hasattr(module, name) and name not in table:
        raise KeyError(f"attribute '{name}' already exists")


def _put_back(param: Parameter, fn: Callable[[Tensor], Tensor]) -> Parameter:
    """Return the Parameter that holds ``fn(param)``: the same object where torch allows it."""
    with torch.no_grad():
        new = fn(param)
        new_grad = None if param.grad is None else fn(param.grad)
    if torch._has_compatible_shallow_copy_type(param, new):
        param.data = new
        if new_grad is not None:
            param.grad.data = new_grad
        return param
    replaced = Parameter(new, param.requires_grad)
    if new_grad is not None:
        replaced.grad = new_grad.requires_grad_(param.grad.requires_grad)
    return replaced


def _fill(module: Any, name: str, tensor: Tensor, key: str, saved: Any, assign: bool) -> str | None:
    """Copy or assign *saved* to the entry *name* of *module*; return what went wrong."""
    if not isinstance(saved, Tensor):
        return (
            f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like '
            f"object from checkpoint but received {type(saved)}"
        )
    if tensor.dim() == 0 and saved.shape == (1,):
        saved = saved[0]
    if saved.shape != tensor.shape:
        return (
            f"size mismatch for {key}: copying a param with shape {saved.shape} from checkpoint, "
            f"the shape in current model is {tensor.shape}."
        )
    try:
        with torch.no_grad():
            _put(module, name, tensor, saved, assign)
    except Exception as error:  # noqa: BLE001 - a tensor subclass may raise anything
        return (
            f'While copying the parameter named "{key}", whose dimensions in the model are '
            f"{tensor.size()} and whose dimensions in the checkpoint are {saved.size()}, "
            f"an exception occurred : {error.args}."
        )
    return None


def _put(module: Any, name: str, tensor: Tensor, saved: Tensor, assign: bool) -> None:
    if not assign:
        tensor.copy_(saved)
    elif not isinstance(tensor, Parameter):
        setattr(module, name, saved)
    elif isinstance(saved, Parameter):
        setattr(module, name, saved.requires_grad_(tensor.requires_grad))
    else:
        setattr(module, name, Parameter(saved, requires_grad=tensor.requires_grad))


def without(*names: str) -> type:
    """Return a copy of :class:`Module` that lacks the methods *names*: yours to write.

    Args:
        names: methods of :class:`Module`, such as ``"state_dict"``.

    Returns:
        A class named ``Module``. ``super()`` in a method that you write reaches :class:`object`,
        as it does in torch.

    Raises:
        AttributeError: :class:`Module` has no method of that name.
    """
    for name in names:
        if not inspect.isfunction(vars(Module).get(name)):
            raise AttributeError(f"rebuilt.Module has no method {name!r} to take out")
    kept = {
        name: value
        for name, value in vars(Module).items()
        if name not in (*names, "__dict__", "__weakref__")
    }
    return type("Module", (AnyModule,), kept)
