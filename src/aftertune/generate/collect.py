"""The one door to evidence: a loaded model and prompts in, `Evidence` out, in the prompts' order.

Items are sorted by prompt length and decoded in batches, longest first. Greedy output and beams share one reading
of the prompt and every step of the model; each dropout sample reads it anew, since it needs its own masks in the
encoder too. An item's evidence does not depend on what else is in its batch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from aftertune import evidence as pieces
from aftertune.arguments import check_fields, checked
from aftertune.errors import InputError
from aftertune.generate.batching import in_batches, size_by_memory
from aftertune.generate.beam import BeamResult, BeamSearch
from aftertune.generate.dropout_strength import acting_setting
from aftertune.generate.masks import masks_under
from aftertune.generate.outputs import output_texts
from aftertune.generate.prefill import Way, prefill
from aftertune.generate.prompts import EncodedPrompts, PromptOptions, encode
from aftertune.generate.search import Decoded, GreedySearch, decode, greedy_decode
from aftertune.generate.trial import plan, together
from aftertune.models.dropout import (
    NO_DROPOUT,
    ActiveDropout,
    DropoutSetting,
    dropout_on,
    evaluating,
    parse_dropout,
)
from aftertune.models.dropout_check import check_dropout, forked_generators
from aftertune.models.loaded import LoadedModel, TokenIds, wrap
from aftertune.options import DEFAULTS
from aftertune.seeds import derive
from aftertune.types import Beams, DropoutSamples, Evidence, Greedy

MAX_NEW_TOKENS = 128
"""Longest answer where no task says how long one may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectOptions:
    """What is generated for each prompt.

    Attributes
    ----------
    beams : K; 0 collects no beams.
    dropout_samples : D; 0 collects no dropout samples.
    greedy, embedding : whether to collect these.
    batch_size : prompts decoded at once; None takes as many as memory holds.
    seed : of the dropout masks, which depend on it, on the item's id and on the number of the sample only.
    dropout : what acts; "auto" acts as "native" does until `dropout_strength` has resolved it.
    """

    beams: int = DEFAULTS.beams
    dropout_samples: int = DEFAULTS.dropout_samples
    max_new_tokens: int = MAX_NEW_TOKENS
    batch_size: int | None = DEFAULTS.batch_size
    seed: int = DEFAULTS.seed
    dropout: DropoutSetting = field(default_factory=DropoutSetting)
    greedy: bool = True
    embedding: bool = True
    prompts: PromptOptions = field(default_factory=PromptOptions)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.beams == 1:
            raise InputError(f"beams is {self.beams}: take at least 2, or 0 for none")
        if self.dropout_samples == 1:
            raise InputError(f"dropout_samples is {self.dropout_samples}: take at least 2, or 0 for none")
        if not (self.greedy or self.beams or self.dropout_samples or self.embedding):
            raise InputError("nothing to collect: greedy, beams, dropout samples and embedding are all off")


