"""Which score is recommended, on which items it was chosen, and what is said of one that is relied on."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from aftertune.analysis.analyse import analyse
from aftertune.errors import InputError
from aftertune.report.recommendation import recommendations
from aftertune.stats.choosing import select_half
from downstream_samples import with_correct
from record_samples import checkpoint, together

STRENGTHS = {"good": 0.9, "good_again": 0.9, "fair": 0.5, "noise": 0.0}


def records(
    n=150, validation=0, *, graded=False, judged=False, seeds=(0,), shift=0.0, after=None, groups=None, before=True
):
    """Four scores; "good_again" orders as "good" does. `shift` moves confidence up after fine-tuning."""
    rng = np.random.default_rng(7)
    parts = []
    for split, size in (("test", n), ("validation", validation)):
        if not size:
            continue
        shared = rng.normal(size=(5, size))
        for seed in seeds:
            for epoch in (0, 1) if before else (1,):
                latent = shared[0] + 0.3 * rng.normal(size=size)
                scores = {}
                for k, (name, strength) in enumerate(STRENGTHS.items()):
                    strength = (after or {}).get(name, strength) if epoch else strength
                    noise = shared[1 + k] + 0.3 * rng.normal(size=size)
                    scores[name] = strength * latent + (1 - strength) * noise + shift * epoch
                scores["good_again"] = np.tanh(scores["good"] / 3)
                quality = 1 / (1 + np.exp(-2 * latent)) if graded or judged else (latent > 0.3).astype(float)
                part = checkpoint(
                    quality,
                    scores,
                    seed=seed,
                    epoch=epoch,
                    selected=epoch == 1,
                    split=split,
                    ids=[f"{split}-{i}" for i in range(size)],
                    extra={} if groups is None else {"group": [f"g{i // groups}" for i in range(size)]},
                )
                parts.append(with_correct(part, (latent > 0.3).tolist()) if judged else part)
    return together(*parts)


def rows(records, **settings):
    return analyse(records, resamples=400, **settings).rows("recommendation")


def test_the_best_usable_score_by_cross_fitting():
    (row,) = rows(records())
    assert (row.role, row.score, row.chosen_on, row.n_choice) == ("recommended", "good", "cross-fitting", 150)
    assert (row.from_, row.to, row.verdict, row.usable) == ("before", "selected", "holds", "yes")
    assert row.concordance_low < row.concordance < row.concordance_high <= 1
    assert row.wrong_found_low < row.wrong_found < row.wrong_found_high
    assert row.wrong_among_reviewed > 1 - row.quality_all
    assert row.quality_all < row.quality_kept <= row.quality_kept_oracle
    assert (row.near_duplicates, row.status, row.graded) == ("good_again", "", False)


def test_chosen_on_half_of_the_validation_items_where_there_are_enough():
    many = records(validation=160)
    (row,) = rows(many)
    half = select_half([f"validation-{i}" for i in range(160)])
    assert (row.chosen_on, row.n_choice, row.score) == ("validation select half", half.sum(), "good")
    (few,) = rows(records(validation=99))
    assert few.chosen_on == "cross-fitting"
    # What is said of it is then plainly that of the test items.
    test = many.take((many.split == "test") & (many.epoch == 1))
    concordance = analyse(test, resamples=400).rows("correlation")[0].concordance
    assert row.concordance == pytest.approx(concordance)


def test_the_choice_on_validation_does_not_look_at_the_other_half_or_at_test_effects():
    many = records(validation=160)
    calibrate = (many.split == "validation") & ~select_half(many.item_id)
    swapped = {name: np.where(calibrate, -values, values) for name, values in many.scores.items()}
    changed = together(many.__class__(**{**_columns(many), "scores": swapped}))
    assert rows(changed) == rows(many) or repr(rows(changed)) == repr(rows(many))


def _columns(records):
    return {name: getattr(records, name) for name in type(records).__dataclass_fields__}


def test_labels_stand_for_quality_where_answers_are_judged():
    (row,) = rows(records(judged=True))
    assert not row.graded
    assert row.quality_all == pytest.approx(rows(records())[0].quality_all)
    (row,) = rows(records(graded=True))
    assert row.graded
    assert math.isnan(row.wrong_found)
    assert row.quality_all < row.quality_kept <= row.quality_kept_oracle


def test_a_score_that_fell_is_not_recommended_where_another_survived():
    found, *_ = rows(records(n=600, after={"good": 0.62, "good_again": 0.62, "fair": 0.56}))
    assert found.score == "fair"
    assert found.verdict in ("holds", "improved")


def test_nothing_usable_says_what_would_settle_it():
    one = records(n=60, after=dict.fromkeys(STRENGTHS, 0.08))
    (row,) = rows(one)
    assert (row.chosen_on != "", math.isnan(row.concordance)) == (True, True)
    assert row.status.startswith("no score is shown to be usable")
    (said,) = recommendations(analyse(one, resamples=400))
    assert said.sentences[0].startswith("No score is shown to be usable")
    if row.items_needed:
        assert row.items_needed > 60


def test_few_items_are_told_so():
    (row,) = rows(records(n=20))
    assert row.status == "too few items to recommend a score (20; 30 are needed)"


def test_a_threshold_that_no_longer_holds():
    relied_on, recommended = rows(records(shift=-0.5), rely_on="good")
    assert (relied_on.role, relied_on.chosen_on, recommended.role) == ("relied on", "named", "recommended")
    assert relied_on.sent_after_low > 0.2
    assert relied_on.wrong_found_old > relied_on.wrong_found_before
    (said,) = recommendations(analyse(records(shift=-0.5), resamples=400, rely_on="good"))
    assert said.sentences[0].startswith("good survived fine-tuning (change ")
    assert said.sentences[1] == "It is usable."
    assert said.sentences[2].startswith("The threshold that sent 20 % to review before sends ")
    assert said.sentences[2].endswith(": set it anew.")
    assert said.sentences[-1] == "It is the recommended one of 4 scores."


def test_another_score_is_named_instead_of_one_that_is_not_usable():
    (said,) = recommendations(analyse(records(), resamples=400, rely_on="noise"))
    assert "It is not shown to be usable." in said.sentences
    (use,) = [one for one in said.sentences if one.startswith("Use ")]
    assert re.fullmatch(r"Use good instead \(\d+ of 100 pairs \[\d+, \d+\]; \d+ % of the wrong answers\)\.", use)
    # What a score is worth is said at length once.
    assert sum("the better answer is the more confident" in one for one in said.sentences) == 1


def test_one_checkpoint_is_enough():
    one = records(before=False)
    (row,) = rows(one)
    assert (row.from_, row.to, row.score, row.verdict, row.usable) == ("", "selected", "good", "", "yes")
    assert math.isnan(row.sent_after)
    (said,) = recommendations(analyse(one, resamples=400))
    assert said.sentences[0] == "Use good."
    assert not any("fine-tuning" in sentence for sentence in said.sentences)


def test_the_sentences_of_the_issue():
    (said,) = recommendations(analyse(records(), resamples=400))
    use, survived, worth, chosen, alike = said.sentences
    assert use == "Use good."
    assert worth.startswith("In ")
    assert " of 100 pairs the better answer is the more confident [" in worth
    assert "; reviewing the least confident 20 % finds " in worth
    assert worth.endswith(" % of the wrong answers.")
    assert survived.startswith("It survived fine-tuning (change ")
    assert chosen.startswith("It was chosen from 4 scores by five folds")
    assert alike == "good_again orders the answers almost the same way."


def test_groups_make_intervals_wider_when_their_items_agree():
    alone, together_ = records(n=150), records(n=150, groups=5)
    assert rows(alone)[0].score == rows(together_)[0].score
    assert rows(together_)[0].concordance_high != rows(alone)[0].concordance_high


def test_several_runs():
    (row,) = rows(records(seeds=(0, 1, 2)))
    assert (row.n_seeds, row.score) == (3, "good")
    assert row.concordance_low < row.concordance < row.concordance_high


def test_the_order_of_the_records_does_not_matter():
    some = records(validation=120)
    turned = some.take(np.random.default_rng(0).permutation(len(some)))
    assert repr(rows(turned)) == repr(rows(some))


def test_an_unknown_score_is_refused_with_those_that_there_are():
    with pytest.raises(InputError, match="no score is called 'bad': rely on one of good, good_again, fair, noise"):
        analyse(records(), rely_on="bad")
