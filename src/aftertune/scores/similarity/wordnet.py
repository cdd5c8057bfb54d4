"""WordNet's synonyms for METEOR, looked up as NLTK 3.10 does, without loading its corpus reader.

NLTK's reader parses every line of WordNet before its first look-up (seconds), and reads no folder but its own.
METEOR needs the single-word members of a word's synsets only: a few lines of the files (wndb(5WN)) per word.

The files lie on NLTK's data path, else in Debian's package `wordnet-base`.
"""

from __future__ import annotations

import os
import re
import sys
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from importlib.resources.abc import Traversable
from pathlib import Path

from aftertune.errors import InputError

# part of speech → (suffix of a word, what the suffix becomes in a base form): morphy(7WN)
_DETACHMENT = {
    "noun": (
        *(("s", ""), ("ses", "s"), ("ves", "f"), ("xes", "x"), ("zes", "z"), ("ches", "ch"), ("shes", "sh")),
        *(("men", "man"), ("ies", "y")),
    ),
    "verb": (
        *(("s", ""), ("ies", "y"), ("es", "e"), ("es", ""), ("ed", "e"), ("ed", ""), ("ing", "e"), ("ing", "")),
    ),
    "adj": (("er", ""), ("est", ""), ("er", "e"), ("est", "e")),
    "adv": (),
}


class Lemma:
    """A word of a synset, as NLTK's METEOR asks for it."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def name(self) -> str:
        return self._name


class Synset:
    """Words that are synonyms, as NLTK's METEOR asks for them."""

    __slots__ = ("_lemmas",)

    def __init__(self, names: Iterable[str]) -> None:
        self._lemmas = tuple(map(Lemma, names))

    def lemmas(self) -> Sequence[Lemma]:
        return self._lemmas


class WordNet:
    """Synonyms from WordNet's files.

    Parameters
    ----------
    folder
        Holds ``index.*``, ``data.*`` and ``*.exc`` of the four parts of speech. About 50 MB are kept in memory.
        None: no word has synonyms, so that METEOR has its exact and stem stages only.

    Attributes
    ----------
    version : for METEOR's signature; "none" without a folder.

    Raises
    ------
    InputError
        A file is missing or cannot be read.
    """

    def __init__(self, folder: Traversable | None) -> None:
        self.version = version(folder)
        try:
            self._parts = [] if folder is None else [_PartOfSpeech(folder, name) for name in _DETACHMENT]
        except (OSError, KeyError) as error:
            raise InputError(f"WordNet in {folder} cannot be read ({error}): install it again") from error
        self._known: dict[str, Sequence[Synset]] = {}

    def synsets(self, word: str) -> Sequence[Synset]:
        """The single words of all synsets of `word` and of its base forms, merged into one; () if none."""
        if word not in self._known:
            names = {name for part in self._parts for name in part.members(word.lower()) if "_" not in name}
            self._known[word] = (Synset(sorted(names)),) if names else ()
        return self._known[word]


class _PartOfSpeech:
    """The nouns, verbs, adjectives or adverbs of WordNet."""

    def __init__(self, folder: Traversable, name: str) -> None:
        self._detachment = _DETACHMENT[name]
        self._data = folder.joinpath(f"data.{name}").read_bytes()
        lines = folder.joinpath(f"index.{name}").read_text(encoding="utf-8").split("\n")
        # lines that begin with a space are the licence
        self._index = {line.partition(" ")[0]: line for line in lines if line and line[0] != " "}
        exceptions = folder.joinpath(f"{name}.exc").read_text(encoding="utf-8").split("\n")
        self._base_forms: Mapping[str, Sequence[str]] = {
            form: base for form, *base in map(str.split, filter(str.strip, exceptions))
        }

    def members(self, word: str) -> Iterable[str]:
        """The words of the synsets of `word` and of its base forms."""
        forms = self._base_forms.get(word)
        if forms is None:  # rules hold for words that are no exceptions, and are applied once
            forms = [word.removesuffix(old) + new for old, new in self._detachment if word.endswith(old)]
        for form in {word, *forms}:
            line = self._index.get(form)
            if line is not None:
                fields = line.split()
                for offset in fields[-int(fields[2]) :]:  # field 2 counts the synsets, which come last
                    yield from self._words(int(offset))

    def _words(self, offset: int) -> Iterable[str]:
        """Words of the synset whose line begins at byte `offset`: ``offset file type n word id word id …``."""
        line = self._data[offset : self._data.find(b"\n", offset)].decode()
        if line[:8] != f"{offset:08d}":
            raise InputError(f"WordNet's files do not fit together (byte {offset}): install WordNet again")
        fields = line.split(None, 4)
        count = int(fields[3], 16)
        for word in fields[4].split(None, 2 * count)[: 2 * count : 2]:
            yield word.partition("(")[0]  # an adjective's position may follow: "galore(ip)"


@lru_cache(maxsize=1)
def load() -> WordNet:
    """The installed WordNet (`find`), or one without words if there is none."""
    return WordNet(find())


DEBIAN = Path("/usr/share/wordnet")


def find() -> Traversable | None:
    """The folder of WordNet's files, which may be inside an NLTK download's zip file; None if there is none."""
    folders = [Path(folder) / "corpora" for folder in _nltk_data_path()]
    for folder in folders:
        if (folder / "wordnet" / "data.adj").is_file():
            return folder / "wordnet"
    for folder in folders:
        if zipfile.is_zipfile(folder / "wordnet.zip"):
            return zipfile.Path(folder / "wordnet.zip", "wordnet/")
    return DEBIAN if (DEBIAN / "data.adj").is_file() else None


def version(folder: Traversable | None) -> str:
    """WordNet's version, from the licence that its files begin with.

    "unknown" if it does not say, "none" without a folder.
    """
    if folder is None:
        return "none"
    with folder.joinpath("data.adj").open("rb") as file:
        found = re.search(rb"Word[nN]et (\d+\.\d+|\d+\+?) Copyright", file.read(10_000))
    return found[1].decode() if found else "unknown"


def _nltk_data_path() -> list[str]:
    """NLTK's data path: as it stands if NLTK is loaded (which takes a second), else as NLTK makes it."""
    if "nltk.data" in sys.modules:
        return list(map(str, sys.modules["nltk.data"].path))
    chosen = [os.path.expanduser(folder) for folder in os.environ.get("NLTK_DATA", "").split(os.pathsep) if folder]
    usual = [
        os.path.expanduser("~/nltk_data"),
        *(
            os.path.join(sys.prefix, *part)
            for part in (["nltk_data"], ["share", "nltk_data"], ["lib", "nltk_data"])
        ),
    ]
    if sys.platform.startswith("win"):
        roots = [os.environ.get("APPDATA", "C:\\"), "C:\\", "D:\\", "E:\\"]
        return [*chosen, *usual, *(os.path.join(root, "nltk_data") for root in roots)]
    return [*chosen, *usual, *(f"/usr/{part}/nltk_data" for part in ("share", "local/share", "lib", "local/lib"))]
