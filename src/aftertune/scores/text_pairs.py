"""Similarities of text pairs, each distinct pair computed once."""

from __future__ import annotations

import numpy as np

from aftertune.scores import similarity as similarities
from aftertune.types import Floats, Texts


class TextPairs:
    """A store of text similarities that lives as long as one call of `aftertune.score`.

    Outputs repeat (dropout samples are often equal, and three CoCoA scores compare the same texts), so pairs
    are compared once. Two empty texts have no similarity, NaN; an empty text and another one have 0.
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[tuple[str, str], float]] = {}

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
        hypothesis, reference = np.broadcast_arrays(hypothesis, reference)
        pairs = list(zip(hypothesis.ravel(), reference.ravel()))
        known = self._known.setdefault(name, {})
        new = [pair for pair in dict.fromkeys(pairs) if pair not in known]
        full = []
        for pair in new:
            empty = [not text.strip() for text in pair]
            if any(empty):
                known[pair] = np.nan if all(empty) else 0.0
            else:
                full.append(pair)
        if full:
            values = similarities.get(name).compare(*map(list, zip(*full)))
            known.update(zip(full, map(float, values)))
        return np.array([known[pair] for pair in pairs], dtype=np.float64).reshape(hypothesis.shape)

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
