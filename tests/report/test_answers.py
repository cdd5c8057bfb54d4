"""Right and wrong answers: what is said of them on the page and on the terminal, and their figure."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from math import nan
from pathlib import Path

import numpy as np
import pytest

from aftertune.analysis.analyse import analyse
from aftertune.analysis.schema import ALERTS, CHOSEN, DOWNSTREAM, Analysis, Row
from aftertune.judges import judge_from
from aftertune.quality import QUALITY
from aftertune.report.answers import Shift, answers, choice_of, judge_words, later, shifts
from aftertune.report.figures import draw
from aftertune.report.names import at
from aftertune.report.numbers import short
from aftertune.report.page import render
from aftertune.report.summary import summarise
from aftertune.signature import signature
from aftertune.stats.alerts import alert
from downstream_samples import labelled, rows_at, with_correct
from record_samples import together, with_rows
from report_text import printed


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(labelled(), resamples=200)


def page(analysis: Analysis, **signatures: str) -> str:
    """The HTML of the section on answers; empty without one."""
    html = render(summarise(analysis), title="x", settings={}, signatures=signatures)
    return html.partition('<section id="act">')[2].partition("</section>")[0]


def shown(analysis: Analysis, **signatures: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page(analysis, **signatures))).split())


def test_scores_are_those_of_the_tables(analysis: Analysis) -> None:
    (one,) = answers(analysis)
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
    right, wrong = answers(analysis)[0].alerts
    assert (right.correct, wrong.correct) == (True, False)
    for one in (right, wrong):
        after = [a for a in analysis.rows("alerts") if (a.seed, a.checkpoint) == (0, "selected")]
        own = sorted(a.chance for a in after if a.correct is one.correct and a.chance is not None)
        assert one.chance == own[(len(own) - 1) // 2]


def test_review_sentences_are_the_rows() -> None:
    analysis = analyse(labelled(validation=800, seeds=(3, 4), epochs=(0, 1), chosen=1), resamples=100)
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
        f"chosen before fine-tuning, {short(old.threshold)}, now gives {100 * old.coverage:.0f} %, "
        f"{100 * old.precision:.0f} % of them right."
    )
    assert sentences in text


def test_no_threshold_says_of_how_many_items(analysis: Analysis) -> None:
    nan = float("nan")
    for lacking, words in (((0.9,), "90 %"), ((0.9, 0.8), "90 % or 80 %")):
        reviews = tuple(r._replace(threshold=nan if r.wanted in lacking else 0.1) for r in analysis.rows("review"))
        text = shown(with_rows(analysis, review=reviews))
        said = "With 226 validation items no threshold of sharp (seed 0) can be shown to give answers of which"
        assert f"{said} {words} are right." in text
        assert ("For 80 % right" in text) == ("The threshold is the lowest" in text) == (0.8 not in lacking)


def test_no_section_without_labels() -> None:
    records = labelled(seeds=(0,))
    plain = analyse(with_correct(records, [None] * len(records)), resamples=100)
    assert answers(plain) == ()
    assert "AUROC" not in shown(plain)
    assert [d for d in draw(summarise(plain)) if d.name.startswith("reliability")] == []


def test_without_validation_auroc_alone() -> None:
    text = shown(analyse(labelled(seeds=(0,), validation=0), resamples=100))
    assert "AUROC before" in text
    assert "ECE before" not in text
    assert "✓ right" not in text
    assert "For 90 %" not in text
    assert "Not answered: it takes validation items, some right and some wrong" in text


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


def test_the_page_says_who_says_what_is_right(analysis: Analysis) -> None:
    # Other tasks of the same run may go by quality: a note says which.
    said = "Where a judge says what is right, that is mine|threshold:0.0|<b>."
    assert said in shown(analysis, sharp="s|1", correct="mine|threshold:0.0|<b>")
    assert "what is right" not in shown(analysis)


def test_before_and_after_are_of_the_same_runs() -> None:
    """At one end of seed 0 the judge abstained on everything: shares and ECE are of seed 1 alone."""
    records = labelled(seeds=(0, 1), epochs=(0, 1), chosen=1)
    silent = (records.seed == 0) & (records.epoch == 0) & (records.split == "test")
    lacking = with_correct(records, [None if s else c for s, c in zip(silent, records.correct)])
    (one,) = answers(analyse(lacking, resamples=100))
    (alone,) = answers(analyse(records.take(records.seed == 1), resamples=100))
    assert (one.right, one.n_answers) == (alone.right, alone.n_answers)
    assert {s.score: s.ece for s in one.scores} == {s.score: s.ece for s in alone.scores}
    # At no run both ends: what there is.
    silent = ((records.seed == 0) == (records.epoch == 0)) & (records.split == "test")
    lacking = with_correct(records, [None if s else c for s, c in zip(silent, records.correct)])
    (one,) = answers(analyse(lacking, resamples=100))
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
    (one,) = answers(analyse(with_correct(records, right), resamples=100))
    assert one.counts == (
        "Right, of 300 judged and scored answers: under 1 % before fine-tuning, "
        "under 1 % at the selected checkpoint."
    )


def test_too_few_validation_items_for_a_map() -> None:
    """No empty axes, and one sentence that says why there are no percentages."""
    analysis = analyse(labelled(seeds=(0,), validation=10), resamples=100)
    assert [d for d in draw(summarise(analysis)) if d.name.startswith("reliability")] == []
    assert "There are no percentages (10 validation items: a map needs 20)." in shown(analysis)
    assert "ECE before" not in shown(analysis)
    assert answers(analysis)[0].choice.score == "sharp"


def test_no_percentages_at_one_of_the_checkpoints() -> None:
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    lacking = records.take((records.split == "test") | (records.epoch == 1))
    text = shown(analyse(lacking, resamples=100))
    assert "There are no percentages before fine-tuning (no validation rows)." in text
    assert "ECE before" in text


def test_what_chance_alone_would_show_stands_beside_the_ece(analysis: Analysis) -> None:
    score = answers(analysis)[0].scores[0]
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
    found = {score.score: score.reversed for score in answers(analysis)[0].scores}
    assert found == {"sharp": word, "rough": ""}
    assert f"sharp {word} {rows[0].auroc:.3f}".replace("  ", " ") in shown(analysis)


def test_figure_of_the_best_two_scores(analysis: Analysis, tmp_path: Path) -> None:
    (drawing,) = [d for d in draw(summarise(analysis)) if d.name.startswith("reliability")]
    assert drawing.name == "reliability"
    assert "sharp, tiny on toy, seed 0" in drawing.svg.decode()
    assert "rough, tiny on toy, seed 0" in drawing.svg.decode()


def test_figure_from_epoch_1_where_no_run_has_a_before() -> None:
    analysis = analyse(labelled(seeds=(0,), epochs=(1, 2), chosen=9), resamples=100)
    (drawing,) = [d for d in draw(summarise(analysis)) if d.name.startswith("reliability")]
    assert drawing.name == "reliability"
    assert "<!-- epoch 1 -->" in drawing.svg.decode()
    assert "epoch 1 → last checkpoint" in drawing.caption


def test_pairs_of_checkpoints_have_figures_of_their_own() -> None:
    """The paper's BART row has no before, the others do."""
    bart = labelled(seeds=(0,), epochs=(1, 2), chosen=9, model="bart")
    analysis = analyse(together(bart, labelled(seeds=(0,), epochs=(0, 1), chosen=1)), resamples=100)
    drawn = {d.name: d for d in draw(summarise(analysis)) if d.name.startswith("reliability")}
    assert list(drawn) == ["reliability", "reliability_epoch_1_last"]
    own, other = (d.svg.decode() for d in drawn.values())
    assert ("tiny on toy" in own, "bart on toy" in own) == (True, False)
    assert ("tiny on toy" in other, "bart on toy" in other) == (False, True)
    assert "<!-- before fine-tuning -->" in own
    assert "<!-- last checkpoint, map fitted at epoch 1 -->" in other


