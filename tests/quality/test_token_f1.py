"""token_f1 and exact_text against the functions of SQuAD's official script, written down independently."""

import random
import re
import string
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aftertune.quality import QUALITY, compute


# evaluate-v1.1.py (Rajpurkar et al. 2016), its functions as they stand there
def normalize_answer(s):
    def remove_articles(text):
        return re.sub(r"\b(a|an|the)\b", " ", text)

    def white_space_fix(text):
        return " ".join(text.split())

    def remove_punc(text):
        exclude = set(string.punctuation)
        return "".join(ch for ch in text if ch not in exclude)

    def lower(text):
        return text.lower()

    return white_space_fix(remove_articles(remove_punc(lower(s))))


def f1_score(prediction, ground_truth):
    prediction_tokens = normalize_answer(prediction).split()
    ground_truth_tokens = normalize_answer(ground_truth).split()
    common = Counter(prediction_tokens) & Counter(ground_truth_tokens)
    num_same = sum(common.values())
    if num_same == 0:
        return 0
    precision = 1.0 * num_same / len(prediction_tokens)
    recall = 1.0 * num_same / len(ground_truth_tokens)
    f1 = (2 * precision * recall) / (precision + recall)
    return f1


def exact_match_score(prediction, ground_truth):
    return normalize_answer(prediction) == normalize_answer(ground_truth)


def metric_max_over_ground_truths(metric_fn, prediction, ground_truths):
    return max(metric_fn(prediction, ground_truth) for ground_truth in ground_truths)


ODD = [
    ("the cat", ["cat"], 1.0),  # an article only
    ("The", ["the"], 0.0),  # nothing but an article on both sides: no shared word
    ("", [""], 0.0),
    ("", ["cat"], 0.0),
    ("cat", [""], 0.0),
    ("...", ["!"], 0.0),
    ("a a a", ["a"], 0.0),
    ("U.S.", ["us"], 1.0),  # punctuation is deleted
    ("well-known", ["well known"], 0.0),  # ... not replaced by a space
    ("the-cat", ["cat"], 0.0),  # "thecat"
    ("cat cat", ["cat"], 2 / 3),  # P 1/2, R 1
    ("cat cat", ["cat cat dog"], 0.8),  # P 1, R 2/3
    ("cat dog", ["dog cat"], 1.0),  # order does not matter
    ("Denver Broncos", ["Carolina Panthers", "the Denver Broncos", "Denver"], 1.0),
    ("Denver Broncos won", ["Denver", "Denver Broncos"], 0.8),
    ("Theatre an der Wien", ["theatre der Wien"], 1.0),  # "an" goes, "Theatre" stays
    ("1,000", ["1000"], 1.0),
    ("$5", ["5"], 1.0),
    ("£5", ["5"], 0.0),  # not ASCII punctuation
    ("“quoted”", ["quoted"], 0.0),  # typographic quotes are not ASCII punctuation
    ("naïve\u00a0plan", ["NAÏVE plan"], 1.0),  # a no-break space splits
    ("İstanbul", ["i̇stanbul"], 1.0),
    ("a\tb\nc", ["b c"], 1.0),
]


@pytest.mark.parametrize(("output", "references", "value"), ODD)
def test_odd_cases(output, references, value):
    assert compute("token_f1", [output], [references])[0] == pytest.approx(value, abs=1e-12)
    assert metric_max_over_ground_truths(f1_score, output, references) == pytest.approx(value, abs=1e-12)


def random_pairs(n):
    rng = random.Random(1)
    words = [
        "the",
        "a",
        "an",
        "An",
        "cat",
        "Cat.",
        "cat",
        "dog",
        "U.S.",
        "-",
        "",
        "'s",
        "1,000",
        "the-cat",
        "ÉTÉ",
    ]

    def text():
        return rng.choice([" ", "  ", "\t"]).join(rng.choices(words, k=rng.randrange(7)))

    return [(text(), [text() for _ in range(rng.randint(1, 4))]) for _ in range(n)]


