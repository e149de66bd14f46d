"""Wrong answers to the exercises of chapter 4, each with a piece of what the check must say."""

from torch import nn

from modulescope import rebuilt

Base = rebuilt.without("__getattr__")
TABLES = ("_parameters", "_buffers", "_modules")


def missing(module, name):
    return AttributeError(f"'{type(module).__name__}' object has no attribute '{name}'")


def built(find):
    """Return a class whose __getattr__ is *find*."""
    return type("Module", (Base,), {"__getattr__": find})


def dotted(self, name):
    for table in (self._parameters, self._buffers, self._modules):
        if name in table:
            return table[name]
    raise missing(self, name)


def none_if_missing(self, name):
    for table in TABLES:
        if name in vars(self).get(table, ()):
            return vars(self)[table][name]
    return None


def key_error(self, name):
    return {**self._modules, **self._buffers, **self._parameters}[name]


def tables_must_be_there(self, name):
    for table in TABLES:
        if name in self.__dict__[table]:
            return self.__dict__[table][name]
    raise missing(self, name)


def own_words(self, name):
    for table in TABLES:
        if name in vars(self).get(table, ()):
            return vars(self)[table][name]
    raise AttributeError(f"no {name} here")


def parameters_only(self, name):
    if name in vars(self).get("_parameters", ()):
        return self._parameters[name]
    raise missing(self, name)


def not_none(self, name):
    for table in TABLES:
        entry = vars(self).get(table, {}).get(name)
        if entry is not None:
            return entry
    raise missing(self, name)


def if_true(self, name):
    for table in TABLES:
        if vars(self).get(table, {}).get(name):
            return vars(self)[table][name]
    raise missing(self, name)


def modules_first(self, name):
    for table in reversed(TABLES):
        if name in vars(self).get(table, ()):
            return vars(self)[table][name]
    raise missing(self, name)


def keeps_a_copy(self, name):
    for table in TABLES:
        if name in vars(self).get(table, ()):
            self.__dict__[name] = self.__dict__[table][name]
            return self.__dict__[name]
    raise missing(self, name)


def writes_none(self, name):
    for table in TABLES:
        if name in vars(self).get(table, ()):
            return vars(self)[table][name]
    if "_parameters" in vars(self):
        self._parameters[name] = None
    raise missing(self, name)


class TablesFirst(built(none_if_missing)):
    def __getattribute__(self, name):
        tables = object.__getattribute__(self, "__dict__")
        for table in TABLES:
            if name in tables.get(table, ()):
                return tables[table][name]
        return object.__getattribute__(self, name)

    def __getattr__(self, name):
        raise missing(self, name)


def only_modules(model, path):
    return dict(model.named_modules())[path]


def only_submodules(model, path):
    return model.get_submodule(path)


def saved_tensors(model, path):
    return model.state_dict()[path] if path.endswith("weight") else model.get_submodule(path)


def what_iterators_give(model, path):
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    return tensors[path] if path in tensors else dict(model.named_modules())[path]


def typed(model, path):
    return eval(f"model.{path}") if path else model


def never_empty(model, path):
    for name in path.split("."):
        model = getattr(model, name)
    return model


def none_for_missing(model, path):
    for name in path.split(".") if path else []:
        model = getattr(model, name, None)
    return model


def error_of(action, *args):
    try:
        action(*args)
    except Exception as error:  # noqa: BLE001 - the error is the answer
        return error
    return None


def property_of(model, name):
    found = getattr(type(model), name, None)
    return found if isinstance(found, property) else None


def second_error(model, name):
    return error_of(getattr, model, name)


def own_class_only(model, name):
    found = vars(type(model)).get(name)
    return error_of(found.fget, model) if isinstance(found, property) else None


def as_text(model, name):
    found = property_of(model, name)
    return str(error_of(found.fget, model)) if found else None


def attribute_errors_only(model, name):
    try:
        getattr(type(model), name).fget(model)
    except AttributeError as error:
        return error


def any_error(model, name):
    return error_of(object.__getattribute__, model, name)


def twice(model, name):
    found = property_of(model, name)
    return error_of(found.fget, model) if found and error_of(getattr, model, name) else None


def raises_through(model, name):
    return property_of(model, name).fget(model)


class Wrapper(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, *args):
        return self.model(*args)


class PassesAllOn(Wrapper):
    def __getattr__(self, name):
        return getattr(self.model, name)


class PassesSpecialNames(Wrapper):
    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "model":
                raise
            return getattr(self.model, name)


