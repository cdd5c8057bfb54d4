"""The Python API: the names and keywords that others call."""

from __future__ import annotations

import inspect
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import aftertune
from aftertune.cli import main as cli
from aftertune.judges import judge_from
from aftertune.options import DEFAULTS
from aftertune.study.config import EvaluationConfig
from aftertune.types import Beams, DropoutSamples, Evidence, Greedy
from tiny import prompts, tiny


def test_everything_that_is_promised_is_there():
    for name in aftertune.__all__:
        assert getattr(aftertune, name) is not None
    assert set(aftertune.__all__) >= {"analyze", "audit", "collect", "plan", "quality", "run", "score"}
    assert set(dir(aftertune)) == set(aftertune.__all__) >= {"Example", "read_records", "load_task"}
    assert (Path(aftertune.__file__).parent / "py.typed").is_file()
    with pytest.raises(AttributeError, match="no attribute 'analyse'"):
        aftertune.analyse  # noqa: B018


@pytest.mark.parametrize(
    ("function", "positional", "keywords"),
    [
        (
            "collect",
            ["model", "tokenizer", "prompts"],
            {
                "beams": 10,
                "dropout_samples": 3,
                "max_new_tokens": 128,
                "batch_size": None,
                "seed": 0,
                "dropout": None,
                "embedding": True,
            },
        ),
        ("audit", ["before", "after"], {"task": None, "data": None, "out": inspect.Parameter.empty}),
        ("run", ["study"], {"out": inspect.Parameter.empty}),
        ("analyze", ["records"], {"out": inspect.Parameter.empty}),
        ("plan", [], {"like": None, "items": None, "seeds": None, "changes": None}),
    ],
)
def test_keywords(function, positional, keywords):
    parameters = inspect.signature(getattr(aftertune, function)).parameters
    found = [p.name for p in parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert found == positional
    for name, default in keywords.items():
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[name].default is default or parameters[name].default == default
    assert list(inspect.signature(aftertune.score).parameters) == ["evidence", "names"]
    assert list(inspect.signature(aftertune.quality.compute).parameters) == ["name", "outputs", "references"]


def test_defaults_are_those_of_the_options():
    """Of the API, the command line and study files; said once, in `aftertune.options`."""
    options = {f.name: getattr(DEFAULTS, f.name) for f in fields(DEFAULTS)}
    (command,) = (c.callback for c in cli.app.registered_commands if c.callback.__name__ == "audit")
    doors = [aftertune.collect, aftertune.ConfidenceCallback.__init__, aftertune.analyze, command, judge_from]
    other = {"max_new_tokens", "dropout"}  # `collect` knows no task, and takes None for "auto"
    for door in doors:
        parameters = inspect.signature(door).parameters
        asked = set(options) & set(parameters) - {"seed"} - (other if door is aftertune.collect else set())
        assert asked or door is judge_from
        assert {name: parameters[name].default for name in asked} == {name: options[name] for name in asked}
    assert inspect.signature(judge_from).parameters["concurrency"].default == DEFAULTS.judge_concurrency
    evaluation = EvaluationConfig()
    for name in set(options) & set(EvaluationConfig.model_fields):
        assert getattr(evaluation, name) == options[name]


@pytest.mark.parametrize(("architecture", "dropout"), [("t5", None), ("llama", "residual:0.1")])
def test_collect_then_score(architecture, dropout):
    model, tokenizer = tiny(architecture)
    asked = prompts(5, seed=4)
    settings = {"beams": 3, "dropout_samples": 2, "max_new_tokens": 14, "dropout": dropout}
    evidence = aftertune.collect(model, tokenizer, asked, **settings)
    assert isinstance(evidence, Evidence)
    parts = (evidence.greedy, evidence.beams, evidence.dropout)
    assert [type(part) for part in parts] == [Greedy, Beams, DropoutSamples]
    alone = aftertune.collect(model, tokenizer, asked[2:3], **settings)
    assert alone.greedy.text[0] == evidence.greedy.text[2]  # in the prompts' order
    scores = aftertune.score(evidence)
    assert set(scores) == set(aftertune.scores.SCORES.names())
    for values in scores.values():
        assert (values.dtype, values.shape) == (np.float64, (5,))
    some = aftertune.score(evidence, ["beam_ratio[k=2]", "dropout_kl"])
    assert list(some) == ["beam_ratio[k=2]", "dropout_kl"]
    np.testing.assert_array_equal(some["dropout_kl"], scores["dropout_kl"])
    quality = aftertune.quality.compute("token_f1", list(evidence.greedy.text), [[p] for p in asked])
    assert (quality.dtype, quality.shape) == (np.float64, (5,))
    assert not model.training


def test_parts_that_are_not_wanted_are_absent():
    model, tokenizer = tiny("llama")
    evidence = aftertune.collect(
        model, tokenizer, ["w1 ="], beams=0, dropout_samples=0, max_new_tokens=4, embedding=False
    )
    assert (evidence.beams, evidence.dropout, evidence.embedding) == (None, None, None)
    assert set(aftertune.score(evidence)) == {"mean_token_logprob", "mean_token_entropy"}
    with pytest.raises(aftertune.errors.InputError, match="beam_sum"):
        aftertune.score(evidence, ["beam_sum"])


def test_dropout_that_does_not_act_is_an_error_that_says_what_to_do():
    model, tokenizer = tiny("llama")
    with pytest.raises(aftertune.errors.InputError, match="dropout native does not act, the model has no dropout"):
        aftertune.collect(model, tokenizer, ["w1 ="], max_new_tokens=4, dropout="native")
