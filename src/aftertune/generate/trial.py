"""How a model is decoded so that each prompt gets what it would get alone: tried on the model itself.

Architectures place their tokens in many ways: windows, position schemes that change with the length of what is
read, states instead of keys and values, experts with room for so many tokens. Which way of decoding is right for
one of them is found by a trial, not from its name. Made-up prompts, at the lengths at hand, are read alone, and a
way is taken where its steps give the same logits. The cheapest way comes first. The ways that take batches of any
lengths are compared with one pass over prompt and output. Where they fail, or where what follows a prompt changes
what the model makes of it, every way is compared with `generate`, one prompt at a time. Where none is right,
decoding is refused.

A configuration's numbers say where something may change (a window, the reach of a position scheme). Prompts that
end just before each number between the shortest and the longest length are tried too, so that a few steps cross
it. What was found is kept with the model, for the lengths up to the next such numbers.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList
from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

from aftertune.errors import InputError, first_line
from aftertune.generate.batching import TOO_LARGE, is_out_of_memory
from aftertune.generate.decoder import padded
from aftertune.generate.forced import Forced, forced_alone, read_alone
from aftertune.generate.prefill import Way, decoders, prefill
from aftertune.generate.reduce import NOT_FINITE
from aftertune.models.adapters import unwrapped
from aftertune.models.dropout import evaluating
from aftertune.models.loaded import LoadedModel

Batch = Literal["any", "equal", "one"]
"""Which prompts are decoded together: of any lengths, of equal lengths, none."""

Job = Literal["decode", "score"]
Reference = Literal["pass", "generate"]
"""What a way is compared with: one pass over prompt and output, or `generate` while it writes the output."""

WAYS: dict[Job, tuple[tuple[Way, Batch], ...]] = {
    "decode": (
        ("shared", "any"),
        ("rows", "any"),
        ("rows", "equal"),
        ("rows", "one"),
        ("anew", "any"),
        ("anew", "equal"),
        ("anew", "one"),
    ),
    "score": (("states", "any"), ("states", "one"), ("whole", "one"), ("rows", "one"), ("anew", "one")),
}
"""The cheapest first."""
COMMON = 2
"""Ways of each job that are compared with one pass before `generate` is asked."""

EXACT, COARSE = 1e-3, 0.05
"""What counts as equal, in nats. `EXACT` bounds the largest difference of log-probabilities, among tokens that are
at least e^-10 times as likely as the likeliest one. In half precision (and TF32) rounding alone changes which
experts are asked; there `COARSE` bounds the mean KL divergence of a prompt's next-token distributions."""

STEPS = 3
"""Tokens that a trial decodes."""
AT_ONCE = 6
"""Prompts of mixed lengths in a trial's batch, the longest among them."""
REACH = 4
"""A plan holds for lengths up to this many times the tried one."""

FAILURES = (AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError)
"""What a forward pass raises that is not given what it needs (`RuntimeError` covers `NotImplementedError`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A way that was found right, and for what.

    Attributes
    ----------
    shortest, longest : fewest tokens of a prompt, and most of a prompt with its output (encoder–decoders: of a
        prompt).
    output : most tokens of an encoder–decoder's output.
    branching : whether paths that branch were tried (beams, several samples).
    in_one_pass : whether decoding gives what one pass over prompt and output gives.
    """

    way: Way
    batch: Batch
    shortest: int
    longest: int
    output: float
    branching: bool
    in_one_pass: bool
    job: Job

    @property
    def rank(self) -> int:
        return WAYS[self.job].index((self.way, self.batch))


_plans: WeakKeyDictionary[Any, list[Plan]] = WeakKeyDictionary()


def plan(
    loaded: LoadedModel,
    lengths: Sequence[int],
    new_tokens: int,
    *,
    branching: bool = False,
    job: Job = "decode",
    narrow: bool = False,
) -> Plan:
    """The cheapest right way to decode prompts of these lengths, or to score their outputs.

    Parameters
    ----------
    new_tokens : tokens of the longest output.
    branching : whether an item has more than one path.
    narrow : whether a plan for a wider range of lengths is not enough.

    Raises
    ------
    InputError
        No way is right. The message names the architecture, and what still works.
    """
    shortest, longest = min(lengths), max(lengths) + (new_tokens if loaded.kind == "causal" else 0)
    since, until = _sides(loaded, shortest, longest)
    known = [
        one
        for one in _plans.get(loaded.model, [])
        if one.shortest <= shortest and longest <= one.longest
        if new_tokens <= one.output and one.branching >= branching and one.job == job
        if not narrow or (since <= one.shortest and one.longest <= until)
        if job == "score" or one.way in decoders(loaded)  # an adapter may have come or gone since
    ]
    if known:
        return min(known, key=lambda one: one.rank)
    decoded = plan(loaded, lengths, new_tokens, narrow=narrow) if job == "score" else None
    with torch.no_grad(), evaluating(loaded.model):
        trial = _Trial(loaded, shortest, longest, new_tokens)
        found = trial.way(job, branching, one_pass=decoded is None or decoded.in_one_pass)
        if found is None:
            raise InputError(_refusal(loaded, trial, branching))
    windows = [n for n in _windows(loaded) if n >= new_tokens] if loaded.kind == "seq2seq" else []
    new = Plan(
        way=found[0],
        batch=found[1],
        shortest=since,
        longest=until,
        output=min(windows, default=math.inf),
        branching=branching,
        in_one_pass=found[2] == "pass",
        job=job,
    )
    _plans.setdefault(loaded.model, []).append(new)
    return new