def test_many_settings_show_the_best_score_alone() -> None:
    models = [labelled(seeds=(0,), epochs=(0, 1), chosen=1, model=f"m{i}") for i in range(4)]
    analysis = analyse(together(*models), resamples=100)
    drawn = "".join(d.svg.decode() for d in draw(summarise(analysis)) if d.name.startswith("reliability"))
    assert all(f"sharp, m{i} on toy" in drawn for i in range(4))
    assert "rough, m0" not in drawn


# The choice of the score, and whether it tells right answers from wrong ones.


BEFORE = CHOSEN.row(
    model="m",
    task="t",
    setting="default",
    score="s",
    n_scores=13,
    seed=0,
    epoch=0,
    checkpoint="before",
    n_validation=60,
    n_correct=30,
    auroc=0.7,
    low=0.55,
    high=0.81,
    n_choosing=55,
)
AFTER = BEFORE._replace(epoch=3, checkpoint="selected", auroc=0.76, low=0.61, high=0.86, n_correct=40)


def measured(auroc: float, low: float, high: float, **given) -> Row:
    base = {
        "model": "m",
        "task": "t",
        "setting": "default",
        "seed": 0,
        "epoch": 3,
        "selected": True,
        "score": "s",
        "n": 100,
        "map": "",
        "n_validation": 60,
        "n_correct": 50,
        "status": "",
        **dict.fromkeys(("prr", "aurc", "ece", "ece_if_calibrated", "brier"), nan),
    }
    return DOWNSTREAM.row(**{**base, "auroc": auroc, "auroc_ci_low": low, "auroc_ci_high": high, **given})


