"""The paper's twelve tables as printed, and ours in the same columns under the same names."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from aftertune.analysis.schema import Analysis, Row
from aftertune.analysis.setting_names import sample_size
from aftertune.report.items import is_whole_step, pair_counts
from aftertune.report.latex_tables import PAPER_SCORES
from aftertune.report.names import at_checkpoint, grouped, key_of
from aftertune.report.numbers import mean
from aftertune.scores import get, known_score
from aftertune.stats.change import spread_over_runs
from aftertune.stats.pairs import mean_shares

FILES = Path(__file__).with_name("tables")
CELL = ["model", "task", "score"]
LOG_PROB, DROPOUT_BLEU = "Avg Tok Prob", "DO BLEU Var"
IMPORTANCE, SUMS = "BS Imp Wt", "BS Sums"
SUMS_OF_LOGS = "BS Sums (log-probabilities)"
"""`beam_sum_logprob`: compared with the paper's BS Sums too, and never counted with the twelve scores."""
CASE_STUDY = "TruthfulQA"
MODELS = {
    "BART": ("facebook/bart-base",),
    "Flan-T5": ("google/flan-t5-base",),
    "Llama-3.1": ("meta-llama/Llama-3.1-8B", "meta-llama/Meta-Llama-3.1-8B"),
    "Gemma-2": ("google/gemma-2-2b-it",),
}
"""The paper's models, by the names of studies/paper.yaml; their ids, and these without the owner, are the same."""
TASKS = {"Eng-Afr": ("eng_afr",), "SQUAD": ("squad",), "GSM8K": ("gsm8k",), CASE_STUDY: ("truthfulqa",)}
AS_IN_TABLE_5 = ("Avg Tok Prob", "BS Ratios", "BS Sums", "DO Meteor Var")
"""Scores whose confidence Table 5 seems to print as it is; the others look like uncertainties there. Read off its
numbers, and a best guess: Table 5 is not consistent with itself."""
BEFORE, EPOCH_1, FULL = "no_sft", "epoch_1", "full"
STAGES = {BEFORE: ("before",), EPOCH_1: ("epoch_1",), FULL: ("selected", "last")}
"""The paper's stages → our checkpoints, the first that there is."""
STAGE_NAMES = {BEFORE: "before", EPOCH_1: "epoch 1", FULL: "after"}

Values = Mapping[str, float]
Frame: TypeAlias = Any
"""A pandas data frame, or one of its columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What stands in one table of the paper.

    Attributes
    ----------
    values : columns of numbers → what they are called.
    part : the column that says which checkpoint or epoch a line is of; "" where a configuration has one line.
    scores : the paper's names of those that it is of.
    digits : decimals that the paper prints.
    direction : numbers of one configuration, by part or by column → above 0 for one direction and below for the
        other. None where there is only one.
    note : what a reader must know to lay ours beside it.
    """

    number: int
    title: str
    values: Mapping[str, str]
    part: str = ""
    scores: tuple[str, ...] = tuple(get(score).paper_name for score in PAPER_SCORES)
    digits: int = 3
    direction: Callable[[Values], float] | None = None
    note: str = ""

    @property
    def spread(self) -> bool:
        """Whether it prints standard deviations over training runs."""
        return "mean" in self.values

    @property
    def signed(self) -> bool:
        """Whether its numbers may be below 0."""
        return self.number in (1, 6, 7, 8, 12)


