"""How strong dropout must be for its samples to vary and stay on the task: found by its effect, without labels.

A probability says little by itself: 0.1 on every block is mild with three layers, and with thirty it turns every
output into noise. So `auto` is the model's own dropout where it has one. Else it is `residual` dropout
(`attention` where blocks cannot be told apart), with the probability at which, on the greedy outputs y of a few
prompts x,

    KL(p(· | y_<t, x) ‖ p_dropout(· | y_<t, x)), averaged over all tokens t and over `MASKS` masks,

is `TARGET` nats. docs/dropout.md has the measurements that the target comes from.

A run takes one setting for all checkpoints, resolved once on the model before fine-tuning: at another p for each,
their scores could not be compared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from aftertune.generate.forced import Forced
from aftertune.generate.masks import PROMPT, masks_under
from aftertune.generate.prefill import prefill
from aftertune.generate.search import greedy_decode
from aftertune.generate.trial import plan, together
from aftertune.models.adapters import virtual_tokens
from aftertune.models.dropout import DropoutSetting, dropout_on, evaluating
from aftertune.models.dropout_check import check_dropout, works
from aftertune.models.loaded import LoadedModel, TokenIds
from aftertune.seeds import derive

TARGET = 0.1
"""Nats per token of KL that dropout should cost."""
N_PROMPTS, MAX_TOKENS, ENOUGH_TOKENS, MASKS = 16, 32, 128, 2
"""Most prompts (half of them do where their outputs have enough tokens), most tokens of an output, masks."""
STEPS = (1.0, 1.1, 1.2, 1.3, 1.5, 1.6, 1.8, 2.0, 2.2, 2.4, 2.7, 3.0)
STEPS += (3.3, 3.6, 3.9, 4.3, 4.7, 5.1, 5.6, 6.2, 6.8, 7.5, 8.2, 9.1)
"""Leading digits of the probabilities that are chosen: about 10 % apart."""
LEAST, FIRST, MOST = 0.001, 0.05, 0.5
"""The smallest probability that is chosen, the one that is tried first, and the largest."""
PASSES, BISECTIONS = 6, 4
"""Probabilities tried by interpolation and, where that does not get close, by halving."""
FARTHEST, CLOSE, STEP = math.log(20), 0.25, 0.1
"""In logs: how far one may be from the last, what is close enough to `TARGET`, and a step of the grid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DropoutEffect:
    """What a setting does to the distributions along greedy outputs, teacher-forced.

    Attributes
    ----------
    kl : nats per token, KL of the distribution without dropout from that with it.
    logprob_cost : nats per token by which the greedy tokens become less likely.
    kept : share of greedy tokens that are the likeliest with dropout too.
    n_prompts, n_tokens : what the means are over; tokens of one mask.
    """

    kl: float
    logprob_cost: float
    kept: float
    n_prompts: int
    n_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedDropout:
    """A setting that says what acts, with its effect.

    Attributes
    ----------
    setting : never "auto".
    asked : what it was resolved from, as text.
    effect : on the model and the prompts that it was resolved with.
    """

    setting: DropoutSetting
    asked: str
    effect: DropoutEffect

    def as_dict(self) -> dict[str, Any]:
        """As JSON holds it; `from_dict` reads it again."""
        return asdict(self)

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> ResolvedDropout:
        return cls(
            setting=DropoutSetting(**kept["setting"]), asked=kept["asked"], effect=DropoutEffect(**kept["effect"])
        )

    def __str__(self) -> str:
        return f"{self.setting} (costs {self.effect.kl:.2g} nats of KL per token)"


def resolve_dropout(
    loaded: LoadedModel,
    prompt_ids: TokenIds,
    setting: DropoutSetting,
    *,
    max_new_tokens: int,
    seed: int = 0,
) -> ResolvedDropout:
    """The setting that acts, and what it does to the greedy outputs of the first `N_PROMPTS` prompts.

    Parameters
    ----------
    loaded : the model before fine-tuning.
    prompt_ids : token ids of prompts as they are decoded; the same ones give the same result.
    setting : kept unless it is "auto".
    max_new_tokens : of the greedy outputs; of each, the first `MAX_TOKENS` are used.
    seed : of the masks.

    Raises
    ------
    InputError
        The setting does not act on this model as it says.
    """
    probe = cache(lambda: _Probe(loaded, prompt_ids, max_new_tokens, seed))
    found = _acting(loaded, prompt_ids, setting, probe)
    return ResolvedDropout(setting=found, asked=str(setting), effect=probe().effect(found))


