"""Confidence scores: evidence in, one number per item out. Higher always means more confident.

One file per family of scores; `definition` holds the decorator that makes a function a score, `similarity` holds
measures of how alike texts are. NumPy and SciPy only, and sacreBLEU and NLTK for texts.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing

from aftertune.arguments import checked
from aftertune.errors import InputError
from aftertune.scores.definition import SCORES, Score, get
from aftertune.scores.text_pairs import TextPairs
from aftertune.types import Evidence, Floats, ItemScores

__all__ = ["SCORES", "Score", "get", "known_score", "score", "score_items"]


def known_score(score: str) -> Score | None:
    """The score of that name; None for one of other people's making, which came with their records."""
    try:
        return get(score)
    except InputError:
        return None


def score_items(
    evidence: Evidence, names: Iterable[str] | None = None, *, workers: int | None = None
) -> dict[str, ItemScores]:
    """Confidence scores of every item, with the reason where one is undefined.

    Each distinct pair of texts is compared once, whichever scores ask for it.

    Parameters
    ----------
    names
        Scores, with parameters where wanted (``beam_ratio[k=5]``). None: every registered score whose
        evidence is present, with its default parameters.
    workers
        Processes that may compare texts, this one included; None for as many as there are CPUs. Others are
        started for thousands of pairs only; 1 starts none.

    Returns
    -------
    dict
        Name → `ItemScores`, in the order of `names`. The name is the canonical one: a parameter that is
        given but equals the default is not part of it.

    Raises
    ------
    InputError
        An unknown score, or a named score whose evidence is absent.
    """
    if isinstance(names, str):
        raise TypeError(f"names must be a list of names, not the string {names!r}")
    if names is None:
        chosen = [
            entry
            for _, entry in SCORES.items()
            if all(getattr(evidence, part) is not None for part in entry.needs)
        ]
    else:
        chosen = [get(name) for name in names]
    with closing(TextPairs(workers=workers)) as pairs:
        return {entry.name: entry(evidence, pairs) for entry in chosen}


@checked
def score(evidence: Evidence, names: Iterable[str] | None = None) -> dict[str, Floats]:
    """Confidence scores of every item: name → (n,) float64, NaN where undefined.

    Higher means more confident, whatever the score. Parameters and errors as for `score_items`, which also
    says why a value is NaN.
    """
    return {name: result.value for name, result in score_items(evidence, names).items()}
