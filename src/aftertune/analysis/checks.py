"""Checks of the measurement that records alone tell: could the numbers be about something else than they seem?

Those that need a model or its files are in `aftertune.measure.checks`; `analyse` puts both into one table.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import t as student

from aftertune.analysis.checkpoints import GROUP, Comparison, Point, Setting, listed, named_points, number
from aftertune.analysis.schema import PROMPTS_READ, Row
from aftertune.errors import InputError, shortened
from aftertune.scores import known_score
from aftertune.types import Check, Floats, Records, Texts
from aftertune.word_breaks import separated

SHARE = 0.05
"""Share of answers, prompts or items from which a fault is a warning. If 5 % of the answers, anywhere in the
ranking, say nothing about the model, they take at most 0.05 off the effect: half of the margin."""
FEW_ITEMS = 30
"""Fewer get no verdict (method 9.2): the 95 % interval of a correlation of 0 on 30 items is ±0.36."""
FEW_VALUES = 5
"""A score with fewer leaves at least a quarter of the pairs of items undecided."""
GRAM, TIMES = 4, 3
"""An answer runs in circles if the same so many words in a row stand in it so often."""

HIT_LIMIT, PROMPT_CUT, INPUT, RENDERED = "hit_limit", "prompt_cut", "input", "rendered_prompt"
"""Fields of records, beyond those of the format, that checks read (docs/records.md)."""

_WHEN = {
    "before": "before fine-tuning",
    "epoch_1": "after epoch 1",
    "selected": "after fine-tuning",
    "last": "after fine-tuning",
}
_NAMES = {"before": "before", "epoch_1": "epoch 1", "selected": "selected", "last": "last"}
Ends = Mapping[str, Sequence[Point]]
"""Name of a checkpoint → that checkpoint of each training run that has it."""


def record_checks(
    records: Records,
    setting: Setting,
    comparisons: Sequence[Comparison],
    correlations: Sequence[Row],
    *,
    allow_other_items: bool = False,
) -> list[Check]:
    """All checks of one setting, at the checkpoints that are compared.

    Parameters
    ----------
    correlations : its rows of the table.
    allow_other_items : whether checkpoints without a common item are a finding, and no `InputError`.

    Raises
    ------
    InputError
        No item is at all of the checkpoints of a comparison.
    """
    ends = _ends(setting, comparisons)
    parts = (
        _number_of_items(setting, comparisons, ends),
        _common_items(setting, comparisons, allow_other_items),
        _answers(records, ends),
        _prompts_cut(records, ends),
        _quality(comparisons),
        _one_class(records, ends),
        _negative(comparisons, ends, correlations),
        _few_values(ends),
        _same_items(records, setting),
        _groups(records, setting),
        _validation_items(records, setting),
    )
    where = {"model": setting.model, "task": setting.task, "setting": setting.setting}
    return [replace(check, **where) for part in parts for check in part]


def prompts_read(records: Records, setting: Setting, comparisons: Sequence[Comparison]) -> list[Row]:
    """The first item that all checkpoints have, as each of the first training run read and answered it."""
    ends = {name: points[0] for name, points in _ends(setting, comparisons).items()}
    everywhere = np.logical_and.reduce([point.row >= 0 for point in ends.values()])
    if not everywhere.any():
        return []
    item, read = int(np.argmax(everywhere)), records.extra.get(RENDERED)
    if read is None and all(point.output[item] is None for point in ends.values()):
        return []
    rows = []
    for name, point in ends.items():
        at = point.row[item]
        prompt = None if read is None else read[at]
        rows.append(
            PROMPTS_READ.row(
                **setting.names,
                seed=point.seed,
                checkpoint=name,
                item_id=setting.item_ids[item],
                prompt=prompt if isinstance(prompt, str) else None,
                references=tuple(records.references[at] or ()),
                output=records.output[at],
                quality=float(point.quality[item]),
            )
        )
    return rows


def same_items(records: Records, setting: Setting) -> np.ndarray | None:
    """(n,) number of the group of each item: equal where the prompt and the references are; None where unknown."""
    asked = records.extra.get(INPUT)
    if asked is None:
        return None
    first = _first_rows(setting)
    if any(not isinstance(asked[row], str) for row in first):
        return None
    known: dict[tuple, int] = {}
    keys = ((asked[row], tuple(records.references[row] or ())) for row in first)
    return np.array([known.setdefault(key, len(known)) for key in keys])


def runs_in_circles(text: str) -> bool:
    """Whether the same `GRAM` words in a row stand in a text `TIMES` times or more; they may overlap.

    >>> runs_in_circles("a b a b a b a b"), runs_in_circles("ha ha ha ha ha"), runs_in_circles("ha " * 6)
    (True, False, True)
    """
    words = separated(text).split()
    if len(words) - len(set(words)) < GRAM + TIMES - 2:  # what a word repeated, the shortest circle, needs
        return False
    grams = Counter(zip(*(words[i:] for i in range(GRAM))))
    return max(grams.values(), default=0) >= TIMES


def _ends(setting: Setting, comparisons: Sequence[Comparison]) -> dict[str, list[Point]]:
    """The checkpoints that are compared; where nothing is, those that have a name, each once."""
    named = [named_points(run) for run in setting.runs()]
    names = list(dict.fromkeys(name for c in comparisons for name in (c.from_, c.to)))
    if not names:
        points: dict[int, str] = {}
        for run in named:
            for name in ("before", "selected", "last", "epoch_1"):
                if name in run:
                    points.setdefault(id(run[name]), name)
        names = list(dict.fromkeys(points.values()))
    return {name: [run[name] for run in named if name in run] for name in names}


def _pairs(comparisons: Sequence[Comparison]) -> dict[tuple[str, str], tuple[tuple[Point, Point], ...]]:
    return {(c.from_, c.to): c.ends for c in comparisons}


def _when(name: str, ends: Iterable[str]) -> str:
    both = {"selected", "last"} <= set(ends)
    return f"at the {name} checkpoint" if both and name in ("selected", "last") else _WHEN[name]


def percent(share: float) -> str:
    """Whole per cent; 0 and 100 of none and of all alone.

    >>> percent(0.614), percent(0.002), percent(0.998), percent(0)
    ('61 %', 'under 1 %', 'over 99 %', '0 %')
    """
    if 0 < share < 0.01:
        return "under 1 %"
    return "over 99 %" if 0.99 < share < 1 else f"{100 * share:.0f} %"


def _number_of_items(setting: Setting, comparisons: Sequence[Comparison], ends: Ends) -> Iterator[Check]:
    """How many items have quality and a score, the most of all scores."""
    used: dict[tuple[str, str], dict[str, int]] = {}
    for c in comparisons:
        used.setdefault((c.from_, c.to), {})[c.score] = int(c.items.sum())
    for name, points in ends.items() if not used else ():
        scores = points[0].scores
        used[name, ""] = {one: int(min(point.having(one).sum() for point in points)) for one in scores}
    scores = setting.points[0].scores
    absent = {score for score in scores if not any(point.having(score).any() for point in setting.points)}
    for (start, end), all_scores in used.items():
        by_score = {score: n for score, n in all_scores.items() if score not in absent} or all_scores
        n = max(by_score.values())
        both = f" at both {_NAMES[start]} and {_NAMES[end]}" if end else ""
        few = [score for score, count in by_score.items() if count < FEW_ITEMS]
        items = "1 item has" if n == 1 else f"{n:,} items have"
        if not few:
            yield Check(check="number of items", level="ok", value=n, message=f"{items} quality and scores{both}")
        elif n < FEW_ITEMS:
            yield Check(
                check="number of items",
                level="warning",
                value=n,
                message=f"only {items} quality and a score{both}: too few for a verdict, which takes "
                f"{FEW_ITEMS} at least and a few hundred to be worth anything",
            )
        else:
            least = min(by_score.values())
            yield Check(
                check="number of items",
                level="warning",
                value=least,
                message=f"{_some(few)} {'has' if len(few) == 1 else 'have'} a value for fewer than {FEW_ITEMS} "
                f"items{both} (at least {least}): too few for a verdict",
            )


def _common_items(setting: Setting, comparisons: Sequence[Comparison], allow: bool) -> Iterator[Check]:
    for (start, end), ends in _pairs(comparisons).items():
        there = [point.row >= 0 for pair in ends for point in pair]
        common, either = np.logical_and.reduce(there), np.logical_or.reduce(there)
        share = float(common.sum() / either.sum())
        if share == 0:
            a, b = _strangers(setting, there)
            message = (
                f"{setting.label}: {_NAMES[start]} and {_NAMES[end]} have no item in common (such as {a!r} and "
                f"{b!r}): give an item the same item_id at every checkpoint"
            )
            if not allow:
                raise InputError(f"{message}, or --allow-other-items to see each checkpoint on its own")
            yield Check(check="common items", level="refused", value=0.0, message=message)
            continue
        level = "ok" if share == 1 else "note" if share >= 1 - SHARE else "warning"
        message = "every item is at all checkpoints"
        if level != "ok":
            message = (
                f"{percent(share)} of the items are at all checkpoints of {_NAMES[start]} and {_NAMES[end]}: the "
                "others are left out, and may be the harder ones"
            )
        yield Check(check="common items", level=level, value=share, message=message)


def _strangers(setting: Setting, there: Sequence[np.ndarray]) -> tuple[str, str]:
    """An item of the first checkpoint, and one of the first that lacks it."""
    first = int(np.argmax(there[0]))
    other = next(mask for mask in there if not mask[first])
    return tuple(shortened(str(setting.item_ids[i]), 40) for i in (first, int(np.argmax(other))))  # type: ignore


def _answers(records: Records, ends: Ends) -> Iterator[Check]:
    """Shares of answers that were cut, are empty, or run in circles."""
    limits, tokens = records.extra.get(HIT_LIMIT), records.extra.get("n_tokens")
    known = answered = False
    for name, points in ends.items():
        when, rows = _when(name, ends), np.concatenate([point.row[point.row >= 0] for point in points])
        cut = _known(limits, rows)
        if len(cut):
            known = True
            share = float(cut.mean())
            longest = [] if tokens is None else [tokens[row] for row in rows if limits is not None and limits[row]]
            longest = [n for n in longest if isinstance(n, int)]
            limit = f"{max(longest)}-token limit" if longest else "token limit"
            yield _share_check(
                "token limit",
                name,
                share,
                f"{limit}: {percent(share)} of answers {when} were cut at it",
                "raise --max-new-tokens (in a study file max_new_tokens)",
            )
        texts = [text for text in records.output[rows] if isinstance(text, str)]
        if not texts:
            continue
        answered = True
        share = float(np.mean([not text.strip() for text in texts]))
        yield _share_check(
            "empty answers",
            name,
            share,
            f"{percent(share)} of answers {when} are empty",
            "look at a prompt as it was read, and at the token that ends answers",
        )
        share = float(np.mean([runs_in_circles(text) for text in texts]))
        yield _share_check(
            "loops",
            name,
            share,
            f"{percent(share)} of answers {when} run in circles ({GRAM} words {TIMES} times or more)",
            "a model is confident of what it repeats, so that scores mean something else there",
        )
    if not answered:
        yield Check(check="empty answers", level="note", message="not known: the records have no field 'output'")
    if not known:
        yield Check(
            check="token limit", level="note", message=f"not known: the records have no field {HIT_LIMIT!r}"
        )


def _prompts_cut(records: Records, ends: Ends) -> Iterator[Check]:
    flags = records.extra.get(PROMPT_CUT)
    for name, points in ends.items():
        cut = _known(flags, np.concatenate([point.row[point.row >= 0] for point in points]))
        if len(cut):
            share = float(cut.mean())
            yield _share_check(
                "prompts cut",
                name,
                share,
                f"{percent(share)} of prompts {_when(name, ends)} were cut at their beginning",
                "shorten them, or leave them out (--long-prompts drop)",
            )


def _share_check(check: str, checkpoint: str, share: float, found: str, remedy: str) -> Check:
    level = "ok" if share == 0 else "note" if share < SHARE else "warning"
    message = f"{found}: {remedy}" if level == "warning" else found
    return Check(check=check, checkpoint=checkpoint, level=level, value=share, message=message)


def _known(flags: Texts | None, rows: np.ndarray) -> np.ndarray:
    """Those of the rows' values that are true or false."""
    values = [] if flags is None else [flags[row] for row in rows]
    return np.array([value for value in values if isinstance(value, bool)], dtype=float)


