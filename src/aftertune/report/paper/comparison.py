"""Ours beside the paper's: cell by cell where it has the model and the task, and claim by claim.

Another model or task is none of the paper's: of these only the direction of the claims is compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from aftertune.analysis import setting_names
from aftertune.analysis.schema import PAPER, PAPER_CLAIMS, TABLES, Analysis, Row
from aftertune.report.latex_tables import name_in_paper
from aftertune.report.names import grouped
from aftertune.report.numbers import count, number_range, plain, signed
from aftertune.report.paper.claims import ALPHA, CLAIMS, TESTS, Cells, Claim, Figures, corrected, with_tests
from aftertune.report.paper.tables import (
    BEFORE,
    CELL,
    EPOCH_1,
    FULL,
    LAYOUTS,
    MODELS,
    STAGE_NAMES,
    SUMS,
    SUMS_OF_LOGS,
    TASKS,
    Frame,
    Layout,
    name_of,
    ours,
    pairs_of,
    printed,
    score_in_paper,
    signs,
    studies,
)

NOT_RUN, NOT_MEASURED, NOT_IN_THE_PAPER = "not run", "not measured", "not in the paper"
SIGNS = (
    "In ours higher always means more confident; a change is after − before, as in the paper.",
    "The paper leaves BS Imp Wt as an uncertainty in Tables 1, 6, 7 and 8, and seems to leave eight scores so in "
    "Table 5. These numbers are turned before they are compared (marked ⟲); tables/paper.csv has them as printed.",
    "Models and tasks are matched by their names alone. The paper has 3 seeds and 253 to 1,000 test items; "
    "what the records do not say, such as prompts and training data, may differ as well.",
    "Epochs are those of the records: in an audit they number the checkpoints.",
)
"""What a reader must know before comparing."""
_NUMBERS = ("printed", "paper", "paper_sd", "ours", "ours_sd", "null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One number of the paper beside ours; NaN where there is none.

    Attributes
    ----------
    name : its column, checkpoint or epoch.
    printed : as the paper prints it.
    paper : turned so that higher is more confident, and NaN where the paper prints what is undefined.
    marks : tests by which the change is significant, the paper's and ours: A ANOVA, W Welch, P paired t.
    null : what ours would be if nothing changed.
    """

    name: str
    printed: float
    paper: float
    paper_sd: float = math.nan
    ours: float
    ours_sd: float = math.nan
    marks: tuple[str, str] = ("", "")
    null: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A model, a task and a score in one table.

    Attributes
    ----------
    model, task, score : by the paper's names where its table has the pair.
    our_score : "" where there is none.
    setting : ours that the mean is over, joined by "; ".
    same : whether both go the same way; None where that cannot be said.
    turned : whether the paper's numbers are turned.
    in_paper : whether its table has it.
    status : "not run", "not measured", "not in the paper", and why ours is undefined.
    tests : test → the paper's p and ours after Holm's correction (Tables 1 and 6).
    """

    model: str
    task: str
    score: str
    our_score: str
    setting: str = ""
    n_seeds: int = 0
    values: tuple[Value, ...]
    same: bool | None
    turned: bool
    in_paper: bool
    status: str
    tests: Mapping[str, tuple[float, float]]

    @property
    def label(self) -> str:
        """The paper's name of the score, with the parameters of ours."""
        return name_in_paper(self.our_score) or self.score


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperTable:
    """One table of the paper beside ours.

    Attributes
    ----------
    heads : of the columns of numbers.
    rows : what was run, then what is not in the paper.
    not_run : pairs of the paper that were not run.
    cells : every configuration, those not run too.
    """

    layout: Layout
    heads: tuple[str, ...]
    rows: tuple[Configuration, ...]
    not_run: tuple[str, ...]
    cells: tuple[Configuration, ...]

    @property
    def compared(self) -> list[Configuration]:
        """Those that have a direction in both."""
        return [row for row in self.rows if row.same is not None]

    @property
    def summary(self) -> str:
        """How many go the same way."""
        same = sum(bool(row.same) for row in self.compared)
        others = sum(not row.in_paper for row in self.rows)
        told = [f"{same} of {len(self.compared)} go the same way"] if self.compared else []
        side = sum(any(math.isfinite(v.paper) and math.isfinite(v.ours) for v in row.values) for row in self.rows)
        told = told or ([f"{side} beside the paper's"] if side else [])
        told += [f"{others} not in the paper"] if others else []
        pairs = len(pairs_of(self.layout.number))
        told += [f"{len(self.not_run)} of {pairs} models × tasks not run"] if self.not_run else []
        return "; ".join(told)

    @property
    def groups(self) -> list[tuple[str, list[Configuration]]]:
        """The rows by model and task, what is not in the paper last; without headings where each has one score."""
        if len(self.layout.scores) == 1:
            return [("", list(self.rows))]
        found = grouped(self.rows, lambda row: f"{row.model} on {row.task}")
        return sorted(found.items(), key=lambda group: not group[1][0].in_paper)

    @property
    def has_null(self) -> bool:
        """Whether it is known what ours would be if nothing changed."""
        return any(math.isfinite(value.null) for row in self.rows for value in row.values)

    def text(self, value: float, sd: float = math.nan, marks: str = "") -> str:
        """A number as the table shows it."""
        number = (signed if self.layout.signed else plain)(value, self.layout.digits)
        return number + ("" if math.isnan(sd) else f" ({plain(sd)})") + (f" {marks}" if marks else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """One claim on four sets of cells; figures are empty where they have nothing to count.

    Attributes
    ----------
    paper : all cells of the paper.
    here : those of them that this run has.
    ours : this run's own numbers there.
    others : this run's models and tasks that the paper has not.
    """

    claim: Claim
    paper: Figures
    here: Figures
    ours: Figures
    others: Figures

    def text(self, where: str) -> str:
        """The figures of that set in words; "" without any."""
        figures = getattr(self, where)
        return self.claim.text(figures) if figures else ""

    def same(self, where: str) -> bool | None:
        """Whether that set points the way that the paper's whole tables do."""
        figures = getattr(self, where)
        ways = [self.claim.holds(found) if found else None for found in (self.paper, figures)]
        return None if None in ways else ways[0] == ways[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperComparison:
    """What the section on the paper shows, and tables/paper.csv and tables/paper_claims.csv hold.

    Attributes
    ----------
    lead : what it shows here, in one sentence.
    signs : what a reader must know before comparing.
    coverage : task → what was run of each of `models`.
    others : this run's pairs of model and task that the paper has not.
    other_scores : how many of its scores are none of the paper's.
    studies : what others found, rows of other_studies.csv.
    """

    lead: str
    signs: tuple[str, ...]
    models: tuple[str, ...]
    coverage: Mapping[str, tuple[str, ...]]
    others: tuple[str, ...]
    other_scores: int
    claims: tuple[Counted, ...]
    tables: tuple[PaperTable, ...]
    studies: tuple[Mapping[str, str], ...]

    @property
    def has_ours(self) -> bool:
        """Whether some claim can be counted on the paper's own models and tasks."""
        return any(claim.ours for claim in self.claims)

    @property
    def has_others(self) -> bool:
        return any(claim.others for claim in self.claims)

    def added_to(self, analysis: Analysis) -> Analysis:
        """The analysis with the tables `paper` and `paper_claims`."""
        rows: dict[str, list[Row]] = {"paper": list(self._rows()), "paper_claims": list(self._claim_rows())}
        tables = {name: TABLES[name].frame(own) for name, own in rows.items()}
        return replace(analysis, tables={**analysis.tables, **tables}, _rows={})

    def _rows(self) -> Iterator[Row]:
        for table in self.tables:
            for cell in table.cells:
                names = {
                    "model": cell.model,
                    "task": cell.task,
                    "setting": cell.setting,
                    "table": table.layout.number,
                    "score": cell.score,
                    "our_score": cell.our_score,
                    "n_seeds": cell.n_seeds or None,
                    "same_direction": cell.same,
                    "status": cell.status,
                }
                for value in cell.values:
                    if table.layout.part and math.isnan(value.printed) and math.isnan(value.ours):
                        continue  # a checkpoint or epoch that neither has
                    numbers = {name: getattr(value, name) for name in _NUMBERS}
                    yield PAPER.row(**names, value=value.name, **numbers)
                for test, (paper, mine) in cell.tests.items():
                    numbers = dict.fromkeys(_NUMBERS, math.nan) | {"paper": paper, "ours": mine}
                    yield PAPER.row(**names, value=f"p_{test}_holm", **numbers)

    def _claim_rows(self) -> Iterator[Row]:
        for counted in self.claims:
            sets = {
                "paper": counted.paper,
                "paper_here": counted.here,
                "ours": counted.ours,
                "others": counted.others,
            }
            for figure in dict.fromkeys(name for figures in sets.values() for name in figures):
                yield PAPER_CLAIMS.row(
                    claim=counted.claim.name,
                    tables=counted.claim.tables,
                    says=counted.claim.words,
                    figure=figure,
                    **{name: float(figures.get(figure, math.nan)) for name, figures in sets.items()},
                    same_direction=counted.same("ours"),
                    others_same_direction=counted.same("others"),
                )


def compare(analysis: Analysis) -> PaperComparison:
    """An analysis beside the paper.

    Where several of its settings, or several names, are one model and task of the paper, ours is their mean.
    """
    found = _with_constant_ends(ours(analysis))
    run = _pairs_run(analysis)
    tables = tuple(_table(LAYOUTS[number], found[number], run) for number in LAYOUTS)
    claims = tuple(_claims(found, _sizes(analysis)))
    correlations = analysis.rows("correlation")
    scores = dict.fromkeys(row.score for row in correlations)
    others = [f"{model} on {task}" for (model, task), known in run.items() if known is None]
    return PaperComparison(
        lead=_lead(tables, claims, run),
        signs=SIGNS,
        models=tuple(MODELS),
        coverage={task: tuple(_covered(model, task, correlations, run) for model in MODELS) for task in TASKS},
        others=tuple(others),
        other_scores=sum(not score_in_paper(score) for score in scores),
        claims=claims,
        tables=tables,
        studies=tuple(studies().to_dict("records")),
    )


Pair = tuple[str, str]


def _pairs_run(analysis: Analysis) -> dict[Pair, Pair | None]:
    """Our pairs of model and task → the paper's, None where it has none; other numbers of items are left out."""
    pairs = pairs_of(1) | pairs_of(5)
    found: dict[Pair, Pair | None] = {}
    for row in analysis.rows("correlation"):
        if setting_names.sample_size(row.setting) is None:
            pair = name_of(MODELS, row.model), name_of(TASKS, row.task)
            found[row.model, row.task] = pair if pair in pairs else None
    return found


def _covered(model: str, task: str, correlations: Sequence[Row], run: Mapping[Pair, Pair | None]) -> str:
    own = [
        row
        for row in correlations
        if run.get((row.model, row.task)) == (model, task) and setting_names.sample_size(row.setting) is None
    ]
    if not own:
        return NOT_RUN
    names = [name for name in dict.fromkeys(row.model for row in own) if name != model]
    items = number_range([max(row.n for row in rows) for rows in grouped(own, lambda row: row.setting).values()])
    seeds = count(len({row.seed for row in own}), "seed")
    return f"{seeds}, {items} items" + (f" (as {', '.join(names)})" if names else "")


# Cells.


def _with_constant_ends(tables: dict[int, Frame]) -> dict[int, Frame]:
    """Tables 1 and 6 with `constant`: whether one end alone does not vary over the runs, by Table 8."""
    sd = {
        key: own.set_index("part")["sd"].to_dict()
        for key, own in tables[8].groupby(["model", "task", "our_score"], sort=False)
    }
    found = dict(tables)
    for number, start in ((1, BEFORE), (6, EPOCH_1)):
        cells = tables[number]
        ends = [
            [sd.get(key, {}).get(part, math.nan) < 1e-12 for part in (start, FULL)]
            for key in zip(cells["model"], cells["task"], cells["our_score"])
        ]
        found[number] = cells.assign(constant=[first != then for first, then in ends])
    return found


def _table(layout: Layout, mine: Frame, run: Mapping[Pair, Pair | None]) -> PaperTable:
    theirs = _theirs(layout)
    parts = list(dict.fromkeys(theirs["part"])) if layout.part else list(layout.values)
    parts = [part for part in STAGE_NAMES if part in parts] if layout.part == "stage" else parts
    heads = [layout.values.get(part) or STAGE_NAMES.get(part, part) for part in parts]
    by_place = _by_place(mine)
    done = {pair for pair in run.values() if pair is not None}
    cells = []
    for (model, task, score), paper in _by_configuration(theirs, CELL).items():
        own = [
            place
            for place in by_place
            if place[:2] == (model, task) and place[2].replace(SUMS_OF_LOGS, SUMS) == score
        ]
        for place in own:
            cells.append(_configuration(layout, parts, score, paper, by_place[place], place))
        if not own:
            status = NOT_MEASURED if (model, task) in done else NOT_RUN
            cells.append(_configuration(layout, parts, score, paper, None, (model, task, score, ""), status))
    for place in sorted(by_place, key=lambda place: layout.scores.index(place[2].replace(SUMS_OF_LOGS, SUMS))):
        if place[:2] not in pairs_of(layout.number):
            cells.append(_configuration(layout, parts, place[2], None, by_place[place], place))
    not_run = dict.fromkeys(f"{c.model} on {c.task}" for c in cells if c.status == NOT_RUN)
    rows = [cell for cell in cells if cell.status != NOT_RUN]
    return PaperTable(
        layout=layout, heads=tuple(heads), rows=tuple(rows), not_run=tuple(not_run), cells=tuple(cells)
    )


def _theirs(layout: Layout) -> Frame:
    return corrected(with_tests(layout.number)) if layout.number in (1, 6) else printed(layout.number)


def _by_configuration(cells: Frame, names: list[str]) -> dict[tuple[str, ...], list[Any]]:
    """Values of these columns → its lines."""
    found: dict[tuple[str, ...], list[Any]] = {}
    for line in cells.to_dict("records"):
        found.setdefault(tuple(line[name] for name in names), []).append(line)
    return found


def _by_place(mine: Frame) -> dict[tuple[str, ...], list[Any]]:
    if "p_anova" in mine and len(mine):
        known, counted = mine["known"].astype(bool), mine["counted"].astype(bool)
        mine = pd.concat([corrected(mine[k & c]) for k in (known, ~known) for c in (counted, ~counted)])
    return _by_configuration(mine, [*CELL, "our_score"])


def _configuration(
    layout: Layout,
    parts: Sequence[str],
    score: str,
    paper: Sequence[Mapping[str, Any]] | None,
    mine: Sequence[Mapping[str, Any]] | None,
    place: tuple[str, ...],
    status: str = "",
) -> Configuration:
    sign = signs(layout.number).get(score, 1)

    def line_of(lines: Sequence[Mapping[str, Any]] | None, part: str) -> Mapping[str, Any]:
        return next((line for line in lines or () if not layout.part or line["part"] == part), {})

    values = []
    for part in parts:
        theirs, own = line_of(paper, part), line_of(mine, part)
        column = next(iter(layout.values)) if layout.part else part
        as_printed, sd = theirs.get(column, math.nan), theirs.get("sd", math.nan)
        values.append(
            Value(
                name=part,
                printed=as_printed,
                paper=_turned(layout.number, sign, as_printed, sd),
                paper_sd=sd if layout.spread else math.nan,
                ours=own.get(column, math.nan),
                ours_sd=own.get("sd", math.nan) if layout.spread else math.nan,
                marks=(_marks(theirs), _marks(own)),
                null=own.get("null", math.nan) if layout.number == 7 else math.nan,
            )
        )
    first = dict(mine[0]) if mine else {}
    told = [status] if status else [] if paper else [NOT_IN_THE_PAPER]
    if mine and not any(math.isfinite(value.ours) for value in values):
        told.append(next((f"undefined: {line['status']}" for line in mine if line["status"]), "undefined"))
    tests = {}
    if layout.number in (1, 6):
        ends = [(paper or [{}])[0], first]
        tests = {test: tuple(end.get(f"p_{test}", math.nan) for end in ends) for test in TESTS}
    return Configuration(
        model=place[0],
        task=place[1],
        score=score,
        our_score=place[3],
        setting=first.get("setting", ""),
        n_seeds=min((line["n_seeds"] for line in mine), default=0) if mine else 0,
        values=tuple(values),
        same=_same(layout, values),
        turned=sign < 0 and paper is not None,
        in_paper=paper is not None,
        status="; ".join(told),
        tests=tests,
    )


def _turned(number: int, sign: int, value: float, sd: float) -> float:
    """What the paper's number is where higher is more confident; NaN where it has none."""
    undefined = number == 8 and value == sd == 0
    if undefined or (number == 7 and sign < 0):  # the largest fall of the opposite is the largest rise
        return math.nan
    return value if sign > 0 else 1 - value if number == 5 else -value + 0.0


def _marks(line: Mapping[str, Any]) -> str:
    return "".join(name[0].upper() for test, name in TESTS.items() if line.get(f"p_{test}", math.nan) < ALPHA)


def _same(layout: Layout, values: Sequence[Value]) -> bool | None:
    both = [value for value in values if math.isfinite(value.paper) and math.isfinite(value.ours)]
    if layout.direction is None or not both:
        return None
    try:
        ways = [layout.direction({v.name: getattr(v, end) for v in both}) for end in ("paper", "ours")]
    except KeyError:  # a checkpoint that the direction is of is not there
        return None
    return None if 0 in ways or any(map(math.isnan, ways)) else (ways[0] > 0) == (ways[1] > 0)


# Claims.


def _sizes(analysis: Analysis) -> dict[str, Frame]:
    """Our tests of the number of training items, with epochs fixed and with steps fixed."""
    found: dict[str, list[dict[str, Any]]] = {"samples": [], "steps": []}
    for row in analysis.rows("sample_size"):
        score, pair = score_in_paper(row.score), (name_of(MODELS, row.model), name_of(TASKS, row.task))
        known = pair in pairs_of(1)
        model, task = pair if known else (row.model, row.task)
        if score and score != SUMS_OF_LOGS:
            line = {"model": model, "task": task, "score": score, "p_anova": row.p_anova, "known": known}
            found["steps" if "steps" in setting_names.parse(row.setting) else "samples"].append(line)
    names = ["model", "task", "score", "p_anova", "known"]
    return {family: pd.DataFrame(rows, columns=names).drop_duplicates(CELL) for family, rows in found.items()}


def _claims(mine: Mapping[int, Frame], sizes: Mapping[str, Frame]) -> Iterator[Counted]:
    paper = {number: with_tests(number) if number in (1, 6) else printed(number) for number in LAYOUTS}
    here: dict[Any, Frame] = {}
    known: dict[Any, Frame] = dict(_chosen(sizes, known=True))
    others: dict[Any, Frame] = dict(_chosen(sizes, known=False))
    for number, cells in mine.items():
        counted = cells[cells["counted"].astype(bool)] if len(cells) else cells
        of_paper = counted["known"].astype(bool)
        keys = [*CELL, "part"]
        here[number] = paper[number].merge(counted.loc[of_paper, keys])
        known[number], others[number] = counted[of_paper].merge(here[number][keys]), counted[~of_paper]
    logs = mine[8][mine[8]["score"] == SUMS_OF_LOGS]
    of_paper = logs["known"].astype(bool)
    sets = {
        "paper": Cells(tables=paper, oriented=False),
        "here": Cells(tables=here, oriented=False),
        "ours": Cells(tables=known, sums_of_logs=logs[of_paper], oriented=True),
        "others": Cells(tables=others, sums_of_logs=logs[~of_paper], oriented=True),
    }
    for claim in CLAIMS:
        figures = {n: {k: float(v) for k, v in claim.count(cells).items()} for n, cells in sets.items()}
        yield Counted(claim=claim, **(figures | {"paper": claim.said or figures["paper"]}))


def _chosen(sizes: Mapping[str, Frame], *, known: bool) -> Iterator[tuple[str, Frame]]:
    for family, cells in sizes.items():
        yield family, cells[cells["known"].astype(bool) == known]


# In words.


def _lead(tables: Sequence[PaperTable], claims: Sequence[Counted], run: Mapping[Pair, Pair | None]) -> str:
    pairs = dict.fromkeys(pair for pair in run.values() if pair is not None)
    of = len(pairs_of(1) | pairs_of(5))
    names = _listed([f"{model} on {task}" for model, task in pairs])
    if pairs:
        changes = tables[0].compared
        same = sum(bool(row.same) for row in changes)
        where, lead = "ours", f"This run has {len(pairs)} of the paper's {of} pairs of model and task ({names})"
        if changes:
            n = count(len(changes), "change")
            lead += f": of {n} of Spearman's rho from before to after, {_go(same)} the paper's way"
    else:
        lead, where = f"This run has none of the paper's {of} pairs of model and task", "others"
    ways = [way for own in claims if own.claim.is_main and (way := own.same(where)) is not None]
    if ways:
        its = "on it" if pairs else "on its other models and tasks"
        lead += f"; of {count(len(ways), 'main claim')} that can be counted {its}, {_go(sum(ways))} the same way"
    elif not pairs:
        lead += ", and no claim can be counted on it"
    return f"{lead}."


def _go(n: int) -> str:
    return f"{n} {'goes' if n == 1 else 'go'}"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names) if len(names) < 6 else f"{', '.join(names[:4])} and {len(names) - 4} more"
