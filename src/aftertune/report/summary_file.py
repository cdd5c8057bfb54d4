"""summary.json: what a pipeline reads instead of the text. Its fields are the models below (docs/summary.md).

``python -m aftertune.report.summary_file docs/summary.md`` writes the fields into the page, and the JSON Schema
(summary.schema.json) beside this file.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field

from aftertune._version import __version__
from aftertune.analysis.checkpoints import settings_of
from aftertune.analysis.schema import Analysis, Row
from aftertune.files.atomic import atomic_write_text
from aftertune.report.names import at_checkpoint, decisive, grouped, key_of
from aftertune.report.numbers import mean
from aftertune.report.summary import Summary, quality_changes
from aftertune.report.verdicts import Group
from aftertune.types import Records

SCHEMA = 1
"""Counts up when a field goes away or gets another meaning; a new field alone does not count."""
SCHEMA_FILE = Path(__file__).with_name("summary.schema.json")

Verdict = Literal["improved", "holds", "degraded", "fell", "inconclusive", "undefined"]
Usable = Literal["yes", "reversed", "not shown"]
Scope = Literal["models", "training", "new_run"]
Number = float | None


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False, populate_by_name=True)


def _field(meaning: str, **settings: Any) -> Any:
    return Field(description=meaning, **settings)


class Estimate(_Part):
    value: Number = _field("mean over runs")
    low: Number = _field("lower end of its 95 % interval")
    high: Number = _field("upper end")


class Change(Estimate):
    simultaneous: bool = _field("whether the interval holds for all scores of the comparison at once")


class Effect(_Part):
    before: Estimate = _field("at `from`")
    after: Estimate = _field("at `to`")
    change: dict[Scope, Change] = _field(
        "after − before, by what the interval covers: `models` these checkpoints, `training` the mean over "
        "training runs, `new_run` one more run (a prediction interval); one that was not computed is absent"
    )


class Ends(_Part):
    before: Number = _field("mean over runs at `from`")
    after: Number = _field("mean over runs at `to`")


class Needed(_Part):
    value: Number = _field("with a chance of 80 %; 10001 stands for more than 10,000, here and below")
    low: Number = _field("lower end of its range, 10 % to 90 %")
    high: Number = _field("upper end")


class Score(_Part):
    verdict: Verdict = _field("improved, holds, degraded, fell, inconclusive or undefined, by the adjusted effect")
    usable: Usable | None = _field(
        "does it order answers by quality at `to`: yes, reversed or not shown; null where undefined"
    )
    status: str = _field("why the verdict is undefined; else empty")
    scope: Literal["models", "training"] = _field("which interval the verdict is about")
    items: int = _field("test items used")
    seeds: int = _field("training runs used")
    adjusted: Effect = _field("tie-adjusted rho, −1 to 1")
    spearman: Effect = _field("Spearman's rho, −1 to 1")
    auroc: Effect | None = _field("AUROC, 0 to 1; null where no answer is known to be right or wrong")
    new_run_falls: Number = _field(
        "chance that one more training run falls by more than the margin; null with fewer than three runs"
    )
    concordance: Ends = _field(
        "share of pairs of answers of different quality in which the better one has the higher confidence, 0 to 1"
    )
    items_needed: Needed | None = _field(
        "test items that would settle an inconclusive verdict; null where no number would"
    )


class Quality(Ends):
    items: int = _field("test items that have quality at both checkpoints")


class Comparison(_Part):
    model: str = _field("name of the model")
    task: str = _field("name of the task")
    setting: str = _field("`default`, or what differs, such as `n=500`")
    from_: str = _field("the earlier checkpoint: `before` or `epoch_1`", alias="from")
    to: str = _field("the later one: `selected` or `last`")
    shown: bool = _field("whether the report's verdicts are those of this comparison: one for each setting")
    items: int = _field("test items used, largest number over scores")
    seeds: int = _field("training runs used")
    quality: Quality | None = _field("mean quality of the answers, in the metric's own units")
    scores: dict[str, Score] = _field("name of the score → what is said of it")


class SummaryFile(_Part):
    """What is said of each confidence score before and after fine-tuning."""

    schema_: Literal[1] = _field("version of these fields", alias="schema")
    aftertune: str = _field("version of the package")
    title: str = _field("of the report")
    partial: bool = _field("whether records are missing: the run had not ended when this was written")
    settings: dict[str, Any] = _field("how the numbers were made, as in run.json; `command` is always there")
    comparisons: list[Comparison] = _field("one for each model, task, setting and pair of checkpoints")
    recommendation: list[dict[str, Any]] = _field(
        "rows of the table `recommendation`: column → value; where none is recommended, `score` is null and "
        "`nearest` names the score that is nearest to being usable; with what the report says, as `sentences`"
    )
    checks: list[dict[str, Any]] = _field("rows of the table `checks`: column → value")
    notes: list[str] = _field("what a reader must know, one sentence each")


def summary_file(
    analysis: Analysis,
    summary: Summary,
    records: Records,
    *,
    title: str,
    settings: Mapping[str, Any],
    partial: bool,
) -> SummaryFile:
    """The content of summary.json; numbers have six significant digits, and what is undefined is None."""
    shown = {(*group.key, group.from_, group.to) for group in summary.groups}
    changes = grouped(analysis.rows("change"), lambda row: (*key_of(row), row.from_, row.to))
    groups = [
        Group(model=model, task=task, setting=setting, from_=from_, to=to, outcomes=())
        for model, task, setting, from_, to in changes
    ]
    # Quality of what the report shows is there already.
    known = summary.quality if shown == set(changes) else quality_changes(settings_of(records), groups)
    quality = {(*one.group.key, one.group.from_, one.group.to): one for one in known}
    ends, auroc = _ends(analysis.rows("correlation")), _ends(analysis.rows("downstream"))
    auroc_changes = grouped(analysis.rows("downstream_change"), _place)
    comparisons = []
    for place, rows in changes.items():
        scores = {
            own[0].score: _score(own, ends(own[0]), auroc(own[0]), auroc_changes.get(_place(own[0]), []))
            for own in grouped(rows, lambda row: row.score).values()
        }
        model, task, setting, from_, to = place
        found = quality.get(place)
        comparisons.append(
            Comparison(
                model=model,
                task=task,
                setting=setting,
                from_=from_,
                to=to,
                shown=place in shown,
                items=max(score.items for score in scores.values()),
                seeds=max(score.seeds for score in scores.values()),
                quality=None
                if found is None
                else Quality(before=_number(found.before), after=_number(found.after), items=found.n_items),
                scores=scores,
            )
        )
    return SummaryFile(
        schema_=1,
        aftertune=__version__,
        title=title,
        partial=partial,
        settings=_plain(settings),
        comparisons=comparisons,
        recommendation=_recommendation(analysis, summary),
        checks=_rows(analysis, "checks"),
        notes=list(analysis.notes),
    )


def write_summary(summary: SummaryFile, path: Path) -> None:
    """Write summary.json: ASCII, so that no letter in it can be obeyed by a terminal."""
    content = summary.model_dump(mode="json", by_alias=True)
    atomic_write_text(path, json.dumps(content, indent=1, allow_nan=False) + "\n")


Place = tuple[str, str, str, str, str, str]
"""Model, task, setting, score and the two checkpoints."""


def _place(row: Row) -> Place:
    return (*key_of(row), row.score, row.from_, row.to)


def _ends(rows: Iterable[Row]) -> Callable[[Row], tuple[list[Row], list[Row]]]:
    """What finds the rows of a change's two checkpoints, one row a run."""
    by_score = grouped(rows, lambda row: (*key_of(row), row.score))

    def at_both(change: Row) -> tuple[list[Row], list[Row]]:
        own = by_score.get((*key_of(change), change.score), [])
        return at_checkpoint(own, change.from_), at_checkpoint(own, change.to)

    return at_both


