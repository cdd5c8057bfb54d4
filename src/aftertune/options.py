"""What is measured at a checkpoint and how: every setting, once, with its default.

`audit`, `run`, the callback, `collect`, the command line and study files take their defaults from here. Nothing
heavy is imported, since `--help` reads them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from aftertune.arguments import LIMITS, check_fields, check_names
from aftertune.errors import InputError, shown

Chat = Literal["auto", "on", "off"]
LongPrompts = Literal["error", "truncate", "drop"]
Dtype = Literal["float32", "bfloat16", "float16"]

NO_JUDGE = "none"
MARGIN, RESAMPLES, FEWEST_RESAMPLES = 0.1, 2000, int(LIMITS["resamples"][0])
"""A smaller fall of the tie-adjusted rho counts as holding; draws behind simultaneous intervals, the fewest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a plan assumes where nothing else is known (`aftertune plan`).

    Attributes
    ----------
    rho : tie-adjusted, before fine-tuning.
    stability : correlation of the sampling errors of two checkpoints.
    spread : of rho over training runs.
    score_correlation : of the sampling errors of two scores.
    """

    items: int = 300
    seeds: int = 3
    rho: float = 0.4
    stability: float = 0.3
    spread: float = 0.03
    quality: str = "binary:0.7"
    score_correlation: float = 0.5


PLANNED = Planned()
INPUT, TARGET = "input", "target"
"""Columns of the user's own data where no others are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a checkpoint is measured.

    Attributes
    ----------
    beams : beams K of the search; 0 for none.
    dropout_samples : decodes with dropout active; 0 for none.
    dropout : "auto" (docs/dropout.md), "native", "attention:P", "residual:P", "lora", or "none" for no dropout
        scores.
    max_new_tokens : tokens of an answer, at most; None for the task's own number.
    batch_size : prompts decoded at once; None takes as many as memory holds.
    chat : "auto" puts prompts into the tokenizer's chat template where it has one; "on", "off".
    long_prompts : prompts that do not fit the context: "error", "truncate" or "drop".
    scores : names of scores; None for all.
    judge : says which answers are correct (docs/judges.md); "auto" is the rule where the task knows incorrect
        answers, else none; "none" for none.
    judge_concurrency : requests to a judge's API at once, at most.
    seed : of the dropout masks.
    dtype : of the weights: "float32", "bfloat16" or "float16".
    device : "cpu", "cuda", "cuda:1", …; None takes CUDA where there is one.
    trust_remote_code : whether to run code that comes with the model.
    """

    beams: int = 10
    dropout_samples: int = 3
    dropout: str = "auto"
    max_new_tokens: int | None = None
    batch_size: int | None = None
    chat: Chat = "auto"
    long_prompts: LongPrompts = "error"
    scores: Sequence[str] | None = None
    judge: str = "auto"
    judge_concurrency: int = 4
    seed: int = 0
    dtype: Dtype = "float32"
    device: str | None = None
    trust_remote_code: bool = False

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions(Options):
    """All settings of an audit besides its checkpoints and its data.

    Attributes
    ----------
    items : test items, at most; None for the task's own number.
    input, target, template, quality : columns, prompt and metric of the user's own data.
    allow_target_in_template : whether prompts may hold the target column.
    data_dir, data_seed : of a task: a folder instead of the hub, and the seed of the order of its items.
    validation : items to fit percentages on: a file like `data`; a task has its own.
    train : training items to measure the similarity to: a file like `data`; with a task, "task" for its own.
    name : of the model in tables; None for one made of its path.
    allow_other_base : whether an adapter may be compared with another model than it was trained on.
    margin : a smaller fall of the tie-adjusted rho than this counts as holding.
    resamples : draws behind simultaneous intervals.
    rely_on : the score that is relied on: answered first, and judged by itself.
    """

    items: int | None = None
    input: str = INPUT
    target: str = TARGET
    template: str | None = None
    allow_target_in_template: bool = False
    quality: str | None = None
    data_dir: str | Path | None = None
    data_seed: int = 0
    validation: str | Path | None = None
    train: str | Path | None = None
    name: str | None = None
    allow_other_base: bool = False
    margin: float = MARGIN
    resamples: int = RESAMPLES
    rely_on: str | None = None


DEFAULTS = AuditOptions()


def with_settings(options: AuditOptions | None, settings: Mapping[str, Any]) -> AuditOptions:
    """The options (None: the defaults) with some of them changed, by name."""
    if options is not None and not isinstance(options, AuditOptions):
        raise InputError(
            f"options is {shown(options)}: give aftertune.options.AuditOptions(…), or its fields by name"
        )
    check_names("option of audit", settings, [field.name for field in fields(AuditOptions)])
    return replace(options or DEFAULTS, **settings)
