"""Evidence on a GPU: shapes of Llama-3.1-8B and Gemma-2-2B, random weights in bfloat16.

Samples a second, and which share of the time the memory traffic alone needs: every step reads all weights once
and the keys and values of all rows; the rate is that of copying a large tensor on the same device. (Prompts are
bound by arithmetic instead; they are counted with one reading of the weights, so the floor is low.)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, LlamaConfig, LlamaForCausalLM

from benchmarks.bare import BEAMS, SAMPLES, Bare
from benchmarks.models import Built, Shape, word_tokenizer
from benchmarks.ours import Ours
from benchmarks.prompts import random_prompts
from benchmarks.row import Row

NOT_MEASURED = "no GPU at hand"
PROMPTS, BATCH_SIZE, TOKENS, LONGEST = 64, 32, 64, 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A published shape; `tiny` cuts it down to try the script."""

    kind: Any
    model: Any
    fields: dict[str, Any]


CONFIGURATIONS = {
    "Llama-3.1-8B": Configuration(
        kind=LlamaConfig,
        model=LlamaForCausalLM,
        fields={
            "vocab_size": 128256,
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "max_position_embeddings": 8192,
        },
    ),
    "Gemma-2-2B": Configuration(
        kind=Gemma2Config,
        model=Gemma2ForCausalLM,
        fields={
            "vocab_size": 256000,
            "hidden_size": 2304,
            "intermediate_size": 9216,
            "num_hidden_layers": 26,
            "num_attention_heads": 8,
            "num_key_value_heads": 4,
            "head_dim": 256,
            "max_position_embeddings": 8192,
        },
    ),
}
TINY = {"vocab_size": 300, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2}


def measure(name: str, *, on_cpu: bool = False) -> tuple[list[Row], dict[str, Any]]:
    """Rows for one shape; "not measured" where there is no GPU and `on_cpu` is not set."""
    if not torch.cuda.is_available() and not on_cpu:
        case = "all evidence: samples a second, share of the memory-bandwidth floor"
        return [Row(section="gpu", case=case, model=name, value=None, note=f"not measured: {NOT_MEASURED}")], {}
    device = "cpu" if on_cpu else "cuda"
    built = _build(name, device, tiny=on_cpu)
    n, tokens, longest = (8, 4, 24) if on_cpu else (PROMPTS, TOKENS, LONGEST)
    prompts = random_prompts(built, n, longest)
    lengths = [len(prompt.split()) for prompt in prompts]
    dropout = built.shape.dropout
    ours = Ours(built.model, built.tokenizer, prompts, dropout, BATCH_SIZE)
    bare = Bare(built.model, built.tokenizer, prompts, dropout, BATCH_SIZE)
    rate = _bytes_per_second(device, 2**22 if on_cpu else 2**32)
    ours.everything(2)
    rows: list[Row] = []
    found: dict[str, Any] = {"bytes_per_second": rate}
    for words, ours_call, bare_calls, further in (
        ("log-prob and entropy with greedy", ours.greedy, [bare.greedy], ((1, True),)),
        (
            "all evidence",
            ours.everything,
            [bare.greedy, bare.beams, bare.dropout],
            ((1, True), (BEAMS, False), (SAMPLES, True)),
        ),
    ):
        seconds = _timed(lambda call=ours_call: call(tokens), device)
        other = sum(_timed(lambda call=call: call(tokens), device) for call in bare_calls)
        floor = _traffic(built, lengths, tokens, further) / rate
        found[words] = {"ours_s": seconds, "bare_s": other, "floor_s": floor}
        rows += [
            _row(name, f"{words}: samples a second", n / seconds, "/s"),
            _row(name, f"{words}: share of the memory-bandwidth floor in the time", 100 * floor / seconds, "%"),
            _row(name, f"{words}: wall time / bare calls", seconds / other, "×"),
        ]
    return rows, found


def _row(name: str, case: str, value: float, unit: str) -> Row:
    return Row(section="gpu", case=case, model=name, value=value, unit=unit)


def _build(name: str, device: str, *, tiny: bool) -> Built:
    configuration = CONFIGURATIONS[name]
    fields = {**configuration.fields, **(TINY if tiny else {})}
    end = fields["vocab_size"]  # outside the vocabulary: never produced
    config = configuration.kind(**fields, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16)
    try:
        with torch.device(device):
            model = configuration.model(config).eval()
    finally:
        torch.set_default_dtype(before)
    model.generation_config.eos_token_id = end
    model.generation_config.pad_token_id = 0
    shape = Shape(
        name=name,
        family="llama",
        vocabulary=fields["vocab_size"],
        width=fields["hidden_size"],
        layers=fields["num_hidden_layers"],
        inner=fields["intermediate_size"],
        heads=fields["num_attention_heads"],
        kv_heads=fields["num_key_value_heads"],
        head_dim=fields["head_dim"],
        dropout="residual:0.1",
    )
    return Built(shape=shape, model=model, tokenizer=word_tokenizer(shape, end))


def _traffic(built: Built, lengths: list[int], tokens: int, parts: tuple[tuple[int, bool], ...]) -> float:
    """Bytes that must be read: weights once a step, keys and values of each row's context.

    `parts` holds (rows for each prompt, whether the part reads the prompt itself).
    """
    shape, size = built.shape, 2
    weights = sum(one.numel() for one in built.model.parameters()) * size
    if not built.model.config.tie_word_embeddings:
        weights -= built.model.get_input_embeddings().weight.numel() * size  # rows are looked up
    entry = 2 * shape.layers * shape.kv_heads * shape.head_dim * size
    total = 0.0
    order = sorted(lengths, reverse=True)
    for start in range(0, len(order), BATCH_SIZE):
        batch = order[start : start + BATCH_SIZE]
        for rows, reads_prompt in parts:
            steps = tokens - 1
            context = sum(steps * length + steps * (steps + 1) / 2 for length in batch)
            total += (steps + reads_prompt) * weights + rows * context * entry
    return total


def _bytes_per_second(device: str, size: int) -> float:
    """Read and write together, of copying `size` bytes: the best of five."""
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return max(2 * size / _timed(lambda: target.copy_(source), device) for _ in range(5))


def _timed(call: Callable[[], object], device: str) -> float:
    if device == "cuda":
        torch.cuda.synchronize()
    started = time.perf_counter()
    call()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started