def quality_change(first: Floats, last: Floats) -> tuple[float, float]:
    """Mean change of the quality of n items, and half of its 95 % interval, by Student's t; NaN for n < 2."""
    moved = (last - first)[np.isfinite(last - first)]
    n = len(moved)
    if n < 2:
        return math.nan, math.nan
    return float(moved.mean()), float(student.ppf(0.975, n - 1) * moved.std(ddof=1) / math.sqrt(n))


def _quality(comparisons: Sequence[Comparison]) -> Iterator[Check]:
    """Does mean quality fall from before fine-tuning? Runs are averaged."""
    for (start, end), ends in _pairs(comparisons).items():
        if start != "before":
            continue
        first, last = (np.mean([pair[i].quality for pair in ends], axis=0) for i in (0, 1))
        change, width = quality_change(first, last)
        if math.isnan(change):
            continue
        both = np.isfinite(last - first)
        means = f"from {number(first[both].mean())} to {number(last[both].mean())}"
        level, message = "ok", f"mean quality {'rose' if change > 0 else 'went'} {means}"
        if change + width < 0:
            level = "warning"
            moved, low, high = (number(end, "+.2f") for end in (change, change - width, change + width))
            message = (
                f"mean quality fell {means} (change {moved} [{low}, {high}]): were the two models swapped? Give "
                "the one before fine-tuning first"
            )
        yield Check(check="quality", checkpoint=end, level=level, value=change, message=message)