def together(
    loaded: LoadedModel,
    lengths: Sequence[int],
    new_tokens: int,
    *,
    branching: bool = False,
    job: Job = "decode",
) -> Iterator[tuple[Way, list[int]]]:
    """Which of these prompts are read together, and how: (way, rows).

    Where no cache is right for all lengths at hand, those between two changes are taken by themselves.
    """
    best = plan(loaded, lengths, new_tokens, branching=branching, job=job)
    sides: dict[Any, list[int]] = {None: list(range(len(lengths)))}
    if best.way == "anew":
        sides = {}
        for row, length in enumerate(lengths):
            side = _sides(loaded, length, length + (new_tokens if loaded.kind == "causal" else 0))
            sides.setdefault(side, []).append(row)
    for rows in sides.values():
        if len(sides) > 1:
            of_side = [lengths[row] for row in rows]
            best = plan(loaded, of_side, new_tokens, branching=branching, job=job, narrow=True)
        groups: dict[Any, list[int]] = {}
        for row in rows:
            group = {"any": None, "equal": lengths[row], "one": row}[best.batch]
            groups.setdefault(group, []).append(row)
        for group in groups.values():
            yield best.way, group


def _sides(loaded: LoadedModel, shortest: int, longest: int) -> tuple[int, int]:
    """The range of lengths around these in which nothing else may change."""
    changes = _changes(loaded)
    until = min((n for n in changes if n >= longest), default=REACH * longest)
    return max((n + 1 for n in changes if n < shortest), default=1), min(until, REACH * longest)


def _changes(loaded: LoadedModel) -> list[int]:
    """Lengths at which something may change: all whole numbers of the configuration, in order."""
    return sorted(set(_numbers(unwrapped(loaded.model).config.to_dict())))


def _numbers(value: Any) -> Iterable[int]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for one in value:
            yield from _numbers(one)
    elif isinstance(value, int) and not isinstance(value, bool) and value > 0:
        yield value


class _Trial:
    """Made-up prompts of the lengths at hand, and what the model makes of each of them alone."""

    def __init__(self, loaded: LoadedModel, shortest: int, longest: int, new_tokens: int) -> None:
        self._loaded = loaded
        room = max(1, longest - (STEPS if loaded.kind == "causal" else 0))
        crossed = [max(n - 1, 1) for n in _changes(loaded) if shortest <= n < longest]
        lengths = {min(n, room) for n in (shortest, longest, *crossed)}
        if len(lengths) == 1:  # lengths must differ, for padding to be tried
            lengths.add(max(_sides(loaded, shortest, longest)[0], room - 2))
        lengths = sorted(lengths, reverse=True)
        self._n_new = STEPS if loaded.kind == "causal" else _steps_of_decoder(loaded, new_tokens)
        self._probes = [_Probe(loaded, length, self._n_new, seed) for seed, length in enumerate(lengths)]
        self._twins = [_Probe(loaded, length, self._n_new, seed + 1000) for seed, length in enumerate(lengths)]
        self.error: Exception | None = None

    def way(self, job: Job, branching: bool, one_pass: bool = True) -> tuple[Way, Batch, Reference] | None:
        """The first of `WAYS` that gives what the model gives alone, and the reference that said so.

        `one_pass` says whether one pass may be the reference.
        """
        if one_pass and self._attempt(lambda: all(probe.is_steady for probe in self._probes)):
            found = self._first(job, WAYS[job][:COMMON], branching, "pass")
            if found is not None:
                return *found, "pass"
        if not self._attempt(lambda: all(probe.alone(0, "generate") is not None for probe in self._probes)):
            return None
        found = self._first(job, WAYS[job], branching, "generate")
        return None if found is None else (*found, "generate")

    def _first(
        self, job: Job, ways: Sequence[tuple[Way, Batch]], branching: bool, by: Reference
    ) -> tuple[Way, Batch] | None:
        for way, batch in ways:
            if job == "decode" and way not in decoders(self._loaded):
                continue
            if way == "shared" and not self._attempt(lambda: _has_plain_layers(self._loaded)):
                continue
            if all(self._is_right(job, way, probes, branching, by) for probes in self._batches(batch)):
                return way, batch
        return None

    def _batches(self, batch: Batch) -> Iterator[list[_Probe]]:
        if batch == "one":
            yield from ([probe] for probe in self._probes)
        elif batch == "equal":
            yield from ([probe, twin] for probe, twin in zip(self._probes, self._twins))
        elif len(self._probes) == 1:
            yield [self._probes[0], self._twins[0]]
        else:
            longest, others = self._probes[0], self._probes[1:]
            for start in range(0, len(others), AT_ONCE - 1):
                yield [longest, *others[start : start + AT_ONCE - 1]]

    def _is_right(self, job: Job, way: Way, probes: Sequence[_Probe], branching: bool, by: Reference) -> bool:
        """Whether a batch gives each of its prompts what it gets alone, through branches and departures."""
        seen = _decoded if job == "decode" else _scored
        coarse = is_coarse(self._loaded.model.dtype)

        def ask() -> bool:
            differences: dict[int, list[float]] = {}
            for probe, found, expected in seen(self._loaded, way, probes, branching, by):
                differences.setdefault(id(probe), []).append(difference(found, expected, coarse))
            return all(is_small(each, coarse) for each in differences.values())

        return self._attempt(ask)

    def _attempt(self, ask: Callable[[], bool]) -> bool:
        """The answer, or False where the model's forward pass fails, for want of something that it needs."""
        try:
            return ask()
        except FAILURES as error:
            if is_out_of_memory(error):
                raise InputError(TOO_LARGE) from None
            self.error = error
            return False


