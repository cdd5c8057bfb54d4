"""The callback for the user's own Trainer: it writes records, and the training does not notice."""

from __future__ import annotations

import copy
import json
import random
import re
import shutil
import textwrap
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import EarlyStoppingCallback, Trainer, TrainerCallback, TrainingArguments

import aftertune
from aftertune.commands import callback as module
from aftertune.commands.analyze import analyze, redraw
from aftertune.errors import InputError
from aftertune.finetune.examples import collate, tokenise
from aftertune.generate.collect import CollectOptions
from aftertune.measure import evidence as measuring
from aftertune.measure import worklist
from aftertune.models.loaded import wrap
from aftertune.records.records import read_records
from aftertune.tasks import load_file
from aftertune.types import Example
from samples import rows, write_jsonl
from tiny import PAD, SEED, tiny

DROPOUT = {"llama": "native", "t5": "native"}


@pytest.fixture
def items(tmp_path):
    path = tmp_path / "turn.jsonl"
    return write_jsonl(path, [{"id": r["id"], "input": r["q"] + " =", "target": r["answer"]} for r in rows(6, 3)])


def model_with_dropout(architecture):
    model = copy.deepcopy(tiny(architecture)[0])
    for part in model.modules():
        if "attention_dropout" in part.__dict__:
            part.attention_dropout = 0.1
    return model


def trainer(architecture, folder, *callbacks, model=None, epochs=2, tokenizer=..., n=12, metric=(), **arguments):
    """`metric`: the values of "chosen" at one evaluation after the other, whatever the model says."""
    words = tiny(architecture)[1]
    model = model or model_with_dropout(architecture)
    examples = [Example(id=r["id"], prompt=r["q"] + " =", references=(r["answer"],)) for r in rows(n, 1)]
    settings = {
        "learning_rate": 3e-3,
        "num_train_epochs": epochs,
        "per_device_train_batch_size": 4,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": False,
        "use_cpu": True,
        "seed": 5 + SEED,
    }
    made = Trainer(
        model=model,
        args=TrainingArguments(output_dir=str(folder / "trainer"), **(settings | arguments)),
        train_dataset=list(tokenise(wrap(model, words), examples, chat="off", too_long="error").examples),
        eval_dataset=list(tokenise(wrap(model, words), examples[:4], chat="off", too_long="error").examples),
        data_collator=partial(collate, pad_id=PAD),
        processing_class=words if tokenizer is ... else tokenizer,
        callbacks=list(callbacks),
        compute_metrics=partial(_next, iter(metric)) if metric else None,
    )
    return made


def _next(values, prediction):
    return {"chosen": next(values)}


def confidence(items, out, architecture="llama", **settings):
    usual = {"beams": 3, "dropout_samples": 2, "dropout": DROPOUT[architecture], "max_new_tokens": 8}
    return aftertune.ConfidenceCallback(items, out, **(usual | {"model_name": architecture} | settings))


def epochs_of(out):
    records = read_records([out])
    assert len(records) == 6 * len(set(records.epoch))
    return sorted(set(records.epoch))


@pytest.fixture
def measured(monkeypatch):
    """Labels of the checkpoints that are decoded while the test runs."""
    seen = []

    def counted(folder, *arguments, **settings):
        seen.append(folder.name.partition("epoch")[2].partition("-")[0])
        return measuring.measure(folder, *arguments, **settings)

    monkeypatch.setattr(worklist, "measure", counted)
    return seen


class Watch(TrainerCallback):
    """What the training's surroundings are before each epoch."""

    def __init__(self):
        self.seen = []

    def on_epoch_begin(self, args, state, control, model=None, processing_class=None, **kwargs):
        modules = list(model.modules())
        self.seen.append(
            (
                torch.random.get_rng_state().tolist(),
                np.random.get_state()[1].tolist(),  # noqa: NPY002
                random.getstate(),
                [m.training for m in modules],
                [m.__dict__.get("gradient_checkpointing") for m in modules],
                [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in modules],
                model.config.use_cache,
                processing_class.padding_side,
            )
        )


