"""Wrong answers to the exercises of chapter 7, each with a piece of what the check must say."""

import torch
from torch import nn

from modulescope import rebuilt

Base = rebuilt.without("_load_from_state_dict", "load_state_dict")


class Right(Base):
    """A right answer in small methods, so that each wrong one changes a single idea."""

    def _load_from_state_dict(self, state, prefix, local, strict, missing, unexpected, errors):
        own = self.own()
        for name, tensor in own.items():
            key = self.key(prefix, name)
            if key not in state:
                missing.append(key)
            else:
                saved = self.old(tensor, state[key])
                if saved.shape != tensor.shape:
                    self.mismatch(key, errors)
                elif local.get("assign_to_params_buffers", False):
                    self.assign(name, tensor, saved)
                else:
                    self.copy(name, tensor, saved)
        for key in state:
            if self.mine(key, prefix):
                word, dot, _ = key[len(prefix) :].partition(".")
                if not self.known(word, dot, own):
                    unexpected.append(key)

    def own(self):
        return {
            name: tensor
            for name, tensor in {**self._parameters, **self._buffers}.items()
            if tensor is not None and name not in self._non_persistent_buffers_set
        }

    def key(self, prefix, name):
        return prefix + name

    def old(self, tensor, saved):
        return saved[0] if tensor.dim() == 0 and saved.shape == (1,) else saved

    def mismatch(self, key, errors):
        errors.append(f"size mismatch for {key}")

    def copy(self, name, tensor, saved):
        with torch.no_grad():
            tensor.copy_(saved)

    def assign(self, name, tensor, saved):
        if isinstance(tensor, nn.Parameter):
            saved = nn.Parameter(saved, tensor.requires_grad)
        setattr(self, name, saved)

    def mine(self, key, prefix):
        return key.startswith(prefix)

    def known(self, word, dot, own):
        return word in (self._modules if dot else own)

    def load_state_dict(self, state_dict, strict=True, assign=False):
        lists = [], [], []
        self.walk(
            self,
            self.start(state_dict),
            "",
            self.metadata(state_dict),
            assign,
            self.says(strict),
            lists,
        )
        return self.finish(strict, *lists)

    def start(self, state):
        return dict(state)

    def metadata(self, state):
        return getattr(state, "_metadata", {})

    def says(self, strict):
        return True

    def walk(self, module, state, prefix, metadata, assign, strict, lists):
        local = dict(metadata.get(self.path(prefix), {}))
        local |= {"assign_to_params_buffers": True} if assign else {}
        module._load_from_state_dict(state, prefix, local, strict, *lists)
        for name, child in module._modules.items():
            if child is not None:
                below = prefix + name + "."
                smaller = self.smaller(state, below)
                self.walk(child, smaller, below, metadata, assign, strict, lists)

    def path(self, prefix):
        return prefix[:-1]

    def smaller(self, state, below):
        return {key: value for key, value in state.items() if key.startswith(below)}

    def finish(self, strict, missing, unexpected, errors):
        if errors or (strict and (missing or unexpected)):
            raise RuntimeError(f"{missing} {unexpected} {errors}")
        return missing, unexpected


def changed(**methods):
    """Return the right answer with some of its methods replaced."""
    kept = {name: value for name, value in vars(Right).items() if not name.startswith("__")}
    return type("Module", (Base,), kept | methods)


def recursive(self, state, prefix, local, strict, *lists):
    Right._load_from_state_dict(self, state, prefix, local, strict, *lists)
    for name, child in self._modules.items():
        if child is not None:
            child._load_from_state_dict(state, prefix + name + ".", local, strict, *lists)


def returns_the_module(self, *args):
    Right._load_from_state_dict(self, *args)
    return self


def only_children(self, module, state, prefix, metadata, assign, strict, lists):
    module._load_from_state_dict(state, prefix, {}, strict, *lists)
    for name, child in module._modules.items():
        if child is not None:
            below = prefix + name + "."
            child._load_from_state_dict(self.smaller(state, below), below, {}, strict, *lists)


def children_first(self, module, state, prefix, metadata, assign, strict, lists):
    for name, child in module._modules.items():
        if child is not None:
            below = prefix + name + "."
            smaller = self.smaller(state, below)
            self.walk(child, smaller, below, metadata, assign, strict, lists)
    local = dict(metadata.get(prefix[:-1], {}))
    local |= {"assign_to_params_buffers": True} if assign else {}
    module._load_from_state_dict(state, prefix, local, strict, *lists)


