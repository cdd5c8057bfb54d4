"""`aftertune plan`: from nothing, and like a run."""

from __future__ import annotations

import json

import numpy as np
import pytest

import aftertune
from aftertune.analysis.planning import measured
from aftertune.cli.main import main
from aftertune.errors import InputError
from aftertune.records.records import read_records
from aftertune.stats.planning import Expected, Latent, Planner, draw, equally_correlated, qualities
from samples import write_jsonl

SEEDS, ITEMS, SPREAD = 4, 500, 0.15


@pytest.fixture(scope="module")
def known() -> Planner:
    values = {"before": qualities("binary", 0.6), "after": qualities("binary", 0.8)}
    numbers = {"rho": 0.5, "stability": 0.4, "agreement": 0.6, "spread": SPREAD, "margin": 0.1}
    return Planner(Expected(**numbers, **values, correlation=equally_correlated(1, 0.0)))


@pytest.fixture(scope="module")
def run(tmp_path_factory, known):
    """Records of a score that falls by 0.1, and of one that is nearly the same."""
    rng = np.random.default_rng(1)
    spread = np.array([-1.5, -0.5, 0.5, 1.5]) * SPREAD / np.sqrt(5 / 3)
    after = [known.latent(-0.1 + one, 1).after[0] for one in spread]
    latent = Latent(known.before, np.array(after), known.item, known.runs)
    confidence, quality = draw(latent, known.expected, rng.standard_normal((2, 2 + SEEDS, ITEMS)))
    near = confidence + 0.5 * rng.standard_normal(confidence.shape)
    lines = [
        {"model": "m", "task": "t", "seed": seed, "epoch": epoch, "item_id": f"i{i}", "selected": epoch == 1,
         "quality": quality[k, i], "scores": {"a": confidence[k, i], "b": near[k, i]}}
        for seed in range(SEEDS) for epoch, k in ((0, 0), (1, 1 + seed)) for i in range(ITEMS)
    ]  # fmt: skip
    return write_jsonl(tmp_path_factory.mktemp("like") / "run.jsonl", lines)


def test_a_run_shows_what_it_was_made_with(run):
    (found,) = measured(read_records(run))
    assert (found.name, found.items, found.seeds) == ("m / t: before → selected", ITEMS, SEEDS)
    assert found.rho == pytest.approx(0.47, abs=0.1)
    assert found.rho_after == pytest.approx(found.rho - 0.1, abs=0.1)
    assert (found.before.mean(), found.after.mean()) == pytest.approx((0.6, 0.8), abs=0.06)
    assert found.stability == pytest.approx(0.4, abs=0.1)
    assert found.agreement == pytest.approx(0.55, abs=0.12)  # runs that differ in rho share less
    assert found.spread == pytest.approx(SPREAD, abs=0.05)
    assert found.correlation[0, 1] > 0.5


def test_a_plan_like_a_run(run):
    (one,) = aftertune.plan(like=run)
    assert (one.items, one.seeds, one.scores, one.name) == (ITEMS, SEEDS, 2, "m / t: before → selected")
    assert not [line for line in one.assumed if line.startswith("Assumed")]
    assert len(one.chances) == 5  # the change of the run is one of them
    (other,) = aftertune.plan(like=run, items=5000, seeds=1, spread=0.0, quality="graded", scores=1, expected=0.3)
    assert (other.items, other.seeds, other.scores, other.expected.rho) == (5000, 1, 1, 0.3)
    assert other.settled["holds"] > 0.8 > one.settled["holds"]


def test_what_a_run_does_not_show_is_assumed(tmp_path, run):
    lines = [line for line in map(json.loads, run.read_text().splitlines()) if line["seed"] == 0]
    (one,) = aftertune.plan(like=write_jsonl(tmp_path / "one.jsonl", lines))
    assert one.seeds == 1
    assert one.assumed[-1] == "Assumed: spread 0.03 over training runs."
    few = [line for line in lines if int(line["item_id"][1:]) < 29]
    with pytest.raises(InputError, match=r"few.jsonl: no two checkpoints with 30 items"):
        aftertune.plan(like=write_jsonl(tmp_path / "few.jsonl", few))


def test_from_nothing(capsys):
    assert main(["plan"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(len(line) <= 80 for line in out.splitlines())
    words = " ".join(out.split())
    assert words.startswith("With 300 items and 3 seeds a score that holds is shown to hold in ")
    assert "with 3 seeds no number of items is enough" in words
    assert "true change improved holds degraded fell inconclusive usable" in words
    assert "more runs" in words
    assert "Assumed: ρ 0.40 before fine-tuning, stability 0.30, spread 0.03 over training runs" in words


def test_the_answer_says_what_is_enough(capsys):
    (one,) = aftertune.plan(items=9000, seeds=5, spread=0.0, scores=1)
    assert one.answer.endswith(f"For 80 of 100, {one.needed['holds'][5]:,} items × 5 seeds are enough.")
    (one,) = aftertune.plan(spread=0.3, scores=1)
    assert one.answer.endswith("For 80 of 100 more than 10,000 items or 10 seeds are needed.")
    assert main(["plan", "--seeds", "1", "--change", "-0.05", "--change", "0.1", "--scores", "1"]) == 0
    words = " ".join(capsys.readouterr().out.split())
    assert "One seed: the verdict is about these models" in words
    assert "named beforehand" not in words
    assert "−0.05" in words
    assert "+0.10" in words


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--items", "29"], "items is 29: fewer than 30 get no verdict"),
        (["--margin", "0"], "margin is 0"),
        (["--margin", "0.7"], "a change of -1.40 from 0.40 ends beyond ±0.95: write a smaller margin"),
        (["--change", "0.8"], "a change of +0.80 from 0.40 ends beyond ±0.95: write a smaller change"),
        (["--quality", "binary:70"], "quality is 'binary:70': write binary:0.7"),
        (["--quality", "binary:0.999"], "a share of right answers from 0.01 to 0.99"),
        (["--quality", "f1"], "quality is 'f1': write binary:0.7"),
        (["--expected", "1"], "expected is 1: write a rho from -0.9 to 0.9"),
        (["--stability", "2"], "stability is 2.0: write a number from 0 to 1"),
        (["--spread", "-0.1"], "spread is -0.1: write a number from 0 to 1"),
        (["--scores", "0"], "scores is 0: write a whole number from 1 to 100"),
        (["--seeds", "0"], "seeds is 0: write a whole number from 1 to 1000"),
        (["--like", "nowhere"], "nowhere: no such file or folder"),
    ],
)
def test_wrong_numbers(capsys, arguments, expected):
    assert main(["plan", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert expected in err
