"""Evidence made by hand or at random, valid by the constructors' own checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from aftertune.seeds import generator
from aftertune.types import Beams, DropoutSamples, Evidence, Greedy

WORDS = [
    "red",
    "blue",
    "small",
    "large",
    "cats",
    "dogs",
    "sat",
    "ran",
    "slept",
    "on",
    "under",
    "the",
    "a",
    "mat",
    "house",
    "quietly",
]


def pad(rows: Sequence[Sequence[float]], width: int | None = None) -> np.ndarray:
    """Rows of different lengths, right-padded with NaN."""
    width = max((len(row) for row in rows), default=0) if width is None else width
    return np.array([[*row, *[np.nan] * (width - len(row))] for row in rows], dtype=float).reshape(
        len(rows), width
    )


def greedy(rows: Sequence[Sequence[float]], entropy=None, text: Sequence[str] | None = None) -> Greedy:
    """`Greedy` from each item's token log-probabilities (and entropies, by default minus those)."""
    logprob = pad(rows)
    return Greedy(
        text=np.array([f"text {i}" for i in range(len(rows))] if text is None else text, dtype=object),
        token_logprob=logprob,
        token_entropy=-logprob if entropy is None else pad(entropy),
        n_tokens=np.array([len(row) for row in rows]),
    )


def beams(logprob: Sequence[Sequence[float]], n_tokens: Sequence[Sequence[int]]) -> Beams:
    """`Beams` with texts that do not matter."""
    counts = np.array(n_tokens)
    text = np.where(counts > 0, "a beam", "").astype(object)
    return Beams(text=text, sequence_logprob=np.array(logprob, dtype=float), n_tokens=counts)


def dropout(text: Sequence[Sequence[str]], entropy=None, kl=None, width: int | None = None) -> DropoutSamples:
    """`DropoutSamples` from texts (n, D), and from entropies (n, D, tokens) and KLs; by default one token each."""
    texts = np.array(text, dtype=object).reshape(len(text), -1)
    n, samples = texts.shape
    rows = [[1.0]] * (n * samples) if entropy is None else [row for item in entropy for row in item]
    width = max(map(len, rows), default=0) if width is None else width
    token_entropy = pad(rows, width).reshape(n, samples, width)
    n_tokens = np.array([len(row) for row in rows], dtype=int).reshape(n, samples)
    real = ~np.isnan(token_entropy)
    shared = real & (real.sum(axis=1, keepdims=True) >= 2)
    if kl is None:
        token_kl = np.where(shared, 0.1, np.nan)
    else:
        token_kl = pad([row for item in kl for row in item], width).reshape(n, samples, width)
    return DropoutSamples(
        text=texts, token_logprob=-token_entropy, token_entropy=token_entropy, token_kl=token_kl, n_tokens=n_tokens
    )


def items(**parts) -> Evidence:
    """`Evidence` with the given parts."""
    n = len(next(iter(parts.values())).text)
    return Evidence(item_ids=np.array([f"item-{i}" for i in range(n)], dtype=object), **parts)


def random_evidence(seed: int, n: int = 12, n_beams: int = 5, n_samples: int = 3, *, padding: int = 0) -> Evidence:
    """Evidence as a model might give it: outputs of 1–9 words, beams best first, samples that vary."""
    rng = generator(seed, "evidence")
    counts = rng.integers(2, 11, size=n)
    sentences = [rng.choice(WORDS, size=count - 1).tolist() for count in counts]
    beam_tokens = np.maximum(counts[:, None] + rng.integers(-1, 2, size=(n, n_beams)), 1)
    normalised = -np.cumsum(rng.exponential(0.4, size=(n, n_beams)), axis=1)
    texts, entropy, kl = [], [], []
    for sentence in sentences:
        samples = []
        for _ in range(n_samples):
            changed = [rng.choice(WORDS) if rng.random() < 0.4 else word for word in sentence]
            samples.append([*changed, *rng.choice(WORDS, size=rng.integers(0, 3)).tolist(), "x"])
        lengths = [len(sample) + 1 for sample in samples]
        shared = sorted(lengths)[-2] if n_samples > 1 else 0
        texts.append([" ".join(sample) for sample in samples])
        entropy.append([rng.exponential(1.0, size=length).tolist() for length in lengths])
        kl.append([rng.exponential(0.2, size=min(length, shared)).tolist() for length in lengths])
    width = max(len(row) for item in entropy for row in item) + padding
    logprob = pad([(-rng.exponential(0.5, size=c)).tolist() for c in counts], counts.max() + padding)
    return items(
        greedy=Greedy(
            text=np.array([" ".join(sentence) for sentence in sentences], dtype=object),
            token_logprob=logprob,
            token_entropy=pad([rng.exponential(1.0, size=c).tolist() for c in counts], counts.max() + padding),
            n_tokens=counts,
        ),
        beams=beams((normalised * beam_tokens).tolist(), beam_tokens.tolist()),
        dropout=dropout(texts, entropy, kl, width),
    )


@pytest.fixture
def make() -> dict[str, Callable]:
    """The builders above by name."""
    return {
        "greedy": greedy,
        "beams": beams,
        "dropout": dropout,
        "items": items,
        "random_evidence": random_evidence,
    }