def all_parameters(self):
    return {name: tensor for name, tensor in self._parameters.items() if tensor is not None}


def all_buffers(self):
    own = {**self._parameters, **self._buffers}
    return {name: tensor for name, tensor in own.items() if tensor is not None}


def through_data(self, name, tensor, saved):
    tensor.data = saved.to(tensor.dtype)


def stops_early(self, key, errors):
    raise RuntimeError(f"size mismatch for {key}")


def non_strict(self, strict, missing, unexpected, errors):
    if strict and (errors or missing or unexpected):
        raise RuntimeError(f"{missing} {unexpected} {errors}")
    return missing, unexpected


def first_only(self, strict, missing, unexpected, errors):
    if errors or (strict and (missing or unexpected)):
        raise RuntimeError(str([*missing, *unexpected, *errors][0]))
    return missing, unexpected


def always_strict(self, strict, missing, unexpected, errors):
    return Right.finish(self, True, missing, unexpected, errors)


def listens_to_strict(self, state, prefix, local, strict, missing, unexpected, errors):
    if not strict:
        missing, unexpected = [], []
    Right._load_from_state_dict(self, state, prefix, local, strict, missing, unexpected, errors)


def assign_plain(self, name, tensor, saved):
    (self._parameters if name in self._parameters else self._buffers)[name] = saved


def assign_trained(self, name, tensor, saved):
    setattr(self, name, nn.Parameter(saved) if isinstance(tensor, nn.Parameter) else saved)


def assign_clone(self, name, tensor, saved):
    Right.assign(self, name, tensor, saved.clone())


def assign_into(self, name, tensor, saved):
    tensor.data = saved


BUILD = [
    (changed(_load_from_state_dict=recursive), "It knows one module only"),
    (changed(_load_from_state_dict=returns_the_module), "returns None"),
    (changed(key=lambda self, prefix, name: name), "is the prefix and the name"),
    (changed(mine=lambda self, key, prefix: True), "not its business"),
    (changed(walk=only_children), "child of a child"),
    (changed(walk=children_first), "a parent comes before its children"),
    (changed(own=all_parameters), "It is a buffer, and a state dict"),
    (changed(own=all_buffers), "non-persistent buffer"),
    (changed(copy=through_data), "uses the memory of the dictionary"),
    (changed(copy=Right.assign), "is a new object after loading"),
    (changed(start=lambda self, state: state), "works on a copy"),
    (changed(metadata=lambda self, state: {}), "got the version None"),
    (changed(metadata=lambda self, state: state._metadata), "A plain dictionary without _metadata"),
    (changed(path=lambda self, prefix: prefix), "without the dot at its end"),
    (changed(smaller=lambda self, state, below: state), "keys that start with its prefix"),
    (
        changed(
            smaller=lambda self, state, below: {
                k: v for k, v in state.items() if k.startswith(below[:-1])
            }
        ),
        "dot included",
    ),
    (
        changed(known=lambda self, word, dot, own: word in self._modules or word in own),
        "name of a child, and nothing follows",
    ),
    (
        changed(known=lambda self, word, dot, own: word in {**self._parameters, **self._modules}),
        "is unexpected, not so in torch",
    ),
    (
        changed(
            known=lambda self, word, dot, own: (
                word in (self._modules if dot else {**self._parameters, **own})
            )
        ),
        "None expects nothing",
    ),
    (changed(finish=always_strict), "forgiven then, and returned"),
    (changed(finish=non_strict), "A wrong shape is always an error"),
    (changed(finish=first_only), "does not name"),
    (changed(finish=lambda self, *args: (args[1], args[2])), "did not raise"),
    (changed(finish=lambda self, *args: Right.finish(self, *args) and None), "returns a pair"),
    (
        changed(
            says=lambda self, strict: strict,
            _load_from_state_dict=listens_to_strict,
        ),
        "whatever strict says",
    ),
    (changed(mismatch=stops_early), "the error comes after the walk"),
    (changed(mismatch=lambda self, key, errors: None), "A wrong shape is always an error"),
    (changed(old=lambda self, tensor, saved: saved), "for very old files"),
    (changed(old=lambda self, t, saved: saved[0] if t.dim() == 0 else saved), "raised IndexError"),
    (
        changed(
            old=lambda self, t, saved: saved.flatten()[0] if t.dim() == 0 and saved.dim() else saved
        ),
        "with two elements went into",
    ),
    (changed(assign=Right.copy), "the same object as before"),
    (changed(assign=assign_plain), "a Parameter must stay a Parameter"),
    (changed(assign=assign_trained), "always stays as the model has it"),
    (changed(assign=assign_clone), "nothing is copied"),
    (changed(assign=assign_into), "is the same object as before"),
    (type("Module", (Base,), {}), "does not define _load_from_state_dict"),
    (Right(), "The answer is the class itself"),
]


