"""Are the dropout samples of a checkpoint about the task? A check beside the evidence, and a warning in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from aftertune import evidence as pieces
from aftertune.errors import InputError
from aftertune.generate.collect import CollectOptions
from aftertune.generate.dropout_strength import find_dropout
from aftertune.generate.prompts import EncodedPrompts
from aftertune.generate.score_texts import score_given
from aftertune.models.loaded import LoadedModel
from aftertune.quality import compute
from aftertune.types import Evidence, Example, Floats, token_mask

N_SCORED = 16
"""Items whose samples are scored without dropout."""
EMPTY, SAME, WORSE = 0.2, 0.99, 0.5
"""Shares from which `fault_of` finds a fault."""
LESS_LIKELY, MUCH_LESS_LIKELY = 0.5, 2.0
"""Nats per token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCheck:
    """Dropout samples beside the greedy outputs of the same items.

    Attributes
    ----------
    empty, greedy_empty : share of samples, and of greedy outputs, without text.
    same : share of samples whose text is the greedy output's.
    variety : share of the pairs of samples of an item whose texts differ, mean over items.
    quality, greedy_quality : mean quality by the task's metric; None where it was not asked for or is undefined.
    logprob, greedy_logprob : nats per token under the model without dropout, mean over `n_scored` items; None
        where the samples' tokens are not known.
    n_items, n_scored : items in the check, and those of them whose samples were scored without dropout.
    """

    empty: float
    greedy_empty: float
    same: float
    variety: float
    quality: float | None
    greedy_quality: float | None
    logprob: float | None
    greedy_logprob: float | None
    n_items: int
    n_scored: int


def check_samples(
    loaded: LoadedModel,
    evidence: Evidence,
    examples: Sequence[Example],
    options: CollectOptions,
    quality: str | None = None,
) -> SampleCheck:
    """The check of one checkpoint.

    Parameters
    ----------
    loaded : the checkpoint.
    evidence : with greedy outputs and dropout samples.
    examples : the items of the evidence, and maybe more.
    options : that the evidence was collected with.
    quality : the task's metric.
    """
    greedy, dropout = evidence.greedy, evidence.dropout
    assert greedy is not None
    assert dropout is not None
    samples = dropout.text.shape[1]
    pairs = [(a, b) for a in range(samples) for b in range(a)]
    scored = _without_dropout(loaded, evidence, examples, options)
    qualities = _qualities(evidence, examples, quality)
    return SampleCheck(
        empty=float((dropout.text == "").mean()),
        greedy_empty=float((greedy.text == "").mean()),
        same=float((dropout.text == greedy.text[:, None]).mean()),
        variety=float(np.mean([dropout.text[:, a] != dropout.text[:, b] for a, b in pairs])),
        quality=qualities[0],
        greedy_quality=qualities[1],
        logprob=scored[0],
        greedy_logprob=scored[1],
        n_items=len(evidence),
        n_scored=min(N_SCORED, len(evidence)) if scored[0] is not None else 0,
    )


def sample_notes(
    loaded: LoadedModel, encoded: EncodedPrompts, options: CollectOptions, check: SampleCheck, what: str
) -> list[str]:
    """A sentence where samples have lost the task, or never differ from the greedy outputs, and what to set."""
    if (fault := fault_of(check)) is None:
        return []
    try:
        found = find_dropout(loaded, encoded.ids, max_new_tokens=options.max_new_tokens, seed=options.seed)
        remedy = f"write {found}, which suits this checkpoint"
    except InputError:
        remedy = "take another dropout"
    remedy += ", auto, or none for no dropout scores"
    return [f"{what}: with dropout {options.dropout} {fault}: scores of dropout samples mean little; {remedy}"]


def fault_of(check: SampleCheck) -> str | None:
    """What is wrong with the samples, in words that follow "with dropout …"; None where nothing is.

    Lost: more than `EMPTY` of the samples are empty where greedy outputs are not; or they are `LESS_LIKELY` nats
    per token less likely without dropout than the greedy outputs, and their mean quality is below `WORSE` of that
    of these (`MUCH_LESS_LIKELY` where greedy outputs have no quality to compare with). Idle: at least `SAME` of
    them equal the greedy output.
    """
    lost = _lost(check)
    if lost is not None:
        return lost
    if check.empty - check.greedy_empty > EMPTY:
        return f"{check.empty:.0%} of the samples are empty ({check.greedy_empty:.0%} of the greedy outputs)"
    return f"{check.same:.0%} of the samples are the greedy output" if check.same >= SAME else None


def _lost(check: SampleCheck) -> str | None:
    if check.logprob is None or check.greedy_logprob is None:
        return None
    less = check.greedy_logprob - check.logprob
    likely = (
        f"a log-probability of {check.logprob:.2g} per token without dropout (greedy outputs "
        f"{check.greedy_logprob:.2g})"
    )
    if check.quality is None or not check.greedy_quality:
        return f"samples have lost the task: {likely}" if less > MUCH_LESS_LIKELY else None
    if less > LESS_LIKELY and check.quality < WORSE * check.greedy_quality:
        quality = f"a mean quality of {check.quality:.2g} (greedy outputs {check.greedy_quality:.2g})"
        return f"samples have lost the task: {quality} and {likely}"
    return None


def _qualities(
    evidence: Evidence, examples: Sequence[Example], quality: str | None
) -> tuple[float | None, float | None]:
    """Mean quality of the samples and of the greedy outputs."""
    if quality is None:
        return None, None
    assert evidence.greedy is not None
    assert evidence.dropout is not None
    by_id = {example.id: example.references for example in examples}
    references = [by_id[item] for item in evidence.item_ids]
    samples = [compute(quality, list(texts), references) for texts in evidence.dropout.text.T]
    return _mean(np.concatenate(samples)), _mean(compute(quality, list(evidence.greedy.text), references))


def _mean(values: Floats) -> float | None:
    return None if np.isnan(values).all() else float(np.nanmean(values))


def _without_dropout(
    loaded: LoadedModel,
    evidence: Evidence,
    examples: Sequence[Example],
    options: CollectOptions,
) -> tuple[float | None, float | None]:
    """Nats per token without dropout, of the samples and of the greedy outputs of the first `N_SCORED` items."""
    some = pieces.take(evidence, list(evidence.item_ids[:N_SCORED]))
    assert some.greedy is not None
    assert some.dropout is not None
    ids = some.dropout.token_ids
    if ids is None:
        return None, None
    n, samples, width = ids.shape
    asked = {example.id: example.asked for example in examples}
    names = [f"{item}, sample {i + 1}" for item in some.item_ids for i in range(samples)]
    given = [asked[item] for item in some.item_ids for _ in range(samples)]
    given_ids = ids.reshape(n * samples, width)
    limit = options.max_new_tokens
    found = score_given(loaded, names, given, given_ids, options.prompts, max_new_tokens=limit).greedy
    assert found is not None
    return _per_token(found.token_logprob, found.n_tokens), _per_token(
        some.greedy.token_logprob, some.greedy.n_tokens
    )


def _per_token(logprob: Floats, n_tokens: np.ndarray) -> float:
    """Mean over rows of the mean over tokens."""
    real = token_mask(n_tokens, logprob.shape[1])
    return float((np.where(real, logprob, 0.0).sum(1) / n_tokens).mean())
