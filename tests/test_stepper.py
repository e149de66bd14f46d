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
from modulescope.source import read_source
from modulescope.stepper import _STORIES
from modulescope.trace import describe, nested

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
    assert "Linear.state_dict()\n" in text
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
        ("end", "0"),
        ("end", ""),
    ]
    assert recording.result == list(net.named_modules())


def test_entries_that_look_alike_are_told_apart():
    net = nn.BatchNorm1d(3)
    stepper = step(net.named_parameters, watch=[nn.Module._named_members], track=["memo"])
    grown = [entry for row in stepper.rows for entry in row.added if entry.variable == "memo"]
    assert len(grown) == len(list(net.parameters())) == 2


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


def test_torch_still_has_every_line_that_a_story_has_a_word_for():
    firsts = []
    for watched in {name for story in _STORIES.values() for name in story.watch}:
        outer, _, inner = watched.partition(".")
        function = getattr(nn.Module, outer)
        source = read_source(nested(function, inner) if inner else function)
        firsts += [source.line(statement.first) for statement in source.statements.values()]
    anchors = {moment.anchor for story in _STORIES.values() for moment in story.moments}
    assert {anchor for anchor in anchors if not any(anchor in line for line in firsts)} == set()


def happened(stepper, *labels):
    return [entry.key for row in stepper.rows for entry in row.added if entry.variable in labels]


@settings(max_examples=60, deadline=None)
@given(modules(), st.data())
def test_a_load_is_told_key_by_key(net, data):
    state = {key: torch.ones_like(value) for key, value in net.state_dict().items()}
    damaged = dict(state)
    for key in data.draw(st.lists(st.sampled_from(list(state)), unique=True)) if state else []:
        damaged.pop(key)
    assign = data.draw(st.booleans())
    expected = net.load_state_dict(dict(damaged), strict=False, assign=assign)
    stepper = step(net.load_state_dict, damaged, strict=False, assign=assign, fold=False)
    assert happened(stepper, "put in place" if assign else "copied") == [
        key for key in state if key in damaged
    ]
    assert happened(stepper, "missing_keys") == expected.missing_keys
    assert set(happened(stepper, "unexpected_keys")) == set(expected.unexpected_keys)


@settings(max_examples=60, deadline=None)
@given(modules())
def test_a_walk_is_told_item_by_item(net):
    for walk in (net.named_modules, net.named_parameters, net.named_buffers, net.named_children):
        for fold in (False, True):
            assert happened(step(walk, fold=fold), "yielded") == [name for name, _ in walk()]


@settings(max_examples=60, deadline=None)
@given(modules())
def test_a_cast_is_told_tensor_by_tensor(net):
    stepper = step(net.to, torch.float64, fold=False)
    labels = ("same object, data set", "new object", "swapped")
    # A shared module is visited once for each of its parents.
    assert set(happened(stepper, *labels)) == {name for name, _ in net.named_parameters()}
    assert stepper.recording.error is None


def test_a_copy_that_fails_is_not_told_as_done():
    net = nn.Linear(1, 1, bias=False)
    stepper = step(net.load_state_dict, {"weight": torch.zeros(1, 1).to_sparse()})
    assert isinstance(stepper.recording.error, RuntimeError)
    assert happened(stepper, "copied") == []
    assert "an exception occurred" in happened(stepper, "error_msgs")[0]


def test_every_decision_of_an_assignment_is_told():
    net = nn.Linear(1, 1)
    text = repr(step(net.__setattr__, "weight", nn.Parameter(torch.ones(1, 1))))
    assert "isinstance(value, Parameter): yes" in text
    assert "put into _parameters 'weight'" in text
    refused = repr(step(net.__setattr__, "weight", torch.ones(1, 1)))
    assert "params is not None and name in params: yes" in refused
    assert "raises TypeError: cannot assign" in refused


def test_why_a_shared_module_is_left_out_is_told():
    net = nn.Sequential(nn.ReLU())
    net.again = net[0]
    assert "left out: because self in memo" in repr(step(net.named_modules))


@pytest.mark.parametrize(
    "name", ["state_dict", "to", "named_modules", "named_parameters", "buffers"]
)
def test_a_real_model_gives_a_page_that_opens_at_once(name, resnet):
    args = (torch.float64,) if name == "to" else ()
    assert len(step(getattr(resnet, name), *args)._repr_html_().encode()) < 60_000


def test_loading_a_real_model_gives_a_page_that_opens_at_once(resnet):
    stepper = step(resnet.load_state_dict, resnet.state_dict())
    assert len(stepper._repr_html_().encode()) < 60_000
    assert happened(stepper, "copied") == list(resnet.state_dict())


@pytest.fixture(scope="module")
def resnet():
    from torchvision.models import resnet18

    with torch.device("meta"):
        return resnet18()