def _score(
    changes: Sequence[Row],
    correlations: tuple[list[Row], list[Row]],
    aurocs: tuple[list[Row], list[Row]],
    auroc_changes: Sequence[Row],
) -> Score:
    by_effect = grouped(changes, lambda row: row.effect)
    adjusted = by_effect["adjusted"]
    one = decisive(adjusted)
    falls = next((row.p_beyond_margin for row in adjusted if row.ci_scope == "new_run"), None)
    needed = [_number(n) for n in (one.items_needed, one.items_needed_low, one.items_needed_high)]
    judged = any(_number(row.auroc) is not None for rows in aurocs for row in rows)
    return Score(
        verdict=one.verdict,
        usable=one.usable or None,
        status=one.status,
        scope=one.ci_scope,
        items=one.n_items,
        seeds=one.n_seeds,
        adjusted=_effect(adjusted, correlations, "adjusted", ("adjusted_low", "adjusted_high")),
        spearman=_effect(by_effect.get("spearman", []), correlations, "spearman", ("ci_low", "ci_high")),
        auroc=_effect(auroc_changes, aurocs, "auroc", ("auroc_ci_low", "auroc_ci_high")) if judged else None,
        new_run_falls=_number(falls),
        concordance=Ends(
            before=_number(mean(row.concordance for row in correlations[0])),
            after=_number(mean(row.concordance for row in correlations[1])),
        ),
        items_needed=None if needed[0] is None else Needed(**dict(zip(("value", "low", "high"), needed))),
    )


