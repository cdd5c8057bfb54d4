"""aftertune: does your confidence score survive fine-tuning?

The public names are imported on first use, so that ``import aftertune`` is quick and imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from aftertune._version import __version__

if TYPE_CHECKING:
    from aftertune import quality
    from aftertune.commands.analyze import analyze
    from aftertune.commands.audit import audit
    from aftertune.commands.callback import ConfidenceCallback
    from aftertune.commands.planning import plan
    from aftertune.commands.run import run
    from aftertune.generate.collect import collect
    from aftertune.generate.score_texts import score_texts
    from aftertune.records.records import read_records
    from aftertune.scores import score
    from aftertune.tasks import load_task
    from aftertune.types import Example

__all__ = [
    "ConfidenceCallback",
    "Example",
    "__version__",
    "analyze",
    "audit",
    "collect",
    "load_task",
    "plan",
    "quality",
    "read_records",
    "run",
    "score",
    "score_texts",
]

_WHERE = {
    "ConfidenceCallback": "aftertune.commands.callback",
    "Example": "aftertune.types",
    "analyze": "aftertune.commands.analyze",
    "audit": "aftertune.commands.audit",
    "collect": "aftertune.generate.collect",
    "load_task": "aftertune.tasks",
    "plan": "aftertune.commands.planning",
    "read_records": "aftertune.records.records",
    "run": "aftertune.commands.run",
    "score": "aftertune.scores",
    "score_texts": "aftertune.generate.score_texts",
}


def __getattr__(name: str) -> Any:
    if name == "quality":
        return importlib.import_module("aftertune.quality")
    if name in _WHERE:
        return getattr(importlib.import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'aftertune' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
