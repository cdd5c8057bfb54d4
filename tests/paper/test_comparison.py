"""Ours beside the paper: matching, directions, tallies, what is not run; counted again from the files."""

from __future__ import annotations

import csv
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from aftertune.analysis.schema import (
    CASE1,
    CHANGE,
    CORRELATION,
    DIRECTION,
    DOWNSTREAM,
    EPOCH_FALL,
    PAIR_MEANS,
    PAIRS,
    QUADRANTS,
    SAMPLE_SIZE,
    SIMILARITY,
    Analysis,
    Row,
)
from aftertune.cli.main import main
from aftertune.records.jsonl import write
from aftertune.report.page import render
from aftertune.report.paper.comparison import Configuration, PaperComparison, compare
from aftertune.report.paper.tables import FILES, name_of, studies
from aftertune.report.paper.tables import MODELS as NAMES_OF_MODELS
from aftertune.report.paper.tables import TASKS as NAMES_OF_TASKS
from aftertune.report.summary import summarise
from record_samples import study
from report_rows import both, row

IDS = {
    "Avg Tok Prob": "mean_token_logprob",
    "Avg Tok Ent": "mean_token_entropy",
    "DO Ent": "dropout_entropy",
    "BS Imp Wt": "beam_importance_weighted",
    "BS Ratios": "beam_ratio",
    "BS Sums": "beam_sum",
    "DO BLEU Var": "dropout_bleu_variance",
    "DO KL Div": "dropout_kl",
    "DO Meteor Var": "dropout_meteor",
    "CoCoA MSP": "cocoa_msp",
    "CoCoA MTE": "cocoa_mte",
    "CoCoA PPL": "cocoa_ppl",
}
MODELS = ("BART", "Flan-T5", "Llama-3.1", "Gemma-2")
TASKS = {"Eng-Afr": "eng_afr", "SQUAD": "squad", "GSM8K": "gsm8k"}
AS_THEY_ARE_IN_TABLE_5 = {"Avg Tok Prob", "BS Ratios", "BS Sums", "DO Meteor Var"}
SHORT = {"log_prob": "mean_token_logprob", "dropout_bleu": "dropout_bleu_variance"}
STAGES = {"no_sft": {"epoch": 0.0}, "epoch_1": {"epoch": 1.0}, "full": {"epoch": 5.0, "selected": True}}


def printed(number: int) -> list[dict[str, str]]:
    (file,) = FILES.glob(f"table{number}_*.csv")
    return list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))


def sign(score: str) -> int:
    return -1 if score == "BS Imp Wt" else 1


def names(line: dict[str, str]) -> dict[str, str]:
    found = {"model": line["model"], "task": TASKS[line["task"]]}
    return found | ({"score": IDS.get(line["score"]) or SHORT[line["score"]]} if "score" in line else {})


