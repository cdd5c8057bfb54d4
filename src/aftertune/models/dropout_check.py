"""Proof that a dropout setting does what it says on a model: a forward pass is watched, and what acts is counted.

Another probability than the setting's, or another number of places, is an error, which names what would work on
this very model.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from aftertune.errors import InputError
from aftertune.models.adapters import unwrapped
from aftertune.models.dropout import ActiveDropout, DropoutSetting, dropout_on, is_attention_map
from aftertune.models.residual import residual_blocks


def check_dropout(model: Any, setting: DropoutSetting, forward: Callable[[], Any], name: str) -> ActiveDropout:
    """What acts in one forward pass under `setting`.

    Parameters
    ----------
    forward : runs the model once on any input.
    name : of the model, for messages.

    Raises
    ------
    InputError
        Nothing acts, or not exactly what `setting` says; names what works on this model.
    """
    try:
        return _acting(model, setting, forward)
    except _Refused as refused:
        remedy = _remedy(model, setting, forward)
        raise InputError(
            f"{name} ({type(unwrapped(model)).__name__}): dropout {setting} {refused}: {remedy}"
        ) from None


class _Refused(Exception):
    """A setting does not do what it says; the message ends a sentence that begins with "dropout …"."""


def works(model: Any, setting: DropoutSetting, forward: Callable[[], Any]) -> bool:
    """Whether `check_dropout` passes."""
    try:
        _acting(model, setting, forward)
    except _Refused:
        return False
    return True


def _remedy(model: Any, refused: DropoutSetting, forward: Callable[[], Any]) -> str:
    p = refused.p or 0.05
    tried = [
        DropoutSetting(kind="native"),
        DropoutSetting(kind="residual", p=p),
        DropoutSetting(kind="attention", p=p),
        DropoutSetting(kind="lora"),
    ]
    possible = [setting for setting in tried if setting != refused and works(model, setting, forward)]
    if not possible:
        return "no other kind works on this model; set dropout to none, for no dropout scores"
    if possible[0].kind == "lora":
        return "set dropout to lora, or to none for no dropout scores"
    auto = "its own" if possible[0].kind == "native" else f"{possible[0].kind} dropout as strong as suits it"
    kind = "auto" if refused.kind != "auto" else f"{possible[0].kind}:P with a P of your own"
    return f"set dropout to {kind} ({auto}), or to none for no dropout scores"


def _acting(model: Any, setting: DropoutSetting, forward: Callable[[], Any]) -> ActiveDropout:
    blocks = 0

    def called(module: Any, args: Any, output: Any) -> None:
        nonlocal blocks
        blocks += 1

    with torch.no_grad(), forked_generators(model), ExitStack() as stack:
        watch = stack.enter_context(_Watch())
        try:
            stack.enter_context(dropout_on(model, setting))
            if setting.kind == "residual":
                for block in residual_blocks(unwrapped(model)):
                    stack.callback(block.register_forward_hook(called).remove)
        except InputError as error:
            raise _Refused(f"cannot be applied, {error}") from None
        forward()
    found, maps = watch.probabilities, watch.on_maps
    if not found:
        raise _Refused(_NOTHING[setting.kind])
    if setting.kind in ("attention", "residual") and set(found) != {setting.p}:
        others = ", ".join(f"{p:g}" for p in sorted(set(found) - {setting.p}))
        raise _Refused(f"does not act alone, dropout of {others} acts too")
    if setting.kind == "residual" and (len(found) != blocks or maps):
        raise _Refused(f"acts at {len(found)} places instead of {blocks}")
    if setting.kind == "attention" and watch.softmaxes > len(found) - watch.fused:
        raise _Refused(f"acts on {len(found)} attention maps only, others pass no dropout")
    return ActiveDropout(sites=len(found), probabilities=tuple(sorted(set(found))))


_NOTHING = {
    "auto": "is still to be found, the model has no dropout of its own",
    "native": "does not act, the model has no dropout of its own",
    "lora": "does not act, there are no LoRA adapters with dropout",
    "attention": "does not act, no attention map passes through a dropout call",
    "residual": "does not act",
}


def forked_generators(model: Any) -> AbstractContextManager[None]:
    """A block after which torch's generators, that of the model's device too, are as before."""
    return torch.random.fork_rng(devices=[model.device.index or 0] if model.device.type == "cuda" else [])


class _Watch(TorchFunctionMode):
    """Records the dropout calls that act while it is entered.

    Attributes
    ----------
    probabilities : one for each call.
    fused : number of calls of attention that drops inside.
    on_maps : number of other calls that act on attention maps.
    softmaxes : number of softmax calls that make attention maps (R, H, Q, S).
    """

    def __init__(self) -> None:
        super().__init__()
        self.probabilities: list[float] = []
        self.fused = self.on_maps = self.softmaxes = 0
        self._attention = F.scaled_dot_product_attention

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is F.dropout:
            if args[2] if len(args) > 2 else kwargs.get("training", True):
                p = args[1] if len(args) > 1 else kwargs.get("p", 0.5)
                self.on_maps += self._act(p) and is_attention_map(args[0])
        elif func is self._attention:
            self.fused += self._act(args[4] if len(args) > 4 else kwargs.get("dropout_p", 0.0))
        result = func(*args, **kwargs)
        if func in (F.softmax, torch.softmax, torch.Tensor.softmax):
            self.softmaxes += result.dim() == 4
        return result

    def _act(self, p: float) -> bool:
        if p > 0.0:
            self.probabilities.append(float(p))
        return p > 0.0