VALUE = "at the selected checkpoint; 0.5 is chance)."


def test_yes_by_test_numbers_of_the_later_checkpoint() -> None:
    before = measured(0.4, 0.3, 0.45, epoch=0)
    other = measured(0.3, 0.2, 0.4, score="other")
    found = choice_of([BEFORE, AFTER], [before, other, measured(0.819, 0.75, 0.88)])
    assert (found.score, found.shown, found.doubt) == ("s", True, "")
    assert found.answer == (
        "Yes, by s: in 82 of 100 pairs of a right and a wrong answer the right one is the more confident (AUROC "
        f"0.819 [0.750, 0.880] {VALUE}"
    )
    assert found.grounds == (
        "It was chosen from 13 scores on 55 validation items; on 60 other validation items its AUROC is 0.700 "
        "[0.550, 0.810] before fine-tuning (30 right, 30 wrong), 0.760 [0.610, 0.860] at the selected checkpoint "
        "(40 right, 20 wrong)."
    )


def test_where_test_items_chose_the_answer_is_of_validation_items() -> None:
    chosen = [one._replace(chosen_by="test", n_choosing=100) for one in (BEFORE, AFTER)]
    found = choice_of(chosen, [measured(0.99, 0.97, 1)])
    assert (found.shown, found.by) == (True, "test")
    assert found.answer == (
        "Yes, by s: in 76 of 100 pairs of a right and a wrong answer the right one is the more confident (AUROC "
        "0.760 [0.610, 0.860] at the selected checkpoint on validation items; 0.5 is chance)."
    )
    assert found.grounds.startswith(
        "It was chosen from 13 scores on 100 test items, as fewer than 100 validation items are judged; on 60 "
        "validation items its AUROC is 0.700 [0.550, 0.810] before fine-tuning"
    )
    low = [chosen[0], chosen[1]._replace(low=0.44)]
    assert choice_of(low, [measured(0.99, 0.97, 1)]).answer.startswith(
        "Not shown: s looks best on test, but is not shown to beat chance on validation (AUROC 0.760 [0.440,"
    )
    undefined = [chosen[0], chosen[1]._replace(auroc=nan, low=nan, high=nan)]
    assert "looks best on test, but on validation its AUROC is undefined" in choice_of(undefined, []).answer
    several = choice_of([one._replace(seed=seed) for seed in (0, 1) for one in chosen], [])
    assert "of 2 training runs on validation items, its interval above 0.5 in all of them" in several.answer


def test_how_many_answers_are_told_no_percentage(analysis: Analysis) -> None:
    after = [a for a in analysis.rows("alerts") if (a.seed, a.checkpoint) == (0, "selected")]
    lacking = sum(a.chance is None for a in after)
    assert lacking
    said = f"{lacking} of 120 answers are told no percentage: the 95 % interval of their chance is wider than 50"
    assert f"{said} points." in shown(analysis)


