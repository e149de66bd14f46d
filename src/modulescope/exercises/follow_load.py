"""Checks of the chapter "Follow load_state_dict down the tree"."""
