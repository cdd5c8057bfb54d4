"""chrF2: F-score of character n-grams up to 6, beta = 2 (Popović 2015), as sacreBLEU computes it.

Equal texts have 1. Not symmetric: recall, over the reference's n-grams, weighs more. White space is left out.
sacreBLEU spends its time on a dictionary of n-grams for each text; here the n-grams of many pairs are integers
that are sorted together. Values equal sacreBLEU's bit by bit (tested).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version

import numpy as np

from aftertune.scores.similarity import Similarity, add
from aftertune.types import Floats

ORDER = 6
BETA = 2
PAIRS_PER_BATCH = 128


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> Floats:
    """Sentence chrF2 / 100 of each pair, in [0, 1]."""
    values = np.empty(len(hypotheses), dtype=np.float64)
    for start in range(0, len(hypotheses), PAIRS_PER_BATCH):
        batch = slice(start, start + PAIRS_PER_BATCH)
        values[batch] = f_score(*count_ngrams(hypotheses[batch], references[batch]))
    return np.clip(values / 100, 0.0, 1.0)


def f_score(matches: Floats, of_hypothesis: Floats, of_reference: Floats) -> Floats:
    """100 F_beta of the mean precision and the mean recall over the orders that both texts have; 0 if none.

    Parameters
    ----------
    matches, of_hypothesis, of_reference
        (n, ORDER) n-grams that match, and of the one and the other text. Rounding is sacreBLEU's: orders are
        added one after the other.
    """
    precision, recall, orders = np.zeros((3, len(matches)))
    for match, ours, theirs in zip(matches.T, of_hypothesis.T, of_reference.T):
        both = (ours > 0) & (theirs > 0)
        precision += np.divide(match, ours, out=np.zeros_like(match), where=both)
        recall += np.divide(match, theirs, out=np.zeros_like(match), where=both)
        orders += both
    some = precision + recall > 0
    precision, recall = precision[some] / orders[some], recall[some] / orders[some]
    score = np.zeros(len(matches))
    score[some] = 100 * ((1 + BETA**2) * precision * recall / (BETA**2 * precision + recall))
    return score


def count_ngrams(hypotheses: Sequence[str], references: Sequence[str]) -> tuple[Floats, Floats, Floats]:
    """The clipped matches, and the hypothesis's and the reference's n-grams, of n pairs at each order.

    Returns
    -------
    matches, of_hypothesis, of_reference
        (n, ORDER) each; matches are Σ_g min(count of g in the hypothesis, count of g in the reference).
    """
    n = len(hypotheses)
    texts = ["".join(text.split()) for text in (*hypotheses, *references)]
    lengths = np.array([len(text) for text in texts])
    counts = np.maximum(lengths[:, None] - np.arange(ORDER), 0).astype(np.float64)
    matches = np.zeros((n, ORDER))
    for order, (owner, grams) in enumerate(_ngrams("".join(texts), lengths)):
        size = int(grams.max()) + 1
        # pair, n-gram, and on which side it stands: equal n-grams of a pair become neighbours
        keys = np.sort(((owner % n) * size + grams) * 2 + (owner >= n))
        sides, keys = keys & 1, keys >> 1
        first = np.flatnonzero(np.diff(keys, prepend=-1))
        in_reference = np.add.reduceat(sides, first)
        in_hypothesis = np.diff(first, append=len(keys)) - in_reference
        both = np.minimum(in_hypothesis, in_reference)
        matches[:, order] = np.bincount(keys[first] // size, both, minlength=n)
    return matches, counts[:n], counts[n:]


def _ngrams(characters: str, lengths: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For each order that a text has: which text each n-gram is in, and the n-gram as an integer ≥ 0.

    Equal integers are equal n-grams, within an order. They are as small as 2^63 / (number of texts) asks.
    """
    code_points = np.frombuffer(characters.encode("utf-32-le", "surrogatepass"), dtype="<u4")
    alphabet, letters = np.unique(code_points, return_inverse=True)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    ends = np.cumsum(lengths)[owner]
    start, grams = np.arange(len(letters)), np.zeros(len(letters), dtype=np.int64)
    for order in range(ORDER):
        inside = start + order < ends[start]
        start, grams = start[inside], grams[inside]
        if not len(start):
            return
        if (int(grams.max()) + 1) * len(alphabet) * len(lengths) >= 2**63:
            grams = np.unique(grams, return_inverse=True)[1]
        grams = grams * len(alphabet) + letters[start + order]
        yield owner[start], grams


def _settings() -> Mapping[str, str]:
    return {"similarity": "chrF2", "sacrebleu": version("sacrebleu")}


add("chrf", Similarity(compare=chrf, settings=_settings, pairs_per_process=4_000))
