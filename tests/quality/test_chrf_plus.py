"""chrf_plus against chrF computed by hand from its definition."""

import string
from collections import Counter

import numpy as np
import pytest

from aftertune.quality import QUALITY, compute

PAIRS = [
    ("Die klip voel nat.", ["Die klip voel nat."]),
    ("Die klip is nat", ["Die klip voel nat."]),
    ("klip", ["Die klip voel nat.", "'n Klip"]),
    ("xyz", ["Die klip voel nat."]),
    ("a", ["ab"]),
    ("nat nat nat", ["nat", "nat klip nat"]),
    ("“Ons het nou 4-maand oue muise,” het hy bygevoeg.", ["Ons het nou muise van 4 maande, het hy gesê."]),
]


def grams(items, n):
    return Counter(tuple(items[i : i + n]) for i in range(len(items) - n + 1))


def words(text):
    """chrF's words: one punctuation mark at the end, else at the beginning, is a word of its own."""
    found = []
    for word in text.split():
        if len(word) > 1 and word[-1] in string.punctuation:
            found += [word[:-1], word[-1]]
        elif len(word) > 1 and word[0] in string.punctuation:
            found += [word[0], word[1:]]
        else:
            found.append(word)
    return found


def chrf_by_hand(output, reference, beta=2):
    precisions, recalls = [], []
    orders = [("char", n) for n in range(1, 7)] + [("word", 1)]
    for kind, n in orders:
        pair = [list("".join(t.split())) if kind == "char" else words(t) for t in (output, reference)]
        hyp, ref = (grams(items, n) for items in pair)
        if not hyp or not ref:
            continue
        shared = sum((hyp & ref).values())
        precisions.append(shared / sum(hyp.values()))
        recalls.append(shared / sum(ref.values()))
    if not precisions:
        return 0.0
    p, r = np.mean(precisions), np.mean(recalls)
    return 100 * (1 + beta**2) * p * r / (beta**2 * p + r) if p + r > 0 else 0.0


@pytest.mark.parametrize(("output", "references"), PAIRS)
def test_by_hand(output, references):
    expected = max(chrf_by_hand(output, reference) for reference in references)
    assert compute("chrf_plus", [output], [references])[0] == pytest.approx(expected, abs=1e-9)


def test_the_word_order_is_one():
    """The word unigrams matter: with characters alone the two would be equal, white space being ignored."""
    together, apart = compute("chrf_plus", ["dieklip", "die klip"], [["die klip"], ["die klip"]])
    assert apart == 100
    assert together == pytest.approx(100 * 6 / 7)  # six character orders match, the word order does not


def test_empty_is_zero():
    assert compute("chrf_plus", ["", "a", ""], [["a"], [""], [""]]).tolist() == [0, 0, 0]


def test_signature_names_sacrebleu_and_its_settings():
    import sacrebleu
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF(word_order=1)
    metric.sentence_score("a", ["a"])
    theirs = str(metric.get_signature()).split("|")  # nrefs:1|case:…|…|version:X
    ours = QUALITY.get("chrf_plus").signature().split("|")
    assert ours[0] == "chrf_plus"
    assert ours[1:-2] == theirs[1:-1]
    assert ours[-2] == f"sacrebleu:{sacrebleu.__version__}"
