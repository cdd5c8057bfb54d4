"""Evidence of a checkpoint → its records: scores, quality, judgements, similarity to the training set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from aftertune.analysis.checkpoints import GROUP
from aftertune.analysis.checks import HIT_LIMIT, PROMPT_CUT
from aftertune.analysis.labels import ABSTENTION
from aftertune.errors import InputError
from aftertune.files.evidence import read_cut, read_prompts, read_similarity
from aftertune.files.runfolder import RunFolder
from aftertune.generate.similarity import EMBEDDING
from aftertune.judges import (
    Judge,
    Judgement,
    OnlyAbstained,
    Progress,
    Question,
    judge_from,
    judged,
    n_abstained,
    questions_of,
)
from aftertune.measure.evidence import greedy_quality
from aftertune.measure.reporter import Reporter
from aftertune.measure.worklist import Checkpoint, Measurement
from aftertune.options import NO_JUDGE
from aftertune.quality import QUALITY
from aftertune.records.records import read_records, read_signatures, write_records
from aftertune.scores import SCORES, get, score_items
from aftertune.signature import digest
from aftertune.tasks import Task
from aftertune.types import Evidence, Example, Records, Texts

LONGEST_GROUP = 80
"""Characters of a group's name in records; a longer one, such as a paragraph, is a digest."""

FEW = 3
"""Abstentions on fewer answers than this say nothing about the judge."""


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

    def record(self, checkpoint: Checkpoint, measured: Measurement, *, near: bool = True) -> str:
        """Write the records of one checkpoint, unless the same ones are there; returns their key.

        Parameters
        ----------
        near : whether the similarity to the training set goes into them, where it is measured.
        """
        similarity = measured.similarity if near else None
        signed = self.signatures(similarity=similarity is not None)
        answers = [(one.id, one.references, one.incorrect, one.question) for one in measured.items]
        parts = [measured.key, asdict(checkpoint), signed, self.task.quality, answers]
        parts += [groups] if (groups := self._groups(measured.items)) else []
        key = f"{checkpoint.slug}-{digest([*parts, similarity and similarity.name], 12)}"
        path = self.run.record_file(key)
        if not path.exists():
            self.reporter.stage(f"{checkpoint.label}: scoring", 1)
            write_records(self._records(checkpoint, measured, similarity), path, signatures=signed)
        self.run.recorded(path.name)
        return key

    def _groups(self, examples: Sequence[Example]) -> list[str]:
        """Of each item the group that it belongs to, short; none where each prompt is its own."""
        groups = [self.task.group(example) for example in examples]
        if all(group == example.prompt for group, example in zip(groups, examples)):
            return []
        return [group if len(group) <= LONGEST_GROUP else digest(group, 12) for group in groups]

    def _records(self, checkpoint: Checkpoint, measured: Measurement, similarity: Path | None) -> Records:
        evidence = measured.evidence()
        assert evidence.greedy is not None
        n, ids = len(evidence), evidence.item_ids
        by_id = {example.id: example for example in measured.items}
        examples = [by_id[item] for item in ids]
        nearest = {} if similarity is None else read_similarity(similarity)
        rendered, cut = read_prompts(measured.folder), read_cut(measured.folder)
        extra = {
            "input": _objects([example.prompt for example in examples]),
            "n_tokens": _objects(evidence.greedy.n_tokens.tolist()),
        }
        if rendered:
            extra["rendered_prompt"] = _objects([rendered[item] for item in ids])
        if cut is not None:
            for name, some in ((HIT_LIMIT, set(cut["outputs"])), (PROMPT_CUT, set(cut["prompts"]))):
                extra[name] = _objects([item in some for item in ids])
        if groups := self._groups(examples):
            extra[GROUP] = _objects(groups)
        if nearest:
            extra["nearest_training_item"] = _objects([nearest.get(item, (None, None))[1] for item in ids])
        scores = score_items(evidence, self.scores)
        correct, abstained = self._judged(checkpoint, evidence, examples)

        def constant(value: object) -> Texts:
            return np.full(n, value, dtype=object)

        return Records(
            model=constant(checkpoint.model),
            task=constant(checkpoint.task),
            setting=constant(checkpoint.setting),
            seed=np.full(n, checkpoint.seed),
            epoch=np.full(n, float(checkpoint.epoch)),
            selected=np.full(n, checkpoint.selected),
            split=constant(checkpoint.split),
            item_id=ids,
            output=evidence.greedy.text,
            references=_objects([list(example.references) for example in examples]),
            quality=greedy_quality(evidence, examples, self.task.quality),
            correct=correct,
            train_similarity=np.array([nearest.get(item, (None, None))[0] for item in ids], dtype=np.float64),
            scores={name: one.value for name, one in scores.items()},
            extra=extra | abstained,
        )

    def _judged(
        self, checkpoint: Checkpoint, evidence: Evidence, examples: Sequence[Example]
    ) -> tuple[Texts, dict[str, Texts]]:
        """`correct` of the greedy outputs, None where the judge abstains or there is none; and the abstentions."""
        assert evidence.greedy is not None
        if self.judge is None:
            return np.full(len(evidence), None, dtype=object), {}
        questions = questions_of(examples, [str(text) for text in evidence.greedy.text])
        label = checkpoint.label
        said = judge_checkpoint(self.judge, questions, run=self.run, label=label, reporter=self.reporter)
        correct = _objects([one.correct for one in said])
        if not n_abstained(said):
            return correct, {}
        return correct, {ABSTENTION: _objects([one.reason if one.correct is None else None for one in said])}


