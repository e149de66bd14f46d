"""Checks of the chapter "Walk children and modules"."""
