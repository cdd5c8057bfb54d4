"""The study of the golden texts and of the page in a browser."""

from __future__ import annotations

from functools import cache

import numpy as np

from aftertune.types import Records
from downstream_samples import with_correct
from record_samples import checkpoint, together


@cache
def sample() -> Records:
    """Settings that between them reach most of what page and terminal can say.

    - "tiny" on "qa", judged: two seeds, epochs 0 to 3. Of five scores one gets worse, one gets better, one is
      constant before fine-tuning, and "mine" is not aftertune's. Some outputs stay the same, and similarity to the
      training set is known.
    - The same with 40 and 80 training items, with and without a fixed number of steps: the last checkpoint alone.
    - "big" on "sum", not judged: one seed, epochs 0 to 2; one score holds, and one never changes.
    - "small" on "sum": epochs 0 and 1, quality is constant before fine-tuning.
    """
    rng = np.random.default_rng(13)
    parts = []
    for split, n in (("test", 80), ("validation", 150)):
        for seed in (0, 1):
            for epoch in (0, 1, 2, 3):
                parts.append(_judged(rng, split, n, seed, epoch, selected=epoch == 2))
    for setting in ("n=40", "n=80", "n=40,steps=9", "n=80,steps=9"):
        for seed in (0, 1):
            part = _judged(rng, "test", 80, seed, 3, setting=setting)
            parts.append(part if setting == "n=40" else with_correct(part, [None] * 80))
    quality, noise = rng.random(50), rng.normal(size=50)
    for epoch in (0, 1, 2):
        scores = {"mean_token_logprob": quality + 0.01 * rng.normal(size=50), "mine": noise}
        parts.append(checkpoint(quality, scores, model="big", task="sum", epoch=epoch, selected=epoch == 2))
        if epoch < 2:
            own = quality if epoch else np.full(50, 0.5)
            parts.append(checkpoint(own, scores, model="small", task="sum", epoch=epoch, selected=epoch == 1))
    return together(*parts)


def _judged(
    rng: np.random.Generator,
    split: str,
    n: int,
    seed: int,
    epoch: int,
    *,
    selected: bool = False,
    setting: str = "default",
) -> Records:
    truth = rng.normal(size=n)
    quality = np.round(1 / (1 + np.exp(-truth)), 1)
    noise = rng.normal(size=(4, n))
    scores = {
        "mean_token_logprob": truth + (0.3 + epoch) * noise[0] + 0.5 * epoch,
        "dropout_bleu_variance": 0.5 * epoch * truth + noise[1],
        "beam_ratio": np.zeros(n) if epoch == 0 else truth + noise[2],
        "mine": np.round(noise[3] - 0.5 * truth),
        "dropout_kl": truth + 0.5 * noise[3],
    }
    part = checkpoint(
        quality,
        scores,
        model="tiny",
        task="qa",
        setting=setting,
        seed=seed,
        epoch=epoch,
        selected=selected,
        split=split,
        ids=[f"{split}-{i:02}" for i in range(n)],
        output=[f"answer {i % 3 if i % 2 else epoch} to {i}" for i in range(n)],
        references=[(f"reference {i}", "another")[: 1 + i % 2] for i in range(n)],
        similarity=0.5 + 0.1 * noise[0] + 0.05 * truth if split == "test" and setting == "default" else None,
        extra={"input": [f"question {i}?" for i in range(n)]},
    )
    return with_correct(part, [None if i % 20 == 19 else bool(t > 0) for i, t in enumerate(truth + noise[1] / 3)])
