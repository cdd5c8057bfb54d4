"""The fine-tuning protocol (method, section 4) and where it may be changed."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from aftertune.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraOptions:
    """Low-rank adapters (Hu et al. 2022) through peft; the base weights stay as they are."""

    r: int = 16
    alpha: int = 32
    dropout: float = 0.05
    target_modules: tuple[str, ...] | str = "all-linear"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinetuneOptions:
    """How a model is fine-tuned; the defaults are the paper's. How long it goes on is a `Schedule`.

    Attributes
    ----------
    learning_rate : constant, without warm-up.
    lora : adapters instead of all weights, or None.
    too_long : training items that do not fit the context: "error", "truncate" (the prompt), or "drop".
    """

    batch_size: int = 8
    learning_rate: float = 5e-5
    lora: LoraOptions | None = None
    too_long: str = "error"
    chat: str = "auto"

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError("training: batch_size must be at least 1")
        if self.learning_rate <= 0:
            raise InputError("training: learning_rate must be above 0")

    def identity(self) -> dict[str, Any]:
        """What the trained weights depend on."""
        return asdict(self)