_MEAN = {"mean": "change"}
_QUADRANTS = Layout(
    number=2,
    title="Shares of items whose change is concordant, over-confident or under-confident, epoch 1 → last",
    values={"concordant": "concordant", "overconfident": "over-confident", "underconfident": "under-confident"},
    scores=(LOG_PROB,),
    digits=2,
    direction=lambda v: v["overconfident"] - v["underconfident"],
    note="Direction: whether more items become over-confident than under-confident.",
)
_PAIRS = Layout(
    number=4,
    title="Shares of relatively correlated pairs by what becomes of them from an epoch to the next",
    values={"stays": "stays", "case1": "case 1", "both_flip": "both flip", "case2": "case 2"},
    scores=(LOG_PROB,),
    digits=2,
    direction=lambda v: v["case1"] - v["case2"],
    note="Direction: whether case 1 is larger than case 2. Shares are over pairs that are then tied in neither.",
)
_OF_DROPOUT_BLEU = (
    f"The paper does not say whether it turns {DROPOUT_BLEU} here: it is compared as in Table 8, as a confidence."
)
_TESTS = "A, W, P: significant (p < .05 after Holm's correction) by ANOVA, Welch's test, the paired t test."
LAYOUTS = {
    layout.number: layout
    for layout in (
        Layout(
            number=1,
            title="Change of Spearman's rho, before fine-tuning → selected checkpoint",
            values=_MEAN,
            direction=lambda v: v["mean"],
            note=_TESTS,
        ),
        _QUADRANTS,
        Layout(
            number=3,
            title="Per cent of changes of items from an epoch to the next, by where confidence and quality go",
            values={
                "confidence_not_increased": "confidence does not rise",
                "confidence_increased_quality_not_improved": "it rises, quality does not",
                "both_increased": "both rise",
            },
            scores=(LOG_PROB,),
            digits=1,
            direction=lambda v: 50 - v["confidence_not_increased"],
            note="Direction: whether confidence rises in more than half of the changes.",
        ),
        _PAIRS,
        Layout(
            number=5,
            title=f"AUROC of “the answer is right”, {CASE_STUDY}",
            values={"auroc": "AUROC"},
            part="stage",
            direction=lambda v: v[FULL] - v.get(BEFORE, v.get(EPOCH_1, math.nan)),
            note="Direction: whether AUROC rises. Which scores this table prints as uncertainties is a best guess "
            f"from its own numbers: all but {', '.join(AS_IN_TABLE_5[:-1])} and {AS_IN_TABLE_5[-1]}.",
        ),
        Layout(
            number=6,
            title="Change of Spearman's rho, epoch 1 → selected checkpoint",
            values=_MEAN,
            direction=lambda v: v["mean"],
            note=_TESTS,
        ),
        Layout(
            number=7,
            title="Largest fall of Spearman's rho from an epoch to the next",
            values={"mean": "largest fall"},
            note=f"{IMPORTANCE} has no counterpart: the paper gives the largest fall of its opposite. A largest "
            "fall is below 0 with nothing changing, too: beside ours stands what no change would give.",
        ),
        Layout(
            number=8,
            title="Spearman's rho before fine-tuning, after epoch 1 and at the selected checkpoint",
            values={"mean": "rho"},
            part="stage",
            direction=lambda v: v[FULL],
            note="Direction: the sign of rho after fine-tuning. What the paper prints as 0.0 (0.0) is undefined: "
            "nothing varies there.",
        ),
        replace(_QUADRANTS, number=9, scores=(DROPOUT_BLEU,), note=f"{_QUADRANTS.note} {_OF_DROPOUT_BLEU}"),
        replace(_PAIRS, number=10, scores=(DROPOUT_BLEU,), note=f"{_PAIRS.note} {_OF_DROPOUT_BLEU}"),
        Layout(
            number=11,
            title="Share of case 1 pairs whose confidence went the wrong way with the output unchanged, by epoch",
            values={"proportion": "share"},
            part="epoch",
            scores=(LOG_PROB, DROPOUT_BLEU),
            direction=lambda v: mean(v.values()) - 0.5,
            note="Direction: whether the mean over the epochs that both have is more than half. The paper's text "
            f"speaks of unchanged quality, its caption of unchanged output: ours is of output. {_OF_DROPOUT_BLEU}",
        ),
        Layout(
            number=12,
            title="Spearman's rho of confidence with the similarity to the nearest training item, by epoch",
            values={"spearman": "rho"},
            part="epoch",
            scores=(LOG_PROB, DROPOUT_BLEU),
            direction=lambda v: mean(v.values()),
            note=f"Direction: the sign of the mean over the epochs that both have. {_OF_DROPOUT_BLEU}",
        ),
    )
}
"""By number."""


def signs(number: int) -> dict[str, int]:
    """Score → what our value is multiplied by to be compared with what that table prints."""
    if number == 5:
        return {name: 1 if name in AS_IN_TABLE_5 else -1 for name in LAYOUTS[5].scores}
    if number not in (1, 6, 7, 8):
        return dict.fromkeys(LAYOUTS[number].scores, 1)
    return {get(score).paper_name: get(score).sign_in_paper or 1 for score in PAPER_SCORES}


# The paper's.


@cache
def printed(number: int) -> Frame:
    """Table 1 to 12 as printed, signs too; a line for each cell (1, 5–8, 11, 12) or each row (2–4, 9, 10).

    Besides the columns of the files, each has `score`, `task` and `part` (`Layout.part`, as text).
    """
    (file,) = FILES.glob(f"table{number}_*.csv")
    short = {
        "case1_quality_same_confidence_flips": "case1",
        "quality_flips_confidence_flips": "both_flip",
        "case2_quality_flips_confidence_same": "case2",
        "quality_same_confidence_same": "stays",
    }
    found, layout = pd.read_csv(file).rename(columns=short), LAYOUTS[number]
    if "score" not in found:
        found["score"] = layout.scores[0]
    found["score"] = found["score"].replace({"log_prob": LOG_PROB, "dropout_bleu": DROPOUT_BLEU})
    if "task" not in found:
        found["task"] = CASE_STUDY
    return found.assign(part=found[layout.part].astype(str) if layout.part else "")


