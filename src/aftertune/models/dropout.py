"""Dropout while decoding: which kind is in force, with which probability, and proof that it acts.

Architectures differ. T5 has ``nn.Dropout`` modules; BART calls ``F.dropout`` from its layers' ``training``
flag; Llama and Gemma 2 only have attention dropout, 0.0 by default, so that ``model.train()`` alone changes
nothing. Hence the kind is explicit, and what acts is *counted* by watching a forward pass instead of being
inferred from module names.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from aftertune.errors import InputError

KINDS = ("auto", "native", "attention", "lora", "residual")


@dataclass(frozen=True, slots=True, kw_only=True)
class DropoutSetting:
    """Which dropout acts during the dropout decodes.

    kind
        ``native``: what the model was built with (T5, BART). ``attention``: probability p on every attention
        map. ``residual``: probability p on the output of every attention and feed-forward block before it is
        added to the residual stream (Vaswani et al. 2017, 5.4). ``lora``: the adapters' own dropout only.
        ``auto``: native, and an error where the model has none.
    p
        Probability for ``attention`` and ``residual``; None for the others.
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
            raise InputError(f"dropout {self.kind} needs a probability between 0 and 1: write {self.kind}:0.1")
        if not needs_p and self.p is not None:
            raise InputError(f"dropout {self.kind} takes no probability: the model's own is used")

    def __str__(self) -> str:
        return self.kind if self.p is None else f"{self.kind}:{self.p:g}"


def parse_dropout(text: str) -> DropoutSetting:
    """``attention:0.1`` → DropoutSetting.

    >>> str(parse_dropout("residual:0.10"))
    'residual:0.1'
    """
    kind, _, p = text.strip().partition(":")
    if re.fullmatch(r"[\d.]+", kind):
        raise InputError(
            f"dropout {text!r} does not say which: write residual:0.1 for a probability of 0.1 (or attention:0.1; "
            "none, for no dropout scores)"
        )
    try:
        return DropoutSetting(kind=kind, p=float(p) if p else None)
    except ValueError:
        raise InputError(f"dropout {text!r}: {p!r} is not a number; write {kind}:0.1") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveDropout:
    """What one watched forward pass showed: how many dropout calls acted, with which probabilities."""

    sites: int
    probabilities: tuple[float, ...]


@contextmanager
def dropout_on(model: Any, setting: DropoutSetting) -> Iterator[None]:
    """Dropout active as `setting` says inside the block; every module's mode restored afterwards.

    Layer drop is switched off: it skips whole layers, which also breaks the cache. Gradient checkpointing must
    be off: with it, ``use_cache`` is silently dropped in training mode.
    """
    if any(module.__dict__.get("gradient_checkpointing") is True for module in model.modules()):
        raise InputError("gradient checkpointing is on: decoding in training mode would be wrong; switch it off")
    modes = [(module, module.training) for module in model.modules()]
    with ExitStack() as stack:
        stack.callback(_restore_modes, modes)
        if setting.kind == "lora":
            model.eval()
            _train_lora(model)
        else:
            model.train()
            stack.enter_context(_attributes(model, "layerdrop", lambda _: 0.0))
            if setting.kind == "attention":
                stack.enter_context(_attributes(model, "attention_dropout", lambda _: setting.p))
            elif setting.kind == "residual":
                stack.enter_context(_residual_hooks(model, float(setting.p or 0.0)))
        yield


def _restore_modes(modes: list[tuple[Any, bool]]) -> None:
    for module, training in modes:
        module.training = training


def _train_lora(model: Any) -> None:
    from peft.tuners.lora import LoraLayer

    for module in model.modules():
        if isinstance(module, LoraLayer):
            module.lora_dropout.train()


@contextmanager
def _attributes(model: Any, name: str, value: Callable[[float], float | None]) -> Iterator[None]:
    """Set a probability that modules keep as a plain number, and put the old one back.

    transformers' modules read it at every call; changing the configuration after loading would do nothing.
    """
    old = [(m, m.__dict__[name]) for m in model.modules() if isinstance(m.__dict__.get(name), float | int)]
    try:
        for module, previous in old:
            setattr(module, name, value(previous))
        yield
    finally:
        for module, previous in old:
            setattr(module, name, previous)


@contextmanager
def _residual_hooks(model: Any, p: float) -> Iterator[None]:
    import torch.nn.functional as F

    def drop(module: Any, args: Any, output: Any) -> Any:
        if isinstance(output, tuple):
            return (F.dropout(output[0], p=p, training=True), *output[1:])
        return F.dropout(output, p=p, training=True)

    handles = [block.register_forward_hook(drop) for block in _residual_blocks(model)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _residual_blocks(model: Any) -> list[Any]:
    """Attention and feed-forward blocks of a decoder-only model's layers, by transformers' common names."""
    blocks = []
    for module in model.modules():
        children = dict(module.named_children())
        if "self_attn" in children and "mlp" in children:
            blocks += [children["self_attn"], children["mlp"]]
    return blocks


def check_dropout(model: Any, setting: DropoutSetting, forward: Callable[[], Any], name: str) -> ActiveDropout:
    """Count the dropout calls that act in one forward pass; none is an error that says what to set.

    Must be called inside `dropout_on`. `forward` runs the model once on any input.
    """
    import torch

    with torch.no_grad(), torch.random.fork_rng(devices=_cuda_devices(model)), _Watch() as watch:
        forward()
    if not watch.probabilities:
        raise InputError(_nothing_acts(setting, name))
    return ActiveDropout(sites=len(watch.probabilities), probabilities=tuple(sorted(set(watch.probabilities))))


def _nothing_acts(setting: DropoutSetting, name: str) -> str:
    if setting.kind == "lora":
        return f"{name} has no LoRA dropout in force: write dropout residual:0.1 or attention:0.1 instead of lora"
    return (
        f"{name} has no active dropout (setting {setting}): dropout scores would be constants; "
        "set dropout to residual:0.1 or attention:0.1, or to none to leave them out"
    )


def _cuda_devices(model: Any) -> list[int]:
    return [model.device.index or 0] if model.device.type == "cuda" else []


class _Watch:
    """Records the probability of every dropout call that acts while it is entered."""

    def __init__(self) -> None:
        self.probabilities: list[float] = []

    def __enter__(self) -> _Watch:
        import torch.nn.functional as F
        from torch.overrides import TorchFunctionMode

        probabilities = self.probabilities

        class Mode(TorchFunctionMode):
            def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
                kwargs = kwargs or {}
                p = 0.0
                if func is F.dropout:
                    training = args[2] if len(args) > 2 else kwargs.get("training", True)
                    p = (args[1] if len(args) > 1 else kwargs.get("p", 0.5)) if training else 0.0
                elif func is F.scaled_dot_product_attention:
                    p = args[4] if len(args) > 4 else kwargs.get("dropout_p", 0.0)
                if p > 0.0:
                    probabilities.append(float(p))
                return func(*args, **kwargs)

        self._mode = Mode()
        self._mode.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._mode.__exit__(*exc)
