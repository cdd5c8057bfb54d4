"""Does a run keep to a policy? summary.json and a list of rules → findings; no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from pydantic import ValidationError

from aftertune.commands.policy import OfScores, Policy, PolicyFile, Rule, read_policy
from aftertune.errors import InputError, shortened, unknown
from aftertune.files.reading import check_file
from aftertune.files.runfolder import SUMMARY, RunFolder
from aftertune.report.names import group_name
from aftertune.report.summary_file import SCHEMA, Comparison, Effect, Score, SummaryFile, Verdict

State = Literal["passes", "breach", "passed over"]
NONE_RECOMMENDED = "no score is recommended"
MOST_NAMED = 3
"""Scores that a line about any of them names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule on one subject.

    Attributes
    ----------
    subject : a score and a comparison, a comparison, or a check.
    value : what was found, in words.
    limit : what the rule asks for, in words.
    state : "passed over" where the value is undefined and the rule lets that pass.
    """

    rule: str
    subject: str
    value: str
    limit: str
    state: State

    def __str__(self) -> str:
        of = f"{self.subject}: " if self.subject else ""
        return shortened(f"{self.rule}: {of}{self.value}" + (f"; wanted: {self.limit}" if self.limit else ""))


def gate(run: str | Path, policy: str | Path) -> list[Finding]:
    """What the rules of a policy file find in a run folder, or in its summary.json.

    Raises
    ------
    InputError
        A policy or a run that cannot be read, or a rule that matches nothing.
    """
    rules = read_policy(Path(policy))
    content, state = read_summary(Path(run))
    return find(content, rules, state=state)


def read_summary(run: Path) -> tuple[SummaryFile, str]:
    """The content of summary.json, and how far the run is now: "finished" for a file outside its folder.

    Raises
    ------
    InputError
        This is no run folder; it has no summary.json, or one that is damaged, or of a newer version.
    """
    if run.is_file():
        return _parsed(run), "finished"
    folder = RunFolder(run)
    state, again = folder.state(), f"aftertune report {run} writes it"
    if not folder.summary.exists():
        raise InputError(f"{run} has no {SUMMARY} ({state}): {again}")
    if damage := folder.damage_of(folder.summary):
        raise InputError(f"{damage}: {again} again", file=folder.summary)
    return _parsed(folder.summary), state


def _parsed(path: Path) -> SummaryFile:
    check_file(path, text=True)
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        schema = content.get("schema") if isinstance(content, dict) else None
        if isinstance(schema, int) and schema > SCHEMA:
            raise InputError(f"is of a newer aftertune (schema {schema}): use that one", file=path)
        return SummaryFile.model_validate_json(text)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", file=path, line=error.lineno) from None
    except (UnicodeDecodeError, RecursionError):
        raise InputError("not a summary of aftertune: give a run folder, or its summary.json", file=path) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"not a summary of aftertune: {where}: {first['msg']}", file=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from None


def find(content: SummaryFile, rules: PolicyFile, *, state: str = "finished") -> list[Finding]:
    """What the rules find; breaches are among it.

    Raises
    ------
    InputError
        A rule that matches nothing.
    """
    found = []
    if (content.partial or state != "finished") and rules.policy.partial == "fail":
        said = f"the run is {state}, not finished" if state != "finished" else "records are missing"
        found.append(Finding(rule="a whole run", subject="", value=f"PARTIAL: {said}", limit="", state="breach"))
    for rule in rules.policy.rules:
        own = list(_of_rule(content, rule, rules))
        if not own:
            raise rules.refuse(rule, "matches nothing in this run: nothing was checked")
        found += own
    return found


def _of_rule(content: SummaryFile, rule: Rule, rules: PolicyFile) -> Iterator[Finding]:
    if rule.measure == "checks":
        for row in _filtered(content.checks, rule, rules, dict.get):
            place = [str(row.get(name) or "") for name in ("model", "task", "setting")]
            subject = [row.get("check"), row.get("checkpoint"), group_name(*place) if all(place) else ""]
            message = f" ({row['message']})" if row.get("message") else ""
            yield _finding(rule, ", ".join(str(part) for part in subject if part), row.get("level"), message)
        return
    for comparison in _comparisons(content, rule, rules):
        recommended = _rows(content, comparison, "recommended")
        if rule.measure == "recommended":
            score = next((row["score"] for row in recommended if row.get("score")), None)
            yield _finding(rule, name_of(comparison), score, "")
        elif rule.measure not in get_args(OfScores):
            yield _finding(rule, name_of(comparison), _of_comparison(comparison, rule), "")
        elif rule.score == "recommended" and not any(row.get("score") for row in recommended):
            yield _finding(rule, name_of(comparison), None, f" ({NONE_RECOMMENDED})")
        else:
            each = [
                _finding(rule, f"{name}, {name_of(comparison)}", *_of_score(comparison.scores[name], rule))
                for name in _scores(content, comparison, rule, rules)
            ]
            yield from [_any(rule, comparison, each)] if rule.score == "any" and each else each


def _any(rule: Rule, comparison: Comparison, each: Sequence[Finding]) -> Finding:
    """The first that passes; else that none does."""
    states: tuple[State, ...] = ("passes", "breach", "passed over")
    best = min(each, key=lambda finding: states.index(finding.state))
    if best.state != "breach":
        return best
    some = "; ".join(f"{one.subject.split(',')[0]}: {one.value}" for one in each[:MOST_NAMED])
    more = f"; and {len(each) - MOST_NAMED} more" if len(each) > MOST_NAMED else ""
    return Finding(
        rule=rule.name,
        subject=f"any of {len(each)} scores, {name_of(comparison)}",
        value=f"none passes ({some}{more})",
        limit=rule.limit,
        state="breach",
    )


def name_of(comparison: Comparison) -> str:
    """As in ``llama on squad, before → selected``."""
    group = group_name(comparison.model, comparison.task, comparison.setting)
    return f"{group}, {comparison.from_} → {comparison.to}"


def _comparisons(content: SummaryFile, rule: Rule, rules: PolicyFile) -> list[Comparison]:
    """Those that the filters of a rule leave; without `from` and `to`, those that the report shows."""
    found = _filtered(content.comparisons, rule, rules, getattr)
    if rule.from_ is None and rule.to is None:
        return [one for one in found if one.shown]
    return [one for one in found if rule.from_ in (None, one.from_) and rule.to in (None, one.to)]


T = TypeVar("T")


def _filtered(some: Sequence[T], rule: Rule, rules: PolicyFile, get: Callable[[T, str], Any]) -> list[T]:
    """What the filters of a rule leave; a name that nothing has is refused."""
    found = list(some)
    for field in ("model", "task", "setting", "check"):
        wanted = _listed(getattr(rule, field))
        known = {str(get(one, field)) for one in some} if wanted else set()
        for name in wanted:
            if name not in known:
                raise rules.refuse(rule, str(unknown(field, name, known)))
        found = [one for one in found if not wanted or get(one, field) in wanted]
    return found


def _scores(content: SummaryFile, comparison: Comparison, rule: Rule, rules: PolicyFile) -> list[str]:
    if rule.score in ("any", "all"):
        return list(comparison.scores)
    if rule.score in ("recommended", "relied_on"):
        rows = _rows(content, comparison, rule.score)
        return [name for name in dict.fromkeys(row.get("score") for row in rows) if name in comparison.scores]
    known = {name for one in content.comparisons for name in one.scores}
    for name in _listed(rule.score):
        if name not in known:
            raise rules.refuse(rule, str(unknown("score", name, known)))
    return [name for name in _listed(rule.score) if name in comparison.scores]


def _rows(content: SummaryFile, comparison: Comparison, role: str) -> list[dict[str, Any]]:
    """The rows of the table `recommendation` about a comparison; a column that it lacks is no condition."""
    place = {"model": comparison.model, "task": comparison.task, "setting": comparison.setting,
             "from": comparison.from_, "to": comparison.to, "role": role.replace("_", " ")}  # fmt: skip
    return [row for row in content.recommendation if all(row.get(k, v) == v for k, v in place.items())]


def _of_comparison(comparison: Comparison, rule: Rule) -> float | None:
    quality = comparison.quality
    if quality is None or quality.before is None or quality.after is None:
        return None if quality is None or rule.measure == "quality_change" else quality.after
    return quality.after - quality.before if rule.measure == "quality_change" else quality.after


def _of_score(score: Score, rule: Rule) -> tuple[str | float | None, str]:
    """The value, and what else is to be said of it."""
    reason = f" ({score.status})" if score.status else ""
    if rule.measure in ("verdict", "usable", "new_run_falls", "items", "seeds"):
        return getattr(score, rule.measure), reason
    if rule.measure == "concordance":
        return score.concordance.after, reason
    effect: Effect | None = getattr(score, rule.measure.removesuffix("_change"))
    if effect is None:
        return None, " (no answer is known to be right or wrong)"
    if not rule.measure.endswith("_change"):
        return getattr(effect.after, rule.bound), reason
    scope = rule.scope or score.scope
    if scope not in effect.change:
        return None, f" (nothing was computed for {scope.replace('_', ' ')})"
    return getattr(effect.change[scope], rule.bound), reason


def _finding(rule: Rule, subject: str, value: str | float | None, more: str) -> Finding:
    state: State
    named = value in (*(rule.in_ or ()), *(rule.not_in or ()))
    if value is None or (value == "undefined" and not named):
        state = "passed over" if rule.undefined == "pass" else "breach"
    else:
        state = "passes" if _passes(rule, value) else "breach"
    undefined = "none" if rule.measure == "recommended" else "undefined"
    shown = undefined if value is None else value if isinstance(value, str) else f"{value:g}".replace("-", "−")
    return Finding(
        rule=rule.name, subject=subject, value=f"{rule.what} is {shown}{more}", limit=rule.limit, state=state
    )


def _passes(rule: Rule, value: str | float) -> bool:
    if isinstance(value, str):
        return value in rule.in_ if rule.in_ is not None else value not in (rule.not_in or ())
    return (rule.at_least is None or value >= rule.at_least) and (rule.at_most is None or value <= rule.at_most)


def _listed(names: str | Sequence[str] | None) -> list[str]:
    return [] if names is None else [names] if isinstance(names, str) else list(names)


FAIL_ON = (*get_args(Verdict), "reversed", "warning", "not-usable")
"""Words of --fail-on: verdicts; a score that is usable if negated; a check that warns; no recommendation."""


def words_of(text: str) -> tuple[str, ...]:
    """The words of --fail-on, separated by commas.

    >>> words_of("degraded, fell")
    ('degraded', 'fell')
    """
    words = tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for word in words:
        if word not in FAIL_ON:
            raise InputError(f"--fail-on: unknown word {shortened(repr(word), 60)}: known: {', '.join(FAIL_ON)}")
    if not words:
        raise InputError(f"--fail-on names nothing: write some of {', '.join(FAIL_ON)}")
    return words


def failing(content: SummaryFile, words: Iterable[str]) -> list[Finding]:
    """Breaches of ``--fail-on``: of the score that is relied on where one is named, else of all."""
    relied = any(row.get("role") == "relied on" for row in content.recommendation)
    rules = []
    for word in words:
        name = f"--fail-on {word}"
        if word == "warning":
            rules.append(Rule(name=name, measure="checks", not_in=["warning"], undefined="pass"))
        elif word == "not-usable":
            rules.append(Rule(name=name, measure="recommended"))
        else:
            measure = "usable" if word == "reversed" else "verdict"
            score = "relied_on" if relied else "all"
            rules.append(Rule(name=name, measure=measure, score=score, not_in=[word], undefined="pass"))
    policy = Policy(rules=rules, partial="pass")
    return breaches(find(content, PolicyFile(policy)))


def breaches(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.state == "breach"]