@pytest.mark.parametrize("architecture", ["llama", "t5"])
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.filterwarnings("ignore:.gradient_checkpointing. is deprecated:FutureWarning")
def test_the_training_does_not_notice(architecture, checkpointing, items, tmp_path):
    weights, watches, losses = [], [], []
    extra = {"gradient_checkpointing": True} if checkpointing else {}
    for callbacks in ([], [confidence(items, tmp_path / "run", architecture)]):
        watch = Watch()
        made = trainer(architecture, tmp_path, *callbacks, watch, logging_steps=1, **extra)
        made.train()
        weights.append(made.model.state_dict())
        watches.append(watch.seen)
        losses.append([entry["loss"] for entry in made.state.log_history if "loss" in entry])
    assert (True in watches[0][0][4]) is checkpointing
    assert losses[0] == losses[1]
    assert losses[0][-1] != losses[0][0]
    assert watches[0] == watches[1]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert epochs_of(tmp_path / "run") == [0, 1, 2]


def test_records_are_what_collect_and_score_give(items, tmp_path):
    out = tmp_path / "run"
    made = trainer("t5", tmp_path, confidence(items, out, "t5", setting="n=12"), epochs=1)
    before = copy.deepcopy(made.model).eval()
    made.train()
    records = read_records([out])
    examples = {example.id: example for example in load_file(items)}
    for epoch, model in ((0, before), (1, made.model)):
        now = records.take(records.epoch == epoch)
        asked = [examples[item] for item in now.item_id]
        evidence = aftertune.collect(
            model, tiny("t5")[1], [e.prompt for e in asked], beams=3, dropout_samples=0, max_new_tokens=8
        )
        assert list(now.output) == list(evidence.greedy.text)
        for name, values in aftertune.score(evidence).items():
            np.testing.assert_allclose(now.scores[name], values, atol=1e-5)
        quality = aftertune.quality.compute("token_f1", list(now.output), [list(e.references) for e in asked])
        np.testing.assert_array_equal(now.quality, quality)
    assert {"dropout_kl", "cocoa_msp"} <= set(records.scores)
    assert set(zip(records.model, records.task, records.setting, records.seed)) == {
        ("t5", "turn", "n=12", 5 + SEED)
    }
    assert len(list((out / "records").iterdir())) == 2


def test_reports_read_the_folder(items, tmp_path):
    out = tmp_path / "run"
    for seed in (5 + SEED, 6 + SEED):
        few = confidence(items, out, "t5", scores=["mean_token_logprob", "dropout_kl"])
        trainer("t5", tmp_path, few, epochs=1, seed=seed).train()
    result = redraw(out)
    assert result.report.is_file()
    assert {row.seed for row in result.analysis.rows("correlation")} == {5 + SEED, 6 + SEED}
    manifest = json.loads((out / "run.json").read_text())
    assert manifest["settings"]["trainings"] == ["t5 on turn"]
    assert "p = 0.1" in manifest["settings"]["dropout in force"]
    assert "mean_token_logprob" in manifest["signatures"]
    assert analyze([out], out=tmp_path / "analysis").report.is_file()


def test_which_epochs(items, tmp_path):
    out = tmp_path / "run"
    trainer("t5", tmp_path, confidence(items, out, "t5", epochs=[2], before=False), epochs=3).train()
    assert epochs_of(out) == [2]
    out = tmp_path / "stopped"  # 3 steps an epoch
    trainer("t5", tmp_path, confidence(items, out, "t5"), epochs=3, max_steps=4).train()
    np.testing.assert_allclose(epochs_of(out), [0, 1, 4 / 3], atol=1e-4)


