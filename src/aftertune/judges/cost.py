"""What judging will cost, before it is spent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

BYTES_PER_TOKEN = 4
"""Of UTF-8: a letter of English is one, a Chinese character three."""
TOKENS_AROUND_A_PROMPT = 10
PRICES_AS_OF = "2025-11"
PRICES = {  # US dollars per million input tokens, per million output tokens, as the providers listed them
    "claude-3-5-sonnet": (3.0, 15.0),
    "claude-haiku-4-5": (1.0, 5.0),
    "claude-opus-4-5": (5.0, 25.0),
    "claude-sonnet-4-5": (3.0, 15.0),
    "gpt-4.1": (2.0, 8.0),
    "gpt-4.1-mini": (0.4, 1.6),
    "gpt-4.1-nano": (0.1, 0.4),
    "gpt-4o": (2.5, 10.0),
    "gpt-4o-mini": (0.15, 0.6),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """An estimate.

    Attributes
    ----------
    calls : requests that will be sent, retries not counted.
    cached : answers that are known already.
    input_tokens : of all calls, about (`tokens_of`).
    output_tokens : of all calls, at most.
    price : US dollars at most, by the prices of `PRICES_AS_OF`; None where the price of the model is not known.
    """

    calls: int
    cached: int
    input_tokens: int
    output_tokens: int
    price: float | None

    def times(self, n: int) -> Cost:
        """Of n times as much."""
        return Cost(
            calls=n * self.calls,
            cached=n * self.cached,
            input_tokens=n * self.input_tokens,
            output_tokens=n * self.output_tokens,
            price=None if self.price is None else n * self.price,
        )

    def __str__(self) -> str:
        """One line for the reader."""
        known = f", {self.cached:,} known already" if self.cached else ""
        if not self.calls:
            return f"no calls{known}"
        price = (
            "price of the model not known"
            if self.price is None
            else f"at most ${self.price:,.2f} by the prices of {PRICES_AS_OF}"
        )
        noun = "call" if self.calls == 1 else "calls"
        return f"{self.calls:,} {noun}{known}, about {self.input_tokens:,} input tokens, {price}"


FREE = Cost(calls=0, cached=0, input_tokens=0, output_tokens=0, price=0.0)


def total(costs: Iterable[Cost]) -> Cost:
    """Of all; the price is known where it is of each."""
    costs = list(costs)
    prices = [cost.price for cost in costs if cost.price is not None]
    return Cost(
        calls=sum(cost.calls for cost in costs),
        cached=sum(cost.cached for cost in costs),
        input_tokens=sum(cost.input_tokens for cost in costs),
        output_tokens=sum(cost.output_tokens for cost in costs),
        price=sum(prices) if len(prices) == len(costs) else None,
    )


def tokens_of(prompt: str) -> int:
    """Input tokens of a call, about: a token for four bytes, and those that the API puts around a prompt.

    >>> tokens_of("Is it correct?"), tokens_of("正しいですか")
    (14, 15)
    """
    return -(-len(prompt.encode()) // BYTES_PER_TOKEN) + TOKENS_AROUND_A_PROMPT


def price_of(model: str) -> tuple[float, float] | None:
    """Dollars per million input and output tokens; a date at the end of the name does not matter.

    >>> price_of("claude-sonnet-4-5-20250929")
    (3.0, 15.0)
    >>> price_of("gpt-4o-2024-08-06")
    (2.5, 10.0)
    >>> price_of("llama-3.1-8b") is None
    True
    """
    name = model.removesuffix("-latest")
    parts = name.split("-")
    while parts and parts[-1].isdigit() and len(parts[-1]) in (2, 4, 8) and name not in PRICES:
        parts.pop()
        name = "-".join(parts)
    return PRICES.get(name)
