"""Frozen data types. No logic beyond checks of shape and of where values are finite.

Axes
----
n item, T generated token (right-padded), K beam, D dropout sample, d embedding dimension.

Conventions
-----------
Texts are object arrays of str. Real-valued arrays are float64; padding and undefined values are NaN.
Log-probabilities are natural; entropies and divergences are in nats. Token counts include the first
end-of-sequence token. Higher confidence means more confident, higher quality is better, always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Texts = NDArray[np.object_]

Conversation = tuple[tuple[str, str], ...]
"""(role, content) of each turn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """A prompt that is a conversation: its turns, and its plain text for models without a chat template."""

    text: str
    messages: Conversation


Prompt = str | Chat


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One item of a task.

    Attributes
    ----------
    id : the same at every checkpoint.
    prompt : what the model is given, before any chat template.
    references : acceptable answers, at least one; the first one is the training target.
    incorrect : answers known to be wrong, for judges; most tasks have none.
    question : what was asked, as a judge is told it; "" stands for the prompt.
    messages : the conversation that the answer continues, where the item is one: (role, content) of each turn.
        `prompt` is then its plain text, for models without a chat template.
    """

    id: str
    prompt: str
    references: tuple[str, ...]
    incorrect: tuple[str, ...] = ()
    question: str = ""
    messages: Conversation = ()

    def __post_init__(self) -> None:
        if not self.references:
            raise ValueError(f"item {self.id!r} has no reference")

    @property
    def target(self) -> str:
        """The text to train on: the first reference."""
        return self.references[0]

    @property
    def asked(self) -> Prompt:
        """What the model is given: the prompt, or the conversation with the prompt as its plain text."""
        return Chat(text=self.prompt, messages=self.messages) if self.messages else self.prompt


def _set(instance: object, name: str, value: object) -> None:
    object.__setattr__(instance, name, value)


def _texts(instance: object, name: str, ndim: int) -> Texts:
    array = np.asarray(getattr(instance, name), dtype=object)
    if array.ndim != ndim:
        raise ValueError(f"{type(instance).__name__}.{name} has {array.ndim} axes instead of {ndim}")
    _set(instance, name, array)
    return array


def _numbers(instance: object, name: str, shape: tuple[int | None, ...], dtype: type) -> np.ndarray:
    array = np.asarray(getattr(instance, name), dtype=dtype)
    if array.ndim != len(shape) or any(want not in (None, got) for want, got in zip(shape, array.shape)):
        raise ValueError(f"{type(instance).__name__}.{name} has shape {array.shape} instead of {shape}")
    _set(instance, name, array)
    return array


def _check_finite(instance: object, name: str, real: NDArray[np.bool_]) -> None:
    """Values must be finite exactly where `real` says that there is a token."""
    if not np.array_equal(np.isfinite(getattr(instance, name)), real):
        raise ValueError(f"{type(instance).__name__}.{name} must be finite exactly where there are tokens")


def _check_ids(instance: Greedy | DropoutSamples, shape: tuple[int, ...]) -> None:
    """Token ids must stand exactly where `n_tokens` says that there is a token, and −1 elsewhere."""
    ids = _numbers(instance, "token_ids", shape, np.int64)
    if not np.array_equal(ids >= 0, token_mask(np.asarray(instance.n_tokens), shape[-1])):
        name = type(instance).__name__
        raise ValueError(f"{name}.token_ids must be ids exactly where there are tokens, and −1 elsewhere")


def token_mask(n_tokens: Ints, width: int) -> NDArray[np.bool_]:
    """Boolean mask of shape (*n_tokens.shape, width): True where there is a token.

    >>> token_mask(np.array([2, 0]), 3).astype(int).tolist()
    [[1, 1, 0], [0, 0, 0]]
    """
    return np.arange(width) < np.asarray(n_tokens)[..., None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Greedy:
    """The greedy output of each item.

    Attributes
    ----------
    text : (n,) decoded without special tokens, stripped.
    token_logprob : (n, T) log p of the chosen token.
    token_entropy : (n, T) nats, entropy of the full next-token distribution.
    n_tokens : (n,) generated tokens up to and including the first end-of-sequence token.
    token_ids : (n, T) the tokens, −1 beyond n_tokens; None where they are not known.
    """

    text: Texts
    token_logprob: Floats
    token_entropy: Floats
    n_tokens: Ints
    token_ids: Ints | None = None

    def __post_init__(self) -> None:
        n = len(_texts(self, "text", 1))
        width = _numbers(self, "token_logprob", (n, None), np.float64).shape[1]
        _numbers(self, "token_entropy", (n, width), np.float64)
        if self.token_ids is not None:
            _check_ids(self, (n, width))
        real = token_mask(_numbers(self, "n_tokens", (n,), np.int64), width)
        _check_finite(self, "token_logprob", real)
        _check_finite(self, "token_entropy", real)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beams:
    """All K beams of each item, best first as the search ranks them (by length-normalised log-probability).

    Attributes
    ----------
    text : (n, K); a beam that the search could not fill is "" with n_tokens 0 and NaN.
    sequence_logprob : (n, K) sum over tokens of log p, from raw logits.
    n_tokens : (n, K).
    """

    text: Texts
    sequence_logprob: Floats
    n_tokens: Ints

    def __post_init__(self) -> None:
        shape = _texts(self, "text", 2).shape
        _numbers(self, "sequence_logprob", shape, np.float64)
        real = _numbers(self, "n_tokens", shape, np.int64) > 0
        _check_finite(self, "sequence_logprob", real)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropoutSamples:
    """D greedy decodes of each item with dropout active, each with its own mask.

    Attributes
    ----------
    text : (n, D).
    token_logprob, token_entropy : (n, D, T).
    token_kl : (n, D, T) nats, KL(p_i,t ‖ mean_j p_j,t) over the samples j unfinished at step t; finite
        exactly where at least two samples of the item, this one among them, are unfinished.
    n_tokens : (n, D).
    token_ids : (n, D, T) the tokens, −1 beyond n_tokens; None where they are not known.
    """

    text: Texts
    token_logprob: Floats
    token_entropy: Floats
    token_kl: Floats
    n_tokens: Ints
    token_ids: Ints | None = None

    def __post_init__(self) -> None:
        shape = _texts(self, "text", 2).shape
        width = _numbers(self, "token_logprob", (*shape, None), np.float64).shape[2]
        _numbers(self, "token_entropy", (*shape, width), np.float64)
        _numbers(self, "token_kl", (*shape, width), np.float64)
        if self.token_ids is not None:
            _check_ids(self, (*shape, width))
        real = token_mask(_numbers(self, "n_tokens", shape, np.int64), width)
        _check_finite(self, "token_logprob", real)
        _check_finite(self, "token_entropy", real)
        _check_finite(self, "token_kl", real & (real.sum(axis=1, keepdims=True) >= 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was generated for n prompts at one checkpoint; a part that was not collected is None.

    Attributes
    ----------
    item_ids : (n,) unique.
    embedding : (n, d) one vector per prompt, or None.
    """

    item_ids: Texts
    greedy: Greedy | None = None
    beams: Beams | None = None
    dropout: DropoutSamples | None = None
    embedding: Floats | None = None

    def __post_init__(self) -> None:
        ids = _texts(self, "item_ids", 1)
        if len(set(ids)) != len(ids):
            raise ValueError("item ids are not unique")
        for part in (self.greedy, self.beams, self.dropout):
            if part is not None and len(part.text) != len(ids):
                raise ValueError(f"{type(part).__name__} has {len(part.text)} items instead of {len(ids)}")
        if self.embedding is not None:
            _numbers(self, "embedding", (len(ids), None), np.float64)

    def __len__(self) -> int:
        return len(self.item_ids)

    def __repr__(self) -> str:
        parts = ["greedy"] if self.greedy is not None else []
        parts += [f"{self.beams.text.shape[1]} beams"] if self.beams is not None else []
        parts += [f"{self.dropout.text.shape[1]} dropout samples"] if self.dropout is not None else []
        parts += ["embedding"] if self.embedding is not None else []
        return f"Evidence({len(self)} items: {', '.join(parts) or 'nothing'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemScores:
    """A confidence score of n items.

    Attributes
    ----------
    value : (n,) higher means more confident; NaN where undefined.
    reason : (n,) object, None where `value` is a number, else why it is not.
    """

    value: Floats
    reason: Texts

    def __post_init__(self) -> None:
        value = np.asarray(self.value, dtype=np.float64)
        reason = np.asarray(self.reason, dtype=object)
        if value.ndim != 1 or reason.shape != value.shape:
            raise ValueError(f"value has shape {value.shape}, reason {reason.shape}: both must be (n,)")
        if np.isinf(value).any():
            raise ValueError("a score is a number or NaN, never infinite")
        if not np.array_equal(np.isnan(value), np.array([r is not None for r in reason], dtype=bool)):
            raise ValueError("a reason stands exactly where the value is NaN")
        _set(self, "value", value)
        _set(self, "reason", reason)