@checked
def collect(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    *,
    beams: int = DEFAULTS.beams,
    dropout_samples: int = DEFAULTS.dropout_samples,
    max_new_tokens: int = MAX_NEW_TOKENS,
    batch_size: int | None = DEFAULTS.batch_size,
    seed: int = DEFAULTS.seed,
    dropout: str | DropoutSetting | None = None,
    embedding: bool = True,
) -> Evidence:
    """Everything that the scores need, for each prompt, in the prompts' order.

    Prompts are tokenised as they are: apply a chat template before, where one is wanted (its BOS is not doubled).
    Item ids are "0", "1", …. The model's mode, the random state and the tokenizer are as before afterwards.

    Parameters
    ----------
    model, tokenizer : a transformers model (decoder-only or encoder–decoder, adapters included) and its
        tokenizer.
    beams : beams K of the search, all returned; 0 for none.
    dropout_samples : decodes with dropout active; 0 for none.
    batch_size : prompts decoded at once; None takes as many as memory holds. Results do not depend on it (up to
        the rounding of floating-point sums), and a batch that does not fit is done in halves.
    dropout : "auto" (and None) takes the model's own dropout, or finds a strength that suits the model on the
        first prompts (`aftertune.generate.dropout_strength`); "native", "attention:0.05", "residual:0.02", "lora"
        say it; "none" collects no dropout samples.

    Raises
    ------
    InputError
        A prompt that does not fit the context, or dropout that does not act.
    """
    if dropout == NO_DROPOUT:
        dropout, dropout_samples = None, 0
    if isinstance(dropout, str):
        dropout = parse_dropout(dropout)
    options = CollectOptions(
        beams=beams,
        dropout_samples=dropout_samples,
        max_new_tokens=max_new_tokens,
        batch_size=batch_size,
        seed=seed,
        dropout=dropout or DropoutSetting(),
        embedding=embedding,
        prompts=PromptOptions(chat="off"),
    )
    loaded = wrap(model, tokenizer)
    ids = [str(i) for i in range(len(prompts))]
    encoded = encode(loaded, prompts, options.prompts, max_new_tokens, ids)
    if options.dropout_samples:
        found = acting_setting(
            loaded, encoded.ids, options.dropout, max_new_tokens=max_new_tokens, seed=options.seed
        )
        options = replace(options, dropout=found)
    return pieces.take(pieces.concatenate(list(collect_batches(loaded, ids, encoded, options))), ids)


def collect_batches(
    loaded: LoadedModel,
    item_ids: Sequence[str],
    encoded: EncodedPrompts,
    options: CollectOptions,
    done: Collection[str] = (),
    on_dropout: Callable[[ActiveDropout], None] = lambda acting: None,
) -> Iterator[Evidence]:
    """Evidence batch by batch, longest prompts first; items in `done` are left out.

    Before the first batch it is checked that dropout acts, and `on_dropout` is told what does. A batch that memory
    cannot hold is done in halves, and later batches are no larger than those.
    """
    lengths = [len(ids) for ids in encoded.ids]

    def wanted(row: int) -> bool:
        return item_ids[encoded.index[row]] not in done

    def work(rows: Sequence[int]) -> Evidence:
        names = [item_ids[encoded.index[row]] for row in rows]
        return collect_batch(loaded, names, [encoded.ids[row] for row in rows], options)

    left = [row for row in range(len(lengths)) if wanted(row)]
    if not left:
        return
    # refuses what cannot be decoded, and finds what holds for all lengths at hand
    plan(loaded, [lengths[row] for row in left], _new_tokens(options), branching=_branching(options))
    size = options.batch_size or size_by_memory(
        loaded,
        beams=options.beams,
        dropout_samples=options.dropout_samples,
        max_new_tokens=options.max_new_tokens,
    )
    if options.dropout_samples:
        longest = max(left, key=lambda row: lengths[row])
        on_dropout(acting_dropout(loaded, encoded.ids[longest], options.dropout))
    yield from in_batches(lengths, size, work, wanted)


def _new_tokens(options: CollectOptions) -> int:
    return options.max_new_tokens if options.greedy or options.beams or options.dropout_samples else 0


def _branching(options: CollectOptions) -> bool:
    return options.beams + options.dropout_samples > 0


def acting_dropout(loaded: LoadedModel, ids: Sequence[int], setting: DropoutSetting) -> ActiveDropout:
    """Which dropout acts when one prompt is read under `setting`.

    Raises
    ------
    InputError
        Not exactly what the setting says.
    """
    way = plan(loaded, [len(ids)], 1, branching=True).way
    return check_dropout(loaded.model, setting, lambda: prefill(loaded, [ids], way), loaded.name)


def collect_batch(loaded: LoadedModel, names: Sequence[str], ids: TokenIds, options: CollectOptions) -> Evidence:
    """Evidence of one batch. The model's mode and the random state are as before afterwards."""
    groups = together(loaded, [len(one) for one in ids], _new_tokens(options), branching=_branching(options))
    parts = [
        _collect_group(loaded, [names[row] for row in rows], [ids[row] for row in rows], options, way)
        for way, rows in groups
    ]
    return pieces.take(pieces.concatenate(parts), names)


