"""From prompt texts to token ids: chat templates, and prompts that do not fit the context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aftertune.errors import InputError
from aftertune.models.loaded import LoadedModel
from aftertune.types import Prompt

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

    `index` says which of the given prompts each one is; `truncated` and `dropped` hold indices of given
    prompts.
    """

    ids: tuple[tuple[int, ...], ...]
    index: tuple[int, ...]
    truncated: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()


def render(tokenizer: Any, prompt: Prompt, chat: str) -> tuple[str, bool]:
    """The text that is tokenised, and whether a chat template (with its own special tokens) made it."""
    has_template = bool(getattr(tokenizer, "chat_template", None))
    if chat == "on" and not has_template:
        raise InputError("chat is on, but the tokenizer has no chat template: use chat auto or off")
    if chat == "off" or not has_template:
        return (prompt if isinstance(prompt, str) else prompt.text), False
    turns = (("user", prompt),) if isinstance(prompt, str) else prompt.messages
    messages = [{"role": role, "content": content} for role, content in turns]
    return tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False), True


def prompt_ids(tokenizer: Any, prompt: Prompt, chat: str) -> list[int]:
    """Token ids of one prompt, special tokens included."""
    text, templated = render(tokenizer, prompt, chat)
    return tokenizer(text, add_special_tokens=not templated, verbose=False)["input_ids"]


def room_for_prompt(loaded: LoadedModel, max_new_tokens: int) -> int | None:
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
        An empty prompt, or one that is too long and `too_long` is "error": names the item and the lengths.
    """
    room = room_for_prompt(loaded, max_new_tokens)
    ids: list[tuple[int, ...]] = []
    index, truncated, dropped = [], [], []
    for i, prompt in enumerate(prompts):
        tokens = prompt_ids(loaded.tokenizer, prompt, options.chat)
        name = repr(str(item_ids[i])) if item_ids is not None else f"number {i + 1}"
        if not tokens:
            raise InputError(f"the prompt of item {name} is empty")
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


def truncate(tokens: Sequence[int], room: int, tokenizer: Any) -> list[int]:
    """Keep the last `room` tokens, and a leading special token (BOS) in front of them.

    >>> class T: all_special_ids = [1]
    >>> truncate([1, 5, 6, 7, 8], 3, T)
    [1, 7, 8]
    """
    head = [tokens[0]] if tokens[0] in tokenizer.all_special_ids and room > 1 else []
    return head + list(tokens[len(tokens) - room + len(head) :])
