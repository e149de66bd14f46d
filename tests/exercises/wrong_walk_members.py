"""Wrong answers to the exercises of chapter 9, each with a piece of what the check must say."""

import copy

import torch
from torch import nn

from modulescope import rebuilt

METHODS = ("_named_members", "named_parameters", "parameters", "named_buffers", "buffers")
Base = rebuilt.without(*METHODS)
# A right answer, so that each wrong one differs in one method only.
Reader = type("Reader", (Base,), {name: vars(rebuilt.Module)[name] for name in METHODS})


def with_methods(**methods):
    """Return the right answer with other *methods* in the place of its own."""
    return type("Module", (Base,), {**vars(Reader), **methods})


def with_engine(
    none=False,
    memo=set,
    key=lambda member: member,
    inner=True,
    modules=True,
    dot=True,
    own=True,
    descend=None,
    share=False,
):
    """Return the answer with an engine that is wrong in the ways that the arguments name."""
    kept = memo()

    def engine(self, get_members_fn, prefix="", recurse=True, remove_duplicate=True):
        seen = kept if share else memo()
        walk = self.named_modules(
            prefix=prefix, remove_duplicate=remove_duplicate if modules else True
        )
        recurse = recurse if descend is None else descend
        for path, module in walk if recurse else [(prefix if own else "", self)]:
            for name, member in get_members_fn(module):
                if (member is None and not none) or (inner and key(member) in seen):
                    continue
                if remove_duplicate:
                    seen.add(key(member)) if isinstance(seen, set) else seen.append(key(member))
                yield (f"{path}.{name}" if path or not dot else name), member

    return with_methods(_named_members=engine)


def list_of_pairs(self, prefix="", recurse=True, remove_duplicate=True):
    return list(Reader.named_parameters(self, prefix, recurse, remove_duplicate))


def no_prefix(self, prefix="", recurse=True, remove_duplicate=True):
    return Reader.named_parameters(self, "", recurse, remove_duplicate)


def no_arguments(self):
    return Reader.named_parameters(self)


def forgets_recurse(self, recurse=True):
    for _, param in self.named_parameters():
        yield param


def only_persistent(self, prefix="", recurse=True, remove_duplicate=True):
    return self._named_members(
        lambda m: [(k, v) for k, v in m._buffers.items() if k not in m._non_persistent_buffers_set],
        prefix,
        recurse,
        remove_duplicate,
    )


def detached(self, prefix="", recurse=True, remove_duplicate=True):
    for name, param in Reader.named_parameters(self, prefix, recurse, remove_duplicate):
        yield name, param.detach()


def names_only(self, prefix="", recurse=True, remove_duplicate=True):
    for name, _ in Reader.named_parameters(self, prefix, recurse, remove_duplicate):
        yield name


def children_first(self, get_members_fn, prefix="", recurse=True, remove_duplicate=True):
    found = list(Reader._named_members(self, get_members_fn, prefix, recurse, remove_duplicate))
    yield from sorted(found, key=lambda pair: -pair[0].count("."))


def tables_only(self, get_members_fn, prefix="", recurse=True, remove_duplicate=True):
    first = next(iter(self._parameters.values()), None)
    reads_parameters = first is not None and any(
        value is first for _, value in get_members_fn(self)
    )
    table = (
        "_parameters"
        if reads_parameters or get_members_fn.__code__.co_names[:1] == ("_parameters",)
        else "_buffers"
    )
    yield from Reader._named_members(
        self, lambda m: vars(m)[table].items(), prefix, recurse, remove_duplicate
    )


def eager(self, get_members_fn, prefix="", recurse=True, remove_duplicate=True):
    yield from list(Reader._named_members(self, get_members_fn, prefix, recurse, remove_duplicate))


def memory(member):
    return None if member is None else member.data_ptr()


def numbers(member):
    return None if member is None else tuple(member.flatten().tolist())


NAMES = {
    "named_parameters": ["gain", "head.weight", "body.0.bias"],
    "named_buffers": ["scale", "mask"],
    "state_dict": ["gain", "scale", "head.weight", "body.0.weight", "body.0.bias"],
}


def named(**lists):
    return NAMES | lists