def test_equal_to_the_official_script_on_random_cases():
    outputs, references = zip(*random_pairs(3000), strict=True)
    f1 = [metric_max_over_ground_truths(f1_score, o, r) for o, r in zip(outputs, references, strict=True)]
    exact = [
        metric_max_over_ground_truths(exact_match_score, o, r) for o, r in zip(outputs, references, strict=True)
    ]
    assert 0.1 < np.mean(np.array(f1) > 0) < 0.99
    assert 0.01 < np.mean(exact) < 0.9
    np.testing.assert_array_equal(compute("token_f1", outputs, references), f1)
    np.testing.assert_array_equal(compute("exact_text", outputs, references), np.array(exact, dtype=float))


# Latin letters, the marks and the punctuation that they go with, and pictures
latin = st.text(
    st.one_of(
        *(
            st.characters(min_codepoint=first, max_codepoint=last)
            for first, last in ((0, 0x2DF), (0x300, 0x36F), (0x2000, 0x206F), (0x20A0, 0x20CF), (0x1F300, 0x1F5FF))
        )
    ),
    max_size=40,
)


@given(latin, st.lists(latin, min_size=1, max_size=3))
def test_equal_to_the_official_script_on_any_text_in_latin_script(output, references):
    assert compute("token_f1", [output], [references])[0] == metric_max_over_ground_truths(
        f1_score, output, references
    )
    assert compute("exact_text", [output], [references])[0] == metric_max_over_ground_truths(
        exact_match_score, output, references
    )


OTHER_SCRIPTS = [
    # one of nine characters changed
    ("我喜欢在早上喝咖啡。", "我喜欢在早上喝红茶。", 7 / 9),
    ("我喜欢在早上喝咖啡", "我喜欢在早上喝咖啡。", 1.0),  # full-width punctuation is no word
    ("北京（2008）", "北京", 2 * (2 / 3) / (2 / 3 + 1)),
    ("“北京”、『上海』", "北京 上海", 1.0),
    ("ラーメンです", "ラーメンだ", 2 * (4 / 6) * (4 / 5) / (4 / 6 + 4 / 5)),
    ("東京タワー 333 m", "東京タワー333 M", 1.0),  # digits are words as they are
    ("น้ำ", "นำ", 0.0),  # a letter with other marks is another one
    ("กินข้าว", "กินน้ำ", 2 * (2 / 5) * (2 / 3) / (2 / 5 + 2 / 3)),  # กิ น | ข้ า ว against กิ น | น้ำ
    ("पेरिस है।", "पेरिस", 2 * (1 / 2) / (1 / 2 + 1)),
    ("पेरिस।", "पेरिस", 1.0),
    ("पेरिस ।", "पेरिस", 1.0),
    ("हिंदी", "हिंदु", 0.0),
    ("باريس،", "باريس", 1.0),
    ("«Париж»", "париж", 1.0),
    ("서울은 수도다.", "서울은 도시다.", 0.5),  # Korean has spaces
]


@pytest.mark.parametrize(("output", "reference", "value"), OTHER_SCRIPTS)
def test_other_scripts(output, reference, value):
    assert compute("token_f1", [output], [[reference]])[0] == pytest.approx(value, abs=1e-12)
    assert compute("token_f1", [reference], [[output]])[0] == pytest.approx(value, abs=1e-12)
    assert compute("exact_text", [output], [[reference]])[0] == (value == 1)


def test_the_signatures_say_what_a_word_is():
    for name in ("token_f1", "exact_text"):
        assert "|normalization:squad_v1.1|tokens:graphemes_where_unspaced|" in QUALITY.get(name).signature()


def test_exact_text_by_hand():
    outputs = ["The Cat!", "cats", "", "a"]
    references = [["dog", "cat"], ["cat"], ["."], ["the"]]
    assert compute("exact_text", outputs, references).tolist() == [1.0, 0.0, 1.0, 1.0]