@pytest.mark.parametrize(
    ("validation", "ends", "said"),
    [
        (0.61, (0.31, 0.75), "Not shown: s looks best on validation, but is not shown to beat chance on test"),
        (
            0.48,
            (0.31, 0.75),
            "Not shown: s looks best on validation, but is shown to beat chance neither there nor on test",
        ),
        (0.61, (0.31, 0.49), "No: s looks best on validation, but on test wrong answers are the more confident"),
        (0.61, (0.50, 0.75), "Not shown: s looks best on validation, but is not shown to beat chance on test"),
    ],
)
def test_not_shown(validation: float, ends: tuple[float, float], said: str) -> None:
    found = choice_of([BEFORE, AFTER._replace(low=validation)], [measured(0.45, *ends)])
    assert found.answer == f"{said} (AUROC 0.450 [{ends[0]:.3f}, {ends[1]:.3f}] {VALUE}"
    assert (found.shown, found.doubt) == (False, "s is not shown to tell right from wrong")


def test_test_answers_of_one_class() -> None:
    found = choice_of([BEFORE, AFTER], [measured(nan, nan, nan)])
    assert not found.shown
    assert found.answer.endswith("but on test its AUROC is undefined at the selected checkpoint.")


def test_several_runs_must_all_show_it() -> None:
    chosen = [BEFORE, AFTER, BEFORE._replace(seed=1), AFTER._replace(seed=1)]
    first, second = measured(0.8, 0.7, 0.9), measured(0.7, 0.6, 0.8, seed=1)
    both = choice_of(chosen, [first, second])
    value = "(mean AUROC 0.750 at the selected checkpoint of 2 training runs, its interval above 0.5 in"
    assert both.shown
    assert (
        f"in 75 of 100 pairs of a right and a wrong answer the right one is the more confident {value} all"
        in both.answer
    )
    assert both.grounds.startswith(
        "It was chosen from 13 scores over 2 training runs on 55 validation items; on 60 other validation items "
        "of seed 0 its AUROC is 0.700"
    )
    one = choice_of(chosen, [first, second._replace(auroc_ci_low=0.5)])
    assert not one.shown
    assert f"{value} 1 of them; 0.5 is chance)." in one.answer


@pytest.mark.parametrize(("auroc", "pairs"), [(0.996, 99), (1.0, 100), (0.984, 98)])
def test_100_of_100_pairs_are_all(auroc: float, pairs: int) -> None:
    found = choice_of([BEFORE, AFTER], [measured(auroc, 0.9, 1.0)])
    assert f"in {pairs} of 100 pairs" in found.answer


def test_one_validation_item() -> None:
    bare = {"n_validation": 1, "n_correct": 1, "auroc": nan, "low": nan, "high": nan}
    chosen = [*(one._replace(**bare) for one in (BEFORE, AFTER)), BEFORE._replace(seed=1), AFTER._replace(seed=1)]
    assert "on 1 other validation item of seed 0 its AUROC is – before" in choice_of(chosen, []).grounds


def test_runs_without_an_auroc_are_said() -> None:
    chosen = [one._replace(seed=seed) for seed in (0, 1, 2) for one in (BEFORE, AFTER)]
    rows = [measured(0.8, 0.7, 0.9), measured(nan, nan, nan, seed=1), measured(0.7, 0.6, 0.8, seed=2)]
    found = choice_of(chosen, rows)
    assert not found.shown
    assert found.answer.endswith(
        "(mean AUROC 0.750 at the selected checkpoint of 3 training runs, undefined in 1, its interval above 0.5 "
        "in 2 of them; 0.5 is chance)."
    )


def test_few_of_a_kind_and_other_scores_make_the_choice_unsure() -> None:
    row = [measured(0.8, 0.7, 0.9)]
    few = " With so few wrong answers another sample may choose another score."
    assert choice_of([BEFORE, AFTER._replace(n_correct=52)], row).grounds.endswith(f"(52 right, 8 wrong).{few}")
    assert choice_of([BEFORE, AFTER._replace(n_correct=7)], row).grounds.endswith(few.replace("wrong", "right"))
    only = {"n_scores": 1, "n_correct": 52, "chosen_by": "nothing", "n_choosing": 0}
    alone = choice_of([one._replace(**only) for one in (BEFORE, AFTER)], row).grounds
    assert alone.startswith("It is the only score; on 60 validation items its AUROC is 0.700")
    assert "another sample" not in alone


