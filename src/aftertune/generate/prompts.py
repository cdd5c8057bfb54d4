"""From prompt texts to token ids: chat templates, and prompts that do not fit the context."""

from __future__ import annotations

import ctypes
import json
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cache
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jinja2 import TemplateError

from aftertune.errors import InputError, first_line, shortened
from aftertune.models.loaded import LoadedModel
from aftertune.types import Prompt

TEMPLATE_ERRORS = (
    TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RuntimeError,
    TimeoutError,
    TypeError,
    ValueError,
)
"""What a chat template, which is a small program, can raise."""

TOO_LONG = ("error", "truncate", "drop")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptOptions:
    """How prompts become tokens.

    Attributes
    ----------
    chat : "auto" uses the tokenizer's chat template where it has one; "on" demands one; "off" never.
    too_long : what to do with a prompt that does not fit: "error"; "truncate" keeps its end (where the
        question stands) and the leading special tokens; "drop" leaves the item out.
    """

    chat: str = "auto"
    too_long: str = "error"

    def __post_init__(self) -> None:
        if self.chat not in ("auto", "on", "off"):
            raise InputError(f"chat {self.chat!r} is not one of auto, on, off")
        if self.too_long not in TOO_LONG:
            raise InputError(f"long prompts {self.too_long!r} is not one of {', '.join(TOO_LONG)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPrompts:
    """Token ids of the prompts that are decoded.

    Attributes
    ----------
    index : which of the given prompts each one is.
    truncated, dropped : indices of given prompts.
    """

    ids: tuple[tuple[int, ...], ...]
    index: tuple[int, ...]
    truncated: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()


_day: ContextVar[date | None] = ContextVar("day", default=None)


@cache
def _started() -> date:
    return date.today()


def today() -> date:
    """The day that chat templates are told: that of `on_day`, else the one on which this process first asked.

    So all prompts of a process are of one day, over midnight too.
    """
    return _day.get() or _started()


@contextmanager
def on_day(day: date | None) -> Iterator[None]:
    """Inside the block chat templates are told that it is `day`."""
    token = _day.set(day)
    try:
        yield
    finally:
        _day.reset(token)


def writes_the_date(tokenizer: Any) -> bool:
    """Whether the tokenizer's chat template asks what day it is."""
    return "strftime_now" in str(getattr(tokenizer, "chat_template", None) or "")


_NOW = re.compile(r"""strftime_now\(\s*(["'])(.*?)\1\s*\)""")


def _dated(tokenizer: Any) -> str | None:
    """The chat template with `today` in the place of calls that ask for it; None where there are none."""
    if not writes_the_date(tokenizer):
        return None
    now = datetime.combine(today(), time())
    return _NOW.sub(lambda call: json.dumps(now.strftime(call[2])), tokenizer.get_chat_template())


class TemplateFails(InputError):
    """A chat template refuses a prompt; `reason` says why."""

    def __init__(self, name: str, item: str, reason: str) -> None:
        super().__init__(
            f"the chat template of {name} fails on {item}: {reason}: set chat to off (--chat off), or mend the "
            "template"
        )
        self.reason = reason


def render(loaded: LoadedModel, prompt: Prompt, chat: str, item: str = "a prompt") -> tuple[str, bool]:
    """The text that is tokenised, and whether a chat template (with its own special tokens) made it.

    Where the last turn of a conversation is the assistant's, the answer continues it.

    Raises
    ------
    InputError
        `chat` is "on" without a template; `TemplateFails` where the template refuses the prompt, which `item`
        names.
    """
    has_template = bool(getattr(loaded.tokenizer, "chat_template", None))
    if chat == "on" and not has_template:
        raise InputError(
            f"chat is on, but the tokenizer of {loaded.name} has no chat template: set chat auto or off"
        )
    if chat == "off" or not has_template:
        return (prompt if isinstance(prompt, str) else prompt.text), False
    turns = (("user", prompt),) if isinstance(prompt, str) else prompt.messages
    messages = [{"role": role, "content": content} for role, content in turns]
    continued = bool(turns) and turns[-1][0] == "assistant"
    try:
        text = apply_template(
            loaded.tokenizer,
            messages,
            add_generation_prompt=not continued,
            continue_final_message=continued,
            chat_template=_dated(loaded.tokenizer),
        )
    except TEMPLATE_ERRORS as error:
        raise TemplateFails(loaded.name, item, first_line(error).rstrip(".")) from None
    return text, True


TEMPLATE_SECONDS = 20.0
"""A chat template that takes longer for one prompt is stopped."""


def apply_template(tokenizer: Any, messages: list[dict[str, str]], **options: Any) -> str:
    """What the chat template makes of a conversation.

    Raises
    ------
    TimeoutError
        It did not end in `TEMPLATE_SECONDS`.
    Exception
        One of `TEMPLATE_ERRORS`: what the template raises.
    """
    said: list[str | BaseException] = []

    def work() -> None:
        try:
            said.append(tokenizer.apply_chat_template(messages, tokenize=False, **options))
        except BaseException as error:  # noqa: BLE001 - raised again below
            said.append(error)

    thread = threading.Thread(target=copy_context().run, args=(work,), daemon=True)
    thread.start()
    thread.join(TEMPLATE_SECONDS)
    if not said:  # stop it: a template is Python between its loops
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(SystemExit))
        raise TimeoutError(f"it had not ended after {TEMPLATE_SECONDS:g} s")
    if isinstance(said[0], BaseException):
        raise said[0]
    return said[0]