def test_a_resumed_training_collects_what_is_missing(items, tmp_path, measured):
    out, saving = tmp_path / "run", {"save_strategy": "epoch", "lr_scheduler_type": "constant"}
    trainer("t5", tmp_path, confidence(items, out, "t5"), epochs=2, **saving).train()
    assert measured == ["0", "1", "2"]
    checkpoints = sorted((tmp_path / "trainer").glob("checkpoint-*"))
    assert len(checkpoints) == 2

    # Stopped in epoch 2, after which its records were lost: epoch 2's evidence is there for the same weights.
    whole = read_records([out])
    made = trainer("t5", tmp_path, confidence(items, out, "t5"), epochs=3, **saving)
    made.train(resume_from_checkpoint=str(checkpoints[0]))
    assert measured == ["0", "1", "2", "3"]
    assert epochs_of(out) == [0, 1, 2, 3]
    again = read_records([out])
    for name in ("mean_token_logprob", "dropout_kl"):
        np.testing.assert_array_equal(again.scores[name][again.epoch <= 2], whole.scores[name])

    # Stopped after epoch 1 was saved and before it was measured.
    shutil.rmtree(out / "evidence")
    for path in (out / "records").glob("*epoch1*"):
        path.unlink()
    measured.clear()
    made = trainer("t5", tmp_path, confidence(items, out, "t5"), epochs=1, **saving)
    made.train(resume_from_checkpoint=str(checkpoints[0]))
    assert measured == ["1"]
    assert epochs_of(out) == [0, 1]


def test_another_training_of_the_same_name_takes_the_place_of_the_first(items, tmp_path, measured):
    out = tmp_path / "run"
    trainer("t5", tmp_path, confidence(items, out, "t5"), epochs=2).train()
    trainer("t5", tmp_path, confidence(items, out, "t5"), epochs=2).train()
    assert measured == ["0", "1", "2"], "the same training again: nothing is decoded"
    trainer("t5", tmp_path, confidence(items, out, "t5"), epochs=1, learning_rate=1e-4).train()
    assert measured == ["0", "1", "2", "1"], "other weights"
    assert epochs_of(out) == [0, 1]


def test_resumed_without_the_model_before(items, tmp_path):
    trainer("t5", tmp_path, epochs=1, save_strategy="epoch").train()
    out = tmp_path / "run"
    made = trainer("t5", tmp_path, confidence(items, out, "t5"), epochs=2, save_strategy="epoch")
    made.train(resume_from_checkpoint=True)
    assert epochs_of(out) == [1, 2]
    notes = json.loads((out / "run.json").read_text())["notes"]
    assert notes == [f"t5 · turn · seed {5 + SEED}: resumed, and never measured before fine-tuning"]
    trainer("t5", tmp_path, confidence(items, out, "t5"), epochs=1).train()
    assert epochs_of(out) == [0, 1]
    assert json.loads((out / "run.json").read_text())["notes"] == []


@pytest.mark.parametrize("best", [1, 2])
def test_the_epoch_that_early_stopping_chose_is_selected(best, items, tmp_path):
    out = tmp_path / "run"
    saving = {
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        "metric_for_best_model": "chosen",
        "save_only_model": True,
    }
    made = trainer(
        "t5",
        tmp_path,
        confidence(items, out, "t5"),
        EarlyStoppingCallback(early_stopping_patience=1),
        epochs=3,
        load_best_model_at_end=True,
        metric=[0.9, 0.1, 0.5] if best == 1 else [0.5, 0.9, 0.1],
        **saving,
    )
    made.train()
    records = read_records([out])
    assert set(records.epoch[records.selected]) == {best}
    assert set(records.epoch) == set(range(best + 2)), "patience 1: the epoch after the best is the last"

    # Another one is best, as after a resumed training: the first is no longer selected.
    other = 2 if best == 1 else 1
    made.state.best_global_step = 3 * other
    confidence(items, out, "t5").on_train_end(
        made.args, made.state, made.control, model=made.model, processing_class=tiny("t5")[1]
    )
    records = read_records([out])
    assert set(records.epoch[records.selected]) == {other}

    # The same training again, with another choice of epochs.
    made = trainer(
        "t5",
        tmp_path,
        confidence(items, out, "t5", epochs=[best + 1], before=False),
        epochs=best + 1,
        metric=[0.9, 0.1] if best == 1 else [0.5, 0.9, 0.1],
        **saving,
    )
    made.train()
    assert not read_records([out]).selected.any()
    notes = json.loads((out / "run.json").read_text())["notes"]
    assert notes == [
        f"t5 · turn · seed {5 + SEED}: the checkpoint that was chosen (epoch {best}) was not measured"
    ]


