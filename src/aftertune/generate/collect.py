"""The one door to evidence: a loaded model and prompts in, `Evidence` out, in the prompts' order.

Items are sorted by prompt length and decoded in batches, longest first (what does not fit in memory shows at
once). Greedy output and beams share one reading of the prompt; each dropout sample reads it anew, since it needs
its own masks in the encoder too.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from aftertune import evidence as pieces
from aftertune.errors import InputError
from aftertune.generate.beam import beam_search
from aftertune.generate.decoder import prefill
from aftertune.generate.greedy import Decoded, greedy_decode
from aftertune.generate.prompts import EncodedPrompts, PromptOptions, encode
from aftertune.models.dropout import ActiveDropout, DropoutSetting, check_dropout, dropout_on, parse_dropout
from aftertune.models.loaded import LoadedModel, wrap
from aftertune.seeds import derive
from aftertune.types import Beams, DropoutSamples, Evidence, Greedy

BATCH_SIZE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectOptions:
    """What is generated for each prompt (method, section 1).

    Attributes
    ----------
    beams : K; 0 collects no beams.
    dropout_samples : D; 0 collects no dropout samples.
    greedy, embedding : whether to collect these.
    seed : of the dropout masks; each batch's masks depend on it and on the batch's items only.
    """

    beams: int = 10
    dropout_samples: int = 3
    max_new_tokens: int = 128
    batch_size: int = BATCH_SIZE
    seed: int = 0
    dropout: DropoutSetting = field(default_factory=DropoutSetting)
    greedy: bool = True
    embedding: bool = True
    prompts: PromptOptions = field(default_factory=PromptOptions)

    def __post_init__(self) -> None:
        if self.beams < 0 or self.beams == 1:
            raise InputError(f"beams is {self.beams}: take at least 2, or 0 for none")
        if self.dropout_samples < 0 or self.dropout_samples == 1:
            raise InputError(f"dropout_samples is {self.dropout_samples}: take at least 2, or 0 for none")
        if self.max_new_tokens < 1 or self.batch_size < 1:
            raise InputError("max_new_tokens and batch_size must be at least 1")
        if not (self.greedy or self.beams or self.dropout_samples or self.embedding):
            raise InputError("nothing to collect: greedy, beams, dropout samples and embedding are all off")


def collect(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    beams: int = 10,
    dropout_samples: int = 3,
    max_new_tokens: int = 128,
    batch_size: int | None = None,
    seed: int = 0,
    dropout: str | DropoutSetting | None = None,
    embedding: bool = True,
) -> Evidence:
    """Everything that the scores need, for each prompt, in the prompts' order.

    Prompts are tokenised as they are: apply a chat template before, where one is wanted. Item ids are
    "0", "1", …. The model's mode, the random state and the tokenizer are as before afterwards.

    Parameters
    ----------
    model, tokenizer : a transformers model (decoder-only or encoder–decoder, adapters included) and its
        tokenizer.
    beams : beams K of the search, all returned; 0 for none.
    dropout_samples : decodes with dropout active; 0 for none.
    dropout : "native", "attention:0.1", "residual:0.1", "lora"; None takes the model's own dropout.

    Raises
    ------
    InputError
        A prompt that does not fit the context, or dropout that does not act.
    """
    if isinstance(dropout, str):
        dropout = parse_dropout(dropout)
    options = CollectOptions(
        beams=beams,
        dropout_samples=dropout_samples,
        max_new_tokens=max_new_tokens,
        batch_size=batch_size or BATCH_SIZE,
        seed=seed,
        dropout=dropout or DropoutSetting(),
        embedding=embedding,
        prompts=PromptOptions(chat="off"),
    )
    loaded = wrap(model, tokenizer)
    ids = [str(i) for i in range(len(prompts))]
    encoded = encode(loaded, prompts, options.prompts, max_new_tokens, ids)
    return pieces.take(pieces.concatenate(list(collect_batches(loaded, ids, encoded, options))), ids)


def collect_batches(
    loaded: LoadedModel,
    item_ids: Sequence[str],
    encoded: EncodedPrompts,
    options: CollectOptions,
    done: Collection[str] = (),
    on_dropout: Callable[[ActiveDropout], None] = lambda acting: None,
) -> Iterator[Evidence]:
    """Evidence batch by batch, longest prompts first.

    The batches are the same whatever is `done`, so that an interrupted run goes on with the same dropout
    masks; a batch is left out when all its items are done. Before the first one it is checked that dropout
    acts, and `on_dropout` is told what does.
    """
    checked = options.dropout_samples == 0
    for rows in batches(encoded, options.batch_size):
        names = [item_ids[encoded.index[row]] for row in rows]
        if all(name in done for name in names):
            continue
        ids = [encoded.ids[row] for row in rows]
        if not checked:
            on_dropout(acting_dropout(loaded, ids[0], options.dropout))
            checked = True
        yield collect_batch(loaded, names, ids, options)


def acting_dropout(loaded: LoadedModel, ids: Sequence[int], setting: DropoutSetting) -> ActiveDropout:
    """Which dropout acts when one prompt is read under `setting`; `InputError` where none does."""
    with torch.no_grad(), dropout_on(loaded.model, setting):
        return check_dropout(loaded.model, setting, lambda: prefill(loaded, [ids]), loaded.name)


def batches(encoded: EncodedPrompts, batch_size: int) -> list[list[int]]:
    """Rows of `encoded` in batches, by falling prompt length; equal lengths keep their order."""
    order = sorted(range(len(encoded.ids)), key=lambda row: -len(encoded.ids[row]))
    return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]


def collect_batch(
    loaded: LoadedModel,
    names: Sequence[str],
    ids: Sequence[Sequence[int]],
    options: CollectOptions,
) -> Evidence:
    """Evidence of one batch. The model's mode and the random state are as before afterwards."""
    model = loaded.model
    parts: dict[str, Any] = {}
    with torch.no_grad(), _evaluating(model):
        if options.greedy or options.beams or options.embedding:
            start = prefill(loaded, ids)
            if options.embedding:
                parts["embedding"] = start.embedding.double().cpu().numpy()
            if options.greedy:
                decoder = start.fork() if options.beams else start
                parts["greedy"] = _greedy(loaded, greedy_decode(decoder, loaded.rules, options.max_new_tokens))
            if options.beams:
                parts["beams"] = _beams(loaded, start, options)
            del start
        if options.dropout_samples:
            with dropout_on(model, options.dropout), _seeded(model, derive(options.seed, "dropout", *names)):
                parts["dropout"] = _dropout(loaded, ids, options)
    return Evidence(item_ids=np.array(names, dtype=object), **parts)


