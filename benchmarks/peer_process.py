"""LM-Polygraph measuring itself: run by the interpreter of its own environment, never imported.

    PEER_PYTHON peer_process.py MODEL_FOLDER CausalLM|Seq2SeqLM THREADS ATTENTION

One JSON request a line on standard input, one JSON answer a line on standard output; whatever the library prints
goes to standard error. The calculators are those that LM-Polygraph's manager would run for log-probability,
token entropy and samples, in its order; no similarity model is involved.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import warnings
from importlib.metadata import version


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    folder, kind, threads, attention = sys.argv[1:]
    warnings.simplefilter("ignore")
    import torch
    from lm_polygraph.utils.model import WhiteboxModel  # pyright: ignore[reportMissingImports]
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    auto = AutoModelForCausalLM if kind == "CausalLM" else AutoModelForSeq2SeqLM
    inner = auto.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention).eval()
    side = "left" if kind == "CausalLM" else "right"
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side=side)
    model = WhiteboxModel(inner, tokenizer, model_path=folder, model_type=kind)
    for line in sys.stdin:
        print(json.dumps(answer(model, json.loads(line))), file=answers, flush=True)


def answer(model, request: dict) -> dict:
    """Times of one run over all batches, and how much was decoded."""
    from lm_polygraph.stat_calculators import (  # pyright: ignore[reportMissingImports]
        EntropyCalculator,
        GreedyProbsCalculator,
        SamplingGenerationCalculator,
    )

    calculators = [
        GreedyProbsCalculator(
            output_attentions=request["attentions"], output_hidden_states=request["hidden_states"]
        ),
        EntropyCalculator(),
    ]
    if request["samples"]:
        calculators.append(SamplingGenerationCalculator(samples_n=request["samples"]))
    greedy_tokens = sample_tokens = 0
    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    for texts in request["batches"]:
        found: dict = {}
        for calculator in calculators:
            found.update(calculator(found, texts, model, request["tokens"]))
        greedy_tokens += sum(map(len, found["greedy_tokens"]))
        sample_tokens += sum(len(one) for each in found.get("sample_tokens", []) for one in each)
        del found
    return {
        "cpu": time.process_time() - cpu,
        "wall": time.perf_counter() - wall,
        "greedy_tokens": greedy_tokens,
        "sample_tokens": sample_tokens,
        "versions": {name: version(name) for name in ("lm-polygraph", "torch", "transformers")},
    }


if __name__ == "__main__":
    main()
