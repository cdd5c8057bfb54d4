"""TRL's formats of data: what is read of each, and what is refused in one line."""

import csv
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from aftertune.errors import InputError
from aftertune.tasks import load_file, own_task
from aftertune.types import Example


def user(content):
    return {"role": "user", "content": content}


def assistant(content):
    return {"role": "assistant", "content": content}


def part(text):
    return {"type": "text", "text": text}


SYSTEM = {"role": "system", "content": "Be brief."}


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


SEVERAL = [SYSTEM, user("Capital of France?"), assistant("Paris."), user("And of Peru? "), assistant(" Lima.\n")]
ITEM = Example(
    id="row-000000",
    prompt="system: Be brief.\nuser: Capital of France?\nassistant: Paris.\nuser: And of Peru? \nassistant:",
    references=("Lima.",),
    question="And of Peru? ",
    messages=(
        ("system", "Be brief."),
        ("user", "Capital of France?"),
        ("assistant", "Paris."),
        ("user", "And of Peru? "),
    ),
)


def test_a_conversation(tmp_path):
    (item,) = load_file(write(tmp_path / "a.jsonl", {"messages": SEVERAL}))
    assert item == ITEM
    assert item.asked.messages == ITEM.messages
    assert item.asked.text == ITEM.prompt


def test_one_turn_of_a_user_is_a_plain_prompt_too(tmp_path):
    (item,) = load_file(write(tmp_path / "a.jsonl", {"id": "x", "messages": [user("Who?\n"), assistant("I")]}))
    expected = {"id": "x", "prompt": "Who?\n", "references": ("I",), "question": "Who?\n"}
    assert item == Example(**expected, messages=(("user", "Who?\n"),))


@pytest.mark.parametrize(
    "rows",
    [
        {"messages": SEVERAL},
        {"prompt": SEVERAL[:-1], "completion": SEVERAL[-1:]},
        {"messages": [*SEVERAL[:3], user([part("And of "), part("Peru? ")]), assistant([part("Lima.")])]},
        {"messages": [{**turn, "weight": 1, "tool_calls": None, "name": ""} for turn in SEVERAL], "tools": None},
    ],
)  # fmt: skip
def test_the_same_conversation_in_other_words(tmp_path, rows):
    assert load_file(write(tmp_path / "a.jsonl", rows)) == (ITEM,)


def test_other_kinds_of_files(tmp_path):
    pq.write_table(pa.Table.from_pylist([{"messages": SEVERAL}]), tmp_path / "a.parquet")
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["messages"], [json.dumps(SEVERAL)]])
    assert load_file(tmp_path / "a.parquet") == load_file(tmp_path / "a.csv") == (ITEM,)
    (tmp_path / "b.csv").write_text("messages\n" + "[" * 100_000)
    refused(tmp_path / "b.csv", "'messages' is a text: a list of turns is wanted", line=2)


def test_prompt_and_completion_as_texts(tmp_path):
    path = write(tmp_path / "a.jsonl", {"prompt": "The sky is ", "completion": " blue."})
    assert load_file(path) == (Example(id="row-000000", prompt="The sky is ", references=("blue.",)),)


@pytest.mark.parametrize(
    ("row", "note"),
    [
        ({"messages": SEVERAL}, "the last turn of 'messages' is the reference, what stands before it the prompt"),
        (
            {"prompt": [user("q")], "completion": [assistant("a")]},
            "'prompt' is a conversation, 'completion' the reference",
        ),
        (
            {"prompt": "q", "completion": "a"},
            "'prompt' is a text, which a model with a chat template is given as the turn of a user (chat off: as "
            "it stands, as TRL trains on it); 'completion' is the reference",
        ),
    ],
)
def test_the_format_is_said_once(tmp_path, row, note):
    path = write(tmp_path / "a.jsonl", row, row)
    others = [
        json.loads(json.dumps(row).replace('"q"', f'"q{i}"').replace("Peru", f"Peru {i}")) for i in range(20)
    ]
    task = own_task(train=write(tmp_path / "b.jsonl", *others), test=path)
    splits = task.load()
    assert splits.notes[0] == f"the data is in a format of TRL: {note}"
    assert (len(splits.test), sum("format of TRL" in note for note in splits.notes)) == (2, 1)
    assert task.prompt == ("{messages}" if "messages" in row else "{prompt}")


