"""Teacher-forced scoring: log-probability and entropy of each token of given outputs, under any checkpoint.

One forward pass reads prompt and output together, and keeps only the decoder's hidden states at the output's
positions (`forced.py`). The head is applied to them a chunk of positions at a time, and each chunk of logits is
reduced in float32 before the next one is made: a (batch, tokens, vocabulary) tensor never exists. Where this does
not give what decoding gives, items are read one by one, or token by token (`trial.py`).

Shapes: P positions of a chunk, V vocabulary.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aftertune import evidence as pieces
from aftertune.arguments import checked
from aftertune.errors import InputError
from aftertune.generate.batching import in_batches
from aftertune.generate.forced import Forced, forced_alone
from aftertune.generate.outputs import output_ids, output_texts, prompt_beside
from aftertune.generate.prefill import Way
from aftertune.generate.prompts import PromptOptions, check_vocabulary, prompt_ids
from aftertune.generate.reduce import NOT_FINITE
from aftertune.generate.trial import plan, together
from aftertune.models.dropout import evaluating
from aftertune.models.loaded import LoadedModel, wrap
from aftertune.types import Evidence, Greedy, Ints, Prompt

BATCH_SIZE = 16
Text = str | Sequence[int]


@checked
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
    pairs = [
        pair
        for item, prompt, text in zip(item_ids, prompts, texts)
        if (pair := _pair(loaded, item, prompt, text, options, max_new_tokens)) is not None
    ]
    if not pairs:
        raise InputError(f"no prompt with its text fits the context of {loaded.name} ({loaded.context} tokens)")

    def work(rows: Sequence[int]) -> Evidence:
        return _score_batch(loaded, [pairs[row] for row in rows])

    plan(loaded, [len(pair.prompt) for pair in pairs], _longest_output(pairs), job="score")  # for all batches
    lengths = [len(pair.prompt) + len(pair.output) for pair in pairs]
    with torch.no_grad(), evaluating(loaded.model):
        parts = list(in_batches(lengths, batch_size or BATCH_SIZE, work))
    return pieces.take(pieces.concatenate(parts), [pair.item for pair in pairs])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """An item's prompt and output as token ids, and the output as text."""

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
    """Evidence of one batch. The caller has switched off gradients and dropout."""
    groups = together(loaded, [len(pair.prompt) for pair in pairs], _longest_output(pairs), job="score")
    parts = [_score_group(loaded, [pairs[row] for row in rows], way) for way, rows in groups]
    return pieces.take(pieces.concatenate(parts), [pair.item for pair in pairs])


def _longest_output(pairs: Sequence[_Pair]) -> int:
    return max(len(pair.output) for pair in pairs)


def _score_group(loaded: LoadedModel, pairs: Sequence[_Pair], way: Way) -> Evidence:
    outputs = [pair.output for pair in pairs]
    chosen = torch.tensor([token for output in outputs for token in output], device=loaded.model.device)
    if way == "states":
        forced = Forced(loaded, [pair.prompt for pair in pairs], outputs)
        chunks, parts = forced.logits(), chosen.split(forced.chunk)
    else:
        chunks = (forced_alone(loaded, way, pair.prompt, pair.output[:-1]) for pair in pairs)
        parts = chosen.split(list(map(len, outputs)))
    scalars = [_reduced(logits, part) for logits, part in zip(chunks, parts, strict=True)]
    logprob, entropy = torch.cat(scalars, dim=1).double().cpu().numpy()
    if not (np.isfinite(logprob).all() and np.isfinite(entropy).all()):
        raise InputError(NOT_FINITE)
    n_tokens = np.array(list(map(len, outputs)), dtype=np.int64)
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
    """Raw logits (P, V), ids (P,) → (2, P) float32: log p of the ids, and the entropies."""
    log_p = torch.log_softmax(logits.float(), dim=-1)
    entropy = torch.special.entr(log_p.exp()).sum(-1)
    return torch.stack([log_p.gather(1, chosen[:, None])[:, 0], entropy])
