"""A model with its tokenizer and the few facts that decoding needs to know about them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import PreTrainedConfig

from aftertune.errors import InputError

Kind = Literal["causal", "seq2seq"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodingRules:
    """Ids that decide how a decode starts and stops.

    Attributes
    ----------
    eos_ids : every id that ends an output (generation config, model config and tokenizer together).
    pad_id : fills finished rows; always masked, so any id will do.
    start_id : first decoder input of an encoder–decoder, None for decoder-only models.
    forced_first_id, forced_last_id : tokens that the model's generation config forces at the first step
        and at the last possible step (BART); None otherwise.
    """

    eos_ids: tuple[int, ...]
    pad_id: int
    start_id: int | None = None
    forced_first_id: int | None = None
    forced_last_id: int | None = None

    def forced_id(self, step: int, limit: int) -> int | None:
        """The token that is forced at this step of at most `limit`, if any."""
        if step + 1 == limit and self.forced_last_id is not None:
            return self.forced_last_id
        return self.forced_first_id if step == 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """What the engine decodes with.

    Attributes
    ----------
    model : a transformers model, or a PEFT model around one.
    tokenizer : its tokenizer.
    name : for messages.
    kind : "causal" (decoder-only) or "seq2seq" (encoder–decoder).
    context : longest prompt + output (causal) or prompt (seq2seq) in tokens; None where unlimited.
    output_context : longest output of an encoder–decoder in tokens; None where unlimited.
    """

    model: Any
    tokenizer: Any
    name: str
    kind: Kind
    rules: DecodingRules
    context: int | None
    output_context: int | None = None


def wrap(model: Any, tokenizer: Any, name: str = "model") -> LoadedModel:
    """Describe a loaded model. Nothing is changed in the model or the tokenizer."""
    seq2seq = bool(model.config.is_encoder_decoder)
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        name=name,
        kind="seq2seq" if seq2seq else "causal",
        rules=_rules(model, tokenizer, name, seq2seq),
        context=_context(model, encoder=seq2seq),
        output_context=_context(model) if seq2seq else None,
    )


def _rules(model: Any, tokenizer: Any, name: str, seq2seq: bool) -> DecodingRules:
    generation, config = model.generation_config, model.config
    eos = generation.eos_token_id if generation.eos_token_id is not None else getattr(config, "eos_token_id", None)
    eos_ids = [] if eos is None else [eos] if isinstance(eos, int) else list(eos)
    if tokenizer.eos_token_id is not None and tokenizer.eos_token_id not in eos_ids:
        eos_ids.append(tokenizer.eos_token_id)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else generation.pad_token_id
    if pad is None:
        if not eos_ids:
            raise InputError(
                f"the tokenizer of {name} has neither a pad nor an end-of-sequence token: set pad_token "
                'in its tokenizer_config.json, e.g. "pad_token": "<pad>"'
            )
        pad = eos_ids[0]
    if not eos_ids:
        raise InputError(
            f"{name} has no end-of-sequence token: outputs would never end; set eos_token_id in its "
            "generation_config.json"
        )
    start = None
    if seq2seq:
        start = generation.decoder_start_token_id
        if start is None:
            start = getattr(config, "decoder_start_token_id", None)
        if start is None:
            raise InputError(f"{name} has no decoder_start_token_id: set it in its generation_config.json")
    return DecodingRules(
        eos_ids=tuple(eos_ids),
        pad_id=pad,
        start_id=start,
        forced_first_id=_one_id(generation.forced_bos_token_id) if seq2seq else None,
        forced_last_id=_one_id(generation.forced_eos_token_id) if seq2seq else None,
    )


def _one_id(value: int | list[int] | None) -> int | None:
    return value[0] if isinstance(value, list) else value


POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len")
"""What configurations call the number of their positions."""


def _context(model: Any, *, encoder: bool = False) -> int | None:
    """Absolute limit of positions, of the encoder or the decoder; None for T5's relative positions."""
    side = "encoder" if encoder else "decoder"
    inner = getattr(model.config, side, None)
    config = model.config.get_text_config(encoder=encoder, decoder=not encoder)
    config = inner.get_text_config() if isinstance(inner, PreTrainedConfig) else config
    names = (f"max_{side}_position_embeddings", *POSITIONS)
    limit = next((value for name in names if isinstance(value := getattr(config, name, None), int)), None)
    if limit is None or limit < 1:  # XLNet says −1
        return None
    for module in model.modules():
        if (
            isinstance(module, torch.nn.Embedding)
            and module is not model.get_input_embeddings()
            and module.num_embeddings == limit
            and module.padding_idx is not None
        ):
            return limit - module.padding_idx - 1  # positions count from the one behind it (RoBERTa)
    return limit
