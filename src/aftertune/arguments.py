"""Limits of what people give."""

from __future__ import annotations

from collections.abc import Mapping

LIMITS: Mapping[str, tuple[float, float]] = {
    "beams": (0, 256),
    "dropout_samples": (0, 256),
    "max_new_tokens": (1, 131_072),
    "batch_size": (1, 65_536),
    "items": (1, 10**9),
    "judge_concurrency": (1, 256),
    "resamples": (200, 100_000),
    "margin": (0, 2),
    "correct_at": (-1e6, 1e6),
    "seed": (0, 2**32 - 1),
    "data_seed": (0, 2**32 - 1),
    "epochs": (1, 100_000),
    "steps": (1, 10**8),
    "samples": (1, 10**9),
}
"""Setting → smallest and largest value, for the command line, Python and study files."""
