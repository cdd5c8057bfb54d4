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
    """How a model is fine-tuned; the defaults are the paper's.

    Attributes
    ----------
    epochs : at most so many passes over the training items.
    patience : stop when the validation metric has not risen, strictly, for so many epochs; None never stops.
    learning_rate : constant, without warm-up.
    lora : adapters instead of all weights, or None.
    too_long : training items that do not fit the context: "error", "truncate" (the prompt), or "drop".
    """

    epochs: int = 200
    patience: int | None = 2
    batch_size: int = 8
    learning_rate: float = 5e-5
    lora: LoraOptions | None = None
    too_long: str = "error"
    chat: str = "auto"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise InputError("training: epochs and batch_size must be at least 1")
        if self.learning_rate <= 0:
            raise InputError("training: learning_rate must be above 0")
        if self.patience is not None and self.patience < 1:
            raise InputError("training: patience must be at least 1, or null for none")

    def identity(self) -> dict[str, Any]:
        """What the trained weights depend on."""
        return asdict(self)
