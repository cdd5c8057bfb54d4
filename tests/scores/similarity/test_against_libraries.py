"""Every lexical measure equals a plain call of the library, bit by bit, and is symmetric where it says so."""

from __future__ import annotations

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from aftertune.scores.similarity import get
from aftertune.scores.similarity.meteor import meteor
from aftertune.scores.similarity.wordnet import WordNet
from aftertune.seeds import generator
from aftertune.word_breaks import words

LEXICAL = ["bleu", "chrf", "meteor", "rouge_l"]
VOCABULARY = [
    *("the", "a", "of", "in", "to", "Cats", "dogs", "cat", "running", "ran", "runs", "auto", "car"),
    *("halted", "stop", "ill", "sick", "3.5", "1,000", "don't", "—", "–", "“quoted”", "(see)"),
    *("e-mail", "<skipped>", "&amp;", "naïve", "日本語", "です", "kat", "op", "die", "mat", "geese"),
    *("goose", "slept", ",", ".", "!", "…"),
]
# few letters, so that n-grams repeat; spaces of several kinds, which tokenizers treat differently
short_texts = st.text(alphabet="ab A.,-&日\n\u00a0\u200b\U0001f600", min_size=1, max_size=14).filter(
    lambda text: text.strip() != ""
)


def realistic_pairs() -> list[tuple[str, str]]:
    """300 pairs of 1 to 40 words, in both orders: equal, a few words changed, or unrelated."""
    rng = generator(0, "pairs")
    pairs = []
    for i in range(300):
        a = rng.choice(VOCABULARY, size=rng.integers(1, 41)).tolist()
        b = list(a)
        if i % 3 == 1:
            for _ in range(3):
                b[rng.integers(len(b))] = str(rng.choice(VOCABULARY))
        elif i % 3 == 2:
            b = rng.choice(VOCABULARY, size=rng.integers(1, 41)).tolist()
        pairs += [(" ".join(a), " ".join(b)), (" ".join(b), " ".join(a))]
    return pairs


def plain_bleu(hypothesis: str, reference: str, tokenize: str = "13a") -> float:
    hypothesis, reference = (
        "".join(f" {c} " if c in "日本語です" else c for c in t) for t in (hypothesis, reference)
    )
    score = sacrebleu.sentence_bleu(
        hypothesis, [reference], smooth_method="exp", use_effective_order=True, tokenize=tokenize
    ).score
    return min(score / 100, 1.0)


def plain_chrf(hypothesis: str, reference: str) -> float:
    score = sacrebleu.sentence_chrf(hypothesis, [reference], char_order=6, word_order=0, beta=2).score
    return min(score / 100, 1.0)


PLAIN = {"bleu": plain_bleu, "chrf": plain_chrf}


@pytest.mark.parametrize("name", PLAIN)
def test_realistic_pairs_equal_sacrebleu(name):
    pairs = realistic_pairs()
    assert get(name).compare(*map(list, zip(*pairs))).tolist() == [PLAIN[name](*pair) for pair in pairs]


@pytest.mark.parametrize("name", PLAIN)
@given(pairs=st.lists(st.tuples(short_texts, short_texts), min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_any_pairs_equal_sacrebleu(name, pairs):
    assert get(name).compare(*map(list, zip(*pairs))).tolist() == [PLAIN[name](*pair) for pair in pairs]


@pytest.mark.parametrize("installed", [False, True])
def test_realistic_pairs_equal_nltks_meteor(installed, small_wordnet):
    from nltk.translate.meteor_score import single_meteor_score

    synonyms = WordNet(small_wordnet if installed else None)
    pairs = realistic_pairs()
    expected = [
        single_meteor_score(words(reference), words(hypothesis), wordnet=synonyms)  # pyright: ignore[reportArgumentType]
        for hypothesis, reference in pairs
    ]
    values = meteor(*map(list, zip(*pairs)), wordnet=synonyms).tolist()
    assert values == expected
    if installed:
        assert values != meteor(*map(list, zip(*pairs)), wordnet=WordNet(None)).tolist()


def test_bleu_of_chinese_equals_sacrebleus_own_tokenizer():
    rng = generator(0, "chinese")
    parts = [*"我喜欢在早上喝咖啡红茶", "，", "。", "《", "》", " ", "2008", "km", "3.5", "(", ")"]
    texts = ["".join(rng.choice(parts, size=rng.integers(1, 30))) + "们" for _ in range(200)]
    pairs = [(a, b[: len(b) // 2] + a[len(a) // 2 :]) for a, b in zip(texts, texts[1:] + texts[:1])]
    expected = [plain_bleu(*pair, tokenize="zh") for pair in pairs]
    assert get("bleu").compare(*map(list, zip(*pairs))).tolist() == expected
    assert min(expected) < 0.5 < max(expected)


def test_chrf_of_an_alphabet_too_large_for_six_letters_in_an_integer():
    # thousands of different characters among 256 texts: 2^(6 · 13 + 8) is beyond 64 bits
    rng = generator(0, "characters")
    texts = ["".join(map(chr, rng.integers(0x4E00, 0x9000, size=100))) for _ in range(128)]
    pairs = [(text, text[:50] + other[50:]) for text, other in zip(texts, texts[1:] + texts[:1])]
    assert get("chrf").compare(*map(list, zip(*pairs))).tolist() == [plain_chrf(*pair) for pair in pairs]


@pytest.mark.parametrize("name", LEXICAL)
def test_symmetric_where_declared(name):
    hypotheses, references = map(list, zip(*realistic_pairs()))
    forwards, backwards = (
        get(name).compare(*both).tolist() for both in ((hypotheses, references), (references, hypotheses))
    )
    assert (forwards == backwards) == get(name).symmetric
    assert get(name).symmetric == (name == "rouge_l")


@given(a=short_texts, b=short_texts)
@settings(max_examples=300, deadline=None)
def test_rouge_l_is_symmetric_for_any_pair(a, b):
    assert get("rouge_l").compare([a], [b]) == get("rouge_l").compare([b], [a])
