"""Checks that records tell, one fault at a time."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scripts.simulate.checks import false_falls_of_quality, negative_scores

from aftertune.analysis.analyse import analyse
from aftertune.analysis.checkpoints import settings_of
from aftertune.analysis.checks import runs_in_circles, same_items
from aftertune.errors import InputError
from record_samples import checkpoint, study, together


def pair(n=40, **changes):
    """Two checkpoints, quality and score apart; `changes` are made from the epoch."""
    rng = np.random.default_rng(2)
    parts = []
    for epoch in (0, 1):
        quality = rng.random(n)
        given = {
            "output": [f"o{i}" for i in range(n)],
            "references": [(f"r{i}",) for i in range(n)],
            "extra": {"input": [f"q{i}" for i in range(n)]},
        }
        given |= {name: value(epoch) for name, value in changes.items()}
        quality = given.pop("quality", quality)
        scores = given.pop("scores", {"mine": quality + rng.normal(size=n)})
        parts.append(checkpoint(quality, scores, epoch=epoch, **given))
    return together(*parts)


def found(records, check, **settings):
    """Checkpoint → (level, value), of one check."""
    rows = analyse(records, resamples=20, **settings).rows("checks")
    return {row.checkpoint: (row.level, row.value) for row in rows if row.check == check}


def message(records, check):
    return next(
        r.message for r in analyse(records, resamples=20).rows("checks") if r.check == check and r.level != "ok"
    )


@pytest.mark.parametrize(("n", "level"), [(0, "ok"), (1, "note"), (2, "warning")])
def test_shares_of_answers_warn_from_a_twentieth(n, level):
    """Of 40 answers."""
    loop = "the cat sat on the cat sat on the cat sat on the cat sat on"
    looped = pair(output=lambda epoch: [loop if epoch and i < n else "a cat" for i in range(40)])
    empty = pair(output=lambda epoch: [" " if epoch and i < n else "a cat" for i in range(40)])
    flags = pair(extra=lambda epoch: {
        "hit_limit": [bool(epoch) and i < n for i in range(40)],
        "prompt_cut": [bool(epoch) and i < n for i in range(40)],
        "n_tokens": [24] * 40,
    })  # fmt: skip
    for records, check in (
        (looped, "loops"),
        (empty, "empty answers"),
        (flags, "token limit"),
        (flags, "prompts cut"),
    ):
        assert found(records, check) == {"before": ("ok", 0), "last": (level, n / 40)}, check
    if level == "warning":
        assert message(flags, "token limit").startswith(
            "24-token limit: 5 % of answers after fine-tuning were cut"
        )


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("", False),
        ("to be or not to be, that is the question", False),
        ("no no no no no", False),
        ("no no no no no no", True),
        ("a b c d e a b c d f a b c d", True),
        ("a b c d e a b c d f a b c", False),
        ("这是这是这是这是这是", True),
        ("one two three " * 4, True),
    ],
)
def test_what_runs_in_circles(text, loops):
    assert runs_in_circles(text) is loops


def test_duplicates_by_prompt_and_references():
    asked = [f"q{i}" for i in range(39)]
    twice = pair(extra=lambda epoch: {"input": ["q0", *asked]}, references=lambda epoch: [("r",)] * 40)
    assert found(twice, "duplicate items") == {"": ("note", 1)}
    setting = settings_of(twice)[0]
    groups = same_items(twice, setting)
    assert len(set(groups.tolist())) == 39
    first = setting.item_ids.tolist().index("item-0")
    assert groups[first] == groups[setting.item_ids.tolist().index("item-1")]
    other = pair(extra=lambda epoch: {"input": ["q0", *asked]})  # other references
    assert found(other, "duplicate items") == {"": ("ok", 0)}
    assert math.isnan(found(study(), "duplicate items")[""][1])
    grouped = pair(extra=lambda epoch: {"group": [f"g{i % 8}" for i in range(40)]})
    assert found(grouped, "groups") == {"": ("warning", 8)}


def test_items_that_some_checkpoints_lack():
    records = pair()
    few = records.take((records.epoch == 0) | np.isin(records.item_id, [f"item-{i}" for i in range(37)]))
    assert found(few, "common items") == {"": ("warning", 37 / 40)}
    none = pair(ids=lambda epoch: [f"{epoch}-{i}" for i in range(40)])
    with pytest.raises(InputError, match=r"before and last have no item in common \(such as '0-0' and"):
        analyse(none, resamples=20)
    assert found(none, "common items", allow_other_items=True) == {"": ("refused", 0)}


def test_validation_items_by_prompts_else_by_ids_and_references():
    records = pair()
    validation = replace(records, split=np.full(len(records), "validation", dtype=object))
    assert found(together(records, validation), "validation items") == {"": ("warning", 40)}
    bare = [replace(one, extra={}) for one in (records, validation)]
    assert found(together(*bare), "validation items") == {"": ("warning", 40)}
    other = replace(bare[1], references=np.fromiter([("x",)] * 80, dtype=object, count=80))
    assert found(together(bare[0], other), "validation items") == {"": ("ok", 0)}
    unknown = replace(bare[1], references=np.full(80, None, dtype=object))
    assert found(together(bare[0], unknown), "validation items")[""][0] == "note"


def test_one_class_and_few_values():
    right = replace(pair(), correct=np.array([True] * 80, dtype=object))
    assert found(right, "one class") == {"before": ("warning", 1), "last": ("warning", 1)}
    three = pair(scores=lambda epoch: {"mine": np.arange(40.0) % (3 if epoch else 40)})
    assert found(three, "score values") == {"before": ("ok", 0), "last": ("warning", 1)}
    assert message(three, "score values").startswith("mine takes only 3 values after fine-tuning")


def test_a_single_checkpoint_has_checks_too():
    records = pair(n=20)
    rows = analyse(records.take(records.epoch == 1), resamples=20).rows("checks")
    by_check = {row.check: row for row in rows}
    assert by_check["number of items"].message.startswith("only 20 items have quality and a score: too few")
    assert {row.checkpoint for row in rows} == {"", "last"}
    assert "quality" not in by_check


def test_a_clearly_negative_score_is_found_and_chance_is_not():
    assert negative_scores(100, 0.3, 0.8, 40, rho=-0.5) == 1
    assert negative_scores(100, 0.3, 1.0, 200) <= 0.06
    assert false_falls_of_quality(100, 0.8, 1000) <= 0.045
