"""METEOR against numbers worked out by hand, with and without WordNet."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from aftertune.scores.similarity.meteor import meteor
from aftertune.scores.similarity.wordnet import DEBIAN, WordNet


def without(hypothesis: str, reference: str) -> float:
    return meteor([hypothesis], [reference], wordnet=WordNet(None))[0]


def test_exact_stage_and_order_of_arguments():
    # three of four words match in one chunk: P = 3/4, R = 1, F = 10PR / (R + 9P), penalty 0.5 (1/3)³
    long, short = "a dog barked loudly", "a dog barked"
    penalty = 0.5 / 27
    assert without(long, short) == pytest.approx(0.75 / 0.775 * (1 - penalty), rel=1e-12)
    assert without(short, long) == pytest.approx(0.75 / 0.975 * (1 - penalty), rel=1e-12)


def test_stem_stage():
    assert without("Cats jumped", "cat jumps") == pytest.approx(1 - 0.5 / 8, rel=1e-12)


def test_chunks():
    # six words in two chunks, "d e f" and "a b c"
    assert without("d e f a b c", "a b c d e f") == pytest.approx(1 - 0.5 * (2 / 6) ** 3, rel=1e-12)


def test_equal_texts_of_few_words_have_less_than_one():
    assert without("no", "no") == 0.5
    assert without("not now", "not now") == 1 - 0.5 / 8
    assert without("no", "yes") == 0


def test_synonym_stage(small_wordnet):
    # with synonyms all three words match in one chunk; without, two
    pair = ["a new car"], ["a new auto"]
    assert meteor(*pair, wordnet=WordNet(small_wordnet))[0] == pytest.approx(1 - 0.5 / 27, rel=1e-12)
    assert without(pair[0][0], pair[1][0]) == pytest.approx(2 / 3 * (1 - 0.5 / 8), rel=1e-12)


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's wordnet-base is not installed")
def test_debians_wordnet():
    loaded = WordNet(DEBIAN)
    assert loaded.version == "3.0"
    # synonyms of an adjective, a noun, a verb and an adverb: all six words match in one chunk
    hypothesis, reference = "the sick auto will halt well", "the ill car will stop good"
    assert meteor([hypothesis], [reference], wordnet=loaded)[0] == pytest.approx(1 - 0.5 / 6**3, rel=1e-12)
    # without, "the" and "will", two chunks
    assert without(hypothesis, reference) == pytest.approx(2 / 6 * 0.5, rel=1e-12)
    # NLTK looks up stems ("automobil"), so this synonym is missed
    assert meteor(["automobile"], ["car"], wordnet=loaded)[0] == 0


def test_the_signature_loads_neither_nltk_nor_wordnet(small_wordnet):
    code = """if True:
        import sys
        from aftertune.scores import get
        from aftertune.scores.similarity import wordnet
        print(get("dropout_meteor").signature(), "nltk" in sys.modules, wordnet.load.cache_info().currsize)
    """
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": os.pathsep.join(sys.path), "NLTK_DATA": str(small_wordnet.parents[1])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.startswith("dropout_meteor|similarity:meteor|wordnet:3.0|nltk:")
    assert run.stdout.endswith(" False 0\n")