def twin(*, models: tuple[str, ...] = MODELS, factor: float = 1.0) -> Analysis:
    """A run with the paper's own numbers, turned so that higher is more confident; its changes times `factor`."""

    def of(number: int) -> Iterator[dict[str, str]]:
        return (line for line in printed(number) if line["model"] in models)

    rows: dict[str, list[Row]] = {}
    rho = {
        (line["model"], line["task"], line["score"], line["stage"]): (float(line["mean"]), float(line["sd"]))
        for line in printed(8)
    }
    for number, start, from_ in ((1, "no_sft", "before"), (6, "epoch_1", "epoch_1")):
        for line in of(number):
            key, mean, sd = (line["model"], line["task"], line["score"]), float(line["mean"]), float(line["sd"])
            (m0, s0), (m1, s1) = rho[*key, start], rho[*key, "full"]
            p = {"p_anova": math.nan, "p_welch": math.nan}
            if s0 or s1:
                t, df = (m1 - m0) / math.sqrt((s0**2 + s1**2) / 3), 2 * (s0**2 + s1**2) ** 2 / (s0**4 + s1**4)
                p = {"p_anova": stats.f.sf(t**2, 1, 4), "p_welch": 2 * stats.t.sf(abs(t), df)}
            found = row(
                CHANGE, **names(line), **p, from_=from_, to="selected", effect="spearman", ci_scope="models",
                n_seeds=3, mean=factor * sign(line["score"]) * mean, sd=sd, verdict="inconclusive",
                p_paired=2 * stats.t.sf(math.sqrt(3) * abs(mean) / sd, 2) if sd else math.nan,
            )  # fmt: skip
            rows.setdefault("change", []).append(found)
    for line in of(8):
        mean, sd = sign(line["score"]) * float(line["mean"]), float(line["sd"])
        for seed, off in enumerate((-1, 0, 1)):
            value = math.nan if mean == sd == 0 else mean + off * sd
            at = STAGES[line["stage"]]
            rows.setdefault("correlation", []).append(
                row(
                    CORRELATION,
                    **names(line),
                    **at,
                    seed=seed,
                    n=253,
                    spearman=value,
                    status="quality is constant",
                )
            )
    for line in of(5):
        value = float(line["auroc"]) if line["score"] in AS_THEY_ARE_IN_TABLE_5 else 1 - float(line["auroc"])
        at = {"model": line["model"], "task": "truthfulqa", "score": IDS[line["score"]], **STAGES[line["stage"]]}
        rows.setdefault("downstream", []).append(row(DOWNSTREAM, **at, n=73, auroc=value))
    rows["epoch_fall"] = [
        row(EPOCH_FALL, **names(x), n_seeds=3, mean=float(x["mean"]), sd=float(x["sd"]), null=-0.05) for x in of(7)
    ]
    for number, score in ((2, "log_prob"), (9, "dropout_bleu")):
        rows.setdefault("quadrants", []).extend(
            row(
                QUADRANTS, **names(x | {"score": score}), from_="epoch_1", to="last", n_seeds=3,
                **{k: float(x[k]) for k in ("concordant", "overconfident", "underconfident")}, tied=0.25,
            )
            for x in of(number)
        )  # fmt: skip
    rows["direction"] = [
        row(
            DIRECTION, **names(x | {"score": "log_prob"}), n_transitions=27,
            **{k: float(x[k]) for k in ("confidence_not_increased", "both_increased")},
            increased_quality_not_improved=float(x["confidence_increased_quality_not_improved"]),
        )
        for x in of(3)
    ]  # fmt: skip
    for number, score in ((4, "log_prob"), (10, "dropout_bleu")):
        for x in of(number):
            cells = dict(zip(("stays", "case1", "both_flip", "case2"), list(x.values())[2:]))
            counts = {name: round(100 * float(share)) for name, share in cells.items()}
            at = {"from_epoch": 1.0, "to_epoch": 2.0}
            rows.setdefault("pairs", []).append(row(PAIRS, **names(x | {"score": score}), **at, **counts))
            rows.setdefault("pair_means", []).append(
                row(PAIR_MEANS, **names(x | {"score": score}), case1_of_miscorrelated_null=0.6)
            )
    for x in of(11):
        at = {"from_epoch": float(x["epoch"]) - 1, "to_epoch": float(x["epoch"])}
        unchanged = round(1000 * float(x["proportion"]))
        rows.setdefault("case1_unchanged", []).append(
            row(CASE1, **names(x), **at, n_case1=1000, output_unchanged=unchanged)
        )
    rows["similarity"] = [
        row(
            SIMILARITY, **names(x), epoch=float(x["epoch"]), n=253, spearman=float(x["spearman"]),
            p=0.01 if x["significant"] == "1" else 0.5,
        )
        for x in of(12)
    ]  # fmt: skip
    rows["change"] = both(rows.get("change", []))
    return Analysis.of(**rows)


@pytest.fixture(scope="module")
def whole() -> PaperComparison:
    return compare(twin())


def cells(found: PaperComparison, number: int) -> list[Configuration]:
    return list(found.tables[number - 1].cells)


def claim(found: PaperComparison, name: str):
    return next(counted for counted in found.claims if counted.claim.name == name)


