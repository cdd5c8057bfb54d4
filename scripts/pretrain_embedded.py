"""Make the tiny pre-trained models that ship in `aftertune.models.embedded`.

    python scripts/pretrain_embedded.py                       # all of them, on one core
    python scripts/pretrain_embedded.py tiny-t5-qa            # one of them
    python scripts/pretrain_embedded.py --evaluate            # fine-tune each and print what moves

A model is pre-trained on one toy task with imperfect targets: translation mostly towards a pidgin of the
target language, question answering and sums with a share of wrong answers. Fine-tuning on 300 clean items
then has something to teach. Seeds are fixed; another build of torch or another processor may still give
other weights in the last digits, and so other models of the same quality.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import sacrebleu
import torch
from scipy.stats import spearmanr
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.models.llama.modeling_llama import LlamaAttention
from transformers.optimization import Adafactor

from aftertune import quality
from aftertune.seeds import derive
from aftertune.tasks import TASKS
from aftertune.types import Example
from toy import facts, sums, translation
from toy.partition import splits

SHIPPED = Path(__file__).resolve().parents[1] / "src" / "aftertune" / "models" / "embedded"
VOCABULARY = 768
CONTEXT = 256
SEED = 20240
FINETUNING_DROPOUT = 0.1  # of the T5s as shipped; so short a pre-training is better without
PAD, EOS, UNK = "<pad>", "</s>", "<unk>"
Batch = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How one model is made.

    Attributes
    ----------
    imperfection : keyword and share of imperfect targets, as the task's `generate` takes them.
    items, epochs : of pre-training, batches of 32, a warm-up of 100 steps and a cosine to zero.
    finetuning_rate : learning rate that suits fine-tuning on 300 items, batch 8, 10 epochs.
    whole_new_words : the tokenizer sees training items too, so that words which are new to pre-training are
        tokens that it never trained, instead of pieces that it did.
    """

    shape: str
    task: ModuleType
    imperfection: dict[str, float]
    items: int
    epochs: int
    rate: float
    finetuning_rate: float
    whole_new_words: bool = True


RECIPES = {
    "tiny-llama-translation": Recipe(
        shape="llama", task=translation, imperfection={"pidgin_share": 1.0}, items=24_000, epochs=2, rate=2e-3,
        finetuning_rate=5e-4, whole_new_words=False,
    ),
    "tiny-llama-qa": Recipe(
        shape="llama", task=facts, imperfection={"noise": 0.1}, items=40_000, epochs=3, rate=3e-3,
        finetuning_rate=1e-3,
    ),
    "tiny-llama-sums": Recipe(
        shape="llama", task=sums, imperfection={"noise": 0.25}, items=30_000, epochs=2, rate=2e-3,
        finetuning_rate=2e-4,
    ),
    "tiny-t5-translation": Recipe(
        shape="t5", task=translation, imperfection={"pidgin_share": 0.6}, items=24_000, epochs=2, rate=2e-2,
        finetuning_rate=1e-3,
    ),
    "tiny-t5-qa": Recipe(
        shape="t5", task=facts, imperfection={"noise": 0.1}, items=40_000, epochs=3, rate=2e-2,
        finetuning_rate=1e-3,
    ),
    "tiny-t5-sums": Recipe(
        shape="t5", task=sums, imperfection={"noise": 0.25}, items=30_000, epochs=2, rate=2e-2,
        finetuning_rate=2e-4,
    ),
}  # fmt: skip


def build_tokenizer(examples: list[Example], shape: str) -> PreTrainedTokenizerFast:
    """BPE on the task's own text; every printable ASCII character is in the alphabet, digits stand alone."""
    tokenizer = Tokenizer(models.BPE(unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.Split(Regex(r"[.,:?!;]"), behavior="isolated"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, EOS, UNK],
        initial_alphabet=[chr(code) for code in range(33, 127)] + ["▁"],
        show_progress=False,
    )
    tokenizer.train_from_iterator((f"{e.prompt} {e.target}" for e in examples), trainer)
    if shape == "t5":
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"$A {EOS}", pair=f"$A {EOS} $B {EOS}", special_tokens=[(EOS, 1)]
        )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNK,
        padding_side="left" if shape == "llama" else "right",
        model_max_length=CONTEXT,
        clean_up_tokenization_spaces=False,
    )


