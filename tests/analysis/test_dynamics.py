"""Quadrants, direction, pairs and case 1 from records: the hand-made items, invariances, bad input."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest

from aftertune.analysis.analyse import analyse
from aftertune.analysis.schema import Analysis, Row
from aftertune.records.records import to_jsonl
from aftertune.report.tables import cell
from aftertune.types import Records
from eight_items import (
    CONFIDENCE,
    IDS,
    MEAN_DIRECTION,
    OUTPUT,
    PAIRS,
    QUADRANTS,
    QUALITY,
)
from record_samples import checkpoint, study, together

SHARES = ("concordant", "overconfident", "underconfident", "tied")
CELLS = ("n_correlated", "stays", "case1", "both_flip", "case2", "n_tied")


def eight(*, seeds: tuple[int, ...] = (0,), chosen: int = -1, **names: str) -> Records:
    """The eight items at epochs 1, 2 and 3, the same in each training run."""
    return together(
        *(
            checkpoint(
                QUALITY[epoch],
                {"s": CONFIDENCE[epoch]},
                seed=seed,
                epoch=epoch,
                selected=epoch == chosen,
                ids=IDS,
                output=OUTPUT[epoch],
                **names,
            )
            for seed in seeds
            for epoch in (1, 2, 3)
        )
    )


def item_level(analysis: Analysis) -> str:
    """All of the item level that depends on signs and orders alone; NaN equals NaN."""
    return repr(
        (
            analysis.rows("quadrants"),
            analysis.rows("direction"),
            analysis.rows("pairs"),
            analysis.rows("case1_unchanged"),
        )
    )


def shares(row: Row) -> list[float]:
    return [getattr(row, name) for name in SHARES]


@pytest.mark.parametrize("seeds", [(0,), (0, 1)])
def test_eight_items_by_hand(seeds: tuple[int, ...]) -> None:
    analysis = analyse(eight(seeds=seeds, chosen=2), resamples=20)
    rows = {(row.from_, row.to): row for row in analysis.rows("quadrants")}
    epochs = {("epoch_1", "selected"): (1, 2), ("epoch_1", "last"): (1, 3)}
    assert list(rows) == list(epochs)
    for pair, row in rows.items():
        wanted = QUADRANTS[epochs[pair]]
        assert (row.n, row.n_seeds) == (8, len(seeds))
        assert shares(row) == [wanted[name] / 8 for name in SHARES]
    (row,) = analysis.rows("direction")
    assert (row.n, row.n_transitions) == (16 * len(seeds), 2 * len(seeds))
    for name in ("confidence_not_increased", "increased_quality_not_improved", "both_increased"):
        assert getattr(row, name) == MEAN_DIRECTION[name]
    steps = [(seed, t, t + 1) for seed in seeds for t in (1, 2)]
    assert [(row.seed, row.from_epoch, row.to_epoch) for row in analysis.rows("pairs")] == steps
    assert [(row.seed, row.from_epoch, row.to_epoch) for row in analysis.rows("case1_unchanged")] == steps
    for (_, t, to), pair, case1 in zip(steps, analysis.rows("pairs"), analysis.rows("case1_unchanged")):
        wanted = PAIRS[t, to]
        assert [getattr(pair, name) for name in CELLS] == [wanted[name] for name in CELLS]
        assert case1.n_case1 == wanted["case1"]
        assert case1.output_unchanged == wanted["output_unchanged"]
        assert case1.quality_unchanged == wanted["quality_unchanged"]


def test_shares_are_means_over_the_runs_on_items_of_all() -> None:
    """Seed 1 lacks item D at epoch 3: both runs are counted without it. Seed 2 has no epoch 1 at all."""
    records = eight(seeds=(0, 1, 2))
    records = records.take(~((records.seed == 1) & (records.epoch == 3) & (records.item_id == "D")))
    records = records.take(~((records.seed == 2) & (records.epoch == 1)))
    swapped = (records.seed == 1) & (records.epoch == 3) & (records.item_id == "A")
    records.scores["s"][swapped] = 9.0  # A rises in both: 8 − D = 7 items, under-confident in seed 0 alone
    analysis = analyse(records, resamples=20)
    (row,) = analysis.rows("quadrants")
    assert (row.from_, row.to, row.n, row.n_seeds) == ("epoch_1", "last", 7, 2)
    assert shares(row) == pytest.approx([1 - 1 / 14, 0, 1 / 14, 2 / 7])
    assert any("seed 2 has no epoch_1 checkpoint: left out of epoch_1 → last" in note for note in analysis.notes)
    assert any("up to 1 of 8 for every score" in note for note in analysis.notes)
    steps = [(row.seed, row.from_epoch, row.to_epoch) for row in analysis.rows("pairs")]
    assert steps == [(0, 1, 2), (0, 2, 3), (1, 1, 2), (1, 2, 3), (2, 2, 3)]


def test_an_epoch_that_one_run_lacks() -> None:
    records = eight(seeds=(0, 1))
    analysis = analyse(records.take(~((records.seed == 1) & (records.epoch == 2))), resamples=20)
    assert [(row.seed, row.from_epoch, row.to_epoch) for row in analysis.rows("pairs")] == [
        (0, 1, 2),
        (0, 2, 3),
        (1, 1, 3),
    ]
    (row,) = analysis.rows("direction")
    assert (row.n_transitions, row.n) == (2, 16)  # those of seed 0
    assert row.both_increased == MEAN_DIRECTION["both_increased"]


def test_before_fine_tuning_is_a_checkpoint_of_pairs_but_not_of_direction() -> None:
    records = study(n=20, seeds=1, epochs=(0, 0.5, 1, 2))
    analysis = analyse(records, resamples=20)
    steps = [(row.from_epoch, row.to_epoch) for row in analysis.rows("pairs") if row.score == "up"]
    assert steps == [(0, 0.5), (0.5, 1), (1, 2)]
    assert [(row.score, row.n_transitions, row.n) for row in analysis.rows("direction")] == [
        ("up", 1, 20),
        ("down", 1, 20),
    ]


def test_one_checkpoint_has_no_rows() -> None:
    analysis = analyse(study(n=20, seeds=2, epochs=(1,), chosen=1), resamples=20)
    assert (
        analysis.rows("quadrants"),
        analysis.rows("direction"),
        analysis.rows("pairs"),
        analysis.rows("case1_unchanged"),
    ) == ((), (), (), ())
    assert analysis.rows("moved_items") == ()


def test_order_and_increasing_transforms_do_not_matter() -> None:
    records = study(n=40, seeds=2)
    expected = item_level(analyse(records, resamples=20))
    shuffled = records.take(np.random.default_rng(0).permutation(len(records)))
    assert item_level(analyse(shuffled, resamples=20)) == expected
    for transform in (lambda c: c + 1000.0, np.exp, lambda c: 3 * c, np.cbrt):
        scores = {name: transform(values) for name, values in records.scores.items()}
        assert item_level(analyse(replace(records, scores=scores), resamples=20)) == expected
    turned = replace(records, scores={name: -values for name, values in records.scores.items()})
    for row, other in zip(
        analyse(records, resamples=20).rows("quadrants"), analyse(turned, resamples=20).rows("quadrants")
    ):
        (both, over, under, _), (both_turned, *_) = shares(row), shares(other)
        assert both_turned == pytest.approx(1 - both)  # nothing is tied: what was concordant no longer is
        assert over + under + both == pytest.approx(1)


def test_outputs_that_are_missing_or_all_equal() -> None:
    records = eight()
    records.output[(records.epoch == 2) & (records.item_id == "E")] = None
    assert [row.output_unchanged for row in analyse(records, resamples=20).rows("case1_unchanged")] == [None, None]
    records.quality[records.item_id == "E"] = np.nan  # then the item is not used, and its output not missed
    assert None not in [row.output_unchanged for row in analyse(records, resamples=20).rows("case1_unchanged")]
    equal = replace(eight(), output=np.full(24, "same", dtype=object))
    for row in analyse(equal, resamples=20).rows("case1_unchanged"):
        assert row.n_case1 == PAIRS[row.from_epoch, row.to_epoch]["case1"]
        # Every case 1 pair has an item whose confidence moved the wrong way, and no output changed.
        assert row.output_unchanged == row.n_case1


def test_constant_quality() -> None:
    records = eight()
    records.quality[:] = 1.0
    analysis = analyse(records, resamples=20)
    (row,) = analysis.rows("quadrants")
    assert shares(row) == [1, 0, 0, 1]
    assert analysis.rows("direction")[0].both_increased == 0
    assert {getattr(row, name) for row in analysis.rows("pairs") for name in CELLS} == {0}
    assert analysis.rows("moved_items") == ()


def test_a_score_that_no_item_has_is_undefined_not_0() -> None:
    records = eight()
    records.scores["s"][:] = np.nan
    analysis = analyse(records, resamples=20)
    (row,) = analysis.rows("quadrants")
    assert row.n == 0
    assert all(isnan(value) for value in shares(row))
    (row,) = analysis.rows("direction")
    assert (row.n, row.n_transitions) == (0, 0)
    assert isnan(row.confidence_not_increased)
    assert all(row.n_correlated == 0 for row in analysis.rows("pairs"))
    assert any("all 8 for every score" in note for note in analysis.notes)


def test_one_item() -> None:
    records = eight()
    analysis = analyse(records.take(records.item_id == "D"), resamples=20)
    (row,) = analysis.rows("quadrants")
    assert (row.n, *shares(row)) == (1, 0, 1, 0, 0)
    assert [row.n_correlated for row in analysis.rows("pairs")] == [0, 0]
    assert [item.item_id for item in analysis.rows("moved_items")] == []  # a single item has no rank to move in


def test_items_at_one_checkpoint_only_are_left_out_with_a_note() -> None:
    records = eight()
    analysis = analyse(
        records.take((records.epoch != 3) | np.isin(records.item_id, ["A", "B", "C"])), resamples=20
    )
    (row,) = analysis.rows("quadrants")
    assert (row.n, *shares(row)) == pytest.approx((3, 2 / 3, 0, 1 / 3, 0))
    assert any("up to 5 of 8 for every score" in note for note in analysis.notes)


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_foreign_records_through_the_command_without_torch(tmp_path: Path) -> None:
    """Two tasks, of the eight items each, so that there are items enough to analyse; rows of one are compared."""
    to_jsonl(together(eight(task="one"), study(n=20, seeds=1, task="two")), tmp_path / "r.jsonl")
    code = (
        "import sys; from aftertune.cli.main import main; "
        f"code = main(['analyze', {str(tmp_path / 'r.jsonl')!r}, '--out', {str(tmp_path / 'out')!r}, "
        "'--resamples', '200']); sys.exit(code or 10 * ('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    tables = tmp_path / "out" / "tables"
    (row,) = [row for row in read(tables / "quadrants.csv") if row["task"] == "one" and row["score"] == "s"]
    wanted = QUADRANTS[1, 3]
    assert [row[name] for name in ("n", *SHARES)] == ["8", *(cell(wanted[name] / 8) for name in SHARES)]
    (row,) = [row for row in read(tables / "direction.csv") if row["task"] == "one" and row["score"] == "s"]
    for name, value in MEAN_DIRECTION.items():
        assert row[{"transitions": "n_transitions"}.get(name, name)] == cell(value)
    for name, columns in (("pairs", CELLS), ("case1_unchanged", ("output_unchanged", "quality_unchanged"))):
        rows = [row for row in read(tables / f"{name}.csv") if row["task"] == "one" and row["score"] == "s"]
        assert [(row["from_epoch"], row["to_epoch"]) for row in rows] == [("1", "2"), ("2", "3")]
        for row in rows:
            wanted = PAIRS[int(row["from_epoch"]), int(row["to_epoch"])]
            assert [row[column] for column in columns] == [str(wanted[column]) for column in columns]
    rows = [row for row in read(tables / "similarity.csv") if row["task"] == "one" and row["score"] == "s"]
    assert [(row["n"], row["spearman"], row["status"]) for row in rows] == [("0", "", "no train_similarity")]
    moved = [json.loads(line) for line in (tables / "moved_items.jsonl").read_text("utf-8").splitlines()]
    assert {item["score"] for item in moved} >= {"s", "up", "down"}


def test_what_no_change_would_give_stands_beside_case_1() -> None:
    analysis = analyse(study(epochs=(0, 1, 2, 3)), resamples=20)
    rows = analysis.rows("pairs")
    for row in rows:
        flipped, untied = row.case1 + row.case2, row.n_correlated - row.n_tied
        assert row.case1_share == row.case1 / untied
        assert row.case1_of_miscorrelated == pytest.approx(row.case1 / flipped)
        assert 0 <= row.case1_null_low < row.case1_null < row.case1_null_high
        assert row.case1_of_miscorrelated_null_low < row.case1_of_miscorrelated_null <= 1
        assert row.null_status == ""
    for mean in analysis.rows("pair_means"):
        own = [row for row in rows if row.score == mean.score and row.from_epoch >= 1]
        assert len(own) == 6
        assert mean.case1_share == pytest.approx(np.mean([row.case1_share for row in own]))
        assert mean.case1_null == pytest.approx(np.mean([row.case1_null for row in own]))
        width = mean.case1_null_high - mean.case1_null_low
        assert 0 < width < max(row.case1_null_high - row.case1_null_low for row in own)


def test_no_null_of_case_1_with_few_items() -> None:
    (row, *_) = analyse(eight(), resamples=20).rows("pairs")
    assert not isnan(row.case1_share)
    assert isnan(row.case1_null)
    assert row.null_status.startswith("no range with fewer than 30 items")
