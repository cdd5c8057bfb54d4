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
from aftertune.finetune.train import COMPLETE, add_lora, finetune
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


def nothing(entry, model):
    """Measures nothing."""


def train(loaded, schedule, folder, measure=nothing, *, n=24, seed=SEED, note=print, **changes):
    examples, how = tokens(loaded, n), options(**changes)
    return finetune(loaded, examples, how, schedule, seed=seed, folder=folder, measure=measure, note=note)


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

    def measure(entry, model):
        seen.append((entry.epoch, model.model.training))
        return 0.5

    history = train(loaded, epochs(3), tmp_path, measure, learning_rate=1e-4, batch_size=24)
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
    train(loaded, epochs(1), tmp_path, seed=3 + SEED)
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

        train(loaded, epochs(2), tmp_path / str(i), measure, seed=seed)
        results.append(weights(loaded))
    for name, value in results[0].items():
        assert torch.equal(value, results[1][name])
    assert any(not torch.equal(value, results[2][name]) for name, value in results[0].items())


class Killed(Exception):
    pass


@pytest.mark.parametrize("architecture", ["llama", "t5"])
@pytest.mark.parametrize(
    "when", ["while measuring", "half-way through saving", "one bit of the last state flipped"]
)
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(architecture, when, tmp_path):
    whole = fresh(architecture)
    expected = train(whole, epochs(3), tmp_path / "a", lambda e, m: e.epoch / 2)

    def stop_at_two(entry, model):
        if entry.epoch == 2:
            raise Killed
        return entry.epoch / 2

    with pytest.raises(Killed):
        train(fresh(architecture), epochs(3), tmp_path / "b", stop_at_two)
    if when == "half-way through saving":
        newest = tmp_path / "b" / "state" / "checkpoint-6"
        (newest / COMPLETE).unlink()
        (newest / "model.safetensors").write_bytes(b"half")
    if when == "one bit of the last state flipped":
        moments = tmp_path / "b" / "state" / "checkpoint-6" / "optimizer.pt"
        content = bytearray(moments.read_bytes())
        content[len(content) // 2] ^= 1
        moments.write_bytes(content)
    again = fresh(architecture)
    seen, notes = [], []
    history = train(
        again, epochs(3), tmp_path / "b", lambda e, m: seen.append(e.epoch) or e.epoch / 2, note=notes.append
    )
    assert seen == [2, 3]
    damaged = "checkpoint-6 is damaged (optimizer.pt is not what was written): training goes on from an older one"
    assert [damaged in note for note in notes] == ([True] if "bit" in when else [])
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
    schedule = stopping(5)
    history = train(fresh("llama"), schedule, tmp_path, lambda entry, model: metric[entry.epoch - 1], n=8)
    assert (schedule.selected(history).epoch, history.last_epoch) == (selected, trained)
    assert schedule.is_over(history)


def test_stopped_just_before_the_decision_to_end(tmp_path):
    """Killed while measuring the epoch that ends the run: going on measures it and trains no more."""
    metric = {1: 0.5, 2: 0.4, 3: 0.3}

    def measure(entry, model):
        if entry.epoch == 3:
            raise Killed
        return metric[entry.epoch]

    with pytest.raises(Killed):
        train(fresh("llama"), stopping(9), tmp_path, measure, n=8)
    history = train(fresh("llama"), stopping(9), tmp_path, lambda e, m: metric[e.epoch], n=8)
    assert [entry.epoch for entry in history.checkpoints] == [1, 2, 3]


def test_lora_trains_adapters_only(tmp_path):
    base = fresh("llama")
    before = weights(base)
    loaded = add_lora(base, LoraOptions(r=4, dropout=0.1), seed=SEED)
    train(loaded, epochs(1), tmp_path)
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

    history = train(fresh(architecture), schedule, tmp_path / "a", keep, n=40)
    assert [(e.epoch, e.steps) for e in history.checkpoints] == [(1, 5), (1.4, 7), (2, 10), (3, 15)]
    assert all(isinstance(e.loss, float) for e in history.checkpoints)
    assert list(seen) == [7, 10, 15]

    def stop_inside(entry, model):
        if entry.steps == 7:
            raise Killed

    with pytest.raises(Killed):
        train(fresh(architecture), schedule, tmp_path / "b", stop_inside, n=40)
    resumed = {}

    def keep_again(entry, model):
        resumed[entry.steps] = weights(model)

    train(fresh(architecture), schedule, tmp_path / "b", keep_again, n=40)
    assert list(resumed) == [7, 10, 15]
    for step, values in seen.items():
        for name, value in values.items():
            assert torch.equal(value, resumed[step][name]), (step, name)


def test_a_training_that_ends_inside_an_epoch(tmp_path):
    schedule = Schedule(epochs=frozenset({1}), steps=frozenset({7}))
    history = train(fresh("t5"), schedule, tmp_path, lambda e, m: 0.5, n=40)
    assert [(e.epoch, e.steps, e.validation) for e in history.checkpoints] == [(1, 5, 0.5), (1.4, 7, 0.5)]
    assert read_history(tmp_path / "history.json") == history
    assert not (tmp_path / "state").exists()


def test_a_shorter_training_is_the_beginning_of_a_longer_one(tmp_path):
    """Weights after an epoch do not depend on how long training goes on, or on where it is visited."""
    seen = {}
    schedules = {"short": epochs(1), "long": Schedule(epochs=frozenset({1, 3})), "early": stopping(2)}
    for name, schedule in schedules.items():

        def keep(entry, model, name=name):
            seen[name, entry.epoch] = weights(model)
            return 0.5

        train(fresh("t5"), schedule, tmp_path / name, keep)
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
    schedule = Schedule(epochs=frozenset({3}))
    train(fresh("t5"), schedule, tmp_path / "a")
    assert saved == [9]
    saved.clear()
    monkeypatch.setattr(training, "SAVE_AFTER", 0.0)
    seen = []
    history = train(fresh("t5"), schedule, tmp_path / "b", lambda e, m: seen.append(e.steps))
    assert saved == [3, 6, 9]
    assert seen == [9]
    assert [e.epoch for e in history.checkpoints] == [1, 2, 3]


def test_several_gpus_change_nothing(tmp_path, monkeypatch):
    """The Trainer gives each GPU that it sees a batch of its own: 8 items would be one step an epoch, not two."""
    begin = training.TrainingArguments.__post_init__

    def two_gpus(self):
        begin(self)
        self._n_gpu = 2

    monkeypatch.setattr(training.TrainingArguments, "__post_init__", two_gpus)
    history = train(fresh("t5"), epochs(2), tmp_path, n=8, batch_size=4)
    assert [(e.epoch, e.steps) for e in history.checkpoints] == [(1, 2), (2, 4)]


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