def build_model(shape: str, vocabulary: int) -> PreTrainedModel:
    """A random model of the shape, about 0.55 or 0.75 million parameters, without dropout."""
    if shape == "llama":
        return LlamaForCausalLM(
            LlamaConfig(
                vocab_size=vocabulary,
                hidden_size=128,
                intermediate_size=256,
                num_hidden_layers=3,
                num_attention_heads=4,
                max_position_embeddings=CONTEXT,
                initializer_range=0.05,
                tie_word_embeddings=True,
                bos_token_id=None,
                pad_token_id=0,
                eos_token_id=1,
            )
        )
    return T5ForConditionalGeneration(
        T5Config(
            vocab_size=vocabulary,
            d_model=128,
            d_kv=32,
            d_ff=256,
            num_layers=2,
            num_decoder_layers=2,
            num_heads=4,
            dropout_rate=0.0,
            pad_token_id=0,
            eos_token_id=1,
            decoder_start_token_id=0,  # pyright: ignore[reportCallIssue]
        )
    )


def encode(
    tokenizer: PreTrainedTokenizerBase, shape: str, examples: list[Example]
) -> list[tuple[list[int], list[int]]]:
    """Token ids of (prompt, target), the target with its end-of-sequence token."""
    prompts = tokenizer([e.prompt for e in examples])["input_ids"]
    targets = tokenizer([e.target for e in examples])["input_ids"]
    if shape == "llama":
        targets = [[*t, tokenizer.eos_token_id] for t in targets]
    return list(zip(prompts, targets))


def collate(shape: str, pairs: list[tuple[list[int], list[int]]]) -> Batch:
    """Right-padded batch with labels on the target tokens only."""
    if shape == "llama":
        inputs, labels = [p + t for p, t in pairs], [[-100] * len(p) + t for p, t in pairs]
    else:
        inputs, labels = [p for p, _ in pairs], [t for _, t in pairs]

    def pad(rows: list[list[int]], value: int) -> torch.Tensor:
        width = max(map(len, rows))
        return torch.tensor([row + [value] * (width - len(row)) for row in rows])

    ones = [[1] * len(row) for row in inputs]
    return {"input_ids": pad(inputs, 0), "attention_mask": pad(ones, 0), "labels": pad(labels, -100)}


def batches(shape: str, pairs: list[tuple[list[int], list[int]]], size: int, seed: int) -> Iterator[Batch]:
    """One epoch in random order, items of like length together."""
    rng = random.Random(seed)
    order = rng.sample(pairs, len(pairs))
    chunks = []
    for start in range(0, len(order), 50 * size):
        block = sorted(order[start : start + 50 * size], key=lambda pair: len(pair[0]) + len(pair[1]))
        chunks += [block[i : i + size] for i in range(0, len(block), size)]
    rng.shuffle(chunks)
    return (collate(shape, chunk) for chunk in chunks)


def pretraining_optimiser(model: PreTrainedModel, rate: float) -> torch.optim.Optimizer:
    """AdamW; for a T5 its own Adafactor, whose steps scale with each weight (AdamW learns far more slowly)."""
    if model.config.is_encoder_decoder:
        return Adafactor(model.parameters(), lr=rate, beta1=0.9, relative_step=False, warmup_init=False)
    return torch.optim.AdamW(model.parameters(), lr=rate, weight_decay=0.01)


def train(
    model: PreTrainedModel,
    epochs: Iterator[Iterator[Batch]],
    optimiser: torch.optim.Optimizer,
    schedule: Callable[[int], float],
) -> float:
    """One step for every batch of all epochs; returns the mean loss of the last 100 steps."""
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimiser, schedule)
    model.train()
    losses: list[float] = []
    for batch in itertools.chain.from_iterable(epochs):
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        scheduler.step()
        optimiser.zero_grad()
        losses.append(loss.item())
        if len(losses) % 250 == 0:
            print(f"  step {len(losses)} loss {np.mean(losses[-100:]):.3f}", flush=True)
    return float(np.mean(losses[-100:]))


