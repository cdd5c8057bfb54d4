"""An output as token ids after its prompt: the one convention of fine-tuning's targets and of given texts."""

from __future__ import annotations

from collections.abc import Sequence

from aftertune.errors import InputError
from aftertune.generate.prompts import render, truncate
from aftertune.models.loaded import LoadedModel
from aftertune.types import Prompt


def output_ids(loaded: LoadedModel, prompt: Prompt, prompt_tokens: list[int], text: str, chat: str) -> list[int]:
    """Ids of `text` as they would follow the prompt, with what ends it.

    Decoder-only: the text follows after one space (none where the prompt ends in white space, or where there is
    no text), then the end of sequence. Encoder–decoder: as the tokenizer makes targets, special tokens included.

    Parameters
    ----------
    prompt : before any chat template.
    prompt_tokens : its ids (`prompts.prompt_ids`), before any truncation.
    """
    tokenizer = loaded.tokenizer
    if loaded.kind == "seq2seq":
        return tokenizer(text_target=text, verbose=False)["input_ids"]
    end = tokenizer.eos_token_id if tokenizer.eos_token_id is not None else loaded.rules.eos_ids[0]
    if not text:
        return [end]
    rendered, templated = render(tokenizer, prompt, chat)
    gap = "" if rendered[-1:].isspace() else " "
    whole = tokenizer(rendered + gap + text, add_special_tokens=not templated, verbose=False)["input_ids"]
    if whole[-1] in loaded.rules.eos_ids and len(whole) > len(prompt_tokens):
        whole = whole[:-1]
    if whole[: len(prompt_tokens)] == prompt_tokens:
        return [*whole[len(prompt_tokens) :], end]
    # The prompt's last token would merge with the text's first: tokenise the text on its own.
    return [*tokenizer(gap + text, add_special_tokens=False, verbose=False)["input_ids"], end]


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


def check_vocabulary(loaded: LoadedModel, what: str, ids: Sequence[int]) -> None:
    """Refuse ids that the model has no embedding for; `what` begins the message."""
    n = n_vocabulary(loaded)
    wrong = next((one for one in ids if not 0 <= one < n), None)
    if wrong is not None:
        raise InputError(
            f"{what} has the token id {wrong}, but the vocabulary of {loaded.name} has {n}: are tokenizer "
            "and ids those of this model?"
        )


def n_vocabulary(loaded: LoadedModel) -> int:
    """V, the number of ids that the model knows."""
    return loaded.model.config.get_text_config(decoder=True).vocab_size