def _one_class(records: Records, ends: Ends) -> Iterator[Check]:
    for name, points in ends.items():
        when, message = _when(name, ends), ""
        values = {point.seed: np.unique(point.quality[np.isfinite(point.quality)]) for point in points}
        constant = [seed for seed, one in values.items() if len(one) == 1]
        n = min(map(len, values.values()))
        rows = np.concatenate([point.row[point.row >= 0] for point in points])
        judged = set(records.correct[rows].tolist()) - {None}
        if n == 0:
            message = f"no answer {when} has a quality: no correlation can be computed"
        elif constant:
            every = number(values[constant[0]][0], "g")
            message = (
                f"quality is constant {when}{_of_seeds(points, constant)} (every item {every}): no correlation "
                "can be computed"
            )
        elif len(judged) == 1:
            n = 1
            message = (
                f"every judged answer {when} is {'right' if judged.pop() else 'wrong'}: none can be told apart"
            )
        level = "warning" if message else "ok"
        message = message or f"quality {when} has {n:,} different values"
        yield Check(check="one class", checkpoint=name, level=level, value=n, message=message)


def negative_everywhere(estimates: Sequence[tuple[float, float, int]], n_scores: int) -> bool:
    """Whether rho of one of so many scores is shown to be below 0 at all of its checkpoints.

    The upper ends are those of intervals by Bonferroni: the 95 % intervals, as much wider as the quantiles of
    Student's t are.

    Parameters
    ----------
    estimates
        At each checkpoint rho, the upper end of its 95 % interval, and the number of items.
    """
    freedom = max(min((n for _, _, n in estimates), default=2) - 1, 1)
    quantile = float(student.ppf(1 - 0.025 / n_scores, freedom) / student.ppf(0.975, freedom))
    return bool(estimates) and all(value + quantile * (high - value) < 0 for value, high, _ in estimates)


