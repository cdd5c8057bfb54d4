"""Fine-tuning: loss on target tokens only, strict early stopping, and a stopped run that goes on unchanged."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch

from aftertune.errors import InputError
from aftertune.finetune import train as training
from aftertune.finetune.examples import MASKED, collate, tokenise
from aftertune.finetune.protocol import (
    CheckpointEntry,
    EarlyStopping,
    FinetuneOptions,
    History,
    LoraOptions,
    Schedule,
    read_history,
)
from aftertune.finetune.train import add_lora, finetune
from aftertune.models.loaded import wrap
from aftertune.types import Example
from tiny import EOS, SEED, VOCABULARY, prompts, tiny


def examples(n=24):
    """Turn the prompt's words round."""
    found = []
    for i, prompt in enumerate(prompts(n, seed=7)):
        words = prompt.removesuffix(" =").split()
        found.append(Example(id=str(i), prompt=prompt, references=(" ".join(words[::-1]),)))
    return found


def fresh(architecture):
    model, tokenizer = tiny(architecture)
    return wrap(copy.deepcopy(model), tokenizer, architecture)


def tokens(loaded, n=24):
    return tokenise(loaded, examples(n), chat="off", too_long="error")


def options(**changes):
    return FinetuneOptions(**{"learning_rate": 1e-3, **changes})


def epochs(n):
    return Schedule(epochs=frozenset(range(1, n + 1)))


def stopping(n, patience=2):
    return Schedule(early=EarlyStopping(epochs=n, patience=patience))


def weights(loaded):
    return {name: value.clone() for name, value in loaded.model.state_dict().items()}


@pytest.mark.parametrize("architecture", ["llama", "gemma2", "t5", "bart"])
def test_loss_falls_on_target_tokens_only(architecture):
    loaded = fresh(architecture)
    example = Example(id="a", prompt="w1 w2 =", references=("w2 w1",))
    one = tokenise(loaded, [example], chat="off", too_long="error").examples[0]
    target = [VOCABULARY["w2"], VOCABULARY["w1"], EOS]
    kept = [label for label in one.labels if label != MASKED]
    assert kept[-3:] == target
    assert kept[:-3] in ([], [1])  # BART's targets begin with <s>
    if loaded.kind == "causal":
        assert one.input_ids[-3:] == tuple(target)
        assert one.labels[: len(one.input_ids) - 3] == (MASKED,) * (len(one.input_ids) - 3)
    batch = collate([one, one], pad_id=0)
    loss = loaded.model(**batch).loss
    logits = loaded.model(**batch).logits[0]
    if loaded.kind == "causal":
        logits = logits[-len(target) - 1 : -1]
    log_p = torch.log_softmax(logits, -1)
    by_hand = -torch.stack([log_p[i, token] for i, token in enumerate(kept)]).mean()
    torch.testing.assert_close(loss, by_hand)


def test_prompt_at_training_is_the_prompt_at_decoding():
    loaded = fresh("llama")
    example = Example(id="a", prompt="w1 w2 =", references=("w2",))
    one = tokenise(loaded, [example], chat="off", too_long="error").examples[0]
    prompt = loaded.tokenizer(example.prompt)["input_ids"]
    assert list(one.input_ids[: len(prompt)]) == prompt


def test_training_items_beyond_the_context():
    loaded = fresh("llama")
    long = Example(id="long", prompt=" ".join(["w1"] * 120) + " =", references=("w2",))
    with pytest.raises(InputError, match="training item 'long' has 122 prompt and 2 target tokens"):
        tokenise(loaded, [long], chat="off", too_long="error")
    cut = tokenise(loaded, [long], chat="off", too_long="truncate")
    assert (cut.truncated, len(cut.examples[0].input_ids)) == (1, 96)
    left = tokenise(loaded, [long, *examples(2)], chat="off", too_long="drop")
    assert (left.dropped, len(left.examples)) == (1, 2)


