"""Wrong answers to the exercises of chapter 6, each with a piece of what the check must say."""

import copy
from collections import OrderedDict

import torch

from modulescope import rebuilt

Base = rebuilt.without("_save_to_state_dict", "state_dict")


class Right(Base):
    """A right answer in parts that the wrong ones replace one at a time."""

    def value(self, tensor, keep_vars):
        return tensor if keep_vars else tensor.detach()

    def params(self, destination, prefix, keep_vars):
        for name, param in self._parameters.items():
            if param is not None:
                destination[prefix + name] = self.value(param, keep_vars)

    def buffers_(self, destination, prefix, keep_vars):
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = self.value(buffer, keep_vars)

    def extra(self, destination, prefix):
        if hasattr(type(self), "get_extra_state"):
            destination[prefix + "_extra_state"] = self.get_extra_state()

    def own(self, destination, prefix, keep_vars):
        self.params(destination, prefix, keep_vars)
        self.buffers_(destination, prefix, keep_vars)
        self.extra(destination, prefix)

    def start(self, destination):
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()
        return destination

    def version(self, destination, prefix):
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = {"version": self._version}

    def below(self, destination, prefix, keep_vars):
        for name, child in self._modules.items():
            if child is not None:
                self.child(child, destination, prefix, name, keep_vars)

    def child(self, child, destination, prefix, name, keep_vars):
        child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)

    def whole(self, destination, prefix, keep_vars):
        destination = self.start(destination)
        self.version(destination, prefix)
        self._save_to_state_dict(destination, prefix, keep_vars)
        self.below(destination, prefix, keep_vars)
        return destination

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        self.own(destination, prefix, keep_vars)

    def state_dict(self, *, destination=None, prefix="", keep_vars=False):
        return self.whole(destination, prefix, keep_vars)


def built(**parts):
    """Return the right class with some of its parts replaced."""
    kept = {name: part for name, part in vars(Right).items() if name not in ("__dict__",)}
    return type("Module", (Base,), kept | parts)


def none_params(self, destination, prefix, keep_vars):
    for name, param in self._parameters.items():
        destination[prefix + name] = param.detach()


def null_params(self, destination, prefix, keep_vars):
    for name, param in self._parameters.items():
        destination[prefix + name] = None if param is None else self.value(param, keep_vars)


def all_buffers(self, destination, prefix, keep_vars):
    for name, buffer in self._buffers.items():
        if buffer is not None:
            destination[prefix + name] = self.value(buffer, keep_vars)


def buffers_first(self, destination, prefix, keep_vars):
    self.buffers_(destination, prefix, keep_vars)
    self.params(destination, prefix, keep_vars)
    self.extra(destination, prefix)


def own_and_below(self, destination, prefix, keep_vars):
    Right.own(self, destination, prefix, keep_vars)
    for name, child in self._modules.items():
        if child is not None:
            child._save_to_state_dict(destination, f"{prefix}{name}.", keep_vars)


def children_first(self, destination, prefix, keep_vars):
    destination = self.start(destination)
    self.version(destination, prefix)
    self.below(destination, prefix, keep_vars)
    self._save_to_state_dict(destination, prefix, keep_vars)
    return destination


def iterator_below(self, destination, prefix, keep_vars):
    for name, child in self.named_children():
        self.child(child, destination, prefix, name, keep_vars)


def none_below(self, destination, prefix, keep_vars):
    for name, child in self._modules.items():
        self.child(child, destination, prefix, name, keep_vars)


def once_below(self, destination, prefix, keep_vars):
    for name, child in self._modules.items():
        if child is not None:
            child._save_to_state_dict(destination, f"{prefix}{name}.", keep_vars)


def no_dot(self, child, destination, prefix, name, keep_vars):
    child.state_dict(destination=destination, prefix=prefix + name, keep_vars=keep_vars)


def last_name_only(self, child, destination, prefix, name, keep_vars):
    child.state_dict(destination=destination, prefix=f"{name}.", keep_vars=keep_vars)