def test_a_checkpoint_without_validation_is_left_out_of_the_choice() -> None:
    bare = BEFORE._replace(n_validation=0, n_correct=0, auroc=nan, low=nan, high=nan)
    found = choice_of([bare, AFTER], [measured(0.8, 0.7, 0.9)])
    assert "before fine-tuning" not in found.grounds
    assert "on 60 other validation items" in found.grounds
    one_class = BEFORE._replace(n_correct=0, auroc=nan, low=nan, high=nan)
    assert "– before fine-tuning (0 right, 60 wrong)" in choice_of([one_class, AFTER], []).grounds


def test_nothing_was_chosen() -> None:
    found = choice_of([], [measured(0.8, 0.7, 0.9)])
    assert found.answer.startswith("Not answered: it takes validation items")
    assert (found.score, found.shown, found.grounds, found.doubt) == ("", False, "", "")


# Which answers stand for Figure 1 of the paper.


def line(item: str, checkpoint: str, chance: float | None, correct: bool | None, **given) -> Row:
    base = {
        "model": "m",
        "task": "t",
        "setting": "default",
        "seed": 0,
        "epoch": 0.0 if checkpoint == "before" else 3.0,
        "score": "s",
        "confidence": chance,
        "input": f"question {item}",
        "references": ("expected",),
        "output": f"{item} {checkpoint}",
    }
    said = alert(float("nan") if chance is None else chance)
    fixed = {"item_id": item, "checkpoint": checkpoint, "chance": chance, "correct": correct, "alert": said}
    return ALERTS.row(**{**base, **fixed, **given})


def ends(
    item: str, before: float | None, was: bool | None, after: float | None, now: bool | None, to: str = "selected"
) -> list[Row]:
    return [line(item, "before", before, was), line(item, to, after, now)]


RIGHT_TO_WRONG = ends("a", 0.30, True, 0.55, False)
STAYS_WRONG = ends("b", 0.10, False, 0.95, False)
STAYS_RIGHT = ends("c", 0.90, True, 0.40, True)
TURNED_RIGHT = ends("d", 0.90, False, 0.10, True)


def told(*pairs: list[Row]) -> dict[str, Shift]:
    found = shifts([one for pair in pairs for one in pair])
    return {one.kind: one for one in found}


def test_right_before_and_wrong_after_comes_first() -> None:
    found = told(STAYS_WRONG, RIGHT_TO_WRONG, ends("e", 0.30, True, 0.54, False), STAYS_RIGHT, TURNED_RIGHT)
    assert list(found) == ["turned wrong", "right"]
    one = found["turned wrong"]
    assert ([one.before, one.after], one.n, one.of) == (RIGHT_TO_WRONG, 2, 5)
    assert (one.title, one.side) == ("trusted more, now wrong", "overconfident")
    assert one.sentence == (
        "Right before fine-tuning, wrong at the selected checkpoint, and yet the stated chance rose: 2 of 5 test "
        "answers, most of all this one."
    )
    other = found["right"]
    assert ([other.before, other.after], other.n, other.side) == (TURNED_RIGHT, 2, "underconfident")
    assert other.sentence == (
        "Right at the selected checkpoint, and yet the stated chance fell: 2 of 5 test answers, most of all this "
        "one. It was wrong before fine-tuning."
    )


def test_else_a_wrong_one_whose_chance_rose_most_and_words_say_so() -> None:
    fell = ends("e", 0.9, True, 0.2, False)
    found = told(STAYS_WRONG, fell, STAYS_RIGHT)
    one = found["wrong"]
    assert ([one.before, one.after], one.n, one.of) == (STAYS_WRONG, 1, 3)
    assert one.sentence == (
        "No answer that turned from right to wrong has a higher stated chance at the selected checkpoint. Wrong "
        "there, and yet the stated chance rose: 1 of 3 test answers, most of all this one. It was wrong before "
        "fine-tuning too."
    )
    unjudged = told(ends("f", 0.1, None, 0.5, False))["wrong"]
    assert unjudged.sentence.endswith("Whether it was right before fine-tuning is not known.")
    assert found["right"].sentence.endswith("It was right before fine-tuning too.")