def test_columns_that_are_asked_for_come_first(tmp_path):
    row = {"messages": SEVERAL, "prompt": "p", "completion": "c", "input": "q", "target": "a"}
    path = write(tmp_path / "a.jsonl", row)
    assert (load_file(path)[0].prompt, load_file(path)[0].target) == ("q", "a")
    assert load_file(path, input="prompt", target="completion")[0].prompt == "p"
    assert load_file(path, template="{prompt}?")[0].prompt == "p?"
    path = write(tmp_path / "b.jsonl", {"messages": SEVERAL, "target": "a"})
    with pytest.raises(InputError, match="no column 'input': columns are 'messages', 'target'"):
        load_file(path)


MALFORMED = [
    ([], "'messages' is not a list of turns: write [{"),
    (None, "'messages' is null"),
    ("hello", "'messages' is a text: a list of turns is wanted"),
    ("{}", "'messages' is not a list of turns"),
    ([user("q")], "'messages' ends with a turn of 'user': the last one is the answer, of 'assistant'"),
    ([assistant("a")], "'messages': nothing stands before the answer, which answers a turn of 'user'"),
    ([SYSTEM, assistant("a")], "'messages': a turn of 'system' stands before the answer"),
    ([user("q"), assistant("a"), assistant("b")], "'messages': a turn of 'assistant' stands before the answer"),
    ([user(" "), assistant("a")], "'messages': the last turn of 'user' is empty"),
    ([user("q"), assistant(" \n")], "the answer is empty"),
    ([user("q"), "a"], "'messages', turn 2: write {"),
    ([{"content": "q"}, assistant("a")], "'messages', turn 1: write {"),
    ([{"from": "human", "value": "q"}, assistant("a")], "'messages', turn 1: write {"),
    ([{"role": "human", "content": "q"}, assistant("a")], "turn 1: the role 'human' is not read (known: system"),
    ([user("q"), {"role": "tool", "content": "3"}, assistant("a")], "turn 2: the role 'tool' is not read"),
    ([user("q"), {"role": "assistant", "content": None}], "'messages', turn 2: 'content' is not a text"),
    (
        [user("q"), {**assistant(""), "tool_calls": [{}]}],
        "turn 2: 'tool_calls' is not read, and the prompt is another",
    ),
    ([user("q"), {**assistant("a"), "thinking": "hm"}], "turn 2: 'thinking' is not read"),
    ([user([{"type": "image"}]), assistant("a")], "turn 1: 'content' is not of text alone: pictures"),
]


@pytest.mark.parametrize(("messages", "message"), MALFORMED)
def test_malformed_conversations(tmp_path, messages, message):
    path = write(tmp_path / "a.jsonl", {"messages": [user("q"), assistant("a")]}, {"messages": messages})
    refused(path, message, line=2)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            {"text": "The sky is blue."},
            "'text' alone says neither what is asked nor what the answer is: write 'prompt'",
        ),
        ({"id": 1, "text": "The sky is blue."}, "'text' alone says"),
        ({"text": "x", "label": 1}, "no column 'input': columns are 'text', 'label'"),
        ({"conversations": [{"from": "human", "value": "q"}]}, "'conversations' is not read: write 'prompt' and"),
        ({"prompt": "The sky is"}, "no column 'input': columns are 'prompt'"),
        ({"prompt": "q", "completion": "a", "label": False}, "'label' says that completions may be wrong"),
        ({"prompt": " ", "completion": "a"}, "'prompt' is empty"),
        ({"prompt": "q", "completion": ""}, "'completion' is empty"),
        ({"prompt": "q", "completion": [assistant("a")]}, "'prompt' is a text but 'completion' a list of turns"),
        ({"prompt": [user("q")], "completion": "a"}, "'prompt' is a list of turns but 'completion' a text"),
        ({"prompt": [user("q")], "completion": [user("a")]}, "'completion' is not one turn of 'assistant'"),
        ({"prompt": [user("q")], "completion": [assistant("a"), user("b")]}, "'completion' is not one turn of"),
        (
            {"prompt": [user("q"), assistant("a")], "completion": [assistant("b")]},
            "'prompt': a turn of 'assistant'",
        ),
        (
            {"messages": SEVERAL, "tools": [{"type": "function"}]},
            "'tools' is not read, and the prompt is another one",
        ),
        ({"messages": SEVERAL, "chat_template_kwargs": {"x": 1}}, "'chat_template_kwargs' is not read"),
    ],
)
def test_other_formats(tmp_path, row, message):
    refused(write(tmp_path / "a.jsonl", row), message, line=1)


def refused(path, message, line):
    with pytest.raises(InputError) as caught:
        load_file(path)
    text = str(caught.value)
    assert text.startswith(f"{path}, line {line}: ")
    assert message in text
    assert "\n" not in text
