"""Fine-tuning: loss on target tokens only, strict early stopping, and a stopped run that goes on unchanged."""

from __future__ import annotations

import copy
import random

import numpy as np
import pytest
import torch

from aftertune.errors import InputError
from aftertune.finetune.examples import MASKED, collate, tokenise
from aftertune.finetune.history import EpochEntry, History, read_history
from aftertune.finetune.options import FinetuneOptions, LoraOptions
from aftertune.finetune.train import add_lora, finetune
from aftertune.models.loaded import wrap
from aftertune.types import Example
from tiny import EOS, VOCABULARY, prompts, tiny


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
    return FinetuneOptions(**{"epochs": 3, "patience": None, "learning_rate": 1e-3, **changes})


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
    loaded = fresh(architecture)
    seen = []
    history = finetune(
        loaded,
        tokens(loaded),
        options(),
        seed=0,
        folder=tmp_path,
        measure=lambda epoch, model: seen.append((epoch, model.model.training)) or 0.5,
    )
    assert [epoch for epoch, _ in seen] == [1, 2, 3]
    losses = [entry.loss for entry in history.epochs]
    assert losses[2] < losses[0]
    assert [entry.steps for entry in history.epochs] == [3, 6, 9]
    assert {entry.learning_rate for entry in history.epochs} == {1e-3}
    assert read_history(tmp_path / "history.json") == history
    assert not (tmp_path / "state").exists()


def test_global_random_states_are_left_alone(tmp_path):
    loaded = fresh("llama")
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    before = random.getstate(), np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    finetune(loaded, tokens(loaded), options(epochs=1), seed=3, folder=tmp_path, measure=lambda e, m: None)
    assert random.getstate() == before[0]
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_seeds_and_measuring(tmp_path):
    """The same seed gives the same weights whatever measuring does; another seed gives others."""
    results = []
    for i, (seed, noisy) in enumerate([(0, False), (0, True), (1, False)]):
        loaded = fresh("t5")

        def measure(epoch, model, noisy=noisy):
            if noisy:
                from aftertune.generate.collect import collect

                collect(model.model, model.tokenizer, prompts(3), beams=2, max_new_tokens=4)
            return 0.0

        finetune(loaded, tokens(loaded), options(epochs=2), seed=seed, folder=tmp_path / str(i), measure=measure)
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
        whole, tokens(whole), options(), seed=0, folder=tmp_path / "a", measure=lambda e, m: float(e)
    )
    part = fresh(architecture)

    def stop_at_two(epoch, model):
        if epoch == 2:
            raise Killed
        return float(epoch)

    with pytest.raises(Killed):
        finetune(part, tokens(part), options(), seed=0, folder=tmp_path / "b", measure=stop_at_two)
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
        seed=0,
        folder=tmp_path / "b",
        measure=lambda e, m: seen.append(e) or float(e),
    )
    assert seen == [2, 3]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name
    assert [(e.epoch, e.steps, e.loss, e.validation) for e in history.epochs] == [
        (e.epoch, e.steps, e.loss, e.validation) for e in expected.epochs
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
    history = finetune(
        loaded,
        tokens(loaded, n=8),
        options(epochs=5, patience=2),
        seed=0,
        folder=tmp_path,
        measure=lambda epoch, model: metric[epoch - 1],
    )
    assert (history.selected_epoch, history.last_epoch) == (selected, trained)
    assert history.finished


def test_stopped_just_before_the_decision_to_end(tmp_path):
    """Killed while measuring the epoch that ends the run: going on measures it and trains no more."""
    metric = {1: 0.5, 2: 0.4, 3: 0.3}

    def measure(epoch, model):
        if epoch == 3:
            raise Killed
        return metric[epoch]

    loaded = fresh("llama")
    settings = {"seed": 0, "folder": tmp_path}
    with pytest.raises(Killed):
        finetune(loaded, tokens(loaded, 8), options(epochs=9, patience=2), measure=measure, **settings)
    again = fresh("llama")
    history = finetune(
        again, tokens(again, 8), options(epochs=9, patience=2), measure=lambda e, m: metric[e], **settings
    )
    assert [entry.epoch for entry in history.epochs] == [1, 2, 3]
    assert history.finished


def test_lora_trains_adapters_only(tmp_path):
    base = fresh("llama")
    before = weights(base)
    loaded = add_lora(base, LoraOptions(r=4, dropout=0.1), seed=0)
    finetune(loaded, tokens(loaded), options(epochs=1), seed=0, folder=tmp_path, measure=lambda e, m: None)
    after = loaded.model.state_dict()
    moved = [name for name, value in after.items() if "lora_B" in name and value.abs().sum() > 0]
    assert moved
    for name, value in before.items():
        inner = f"base_model.model.{name}"
        match = after.get(inner, after.get(inner.replace(".weight", ".base_layer.weight")))
        assert torch.equal(match, value)


def entry(epoch, validation):
    return EpochEntry(epoch=epoch, steps=epoch, loss=1.0, learning_rate=1e-3, validation=validation, seconds=0.0)


def test_history_selects_the_first_of_equals():
    history = History(epochs=tuple(entry(i + 1, v) for i, v in enumerate([0.2, 0.7, 0.7, 0.1])))
    assert history.selected_epoch == 2
    assert history.without_improvement() == 2
    assert History(epochs=(entry(1, None),)).selected_epoch is None


@pytest.mark.parametrize("change", [{"epochs": 0}, {"patience": 0}, {"learning_rate": 0.0}, {"batch_size": 0}])
def test_settings_that_make_no_sense(change):
    with pytest.raises(InputError):
        FinetuneOptions(**change)
