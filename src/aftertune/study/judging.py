"""What a judge says of the answers of one checkpoint, and when it is no judge at all."""

from __future__ import annotations

from collections.abc import Sequence

from aftertune.errors import InputError
from aftertune.files.runfolder import RunFolder
from aftertune.judges import Judge, Judgement, OnlyAbstained, Progress, Question, judged
from aftertune.records.records import read_records, read_signatures
from aftertune.study.reporter import Reporter

FEW = 3
"""Abstentions on fewer answers than this, all others being empty, say nothing about the judge."""


def judge_checkpoint(
    judge: Judge, questions: Sequence[Question], *, run: RunFolder, label: str, reporter: Reporter
) -> list[Judgement]:
    """A judgement for each answer; cost and abstentions are told to the reader.

    A checkpoint on which the judge only abstains has no verdicts and is as such recorded, if the judge is known to
    give any: by records that lie in the run folder.

    Raises
    ------
    InputError
        The judge abstains on all that it is asked about, and has given no verdict in this run so far: all later
        checkpoints would cost, and most likely say, the same. What the judge raises.
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
    """A stage of its own for judges that take time: they alone tell of progress."""
    done = 0

    def told(n: int, total: int) -> None:
        nonlocal done
        if done == 0:
            reporter.stage(text, total)
        reporter.advance(n - done)
        done = n

    return told


def _gave_verdicts(judge: Judge, run: RunFolder) -> bool:
    """Whether records of the run say of an answer that is not empty that this judge called it correct or wrong."""
    for path in sorted(run.records.glob("*.parquet")):
        if read_signatures([path]).get("correct") == judge.signature():
            records = read_records([path])
            if any(c is not None and o and o.strip() for c, o in zip(records.correct, records.output)):
                return True
    return False