class NoneForMissing(Wrapper):
    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "model" or name.startswith("__"):
                raise
            return getattr(self.model, name, None)


class ModelFirst(Wrapper):
    def __getattr__(self, name):
        model = self.__dict__.get("_modules", {}).get("model")
        if name == "model" and model is not None:
            return model
        if model is None or name.startswith("__"):
            raise AttributeError(name)
        return getattr(model, name)


class Hidden(PassesSpecialNames):
    """Keeps the model out of the tables."""

    def __init__(self, model):
        super().__init__(model)
        self.__dict__["model"] = self._modules.pop("model")


class NoPrivateNames(Wrapper):
    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == "model" or name.startswith("_"):
                raise
            return getattr(self.model, name)


class Plain:
    def __init__(self, model):
        self.model = model

    def __getattr__(self, name):
        return getattr(self.model, name)


WRONG = [
    ("look_up/build", Base, "does not define __getattr__"),
    ("look_up/build", built(dotted), "Ask self.__dict__"),
    ("look_up/build", built(none_if_missing), "hasattr is True for every name"),
    ("look_up/build", built(key_error), "you raise KeyError. Only an AttributeError"),
    ("look_up/build", built(tables_must_be_there), "The tables are not there yet"),
    ("look_up/build", built(own_words), "the message is 'no depth here'"),
    ("look_up/build", built(parameters_only), "All three tables are asked"),
    ("look_up/build", built(not_none), "not whether the entry counts as true"),
    ("look_up/build", built(if_true), "do not look at the entry"),
    ("look_up/build", built(modules_first), "the order is parameters, buffers, modules"),
    ("look_up/build", built(keeps_a_copy), "hides the table"),
    ("look_up/build", built(writes_none), "a lookup only reads"),
    ("look_up/build", TablesFirst, "leave __getattribute__ alone"),
    ("look_up/count", [1, 0, 2, 1, 1, 1, 2, 0], "in the instance dictionary"),
    ("look_up/count", [0, 1, 2, 1, 1, 1, 2, 0], "a class attribute by itself"),
    ("look_up/count", [0, 0, 1, 1, 1, 1, 2, 0], "Each dot is a lookup of its own"),
    ("look_up/count", [0, 0, 2, 2, 1, 1, 2, 0], "a plain value in the instance of the layer"),
    ("look_up/count", [0, 0, 2, 1, 0, 1, 2, 0], "the property reads self.head"),
    ("look_up/count", [0, 0, 2, 1, 1, 0, 2, 0], "catches the error"),
    ("look_up/count", [0, 0, 2, 1, 1, 1, 3, 0], "the brackets read the table"),
    ("look_up/count", [0, 0, 2, 1, 1, 1, 2, 4], "walk the tree read the tables"),
    ("look_up/count", [0, 0, 2], "your list has 3 numbers"),
    ("look_up/by_path", only_modules, "two dots down"),
    ("look_up/by_path", only_submodules, "`weight` is not an nn.Module"),
    ("look_up/by_path", saved_tensors, "a state dict holds detached"),
    ("look_up/by_path", what_iterators_give, "named_parameters leaves out"),
    ("look_up/by_path", typed, "For 'trunk.1' your function raised SyntaxError"),
    ("look_up/by_path", never_empty, "The empty path is the model itself"),
    ("look_up/by_path", none_for_missing, "leads nowhere. Your function returned None"),
    ("look_up/reveal", second_error, "gives the second error"),
    ("look_up/reveal", own_class_only, "stand in a base class"),
    ("look_up/reveal", as_text, "should return the exception itself"),
    ("look_up/reveal", attribute_errors_only, "A property raised ValueError"),
    ("look_up/reveal", raises_through, "Your function raised AttributeError"),
    ("look_up/reveal", any_error, "a child, not a property"),
    ("look_up/reveal", twice, "It may do work: run it once"),
    ("look_up/wrapper", Wrapper, "does not define __getattr__"),
    ("look_up/wrapper", Plain, "is no subclass of nn.Module"),
    ("look_up/wrapper", PassesAllOn, "stop at the name 'model'"),
    ("look_up/wrapper", PassesSpecialNames, "A deep copy of the wrapper is no wrapper"),
    ("look_up/wrapper", NoneForMissing, "a name that nobody has is an error"),
    ("look_up/wrapper", NoPrivateNames, "One underscore is not special"),
    ("look_up/wrapper", ModelFirst, "ask nn.Module before the model"),
    ("look_up/wrapper", Hidden, "The model must be the child 'model'"),
]
