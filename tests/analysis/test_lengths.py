import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from aftertune.analysis.analyse import analyse
from aftertune.records.records import read_records, to_jsonl, write_records
from aftertune.types import Records
from record_samples import checkpoint


def residual_correlation(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> float:
    ranks = stats.rankdata(np.stack([x, y, z]), axis=1)
    design = np.stack([np.ones(len(x)), ranks[2]], axis=1)
    left = [r - design @ np.linalg.lstsq(design, r, rcond=None)[0] for r in ranks[:2]]
    return float(np.corrcoef(*left)[0, 1])


def sample(n: int = 50, **fields: object) -> tuple[Records, np.ndarray]:
    rng = np.random.default_rng(0)
    words = rng.integers(1, 12, n)
    quality, score = -0.4 * words + rng.normal(size=(2, n))
    fields.setdefault("output", ["w" * int(3 * w + (w > 5)) for w in words])
    return checkpoint(quality, {"s": score, "t": rng.normal(size=n)}, **fields), words.astype(float)  # type: ignore[arg-type]


def test_tokens_where_every_item_has_them() -> None:
    _, words = sample()
    records, _ = sample(extra={"n_tokens": [int(w) for w in words]})
    first, second = analyse(records).rows("correlation")
    assert first.length_unit == second.length_unit == "tokens"
    assert first.spearman_given_length == pytest.approx(
        residual_correlation(records.scores["s"], records.quality, words)
    )
    assert first.spearman > first.spearman_given_length + 0.1


@pytest.mark.parametrize("lacking", [None, True, "12", math.nan])
def test_characters_where_an_item_has_no_number_of_tokens(lacking: object) -> None:
    _, words = sample()
    records, _ = sample(extra={"n_tokens": [lacking, *(int(w) for w in words[1:])]})
    first, _ = analyse(records).rows("correlation")
    assert first.length_unit == "characters"
    characters = np.array([len(text) for text in records.output])
    expected = residual_correlation(records.scores["s"], records.quality, characters)
    assert first.spearman_given_length == pytest.approx(expected)


def test_only_the_items_that_are_used_need_a_length() -> None:
    _, words = sample()
    records, _ = sample(extra={"n_tokens": [None, *(int(w) for w in words[1:])]})
    records.scores["s"][0] = np.nan
    first, second = analyse(records).rows("correlation")
    assert (first.n, first.length_unit) == (49, "tokens")
    expected = residual_correlation(records.scores["s"][1:], records.quality[1:], words[1:])
    assert first.spearman_given_length == pytest.approx(expected)
    assert (second.n, second.length_unit) == (50, "characters")


def test_no_length_no_number() -> None:
    _, words = sample()
    records, _ = sample(output=[None, *("w" * int(w) for w in words[1:])])
    for row in analyse(records).rows("correlation"):
        assert row.length_unit == ""
        assert math.isnan(row.spearman_given_length)
        assert math.isfinite(row.spearman)


def test_undefined_rho_has_no_partial_either() -> None:
    records, _ = sample()
    records.scores["s"][:] = 1.0
    records.scores["t"][:] = np.nan
    first, second = analyse(records).rows("correlation")
    assert math.isnan(first.spearman_given_length)
    assert (first.length_unit, second.length_unit) == ("characters", "")


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet"])
@pytest.mark.parametrize("lacking", [False, True])
def test_lengths_survive_the_files(tmp_path: Path, suffix: str, lacking: bool) -> None:
    _, words = sample()
    tokens = [int(w) for w in words]
    records, _ = sample(extra={"n_tokens": [None, *tokens[1:]] if lacking else tokens})
    path = tmp_path / f"r{suffix}"
    (write_records if suffix == ".parquet" else to_jsonl)(records, path)
    again = analyse(read_records([path])).rows("correlation")
    assert repr(again) == repr(analyse(records).rows("correlation"))
    assert again[0].length_unit == ("characters" if lacking else "tokens")