def test_the_papers_own_numbers_go_the_papers_way(whole: PaperComparison) -> None:
    directions = {table.layout.number: Counter(cell.same for cell in table.cells) for table in whole.tables}
    # Table 1 has two changes of exactly 0, Table 6 one, Tables 4, 9 and 10 a tie each.
    assert directions == {
        1: {True: 142, None: 2}, 2: {True: 12}, 3: {True: 12}, 4: {True: 11, None: 1}, 5: {True: 48},
        6: {True: 143, None: 1}, 7: {None: 144}, 8: directions[8], 9: {True: 11, None: 1}, 10: {True: 11, None: 1},
        11: {True: 24}, 12: {True: 12},
    }  # fmt: skip
    zeros = sum(x["stage"] == "full" and float(x["mean"]) == 0 for x in printed(8))
    assert directions[8] == {True: 144 - zeros, None: zeros}
    assert whole.coverage["SQUAD"] == ("3 seeds, 253 items",) * 4
    assert whole.lead.startswith("This run has 12 of the paper's 16 pairs of model and task (BART on Eng-Afr")
    assert "of 142 changes of Spearman's rho from before to after, 142 go the paper's way" in whole.lead


def test_numbers_stand_beside_their_own(whole: PaperComparison) -> None:
    for table in whole.tables:
        for cell in table.cells:
            for value in cell.values:
                if math.isfinite(value.paper):
                    rounding = 0.011 if table.layout.number in (4, 10) else 1e-9  # these shares sum to .99 to 1.01
                    assert value.ours == pytest.approx(value.paper, abs=rounding), (table.layout.number, cell)
                    assert math.isnan(value.paper_sd) or value.ours_sd == pytest.approx(value.paper_sd, abs=1e-9)


def test_claims_are_counted_alike_on_both(whole: PaperComparison) -> None:
    for counted in whole.claims:
        if counted.claim.said:
            assert (counted.ours, counted.here) == ({}, {})
        elif counted.claim.name != "sums_of_logs_mirror":
            shared = {k: v for k, v in counted.paper.items() if not math.isnan(v)}
            assert {k: counted.ours[k] for k in shared} == pytest.approx(shared), counted.claim.name
            assert {k: counted.here[k] for k in shared} == pytest.approx(shared)
            assert counted.same("ours") in (True, None)
            assert counted.others == {}
    assert claim(whole, "falls_as_printed").text("ours") == "48 of 144 fall, 94 rise, 2 unchanged"
    assert claim(whole, "falls").text("ours") == "46 of 144 fall, 96 rise, 2 unchanged"
    assert claim(whole, "significant").text("ours") == (
        "of 143 tested: ANOVA 10 (2 fall, 8 rise; in 9 one end is constant), Welch 1, paired t 0"
    )
    assert claim(whole, "auroc_falls_as_printed").text("ours") == "23 of 48 fall, 25 rise"
    assert claim(whole, "auroc_falls").text("ours") == "19 of 48 fall, 29 rise"
    assert claim(whole, "case1_4").text("ours") == (
        "larger in 9 of 12 (and tied in 1); 68.6 % on average; no change would give 60.0 %"
    )
    assert claim(whole, "largest_fall").text("ours").startswith("−0.352; mean of 132 cells −0.158; no change")
    assert claim(whole, "largest_fall").same("ours") is True


def test_the_other_way() -> None:
    found = compare(twin(models=("BART",), factor=-1))
    assert Counter(cell.same for cell in cells(found, 1)) == {False: 35, None: 109}  # one is 0, 108 are not run
    fell = sum(float(x["mean"]) * sign(x["score"]) > 0 for x in printed(1) if x["model"] == "BART")
    assert claim(found, "falls").ours["fell"] == fell
    assert claim(found, "falls").same("ours") is False
    assert claim(found, "falls").here["rose"] == fell
    assert claim(found, "falls").paper["of"] == 144
    assert "Flan-T5 on SQUAD" in found.tables[0].not_run
    assert Counter(cell.status for cell in cells(found, 1)) == {"": 36, "not run": 108}
    assert found.tables[0].summary == "0 of 35 go the same way; 9 of 12 models × tasks not run"