def acting_setting(
    loaded: LoadedModel,
    prompt_ids: TokenIds,
    setting: DropoutSetting,
    *,
    max_new_tokens: int,
    seed: int = 0,
) -> DropoutSetting:
    """`resolve_dropout` without the effect: nothing is decoded unless a strength is to be found."""
    return _acting(loaded, prompt_ids, setting, lambda: _Probe(loaded, prompt_ids, max_new_tokens, seed))


def find_dropout(
    loaded: LoadedModel, prompt_ids: TokenIds, *, max_new_tokens: int, seed: int = 0
) -> DropoutSetting:
    """The residual (or attention) dropout whose effect is `TARGET`, whatever dropout the model has of its own."""
    kind = _kind(loaded, _reading(loaded, prompt_ids))
    return _found(kind, _Probe(loaded, prompt_ids, max_new_tokens, seed))


def _acting(
    loaded: LoadedModel, prompt_ids: TokenIds, setting: DropoutSetting, probe: Callable[[], _Probe]
) -> DropoutSetting:
    forward = _reading(loaded, prompt_ids)
    if setting.kind != "auto":
        check_dropout(loaded.model, setting, forward, loaded.name)
        return setting
    native = DropoutSetting(kind="native")
    if works(loaded.model, native, forward):
        return native
    return _found(_kind(loaded, forward), probe())


def _reading(loaded: LoadedModel, prompt_ids: TokenIds) -> Callable[[], Any]:
    """A forward pass over the first prompt."""
    way = plan(loaded, [len(prompt_ids[0])], 1).way
    return lambda: prefill(loaded, prompt_ids[:1], way)


def _kind(loaded: LoadedModel, forward: Callable[[], Any]) -> str:
    """Which kind of dropout can be added to a model."""
    for kind in ("residual", "attention"):
        if works(loaded.model, DropoutSetting(kind=kind, p=FIRST), forward):
            return kind
    check_dropout(loaded.model, DropoutSetting(kind="residual", p=FIRST), forward, loaded.name)  # says why not
    raise AssertionError("a setting that does not work passed the check")


def _found(kind: str, probe: _Probe) -> DropoutSetting:
    """The probability at which the KL is `TARGET`: regula falsi on a double logarithmic scale.

    Where the KL jumps over the target, as it does where losing a single feature ruins an output, the probability
    just below the jump is taken.
    """
    target, guess = math.log(TARGET), math.log(FIRST)
    seen: dict[float, float] = {}  # log p → log KL
    for tries in range(PASSES + BISECTIONS):
        setting = DropoutSetting(kind=kind, p=math.exp(guess))
        seen[guess] = here = math.log(max(probe.effect(setting).kl, 1e-12))
        low = max((x for x, y in seen.items() if y <= target), default=None)
        high = min((x for x, y in seen.items() if y > target), default=None)
        if low is None or high is None:  # KL grows about as p does
            guess += min(max(target - here, -FARTHEST), FARTHEST)
            guess = min(max(guess, math.log(LEAST)), math.log(MOST))
            if guess in seen or tries >= PASSES:
                break
        elif high - low < STEP:
            guess = low - STEP / 2  # rounding to the grid must not step over the jump
            break
        elif tries < PASSES - 1:
            guess = low + (high - low) * (target - seen[low]) / (seen[high] - seen[low])
        else:
            guess = (low + high) / 2
        if abs(here - target) <= CLOSE:
            break
    else:
        guess = guess if low is None else low - STEP / 2
    return DropoutSetting(kind=kind, p=min(_on_grid(math.exp(guess)), MOST))


def _on_grid(p: float) -> float:
    """The nearest probability with one of the `STEPS` as its digits.

    >>> _on_grid(0.0172), _on_grid(0.97)
    (0.018, 0.91)
    """
    grid = [float(f"{step}e{power}") for power in (-4, -3, -2, -1) for step in STEPS]
    return min(grid, key=lambda value: abs(math.log(value / p)))


