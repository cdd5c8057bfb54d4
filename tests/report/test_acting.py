"""The section "Can a person act on it?" and its figure."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from aftertune.analysis.analyse import analyse
from aftertune.analysis.schema import Analysis
from aftertune.report.acting import acting
from aftertune.report.figures import draw
from aftertune.report.page import render, write_all
from downstream_samples import labelled, rows_at, with_correct
from record_samples import together, with_rows


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(labelled(), resamples=200)


def section(html: str) -> str:
    found = re.search(r'<section id="acting">(.*?)</section>', html, re.DOTALL)
    return unescape(re.sub(r"<[^>]+>", " ", found.group(1))) if found else ""


def shown(analysis: Analysis) -> str:
    return " ".join(section(render(analysis, title="x", settings={}, signatures={})).split())


def test_scores_are_those_of_the_tables(analysis: Analysis) -> None:
    (one,) = acting(analysis)
    assert (one.name, one.from_, one.to) == ("tiny on toy", "before", "selected")
    assert [s.score for s in one.scores] == ["sharp", "rough"]
    for score in one.scores:
        row = next(
            r for r in analysis.rows("downstream_change") if r.score == score.score and r.ci_scope == "training"
        )
        assert (score.before, score.after, score.low) == (row.auroc_from, row.auroc_to, row.ci_low)
        for value, fitted, applied in zip(
            score.ece, ("before", "before", "selected"), ("before", "selected", "selected")
        ):
            both = [
                r.ece
                for r in analysis.rows("percentages")
                if (r.map, r.score, r.fitted, r.applied) == ("isotonic", score.score, fitted, applied)
            ]
            assert value == pytest.approx(sum(both) / 2)


def test_alerts_are_in_the_middle_of_their_kind(analysis: Analysis) -> None:
    right, wrong = acting(analysis)[0].alerts
    assert (right.correct, wrong.correct) == (True, False)
    for one in (right, wrong):
        after = [a for a in analysis.rows("alerts") if (a.seed, a.checkpoint) == (0, "selected")]
        own = sorted(a.chance or 0 for a in after if a.correct is one.correct)
        assert one.chance == own[(len(own) - 1) // 2]


def test_page(analysis: Analysis) -> None:
    text = shown(analysis)
    assert text.startswith("Can a person act on it?")
    assert "tiny on toy: before fine-tuning → selected checkpoint" in text
    (one,) = acting(analysis)
    assert f"sharp {one.scores[0].before:.3f} {one.scores[0].after:.3f}" in text
    assert re.search(r"✓ right item test-\d+ , seed 0 Question question \d+\? Expected answer reference", text)
    assert "Question" in text
    assert f"“{one.alerts[1].alert}.”" in text
    assert one.alerts[0].output is not None
    assert one.alerts[0].output in text


def test_review_sentences_are_the_rows() -> None:
    analysis = analyse(labelled(validation=400, seeds=(3, 4), epochs=(0, 1), chosen=1), resamples=100)
    text = shown(analysis)
    now, old = (
        next(
            r
            for r in analysis.rows("review")
            if (r.score, r.seed, r.wanted, r.chosen, r.applied) == ("sharp", 3, 0.8, chosen, "selected")
        )
        for chosen in ("selected", "before")
    )
    sentences = (
        f"For 80 % right among the answers that are given, by sharp (seed 3): give answers with a confidence of "
        f"at least {now.threshold:.3g} and send the others to review. Of 120 test items, {100 * now.coverage:.0f} "
        f"% are given, and {100 * now.precision:.0f} % of them are right [{100 * now.ci_low:.0f} %, "
        f"{100 * now.ci_high:.0f} %]; without review {100 * now.without:.0f} %. The threshold for 80 % right "
        f"chosen before fine-tuning, {old.threshold:.3g}, now gives {100 * old.coverage:.0f} %, "
        f"{100 * old.precision:.0f} % of them right."
    )
    assert sentences in text


def test_no_threshold_says_of_how_many_items(analysis: Analysis) -> None:
    nan = float("nan")
    for lacking, words in (((0.9,), "90 %"), ((0.9, 0.8), "90 % or 80 %")):
        reviews = tuple(r._replace(threshold=nan if r.wanted in lacking else 0.1) for r in analysis.rows("review"))
        text = shown(with_rows(analysis, review=reviews))
        said = "With 90 validation items no threshold of sharp (seed 0) can be shown to give answers of which"
        assert f"{said} {words} are right." in text
        assert ("For 80 % right" in text) == ("The threshold is the lowest" in text) == (0.8 not in lacking)


def test_no_section_without_labels() -> None:
    records = labelled(seeds=(0,))
    plain = analyse(with_correct(records, [None] * len(records)), resamples=100)
    assert acting(plain) == ()
    assert shown(plain) == ""
    assert [d for d in draw(plain) if d.about == "answers"] == []


def test_without_validation_auroc_alone() -> None:
    text = shown(analyse(labelled(seeds=(0,), validation=0), resamples=100))
    assert "AUROC before" in text
    assert "ECE before" not in text
    assert "✓ right" not in text
    assert "For 90 %" not in text
    assert "Not answered: to choose a score before looking at test answers takes validation items" in text


def test_one_checkpoint() -> None:
    analysis = analyse(labelled(seeds=(0,), epochs=(0,), chosen=9), resamples=100)
    text = shown(analysis)
    assert "AUROC before" not in text
    row = next(row for row in analysis.rows("downstream") if row.score == "sharp")
    ends = f"[{row.auroc_ci_low:.3f}, {row.auroc_ci_high:.3f}]"
    assert f"sharp {row.auroc:.3f} {ends} {row.ece:.3f} ({row.ece_if_calibrated:.2f}) 120" in text


def test_why_a_score_is_undefined() -> None:
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    text = shown(analyse(with_correct(records, [True] * len(records)), resamples=100))
    assert "all 120 answers are correct: nothing to tell apart – – –" in text


def test_texts_are_escaped(analysis: Analysis) -> None:
    alerts = tuple(
        a._replace(output="<script>alert(1)</script>", input="<b>", item_id="<i>") for a in analysis.rows("alerts")
    )
    html = render(with_rows(analysis, alerts=alerts), title="x", settings={}, signatures={})
    assert "<script" not in html
    assert "&lt;script&gt;" in html


def test_the_page_says_who_says_what_is_right(analysis: Analysis) -> None:
    signatures = {"sharp": "s|1", "correct": "mine|threshold:0.0|<b>"}
    html = render(analysis, title="x", settings={}, signatures=signatures)
    # Other tasks of the same run may go by quality: a note says which.
    said = "Where a judge says what is right, that is mine|threshold:0.0|<b>."
    assert said in " ".join(section(html).split())
    assert "what is right" not in shown(analysis)


def test_before_and_after_are_of_the_same_runs() -> None:
    """At one end of seed 0 the judge abstained on everything: shares and ECE are of seed 1 alone."""
    records = labelled(seeds=(0, 1), epochs=(0, 1), chosen=1)
    silent = (records.seed == 0) & (records.epoch == 0) & (records.split == "test")
    lacking = with_correct(records, [None if s else c for s, c in zip(silent, records.correct)])
    (one,) = acting(analyse(lacking, resamples=100))
    (alone,) = acting(analyse(records.take(records.seed == 1), resamples=100))
    assert (one.right, one.n_answers) == (alone.right, alone.n_answers)
    assert {s.score: s.ece for s in one.scores} == {s.score: s.ece for s in alone.scores}
    # At no run both ends: what there is.
    silent = ((records.seed == 0) == (records.epoch == 0)) & (records.split == "test")
    lacking = with_correct(records, [None if s else c for s, c in zip(silent, records.correct)])
    (one,) = acting(analyse(lacking, resamples=100))
    shares = [
        rows.correct.astype(float).mean()
        for rows in (rows_at(records, "test", 1, 0), rows_at(records, "test", 0, 1))
    ]
    assert one.right == pytest.approx(tuple(shares))


def test_one_right_answer_of_many_is_not_0_per_cent() -> None:
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1, test=300)
    right = [
        i.endswith("7") if s == "validation" else i == "test-007" for i, s in zip(records.item_id, records.split)
    ]
    (one,) = acting(analyse(with_correct(records, right), resamples=100))
    assert one.counts == (
        "Right, of 300 judged and scored answers: under 1 % before fine-tuning, "
        "under 1 % at the selected checkpoint."
    )


def test_too_few_validation_items_for_a_map() -> None:
    """No empty axes, and one sentence that says why there are no percentages."""
    analysis = analyse(labelled(seeds=(0,), validation=10), resamples=100)
    assert [d for d in draw(analysis) if d.about == "answers"] == []
    assert "There are no percentages (10 validation items: a map needs 20)." in shown(analysis)
    assert "ECE before" not in shown(analysis)
    assert acting(analysis)[0].best == "sharp"


def test_no_percentages_at_one_of_the_checkpoints() -> None:
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    lacking = records.take((records.split == "test") | (records.epoch == 1))
    text = shown(analyse(lacking, resamples=100))
    assert "There are no percentages before fine-tuning (no validation rows)." in text
    assert "ECE before" in text


def test_what_chance_alone_would_show_stands_beside_the_ece(analysis: Analysis) -> None:
    score = acting(analysis)[0].scores[0]
    own = [
        r.ece_if_calibrated
        for r in analysis.rows("percentages")
        if (r.score, r.map, r.fitted, r.applied) == (score.score, "isotonic", "before", "selected")
    ]
    assert score.ece_by_chance[1] == pytest.approx(sum(own) / 2)
    assert f"{score.ece[1]:.3f} ({score.ece_by_chance[1]:.2f})" in shown(analysis)


@pytest.mark.parametrize(
    ("epochs", "word"), [((0, 1), "reversed"), ((0,), "reversed before"), ((1,), "reversed after"), ((), "")]
)
def test_a_score_whose_whole_interval_is_below_one_half_is_reversed(epochs: tuple[int, ...], word: str) -> None:
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    sign = np.where(np.isin(records.epoch, epochs), -1.0, 1.0)
    scores = {**records.scores, "sharp": sign * records.scores["sharp"]}
    analysis = analyse(replace(records, scores=scores), resamples=100)
    rows = [r for r in analysis.rows("downstream") if r.score == "sharp"]
    assert [r.auroc_ci_high < 0.5 for r in rows] == [r.epoch in epochs for r in rows]
    found = {score.score: score.reversed for score in acting(analysis)[0].scores}
    assert found == {"sharp": word, "rough": ""}
    assert f"sharp {word} {rows[0].auroc:.3f}".replace("  ", " ") in shown(analysis)


def test_figure_of_the_best_two_scores(analysis: Analysis, tmp_path: Path) -> None:
    (drawing,) = [d for d in draw(analysis) if d.about == "answers"]
    assert drawing.name == "reliability"
    assert "sharp, tiny on toy, seed 0" in drawing.svg.decode()
    assert "rough, tiny on toy, seed 0" in drawing.svg.decode()
    write_all(tmp_path, analysis, None, title="x", settings={}, signatures={})
    html = (tmp_path / "report.html").read_text()
    acts = re.search(r'<section id="acting">(.*?)</section>', html, re.DOTALL)
    assert acts is not None
    assert "Estimated chance that an answer is right (isotonic map)" in acts.group(1)
    assert {path.name for path in (tmp_path / "figures").iterdir()} >= {"reliability.svg", "reliability.png"}


def test_figure_from_epoch_1_where_no_run_has_a_before() -> None:
    analysis = analyse(labelled(seeds=(0,), epochs=(1, 2), chosen=9), resamples=100)
    (drawing,) = [d for d in draw(analysis) if d.about == "answers"]
    assert drawing.name == "reliability"
    assert "<!-- epoch 1 -->" in drawing.svg.decode()
    assert "epoch 1 → last checkpoint" in drawing.caption


def test_pairs_of_checkpoints_have_figures_of_their_own() -> None:
    """The paper's BART row has no before, the others do."""
    bart = labelled(seeds=(0,), epochs=(1, 2), chosen=9, model="bart")
    analysis = analyse(together(bart, labelled(seeds=(0,), epochs=(0, 1), chosen=1)), resamples=100)
    drawn = {d.name: d for d in draw(analysis) if d.about == "answers"}
    assert list(drawn) == ["reliability", "reliability_epoch_1_last"]
    own, other = (d.svg.decode() for d in drawn.values())
    assert ("tiny on toy" in own, "bart on toy" in own) == (True, False)
    assert ("tiny on toy" in other, "bart on toy" in other) == (False, True)
    assert "<!-- before fine-tuning -->" in own
    assert "<!-- last checkpoint, map fitted at epoch 1 -->" in other


def test_many_settings_show_the_best_score_alone() -> None:
    models = [labelled(seeds=(0,), epochs=(0, 1), chosen=1, model=f"m{i}") for i in range(4)]
    analysis = analyse(together(*models), resamples=100)
    drawn = "".join(d.svg.decode() for d in draw(analysis) if d.about == "answers")
    assert all(f"sharp, m{i} on toy" in drawn for i in range(4))
    assert "rough, m0" not in drawn
