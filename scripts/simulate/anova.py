"""How often three tests of a change over training runs reject though there is none.

    python -m scripts.simulate.anova     rows of a Markdown table

Two groups of R normal values with one mean; one group constant, as of scores that do not depend on the seed before
fine-tuning, or both varying.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

RUNS = (3, 5, 10)


def sizes(runs: int, *, constant: bool, replicates: int, rng: np.random.Generator) -> tuple[float, float, float]:
    """Share of p < .05 of the one-way ANOVA, Welch's test and the paired t test, without a change."""
    to = rng.normal(size=(replicates, runs))
    from_ = np.zeros_like(to) if constant else rng.normal(size=to.shape)
    p = (
        stats.f_oneway(from_, to, axis=1).pvalue,
        stats.ttest_ind(from_, to, axis=1, equal_var=False).pvalue,
        stats.ttest_rel(to, from_, axis=1).pvalue,
    )
    anova, welch, paired = (float(np.mean(one < 0.05)) for one in p)
    return anova, welch, paired


def main(replicates: int = 200_000) -> None:
    print("| runs | before | ANOVA | Welch | paired t |\n|---|---|---|---|---|")
    for constant in (True, False):
        for runs in RUNS:
            rng = np.random.default_rng([runs, constant])
            found = sizes(runs, constant=constant, replicates=replicates, rng=rng)
            cells = " | ".join(f"{size:.3f}" for size in found)
            print(f"| {runs} | {'constant' if constant else 'varies'} | {cells} |")


if __name__ == "__main__":
    main()
