"""What an audit says before its numbers."""

from __future__ import annotations

import pytest

import aftertune
from aftertune.errors import InputError
from aftertune.measure.checks import same_files
from aftertune.measure.notes import judge_notes, without_test_items
from aftertune.types import Example
from samples import Notes, rows, write_jsonl


def example(name, incorrect=()):
    return Example(id=name, prompt=f"{name}?", references=("yes",), incorrect=incorrect)


class TestWithoutTestItems:
    @pytest.mark.parametrize(
        ("validation", "test", "left", "expected"),
        [
            ("abcd", "xbdy", ["a", "c"], ["2 of 4 validation items left out: they are test items too"]),
            ("ab", "b", ["a"], ["1 of 2 validation items left out: it is a test item too"]),
            ("ab", "c", ["a", "b"], []),
        ],
    )
    def test_some_are_left(self, validation, test, left, expected):
        kept, notes = without_test_items([example(x) for x in validation], [example(x) for x in test])
        assert [item.id for item in kept] == left
        assert notes == expected

    @pytest.mark.parametrize(
        ("validation", "message"),
        [
            ("a", "the only validation item is a test item too: percentages must"),
            ("ab", "all 2 validation items are test items too"),
        ],
    )
    def test_none_is_left(self, validation, message):
        with pytest.raises(InputError, match=message):
            without_test_items([example(x) for x in validation], [example(x) for x in "abc"])


class TestJudgeNotes:
    @pytest.mark.parametrize(
        ("spec", "validation", "wrong", "expected"),
        [
            ("token_f1:0.5", True, 0, []),
            (None, False, 0, []),
            (None, True, 0, ["no judge: answers are known to be right or wrong only where quality is 0 or 1"]),
            ("rule", True, 3, []),
            ("rule", False, 0, ["no item has known wrong answers: there the judge rule looks at the nearest"]),
            ("rule", True, 2, ["1 of 3 test items has no known wrong answers: there the judge rule looks at"]),
            ("rule:0", True, 3, ["right is by the judge rule:0 what lies nearest to a correct answer"]),
            ("rule:0.1", True, 1, ["2 of 3 test items have no known wrong answers: there the judge rule:0.1"]),
        ],
    )
    def test_notes(self, spec, validation, wrong, expected):
        test = [example(x, ("no",) if i < wrong else ()) for i, x in enumerate("abc")]
        found = list(judge_notes(spec, {"test": test} | ({"validation": [example("d")]} if validation else {})))
        assert len(found) == len(expected)
        assert all(note.startswith(start) for note, start in zip(found, expected))


def test_same_weights():
    (found,) = same_files(["embedded:tiny-t5-qa", "embedded:tiny-llama-translation", "embedded:tiny-t5-qa"])
    assert found.level == "warning"
    assert found.message.startswith("embedded:tiny-t5-qa and embedded:tiny-t5-qa are the same files")
    assert same_files(["embedded:tiny-t5-qa", "embedded:tiny-t5-sums"])[0].level == "ok"


def audit(tmp_path, reporter, *checkpoints, **settings):
    usual = {"data": tmp_path / "test.jsonl", "input": "q", "target": "answer", "template": "{q} =", "beams": 0,
             "dropout": "none", "max_new_tokens": 3, "resamples": 200, "out": tmp_path / "run"}  # fmt: skip
    return aftertune.audit(*checkpoints, reporter=reporter, **(usual | settings))


def test_told_before_anything_is_decoded_and_in_the_report(tmp_path):
    write_jsonl(tmp_path / "test.jsonl", rows(8, 5))
    write_jsonl(tmp_path / "validation.jsonl", rows(8, 5))
    same = ("embedded:tiny-t5-qa", "embedded:tiny-t5-qa")
    with pytest.raises(InputError, match="all 8 validation items are test items too"):
        audit(tmp_path, Notes(), *same, judge="token_f1:0.5", validation=tmp_path / "validation.jsonl")
    assert not (tmp_path / "run").exists()
    write_jsonl(tmp_path / "words.jsonl", [{"q": f"{word}?", "answer": word} for word in ("red", "blue", "green")])
    with pytest.raises(InputError, match="exact_match"):
        audit(tmp_path, Notes(), *same, quality="exact_match", data=tmp_path / "words.jsonl")
    assert not (tmp_path / "run").exists()

    first = Notes()
    result = audit(tmp_path, first, *same)
    assert any("are the same files" in note for note in first.notes)
    assert any("are the same files" in row.message for row in result.analysis.rows("checks"))
    assert not any("are the same files" in note for note in result.analysis.notes)
    assert not any("holds another audit" in note for note in first.notes)

    again, other = Notes(), Notes()
    audit(tmp_path, again, *same)
    assert not any("holds this audit" in note for note in again.notes)
    audit(tmp_path, other, same[0], [*same[1:], "embedded:tiny-t5-translation"], max_new_tokens=4)
    (note,) = [note for note in other.notes if "holds this audit" in note]
    assert note.endswith("with other settings (max_new_tokens was 3): its tables and report are replaced")


class Counted(Notes):
    """What the bars show: planned and done at the start, then how many checkpoints were finished."""

    def plan(self, checkpoints, done):
        super().plan(checkpoints, done)
        self.finished = done

    def checkpoint_done(self):
        self.finished += 1


def test_a_checkpoint_is_done_with_the_last_of_its_parts(tmp_path):
    write_jsonl(tmp_path / "test.jsonl", rows(8, 5))
    write_jsonl(
        tmp_path / "validation.jsonl", [{"q": f"and {row['q']}", "answer": row["answer"]} for row in rows(4, 6)]
    )
    models = ("embedded:tiny-t5-qa", "embedded:tiny-t5-translation")
    judged = {"judge": "token_f1:0.5", "validation": tmp_path / "validation.jsonl"}
    for settings, planned in (({}, (2, 0)), (judged, (2, 0)), (judged, (2, 2))):
        bars = Counted()
        audit(tmp_path, bars, *models, **settings)
        assert (bars.planned, bars.finished) == (planned, 2)