def _negative(comparisons: Sequence[Comparison], ends: Ends, correlations: Sequence[Row]) -> Iterator[Check]:
    """Scores whose tie-adjusted rho is below 0 at both ends in every run."""
    by_key = {(row.seed, row.epoch, row.score): row for row in correlations}
    names = list(dict.fromkeys(row.score for row in correlations))
    if not names:
        return
    if comparisons:
        first = comparisons[0]
        points, until = [point for pair in first.ends for point in pair], first.ends[0][1]
        where = f"{_when(first.from_, ends)} and {_when(first.to, ends)}"
    else:
        name = list(ends)[-1]
        points, until, where = list(ends[name]), ends[name][0], _when(name, ends)
    found = False
    for score in names:
        rows = [by_key[(*point.key, score)] for point in points]
        estimates = [(row.adjusted, row.adjusted_high, row.n) for row in rows]
        if negative_everywhere(estimates, len(names)):
            found, rho = True, by_key[(*until.key, score)].adjusted
            advice = f": if it measures uncertainty, negate it: aftertune analyze … --negate {score}"
            yield Check(
                check="negative score",
                level="warning",
                value=rho,
                message=f"{score} is lower where quality is higher, {where} (rho {number(rho)})"
                + (advice if known_score(score) is None else ""),
            )
    if not found:
        yield Check(
            check="negative score",
            level="ok",
            value=0,
            message=f"no score orders answers the wrong way round {where}",
        )