def _decoded(
    loaded: LoadedModel, way: Way, probes: Sequence[_Probe], branching: bool, by: Reference
) -> Iterator[tuple[_Probe, Tensor, Tensor]]:
    """(prompt, logits, logits that the model gives alone) of its paths at each step; logits (G, V)."""
    decoder = prefill(loaded, [probe.prompt for probe in probes], way, paths=2)
    device, left = decoder.logits.device, list(probes)
    tails = (0, 1) if branching else (0,)
    yield from ((probe, decoder.logits[i], probe.alone(0, by)[:1]) for i, probe in enumerate(left))
    for step in range(probes[0].n_new):
        if step and branching:
            tails = tails[::-1]  # the paths change places
        if step == probes[0].n_new - 1 and len(left) > 1:
            left = [left[-1], *left[1:-1]]
            decoder.keep(torch.tensor([len(left), *range(1, len(left))], device=device))
        tokens = torch.tensor([[probe.tails[tail][step] for tail in tails] for probe in left], device=device)
        parents = torch.tensor([[1, 0] if step and branching else [0] * len(tails)] * len(left), device=device)
        decoder.step(tokens, parents)
        for i, probe in enumerate(left):
            yield probe, decoder.logits[i], torch.stack([probe.alone(tail, by)[step + 1] for tail in tails])


def _scored(
    loaded: LoadedModel, way: Way, probes: Sequence[_Probe], branching: bool, by: Reference
) -> Iterator[tuple[_Probe, Tensor, Tensor]]:
    """(prompt, logits, logits that the model gives alone) that predict its output; logits (n_new, V)."""
    if way != "states":
        found = [forced_alone(loaded, way, probe.prompt, probe.tails[0][:-1]) for probe in probes]
    else:
        forced = Forced(loaded, [probe.prompt for probe in probes], [probe.tails[0] for probe in probes])
        found = torch.cat(list(forced.logits())).split(probes[0].n_new)
    yield from ((probe, logits, probe.alone(0, by)[:-1]) for logits, probe in zip(found, probes))


class _Probe:
    """A made-up prompt with two continuations."""

    def __init__(self, loaded: LoadedModel, length: int, n_new: int, seed: int) -> None:
        self._loaded, self.n_new = loaded, n_new
        words = _words(loaded)
        draw = torch.Generator().manual_seed(seed)
        drawn = words[torch.randint(len(words), (length + 2 * n_new,), generator=draw)].tolist()
        self.prompt: list[int] = drawn[:length]
        self.tails = drawn[length : length + n_new], drawn[length + n_new :]
        self._alone: dict[tuple[int, Reference], Tensor] = {}

    def alone(self, tail: int, by: Reference) -> Tensor:
        """Logits after the prompt and after each token of a continuation, (n_new + 1, V)."""
        if (tail, by) not in self._alone:
            read = read_alone if by == "pass" else generated
            logits = read(self._loaded, self.prompt, self.tails[tail])
            if bool(torch.log_softmax(logits.float(), -1).isnan().any()):
                raise InputError(NOT_FINITE)
            self._alone[tail, by] = logits
        return self._alone[tail, by]

    @cached_property
    def is_steady(self) -> bool:
        """Whether what follows the prompt changes nothing in what the model makes of it."""
        coarse = is_coarse(self._loaded.model.dtype)
        apart = difference(read_alone(self._loaded, self.prompt, []), self.alone(0, "pass")[:1], coarse)
        return is_small([apart], coarse)


