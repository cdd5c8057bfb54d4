"""All that a reader is shown, built once from an analysis and its records: page, terminal and figures read it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from aftertune.analysis import setting_names
from aftertune.analysis.checkpoints import COMPARISONS, Setting, settings_of
from aftertune.analysis.schema import Analysis, Row
from aftertune.report.answers import Answers, answers
from aftertune.report.items import ItemLevel, ends_of_runs, item_level, key_of_setting
from aftertune.report.names import CHECKPOINT_NAMES, Key, grouped, key_of
from aftertune.report.numbers import count
from aftertune.report.recommendation import Recommendation, recommendations
from aftertune.report.series import (
    LengthRemoved,
    Panel,
    Point,
    SizePanel,
    compared_points,
    length_removed,
    panels,
    size_panels,
)
from aftertune.report.verdicts import Group, groups
from aftertune.stats.falls import count_falls
from aftertune.stats.verdict import VERDICTS
from aftertune.types import Records

if TYPE_CHECKING:
    from aftertune.report.paper.comparison import PaperComparison

ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What page, terminal and figures read.

    Attributes
    ----------
    models, tasks, scores : their names, each once.
    n_seeds : training runs with different seeds.
    checks, prompts_read : rows of these tables: checks of the measurement, and one item as it was read.
    groups : the verdicts.
    recommendations : which score to use, of each model, task and setting.
    tallies, auroc_tallies : how many configurations fell and rose, in sentences.
    quality : of the groups; empty without records.
    panels, size_panels : rho by checkpoint, and by number of training items.
    compared : setting and score → its points at the two checkpoints of the group.
    lengths : rho with the length of the output removed.
    items : the item level.
    answers : what a person can do with the answers, for each setting in which some are judged.
    undefined : correlations that are undefined, and why.
    changes, epoch_falls, sample_sizes, reliability : rows of these tables, as they are.
    notes : for the reader, one sentence each.
    settings : test items at each checkpoint; empty without records.
    paper : ours beside the paper's, where that was asked for.
    """

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    scores: tuple[str, ...]
    n_seeds: int
    checks: tuple[Row, ...]
    prompts_read: tuple[Row, ...]
    groups: tuple[Group, ...]
    recommendations: tuple[Recommendation, ...]
    tallies: tuple[str, ...]
    auroc_tallies: tuple[str, ...]
    quality: tuple[QualityChange, ...]
    panels: tuple[Panel, ...]
    size_panels: tuple[SizePanel, ...]
    compared: Mapping[Key, Mapping[str, tuple[Point, Point]]]
    lengths: tuple[LengthRemoved, ...]
    items: ItemLevel
    answers: tuple[Answers, ...]
    undefined: tuple[UndefinedRho, ...]
    changes: tuple[Row, ...]
    epoch_falls: tuple[Row, ...]
    sample_sizes: tuple[Row, ...]
    reliability: tuple[Row, ...]
    notes: tuple[str, ...]
    settings: tuple[Setting, ...] = field(default=(), repr=False)
    paper: PaperComparison | None = None


def summarise(analysis: Analysis, records: Records | None = None) -> Summary:
    """The summary of an analysis; quality and what is drawn item by item are left out without its records."""
    correlations, changes = analysis.rows("correlation"), analysis.rows("change")
    keys = list(grouped(correlations or changes, key_of))
    found, curves = groups(analysis), panels(analysis)
    settings = [] if records is None else settings_of(records)
    return Summary(
        models=tuple(dict.fromkeys(model for model, _, _ in keys)),
        tasks=tuple(dict.fromkeys(task for _, task, _ in keys)),
        scores=tuple(dict.fromkeys(row.score for row in (*correlations, *changes))),
        n_seeds=len({row.seed for row in correlations}),
        checks=analysis.rows("checks"),
        prompts_read=analysis.rows("prompts_read"),
        groups=found,
        recommendations=recommendations(analysis),
        tallies=tuple(tally_sentences(changes, found)),
        auroc_tallies=tuple(auroc_sentences(analysis.rows("downstream_change"))),
        quality=quality_changes(settings, found),
        panels=curves,
        size_panels=size_panels(analysis),
        compared=compared_points(analysis, found),
        lengths=length_removed(analysis, found),
        items=item_level(analysis, settings, found, curves),
        answers=answers(analysis),
        undefined=_undefined(correlations),
        changes=changes,
        epoch_falls=analysis.rows("epoch_fall"),
        sample_sizes=analysis.rows("sample_size"),
        reliability=analysis.rows("reliability"),
        notes=analysis.notes,
        settings=tuple(settings),
    )


def tally_sentences(changes: Iterable[Row], groups: Sequence[Group]) -> Iterator[str]:
    """How many configurations fell and rose, as the paper counts its Tables 1 and 6, and what the verdicts are.

    A sentence for each family of settings and comparison that verdicts are shown of; none for one group. A
    configuration is a model, a task, a score and, among settings n=…, a number of training items. It fell if its
    mean change over seeds is below 0.
    """
    plain = [row for row in changes if row.effect == "spearman"]
    by_kind = grouped(plain, lambda row: (family_of(row.setting), row.from_, row.to))
    kinds = dict.fromkeys((family_of(group.setting), group.from_, group.to) for group in groups)
    for family, from_, to in kinds if len(groups) > 1 else ():
        rows = _configurations(by_kind[family, from_, to])  # verdict, mean and p are the same in both scopes
        parts = ["", ""]
        if any(math.isfinite(row.p_anova_holm) for row in rows):
            parts = [
                f"{sum(r.p_anova_holm < ALPHA for r in rows if r.mean < 0)} significant by the paper’s ANOVA",
                f"{sum(r.p_anova_holm < ALPHA for r in rows if r.mean > 0)} significant by the ANOVA",
            ]
        said = _counted(from_, to, family, rows, *parts, what="by Spearman’s ρ, ")
        verdicts = Counter(row.verdict for row in rows)
        told = ", ".join(f"{verdicts[word]} {word}" for word in (*VERDICTS, "undefined") if verdicts[word])
        yield f"{said[0].upper()}{said[1:]} Verdicts: {told}."


