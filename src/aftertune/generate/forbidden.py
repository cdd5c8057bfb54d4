"""Tokens that a model's generation config forbids, as transformers' ``generate`` reads it.

Shapes: n items, R rows (items, or beams of items), t tokens so far, M forbidden ids a row.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from aftertune.models.loaded import DecodingRules

NONE = -1  # in the place of an id: nothing is forbidden


class Forbidden:
    """What may not come next: single tokens, tokens at the beginning, and words of several tokens.

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
        prompts: Sequence[Sequence[int]] | None = None,
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


def without(logits: Tensor, forbidden: Tensor) -> Tensor:
    """A copy of the logits (…, V) with −inf at the forbidden ids (…, M)."""
    value = torch.where(forbidden == NONE, torch.inf, -torch.inf).to(logits.dtype)
    return logits.scatter_reduce(-1, forbidden.clamp(min=0), value, "amin")