def test_nothing_where_no_wrong_answer_is_trusted_more() -> None:
    assert told(ends("a", 0.5, True, 0.2, False), ends("b", 0.5, True, 0.9, True)) == {}
    assert told() == {}


@pytest.mark.parametrize("order", [1, -1])
def test_ties_go_by_item_id(order: int) -> None:
    pairs = [ends(name, 0.25, True, 0.5, False) for name in ("b", "a", "c")][::order]
    assert told(*pairs)["turned wrong"].after.item_id == "a"


def test_a_move_that_nobody_reads_does_not_count() -> None:
    """53.1 % and 53.4 % are both told as 53 %, so are 0 % and 1 %."""
    assert told(ends("a", 0.531, True, 0.534, False), ends("b", 0.01, True, 0.0, True)) == {}
    assert list(told(ends("a", 0.534, True, 0.535, False))) == ["turned wrong"]


def test_answers_that_are_told_nothing_at_one_end_are_left_out() -> None:
    lacking = [
        ends("e", None, True, 0.99, False),
        ends("f", 0.01, True, None, False),
        ends("g", 0.01, True, 0.99, None),
        [line("h", "selected", 0.99, False)],
        [line("i", "before", 0.1, True, output=None), line("i", "selected", 0.9, False)],
    ]
    one = told(*lacking, RIGHT_TO_WRONG)["turned wrong"]
    assert (one.after.item_id, one.n, one.of) == ("a", 1, 2)
    assert one.sentence.endswith("1 of 2 test answers, this one.")


def test_one_checkpoint_alone_and_epoch_1() -> None:
    alone = [pair[0] for pair in (RIGHT_TO_WRONG, STAYS_WRONG)]
    assert (list(shifts(alone)), later(alone)) == ([], alone)
    runs = [line("a", "epoch_1", 0.1, True), line("a", "last", 0.8, False)]
    (one,) = shifts(runs)
    assert one.sentence.startswith("Right at epoch 1, wrong at the last checkpoint,")
    assert later(runs) == runs[1:]
    assert at("epoch_1") == "at epoch 1"


def test_of_the_first_run_by_brute_force(analysis: Analysis) -> None:
    (act,) = answers(analysis)
    own = [a for a in analysis.rows("alerts") if a.seed == 0]
    both = list(zip(own[::2], own[1::2], strict=True))
    assert all((b.item_id, b.checkpoint, a.checkpoint) == (a.item_id, "before", "selected") for b, a in both)
    both = [(b, a) for b, a in both if b.chance is not None and a.chance is not None]
    rises = [(a.chance - b.chance, a.item_id) for b, a in both if not a.correct]
    falls = [(b.chance - a.chance, a.item_id) for b, a in both if a.correct]
    worse, better = act.shifts
    for one, moves in ((worse, rises), (better, falls)):
        assert one.after.item_id == min(moves, key=lambda move: (-move[0], move[1]))[1]
        assert one.of == len(both) > 60
        assert 1 < one.n <= sum(move > 0 for move, _ in moves)
    # No answer that turned wrong has a higher chance at both ends.
    assert not any(b.correct and not a.correct and a.chance > b.chance for b, a in both)
    assert [worse.kind, better.kind] == ["wrong", "right"]


def test_texts_on_cards_are_escaped(analysis: Analysis) -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=y>"
    alerts = tuple(
        a._replace(output=hostile, input=hostile, references=(hostile,), item_id=f"{hostile}{a.item_id}")
        for a in analysis.rows("alerts")
    )
    html = page(with_rows(analysis, alerts=alerts))
    assert html.count("&lt;script&gt;") >= 12
    assert "<script" not in html
    assert "<img src=x" not in html


def test_long_and_empty_outputs(analysis: Analysis) -> None:
    long = with_rows(analysis, alerts=tuple(a._replace(output="x" * 700) for a in analysis.rows("alerts")))
    assert f"<summary>the rest</summary>{'x' * 100}</details>" in page(long)
    empty = with_rows(analysis, alerts=tuple(a._replace(output="") for a in analysis.rows("alerts")))
    assert '<blockquote dir="auto">(empty)</blockquote>' in page(empty)


