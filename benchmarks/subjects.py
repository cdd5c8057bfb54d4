"""What is decoded: a model, its prompts, and how its outputs end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aftertune.models.load import LoadOptions, load
from aftertune.tasks import Sizes, load_task
from benchmarks.models import SHAPES, Shape, build, tiny
from benchmarks.plan import Plan
from benchmarks.prompts import random_prompts
from benchmarks.stopping import build_stopping, counting_prompts

EMBEDDED = {  # name → model that comes with the package, its task, and dropout that acts in it
    "tiny-t5": ("embedded:tiny-t5-qa", "toy_qa", "native"),
    "tiny-llama": ("embedded:tiny-llama-translation", "toy_translation", "residual:0.2"),
}
NAMES = (*SHAPES, *EMBEDDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Attributes
    ----------
    natural : outputs stop at natural lengths; otherwise every output has `tokens` tokens.
    tokens : new tokens at most.
    shape : None for the embedded models.
    """

    name: str
    model: Any
    tokenizer: Any
    prompts: tuple[str, ...]
    dropout: str
    natural: bool
    tokens: int
    shape: Shape | None = None

    @property
    def lengths(self) -> str:
        return "natural lengths" if self.natural else "never stopping"


def shape_of(name: str, plan: Plan) -> Shape:
    return tiny(SHAPES[name]) if plan.tiny else SHAPES[name]


def never_stopping(name: str, plan: Plan) -> Subject:
    """Random weights; no output ends before it has all its tokens."""
    built = build(shape_of(name, plan))
    return Subject(
        name=name,
        model=built.model,
        tokenizer=built.tokenizer,
        prompts=tuple(random_prompts(built, plan.prompts, plan.longest_prompt)),
        dropout=built.shape.dropout,
        natural=False,
        tokens=plan.tokens,
        shape=built.shape,
    )


def stopping(name: str, plan: Plan) -> Subject:
    """The same shape, with outputs of natural lengths; or an embedded model on the test items of its task."""
    if name in EMBEDDED:
        return _embedded(name, plan)
    built = build_stopping(shape_of(name, plan))
    return Subject(
        name=name,
        model=built.model,
        tokenizer=built.tokenizer,
        prompts=tuple(counting_prompts(plan.natural_prompts, plan.tokens, plan.longest_prompt)),
        dropout=built.shape.dropout,
        natural=True,
        tokens=plan.tokens,
        shape=built.shape,
    )


def subjects(names: Sequence[str], plan: Plan) -> Iterator[Subject]:
    """All subjects of the given names, one at a time, each built when its turn comes."""
    for name in names:
        if name in SHAPES:
            yield never_stopping(name, plan)
        yield stopping(name, plan)


def _embedded(name: str, plan: Plan) -> Subject:
    checkpoint, task, dropout = EMBEDDED[name]
    loaded = load(checkpoint, LoadOptions(device="cpu"))
    items = load_task(task, sizes=Sizes(train=0, validation=0, test=4 * plan.natural_prompts)).test
    return Subject(
        name=name,
        model=loaded.model,
        tokenizer=loaded.tokenizer,
        prompts=tuple(item.prompt for item in items),
        dropout=dropout,
        natural=True,
        tokens=plan.tokens,
    )
