"""Prompts of a registered task in other words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from aftertune.errors import InputError
from aftertune.judges import questions_of
from aftertune.tasks import TASKS, Sizes
from aftertune.tasks.template import Template, reworded
from aftertune.types import Example

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("Question: {question}\nAnswer:", {"question": "Who?\nAnswer: me"}),
        ("{context}\n{question}", {"context": "a\nb", "question": "c"}),
        ("({a}) is {b} is {a}.", {"a": "x.*y", "b": "is"}),
        ("{{literal}} {my column}!", {"my column": "[z]"}),
        ("{a}, {a}0 and {b}", {"a": "x", "b": "y"}),
        ("{a} then {b}\n ", {"a": "x", "b": "y"}),
        ("{a}\n{b}", {"a": " x ", "b": "y \t "}),
        (r"{a}\n{b}\tA:\n", {"a": r"x\n", "b": "y"}),
    ],
)
def test_what_was_filled_in_is_read_back(text, values):
    assert Template(text).read(Template(text).filled(values)) == values


def test_the_last_separator_counts():
    template = Template("Context: {context}\nQuestion: {question}\nAnswer:")
    prompt = "Context: He asked:\nQuestion: no\nQuestion: Who?\nAnswer:"
    assert template.read(prompt) == {"context": "He asked:\nQuestion: no", "question": "Who?"}


def test_a_prompt_of_another_template():
    with pytest.raises(ValueError, match="'Q: Who' is not made by 'Question: {q}'"):
        Template("Question: {q}").read("Q: Who")


def test_reworded_keeps_all_but_the_prompt():
    own, other = Template("Question: {question}\nAnswer:"), Template("{question} The answer is")
    example = Example(id="1", prompt="Question: Who?\nAnswer:", references=("me",), incorrect=("you",))
    found = reworded(example, own, other)
    assert found.prompt == "Who? The answer is"
    assert replace(found, prompt=example.prompt, question="") == example
    (question,) = questions_of([found], ["him"])
    assert question.question == example.prompt  # a judge is told what it was told before


@pytest.mark.parametrize(
    ("task", "template"),
    [
        ("toy_qa", "{facts} {question}"),
        ("toy_sums", "{problem}"),
        ("toy_translation", "{source} in the other language:"),
    ],
)
def test_toy_tasks(task, template):
    plain, other = TASKS.get(task).load(), replace(TASKS.get(task), template=template).load()
    assert [item.id for item in plain.test] == [item.id for item in other.test]
    assert [item.references for item in plain.train] == [item.references for item in other.train]
    own = Template(TASKS.get(task).prompt)
    assert [item.prompt for item in other.test] == [
        Template(template).filled(own.read(item.prompt)) for item in plain.test
    ]
    assert any(note.startswith("prompts are '") for note in other.notes)
    assert not any(note.startswith("prompts are '") for note in plain.notes)


def test_a_typed_backslash_n_is_a_new_line_in_other_words_too():
    splits = replace(TASKS.get("toy_sums"), template=r"{problem}\nA:").load()
    assert all(item.prompt.endswith("\nA:") for item in splits.test)
    found = {check.check: check for check in splits.checks}["template"]
    assert found.level == "note"
    assert found.message == (
        r"in the template \n is read as a new line (↵); a doubled backslash stands for itself: {problem}↵A:"
    )


def test_a_template_that_makes_prompts_equal_across_splits():
    other = replace(TASKS.get("toy_qa"), template="{question}").load()
    train, validation, test = (
        [item.prompt for item in getattr(other, split)] for split in ("train", "validation", "test")
    )
    n = [sum(prompt in train for prompt in validation), sum(prompt in train + validation for prompt in test)]
    assert min(n) > 0
    messages = [check.message for check in other.checks if check.level == "warning"]
    assert messages == [
        f"{n[0]} of 100 validation prompts are also in train by this template: take one that names every field",
        f"{n[1]} of 200 test prompts are also in train or validation by this template: take one that names every "
        "field",
    ]
    same = replace(TASKS.get("toy_qa"), template="{facts} {question}").load()
    assert {check.level for check in same.checks} == {"ok"}


@pytest.mark.skipif(not SHARED.is_dir(), reason="no folder shared/data beside the project")
@pytest.mark.parametrize(
    ("task", "template"),
    [
        ("squad", "{question} ({context})"),
        ("gsm8k", "{question}"),
        ("eng_afr", "{source} ="),
        ("truthfulqa", "{question} The answer is"),
    ],
)
def test_real_tasks_keep_items_and_splits(task, template):
    sizes = Sizes(train=50, validation=20, test=20)
    plain = TASKS.get(task).load(data_dir=SHARED, sizes=sizes)
    other = replace(TASKS.get(task), template=template).load(data_dir=SHARED, sizes=sizes)
    own = Template(TASKS.get(task).prompt)
    for split in ("train", "validation", "test"):
        for before, after in zip(getattr(plain, split), getattr(other, split), strict=True):
            assert (before.id, before.references, before.incorrect) == (
                after.id,
                after.references,
                after.incorrect,
            )
            assert after.prompt == Template(template).filled(own.read(before.prompt))
            assert questions_of([after], ["?"]) == questions_of([before], ["?"])


def test_an_item_that_its_own_template_did_not_make():
    example = Example(id="x1", prompt="Who?", references=("me",))
    with pytest.raises(InputError, match="item 'x1' cannot be asked by another template: 'Who\\?' is not made by"):
        reworded(example, Template("Question: {q}"), Template("{q}!"))


def test_a_field_that_the_task_lacks():
    with pytest.raises(InputError) as caught:
        replace(TASKS.get("squad"), template="{passage} {question}")
    assert str(caught.value) == (
        "the template '{passage} {question}' names {passage}, which task squad lacks: "
        "it has {context} and {question}"
    )