def judge_spec(asked: str, items: Sequence[Example]) -> str | None:
    """The judge of a task's answers, None for none; "auto" is the rule where an item knows incorrect answers."""
    if asked == "auto":
        return "rule" if any(example.incorrect for example in items) else None
    return None if asked == NO_JUDGE else asked


def judge_of(spec: str | None, run: RunFolder, concurrency: int) -> Judge | None:
    """The judge that a spec stands for, None for none; what it was asked and said is kept in the run folder."""
    return None if spec is None else judge_from(spec, cache=run.judgements, concurrency=concurrency)


def judge_checkpoint(
    judge: Judge, questions: Sequence[Question], *, run: RunFolder, label: str, reporter: Reporter
) -> list[Judgement]:
    """A judgement for each answer; notes tell the cost and the abstentions.

    Raises
    ------
    InputError
        The judge abstains on all `FEW` or more answers that it is asked about, and no record in the run folder has
        a verdict of its: later checkpoints would cost, and most likely say, the same. Else what it raises.
    """
    cost = judge.estimate(questions)
    if cost.calls:
        reporter.note(f"{label}: judging by {judge.name}: {cost}")
    try:
        said = judged(judge, questions, _progress(reporter, f"{label}: judging"))
    except OnlyAbstained as error:
        if error.asked >= FEW and not _gave_verdicts(judge, run):
            kept = f"; what it said is kept in {run.judgements}" if cost.calls or cost.cached else ""
            raise InputError(f"{label}: {error}{kept}") from None
        said = error.said
    silent = [one for one in said if one.correct is None]
    if silent:
        reporter.note(
            f"{label}: {judge.name} abstained on {len(silent):,} of {len(said):,} answers "
            f"(for example: {silent[0].reason})"
        )
    return said


def _progress(reporter: Reporter, text: str) -> Progress:
    """Shows the progress of a judge that takes time, in a stage that begins with its first call."""
    done = 0

    def told(n: int, total: int) -> None:
        nonlocal done
        if done == 0:
            reporter.stage(text, total)
        reporter.advance(n - done)
        done = n

    return told


def _gave_verdicts(judge: Judge, run: RunFolder) -> bool:
    """Whether the run has records in which this judge called an answer that is not empty correct or wrong."""
    for path in sorted(run.records.glob("*.parquet")):
        if read_signatures([path]).get("correct") == judge.signature():
            records = read_records([path])
            if any(c is not None and o and o.strip() for c, o in zip(records.correct, records.output)):
                return True
    return False


def _objects(values: Sequence[object]) -> Texts:
    found = np.empty(len(values), dtype=object)
    found[:] = values
    return found