def _few_values(ends: Ends) -> Iterator[Check]:
    for name, points in ends.items():
        found: dict[tuple[int, str], list[str]] = {}
        for score in points[0].scores:
            values = [point.scores[score][point.having(score)] for point in points]
            few = {p.seed: n for p, v in zip(points, values) if len(v) >= FEW_VALUES > (n := len(np.unique(v)))}
            if few:
                found.setdefault((min(few.values()), _of_seeds(points, list(few))), []).append(score)
        if not found:
            message = f"every score {_when(name, ends)} has {FEW_VALUES} values or more"
            yield Check(check="score values", checkpoint=name, level="ok", value=0, message=message)
            continue
        told = []
        for (n, seeds), scores in sorted(found.items()):
            takes = ("is constant" if n == 1 else f"takes only {n} values") + seeds
            if len(scores) > 1:
                takes = takes.replace("is", "are", 1) if n == 1 else takes.replace("takes", "take", 1)
            told.append(f"{_some(scores)} {takes}")
        yield Check(
            check="score values",
            checkpoint=name,
            level="warning",
            value=sum(map(len, found.values())),
            message=f"{listed(told)} {_when(name, ends)}: many pairs of answers stay undecided",
        )


def _of_seeds(points: Sequence[Point], seeds: Sequence[int]) -> str:
    """ " (seeds 0 and 2)"; "" for all."""
    if len(seeds) == len(points):
        return ""
    return f" (seed{'' if len(seeds) == 1 else 's'} {listed(map(str, seeds))})"


def _some(names: Sequence[str]) -> str:
    return listed(names) if len(names) <= 3 else f"{names[0]}, {names[1]} and {len(names) - 2} more scores"


def _same_items(records: Records, setting: Setting) -> Iterator[Check]:
    groups, n = same_items(records, setting), len(setting.item_ids)
    if groups is None:
        message = f"not known: the records have no field {INPUT!r}"
        yield Check(check="duplicate items", level="note", message=message)
        return
    twice = n - len(np.unique(groups))
    level = "ok" if twice == 0 else "note" if twice < SHARE * n else "warning"
    message = "no two items have the same prompt and references"
    if twice:
        message = (
            f"{twice:,} of {n:,} items repeat another (same prompt and references): intervals count them as one, "
            "numbers do not; take them out"
        )
    yield Check(check="duplicate items", level=level, value=twice, message=message)


def _groups(records: Records, setting: Setting) -> Iterator[Check]:
    """How many groups (articles, say) the items come from, where records say it."""
    named = records.extra.get(GROUP)
    if named is None:
        return
    rows = _first_rows(setting)
    groups = {str(named[row]) for row in rows if named[row] is not None}
    if groups:
        few = len(groups) < FEW_ITEMS
        message = f"{len(rows):,} items come from {len(groups):,} groups"
        if few:
            message += f": fewer than {FEW_ITEMS} say little about others"
        yield Check(check="groups", level="warning" if few else "ok", value=len(groups), message=message)


def _validation_items(records: Records, setting: Setting) -> Iterator[Check]:
    """Are test items among the validation items? By their prompts, else by id and references together."""
    of_setting = (records.model == setting.model) & (records.task == setting.task)
    rows = np.flatnonzero(of_setting & (records.split == "validation"))
    if not len(rows):
        return
    test = _first_rows(setting)
    every, asked = (*rows, *test), records.extra.get(INPUT)
    if asked is not None and all(isinstance(asked[row], str) for row in every):
        keys = {row: asked[row] for row in every}
    elif all(records.references[row] for row in every):
        keys = {row: (records.item_id[row], tuple(records.references[row])) for row in every}
    else:
        message = f"not known: the records have no field {INPUT!r}"
        yield Check(check="validation items", level="note", message=message)
        return
    there = {keys[row] for row in rows}
    n = sum(keys[row] in there for row in test)
    message = "no test item is among the validation items"
    if n:
        message = (
            f"{n:,} of {len(test):,} test items are among the validation items: percentages and thresholds were "
            "fitted on them; take them out of one of the two"
        )
    yield Check(check="validation items", level="warning" if n else "ok", value=n, message=message)


def _first_rows(setting: Setting) -> np.ndarray:
    """(n,) where each item stands first in the records."""
    first = np.full(len(setting.item_ids), -1)
    for point in reversed(setting.points):
        first = np.where(point.row >= 0, point.row, first)
    return first
