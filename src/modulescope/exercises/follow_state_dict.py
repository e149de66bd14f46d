"""Checks of the chapter "Follow state_dict down the tree"."""