def no_prefix(self, child, destination, prefix, name, keep_vars):
    child.state_dict(destination=destination, keep_vars=keep_vars)


def own_dictionary(self, child, destination, prefix, name, keep_vars):
    child.state_dict(prefix=f"{prefix}{name}.", keep_vars=keep_vars)


def drop_keep_vars(self, child, destination, prefix, name, keep_vars):
    child.state_dict(destination=destination, prefix=f"{prefix}{name}.")


def positional(self, child, destination, prefix, name, keep_vars):
    child.state_dict(destination, f"{prefix}{name}.", keep_vars)


def no_return(self, destination, prefix, keep_vars):
    Right.whole(self, destination, prefix, keep_vars)


def start_when_empty(self, destination):
    return destination or Right.start(self, None)


def always_new(self, destination):
    return Right.start(self, None) if destination is None else OrderedDict(destination)


def plain_start(self, destination):
    return {} if destination is None else destination


def version_always(self, destination, prefix):
    if not hasattr(destination, "_metadata"):
        destination._metadata = OrderedDict()
    Right.version(self, destination, prefix)


def dotted_version(self, destination, prefix):
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix] = {"version": self._version}


def version_one(self, destination, prefix):
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = {"version": 1}


def version_of_writers(self, destination, prefix):
    if hasattr(destination, "_metadata") and (self._parameters or self._buffers or self._modules):
        Right.version(self, destination, prefix)


def no_extra(self, destination, prefix):
    pass


def extra_without_prefix(self, destination, prefix):
    if hasattr(type(self), "get_extra_state"):
        destination["_extra_state"] = self.get_extra_state()


def extra_of_instance(self, destination, prefix):
    if hasattr(self, "get_extra_state"):
        destination[prefix + "_extra_state"] = self.get_extra_state()


def copied_extra(self, destination, prefix):
    if hasattr(type(self), "get_extra_state"):
        destination[prefix + "_extra_state"] = str(self.get_extra_state())


class OnlyHalf(Base):
    def state_dict(self):
        return {}


def tied_once(self, destination, prefix, keep_vars):
    seen = {value.data_ptr() for value in destination.values()}
    for name, param in self._parameters.items():
        if param is not None and param.data_ptr() not in seen:
            destination[prefix + name] = self.value(param, keep_vars)


BUILD = [
    (Right(), "class itself"),
    (OnlyHalf, "does not define _save_to_state_dict"),
    (built(params=none_params), "An entry can be None"),
    (built(params=null_params), "This entry is None"),
    (built(buffers_=all_buffers), "persistent=False"),
    (built(buffers_=lambda *args: None), "saved like a parameter"),
    (built(own=buffers_first), "parameters first, then its buffers"),
    (built(own=own_and_below), "descendants are the work of state_dict"),
    (built(params=tied_once), "saved under each of its paths"),
    (built(whole=children_first), "key 1 is 'first.weight', torch has 'scale'. You went into"),
    (built(whole=no_return), "returned NoneType"),
    (built(below=iterator_below), "saved under each of its paths"),
    (built(below=none_below), "and a child too"),
    (built(below=once_below), "at every depth"),
    (built(below=lambda *args: None), "call state_dict of every child"),
    (built(child=no_dot), "A prefix ends in a dot"),
    (built(child=last_name_only), "way from the root is lost"),
    (built(child=no_prefix), "way from the root is lost"),
    (built(child=own_dictionary), "call state_dict of every child"),
    (built(child=positional), "keyword arguments"),
    (built(child=drop_keep_vars), "pass keep_vars on"),
    (built(value=lambda self, tensor, keep: tensor.detach().clone()), "is a copy"),
    (built(value=lambda self, tensor, keep: tensor), "the Parameter itself"),
    (built(value=lambda self, tensor, keep: tensor.detach()), "not the object that the module"),
    (built(start=start_when_empty), "Ask 'is None'"),
    (built(start=always_new), "Fill the one that was given"),
    (built(start=plain_start), "has no attribute _metadata"),
    (built(version=version_always), "A plain dict has no attributes"),
    (built(version=dotted_version), "without its last dot"),
    (built(version=version_one), "attribute _version"),
    (built(version=version_of_writers), "also one without tensors"),
    (built(extra=no_extra), "Extra state comes after the buffers"),
    (built(extra=extra_without_prefix), "with the prefix before it"),
    (built(extra=extra_of_instance), "torch asks the class"),
    (built(extra=copied_extra), "unchanged"),
]


