"""Prompts of mixed lengths, and the batches that all sides decode."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from benchmarks.models import FIRST_WORD, Built, word

SHORTEST, LONGEST = 16, 256
BATCH_SIZE = 16


def mixed(n: int, longest: int = LONGEST, seed: int = 0) -> list[int]:
    """Lengths of n prompts in tokens, uniform between 16 (or `longest`) and `longest`, both reached."""
    shortest = min(SHORTEST, longest)
    lengths = np.linspace(shortest, longest, n).round().astype(int)
    return np.random.default_rng(seed).permutation(lengths).tolist()


def random_prompts(built: Built, n: int, longest: int = LONGEST, seed: int = 0) -> list[str]:
    """Prompts of random words: as many tokens as words."""
    random = np.random.default_rng(seed)
    return [
        " ".join(word(i) for i in random.integers(FIRST_WORD, built.shape.vocabulary, length))
        for length in mixed(n, longest, seed)
    ]


def batches(prompts: Sequence[str], tokenizer: Any, size: int = BATCH_SIZE) -> list[list[str]]:
    """The prompts in batches by falling length in tokens; equal lengths keep their order."""
    order = sorted(prompts, key=lambda prompt: -len(tokenizer(prompt)["input_ids"]))
    return [order[i : i + size] for i in range(0, len(order), size)]


def padded(prompts: Sequence[str], tokenizer: Any, *, left: bool) -> dict[str, torch.Tensor]:
    """`input_ids` and `attention_mask` of one batch (B, S), padded on the side that `generate` needs."""
    rows = [tokenizer(prompt)["input_ids"] for prompt in prompts]
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), tokenizer.pad_token_id)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        place = slice(width - len(row), None) if left else slice(0, len(row))
        ids[i, place] = torch.tensor(row)
        mask[i, place] = 1
    return {"input_ids": ids, "attention_mask": mask}
