"""Greedy decoding with its scalars: behind the greedy output and the dropout samples.

Shapes: R rows (items, or samples of items), T steps at most, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from aftertune.errors import InputError
from aftertune.generate.decoder import Decoder
from aftertune.generate.forbidden import Forbidden
from aftertune.generate.reduce import step_scalars
from aftertune.generate.search import decode
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


class GreedySearch:
    """Takes the likeliest token that is allowed until a row has ended.

    Log-probabilities come from the raw logits, whatever the model's generation config forces or forbids.

    Parameters
    ----------
    group : (R,) label of the item that each row is a dropout sample of; asks for the KL of each row's next-token
        distribution from the mean over the unfinished rows of its group.
    prompts : ids of each row's prompt; see `Forbidden`.
    """

    def __init__(
        self,
        n: int,
        rules: DecodingRules,
        max_new_tokens: int,
        device: torch.device,
        group: Tensor | None = None,
        prompts: Sequence[Sequence[int]] | None = None,
    ) -> None:
        shape = (n, max_new_tokens)
        self._rules, self._limit, self._group = rules, max_new_tokens, group
        self._tokens = torch.full(shape, rules.pad_id, dtype=torch.long, device=device)
        self._logprob = torch.full(shape, torch.nan, device=device)
        self._entropy, self._kl = self._logprob.clone(), self._logprob.clone()
        self._n_tokens = torch.zeros(n, dtype=torch.long, device=device)
        self._eos = torch.tensor(rules.eos_ids, device=device)
        self._forbidden = Forbidden(rules, n, device, prompts)
        self._rows = torch.arange(n, device=device)
        self.over = torch.zeros(n, dtype=torch.bool, device=device)

    def advance(self, logits: Tensor, step: int) -> tuple[Tensor, Tensor]:
        if logits.shape[1] == 0:
            return _nothing(len(logits), logits.device)
        going = (~self.over).nonzero()[:, 0]
        rows, all_going = self._rows[going], len(going) == len(self.over)
        group = None if self._group is None else self._group[rows]
        forced = min(self._rules.forced_ids(step, self._limit), default=None)
        forbidden = self._forbidden.next(rows, self._tokens[rows, :step]) if self._forbidden.any else None
        scalars = step_scalars(logits[:, 0] if all_going else logits[going, 0], forced, group, forbidden)
        self._tokens[rows, step] = scalars.token
        self._n_tokens[rows] = step + 1
        self._logprob[rows, step] = scalars.logprob
        self._entropy[rows, step] = scalars.entropy
        if scalars.kl is not None:
            self._kl[rows, step] = scalars.kl
        self.over[going] = torch.isin(scalars.token, self._eos)
        if bool(self.over.all()):
            return _nothing(len(self.over), logits.device)
        tokens = self._tokens[self._rows, step][:, None]
        return tokens, torch.zeros_like(tokens)

    def keep(self, order: Tensor) -> None:
        self._rows, self.over = self._rows[order], self.over[order]

    def result(self) -> Decoded:
        """After the search.

        Raises
        ------
        InputError
            The model's logits were not finite.
        """
        n_tokens, width = self._n_tokens, int(self._n_tokens.max())
        if not torch.equal(torch.isfinite(self._logprob).sum(1), n_tokens):
            raise InputError(
                "the model's logits are not finite numbers: its weights are broken or overflow in this dtype; "
                "try float32 or bfloat16"
            )
        return Decoded(
            tokens=self._tokens[:, :width].cpu(),
            logprob=self._logprob[:, :width].cpu(),
            entropy=self._entropy[:, :width].cpu(),
            kl=None if self._group is None else self._kl[:, :width].cpu(),
            n_tokens=n_tokens.cpu(),
        )


def greedy_decode(
    decoder: Decoder,
    rules: DecodingRules,
    max_new_tokens: int,
    group: Tensor | None = None,
    prompts: Sequence[Sequence[int]] | None = None,
) -> Decoded:
    """A greedy search on its own; see `GreedySearch`."""
    search = GreedySearch(len(decoder.logits), rules, max_new_tokens, decoder.logits.device, group, prompts)
    decode(decoder, [search], max_new_tokens)
    return search.result()


def _nothing(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    none = torch.zeros((n, 0), dtype=torch.long, device=device)
    return none, none
