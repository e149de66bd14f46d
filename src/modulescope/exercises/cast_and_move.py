"""Checks of the chapter "Cast and move with to"."""