def test_an_independent_recount_of_tallies() -> None:
    rng = np.random.default_rng(16)
    changes, expected = [], Counter()
    for model, task in (("BART", "squad"), ("Gemma-2", "gsm8k"), ("mine", "squad"), ("BART", "my-task")):
        for name, score in IDS.items():
            mean = float(rng.normal())
            found = row(CHANGE, model=model, task=task, score=score, from_="before", to="last", effect="spearman",
                        ci_scope="models", n_seeds=1, mean=mean)  # fmt: skip
            changes += [found, found._replace(effect="adjusted", mean=-mean), found._replace(ci_scope="training")]
            where = "ours" if (model, task) in (("BART", "squad"), ("Gemma-2", "gsm8k")) else "others"
            expected[where, "turned"] += mean < 0
            expected[where, "as printed"] += mean * sign(name) < 0
    found = compare(Analysis.of(change=changes))
    for where in ("ours", "others"):
        for name, kind in (("falls", "turned"), ("falls_as_printed", "as printed")):
            figures = getattr(claim(found, name), where)
            assert (figures["fell"], figures["of"], figures["rose"]) == (
                expected[where, kind], 24, 24 - expected[where, kind],
            )  # fmt: skip
    here = [x for x in printed(1) if (x["model"], x["task"]) in (("BART", "SQUAD"), ("Gemma-2", "GSM8K"))]
    assert claim(found, "falls_as_printed").here["fell"] == sum(float(x["mean"]) < 0 for x in here)
    assert claim(found, "significant").ours == {}  # one training run: no test
    others = [cell for cell in cells(found, 1) if cell.status == "not in the paper"]
    assert {(cell.model, cell.task) for cell in others} == {("mine", "squad"), ("BART", "my-task")}
    assert all(cell.same is None and math.isnan(cell.values[0].paper) for cell in others)


def correlations(
    model: str = "BART", task: str = "squad", score: str = "mean_token_logprob", **values: object
) -> list[Row]:
    return [
        row(CORRELATION, model=model, task=task, score=score, n=50, **at, **{"spearman": 0.5} | values)
        for at in STAGES.values()
    ]


def test_nothing_of_the_paper_was_run() -> None:
    found = compare(Analysis.of(correlation=correlations("tiny", "toy")))
    assert found.lead.startswith("This run has none of the paper's 16 pairs of model and task")
    assert {cell for row in found.coverage.values() for cell in row} == {"not run"}
    assert found.others == ("tiny on toy",)
    assert not found.has_ours
    for table in found.tables:
        assert {cell.status for cell in table.cells} <= {"not run", "not in the paper"}
        assert len(table.not_run) == (4 if table.layout.number == 5 else 6 if table.layout.number == 12 else 12)
    assert [cell.values[2].ours for cell in cells(found, 8) if cell.model == "tiny"] == [0.5]
    nothing = compare(Analysis.of(correlation=correlations("tiny", "toy", score="confidence")))
    assert nothing.lead.endswith("pairs of model and task, and no claim can be counted on it.")
    assert nothing.other_scores == 1


@pytest.mark.parametrize(
    ("model", "task", "matches"),
    [
        ("bart-base", "squad", True),
        ("facebook/bart-base", "SQuAD", True),
        ("BART", "squad_v2", False),
        ("bart-large", "squad", False),
        ("gemma-2-2b", "squad", False),  # not the instruction-tuned one
        ("google/gemma-2-2b-it", "GSM8K", True),
        ("Llama-3.1-8B-Instruct", "gsm8k", False),
    ],
)
def test_names(model: str, task: str, matches: bool) -> None:
    assert bool(name_of(NAMES_OF_MODELS, model) and name_of(NAMES_OF_TASKS, task)) is matches


def test_a_model_by_another_name() -> None:
    found = compare(Analysis.of(correlation=correlations("bart-base", "squad") + correlations("BART", "squad_v2")))
    assert found.coverage["SQUAD"] == ("1 seed, 50 items (as bart-base)", "not run", "not run", "not run")
    assert found.others == ("BART on squad_v2",)
    own = [(c.model, c.task, c.status) for c in cells(found, 8) if c.our_score]
    assert own == [("BART", "SQUAD", ""), ("BART", "squad_v2", "not in the paper")]


def test_settings_are_averaged_and_other_sample_sizes_left_out() -> None:
    changes = [
        row(CHANGE, model="BART", task="squad", score="beam_ratio", setting=setting, from_="before", to="selected",
            effect="spearman", ci_scope="models", n_seeds=3, mean=mean, sd=0.1,
            **dict.fromkeys(("p_anova", "p_welch", "p_paired"), 0.01))
        for setting, mean in (("lora", 0.2), ("full", 0.4), ("n=100", -3.0))
    ]  # fmt: skip
    (cell,) = [c for c in cells(compare(Analysis.of(change=changes)), 1) if c.our_score]
    assert cell.setting == "lora; full"
    assert cell.values[0].ours == pytest.approx(0.3)
    assert math.isnan(cell.values[0].ours_sd)
    assert all(math.isnan(ours) for _, ours in cell.tests.values())
    assert cell.same is True


