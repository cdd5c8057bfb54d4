"""chrF, BLEU and ROUGE-L against numbers worked out by hand and reference implementations."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
import sacrebleu

from aftertune.errors import InputError
from aftertune.scores.similarity import SIMILARITIES, get
from aftertune.scores.similarity.rouge_l import longest_common_subsequence
from aftertune.seeds import generator
from aftertune.word_breaks import words

LEXICAL = ["bleu", "chrf", "meteor", "rouge_l"]
PAIRS = [
    ("Die kat sit op die mat.", "Die kat sit op 'n mat."),
    ("forty-two", "42"),
    ("a", "a"),
    ("…", "!"),
    ("Ek weet nie", "Ek weet nie of hy kom nie"),
    ("Ek weet nie of hy kom nie", "Ek weet nie"),
    ("日本語 です", "日本 です"),
]


def compare(name, hypothesis, reference):
    return get(name).compare([hypothesis], [reference])[0]


def test_registered():
    assert {*LEXICAL, "cross_encoder"} == set(SIMILARITIES.names())
    with pytest.raises(InputError, match="similarity 'chrf' takes nothing after a colon: write chrf"):
        get("chrf:6")


@pytest.mark.parametrize("name", LEXICAL)
def test_range_and_order(name):
    hypotheses, references = map(list, zip(*PAIRS))
    values = get(name).compare(hypotheses, references)
    assert values.dtype == np.float64
    assert ((values >= 0) & (values <= 1)).all()
    one_by_one = [compare(name, *pair) for pair in PAIRS]
    np.testing.assert_array_equal(values, one_by_one)


@pytest.mark.parametrize("name", ["bleu", "chrf", "rouge_l"])
@pytest.mark.parametrize("text", ["a", "two words", "This is a sentence of nine words, no more."])
def test_equal_texts_have_one(name, text):
    assert compare(name, text, text) == pytest.approx(1, abs=1e-15)
    assert compare(name, text, "0") == pytest.approx(0, abs=0.01 if name == "bleu" else 1e-15)


def test_chrf_by_hand():
    # "abc" for "abd": of 3 characters 2 match, of 2 bigrams 1, of 1 trigram none; longer ones do not exist.
    # precision = recall at each order, and so the F-score of their means over the three orders
    assert compare("chrf", "abc", "abd") == pytest.approx((2 / 3 + 1 / 2 + 0) / 3, rel=1e-12)
    # "ab" for "abc": precisions 1, 1; recalls 2/3, 1/2; beta = 2 weighs recall four times
    p, r = (1 + 1) / 2, (2 / 3 + 1 / 2) / 2
    assert compare("chrf", "ab", "abc") == pytest.approx(5 * p * r / (4 * p + r), rel=1e-12)
    assert compare("chrf", "abc", "ab") > compare("chrf", "ab", "abc")


@pytest.mark.parametrize("pair", PAIRS)
def test_against_sacrebleu(pair):
    hypothesis, reference = pair
    chrf = sacrebleu.sentence_chrf(hypothesis, [reference], char_order=6, word_order=0, beta=2)
    assert compare("chrf", hypothesis, reference) == pytest.approx(chrf.score / 100, rel=1e-12)
    apart = [" ".join(text) if text[0] == "日" else text for text in pair]
    bleu = sacrebleu.sentence_bleu(apart[0], [apart[1]], smooth_method="exp", use_effective_order=True)
    assert compare("bleu", hypothesis, reference) == pytest.approx(bleu.score / 100, rel=1e-12)


def test_bleu_by_hand():
    # one word of two: precision 1/2; bigrams 0 of 1, smoothed to 1/2
    assert compare("bleu", "a b", "a c") == pytest.approx(math.sqrt(1 / 2 * 1 / 2), rel=1e-12)
    # brevity: one word for three
    assert compare("bleu", "a", "a b c") == pytest.approx(math.exp(1 - 3), rel=1e-12)


def test_rouge_l_by_hand():
    # "police killed the gunman" / "police kill the gunman" share police, the, gunman (Lin 2004, section 3)
    assert compare("rouge_l", "police kill the gunman", "police killed the gunman") == 3 / 4
    assert compare("rouge_l", "the gunman kill police", "police killed the gunman") == 2 / 4
    assert compare("rouge_l", "A, b", "a b") == 2 * 2 / (3 + 2)


def test_longest_common_subsequence_against_the_dynamic_programme():
    rng = generator(0, "lcs")
    for _ in range(200):
        a, b = (rng.choice(list("abcd"), size=rng.integers(0, 12)).tolist() for _ in range(2))
        table = np.zeros((len(a) + 1, len(b) + 1), int)
        for i, x in enumerate(a):
            for j, y in enumerate(b):
                table[i + 1, j + 1] = table[i, j] + 1 if x == y else max(table[i, j + 1], table[i + 1, j])
        assert longest_common_subsequence(a, b) == table[-1, -1]


def test_words():
    assert words("Dis R1,000 — nie  meer nie!") == ["dis", "r1", ",", "000", "—", "nie", "meer", "nie", "!"]
    assert words("...") == [".", ".", "."]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("हिन्दी भाषा है।", ["हिन्दी", "भाषा", "है", "।"]),  # vowel signs stay with their letters
        ("cafe\u0301 m²", ["cafe\u0301", "m²"]),
        ("می\u200cخواهم", ["می\u200cخواهم"]),
        ("我爱NLP，你呢？", ["我", "爱", "nlp", "，", "你", "呢", "？"]),
        ("ラーメン屋", ["ラ", "ー", "メ", "ン", "屋"]),
        ("สวัสดีน้ำ", ["ส", "วั", "ส", "ดี", "น้ำ"]),
        ("ខ្មែរ", ["ខ្មែ", "រ"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("❤\ufe0f ok", ["❤", "\ufe0f", "ok"]),
    ],
)
def test_words_of_other_scripts(text, expected):
    assert words(text) == expected


def test_words_of_latin_texts_are_runs_of_letters_and_digits():
    for text in ("Dis R1,000 — nie\u00a0meer\x1cnie!", "½ m² _x_ naïve Straße", "“don't” e-mail\u200b.", "£5 🙂"):
        assert words(text) == re.findall(r"\w+|[^\w\s]", text.lower())


@pytest.mark.parametrize("name", ["bleu", "meteor", "rouge_l"])
@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("我喜欢在早上喝咖啡", "我喜欢在早上喝红茶"),
        ("わたしはラーメンがすきです", "わたしはうどんがすきです"),
        ("ฉันชอบดื่มกาแฟตอนเช้า", "ฉันชอบดื่มชาตอนเช้า"),
    ],
)
def test_a_changed_word_of_a_language_without_spaces_is_not_another_sentence(name, text, changed):
    assert 0.4 < compare(name, changed, text) < 0.95
    other = "0" if name == "bleu" else "新闻"
    assert compare(name, other, text) < 0.1


@pytest.mark.parametrize("name", ["bleu", "meteor", "rouge_l"])
def test_the_signature_says_what_a_word_is(name):
    assert get(name).settings()["tokens"] == "graphemes_where_unspaced"