def comprehension(state, wanted):
    return {key: value for key, value in state.items() if wanted(key)}


def delete_in_given(state, wanted):
    for key in list(state):
        if not wanted(key):
            del state[key]
    return state


def copy_method(state, wanted):
    return delete_in_given(state.copy(), wanted)


def metadata_as_key(state, wanted):
    chosen = OrderedDict(comprehension(state, wanted))
    chosen["_metadata"] = state._metadata
    return chosen


def metadata_expected(state, wanted):
    chosen = OrderedDict(comprehension(state, wanted))
    chosen._metadata = state._metadata
    return chosen


def metadata_filtered(state, wanted):
    chosen = delete_in_given(copy.copy(state), wanted)
    chosen._metadata = comprehension(state._metadata, wanted)
    return chosen


def cloned(state, wanted):
    return delete_in_given(copy.deepcopy(state), wanted)


def keep_all(state, wanted):
    return copy.copy(state)


def starts_with(model, path):
    return {key: value for key, value in model.state_dict().items() if key.startswith(path)}


def strip(model, path):
    return model.get_submodule(path).state_dict()


def prefix_without_dot(model, path):
    return model.get_submodule(path).state_dict(prefix=path)


def always_dot(model, path):
    return model.get_submodule(path).state_dict(prefix=path + ".")


def only_own(model, path):
    found = {}
    prefix = path + "." if path else ""
    model.get_submodule(path)._save_to_state_dict(found, prefix, False)
    return found


def kept_part(model, path):
    prefix = path + "." if path else ""
    return model.get_submodule(path).state_dict(prefix=prefix, keep_vars=True)


def iterators(model, path):
    prefix = path + "." if path else ""
    tensors = dict(model.named_parameters()) | dict(model.named_buffers())
    return {key: tensors[key].detach() for key in tensors if key.startswith(prefix)}


def persistent_iterators(model, path):
    return {
        key: value for key, value in iterators(model, path).items() if key in model.state_dict()
    }


def hide_alone(module, state, prefix, metadata):
    for key in list(state):
        if key.startswith("module."):
            state[key.removeprefix("module.")] = state.pop(key)


def hide_everywhere(module, state, prefix, metadata):
    for key in list(state):
        if "module." in key:
            state[key.replace("module.", "")] = state.pop(key)


def hide_first(module, state, prefix, metadata):
    for key in list(state):
        if "module." in key:
            state[key.replace("module.", "", 1)] = state.pop(key)


def hide_below(module, state, prefix, metadata):
    for key in list(state):
        if key.startswith(prefix):
            state[prefix + key.removeprefix(prefix).replace("module.", "")] = state.pop(key)


def hide_prefix_too(module, state, prefix, metadata):
    for key in list(state):
        if key.startswith(prefix + "module."):
            state[key.removeprefix(prefix + "module.")] = state.pop(key)


def hide_and_return(module, state, prefix, metadata):
    return {key.replace(prefix + "module.", prefix): value for key, value in state.items()}


def hide_while_walking(module, state, prefix, metadata):
    for key in state:
        if key.startswith(prefix + "module."):
            state[prefix + key.removeprefix(prefix + "module.")] = state.pop(key)


def hide_by_name(module, state, prefix, metadata):
    for name, _ in module.named_parameters():
        state[prefix + name.removeprefix("module.")] = state.pop(name)


def hide_and_copy(module, state, prefix, metadata):
    for key in list(state):
        if key.startswith(prefix + "module."):
            state[prefix + key.removeprefix(prefix + "module.")] = torch.clone(state.pop(key))


