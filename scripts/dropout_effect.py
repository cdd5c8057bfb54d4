"""What dropout of some strength does to a model's samples: the measurements of docs/dropout.md.

    python scripts/dropout_effect.py embedded:tiny-llama-translation --task toy_translation
    python scripts/dropout_effect.py PATH --task squad --data-dir DATA --items 32
    python scripts/dropout_effect.py --layers 2 4 8 16 32 --folder models     # trains tiny Llamas of these depths

One line for each setting: KL per token (see `aftertune.generate.dropout_strength`), quality of the greedy outputs
and of the dropout samples, share of them that is empty, share of samples that equals the greedy output, share of
pairs of samples that differ, and log-probability per token without dropout of greedy outputs and samples.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from aftertune import evidence as pieces
from aftertune.generate.collect import CollectOptions, collect_batches
from aftertune.generate.dropout_strength import resolve_dropout
from aftertune.generate.prompts import encode
from aftertune.measure.dropout import check_samples
from aftertune.models.dropout import DropoutSetting, parse_dropout
from aftertune.models.load import LoadOptions, load
from aftertune.seeds import derive
from aftertune.tasks import TASKS, Sizes

SETTINGS = [f"{kind}:{p}" for kind in ("residual", "attention") for p in (0.01, 0.02, 0.04, 0.08, 0.15, 0.3)]
HEAD = "kind | p | KL | cost | kept | greedy quality | samples' | greedy empty | samples' | same | differ | "
HEAD += "greedy log p | samples' | seconds"
STEPS, WIDTH = 500, 64


def trained(layers: int, folder: Path) -> Path:
    """A Llama of some depth, trained briefly on the toy translation; made once."""
    path = folder / f"llama-{layers}-layers"
    if path.exists():
        return path
    spec = importlib.util.spec_from_file_location("pretrain", Path(__file__).with_name("pretrain_embedded.py"))
    assert spec is not None
    assert spec.loader is not None
    pretrain = importlib.util.module_from_spec(spec)
    sys.modules["pretrain"] = pretrain
    spec.loader.exec_module(pretrain)
    examples = pretrain.translation.generate(STEPS * 32, derive(0, "depth"), part="pretraining", pidgin_share=0.5)
    tokenizer = pretrain.build_tokenizer(examples, "llama")
    torch.manual_seed(layers)
    config = pretrain.build_model("llama", len(tokenizer)).config
    config.update({"num_hidden_layers": layers, "hidden_size": WIDTH, "intermediate_size": 2 * WIDTH})
    config.update({"head_dim": WIDTH // 4})
    model = pretrain.LlamaForCausalLM(config)
    pairs = pretrain.encode(tokenizer, "llama", examples)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    epochs = iter([pretrain.batches("llama", pairs, 32, 0)])
    loss = pretrain.train(model, epochs, optimiser, lambda step: min(1.0, (step + 1) / 50) * (1 - step / STEPS))
    print(f"{layers} layers: loss {loss:.3f}", flush=True)
    model.generation_config = pretrain.GenerationConfig(pad_token_id=0, eos_token_id=1)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def rows(name: str, path: str, task_name: str, data_dir: Path | None, items: int, settings: list[str]) -> None:
    task = TASKS.get(task_name)
    test = task.load(data_dir=data_dir, sizes=Sizes(test=items), seed=0).test
    loaded = load(path, LoadOptions(dtype="float32"))
    options = CollectOptions(beams=0, dropout_samples=3, max_new_tokens=task.max_new_tokens, embedding=False)
    ids = [example.id for example in test]
    encoded = encode(loaded, [example.asked for example in test], options.prompts, options.max_new_tokens, ids)
    print(f"## {name}, {task_name}, {len(test)} items", flush=True)
    print(HEAD, flush=True)
    begun = time.monotonic()
    found = resolve_dropout(loaded, encoded.ids, DropoutSetting(), max_new_tokens=options.max_new_tokens)
    print(f"auto -> {found} in {time.monotonic() - begun:.1f} s", flush=True)
    for setting in dict.fromkeys([str(found.setting), *settings]):
        begun = time.monotonic()
        asked = parse_dropout(setting)
        effect = resolve_dropout(loaded, encoded.ids, asked, max_new_tokens=options.max_new_tokens).effect
        with_it = collect_batches(loaded, ids, encoded, replace(options, dropout=asked))
        evidence = pieces.concatenate(list(with_it))
        check = check_samples(loaded, evidence, test, options, task.quality)
        print(
            f"{asked.kind} | {asked.p} | {effect.kl:.3f} | {effect.logprob_cost:.3f} | {effect.kept:.2f} | "
            f"{check.greedy_quality:.3f} | {check.quality:.3f} | {check.greedy_empty:.2f} | {check.empty:.2f} | "
            f"{check.same:.2f} | {check.variety:.2f} | {check.greedy_logprob:.2f} | {check.logprob:.2f} | "
            f"{time.monotonic() - begun:.0f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--task", default="toy_translation")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--settings", nargs="*", default=SETTINGS)
    parser.add_argument("--layers", nargs="*", type=int, default=[])
    parser.add_argument("--folder", type=Path, default=Path("models"), help="of the models of --layers")
    parser.add_argument("--only-train", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for layers in asked.layers:
        path = trained(layers, asked.folder)
        if not asked.only_train:
            rows(f"{layers} layers", str(path), asked.task, asked.data_dir, asked.items, asked.settings)
    if asked.model:
        rows(asked.model, asked.model, asked.task, asked.data_dir, asked.items, asked.settings)


if __name__ == "__main__":
    main()
