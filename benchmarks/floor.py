"""The arithmetic floor: the matrix products that the evidence cannot do without, at the machine's best rate.

Counted: products with weights, queries × keys and attention × values (dense, so without the gain that a causal
mask allows), and the output layer once for each token that is chosen. Not counted: everything else, padding, and
the output layer at prompt positions. Prompt and first step are needed once for greedy and beams together, and
once for each dropout decode; each row then needs T − 1 steps more.

Notation: L prompt tokens, T new tokens, c tokens that a query attends to. A multiplication and an addition are
two operations.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from benchmarks.bare import BEAMS, SAMPLES
from benchmarks.measure import read
from benchmarks.models import Shape


def greedy_flops(shape: Shape, prompts: Sequence[int], tokens: int) -> int:
    """Of greedy decodes of `tokens` tokens for prompts of these lengths."""
    return sum(_first(shape, length) + _further(shape, length, tokens) for length in prompts)


def everything_flops(shape: Shape, prompts: Sequence[int], tokens: int) -> int:
    """Of greedy output, 10 beams and 3 dropout decodes."""
    return sum(
        (1 + SAMPLES) * _first(shape, length) + (1 + BEAMS + SAMPLES) * _further(shape, length, tokens)
        for length in prompts
    )


def flops_per_cpu_second(size: int = 1536, seconds: float = 2.0) -> float:
    """Rate of float32 products of square matrices with the threads in force, per CPU second: the best of five."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    out = torch.empty(size, size)
    torch.mm(a, b, out=out)
    calls = max(1, round(seconds / 5 / max(read(lambda: torch.mm(a, b, out=out)).wall, 1e-4)))

    def several() -> None:
        for _ in range(calls):
            torch.mm(a, b, out=out)

    return max(2.0 * size**3 * calls / read(several).cpu for _ in range(5))


def _first(shape: Shape, length: int) -> int:
    """The prompt, and the logits of the first new token."""
    if shape.family == "llama":
        return length * _layers(shape, length) + _output(shape)
    encoder = shape.layers * (_projections(shape, 4) + _feed_forward(shape, 2) + _attention(shape, length))
    cross = shape.layers * _projections(shape, 2)  # keys and values of the prompt
    return length * (encoder + cross) + _step(shape, length, 0)


def _further(shape: Shape, length: int, tokens: int) -> int:
    """The steps after the first, for one row."""
    return sum(_step(shape, length, done) for done in range(1, tokens))


def _step(shape: Shape, length: int, done: int) -> int:
    """One token through the decoder, `done` new tokens before it."""
    if shape.family == "llama":
        return _layers(shape, length + done) + _output(shape)
    layer = (
        _projections(shape, 4)
        + _attention(shape, done + 1)
        + _projections(shape, 2)  # of the cross-attention: query and output
        + _attention(shape, length)
        + _feed_forward(shape, 2)
    )
    return shape.layers * layer + _output(shape)


def _layers(shape: Shape, attended: int) -> int:
    """One token through all layers of a Llama."""
    queries = _projections(shape, 2)
    keys = 2 * 2 * shape.width * shape.kv_heads * shape.head_dim
    return shape.layers * (queries + keys + _feed_forward(shape, 3) + _attention(shape, attended))


def _projections(shape: Shape, n: int) -> int:
    return n * 2 * shape.width * shape.heads * shape.head_dim


def _feed_forward(shape: Shape, n: int) -> int:
    return n * 2 * shape.width * shape.inner


def _attention(shape: Shape, attended: int) -> int:
    return 2 * 2 * shape.heads * shape.head_dim * attended


def _output(shape: Shape) -> int:
    return 2 * shape.width * shape.vocabulary