def hide_nothing(module, state, prefix, metadata):
    pass


PREFIXES = ["", "body.", "body.0.", "body.1.", "twin.", "twin.0.", "twin.1."]

WRONG = [
    *(("follow_state_dict/build", answer, idea) for answer, idea in BUILD),
    ("follow_state_dict/prefixes", PREFIXES[1:], "The first call is on the root"),
    ("follow_state_dict/prefixes", PREFIXES[:4], "once for each of its names"),
    ("follow_state_dict/prefixes", [*PREFIXES[:3], "twin.", "twin.0."], "without tensors"),
    ("follow_state_dict/prefixes", PREFIXES[:6], "once for each of its names"),
    ("follow_state_dict/prefixes", [p.rstrip(".") for p in PREFIXES], "ends in a dot"),
    ("follow_state_dict/prefixes", [*PREFIXES[:4], "skip.", *PREFIXES[4:]], "is left out"),
    ("follow_state_dict/prefixes", ["", "body.", "twin.", "body.0."], "before the next child"),
    ("follow_state_dict/prefixes", ["", "body.", "0.", "1."], "whole way from the root"),
    ("follow_state_dict/prefixes", ["", "scale.", "body."], "A parameter is no module"),
    ("follow_state_dict/prefixes", ["", "twin.", "body."], "Follow the calls downwards"),
    ("follow_state_dict/prefixes", [*PREFIXES, "end."], "no module stands there"),
    ("follow_state_dict/part", starts_with, "belongs to another submodule"),
    ("follow_state_dict/part", strip, "without the prefix 'norm.'"),
    ("follow_state_dict/part", prefix_without_dot, "The prefix is the path plus a dot"),
    ("follow_state_dict/part", always_dot, "The prefix of the root is empty"),
    ("follow_state_dict/part", only_own, "at every depth"),
    ("follow_state_dict/part", kept_part, "detached, and no copy"),
    ("follow_state_dict/part", iterators, "no key of the whole model"),
    ("follow_state_dict/part", persistent_iterators, "under each of its paths"),
    ("follow_state_dict/part", lambda model, path: list(model.state_dict()), "returned list"),
    (
        "follow_state_dict/part",
        lambda model, path: dict(sorted(starts_with(model, path and path + ".").items())),
        "their order is not",
    ),
    ("follow_state_dict/keep_metadata", comprehension, "the attribute stays behind"),
    ("follow_state_dict/keep_metadata", copy_method, "the attribute stays behind"),
    ("follow_state_dict/keep_metadata", delete_in_given, "Work on a copy"),
    ("follow_state_dict/keep_metadata", metadata_as_key, "The result has the keys"),
    ("follow_state_dict/keep_metadata", metadata_expected, "ask first"),
    ("follow_state_dict/keep_metadata", metadata_filtered, "not that of the given"),
    ("follow_state_dict/keep_metadata", cloned, "is a copy"),
    ("follow_state_dict/keep_metadata", keep_all, "The result has the keys"),
    ("follow_state_dict/hide_wrapper", hide_alone, "Inside a larger model, the key"),
    ("follow_state_dict/hide_wrapper", hide_everywhere, "should not be there"),
    ("follow_state_dict/hide_wrapper", hide_first, "came from a neighbour"),
    ("follow_state_dict/hide_wrapper", hide_below, "should not be there"),
    ("follow_state_dict/hide_wrapper", hide_prefix_too, "and the prefix stays"),
    ("follow_state_dict/hide_wrapper", hide_and_return, "return nothing"),
    ("follow_state_dict/hide_wrapper", hide_while_walking, "walk list(state)"),
    ("follow_state_dict/hide_wrapper", hide_by_name, "should not be there"),
    ("follow_state_dict/hide_wrapper", hide_and_copy, "holds another tensor"),
    ("follow_state_dict/hide_wrapper", hide_nothing, "should not be there"),
]
