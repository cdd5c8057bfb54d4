"""Judges: is an answer correct, given what is known to be correct and incorrect?

A judge answers correct, incorrect, or not at all (an abstention, which is counted and never guessed at). `rule`
needs nothing and is the default; an API model with the paper's prompt, or a local model, is asked for by a spec:

>>> from aftertune.judges import Question, judge_from, judged
>>> question = Question(question="Who wrote Hamlet?", answer="Shakespeare", references=("Shakespeare wrote it",))
>>> judged(judge_from("rule"), [question])[0].correct
True
"""

from __future__ import annotations

from aftertune.judges.cost import Cost
from aftertune.judges.judge import (
    Judge,
    Judgement,
    OnlyAbstained,
    Progress,
    Question,
    judged,
    n_abstained,
    questions_of,
)
from aftertune.judges.spec import judge_from

__all__ = [
    "Cost",
    "Judge",
    "Judgement",
    "OnlyAbstained",
    "Progress",
    "Question",
    "judge_from",
    "judged",
    "n_abstained",
    "questions_of",
]
