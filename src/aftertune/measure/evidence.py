"""Evidence of one checkpoint on disk: collected batch by batch, resumed where a run was stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from aftertune import evidence as pieces
from aftertune.files.evidence import (
    MERGED,
    merge_parts,
    read_embedding,
    read_parts,
    write_cut,
    write_notes,
    write_part,
    write_prompts,
    write_similarity,
)
from aftertune.generate.collect import CollectOptions, acting_dropout, collect_batches
from aftertune.generate.prompts import EncodedPrompts, encode
from aftertune.generate.similarity import nearest_training
from aftertune.measure.dropout import check_samples, fault_with_remedy, keep_check, keep_dropout, read_dropout
from aftertune.measure.reporter import Reporter
from aftertune.models.loaded import DecodingRules, LoadedModel
from aftertune.quality import compute
from aftertune.types import Evidence, Example, Greedy


def is_measured(folder: Path) -> bool:
    """Whether the evidence in `folder` is complete."""
    return (folder / MERGED).exists()


def whole(folder: Path) -> Evidence:
    """The evidence in `folder`; FileNotFoundError where there is none."""
    evidence = read_parts(folder)
    if evidence is None:
        raise FileNotFoundError(f"no evidence in {folder}")
    return evidence


def encoded(loaded: LoadedModel, examples: Sequence[Example], options: CollectOptions) -> EncodedPrompts:
    """The items' prompts as the model reads them, with room for the answer."""
    asked, ids = [example.asked for example in examples], [example.id for example in examples]
    return encode(loaded, asked, options.prompts, options.max_new_tokens, ids)


def measure(
    folder: Path,
    loaded: LoadedModel,
    examples: Sequence[Example],
    options: CollectOptions,
    what: str,
    reporter: Reporter,
    *,
    quality: str | None = None,
    beside: Path | None = None,
) -> None:
    """Collect the evidence of all items; what `folder` holds already is not decoded again.

    Beside the evidence lie the prompts as they were read, notes (on weights, and prompts that are left out), which
    outputs and prompts were cut, which dropout acted, and the check of the samples.

    Parameters
    ----------
    what : begins the notes.
    quality : the task's metric; None checks dropout samples without it.
    beside : folder of the items' greedy outputs, where `options` leave them out; without one, dropout samples are
        not checked.
    """
    ids = [example.id for example in examples]
    prompts = encoded(loaded, examples, options)
    wanted = [ids[i] for i in prompts.index]
    write_notes(folder, [*loaded.notes, *left_out_notes(loaded, prompts, len(examples), what)])
    decode = partial(loaded.tokenizer.decode, clean_up_tokenization_spaces=False)
    write_prompts(folder, wanted, [decode(row) for row in prompts.ids])
    before = read_parts(folder)
    done = set() if before is None else set(before.item_ids)
    reporter.advance(len(done))
    for piece in collect_batches(loaded, ids, prompts, options, done, partial(keep_dropout, folder)):
        write_part(folder, piece)
        reporter.advance(len(piece))
    if not is_measured(folder):
        evidence = pieces.take(whole(folder), wanted)
        complete = evidence if beside is None else pieces.with_parts(evidence, pieces.take(whole(beside), wanted))
        if options.dropout_samples and "sites" not in (read_dropout(folder) or {}):  # damaged, and set aside
            keep_dropout(folder, acting_dropout(loaded, max(prompts.ids, key=len), options.dropout))
        if complete.dropout is not None and complete.greedy is not None:
            check = check_samples(loaded, complete, examples, options, quality)
            keep_check(folder, check, fault_with_remedy(loaded, prompts, options, check))
        if evidence.greedy is not None:
            cut = ended_at_limit(evidence.greedy, loaded.rules, options.max_new_tokens)
            write_cut(
                folder,
                outputs=[item for item, at_limit in zip(wanted, cut) if at_limit],
                prompts=[ids[i] for i in prompts.truncated],
            )
        merge_parts(folder, evidence)


def ended_at_limit(outputs: Greedy, rules: DecodingRules, limit: int) -> np.ndarray:
    """(n,) which outputs were cut at `limit` tokens; where an end is forced there, all that are so long."""
    at_limit = outputs.n_tokens >= limit
    if outputs.token_ids is None or rules.forced_last_ids:
        return at_limit
    last = outputs.token_ids[np.arange(len(at_limit)), np.maximum(outputs.n_tokens, 1) - 1]
    return at_limit & ~np.isin(last, rules.eos_ids)


def left_out_notes(loaded: LoadedModel, prompts: EncodedPrompts, n_prompts: int, what: str) -> list[str]:
    """Notes on prompts that are left out because they do not fit; those that are cut are a field of records."""
    return prompt_notes(loaded, replace(prompts, truncated=()), n_prompts, what)


def prompt_notes(loaded: LoadedModel, prompts: EncodedPrompts, n_prompts: int, what: str) -> list[str]:
    """Notes on prompts that do not fit: how many are cut or left out."""
    fates = ((prompts.truncated, "cut at their beginning"), (prompts.dropped, "left out"))
    return [
        f"{what}: {len(some)} of {n_prompts} prompts {verb}: with the answer they are longer than the context "
        f"({loaded.context} tokens)"
        for some, verb in fates
        if some
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """The training items that test items are compared with, and their digest."""

    examples: Sequence[Example]
    digest: str


def measure_similarity(
    path: Path, loaded: LoadedModel, training: TrainingSet, options: CollectOptions, reporter: Reporter
) -> None:
    """Write to `path` how near the items of the evidence beside it are to the training items."""
    ids, embedding = read_embedding(path.parent)
    train_ids = [example.id for example in training.examples]
    asked = [example.asked for example in training.examples]
    found = nearest_training(loaded, embedding, train_ids, asked, options, reporter.advance)
    write_similarity(path, ids, found.similarity, found.item_id)


def mean_quality(loaded: LoadedModel, examples: Sequence[Example], quality: str, options: CollectOptions) -> float:
    """The validation metric: mean quality of the greedy outputs, over items where it is defined."""
    greedy_only = replace(options, beams=0, dropout_samples=0, embedding=False)
    ids = [example.id for example in examples]
    batches = collect_batches(loaded, ids, encoded(loaded, examples, options), greedy_only)
    return float(np.nanmean(greedy_quality(pieces.concatenate(list(batches)), examples, quality)))


def greedy_quality(evidence: Evidence, examples: Sequence[Example], quality: str) -> np.ndarray:
    """(n,) quality of the greedy outputs of the evidence's items, which are among `examples`."""
    references = {example.id: example.references for example in examples}
    assert evidence.greedy is not None
    return compute(quality, list(evidence.greedy.text), [references[item] for item in evidence.item_ids])
