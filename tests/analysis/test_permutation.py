"""The label-swap test through `analyse`, `aftertune analyze --permutation` and `aftertune report`."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest

import aftertune
from aftertune.analysis.analyse import analyse
from aftertune.cli.main import main
from aftertune.records.records import write_records
from aftertune.seeds import generator
from aftertune.stats.permutation import Checkpoint, swap_test
from drawing import without_drawing
from record_samples import change, study


def test_only_where_asked_for_and_nothing_else_changes() -> None:
    records = study()
    without, with_ = analyse(records, resamples=100), analyse(records, resamples=100, permutation=True)
    assert all(math.isnan(row.p_permutation) for row in without.rows("change"))
    for row in with_.rows("change"):
        # It is about plain rho.
        assert 0 < row.p_permutation <= 1 if row.effect == "spearman" else math.isnan(row.p_permutation)
    bare = [row._replace(p_permutation=math.nan) for row in with_.rows("change")]
    assert repr(bare) == repr(list(without.rows("change")))


def test_is_the_swap_test_of_all_runs_and_stands_in_all_rows() -> None:
    records = study(n=40)
    records.scores["up"][:] += 3 * np.random.default_rng(0).normal(size=len(records))
    records.scores["up"][3] = np.nan
    analysis = analyse(records, resamples=150, seed=4, permutation=True)
    kept = records.item_id != "item-3"
    ends = []
    for seed in range(3):
        pair = [(records.seed == seed) & (records.epoch == epoch) & kept for epoch in (0, 2)]
        order = [np.flatnonzero(rows)[np.argsort(records.item_id[rows])] for rows in pair]
        ends.append(
            tuple(Checkpoint(quality=records.quality[i], confidence=records.scores["up"][i][None]) for i in order)
        )
    (expected,) = swap_test(ends, permutations=150, rng=generator(4, "permutation", 39))
    assert 0.02 < expected < 0.98
    for scope in ("models", "training", "new_run"):
        row = change(analysis, score="up", from_="before", to="selected", ci_scope=scope, effect="spearman")
        assert row.p_permutation == pytest.approx(expected)


def test_undefined_rho_has_no_p() -> None:
    records = study()
    records.quality[records.epoch == 0] = 0.0
    analysis = analyse(records, resamples=50, permutation=True)
    assert math.isnan(change(analysis, score="up", from_="before", to="selected", effect="spearman").p_permutation)
    assert math.isfinite(change(analysis, score="up", from_="epoch_1", to="last", effect="spearman").p_permutation)


def column(folder: Path) -> list[str]:
    with (folder / "tables" / "change.csv").open(newline="") as file:
        return [row["p_permutation"] for row in csv.DictReader(file) if row["effect"] == "spearman"]


def test_command_api_and_redraw(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_drawing(monkeypatch)
    write_records(study(), tmp_path / "r.parquet")
    arguments = ["analyze", str(tmp_path / "r.parquet"), "--resamples", "200"]
    assert main([*arguments, "--out", str(tmp_path / "plain")]) == 0
    assert main([*arguments, "--out", str(tmp_path / "flag"), "--permutation"]) == 0
    assert set(column(tmp_path / "plain")) == {""}
    found = column(tmp_path / "flag")
    assert all(0 < float(p) <= 1 for p in found)
    assert found[::3] == found[1::3] == found[2::3]  # the rows of the three scopes
    (tmp_path / "flag" / "tables" / "change.csv").unlink()
    assert main(["report", str(tmp_path / "flag")]) == 0
    assert column(tmp_path / "flag") == found
    result = aftertune.analyze(tmp_path / "r.parquet", out=tmp_path / "api", resamples=200, permutation=True)
    assert column(result.out) == found
    capsys.readouterr()
