"""The matplotlib figures of the book, in one house style."""

from .identity import objects_kept
from .keys import entries_by_kind
from .loading import copied_or_assigned
from .lookup import lookup_order
from .member_walks import member_engine
from .module_walks import memo_of_walk
from .prefixes import tree_beside_keys
from .registration import assignment_paths
from .training import picture_row, resumed_curves

__all__ = [
    "assignment_paths",
    "copied_or_assigned",
    "entries_by_kind",
    "lookup_order",
    "member_engine",
    "memo_of_walk",
    "objects_kept",
    "picture_row",
    "resumed_curves",
    "tree_beside_keys",
]
