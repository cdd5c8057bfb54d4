"""What each score is, in words and as a formula."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from aftertune.errors import InputError
from aftertune.scores import get


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A score as a reader meets it; `known` is false for one that came with foreign records."""

    score: str
    paper_name: str = ""
    formula: str = ""
    source: str = ""
    needs: tuple[str, ...] = ()
    known: bool = True


def glossary(scores: Iterable[str]) -> tuple[Entry, ...]:
    """One entry for each score, in the order given."""
    entries = []
    for name in dict.fromkeys(scores):
        try:
            found = get(name)
        except InputError:  # records may hold scores of other people's making
            entries.append(Entry(score=name, known=False))
            continue
        entries.append(
            Entry(
                score=name,
                paper_name=found.paper_name,
                formula=found.formula,
                source=found.source,
                needs=found.needs,
            )
        )
    return tuple(entries)
