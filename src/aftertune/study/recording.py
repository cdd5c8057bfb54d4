"""From the evidence of a checkpoint to its records: scores, quality, judgements, similarity."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from aftertune.analysis.labels import ABSTENTION
from aftertune.files.evidence import read_prompts
from aftertune.files.runfolder import RunFolder
from aftertune.files.similarity import read_similarity
from aftertune.generate.similarity import EMBEDDING
from aftertune.judges import Judge, n_abstained, questions_of
from aftertune.quality import QUALITY
from aftertune.records.records import write_records
from aftertune.scores import SCORES, get, score_items
from aftertune.signature import digest
from aftertune.study.judging import judge_checkpoint
from aftertune.study.measure import Checkpoint, greedy_quality
from aftertune.study.reporter import Reporter
from aftertune.tasks import Task
from aftertune.types import Evidence, Example, Records, Texts

Near = Mapping[str, tuple[float | None, str | None]]
"""Item id → similarity to the training set, and the nearest training item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorder:
    """Writes records of a task's items into a run folder.

    Attributes
    ----------
    scores : names; None for all whose evidence is there.
    judge : says which answers are correct; None leaves `correct` empty.
    """

    run: RunFolder
    task: Task
    scores: Sequence[str] | None
    reporter: Reporter
    judge: Judge | None = None

    def signatures(self, *, similarity: bool = False) -> dict[str, str]:
        """Name → signature of the scores, the quality metric, the judge and the similarity in the records."""
        entries = [entry for _, entry in SCORES.items()] if self.scores is None else [get(s) for s in self.scores]
        found = {entry.name: entry.signature() for entry in entries}
        if similarity:
            found["train_similarity"] = f"largest cosine similarity to a training item|embedding:{EMBEDDING}"
        if self.judge is not None:
            found["correct"] = self.judge.signature()
        return found | {self.task.quality: QUALITY.get(self.task.quality).signature()}

    def record(
        self,
        checkpoint: Checkpoint,
        source: str,
        folder: Path,
        read: Callable[[], Evidence],
        examples: Sequence[Example],
        similarity: Path | None = None,
    ) -> str:
        """Write the records of one checkpoint, unless the same ones are there; returns their key.

        Parameters
        ----------
        source : key of the evidence.
        folder : where the prompts lie as the model read them.
        read : gives the evidence, if it is needed.
        similarity : file of `measure_similarity`.
        """
        signed = self.signatures(similarity=similarity is not None)
        answers = [(one.id, one.references, one.incorrect, one.question) for one in examples]
        parts = [source, asdict(checkpoint), signed, self.task.quality, answers, similarity and similarity.name]
        key = f"{checkpoint.slug}-{digest(parts, 12)}"
        path = self.run.record_file(key)
        if not path.exists():
            self.reporter.stage(f"{checkpoint.label}: scoring", 1)
            near = {} if similarity is None else read_similarity(similarity)
            found = self._records(checkpoint, read(), examples, near, read_prompts(folder))
            write_records(found, path, signatures=signed)
        return key

    def _records(
        self,
        checkpoint: Checkpoint,
        evidence: Evidence,
        examples: Sequence[Example],
        near: Near,
        rendered: Mapping[str, str],
    ) -> Records:
        n = len(evidence)
        by_id = {example.id: example for example in examples}
        assert evidence.greedy is not None

        def constant(value: object) -> np.ndarray:
            return np.full(n, value, dtype=object)

        references = np.empty(n, dtype=object)
        references[:] = [list(by_id[item].references) for item in evidence.item_ids]
        computed = score_items(evidence, self.scores)
        similarity = [near.get(item, (None, None))[0] for item in evidence.item_ids]
        extra = {
            "input": _objects([by_id[item].prompt for item in evidence.item_ids]),
            "n_tokens": _objects(evidence.greedy.n_tokens.tolist()),
        }
        if rendered:
            extra["rendered_prompt"] = _objects([rendered[item] for item in evidence.item_ids])
        if near:
            extra["nearest_training_item"] = _objects([near.get(i, (None, None))[1] for i in evidence.item_ids])
        examples = [by_id[item] for item in evidence.item_ids]
        correct, abstained = self._judged(checkpoint, evidence, examples)
        return Records(
            model=constant(checkpoint.model),
            task=constant(checkpoint.task),
            setting=constant(checkpoint.setting),
            seed=np.full(n, checkpoint.seed),
            epoch=np.full(n, float(checkpoint.epoch)),
            selected=np.full(n, checkpoint.selected),
            split=constant(checkpoint.split),
            item_id=evidence.item_ids,
            output=evidence.greedy.text,
            references=references,
            quality=greedy_quality(evidence, examples, self.task.quality),
            correct=correct,
            train_similarity=np.array(similarity, dtype=np.float64),
            scores={name: one.value for name, one in computed.items()},
            extra=extra | abstained,
        )

    def _judged(
        self, checkpoint: Checkpoint, evidence: Evidence, examples: Sequence[Example]
    ) -> tuple[Texts, dict[str, Texts]]:
        """`correct` of the greedy outputs, None where the judge abstains or there is none; and why it abstains."""
        assert evidence.greedy is not None
        if self.judge is None:
            return np.full(len(evidence), None, dtype=object), {}
        said = judge_checkpoint(
            self.judge,
            questions_of(examples, [str(text) for text in evidence.greedy.text]),
            run=self.run,
            label=checkpoint.label + ("" if checkpoint.split == "test" else f" · {checkpoint.split}"),
            reporter=self.reporter,
        )
        correct = _objects([one.correct for one in said])
        if not n_abstained(said):
            return correct, {}
        return correct, {ABSTENTION: _objects([one.reason if one.correct is None else None for one in said])}


def _objects(values: Sequence[object]) -> Texts:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
