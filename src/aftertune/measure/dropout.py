"""Dropout of a run: the setting for all checkpoints, what acted at each, and whether its samples mean anything.

What "auto" stands for is found once, on the model before fine-tuning, and kept. The samples of each checkpoint are
checked against its greedy outputs; a check warns where they have lost the task (docs/dropout.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from aftertune import evidence as pieces
from aftertune.errors import InputError
from aftertune.files.atomic import atomic_write_text
from aftertune.files.runfolder import RunFolder
from aftertune.generate.collect import CollectOptions
from aftertune.generate.dropout_strength import N_PROMPTS, ResolvedDropout, find_dropout, resolve_dropout
from aftertune.generate.prompts import EncodedPrompts, encode
from aftertune.generate.score_texts import score_given
from aftertune.models.dropout import ActiveDropout, DropoutSetting
from aftertune.models.loaded import LoadedModel
from aftertune.quality import compute
from aftertune.signature import digest
from aftertune.types import Evidence, Example, Floats, Greedy, token_mask

DROPOUT = "dropout.json"
N_SCORED = 16
"""Items whose samples are scored without dropout."""
EMPTY, SAME, WORSE = 0.2, 0.99, 0.5
"""Shares beyond which `fault_of` finds a fault."""
LESS_LIKELY, MUCH_LESS_LIKELY = 0.5, 2.0
"""Nats per token beyond which it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDropout:
    """What dropout "auto" stands for in a run folder, and the file that keeps it."""

    resolved: ResolvedDropout
    file: Path
    is_new: bool

    @property
    def setting(self) -> DropoutSetting:
        return self.resolved.setting

    def __str__(self) -> str:
        return str(self.resolved)

    def keep(self) -> None:
        """Write the file, unless it is there."""
        if self.is_new:
            atomic_write_text(self.file, json.dumps(self.resolved.as_dict(), indent=1) + "\n")


def run_dropout(
    folder: RunFolder,
    identity: Sequence[str],
    options: CollectOptions,
    test: Sequence[Example],
    load: Callable[[], LoadedModel] | None,
    *,
    anew: bool = False,
) -> RunDropout | None:
    """What "auto" stands for: kept in the folder, or found on the model before; None for other settings.

    Nothing is written before `RunDropout.keep`.

    Parameters
    ----------
    identity : of the model before, and of the test items as it reads them.
    test : the first of these items are read.
    load : gives the model before; called only if nothing is kept. With None nothing is found, and the result is
        None where nothing is kept.
    anew : whether to find it even if it is kept.
    """
    if options.dropout.kind != "auto" or not options.dropout_samples:
        return None
    file = folder.dropout(digest([*identity, options.max_new_tokens], 12))
    if file.exists() and not anew:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return RunDropout(resolved=ResolvedDropout.from_dict(kept), file=file, is_new=False)
    if load is None:
        return None
    loaded = load()
    some = test[: 2 * N_PROMPTS]  # in case some do not fit
    asked, ids = [item.asked for item in some], [item.id for item in some]
    encoded = encode(loaded, asked, options.prompts, options.max_new_tokens, ids)
    found = resolve_dropout(loaded, encoded.ids, options.dropout, max_new_tokens=options.max_new_tokens)
    return RunDropout(resolved=found, file=file, is_new=True)


def keep_dropout(folder: Path, acting: ActiveDropout) -> None:
    """Write what acts during the dropout decodes, beside their evidence."""
    atomic_write_text(folder / DROPOUT, json.dumps(asdict(acting)) + "\n")


def keep_check(folder: Path, check: SampleCheck, fault: str | None) -> None:
    """Write the check of the samples and what is wrong with them, beside what acted."""
    kept = {**(read_dropout(folder) or {}), "samples": asdict(check), "fault": fault}
    atomic_write_text(folder / DROPOUT, json.dumps(kept) + "\n")


