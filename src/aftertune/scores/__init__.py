"""Confidence scores: evidence in, one number per item out. Higher always means more confident.

One file per score (a family that shares one formula shares a file); `definition` holds the decorator that
makes a function a score, `compute` evaluates scores on evidence, `similarity` compares texts. NumPy and SciPy
only, and sacreBLEU and NLTK for texts.
"""

from __future__ import annotations

from aftertune.scores.compute import score, score_items
from aftertune.scores.definition import SCORES, Score, get

__all__ = ["SCORES", "Score", "get", "score", "score_items"]
