"""Our score ids and the paper's names for them. `paper_name` and the signs stand with the scores themselves."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from aftertune.errors import InputError
from aftertune.report.paper.tables import paper_tables
from aftertune.scores import SCORES, get
from aftertune.scores.definition import Score


@cache
def paper_scores() -> dict[str, Score]:
    """The paper's name → our score, for the twelve scores of the paper, in the order of its tables.

    `sign_in_paper` and `sign_in_table5` of the score say what our value must be multiplied by before it is
    compared with the paper's Tables 1, 6–8, or 5.

    >>> score = paper_scores()["BS Imp Wt"]
    >>> score.name, score.sign_in_paper
    ('beam_importance_weighted', -1)
    """
    ours = {entry.paper_name: entry for _, entry in reversed(list(SCORES.items()))}
    return {name: ours[name] for name in dict.fromkeys(cell.score for cell in paper_tables().by_stage)}


def name_in_paper(score: str) -> str:
    """What the paper calls a score of ours, with its parameters; "" for one that it does not have.

    >>> name_in_paper("mean_token_logprob"), name_in_paper("beam_ratio[k=5]"), name_in_paper("mine")
    ('Avg Tok Prob', 'BS Ratios [k=5]', '')
    """
    found = _known(score)
    if found is None or found.sign_in_paper is None:
        return ""
    return found.paper_name + (f" {found.name[len(found.base_name) :]}" if found.name != found.base_name else "")


def turned_in_paper(score: str) -> bool:
    """Whether the paper's Tables 1 and 6–8 give the score with the opposite sign.

    >>> turned_in_paper("beam_importance_weighted"), turned_in_paper("mean_token_entropy")
    (True, False)
    """
    found = _known(score)
    return found is not None and found.sign_in_paper == -1


def in_paper_order(scores: Iterable[str]) -> tuple[list[str], list[str]]:
    """The paper's twelve scores in the order of its tables, and the others in the order given.

    >>> in_paper_order(["mine", "cocoa_msp", "mean_token_entropy", "beam_sum_logprob"])
    (['mean_token_entropy', 'cocoa_msp'], ['mine', 'beam_sum_logprob'])
    """
    place = {entry.base_name: i for i, entry in enumerate(paper_scores().values())}
    theirs, others = [], []
    for name in dict.fromkeys(scores):
        found = _known(name)
        (others if found is None or found.base_name not in place else theirs).append(name)
    return sorted(theirs, key=lambda name: place[get(name).base_name]), others


def _known(score: str) -> Score | None:
    try:
        return get(score)
    except InputError:  # records may hold scores of other people's making
        return None