def _collect_group(
    loaded: LoadedModel, names: Sequence[str], ids: TokenIds, options: CollectOptions, way: Way
) -> Evidence:
    """Evidence of prompts that are decoded together."""
    parts: dict[str, Any] = {}
    with torch.no_grad():
        if options.greedy or options.beams or options.embedding:
            with evaluating(loaded.model):
                parts |= _without_dropout(loaded, ids, options, way)
        if options.dropout_samples:
            with dropout_on(loaded.model, options.dropout), forked_generators(loaded.model):
                # for dropout that `RowMasks` does not see
                torch.manual_seed(derive(options.seed, "dropout", *names))
                parts["dropout"] = _dropout(loaded, names, ids, options, way)
    return Evidence(item_ids=np.array(names, dtype=object), **parts)


def _without_dropout(loaded: LoadedModel, ids: TokenIds, options: CollectOptions, way: Way) -> dict[str, Any]:
    """Embedding, greedy and beams, in one pass over the prompts and one pass a step."""
    n, limit, rules = len(ids), options.max_new_tokens, loaded.rules
    decoder = prefill(loaded, ids, way, paths=int(options.greedy) + options.beams)
    device = decoder.logits.device
    greedy = GreedySearch(n, rules, limit, device, prompts=ids) if options.greedy else None
    beams = BeamSearch(n, options.beams, rules, limit, device, ids) if options.beams else None
    parts: dict[str, Any] = {}
    if options.embedding:
        parts["embedding"] = decoder.embedding.double().cpu().numpy()
    searches = [search for search in (greedy, beams) if search is not None]
    if searches:
        decode(decoder, searches, limit)
    if greedy is not None:
        parts["greedy"] = Greedy(**_columns(loaded, greedy.result(), n))
    if beams is not None:
        parts["beams"] = _beams(loaded, beams.result())
    return parts


def _texts(loaded: LoadedModel, tokens: torch.Tensor, n_tokens: torch.Tensor) -> np.ndarray:
    """See `output_texts`; tokens (R, T), n_tokens (R,) → (R,) object."""
    return np.array(output_texts(loaded, [row[:n].tolist() for row, n in zip(tokens, n_tokens)]), dtype=object)


def _columns(loaded: LoadedModel, decoded: Decoded, *shape: int) -> dict[str, np.ndarray]:
    """What was decoded, by the names of `Greedy` and `DropoutSamples`; `shape` takes the place of the axis R."""
    columns = {
        "text": _texts(loaded, decoded.tokens, decoded.n_tokens),
        "token_logprob": decoded.logprob.double().numpy(),
        "token_entropy": decoded.entropy.double().numpy(),
        "n_tokens": decoded.n_tokens.numpy(),
        "token_ids": torch.where(decoded.logprob.isnan(), -1, decoded.tokens).numpy(),  # −1 after the end
    }
    if decoded.kl is not None:
        columns["token_kl"] = decoded.kl.double().numpy()
    return {name: column.reshape(*shape, *column.shape[1:]) for name, column in columns.items()}


def _beams(loaded: LoadedModel, result: BeamResult) -> Beams:
    n, k, width = result.tokens.shape
    text = _texts(loaded, result.tokens.view(n * k, width), result.n_tokens.view(-1))
    return Beams(
        text=text.reshape(n, k),
        sequence_logprob=result.logprob.double().numpy(),
        n_tokens=result.n_tokens.numpy(),
    )


def _dropout(
    loaded: LoadedModel, names: Sequence[str], ids: TokenIds, options: CollectOptions, way: Way
) -> DropoutSamples:
    """Samples of each item, every one with its own reading of the prompt."""
    n, d, device = len(ids), options.dropout_samples, loaded.model.device
    repeated = [one for one in ids for _ in range(d)]
    seeds = [derive(options.seed, "dropout", name, sample) for name in names for sample in range(d)]
    masks = masks_under(options.dropout, loaded.model, torch.tensor(seeds, dtype=torch.long, device=device))
    group = torch.arange(n, device=device).repeat_interleave(d)
    decoder = prefill(loaded, repeated, way, masks=masks)
    decoded = greedy_decode(decoder, loaded.rules, options.max_new_tokens, group, repeated)
    return DropoutSamples(**_columns(loaded, decoded, n, d))
