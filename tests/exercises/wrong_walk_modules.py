"""Wrong answers to the exercises of chapter 8, each with a piece of what the check must say."""

from torch import nn

from modulescope import rebuilt

METHODS = ("named_children", "children", "named_modules", "modules")
Base = rebuilt.without(*METHODS)
Right = type("Right", (Base,), {name: vars(rebuilt.Module)[name] for name in METHODS})


def build(**methods):
    """Return the right class with some methods replaced."""
    return type("Module", (Base,), {**vars(Right), **methods})


def all_entries(self):
    yield from self._modules.items()


def all_but_none(self):
    yield from ((name, child) for name, child in self._modules.items() if child is not None)


def a_list(self):
    return list(Right.named_children(self))


def with_itself(self):
    yield self
    yield from Right.children(self)


def all_descendants(self):
    yield from list(Right.modules(self))[1:]


def pairs(self):
    yield from self.named_children()


def children_first(self, memo=None, prefix="", remove_duplicate=True):
    memo = set() if memo is None else memo
    if self in memo:
        return
    if remove_duplicate:
        memo.add(self)
    for name, child in self._modules.items():
        if child is not None:
            path = f"{prefix}.{name}" if prefix else name
            yield from child.named_modules(memo, path, remove_duplicate)
    yield prefix, self


def level_by_level(self, memo=None, prefix="", remove_duplicate=True):
    memo = set() if memo is None else memo
    todo = [(prefix, self)]
    while todo:
        path, module = todo.pop(0)
        if module in memo:
            continue
        if remove_duplicate:
            memo.add(module)
        yield path, module
        for name, child in module._modules.items():
            if child is not None:
                todo.append((f"{path}.{name}" if path else name, child))


def own_memo_each(self, memo=None, prefix="", remove_duplicate=True):
    yield prefix, self
    for name, child in Right.named_children(self):
        path = f"{prefix}.{name}" if prefix else name
        yield from child.named_modules(None, path, remove_duplicate)


def leading_dot(self, memo=None, prefix="", remove_duplicate=True):
    memo = set() if memo is None else memo
    if self in memo:
        return
    if remove_duplicate:
        memo.add(self)
    yield prefix, self
    for name, child in self._modules.items():
        if child is not None:
            yield from child.named_modules(memo, prefix + "." + name, remove_duplicate)


def names_only(self, memo=None, prefix="", remove_duplicate=True):
    memo = set() if memo is None else memo
    if self in memo:
        return
    if remove_duplicate:
        memo.add(self)
    yield prefix, self
    for name, child in self._modules.items():
        if child is not None:
            yield from child.named_modules(memo, name, remove_duplicate)


def always_removes(self, memo=None, prefix="", remove_duplicate=True):
    yield from Right.named_modules(self, memo, prefix, True)


def forgets_to_hand_down(self, memo=None, prefix="", remove_duplicate=True):
    memo = set() if memo is None else memo
    if self in memo:
        return
    if remove_duplicate:
        memo.add(self)
    yield prefix, self
    for name, child in self._modules.items():
        if child is not None:
            yield from child.named_modules(memo, f"{prefix}.{name}" if prefix else name)


def empty_memo_is_false(self, memo=None, prefix="", remove_duplicate=True):
    yield from Right.named_modules(self, memo or set(), prefix, remove_duplicate)


def asks_only_for_children(self, memo=None, prefix="", remove_duplicate=True):
    memo = set() if memo is None else memo
    if remove_duplicate:
        memo.add(self)
    yield prefix, self
    for name, child in self._modules.items():
        if child is not None and child not in memo:
            path = f"{prefix}.{name}" if prefix else name
            yield from child.named_modules(memo, path, remove_duplicate)


def no_argument(self):
    yield from (module for _, module in self.named_modules())


def first_name(model, module):
    return [path for path, found in model.named_modules() if found is module]


def children_only(model, module):
    return [name for name, child in model._modules.items() if child is module]


def by_class(model, module):
    everywhere = model.named_modules(remove_duplicate=False)
    return [path for path, found in everywhere if type(found) is type(module)]


def without_the_root(model, module):
    everywhere = list(model.named_modules(remove_duplicate=False))[1:]
    return [path for path, found in everywhere if found is module]


def one_path(model, module):
    return next((path for path, found in model.named_modules() if found is module), None)


