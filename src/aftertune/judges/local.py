"""A local model as the judge, decoded by `aftertune.generate` and asked with the paper's prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aftertune.errors import InputError
from aftertune.judges.judge import (
    EMPTY,
    FREE,
    MAX_NEW_TOKENS,
    PROMPT,
    Cost,
    Judgement,
    Progress,
    Question,
    prompt_of,
    prompts_of,
    read_verdict,
)
from aftertune.signature import digest, signature

if TYPE_CHECKING:
    from aftertune.models.loaded import LoadedModel


class LocalJudge:
    """Greedy answers of a model; its chat template is used where it has one.

    Parameters
    ----------
    model : a loaded model, or what `aftertune.models.load.load` takes; it is then loaded when first asked.
    batch_size : prompts decoded at once; None takes as many as memory holds.
    """

    def __init__(self, model: LoadedModel | str, *, batch_size: int | None = None) -> None:
        self._loaded = None if isinstance(model, str) else model
        self._checkpoint = model if isinstance(model, str) else model.name
        self._batch_size = batch_size

    @property
    def name(self) -> str:
        return f"local:{self._checkpoint}"

    def signature(self) -> str:
        from aftertune.models.folder import fingerprint

        return signature(
            "local",
            model=self._checkpoint,
            weights=fingerprint(self._checkpoint),
            decoding="greedy",
            max_tokens=MAX_NEW_TOKENS,
            prompt=digest(PROMPT, 8),
        )

    def ready(self) -> None:
        """`InputError` where the folder cannot be a model; nothing is loaded."""
        from aftertune.models.load import check_checkpoint

        if self._loaded is None:
            check_checkpoint(self._checkpoint)

    def estimate(self, questions: Sequence[Question]) -> Cost:
        return FREE

    def judge(self, questions: Sequence[Question], progress: Progress | None = None) -> list[Judgement]:
        """A judgement for each question, in order; an empty answer is incorrect without being asked about.

        Raises
        ------
        InputError
            The model does not load; its chat template fails; a prompt does not fit its context.
        """
        prompts = prompts_of(questions)
        said = dict(zip(prompts, self._answers(prompts, progress))) if prompts else {}
        return [EMPTY if question.empty else read_verdict(said[prompt_of(question)]) for question in questions]

    def _answers(self, prompts: Sequence[str], progress: Progress | None) -> list[str]:
        from aftertune import evidence as pieces
        from aftertune.generate.collect import CollectOptions, collect_batches
        from aftertune.generate.prompts import PromptOptions, TemplateFails, encode
        from aftertune.models.load import load

        if self._loaded is None:
            self._loaded = load(self._checkpoint)
        options = CollectOptions(
            beams=0,
            dropout_samples=0,
            embedding=False,
            max_new_tokens=MAX_NEW_TOKENS,
            batch_size=self._batch_size,
            prompts=PromptOptions(chat="auto"),
        )
        ids = [str(i) for i in range(len(prompts))]
        try:
            encoded = encode(self._loaded, prompts, options.prompts, MAX_NEW_TOKENS, ids)
        except TemplateFails as error:
            raise InputError(
                f"the chat template of the judge {self.name} fails on its question: {error.reason}: mend the "
                "template, or take another judge"
            ) from None
        batches = []
        for batch in collect_batches(self._loaded, ids, encoded, options):
            batches.append(batch)
            if progress is not None:
                progress(sum(map(len, batches)), len(ids))
        greedy = pieces.take(pieces.concatenate(batches), ids).greedy
        if greedy is None:
            raise ValueError("no greedy outputs were collected")
        return [str(text) for text in greedy.text]
