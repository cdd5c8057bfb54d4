"""The policy of a gate: a YAML file with rules, each with a name, a measure and a limit (docs/gate.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator

from aftertune.errors import InputError, unknown
from aftertune.report.summary_file import Scope, Usable, Verdict
from aftertune.study.config import Strict, first_error
from aftertune.study.yaml_file import line_of, read_yaml

OfScores = Literal[
    "verdict", "usable", "adjusted", "spearman", "auroc", "concordance", "adjusted_change", "spearman_change",
    "auroc_change", "new_run_falls", "items", "seeds",
]  # fmt: skip
OfComparisons = Literal["quality", "quality_change", "recommended"]
Measure = Literal[OfScores, OfComparisons, "checks"]
WORDS: dict[str, tuple[str, ...]] = {
    "verdict": get_args(Verdict),
    "usable": get_args(Usable),
    "recommended": (),
    "checks": ("ok", "note", "warning", "refused"),
}
"""Measures that are words, and which ones where that is known."""
_WITH_ENDS = ("adjusted", "spearman", "auroc", "adjusted_change", "spearman_change", "auroc_change")
CHOICES = ("recommended", "relied_on", "any", "all")
"""What `score` may be besides names."""


def _known(measure: object) -> object:
    if isinstance(measure, str) and measure not in get_args(Measure):
        raise ValueError(str(unknown("measure", measure, get_args(Measure))))
    return measure


def _named(name: str) -> str:
    if not name.strip() or len(name.splitlines()) > 1:
        raise ValueError("write a name, on one line")
    return name


def _some(value: list) -> list:
    if not value:
        raise ValueError("give at least one")
    return value


_Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_named)]
_Names = str | Annotated[list[str], AfterValidator(_some)]


class Rule(Strict):
    """One rule: what is measured, of which score and comparison, and the limit.

    Attributes
    ----------
    score : a name, a list of names (each must pass), or one of `CHOICES`; of measures of scores.
    bound : the estimate itself, or an end of its 95 % interval.
    scope : which interval of a change; None for that of the verdict.
    model, task, setting : which of them; None for all.
    from_, to : which comparison; None for that which the report shows.
    check : which check, for the measure `checks`; None for all.
    undefined : what an undefined value is.
    """

    name: _Name
    measure: Annotated[Measure, BeforeValidator(_known)]
    score: _Names | None = None
    bound: Literal["value", "low", "high"] = "value"
    scope: Scope | None = None
    at_least: float | None = None
    at_most: float | None = None
    in_: list[str] | None = Field(default=None, alias="in")
    not_in: list[str] | None = None
    model: _Names | None = None
    task: _Names | None = None
    setting: _Names | None = None
    from_: str | None = Field(default=None, alias="from")
    to: str | None = None
    check: _Names | None = None
    undefined: Literal["fail", "pass"] = "fail"

    @model_validator(mode="after")
    def _fits(self) -> Rule:
        for problem in self._problems():
            raise ValueError(problem)
        return self

    def _problems(self) -> Iterator[str]:
        measure, of_scores = self.measure, self.measure in get_args(OfScores)
        if of_scores and self.score is None:
            yield f"{measure} is that of a score: write score: a name, or {', '.join(CHOICES)}"
        if not of_scores and self.score is not None:
            yield f"{measure} is of no score: leave score away"
        if self.check is not None and measure != "checks":
            yield "check is for measure: checks"
        if measure == "checks" and (self.from_ or self.to):
            yield "checks are of no comparison: leave from and to away"
        numbers, words = (self.at_least, self.at_most), (self.in_, self.not_in)
        if measure in WORDS:
            needs_none = measure == "recommended" and words == (None, None)  # that there is one
            if numbers != (None, None) or not (words.count(None) == 1 or needs_none):
                yield f"{measure} is a word: give it one limit, in: [...] or not_in: [...]"
        elif words != (None, None) or numbers == (None, None):
            yield f"{measure} is a number: give it a limit, at_least or at_most"
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            yield "at_least is above at_most: nothing can pass"
        for word in (*(self.in_ or ()), *(self.not_in or ())):
            if WORDS[measure] and word not in WORDS[measure]:
                yield str(unknown("level" if measure == "checks" else measure, word, WORDS[measure]))
        if self.bound != "value" and measure not in _WITH_ENDS:
            yield f"{measure} has no interval: leave bound away"
        if self.scope is not None and not (measure.endswith("_change") and measure != "quality_change"):
            yield f"{measure} has no scope: it is for {', '.join(m for m in _WITH_ENDS if 'change' in m)}"
        if self.scope == "new_run" and measure == "auroc_change":
            yield "auroc_change has no scope new_run: write models or training"

    @property
    def limit(self) -> str:
        """What the rule asks for, in words."""
        limits = {"at least ": self.at_least, "at most ": self.at_most}
        parts = [f"{words}{limit:g}".replace("-", "−") for words, limit in limits.items() if limit is not None]
        parts += [" or ".join(self.in_)] if self.in_ else []
        parts += [f"not {' or '.join(self.not_in)}"] if self.not_in else []
        return " and ".join(parts)

    @property
    def what(self) -> str:
        """What it measures, in words."""
        words = {
            "checks": "level",
            "recommended": "the recommended score",
            "concordance": "concordance",
            "spearman": "Spearman’s ρ",
            "adjusted": "adjusted ρ",
            "auroc": "AUROC",
            "spearman_change": "change of Spearman’s ρ",
            "adjusted_change": "change of adjusted ρ",
            "auroc_change": "change of AUROC",
            "quality_change": "change of quality",
            "new_run_falls": "chance that a new run falls by more than the margin",
        }.get(self.measure, self.measure)
        end = {"value": "", "low": "lower end of ", "high": "upper end of "}[self.bound]
        return f"{end}{words}" + (f" ({self.scope.replace('_', ' ')})" if self.scope else "")


class Policy(Strict):
    """Rules that must all pass; `partial` says what becomes of a run that is not at its end."""

    rules: Annotated[list[Rule], AfterValidator(_some)]
    partial: Literal["fail", "pass"] = "fail"


class PolicyFile:
    """A policy with the place of each rule, for messages."""

    def __init__(self, policy: Policy, path: Path | None = None, lines: Sequence[int] = ()) -> None:
        self.policy, self.path, self._lines = policy, path, lines

    def refuse(self, rule: Rule, message: str) -> InputError:
        """The error that a rule cannot be applied."""
        line = self._lines[self.policy.rules.index(rule)] if self._lines else None
        return InputError(f"{rule.name}: {message}", file=self.path, line=line)


def read_policy(path: Path) -> PolicyFile:
    """Parse and check a policy file.

    Raises
    ------
    InputError
        The file, the line and what to write instead.
    """
    content, node = read_yaml(path, what="a policy", begins="rules: and a list of rules")
    try:
        policy = Policy.model_validate(content)
    except ValidationError as error:
        raise first_error(path, node, error, _keys_at) from None
    lines = [line_of(node, ["rules", i]) for i in range(len(policy.rules))]
    names = [rule.name for rule in policy.rules]
    for i, name in enumerate(names):
        if name in names[:i]:
            raise InputError(f"two rules are called {name!r}", file=path, line=lines[i])
    return PolicyFile(policy, path, lines)


def _keys_at(where: Sequence[object]) -> list[str]:
    kind = Rule if "rules" in where else Policy
    return [field.alias or name for name, field in kind.model_fields.items()]