@pytest.mark.parametrize("architecture", ["llama", "t5"])
def test_training_learns_and_measures_every_epoch(architecture, tmp_path):
    """All items in one batch, no dropout and a small step: a step down the gradient makes the loss smaller."""
    loaded = fresh(architecture)
    for part in loaded.model.modules():
        if isinstance(part, torch.nn.Dropout):
            part.p = 0.0
        elif isinstance(part.__dict__.get("dropout"), float):
            part.dropout = 0.0
    seen = []
    history = finetune(
        loaded,
        tokens(loaded),
        options(learning_rate=1e-4, batch_size=24),
        epochs(3),
        seed=SEED,
        folder=tmp_path,
        measure=lambda entry, model: seen.append((entry.epoch, model.model.training)) or 0.5,
    )
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    losses = [entry.loss for entry in history.checkpoints]
    assert losses[0] > losses[1] > losses[2]
    assert [entry.steps for entry in history.checkpoints] == [1, 2, 3]
    assert {entry.learning_rate for entry in history.checkpoints} == {1e-4}
    assert read_history(tmp_path / "history.json") == history
    assert not (tmp_path / "state").exists()


def test_global_random_states_are_left_alone(tmp_path):
    loaded = fresh("llama")
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    finetune(
        loaded, tokens(loaded), options(), epochs(1), seed=3 + SEED, folder=tmp_path, measure=lambda e, m: None
    )
    assert random.getstate() == before[0]
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_seeds_and_measuring(tmp_path):
    """The same seed gives the same weights whatever measuring does; another seed gives others."""
    results = []
    for i, (seed, noisy) in enumerate([(SEED, False), (SEED, True), (SEED + 1, False)]):
        loaded = fresh("t5")

        def measure(entry, model, noisy=noisy):
            if noisy:
                from aftertune.generate.collect import collect

                collect(model.model, model.tokenizer, prompts(3), beams=2, max_new_tokens=4)
            return 0.0

        finetune(
            loaded, tokens(loaded), options(), epochs(2), seed=seed, folder=tmp_path / str(i), measure=measure
        )
        results.append(weights(loaded))
    for name, value in results[0].items():
        assert torch.equal(value, results[1][name])
    assert any(not torch.equal(value, results[2][name]) for name, value in results[0].items())


class Killed(Exception):
    pass


@pytest.mark.parametrize("architecture", ["llama", "t5"])
@pytest.mark.parametrize("when", ["while measuring", "half-way through saving"])
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(architecture, when, tmp_path):
    whole = fresh(architecture)
    expected = finetune(
        whole,
        tokens(whole),
        options(),
        epochs(3),
        seed=SEED,
        folder=tmp_path / "a",
        measure=lambda e, m: e.epoch / 2,
    )
    part = fresh(architecture)

    def stop_at_two(entry, model):
        if entry.epoch == 2:
            raise Killed
        return entry.epoch / 2

    with pytest.raises(Killed):
        finetune(part, tokens(part), options(), epochs(3), seed=SEED, folder=tmp_path / "b", measure=stop_at_two)
    if when == "half-way through saving":
        newest = tmp_path / "b" / "state" / "checkpoint-6"
        (newest / "complete").unlink()
        (newest / "model.safetensors").write_bytes(b"half")
    again = fresh(architecture)
    seen = []
    history = finetune(
        again,
        tokens(again),
        options(),
        epochs(3),
        seed=SEED,
        folder=tmp_path / "b",
        measure=lambda e, m: seen.append(e.epoch) or e.epoch / 2,
    )
    assert seen == [2, 3]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name
    assert [(e.epoch, e.steps, e.loss, e.validation) for e in history.checkpoints] == [
        (e.epoch, e.steps, e.loss, e.validation) for e in expected.checkpoints
    ]


@pytest.mark.parametrize(
    ("metric", "selected", "trained"),
    [
        ([0.1, 0.5, 0.5, 0.4, 0.9], 2, 4),  # equal is not a rise: strict
        ([0.3, 0.2, 0.1, 0.9, 0.9], 1, 3),
        ([0.1, 0.2, 0.3, 0.4, 0.5], 5, 5),
    ],
)
def test_early_stopping_is_strict_with_patience_two(metric, selected, trained, tmp_path):
    loaded = fresh("llama")
    schedule = stopping(5)
    history = finetune(
        loaded,
        tokens(loaded, n=8),
        options(),
        schedule,
        seed=SEED,
        folder=tmp_path,
        measure=lambda entry, model: metric[entry.epoch - 1],
    )
    assert (schedule.selected(history).epoch, history.last_epoch) == (selected, trained)
    assert schedule.is_over(history)


