"""The loop that decodes: one forward pass a step for all searches over the same prompts.

A greedy decode and a beam search of the same items are paths of one tree, so a step of the model serves both, and
the weights are read once. An item leaves the batch as soon as no search needs it.
Shapes: n items in the batch, G paths of a search, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from aftertune.generate.decoder import Decoder


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
