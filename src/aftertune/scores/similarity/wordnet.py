"""WordNet for METEOR: NLTK's own copy, or Debian's package `wordnet-base`, or none.

NLTK (3.10) reads corpora only below the folders of its data path, not through links, and wants two files
that Debian leaves out. Debian's files are therefore copied once into a cache folder (28 MB), with `lexnames`
and an empty `index.sense` beside them; METEOR uses neither.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from aftertune.errors import InputError

DEBIAN = Path("/usr/share/wordnet")

_COPIED = (
    "cntlist.rev",
    *(f"{kind}.{pos}" for kind in ("data", "index") for pos in ("adj", "adv", "noun", "verb")),
    *(f"{pos}.exc" for pos in ("adj", "adv", "noun", "verb")),
)

# the 45 lexicographer files in the order of their numbers (WordNet 3.0, lexnames(5WN))
_LEXNAMES = (
    *("adj.all", "adj.pert", "adv.all", "noun.Tops", "noun.act", "noun.animal", "noun.artifact"),
    *("noun.attribute", "noun.body", "noun.cognition", "noun.communication", "noun.event", "noun.feeling"),
    *("noun.food", "noun.group", "noun.location", "noun.motive", "noun.object", "noun.person"),
    *("noun.phenomenon", "noun.plant", "noun.possession", "noun.process", "noun.quantity", "noun.relation"),
    *("noun.shape", "noun.state", "noun.substance", "noun.time", "verb.body", "verb.change"),
    *("verb.cognition", "verb.communication", "verb.competition", "verb.consumption", "verb.contact"),
    *("verb.creation", "verb.emotion", "verb.motion", "verb.perception", "verb.possession", "verb.social"),
    *("verb.stative", "verb.weather", "adj.ppl"),
)
_POS_NUMBER = {"noun": 1, "verb": 2, "adj": 3, "adv": 4}


class Synonyms(Protocol):
    """What METEOR asks of WordNet, and the version that goes into its signature."""

    version: str

    def synsets(self, word: str) -> Iterable[Any]: ...


class NoWordNet:
    """No synonyms: METEOR's exact and stem stages only."""

    version = "none"

    def synsets(self, word: str) -> tuple[()]:
        return ()


class WordNet:
    """Synonyms from an NLTK corpus reader."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.version: str = reader.get_version() or "unknown"

    def synsets(self, word: str) -> Iterable[Any]:
        return self._reader.synsets(word)


@lru_cache(maxsize=1)
def load() -> Synonyms:
    """The installed WordNet: on NLTK's data path, else Debian's, else `NoWordNet`."""
    import nltk.corpus

    try:
        nltk.corpus.wordnet.ensure_loaded()
    except LookupError:
        return load_debian(DEBIAN, cache_folder()) if DEBIAN.is_dir() else NoWordNet()
    return WordNet(nltk.corpus.wordnet)


def cache_folder() -> Path:
    """``$XDG_CACHE_HOME/aftertune/nltk_data``, by default below ``~/.cache``."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "aftertune" / "nltk_data"


def load_debian(source: Path, cache: Path) -> WordNet:
    """WordNet from Debian's files in `source`, by way of a copy in the NLTK data folder `cache`.

    Raises
    ------
    InputError
        The cache cannot be written.
    """
    from nltk.corpus.reader import CorpusReader, WordNetCorpusReader
    from nltk.corpus.util import LazyCorpusLoader

    target = cache / "corpora" / "wordnet"
    try:
        _copy(source, target)
    except OSError as error:
        raise InputError(
            f"cannot copy WordNet to {target} ({error.strerror}): set XDG_CACHE_HOME to a folder that can be "
            f"written"
        ) from error
    with _on_data_path(cache):
        # a multilingual WordNet is only asked for by functions that METEOR does not call
        reader = WordNetCorpusReader(str(target), LazyCorpusLoader("omw-1.4", CorpusReader, r".*\.tab"))
        for pos in "nvar":
            for word in islice(reader.all_lemma_names(pos), 1):
                reader.synsets(word, pos=pos)  # opens the data file of the part of speech, which stays open
    return WordNet(reader)


@contextmanager
def _on_data_path(folder: Path) -> Iterator[None]:
    """NLTK opens files below `folder` for as long as the block runs."""
    import nltk.data

    nltk.data.path.append(str(folder))
    try:
        yield
    finally:
        nltk.data.path.remove(str(folder))


def _copy(source: Path, target: Path) -> None:
    """The files that NLTK wants, from Debian's folder to `target`, all or none of them."""
    if target.is_dir():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".wordnet-") as folder:
        copy = Path(folder) / "wordnet"
        copy.mkdir()
        for name in _COPIED:
            shutil.copyfile(source / name, copy / name)
        lines = [
            f"{number:02d}\t{name}\t{_POS_NUMBER[name.split('.')[0]]}\n" for number, name in enumerate(_LEXNAMES)
        ]
        (copy / "lexnames").write_text("".join(lines), encoding="utf-8")
        (copy / "index.sense").write_text("", encoding="utf-8")
        try:
            copy.rename(target)
        except OSError:
            if not target.is_dir():  # another process was quicker: its copy is the same
                raise
