"""Models of the benchmark's shapes whose outputs stop at natural, mixed lengths.

A model that was fine-tuned on short answers ends most outputs early, some late, and its beams end near its
greedy output. That is imitated without training: all weights stay random, except that the model counts down. A
prompt repeats the word for the number n; the answer is n − 1, n − 2, …, 1, end of sequence, i.e. n tokens. After
k comes k − 1 with the largest logit (34), then k − 2 (27), k − 3 (26) and, from 6 down, the end (25): so that
beams and samples differ from the greedy output, in length too, as those of trained models do. As much is
computed as in the random model, and nothing depends on the machine.

How: the numbers' embeddings are orthonormal directions, large beside what the random blocks add. In the Llama
the rows of the output layer for the numbers map the direction of k to the logits above. In the T5, whose output
layer is its embedding, the decoder's last feed-forward block does (ReLU(Ax) − ReLU(−Ax) = Ax makes it linear),
and the first cross-attention carries n from the prompt, which decides at the first step and is outvoted later.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from benchmarks.models import END, FIRST_WORD, PAD, Built, Shape, build, word
from benchmarks.prompts import LONGEST, mixed

MEDIAN_LENGTH, SPREAD = 10.0, 0.9
"""Answer lengths are log-normal: half of them at most 10 tokens, one in six above 24, cut at the longest."""

_NEXT, _END, _NEAR_END = (34.0, 27.0, 26.0), 25.0, 6
_NUMBERS = 65
_PROMPT_SHARE = 0.5
_QUIET, _LOUD, _LARGE = 0.05, 20.0, 5.0


def answer_lengths(n: int, longest: int, seed: int = 0) -> list[int]:
    """Lengths in tokens, end of sequence included, between 2 and `longest`: quantiles of the distribution."""
    quantile = torch.distributions.Normal(0.0, 1.0).icdf((torch.arange(n) + 0.5) / n)
    lengths = (MEDIAN_LENGTH * torch.exp(SPREAD * quantile)).round().clamp(2, longest).int().numpy()
    return np.random.default_rng(seed).permutation(lengths).tolist()


def counting_prompts(n: int, longest_answer: int, longest_prompt: int = LONGEST, seed: int = 1) -> list[str]:
    """n prompts of mixed lengths; the lengths of their answers are independent of their own."""
    answers = answer_lengths(n, min(longest_answer, _NUMBERS - 1), seed)
    return [
        " ".join([word(_token(answer))] * length)
        for answer, length in zip(answers, mixed(n, longest_prompt, seed + 1))
    ]


@torch.no_grad()
def build_stopping(shape: Shape, seed: int = 0) -> Built:
    """A model that counts down. Its width must hold two directions for each of 65 numbers."""
    built = build(shape, stops=True, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    directions = torch.linalg.qr(torch.randn(shape.width, 2 * _NUMBERS, generator=generator)).Q.T
    if shape.family == "t5":
        _teach_t5(built.model, shape, directions[:_NUMBERS], directions[_NUMBERS:])
    else:
        _teach_llama(built.model, shape, directions[:_NUMBERS])
    return built


def _token(number: int) -> int:
    """Id of a number; 0 is the end of sequence and has no word."""
    return FIRST_WORD + number - 1


def _wanted() -> torch.Tensor:
    """(numbers, numbers): logit of each next number after each number; column 0 is the end."""
    wanted = torch.zeros(_NUMBERS, _NUMBERS)
    wanted[1 : _NEAR_END + 1, 0] = _END
    for k in range(1, _NUMBERS):
        for step, logit in enumerate(_NEXT, start=1):
            if k >= step:
                wanted[k, k - step] = max(logit, float(wanted[k, k - step]))
    return wanted


def _rows(shape: Shape) -> torch.Tensor:
    """Ids of the numbers 0 (the end), 1, 2, …"""
    return torch.tensor([END[shape.family], *(_token(k) for k in range(1, _NUMBERS))])


def _teach_llama(model: Any, shape: Shape, directions: torch.Tensor) -> None:
    length = shape.width**0.5  # of a vector after the final norm
    model.model.embed_tokens.weight[_rows(shape)] = directions * length * _LARGE
    model.lm_head.weight[_rows(shape)] = _wanted().T @ directions / length


def _teach_t5(model: Any, shape: Shape, directions: torch.Tensor, carried: torch.Tensor) -> None:
    for name, weight in model.named_parameters():
        if name.endswith((".o.weight", ".wo.weight")):
            weight *= _QUIET
    wanted = _wanted()
    model.shared.weight[PAD] = 0.0  # the decoder's start
    norm = float(wanted[_NUMBERS // 2].norm())  # tied weights: |embedding| decides the scale of the logits
    model.shared.weight[_rows(shape)] = directions * norm
    size = norm * shape.width**-0.5  # rms of an embedding

    # Cross-attention of the first decoder layer: the prompt's number, into directions of its own. All tokens of
    # a prompt are the same, so it does not matter what is attended to.
    attention = model.decoder.block[0].layer[1].EncDecAttention
    attention.v.weight.copy_(_fitted(carried.T @ directions, attention.v.weight))
    attention.o.weight.copy_(_fitted(torch.eye(shape.width), attention.o.weight) * size)

    # Last feed-forward block: number → wanted directions, far larger than what is in the residual stream. The
    # hidden units are a rotation of the input and its negative, so that dropout blurs all numbers a little.
    block = model.decoder.block[-1].layer[2].DenseReluDense
    read = torch.cat([directions, carried * _PROMPT_SHARE])
    first = wanted.clone()
    first[2:, 0] = 0.0  # or it would add to the end's logit at every step
    write = torch.cat([wanted, first]) @ directions * _LOUD
    generator = torch.Generator().manual_seed(0)
    turned = torch.linalg.qr(torch.randn(shape.width, shape.width, generator=generator)).Q
    out = write.T @ read @ turned.T
    block.wi.weight.copy_(_fitted(torch.cat([turned, -turned]), block.wi.weight))
    block.wo.weight.copy_(_fitted(torch.cat([out, -out], dim=1), block.wo.weight))


def _fitted(matrix: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """`matrix` in the corner of zeros of the shape of `like` (heads × head size may exceed the width)."""
    out = torch.zeros_like(like)
    out[: matrix.shape[0], : matrix.shape[1]] = matrix
    return out
