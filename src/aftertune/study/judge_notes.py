"""What a judge, or none, makes of the items of a task: for a reader, before the numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from aftertune.types import Example

NONE = (
    "no judge: answers are known to be right or wrong only where quality is 0 or 1 everywhere; say which are "
    "right with --judge, such as --judge token_f1:0.5 (docs/judges.md)"
)


def on_the_judge(spec: str | None, measured: Mapping[str, Sequence[Example]]) -> Iterator[str]:
    """
    Parameters
    ----------
    spec : of the judge; None for none.
    measured : split → items; without a judge, with validation items only where the user asked for them.
    """
    if spec is None:
        if "validation" in measured:
            yield NONE
        return
    kind, _, threshold = spec.partition(":")
    if kind != "rule":
        return
    if threshold and float(threshold) == 0:
        yield (
            f"right is by the judge {spec} what lies nearest to a correct answer, however far: one word in "
            "common is enough, which is no measure of truth"
        )
    lacking, n = sum(not example.incorrect for example in measured["test"]), len(measured["test"])
    if lacking:
        some = f"{lacking:,} of {n:,} test items {'has' if lacking == 1 else 'have'} no"
        some = "no item has" if lacking == n else some
        yield f"{some} known wrong answers: there the judge {spec} looks at the nearest correct answer alone"