def _effect(
    changes: Sequence[Row], ends: tuple[list[Row], list[Row]], column: str, interval: tuple[str, str]
) -> Effect:
    """One effect at both checkpoints, and its change.

    The interval at a checkpoint is that of the run; of several runs, from the mean of the lower ends to the mean
    of the upper ends. For these models that is never too narrow: the standard deviation of a mean is at most the
    mean of the standard deviations.
    """

    def end(rows: Sequence[Row], name: str) -> Estimate:
        values = [getattr(changes[0], name)] if changes else [getattr(row, column) for row in rows]
        low, high = ([getattr(row, one) for row in rows] for one in interval)
        return Estimate(value=_number(mean(values)), low=_whole_mean(low), high=_whole_mean(high))

    suffix = "auroc" if column == "auroc" else "value"
    return Effect(
        before=end(ends[0], f"{suffix}_from"),
        after=end(ends[1], f"{suffix}_to"),
        change={
            row.ci_scope: Change(
                value=_number(row.mean),
                low=_number(row.ci_low),
                high=_number(row.ci_high),
                simultaneous=bool(getattr(row, "simultaneous", False)),
            )
            for row in changes
        },
    )


def _whole_mean(values: Sequence[float]) -> Number:
    """The mean where every value is defined."""
    return _number(mean(values)) if values and all(map(math.isfinite, values)) else None


def _number(value: float | None) -> Number:
    """
    >>> _number(1 / 3), _number(-0.0), _number(float("nan")), _number(float("inf")), _number(None)
    (0.333333, 0.0, None, None, None)
    """
    return None if value is None or not math.isfinite(value) else float(f"{value + 0.0:.6g}")


def _plain(value: Any) -> Any:
    """A value as JSON has it, undefined numbers as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return _number(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def _recommendation(analysis: Analysis, summary: Summary) -> list[dict[str, Any]]:
    said = {one.key: list(one.sentences) for one in summary.recommendations}
    rows = _rows(analysis, "recommendation")
    for row in rows:
        if row["role"] == "recommended":
            row["sentences"] = said.get((row["model"], row["task"], row["setting"]), [])
            row["nearest"] = row["score"] if row["status"] else None
            row["score"] = None if row["status"] else row["score"]
    return rows


def _rows(analysis: Analysis, table: str) -> list[dict[str, Any]]:
    if table not in analysis.tables:
        return []
    names = list(analysis.tables[table].columns)
    return [_plain(dict(zip(names, row))) for row in analysis.rows(table)]


def fields_of(model: type[BaseModel], where: str = "") -> Iterator[tuple[str, str]]:
    """Where each field stands, as in ``comparisons[].scores.NAME.verdict``, and what it means."""
    for name, field in model.model_fields.items():
        place = f"{where}{field.alias or name}"
        yield place, field.description or ""
        kinds: Any = (field.annotation, *get_args(field.annotation))
        for inner in (kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)):
            mark = {list: "[]", dict: ".SCOPE" if Scope in kinds else ".NAME"}
            yield from fields_of(inner, f"{place}{mark.get(get_origin(kinds[0]), '')}.")


def with_fields(page: str) -> str:
    """A Markdown page with the fields put between its marks ``<!-- fields -->``; what repeats stands once."""
    rows = dict(fields_of(SummaryFile))
    lines = [f"| `{place}` | {meaning} |" for place, meaning in rows.items() if not _REPEATS.search(place)]
    table = "\n".join(["| field | meaning |", "|---|---|", *lines])
    return re.sub(
        r"<!-- fields -->.*?<!-- /fields -->",
        lambda _: f"<!-- fields -->\n{table}\n<!-- /fields -->",
        page,
        flags=re.DOTALL,
    )


_REPEATS = re.compile(r"\.(spearman|auroc)\.|\.(after|SCOPE)\.(value|low|high)$")


def json_schema() -> str:
    """JSON Schema of summary.json."""
    return json.dumps(SummaryFile.model_json_schema(by_alias=True), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(json_schema(), encoding="utf-8")
    for argument in sys.argv[1:]:
        file = Path(argument)
        file.write_text(with_fields(file.read_text(encoding="utf-8")), encoding="utf-8")