def test_both_readings_of_beam_sums_are_shown_and_one_is_counted() -> None:
    scores = ("beam_sum", "beam_sum_logprob", "beam_importance_weighted", "beam_ratio[k=5]", "beam_ratio")
    rows = [
        r
        for i, s in enumerate(scores)
        for r in correlations(score=s, spearman=0.1 if i in (1, 2) else 0.5 + 0.1 * i)
    ]
    found = compare(Analysis.of(correlation=rows))
    own = {c.our_score: c for c in cells(found, 8) if c.our_score}
    assert own.keys() == set(scores)
    assert own["beam_sum_logprob"].values[0].paper == own["beam_sum"].values[0].paper
    assert claim(found, "sums_mirror").ours == {"rows": 0, "of": 3}
    assert claim(found, "sums_of_logs_mirror").ours == {"rows": 3, "of": 3}
    assert claim(found, "sums_of_logs_mirror").same("ours") is True
    assert own["beam_importance_weighted"].turned
    before = next(x for x in printed(8) if (x["model"], x["task"], x["score"]) == ("BART", "SQUAD", "BS Imp Wt"))
    assert own["beam_importance_weighted"].values[0].paper == -float(before["mean"])
    assert own["beam_importance_weighted"].values[0].printed == float(before["mean"])


def test_the_largest_fall_of_an_opposite_has_no_counterpart() -> None:
    falls = [
        row(EPOCH_FALL, model="BART", task="squad", score=s, n_seeds=1, mean=-0.9, null=-0.3)
        for s in ("beam_importance_weighted", "beam_sum")
    ]
    found = compare(Analysis.of(epoch_fall=falls))
    weights, sums = (next(c for c in cells(found, 7) if c.our_score == row.score) for row in falls)
    assert math.isnan(weights.values[0].paper)
    assert sums.values[0].paper == -0.124
    assert claim(found, "largest_fall").ours == {"largest": -0.9, "mean": -0.9, "null": -0.3, "of": 1}
    assert claim(found, "largest_fall").same("ours") is False
    assert found.tables[6].summary.startswith("1 beside the paper's")


def test_what_was_run_and_not_measured_says_so() -> None:
    found = compare(Analysis.of(correlation=correlations(spearman=math.nan, status="quality is constant")))
    of_squad = [c for c in cells(found, 8) if (c.model, c.task) == ("BART", "SQUAD")]
    assert Counter(c.status for c in of_squad) == {"not measured": 11, "undefined: quality is constant": 1}
    assert all(c.same is None for c in of_squad)


def test_numbers_of_training_items() -> None:
    rows = [
        row(SAMPLE_SIZE, model=model, task="squad", setting=f"n=*{steps}", score=score, p_anova=p)
        for model, steps, score, p in (
            ("BART", "", "beam_sum", 0.001),
            ("BART", "", "cocoa_msp", 0.04),
            ("mine", ",steps=2500", "beam_sum", 0.001),
            ("BART", ",steps=2500", "confidence", 0.001),
        )
    ]
    found = compare(Analysis.of(sample_size=rows))
    assert claim(found, "samples").ours == {"rows": 2, "of": 2}
    assert claim(found, "samples_at_fixed_steps").ours == {}
    assert claim(found, "samples_at_fixed_steps").others == {"rows": 1, "of": 1}
    assert claim(found, "samples_at_fixed_steps").paper == {"rows": 5, "of": 144}


def test_tables_for_a_machine(whole: PaperComparison) -> None:
    analysis = whole.added_to(twin(models=()))
    rows = analysis.rows("paper")
    numbers = Counter(r.table for r in rows)
    assert numbers == {
        1: 144 * 4, 2: 36, 3: 36, 4: 48, 5: 96, 6: 144 * 4, 7: 144, 8: 432, 9: 36, 10: 48, 11: 216, 12: 120,
    }  # fmt: skip
    assert sum(r.same_direction is True for r in rows if r.table == 1 and r.value == "mean") == 142
    figures = [r for r in analysis.rows("paper_claims") if r.claim == "falls_as_printed"]
    assert {(r.figure, r.paper, r.ours) for r in figures} == {
        ("fell", 48, 48), ("rose", 94, 94), ("unchanged", 2, 2), ("undefined", 0, 0), ("of", 144, 144),
    }  # fmt: skip