@cache
def studies() -> Frame:
    """What other studies found: `source` (an arXiv id), `what` was compared, `measure`, `found`."""
    return pd.read_csv(FILES.parent / "other_studies.csv", dtype=str, keep_default_na=False)


def pairs_of(number: int) -> set[tuple[str, str]]:
    """Its pairs of model and task."""
    return set(zip(printed(number)["model"], printed(number)["task"]))


# Ours.


def name_of(names: Mapping[str, tuple[str, ...]], ours: str) -> str:
    """The paper's name of a model or task of ours, and "" where it has none.

    >>> name_of(MODELS, "bart-base"), name_of(MODELS, "gemma-2-2b"), name_of(TASKS, "squad")
    ('BART', '', 'SQUAD')
    """
    for name, ids in names.items():
        if ours.casefold() in {known.casefold() for i in (name, *ids) for known in (i, i.rpartition("/")[2])}:
            return name
    return ""


def score_in_paper(ours: str) -> str:
    """The paper's name of a score of ours, whatever its parameters; "" where it has none."""
    found = known_score(ours)
    if found is None or found.base_name not in (*PAPER_SCORES, "beam_sum_logprob"):
        return ""
    return found.paper_name


def ours(analysis: Analysis) -> dict[int, Frame]:
    """Our values of each table that the records give, settings of other numbers of training items left out.

    Columns: `model`, `task` and `score` by the paper's names where that table has the pair and by ours elsewhere;
    `our_score`, `part`, the values of the table, and what is only ours: `setting` (all that the mean is over,
    joined by "; "), `known` (whether the paper's table has the pair), `counted` (whether the line is counted:
    one score of ours for each of the paper's), `n_seeds` and `status` (why a value is undefined).
    """
    return {number: _frame(number, lines(analysis)) for number, lines in _LINES.items()}


def _frame(number: int, lines: Iterable[dict[str, Any]]) -> Frame:
    layout, pairs = LAYOUTS[number], pairs_of(number)
    places: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for line in lines:
        score = score_in_paper(line["score"])
        if sample_size(line["setting"]) is not None or score.replace(SUMS_OF_LOGS, SUMS) not in layout.scores:
            continue
        pair = name_of(MODELS, line["model"]), name_of(TASKS, line["task"])
        pair = pair if pair in pairs else (line["model"], line["task"])
        places.setdefault((*pair, score, line["score"], line["part"]), []).append(line)
    chosen: dict[tuple[str, ...], str] = {}
    for *place, score, _ in sorted(places, key=lambda place: "[" in place[3]):  # that without parameters first
        chosen.setdefault(tuple(place), score)
    found = [
        dict(zip((*CELL, "our_score", "part"), place))
        | {"known": place[:2] in pairs, "counted": place[2] != SUMS_OF_LOGS and chosen[place[:3]] == place[3]}
        | _mean_over_settings(lines)
        for place, lines in places.items()
    ]
    names = [*CELL, "our_score", "part", "known", "counted", "setting", "status", "n_seeds", *layout.values]
    return pd.DataFrame(found, columns=list(dict.fromkeys([*names, *(key for line in found for key in line)])))


_OF_ONE = ("sd", "p_anova", "p_welch", "p_paired")
"""What has no mean over settings."""


def _mean_over_settings(lines: list[dict[str, Any]]) -> dict[str, Any]:
    first = {key: value for key, value in lines[0].items() if key not in ("model", "task", "score", "part")}
    found = {k: mean(x[k] for x in lines) if isinstance(v, float) else v for k, v in first.items()}
    if len(lines) > 1:
        found |= {key: math.nan for key in _OF_ONE if key in first}
    if "significant" in first:
        found["significant"] = min(line["significant"] for line in lines)
    return found | {
        "setting": "; ".join(dict.fromkeys(line["setting"] for line in lines)),
        "n_seeds": min(line["n_seeds"] for line in lines),
    }


def _line(row: Row, n_seeds: int, *, part: str = "", status: str = "", **values: float) -> dict[str, Any]:
    names = {"model": row.model, "task": row.task, "setting": row.setting, "score": row.score, "part": part}
    return names | {"n_seeds": n_seeds, "status": status} | values


