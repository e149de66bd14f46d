"""Checks of the chapter "Walk parameters and buffers"."""
