"""Checks of the chapter "Walk children and modules"."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from torch import nn

from . import exercise
from ._hidden import hidden_models, missing_method, outcome

# More than any hidden model has places; a walk that does not end is cut off here.
_LIMIT = 200

# How a message shows the module whose walk it is, and an entry that is switched off.
_ROOT, _NOTHING = "<module ''>", "<None>"

_WALKS: dict[str, Callable[[Any], Any]] = {
    "named_children()": lambda module: module.named_children(),
    "children()": lambda module: module.children(),
    "named_modules()": lambda module: module.named_modules(),
    "named_modules(prefix='model')": lambda module: module.named_modules(prefix="model"),
    "named_modules(remove_duplicate=False)": (
        lambda module: module.named_modules(remove_duplicate=False)
    ),
    "modules()": lambda module: module.modules(),
    "modules(remove_duplicate=False)": lambda module: module.modules(remove_duplicate=False),
}


def _places(root: Any) -> Iterator[tuple[str, Any]]:
    """Yield path and module of every place of the tree, also of those with ``None``."""

    def visit(path: str, module: Any, above: tuple[Any, ...]) -> Iterator[tuple[str, Any]]:
        yield path, module
        if module is not None and module not in above:
            for name, child in module._modules.items():
                yield from visit(f"{path}.{name}" if path else name, child, (*above, module))

    yield from visit("", root, ())


def _first_paths(root: Any) -> dict[int, str]:
    """Map ``id`` of each module to its first path: the same in two trees of the same shape."""
    paths: dict[int, str] = {}
    for path, module in _places(root):
        paths.setdefault(id(module), path)
    return paths


def _tree_models(module_class: type) -> dict[str, Any]:
    """Return the hidden models, and two whose shape is hard for a walk."""
    block = module_class()
    block.one = module_class()
    block.two = module_class()
    pair = module_class()
    pair.left = block
    pair.right = block
    pair.nothing = module_class()
    pair.nothing = None
    pair.head = module_class()

    cycle = module_class()
    cycle.child = module_class()
    cycle.child.parent = cycle
    return {
        **hidden_models(module_class),
        "a module with a shared child that has children": pair,
        "a module that holds itself": cycle,
    }


def _shown(item: Any, paths: dict[int, str]) -> Any:
    """Return *item* of a walk with each module named by its first path."""
    if isinstance(item, tuple):
        return tuple(_shown(part, paths) for part in item)
    if item is None:
        return _NOTHING
    return item if isinstance(item, str) else f"<module {paths.get(id(item), 'from elsewhere')!r}>"


@exercise("walk_modules/build")
def _build(answer: Any) -> str | None:
    if message := missing_method(answer, "named_children", "children", "named_modules", "modules"):
        return message
    mine_by_name, right_by_name = _tree_models(answer), _tree_models(nn.Module)
    for name, mine in mine_by_name.items():
        for call, walk in _WALKS.items():
            if name == "a module that holds itself" and "remove_duplicate" in call:
                continue
            if message := _walk_differs(walk, mine, right_by_name[name]):
                return f"On {name}, {call}: {message}"
    for name, mine in mine_by_name.items():
        if message := _memo_differs(mine):
            return f"On {name}: {message}"
    return None


def _walk_differs(walk: Callable[[Any], Any], mine: Any, right: Any) -> str | None:
    generator = outcome(lambda: walk(mine))
    if isinstance(generator, tuple) and isinstance(generator[0], type):
        return f"it raised {generator[0].__name__}: {generator[1]}"
    if not isinstance(generator, Iterator):
        return (
            f"it returned {type(generator).__name__}. A walk is a generator: the method yields "
            "one at a time."
        )
    found: list[Any] = []
    error = outcome(lambda: found.extend(islice(generator, _LIMIT)))
    if error and error[0] is RecursionError:
        return (
            "the walk does not end. A module must be in the memo before its children are asked, "
            "and they must get the same memo."
        )
    if error:
        return f"it raised {error[0].__name__}: {error[1]}"
    names, truth = _first_paths(mine), _first_paths(right)
    expected = [_shown(item, truth) for item in walk(right)]
    shown = [_shown(item, names) for item in found]
    for position, (is_now, should) in enumerate(zip(shown, expected, strict=False)):
        if is_now != should:
            return (
                f"item {position + 1} is {_spoken(is_now)}, torch has {_spoken(should)}. "
                f"{_reason(is_now, should, shown[:position], expected)}"
            )
    if len(shown) > len(expected):
        extra = shown[len(expected)]
        return (
            f"after {len(expected)} right items comes {_spoken(extra)}. "
            f"{_reason(extra, None, shown[: len(expected)], expected)}"
        )
    if len(shown) < len(expected):
        missing = expected[len(shown)]
        return f"it ends before {_spoken(missing)}. {_reason(None, missing, shown, expected)}"
    return None


def _spoken(item: Any) -> str:
    if isinstance(item, tuple):
        return "(" + ", ".join(_spoken(part) for part in item) + ")"
    return item if item.startswith("<") else repr(item)


def _reason(mine: Any, should: Any, before: list[Any], expected: list[Any]) -> str:
    """Say which idea leads to *mine* where torch has *should*; ``None`` stands for the end."""
    path, module = _split(mine)
    right_module = _split(should)[1]
    modules = [_split(item)[1] for item in expected]
    if mine and should and isinstance(mine, tuple) != isinstance(should, tuple):
        return (
            "The methods with named_ yield pairs of path and module, the others the modules alone."
        )
    if module == _NOTHING:
        return "An entry that is None is no module: pass over it."
    if module == right_module and path.startswith("."):
        return "The prefix of the root is empty, and then there is no dot either."
    if module == right_module:
        return "The path is the prefix, a dot if the prefix is not empty, and the name."
    if right_module == _ROOT:
        return "The first item is the module itself, before its children."
    if module == _ROOT:
        return "The children of a module do not include the module itself."
    if mine and module not in modules:
        return "That is a grandchild: this walk looks one level deep."
    if right_module in [_split(item)[1] for item in before]:
        return (
            "With remove_duplicate=False every place is yielded: nothing is put into the memo, and "
            "the children must get remove_duplicate too."
        )
    if module in [_split(item)[1] for item in before]:
        return (
            "It came before under another name. The memo holds modules, and a walk that goes "
            "deeper hands its memo down to the children."
        )
    return "A module comes first, then each child with everything below it, in their order."


def _split(item: Any) -> tuple[Any, Any]:
    """Return path and module of an item as :func:`_shown` gives it."""
    return item if isinstance(item, tuple) and len(item) == 2 else ("", item)


def _memo_differs(mine: Any) -> str | None:
    memo: set[Any] = set()
    list(mine.named_modules(memo))
    if {id(module) for module in memo} != set(_first_paths(mine)) - {id(None)}:
        return (
            "after named_modules(memo) the memo that was given does not hold every module. An "
            "empty set counts as false: ask whether the memo is None."
        )
    for known in (mine, *mine._modules.values()):
        if known is not None and any(module is known for _, module in mine.named_modules({known})):
            return "named_modules(memo) yields a module that was in the memo from the start."
    return None


@exercise("walk_modules/order")
def _order(answer: Iterable[str]) -> str | None:
    puzzle = nn.Module()
    act = nn.ReLU()
    puzzle.stem = nn.Sequential(nn.Identity(), act)
    puzzle.register_module("skip", None)
    puzzle.body = nn.ModuleList([act, nn.Identity()])
    puzzle.act = act
    expected = [path for path, _ in puzzle.named_modules()]
    everywhere = dict(puzzle.named_modules(remove_duplicate=False))
    paths = list(answer)
    for position, (mine, right) in enumerate(zip(paths, expected, strict=False), 1):
        if mine != right:
            reason = _path_reason(mine, right, expected, everywhere)
            return f"Path {position} is {mine!r}, torch has {right!r}. {reason}"
    if len(paths) > len(expected):
        extra = paths[len(expected)]
        reason = _path_reason(extra, "", expected, everywhere)
        return f"After {len(expected)} right paths comes {extra!r}. {reason}"
    if len(paths) < len(expected):
        return (
            f"The paths end before {expected[len(paths)]!r}. The walk goes down to every depth of "
            "every child."
        )
    return None


def _path_reason(
    mine: str, right: str, expected: list[str], everywhere: dict[str, nn.Module]
) -> str:
    if right == "" and mine in expected:
        return "The walk begins with the module itself, under the empty path."
    if mine in expected:
        return "A module comes first, then each child with everything below it."
    if mine in everywhere:
        return "The same ReLU came before under another name, and the first name wins."
    if mine == "skip":
        return "The entry is None: it was switched off, and a walk passes over it."
    if mine.startswith("extra"):
        return "A plain list is not put into _modules, so no walk finds what is in it."
    return "No place has this path. A list of modules names its children 0, 1 and so on."


@exercise("walk_modules/paths_of")
def _paths_of(answer: Callable[[nn.Module, nn.Module], Iterable[str]]) -> str | None:
    for name, model in _tree_models(nn.Module).items():
        if name == "a module that holds itself":
            continue
        modules = {id(module): module for _, module in _places(model) if module is not None}
        for module in [*modules.values(), nn.Identity()]:
            expected = [path for path, found in _places(model) if found is module]
            found = answer(model, module)
            if found is None or isinstance(found, str):
                return f"The function returned {type(found).__name__}, not a list of paths."
            found = list(found)
            if len(found) != len(set(found)):
                return f"On {name}, a path comes twice: {sorted(found)}."
            missing = [path for path in expected if path not in found]
            extra = [path for path in found if path not in expected]
            if missing == [""]:
                return f"On {name}: the path from a module to itself is the empty path, ''."
            if missing and len(expected) > 1:
                return (
                    f"On {name}, {missing[0]!r} is missing. The module is shared: named_modules() "
                    "gives it under its first name only."
                )
            if missing:
                return f"On {name}, {missing[0]!r} is missing. A path can have several names."
            if extra:
                return f"On {name}, {extra[0]!r} does not lead to this module: ask with `is`."
    return None


class _Marked(nn.Module):
    """What a layer is replaced by; it holds the old layer, as a wrapper does."""

    def __init__(self, old: nn.Module) -> None:
        super().__init__()
        self.old = old


def _replace_models() -> dict[str, nn.Module]:
    """Return models in which every Tanh is to be replaced."""
    shared = nn.Tanh()
    block = nn.Sequential(nn.Tanh(), nn.ReLU())
    two_blocks = nn.Module()
    two_blocks.left = block
    two_blocks.right = block
    two_blocks.register_module("nothing", None)
    return {
        "a flat model": nn.Sequential(nn.Tanh(), nn.ReLU(), nn.Tanh()),
        "a nested model": nn.Sequential(nn.ReLU(), nn.Sequential(block, nn.Tanh())),
        "a model with one layer under two names": nn.Sequential(shared, nn.ReLU(), shared),
        "a model with one layer under two parents": nn.Sequential(
            nn.Sequential(shared), nn.Sequential(nn.ReLU(), shared)
        ),
        "a model with a shared block": two_blocks,
    }


@exercise("walk_modules/replace")
def _replace(answer: Callable[..., Any]) -> str | None:
    for name, model in _replace_models().items():
        before = list(_places(model))
        made: list[tuple[nn.Module, _Marked]] = []

        def make(old: nn.Module, made: list[tuple[nn.Module, _Marked]] = made) -> nn.Module:
            if len(made) > _LIMIT:
                raise RecursionError
            made.append((old, _Marked(old)))
            return made[-1][1]

        failed = outcome(lambda model=model, make=make: answer(model, nn.Tanh, make) and None)
        if failed and failed[0] is RecursionError:
            return (
                f"On {name}, the walk has no end: it comes into the new layers and finds the old "
                "one there. List the places first, then change."
            )
        if failed and "changed size" in failed[1]:
            return f"On {name}, a dictionary changed its size during the walk. List first."
        if failed:
            return f"On {name}, it raised {failed[0].__name__}: {failed[1]}"
        if message := _places_differ(before, model, made):
            return f"On {name}, {message}"
    return None


def _places_differ(
    before: list[tuple[str, Any]], model: nn.Module, made: list[tuple[nn.Module, _Marked]]
) -> str | None:
    for module in model.modules():
        if dotted := [key for key in module._modules if "." in key]:
            return (
                f"a child with the name {dotted[0]!r} was added. setattr does not understand dots: "
                "replace the layer in its parent."
            )
    chosen: dict[nn.Module, Any] = {}
    for path, old in before:
        now = _at(model, path)
        if not isinstance(old, nn.Tanh):
            if now is not old:
                return f"{path!r} is another object than before, and it is not of this kind."
        elif now is old:
            if old in chosen:
                return (
                    f"the layer at {path!r} is still the old one. It is shared, and it was "
                    "replaced under its first name only."
                )
            idea = "A layer can be at any depth." if "." in path else "Change the model in place."
            return f"the layer at {path!r} is still the old one. {idea}"
        elif not isinstance(now, _Marked):
            return f"{path!r} does not hold what make returned."
        elif now.old is not old:
            return f"the layer at {path!r} was replaced twice: what make returns stays as it is."
        elif chosen.setdefault(old, now) is not now:
            return (
                f"the layer at {path!r} was shared, and now it is not: make was called for each "
                "place, and should be called once for each layer."
            )
    if any(new.old is not old for old, new in made):
        return "the old layer inside the new one was replaced. List the places first."
    order = [path for path, _ in before]
    if [path for path, _ in _places(model) if path in order] != order:
        return "the children are in another order than before: replace, do not delete and add."
    return None


def _at(model: nn.Module, path: str) -> Any:
    """Return what stands at *path*, ``None`` too."""
    module: Any = model
    for name in path.split(".") if path else []:
        module = module._modules.get(name)
    return module