def auroc_sentences(changes: Iterable[Row]) -> Iterator[str]:
    """How often AUROC fell, as the paper counts its Table 5: a sentence for each family of settings.

    Of the first comparison in `COMPARISONS` that a family has. With it, how many changes are significant at 0.05
    after Holm's correction, for the mean over training runs where there are several.
    """
    for family, own in grouped(changes, lambda row: family_of(row.setting)).items():
        by_pair = grouped(own, lambda row: (row.from_, row.to))
        pair = next(pair for pair in (*COMPARISONS, *by_pair) if pair in by_pair)
        rows = _configurations(sorted(by_pair[pair], key=lambda row: row.ci_scope != "training"))
        if any(not math.isnan(row.mean) for row in rows):
            sure = [row for row in rows if row.p_change_holm < ALPHA]
            fell = f"{sum(row.mean < 0 for row in sure)} significant after Holm’s correction"
            rose = f"{sum(row.mean > 0 for row in sure)} significant"
            yield f"AUROC, {_counted(*pair, family, rows, fell, rose)}"


def _configurations(rows: Iterable[Row]) -> list[Row]:
    """The first row of each."""
    return [own[0] for own in grouped(rows, lambda row: (*key_of(row), row.score)).values()]


def _counted(
    from_: str, to: str, family: str, rows: Sequence[Row], fell: str, rose: str, *, what: str = ""
) -> str:
    """The sentence about these configurations; `fell` and `rose` stand in brackets, `what` did it."""
    falls = count_falls([row.mean for row in rows])
    ends = [CHECKPOINT_NAMES.get(name, name) for name in (from_, to)]
    lead = f"{ends[0]} → {ends[1]}" + ("" if family == setting_names.DEFAULT else f", {family}")
    rest = [f"{falls.unchanged} did not change"] if falls.unchanged else []
    rest += [f"{falls.undefined} {'is' if falls.undefined == 1 else 'are'} undefined"] if falls.undefined else []
    fell, rose = (f" ({more})" if more else "" for more in (fell, rose))
    changed = f"{falls.fell} fell{fell} and {falls.rose} rose{rose}"
    return f"{lead}: {what}of {count(falls.total, 'configuration')} {changed}{'; ' * bool(rest)}{', '.join(rest)}."


def family_of(setting: str) -> str:
    """The family of settings that differ in the number of training items alone, or the setting itself.

    >>> family_of("n=500,steps=2500"), family_of("default")
    ('n=*,steps=2500', 'default')
    """
    return setting_names.family(setting) or setting


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityChange:
    """Mean quality over test items, then over seeds: a score can only track quality that varies.

    Attributes
    ----------
    n_items : items whose quality is defined at both checkpoints, smallest number over seeds.
    better, worse, same : shares of these items, mean over seeds.
    """

    group: Group
    before: float
    after: float
    better: float
    worse: float
    same: float
    n_items: int
    n_seeds: int


def quality_changes(settings: Iterable[Setting], groups: Iterable[Group]) -> tuple[QualityChange, ...]:
    """One entry for each group in which some item has a quality at both checkpoints."""
    by_key = {key_of_setting(setting): setting for setting in settings}
    found = []
    for group in groups:
        means, shares, n_items = [], [], []
        ends = ends_of_runs(by_key[group.key], group.from_, group.to) if group.key in by_key else []
        for first, then in ends:
            both = np.isfinite(first.quality) & np.isfinite(then.quality)
            if both.any():
                before, after = first.quality[both], then.quality[both]
                means.append((before.mean(), after.mean()))
                shares.append(((after > before).mean(), (after < before).mean(), (after == before).mean()))
                n_items.append(int(both.sum()))
        if means:
            (before, after), (better, worse, same) = np.mean(means, axis=0), np.mean(shares, axis=0)
            found.append(
                QualityChange(
                    group=group,
                    before=float(before),
                    after=float(after),
                    better=float(better),
                    worse=float(worse),
                    same=float(same),
                    n_items=min(n_items),
                    n_seeds=len(means),
                )
            )
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class UndefinedRho:
    """Correlations that are undefined for one reason."""

    key: Key
    reason: str
    n: int
    epochs: str
    scores: tuple[str, ...]


def _undefined(correlations: Iterable[Row]) -> tuple[UndefinedRho, ...]:
    undefined = [row for row in correlations if math.isnan(row.spearman)]
    return tuple(
        UndefinedRho(
            key=key,
            reason=reason,
            n=len(rows),
            epochs=_span(sorted({row.epoch for row in rows})),
            scores=tuple(dict.fromkeys(row.score for row in rows)),
        )
        for (key, reason), rows in grouped(undefined, lambda row: (key_of(row), row.status)).items()
    )


def _span(epochs: Sequence[float]) -> str:
    """Whole epochs without a gap as a range, others one by one."""
    if len(epochs) > 2 and np.array_equal(np.diff(epochs), np.ones(len(epochs) - 1)):
        return f"{epochs[0]:g}–{epochs[-1]:g}"
    return ", ".join(f"{epoch:g}" for epoch in epochs)