def prompt_ids(loaded: LoadedModel, prompt: Prompt, chat: str, item: str = "a prompt") -> list[int]:
    """Token ids of one prompt, special tokens included; see `render` and `text_ids`."""
    return text_ids(loaded, *render(loaded, prompt, chat, item))


def text_ids(loaded: LoadedModel, text: str, templated: bool) -> list[int]:
    """Token ids of a text that a model goes on from.

    Special tokens are added where no chat template wrote them, but for two kinds: those at the beginning where the
    text begins with them already (a chat rendered by hand has its BOS), and an end of sequence after the prompt of
    a decoder-only model, which would have nothing to go on with.
    """
    try:
        plain = loaded.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        if templated:
            return plain
        whole = loaded.tokenizer(text, verbose=False)["input_ids"]
    except Exception as error:  # noqa: BLE001 - tokenizers raises nothing narrower
        raise InputError(
            f"the tokenizer of {loaded.name} cannot read {shortened(repr(text), 60)}: {first_line(error)}: mend "
            "or replace its tokenizer.json"
        ) from None
    starts = range(len(whole) - len(plain) + 1) if plain else [min(1, len(whole))]
    start = next((i for i in starts if whole[i : i + len(plain)] == plain), None)
    if start is None:  # the text's own tokens depend on the special ones
        return whole
    before, after = whole[:start], whole[start + len(plain) :]
    if before and plain[:1] == before[:1]:
        before = []
    if loaded.kind == "causal":
        while after and after[-1] in loaded.rules.eos_ids:
            after.pop()
    elif after and plain[-len(after) :] == after:
        after = []
    return [*before, *plain, *after]


def describe_prompt(loaded: LoadedModel, prompt: Prompt, chat: str) -> str:
    """What the model is given: the prompt's token ids decoded, special tokens included."""
    ids = prompt_ids(loaded, prompt, chat)
    return loaded.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def prompt_identity(tokenizer: Any, chat: str) -> str:
    """Digest of what turns prompts into ids and ids into texts: tokenizer, and template unless `chat` is "off".

    The same for one tokenizer in another folder, and after it was used with padding or truncation.
    """
    told: dict[str, Any] = {
        "chat_template": None if chat == "off" else getattr(tokenizer, "chat_template", None),
        "special_tokens": tokenizer.special_tokens_map,
        "special_ids": sorted(special_tokens(tokenizer)),
        "around_a_text": tokenizer("a")["input_ids"],
        "clean_up": tokenizer.clean_up_tokenization_spaces,
        "split_special_tokens": tokenizer.split_special_tokens,
    }
    hashed = sha256(json.dumps(told, sort_keys=True).encode())
    if tokenizer.is_fast:
        # Truncation and padding stand first, and change with every call that asks for them.
        hashed.update(tokenizer.backend_tokenizer.to_str().partition('"added_tokens"')[2].encode())
    else:
        hashed.update(json.dumps([type(tokenizer).__name__, tokenizer.get_vocab()], sort_keys=True).encode())
        with TemporaryDirectory() as folder:  # its merges or its sentencepiece model
            for file in sorted(tokenizer.save_vocabulary(folder) or ()):
                hashed.update(Path(file).read_bytes())
    return hashed.hexdigest()