@pytest.mark.parametrize("architecture", ["llama", "t5"])
def test_mixed_precision(architecture, items, tmp_path):
    weights = []
    for callbacks in ([], [confidence(items, tmp_path / "run", architecture)]):
        made = trainer(architecture, tmp_path, *callbacks, epochs=1, bf16=True)
        made.train()
        weights.append(made.model.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    records = read_records([tmp_path / "run"])
    assert np.isfinite(records.scores["mean_token_logprob"]).all()
    before = records.take(records.epoch == 0)
    asked = [before.extra["input"][i] for i in range(len(before))]
    plain = aftertune.collect(tiny(architecture)[0], tiny(architecture)[1], asked, beams=0, dropout="none",
                              max_new_tokens=8)  # fmt: skip
    found = aftertune.score(plain, ["mean_token_logprob"])["mean_token_logprob"]
    np.testing.assert_allclose(before.scores["mean_token_logprob"], found, atol=1e-5)
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert settings["precision"] == "float32 weights as they are, no autocast"
    assert settings["reproduce"].startswith("aftertune.ConfidenceCallback(data=")
    given = aftertune.score_texts(made.model, tiny(architecture)[1], ["w1 w2 ="], ["w2 w1"])
    assert np.isfinite(given.greedy.token_logprob).all()


def test_adapters_wrapped_models_and_noisy_embeddings(items, tmp_path, monkeypatch):
    from peft import LoraConfig, get_peft_model

    seen = []

    def watch(folder, loaded, *arguments, **settings):
        seen.append((type(loaded.model).__name__, loaded.model.get_input_embeddings().neftune_noise_alpha))
        return measuring.measure(folder, loaded, *arguments, **settings)

    monkeypatch.setattr(worklist, "measure", watch)
    out = tmp_path / "run"
    model = get_peft_model(model_with_dropout("llama"), LoraConfig(r=2, task_type="CAUSAL_LM"))
    made = trainer(
        "llama", tmp_path, confidence(items, out, "llama"), model=model, epochs=1, neftune_noise_alpha=5.0
    )
    made.train()
    assert seen == [("PeftModelForCausalLM", 0.0)] * 2
    assert epochs_of(out) == [0, 1]
    parallel = torch.nn.DataParallel(made.model)
    with module._outside_training(parallel) as inner:
        assert inner is made.model


def test_only_the_main_process_writes(items, tmp_path):
    out = tmp_path / "run"
    one = confidence(items, out, "t5")
    trainer("t5", tmp_path)  # sets up accelerate
    state = SimpleNamespace(is_world_process_zero=False, epoch=1.0, global_step=3)
    for event in (one.on_train_begin, one.on_epoch_end, one.on_train_end):
        event(None, state, None, model=None)
    assert not out.exists()


def test_examples_in_python_a_registered_task_and_a_tokenizer_of_ones_own(tmp_path):
    examples = [Example(id=str(i), prompt=f"w{i} =", references=(f"w{i}",)) for i in range(6)]
    one = aftertune.ConfidenceCallback(
        examples, tmp_path / "run", beams=0, dropout="none", tokenizer=tiny("t5")[1], task_name="mine"
    )
    trainer("t5", tmp_path, one, epochs=1, tokenizer=None).train()
    records = read_records([tmp_path / "run"])
    assert set(zip(records.model, records.task)) == {("model", "mine")}
    assert set(records.scores) == {"mean_token_logprob", "mean_token_entropy"}
    toy = aftertune.ConfidenceCallback(task="toy_sums", out=tmp_path / "toy", items=5)
    assert (toy._task.quality, len(toy._examples)) == ("exact_match", 5)
    assert toy._decoding.max_new_tokens == toy._task.max_new_tokens != CollectOptions().max_new_tokens


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"quality": "token_f2"}, "unknown quality metric 'token_f2'"),
        ({"scores": ["mean_token_logprop"]}, "mean_token_logprop"),
        ({"scores": ["beam_sum"], "beams": 0}, "needs beams"),
        ({"epochs": "every"}, 'write "all", or numbers from 1'),
        ({"epochs": [0]}, 'write "all", or numbers from 1'),
        ({"dropout": "strong"}, "dropout 'strong' is not one of"),
        ({"task": "squad"}, "either test items of your own"),
        ({"out": None}, "no folder to write to"),
        ({"data": "nowhere.jsonl"}, "nowhere.jsonl"),
        ({"data": []}, "no items for test"),
        ({"data": [Example(id="a", prompt="w1 =", references=("w1",))]}, "has 1 test item"),
        ({"data": [{"input": "w1"}]}, r"data\[0\] is a dict: write Example"),
        ({"data": [Example(id="a", prompt="w1 =", references=("w1",))] * 3}, "the same id"),
        ({"data": None, "task": "toy_sums", "quality": "token_f1"}, "has its own quality"),
    ],
)
def test_settings_that_are_refused(settings, message, items, tmp_path):
    settings = {"data": items, "out": tmp_path / "run", **settings}
    with pytest.raises(InputError, match=message):
        aftertune.ConfidenceCallback(**settings)
    assert not (tmp_path / "run").exists()