def test_no_cards_without_an_earlier_chance(analysis: Analysis) -> None:
    bare = tuple(a._replace(chance=None) if a.checkpoint == "before" else a for a in analysis.rows("alerts"))
    html = page(with_rows(analysis, alerts=bare))
    assert "Figure 1" not in html
    assert "✗ wrong" in html


def test_terminal_warns_of_a_score_that_is_not_shown(analysis: Analysis) -> None:
    low = tuple(row._replace(auroc_ci_low=0.4) for row in analysis.rows("downstream"))
    text = " ".join(printed(with_rows(analysis, downstream=low)).split())
    assert "Not shown: sharp looks best on validation, but is not shown to beat chance on test" in text
    assert "after (wrong). Do not act on such percentages: sharp is not shown to tell right from wrong." in text
    assert "Do not act" not in printed(analysis)


def test_terminal_names_a_seed_only_where_there_are_several_and_checkpoints_that_are_not_before() -> None:
    alone = analyse(labelled(seeds=(0,), epochs=(1, 2), chosen=9), resamples=100)
    text = " ".join(printed(alone).split())
    assert re.search(
        r"item test-\d+, told \d+ % at epoch 1 \(right\), \d+ % at the last checkpoint \(wrong\)\.", text
    )

    assert re.search(r"0\.5 is chance\)\. At epoch 1: 0\.\d{3}, change", text)
    assert "Before:" not in text


def test_terminal_says_of_which_items_a_change_is() -> None:
    """The AUROC after fine-tuning is of all judged answers; before it a third is not judged."""
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    known = [None if e == 0 and i % 3 == 0 else c for i, (c, e) in enumerate(zip(records.correct, records.epoch))]
    analysis = analyse(with_correct(records, known), resamples=100)
    best = next(one for one in answers(analysis)[0].scores if one.score == "sharp")
    after = next(row.auroc for row in analysis.rows("downstream") if (row.score, row.epoch) == ("sharp", 1))
    text = " ".join(printed(analysis).split())
    assert f"(AUROC {after:.3f} [" in text
    assert f"Before: {best.before:.3f}, change −{-best.change:.3f} [" in text
    assert f"] to {best.before + best.change:.3f} (on the 80 items judged and scored at both)." in text
    assert f"{after:.3f}" != f"{best.before + best.change:.3f}"


@pytest.mark.parametrize(("unjudged", "said"), [(0, "Yes, by sharp: "), (1, "Not shown: sharp looks best")])
def test_a_checkpoint_whose_test_answers_are_not_judged(unjudged: int, said: str) -> None:
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    hidden = (records.split == "test") & (records.epoch == unjudged)
    analysis = analyse(
        with_correct(records, [None if h else c for h, c in zip(hidden, records.correct)]), resamples=100
    )
    text = " ".join(printed(analysis).split())
    assert f"can a person act on it? {said}" in text
    assert "Before:" not in text
    review = " ".join(answers(analysis)[0].review)
    assert "nan" not in review
    assert ("No test answer is judged to show what comes of it." in review) == (unjudged == 1)


def test_terminal_says_why_there_are_no_percentages() -> None:
    text = " ".join(printed(analyse(labelled(seeds=(0,), validation=10), resamples=100)).split())
    assert "There are no percentages (10 validation items: a map needs 20)." in text
    assert "told" not in text


def test_terminal_without_validation_has_a_table() -> None:
    analysis = analyse(labelled(seeds=(0,), validation=0), resamples=100)
    text = printed(analysis)
    for row in [r for r in analysis.rows("downstream_change") if r.from_ == "before"]:
        (found,) = [
            one.split() for one in text.splitlines() if one.split()[:2] == [row.score, f"{row.auroc_from:.3f}"]
        ]
        assert found[2] == f"{row.auroc_to:.3f}"
        assert found[3] == f"{row.mean:+.3f}".replace("-", "−")
    assert "AUROC before" in text
    assert "There is an estimated" not in text


