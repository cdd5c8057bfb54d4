"""A score chosen on some items and judged on others: five folds, chosen on four, judged on the fifth.

A score that is the best of many on some items looks better on them than it is. What is said of it comes from items
that did not choose it.

Items are put into 20 atoms by a hash; five folds of four atoms are cut in 20 ways, and what the ways find is
averaged: one way leaves the estimate with 1.3 times the standard error that a score named in advance has, twenty
with 1.1 (13 scores). What a score's effect is on the items of a fold follows from the deviations of these items
(`effect.Effect`), to first order, so that rare wrong answers need not be in every fold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import special

from aftertune.stats.change import Spread, spread_for_models, spread_for_training
from aftertune.types import Floats, Ints

FOLDS, ATOMS, WAYS = 5, 20, 20

_DRAWS = 200

_RNG = np.random.default_rng(0)
_INSIDE = np.array(
    [
        order // (ATOMS // FOLDS) == fold
        for order in (_RNG.permutation(ATOMS) for _ in range(WAYS))
        for fold in range(FOLDS)
    ],
    dtype=np.float64,
)
"""(WAYS × FOLDS, ATOMS): 1 where the atom is in the fold."""


def atom_of(keys: Sequence[str]) -> Ints:
    """(G,) atom 0 … 19 of each group of items, by the SHA-256 of its key; sizes differ by one at most.

    >>> sorted(atom_of([f"item-{i}" for i in range(20)]).tolist()) == list(range(20))
    True
    """
    digests = [hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest() for key in keys]
    atoms = np.empty(len(keys), dtype=np.int64)
    atoms[sorted(range(len(keys)), key=lambda i: digests[i])] = np.arange(len(keys)) * ATOMS // len(keys)
    return atoms


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What is known of S scores after R training runs, on items in G groups.

    Attributes
    ----------
    effect, change : (R, S) tie-adjusted rho after fine-tuning, and its change (0 with one checkpoint).
    judged : (J, R, S) what is said of a chosen score, such as its concordance.
    deviations : (2 + J, R, S, G) of all these, in this order (`effect.Effect.deviation`).
    share : (S, G) of a score's items that are in each group, of sum 1.
    """

    effect: Floats
    change: Floats
    judged: Floats
    deviations: Floats
    share: Floats

    def spread(self, kind: int) -> Spread:
        """Of the mean over runs of effect (0), change (1) or what is judged (2, …)."""
        values = np.concatenate([self.effect[None], self.change[None], self.judged])[kind]
        if len(values) > 1:
            return spread_for_training(values, self.deviations[kind])
        return spread_for_models(self.deviations[kind])

    def half_widths(self) -> Floats:
        """(2, S) of the intervals of effect and change that hold for all S scores at once (Šidák), in 95 %."""
        level = 1 - 0.95 ** (1 / self.effect.shape[1])
        spreads = (self.spread(0), self.spread(1))
        return np.stack(
            [(special.stdtrit(one.df, 1 - level / 2) * np.sqrt(one.variance)).max(axis=0) for one in spreads]
        )


class Fair(NamedTuple):
    """What folds say that did not choose, and what the choice adds to its standard error, as a factor."""

    value: float
    stretch: float


def chosen(effect: Floats, *preferences: np.ndarray) -> int | None:
    """The score of the largest effect among those that a preference allows, the first that allows any.

    >>> chosen(np.array([0.3, 0.5, 0.4]), np.array([False] * 3), np.array([True, False, True]))
    2
    """
    for allowed in preferences:
        among = np.flatnonzero(allowed & np.isfinite(effect))
        if len(among):
            return int(among[np.argmax(effect[among])])
    return None


def cross_fitted(scored: Scored, atoms: Ints, *, margin: float, rng: np.random.Generator) -> list[Fair]:
    """What is judged of the score that all items choose, by folds that did not choose it; J of them.

    Each fold is judged by the score that the rest chooses: that of the largest effect among those that are usable
    and survived (lower bounds, simultaneous over the scores, of the effect above 0 and of its change above
    −margin), else among the usable ones, else of all. What the choice adds to the standard error comes from
    repeating the whole procedure on normal draws with the deviations' covariance, beside the standard error of the
    same scores named in advance.

    Parameters
    ----------
    atoms
        (G,) of each group (`atom_of`).

    Notes
    -----
    Coverage and bias by simulation: docs/simulations.md (scripts/simulate/recommending.py).
    """
    mean = scored.deviations.mean(axis=1)
    base = np.concatenate([scored.effect[None], scored.change[None], scored.judged]).mean(axis=1)
    kinds, n_scores = base.shape
    sums = np.stack([[_by_atom(atoms, row) for row in kind] for kind in mean])
    share, half = np.stack([_by_atom(atoms, row) for row in scored.share]), scored.half_widths()
    value = _folded(base, sums[None], share, half, margin)[0][0]
    flat = mean.reshape(kinds * n_scores, -1)
    eigenvalues, vectors = np.linalg.eigh(flat @ flat.T)
    root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
    noise = (rng.standard_normal((_DRAWS, ATOMS, len(root))) @ root.T).transpose(0, 2, 1)
    drawn = noise.reshape(_DRAWS, kinds, n_scores, ATOMS) * np.sqrt(share)
    found, best = _folded(base, drawn, share, half, margin)
    error = np.sqrt(((found - base[2:, best].T) ** 2).mean(axis=0))
    alone = np.sqrt((mean[2:] ** 2).sum(axis=2)[:, best].mean(axis=1))
    return [Fair(float(v), max(1.0, float(e / a)) if a > 0 else 1.0) for v, e, a in zip(value, error, alone)]


def _by_atom(atoms: Ints, values: Floats) -> Floats:
    """(G,) → (ATOMS,) sums."""
    return np.bincount(atoms, values, ATOMS).astype(np.float64)


def _folded(base: Floats, sums: Floats, share: Floats, half: Floats, margin: float) -> tuple[Floats, Ints]:
    """What the folds find, (B, J), and the score that all items choose, (B,).

    Parameters
    ----------
    base
        (2 + J, S) effect, change and what is judged, of all items.
    sums
        (B, 2 + J, S, ATOMS) deviations of each atom.
    share
        (S, ATOMS) of the items.
    half
        (2, S) half-widths of the intervals of effect and change.
    """
    total = sums.sum(axis=-1)
    best = _best(base + total, half, margin)
    inside, own = sums @ _INSIDE.T, share @ _INSIDE.T
    rest = np.maximum(1 - own, 1e-9)
    elsewhere = base[:2, :, None] + (total[:, :2, :, None] - inside[:, :2]) / rest
    there = base[2:, :, None] + inside[:, 2:] / np.maximum(own, 1e-9)
    picked = _best(elsewhere, half[..., None] / np.sqrt(rest), margin)[:, None]
    judged = np.take_along_axis(there, picked[:, None], axis=2)[:, :, 0]
    weight = np.take_along_axis(np.broadcast_to(own, (len(sums), *own.shape)), picked, axis=1)
    return (judged * weight).sum(axis=-1) / weight.sum(axis=-1), best


def _best(values: Floats, half: Floats, margin: float) -> Ints:
    """(B, 2 …, S, …) → (B, …): the score of the largest effect, those first that are usable and survived."""
    effect = values[:, 0]
    usable = effect - half[0] > 0
    survived = values[:, 1] - half[1] > -margin
    return np.argmax(effect + 10.0 * usable + 10.0 * (usable & survived), axis=1)