class _Probe:
    """Greedy outputs of some prompts, and passes over them with and without dropout."""

    def __init__(self, loaded: LoadedModel, prompts: TokenIds, max_new_tokens: int, seed: int) -> None:
        limit, half = min(max_new_tokens, MAX_TOKENS), N_PROMPTS // 2
        self._loaded = loaded
        self._outputs: list[list[int]] = []
        with torch.no_grad(), evaluating(loaded.model):
            for part in (prompts[:half], prompts[half:N_PROMPTS]):
                if part and sum(map(len, self._outputs)) < ENOUGH_TOKENS:
                    self._outputs += _greedy(loaded, part, limit)
            self._prompts = prompts[: len(self._outputs)]
            lengths = [len(prompt) for prompt in self._prompts]
            n_new = max(map(len, self._outputs))
            groups = list(together(loaded, lengths, n_new, job="score"))
            batches = [rows for way, rows in groups if way == "states"]
            # A way that reads outputs token by token is replaced by the pass nearest to it: this is an estimate.
            batches += [[row] for way, rows in groups if way != "states" for row in rows]
            self._plain = [(rows, self._read(rows)) for rows in batches]
        self._n_tokens = sum(map(len, self._outputs))
        self._seeds = [
            torch.tensor(
                [derive(seed, "dropout strength", i, mask) for i in range(len(self._prompts))],
                device=loaded.model.device,
            )
            for mask in range(MASKS)
        ]

    def effect(self, setting: DropoutSetting) -> DropoutEffect:
        """What a setting does, averaged over `MASKS` masks."""
        sums = torch.zeros(3, dtype=torch.float64)
        for seeds in self._seeds:
            for rows, plain in self._plain:
                sums += self._compare(rows, plain, self._dropped(setting, seeds, rows))
        kl, cost, kept = (sums / (MASKS * self._n_tokens)).tolist()
        return DropoutEffect(
            kl=kl, logprob_cost=cost, kept=kept, n_prompts=len(self._prompts), n_tokens=self._n_tokens
        )

    def _read(self, rows: Sequence[int]) -> Forced:
        return Forced(self._loaded, [self._prompts[i] for i in rows], [self._outputs[i] for i in rows])

    def _dropped(self, setting: DropoutSetting, seeds: Tensor, rows: Sequence[int]) -> Forced:
        loaded = self._loaded
        masks = masks_under(setting, loaded.model, seeds[list(rows)])
        offset = None
        if loaded.kind == "causal" and not virtual_tokens(loaded.model):
            lengths = torch.tensor([len(self._prompts[i]) + len(self._outputs[i]) - 1 for i in rows])
            offset = (lengths.max() - lengths).to(loaded.model.device)
        with torch.no_grad(), dropout_on(loaded.model, setting), masks.during(PROMPT, width=None, offset=offset):
            return self._read(rows)

    def _compare(self, rows: Sequence[int], plain: Forced, dropped: Forced) -> Tensor:
        """Sums over tokens, (3,) float64: KL, loss of the greedy token's log-probability, whether it is kept."""
        sums = torch.zeros(3, dtype=torch.float64)
        chosen = torch.tensor([token for i in rows for token in self._outputs[i]], device=plain.hidden.device)
        with torch.no_grad(), evaluating(self._loaded.model):
            for *logits, picked in zip(plain.logits(), dropped.logits(), chosen.split(plain.chunk), strict=True):
                p, q = (torch.log_softmax(one.float(), -1) for one in logits)
                kl = (p.exp() * (p - q)).sum(-1)
                cost = (p - q).gather(1, picked[:, None])[:, 0]
                kept = q.argmax(-1) == picked
                sums += torch.stack([kl.double().sum(), cost.double().sum(), kept.double().sum()]).cpu()
        return sums


def _greedy(loaded: LoadedModel, prompts: TokenIds, limit: int) -> list[list[int]]:
    """Ids of the greedy outputs, at most `limit` each."""
    outputs: list[list[int]] = [[] for _ in prompts]
    for way, rows in together(loaded, [len(prompt) for prompt in prompts], limit):
        asked = [prompts[row] for row in rows]
        decoded = greedy_decode(prefill(loaded, asked, way), loaded.rules, limit, prompts=asked)
        for row, tokens, n in zip(rows, decoded.tokens, decoded.n_tokens):
            outputs[row] = tokens[:n].tolist()
    return outputs
