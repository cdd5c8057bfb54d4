"""What is measured: evidence through aftertune's public door, tokenising and sorting included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from aftertune import evidence as pieces
from aftertune.generate.collect import CollectOptions, collect, collect_batch
from aftertune.models.dropout import parse_dropout
from aftertune.models.loaded import wrap
from aftertune.types import Evidence
from benchmarks.bare import BEAMS, SAMPLES
from benchmarks.prompts import BATCH_SIZE, batches


class Ours:
    """Evidence for some prompts, in whole or in parts."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        prompts: Sequence[str],
        dropout: str,
        batch_size: int = BATCH_SIZE,
    ) -> None:
        self._model, self._tokenizer, self._prompts = model, tokenizer, list(prompts)
        self._dropout, self._batch_size = dropout, batch_size

    def greedy(self, tokens: int) -> Evidence:
        """Greedy outputs with log-probability and entropy of every token."""
        return self._collect(tokens)

    def everything(self, tokens: int) -> Evidence:
        """Greedy outputs, 10 beams, 3 dropout decodes with log-probability, entropy and KL, embeddings."""
        return self._collect(tokens, beams=BEAMS, dropout_samples=SAMPLES, embedding=True)

    def sampled(self, tokens: int, samples: int = SAMPLES) -> Evidence:
        """What the peer can produce too: greedy outputs with log-probability and entropy, and samples."""
        return self._collect(tokens, dropout_samples=samples)

    def beams(self, tokens: int) -> Evidence:
        """Beams alone."""
        return self._part(tokens, beams=BEAMS, dropout_samples=0)

    def dropout(self, tokens: int) -> Evidence:
        """Dropout decodes alone."""
        return self._part(tokens, beams=0, dropout_samples=SAMPLES)

    def _collect(self, tokens: int, **parts: Any) -> Evidence:
        return collect(
            self._model,
            self._tokenizer,
            self._prompts,
            **{"beams": 0, "dropout_samples": 0, "embedding": False, **parts},
            max_new_tokens=tokens,
            batch_size=self._batch_size,
            dropout=self._dropout,
        )

    def _part(self, tokens: int, *, beams: int, dropout_samples: int) -> Evidence:
        options = CollectOptions(
            beams=beams,
            dropout_samples=dropout_samples,
            max_new_tokens=tokens,
            batch_size=self._batch_size,
            dropout=parse_dropout(self._dropout),
            greedy=False,
            embedding=False,
        )
        loaded = wrap(self._model, self._tokenizer)
        done = []
        for number, batch in enumerate(batches(self._prompts, self._tokenizer, self._batch_size)):
            names = [f"{number}-{i}" for i in range(len(batch))]
            ids = [self._tokenizer(prompt)["input_ids"] for prompt in batch]
            done.append(collect_batch(loaded, names, ids, options))
        return pieces.concatenate(done)
