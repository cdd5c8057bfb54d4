"""The registered tasks: a contract for all, the real data where they are, and malformed local files."""

import importlib.metadata
import sys
import types
from pathlib import Path

import pytest

from aftertune.errors import InputError
from aftertune.quality import QUALITY, compute
from aftertune.tasks import TASKS, Sizes, Task, load_task, register
from aftertune.types import Example

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
REAL = ["eng_afr", "gsm8k", "squad"]
TOY = ["toy_qa", "toy_sums", "toy_translation"]

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="no folder shared/data beside the project")


def parts(splits):
    return {"train": splits.train, "validation": splits.validation, "test": splits.test}


def test_the_built_in_tasks_are_found():
    assert {*REAL, *TOY} <= set(TASKS.names())


@pytest.mark.parametrize("name", [*REAL, *TOY])
def test_contract(name, data_dir):
    task = TASKS.get(name)
    splits = load_task(name, data_dir=data_dir)
    assert task.name == name
    assert task.title
    assert task.licence
    assert task.source
    assert task.max_new_tokens > 0
    assert task.quality in QUALITY
    assert splits == load_task(name, data_dir=str(data_dir))
    assert splits.test != load_task(name, data_dir=data_dir, seed=1).test
    prompts = {split: {e.prompt for e in items} for split, items in parts(splits).items()}
    assert all(prompts.values())
    assert not prompts["train"] & prompts["validation"]
    assert not (prompts["train"] | prompts["validation"]) & prompts["test"]
    for items in parts(splits).values():
        assert len({e.id for e in items}) == len(items)
        for example in items:
            assert example.prompt == example.prompt.strip()
            assert all(ref and ref == ref.strip() for ref in example.references)
    targets = [e.target for e in splits.test]
    best = compute(task.quality, targets, [e.references for e in splits.test])
    assert best.tolist() == [QUALITY.get(task.quality).range[1]] * len(targets)


@pytest.mark.parametrize("name", [*REAL, *TOY])
def test_smaller_sizes_are_the_beginning_of_larger_ones(name, data_dir):
    large = load_task(name, data_dir=data_dir, sizes=Sizes(train=20, validation=8, test=15))
    small = load_task(name, data_dir=data_dir, sizes=Sizes(train=5, validation=3, test=4))
    assert [len(s) for s in parts(small).values()] == [5, 3, 4]
    assert (small.train, small.validation, small.test) == (large.train[:5], large.validation[:3], large.test[:4])
    assert large.train[:5] != load_task(name, data_dir=data_dir, seed=1, sizes=Sizes(train=5)).train


class TestLocalFiles:
    def test_squad(self, data_dir):
        splits = load_task("squad", data_dir=data_dir)
        item = {e.id: e for e in splits.test}["test-4"]
        assert item.prompt == "Context: Paragraph test 1.\nQuestion: Question 4?\nAnswer:"
        assert item.references == ("answer 4", "the answer 4")
        assert item.target == "answer 4"

    def test_gsm8k(self, data_dir):
        splits = load_task("gsm8k", data_dir=data_dir, sizes=Sizes(train=50, validation=10))
        item = {e.id: e for e in splits.test}["gsm8k-test-00007"]
        assert item.prompt == "Question: What is test 7 + 1?\nAnswer:"
        assert item.references == ("7 + 1 = <<7+1=8>>8\n#### 8",)
        # validation is cut out of train; at most half of it
        ids = {e.id for e in splits.train} | {e.id for e in splits.validation}
        assert len(splits.validation) == 10
        assert len(ids) == 40
        assert all(i.startswith("gsm8k-train-") for i in ids)
        assert splits.notes == (
            "train has 30 of the 50 items asked for",
            "test has 30 of the 1,000 items of the paper",
        )

    def test_eng_afr(self, data_dir):
        splits = load_task("eng_afr", data_dir=data_dir)
        item = {e.id: e for e in splits.test}["eng_afr-test-00029"]
        assert item.prompt == "Translate English to Afrikaans.\nEnglish: test sentence 29.\nAfrikaans:"
        assert item.references == ("test sin 29.",)
        assert splits.notes == (
            "train has 60 of the 10,000 items of the paper",
            "validation has 12 of the 100 items of the paper",
            "test has 30 of the 253 items of the paper",
        )

    def test_a_training_item_that_is_also_a_test_item_is_left_out(self, data_dir):
        train, test = data_dir / "squad" / "train.jsonl", data_dir / "squad" / "test.jsonl"
        lines = test.read_text(encoding="utf-8").splitlines(keepends=True)[3:5]
        with train.open("a", encoding="utf-8") as stream:
            stream.writelines(lines)
        splits = load_task("squad", data_dir=data_dir, sizes=Sizes(train=60, validation=12, test=30))
        assert splits.notes == ("2 training items left out: prompt also in validation or test",)
        assert len(splits.train) == 60
        assert len(splits.test) == 30

    @pytest.mark.parametrize(
        ("task", "row", "message"),
        [
            ("squad", '{"id": "1", "context": "c", "question": "q"}', "no column 'answers'"),
            ("squad", '{"id": "1", "context": "c", "question": "q", "answers": []}', "'answers' is an empty list"),
            ("squad", '{"id": "1", "context": "c", "question": "", "answers": ["a"]}', "'question' is empty"),
            ("squad", '{"id": "1", "context": "c", "question": "q", "answers": {"x": 1}}', "'answers' is null"),
            ("gsm8k", '{"question": "q"}', "no column 'answer'"),
            ("gsm8k", '{"question": null, "answer": "1"}', "'question' is null"),
            ("eng_afr", '{"source": "s", "traget": "t"}', "no column 'target': did you mean 'traget'"),
            ("eng_afr", "not JSON", "malformed JSON"),
        ],
    )
    def test_malformed_rows(self, data_dir, task, row, message):
        path = data_dir / task / "test.jsonl"
        path.write_text(path.read_text(encoding="utf-8") + row + "\n", encoding="utf-8")
        with pytest.raises(InputError, match=message) as caught:
            load_task(task, data_dir=data_dir)
        assert str(caught.value).startswith(f"{path}, line 31: ")

    def test_missing_files_and_folders(self, data_dir):
        (data_dir / "squad" / "train.jsonl").unlink()
        with pytest.raises(InputError, match=r"squad/train.jsonl: no such file: --data-dir is a folder that"):
            load_task("squad", data_dir=data_dir)
        assert len(load_task("squad", data_dir=data_dir, sizes=Sizes(train=0, validation=0)).test) == 30
        with pytest.raises(InputError, match=r"nowhere: no such folder \(--data-dir\)"):
            load_task("squad", data_dir=data_dir / "nowhere")
        (data_dir / "gsm8k" / "test.jsonl").write_text("", encoding="utf-8")
        with pytest.raises(InputError, match=r"gsm8k/test.jsonl: no items: the file is empty"):
            load_task("gsm8k", data_dir=data_dir)