def test_a_folder_of_something_else_is_refused(items, tmp_path):
    with pytest.raises(InputError, match="not empty and not a run folder"):
        confidence(items, tmp_path)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no tokenizer", "the Trainer has no tokenizer: give it processing_class=tokenizer"),
        ("vocabulary", r"the prompt of item '3-\d' has the token id 45, but the vocabulary of llama has 45"),
        ("no dropout", "dropout native does not act, the model has no dropout of its own"),
        ("too long", "has room for 1"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_before_the_first_step(case, message, items, tmp_path):
    out, words = tmp_path / "run", copy.deepcopy(tiny("llama")[1])
    settings = {"max_new_tokens": 95} if case == "too long" else {}
    model = tiny("llama")[0] if case == "no dropout" else model_with_dropout("llama")
    if case == "vocabulary":
        words.add_tokens(["w99"])
        items.write_text(items.read_text().replace("w1 ", "w99 "))
    made = trainer(
        "llama",
        tmp_path,
        confidence(items, out, "llama", **settings),
        model=copy.deepcopy(model),
        tokenizer=None if case == "no tokenizer" else words,
    )
    with pytest.raises(InputError, match=message):
        made.train()
    assert made.state.global_step == 0
    assert not out.exists()


def test_weights_in_shards_are_refused(items, tmp_path, monkeypatch):
    made = trainer("t5", tmp_path, confidence(items, tmp_path / "run", "t5"))
    monkeypatch.setattr(module, "is_deepspeed_zero3_enabled", lambda: True)
    with pytest.raises(InputError, match="weights in shards"):
        made.train()


def _with_a_long_context():
    model = model_with_dropout("llama")
    model.config.max_position_embeddings = 256
    return model


def test_the_example_of_the_docstring(items, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copy(items, "test.jsonl")
    text = aftertune.ConfidenceCallback.__doc__.partition("::\n\n")[2].partition("\n\n    The folder")[0]
    run_example(textwrap.dedent(text).replace("from transformers import Trainer\n", ""), tmp_path)


def test_the_example_of_the_page_on_the_test_file_of_the_page(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "trainer.md").read_text(encoding="utf-8")
    section = page.partition("## Inside your own training\n")[2].partition("\n## ")[0]
    (file,) = re.findall(r"```jsonl\n(.*?)```", section, re.DOTALL)
    Path("test.jsonl").write_text(file, encoding="utf-8")
    run_example(re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0], tmp_path)
    assert redraw(Path("runs/mine")).report.is_file()


def run_example(code, tmp_path):
    """Run what a reader copies, in a folder with test.jsonl, beside a Trainer's parts of their own."""
    made = trainer("llama", tmp_path, epochs=1, model=_with_a_long_context())
    names = {
        "model": made.model,
        "arguments": made.args,
        "train_dataset": made.train_dataset,
        "tokenizer": tiny("llama")[1],
    }
    names["Trainer"] = partial(Trainer, data_collator=made.data_collator)
    exec(code, names)
    assert set(read_records([tmp_path / "runs" / "mine"]).epoch) == {0, 1}
