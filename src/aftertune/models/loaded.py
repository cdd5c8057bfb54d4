"""A model with its tokenizer, and the few facts that decoding needs to know about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Literal

import torch
from transformers import PreTrainedConfig, PreTrainedTokenizerBase

from aftertune.errors import InputError, shown
from aftertune.models.adapters import check_adapter, is_prefix, virtual_tokens

Kind = Literal["causal", "seq2seq"]
TokenIds = Sequence[Sequence[int]]
"""Of several prompts or outputs."""

NEUTRAL: dict[str, Any] = {
    "repetition_penalty": 1.0,
    "encoder_repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "min_length": 0,
    "min_new_tokens": 0,
    "length_penalty": 1.0,
    "early_stopping": False,
    "exponential_decay_length_penalty": None,
    "sequence_bias": None,
    "guidance_scale": 1.0,
    "stop_strings": None,
    "watermarking_config": None,
}
"""Settings of a generation config that change what ``generate`` does, each with the value that changes nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingRules:
    """How a decode starts and stops, and which tokens it may not take.

    Attributes
    ----------
    eos_ids : every id that ends an output (of generation config, model config and tokenizer together).
    pad_id : fills finished rows; it is always masked, so any id will do.
    end_id : the one of `eos_ids` that closes an answer outside a chat: the tokenizer's where the generation config
        has it too, else the generation config's first.
    start_id : first decoder input of an encoder–decoder, None for decoder-only models.
    forced_first_id : what the generation config forces after an input of exactly one token (an encoder–decoder's
        first step); None otherwise.
    forced_last_ids : one of these is forced at the last possible step; () otherwise.
    bad_words : sequences that are never completed.
    suppressed, suppressed_first : tokens never taken, and those not taken at the first free step.
    renormalised : whether a beam search ranks by probabilities of the allowed tokens alone.
    """

    eos_ids: tuple[int, ...]
    pad_id: int
    end_id: int
    start_id: int | None = None
    forced_first_id: int | None = None
    forced_last_ids: tuple[int, ...] = ()
    bad_words: tuple[tuple[int, ...], ...] = ()
    suppressed: tuple[int, ...] = ()
    suppressed_first: tuple[int, ...] = ()
    renormalised: bool = False

    def forced_ids(self, step: int, limit: int) -> tuple[int, ...]:
        """The tokens of which one is forced at this step of at most `limit`; () where none is."""
        if step + 1 == limit and self.forced_last_ids:
            return self.forced_last_ids
        first = self.forced_first_id
        return () if step > 0 or first is None or self.start_id is None else (first,)

    @property
    def first_free_step(self) -> int:
        """The step at which `suppressed_first` are not taken."""
        return int(self.start_id is not None and self.forced_first_id is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A model and its tokenizer, with what decoding needs to know of them.

    Attributes
    ----------
    model : a transformers model, or a PEFT model around one.
    tokenizer : its tokenizer.
    name : for messages.
    kind : "causal" (decoder-only) or "seq2seq" (encoder–decoder).
    context : longest prompt + output (causal) or prompt (seq2seq) in tokens; None where unlimited. Virtual tokens
        of an adapter are taken off, here and below.
    output_context : longest output of an encoder–decoder in tokens; None where unlimited.
    notes : sentences on the weights that a reader of the results must know.
    """

    model: Any
    tokenizer: Any
    name: str
    kind: Kind
    rules: DecodingRules
    context: int | None
    output_context: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_vocabulary(self) -> int:
        """V, the number of ids that the model knows."""
        return self.model.config.get_text_config(decoder=True).vocab_size


def wrap(model: Any, tokenizer: Any, name: str = "model") -> LoadedModel:
    """Describe a loaded model. Nothing is changed in the model or the tokenizer.

    Raises
    ------
    InputError
        The model is none, has no end of sequence, or an adapter that cannot be decoded; what its generation config
        says of tokens is no id, or of none that the model has.
    """
    if not isinstance(model, torch.nn.Module) or not hasattr(model, "config"):
        raise InputError(
            f"model is {shown(model)}: give a transformers model, as "
            "AutoModelForCausalLM.from_pretrained(…) makes one"
        )
    if getattr(model, "generation_config", None) is None:
        raise InputError(f"{name} is {shown(model)}, which cannot generate: give a model with a language head")
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise InputError(
            f"tokenizer is {shown(tokenizer)}: give a tokenizer, as AutoTokenizer.from_pretrained(…) makes one"
        )
    loaded = without_weights(model.config, model.generation_config, tokenizer, name)
    seq2seq = loaded.kind == "seq2seq"
    check_adapter(model, name, loaded.kind)
    limits = {"context": _context(model, encoder=seq2seq), "output_context": _context(model) if seq2seq else None}
    return replace(loaded, model=model, **limits)


def without_weights(config: Any, generation: Any, tokenizer: Any, name: str) -> LoadedModel:
    """What `wrap` gives, but for reading prompts only: its `model` has configurations and nothing else."""
    return LoadedModel(
        model=SimpleNamespace(config=config, generation_config=generation),
        tokenizer=tokenizer,
        name=name,
        kind="seq2seq" if config.is_encoder_decoder else "causal",
        rules=_rules(config, generation, tokenizer, name),
        context=None,
    )


def generation_notes(loaded: LoadedModel) -> list[str]:
    """One sentence where the generation config sets what changes greedy or beam ``generate`` but nothing here."""
    generation = loaded.model.generation_config
    values = {name: getattr(generation, name, None) for name in NEUTRAL}
    found = [f"{name} {value}" for name, value in values.items() if value not in (None, NEUTRAL[name])]
    if not found:
        return []
    listed = " and ".join([", ".join(found[:-1]), found[-1]] if len(found) > 1 else found)
    return [
        f"the generation config of {loaded.name} sets {listed}: without effect here, outputs are the plain greedy "
        "output and plain beams"
    ]


def _rules(config: Any, generation: Any, tokenizer: Any, name: str) -> DecodingRules:
    n = config.get_text_config(decoder=True).vocab_size

    def ids(setting: str, *, of: Any = generation, known: bool = False) -> tuple[int, ...]:
        """A setting of the generation config as ids, where `known`, of tokens that the model has."""
        value = getattr(of, setting, None)
        found = () if value is None else tuple(value) if isinstance(value, list | tuple) else (value,)
        for one in found:
            is_id = isinstance(one, int) and not isinstance(one, bool)
            if not is_id or (known and not 0 <= one < n):
                raise InputError(
                    f"the generation config of {name} is wrong: {setting} is {shown(one)}, and a token's id from "
                    f"0 to {n - 1} is wanted: mend it in its generation_config.json (or config.json)"
                )
        return found

    own_eos = ids("eos_token_id") or ids("eos_token_id", of=config)
    eos_ids = own_eos
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in eos_ids:
        eos_ids = (*eos_ids, tokenizer.eos_token_id)
    if not eos_ids:
        raise InputError(
            f"{name} has no end-of-sequence token: outputs would never end; set eos_token_id in its "
            "generation_config.json"
        )
    pad = tokenizer.pad_token_id
    if pad is None:
        pad = next(iter(ids("pad_token_id")), None)
    if pad is None or not 0 <= pad < n:  # added, and never given an embedding
        pad = eos_ids[0]
    start = None
    if config.is_encoder_decoder:
        first = ids("decoder_start_token_id", known=True) or ids("decoder_start_token_id", of=config, known=True)
        if not first:
            raise InputError(f"{name} has no decoder_start_token_id: set it in its generation_config.json")
        start = first[0]
    words = getattr(generation, "bad_words_ids", None) or ()
    if not isinstance(words, list | tuple) or not all(isinstance(word, list | tuple) for word in words):
        raise InputError(
            f"the generation config of {name} is wrong: bad_words_ids is {shown(words)}, and a list of lists of "
            "ids is wanted: mend it in its generation_config.json"
        )
    beyond = [one for word in words for one in word if not isinstance(one, int) or not 0 <= one < n]
    if beyond:
        raise InputError(
            f"the generation config of {name} forbids the token id {beyond[0]} (bad_words_ids), but its "
            f"vocabulary has {n}: mend bad_words_ids in its generation_config.json"
        )
    first = ids("forced_bos_token_id", known=True)
    return DecodingRules(
        eos_ids=eos_ids,
        pad_id=pad,
        end_id=tokenizer.eos_token_id if tokenizer.eos_token_id in own_eos else eos_ids[0],
        start_id=start,
        forced_first_id=first[0] if first else None,
        forced_last_ids=ids("forced_eos_token_id", known=True),
        bad_words=tuple(tuple(word) for word in words if not (len(word) == 1 and word[0] in own_eos)),
        suppressed=tuple(token for token in ids("suppress_tokens") if 0 <= token < n),
        suppressed_first=tuple(token for token in ids("begin_suppress_tokens") if 0 <= token < n),
        renormalised=getattr(generation, "renormalize_logits", None) is True,
    )


POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len")
"""What configurations call the number of their positions."""


def _context(model: Any, *, encoder: bool = False) -> int | None:
    """Number of positions of the decoder or the encoder; None where unlimited (T5's are relative)."""
    side = "encoder" if encoder else "decoder"
    inner = getattr(model.config, side, None)
    config = model.config.get_text_config(encoder=encoder, decoder=not encoder)
    config = inner.get_text_config() if isinstance(inner, PreTrainedConfig) else config
    names = (f"max_{side}_position_embeddings", *POSITIONS)
    limit = next((value for name in names if isinstance(value := getattr(config, name, None), int)), None)
    if limit is None or limit < 1:  # XLNet says −1
        return None
    positions = limit
    if is_prefix(model):  # stands before the decoder's tokens, elsewhere virtual tokens are the prompt's
        limit -= 0 if encoder else virtual_tokens(model)
    elif encoder or not model.config.is_encoder_decoder:
        limit -= virtual_tokens(model)
    for module in model.modules():
        if (
            isinstance(module, torch.nn.Embedding)
            and module is not model.get_input_embeddings()
            and module.num_embeddings == positions
            and module.padding_idx is not None
        ):
            return limit - module.padding_idx - 1  # positions count from the one behind it (RoBERTa)
    return limit
