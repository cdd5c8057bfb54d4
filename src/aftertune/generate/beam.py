"""Beam search whose results equal those of transformers' ``generate`` (length penalty 1, early stopping off).

Shapes: n items, K beams, C candidates kept per step, V vocabulary, T steps.

The search ranks candidates by the sum of log-probabilities over the length. Two sums are carried: the one that
the search ranks by, in which a forced token counts 0 and a forbidden one −inf as in transformers, and the one from
raw logits, which is the evidence. Items whose search is over leave the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from aftertune.generate.reduce import Continuations, best_continuations, step_scalars
from aftertune.generate.search import Forbidden, nothing
from aftertune.models.loaded import DecodingRules, TokenIds

NEVER = -1.0e9  # the score of a beam that does not exist, as in transformers


@dataclass(frozen=True, slots=True, kw_only=True)
class BeamResult:
    """All K beams, best first, on the CPU.

    Attributes
    ----------
    tokens : (n, K, T) ids, padded with the pad id.
    logprob : (n, K) float32 sums over tokens from raw logits; NaN where the search filled no beam.
    n_tokens : (n, K) including the end-of-sequence token; 0 where the search filled no beam.
    """

    tokens: Tensor
    logprob: Tensor
    n_tokens: Tensor


@dataclass(slots=True, kw_only=True)
class _Beams:
    """Hypotheses of the items that are still searched: rank (they are sorted by it), raw sums, tokens, lengths."""

    rank: Tensor
    raw: Tensor
    tokens: Tensor
    length: Tensor
    finished: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> _Beams:
        return _Beams(**{field.name: change(getattr(self, field.name)) for field in fields(self)})

    def pick(self, index: Tensor) -> _Beams:
        """Along the beam axis: index (n, K')."""
        return self.each(lambda one: one.take_along_dim(index if one.ndim == 2 else index[..., None], 1))

    def items(self, rows: Tensor) -> _Beams:
        return self.each(lambda one: one[rows])


def _joined(parts: Sequence[_Beams], axis: int) -> _Beams:
    names = [field.name for field in fields(_Beams)]
    return _Beams(**{name: torch.cat([getattr(part, name) for part in parts], axis) for name in names})


class BeamSearch:
    """A beam search over n items; `result` gives their beams when it is over for all.

    Parameters
    ----------
    prompts : ids of each item's prompt; see `Forbidden`.
    """

    def __init__(
        self,
        n: int,
        n_beams: int,
        rules: DecodingRules,
        max_new_tokens: int,
        device: torch.device,
        prompts: TokenIds | None = None,
    ) -> None:
        self._rules, self._limit, self._n = rules, max_new_tokens, n
        self._forbidden = Forbidden(rules, n, device, prompts)
        self._eos = torch.tensor(rules.eos_ids, device=device)
        self._n_candidates = max(2, 1 + len(self._eos)) * n_beams
        self._running = _empty(n, n_beams, max_new_tokens, rules.pad_id, device)
        self._running.rank[:, 0] = 0.0  # the other beams start equal to the first: they must not be counted
        self._running.raw[:] = 0.0
        self._done = _empty(n, n_beams, max_new_tokens, rules.pad_id, device)
        self._results: list[tuple[Tensor, _Beams]] = []
        self._items = torch.arange(n, device=device)
        self.over = torch.zeros(n, dtype=torch.bool, device=device)

    def advance(self, logits: Tensor, step: int) -> tuple[Tensor, Tensor]:
        n, n_beams = self._running.rank.shape
        if logits.shape[1] == 0:
            return nothing(n, logits.device)
        candidates, origin = self._expand(logits.expand(n, n_beams, -1), step)
        last = step + 1 == self._limit
        ended = torch.isin(candidates.tokens[..., step], self._eos) | last

        ranked = candidates.rank + ended * NEVER
        best = ranked.topk(n_beams, dim=1).indices
        self._running = candidates.pick(best)
        self._running.rank = ranked.gather(1, best)

        within = torch.arange(self._n_candidates, device=logits.device) < n_beams
        candidates.finished = ended & within
        candidates.rank = candidates.rank / (step + 1) + ~candidates.finished * NEVER
        merged = _joined([self._done, candidates], 1)
        self._done = merged.pick(merged.rank.topk(n_beams, dim=1).indices)

        ends = ~self.over if last else ~self.over & ~_can_improve(self._running, self._done, step + 1)
        if bool(ends.any()):
            rows = ends.nonzero()[:, 0]
            self._results.append((self._items[rows], self._done.items(rows)))
            self.over = self.over | ends
        if bool(self.over.all()):
            return nothing(n, logits.device)
        parents = origin.gather(1, best)
        return self._running.tokens[..., step], parents if step else torch.zeros_like(parents)

    def _expand(self, logits: Tensor, step: int) -> tuple[_Beams, Tensor]:
        """The best continuations of each item's beams, and the beam (n, C) that each one continues."""
        running, forced = self._running, self._rules.forced_ids(step, self._limit)
        if forced:
            best = _forced_continuations(logits, running.rank, forced, self._n_candidates)
        else:
            forbidden = self._forbidden.next(self._items, running.tokens[..., :step])
            best = best_continuations(
                logits, running.rank, self._n_candidates, forbidden, self._rules.renormalised
            )
        candidates = running.pick(best.path)
        candidates.raw = candidates.raw + best.logprob
        candidates.rank = best.rank
        candidates.tokens[..., step] = best.token
        candidates.length = candidates.length + 1
        return candidates, best.path

    def keep(self, order: Tensor) -> None:
        self._running, self._done = self._running.items(order), self._done.items(order)
        self._items, self.over = self._items[order], self.over[order]

    def result(self) -> BeamResult:
        """After the search."""
        rows = torch.cat([rows for rows, _ in self._results])
        assert len(rows) == self._n
        beams = _joined([part for _, part in self._results], 0).items(rows.argsort())
        rank_sum = beams.rank * beams.length.clamp(min=1)
        filled = beams.finished & (rank_sum > NEVER / 2) & torch.isfinite(beams.raw)
        length = torch.where(filled, beams.length, 0)
        width = max(1, int(length.max()))
        return BeamResult(
            tokens=beams.tokens[..., :width].cpu(),
            logprob=torch.where(filled, beams.raw, torch.nan).cpu(),
            n_tokens=length.cpu(),
        )


def _empty(n: int, n_beams: int, width: int, pad_id: int, device: torch.device) -> _Beams:
    shape = (n, n_beams)
    return _Beams(
        rank=torch.full(shape, NEVER, device=device),
        raw=torch.full(shape, torch.nan, device=device),
        tokens=torch.full((*shape, width), pad_id, dtype=torch.long, device=device),
        length=torch.zeros(shape, dtype=torch.long, device=device),
        finished=torch.zeros(shape, dtype=torch.bool, device=device),
    )


def _forced_continuations(logits: Tensor, rank: Tensor, tokens: Sequence[int], count: int) -> Continuations:
    """Every beam goes on with each of `tokens`, at no cost to its rank; the rest of `count` ranks −inf."""
    n, n_beams, vocabulary = logits.shape
    rows = logits.reshape(-1, vocabulary)
    own = torch.stack([step_scalars(rows, token).logprob for token in tokens], dim=-1)  # (n · K, tokens)
    order = rank.argsort(dim=1, descending=True, stable=True)
    path = order.repeat_interleave(len(tokens), dim=1)[:, :count]
    which = torch.arange(len(tokens), device=path.device).repeat(n_beams)[:count]
    filled = path.shape[1]
    path = torch.cat([path, path.new_zeros((n, count - filled))], dim=1)
    which = torch.cat([which, which.new_zeros(count - filled)]).expand(n, -1)
    total = rank.gather(1, path)
    total[:, filled:] = -torch.inf
    return Continuations(
        rank=total,
        path=path,
        token=torch.tensor(tokens, device=path.device)[which],
        logprob=own.view(n, -1).gather(1, path * len(tokens) + which),
    )


def _can_improve(running: _Beams, done: _Beams, length: int) -> Tensor:
    """(n,) whether the best running beam, at its present length, beats the worst finished one."""
    best_running = running.rank[:, :1] / length
    worst_done = torch.where(done.finished, done.rank.min(dim=1, keepdim=True).values, NEVER)
    return (best_running > worst_done).any(dim=1)
