"""Beam search whose results equal those of transformers' ``generate`` (length penalty 1, early stopping off).

Shapes: n items, K beams, C candidates kept per step, V vocabulary, T steps.

The search ranks candidates by the sum of log-probabilities over the length. Two sums are carried: the one that
the search ranks by, in which a forced token counts 0 as in transformers, and the one from raw logits, which is
the evidence. Items whose search is over leave the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aftertune.generate.decoder import Decoder
from aftertune.models.loaded import DecodingRules

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
    """Hypotheses of the items that are still searched: rank (what is sorted), raw sums, tokens, lengths."""

    rank: Tensor
    raw: Tensor
    tokens: Tensor
    length: Tensor
    finished: Tensor

    def pick(self, index: Tensor) -> _Beams:
        """Along the beam axis: index (n, K')."""
        return _Beams(
            rank=self.rank.gather(1, index),
            raw=self.raw.gather(1, index),
            tokens=self.tokens.gather(1, index[..., None].expand(-1, -1, self.tokens.shape[-1])),
            length=self.length.gather(1, index),
            finished=self.finished.gather(1, index),
        )

    def items(self, rows: Tensor) -> _Beams:
        return _Beams(
            rank=self.rank[rows],
            raw=self.raw[rows],
            tokens=self.tokens[rows],
            length=self.length[rows],
            finished=self.finished[rows],
        )

    def joined(self, other: _Beams) -> _Beams:
        return _Beams(
            rank=torch.cat([self.rank, other.rank], 1),
            raw=torch.cat([self.raw, other.raw], 1),
            tokens=torch.cat([self.tokens, other.tokens], 1),
            length=torch.cat([self.length, other.length], 1),
            finished=torch.cat([self.finished, other.finished], 1),
        )


def beam_search(decoder: Decoder, rules: DecodingRules, n_beams: int, max_new_tokens: int) -> BeamResult:
    """Search from freshly read prompts (n rows); `decoder` is used up."""
    n, device = len(decoder.logits), decoder.logits.device
    eos = torch.tensor(rules.eos_ids, device=device)
    n_candidates = max(2, 1 + len(eos)) * n_beams
    decoder.select(torch.arange(n, device=device).repeat_interleave(n_beams))

    running = _empty(n, n_beams, max_new_tokens, rules.pad_id, device)
    running.rank[:, 0] = 0.0  # the other beams start equal to the first: they must not be counted
    running.raw[:] = 0.0
    done = _empty(n, n_beams, max_new_tokens, rules.pad_id, device)
    results: list[tuple[Tensor, _Beams]] = []
    alive = torch.arange(n, device=device)

    for step in range(max_new_tokens):
        candidates, origin = _expand(running, decoder.logits, rules, step, max_new_tokens, n_candidates)
        last = step + 1 == max_new_tokens
        ended = torch.isin(candidates.tokens[..., step], eos) | last

        ranked = candidates.rank + ended * NEVER
        best = ranked.topk(n_beams, dim=1).indices
        running = candidates.pick(best)
        running.rank = ranked.gather(1, best)

        within = torch.arange(n_candidates, device=device) < n_beams
        candidates.finished = ended & within
        candidates.rank = candidates.rank / (step + 1) + ~candidates.finished * NEVER
        merged = done.joined(candidates)
        done = merged.pick(merged.rank.topk(n_beams, dim=1).indices)

        if last:
            break
        can_improve = _can_improve(running, done, step + 1)
        if not can_improve.all():
            over = (~can_improve).nonzero()[:, 0]
            results.append((alive[over], done.items(over)))
            keep = can_improve.nonzero()[:, 0]
            if not len(keep):
                alive = alive[keep]
                break
            rows = (keep[:, None] * n_beams + torch.arange(n_beams, device=device)).flatten()
            decoder.select(rows)
            running, done, alive = running.items(keep), done.items(keep), alive[keep]
            best, origin = best[keep], origin[keep]
        source = origin.gather(1, best)
        offset = torch.arange(len(alive), device=device)[:, None] * n_beams
        decoder.reorder((source + offset).flatten())
        decoder.step(running.tokens[..., step].flatten())

    if len(alive):
        results.append((alive, done))
    return _gather_results(results, n)


def _empty(n: int, n_beams: int, width: int, pad_id: int, device: torch.device) -> _Beams:
    shape = (n, n_beams)
    return _Beams(
        rank=torch.full(shape, NEVER, device=device),
        raw=torch.full(shape, torch.nan, device=device),
        tokens=torch.full((*shape, width), pad_id, dtype=torch.long, device=device),
        length=torch.zeros(shape, dtype=torch.long, device=device),
        finished=torch.zeros(shape, dtype=torch.bool, device=device),
    )


def _expand(
    running: _Beams, logits: Tensor, rules: DecodingRules, step: int, max_new_tokens: int, n_candidates: int
) -> tuple[_Beams, Tensor]:
    """The best continuations of each item's beams, and the beam (n, C) that each one continues."""
    n, n_beams = running.rank.shape
    log_p = torch.log_softmax(logits, dim=-1)
    vocabulary = log_p.shape[-1]
    forced = rules.forced_first_id if step == 0 else None
    if step + 1 == max_new_tokens and rules.forced_last_id is not None:
        forced = rules.forced_last_id
    if forced is None:
        total = log_p.view(n, n_beams, vocabulary) + running.rank[..., None]
    else:
        total = torch.full((n, n_beams, vocabulary), -torch.inf, device=log_p.device)
        total[..., forced] = running.rank
    rank, flat = total.view(n, -1).topk(n_candidates, dim=1)
    del total
    origin, token = flat // vocabulary, flat % vocabulary
    candidates = running.pick(origin)
    rows = origin + torch.arange(n, device=origin.device)[:, None] * n_beams
    candidates.raw = candidates.raw + log_p[rows, token]
    candidates.rank = rank
    candidates.tokens[..., step] = token
    candidates.length = candidates.length + 1
    return candidates, origin


def _can_improve(running: _Beams, done: _Beams, length: int) -> Tensor:
    """(n,) whether the best running beam, at its present length, beats the worst finished one."""
    best_running = running.rank[:, :1] / length
    worst_done = torch.where(done.finished, done.rank.min(dim=1, keepdim=True).values, NEVER)
    return (best_running > worst_done).any(dim=1)


def _gather_results(results: list[tuple[Tensor, _Beams]], n: int) -> BeamResult:
    order = torch.cat([rows for rows, _ in results]).argsort()
    assert len(order) == n
    tokens = torch.cat([b.tokens for _, b in results])[order]
    raw = torch.cat([b.raw for _, b in results])[order]
    length = torch.cat([b.length for _, b in results])[order]
    filled = torch.cat([b.finished for _, b in results])[order]
    rank_sum = torch.cat([b.rank for _, b in results])[order] * length.clamp(min=1)
    filled &= (rank_sum > NEVER / 2) & torch.isfinite(raw)
    length = torch.where(filled, length, 0)
    width = max(1, int(length.max()))
    return BeamResult(
        tokens=tokens[..., :width].cpu(),
        logprob=torch.where(filled, raw, torch.nan).cpu(),
        n_tokens=length.cpu(),
    )
