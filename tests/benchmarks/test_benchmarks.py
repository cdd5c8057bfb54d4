"""The harness of `benchmarks/`: ratios as documented, the floor's operations, tables, models that stop as told."""

from __future__ import annotations

import doctest
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from tiny import SEED

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from benchmarks.bare import BEAMS, SAMPLES, Bare  # noqa: E402
from benchmarks.evidence import measure  # noqa: E402
from benchmarks.measure import Reading, cpu_seconds, ratio, read, rounds  # noqa: E402
from benchmarks.models import SHAPES, build, tiny, word  # noqa: E402
from benchmarks.ours import Ours  # noqa: E402
from benchmarks.plan import Plan, quick  # noqa: E402
from benchmarks.prompts import batches, mixed, padded, random_prompts  # noqa: E402
from benchmarks.row import Row, row_from_json  # noqa: E402
from benchmarks.stopping import answer_lengths, build_stopping, counting_prompts  # noqa: E402
from benchmarks.subjects import never_stopping  # noqa: E402

from benchmarks import evidence as evidence_module  # noqa: E402
from benchmarks import floor, table  # noqa: E402
from benchmarks import measure as measure_module  # noqa: E402
from benchmarks import models as models_module  # noqa: E402
from benchmarks import row as row_module  # noqa: E402

FAMILIES = ("t5", "llama")


def test_rounds_alternate_and_ratios_are_formed_within_rounds():
    order: list[str] = []
    times = {"a": iter([2.0, 8.0, 3.0]), "b": iter([1.0, 2.0, 3.0]), "c": iter([1.0, 2.0, 0.0])}

    def case(name):
        def call():
            order.append(name)
            value = next(times[name])
            return Reading(cpu=value, wall=2 * value)

        return call

    found = rounds({name: case(name) for name in times}, 3)
    assert "".join(order) == "abccbaabc"
    one = ratio(found, ["a"], ["b", "c"])
    # a / (b + c) in each round: 2/2, 8/4, 3/3
    assert one.cpu == 1.0
    assert one.spread == (1.0, 2.0)
    assert one.wall == 1.0
    assert (one.ours, one.other) == (3.0, 3.0)


def test_cpu_time_counts_work_and_not_sleep():
    import time

    asleep = read(lambda: time.sleep(0.3))
    assert asleep.cpu < 0.15 < asleep.wall
    started = cpu_seconds()
    deadline = time.process_time() + 0.1
    while time.process_time() < deadline:
        pass
    assert cpu_seconds() - started >= 0.1


@pytest.mark.parametrize("family", FAMILIES)
def test_floor_is_what_torch_counts(family):
    """Prompts of one length, so that nothing is padding; what is left out is rotary angles, far below 1 %."""
    shape = tiny(SHAPES[family])
    built = build(shape, seed=SEED)
    built.model.set_attn_implementation("eager")
    prompts = [" ".join([word(5)] * 20)] * 3
    bare = Bare(built.model, built.tokenizer, prompts, shape.dropout)
    with FlopCounterMode(display=False) as counter:
        bare.greedy(5)
    assert floor.greedy_flops(shape, [20] * 3, 5) == pytest.approx(counter.get_total_flops(), rel=0.01)


@pytest.mark.parametrize("family", FAMILIES)
def test_floor_of_everything_is_that_of_its_parts_less_what_is_shared(family):
    """With one new token there are no further steps: 1 + 3 readings of the prompt and their first logits."""
    shape = tiny(SHAPES[family])
    assert floor.everything_flops(shape, [7, 30], 1) == (1 + SAMPLES) * floor.greedy_flops(shape, [7, 30], 1)
    more = floor.greedy_flops(shape, [7], 4) - floor.greedy_flops(shape, [7], 1)
    grown = floor.everything_flops(shape, [7], 4) - floor.everything_flops(shape, [7], 1)
    assert grown == (1 + BEAMS + SAMPLES) * more


def test_words_are_distinct_and_prompts_have_the_tokens_they_should():
    assert len({word(i) for i in range(140_000)}) == 140_000
    assert sorted(mixed(3)) == [16, 136, 256]
    built = build(tiny(SHAPES["llama"]), seed=SEED)
    prompts = random_prompts(built, 5, 40)
    lengths = [len(built.tokenizer(prompt)["input_ids"]) for prompt in prompts]
    assert lengths == mixed(5, 40)
    (one,) = batches(prompts, built.tokenizer)
    assert [len(prompt.split()) for prompt in one] == sorted(lengths, reverse=True)
    left = padded(one, built.tokenizer, left=True)
    assert left["attention_mask"].sum(1).tolist() == sorted(lengths, reverse=True)
    assert left["attention_mask"][:, -1].tolist() == [1] * 5


