"""Checks of the measurement that need models, files or items: what a checkpoint reads, and what it was tuned from.

Those that records alone tell are in `aftertune.analysis.checks`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from aftertune.errors import shortened
from aftertune.generate.outputs import turn_notes, turn_of
from aftertune.generate.prompts import describe_prompt, prompt_ids, render, special_tokens
from aftertune.measure.dropout import read_dropout
from aftertune.models.folder import fingerprint
from aftertune.models.loaded import LoadedModel
from aftertune.models.relation import check_parent, relation_checks
from aftertune.types import Check, Example

N_READ = 100
"""Prompts that are looked at for what a tokenizer and a template do to every prompt."""


def parent_checks(checkpoints: Sequence[str], *, allow_other_base: bool) -> list[Check]:
    """Can the later checkpoints have been fine-tuned from the first?

    Raises
    ------
    InputError
        An adapter was trained on another model, and that is not allowed.
    """
    before, *afters = checkpoints
    checks = [check for after in afters for check in check_parent(before, after, allow=allow_other_base)]
    checks += [check for after in afters for check in relation_checks(before, after)]
    return [*checks, *same_files(checkpoints)]


def same_files(checkpoints: Sequence[str | Path]) -> list[Check]:
    """Is any checkpoint the same model as an earlier one?"""
    seen: dict[str, str | Path] = {}
    checks = []
    for path in checkpoints:
        weights = fingerprint(path)
        if weights in seen:
            message = f"{path} and {seen[weights]} are the same files: between them nothing can change"
            checks.append(
                Check(check="same files", checkpoint=str(path), level="warning", value=1, message=message)
            )
        seen.setdefault(weights, path)
    return checks or [Check(check="same files", level="ok", value=0, message="checkpoints are different files")]


def reading_checks(readers: Mapping[str, LoadedModel], examples: Sequence[Example], chat: str) -> list[Check]:
    """What each checkpoint reads, and whether all read the same.

    Parameters
    ----------
    readers : name → the checkpoint, perhaps without its weights.
    examples : the test items.
    """
    checks = [_same_prompts(readers, examples[0], chat)] if len(readers) > 1 else []
    found: dict[Check, list[str]] = {}
    for name, reader in readers.items():
        for make in (_beginning, _generation_prompt, _special_tokens, _end_of_answers):
            check = make(reader, examples, chat)
            if check is not None:
                found.setdefault(check, []).append(name)
    for check, names in found.items():
        if len(names) == len(readers):
            checks.append(check)
        else:
            checks += [replace(check, checkpoint=name) for name in names]
    return checks


def _same_prompts(readers: Mapping[str, LoadedModel], example: Example, chat: str) -> Check:
    found = partial(Check, check="same prompts")
    read = {name: describe_prompt(reader, example.asked, chat) for name, reader in readers.items()}
    ways = {text: [name for name in read if read[name] == text] for text in read.values()}
    if len(ways) == 1:
        return found(level="ok", value=1, message="all checkpoints read the same prompts")
    templated = {name: render(reader, example.asked, chat)[1] for name, reader in readers.items()}
    using = [name for name, used in templated.items() if used]
    if using and len(using) < len(readers):
        without = [name for name in readers if name not in using]
        said = f"A chat template is used by {', '.join(using)} and not by {', '.join(without)}"
        remedy = "give all the same chat template, or set chat off (--chat off)"
    elif using:
        said, remedy = "Chat templates differ", "give all the same one, or set chat off (--chat off)"
    else:
        said, remedy = "Tokenizers differ", "give all the tokenizer that the model was fine-tuned with"
    ends = 60
    short = {text: text if len(text) <= 2 * ends + 3 else f"{text[:ends]} … {text[-ends:]}" for text in ways}
    told = "; ".join(f"{', '.join(names)} as {short[text]!r}" for text, names in ways.items())
    message = (
        f"the checkpoints do not read the same prompts. {said}: item {example.id!r} is read by {told}. What "
        f"changes between them may be due to that: {remedy}"
    )
    return found(level="warning", value=len(ways), message=message)


def _beginning(reader: LoadedModel, examples: Sequence[Example], chat: str) -> Check | None:
    """Does a prompt begin with the beginning of sequence twice?"""
    tokenizer, found = reader.tokenizer, partial(Check, check="beginning of sequence")
    bos = tokenizer.bos_token_id
    if bos is None:
        return None
    some = examples[:N_READ]
    ids = [prompt_ids(reader, example.asked, chat, f"item {example.id!r}") for example in some]
    twice = sum(list(row[:2]) == [bos, bos] for row in ids)
    if not twice:
        return found(level="ok", value=0, message=f"no prompt begins with {tokenizer.bos_token} twice")
    return found(
        level="warning",
        value=twice,
        message=f"{twice} of {len(some)} prompts begin with {tokenizer.bos_token} twice, which no model was "
        "trained on: take it out of the prompts or of the chat template",
    )


def _is_templated(reader: LoadedModel, chat: str) -> bool:
    return chat != "off" and bool(getattr(reader.tokenizer, "chat_template", None))


def _generation_prompt(reader: LoadedModel, examples: Sequence[Example], chat: str) -> Check | None:
    """Does the chat template begin the assistant's turn?"""
    turn = turn_of(reader.tokenizer) if _is_templated(reader, chat) else None
    if turn is None:
        return None
    found = partial(Check, check="generation prompt")
    if turn.asks:
        return found(level="ok", value=1, message="the chat template asks for an answer")
    return found(
        level="warning",
        value=0,
        message="the chat template does not begin the assistant's turn (add_generation_prompt changes nothing): "
        "the model goes on in the user's place; add it to the template, or set chat off (--chat off)",
    )