def ties_by_default(model):
    names = {}
    for name, param in model.named_parameters():
        names.setdefault(param, []).append(name)
    return {first: others for first, *others in names.values() if others}


def ties_by(key):
    def ties(model):
        names = {}
        for name, param in model.named_parameters(remove_duplicate=False):
            names.setdefault(key(param), []).append(name)
        return {first: others for first, *others in names.values() if others}

    return ties


def ties_all(model):
    names = {}
    for name, param in model.named_parameters(remove_duplicate=False):
        names.setdefault(param, []).append(name)
    return {first: others for first, *others in names.values()}


def ties_last(model):
    names = {}
    for name, param in model.named_parameters(remove_duplicate=False):
        names.setdefault(param, []).append(name)
    return {last: others for *others, last in names.values() if others}


def ties_pair(model):
    return {first: others[:1] for first, others in ties_by(lambda p: p)(model).items()}


def groups_by(decays, walk=lambda model: model.named_parameters()):
    def groups(model, decay):
        pairs = list(walk(model))
        return [
            {"params": [p for n, p in pairs if decays(n, p)], "weight_decay": decay},
            {"params": [p for n, p in pairs if not decays(n, p)], "weight_decay": 0.0},
        ]

    return groups


def is_matrix(name, param):
    return param.ndim >= 2


def owners(model):
    for module in model.modules():
        yield from module.named_parameters(recurse=False)


def everybody(model):
    for module in model.modules():
        yield from module.named_parameters()


def groups_without_decay(model, decay):
    first, second = groups_by(is_matrix)(model, decay)
    return [first, {"params": second["params"]}]


def groups_of_copies(model, decay):
    return groups_by(is_matrix)(copy.deepcopy(model), decay)


def groups_one_lost(model, decay):
    first, second = groups_by(is_matrix)(model, decay)
    return [first, {**second, "params": second["params"][1:]}]


def count_by(parameters, buffers=lambda model: model.buffers(), size=torch.numel):
    def count(model):
        params = list(parameters(model))
        trained = [param for param in params if param.requires_grad]
        frozen = [param for param in params if not param.requires_grad]
        return tuple(sum(map(size, kind)) for kind in (trained, frozen, list(buffers(model))))

    return count


def every_name(model):
    return [param for _, param in model.named_parameters(remove_duplicate=False)]


def saved_buffers(model):
    names = {name for name, _ in model.named_buffers()}
    return [value for name, value in model.state_dict().items() if name in names]


def ignores_frozen(model):
    buffers = sum(buffer.numel() for buffer in model.buffers())
    return sum(param.numel() for param in model.parameters()), 0, buffers