def read_dropout(folder: Path) -> dict[str, Any] | None:
    """What is kept of the dropout decodes of some evidence; None where there were none.

    ``sites`` and ``probabilities`` of `ActiveDropout`, under ``samples`` a `SampleCheck`, and under ``fault`` what
    is wrong with the samples, or None; evidence of earlier versions lacks the last two.
    """
    path = folder / DROPOUT
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def dropout_in_force(folders: Iterable[Path]) -> str | None:
    """What acted during the dropout decodes of some evidence, in words; None where there were none."""
    words = [
        f"p = {' and '.join(f'{p:g}' for p in one['probabilities'])} at {one['sites']} places a pass"
        for one in map(read_dropout, folders)
        if one is not None
    ]
    return "; ".join(dict.fromkeys(words)) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCheck:
    """Dropout samples compared with the greedy outputs of the same items.

    Attributes
    ----------
    empty, greedy_empty : share of samples, and of greedy outputs, without text.
    same : share of samples whose text is the greedy output's.
    variety : share of the pairs of samples of an item whose texts differ, mean over items.
    quality, greedy_quality : mean quality by the task's metric; None where it was not asked for or is undefined.
    logprob, greedy_logprob : nats per token under the model without dropout, mean over `n_scored` items; None
        where the samples' tokens are not known.
    n_items, n_scored : items in the check, and how many of them were scored without dropout.
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
    quality : the task's metric; None leaves quality out.
    """
    greedy, dropout = evidence.greedy, evidence.dropout
    assert greedy is not None
    assert dropout is not None
    pairs = combinations(dropout.text.T, 2)
    sample_quality, greedy_quality = _qualities(evidence, examples, quality)
    logprob, greedy_logprob = _without_dropout(loaded, evidence, examples, options)
    return SampleCheck(
        empty=float((dropout.text == "").mean()),
        greedy_empty=float((greedy.text == "").mean()),
        same=float((dropout.text == greedy.text[:, None]).mean()),
        variety=float(np.mean([one != other for one, other in pairs])),
        quality=sample_quality,
        greedy_quality=greedy_quality,
        logprob=logprob,
        greedy_logprob=greedy_logprob,
        n_items=len(evidence),
        n_scored=0 if logprob is None else min(N_SCORED, len(evidence)),
    )


def fault_with_remedy(
    loaded: LoadedModel, encoded: EncodedPrompts, options: CollectOptions, check: SampleCheck
) -> str | None:
    """What is wrong where samples have lost the task or never differ from the greedy outputs, and what to set."""
    if (fault := fault_of(check)) is None:
        return None
    try:
        found = find_dropout(loaded, encoded.ids, max_new_tokens=options.max_new_tokens, seed=options.seed)
        remedy = f"write {found}, which suits this checkpoint"
    except InputError:
        remedy = "take another dropout"
    remedy += ", auto, or none for no dropout scores"
    return f"with dropout {options.dropout} {fault}: scores of dropout samples mean little; {remedy}"


def fault_of(check: SampleCheck) -> str | None:
    """What is wrong with the samples, in words that follow "with dropout …"; None where nothing is.

    - They are more than `LESS_LIKELY` nats per token less likely without dropout than the greedy outputs, and
      their mean quality is below `WORSE` times that of the greedy outputs; or, where that is 0 or undefined, they
      are more than `MUCH_LESS_LIKELY` nats less likely.
    - The share of empty ones is more than `EMPTY` above that of the greedy outputs.
    - At least `SAME` of them are the greedy output.
    """
    if check.logprob is not None and check.greedy_logprob is not None:
        less = check.greedy_logprob - check.logprob
        likely = (
            f"a log-probability of {check.logprob:.2g} per token without dropout (greedy outputs "
            f"{check.greedy_logprob:.2g})"
        )
        if check.quality is None or not check.greedy_quality:
            if less > MUCH_LESS_LIKELY:
                return f"samples have lost the task: {likely}"
        elif less > LESS_LIKELY and check.quality < WORSE * check.greedy_quality:
            quality = f"a mean quality of {check.quality:.2g} (greedy outputs {check.greedy_quality:.2g})"
            return f"samples have lost the task: {quality} and {likely}"
    if check.empty - check.greedy_empty > EMPTY:
        return f"{check.empty:.0%} of the samples are empty ({check.greedy_empty:.0%} of the greedy outputs)"
    return f"{check.same:.0%} of the samples are the greedy output" if check.same >= SAME else None


def _qualities(
    evidence: Evidence, examples: Sequence[Example], quality: str | None
) -> tuple[float | None, float | None]:
    """Mean quality of the samples, and of the greedy outputs; None where it is undefined."""
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
    scored = score_given(
        loaded,
        [f"{item}, sample {i + 1}" for item in some.item_ids for i in range(samples)],
        [asked[item] for item in some.item_ids for _ in range(samples)],
        ids.reshape(n * samples, width),
        options.prompts,
        max_new_tokens=options.max_new_tokens,
    )
    assert scored.greedy is not None
    return _per_token(scored.greedy), _per_token(some.greedy)


def _per_token(outputs: Greedy) -> float:
    """Mean over outputs of the mean log-probability of their tokens."""
    real = token_mask(outputs.n_tokens, outputs.token_logprob.shape[1])
    return float((np.where(real, outputs.token_logprob, 0.0).sum(1) / outputs.n_tokens).mean())
