"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Sizes of a whole run; the defaults are those that the figures are stated for.

    Attributes
    ----------
    repeats : rounds of the calls that a target speaks of (greedy, which is short: twice as many and one).
    tokens : new tokens at most.
    prompts : of the models that never stop, one batch; natural_prompts : of those that stop.
    longest_prompt : in tokens; prompts are spread evenly between 16 and this.
    memory_tokens : new tokens where memory is measured.
    steps : fine-tuning steps, the first left out; tiny_steps : of the tiny model.
    tiny : shapes with next to nothing to compute; only to see that everything runs.
    """

    repeats: int = 2
    tokens: int = 64
    prompts: int = 16
    natural_prompts: int = 16
    longest_prompt: int = 256
    memory_tokens: int = 256
    steps: int = 5
    tiny_steps: int = 60
    threads: int = 2
    tiny: bool = False


def quick(plan: Plan) -> Plan:
    """Smaller in every direction: says whether it runs, and very roughly where it stands."""
    return replace(
        plan,
        repeats=1,
        tokens=min(plan.tokens, 12),
        natural_prompts=16,
        longest_prompt=48,
        memory_tokens=12,
        steps=3,
        tiny_steps=20,
    )