class _evaluating:
    """Every module in evaluation mode inside the block, back to its own mode afterwards."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def __enter__(self) -> None:
        self._modes = [(module, module.training) for module in self._model.modules()]
        self._model.eval()

    def __exit__(self, *exc: object) -> None:
        for module, training in self._modes:
            module.training = training


class _seeded:
    """Torch's generators seeded inside the block, as they were afterwards."""

    def __init__(self, model: Any, seed: int) -> None:
        devices = [model.device.index or 0] if model.device.type == "cuda" else []
        self._fork, self._seed = torch.random.fork_rng(devices=devices), seed

    def __enter__(self) -> None:
        self._fork.__enter__()
        torch.manual_seed(self._seed)

    def __exit__(self, *exc: Any) -> None:
        self._fork.__exit__(*exc)


def _texts(loaded: LoadedModel, tokens: torch.Tensor, n_tokens: torch.Tensor) -> np.ndarray:
    """Decoded without special tokens and stripped; tokens (R, T), n_tokens (R,) → (R,) object."""
    rows = [row[:n].tolist() for row, n in zip(tokens, n_tokens)]
    texts = loaded.tokenizer.batch_decode(rows, skip_special_tokens=True)
    return np.array([text.strip() for text in texts], dtype=object)


def _greedy(loaded: LoadedModel, decoded: Decoded) -> Greedy:
    return Greedy(
        text=_texts(loaded, decoded.tokens, decoded.n_tokens),
        token_logprob=decoded.logprob.double().numpy(),
        token_entropy=decoded.entropy.double().numpy(),
        n_tokens=decoded.n_tokens.numpy(),
    )


def _beams(loaded: LoadedModel, start: Any, options: CollectOptions) -> Beams:
    result = beam_search(start, loaded.rules, options.beams, options.max_new_tokens)
    n, k, width = result.tokens.shape
    text = _texts(loaded, result.tokens.view(n * k, width), result.n_tokens.view(-1))
    return Beams(
        text=text.reshape(n, k),
        sequence_logprob=result.logprob.double().numpy(),
        n_tokens=result.n_tokens.numpy(),
    )


def _dropout(loaded: LoadedModel, ids: Sequence[Sequence[int]], options: CollectOptions) -> DropoutSamples:
    n, d = len(ids), options.dropout_samples
    repeated = [one for one in ids for _ in range(d)]
    group = torch.arange(n, device=loaded.model.device).repeat_interleave(d)
    decoded = greedy_decode(prefill(loaded, repeated), loaded.rules, options.max_new_tokens, group)
    assert decoded.kl is not None
    shape = (n, d, decoded.tokens.shape[1])
    return DropoutSamples(
        text=_texts(loaded, decoded.tokens, decoded.n_tokens).reshape(n, d),
        token_logprob=decoded.logprob.double().numpy().reshape(shape),
        token_entropy=decoded.entropy.double().numpy().reshape(shape),
        token_kl=decoded.kl.double().numpy().reshape(shape),
        n_tokens=decoded.n_tokens.numpy().reshape(n, d),
    )