def test_stopped_just_before_the_decision_to_end(tmp_path):
    """Killed while measuring the epoch that ends the run: going on measures it and trains no more."""
    metric = {1: 0.5, 2: 0.4, 3: 0.3}

    def measure(entry, model):
        if entry.epoch == 3:
            raise Killed
        return metric[entry.epoch]

    loaded = fresh("llama")
    settings = {"seed": SEED, "folder": tmp_path}
    with pytest.raises(Killed):
        finetune(loaded, tokens(loaded, 8), options(), stopping(9), measure=measure, **settings)
    again = fresh("llama")
    history = finetune(
        again, tokens(again, 8), options(), stopping(9), measure=lambda e, m: metric[e.epoch], **settings
    )
    assert [entry.epoch for entry in history.checkpoints] == [1, 2, 3]


def test_lora_trains_adapters_only(tmp_path):
    base = fresh("llama")
    before = weights(base)
    loaded = add_lora(base, LoraOptions(r=4, dropout=0.1), seed=SEED)
    finetune(loaded, tokens(loaded), options(), epochs(1), seed=SEED, folder=tmp_path, measure=lambda e, m: None)
    after = loaded.model.state_dict()
    moved = [name for name, value in after.items() if "lora_B" in name and value.abs().sum() > 0]
    assert moved
    for name, value in before.items():
        inner = f"base_model.model.{name}"
        match = after.get(inner, after.get(inner.replace(".weight", ".base_layer.weight")))
        assert torch.equal(match, value)


@pytest.mark.parametrize("architecture", ["llama", "t5"])
def test_a_checkpoint_inside_an_epoch(architecture, tmp_path):
    """5 steps an epoch; step 7 is visited, stopped at, and gone on from: the weights are those without a stop."""
    schedule = Schedule(epochs=frozenset({3}), steps=frozenset({7, 10}))
    seen = {}

    def keep(entry, model):
        seen[entry.steps] = weights(model)
        return None

    whole = fresh(architecture)
    history = finetune(
        whole, tokens(whole, 40), options(), schedule, seed=SEED, folder=tmp_path / "a", measure=keep
    )
    assert [(e.epoch, e.steps) for e in history.checkpoints] == [(1, 5), (1.4, 7), (2, 10), (3, 15)]
    assert all(isinstance(e.loss, float) for e in history.checkpoints)
    assert list(seen) == [7, 10, 15]

    def stop_inside(entry, model):
        if entry.steps == 7:
            raise Killed

    part = fresh(architecture)
    settings = {"seed": SEED, "folder": tmp_path / "b"}
    with pytest.raises(Killed):
        finetune(part, tokens(part, 40), options(), schedule, measure=stop_inside, **settings)
    again, resumed = fresh(architecture), {}

    def keep_again(entry, model):
        resumed[entry.steps] = weights(model)
        return None

    finetune(again, tokens(again, 40), options(), schedule, measure=keep_again, **settings)
    assert list(resumed) == [7, 10, 15]
    for step, values in seen.items():
        for name, value in values.items():
            assert torch.equal(value, resumed[step][name]), (step, name)


def test_a_training_that_ends_inside_an_epoch(tmp_path):
    loaded = fresh("t5")
    schedule = Schedule(epochs=frozenset({1}), steps=frozenset({7}))
    history = finetune(
        loaded, tokens(loaded, 40), options(), schedule, seed=SEED, folder=tmp_path, measure=lambda e, m: 0.5
    )
    assert [(e.epoch, e.steps, e.validation) for e in history.checkpoints] == [(1, 5, 0.5), (1.4, 7, 0.5)]
    assert read_history(tmp_path / "history.json") == history
    assert not (tmp_path / "state").exists()