class _Writes(LogitsProcessor):
    """Makes `generate` write given tokens."""

    def __init__(self, output: Sequence[int], start: int) -> None:
        self._output, self._start = output, start

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:  # type: ignore[override]
        forced = torch.full_like(scores, -torch.inf)
        forced[:, self._output[min(input_ids.shape[1] - self._start, len(self._output) - 1)]] = 0.0
        return forced


def generated(loaded: LoadedModel, prompt: Sequence[int], output: Sequence[int]) -> Tensor:
    """Raw logits of `generate` for one prompt, while it writes `output`, (len(output) + 1, V)."""
    tokens, mask = padded([prompt], loaded.rules.pad_id, loaded.model.device, left=True)
    start = tokens.shape[1] if loaded.kind == "causal" else 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of settings that do nothing here
        result = loaded.model.generate(
            input_ids=tokens,
            attention_mask=mask,
            max_new_tokens=len(output) + 1,
            do_sample=False,
            num_beams=1,
            num_return_sequences=1,
            pad_token_id=loaded.rules.pad_id,
            logits_processor=LogitsProcessorList([_Writes(output, start)]),
            output_logits=True,
            return_dict_in_generate=True,
        )
    return torch.cat(result.logits)


def is_coarse(dtype: torch.dtype) -> bool:
    """Whether sums are rounded so much that the order of their terms shows."""
    return dtype in (torch.float16, torch.bfloat16) or torch.get_float32_matmul_precision() != "highest"


def difference(found: Tensor, expected: Tensor, coarse: bool) -> float:
    """How far rows of logits (n, V) are apart in nats, as `EXACT` and `COARSE` measure it."""
    p, q = (torch.log_softmax(logits.float(), -1) for logits in (expected, found))
    likely = p > p.amax(-1, keepdim=True) - 10
    apart = torch.where(likely, p - q, 0.0)
    return float((p.exp() * apart).sum(-1).mean() if coarse else apart.abs().max())


def is_small(differences: Sequence[float], coarse: bool) -> bool:
    """Whether a prompt's differences are those of rounding."""
    return sum(differences) / len(differences) <= COARSE if coarse else max(differences) <= EXACT


def _words(loaded: LoadedModel) -> Tensor:
    """Ids that prompts are made of: ordinary ones, from the middle of the vocabulary."""
    n = min(unwrapped(loaded.model).get_input_embeddings().weight.shape[0], loaded.n_vocabulary)
    special = {loaded.rules.pad_id, loaded.rules.start_id, *loaded.rules.eos_ids}
    return torch.tensor([token for token in range(n // 8, max(n // 8 + 2, 7 * n // 8)) if token not in special])


def _steps_of_decoder(loaded: LoadedModel, new_tokens: int) -> int:
    """Tokens that an encoder–decoder's trial decodes: past the decoder's windows, where outputs get so far."""
    return max([STEPS, *(window + 2 for window in _windows(loaded) if window < new_tokens)])


def _windows(loaded: LoadedModel) -> list[int]:
    config = unwrapped(loaded.model).config.get_text_config(decoder=True)
    try:
        layers = DynamicCache(config=config).layers
    except FAILURES:  # the model has a cache of its own kind
        return []
    return [window for layer in layers if (window := getattr(layer, "sliding_window", None))]


def _has_plain_layers(loaded: LoadedModel) -> bool:
    """Keys and values in every layer, and an attention that takes a mask of its own."""
    config = unwrapped(loaded.model).config
    if config._attn_implementation not in ("sdpa", "eager"):
        return False
    return all(
        type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in DynamicCache(config=config).layers
    )


def _refusal(loaded: LoadedModel, trial: _Trial, branching: bool) -> str:
    kind, error = unwrapped(loaded.model).config.model_type, trial.error
    if branching and trial.way("decode", False) is not None:
        return (
            f"{loaded.name} ({kind}) gives a prompt another output beside other rows than alone: beams and "
            "dropout samples would be wrong; greedy outputs work: --beams 0 --dropout-samples 0"
        )
    why = f" ({type(error).__name__}: {first_line(error)})" if error is not None else ""
    return f"{loaded.name} ({kind}) cannot be decoded: no way to read it gives what `generate` gives{why}"