BUILD = "walk_members/build"
WRONG = [
    (BUILD, nn.Linear(1, 1), "the class itself"),
    (BUILD, Base, "does not define _named_members"),
    (BUILD, with_engine(none=True), "This entry is None"),
    (BUILD, with_engine(inner=False), "The same tensor was yielded before"),
    (BUILD, with_engine(memo=list), "A set asks whether it holds this very object"),
    (BUILD, with_engine(key=memory), "use the same memory are two"),
    (BUILD, with_engine(key=numbers), "equal numbers are two"),
    (BUILD, with_engine(modules=False), "nothing is left out for being known"),
    (BUILD, with_engine(dot=False), "no dot there"),
    (BUILD, with_engine(own=False), "when recurse is false"),
    (BUILD, with_engine(descend=True), "only the module's own table"),
    (BUILD, with_engine(descend=False), "further down, and recurse is true"),
    (BUILD, with_engine(share=True), "a set as a default argument"),
    (BUILD, with_methods(_named_members=children_first), "The order is that of named_modules"),
    (BUILD, with_methods(_named_members=tables_only), "reads no table itself"),
    (BUILD, with_methods(_named_members=eager), "Yield inside the loop"),
    (BUILD, with_methods(named_parameters=list_of_pairs), "returns a generator"),
    (BUILD, with_methods(named_parameters=no_prefix), "The prefix stands in front"),
    (BUILD, with_methods(named_parameters=no_arguments), "prefix, recurse and remove_duplicate"),
    (BUILD, with_methods(named_parameters=detached), "not the tensor of the table itself"),
    (BUILD, with_methods(named_parameters=names_only), "a pair of a name and a tensor"),
    (BUILD, with_methods(named_buffers=only_persistent), "is about saving"),
    (
        BUILD,
        with_methods(named_buffers=Reader.named_parameters),
        "not in the table _buffers of its module",
    ),
    (BUILD, with_methods(parameters=forgets_recurse), "hand recurse on"),
    (BUILD, with_methods(parameters=Reader.named_parameters), "without their names"),
    (BUILD, with_methods(buffers=lambda self, recurse=True: []), "returns a list"),
    ("walk_members/names", ["gain"], "a dictionary with three lists"),
    ("walk_members/names", {"named_parameters": NAMES["named_parameters"]}, "is missing"),
    ("walk_members/names", named(named_buffers="scale"), "give a list of names"),
    (
        "walk_members/names",
        named(named_parameters=["head.weight", "body.0.bias", "gain"]),
        "own entries come first",
    ),
    (
        "walk_members/names",
        named(named_parameters=["gain", "head.weight", "body.0.weight", "body.0.bias"]),
        "The first name wins",
    ),
    (
        "walk_members/names",
        named(named_parameters=["gain", "head.weight", "head.bias", "body.0.bias"]),
        "None is left out",
    ),
    (
        "walk_members/names",
        named(named_parameters=["gain", "scale", "head.weight", "body.0.bias"]),
        "the table of parameters only",
    ),
    ("walk_members/names", named(named_parameters=["gain", "head.weight"]), "It is in the tables"),
    (
        "walk_members/names",
        named(named_parameters=["gain", "head.weight", "body.bias"]),
        "the path, a dot and the name",
    ),
    ("walk_members/names", named(named_buffers=["scale"]), "the iterator yields it"),
    ("walk_members/names", named(named_buffers=["scale", "mask", "gain"]), "table of buffers"),
    (
        "walk_members/names",
        named(state_dict=["gain", "scale", "mask", "head.weight", "body.0.weight", "body.0.bias"]),
        "so it is not saved",
    ),
    (
        "walk_members/names",
        named(state_dict=["gain", "scale", "head.weight", "body.0.bias"]),
        "saved under both names",
    ),
    ("walk_members/ties", ties_by_default, "yields a tied tensor once"),
    ("walk_members/ties", ties_by(torch.Tensor.data_ptr), "compare with `is`"),
    ("walk_members/ties", ties_by(lambda p: tuple(p.flatten().tolist())), "compare with `is`"),
    ("walk_members/ties", ties_all, "has one name only"),
    ("walk_members/ties", ties_last, "The first name is the key"),
    ("walk_members/ties", ties_pair, "the other names of 'one'"),
    ("walk_members/ties", lambda model: list(ties_all(model)), "returns a dictionary"),
    (
        "walk_members/groups",
        groups_by(lambda name, _: "bias" not in name),
        "the weight of a norm ends in 'weight' too",
    ),
    (
        "walk_members/groups",
        groups_by(lambda name, p: p.ndim >= 2 and "bias" not in name),
        "Look at the tensor",
    ),
    ("walk_members/groups", groups_by(is_matrix, owners), "or one without a memo"),
    ("walk_members/groups", groups_by(is_matrix, everybody), "all its descendants"),
    (
        "walk_members/groups",
        groups_by(is_matrix, lambda m: m.state_dict(keep_vars=True).items()),
        "a buffer, or a copy",
    ),
    ("walk_members/groups", groups_of_copies, "a buffer, or a copy"),
    ("walk_members/groups", groups_one_lost, "no optimizer will train it"),
    ("walk_members/groups", groups_without_decay, "takes what the optimizer has"),
    ("walk_members/groups", lambda model, decay: model.parameters(), "two dictionaries"),
    ("walk_members/count", count_by(every_name), "each tensor counts once"),
    ("walk_members/count", count_by(nn.Module.parameters, size=lambda p: 1), "holds numel()"),
    ("walk_members/count", count_by(nn.Module.parameters, saved_buffers), "non-persistent buffer"),
    ("walk_members/count", ignores_frozen, "it is frozen"),
    ("walk_members/count", lambda model: 3, "returns three numbers"),
    ("walk_members/count", lambda model: (15, 0, 0), "Walk over buffers()"),
]
