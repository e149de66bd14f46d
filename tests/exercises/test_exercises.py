"""A check refuses wrong answers that people give, and names the idea behind them.

The wrong answers of a chapter stand in ``wrong_CHAPTER.py`` beside this file, as a list ``WRONG``
of triples: the exercise, the answer, a piece of the message.
"""

import importlib

import pytest
import torch
from torch import nn

from modulescope import check
from modulescope.exercises import CHAPTERS, names

WRONG = [case for chapter in CHAPTERS for case in importlib.import_module(f"wrong_{chapter}").WRONG]


@pytest.mark.parametrize(("name", "answer", "idea"), WRONG)
def test_a_wrong_answer_is_refused_with_its_idea(name, answer, idea):
    random_state = torch.get_rng_state()
    result = check(name, answer)
    assert result.status == "not yet"
    assert idea in result.message
    assert torch.equal(torch.get_rng_state(), random_state)


def test_every_exercise_refuses_something_and_waits_for_an_answer():
    assert {name for name, _, _ in WRONG} == set(names())
    assert all(check(name, ...).status == "not attempted" for name in names())


def test_an_unknown_exercise_is_an_error_that_lists_the_known():
    with pytest.raises(KeyError, match="save_weights/keys"):
        check("save_weights/kyes", ...)


def test_a_check_leaves_the_readers_answer_alone():
    state = nn.Linear(1, 1).state_dict()
    assert not check("save_weights/keys", state).passed
    assert list(state) == ["weight", "bias"]
