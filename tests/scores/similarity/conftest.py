"""A WordNet of a few words, in the format of its files (wndb(5WN))."""

from __future__ import annotations

from pathlib import Path

import pytest

LICENCE = "  1 WordNet 3.0 Copyright 2006 by Princeton University.  \n"
# part of speech → (type of synset, its words)
SYNSETS = {
    "noun": [
        ("n", "car auto motor_car machine"),
        ("n", "car railcar"),
        ("n", "goose"),
        ("n", "man adult_male"),
        ("n", "glass"),
        ("n", "Paris City_of_Light"),
        ("n", "bus autobus coach charabanc jitney motorbus motorcoach omnibus vehicle wagon wain"),
        ("n", "run tally"),
    ],
    "verb": [("v", "stop halt"), ("v", "run go travel"), ("v", "glaze glass"), ("v", "love enjoy")],
    "adj": [("a", "sick(p) ill"), ("s", "fine galore(ip)"), ("a", "large big")],
    "adv": [("r", "well good")],
}
EXCEPTIONS = {"noun": "geese goose\nmen man\n", "verb": "ran run\n", "adj": "iller ill\n", "adv": ""}


@pytest.fixture
def small_wordnet(tmp_path) -> Path:
    """Folder of the files, in a folder that NLTK's data path may name."""
    folder = tmp_path / "nltk_data" / "corpora" / "wordnet"
    folder.mkdir(parents=True)
    for pos, synsets in SYNSETS.items():
        data, index = LICENCE, {}
        for kind, text in synsets:
            words = text.split()
            offset = f"{len(data):08d}"
            # a satellite points to its head, here the first adjective
            pointers = f"001 & {len(LICENCE):08d} a 0000" if kind == "s" else "000"
            members = " ".join(f"{word} 0" for word in words)
            data += f"{offset} 03 {kind} {len(words):02x} {members} {pointers} | a gloss  \n"
            for word in words:
                index.setdefault(word.partition("(")[0].lower(), []).append(offset)
        letter = "r" if pos == "adv" else pos[0]
        lines = [
            f"{word} {letter} {len(where)} 0 {len(where)} 0 {' '.join(where)}  \n"
            for word, where in sorted(index.items())
        ]
        (folder / f"data.{pos}").write_text(data)
        (folder / f"index.{pos}").write_text(LICENCE + "".join(lines))
        (folder / f"{pos}.exc").write_text(EXCEPTIONS[pos])
    return folder