def with_setattr(model, kind, make):
    for path, module in list(model.named_modules()):
        if isinstance(module, kind):
            setattr(model, path, make(module))


def with_setattr_alive(model, kind, make):
    for path, module in model.named_modules():
        if isinstance(module, kind):
            setattr(model, path, make(module))


def children_of_the_model(model, kind, make):
    for name, module in list(model.named_children()):
        if isinstance(module, kind):
            setattr(model, name, make(module))


def first_names(model, kind, make):
    for path, module in list(model.named_modules()):
        if isinstance(module, kind):
            model.set_submodule(path, make(module))


def one_each_place(model, kind, make):
    for path, module in list(model.named_modules(remove_duplicate=False)):
        if isinstance(module, kind):
            model.set_submodule(path, make(module))


def alive(model, kind, make):
    for parent in model.modules():
        for name, child in parent.named_children():
            if isinstance(child, kind):
                setattr(parent, name, make(child))


def delete_and_add(model, kind, make):
    made = {}
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if isinstance(child, kind):
                if child not in made:
                    made[child] = make(child)
                del parent._modules[name]
                parent._modules[name] = made[child]


def a_new_model(model, kind, make):
    return nn.Sequential(*[make(child) if isinstance(child, kind) else child for child in model])


BUILD, ORDER = "walk_modules/build", "walk_modules/order"
PATHS, REPLACE = "walk_modules/paths_of", "walk_modules/replace"

WRONG = [
    (BUILD, Base, "does not define named_children"),
    (BUILD, Right(), "the class itself"),
    (BUILD, build(named_children=all_entries), "An entry that is None is no module"),
    (BUILD, build(named_children=all_but_none), "It came before under another name"),
    (BUILD, build(named_children=a_list), "A walk is a generator"),
    (BUILD, build(children=with_itself), "do not include the module itself"),
    (BUILD, build(children=all_descendants), "this walk looks one level deep"),
    (BUILD, build(children=pairs), "the others the modules alone"),
    (BUILD, build(named_modules=children_first), "The first item is the module itself"),
    (BUILD, build(named_modules=level_by_level), "then each child with everything below it"),
    (BUILD, build(named_modules=own_memo_each), "hands its memo down"),
    (BUILD, build(named_modules=leading_dot), "no dot either"),
    (BUILD, build(named_modules=names_only), "The path is the prefix, a dot"),
    (BUILD, build(named_modules=always_removes), "nothing is put into the memo"),
    (BUILD, build(named_modules=forgets_to_hand_down), "must get remove_duplicate too"),
    (BUILD, build(named_modules=empty_memo_is_false), "An empty set counts as false"),
    (BUILD, build(named_modules=asks_only_for_children), "in the memo from the start"),
    (BUILD, build(modules=no_argument), "unexpected keyword argument 'remove_duplicate'"),
    (ORDER, ["stem", "stem.0", "stem.1", "body", "body.1"], "begins with the module itself"),
    (ORDER, ["", "stem", "body", "stem.0", "stem.1", "body.1"], "then each child with"),
    (ORDER, ["", "stem", "stem.0", "stem.1", "skip"], "The entry is None"),
    (ORDER, ["", "stem", "stem.0", "stem.1", "extra.0"], "A plain list is not put"),
    (ORDER, ["", "stem", "stem.0", "stem.1", "body", "body.0"], "the first name wins"),
    (ORDER, ["", "stem", "stem.0", "stem.1", "body", "body.1", "act"], "the first name wins"),
    (ORDER, ["", "stem", "stem.0", "stem.act"], "names its children 0, 1"),
    (ORDER, ["", "stem", "stem.0", "stem.1", "body"], "goes down to every depth"),
    (PATHS, first_name, "under its first name only"),
    (PATHS, children_only, "the empty path"),
    (PATHS, without_the_root, "the empty path"),
    (PATHS, by_class, "ask with `is`"),
    (PATHS, one_path, "not a list of paths"),
    (REPLACE, with_setattr, "setattr does not understand dots"),
    (REPLACE, with_setattr_alive, "List first"),
    (REPLACE, children_of_the_model, "can be at any depth"),
    (REPLACE, first_names, "under its first name only"),
    (REPLACE, one_each_place, "make was called for each place"),
    (REPLACE, alive, "the walk has no end"),
    (REPLACE, delete_and_add, "in another order than before"),
    (REPLACE, a_new_model, "Change the model in place"),
]
