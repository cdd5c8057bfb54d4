"""Which score to use after fine-tuning, what it is worth, and what becomes of one that a person relies on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata

from aftertune.analysis.checkpoints import COMPARISONS, NAMES, Point, Setting, named_points
from aftertune.analysis.labels import Validation
from aftertune.analysis.schema import RECOMMENDATION, Row
from aftertune.errors import InputError
from aftertune.seeds import generator
from aftertune.stats.change import Spread, spread_for_models, spread_for_training
from aftertune.stats.choosing import MIN_HALF, select_half
from aftertune.stats.concordance import concordances, share_interval
from aftertune.stats.correlation import why_undefined
from aftertune.stats.crossfit import Fair, Scored, atom_of, chosen, cross_fitted
from aftertune.stats.effect import adjusted_rho, by_group, effects
from aftertune.stats.review import REVIEW_SHARE, Gain, cut_at, found_wrong, kept_quality, sent
from aftertune.stats.verdict import FEWEST_ITEMS, MOST_ITEMS, POWER
from aftertune.types import Floats, Ints, Records

SURVIVED = ("holds", "improved")

ALIKE = 0.95
"""Spearman's rho between two scores, at both ends, from which they order the answers almost the same way."""

VALIDATION, CROSS_FITTING, NAMED = "validation select half", "cross-fitting", "named"

_NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """The ends of one training run: before it, None where there is one checkpoint only, and after it."""

    before: Point | None
    after: Point

    @property
    def points(self) -> list[Point]:
        return [point for point in (self.before, self.after) if point is not None]


def check_rely_on(rely_on: str | None, names: Sequence[str]) -> None:
    """`InputError`, with the names that there are, for a score that is none of them."""
    if rely_on is not None and rely_on not in names:
        raise InputError(f"no score is called {rely_on!r}: rely on one of {', '.join(names)}")


def recommendation_rows(
    records: Records,
    setting: Setting,
    labels: Floats,
    validation: Validation,
    changes: Sequence[Row],
    *,
    margin: float,
    seed: int,
    rely_on: str | None = None,
) -> list[Row]:
    """The recommended score of a setting, and before it the one that a person relies on.

    Of the most telling comparison (`COMPARISONS`) that the setting has; else of its only checkpoint.

    Parameters
    ----------
    labels
        Of the records (`labels.labels_of`): where some test answer of the setting has one, they stand for quality.
    changes
        Rows of change.csv of this setting.
    """
    from_, to, runs = _compared(setting, changes)
    verdicts = {
        row.score: row for row in changes if row.effect == "adjusted" and (row.from_, row.to) == (from_, to)
    }
    truth = _Truth.of(records, setting, labels, runs)
    table = _Table.of(setting, list(records.scores), runs, truth)
    usable, survived = table.standing(verdicts, margin)
    s, on, n_choice, fair = None, "", 0, None
    if len(table.names) and table.n_groups >= FEWEST_ITEMS:
        select, n_choice = _on_validation(records, setting, runs, labels, truth, validation, table.names)
        on = CROSS_FITTING if select is None else VALIDATION
        s = chosen(table.effect if select is None else select, usable & survived, usable)
        if select is None:
            n_choice = int(table.items.any(axis=0).sum())
    if s is not None and on == CROSS_FITTING:
        atoms = atom_of([str(setting.item_ids[i]) for i in table.first_of_group])
        fair = cross_fitted(table.scored, atoms, margin=margin, rng=generator(seed, "recommendation"))
    common = {
        **setting.names,
        "from_": from_,
        "to": to,
        "n_scores": len(records.scores),
        "n_seeds": len(runs),
        "review_share": REVIEW_SHARE,
        "graded": truth.graded,
    }
    rows = []
    if rely_on is not None:
        place = table.names.index(rely_on) if rely_on in table.names else None
        own = {"role": "relied on", "score": rely_on, "chosen_on": NAMED, "n_choice": 0}
        if place is None:
            why = _why_no_score(runs, rely_on, truth)
            rows.append(_empty(common | own, verdicts.get(rely_on), status=why))
        else:
            rows.append(table.row(place, common | own, verdicts.get(rely_on), usable, None))
    own = {"role": "recommended", "chosen_on": on, "n_choice": n_choice}
    if s is None:
        status, likeliest, needed = table.what_would_settle(usable)
        rows.append(_empty(common | own | {"score": likeliest}, None, status=status, items_needed=needed))
    else:
        name = table.names[s]
        rows.append(table.row(s, common | own | {"score": name}, verdicts.get(name), usable, fair))
    return rows


