"""Look-ups in WordNet against NLTK's reader, and where its files are looked for."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from aftertune.errors import InputError
from aftertune.scores.similarity import wordnet
from aftertune.scores.similarity.wordnet import WordNet


def single_words(synsets) -> set[str]:
    """What NLTK's METEOR takes from the synsets of a word."""
    return {lemma.name() for synset in synsets for lemma in synset.lemmas() if lemma.name().find("_") < 0}


@pytest.fixture
def nltk_reader():
    """Makes NLTK's reader for a folder, and closes the files that it keeps open."""
    import nltk.data
    from nltk.corpus.reader import CorpusReader, WordNetCorpusReader
    from nltk.corpus.util import LazyCorpusLoader

    made, paths = [], list(nltk.data.path)

    def make(folder: Path):
        nltk.data.path.insert(0, str(folder.parents[1]))
        multilingual = LazyCorpusLoader("omw-1.4", CorpusReader, r".*\.tab")
        made.append(WordNetCorpusReader(str(folder), multilingual))
        return made[-1]

    yield make
    nltk.data.path[:] = paths
    for reader in made:
        for file in reader._data_file_map.values():
            file.close()


def complete(folder: Path) -> Path:
    """The files that NLTK wants besides."""
    (folder / "lexnames").write_text("".join(f"{i:02d}\tname\t1\n" for i in range(45)))
    for name in ("index.sense", "cntlist.rev"):
        (folder / name).write_text("")
    return folder


def test_synonyms_by_hand(small_wordnet):
    def synonyms(word):
        return single_words(WordNet(small_wordnet).synsets(word))

    assert synonyms("car") == {"car", "auto", "machine", "railcar"}  # two synsets, no phrases
    assert synonyms("Cars") == synonyms("car")
    assert synonyms("geese") == {"goose"}  # an exception
    assert synonyms("ran") == {"run", "go", "travel"}  # an exception of verbs only
    assert synonyms("runs") == {"run", "go", "travel", "tally"}
    assert synonyms("stopped") == set()  # "stopp" is no word: rules are applied once
    assert synonyms("glasses") == {"glass", "glaze"}
    assert synonyms("galore") == {"fine", "galore"}  # without its marker
    assert synonyms("paris") == {"Paris"}
    assert len(synonyms("bus")) == 11  # the count is hexadecimal
    assert synonyms("") == synonyms("zebra") == set()


def test_synonyms_are_those_of_nltks_reader(small_wordnet, nltk_reader):
    ours, theirs = WordNet(small_wordnet), nltk_reader(complete(small_wordnet))
    known = {word for name in ("noun", "verb", "adj", "adv") for word in ours_index(small_wordnet, name)}
    endings = ["", "s", "es", "ses", "ies", "ed", "d", "ing", "er", "r", "est", "men"]
    words = sorted({stem + end for word in known for stem in (word, word[:-1]) for end in endings})
    words += ["geese", "men", "women", "ran", "iller", "illest", "Halts", "İ", "ß", ""]
    for word in words:
        assert single_words(ours.synsets(word)) == single_words(theirs.synsets(word)), word
    assert ours.version == theirs.get_version() == "3.0"


def ours_index(folder: Path, name: str) -> list[str]:
    lines = (folder / f"index.{name}").read_text().splitlines()
    return [line.split()[0] for line in lines if not line.startswith(" ")]


@pytest.mark.slow
@pytest.mark.skipif(wordnet.find() is None, reason="WordNet is not installed")
def test_installed_synonyms_are_those_of_nltks_reader(tmp_path, nltk_reader):
    folder = wordnet.find()
    assert folder is not None
    copy = tmp_path / "nltk_data" / "corpora" / "wordnet"
    copy.mkdir(parents=True)
    for name in ("noun", "verb", "adj", "adv"):
        for file in (f"data.{name}", f"index.{name}", f"{name}.exc"):
            (copy / file).write_bytes(folder.joinpath(file).read_bytes())
    ours, theirs = WordNet(copy), nltk_reader(complete(copy))
    words = [word for name in ("noun", "verb", "adj", "adv") for word in ours_index(copy, name)[::40]]
    exceptions = [line.split()[0] for line in (copy / "verb.exc").read_text().splitlines()[::10]]
    for word in [
        *words,
        *exceptions,
        *(word + end for word in words[::5] for end in ("s", "es", "ed", "ing", "er")),
    ]:
        assert single_words(ours.synsets(word)) == single_words(theirs.synsets(word)), word


def test_files_that_are_missing_or_do_not_fit(small_wordnet):
    (small_wordnet / "index.adj").write_text("sick a 1 0 1 0 00000001  \n")
    with pytest.raises(InputError, match="files do not fit together"):
        WordNet(small_wordnet).synsets("sick")
    (small_wordnet / "data.verb").unlink()
    with pytest.raises(InputError, match=r"data\.verb.*install it again"):
        WordNet(small_wordnet)


@pytest.fixture
def nowhere(monkeypatch, tmp_path):
    """No WordNet: neither NLTK's folders nor Debian's."""
    import nltk.data

    monkeypatch.setattr(nltk.data, "path", [str(tmp_path / "first"), str(tmp_path / "second")])
    monkeypatch.setattr(wordnet, "DEBIAN", tmp_path / "debian")


def test_where_wordnet_is_looked_for(small_wordnet, tmp_path, nowhere):
    assert wordnet.load.__wrapped__().version == wordnet.version(wordnet.find()) == "none"

    shutil.copytree(small_wordnet, tmp_path / "debian")
    assert wordnet.find() == tmp_path / "debian"

    corpora = tmp_path / "first" / "corpora"
    corpora.mkdir(parents=True)
    with zipfile.ZipFile(corpora / "wordnet.zip", "w") as archive:
        for file in small_wordnet.iterdir():
            archive.write(file, f"wordnet/{file.name}")
    assert "wordnet.zip" in str(wordnet.find())
    assert wordnet.version(wordnet.find()) == "3.0"
    assert single_words(wordnet.load.__wrapped__().synsets("halts")) == {"stop", "halt"}

    shutil.copytree(small_wordnet, tmp_path / "second" / "corpora" / "wordnet")  # folders before zip files
    assert wordnet.find() == tmp_path / "second" / "corpora" / "wordnet"


def test_a_licence_without_a_version(small_wordnet):
    (small_wordnet / "data.adj").write_text("  1 A dictionary  \n")
    assert wordnet.version(small_wordnet) == "unknown"


def test_nltks_data_path_without_nltk(monkeypatch):
    import nltk.data

    expected = [str(folder) for folder in nltk.data.path]
    assert wordnet._nltk_data_path() == expected
    monkeypatch.delitem(sys.modules, "nltk.data")  # NLTK read NLTK_DATA when it was loaded
    assert wordnet._nltk_data_path() == expected
    monkeypatch.delenv("NLTK_DATA", raising=False)
    usual = wordnet._nltk_data_path()
    monkeypatch.setenv("NLTK_DATA", os.pathsep.join(["/a", "~/b"]))
    assert wordnet._nltk_data_path() == ["/a", str(Path.home() / "b"), *usual]
