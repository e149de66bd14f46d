"""Checks of the chapter "Register parameters, buffers and submodules"."""
