"""METEOR against numbers worked out by hand, with and without WordNet."""

from __future__ import annotations

from pathlib import Path

import pytest

from aftertune.errors import InputError
from aftertune.scores.similarity import wordnet
from aftertune.scores.similarity.meteor import meteor
from aftertune.scores.similarity.wordnet import DEBIAN, NoWordNet, load_debian

# WordNet's files (wndb(5WN)) with a single synset: car, auto
LICENCE = "  1 WordNet 3.0 Copyright 2006 by Princeton University.  \n"
SYNSET = "03 n 02 car 0 auto 0 000 | a motor vehicle  \n"


def without(hypothesis: str, reference: str) -> float:
    return meteor([hypothesis], [reference], wordnet=NoWordNet())[0]


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


@pytest.fixture
def closing():
    """Collects loaded WordNets and closes the files that NLTK keeps open for as long as the process lives."""
    loaded = []
    yield lambda one: loaded.append(one) or one
    for one in loaded:
        for file in one._reader._data_file_map.values():
            file.close()


@pytest.fixture
def small_wordnet(tmp_path) -> Path:
    folder = tmp_path / "wordnet"
    folder.mkdir()
    offset = f"{len(LICENCE):08d}"
    for pos in ("noun", "verb", "adj", "adv"):
        (folder / f"data.{pos}").write_text(LICENCE)
        (folder / f"index.{pos}").write_text(LICENCE)
        (folder / f"{pos}.exc").write_text("")
    (folder / "data.noun").write_text(f"{LICENCE}{offset} {SYNSET}")
    lines = [f"{word} n 1 0 1 0 {offset}  \n" for word in ("auto", "car")]
    (folder / "index.noun").write_text(LICENCE + "".join(lines))
    (folder / "cntlist.rev").write_text("")
    return folder


def test_wordnet_from_files(small_wordnet, tmp_path, closing):
    import nltk.data

    paths = list(nltk.data.path)
    cache = tmp_path / "cache" / "nltk_data"
    loaded = closing(load_debian(small_wordnet, cache))
    assert loaded.version == "3.0"
    # with synonyms all three words match in one chunk; without, two
    pair = ["a new car"], ["a new auto"]
    assert meteor(*pair, wordnet=loaded)[0] == pytest.approx(1 - 0.5 / 27, rel=1e-12)
    assert without(pair[0][0], pair[1][0]) == pytest.approx(2 / 3 * (1 - 0.5 / 8), rel=1e-12)

    copy = cache / "corpora" / "wordnet"
    lexnames = (copy / "lexnames").read_text().splitlines()
    assert len(lexnames) == 45
    assert [lexnames[i] for i in (0, 3, 29, 44)] == [
        "00\tadj.all\t3",
        "03\tnoun.Tops\t1",
        "29\tverb.body\t2",
        "44\tadj.ppl\t3",
    ]
    assert (copy / "index.sense").read_text() == ""
    assert sorted(path.name for path in copy.parent.iterdir()) == ["wordnet"]
    assert nltk.data.path == paths

    before = (copy / "data.noun").stat().st_mtime_ns
    closing(load_debian(small_wordnet, cache))
    assert (copy / "data.noun").stat().st_mtime_ns == before


def test_an_incomplete_wordnet_leaves_no_copy(small_wordnet, tmp_path):
    (small_wordnet / "data.verb").unlink()
    cache = tmp_path / "cache"
    with pytest.raises(InputError, match=r"cannot copy WordNet to .* set XDG_CACHE_HOME"):
        load_debian(small_wordnet, cache)
    assert not any((cache / "corpora").iterdir())


def test_a_cache_that_cannot_be_written(small_wordnet, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="set XDG_CACHE_HOME to a folder that can be written"):
        load_debian(small_wordnet, tmp_path / "file")


def test_where_wordnet_is_looked_for(small_wordnet, tmp_path, monkeypatch, closing):
    import nltk.corpus

    class Absent:
        def ensure_loaded(self):
            raise LookupError

    monkeypatch.setattr(nltk.corpus, "wordnet", Absent())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(wordnet, "DEBIAN", tmp_path / "absent")
    assert wordnet.load.__wrapped__().version == "none"
    monkeypatch.setattr(wordnet, "DEBIAN", small_wordnet)
    assert closing(wordnet.load.__wrapped__()).version == "3.0"
    assert (tmp_path / "aftertune" / "nltk_data" / "corpora" / "wordnet" / "data.noun").is_file()


@pytest.mark.slow
@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's wordnet-base is not installed")
def test_debians_wordnet(tmp_path, closing):
    loaded = closing(load_debian(DEBIAN, tmp_path))
    assert loaded.version == "3.0"
    # synonyms of an adjective, a noun, a verb and an adverb: all six words match in one chunk
    hypothesis, reference = "the sick auto will halt well", "the ill car will stop good"
    assert meteor([hypothesis], [reference], wordnet=loaded)[0] == pytest.approx(1 - 0.5 / 6**3, rel=1e-12)
    # without, "the" and "will", two chunks
    assert without(hypothesis, reference) == pytest.approx(2 / 6 * 0.5, rel=1e-12)
    # NLTK looks up stems ("automobil"), so this synonym is missed
    assert meteor(["automobile"], ["car"], wordnet=loaded)[0] == 0
