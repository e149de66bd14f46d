"""Checks of the chapter "Look up an attribute"."""
