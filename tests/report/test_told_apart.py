"""The answer to "Can a person act on it?", and what it says of the choice of the score."""

from __future__ import annotations

from math import nan

import pytest

from aftertune.analysis.schema import CHOSEN, DOWNSTREAM, Row
from aftertune.report.told_apart import told_apart

CHOSEN = CHOSEN.row(
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
)
AFTER = CHOSEN._replace(epoch=3, checkpoint="selected", auroc=0.76, low=0.61, high=0.86, n_correct=40)


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
    found = told_apart([CHOSEN, AFTER], [before, other, measured(0.819, 0.75, 0.88)])
    assert (found.score, found.shown, found.doubt) == ("s", True, "")
    assert found.answer == (
        "Yes, by s: in 82 of 100 pairs of a right and a wrong answer the right one is the more confident (AUROC "
        f"0.819 [0.750, 0.880] {VALUE}"
    )
    assert found.choice == (
        "It was chosen from 13 scores; on 60 validation items its AUROC is 0.700 [0.550, 0.810] before "
        "fine-tuning (30 right, 30 wrong), 0.760 [0.610, 0.860] at the selected checkpoint (40 right, 20 wrong)."
    )


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
    found = told_apart([CHOSEN, AFTER._replace(low=validation)], [measured(0.45, *ends)])
    assert found.answer == f"{said} (AUROC 0.450 [{ends[0]:.3f}, {ends[1]:.3f}] {VALUE}"
    assert (found.shown, found.doubt) == (False, "s is not shown to tell right from wrong")


def test_test_answers_of_one_class() -> None:
    found = told_apart([CHOSEN, AFTER], [measured(nan, nan, nan)])
    assert not found.shown
    assert found.answer.endswith("but on test its AUROC is undefined at the selected checkpoint.")


def test_several_runs_must_all_show_it() -> None:
    chosen = [CHOSEN, AFTER, CHOSEN._replace(seed=1), AFTER._replace(seed=1)]
    first, second = measured(0.8, 0.7, 0.9), measured(0.7, 0.6, 0.8, seed=1)
    both = told_apart(chosen, [first, second])
    value = "(mean AUROC 0.750 at the selected checkpoint of 2 training runs, its interval above 0.5 in"
    assert both.shown
    assert (
        f"in 75 of 100 pairs of a right and a wrong answer the right one is the more confident {value} all"
        in both.answer
    )
    assert both.choice.startswith(
        "It was chosen from 13 scores over 2 training runs; on 60 validation items of seed 0 its AUROC is 0.700"
    )
    one = told_apart(chosen, [first, second._replace(auroc_ci_low=0.5)])
    assert not one.shown
    assert f"{value} 1 of them; 0.5 is chance)." in one.answer


@pytest.mark.parametrize(("auroc", "pairs"), [(0.996, 99), (1.0, 100), (0.984, 98)])
def test_100_of_100_pairs_are_all(auroc: float, pairs: int) -> None:
    found = told_apart([CHOSEN, AFTER], [measured(auroc, 0.9, 1.0)])
    assert f"in {pairs} of 100 pairs" in found.answer


def test_one_validation_item() -> None:
    bare = {"n_validation": 1, "n_correct": 1, "auroc": nan, "low": nan, "high": nan}
    chosen = [*(one._replace(**bare) for one in (CHOSEN, AFTER)), CHOSEN._replace(seed=1), AFTER._replace(seed=1)]
    assert "on 1 validation item of seed 0 its AUROC is – before" in told_apart(chosen, []).choice


def test_runs_without_an_auroc_are_said() -> None:
    chosen = [one._replace(seed=seed) for seed in (0, 1, 2) for one in (CHOSEN, AFTER)]
    rows = [measured(0.8, 0.7, 0.9), measured(nan, nan, nan, seed=1), measured(0.7, 0.6, 0.8, seed=2)]
    found = told_apart(chosen, rows)
    assert not found.shown
    assert found.answer.endswith(
        "(mean AUROC 0.750 at the selected checkpoint of 3 training runs, undefined in 1, its interval above 0.5 "
        "in 2 of them; 0.5 is chance)."
    )


def test_few_of_a_kind_and_other_scores_make_the_choice_unsure() -> None:
    row = [measured(0.8, 0.7, 0.9)]
    few = " With so few wrong answers another sample may choose another score."
    assert told_apart([CHOSEN, AFTER._replace(n_correct=52)], row).choice.endswith(f"(52 right, 8 wrong).{few}")
    assert told_apart([CHOSEN, AFTER._replace(n_correct=7)], row).choice.endswith(few.replace("wrong", "right"))
    alone = told_apart([one._replace(n_scores=1, n_correct=52) for one in (CHOSEN, AFTER)], row).choice
    assert alone.startswith("It is the only score; on 60 validation items its AUROC is 0.700")
    assert "another sample" not in alone


def test_a_checkpoint_without_validation_is_left_out_of_the_choice() -> None:
    bare = CHOSEN._replace(n_validation=0, n_correct=0, auroc=nan, low=nan, high=nan)
    found = told_apart([bare, AFTER], [measured(0.8, 0.7, 0.9)])
    assert "before fine-tuning" not in found.choice
    assert "on 60 validation items" in found.choice
    one_class = CHOSEN._replace(n_correct=0, auroc=nan, low=nan, high=nan)
    assert "– before fine-tuning (0 right, 60 wrong)" in told_apart([one_class, AFTER], []).choice


def test_nothing_was_chosen() -> None:
    found = told_apart([], [measured(0.8, 0.7, 0.9)])
    assert found.answer.startswith("Not answered: to choose a score before looking at test answers")
    assert (found.score, found.shown, found.choice, found.doubt) == ("", False, "", "")
