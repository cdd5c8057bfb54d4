"""Tiny models of the four architectures, built and briefly trained in code (a few seconds each).

Training makes outputs end at natural, different lengths; random weights would stop at once (BART) or never.
The task: repeat the prompt's words, then stop.
"""

from __future__ import annotations

import os
import random
from functools import cache

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    Gemma2Config,
    Gemma2ForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

ARCHITECTURES = ("llama", "gemma2", "t5", "bart")
WORDS = [f"w{i}" for i in range(40)]
SPECIAL = ["<pad>", "<s>", "</s>", "<unk>", "="]
VOCABULARY = {word: i for i, word in enumerate([*SPECIAL, *WORDS])}
PAD, BOS, EOS = 0, 1, 2

SEED = int(os.environ.get("AFTERTUNE_TEST_SEED", "0"))
"""Added to the seed of every training and of every model with random weights: whatever is expected must hold for
each, as it must on each processor, where the same training ends elsewhere."""


def tokenizer(kind: str) -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.WordLevel(VOCABULARY, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    single = {"causal": "<s> $A", "t5": "$A </s>", "bart": "<s> $A </s>"}[kind]
    inner.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[("<s>", BOS), ("</s>", EOS)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        padding_side="left" if kind == "causal" else "right",
        clean_up_tokenization_spaces=False,
    )


def _build(architecture: str):
    shared = {"vocab_size": len(VOCABULARY), "pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS}
    decoder = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 96,
    }
    if architecture == "llama":
        return LlamaForCausalLM(LlamaConfig(**shared, **decoder))
    if architecture == "gemma2":
        config = Gemma2Config(**shared, **decoder, sliding_window=8, query_pre_attn_scalar=8)
        config._attn_implementation = "eager"
        return Gemma2ForCausalLM(config)
    if architecture == "t5":
        config = T5Config(
            **shared, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, dropout_rate=0.1,
            decoder_start_token_id=PAD,
        )  # fmt: skip
        return T5ForConditionalGeneration(config)
    config = BartConfig(
        **shared, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=96,
        decoder_start_token_id=EOS, forced_bos_token_id=BOS, forced_eos_token_id=EOS, dropout=0.1,
    )  # fmt: skip
    model = BartForConditionalGeneration(config)
    model.generation_config.forced_bos_token_id = BOS
    model.generation_config.forced_eos_token_id = EOS
    return model


def prompts(n: int, seed: int = 0) -> list[str]:
    """Prompts of 1 to 12 words."""
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 12))) + " =" for _ in range(n)]


@cache
def tiny(architecture: str):
    """(model in evaluation mode, tokenizer); the same object on every call: do not change it.

    Whatever the seed and the processor, the outputs for `prompts(12)` have three lengths or more, and those for
    `prompts(20, 3)`, the test items of `samples`, have a word each.
    """
    kind = architecture if architecture in ("t5", "bart") else "causal"
    words = tokenizer(kind)
    with torch.random.fork_rng():
        torch.manual_seed(1 + SEED)
        model = _build(architecture)
        optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
        for part in range(10):
            _train(model, words, optimiser, causal=kind == "causal", steps=range(60 * part, 60 * part + 60))
            if _answers(model.eval(), words):
                return model, words
    raise RuntimeError(f"{architecture}: training did not come to outputs of different lengths")


def _train(model, words, optimiser, *, causal: bool, steps: range) -> None:
    model.train()
    for step in steps:
        texts = prompts(32, seed=1000 * (1 + SEED) + step)
        pairs = [(words(t)["input_ids"], words(t.removesuffix(" ="))["input_ids"]) for t in texts]
        if causal:
            rows = [p + t[1:] + [EOS] for p, t in pairs]
            labels = [[-100] * len(p) + t[1:] + [EOS] for p, t in pairs]
        else:
            rows, labels = [p for p, _ in pairs], [t for _, t in pairs]
        ids = _stack(rows, PAD)
        loss = model(input_ids=ids, attention_mask=(ids != PAD).long(), labels=_stack(labels, -100)).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def _answers(model, words) -> bool:
    """Whether the outputs are as `tiny` says."""
    asked = words([*prompts(12), *prompts(20, 3)], return_tensors="pt", padding=True)
    ids, mask = asked["input_ids"], asked["attention_mask"]
    found = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=14, do_sample=False)
    outputs = found if model.config.is_encoder_decoder else found[:, ids.shape[1] :]
    lengths = (outputs >= len(SPECIAL)).sum(1).tolist()
    return len({*lengths[:12]}) > 2 and len({*lengths[:6]}) > 1 and min(lengths[12:]) > 0


def _stack(rows: list[list[int]], fill: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])


def beam_search(decoder, rules, n_beams: int, max_new_tokens: int, prompts=None):
    """The beams of a search on its own, from freshly read prompts; `decoder` is used up."""
    from aftertune.generate.beam import BeamSearch
    from aftertune.generate.search import decode

    search = BeamSearch(len(decoder.logits), n_beams, rules, max_new_tokens, decoder.logits.device, prompts)
    decode(decoder, [search], max_new_tokens)
    return search.result()