def _by_score(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of each model, task, setting and score."""
    return list(grouped(rows, lambda row: (*key_of(row), row.score)).values())


def _first_pair(rows: Iterable[Row], from_: str, *to: str) -> Iterator[Row]:
    """Of each configuration the row from that checkpoint to the first of the others that there is."""
    for own in _by_score(row for row in rows if row.from_ == from_ and row.to in to):
        yield min(own, key=lambda row: to.index(row.to))


def _changes(analysis: Analysis, from_: str) -> Iterator[dict[str, Any]]:
    rows = [row for row in analysis.rows("change") if row.effect == "spearman" and row.ci_scope == "models"]
    for row in _first_pair(rows, from_, "selected", "last"):
        tests = {name: getattr(row, name) for name in ("mean", "sd", "p_anova", "p_welch", "p_paired")}
        yield _line(row, row.n_seeds, status=row.status, **tests)


def _by_stage(analysis: Analysis, table: str, value: str, name: str) -> Iterator[dict[str, Any]]:
    for rows in grouped(analysis.rows(table), key_of).values():
        for stage, checkpoints in STAGES.items():
            at = next(filter(None, (at_checkpoint(rows, checkpoint) for checkpoint in checkpoints)), [])
            for own in grouped(at, attrgetter("score")).values():
                values = np.array([v for row in own if math.isfinite(v := getattr(row, value))])
                known = {name: mean(values), "sd": spread_over_runs(values) if len(values) else math.nan}
                yield _line(own[0], len(values), part=stage, status=own[0].status, **known)


def _falls(analysis: Analysis) -> Iterator[dict[str, Any]]:
    for row in analysis.rows("epoch_fall"):
        status = "no two successive epochs with a correlation in every run"
        yield _line(row, row.n_seeds, status=status, mean=row.mean, sd=row.sd, null=row.null)


def _quadrants(analysis: Analysis) -> Iterator[dict[str, Any]]:
    for row in _first_pair(analysis.rows("quadrants"), "epoch_1", "last", "selected"):
        shares = {name: getattr(row, name) for name in (*_QUADRANTS.values, "tied")}
        yield _line(row, row.n_seeds, **shares)


def _directions(analysis: Analysis) -> Iterator[dict[str, Any]]:
    for row in analysis.rows("direction"):
        yield _line(
            row,
            0,  # that table says how many transitions, not of how many runs
            confidence_not_increased=row.confidence_not_increased,
            confidence_increased_quality_not_improved=row.increased_quality_not_improved,
            both_increased=row.both_increased,
        )


def _pairs(analysis: Analysis) -> Iterator[dict[str, Any]]:
    nulls = {(*key_of(row), row.score): row for row in analysis.rows("pair_means")}
    for own in _by_score(filter(is_whole_step, analysis.rows("pairs"))):
        shares, row = mean_shares(map(pair_counts, own)), own[0]
        null = nulls.get((*key_of(row), row.score))
        yield _line(
            row,
            len({row.seed for row in own}),
            null=math.nan if null is None else null.case1_of_miscorrelated_null,
            **{name: getattr(shares, name) for name in _PAIRS.values},
        )


def _by_epoch(rows: Iterable[Row], epoch: str) -> Iterator[tuple[str, list[Row]]]:
    for own in _by_score(rows):
        for at, found in sorted(grouped(own, attrgetter(epoch)).items()):
            yield f"{at:g}", found


def _unchanged(analysis: Analysis) -> Iterator[dict[str, Any]]:
    for epoch, own in _by_epoch(filter(is_whole_step, analysis.rows("case1_unchanged")), "to_epoch"):
        known = [row for row in own if row.output_unchanged is not None]
        share = mean(row.output_unchanged / row.n_case1 for row in known if row.n_case1)
        status = "no case 1 pair" if known else "outputs are not known"
        yield _line(own[0], len(known), part=epoch, status=status, proportion=share)


def _similarities(analysis: Analysis) -> Iterator[dict[str, Any]]:
    rows = [row for row in analysis.rows("similarity") if row.epoch >= 1 and float(row.epoch).is_integer()]
    for epoch, own in _by_epoch(rows, "epoch"):
        defined = [row for row in own if math.isfinite(row.spearman)]
        yield _line(
            own[0],
            len(defined),
            part=epoch,
            status=own[0].status,
            spearman=mean(row.spearman for row in defined),
            significant=int(bool(defined) and all(row.p < 0.05 for row in defined)),
        )


_LINES: dict[int, Callable[[Analysis], Iterable[dict[str, Any]]]] = {
    1: lambda analysis: _changes(analysis, "before"),
    2: _quadrants,
    3: _directions,
    4: _pairs,
    5: lambda analysis: _by_stage(analysis, "downstream", "auroc", "auroc"),
    6: lambda analysis: _changes(analysis, "epoch_1"),
    7: _falls,
    8: lambda analysis: _by_stage(analysis, "correlation", "spearman", "mean"),
    9: _quadrants,
    10: _pairs,
    11: _unchanged,
    12: _similarities,
}
