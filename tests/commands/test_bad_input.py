"""What users' records may hold, end to end: an error that says where, or an undefined value with its reason."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aftertune.analysis.analyse import analyse
from aftertune.cli.main import main
from aftertune.errors import InputError
from aftertune.records.records import to_jsonl, write_records
from aftertune.types import Records
from record_samples import change, rho, study, together


@pytest.fixture
def analyze(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], tuple[int, str]]:
    def call(path: Path) -> tuple[int, str]:
        code = main(["analyze", str(path), "--out", str(tmp_path / "out"), "--resamples", "200", "--verbose"])
        said = capsys.readouterr()
        return code, said.out + said.err

    return call


def small() -> Records:
    return study(n=30, seeds=1, epochs=(0, 1, 2))


def lines(records: Records, path: Path, spoil: Callable[[list[dict]], None]) -> Path:
    """As JSONL, with rows changed by hand, and numbers that are no JSON as Python writes them."""
    to_jsonl(records, path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    spoil(rows)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan, "inf", "NaN"])
@pytest.mark.parametrize("field", ["quality", "score"])
def test_infinities_and_nan_in_jsonl_are_refused_with_their_line(
    tmp_path: Path, analyze, field: str, value: object
) -> None:
    def spoil(rows: list[dict]) -> None:
        target = rows[4] if field == "quality" else rows[4]["scores"]
        target["quality" if field == "quality" else "up"] = value

    code, said = analyze(lines(small(), tmp_path / "r.jsonl", spoil))
    assert code == 2
    assert "r.jsonl, line 5: " in said
    assert "null" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("field", ["quality", "score"])
def test_infinities_in_parquet_are_refused_with_their_row(tmp_path: Path, analyze, field: str) -> None:
    write_records(small(), tmp_path / "r.parquet")
    table = pq.read_table(tmp_path / "r.parquet")
    rows = table.to_pylist()
    (rows[6] if field == "quality" else rows[6]["scores"])["quality" if field == "quality" else "down"] = math.inf
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), tmp_path / "r.parquet")
    code, said = analyze(tmp_path / "r.parquet")
    assert code == 2
    assert "r.parquet: row 7: " in said
    assert "infinite" in said
    assert not (tmp_path / "out").exists()


def test_infinities_in_memory_are_refused_by_item() -> None:
    for name in ("quality", "up"):
        records = small()
        (records.quality if name == "quality" else records.scores[name])[33] = -math.inf
        with pytest.raises(InputError, match=f"seed 0, epoch 1: {name} of item 'item-3' is infinite"):
            analyse(records)


def test_null_is_an_undefined_value_and_is_counted(tmp_path: Path, analyze) -> None:
    def spoil(rows: list[dict]) -> None:
        rows[4]["quality"] = None
        rows[5]["scores"]["up"] = None

    code, said = analyze(lines(small(), tmp_path / "r.jsonl", spoil))
    assert code == 0
    assert "up to 2 of 30 for up, up to 1 of 30 for down" in " ".join(said.split())
    header, *rows = (tmp_path / "out" / "tables" / "correlation.csv").read_text().splitlines()
    at = header.split(",").index("n")
    counts = {(r.split(",")[4], r.split(",")[6]): r.split(",")[at] for r in rows}
    assert (counts["0", "up"], counts["0", "down"], counts["1", "up"]) == ("28", "29", "30")


@pytest.mark.parametrize("n", [1, 2])
def test_one_item_is_refused(tmp_path: Path, analyze, n: int) -> None:
    to_jsonl(study(n=n, seeds=1), tmp_path / "r.jsonl")
    code, said = analyze(tmp_path / "r.jsonl")
    assert code == 2
    assert f"model 'tiny', task 'toy': {n} test item" in said


def test_one_item_in_memory_is_undefined() -> None:
    analysis = analyse(study(n=1, seeds=2), resamples=20)
    assert {row.status for row in analysis.rows("correlation")} == {"fewer than 3 items (1): no correlation"}
    assert all(row.status.startswith("fewer than 3 items (1)") for row in analysis.rows("change"))
    assert all(math.isnan(row.mean) for row in (*analysis.rows("change"), *analysis.rows("epoch_fall")))


@pytest.mark.parametrize("what", ["quality", "scores"])
def test_all_ties_everywhere(tmp_path: Path, analyze, what: str) -> None:
    records = study(n=30)
    if what == "quality":
        records.quality[:] = 0.25
    else:
        records = replace(records, scores={name: np.full(len(records), -1.5) for name in records.scores})
    records = together(*(replace(records, setting=np.full(len(records), n, dtype=object)) for n in ("n=5", "n=9")))
    analysis = analyse(records, resamples=50, permutation=True)
    reason = "quality is constant" if what == "quality" else "confidence is constant"
    assert all(row.status == f"{reason}: no correlation" for row in analysis.rows("correlation"))
    for row in analysis.rows("change"):
        assert row.status.startswith(f"{reason}")
        assert row.usable == ""
        numbers = (row.mean, row.sd, row.ci_low, row.ci_high, row.p_anova, row.p_anova_holm)
        assert np.isnan([*numbers, row.p_change, row.p_beyond_margin, row.p_permutation]).all()
    assert all(np.isnan([r.mean, r.sd, r.worst]).all() for r in analysis.rows("epoch_fall"))
    assert all(np.isnan([r.f, r.p_anova, r.p_anova_holm]).all() for r in analysis.rows("sample_size"))
    assert len(analysis.rows("sample_size")) == 2
    write_records(records, tmp_path / "r.parquet")
    code, said = analyze(tmp_path / "r.parquet")
    assert code == 0
    assert "constant" in said


def test_one_seed(tmp_path: Path, analyze) -> None:
    records = study(seeds=1)
    analysis = analyse(records, resamples=50)
    assert {(row.ci_scope, row.n_seeds) for row in analysis.rows("change")} == {("models", 1)}
    assert all(math.isnan(row.sd) for row in (*analysis.rows("change"), *analysis.rows("epoch_fall")))
    assert all(math.isfinite(row.mean) for row in (*analysis.rows("change"), *analysis.rows("epoch_fall")))
    to_jsonl(records, tmp_path / "r.jsonl")
    assert analyze(tmp_path / "r.jsonl")[0] == 0


def test_missing_epochs(tmp_path: Path, analyze) -> None:
    records = study(epochs=(0, 2, 3, 5), chosen=3)
    analysis = analyse(records, resamples=50)
    assert {(row.from_, row.to) for row in analysis.rows("change")} == {("before", "selected"), ("before", "last")}
    falls = [rho(records, "down", s, 3) - rho(records, "down", s, 2) for s in range(3)]
    assert analysis.rows("epoch_fall")[1].mean == pytest.approx(np.mean(falls))
    without_before = records.take(records.epoch > 0)
    assert analyse(without_before, resamples=50).rows("change") == ()
    to_jsonl(without_before, tmp_path / "r.jsonl")
    assert analyze(tmp_path / "r.jsonl")[0] == 0


def test_items_that_are_absent_at_a_checkpoint(tmp_path: Path, analyze) -> None:
    """Pairing uses the intersection, whichever end lacks the item, and a note says how many that drops."""
    records = study()
    gone = (records.epoch == 0) & np.isin(records.item_id, ["item-1", "item-2"])
    gone |= (records.epoch == 2) & (records.seed == 1) & (records.item_id == "item-5")
    records = records.take(~gone)
    analysis = analyse(records, resamples=50, permutation=True)
    kept = {f"item-{i}" for i in range(60)} - {"item-1", "item-2", "item-5"}
    row = change(analysis, score="up", from_="before", to="selected")
    assert row.n_items == 57
    assert row.mean == pytest.approx(
        np.mean([rho(records, "up", s, 2, kept) - rho(records, "up", s, 0, kept) for s in range(3)])
    )
    note = (
        "tiny / toy: items that lack quality or the score at a checkpoint are left out of what is computed there: "
        "up to 3 of 60 for every score"
    )
    assert note in analysis.notes
    to_jsonl(records, tmp_path / "r.jsonl")
    code, said = analyze(tmp_path / "r.jsonl")
    assert code == 0
    assert "up to 3 of 60 for every score" in " ".join(said.split())


def test_checkpoints_without_a_common_item() -> None:
    records = study(seeds=2, epochs=(0, 1))
    even = np.array([int(item.removeprefix("item-")) % 2 == 0 for item in records.item_id])
    records = records.take(even == (records.epoch == 0))
    with pytest.raises(InputError, match="before and last have no item in common"):
        analyse(records, resamples=50)
    analysis = analyse(records, resamples=50, permutation=True, allow_other_items=True)
    assert {row.n for row in analysis.rows("correlation")} == {30}
    assert {row.status for row in analysis.rows("change")} == {
        "no item_id has quality and this score at every checkpoint compared"
    }