def test_unknown_task_gives_the_nearest():
    with pytest.raises(InputError, match="unknown task 'sqad': did you mean squad"):
        load_task("sqad")


@needs_shared
class TestRealFiles:
    """Counts as in the README of the data folder."""

    @pytest.mark.parametrize(
        ("name", "sizes", "notes"),
        [
            ("squad", [10_000, 100, 1_000], ()),
            ("gsm8k", [7_000, 100, 1_000], ()),
            ("eng_afr", [4_605, 100, 253], ("train has 4,605 of the 10,000 items of the paper",)),
        ],
    )
    def test_sizes_of_the_paper(self, name, sizes, notes):
        splits = load_task(name, data_dir=SHARED)
        assert [len(items) for items in parts(splits).values()] == sizes
        assert splits.notes == notes
        prompts = {split: {e.prompt for e in items} for split, items in parts(splits).items()}
        assert not prompts["train"] & prompts["validation"]
        assert not (prompts["train"] | prompts["validation"]) & prompts["test"]
        small = load_task(name, data_dir=SHARED, sizes=Sizes(train=100, test=20))
        assert small.train == splits.train[:100]
        assert small.test == splits.test[:20]
        assert small.validation == splits.validation

    def test_all_of_gsm8k_is_used_once(self):
        splits = load_task("gsm8k", data_dir=SHARED, sizes=Sizes(train=7_373, test=1_319))
        assert splits.notes == ()
        ids = {e.id for e in splits.train} | {e.id for e in splits.validation}
        assert ids == {f"gsm8k-train-{k:05d}" for k in range(7_473)}
        assert {e.id for e in splits.test} == {f"gsm8k-test-{k:05d}" for k in range(1_319)}

    @pytest.mark.parametrize("name", REAL)
    def test_a_reference_has_the_best_quality(self, name):
        task, items = TASKS.get(name), load_task(name, data_dir=SHARED).test
        best = compute(task.quality, [e.references[-1] for e in items], [e.references for e in items])
        assert best.tolist() == [QUALITY.get(task.quality).range[1]] * len(items)


@pytest.fixture
def registry(monkeypatch):
    TASKS.names()
    monkeypatch.setattr(TASKS, "_entries", dict(TASKS._entries))


@pytest.mark.usefixtures("registry")
def test_a_plug_in_adds_a_task(monkeypatch):
    module = types.ModuleType("some_plug_in")

    def pool(split, origin):
        return (Example(id=f"{split}-0", prompt=f"{split}?", references=("yes",)),)

    module.task = Task(
        name="plugged", title="P", quality="token_f1", max_new_tokens=4, licence="MIT", source="me",
        prompt="{q}", pool=pool, train=1, validation=1, test=1,
    )  # fmt: skip
    monkeypatch.setitem(sys.modules, "some_plug_in", module)
    register(importlib.metadata.EntryPoint("plugged", "some_plug_in:task", "aftertune.tasks").load())
    assert load_task("plugged").test[0].prompt == "test?"
    with pytest.raises(ValueError, match="'plugged' is registered twice"):
        register(Task(**{f: getattr(module.task, f) for f in Task.__slots__}))