@pytest.mark.parametrize("family", FAMILIES)
def test_bare_and_ours_decode_the_same_and_never_stop(family):
    subject = never_stopping(family, Plan(tiny=True, prompts=3, longest_prompt=20, tokens=6))
    arguments = (subject.model, subject.tokenizer, subject.prompts, subject.dropout)
    bare, ours = Bare(*arguments), Ours(*arguments)
    evidence = ours.everything(6)
    assert evidence.greedy.n_tokens.tolist() == [6] * 3
    assert set(evidence.beams.n_tokens.ravel().tolist()) == {6}
    assert set(evidence.dropout.n_tokens.ravel().tolist()) == {6}
    assert all(evidence.greedy.text)
    (greedy,) = bare.greedy(6)
    texts = sorted(subject.tokenizer.batch_decode(greedy[:, -6:], skip_special_tokens=True))
    assert texts == sorted(evidence.greedy.text)
    (beams,) = bare.beams(6)
    assert len(beams) == 3 * BEAMS
    (samples,) = bare.dropout(6)
    assert len(samples) == 3 * SAMPLES


@pytest.mark.parametrize("family", FAMILIES)
def test_stopping_models_count_down(family):
    built = build_stopping(tiny(SHAPES[family]), seed=SEED)
    wanted = answer_lengths(8, 40, seed=1)
    prompts = counting_prompts(8, 40, longest_prompt=20)
    ours = Ours(built.model, built.tokenizer, prompts, built.shape.dropout)
    evidence = ours.everything(40)
    assert evidence.greedy.n_tokens.tolist() == wanted
    for text, length in zip(evidence.greedy.text, wanted):
        assert text.split() == [word(k + 2) for k in range(length - 1, 0, -1)]
    assert np.median(evidence.beams.n_tokens / np.array(wanted)[:, None]) < 1.5


def test_answer_lengths_are_skewed_and_end_in_time():
    lengths = np.array(answer_lengths(200, 64))
    assert np.median(lengths) == pytest.approx(10, abs=1)
    assert lengths.min() == 2
    assert lengths.max() == 64
    assert (lengths > 24).mean() == pytest.approx(1 / 6, abs=0.03)


@pytest.mark.parametrize("module", [row_module, measure_module, models_module])
def test_examples_in_the_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def row(**fields):
    return Row(**{"section": "evidence", "case": "c", "model": "m", "value": 1.0, **fields})


def test_table_says_met_not_met_not_measured(tmp_path):
    rows = [
        row(model="a", value=1.04, target=1.05, spread=(1.01, 1.07), ours=10.4, other=10.0, wall=0.9),
        row(model="b", value=1.06, target=1.05),
        row(model="c", value=2.5, target=2.0, sense="at least"),
        row(model="d", value=1.5, target=2.0, sense="at least"),
        row(model="e", value=None, note="no GPU at hand"),
        row(model="f", value=3.0),
    ]
    table.write_results(tmp_path, "evidence-a", {"processor": "x"}, {}, rows, {})
    again, machines = table.read_results(tmp_path)
    assert again == rows
    text = table.render(again, machines)
    assert "Targets: 2 met, 2 not met, 1 not measured." in text
    lines = {line.split(" | ")[0]: line for line in text.splitlines() if line.startswith("| ")}
    assert "| 1.04× (1.01–1.07) | ≤ 1.05× | met | 10.4 / 10.0 | 0.90× |" in lines["| a"]
    assert "| **not met** |" in lines["| b"]
    assert "| ≥ 2.00× | met |" in lines["| c"]
    assert "| **not met** |" in lines["| d"]
    assert "| – | – | not measured |" in lines["| e"]
    assert "| 3.00× | – | – |" in lines["| f"]
    assert text.count(f"*{table.NOT_YET}*") == len(table.SECTIONS) - 1
    assert "- processor: x" in text


def test_table_goes_between_the_markers(tmp_path):
    file = tmp_path / "README.md"
    file.write_text(f"head\n{table.BEGIN}\nold\n{table.END}\ntail\n", encoding="utf-8")
    table.into_readme(file, "new")
    assert file.read_text(encoding="utf-8") == f"head\n{table.BEGIN}\n\nnew\n\n{table.END}\ntail\n"
    file.write_text("no markers", encoding="utf-8")
    with pytest.raises(ValueError, match="lacks"):
        table.into_readme(file, "new")


def test_the_readme_has_the_markers():
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert text.index(table.BEGIN) < text.index(table.END)


@pytest.mark.slow
def test_evidence_of_a_tiny_model_gives_every_row(monkeypatch):
    rate = partial(floor.flops_per_cpu_second, size=512, seconds=0.1)
    monkeypatch.setattr(evidence_module, "flops_per_cpu_second", rate)
    torch.manual_seed(0)
    plan = quick(Plan(tiny=True, tokens=3, prompts=2))
    rows, raw = measure(never_stopping("llama", plan), plan)
    assert [(one.section, one.target) for one in rows] == [
        ("evidence", 1.05),
        ("evidence", 1.0),
        ("evidence", None),
        ("evidence", None),
        ("floor", None),
        ("floor", None),
    ]
    assert len(raw["greedy"]["ours greedy"]) == 2 * plan.repeats + 1
    all_of_it = raw["all"]
    bare = sum(all_of_it[name][0]["cpu"] for name in ("bare greedy", "bare beams", "bare dropout"))
    assert rows[1].value == pytest.approx(all_of_it["ours all"][0]["cpu"] / bare)
    assert 0 < rows[4].value < 100
    assert [row_from_json(json.loads(json.dumps(one.as_json()))) for one in rows] == rows
