"""The loop that decodes, the greedy search, and the tokens that no search takes (`beam.py` has the other search).

A greedy decode and a beam search of the same items are paths of one tree. So one forward pass per step serves both
and reads the weights once. An item leaves the batch as soon as no search needs it.

Shapes: n items in the batch, G paths of a search, R rows (items, or beams or samples of items), T steps at most,
t tokens so far, M forbidden ids a row, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from aftertune.errors import InputError
from aftertune.generate.decoder import Decoder
from aftertune.generate.reduce import NONE, NOT_FINITE, step_scalars
from aftertune.models.loaded import DecodingRules, TokenIds


class Search(Protocol):
    """Chooses tokens for some of the paths of each item."""

    over: Tensor
    """(n,) bool: items for which nothing more is wanted."""

    def advance(self, logits: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """From logits (n, G, V) of its paths to its next paths: tokens and parents, both (n, G').

        G is 1 at step 0. Items that are over are carried along; when all are, G' is 0.
        """
        ...

    def keep(self, order: Tensor) -> None:
        """Item order[i] goes to place i, as in `Decoder.keep`."""
        ...


def decode(decoder: Decoder, searches: Sequence[Search], max_new_tokens: int) -> None:
    """Run the searches to their end. The decoder is used up; results are in the searches."""
    widths = [1] * len(searches)
    for step in range(max_new_tokens):
        chosen: list[Tensor] = []
        parents: list[Tensor] = []
        first = 0
        for i, search in enumerate(searches):
            logits = decoder.logits[:, first : first + widths[i]]
            tokens, origin = search.advance(logits, step)
            chosen.append(tokens)
            parents.append(origin + first)
            first += 0 if step == 0 else widths[i]
            widths[i] = tokens.shape[1]
        over = torch.stack([search.over for search in searches]).all(0)
        if step + 1 == max_new_tokens or bool(over.all()):
            return
        tokens, origin = torch.cat(chosen, 1), torch.cat(parents, 1)
        if bool(over.any()):
            order = _closing_gaps(over)
            decoder.keep(order)
            for search in searches:
                search.keep(order)
            tokens, origin = tokens[order], origin[order]
        decoder.step(tokens, origin)


def _closing_gaps(over: Tensor) -> Tensor:
    """Which item goes to each of the places that remain: the last items fill the gaps, the others stay.

    >>> _closing_gaps(torch.tensor([False, True, False, True, False])).tolist()
    [0, 4, 2]
    """
    left = (~over).nonzero()[:, 0]
    order = torch.arange(len(left), device=over.device)
    gaps = over[: len(left)].nonzero()[:, 0]
    order[gaps] = left[len(left) - len(gaps) :]
    return order


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
        prompts: TokenIds | None = None,
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
            return nothing(len(logits), logits.device)
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
            return nothing(len(self.over), logits.device)
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
            raise InputError(NOT_FINITE)
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
    prompts: TokenIds | None = None,
) -> Decoded:
    """A greedy search on its own; see `GreedySearch`."""
    search = GreedySearch(len(decoder.logits), rules, max_new_tokens, decoder.logits.device, group, prompts)
    decode(decoder, [search], max_new_tokens)
    return search.result()


def nothing(n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """What `Search.advance` returns where all items are over."""
    none = torch.zeros((n, 0), dtype=torch.long, device=device)
    return none, none


class Forbidden:
    """What may not come next: single tokens, tokens at the beginning, and words of several tokens.

    A model's generation config says so; it is read as transformers' ``generate`` reads it.

    Parameters
    ----------
    n : number of items.
    prompts : ids of their prompts, needed where a decoder-only model's config forbids words of several tokens: one
        that begins in the prompt may not be completed in the output.
    """

    def __init__(
        self,
        rules: DecodingRules,
        n: int,
        device: torch.device,
        prompts: TokenIds | None = None,
    ) -> None:
        single = [word[0] for word in rules.bad_words if len(word) == 1]
        self._always = torch.tensor([*single, *rules.suppressed], dtype=torch.long, device=device)
        self._first = torch.tensor(rules.suppressed_first, dtype=torch.long, device=device)
        self._first_free_step = rules.first_free_step
        longer = [word for word in rules.bad_words if len(word) > 1]
        self._words = [
            torch.tensor([word for word in longer if len(word) == length], dtype=torch.long, device=device)
            for length in sorted({len(word) for word in longer})
        ]
        self.any = bool(len(self._always) or len(self._first) or longer)
        """Whether there is anything that may not come."""
        if longer:
            width = max(map(len, longer)) - 1
            given = prompts if rules.start_id is None else [[rules.start_id]] * n
            if given is None:
                raise ValueError("words of several tokens are forbidden: the search needs the prompts")
            tails = [([NONE] * width + list(ids))[-width:] for ids in given]
            self._tails = torch.tensor(tails, dtype=torch.long, device=device)

    def next(self, items: Tensor, tokens: Tensor) -> Tensor | None:
        """Ids that may not follow `tokens`, or None where all may.

        Parameters
        ----------
        items : (n',) which of the n items these are.
        tokens : (n', …, t) of their outputs so far.

        Returns
        -------
        (n', …, M) ids; NONE fills rows.
        """
        rows = tokens.shape[:-1]
        found = [self._always.expand(*rows, -1)] if len(self._always) else []
        if len(self._first) and tokens.shape[-1] == self._first_free_step:
            found.append(self._first.expand(*rows, -1))
        if self._words:
            tails = self._tails[items].view(len(items), *[1] * (tokens.ndim - 2), -1).expand(*rows, -1)
            before = torch.cat([tails, tokens], dim=-1)
            for words in self._words:
                seen = before[..., None, before.shape[-1] - words.shape[1] + 1 :] == words[:, :-1]
                found.append(torch.where(seen.all(-1), words[:, -1], NONE))
        return torch.cat(found, dim=-1) if found else None
