"""How many configurations fell and rose, as the paper counts its Tables 1 and 6, and how many really did."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from aftertune import setting_names
from aftertune.analysis.schema import Analysis, Row
from aftertune.report.number_format import count
from aftertune.report.outcome import CHECKPOINT_NAMES, COMPARISONS, groups
from aftertune.stats.falls import Falls, count_falls

ALPHA = 0.05


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


def tally(analysis: Analysis, from_: str, to: str, *, family: str | None = None) -> Tally:
    """Count the changes from `from_` to `to` (names as in change.csv).

    Parameters
    ----------
    family
        Only settings of this family ("default", "n=*"; see `family_of`); all of them if None.
    """
    rows: dict[tuple[str, str, str, str], Row] = {}
    for row in analysis.rows("change"):  # verdict, mean and p_anova_holm are the same in the rows of both scopes
        if (row.from_, row.to) == (from_, to) and family in (None, family_of(row.setting)):
            rows.setdefault((row.model, row.task, row.setting, row.score), row)
    fell = [row for row in rows.values() if row.mean < 0]
    rose = [row for row in rows.values() if row.mean > 0]
    return Tally(
        from_=from_,
        to=to,
        changes=count_falls([row.mean for row in rows.values()]),
        degraded=sum(row.verdict == "degraded" for row in fell),
        improved=sum(row.verdict == "improved" for row in rose),
        fell_by_anova=sum(row.p_anova_holm < ALPHA for row in fell),
        rose_by_anova=sum(row.p_anova_holm < ALPHA for row in rose),
        tested=sum(math.isfinite(row.p_anova_holm) for row in rows.values()),
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


def tally_sentences(analysis: Analysis) -> list[str]:
    """A sentence for each family of settings and comparison that verdicts are shown of; none for one group.

    A configuration is a model, a task, a score and, among settings n=…, a number of training items.
    """
    found = groups(analysis)
    if len(found) < 2:
        return []
    kinds = dict.fromkeys((family_of(group.setting), group.from_, group.to) for group in found)
    return [
        tally_sentence(tally(analysis, from_, to, family=family), family=family) for family, from_, to in kinds
    ]


def auroc_sentences(analysis: Analysis) -> list[str]:
    """How often AUROC fell, as the paper counts its Table 5: a sentence for each family of settings.

    Of the first comparison in `COMPARISONS` that a family has. With it, how many changes are significant at 0.05
    by the bootstrap after Holm's correction, for another training run where there are several.
    """
    families: dict[str, dict[tuple[str, str], list[Row]]] = {}
    for row in analysis.rows("downstream_change"):
        families.setdefault(family_of(row.setting), {}).setdefault((row.from_, row.to), []).append(row)
    found = []
    for family, by_pair in families.items():
        pair = next(pair for pair in (*COMPARISONS, *by_pair) if pair in by_pair)
        told: dict[tuple[str, str, str, str], Row] = {}
        for row in sorted(by_pair[pair], key=lambda row: row.ci_scope != "training"):
            told.setdefault((row.model, row.task, row.setting, row.score), row)
        rows = list(told.values())
        if all(math.isnan(row.mean) for row in rows):
            continue
        changes = count_falls([row.mean for row in rows])
        sure = [row for row in rows if row.p_bootstrap_holm < ALPHA]
        parts = [
            f"{changes.fell} fell ({sum(row.mean < 0 for row in sure)} significant by the bootstrap)",
            f"{changes.rose} rose ({sum(row.mean > 0 for row in sure)} significant)",
        ]
        of = count(changes.total, "configuration")
        found.append(f"AUROC, {_lead(*pair, family)}: of {of} {_listed(parts, changes)}.")
    return found


def family_of(setting: str) -> str:
    """The family of settings that differ in the number of training items alone, or the setting itself.

    >>> family_of("n=500,steps=2500"), family_of("default")
    ('n=*,steps=2500', 'default')
    """
    return setting_names.family(setting) or setting
