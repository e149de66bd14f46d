"""The matplotlib figures of the book, in one house style."""

from .identity import objects_kept
from .keys import entries_by_kind
from .lookup import lookup_order
from .training import picture_row, resumed_curves

__all__ = ["entries_by_kind", "lookup_order", "objects_kept", "picture_row", "resumed_curves"]