def tries(model, state):
    try:
        model.load_state_dict(state)
    except RuntimeError:
        return False
    return True


def compares_keys(model, state):
    return set(model.state_dict()) == set(state)


def compares_parameters(model, state):
    own = dict(model.named_parameters())
    return all(key in state and state[key].shape == own[key].shape for key in own)


def compares_shapes(model, state):
    own = model.state_dict()
    return set(own) == set(state) and all(
        isinstance(state[key], torch.Tensor)
        and (own[key].shape == state[key].shape or (own[key].dim() == 0 and len(state[key]) == 1))
        for key in own
    )


def compares_dtypes(model, state):
    return compares_shapes(model, state) and all(
        value.dtype == state[key].dtype for key, value in model.state_dict().items()
    )


def tries_and_restores(model, state):
    before = model.state_dict()
    passes = tries(model, state)
    model.load_state_dict(before)
    return passes


class Noise(nn.Module):
    _version = 2

    def __init__(self):
        super().__init__()
        self.log_std = nn.Parameter(torch.zeros(2))

    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if local_metadata.get("version", 1) < 2 and prefix + "std" in state_dict:
            state_dict[prefix + "log_std"] = state_dict.pop(prefix + "std").log()
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)


class NoPrefix(Noise):
    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if local_metadata.get("version", 1) < 2 and "std" in state_dict:
            state_dict["log_std"] = state_dict.pop("std").log()
        nn.Module._load_from_state_dict(self, state_dict, prefix, local_metadata, *args)


class NoLogarithm(Noise):
    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if local_metadata.get("version", 1) < 2 and prefix + "std" in state_dict:
            state_dict[prefix + "log_std"] = state_dict.pop(prefix + "std")
        nn.Module._load_from_state_dict(self, state_dict, prefix, local_metadata, *args)


class InPlace(Noise):
    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if local_metadata.get("version", 1) < 2 and prefix + "std" in state_dict:
            state_dict[prefix + "log_std"] = state_dict.pop(prefix + "std").log_()
        nn.Module._load_from_state_dict(self, state_dict, prefix, local_metadata, *args)


class NeedsVersion(Noise):
    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if local_metadata.get("version", 2) < 2 and prefix + "std" in state_dict:
            state_dict[prefix + "log_std"] = state_dict.pop(prefix + "std").log()
        nn.Module._load_from_state_dict(self, state_dict, prefix, local_metadata, *args)


class AnyVersion(Noise):
    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        if prefix + "std" in state_dict:
            state_dict[prefix + "log_std"] = state_dict.pop(prefix + "std").log()
        nn.Module._load_from_state_dict(self, state_dict, prefix, local_metadata, *args)


class AlwaysLogarithm(Noise):
    def _load_from_state_dict(self, state_dict, prefix, local_metadata, *args):
        name = "std" if prefix + "std" in state_dict else "log_std"
        if prefix + name in state_dict:
            state_dict[prefix + "log_std"] = state_dict.pop(prefix + name).log()
        nn.Module._load_from_state_dict(self, state_dict, prefix, local_metadata, *args)


class NoVersion(Noise):
    _version = 1


class OldName(nn.Module):
    def __init__(self):
        super().__init__()
        self.std = nn.Parameter(torch.ones(2))


def by_key(model, state):
    own = model.state_dict()
    model.load_state_dict({k: v for k, v in state.items() if k in own}, strict=False)
    return set(state) - set(own)


def only_parameters(model, state):
    own = dict(model.named_parameters())
    fitting = {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}
    model.load_state_dict(fitting, strict=False)
    return set(state) - set(fitting)


def fitting(model, state):
    own = model.state_dict()
    return {k: v for k, v in state.items() if k in own and v.shape == own[k].shape}


def returns_the_report(model, state):
    return set(model.load_state_dict(fitting(model, state), strict=False).missing_keys)


def returns_nothing(model, state):
    model.load_state_dict(fitting(model, state), strict=False)


def returns_unknown(model, state):
    model.load_state_dict(fitting(model, state), strict=False)
    return set(state) - set(model.state_dict())


