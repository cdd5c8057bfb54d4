"""What is compared, and what is not."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from aftertune.scores.similarity import get
from aftertune.scores.text_pairs import TextPairs


@pytest.fixture
def compared(monkeypatch) -> Counter[str]:
    """Name of a measure → pairs that were compared."""
    found: Counter[str] = Counter()
    compare = TextPairs._compare

    def spy(self, name, measure, pairs):
        found[name] += len(pairs)
        return compare(self, name, measure, pairs)

    monkeypatch.setattr(TextPairs, "_compare", spy)
    return found


def texts(*rows) -> np.ndarray:
    return np.array(rows, dtype=object)


def test_repeated_pairs_are_compared_once(compared):
    pairs = TextPairs()
    samples = texts(["a b", "a b", "a c"], ["a b", "a c", "a b"], ["", " ", "d"])
    first = pairs.within("bleu", samples)
    # of 18 pairs: (a b, a b), (a b, a c), (a c, a b); those with an empty text are not compared
    assert first.size == 18
    assert compared == {"bleu": 3}
    np.testing.assert_array_equal(pairs.within("bleu", samples), first)
    assert compared == {"bleu": 3}
    one_by_one = [get("bleu").compare([a], [b])[0] for a, b in [("a b", "a b"), ("a b", "a c"), ("a b", "a b")]]
    np.testing.assert_array_equal(first[0, :3], one_by_one)
    np.testing.assert_array_equal(first[2], [np.nan, 0, np.nan, 0, 0, 0])


def test_symmetric_pairs_are_compared_once_for_both_orders(compared):
    pairs = TextPairs()
    values = pairs.within("rouge_l", texts(["a b", "a c d", "a b"]))
    assert compared["rouge_l"] == 2
    np.testing.assert_array_equal(values, [[0.4, 1.0, 0.4, 0.4, 1.0, 0.4]])
    pairs.within("meteor", texts(["a b", "a c d", "a b"]))
    assert compared["meteor"] == 3


def test_a_number_of_workers_that_makes_no_sense():
    with pytest.raises(ValueError, match="workers must be at least 1, not 0"):
        TextPairs(workers=0)
