"""Dropout while decoding: which kind is in force, and with which probability.

Architectures differ: T5 and BART have dropout of their own; Llama and Gemma 2 have only that of the attention,
which is 0.0 by default. Hence the kind is explicit. `native` is what the model was built with. For the other kinds
the model stays in evaluation mode, so that nothing of its own acts, and exactly the dropout asked for is added:
after the blocks that write into the residual stream (`residual.py` finds them), or on every attention map.
`dropout_check.py` proves that exactly this acts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from aftertune.errors import InputError
from aftertune.models.adapters import unwrapped

NO_DROPOUT = "none"
KINDS = ("auto", "native", "attention", "lora", "residual")


@dataclass(frozen=True, slots=True, kw_only=True)
class DropoutSetting:
    """Which dropout acts during the dropout decodes.

    Attributes
    ----------
    kind : ``native``: what the model was built with (T5, BART), without that of adapters. ``attention``:
        probability p on every attention map, and nothing else. ``residual``: probability p on the output of every
        attention and feed-forward block before it is added to the residual stream (Vaswani et al. 2017, 5.4), and
        nothing else. ``lora``: the adapters' own dropout only. ``auto``: native where the model has dropout of its
        own, else a kind and a probability that `generate.dropout_strength` finds by their effect; until then,
        native.
    p : probability for ``attention`` and ``residual``; None for the others.
    """

    kind: str = "auto"
    p: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(
                f"dropout {self.kind!r} is not one of {', '.join(KINDS)} (or none, for no dropout scores)"
            )
        needs_p = self.kind in ("attention", "residual")
        if needs_p and (self.p is None or not 0.0 < self.p < 1.0):
            raise InputError(
                f"dropout {self.kind} needs a probability between 0 and 1, as in {self.kind}:0.02; "
                "write auto to have one found by its effect"
            )
        if not needs_p and self.p is not None:
            raise InputError(f"dropout {self.kind} takes no probability: the model's own is used")

    def __str__(self) -> str:
        return self.kind if self.p is None else f"{self.kind}:{self.p:g}"


def parse_dropout(text: str) -> DropoutSetting:
    """The setting that a text such as ``attention:0.1`` stands for.

    Raises
    ------
    InputError
        The kind is unknown or absent, or its probability is no number or out of range.

    >>> str(parse_dropout("residual:0.10"))
    'residual:0.1'
    """
    kind, _, p = text.strip().partition(":")
    if re.fullmatch(r"[\d.]+", kind):
        raise InputError(
            f"dropout {text!r} does not say which: write residual:{kind} or attention:{kind}, or auto for one "
            "that is found by its effect (none, for no dropout scores)"
        )
    try:
        return DropoutSetting(kind=kind, p=float(p) if p else None)
    except ValueError:
        raise InputError(
            f"dropout {text!r}: {p!r} is not a number; write {kind}:0.02, or auto to have it found"
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveDropout:
    """What one watched forward pass showed: how many dropout calls acted, with which probabilities."""

    sites: int
    probabilities: tuple[float, ...]


@contextmanager
def dropout_on(model: Any, setting: DropoutSetting) -> Iterator[None]:
    """Dropout active as `setting` says inside the block, and no other; every module as it was afterwards.

    Raises
    ------
    InputError
        The blocks that ``residual`` acts on cannot be found; or gradient checkpointing is on with ``native``,
        which needs training mode, where ``use_cache`` would silently be dropped.
    """
    with ExitStack() as stack:
        stack.enter_context(evaluating(model))
        if setting.kind == "lora":
            from peft.tuners.lora import LoraLayer

            for module in model.modules():
                if isinstance(module, LoraLayer):
                    module.lora_dropout.train()
        elif setting.kind == "attention":
            stack.enter_context(_attention_maps(float(setting.p or 0.0)))
        elif setting.kind == "residual":
            stack.enter_context(_residual_hooks(model, float(setting.p or 0.0)))
        else:
            stack.enter_context(_native(model))
        yield


@contextmanager
def _native(model: Any) -> Iterator[None]:
    """Training mode for the model without its adapters, and without what else is random there.

    Layer drop would skip whole layers, which breaks the cache; routers of experts may add noise.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    if any(module.__dict__.get("gradient_checkpointing") is True for module in model.modules()):
        raise InputError("gradient checkpointing is on: decoding in training mode would be wrong; switch it off")
    model.train()
    adapters: list[Any] = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    for adapter in adapters:
        adapter.eval()
        adapter.get_base_layer().train()
    names = ("layerdrop", "jitter_noise", "router_jitter_noise")
    old = [
        (m, name, m.__dict__[name])
        for m in model.modules()
        for name in names
        if isinstance(m.__dict__.get(name), float | int)
    ]
    try:
        for module, name, _ in old:
            setattr(module, name, 0.0)
        yield
    finally:
        for module, name, previous in old:
            setattr(module, name, previous)


@contextmanager
def _residual_hooks(model: Any, p: float) -> Iterator[None]:
    import torch.nn.functional as F

    from aftertune.models.residual import on_output, residual_blocks

    def drop(module: Any, args: Any, output: Any) -> Any:
        return on_output(output, lambda states: F.dropout(states, p=p, training=True))

    handles = [block.register_forward_hook(drop) for block in residual_blocks(unwrapped(model))]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def is_attention_map(x: Any) -> bool:
    """Whether a tensor is attention weights: (R, H, Q, S), or (R·H, Q, S) with rows that sum to 1.

    A row may also be all 0: a position that is padding attends to nothing.
    """
    if x.dim() != 3:
        return x.dim() > 3
    total = x.sum(-1).float()
    ones, none = (total - 1.0).abs() < 0.02, total == 0.0
    return bool((x >= 0.0).all() and (ones | none).all() and ones.any())


@contextmanager
def _attention_maps(p: float) -> Iterator[None]:
    """Every attention map passes through dropout p, whatever the model asks for. `RowMasks` does so itself."""
    import torch.nn.functional as F

    dropout, attention = F.dropout, F.scaled_dot_product_attention

    def dropped(x: Any, *args: Any, **named: Any) -> Any:
        return dropout(x, p, True) if is_attention_map(x) else dropout(x, *args, **named)

    def attended(
        query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, *args: Any, **named: Any
    ) -> Any:
        return attention(query, key, value, attn_mask, p, *args, **named)

    F.dropout, F.scaled_dot_product_attention = dropped, attended  # type: ignore[assignment]
    try:
        yield
    finally:
        F.dropout, F.scaled_dot_product_attention = dropout, attention


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Every module in evaluation mode inside the block, back to its own mode afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