def assigns(model, state):
    model.load_state_dict(fitting(model, state), strict=False, assign=True)
    return set(state) - set(fitting(model, state))


def broadcasts(model, state):
    for key, tensor in model.state_dict().items():
        if key in state and (state[key].shape == tensor.shape or state[key].numel() == 1):
            tensor.copy_(state[key])
    return set(state) - set(fitting(model, state))


def empties(model, state):
    kept = fitting(model, state)
    left = set(state) - set(kept)
    for key in left:
        del state[key]
    model.load_state_dict(kept, strict=False)
    return left


RIGHT_MISSING, RIGHT_UNEXPECTED = ["shift", "tail.0.weight"], ["mask", "body.bias", "body"]

WRONG: list[tuple] = [
    *(("follow_load/build", answer, idea) for answer, idea in BUILD),
    ("follow_load/report", (["shift"], RIGHT_UNEXPECTED), "'tail.0.bias' is missing"),
    (
        "follow_load/report",
        (["shift", "mask", "tail.0.bias"], RIGHT_UNEXPECTED),
        "'mask' is not missing: the dictionary has it",
    ),
    (
        "follow_load/report",
        (["shift", "tail.0.bias", "tail.0.running_mean"], RIGHT_UNEXPECTED),
        "no running buffers",
    ),
    (
        "follow_load/report",
        (["shift", "tail.0.bias", "tail"], RIGHT_UNEXPECTED),
        "misses only what it expects",
    ),
    ("follow_load/report", (["shift", "tail.0.bias"], ["body.bias", "body"]), "non-persistent"),
    ("follow_load/report", (["shift", "tail.0.bias"], ["mask", "body"]), "bias=False"),
    ("follow_load/report", (["shift", "tail.0.bias"], ["mask", "body.bias"]), "nothing follows"),
    (
        "follow_load/report",
        (["shift", "tail.0.bias"], [*RIGHT_UNEXPECTED, "scale"]),
        "has an entry of this name",
    ),
    (
        "follow_load/report",
        (RIGHT_UNEXPECTED, ["shift", "tail.0.bias"]),
        "is not missing: the dictionary has it",
    ),
    (
        "follow_load/report",
        (["tail.0.bias"], [*RIGHT_UNEXPECTED, "shift"]),
        "the module wants it, the dictionary has it not",
    ),
    ("follow_load/report", ["shift"], "a pair of two lists"),
    ("follow_load/will_load", tries, "do not ask the model itself"),
    ("follow_load/will_load", compares_keys, "Shapes must be equal"),
    ("follow_load/will_load", compares_parameters, "Buffers are expected too"),
    ("follow_load/will_load", compares_shapes, "Batch norm helps itself"),
    ("follow_load/will_load", compares_dtypes, "copy_ casts"),
    ("follow_load/will_load", tries_and_restores, "do not ask the model itself"),
    ("follow_load/will_load", lambda model, state: True, "A missing key is an error"),
    ("follow_load/will_load", lambda model, state: None, "not True or False"),
    ("follow_load/will_load", lambda model, state: state.clear() or True, "changed the dictionary"),
    ("follow_load/migrate", Noise(), "the class itself"),
    ("follow_load/migrate", OldName, "not ['log_std']"),
    ("follow_load/migrate", NoPrefix, "is the prefix and the name"),
    ("follow_load/migrate", NoLogarithm, "turned into its logarithm"),
    ("follow_load/migrate", InPlace, "the caller was changed"),
    ("follow_load/migrate", NeedsVersion, "A file without a version is of version 1"),
    ("follow_load/migrate", AnyVersion, "Look at the version"),
    ("follow_load/migrate", AlwaysLogarithm, "saves the logarithm already"),
    ("follow_load/migrate", NoVersion, "needs _version = 2"),
    ("follow_load/fitting", lambda model, state: model.load_state_dict(state), "forgives missing"),
    ("follow_load/fitting", by_key, "does not forgive a wrong shape"),
    ("follow_load/fitting", only_parameters, "It is a buffer"),
    ("follow_load/fitting", returns_the_report, "not keys of the model"),
    ("follow_load/fitting", returns_nothing, "must return the set"),
    ("follow_load/fitting", returns_unknown, "you do not return it"),
    ("follow_load/fitting", assigns, "is a new object"),
    ("follow_load/fitting", broadcasts, "copy_ repeats one number"),
    ("follow_load/fitting", empties, "changed the dictionary"),
]