def test_terminal_table_has_five_scores_at_most() -> None:
    records = labelled(seeds=(0,), validation=0, epochs=(0,), chosen=9)
    scores = {f"s{i}": records.scores["sharp"] for i in range(7)}
    text = printed(analyse(replace(records, scores=scores), resamples=100), width=80)
    assert [
        line.split()[0] for line in text.splitlines() if re.match(r"s\d +0\.\d\d \[0\.\d\d, [01]\.\d\d\] *$", line)
    ] == [f"s{i}" for i in range(5)]
    assert "2 more scores in the report." in text


def test_terminal_falls_back_to_a_typical_wrong_answer() -> None:
    analysis = analyse(labelled(seeds=(0,), epochs=(0,), chosen=9), resamples=100)
    text = " ".join(printed(analysis).split())
    wrong = answers(analysis)[0].alerts[1]
    said = wrong.alert.removeprefix("There is an estimated ").partition(" %")[0]
    assert f"An answer in the middle of the wrong ones: item {wrong.item_id}, told {said} %." in text
    row = analysis.rows("downstream")[0]
    ends = f"[{row.auroc_ci_low:.3f}, {row.auroc_ci_high:.3f}]"
    assert f"(AUROC {row.auroc:.3f} {ends} before fine-tuning; 0.5 is chance)" in text


def test_terminal_is_silent_without_labels_and_with_one_class() -> None:
    records = labelled(seeds=(0,), epochs=(0, 1), chosen=1)
    for correct in (None, True):
        plain = analyse(with_correct(records, [correct] * len(records)), resamples=100)
        assert "can a person act" not in printed(plain)


def test_terminal_is_not_steered_by_names_and_needs_no_unicode(analysis: Analysis) -> None:
    alerts = tuple(a._replace(item_id=f"\x1b[31m{a.item_id}") for a in analysis.rows("alerts"))
    assert "\x1b" not in printed(with_rows(analysis, alerts=alerts))
    text = printed(analysis, width=80, encoding="ascii")
    assert "Trusted more, and wrong: item test-" in text
    assert text.count("?") == text.count("act on it?")
    assert all(len(line) <= 80 for line in text.splitlines())


def test_terminal_leaves_out_settings_without_a_comparison() -> None:
    """Such as those with another number of training items, of which the last checkpoint alone is measured."""
    alone = labelled(seeds=(0,), epochs=(3,), chosen=9, model="alone")
    assert "alone on toy" in printed(analyse(alone, resamples=100))
    text = printed(analyse(together(labelled(seeds=(0,)), alone), resamples=100))
    assert "tiny on toy: can a person act on it?" in text
    assert "alone on toy:" not in text


# Signatures of judges.


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("rule", "the rule (nearest answer, similarity of at least 0.5)"),
        (
            "rule:0",
            "the rule (nearest answer, however far: one word in common is enough, which is no measure of truth)",
        ),
        ("token_f1", "token F1 of at least 1"),
        ("token_f1:0.5", "token F1 of at least 0.5"),
        ("chrf_plus:25", "chrF+ of at least 25"),
        ("anthropic:some-model", "anthropic:some-model (the paper’s prompt)"),
        ("openai:org/model@https://host:1/v1", "openai:org/model (the paper’s prompt)"),
    ],
)
def test_our_judges(spec: str, words: str) -> None:
    text = judge_from(spec).signature()
    assert judge_words(text) == words


def test_every_quality_metric_has_words() -> None:
    for name, metric in QUALITY.items():
        text = judge_from(name).signature()
        assert judge_words(text).endswith(f" of at least {metric.range[1]:g}")
        assert "|" not in judge_words(text)


def test_a_local_model() -> None:
    text = signature("local", model="models/a and b", weights="abc", decoding="greedy")
    assert judge_words(text) == "local model models/a and b (the paper’s prompt)"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mine",
        "rule",
        "local|weights:1",
        "a|threshold:1 and b",
        "metric|threshold:1",
        "metric|quality:|threshold:1",
    ],
)
def test_others_stay_as_they_are(text: str) -> None:
    assert judge_words(text) == text


def test_several() -> None:
    rule, metric = (judge_from(spec).signature() for spec in ("rule", "token_f1"))
    both = "the rule (nearest answer, similarity of at least 0.5) and token F1 of at least 1"
    assert judge_words(f"{rule} and {metric}") == both
    older = rule.replace("version:", "version:0.0.")
    assert judge_words(f"{rule} and {older}") == judge_words(rule)
