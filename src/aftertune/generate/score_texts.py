"""Teacher-forced scoring: log-probability and entropy of each token of given outputs, under any checkpoint.

One forward pass reads prompt and output together. Only the decoder's hidden states at the output's positions are
kept of it; the head is applied to them a chunk of positions at a time, and each chunk of logits is reduced in
float32 before the next one is made. A (batch, tokens, vocabulary) tensor never exists.

Shapes: B rows, P positions of a chunk, V vocabulary, d hidden size.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput, BaseModelOutputWithPastAndCrossAttentions

from aftertune import evidence as pieces
from aftertune.errors import InputError
from aftertune.generate import virtual
from aftertune.generate.batching import in_halves
from aftertune.generate.decoder import padded, unwrapped
from aftertune.generate.output_ids import check_vocabulary, n_vocabulary, output_ids, output_texts, prompt_beside
from aftertune.generate.prompts import PromptOptions, prompt_ids
from aftertune.models.adapters import virtual_tokens
from aftertune.models.loaded import LoadedModel, wrap
from aftertune.models.mode import evaluating
from aftertune.types import Evidence, Greedy, Ints, Prompt

BATCH_SIZE = 16
CHUNK = 2**23
"""Numbers in one chunk of logits at most (32 MiB in float32), but never less than one position."""

Text = str | Sequence[int]


def score_texts(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    texts: Sequence[Text] | Ints,
    *,
    batch_size: int | None = None,
) -> Evidence:
    """Log-probability and entropy of every token of given texts, each as the output of its prompt.

    For outputs whose evidence was not kept, and for what one checkpoint thinks of another's outputs. Nothing is
    generated: **the part called `greedy` of the result holds the given texts**, whoever wrote them, so that the
    scores that read it can be computed::

        evidence = aftertune.score_texts(before, tokenizer, prompts, outputs_after)
        aftertune.score(evidence, ["mean_token_logprob", "mean_token_entropy"])

    Prompts are tokenised as they are, as by `collect`. Item ids are "0", "1", …. The model's mode, the tokenizer
    and the random state are as before afterwards.

    Parameters
    ----------
    model, tokenizer : a transformers model (decoder-only or encoder–decoder, adapters included) and its tokenizer.
    texts : one for each prompt. A str becomes tokens as a target of fine-tuning does: after one space where the
        prompt does not end in white space or a special token (decoder-only), with the tokenizer's special tokens
        (encoder–decoder, BART's forced first token among them), and with the token that ends the model's outputs
        (after a prompt in the format of the tokenizer's chat template: that ends answers there); it counts as it
        does in the records. A sequence of token ids is taken exactly, with nothing added: every id counts, so
        leave out padding (−1 at the end is left out), and a decoder's start token. Tokens of a text may differ
        from those that were generated: to score what `collect` generated, give ``evidence.greedy.token_ids``.
    batch_size : rows read at once; results do not depend on it, and a batch that does not fit is done in halves.

    Raises
    ------
    InputError
        Prompts and texts of different number, a text without tokens, an id that is not in the vocabulary, prompt
        and text longer than the context, logits that are not finite.

    Notes
    -----
    For text y and prompt x: token_logprob[t] = log p(y_t | y_<t, x), token_entropy[t] = H(p(· | y_<t, x)) in
    nats, both from raw logits, reduced in float32 whatever the weights are.
    """
    ids = [str(i) for i in range(len(prompts))]
    options = PromptOptions(chat="off")
    return score_given(wrap(model, tokenizer), ids, prompts, texts, options, batch_size=batch_size)


def score_given(
    loaded: LoadedModel,
    item_ids: Sequence[str],
    prompts: Sequence[Prompt],
    texts: Sequence[Text] | Ints,
    options: PromptOptions,
    *,
    max_new_tokens: int = 0,
    batch_size: int | None = None,
) -> Evidence:
    """`score_texts` for a study: named items, chat templates, and a choice for prompts that do not fit.

    Parameters
    ----------
    options : `too_long` "truncate" cuts a prompt so that it and the text fit the context; "drop" leaves the item
        out of the result.
    max_new_tokens : room that prompts are cut for at least; with the value that evidence was collected with, a
        prompt is cut exactly as it was there.
    """
    if len(prompts) != len(texts):
        raise InputError(f"{len(prompts)} prompts and {len(texts)} texts: give one text for each prompt")
    if not len(texts):
        raise InputError("no texts to score: give at least one prompt and its text")
    if batch_size is not None and batch_size < 1:
        raise InputError("batch_size must be at least 1")
    pairs = [
        pair
        for item, prompt, text in zip(item_ids, prompts, texts)
        if (pair := _pair(loaded, item, prompt, text, options, max_new_tokens)) is not None
    ]
    if not pairs:
        raise InputError(f"no prompt with its text fits the context of {loaded.name} ({loaded.context} tokens)")
    order = sorted(pairs, key=lambda pair: -len(pair.prompt) - len(pair.output))
    step = batch_size or BATCH_SIZE

    def work(rows: Sequence[int]) -> Evidence:
        return _score_batch(loaded, [order[row] for row in rows])

    with torch.no_grad(), evaluating(loaded.model):
        parts = [
            part
            for start in range(0, len(order), step)
            for part in in_halves(range(len(order))[start : start + step], work)
        ]
    return pieces.take(pieces.concatenate(parts), [pair.item for pair in pairs])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """One item: ids of the prompt and of the output, and the output as text."""

    item: str
    prompt: tuple[int, ...]
    output: tuple[int, ...]
    text: str


def _pair(
    loaded: LoadedModel, item: str, prompt: Prompt, text: Text, options: PromptOptions, max_new_tokens: int
) -> _Pair | None:
    tokens = prompt_ids(loaded, prompt, options.chat, f"item {item!r}")
    if not tokens:
        raise InputError(f"the prompt of item {item!r} is empty")
    as_text = isinstance(text, str)
    output = output_ids(loaded, prompt, tokens, text, options.chat) if as_text else _given_ids(item, text)
    if not output:
        raise InputError(f"the text of item {item!r} has no tokens: an empty answer has its end of sequence")
    check_vocabulary(loaded, f"the prompt of item {item!r}", tokens)
    check_vocabulary(loaded, f"the text of item {item!r}", output)
    remedy = "shorten the text or the prompt, or set long_prompts to truncate or drop"
    needed = len(output) if options.too_long == "error" else max(len(output), max_new_tokens)
    fitting = prompt_beside(loaded, tokens, needed, options.too_long, f"item {item!r}", remedy)
    if fitting is None:
        return None
    shown = text if as_text else output_texts(loaded, [output])[0]
    return _Pair(item=item, prompt=tuple(fitting), output=tuple(output), text=shown)


def _given_ids(item: str, text: Sequence[int]) -> list[int]:
    try:
        ids = [operator.index(one) for one in text]
    except TypeError:
        raise InputError(f"the text of item {item!r} is neither a str nor a sequence of token ids") from None
    while ids and ids[-1] == -1:  # padding of `Greedy.token_ids`
        ids.pop()
    return ids


def _score_batch(loaded: LoadedModel, pairs: Sequence[_Pair]) -> Evidence:
    """Evidence of one batch; inside `torch.no_grad` and in evaluation mode."""
    hidden = _hidden_states(loaded, pairs)
    chosen = torch.tensor([token for pair in pairs for token in pair.output], device=hidden.device)
    step = max(1, CHUNK // n_vocabulary(loaded))
    scalars = [
        _reduced(_logits(loaded, hidden[start : start + step]), chosen[start : start + step])
        for start in range(0, len(hidden), step)
    ]
    logprob, entropy = torch.cat(scalars, dim=1).double().cpu().numpy()
    if not (np.isfinite(logprob).all() and np.isfinite(entropy).all()):
        raise InputError(
            "the model's logits are not finite numbers: its weights are broken or overflow in this dtype; "
            "try float32 or bfloat16"
        )
    n_tokens = np.array([len(pair.output) for pair in pairs], dtype=np.int64)
    real = np.arange(n_tokens.max()) < n_tokens[:, None]
    return Evidence(
        item_ids=np.array([pair.item for pair in pairs], dtype=object),
        greedy=Greedy(
            text=np.array([pair.text for pair in pairs], dtype=object),
            token_logprob=_placed(real, logprob),
            token_entropy=_placed(real, entropy),
            n_tokens=n_tokens,
            token_ids=_placed(real, chosen.cpu().numpy(), -1).astype(np.int64),
        ),
    )


def _placed(real: np.ndarray, values: np.ndarray, fill: float = np.nan) -> np.ndarray:
    rows = np.full(real.shape, fill)
    rows[real] = values
    return rows


def _reduced(logits: Tensor, chosen: Tensor) -> Tensor:
    """(P, V) raw logits, (P,) ids → (2, P) float32: log p of the ids, and the entropies."""
    log_p = torch.log_softmax(logits.float(), dim=-1)
    entropy = torch.special.entr(log_p.exp()).sum(-1)
    return torch.stack([log_p.gather(1, chosen[:, None])[:, 0], entropy])


def _hidden_states(loaded: LoadedModel, pairs: Sequence[_Pair]) -> Tensor:
    """(sum of the outputs' lengths, d): the decoder's last hidden states that predict the outputs' tokens."""
    device, pad = loaded.model.device, loaded.rules.pad_id
    outputs = [pair.output for pair in pairs]
    inputs: dict[str, Any] = {}
    if virtual_tokens(loaded.model):
        inputs, real = virtual.teacher_forced(loaded, [pair.prompt for pair in pairs], outputs)
    elif loaded.kind == "causal":
        rows = [(*pair.prompt, *pair.output[:-1]) for pair in pairs]
        inputs["input_ids"], mask = padded(rows, pad, device, left=True)
        inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
        inputs["attention_mask"] = mask
        real = padded(outputs, pad, device, left=True)[1].bool()
    else:
        assert loaded.rules.start_id is not None
        prompts = [pair.prompt for pair in pairs]
        inputs["input_ids"], inputs["attention_mask"] = padded(prompts, pad, device, left=False)
        rows = [(loaded.rules.start_id, *output[:-1]) for output in outputs]
        inputs["decoder_input_ids"], _ = padded(rows, pad, device, left=False)
        real = padded(outputs, pad, device, left=False)[1].bool()
    kept: list[Tensor] = []

    def keep(module: Any, args: Any, output: Any) -> Any:
        kept.append(output.last_hidden_state)
        return _decoder_output(output.last_hidden_state[:1, -1:])  # the head must not see them all

    handle = unwrapped(loaded.model).get_decoder().register_forward_hook(keep)
    try:
        loaded.model(use_cache=False, **inputs)
    finally:
        handle.remove()
    (hidden,) = kept
    return hidden[:, -real.shape[1] :][real]


def _logits(loaded: LoadedModel, hidden: Tensor) -> Tensor:
    """(P, d) hidden states → (P, V) raw logits, by the model's own forward around a decoder that returns them.

    So whatever the model does to its logits (Gemma's soft cap, T5's scale, BART's bias, an adapter on the head)
    is done here too.
    """
    model = unwrapped(loaded.model)
    ids = torch.zeros((1, 1), dtype=torch.long, device=hidden.device)
    inputs: dict[str, Any] = {"input_ids": ids}
    if loaded.kind == "seq2seq":
        encoded = BaseModelOutput(last_hidden_state=hidden[None, :1])  # type: ignore[arg-type]
        inputs = {"encoder_outputs": encoded, "decoder_input_ids": ids}
    with _replaced_forward(model.get_decoder(), lambda *args, **kwargs: _decoder_output(hidden[None])):
        return model(use_cache=False, **inputs).logits[0]


def _decoder_output(hidden: Tensor) -> BaseModelOutputWithPastAndCrossAttentions:
    return BaseModelOutputWithPastAndCrossAttentions(last_hidden_state=hidden)  # type: ignore[arg-type]


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
