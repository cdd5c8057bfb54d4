"""How many prompts are decoded at once: as many as memory is estimated to hold, and half as many when it did not.

The estimate is deliberately high: it is the worst case of a beam search, in which no two beams share anything.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import psutil
import torch

from aftertune.errors import InputError
from aftertune.models.adapters import unwrapped
from aftertune.models.loaded import LoadedModel

MOST_CPU, MOST_GPU = 32, 128
"""Prompts at most: on a CPU, more of them no longer make better use of the weights."""
SHARE_CPU, SHARE_GPU = 0.4, 0.8
"""Share of the free memory that a batch may take."""
LAYERS = 48
"""Of a model whose configuration does not say how many it has."""

TOO_LARGE = (
    "memory does not suffice for a single prompt: lower beams, dropout_samples or max_new_tokens, "
    "or load the model in bfloat16"
)

T = TypeVar("T")


def in_batches(
    lengths: Sequence[int],
    size: int | Callable[[int], int],
    work: Callable[[Sequence[int]], T],
    wanted: Callable[[int], bool] = lambda row: True,
) -> Iterator[T]:
    """`work(rows)` for batches by falling length, so that what does not fit shows at once.

    Rows of equal length keep their order. A batch that memory cannot hold is halved, and later ones are no larger.

    Parameters
    ----------
    size : how many prompts make a batch, or a function that says so for a given length.
    wanted : rows that are left out do not change which of the others are together.

    Raises
    ------
    InputError
        Not even one row fits.

    >>> list(in_batches([3, 9, 4, 4], lambda length: 1 if length > 5 else 2, work=list))
    [[1], [2, 3], [0]]
    """
    left = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    most = len(lengths)
    while left:
        n = max(1, min(size if isinstance(size, int) else size(lengths[left[0]]), most))
        rows = [row for row in left[:n] if wanted(row)]
        if not rows:
            left = left[n:]
            continue
        try:
            done = work(rows)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if len(rows) == 1:
                raise InputError(TOO_LARGE) from None
            most = (len(rows) + 1) // 2
        else:
            left = left[n:]
            yield done
            continue
        gc.collect()  # outside the handler, which kept the failed batch's tensors alive
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed, on whatever device (a CPU's failure is a plain RuntimeError)."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)


def size_by_memory(
    loaded: LoadedModel, *, beams: int, dropout_samples: int, max_new_tokens: int
) -> Callable[[int], int]:
    """How many prompts of a given length fit the memory that is free now."""
    cpu = loaded.model.device.type != "cuda"
    room = free_bytes(loaded.model.device) * (SHARE_CPU if cpu else SHARE_GPU)
    most = MOST_CPU if cpu else MOST_GPU

    def size(length: int) -> int:
        return min(most, int(room // bytes_per_prompt(loaded, length, beams, dropout_samples, max_new_tokens)))

    return size


def free_bytes(device: torch.device) -> int:
    """Memory that can still be taken on a device."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return psutil.virtual_memory().available


def bytes_per_prompt(loaded: LoadedModel, length: int, beams: int, dropout_samples: int, new_tokens: int) -> int:
    """Estimated memory of one prompt of `length` tokens: keys and values, activations, a step's logits.

    The greater of its two phases: greedy and beams (one prompt, a column per path and token), and the dropout
    samples (each with its own prompt).
    """
    settings = unwrapped(loaded.model).config.get_text_config(decoder=True).to_dict()
    item = loaded.model.dtype.itemsize
    vocabulary, embedding = unwrapped(loaded.model).get_input_embeddings().weight.shape
    width = _first(settings, ("hidden_size", "d_model", "n_embd"), embedding)
    heads = _first(settings, ("num_attention_heads", "n_head", "n_heads", "num_heads"), max(1, width // 64))
    key_values = _first(settings, ("num_key_value_heads",), heads)
    head = _first(settings, ("head_dim", "d_kv"), width // heads)
    layers = _first(settings, ("num_hidden_layers", "num_layers", "n_layer", "decoder_layers"), LAYERS)
    inner = _first(settings, ("intermediate_size", "d_ff", "decoder_ffn_dim"), 4 * width)
    column = 2 * layers * key_values * head * item
    logits = vocabulary * (item + 4)
    reading = length * (4 * width + 3 * inner) * item + 2 * heads * length * length * 4
    paths = beams + 1
    together = column * (length + 2 * paths * new_tokens) + reading + paths * logits
    samples = dropout_samples * (column * (length + 2 * new_tokens) + reading + logits)
    return max(together, samples)


def _first(settings: Any, names: Sequence[str], otherwise: int) -> int:
    """The first of these settings that a configuration has; the largest where layers differ."""
    return next((max(values) for name in names if (values := list(_values(settings, name)))), otherwise)


def _values(settings: Any, name: str) -> Iterator[int]:
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _values(value, name)
        elif key == name:
            each = value if isinstance(value, list | tuple) else [value]
            yield from (one for one in each if isinstance(one, int) and one > 0)