def _compared(setting: Setting, changes: Sequence[Row]) -> tuple[str, str, list[_Run]]:
    pairs = {(row.from_, row.to) for row in changes}
    named = [named_points(run) for run in setting.runs()]
    for from_, to in COMPARISONS:
        if (from_, to) in pairs:
            both = [one for one in named if from_ in one and to in one]
            return from_, to, [_Run(before=one[from_], after=one[to]) for one in both]
    to = next(name for name in ("selected", "last", *NAMES) if any(name in one for one in named))
    return "", to, [_Run(before=None, after=one[to]) for one in named if to in one]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Truth:
    """How good each answer is: right or wrong where that is known, else its quality.

    Attributes
    ----------
    judged : whether labels stand for quality.
    graded : whether there is more than right and wrong.
    at : (n,) by checkpoint.
    """

    judged: bool
    graded: bool
    at: Mapping[tuple[int, float], Floats]

    @classmethod
    def of(cls, records: Records, setting: Setting, labels: Floats, runs: Sequence[_Run]) -> _Truth:
        points = [point for run in runs for point in run.points]
        of_label = {p.key: np.where(p.row >= 0, labels[p.row], np.nan) for p in points}
        judged = any(np.isfinite(one).any() for one in of_label.values())
        found = of_label if judged else {p.key: p.quality for p in points}
        every = np.concatenate(list(found.values()))
        return cls(judged=judged, graded=not np.isin(every[np.isfinite(every)], (0.0, 1.0)).all(), at=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """The scores of a setting that have an effect at all ends of all runs.

    Attributes
    ----------
    items : (S, n) those that have the score and a truth at all ends.
    groups : (n,) 0 … G − 1.
    scored : judged are concordance, share of wrong answers found (NaN where graded), and quality of what is kept.
    weights : (3, S, G) of these (`concordance.share_interval`); NaN where quality is not between 0 and 1.
    """

    setting: Setting
    runs: Sequence[_Run]
    truth: _Truth
    names: Sequence[str]
    items: np.ndarray
    groups: Ints
    scored: Scored
    weights: Floats

    @classmethod
    def of(cls, setting: Setting, names: Sequence[str], runs: Sequence[_Run], truth: _Truth) -> _Table:
        n = len(setting.item_ids)
        groups = np.arange(n) if setting.groups is None else setting.groups
        masks = {name: _having(runs, name, truth) for name in names}
        kept = [name for name in names if not _undefined(runs, name, masks[name], truth)]
        items = np.array([masks[name] for name in kept]).reshape(len(kept), n)
        kinds = ("concordance", "found", "kept")
        n_groups = int(groups.max()) + 1
        values = np.zeros((2 + len(kinds), len(runs), len(kept)))
        deviations = np.zeros((2 + len(kinds), len(runs), len(kept), n_groups))
        weights = np.zeros((len(kinds), len(kept), n_groups))
        by_mask: dict[bytes, list[int]] = {}
        for s, mask in enumerate(items):
            by_mask.setdefault(mask.tobytes(), []).append(s)
        for index in by_mask.values():
            mask = items[index[0]]
            of = groups[mask]
            for r, run in enumerate(runs):
                confidence, truth_to = _at(run.after, kept, index, mask, truth)
                effect = effects(confidence, truth_to).adjusted
                share = concordances(confidence, truth_to)
                gains = [_gains(one, truth_to, graded=truth.graded) for one in confidence]
                found = [(effect.value, effect.deviation)]
                if run.before is not None:
                    was = effects(*_at(run.before, kept, index, mask, truth)).adjusted
                    found.append((effect.value - was.value, effect.deviation - was.deviation))
                else:
                    found.append((np.zeros(len(index)), np.zeros(confidence.shape)))
                found.append((share.value, share.deviation))
                found += [
                    (np.array([g[k].value for g in gains]), np.array([g[k].deviation for g in gains]))
                    for k in (0, 1)
                ]
                for kind, (value, deviation) in enumerate(found):
                    values[kind, r, index] = value
                    deviations[kind, r, index] = by_group(deviation, of, n_groups)
                added = [2 * share.weight, *(np.array([g[k].weight for g in gains]) for k in (0, 1))]
                for kind, weight in enumerate(added):
                    for s, row in zip(index, weight):
                        weights[kind, s] += np.bincount(of, row, n_groups) / len(runs)
        share_of = np.array([np.bincount(groups[mask], minlength=n_groups) / mask.sum() for mask in items])
        scored = Scored(
            effect=values[0],
            change=values[1],
            judged=values[2:],
            deviations=deviations,
            share=share_of.reshape(len(kept), n_groups),
        )
        return cls(
            setting=setting,
            runs=runs,
            truth=truth,
            names=kept,
            items=items,
            groups=groups,
            scored=scored,
            weights=weights,
        )

    @property
    def effect(self) -> Floats:
        """(S,) tie-adjusted rho after fine-tuning, mean over runs."""
        return self.scored.effect.mean(axis=0)

    @property
    def n_groups(self) -> int:
        return len(np.unique(self.groups[self.items.any(axis=0)]))

    @property
    def first_of_group(self) -> Ints:
        return np.unique(self.groups, return_index=True)[1]

    def standing(self, verdicts: Mapping[str, Row], margin: float) -> tuple[np.ndarray, np.ndarray]:
        """(S,) usable, and survived: as change.csv says, or by simultaneous bounds where nothing is compared."""
        if not verdicts:
            usable = self.effect - self.scored.half_widths()[0] > 0 if self.names else np.zeros(0, dtype=bool)
            return usable, np.ones(len(self.names), dtype=bool)
        rows = [verdicts.get(name) for name in self.names]
        usable = [row is not None and row.usable == "yes" for row in rows]
        survived = [row is not None and row.verdict in SURVIVED for row in rows]
        return np.array(usable, dtype=bool), np.array(survived, dtype=bool)

    def what_would_settle(self, usable: np.ndarray) -> tuple[str, str | None, int | None]:
        """Why nothing is recommended, the score nearest to usable, and the items that would show it with 80 %."""
        if not self.names:
            return "no score has a correlation with quality at every checkpoint compared", None, None
        what = "items" if self.setting.groups is None else "groups of items"
        if self.n_groups < FEWEST_ITEMS:
            return (
                f"too few {what} to recommend a score ({self.n_groups}; {FEWEST_ITEMS} are needed)",
                None,
                FEWEST_ITEMS,
            )
        half, error = self.scored.half_widths()[0], np.sqrt(self.scored.spread(0).variance.max(axis=0))
        s = int(np.argmax(self.effect / np.maximum(half, 1e-12)))
        status = "no score is shown to be usable"
        if self.effect[s] <= 0:
            return f"{status}: none orders the answers better than chance", None, None
        ratio = (half[s] + float(norm.ppf(POWER)) * error[s]) / self.effect[s]
        n = int(self.items[s].sum())
        # Only more runs settle what runs make uncertain.
        if (
            self.scored.spread(0).floor[s] * (half[s] / max(error[s], 1e-12) + norm.ppf(POWER)) ** 2
            > self.effect[s] ** 2
        ):
            return status, self.names[s], None
        return status, self.names[s], min(math.ceil(n * max(ratio, 1.0) ** 2), MOST_ITEMS + 1)

    def row(
        self,
        s: int,
        known: Mapping[str, object],
        verdict: Row | None,
        usable: np.ndarray,
        fair: Sequence[Fair] | None,
    ) -> Row:
        mask, name = self.items[s], self.names[s]
        truths = np.array([self.truth.at[run.after.key][mask] for run in self.runs])
        all_of_them = float(truths.mean())
        oracle = float(np.mean([kept_quality(one, one, cut_at(one, REVIEW_SHARE)).value for one in truths]))
        # Folds add up what they find, so that it can come out a little above what there is.
        most = (1.0, 1.0 if self.truth.graded else min(1.0, REVIEW_SHARE / (1 - all_of_them)), oracle)
        (c, c_low, c_high), (w, w_low, w_high), (k, k_low, k_high) = (
            self._interval(kind, s, None if fair is None else fair[kind], limit) for kind, limit in enumerate(most)
        )
        return RECOMMENDATION.row(
            **known,
            n_items=int(mask.sum()),
            verdict="" if verdict is None else verdict.verdict,
            usable=("yes" if usable[s] else "not shown") if verdict is None else verdict.usable,
            concordance=c,
            concordance_low=c_low,
            concordance_high=c_high,
            wrong_found=w,
            wrong_found_low=w_low,
            wrong_found_high=w_high,
            wrong_among_reviewed=w * (1 - all_of_them) / REVIEW_SHARE,
            quality_all=all_of_them,
            quality_kept=k,
            quality_kept_low=k_low,
            quality_kept_high=k_high,
            quality_kept_oracle=oracle,
            **self._old_threshold(name, mask),
            near_duplicates="; ".join(self._alike(s)),
        )

    def _interval(self, kind: int, s: int, fair: Fair | None, limit: float) -> tuple[float, float, float]:
        """Mean over runs of what is judged, and its interval; by the folds where they chose."""
        value = float(self.scored.judged[kind, :, s].mean())
        if math.isnan(value):
            return _NAN, _NAN, _NAN
        value, stretch = (value, 1.0) if fair is None else (min(fair.value, limit), fair.stretch)
        return _with_interval(value, self.scored.spread(2 + kind), s, self.weights[kind, s], stretch)

    def _old_threshold(self, name: str, mask: np.ndarray) -> dict[str, float]:
        """What the threshold that sent a share to review before sends after, and the wrong answers it finds."""
        if self.runs[0].before is None:
            return {}
        of, n_groups = self.groups[mask], int(self.groups.max()) + 1
        gains: dict[str, list[Gain]] = {"sent_after": [], "wrong_found_before": [], "wrong_found_old": []}
        cuts = []
        for run in self.runs:
            assert run.before is not None
            was, now = run.before.scores[name][mask], run.after.scores[name][mask]
            cuts.append(cut_at(was, REVIEW_SHARE))
            gains["sent_after"].append(sent(now, cuts[-1]))
            if not self.truth.graded:
                wrong_from, wrong_to = (1 - self.truth.at[p.key][mask] for p in (run.before, run.after))
                gains["wrong_found_before"].append(found_wrong(was, wrong_from, cuts[-1], refitted=True))
                gains["wrong_found_old"].append(found_wrong(now, wrong_to, cuts[-1], refitted=False))
        found = {"threshold_before": float(np.mean([cut.threshold for cut in cuts]))}
        for column, of_runs in gains.items():
            ends = _NAN, _NAN, _NAN
            values = np.array([[gain.value] for gain in of_runs])
            if len(of_runs) and np.isfinite(values).all():
                deviation = np.stack([by_group(gain.deviation[None], of, n_groups) for gain in of_runs])
                weight = np.zeros(n_groups)
                np.add.at(weight, of, np.mean([gain.weight for gain in of_runs], axis=0))
                ends = _with_interval(float(values.mean()), _spread(values, deviation), 0, weight, 1.0)
            found |= dict(zip((column, f"{column}_low", f"{column}_high"), ends))
        return found

    def _alike(self, s: int) -> list[str]:
        """Other scores whose order of the items is almost that of score s, at all ends of all runs."""
        found = []
        for other, name in enumerate(self.names):
            mask = self.items[s] & self.items[other]
            if other == s or mask.sum() < FEWEST_ITEMS:
                continue
            points = [point for run in self.runs for point in run.points]
            if all(_rho(p.scores[self.names[s]][mask], p.scores[name][mask]) >= ALIKE for p in points):
                found.append(name)
        return found


def _rho(x: Floats, y: Floats) -> float:
    """Spearman's; 0 where one is constant."""
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


def _spread(values: Floats, deviation: Floats) -> Spread:
    return spread_for_training(values, deviation) if len(values) > 1 else spread_for_models(deviation)


def _with_interval(
    value: float, spread: Spread, s: int, weight: Floats, stretch: float
) -> tuple[float, float, float]:
    """A share with Wilson's interval; a mean that is no share, with weight NaN, with a t interval."""
    if np.isnan(weight).any():
        half = stretch * spread.half_width(s)
        return value, value - half, value + half
    value = min(max(value, 0.0), 1.0)
    ends = share_interval(value, spread.variance[:, s].tolist(), spread.df[:, s].tolist(), weight, stretch=stretch)
    return (value, *ends)


def _gains(confidence: Floats, truth: Floats, *, graded: bool) -> tuple[Gain, Gain]:
    """Share of the wrong answers found (NaN where answers are graded), and mean quality of those kept."""
    cut = cut_at(confidence, REVIEW_SHARE)
    nothing = Gain(_NAN, np.zeros(len(truth)), np.zeros(len(truth)))
    found = nothing if graded else found_wrong(confidence, 1 - truth, cut, refitted=True)
    kept = kept_quality(confidence, truth, cut)
    if truth.min() < 0 or truth.max() > 1:
        kept = kept._replace(weight=np.full(len(truth), np.nan))
    return found, kept


def _having(runs: Sequence[_Run], name: str, truth: _Truth) -> np.ndarray:
    return np.logical_and.reduce(
        [np.isfinite(truth.at[p.key]) & np.isfinite(p.scores[name]) for run in runs for p in run.points]
    )


def _undefined(runs: Sequence[_Run], name: str, mask: np.ndarray, truth: _Truth) -> str:
    reasons = (why_undefined(p.scores[name][mask], truth.at[p.key][mask]) for run in runs for p in run.points)
    return next(filter(None, reasons), "")


def _why_no_score(runs: Sequence[_Run], name: str, truth: _Truth) -> str:
    return _undefined(runs, name, _having(runs, name, truth), truth)


def _at(
    point: Point, names: Sequence[str], index: Sequence[int], mask: np.ndarray, truth: _Truth
) -> tuple[Floats, Floats]:
    return np.array([point.scores[names[s]][mask] for s in index]), truth.at[point.key][mask]


def _empty(known: Mapping[str, object], verdict: Row | None, **more: object) -> Row:
    """A row without numbers."""
    said = (
        {"verdict": "", "usable": ""}
        if verdict is None
        else {"verdict": verdict.verdict, "usable": verdict.usable}
    )
    numbers: dict[str, object] = {column.name: _NAN for column in RECOMMENDATION.columns if column.kind == "float"}
    return RECOMMENDATION.row(**{**numbers, **known, **said, "n_items": 0, **more})


def _on_validation(
    records: Records,
    setting: Setting,
    runs: Sequence[_Run],
    labels: Floats,
    truth: _Truth,
    validation: Validation,
    names: Sequence[str],
) -> tuple[Floats | None, int]:
    """(S,) tie-adjusted rho after fine-tuning on the validation items that choose, mean over runs; and how many.

    None where some run has fewer than twice `MIN_HALF`, or no score has a correlation there.
    """
    found, sizes = [], []
    for run in runs:
        key = setting.model, setting.task, setting.setting, *run.after.key
        rows = validation.get(key, np.zeros(0, dtype=int))
        known = labels[rows] if truth.judged else records.quality[rows]
        rows, known = rows[np.isfinite(known)], known[np.isfinite(known)]
        half = select_half(records.item_id[rows].tolist())
        if len(rows) < 2 * MIN_HALF or not half.any():
            return None, 0
        rows, known = rows[half], known[half]
        sizes.append(len(rows))
        own = [np.isfinite(records.scores[name][rows]) for name in names]
        found.append([adjusted_rho(records.scores[n][rows][m], known[m]) for n, m in zip(names, own)])
    effect = np.mean(found, axis=0)
    return (effect, min(sizes)) if np.isfinite(effect).any() else (None, 0)
