"""Registry, errors, seeds and signatures."""

from __future__ import annotations

import pytest

from aftertune import seeds
from aftertune.errors import InputError, unknown
from aftertune.registry import Registry
from aftertune.signature import digest, signature


def test_an_error_is_one_line_and_says_where():
    error = InputError("first\n  second", file="a.jsonl", line=3)
    assert str(error) == "a.jsonl, line 3: first second"


def test_unknown_names_the_nearest():
    assert str(unknown("score", "beam_raio", ["beam_ratio", "x"])).endswith("did you mean beam_ratio?")
    assert str(unknown("score", "zzz", ["b", "a"])).endswith("known: a, b")


def test_registry_refuses_a_second_entry_of_the_same_name():
    registry: Registry[int] = Registry("thing", "things", "aftertune.finetune")
    registry.add("one", 1)
    with pytest.raises(ValueError, match="registered twice"):
        registry.add("one", 2)
    assert registry.get("one") == 1
    assert "two" not in registry
    with pytest.raises(InputError, match="unknown thing 'on': did you mean one"):
        registry.get("on")


def test_seeds_depend_on_every_part_and_are_the_same_everywhere():
    assert seeds.derive(0, "dropout", "a") == 3339264302759395482  # from sha256sum
    assert len({seeds.derive(s, *parts) for s in (0, 1) for parts in ((), ("a",), ("a", "b"), ("ab",))}) == 8
    assert seeds.generator(3, "x").integers(1 << 30) == seeds.generator(3, "x").integers(1 << 30)


def test_digest_is_of_the_content():
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_signature_leaves_out_what_is_none():
    assert signature("x", k=3, other=None).startswith("x|k:3|version:")