def test_a_shorter_training_is_the_beginning_of_a_longer_one(tmp_path):
    """Weights after an epoch do not depend on how long training goes on, or on where it is visited."""
    seen = {}
    schedules = {"short": epochs(1), "long": Schedule(epochs=frozenset({1, 3})), "early": stopping(2)}
    for name, schedule in schedules.items():
        loaded = fresh("t5")

        def keep(entry, model, name=name):
            seen[name, entry.epoch] = weights(model)
            return 0.5

        finetune(loaded, tokens(loaded), options(), schedule, seed=SEED, folder=tmp_path / name, measure=keep)
    assert set(seen) == {("short", 1), ("long", 1), ("long", 3), ("early", 1), ("early", 2)}
    for key, value in seen["short", 1].items():
        assert torch.equal(value, seen["long", 1][key])
        assert torch.equal(value, seen["early", 1][key])


def test_states_are_saved_where_something_is_measured_and_now_and_then(tmp_path, monkeypatch):
    saved = []
    save = training.Trainer._save_checkpoint

    def watched(self, *arguments, **settings):
        saved.append(self.state.global_step)
        return save(self, *arguments, **settings)

    monkeypatch.setattr(training.Trainer, "_save_checkpoint", watched)
    loaded = fresh("t5")
    schedule = Schedule(epochs=frozenset({3}))
    nothing = {"seed": SEED, "measure": lambda e, m: None}
    finetune(loaded, tokens(loaded), options(), schedule, folder=tmp_path / "a", **nothing)
    assert saved == [9]
    saved.clear()
    monkeypatch.setattr(training, "SAVE_AFTER", 0.0)
    seen = []
    nothing["measure"] = lambda e, m: seen.append(e.steps)
    history = finetune(fresh("t5"), tokens(loaded), options(), schedule, folder=tmp_path / "b", **nothing)
    assert saved == [3, 6, 9]
    assert seen == [9]
    assert [e.epoch for e in history.checkpoints] == [1, 2, 3]


def entry(epoch, validation):
    return CheckpointEntry(
        epoch=epoch, steps=int(10 * epoch), loss=1.0, learning_rate=1e-3, validation=validation, seconds=0.0
    )


def history_of(*validation):
    return History(checkpoints=tuple(entry(i + 1, v) for i, v in enumerate(validation)))


@pytest.mark.parametrize(
    ("validation", "patience", "selected", "decided"),
    [
        ([0.2, 0.7, 0.7, 0.1], 2, 2, True),  # the first of equals
        ([0.2, 0.7, 0.7, 0.1, 0.9, 0.9], 2, 2, True),  # what came after the stop does not count
        ([0.2, 0.7, 0.7], 2, 2, False),
        ([0.2, 0.7, 0.1, 0.1, 0.9], None, 5, False),
        ([0.2, 0.7, 0.1, 0.1, 0.9, 0.3, 1.0], None, 5, True),  # six epochs at most
        ([0.2, None, 0.1, 0.1], 2, 1, False),  # not measured: open
        ([None], 2, None, False),
        ([], 2, None, False),
    ],
)
def test_early_stopping_followed(validation, patience, selected, decided):
    best, final = EarlyStopping(epochs=6, patience=patience).follow(history_of(*validation))
    assert (None if best is None else best.epoch, final) == (selected, decided)


def test_checkpoints_inside_an_epoch_are_not_selected():
    history = History(checkpoints=(entry(1, 0.5), entry(1.5, 0.9), entry(2, 0.4), entry(3, 0.4)))
    best, final = EarlyStopping(patience=2).follow(history)
    assert (best.epoch, final) == (1, True)


def test_a_schedule_is_over_when_all_of_it_is():
    both = Schedule(early=EarlyStopping(epochs=9, patience=1), epochs=frozenset({3}))
    assert not both.is_over(history_of(0.5, 0.4))
    assert not both.is_undecided(history_of(0.5, 0.4))
    assert both.is_over(history_of(0.5, 0.4, None))
    assert not both.is_over(history_of(0.1, 0.2, 0.3))
    assert not Schedule(steps=frozenset({25})).is_over(history_of(None, None))
    assert Schedule(steps=frozenset({25})).is_over(history_of(None, None, None))
    assert Schedule(steps=frozenset({25})).most_epochs(10) == 3
    assert both.most_epochs(10) == 9


@pytest.mark.parametrize("change", [{}, {"epochs": frozenset({0})}, {"steps": frozenset({-1})}])
def test_schedules_that_make_no_sense(change):
    with pytest.raises(InputError):
        Schedule(**change)