Level = Literal["ok", "note", "warning", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What one check of a measurement found (docs/tables.md).

    Attributes
    ----------
    check : its name, such as "token limit".
    level : "ok"; "note", worth knowing; "warning", the numbers may be about something else than they seem to be;
        "refused", the same, and an option was needed to go on.
    message : one sentence; for a warning also what to do.
    value : the number that was looked at; NaN where there is none, or where it is not known.
    checkpoint : where; "" for all.
    model, task, setting : of what; "" for all.
    """

    check: str
    level: Level
    message: str
    value: float = float("nan")
    checkpoint: str = ""
    model: str = ""
    task: str = ""
    setting: str = ""

    @property
    def is_known(self) -> bool:
        """Whether it could be made: a note without a number says why it could not."""
        return self.level != "note" or self.value == self.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """One row for each item at each checkpoint (docs/records.md), as m-row columns.

    `output`, `references`, `correct`, `train_similarity` may hold None in single rows; `quality` and
    `scores` hold NaN there. `extra` keeps fields that we do not know.
    """

    model: Texts
    task: Texts
    setting: Texts
    seed: Ints
    epoch: Floats
    selected: NDArray[np.bool_]
    split: Texts
    item_id: Texts
    output: Texts
    references: Texts
    quality: Floats
    correct: Texts
    train_similarity: Floats
    scores: Mapping[str, Floats]
    extra: Mapping[str, Texts] = field(default_factory=dict)

    def __post_init__(self) -> None:
        m = len(_texts(self, "model", 1))
        for name in ("task", "setting", "split", "item_id", "output", "references", "correct"):
            if len(_texts(self, name, 1)) != m:
                raise ValueError(f"Records.{name} has not {m} rows")
        _numbers(self, "seed", (m,), np.int64)
        for name in ("epoch", "quality", "train_similarity"):
            _numbers(self, name, (m,), np.float64)
        _numbers(self, "selected", (m,), np.bool_)
        for column in (*self.scores.values(), *self.extra.values()):
            if np.shape(column) != (m,):
                raise ValueError(f"a column of Records has shape {np.shape(column)} instead of ({m},)")

    def __len__(self) -> int:
        return len(self.model)

    def __repr__(self) -> str:
        keys = set(zip(self.model, self.task, self.setting, self.seed.tolist(), self.epoch.tolist()))
        runs = {key[:-1] for key in keys}
        return (
            f"Records({len(self)} rows: {len(runs)} training runs, {len(keys)} checkpoints, "
            f"{len(self.scores)} scores)"
        )

    def take(self, rows: np.ndarray) -> Records:
        """The same columns at the given rows (indices or mask)."""
        columns = {f.name: getattr(self, f.name) for f in fields(self)}
        picked = {k: v[rows] for k, v in columns.items() if k not in ("scores", "extra")}
        for name in ("scores", "extra"):
            picked[name] = {k: v[rows] for k, v in columns[name].items()}
        return Records(**picked)
