"""The recorder and the stepper tell what torch did, on any module, and change nothing."""

import sys
from html.parser import HTMLParser
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from modulescope import record, step
from modulescope.trace import describe

NAMES = st.sampled_from(["a", "ab", "a_b", "0", "10", "weight"])


@st.composite
def modules(draw, depth=2):
    """Return a random tree with shared modules, ``None`` entries and every kind of buffer."""
    net = nn.Module()
    for name in draw(st.lists(NAMES, unique=True, max_size=4)):
        kinds = ["parameter", "no parameter", "buffer", "non-persistent", "no module", "shared"]
        kind = draw(st.sampled_from([*kinds, "child"] if depth else kinds))
        if kind == "parameter":
            net.register_parameter(name, nn.Parameter(torch.zeros(2)))
        elif kind == "no parameter":
            net.register_parameter(name, None)
        elif kind in ("buffer", "non-persistent"):
            net.register_buffer(name, torch.zeros(3), persistent=kind == "buffer")
        elif kind == "no module":
            net.register_module(name, None)
        elif kind == "shared" and net._modules:
            net.register_module(name, next(iter(net._modules.values())))
        elif kind == "child":
            net.register_module(name, draw(modules(depth=depth - 1)))
    return net


class Texts(HTMLParser):
    """Collects the text of every ``ins`` element, and checks that elements are closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.inserted = [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        if tag == "ins":
            self.inserted.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "ins" in self.open:
            self.inserted[-1] += data


@settings(max_examples=150, deadline=None)
@given(modules(), st.booleans())
def test_the_story_ends_in_torchs_own_dictionary(net, fold):
    expected = net.state_dict()
    stepper = step(net.state_dict, fold=fold)

    added = [entry.key for row in stepper.rows for entry in row.added]
    assert added == list(expected)
    assert list(stepper.recording.result) == list(expected)
    # Calls open and close like brackets: no step is deeper than one call below the one before.
    depths = [row.depth for row in stepper.rows]
    assert all(after <= before + 1 for before, after in pairwise(depths))
    # Text and HTML tell the same story as the recording, and tell it the same way twice.
    page = Texts()
    page.feed(stepper._repr_html_().replace("<script>", "<!--").replace("</script>", "-->"))
    assert page.open == []
    assert [text.split("'")[1] for text in page.inserted] == added
    if not fold:
        assert all(f"+ {key!r}" in repr(stepper) for key in expected)
    assert repr(stepper) == repr(step(net.state_dict, fold=fold))


def test_why_an_entry_is_left_out_is_told():
    text = repr(step(nn.Linear(2, 3, bias=False).state_dict))
    assert "left out: name = 'bias', param = None" in text
    assert "if param is not None:" in text


def test_an_override_and_the_method_it_extends_are_told_apart():
    class Layer(nn.Linear):
        def state_dict(self, *args, **kwargs):
            return super().state_dict(*args, **kwargs)

    recording = step(Layer(1, 1).state_dict).recording
    functions = [recorded.function.rpartition("<locals>.")[2] for recorded in recording.steps]
    assert functions[0] == "Layer.state_dict"
    assert "Module.state_dict" in functions


def test_a_dictionary_that_was_not_empty_is_not_counted_as_grown():
    stepper = step(nn.Linear(1, 1, bias=False).state_dict, destination={"old": torch.zeros(1)})
    assert [entry.key for row in stepper.rows for entry in row.added] == ["weight"]


def test_generators_are_suspended_and_resumed():
    net = nn.Sequential(nn.ReLU())
    recording = record(net.named_modules, watch=[nn.Module.named_modules])
    kinds = [(found.kind, found.path) for found in recording.steps if found.kind != "line"]
    assert kinds == [
        ("call", ""),
        ("yield", ""),
        ("resume", ""),
        ("call", "0"),
        ("yield", "0"),
        ("yield", ""),
        ("resume", ""),
        ("resume", "0"),
        ("return", "0"),
        ("return", ""),
    ]
    assert recording.result == list(net.named_modules())


def test_entries_that_look_alike_are_told_apart():
    net = nn.BatchNorm1d(3)
    stepper = step(net.named_parameters, watch=[nn.Module._named_members], track=["memo"])
    assert sum(len(row.added) for row in stepper.rows) == len(list(net.parameters())) == 2


def test_an_error_is_the_last_step_and_the_old_tracer_comes_back():
    net = nn.Linear(1, 1)
    net._state_dict_pre_hooks[0] = lambda *args: 1 / 0

    def other_tracer(frame, event, arg):
        return None

    before = sys.gettrace()
    sys.settrace(other_tracer)
    try:
        stepper = step(net.state_dict)
        assert sys.gettrace() is other_tracer
    finally:
        sys.settrace(before)
    assert isinstance(stepper.recording.error, ZeroDivisionError)
    assert "raises ZeroDivisionError: division by zero" in stepper.rows[-1].text


def test_names_from_the_model_cannot_become_html():
    net = nn.Module()
    net.register_parameter("<script>alert(1)</script>", nn.Parameter(torch.zeros(1)))
    assert "<script>alert" not in step(net.state_dict)._repr_html_()


@pytest.mark.parametrize("wrong", [len, torch.nn.functional.relu, "state_dict"])
def test_what_is_not_a_method_of_a_module_is_refused(wrong):
    with pytest.raises(TypeError, match=r"net\.state_dict"):
        step(wrong)


def test_descriptions_hold_no_address():
    values = [object(), nn.ReLU(), torch.zeros(2), lambda: 0, {1: 2}, ("a", object()), "x" * 99]
    assert not any("0x" in describe(value) for value in values)
