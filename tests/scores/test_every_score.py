"""What holds for every registered confidence score."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from aftertune import evidence as pieces
from aftertune.scores import SCORES, get, score_items
from aftertune.types import DropoutSamples, Evidence, ItemScores

NAMES = SCORES.names()
MORE = ["beam_ratio[k=2]", *(f"{n}[similarity={s}]" for n in NAMES if "cocoa" in n for s in ("meteor", "rouge_l"))]
every_score = pytest.mark.parametrize("name", [*NAMES, *MORE])


def take(evidence: Evidence, rows: np.ndarray) -> Evidence:
    """The same evidence with its items in the order `rows`."""
    return pieces.take(evidence, evidence.item_ids[rows].tolist())


@every_score
def test_shape_and_type(make, name):
    result = score_items(make["random_evidence"](0), [name])[name]
    assert isinstance(result, ItemScores)
    assert result.value.shape == (12,)
    assert result.value.dtype == np.float64
    assert np.isfinite(result.value).all()
    assert len(np.unique(result.value)) > 6


@every_score
def test_deterministic_and_alone_as_with_others(make, name):
    evidence = make["random_evidence"](0)
    first = get(name)(evidence).value
    np.testing.assert_array_equal(get(name)(evidence).value, first)
    np.testing.assert_array_equal(score_items(evidence, [*NAMES, name])[name].value, first)


@every_score
def test_the_same_in_another_order_of_items(make, name):
    evidence = make["random_evidence"](0)
    rows = np.array([5, 0, 11, 2, 1, 10, 9, 3, 4, 8, 6, 7])
    expected = get(name)(evidence).value[rows]
    np.testing.assert_array_equal(get(name)(take(evidence, rows)).value, expected)
    one_by_one = [get(name)(take(evidence, np.array([row]))).value[0] for row in rows]
    np.testing.assert_array_equal(one_by_one, expected)


@every_score
@pytest.mark.parametrize("padding", [1, 200])
def test_the_width_of_padding_does_not_matter(make, name, padding):
    narrow, wide = make["random_evidence"](0), make["random_evidence"](0, padding=padding)
    assert wide.greedy.token_logprob.shape[1] == narrow.greedy.token_logprob.shape[1] + padding
    assert wide.dropout.token_kl.shape[2] == narrow.dropout.token_kl.shape[2] + padding
    np.testing.assert_array_equal(get(name)(wide).value, get(name)(narrow).value)


@every_score
@pytest.mark.parametrize("width", [0, 3])
def test_no_tokens_is_undefined_with_a_reason(make, name, width):
    nothing = np.full((2, width), np.nan)
    evidence = make["items"](
        greedy=replace(make["greedy"]([[], []], text=["", ""]), token_logprob=nothing, token_entropy=nothing),
        beams=make["beams"](np.full((2, 3), np.nan), np.zeros((2, 3), int)),
        dropout=DropoutSamples(
            text=np.full((2, 3), "", object),
            token_logprob=np.full((2, 3, width), np.nan),
            token_entropy=np.full((2, 3, width), np.nan),
            token_kl=np.full((2, 3, width), np.nan),
            n_tokens=np.zeros((2, 3), int),
        ),
    )
    result = get(name)(evidence)
    assert np.isnan(result.value).all()
    assert all(isinstance(reason, str) and reason for reason in result.reason)


@every_score
def test_no_items(make, name):
    nobody = take(make["random_evidence"](0), np.array([], dtype=int))
    assert get(name)(nobody).value.shape == (0,)


@every_score
def test_higher_is_more_confident(make, name):
    """Likelier tokens, smaller entropies, a best beam that stands out, samples that agree: a higher score."""
    vague = make["random_evidence"](4)
    best = vague.beams.sequence_logprob.copy()
    best[:, 0] /= 2
    sharp = replace(
        vague,
        greedy=replace(
            vague.greedy,
            token_logprob=vague.greedy.token_logprob / 2,
            token_entropy=vague.greedy.token_entropy / 2,
        ),
        beams=replace(vague.beams, sequence_logprob=best),
        dropout=replace(
            vague.dropout,
            text=np.repeat(vague.greedy.text[:, None], 3, axis=1),
            token_entropy=vague.dropout.token_entropy / 2,
            token_kl=vague.dropout.token_kl / 2,
        ),
    )
    assert (get(name)(sharp).value > get(name)(vague).value).all()


@every_score
def test_evidence_is_not_changed(make, name):
    evidence, untouched = make["random_evidence"](0), make["random_evidence"](0)
    get(name)(evidence)
    for part in ("greedy", "beams", "dropout"):
        for field in fields(getattr(evidence, part)):
            np.testing.assert_array_equal(
                getattr(getattr(evidence, part), field.name),
                getattr(getattr(untouched, part), field.name),
            )


@pytest.mark.parametrize("name", NAMES)
def test_described(name):
    entry = get(name)
    assert entry.name == name
    assert entry.formula
    assert entry.source
    assert set(entry.needs) <= {"greedy", "beams", "dropout", "embedding"}
    assert entry.needs
    assert entry.signature().startswith(f"{name}|")