def _room_for_prompt(loaded: LoadedModel, max_new_tokens: int) -> int | None:
    """Longest prompt in tokens that still leaves room for the output; None where unlimited."""
    if loaded.output_context is not None and max_new_tokens > loaded.output_context:
        raise InputError(
            f"max_new_tokens {max_new_tokens} is more than the decoder of {loaded.name} has positions for: "
            f"lower it to {loaded.output_context}"
        )
    if loaded.context is None:
        return None
    room = loaded.context - (max_new_tokens if loaded.kind == "causal" else 0)
    if room < 1:
        raise InputError(
            f"max_new_tokens {max_new_tokens} leaves no room for a prompt: the context of {loaded.name} is "
            f"{loaded.context} tokens"
        )
    return room


def encode(
    loaded: LoadedModel,
    prompts: Sequence[Prompt],
    options: PromptOptions,
    max_new_tokens: int,
    item_ids: Sequence[str] | None = None,
) -> EncodedPrompts:
    """Tokenise all prompts, treating those that do not fit as `options.too_long` says.

    Raises
    ------
    InputError
        No prompt, an empty one, one that is too long where `too_long` is "error", one that the chat template
        refuses, or one after which the generation config forces a token: the message names the item. Or
        `max_new_tokens` leaves no room for a prompt, or is more than the decoder has positions for.
    """
    if not len(prompts):
        raise InputError("no prompts: give at least one")
    room = _room_for_prompt(loaded, max_new_tokens)
    ids: list[tuple[int, ...]] = []
    index, truncated, dropped = [], [], []
    for i, prompt in enumerate(prompts):
        name = repr(str(item_ids[i])) if item_ids is not None else f"number {i + 1}"
        tokens = prompt_ids(loaded, prompt, options.chat, f"item {name}")
        if not tokens:
            raise InputError(f"the prompt of item {name} is empty")
        check_vocabulary(loaded, f"the prompt of item {name}", tokens)
        if len(tokens) == 1 and loaded.kind == "causal" and loaded.rules.forced_first_id is not None:
            raise InputError(
                f"the prompt of item {name} is one token, after which the generation config of {loaded.name} "
                "forces another (forced_bos_token_id): remove that setting, or leave the item out"
            )
        if room is not None and len(tokens) > room:
            if options.too_long == "error":
                raise InputError(
                    f"the prompt of item {name} has {len(tokens)} tokens, but {loaded.name} has room for {room} "
                    f"(context {loaded.context}, {max_new_tokens} new tokens): set long_prompts "
                    "(--long-prompts) to truncate or drop, or lower max_new_tokens"
                )
            if options.too_long == "drop":
                dropped.append(i)
                continue
            tokens = truncate(tokens, room, loaded.tokenizer)
            truncated.append(i)
        ids.append(tuple(tokens))
        index.append(i)
    if not ids:
        raise InputError(f"no prompt fits the context of {loaded.name} ({loaded.context} tokens)")
    return EncodedPrompts(ids=tuple(ids), index=tuple(index), truncated=tuple(truncated), dropped=tuple(dropped))


def special_tokens(tokenizer: Any) -> dict[int, str]:
    """Every token that is left out where a text is decoded without special tokens, by id."""
    named = dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens))
    return named | {
        i: str(token) for i, token in tokenizer.added_tokens_decoder.items() if getattr(token, "special", False)
    }


def truncate(tokens: Sequence[int], room: int, tokenizer: Any) -> list[int]:
    """Keep the last `room` tokens, and a leading special token (BOS) in front of them.

    >>> class T: all_special_ids = [1]
    >>> truncate([1, 5, 6, 7, 8], 3, T)
    [1, 7, 8]
    """
    head = [tokens[0]] if tokens[0] in tokenizer.all_special_ids and room > 1 else []
    return head + list(tokens[len(tokens) - room + len(head) :])


def check_vocabulary(loaded: LoadedModel, what: str, ids: Sequence[int]) -> None:
    """Refuse ids that the model has no embedding for; `what` begins the message."""
    n = loaded.n_vocabulary
    wrong = next((one for one in ids if not 0 <= one < n), None)
    if wrong is not None:
        raise InputError(
            f"{what} has the token id {wrong}, but the vocabulary of {loaded.name} has {n}: are tokenizer "
            "and ids those of this model?"
        )