HOSTILE = "</td><script>alert(1)</script>\u202e\x1b[31m=cmd()"


def shown(analysis: Analysis) -> str:
    summary = replace(summarise(analysis), paper=compare(analysis))
    return render(summary, title="t", settings={}, signatures={})


def test_hostile_names_are_text() -> None:
    page = shown(Analysis.of(correlation=correlations(HOSTILE, HOSTILE) + correlations("BART", HOSTILE)))
    section = page[page.index('<section id="paper"') :].partition("</section>")[0]
    assert "<script" not in section.lower()
    assert "\u202e" not in section
    assert "\x1b" not in section
    assert "&lt;script&gt;alert(1)" in section
    assert "⟨U+202E⟩" in section


def test_the_section_in_html() -> None:
    page = shown(twin(models=("BART",)))
    section = page[page.index('<section id="paper"') : page.index("</section>", page.index('<section id="paper"'))]
    assert section.count("<details>") == section.count("</details>") == 13
    assert section.count("<tr>") == section.count("</tr>")
    assert re.findall(r"<(?:script|style|img|link|iframe)|\sstyle=|\son\w+=|javascript:", section) == []
    assert "48 of 144 fall, 94 rise, 2 unchanged" in section
    assert "Not run: Flan-T5 on Eng-Afr" in section
    assert "+0.278 (0.033)" in section


def test_other_studies_have_their_source() -> None:
    found = studies().to_dict("records")
    assert len(found) > 4
    assert all(re.fullmatch(r"\d{4}\.\d{5}", line["source"]) and line["found"] for line in found)


@pytest.fixture
def records(tmp_path: Path) -> Callable[..., Path]:
    def make(**names: str) -> Path:
        path = tmp_path / "records.jsonl"
        found = study(n=30, seeds=2, epochs=(0, 1), chosen=1, **names)
        scores = {"mean_token_logprob": found.scores["up"], "beam_importance_weighted": found.scores["down"]}
        write(replace(found, scores=scores), path)
        return path

    return make


def test_on_the_command_line(records: Callable[..., Path], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("aftertune.report.figures.draw", lambda summary: [])
    out = tmp_path / "out"
    path = records(model="bart-base", task="squad")
    assert main(["analyze", str(path), "--out", str(out), "--resamples", "200"]) == 0
    files = [out / "tables" / name for name in ("paper.csv", "paper_claims.csv")]
    assert not any(file.exists() for file in files)
    assert main(["report", str(out), "--paper"]) == 0
    lines = list(csv.DictReader(files[0].read_text(encoding="utf-8").splitlines()))
    own = [line for line in lines if line["table"] == "1" and line["value"] == "mean" and line["ours"]]
    assert {(line["model"], line["task"], line["our_score"]) for line in own} == {
        ("BART", "SQUAD", "mean_token_logprob"),
        ("BART", "SQUAD", "beam_importance_weighted"),
    }
    assert {line["printed"] for line in own} == {"0.281", "0.228"}
    assert {line["paper"] for line in own} == {"0.281", "-0.228"}
    assert sum(line["status"] == "not run" for line in lines if line["value"] == "p_anova_holm") == 2 * 11 * 12
    assert 'id="paper"' in (out / "report.html").read_text(encoding="utf-8")
    assert main(["report", str(out)]) == 0
    assert not any(file.exists() for file in files)
    assert 'id="paper"' not in (out / "report.html").read_text(encoding="utf-8")
    assert main(["analyze", str(path), "--out", str(out), "--resamples", "200", "--paper"]) == 0
    assert all(file.exists() for file in files)
    assert json.loads((out / "run.json").read_text(encoding="utf-8"))["settings"][
        "paper"
    ]  # kept when it is redrawn


def test_an_undefined_value_of_another_model_says_why() -> None:
    rows = correlations("mine", "squad", spearman=math.nan, status="confidence is constant")
    (cell,) = [c for c in cells(compare(Analysis.of(correlation=rows)), 8) if not c.in_paper]
    assert cell.status == "not in the paper; undefined: confidence is constant"
    assert cell.same is None
