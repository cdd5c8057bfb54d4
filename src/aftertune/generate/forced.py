"""Logits of given outputs: what a model expects after a prompt, and after each token of an output.

Shapes: P positions (the outputs' tokens, item after item), V vocabulary, d hidden size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import ModelOutput

from aftertune.generate.decoder import accepted, decoder_of, padded
from aftertune.generate.prefill import Way, prefill
from aftertune.models.adapters import unwrapped, virtual_tokens
from aftertune.models.loaded import LoadedModel, TokenIds

CHUNK = 2**23
"""Most numbers in one chunk of logits (32 MiB in float32); a chunk has at least one position."""


def read_alone(loaded: LoadedModel, prompt: Sequence[int], output: Sequence[int]) -> Tensor:
    """Raw logits after the prompt and after each token of the output, (len(output) + 1, V).

    One pass over one row, without padding and without a cache.
    """
    device, count = loaded.model.device, len(output) + 1
    if loaded.kind == "causal":
        tokens, mask = padded([[*prompt, *output]], loaded.rules.pad_id, device, left=True)
        inputs = {"input_ids": tokens, "logits_to_keep": count}
        if not virtual_tokens(loaded.model):  # PEFT counts positions itself where there are any
            inputs["position_ids"] = mask.cumsum(-1) - 1
    else:
        tokens, mask = padded([prompt], loaded.rules.pad_id, device, left=False)
        written = torch.tensor([[loaded.rules.start_id or 0, *output]], device=device)
        inputs = {"input_ids": tokens, "decoder_input_ids": written}
    inputs |= {"attention_mask": mask, "use_cache": False}
    return loaded.model(**accepted(loaded.model, **inputs)).logits[0, -count:]


def forced_alone(loaded: LoadedModel, way: Way, prompt: Sequence[int], output: Sequence[int]) -> Tensor:
    """`read_alone`, or the same token by token, as decoding does, where the way is not "whole"."""
    if way == "whole":
        return read_alone(loaded, prompt, output)
    decoder = prefill(loaded, [prompt], way)
    logits = [decoder.logits[0]]
    for token in output:
        one = torch.tensor([[token]], device=logits[0].device)
        decoder.step(one, torch.zeros_like(one))
        logits.append(decoder.logits[0])
    return torch.cat(logits)


class Forced:
    """One pass over a padded batch of prompts and outputs; only hidden states are kept of it.

    Attributes
    ----------
    hidden : (P, d) the decoder's last hidden states that predict the outputs' tokens.
    chunk : positions in a chunk of logits.
    """

    hidden: Tensor
    _output: ModelOutput

    def __init__(self, loaded: LoadedModel, prompts: TokenIds, outputs: TokenIds) -> None:
        self._loaded, self._decoder = loaded, decoder_of(loaded.model)
        self.chunk = max(1, CHUNK // loaded.n_vocabulary)
        device, pad = loaded.model.device, loaded.rules.pad_id
        if loaded.kind == "causal":
            # PEFT puts virtual tokens in front of all: padding is behind, where no real token sees it
            left = not virtual_tokens(loaded.model)
            rows = [(*prompt, *output[:-1]) for prompt, output in zip(prompts, outputs)]
            tokens, mask = padded(rows, pad, device, left=left)
            inputs = {"input_ids": tokens, "attention_mask": mask}
            if left:
                inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
            spoken = [
                [False] * (len(row) - len(output)) + [True] * len(output) for row, output in zip(rows, outputs)
            ]
            real = padded(spoken, False, device, left=left)[0].bool()
        else:
            tokens, mask = padded(prompts, pad, device, left=False)
            starts = [(loaded.rules.start_id or 0, *output[:-1]) for output in outputs]
            written, real = padded(starts, pad, device, left=False)
            inputs = {"input_ids": tokens, "attention_mask": mask, "decoder_input_ids": written}
            real = real.bool()
        kept: list[ModelOutput] = []

        def keep(module: Any, args: Any, output: Any) -> Any:
            kept.append(output)
            return _with_states(output, output.last_hidden_state[:1, -1:])  # the head must not see them all

        handle = self._decoder.register_forward_hook(keep)
        try:
            loaded.model(**accepted(loaded.model, **inputs, use_cache=False))
        finally:
            handle.remove()
        (self._output,) = kept
        self.hidden = kept[0]["last_hidden_state"][:, -real.shape[1] :][real]

    def logits(self) -> Iterator[Tensor]:
        """Raw logits (at most `chunk`, V) of all positions in order, a chunk at a time.

        The model's own forward runs around a decoder that returns their hidden states. So whatever the model does
        to its logits (Gemma's soft cap, T5's scale, BART's bias, an adapter on the head) is done here too.
        """
        return map(self._head, self.hidden.split(self.chunk))

    def _head(self, hidden: Tensor) -> Tensor:
        model = unwrapped(self._loaded.model)
        ids = torch.zeros((1, 1), dtype=torch.long, device=hidden.device)
        inputs: dict[str, Any] = {"input_ids": ids}
        if self._loaded.kind == "seq2seq":
            encoded = BaseModelOutput(last_hidden_state=hidden[None, :1])  # type: ignore[arg-type]
            inputs = {"encoder_outputs": encoded, "decoder_input_ids": ids}
        with _replaced_forward(self._decoder, lambda *args, **kwargs: _with_states(self._output, hidden[None])):
            return model(**accepted(model, **inputs, use_cache=False)).logits[0]


def _with_states(output: ModelOutput, hidden: Tensor) -> ModelOutput:
    return type(output)(**{**output, "last_hidden_state": hidden})


@contextmanager
def _replaced_forward(module: Any, forward: Callable[..., Any]) -> Iterator[None]:
    """`module.forward` is `forward` inside the block; a forward that someone else put there is put back."""
    before = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        del module.forward
        if before is not None:
            module.forward = before
