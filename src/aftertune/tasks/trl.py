"""Data in TRL's formats: prompt with completion, and messages.

https://huggingface.co/docs/trl/dataset_formats. A conversation is a list of turns, ``{"role": …, "content": …}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aftertune.files.jsonl import parse_json
from aftertune.tasks.rows import Row, as_text
from aftertune.types import Conversation, Example

ROLES = ("system", "developer", "user", "assistant")
_SAYS = "the data is in a format of TRL"
_TURN = '{"role": "user", "content": "…"}'
# what chat templates read beside role and content, and beside the conversation
_OF_TURNS = ("tool_calls", "tool_call_id", "name", "reasoning_content", "reasoning", "thinking")
_OF_ROWS = ("tools", "documents", "chat_template_kwargs", "image", "images", "video", "videos", "audio", "audios")


def prompt_column(row: Row) -> str | None:
    """The column that holds the prompt in one of TRL's formats; None where the columns are of none.

    Raises
    ------
    InputError
        A format of TRL or its like in which there is no answer that could be compared, or none that is read.
    """
    columns = set(row.cells)
    if "messages" in columns:
        return "messages"
    if {"prompt", "completion"} <= columns:
        return "prompt"
    better = "write 'prompt' and 'completion', or 'messages'"
    if columns <= {"text", "id"} and "text" in columns:
        row.refuse(f"'text' alone says neither what is asked nor what the answer is: {better}")
    if "conversations" in columns:
        row.refuse(f"'conversations' is not read: {better}, a list of turns such as {_TURN}")
    return None


def read(row: Row, identifier: str) -> tuple[Example, str]:
    """The item in a row of one of TRL's formats, and what a reader must know of the format.

    In messages the last turn, which is the assistant's, is the reference; what stands before it is asked. A prompt
    that is a text is kept as it is. For judges the last turn of the user is the question.

    Raises
    ------
    InputError
        With file and line: turns that are malformed, of another role, not of text, or with what is not read
        (tools, reasoning, pictures); an empty prompt or answer; no turn of the user before the answer;
        completions that may be wrong (unpaired preferences).
    """
    for column in _OF_ROWS:
        if row.cells.get(column):
            row.refuse(f"{column!r} is not read, and the prompt is another one without it: leave the column out")
    if "messages" in row.cells:
        *asked, (role, answer) = _turns(row, "messages")
        if role != "assistant":
            row.refuse(f"'messages' ends with a turn of {role!r}: the last one is the answer, of 'assistant'")
        note = "the last turn of 'messages' is the reference, what stands before it the prompt"
        return _continued(row, identifier, "messages", tuple(asked), answer), f"{_SAYS}: {note}"
    if isinstance(row.cells.get("label"), bool):
        row.refuse("'label' says that completions may be wrong: keep those that are right, without the column")
    if isinstance(row.cell("prompt"), str):
        prompt = row.text("prompt")
        if not prompt.strip():
            row.refuse("'prompt' is empty")
        if any(isinstance(turn, Mapping) for turn in _listed(row.cell("completion"))):
            row.refuse("'prompt' is a text but 'completion' a list of turns: write both as texts or both as turns")
        note = (
            "'prompt' is a text, which a model with a chat template is given as the turn of a user "
            "(chat off: as it stands, as TRL trains on it); 'completion' is the reference"
        )
        return Example(id=identifier, prompt=prompt, references=row.texts("completion")), f"{_SAYS}: {note}"
    asked = _turns(row, "prompt")
    if isinstance(row.cell("completion"), str):
        row.refuse("'prompt' is a list of turns but 'completion' a text: write both as texts or both as turns")
    completion = _turns(row, "completion")
    if len(completion) != 1 or completion[0][0] != "assistant":
        row.refuse("'completion' is not one turn of 'assistant': write the answer alone, the rest into 'prompt'")
    note = "'prompt' is a conversation, 'completion' the reference"
    return _continued(row, identifier, "prompt", asked, completion[0][1]), f"{_SAYS}: {note}"


def _continued(row: Row, identifier: str, column: str, asked: Conversation, answer: str) -> Example:
    if not asked or asked[-1][0] != "user":
        before = f"a turn of {asked[-1][0]!r}" if asked else "nothing"
        row.refuse(f"{column!r}: {before} stands before the answer, which answers a turn of 'user'")
    if not asked[-1][1].strip():
        row.refuse(f"{column!r}: the last turn of 'user' is empty")
    if not answer.strip():
        row.refuse("the answer is empty: the last turn of 'assistant' has no text")
    return Example(
        id=identifier,
        prompt=as_plain_text(asked),
        references=(answer.strip(),),
        question=asked[-1][1],
        messages=asked,
    )


def as_plain_text(conversation: Conversation) -> str:
    """What a model without a chat template is given: a lone user's text, or each turn after its role.

    >>> print(as_plain_text((("system", "Be brief."), ("user", "Who?"))))
    system: Be brief.
    user: Who?
    assistant:
    """
    if len(conversation) == 1:
        return conversation[0][1]
    return "\n".join([*(f"{role}: {content}" for role, content in conversation), "assistant:"])


def _turns(row: Row, column: str) -> Conversation:
    """(role, content) of each turn; at least one."""
    turns: Any = row.cell(column)
    if isinstance(turns, str):  # a cell of a CSV file
        try:
            turns = parse_json(turns)
        except ValueError:
            row.refuse(f"{column!r} is a text: a list of turns is wanted, such as [{_TURN}]")
    if not isinstance(turns, list) or not turns:
        row.refuse(f"{column!r} is not a list of turns: write [{_TURN}, …]")
    return tuple(_turn(row, f"{column!r}, turn {i}", turn) for i, turn in enumerate(turns, start=1))


def _turn(row: Row, where: str, turn: Any) -> tuple[str, str]:
    if not isinstance(turn, Mapping) or "role" not in turn:
        row.refuse(f"{where}: write {_TURN}")
    role = turn["role"]
    if role not in ROLES:
        row.refuse(f"{where}: the role {role!r} is not read (known: {', '.join(ROLES)})")
    unread = [key for key in _OF_TURNS if turn.get(key)]
    if unread:
        row.refuse(f"{where}: {unread[0]!r} is not read, and the prompt is another one without it: take it out")
    content = turn.get("content")
    if isinstance(content, list):  # of a model that reads pictures too
        if not all(isinstance(part, Mapping) and isinstance(part.get("text"), str) for part in content):
            row.refuse(f"{where}: 'content' is not of text alone: pictures and the like are not read")
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str) or as_text(content) is None:
        row.refuse(f"{where}: 'content' is not a text")
    return role, row.of_length(content, "content")


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
