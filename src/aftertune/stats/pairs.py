"""How pairs of items come out of order: exact counts over all pairs (the paper's Tables 4, 10 and 11).

A pair (A, B) is *relatively correlated* when q_A < q_B and c_A < c_B. It then goes to one of five cells:

    cell        quality of the next checkpoint   confidence of the next checkpoint
    stays       q_A < q_B                        c_A < c_B
    case 1      q_A < q_B                        c_A > c_B
    both flip   q_A > q_B                        c_A > c_B
    case 2      q_A > q_B                        c_A < c_B
    tied        equal, in quality or in confidence or in both

The headers of the last two columns of the paper's Table 4 are garbled in print; this reading is the one that
reproduces what its text says of case 1.

*Read backwards*, from the later checkpoint to the earlier one, case 1 and case 2 are the pairs that came into
order because the order of confidence or of quality flipped; those that stay and those in which both flip are the
same pairs. If nothing changes, as many come into order as out of it (`nulls`).

Notation of bit sets: a *block* holds up to `BLOCK` items; a bit set is (`WORDS`,) of uint64, one bit for each item
of the block. Bits of a short block that stand for no item are never set.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aftertune.types import Floats, Ints

BLOCK = 1024
"""Items of a block. Table and operands of a block then stay in the processor's cache."""

WORDS = BLOCK // 64

Bits = NDArray[np.uint64]
Flags = NDArray[np.bool_]

ALL, NONE = np.uint64(2**64 - 1), np.uint64(0)
"""A word with every bit set, and one with none."""

