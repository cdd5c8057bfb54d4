"""A judge that gave no verdict: in the records and notes of an analysis, and at a checkpoint that is recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import aftertune
from aftertune.analysis.analyse import analyse
from aftertune.analysis.labels import labels_of
from aftertune.errors import InputError
from aftertune.files.runfolder import RunFolder
from aftertune.judges import Judgement, Question
from aftertune.judges.judge import EMPTY, FREE
from aftertune.measure import recording, worklist
from aftertune.measure.recording import judge_checkpoint
from aftertune.measure.reporter import Reporter
from aftertune.records.records import read_records, to_jsonl, write_records
from downstream_samples import labelled, with_correct
from drawing import without_drawing
from record_samples import checkpoint, together

WHY = "the judge said 'Perhaps' instead of Yes or No"


def silenced(records, silent, why=WHY):
    """The records with abstentions instead of verdicts."""
    column = np.array([why if s else None for s in silent], dtype=object)
    without = with_correct(records, [None if s else c for s, c in zip(silent, records.correct)])
    return replace(without, extra={**records.extra, "abstention": column})


class TestNotes:
    def test_counts_at_each_checkpoint(self):
        records = labelled(seeds=(0, 1), epochs=(0, 1, 2))
        seventh = np.char.endswith(records.item_id.astype(str), "7")
        test = records.split == "test"
        silent = seventh & test & (records.epoch != 1) & (records.seed == 0)
        silent |= test & (records.seed == 1) & (records.epoch == 2)
        silent |= (records.item_id == "validation-003") & (records.epoch == 0) & (records.seed == 0)
        shuffled = np.random.default_rng(0).permutation(len(records))
        notes = analyse(silenced(records, silent).take(shuffled), resamples=100).notes
        assert notes[:2] == (
            "tiny / toy, test items: the judge abstained on 12 of 120 answers at epoch 0, 12 of 120 at epoch 2 "
            f"(seed 0); all 120 answers at epoch 2 (seed 1); for example, {WHY}",
            "tiny / toy, validation items: the judge abstained on 1 of 420 answers at epoch 0 (seed 0); "
            f"for example, {WHY}",
        )

    def test_settings_and_one_line(self):
        part = checkpoint(np.ones(3), {"s": np.arange(3.0)}, setting="n=5", epoch=0.5)
        part = with_correct(part, [True, False, True])
        _, notes = labels_of(silenced(part, [False, True, False], "two\nlines\x85"), None)
        assert notes == [
            "tiny / toy / n=5, test items: the judge abstained on 1 of 3 answers at epoch 0.5; for example, two "
            "lines"
        ]

    def test_none(self):
        records = labelled(seeds=(0,), epochs=(0,))
        plain = analyse(records, resamples=100)
        told = analyse(silenced(records, np.zeros(len(records), dtype=bool)), resamples=100)
        assert plain.notes == told.notes
        # A field of that name which is no text says nothing, nor does a text beside a verdict.
        other = replace(records, extra={"abstention": np.full(len(records), True, dtype=object)})
        assert labels_of(other, None)[1] == []
        beside = replace(records, extra={"abstention": np.full(len(records), WHY, dtype=object)})
        assert labels_of(beside, None)[1] == []


class TestOnEverything:
    """`correct` null everywhere: quality of 0 and 1 stands for it, but never where a judge was asked."""

    QUALITY = np.array([0.0, 1.0, 1.0, 0.0])

    def records(self, **changes):
        return checkpoint(self.QUALITY, {"s": np.arange(4.0)}, **changes)

    def test_never_judged(self):
        labels, notes = labels_of(self.records(), None)
        assert labels.tolist() == self.QUALITY.tolist()
        assert notes == [
            "toy: correct means quality 1: no record says `correct`, and quality is 0 or 1 everywhere"
        ]

    def test_abstained(self):
        silent = silenced(self.records(), [True] * 4)
        labels, notes = labels_of(silent, None)
        assert np.isnan(labels).all()
        assert notes == [
            "toy: no answer counts as correct or wrong: where the judge was asked, it abstained (--correct-at "
            "goes by quality instead)",
            f"tiny / toy, test items: the judge abstained on all 4 answers at epoch 0; for example, {WHY}",
        ]
        labels, notes = labels_of(silent, 0.5)
        assert labels.tolist() == self.QUALITY.tolist()
        assert notes[0] == "toy: correct means quality ≥ 0.5"

    def test_a_task_of_its_own(self):
        other = self.records(task="other")
        labels, _ = labels_of(together(silenced(self.records(), [True] * 4), other), None)
        assert np.isnan(labels[:4]).all()
        assert labels[4:].tolist() == self.QUALITY.tolist()

    def test_from_files(self, tmp_path):
        """null, no field, and null with a reason: the last alone is an abstention, and survives the files."""
        spread = [silenced(self.records(epoch=e), [True] * 4) for e in (0, 1)]
        to_jsonl(together(*spread), tmp_path / "abstained.jsonl")
        result = aftertune.analyze(tmp_path / "abstained.jsonl", out=tmp_path / "out", resamples=200)
        assert result.analysis.rows("downstream") == ()
        assert any(
            "on all 4 answers at epoch 0, all 4 at epoch 1; for example" in n for n in result.analysis.notes
        )
        to_jsonl(together(*(self.records(epoch=e) for e in (0, 1))), tmp_path / "null.jsonl")
        text = (tmp_path / "null.jsonl").read_text()
        (tmp_path / "absent.jsonl").write_text(
            text.replace('"correct": null, ', "").replace('"correct":null,', "")
        )
        found = [
            aftertune.analyze(tmp_path / f"{name}.jsonl", out=tmp_path / name, resamples=200).analysis
            for name in ("null", "absent")
        ]
        assert len(found[0].rows("downstream")) == 2
        assert repr(found[0]) == repr(found[1])


class Scripted:
    """A judge that says the next thing at each call: verdicts by parity, or an abstention on all or some."""

    name = "scripted"

    def __init__(self, *script):
        self.script, self.calls = list(script), 0

    def signature(self):
        return "scripted"

    def ready(self):
        return

    def estimate(self, questions):
        return FREE

    def judge(self, questions, progress=None):
        says = self.script[self.calls] if self.calls < len(self.script) else "verdicts"
        self.calls += 1
        return [self._one(i, question, says) for i, question in enumerate(questions)]

    def _one(self, i, question, says):
        if question.empty:
            return EMPTY
        if says == "nothing" or (says == "some" and i < 2):
            return Judgement(correct=None, raw="Perhaps", reason=WHY)
        return Judgement(correct=i % 2 == 0, raw="Yes", reason="")


class Notes(Reporter):
    def __init__(self):
        self.said = []

    def note(self, text):
        self.said.append(text)


@pytest.fixture
def bench(bench, monkeypatch):
    without_drawing(monkeypatch)
    return bench


def audit(bench, out, judge, monkeypatch, reporter=None, **changes):
    monkeypatch.setattr(recording, "judge_from", lambda spec, **settings: judge)
    monkeypatch.setattr(Question, "empty", False)  # whether an output is empty is up to the model's training
    settings = {"input": "q", "target": "answer", "template": "{q} =", "max_new_tokens": 14, "beams": 0,
                "dropout": "none", "resamples": 200, "judge": "rule"}  # fmt: skip
    return aftertune.audit(
        bench / "llama", bench / "llama", data=bench / "test.jsonl", validation=bench / "validation.jsonl",
        out=out, reporter=reporter, **(settings | changes),
    )  # fmt: skip


class Bars(Notes):
    def __init__(self):
        super().__init__()
        self.stages = []

    def stage(self, text, total):
        self.stages.append([text, total, 0])

    def advance(self, units):
        self.stages[-1][2] += units


def test_progress_of_judges_that_take_time(tmp_path):
    class Slow(Scripted):
        def judge(self, questions, progress=None):
            for n in (3, 5, 6):
                progress(n, 6)
            return super().judge(questions)

    questions = [Question(question="?", answer=f"a{i}", references=("a",)) for i in range(8)]
    for judge, stages in ((Slow(), [["here: judging", 6, 6]]), (Scripted(), [])):
        bars = Bars()
        judge_checkpoint(judge, questions, run=RunFolder(tmp_path), label="here", reporter=bars)
        assert bars.stages == stages


class TestAtACheckpoint:
    def test_at_the_first(self, bench, tmp_path, monkeypatch):
        judge = Scripted("nothing", "nothing")
        with pytest.raises(InputError) as caught:
            audit(bench, tmp_path / "run", judge, monkeypatch)
        assert str(caught.value) == (
            "llama · test · seed 0 · before fine-tuning: the judge scripted abstained on all 20 answers "
            f"({WHY}): take another judge, or rule, which needs nothing"
        )
        assert judge.calls == 1
        assert not list((tmp_path / "run").glob("records/*"))
        # What was decoded is kept: another judge goes on.
        monkeypatch.setattr(worklist, "measure", None)
        with pytest.raises(TypeError):  # the second checkpoint is not decoded yet
            audit(bench, tmp_path / "run", Scripted(), monkeypatch)
        assert len(list((tmp_path / "run").glob("records/*.parquet"))) >= 1

    def test_at_a_later_one(self, bench, tmp_path, monkeypatch):
        """Recorded without verdicts, and noted, also when the same command is given again."""
        reporter = Notes()
        judge = Scripted("some", "verdicts", "nothing", "verdicts")
        result = audit(bench, tmp_path / "run", judge, monkeypatch, reporter)
        records = result.records
        by_checkpoint = {
            (split, epoch): [c for c, s, e in zip(records.correct, records.split, records.epoch)
                             if (s, e) == (split, epoch)].count(None)
            for split in ("test", "validation") for epoch in (0, 1)
        }  # fmt: skip
        assert by_checkpoint == {("test", 0): 2, ("test", 1): 20, ("validation", 0): 0, ("validation", 1): 0}
        assert [why == WHY for why in records.extra["abstention"]] == [c is None for c in records.correct]
        note = (
            "llama / test, test items: the judge abstained on 2 of 20 answers at epoch 0, all 20 at epoch 1; "
            f"for example, {WHY}"
        )
        assert note in result.analysis.notes
        told = f"llama · test · seed 0 · epoch 1: scripted abstained on 20 of 20 answers (for example: {WHY})"
        assert told in reporter.said
        again = audit(bench, tmp_path / "run", Scripted(), monkeypatch)
        assert note in again.analysis.notes
        # The records of that checkpoint alone are made again: verdicts at others are remembered.
        for path in (tmp_path / "run" / "records").glob("*-seed0-epoch1-*.parquet"):
            if "validation" not in path.name:
                path.unlink()
        judge = Scripted("nothing")
        assert note in audit(bench, tmp_path / "run", judge, monkeypatch).analysis.notes
        assert judge.calls == 1

    def test_on_validation_only(self, bench, tmp_path, monkeypatch):
        result = audit(
            bench, tmp_path / "run", Scripted("verdicts", "nothing", "verdicts", "nothing"), monkeypatch
        )
        assert len(result.analysis.rows("downstream")) > 0
        assert all(row.n == 20 and np.isnan(row.ece) and row.status for row in result.analysis.rows("downstream"))
        assert result.analysis.rows("percentages") == ()
        notes = result.analysis.notes
        assert any(
            "validation items: the judge abstained on all 8 answers at epoch 0, all 8 at" in n for n in notes
        )
        assert any("no validation answer is judged" in n for n in notes)

    def test_verdicts_of_another_judge_do_not_count(self, bench, tmp_path, monkeypatch):
        audit(bench, tmp_path / "run", Scripted(), monkeypatch)
        other = Scripted("nothing")
        other.name, other.signature = "other", lambda: "other"
        with pytest.raises(InputError, match="before fine-tuning: the judge other abstained on all 20 answers"):
            audit(bench, tmp_path / "run", other, monkeypatch)

    @pytest.mark.parametrize(("n_asked", "fails"), [(0, False), (1, False), (2, False), (3, True)])
    def test_few_answers_that_are_not_empty(self, tmp_path, n_asked, fails):
        """A model that says hardly anything: its empty answers are wrong, whatever the judge."""
        answers = ["x"] * n_asked + [" "] * (10 - n_asked)
        questions = [Question(question="q?", answer=answer, references=("r",)) for answer in answers]
        settings = {"run": RunFolder(tmp_path), "label": "here", "reporter": Reporter()}
        if fails:
            with pytest.raises(InputError, match=r"^here: the judge scripted abstained on all 3 answers"):
                judge_checkpoint(Scripted("nothing"), questions, **settings)
        else:
            said = judge_checkpoint(Scripted("nothing"), questions, **settings)
            assert [one.correct for one in said] == [None] * n_asked + [False] * (10 - n_asked)

    def test_empty_answers_are_no_verdicts_of_the_judge(self, tmp_path):
        run = RunFolder(tmp_path)
        part = with_correct(
            checkpoint(np.zeros(4), {"s": np.arange(4.0)}, output=["", " ", "x", "y"]), [False, False, None, None]
        )
        questions = [Question(question="q?", answer="x", references=("r",))] * 4
        for correct, fails in (([False, False, None, None], True), ([False, False, None, True], False)):
            write_records(with_correct(part, correct), run.record_file("k"), signatures={"correct": "scripted"})
            assert len(read_records([tmp_path])) == 4
            judge = Scripted("nothing")
            settings = {"run": run, "label": "here", "reporter": Reporter()}
            if fails:
                with pytest.raises(InputError, match="abstained on all 4"):
                    judge_checkpoint(judge, questions, **settings)
            else:
                assert [one.correct for one in judge_checkpoint(judge, questions, **settings)] == [None] * 4
