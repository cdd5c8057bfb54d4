"""The yardstick: plain `model.generate` calls that decode what the evidence is made of, and keep nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from aftertune.models.dropout import dropout_on, parse_dropout
from benchmarks.prompts import BATCH_SIZE, batches, padded

BEAMS, SAMPLES = 10, 3


class Bare:
    """Greedy, beams and dropout decodes of some prompts by the library alone; no scores are kept.

    Tokenising, sorting and padding are done once, here, and so cost these calls nothing.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        prompts: Sequence[str],
        dropout: str,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self._model, self._dropout = model, parse_dropout(dropout)
        left = not model.config.is_encoder_decoder
        self._batches = [
            {name: tensor.to(model.device) for name, tensor in padded(one, tokenizer, left=left).items()}
            for one in batches(prompts, tokenizer, batch_size)
        ]

    def greedy(self, tokens: int) -> list[torch.Tensor]:
        return [self._generate(batch, tokens) for batch in self._batches]

    def beams(self, tokens: int) -> list[torch.Tensor]:
        """Beam search with 10 beams that returns all 10."""
        return [
            self._generate(batch, tokens, num_beams=BEAMS, num_return_sequences=BEAMS) for batch in self._batches
        ]

    def dropout(self, tokens: int) -> list[torch.Tensor]:
        """3 greedy decodes with dropout active: each prompt 3 times in one batch."""
        with torch.random.fork_rng(), dropout_on(self._model, self._dropout):
            return [
                self._generate(
                    {name: tensor.repeat_interleave(SAMPLES, 0) for name, tensor in batch.items()}, tokens
                )
                for batch in self._batches
            ]

    @torch.no_grad()
    def _generate(self, batch: dict[str, torch.Tensor], tokens: int, **settings: Any) -> torch.Tensor:
        return self._model.generate(**batch, max_new_tokens=tokens, do_sample=False, **settings)
