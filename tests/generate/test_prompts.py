"""Prompts that do not fit, chat templates, and settings that make no sense."""

from __future__ import annotations

import copy

import pytest

import aftertune
from aftertune.errors import InputError
from aftertune.generate.collect import CollectOptions
from aftertune.generate.prompts import PromptOptions, encode, prompt_ids, render
from aftertune.models.loaded import wrap
from tiny import BOS, prompts, tiny

LONG = " ".join(["w1"] * 200) + " w7 ="


def test_a_prompt_beyond_the_context_is_an_error_with_the_lengths():
    loaded = wrap(*tiny("llama"), "tiny")
    with pytest.raises(InputError, match=r"item 'x' has 203 tokens, but tiny has room for 86 \(context 96, 10"):
        encode(loaded, [LONG], PromptOptions(), 10, ["x"])


def test_truncation_keeps_the_beginning_token_and_the_end():
    loaded = wrap(*tiny("llama"))
    encoded = encode(loaded, ["w3 =", LONG], PromptOptions(too_long="truncate"), 10)
    assert encoded.truncated == (1,)
    assert len(encoded.ids[1]) == 86
    assert encoded.ids[1][0] == BOS
    assert encoded.ids[1][-2:] == tuple(loaded.tokenizer("w7 =")["input_ids"][1:])


def test_dropping_leaves_the_others():
    loaded = wrap(*tiny("bart"))
    encoded = encode(loaded, [LONG, "w3 ="], PromptOptions(too_long="drop"), 10)
    assert (encoded.index, encoded.dropped) == ((1,), (0,))
    with pytest.raises(InputError, match="no prompt fits"):
        encode(loaded, [LONG], PromptOptions(too_long="drop"), 10)


def test_relative_positions_have_no_limit():
    loaded = wrap(*tiny("t5"))
    assert loaded.context is None
    assert len(encode(loaded, [LONG], PromptOptions(), 10).ids[0]) == 203


def test_no_room_for_any_prompt():
    loaded = wrap(*tiny("llama"))
    with pytest.raises(InputError, match="leaves no room"):
        encode(loaded, ["w1"], PromptOptions(), 96)


def test_chat_template_is_used_where_there_is_one():
    tokenizer = copy.deepcopy(tiny("llama")[1])
    loaded = wrap(tiny("llama")[0], tokenizer, "mine")
    assert render(loaded, "w1", "auto") == ("w1", False)
    with pytest.raises(InputError, match="the tokenizer of mine has no chat template"):
        render(loaded, "w1", "on")
    tokenizer.chat_template = "<s> {% for m in messages %}w9 {{ m.content }} {% endfor %}="
    assert render(loaded, "w1", "auto") == ("<s> w9 w1 =", True)
    assert prompt_ids(loaded, "w1", "auto").count(BOS) == 1, "the template's own BOS, not a second one"
    assert render(loaded, "w1", "off") == ("w1", False)


@pytest.mark.parametrize(
    "settings",
    [
        {"beams": 1},
        {"dropout_samples": 1},
        {"max_new_tokens": 0},
        {"beams": 0, "dropout_samples": 0, "greedy": False, "embedding": False},
    ],
)
def test_settings_that_make_no_sense(settings):
    with pytest.raises(InputError):
        CollectOptions(**settings)


def test_collect_needs_prompts():
    model, tokenizer = tiny("llama")
    with pytest.raises(InputError):
        aftertune.collect(model, tokenizer, [], beams=0, dropout_samples=0)
    assert len(aftertune.collect(model, tokenizer, prompts(1), beams=0, dropout_samples=0, max_new_tokens=2)) == 1


def test_no_prompt_is_said_as_such():
    model, tokenizer = tiny("llama")
    with pytest.raises(InputError, match="no prompts: give at least one"):
        aftertune.collect(model, tokenizer, [], beams=0, dropout="none")
