"""The paper's prompt for a judge (Appendix D), and how its answer is read."""

from __future__ import annotations

import re

from aftertune.judges.judge import Judgement, Question

PROMPT = (
    "Question: {question}\n"
    "Correct Answer: {label}\n"
    "Predicted Answer: {prediction}\n"
    "Is the predicted answer correct, based on the correct answer?\n"
    "Only return Yes or No"
)
MAX_RAW = 300
MAX_NEW_TOKENS = 16

_VERDICT = re.compile(r"\s*(yes|no)[.!]?\s*", re.IGNORECASE | re.ASCII)


def prompt_of(question: Question) -> str:
    """The prompt with the best reference as the correct answer.

    Each of the three texts is put on one line, so that an answer cannot bring lines of its own that look like the
    prompt's.
    """
    return PROMPT.format(
        question=_line(question.question),
        label=_line(question.references[0]),
        prediction=_line(question.answer),
    )


def read_verdict(raw: str) -> Judgement:
    """Yes is correct, No is incorrect, all else is an abstention.

    Case does not matter, nor white space around the word, nor one full stop or exclamation mark after it. Anything
    more ("Yes, but …", "**Yes**", "Oui", "") is not read.

    >>> [read_verdict(raw).correct for raw in ("Yes", " no.\\n", "Yes, but", "Ja", "")]
    [True, False, None, None, None]
    """
    match = _VERDICT.fullmatch(raw)
    kept = raw if len(raw) <= MAX_RAW else raw[:MAX_RAW] + "…"
    if match is None:
        shown = " ".join(kept.split())
        said = "nothing" if not shown else repr(shown if len(shown) <= 60 else shown[:60] + "…")
        return Judgement(correct=None, raw=kept, reason=f"the judge said {said} instead of Yes or No")
    correct = match[1].lower() == "yes"
    return Judgement(correct=correct, raw=kept, reason=f"the judge said {'Yes' if correct else 'No'}")


def _line(text: str) -> str:
    return " ".join(text.split())
