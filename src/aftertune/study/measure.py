"""Measure one checkpoint: evidence, resumed where a run was stopped, and similarity to the training set."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from aftertune import evidence as pieces
from aftertune.files.atomic import atomic_write_text
from aftertune.files.evidence import (
    MERGED,
    merge_parts,
    read_embedding,
    read_parts,
    write_notes,
    write_part,
    write_prompts,
)
from aftertune.files.similarity import write_similarity
from aftertune.generate.collect import CollectOptions, collect_batches
from aftertune.generate.prompts import EncodedPrompts, encode
from aftertune.generate.similarity import nearest_training
from aftertune.models.dropout import ActiveDropout
from aftertune.models.loaded import LoadedModel
from aftertune.quality import compute
from aftertune.study.dropout_samples import SampleCheck, check_samples, sample_notes
from aftertune.study.reporter import Reporter
from aftertune.types import Evidence, Example

DROPOUT = "dropout.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Which row of the results a checkpoint is: the key columns of its records."""

    model: str
    task: str
    seed: int
    epoch: float
    setting: str = "default"
    selected: bool = False
    split: str = "test"

    @property
    def label(self) -> str:
        when = "before fine-tuning" if self.epoch == 0 else f"epoch {self.epoch:.4g}"
        return f"{self.place} · {when}"

    @property
    def place(self) -> str:
        """Model, task, setting and seed, for messages."""
        setting = "" if self.setting == "default" else f" · {self.setting}"
        return f"{self.model} · {self.task}{setting} · seed {self.seed}"

    @property
    def slug(self) -> str:
        """Readable beginning of file names."""
        setting = "" if self.setting == "default" else f"-{self.setting}"
        split = "" if self.split == "test" else f"-{self.split}"
        return readable(f"{self.model[:40]}-{self.task[:40]}{setting}{split}-seed{self.seed}-epoch{self.epoch:g}")


def readable(text: str) -> str:
    """Text as the beginning of a file's name."""
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in text).lstrip(".")


def is_measured(folder: Path) -> bool:
    return (folder / MERGED).exists()


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
    """Evidence of all items, each decoded once: what `folder` holds already is not decoded again.

    Beside it stay notes, about prompts that do not fit and dropout samples that have lost the task, and what acted
    during the dropout decodes, with the check of the samples.

    Parameters
    ----------
    what : begins the notes.
    quality : the task's metric; None checks dropout samples without it.
    beside : folder of the items' greedy outputs, where `options` leave them out; without one, dropout samples are
        not checked.
    """
    ids = [example.id for example in examples]
    prompts = [example.asked for example in examples]
    encoded = encode(loaded, prompts, options.prompts, options.max_new_tokens, ids)
    wanted = [ids[i] for i in encoded.index]
    notes = [*loaded.notes, *prompt_notes(loaded, encoded, len(examples), what)]
    write_notes(folder, notes)
    write_prompts(folder, wanted, [loaded.tokenizer.decode(row) for row in encoded.ids])
    before = read_parts(folder)
    done = set() if before is None else set(before.item_ids)
    reporter.advance(len(done))
    for piece in collect_batches(loaded, ids, encoded, options, done, partial(_write_dropout, folder)):
        write_part(folder, piece)
        reporter.advance(len(piece))
    if not is_measured(folder):
        evidence = pieces.take(whole(folder), wanted)
        if beside is not None:
            evidence = pieces.with_parts(evidence, pieces.take(whole(beside), wanted))
        if evidence.dropout is not None and evidence.greedy is not None:
            check = check_samples(loaded, evidence, examples, options, quality)
            _add_check(folder, check)
            write_notes(folder, [*notes, *sample_notes(loaded, encoded, options, check, what)])
        merge_parts(folder, pieces.take(whole(folder), wanted))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSet:
    """The training items that test items are compared with.

    Attributes
    ----------
    digest : of the items; a similarity belongs to one training set.
    """

    examples: Sequence[Example]
    digest: str

    def file(self, folder: Path) -> Path:
        """Where the similarity lies beside the evidence in `folder`."""
        return folder / f"similarity-{self.digest}.parquet"


def measure_similarity(
    folder: Path, loaded: LoadedModel, training: TrainingSet, options: CollectOptions, reporter: Reporter
) -> None:
    """Similarity of all items of the evidence in `folder` to the training set, unless it is there."""
    path = training.file(folder)
    if path.exists():
        return
    ids, embedding = read_embedding(folder)
    found = nearest_training(
        loaded,
        embedding,
        [example.id for example in training.examples],
        [example.asked for example in training.examples],
        options,
        reporter.advance,
    )
    write_similarity(path, ids, found.similarity, found.item_id)


def _write_dropout(folder: Path, acting: ActiveDropout) -> None:
    atomic_write_text(folder / DROPOUT, json.dumps(asdict(acting)) + "\n")


def _add_check(folder: Path, check: SampleCheck) -> None:
    acting = read_dropout(folder) or {}
    atomic_write_text(folder / DROPOUT, json.dumps({**acting, "samples": asdict(check)}) + "\n")


def read_dropout(folder: Path) -> dict[str, Any] | None:
    """What is kept of the dropout decodes of some evidence; None where there were none.

    ``sites`` and ``probabilities`` of `ActiveDropout`, and under ``samples`` a `SampleCheck`, which evidence of
    earlier versions has not.
    """
    path = folder / DROPOUT
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def dropout_in_force(folders: Iterable[Path]) -> str | None:
    """What acted during the dropout decodes of some evidence, in words; None where there were none."""
    words = [
        f"p = {' and '.join(f'{p:g}' for p in one['probabilities'])} at {one['sites']} places a pass"
        for one in map(read_dropout, folders)
        if one is not None
    ]
    return "; ".join(dict.fromkeys(words)) or None


def whole(folder: Path) -> Evidence:
    """The evidence of a measured checkpoint."""
    evidence = read_parts(folder)
    if evidence is None:
        raise FileNotFoundError(f"no evidence in {folder}")
    return evidence


def prompt_notes(loaded: LoadedModel, encoded: EncodedPrompts, n_prompts: int, what: str) -> list[str]:
    """What happens to prompts that do not fit, one sentence each."""
    return [
        f"{what}: {count} of {n_prompts} prompts {verb}: with the answer they are longer than the context "
        f"({loaded.context} tokens)"
        for count, verb in (
            (len(encoded.truncated), "cut at their beginning"),
            (len(encoded.dropped), "left out"),
        )
        if count
    ]


def mean_quality(loaded: LoadedModel, examples: Sequence[Example], quality: str, options: CollectOptions) -> float:
    """Validation metric: mean quality of the greedy outputs."""
    greedy_only = replace(options, beams=0, dropout_samples=0, embedding=False)
    ids = [example.id for example in examples]
    encoded = encode(loaded, [e.asked for e in examples], options.prompts, options.max_new_tokens, ids)
    evidence = pieces.concatenate(list(collect_batches(loaded, ids, encoded, greedy_only)))
    return float(np.nanmean(greedy_quality(evidence, examples, quality)))


def greedy_quality(evidence: Evidence, examples: Sequence[Example], quality: str) -> np.ndarray:
    """(n,) quality of the greedy outputs."""
    references = {example.id: example.references for example in examples}
    assert evidence.greedy is not None
    return compute(quality, list(evidence.greedy.text), [references[item] for item in evidence.item_ids])
