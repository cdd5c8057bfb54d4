"""Models with random weights in the shapes that the figures are stated for, and their word tokenizer.

Random weights cost the same as trained ones as long as outputs have the same lengths. Two ways to end:

- *never stopping*: the end-of-sequence id lies outside the vocabulary, so that no decode can produce it, for
  bare `generate`, for aftertune and for the peer alike; every output has all its tokens;
- *natural lengths*: see `benchmarks.stopping`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

PAD = 0
END = {"t5": 1, "llama": 2}
CONTEXT = 2048
FIRST_WORD = 3
_SMALLER = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What decides how much there is to compute.

    Attributes
    ----------
    layers : of the decoder; a T5 has as many in its encoder.
    heads, kv_heads, head_dim : of attention.
    inner : width of the feed-forward block.
    dropout : setting for the dropout decodes, as aftertune writes it.
    """

    name: str
    family: Literal["t5", "llama"]
    vocabulary: int
    width: int
    layers: int
    inner: int
    heads: int
    kv_heads: int
    head_dim: int
    dropout: str


SHAPES = {
    shape.name: shape
    for shape in (
        Shape(
            name="t5",
            family="t5",
            vocabulary=32128,
            width=512,
            layers=6,
            inner=2048,
            heads=8,
            kv_heads=8,
            head_dim=64,
            dropout="native",
        ),
        Shape(
            name="llama",
            family="llama",
            vocabulary=32000,
            width=512,
            layers=10,
            inner=1408,
            heads=8,
            kv_heads=8,
            head_dim=64,
            dropout="residual:0.1",
        ),
        Shape(
            name="llama-128k",
            family="llama",
            vocabulary=128256,
            width=256,
            layers=4,
            inner=704,
            heads=4,
            kv_heads=2,
            head_dim=64,
            dropout="residual:0.1",
        ),
    )
}


def tiny(shape: Shape) -> Shape:
    """The same family with next to nothing to compute, for tests and for `--tiny`."""
    return replace(shape, vocabulary=300, width=160, layers=2, inner=384, heads=4, kv_heads=4, head_dim=40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A model, its tokenizer and the shape that it was made from."""

    shape: Shape
    model: Any
    tokenizer: Any

    @property
    def parameters(self) -> int:
        return sum(one.numel() for one in self.model.parameters())


def build(shape: Shape, *, stops: bool = False, seed: int = 0) -> Built:
    """Random weights in evaluation mode. With `stops` the end-of-sequence id is inside the vocabulary."""
    end = END[shape.family] if stops else shape.vocabulary
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: Any = _t5(shape) if shape.family == "t5" else _llama(shape)
    if shape.family == "t5" and not stops:
        _vary(model)
    model.generation_config.eos_token_id = end
    model.generation_config.pad_token_id = PAD
    return Built(shape=shape, model=model.eval(), tokenizer=word_tokenizer(shape, end))


def _t5(shape: Shape) -> Any:
    config = T5Config(
        vocab_size=shape.vocabulary,
        d_model=shape.width,
        d_kv=shape.head_dim,
        d_ff=shape.inner,
        num_layers=shape.layers,
        num_heads=shape.heads,
        dropout_rate=0.1,
        pad_token_id=PAD,
        eos_token_id=END["t5"],
        decoder_start_token_id=PAD,  # pyright: ignore[reportCallIssue]
    )
    return T5ForConditionalGeneration(config)


@torch.no_grad()
def _vary(model: Any) -> None:
    """Let the blocks, not the last token's own embedding, decide what comes next.

    With tied random embeddings a T5 repeats its start token for ever: texts would be empty, and dropout decodes
    all alike. Smaller embeddings change that; the last norm gives the logits their scale back.
    """
    model.shared.weight *= 1 / _SMALLER
    model.decoder.final_layer_norm.weight *= _SMALLER


def _llama(shape: Shape) -> Any:
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_dim,
        max_position_embeddings=CONTEXT,
        pad_token_id=PAD,
        bos_token_id=1,
        eos_token_id=END["llama"],
    )
    return LlamaForCausalLM(config)


def word_tokenizer(shape: Shape, end: int) -> Any:
    """One word for each id, split at spaces, nothing added to a prompt."""
    names = {word(i): i for i in range(shape.vocabulary)}
    for name, i in (("<pad>", PAD), ("</s>", end)):
        if i < shape.vocabulary:
            del names[word(i)]
        names[name] = i
    inner = Tokenizer(WordLevel(names, unk_token="<pad>"))
    inner.pre_tokenizer = WhitespaceSplit()  # pyright: ignore[reportAttributeAccessIssue]
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",
        eos_token="</s>",
        padding_side="right" if shape.family == "t5" else "left",
        clean_up_tokenization_spaces=False,
    )


_SYLLABLES = [consonant + vowel for consonant in "bdfghjklmnprstvz" for vowel in "aeiou"]
_ENDINGS = ("", "s", "ing", "ed", "ly")


def word(i: int) -> str:
    """A made-up word for each id, no two alike, so that text metrics have words and stems to work on.

    >>> [word(i) for i in (0, 1, 2, 400)]
    ['ba', 'bes', 'biing', 'buba']
    """
    letters, rest = "", i + 1
    while rest:
        rest, syllable = divmod(rest - 1, len(_SYLLABLES))
        letters = _SYLLABLES[syllable] + letters
    return letters + _ENDINGS[i % len(_ENDINGS)]
