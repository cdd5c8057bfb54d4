"""An output as token ids after its prompt, and as text: one convention for given texts, targets and evidence.

A chat template is asked what it writes around an answer: how it begins, and the token that ends it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from aftertune.errors import InputError
from aftertune.generate.prompts import TEMPLATE_ERRORS, apply_template, render, special_tokens, text_ids, truncate
from aftertune.models.loaded import LoadedModel, TokenIds
from aftertune.types import Prompt

NAMED = ("bos", "eos", "pad", "cls", "sep", "unk", "mask")
"""Special tokens that transformers has names for."""
SENTINEL = re.compile(r"<extra_id_\d+>")
"""T5's marks of gaps: special tokens of its pretraining that are no answer."""

ASKED, ANSWERED = "aftertune asked", "aftertune answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The assistant's turn in a conversation.

    Attributes
    ----------
    header : what follows the user's words where an answer is asked for ("<|im_end|>\\n<|im_start|>assistant\\n").
    gap : white space between the header and an answer; None where the template begins an answer in another way
        than it asks for one.
    asks : whether the template asks for an answer where one is wanted: it begins the assistant's turn, or its
        answers follow the question at once.
    end, end_id : the special or added token after an answer; None where the template writes none.
    """

    header: str
    gap: str | None
    asks: bool
    end: str | None
    end_id: int | None


_known: WeakKeyDictionary[Any, tuple[object, Turn | None]] = WeakKeyDictionary()


def turn_of(tokenizer: Any) -> Turn | None:
    """The turn that the chat template writes; None without one, or where it refuses a short conversation."""
    template = getattr(tokenizer, "chat_template", None)
    if not template:
        return None
    if tokenizer not in _known or _known[tokenizer][0] != template:
        _known[tokenizer] = (template, _rendered(tokenizer))
    return _known[tokenizer][1]


def _rendered(tokenizer: Any) -> Turn | None:
    question, answer = {"role": "user", "content": ASKED}, {"role": "assistant", "content": ANSWERED}
    try:
        plain = apply_template(tokenizer, [question], add_generation_prompt=False)
        asked = apply_template(tokenizer, [question], add_generation_prompt=True)
        whole = apply_template(tokenizer, [question, answer])
    except TEMPLATE_ERRORS:
        return None
    before, found, after = whole.rpartition(ANSWERED)
    if not found or ASKED not in asked:
        return None
    header = asked.rpartition(ASKED)[2]
    gap = before.removeprefix(asked) if before.startswith(asked) else None
    gap = gap if gap is not None and not gap.strip() else None
    end = _token_at(tokenizer, after.lstrip())
    return Turn(
        header=header,
        gap=gap,
        asks=gap is not None or asked != plain,
        end=end,
        end_id=None if end is None else tokenizer.convert_tokens_to_ids(end),
    )


def _token_at(tokenizer: Any, text: str) -> str | None:
    """The longest special or added token that the text begins with."""
    names = {*special_tokens(tokenizer).values(), *map(str, tokenizer.added_tokens_decoder.values())}
    return max((name for name in names if name and text.startswith(name)), key=len, default=None)


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


def output_ids(loaded: LoadedModel, prompt: Prompt, prompt_tokens: list[int], text: str, chat: str) -> list[int]:
    """Ids of `text` as they would follow the prompt, with the token that ends it.

    Decoder-only: the text follows as the chat template writes an answer; without one, after one space, or none
    where the prompt ends in white space or a special token. Encoder–decoder: as the tokenizer makes targets,
    special tokens included; an end is added where it writes none. The end is the token with which the chat
    template ends an answer, if outputs end at it, else `DecodingRules.end_id`; a text with an end gets no second.

    Parameters
    ----------
    prompt : before any chat template.
    prompt_tokens : its ids by `prompts.prompt_ids`, before any truncation.
    """
    ends = loaded.rules.eos_ids
    if loaded.kind == "seq2seq":
        found = loaded.tokenizer(text_target=text, verbose=False)["input_ids"]
        return [*found, loaded.rules.end_id] if set(ends).isdisjoint(found) else found
    rendered, templated = render(loaded, prompt, chat)
    turn = _turn(loaded, rendered, templated)
    found = _following(loaded, rendered, templated, prompt_tokens, text, turn) if text else []
    if found and found[-1] in ends:
        return found
    closing = turn.end_id if turn is not None and turn.end_id in ends else None
    return [*found, loaded.rules.end_id if closing is None else closing]


def _turn(loaded: LoadedModel, rendered: str, templated: bool) -> Turn | None:
    """The turn that the answer belongs to; also where the prompt was rendered before, by hand."""
    turn = turn_of(loaded.tokenizer)
    if turn is None or templated:
        return turn
    header = turn.header.strip()
    return turn if header and rendered.rstrip().endswith(header) else None


def _following(
    loaded: LoadedModel, rendered: str, templated: bool, prompt_tokens: list[int], text: str, turn: Turn | None
) -> list[int]:
    """Ids of a text that is not empty, after the ids of the rendered prompt."""
    gap = turn.gap if turn is not None and rendered.endswith(turn.header) else None
    if gap is None:
        gap = "" if rendered[-1:].isspace() or _ends_in_special(loaded, rendered, prompt_tokens) else " "
    whole = text_ids(loaded, rendered + gap + text, templated)
    if whole[: len(prompt_tokens)] == prompt_tokens:
        return whole[len(prompt_tokens) :]
    # The prompt's last token would merge with the text's first: the text's own tokens, inside a text.
    before = _plain_ids(loaded, "\n")
    alone = _plain_ids(loaded, "\n" + gap + text)
    return alone[len(before) :] if alone[: len(before)] == before else _plain_ids(loaded, gap + text)


def _plain_ids(loaded: LoadedModel, text: str) -> list[int]:
    return loaded.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]


def _ends_in_special(loaded: LoadedModel, rendered: str, prompt_tokens: Sequence[int]) -> bool:
    """Whether the prompt's last token is a special one: written there, or all that stands before an empty text."""
    last = special_tokens(loaded.tokenizer).get(prompt_tokens[-1]) if prompt_tokens else None
    return last is not None and (not rendered or rendered.endswith(last))


