"""The four experiments of the paper (method, section 4), as a study file asks for them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

EXPERIMENTS = ("before_after", "by_epoch", "by_samples", "by_samples_fixed_steps")

RESULTS = {
    "before_after": "Tables 1, 6, 8",
    "by_epoch": "Table 7, Figure 2",
    "by_samples": "Figures 3 (left), 6a",
    "by_samples_fixed_steps": "Figures 3 (right), 6b",
}
"""What of the paper comes from each."""


class Strict(BaseModel):
    """A part of a study file: no unknown keys, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


def not_empty(value: list) -> list:
    if not value:
        raise ValueError("give at least one")
    return value


def _distinct(value: list[int]) -> list[int]:
    if len(set(value)) < len(value):
        raise ValueError("one stands twice")
    return sorted(not_empty(value))


Samples = Annotated[list[Annotated[int, Field(ge=1)]], AfterValidator(_distinct)]

_SAMPLES = (100, 500, 1000, 2000)


class BeforeAfterConfig(Strict):
    """Early stopping; measured before, after epoch 1, and where the validation metric was best ("full")."""

    epochs: int = Field(default=200, ge=1)
    patience: int | None = Field(default=2, ge=1)


class ByEpochConfig(Strict):
    """Measured before and after every epoch."""

    epochs: int = Field(default=10, ge=1)


class BySamplesConfig(Strict):
    """So many training items, each for so many epochs; measured at the end."""

    samples: Samples = list(_SAMPLES)
    epochs: int = Field(default=10, ge=1)


class BySamplesFixedStepsConfig(Strict):
    """So many training items, each for so many optimiser steps; measured at the end."""

    samples: Samples = list(_SAMPLES)
    steps: int = Field(default=2500, ge=1)


def _spelt_out(value: Any) -> Any:
    """A list of names stands for their defaults, and so does a name with nothing behind it."""
    if isinstance(value, list):
        for name in value:
            if not isinstance(name, str):
                raise ValueError(f"is a list of names, or a mapping of names to settings; {name!r} is neither")
            if value.count(name) > 1:
                raise ValueError(f"{name} stands twice")
        return {name: {} for name in value}
    if isinstance(value, dict):
        return {name: {} if settings is None else settings for name, settings in value.items()}
    return value


class ExperimentsConfig(Strict):
    """Which experiments; one that is absent is not run."""

    before_after: BeforeAfterConfig | None = None
    by_epoch: ByEpochConfig | None = None
    by_samples: BySamplesConfig | None = None
    by_samples_fixed_steps: BySamplesFixedStepsConfig | None = None

    @model_validator(mode="after")
    def _some(self) -> ExperimentsConfig:
        if not self.names():
            raise ValueError(f"give at least one of {', '.join(EXPERIMENTS)}")
        return self

    def names(self) -> list[str]:
        return [name for name in EXPERIMENTS if getattr(self, name) is not None]

    def alone(self, name: str) -> ExperimentsConfig:
        """One of them, without the others."""
        return ExperimentsConfig.model_validate({name: getattr(self, name)})


Experiments = Annotated[ExperimentsConfig, BeforeValidator(_spelt_out)]
