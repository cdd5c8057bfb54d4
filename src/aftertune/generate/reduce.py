"""From a step's logits to scalars, and to the best continuations; nothing of vocabulary size outlives a chunk.

Shapes: R rows, V vocabulary, n items, K paths, C candidates. Reductions are in float32 whatever the logits are;
natural logarithms, nats. Rows are taken a few at a time, so that they stay in the processor's cache (on a GPU: so
that float32 copies stay small).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

CHUNK_CPU, CHUNK_GPU = 1 << 18, 1 << 26  # logits reduced at once
BLOCK = 64  # logits that share a maximum in the search for the largest
NONE = -1  # stands for no id among forbidden ones
NOT_FINITE = (
    "the model's logits are not finite numbers: its weights are broken or overflow in this dtype; "
    "try float32 or bfloat16"
)
LOWEST = -200.0  # exp of it is 0 in float32; keeps 0 · log 0 from being 0 · −inf


@dataclass(frozen=True, slots=True, kw_only=True)
class StepScalars:
    """Scalars of each row's next-token distribution, all (R,).

    Attributes
    ----------
    token : the chosen one.
    logprob : its log-probability.
    entropy : of the distribution.
    kl : from the mean of the row's group; None without groups, NaN where the group has one row.
    """

    token: Tensor
    logprob: Tensor
    entropy: Tensor
    kl: Tensor | None


def step_scalars(
    logits: Tensor, forced: int | None = None, group: Tensor | None = None, forbidden: Tensor | None = None
) -> StepScalars:
    """Reduce one step.

    Parameters
    ----------
    logits : (R, V) raw logits; all scalars are of these.
    forced : token taken instead of the likeliest one.
    group : (R,) label of the item that each row is a sample of; asks for KL(p_r ‖ mean of its group), within
        [0, log(rows of the group)].
    forbidden : (R, M) ids that are not taken, as `Forbidden.next` gives them.
    """
    n = len(logits)
    token = torch.empty(n, dtype=torch.long, device=logits.device)
    logprob = torch.empty(n, device=logits.device)
    entropy, kl = torch.empty_like(logprob), torch.full_like(logprob, torch.nan)
    for rows, size in _row_sets(logits, group):
        x = logits[rows].float()
        top = x.amax(-1, keepdim=True)
        z = (x - top).clamp_(min=LOWEST)
        p = torch.softmax(z, -1)
        log_sum = -p.amax(-1).log()  # the likeliest token has z = 0, hence p = 1 / sum
        expected = torch.linalg.vecdot(p, z)
        if forced is None:
            chosen = _likeliest(x, None if forbidden is None else forbidden[rows])
        else:
            chosen = torch.full_like(top[:, 0], forced, dtype=torch.long)
        token[rows] = chosen
        logprob[rows] = (x.gather(1, chosen[:, None]) - top)[:, 0] - log_sum
        entropy[rows] = log_sum - expected
        if size > 1:
            samples = p.view(-1, size, p.shape[-1])
            log_mean = samples.mean(1).clamp_(min=torch.finfo(p.dtype).tiny).log_()
            cross = torch.einsum("gsv,gv->gs", samples, log_mean).flatten()
            kl[rows] = (expected - log_sum - cross).clamp_(min=0.0)
    return StepScalars(token=token, logprob=logprob, entropy=entropy, kl=None if group is None else kl)


def _row_sets(logits: Tensor, group: Tensor | None) -> Iterator[tuple[slice | Tensor, int]]:
    """(rows, size of their groups) of each chunk; the members of a group stand side by side."""
    n, vocabulary = logits.shape
    at_once = max(1, (CHUNK_CPU if logits.device.type == "cpu" else CHUNK_GPU) // vocabulary)
    if group is None:
        for start in range(0, n, at_once):
            yield slice(start, start + at_once), 1
        return
    _, member, sizes = torch.unique(group, return_inverse=True, return_counts=True)
    order = member.argsort(stable=True)
    size_of_row = sizes[member[order]]
    for size in torch.unique(sizes).tolist():
        rows = order[size_of_row == size].view(-1, size)
        for part in rows.split(max(1, at_once // size)):
            yield part.flatten(), size


def _likeliest(x: Tensor, forbidden: Tensor | None) -> Tensor:
    """Index of the first largest allowed element of each row; rows are copied only where it is a forbidden one."""
    chosen = _argmax(x)
    if forbidden is not None:
        wrong = (forbidden == chosen[:, None]).any(-1)
        if bool(wrong.any()):
            chosen[wrong] = _argmax(without(x[wrong], forbidden[wrong]))
    return chosen


def _argmax(x: Tensor) -> Tensor:
    """Index of the first largest element of each row, (R, V) → (R,); quicker than `Tensor.argmax` on a CPU."""
    whole = x.shape[-1] // BLOCK * BLOCK
    if x.device.type != "cpu" or whole == 0:
        return x.argmax(-1)
    blocks = x[:, :whole].unflatten(-1, (-1, BLOCK))
    at = blocks.amax(-1).argmax(-1)
    rows = torch.arange(len(x))
    best = at * BLOCK + blocks[rows, at].argmax(-1)
    if whole == x.shape[-1]:
        return best
    tail = x[:, whole:].argmax(-1) + whole
    return torch.where(x[rows, tail] > x[rows, best], tail, best)


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuations:
    """The best continuations of each item's paths, best first, all (n, C).

    Attributes
    ----------
    rank : total.
    path : the one that is continued.
    token, logprob : the token that is appended, and its log-probability.
    """

    rank: Tensor
    path: Tensor
    token: Tensor
    logprob: Tensor


def best_continuations(
    logits: Tensor,
    rank: Tensor,
    count: int,
    forbidden: Tensor | None = None,
    renormalised: bool = False,
) -> Continuations:
    """The `count` largest of rank + log-probability over all tokens of all paths of each item.

    The largest are looked for among the blocks with the largest maxima: `count` blocks hold them all.

    Parameters
    ----------
    logits : (n, K, V) raw logits.
    rank : (n, K) what each path has so far.
    forbidden : (n, K, M) ids that are not taken; where nothing else is left, they rank −inf.
    renormalised : whether ranks add log-probabilities among the allowed tokens. `Continuations.logprob` is always
        among all.
    """
    n, k, vocabulary = logits.shape
    at_once = max(1, (CHUNK_CPU if logits.device.type == "cpu" else CHUNK_GPU) // (k * vocabulary))
    chunks = [slice(at, at + at_once) for at in range(0, n, at_once)]
    parts = [
        _best_of_chunk(
            logits[rows].float(), rank[rows], count, None if forbidden is None else forbidden[rows], renormalised
        )
        for rows in chunks
    ]
    joined = [torch.cat(tensors) for tensors in zip(*parts)]
    return Continuations(rank=joined[0], path=joined[1], token=joined[2], logprob=joined[3])


def _best_of_chunk(
    x: Tensor, rank: Tensor, count: int, forbidden: Tensor | None, renormalised: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n, k, vocabulary = x.shape
    whole = vocabulary // BLOCK * BLOCK
    top, log_sum = _log_partition(x)
    if forbidden is not None:
        x = without(x, forbidden)
        if renormalised:
            left, log_sum_left = _log_partition(x)
            rank = rank - (left - top + log_sum_left - log_sum)[..., 0]  # log-probability of all that is allowed
    shift = top + log_sum - rank[..., None]
    blocks = x[..., :whole].unflatten(-1, (-1, BLOCK))
    best = (blocks.amax(-1) - shift).flatten(1)  # (n, K · blocks)
    at = best.topk(min(count, best.shape[1]), dim=1).indices
    per_path = whole // BLOCK
    if per_path:
        index = (at % per_path)[..., None] * BLOCK + torch.arange(BLOCK, device=x.device)
        flat = ((at // per_path)[..., None] * vocabulary + index).flatten(1)
    else:
        flat = at.new_empty((n, 0))
    tail = torch.arange(whole, vocabulary, device=x.device)
    ends = (torch.arange(k, device=x.device)[:, None] * vocabulary + tail).flatten().expand(n, -1)
    flat = torch.cat([flat, ends], dim=1)
    path, token = flat // vocabulary, flat % vocabulary
    logprob = x.flatten(1).gather(1, flat) - top[..., 0].gather(1, path) - log_sum[..., 0].gather(1, path)
    total = logprob + rank.gather(1, path)
    value, chosen = total.topk(count, dim=1)
    return value, path.gather(1, chosen), token.gather(1, chosen), logprob.gather(1, chosen)


def without(logits: Tensor, forbidden: Tensor) -> Tensor:
    """A copy of the logits (…, V) with −inf at the forbidden ids (…, M)."""
    value = torch.where(forbidden == NONE, torch.inf, -torch.inf).to(logits.dtype)
    return logits.scatter_reduce(-1, forbidden.clamp(min=0), value, "amin")


def _log_partition(x: Tensor) -> tuple[Tensor, Tensor]:
    """(…, V) → the largest, and log Σ exp(x − largest), both (…, 1); as in `step_scalars`."""
    return x.amax(-1, keepdim=True), -torch.softmax(x, -1).amax(-1, keepdim=True).log_()