def _special_tokens(reader: LoadedModel, examples: Sequence[Example], chat: str) -> Check | None:
    """Do texts of prompts hold what the tokenizer reads as a special token?"""
    names = sorted({name for name in special_tokens(reader.tokenizer).values() if name}, key=len, reverse=True)
    if not names:
        return None
    pattern, found = re.compile("|".join(map(re.escape, names))), partial(Check, check="special tokens")
    hits = [hit[0] for example in examples if (hit := pattern.search(_text(example))) is not None]
    if not hits:
        return found(level="ok", value=0, message="no prompt has a special token in its text")
    n, every = len(hits), len(examples)
    which = ", ".join(dict.fromkeys(hits[:1000]))
    said = (
        f"{n:,} of {every:,} prompts hold {shortened(which, 60)} in their text, which is read as a special token"
    )
    if n == every and not _is_templated(reader, chat):  # a chat that was rendered before
        return found(level="note", value=n, message=said)
    remedy = "the prompts seem to be in a chat template already: set chat off (--chat off)"
    remedy = remedy if n == every else "take it out of the data"
    return found(level="warning", value=n, message=f"{said}: {remedy}")


def _text(example: Example) -> str:
    asked = example.asked
    return asked if isinstance(asked, str) else "\n".join(content for _, content in asked.messages)


def _end_of_answers(reader: LoadedModel, examples: Sequence[Example], chat: str) -> Check | None:
    """Do outputs end where the chat template ends an answer?"""
    if not _is_templated(reader, chat) or turn_of(reader.tokenizer) is None:
        return None
    found = partial(Check, check="end of answers")
    for note in turn_notes(reader, chat):
        return found(level="warning", value=0, message=note)
    return found(level="ok", value=1, message="outputs end where the chat template ends an answer")


def shared_items(test: Sequence[Example], others: Sequence[Example], which: str) -> Check:
    """Are test items among the `which` ("training") items, by their prompts?"""
    prompts = {example.prompt for example in others}
    n = sum(example.prompt in prompts for example in test)
    found = partial(Check, check=f"{which} items", value=n)
    if not n:
        return found(level="ok", message=f"no test item is among the {which} items")
    return found(
        level="warning",
        message=f"{n:,} of {len(test):,} test items are among the {which} items: quality and confidence there "
        "are those of what was learnt by heart; take them out of the test items",
    )


def dropout_checks(folders: Mapping[str, Path]) -> list[Check]:
    """Have dropout samples lost the task, or do they never differ from the greedy outputs?

    Parameters
    ----------
    folders : checkpoint → its evidence.
    """
    kept = {name: read_dropout(folder) for name, folder in folders.items()}
    known = {name: one["fault"] for name, one in kept.items() if one is not None and "fault" in one}
    if not known:
        return []
    found = partial(Check, check="dropout samples")
    faults = {name: fault for name, fault in known.items() if fault is not None}
    checks = [found(level="warning", value=1, checkpoint=name, message=fault) for name, fault in faults.items()]
    n = len(known)
    where = "the checkpoint" if n == 1 else f"all {n} checkpoints"
    ok = found(level="ok", value=0, message=f"dropout samples differ and know the task at {where}")
    return checks or [ok]


def about(checks: Iterable[Check], **where: str) -> list[Check]:
    """The checks with the model, task or setting that they are about."""
    return [replace(check, **where) for check in checks]


def tell(checks: Iterable[Check], note: Callable[[str], None]) -> None:
    """Say what is wrong, before hours of decoding."""
    for check in checks:
        if check.level != "ok" and check.is_known:
            note(check.message)
