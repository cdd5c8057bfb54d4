"""Greedy decoding with its scalars: the one loop behind the greedy output and the dropout samples.

Shapes: R rows, T steps at most.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from aftertune.errors import InputError
from aftertune.generate.decoder import Decoder
from aftertune.generate.reduce import entropy, kl_from_group_mean
from aftertune.models.loaded import DecodingRules


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What a greedy decode leaves, on the CPU.

    Attributes
    ----------
    tokens : (R, T) ids, padded with the pad id after the first end-of-sequence token.
    logprob, entropy : (R, T) float32, NaN after it.
    kl : (R, T) float32 or None.
    n_tokens : (R,) up to and including the first end-of-sequence token.
    """

    tokens: Tensor
    logprob: Tensor
    entropy: Tensor
    kl: Tensor | None
    n_tokens: Tensor


def greedy_decode(
    decoder: Decoder, rules: DecodingRules, max_new_tokens: int, group: Tensor | None = None
) -> Decoded:
    """Take the likeliest token until every row has ended; ended rows leave the batch at once.

    Log-probabilities come from the raw logits, also for a token that the model's generation config forces.

    Parameters
    ----------
    group : (R,) label of the item that each row is a dropout sample of; asks for the KL of each row's
        next-token distribution from the mean over the unfinished rows of its group.

    Raises
    ------
    InputError
        The model's logits are not finite.
    """
    n = len(decoder.logits)
    device = decoder.logits.device
    shape = (n, max_new_tokens)
    tokens = torch.full(shape, rules.pad_id, dtype=torch.long, device=device)
    logprob = torch.full(shape, torch.nan, device=device)
    entropies, divergences = logprob.clone(), logprob.clone()
    eos = torch.tensor(rules.eos_ids, device=device)
    n_tokens = torch.zeros(n, dtype=torch.long, device=device)
    alive = torch.arange(n, device=device)

    for step in range(max_new_tokens):
        log_p = torch.log_softmax(decoder.logits, dim=-1)
        chosen = _choose(log_p, rules, step, max_new_tokens)
        tokens[alive, step] = chosen
        n_tokens[alive] = step + 1
        logprob[alive, step] = log_p.gather(1, chosen[:, None])[:, 0]
        entropies[alive, step] = entropy(log_p)
        if group is not None:
            divergences[alive, step] = kl_from_group_mean(log_p, group[alive])
        del log_p
        going = ~torch.isin(chosen, eos)
        if step + 1 == max_new_tokens or not going.any():
            break
        if not going.all():
            rows = going.nonzero()[:, 0]
            decoder.select(rows)
            alive, chosen = alive[rows], chosen[rows]
        decoder.step(chosen)

    width = int(n_tokens.max())
    if not torch.equal(torch.isfinite(logprob).sum(1), n_tokens):
        raise InputError(
            "the model's logits are not finite numbers: its weights are broken or overflow in this dtype; "
            "try float32 or bfloat16"
        )
    return Decoded(
        tokens=tokens[:, :width].cpu(),
        logprob=logprob[:, :width].cpu(),
        entropy=entropies[:, :width].cpu(),
        kl=None if group is None else divergences[:, :width].cpu(),
        n_tokens=n_tokens.cpu(),
    )


def _choose(log_p: Tensor, rules: DecodingRules, step: int, max_new_tokens: int) -> Tensor:
    forced = None
    if step == 0:
        forced = rules.forced_first_id
    if step + 1 == max_new_tokens and rules.forced_last_id is not None:
        forced = rules.forced_last_id
    if forced is not None:
        return torch.full((len(log_p),), forced, device=log_p.device)
    return log_p.argmax(dim=-1)
