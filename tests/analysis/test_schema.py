"""Tables as data frames: nothing is lost between rows and frames, and the docs say what the schema says."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from aftertune.analysis.schema import ALERTS, CHANGE, EPOCH_FALL, TABLES, Analysis, with_columns

DOCS = Path(__file__).parents[2] / "docs" / "tables.md"


def change(**values):
    row = dict.fromkeys(CHANGE.row._fields, 0.5)
    row |= dict.fromkeys(("model", "task", "setting", "score", "from_", "to"), "x")
    row |= dict.fromkeys(("effect", "ci_scope", "verdict", "usable", "status"), "x")
    row |= dict.fromkeys(("items_needed", "items_needed_low", "items_needed_high"))
    row |= {"n_items": 7, "n_seeds": 2, "simultaneous": False}
    return CHANGE.row(**row | values)


def test_rows_to_a_frame_and_back():
    rows = (change(mean=-0.0), change(simultaneous=True, items_needed=900, sd=math.nan), change(usable=""))
    frame = CHANGE.frame(rows)
    assert list(frame.columns[:6]) == ["model", "task", "setting", "score", "from", "to"]
    assert {name: str(frame[name].dtype) for name in ("n_items", "mean", "simultaneous", "items_needed")} == {
        "n_items": "int64", "mean": "float64", "simultaneous": "bool", "items_needed": "Int64",
    }  # fmt: skip
    again = CHANGE.rows(frame)
    assert repr(again) == repr(rows)
    assert math.copysign(1, again[0].mean) == -1
    assert [type(value) for value in (again[1].simultaneous, again[1].items_needed, again[1].n_items)] == [
        bool,
        int,
        int,
    ]


def test_numbers_that_may_be_missing():
    fall = EPOCH_FALL.row(
        model="m", task="t", setting="s", score="x", n_seeds=1, mean=0.0, sd=0.0, worst=0.0, worst_from_epoch=None
    )
    given = (fall, fall._replace(worst_from_epoch=2.0))
    assert repr(EPOCH_FALL.rows(EPOCH_FALL.frame(given))) == repr(given)


def test_texts_are_kept_as_they_are():
    alert = ALERTS.row(
        model="m", task="t", setting="s", seed=0, epoch=1.0, checkpoint="last", item_id="1", score="x",
        confidence=None, chance=0.5, alert="a", correct=None, input=None, references=("a", "b"),
        output="\ud800 NaN",
    )  # fmt: skip
    assert ALERTS.rows(ALERTS.frame([alert])) == (alert,)


def test_an_analysis_has_every_table():
    analysis = Analysis.of(change=[change()], notes=["one"])
    assert list(analysis.tables) == list(TABLES)
    assert len(analysis.tables["change"]) == 1
    assert analysis.rows("correlation") == ()
    assert repr(analysis) == "Analysis(change 1; 1 notes)"
    with pytest.raises(TypeError, match="no table is called changes"):
        Analysis.of(changes=[])
    with pytest.raises(TypeError, match="verdicts"):
        change(verdicts="x")


def test_empty_frames_have_their_dtypes():
    frame = CHANGE.frame([])
    assert list(frame.columns) == [column.name for column in CHANGE.columns]
    assert frame["mean"].dtype == np.float64


def test_the_docs_have_the_columns():
    page = DOCS.read_text(encoding="utf-8")
    assert with_columns(page) == page, "python -m aftertune.analysis.schema docs/tables.md"
    assert [name for name, table in TABLES.items() if table.file and f"<!-- {name} -->" not in page] == []
    assert all(column.meaning for table in TABLES.values() for column in table.columns if column.kind != "object")
