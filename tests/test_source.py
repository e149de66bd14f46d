"""An excerpt is the installed source, and a note cannot outlive the line it hangs on."""

import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from modulescope import show_source
from modulescope.source import AnchorError, read_source

METHODS = [
    function
    for name, function in vars(nn.Module).items()
    if inspect.isfunction(function) and function.__module__ == nn.Module.__module__
]


@given(st.sampled_from(METHODS), st.data())
def test_every_line_is_where_the_file_has_it_and_marks_are_never_folded(function, data):
    source = read_source(function)
    lines, first = inspect.getsourcelines(function)
    assert [line.strip() for line in source.lines] == [line.strip() for line in lines]
    assert source.first_line == first

    code = [line.strip() for line in source.lines if line.strip()]
    picked = data.draw(st.sampled_from(code))
    begin, end = source.docstring or (0, -1)
    try:
        view = show_source(function, picked)
    except AnchorError:
        assert all(picked not in source.line(n) or begin <= n <= end for n in source.numbers)
        return
    assert view.marked <= view.shown
    assert all(picked in source.line(number) for number in view.marked)
    # What is open and what is folded are together the whole function, in both renderings.
    folded = sum(int(n) for n in re.findall(r"\.\.\. (\d+) lines?", repr(view)))
    assert folded + len(view.shown) == len(source.lines)
    assert view._repr_html_().count("<i>") == len(source.lines)


def test_a_line_that_torch_no_longer_has_is_an_error_that_names_the_nearest():
    with pytest.raises(AnchorError, match=r"The closest line is: for name, module in") as caught:
        show_source(nn.Module.state_dict, "for name, modul in self._modules.items()")
    assert "Module.state_dict" in str(caught.value)


def test_a_note_needs_one_place():
    with pytest.raises(AnchorError, match="stands in lines"):
        show_source(nn.Module.state_dict, notes={"prefix": "which one?"})


def test_an_anchor_in_the_docstring_does_not_count():
    assert "shallow copy" in nn.Module.state_dict.__doc__
    with pytest.raises(AnchorError):
        show_source(nn.Module.state_dict, "shallow copy")


def test_what_is_not_python_is_refused():
    with pytest.raises(TypeError, match="no Python code"):
        show_source(len)