def output_texts(loaded: LoadedModel, rows: TokenIds) -> list[str]:
    """Outputs as text, stripped.

    Special tokens that can be an answer (labels that were added as such) are kept as the tokenizer writes them.
    Left out are those that stand around texts: end, pad, beginning, separators, unknown and mask, the decoder's
    start, forced tokens, what the tokenizer adds to every text (and other languages' codes, where it adds one),
    what the chat template writes, and T5's sentinels.
    """
    around = _around(loaded)
    labels = special_tokens(loaded.tokenizer).keys() - around

    def text_of(row: Sequence[int]) -> str:
        if labels.isdisjoint(row):
            return loaded.tokenizer.decode(row, skip_special_tokens=True)
        return loaded.tokenizer.decode([token for token in row if token not in around])

    return [text_of(row).strip() for row in rows]


def _around(loaded: LoadedModel) -> set[int | None]:
    """Ids of special tokens that stand around texts and are no answer."""
    tokenizer, rules = loaded.tokenizer, loaded.rules
    special = special_tokens(tokenizer)
    named = {getattr(tokenizer, f"{name}_token_id", None) for name in NAMED}
    added = {*tokenizer("a")["input_ids"]} - {*_plain_ids(loaded, "a")}
    languages = {_form(special[i]) for i in added - named if i in special}
    template = str(getattr(tokenizer, "chat_template", None) or "")
    written = {
        i
        for i, name in special.items()
        if name in template or SENTINEL.fullmatch(name) or _form(name) in languages
    }
    forced = {rules.start_id, rules.forced_first_id, *rules.forced_last_ids}
    return named | added | written | forced | {*rules.eos_ids, rules.pad_id}


def _form(token: str) -> str:
    """How a token is written, whatever its letters; the codes of a tokenizer's languages are written alike.

    >>> _form("eng_Latn"), _form("zsm_Latn"), _form("__en__")
    ('a_Aa', 'a_Aa', '_a_')
    """
    return re.sub(r"(.)\1+", r"\1", re.sub("[a-z]", "a", re.sub("[A-Z]", "A", token)))


def prompt_beside(
    loaded: LoadedModel, prompt_tokens: Sequence[int], n_output: int, too_long: str, what: str, remedy: str
) -> Sequence[int] | None:
    """The prompt, cut where it and an output of `n_output` tokens do not fit the context.

    Returns None where the two are to be left out: `too_long` is "drop", or nothing of the prompt would be left.

    Raises
    ------
    InputError
        They do not fit and `too_long` is "error"; the message begins with `what` and ends with `remedy`.
    """
    limit = loaded.context
    room = None if limit is None else limit - (n_output if loaded.kind == "causal" else 0)
    if loaded.output_context is not None and n_output > loaded.output_context:
        limit, room = loaded.output_context, 0
    if room is None or len(prompt_tokens) <= room:
        return prompt_tokens
    if too_long == "error":
        raise InputError(
            f"{what} has {len(prompt_tokens)} prompt and {n_output} target tokens, more than the context of "
            f"{loaded.name} ({limit}): {remedy}"
        )
    if too_long == "drop" or room < 1:
        return None
    return truncate(prompt_tokens, room, loaded.tokenizer)
