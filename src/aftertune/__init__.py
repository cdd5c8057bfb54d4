"""aftertune: does your confidence score survive fine-tuning?

The public API is loaded on first use, so that ``import aftertune`` is quick and imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aftertune._version import __version__

if TYPE_CHECKING:
    from aftertune import quality
    from aftertune.generate.collect import collect
    from aftertune.generate.score_texts import score_texts
    from aftertune.scores import score
    from aftertune.study.analyze import analyze
    from aftertune.study.audit import audit
    from aftertune.study.callback import ConfidenceCallback
    from aftertune.study.run import run

__all__ = [
    "ConfidenceCallback",
    "__version__",
    "analyze",
    "audit",
    "collect",
    "quality",
    "run",
    "score",
    "score_texts",
]

_WHERE = {
    "ConfidenceCallback": "aftertune.study.callback",
    "analyze": "aftertune.study.analyze",
    "audit": "aftertune.study.audit",
    "collect": "aftertune.generate.collect",
    "run": "aftertune.study.run",
    "score": "aftertune.scores",
    "score_texts": "aftertune.generate.score_texts",
}


def __getattr__(name: str) -> Any:
    if name == "quality":
        return importlib.import_module("aftertune.quality")
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'aftertune' has no attribute {name!r}")