def pretrain(name: str, out: Path) -> None:
    """Make one model and write its folder."""
    recipe = RECIPES[name]
    began = time.monotonic()
    seed = derive(SEED, name)
    examples = recipe.task.generate(recipe.items, seed, part="pretraining", **recipe.imperfection)
    new_words = recipe.task.generate(2000, seed, part="train") if recipe.whole_new_words else []
    tokenizer = build_tokenizer(examples + new_words, recipe.shape)
    torch.manual_seed(seed)
    model = build_model(recipe.shape, len(tokenizer))
    pairs = encode(tokenizer, recipe.shape, examples)
    epochs = (batches(recipe.shape, pairs, 32, derive(seed, epoch)) for epoch in range(recipe.epochs))
    n_steps = recipe.epochs * -(-len(pairs) // 32)
    loss = train(
        model,
        epochs,
        pretraining_optimiser(model, recipe.rate),
        lambda step: min(1.0, (step + 1) / 100) * 0.5 * (1 + np.cos(np.pi * min(1.0, step / n_steps))),
    )
    minutes = (time.monotonic() - began) / 60
    save(name, model, tokenizer, out / name)
    print(f"{name}: {model.num_parameters():,} parameters, {n_steps} steps, loss {loss:.3f}, {minutes:.1f} min")


def save(name: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write weights in float16, configuration, tokenizer and a note of where they come from."""
    recipe = RECIPES[name]
    model.generation_config = GenerationConfig(
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0 if recipe.shape == "t5" else None,
    )
    if recipe.shape == "t5":
        model.config.dropout_rate = FINETUNING_DROPOUT
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").write_text(note(name, model.num_parameters()), encoding="utf-8")


def note(name: str, n_parameters: int) -> str:
    """What a reader of a model's folder wants to know."""
    recipe = RECIPES[name]
    ((imperfection, share),) = recipe.imperfection.items()
    return f"""# {name}

A {recipe.shape}-shaped model with {n_parameters:,} parameters, made by
`python scripts/pretrain_embedded.py {name}` of aftertune: random weights, then {recipe.epochs} epochs on
{recipe.items:,} generated items, the pre-training part of the task `{recipe.task.NAME}`
({imperfection} {share}; seed {SEED}). No other data and no other model went into it. It serves to try
aftertune out, nothing else. A learning rate of {recipe.finetuning_rate:.0e} suits fine-tuning on 300 items
in batches of 8 for 10 epochs. Apache-2.0, like the package.
"""


def load(folder: Path) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, str]:
    shape = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    loader = AutoModelForSeq2SeqLM if shape == "t5" else AutoModelForCausalLM
    return loader.from_pretrained(folder, dtype=torch.float32), AutoTokenizer.from_pretrained(folder), shape


@torch.no_grad()
def decode(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: list[Example],
    task: ModuleType,
    **settings,
) -> Iterator[tuple]:
    """(generate's output, new tokens, mask of real tokens) for batches of 50 items in order."""
    for start in range(0, len(examples), 50):
        prompts = [e.prompt for e in examples[start : start + 50]]
        encoded = tokenizer(prompts, return_tensors="pt", padding=True, return_token_type_ids=False)
        result = model.generate(  # pyright: ignore[reportCallIssue]
            **encoded,
            do_sample=False,
            max_new_tokens=TASKS.get(task.NAME).max_new_tokens,
            return_dict_in_generate=True,
            **settings,
        )
        skipped = 1 if model.config.is_encoder_decoder else encoded["input_ids"].shape[1]
        tokens = result.sequences[:, skipped:]
        before_end = (tokens == tokenizer.eos_token_id).cumsum(1) - (tokens == tokenizer.eos_token_id).long()
        yield result, tokens, before_end == 0


def measure(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: list[Example],
    task: ModuleType,
    beams: bool,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Quality and some confidence scores of each item, by plain `generate`: a look, not the tool's evidence."""
    model.eval()
    texts: list[str] = []
    scores: dict[str, list[float]] = {"mean_token_logprob": [], "mean_token_entropy": []}
    for result, tokens, real in decode(model, tokenizer, examples, task, output_logits=True):
        logprob = torch.log_softmax(torch.stack(result.logits, 1), -1)
        chosen = logprob.gather(-1, tokens[..., None])[..., 0]
        entropy = -(logprob.exp() * logprob).sum(-1)
        count = real.sum(1)
        scores["mean_token_logprob"] += ((chosen * real).sum(1) / count).tolist()
        scores["mean_token_entropy"] += (-(entropy * real).sum(1) / count).tolist()
        texts += [t.strip() for t in tokenizer.batch_decode(tokens, skip_special_tokens=True)]
    references = [e.references for e in examples]
    if beams:
        ranked: list[np.ndarray] = []
        for result, _, _ in decode(
            model, tokenizer, examples, task, num_beams=10, num_return_sequences=10, output_scores=True
        ):
            ranked += list(result.sequences_scores.reshape(-1, 10).double().numpy())
        s = np.array(ranked)
        weights = np.exp(s) / np.exp(s).sum(1, keepdims=True)
        scores["beam_ratio"] = list(np.exp(s[:, 0] - s[:, -1]))
        scores["beam_importance_weighted"] = list((weights * s).sum(1))
        samples = dropout_samples(model, tokenizer, examples, task)
        bleu = sacrebleu.BLEU(effective_order=True)
        scores["dropout_bleu_variance"] = [
            -float(
                np.mean(
                    [(1 - bleu.sentence_score(a, [b]).score / 100) ** 2 for a, b in itertools.permutations(row, 2)]
                )
            )
            for row in zip(*samples)
        ]
    return quality.compute(TASKS.get(task.NAME).quality, texts, references), {
        k: np.array(v) for k, v in scores.items()
    }


def dropout_samples(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, examples: list[Example], task: ModuleType
) -> list[list[str]]:
    """Three greedy decodes with dropout 0.1 (of the attention, in a Llama)."""
    model.train()
    for module in model.modules():
        if isinstance(module, LlamaAttention):
            module.attention_dropout = 0.1
    samples = []
    for sample in range(3):
        torch.manual_seed(sample)
        decoded = (tokens for _, tokens, _ in decode(model, tokenizer, examples, task))
        samples.append(
            [t.strip() for part in decoded for t in tokenizer.batch_decode(part, skip_special_tokens=True)]
        )
    for module in model.modules():
        if isinstance(module, LlamaAttention):
            module.attention_dropout = 0.0
    model.eval()
    return samples


def evaluate(name: str, folder: Path, rate: float | None, seed: int) -> None:
    """Fine-tune on 300 items and print quality and correlations before and after."""
    recipe = RECIPES[name]
    torch.manual_seed(seed)
    model, tokenizer, shape = load(folder)
    items = splits(recipe.task.generate)
    train_items, test_items = items["train"][:300], items["test"][:200]
    began = time.monotonic()
    before = measure(model, tokenizer, test_items, recipe.task, beams=True)
    pairs = encode(tokenizer, shape, train_items)
    measured = time.monotonic() - began
    epochs = (batches(shape, pairs, 8, derive(seed, "finetune", epoch)) for epoch in range(10))
    began = time.monotonic()
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate or recipe.finetuning_rate, weight_decay=0.0)
    train(model, epochs, optimiser, lambda step: 1.0)
    trained = time.monotonic() - began
    after = measure(model, tokenizer, test_items, recipe.task, beams=True)
    print(f"{name}: quality {before[0].mean():.3f} -> {after[0].mean():.3f} (sd {after[0].std():.3f}); "
          f"fine-tuning {trained:.0f} s, evidence {measured:.0f} s")  # fmt: skip
    for score in before[1]:
        a, b = (float(np.asarray(spearmanr(scores[score], q))[0]) for q, scores in (before, after))
        print(f"  {score:26} {a:+.3f} -> {b:+.3f}  ({b - a:+.3f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(RECIPES)}; all unless given")
    parser.add_argument("--out", type=Path, default=SHIPPED, help="folder for, or of, the models' folders")
    parser.add_argument(
        "--evaluate", action="store_true", help="fine-tune the models found there instead of making them"
    )
    parser.add_argument("--rate", type=float, help="learning rate for --evaluate instead of the recipe's")
    parser.add_argument("--seed", type=int, default=0, help="of fine-tuning, for --evaluate")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in arguments.names or RECIPES:
        if name not in RECIPES:
            parser.error(f"unknown model {name!r}: {', '.join(RECIPES)}")
        if arguments.evaluate:
            evaluate(name, arguments.out / name, arguments.rate, arguments.seed)
        else:
            pretrain(name, arguments.out)


if __name__ == "__main__":
    main()