_SINGLE: Bits = np.packbits(np.eye(BLOCK, dtype=np.bool_), axis=1).view(np.uint64)
"""(BLOCK, WORDS): the set that holds one item alone, for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairChanges:
    """Numbers of pairs that are relatively correlated at a checkpoint, by what becomes of them at another.

    Attributes
    ----------
    stays, case1, both_flip, case2 : pairs that are tied in neither quality nor confidence at the other one.
    n_tied : those that are; they belong to no cell.
    output_unchanged : case 1 pairs in which the worse item's output did not change but its confidence rose, or
        the better item's output did not change but its confidence fell; None where outputs were not given.
    quality_unchanged : the same with quality in the place of output.
    case1_back, case2_back : case 1 and case 2 read backwards; None where they were not counted.
    """

    stays: int
    case1: int
    both_flip: int
    case2: int
    n_tied: int
    output_unchanged: int | None = None
    quality_unchanged: int | None = None
    case1_back: int | None = None
    case2_back: int | None = None

    @property
    def n_correlated(self) -> int:
        """All pairs that are relatively correlated at the first checkpoint."""
        return self.n_untied + self.n_tied

    @property
    def n_untied(self) -> int:
        """Those of them that are in one of the four cells."""
        return self.stays + self.case1 + self.both_flip + self.case2

    @property
    def both_ways(self) -> Ints:
        """(6,) the untied pairs, forwards and backwards, in the order of `pairs_of_each`."""
        return np.array(
            [self.stays, self.case1, self.both_flip, self.case2, self.case1_back, self.case2_back], dtype=np.int64
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PairShares:
    """Means over transitions of the shares of the untied pairs; they sum to 1, or are NaN without transitions.

    Attributes
    ----------
    transitions : how many are averaged, over epochs and training runs.
    """

    transitions: int
    stays: float
    case1: float
    both_flip: float
    case2: float


def pair_changes(
    q_from: ArrayLike,
    c_from: ArrayLike,
    q_to: ArrayLike,
    c_to: ArrayLike,
    *,
    output_same: ArrayLike | None = None,
    quality_same: ArrayLike | None = None,
) -> PairChanges:
    """Counts over all pairs of n items between two checkpoints.

    Parameters
    ----------
    q_from, c_from, q_to, c_to
        (n,) quality and confidence at the one checkpoint and at the other, all finite.
    output_same, quality_same
        (n,) booleans: items whose output or quality is the same at both. Without them the count of unchanged
        case 1 pairs is None.

    Raises
    ------
    ValueError
        If shapes differ or a value is not finite.

    Notes
    -----
    Only ranks are used, so that an increasing transform of any column leaves the cells as they are. The two
    counts of unchanged pairs also ask whether an item's confidence rose: they stay where the transform is that of
    confidence at both checkpoints.

    Items are sorted by quality and cut into blocks. For each block and column, bit sets say which of its items
    rank above a given one (`Above`); a cell is an intersection of such sets, 64 pairs in a word. All pairs of
    100,000 items take about two seconds on one core. Memory grows with n, not with n².

    >>> found = pair_changes(q_from=[0, 1, 2], c_from=[0, 1, 2], q_to=[0, 1, 2], c_to=[1, 0, 2])
    >>> found.stays, found.case1, found.both_flip, found.case2, found.n_tied, found.case1_back
    (2, 1, 0, 0, 0, 0)
    """
    columns = _columns(q_from, c_from, q_to, c_to)
    order = np.argsort(columns[0], kind="stable")
    q_from, c_from, q_to, c_to = (column[order] for column in columns)
    rose, fell = c_to > c_from, c_to < c_from
    same = [_flags(given, len(order))[order] for given in (output_same, quality_same) if given is not None]
    counts = _counts(
        ranks=_ranks(q_from, c_from, q_to, c_to),
        wrong_if_worse=[np.where(flags & rose, ALL, NONE) for flags in same],
        wrong_if_better=[flags & fell for flags in same],
    )
    n_correlated, stays, case1, both_flip, case2, case1_back, case2_back, *unchanged = counts.tolist()
    return PairChanges(
        stays=stays,
        case1=case1,
        both_flip=both_flip,
        case2=case2,
        n_tied=n_correlated - stays - case1 - both_flip - case2,
        output_unchanged=None if output_same is None else unchanged[0],
        quality_unchanged=None if quality_same is None else unchanged[-1],
        case1_back=case1_back,
        case2_back=case2_back,
    )


def pairs_of_each(q_from: Floats, c_from: Floats, q_to: Floats, c_to: Floats) -> Ints:
    """Of the pairs of m ≤ `BLOCK` items, those that each item is in, by what becomes of them.

    Parameters
    ----------
    q_from, c_from, q_to, c_to
        (m,) as in `pair_changes`.

    Returns
    -------
    (6, m) pairs that stay, case 1, both flip, case 2, case 1 read backwards, case 2 read backwards. The sum over
    items is twice the count of pairs.

    >>> pairs_of_each(*np.array([[0.0, 1, 2], [0, 1, 2], [0, 1, 2], [1, 0, 2]])).tolist()[:2]
    [[1, 1, 2], [1, 1, 0]]
    """
    columns = _columns(q_from, c_from, q_to, c_to)
    everyone = set_of(np.ones(len(columns[0]), dtype=np.bool_))
    above, below = [], []
    for ranks in _ranks(*columns):
        block = Above(ranks, int(ranks.max(initial=-1)) + 1)
        above.append(block.higher(ranks))
        below.append(everyone & ~block.not_lower(ranks))

    def having(*higher: bool) -> Ints:
        """Pairs in which one item is the higher of the two in these columns and the lower in the others."""
        sets = [(above, below) if flag else (below, above) for flag in higher]
        found: Bits = np.zeros_like(above[0])
        for role in (0, 1):
            found |= np.bitwise_and.reduce([s[role][i] for i, s in enumerate(sets)])
        return np.bitwise_count(found).sum(axis=1, dtype=np.int64)

    return np.stack(
        [
            having(True, True, True, True),
            having(True, True, True, False),
            having(True, True, False, False),
            having(True, True, False, True),
            having(True, False, True, True),
            having(True, False, False, False),
        ]
    )


def mean_shares(transitions: Iterable[PairChanges]) -> PairShares:
    """Mean of the shares: every transition counts alike, as in Tables 4 and 10, except those without untied pairs.

    >>> one = pair_changes([0, 1, 2], [0, 1, 2], [0, 1, 2], [1, 0, 2])
    >>> mean_shares([one, pair_changes([0, 1], [0, 1], [0, 1], [0, 1])]).case1
    0.16666666666666666
    """
    cells = np.array([(t.stays, t.case1, t.both_flip, t.case2) for t in transitions], dtype=np.float64)
    cells = cells.reshape(-1, 4)
    cells = cells[cells.sum(axis=1) > 0]
    shares = cells / cells.sum(axis=1, keepdims=True)
    stays, case1, both_flip, case2 = shares.mean(axis=0).tolist() if len(shares) else [math.nan] * 4
    return PairShares(transitions=len(shares), stays=stays, case1=case1, both_flip=both_flip, case2=case2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case1Prevalence:
    """Case 1 beside case 2, the two ways in which a pair becomes relatively miscorrelated.

    Attributes
    ----------
    rows : with at least one miscorrelated pair; the others are left out.
    larger, tied : rows in which case 1 is larger than case 2, or the same.
    mean_share : mean over rows of case 1 / (case 1 + case 2); NaN without rows.
    """

    rows: int
    larger: int
    tied: int
    mean_share: float


def case1_prevalence(case1: ArrayLike, case2: ArrayLike) -> Case1Prevalence:
    """Prevalence of case 1 over the R rows of a table, from (R,) counts or shares of pairs of each case.

    Raises
    ------
    ValueError
        If the shapes differ or a value is NaN or below 0.

    >>> case1_prevalence(case1=[3, 1, 2, 0], case2=[1, 1, 6, 0])
    Case1Prevalence(rows=3, larger=1, tied=1, mean_share=0.5)
    """
    first, second = np.asarray(case1, dtype=np.float64), np.asarray(case2, dtype=np.float64)
    if first.ndim != 1 or first.shape != second.shape:
        raise ValueError(f"case 1 has shape {first.shape}, case 2 {second.shape}")
    if not ((first >= 0).all() and (second >= 0).all()):
        raise ValueError("cases must be counts or shares, 0 or more")
    some = first + second > 0
    first, second = first[some], second[some]
    return Case1Prevalence(
        rows=len(first),
        larger=int(np.count_nonzero(first > second)),
        tied=int(np.count_nonzero(first == second)),
        mean_share=float(np.mean(first / (first + second))) if len(first) else math.nan,
    )


def _counts(ranks: Sequence[Ints], wrong_if_worse: Sequence[Bits], wrong_if_better: Sequence[Flags]) -> Ints:
    """Correlated pairs; those that stay, case 1, both flip, case 2; both cases backwards; case 1 by sameness.

    Parameters
    ----------
    ranks
        Of quality and confidence at the first checkpoint, then of both at the second; (n,) each, from 0 without
        gaps, equal for equal values. Items are in the order of their quality at the first checkpoint.
    wrong_if_worse, wrong_if_better
        (n,), for each kind of sameness: whether the item is the same and yet its confidence moved the wrong way,
        for the worse (`ALL` or `NONE`) or for the better item of a pair (a flag).
    """
    n_ranks = [int(column.max(initial=-1)) + 1 for column in ranks]
    counts = np.zeros(7 + len(wrong_if_worse), dtype=np.int64)
    for better in _blocks(len(ranks[0])):
        q, c, q_next, c_next = (Above(column[better], n) for column, n in zip(ranks, n_ranks))
        of_better = [set_of(flags[better]) for flags in wrong_if_better]
        n_worse = int(np.searchsorted(ranks[0], ranks[0][better][-1]))
        for worse in _blocks(n_worse):
            q_rank, c_rank, q_next_rank, c_next_rank = (column[worse] for column in ranks)
            apart, c_up = q.higher(q_rank), c.higher(c_rank)
            q_up, q_down = q_next.higher(q_next_rank), ~q_next.not_lower(q_next_rank)
            c_same = c_next.higher(c_next_rank)
            c_flips = ~c_next.not_lower(c_next_rank)
            correlated, miscorrelated = apart & c_up, apart & ~c.not_lower(c_rank)
            q_same, q_flips = correlated & q_up, correlated & q_down
            case1 = q_same & c_flips
            cells = [correlated, q_same & c_same, case1, q_flips & c_flips, q_flips & c_same]
            cells += [miscorrelated & q_up & c_same, miscorrelated & q_down & c_flips]
            cells += [case1 & (one[worse, None] | other) for one, other in zip(wrong_if_worse, of_better)]
            counts += [size(pairs) for pairs in cells]
    return counts


def _blocks(n: int) -> Iterator[slice]:
    """The first n items, at most `BLOCK` at a time."""
    for start in range(0, n, BLOCK):
        yield slice(start, min(start + BLOCK, n))


def _columns(*given: ArrayLike) -> list[Floats]:
    columns = [np.asarray(column, dtype=np.float64) for column in given]
    shapes = [column.shape for column in columns]
    if columns[0].ndim != 1 or len(set(shapes)) > 1:
        raise ValueError(f"qualities and confidences must have one shape (n,), not {shapes}")
    if not all(np.isfinite(column).all() for column in columns):
        raise ValueError("qualities and confidences must be finite")
    return columns


def _ranks(*columns: Floats) -> list[Ints]:
    return [np.unique(column, return_inverse=True)[1].astype(np.int64) for column in columns]


def _flags(given: ArrayLike, n: int) -> Flags:
    flags = np.asarray(given)
    if flags.shape != (n,) or flags.dtype != np.bool_:
        raise ValueError(f"what is the same must be ({n},) booleans, not {flags.shape} of {flags.dtype}")
    return flags


class Above:
    """For a block of items and a ranking: the items of the block that rank above others.

    Parameters
    ----------
    ranks
        (B,) ranks of the block's items, B ≤ BLOCK: integers from 0, equal where items are tied.
    n_ranks
        Number of ranks, of all items.

    Notes
    -----
    `_highest[k]` is the set of the k items that rank highest, k = 0 … B; `_at_least[r]` is the number of items of
    rank r or higher, r = 0 … n_ranks. The set above any item is one row of the first, found by the second.

    >>> above = Above(np.array([2, 0, 1, 2]), n_ranks=4)
    >>> [size(bits) for bits in above.higher(np.array([0, 1, 2, 3]))]
    [3, 2, 0, 0]
    >>> [size(bits) for bits in above.not_lower(np.array([0, 1, 2, 3]))]
    [4, 3, 2, 0]
    """

    def __init__(self, ranks: Ints, n_ranks: int) -> None:
        from_the_top = np.argsort(ranks, kind="stable")[::-1]
        self._highest = np.zeros((len(ranks) + 1, WORDS), dtype=np.uint64)
        np.bitwise_or.accumulate(_SINGLE[from_the_top], axis=0, out=self._highest[1:])
        self._at_least = np.zeros(n_ranks + 1, dtype=np.int64)
        np.cumsum(np.bincount(ranks, minlength=n_ranks)[::-1], out=self._at_least[-2::-1])

    def higher(self, ranks: Ints) -> Bits:
        """(R,) ranks of any items → (R, WORDS): those of the block that rank higher."""
        return self._highest.take(self._at_least.take(ranks + 1), axis=0)

    def not_lower(self, ranks: Ints) -> Bits:
        """(R,) ranks of any items → (R, WORDS): those of the block that rank higher or the same."""
        return self._highest.take(self._at_least.take(ranks), axis=0)


def set_of(flags: Flags) -> Bits:
    """(B,) a flag for each item of a block → (WORDS,): the flagged ones."""
    return np.bitwise_or.reduce(_SINGLE[np.flatnonzero(flags)], axis=0)


def size(bits: Bits) -> int:
    """Members of all sets in an array of any shape, together.

    >>> size(np.array([[5], [1]], dtype=np.uint64))
    3
    """
    return int(np.bitwise_count(bits).sum(dtype=np.int64))
