"""Measure one checkpoint: evidence (resumed where a run was stopped), then records."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from aftertune import evidence as pieces
from aftertune.generate.collect import CollectOptions, collect_batches
from aftertune.generate.prompts import EncodedPrompts, encode
from aftertune.generate.similarity import EMBEDDING, nearest_training
from aftertune.models.dropout import ActiveDropout
from aftertune.models.loaded import LoadedModel
from aftertune.quality import QUALITY, compute
from aftertune.scores import SCORES, get, score_items
from aftertune.signature import digest
from aftertune.store.atomic import atomic_write_text
from aftertune.store.evidence import MERGED, merge_parts, read_embedding, read_parts, write_notes, write_part
from aftertune.store.records import write_records
from aftertune.store.runfolder import RunFolder
from aftertune.store.similarity import read_similarity, write_similarity
from aftertune.study.reporter import Reporter
from aftertune.types import Evidence, Example, Records, Texts

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
        text = f"{self.model[:40]}-{self.task[:40]}{setting}-seed{self.seed}-epoch{self.epoch:g}"
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
) -> None:
    """Evidence of all items, each decoded once: what `folder` holds already is not decoded again.

    `what` begins the notes about prompts that do not fit; they stay beside the evidence.
    """
    ids = [example.id for example in examples]
    prompts = [example.prompt for example in examples]
    encoded = encode(loaded, prompts, options.prompts, options.max_new_tokens, ids)
    wanted = [ids[i] for i in encoded.index]
    write_notes(folder, prompt_notes(loaded, encoded, len(examples), what))
    before = read_parts(folder)
    done = set() if before is None else set(before.item_ids)
    reporter.advance(len(done))
    for piece in collect_batches(loaded, ids, encoded, options, done, partial(_write_dropout, folder)):
        write_part(folder, piece)
        reporter.advance(len(piece))
    if not is_measured(folder):
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
        [example.prompt for example in training.examples],
        options,
        reporter.advance,
    )
    write_similarity(path, ids, found.similarity, found.item_id)


def _write_dropout(folder: Path, acting: ActiveDropout) -> None:
    atomic_write_text(folder / DROPOUT, json.dumps(asdict(acting)) + "\n")


def dropout_in_force(folders: Iterable[Path]) -> str | None:
    """What acted during the dropout decodes of some evidence, in words; None where there were none."""
    found = dict.fromkeys(
        (folder / DROPOUT).read_text(encoding="utf-8") for folder in folders if (folder / DROPOUT).exists()
    )
    words = [
        f"p = {' and '.join(f'{p:g}' for p in one['probabilities'])} at {one['sites']} places a pass"
        for one in map(json.loads, found)
    ]
    return "; ".join(words) or None


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
    encoded = encode(loaded, [e.prompt for e in examples], options.prompts, options.max_new_tokens, ids)
    evidence = pieces.concatenate(list(collect_batches(loaded, ids, encoded, greedy_only)))
    return float(np.nanmean(_quality(evidence, examples, quality)))


def _quality(evidence: Evidence, examples: Sequence[Example], quality: str) -> np.ndarray:
    references = {example.id: example.references for example in examples}
    assert evidence.greedy is not None
    return compute(quality, list(evidence.greedy.text), [references[item] for item in evidence.item_ids])


def signatures(quality: str, scores: Sequence[str] | None, *, similarity: bool = False) -> dict[str, str]:
    """Name → signature of the scores, the quality metric and the similarity that records hold."""
    entries = [entry for _, entry in SCORES.items()] if scores is None else [get(name) for name in scores]
    found = {entry.name: entry.signature() for entry in entries}
    if similarity:
        found["train_similarity"] = f"largest cosine similarity to a training item|embedding:{EMBEDDING}"
    return found | {quality: QUALITY.get(quality).signature()}


def record(
    run: RunFolder,
    checkpoint: Checkpoint,
    source: str,
    read: Callable[[], Evidence],
    examples: Sequence[Example],
    quality: str,
    scores: Sequence[str] | None,
    reporter: Reporter,
    similarity: Path | None = None,
) -> str:
    """Write the records of one checkpoint, unless the same ones are there; returns their key.

    Parameters
    ----------
    source : key of the evidence.
    read : gives the evidence, if it is needed.
    similarity : file of `measure_similarity`.
    """
    signed = signatures(quality, scores, similarity=similarity is not None)
    identity = asdict(checkpoint)
    references = [(example.id, example.references) for example in examples]
    parts = [source, identity, signed, quality, references, similarity and similarity.name]
    key = f"{checkpoint.slug}-{digest(parts, 12)}"
    path = run.record_file(key)
    if not path.exists():
        reporter.stage(f"{checkpoint.label}: scoring", 1)
        near = {} if similarity is None else read_similarity(similarity)
        write_records(_records(checkpoint, read(), examples, quality, scores, near), path, signatures=signed)
    return key


def _records(
    checkpoint: Checkpoint,
    evidence: Evidence,
    examples: Sequence[Example],
    quality: str,
    scores: Sequence[str] | None,
    near: Mapping[str, tuple[float | None, str | None]],
) -> Records:
    n = len(evidence)
    by_id = {example.id: example for example in examples}
    assert evidence.greedy is not None

    def constant(value: object) -> np.ndarray:
        return np.full(n, value, dtype=object)

    references = np.empty(n, dtype=object)
    references[:] = [list(by_id[item].references) for item in evidence.item_ids]
    computed = score_items(evidence, scores)
    return Records(
        model=constant(checkpoint.model),
        task=constant(checkpoint.task),
        setting=constant(checkpoint.setting),
        seed=np.full(n, checkpoint.seed),
        epoch=np.full(n, float(checkpoint.epoch)),
        selected=np.full(n, checkpoint.selected),
        split=constant("test"),
        item_id=evidence.item_ids,
        output=evidence.greedy.text,
        references=references,
        quality=_quality(evidence, examples, quality),
        correct=constant(None),
        train_similarity=np.array([near.get(item, (None,))[0] for item in evidence.item_ids], dtype=np.float64),
        scores={name: one.value for name, one in computed.items()},
        extra={
            "input": np.array([by_id[item].prompt for item in evidence.item_ids], dtype=object),
            "n_tokens": np.array(evidence.greedy.n_tokens.tolist(), dtype=object),
        }
        | ({"nearest_training_item": _nearest(near, evidence.item_ids)} if near else {}),
    )


def _nearest(near: Mapping[str, tuple[float | None, str | None]], item_ids: Texts) -> Texts:
    return np.array([near.get(item, (None, None))[1] for item in item_ids], dtype=object)
