"""Constructors refuse what is not what it says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from aftertune.types import Beams, DropoutSamples, Evidence, Example, Greedy, ItemScores

NAN = np.nan


def greedy(**changes):
    fields = {
        "text": ["a", "b"],
        "token_logprob": [[-1.0, -2.0], [-1.0, NAN]],
        "token_entropy": [[1.0, 2.0], [1.0, NAN]],
        "n_tokens": [2, 1],
    }
    return Greedy(**(fields | changes))


def test_values_are_finite_exactly_where_there_are_tokens():
    assert greedy().token_logprob.dtype == np.float64
    with pytest.raises(ValueError, match="finite exactly where there are tokens"):
        greedy(token_logprob=[[-1.0, -2.0], [-1.0, -3.0]])
    with pytest.raises(ValueError, match="finite exactly where there are tokens"):
        greedy(token_entropy=[[1.0, NAN], [1.0, NAN]])


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="n_tokens has shape"):
        greedy(n_tokens=[2])
    with pytest.raises(ValueError, match="2 axes instead of 1|1 axes instead of 2"):
        greedy(text=[["a"], ["b"]])


def test_kl_needs_two_unfinished_samples():
    fields = {
        "text": [["a", "b"]],
        "token_logprob": [[[-1.0, -1.0], [-1.0, NAN]]],
        "token_entropy": [[[1.0, 1.0], [1.0, NAN]]],
        "n_tokens": [[2, 1]],
    }
    assert DropoutSamples(**fields, token_kl=[[[0.1, NAN], [0.1, NAN]]]).token_kl.shape == (1, 2, 2)
    with pytest.raises(ValueError, match="token_kl"):
        DropoutSamples(**fields, token_kl=[[[0.1, 0.0], [0.1, NAN]]])


def test_absent_beams_have_no_probability():
    assert Beams(text=[["a", ""]], sequence_logprob=[[-1.0, NAN]], n_tokens=[[1, 0]]).text.shape == (1, 2)
    with pytest.raises(ValueError, match="sequence_logprob"):
        Beams(text=[["a", ""]], sequence_logprob=[[-1.0, -1e9]], n_tokens=[[1, 0]])


def test_evidence_items_are_unique_and_counted():
    with pytest.raises(ValueError, match="not unique"):
        Evidence(item_ids=["x", "x"], greedy=greedy())
    with pytest.raises(ValueError, match="Greedy has 2 items instead of 3"):
        Evidence(item_ids=["x", "y", "z"], greedy=greedy())


def test_a_reason_stands_exactly_where_the_value_is_nan():
    assert len(ItemScores(value=[0.5, NAN], reason=[None, "no tokens"]).value) == 2
    with pytest.raises(ValueError, match="a reason stands"):
        ItemScores(value=[0.5, NAN], reason=[None, None])
    with pytest.raises(ValueError, match="infinite"):
        ItemScores(value=[np.inf], reason=[None])


def test_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        greedy().text = ["c", "d"]


def test_an_example_needs_a_reference():
    assert Example(id="a", prompt="p", references=("x", "y")).target == "x"
    with pytest.raises(ValueError, match="no reference"):
        Example(id="a", prompt="p", references=())
