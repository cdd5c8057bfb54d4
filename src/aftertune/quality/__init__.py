"""Quality: how good an output is, measured against its references. Higher is better, always.

One metric is one file in this room, or a function of a plug-in package behind an entry point in the group
``aftertune.quality``:

>>> from aftertune.quality import compute
>>> compute("token_f1", ["the red cat"], [["a red cat", "cat"]]).tolist()
[1.0]
"""

from __future__ import annotations

from collections.abc import Sequence

from aftertune.arguments import checked
from aftertune.quality.metric import QUALITY, QualityMetric, quality
from aftertune.types import Floats

__all__ = ["QUALITY", "QualityMetric", "compute", "quality"]


@checked
def compute(name: str, outputs: Sequence[str], references: Sequence[Sequence[str]]) -> Floats:
    """Quality of each output by the metric called `name`.

    Parameters
    ----------
    name : "chrf_plus", "token_f1", "exact_match", "exact_text", or one that a plug-in added.
    outputs : (n,) what the model answered; "" for an empty answer.
    references : (n,) acceptable answers, at least one for each item.

    Returns
    -------
    (n,) float64, higher is better, within the metric's range; NaN only where the metric says so.

    Raises
    ------
    InputError
        Unknown name; lengths that differ; an item without references; an output or a reference that is
        not a string; what the metric itself refuses. Items are counted from 0 in messages.
    """
    return QUALITY.get(name)(outputs, references)
