"""What a chat template writes around the assistant's answer: how it begins, and the token that ends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from jinja2 import TemplateError

from aftertune.models.loaded import LoadedModel

TEMPLATE_ERRORS = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a chat template, which is a small program, can raise."""

ASKED, ANSWERED = "aftertune asked", "aftertune answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The assistant's turn in a conversation.

    Attributes
    ----------
    header : what follows the user's words where an answer is asked for ("<|im_end|>\\n<|im_start|>assistant\\n").
    gap : white space between the header and an answer; None where the template begins an answer in another way
        than it asks for one.
    end, end_id : the special or added token after an answer; None where the template writes none.
    """

    header: str
    gap: str | None
    end: str | None
    end_id: int | None


_known: WeakKeyDictionary[Any, tuple[object, Turn | None]] = WeakKeyDictionary()


def turn_of(tokenizer: Any) -> Turn | None:
    """Found by rendering two short conversations; None without a chat template, or where it refuses these."""
    template = getattr(tokenizer, "chat_template", None)
    if not template:
        return None
    if tokenizer not in _known or _known[tokenizer][0] != template:
        _known[tokenizer] = (template, _rendered(tokenizer))
    return _known[tokenizer][1]


def _rendered(tokenizer: Any) -> Turn | None:
    question, answer = {"role": "user", "content": ASKED}, {"role": "assistant", "content": ANSWERED}
    try:
        asked = tokenizer.apply_chat_template([question], tokenize=False, add_generation_prompt=True)
        whole = tokenizer.apply_chat_template([question, answer], tokenize=False)
    except TEMPLATE_ERRORS:
        return None
    before, found, after = whole.rpartition(ANSWERED)
    if not found or ASKED not in asked:
        return None
    header = asked.rpartition(ASKED)[2]
    gap = before.removeprefix(asked) if before.startswith(asked) else None
    end = _token_at(tokenizer, after.lstrip())
    return Turn(
        header=header,
        gap=gap if gap is not None and not gap.strip() else None,
        end=end,
        end_id=None if end is None else tokenizer.convert_tokens_to_ids(end),
    )


def _token_at(tokenizer: Any, text: str) -> str | None:
    """The longest special or added token that the text begins with."""
    names = {*special_tokens(tokenizer).values(), *map(str, tokenizer.added_tokens_decoder.values())}
    return max((name for name in names if name and text.startswith(name)), key=len, default=None)


def special_tokens(tokenizer: Any) -> dict[int, str]:
    """Every token that is left out where a text is decoded without special tokens, by id."""
    named = dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens))
    return named | {
        i: str(token) for i, token in tokenizer.added_tokens_decoder.items() if getattr(token, "special", False)
    }


def turn_notes(loaded: LoadedModel, chat: str) -> list[str]:
    """Where the template ends answers with a token at which no output ends: one sentence."""
    turn = None if chat == "off" else turn_of(loaded.tokenizer)
    if turn is None or turn.end_id is None or turn.end_id in loaded.rules.eos_ids:
        return []
    ends = ", ".join(map(str, loaded.rules.eos_ids))
    return [
        f"the chat template of {loaded.name} ends answers with {turn.end} (id {turn.end_id}), at which outputs do "
        f"not end (eos_token_id {ends}): they may run on; add it to eos_token_id in generation_config.json"
    ]
