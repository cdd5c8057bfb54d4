"""Similarities of text pairs, each distinct pair computed once."""

from __future__ import annotations

import numpy as np

from aftertune.scores import similarity as similarities
from aftertune.scores.workers import Workers, usable_cpus
from aftertune.types import Floats, Texts


class TextPairs:
    """A store of text similarities that lives as long as one call of `aftertune.score`.

    Outputs repeat (dropout samples are often equal, and three CoCoA scores compare the same texts), so pairs
    are compared once, and once for both orders where the measure is symmetric. Two empty texts have no
    similarity, NaN; an empty text and another one have 0. Thousands of pairs are shared with worker processes,
    which `close` ends.

    Parameters
    ----------
    workers
        Processes that may compute, this one included; None for as many as there are CPUs. 1 starts none.
    """

    def __init__(self, *, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"workers must be at least 1, not {workers}")
        self._known: dict[str, dict[tuple[str, str], float]] = {}
        self._processes = usable_cpus() if workers is None else workers
        self._workers = Workers()

    def similarity(self, name: str, hypothesis: Texts, reference: Texts) -> Floats:
        """Similarity `name` of each hypothesis with its reference.

        Parameters
        ----------
        name
            As for `aftertune.scores.similarity.get`.
        hypothesis, reference
            Texts of shapes that broadcast.

        Returns
        -------
        Floats of the common shape, in [0, 1]; NaN where both texts are empty.
        """
        measure = similarities.get(name)
        hypothesis, reference = np.broadcast_arrays(hypothesis, reference)
        pairs = list(zip(hypothesis.ravel(), reference.ravel()))
        if measure.symmetric:
            pairs = [(min(pair), max(pair)) for pair in pairs]
        known = self._known.setdefault(name, {})
        full = []
        for pair in dict.fromkeys(pairs):
            if pair in known:
                continue
            empty = [not text.strip() for text in pair]
            if any(empty):
                known[pair] = np.nan if all(empty) else 0.0
            else:
                full.append(pair)
        if full:
            known.update(zip(full, map(float, self._compare(name, measure, full))))
        return np.array([known[pair] for pair in pairs], dtype=np.float64).reshape(hypothesis.shape)

    def _compare(self, name: str, measure: similarities.Similarity, pairs: list[tuple[str, str]]) -> Floats:
        hypotheses, references = map(list, zip(*pairs))
        each = measure.pairs_per_process
        processes = 1 if each is None else min(self._processes, len(pairs) // each)
        if processes > 1:
            return self._workers.compare(name, hypotheses, references, processes)
        return measure.compare(hypotheses, references)

    def within(self, name: str, texts: Texts) -> Floats:
        """Similarity of every ordered pair i ≠ j among the D texts of each item.

        Parameters
        ----------
        texts
            (n, D); text i is the hypothesis, text j the reference.

        Returns
        -------
        Floats of shape (n, D(D − 1)).
        """
        i, j = np.nonzero(~np.eye(texts.shape[1], dtype=bool))
        return self.similarity(name, texts[:, i], texts[:, j])

    def close(self) -> None:
        """End the worker processes, if there are any; similarities can still be asked for."""
        self._workers.close()
