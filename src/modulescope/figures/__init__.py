"""The matplotlib figures of the book, in one house style."""

from .keys import entries_by_kind
from .training import picture_row, resumed_curves

__all__ = ["entries_by_kind", "picture_row", "resumed_curves"]
