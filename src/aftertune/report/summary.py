"""All that a reader is shown, built once from an analysis and its records: page, terminal and figures read it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from aftertune import setting_names
from aftertune.analysis.checkpoints import Setting, settings_of
from aftertune.analysis.schema import Analysis, Row
from aftertune.report.answers import Answers, answers
from aftertune.report.items import ItemLevel, ends_of_runs, item_level, key_of_setting
from aftertune.report.names import CHECKPOINT_NAMES, COMPARISONS, Key, group_name, grouped, key_of
from aftertune.report.numbers import count
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
from aftertune.stats.falls import Falls, count_falls
from aftertune.types import Records

ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What page, terminal and figures read.

    Attributes
    ----------
    models, tasks, scores : their names, each once.
    n_seeds : training runs with different seeds.
    groups : the verdicts.
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
    """

    models: tuple[str, ...]
    tasks: tuple[str, ...]
    scores: tuple[str, ...]
    n_seeds: int
    groups: tuple[Group, ...]
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
        groups=found,
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
    )


# How many configurations fell and rose, as the paper counts its Tables 1 and 6, and how many really did.


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Changes of rho between two checkpoints, each model × task × setting × score counted once.

    Attributes
    ----------
    changes : signs of the mean change over seeds.
    degraded, improved : falls and rises with that verdict.
    fell_by_anova, rose_by_anova : falls and rises with p_anova_holm < 0.05.
    tested : changes for which the ANOVA is defined.
    """

    from_: str
    to: str
    changes: Falls
    degraded: int
    improved: int
    fell_by_anova: int
    rose_by_anova: int
    tested: int


def tally(changes: Iterable[Row], from_: str, to: str, *, family: str | None = None) -> Tally:
    """Count the changes from `from_` to `to` (names as in change.csv).

    Parameters
    ----------
    family
        Only settings of this family ("default", "n=*"; see `family_of`); all of them if None.
    """
    own = [r for r in changes if (r.from_, r.to) == (from_, to) and family in (None, family_of(r.setting))]
    # Verdict, mean and p_anova_holm are the same in the rows of both scopes.
    rows = [of_both[0] for of_both in grouped(own, lambda row: (*key_of(row), row.score)).values()]
    fell, rose = [row for row in rows if row.mean < 0], [row for row in rows if row.mean > 0]
    return Tally(
        from_=from_,
        to=to,
        changes=count_falls([row.mean for row in rows]),
        degraded=sum(row.verdict == "degraded" for row in fell),
        improved=sum(row.verdict == "improved" for row in rose),
        fell_by_anova=sum(row.p_anova_holm < ALPHA for row in fell),
        rose_by_anova=sum(row.p_anova_holm < ALPHA for row in rose),
        tested=sum(math.isfinite(row.p_anova_holm) for row in rows),
    )


def tally_sentence(found: Tally, *, family: str = setting_names.DEFAULT) -> str:
    """One sentence for a reader.

    >>> tally_sentence(Tally(from_="before", to="last", changes=Falls(fell=2, rose=3, unchanged=0, undefined=1),
    ...     degraded=1, improved=0, fell_by_anova=0, rose_by_anova=0, tested=0))
    'Before fine-tuning → last checkpoint: of 6 configurations 2 fell (1 degraded) and 3 rose (0 improved); 1 is undefined.'
    """  # noqa: E501
    fell, rose = f"{found.degraded} degraded", f"{found.improved} improved"
    if found.tested:
        fell += f", {found.fell_by_anova} significant by the paper’s ANOVA"
        rose += f", {found.rose_by_anova} significant by the ANOVA"
    lead, changes = _lead(found.from_, found.to, family), found.changes
    parts = [f"{changes.fell} fell ({fell})", f"{changes.rose} rose ({rose})"]
    return f"{lead[0].upper()}{lead[1:]}: of {count(changes.total, 'configuration')} {_listed(parts, changes)}."


def _lead(from_: str, to: str, family: str) -> str:
    ends = [CHECKPOINT_NAMES.get(name, name) for name in (from_, to)]
    return f"{ends[0]} → {ends[1]}" + ("" if family == setting_names.DEFAULT else f", {family}")


def _listed(parts: Sequence[str], changes: Falls) -> str:
    rest = [f"{changes.unchanged} did not change"] if changes.unchanged else []
    if changes.undefined:
        rest.append(f"{changes.undefined} {'is' if changes.undefined == 1 else 'are'} undefined")
    return " and ".join(parts) + (f"; {', '.join(rest)}" if rest else "")


def tally_sentences(changes: Sequence[Row], groups: Sequence[Group]) -> list[str]:
    """A sentence for each family of settings and comparison that verdicts are shown of; none for one group.

    A configuration is a model, a task, a score and, among settings n=…, a number of training items.
    """
    if len(groups) < 2:
        return []
    kinds = dict.fromkeys((family_of(group.setting), group.from_, group.to) for group in groups)
    return [tally_sentence(tally(changes, from_, to, family=family), family=family) for family, from_, to in kinds]


def auroc_sentences(changes: Iterable[Row]) -> list[str]:
    """How often AUROC fell, as the paper counts its Table 5: a sentence for each family of settings.

    Of the first comparison in `COMPARISONS` that a family has. With it, how many changes are significant at 0.05
    by the bootstrap after Holm's correction, for another training run where there are several.
    """
    found = []
    for family, own in grouped(changes, lambda row: family_of(row.setting)).items():
        by_pair = grouped(own, lambda row: (row.from_, row.to))
        pair = next(pair for pair in (*COMPARISONS, *by_pair) if pair in by_pair)
        by_scope = sorted(by_pair[pair], key=lambda row: row.ci_scope != "training")
        rows = [scopes[0] for scopes in grouped(by_scope, lambda row: (*key_of(row), row.score)).values()]
        if all(math.isnan(row.mean) for row in rows):
            continue
        falls = count_falls([row.mean for row in rows])
        sure = [row for row in rows if row.p_bootstrap_holm < ALPHA]
        parts = [
            f"{falls.fell} fell ({sum(row.mean < 0 for row in sure)} significant by the bootstrap)",
            f"{falls.rose} rose ({sum(row.mean > 0 for row in sure)} significant)",
        ]
        of = count(falls.total, "configuration")
        found.append(f"AUROC, {_lead(*pair, family)}: of {of} {_listed(parts, falls)}.")
    return found


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

    name: str
    reason: str
    n: int
    epochs: str
    scores: tuple[str, ...]


def _undefined(correlations: Iterable[Row]) -> tuple[UndefinedRho, ...]:
    undefined = [row for row in correlations if math.isnan(row.spearman)]
    return tuple(
        UndefinedRho(
            name=group_name(*key),
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
