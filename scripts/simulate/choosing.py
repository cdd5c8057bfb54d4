"""How often are thresholds, percentages and intervals of AUROC wrong? Prints rows of Markdown tables.

    python -m scripts.simulate.choosing [thresholds] [few] [intervals] [maps] [auroc] [--replicates N]

Right answers have confidence N(mu, 1), wrong ones N(0, 1), unless a row says otherwise. The standard error of
a share of 0.05 is 0.005 with 2,000 replicates.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator

import numpy as np
from scipy import stats

from aftertune.stats.alerts import (
    ERROR,
    ERROR_AFTER_EPOCHS,
    ERROR_ON_THE_SAME,
    candidate_thresholds,
    review_threshold,
)
from aftertune.stats.calibration import FITS, WIDEST, NoMap, map_for, supported, venn_abers
from aftertune.stats.choosing import select_half
from aftertune.stats.discrimination import auroc_interval

SCORES = 13
N_TEST = 300


def mean_shift(area: float) -> float:
    """mu for an AUROC."""
    return math.sqrt(2) * float(stats.norm.ppf(area))


def thresholds_missed(
    n: int,
    accuracy: np.ndarray,
    area: float,
    wanted: float,
    *,
    rng: np.random.Generator,
    replicates: int,
    chosen_on: str = "half",
    error: float = ERROR_AFTER_EPOCHS,
    shared: float = 0.3,
    agreement: float = 0.6,
) -> tuple[float, float]:
    """The whole procedure on n validation items: epoch, score among 13, threshold.

    Parameters
    ----------
    accuracy
        (E,) share of right answers at each epoch. The epoch with most right validation answers is selected.
    shared
        Correlation of the scores' noise.
    agreement
        Latent correlation of whether an item is right at two epochs.
    chosen_on
        What chooses the score: "half" of the validation items, the threshold being fitted on the other; "all" of
        them; or "test" items. The epoch is always chosen on all validation items.

    Returns
    -------
    missed : share of data sets in which a threshold is named above which fewer than `wanted` are right.
    named : share in which one is named.
    """
    shift, least = mean_shift(area), stats.norm.ppf(1 - accuracy)[:, None]
    missed = named = 0
    for replicate in range(replicates):
        item, own = rng.normal(size=n), rng.normal(size=(len(accuracy), n))
        right = math.sqrt(agreement) * item + math.sqrt(1 - agreement) * own > least
        epoch = int(right.mean(axis=1).argmax())
        correct, p = right[epoch], accuracy[epoch]
        noise = math.sqrt(shared) * rng.normal(size=n) + math.sqrt(1 - shared) * rng.normal(size=(SCORES, n))
        scores = shift * correct + noise
        halved = select_half([f"{replicate}-{i}" for i in range(n)])
        calibrates = ~halved if chosen_on == "half" else np.ones(n, dtype=bool)
        right_test = rng.random(N_TEST) < p
        noise = math.sqrt(shared) * rng.normal(size=N_TEST)
        tests = shift * right_test + noise + math.sqrt(1 - shared) * rng.normal(size=(SCORES, N_TEST))
        choosing = {
            "half": (scores[:, halved], correct[halved]),
            "all": (scores, correct),
            "test": (tests, right_test),
        }
        of_choosing, is_right = choosing[chosen_on]
        # The sum of the ranks of right answers orders scores as AUROC does.
        chosen = int((stats.rankdata(of_choosing, axis=1) * is_right).sum(axis=1).argmax())
        best, test = scores[chosen], tests[chosen]
        size = int(calibrates.sum())
        candidates = candidate_thresholds(test, size, precision=wanted, error=error)
        found = review_threshold(best[calibrates], correct[calibrates], candidates, precision=wanted, error=error)
        if not math.isnan(found.value):
            kept = p * stats.norm.sf(found.value - shift), (1 - p) * stats.norm.sf(found.value)
            named += 1
            missed += kept[0] < wanted * sum(kept)
    return missed / replicates, named / replicates


def flat(accuracy: float, epochs: int = 10) -> np.ndarray:
    return np.full(epochs, accuracy)


def rising(top: float) -> np.ndarray:
    return top - np.array([0.25, 0.12, 0.05, 0.02, 0.005, 0, 0.005, 0.01])


CURVES = {
    "10 epochs, all 0.5": flat(0.5),
    "10 epochs, all 0.7": flat(0.7),
    "10 epochs, all 0.79": flat(0.79),
    "10 epochs, all 0.89": flat(0.89),
    "30 epochs, all 0.79": flat(0.79, 30),
    "30 epochs, all 0.89": flat(0.89, 30),
    "8 epochs, up to 0.6": rising(0.6),
    "8 epochs, up to 0.79": rising(0.79),
    "8 epochs, up to 0.9": rising(0.9),
}
PROCEDURES = (
    {"chosen_on": "all", "error": ERROR},
    {"chosen_on": "half", "error": ERROR},
    {"chosen_on": "half", "error": ERROR_AFTER_EPOCHS},
)
CELLS = (
    ("10 epochs, all 0.5", 0.9, 0.8),
    ("10 epochs, all 0.7", 0.8, 0.8),
    ("10 epochs, all 0.7", 0.8, 0.9),
    ("10 epochs, all 0.79", 0.6, 0.8),
    ("10 epochs, all 0.89", 0.6, 0.9),
    ("30 epochs, all 0.79", 0.6, 0.8),
    ("30 epochs, all 0.89", 0.6, 0.9),
    ("8 epochs, up to 0.6", 0.9, 0.9),
    ("8 epochs, up to 0.79", 0.6, 0.8),
    ("8 epochs, up to 0.9", 0.7, 0.8),
)


def thresholds(rng: np.random.Generator, replicates: int) -> Iterator[str]:
    yield "| accuracy | AUROC | wanted | scores' noise | n | one set, 5 % | two halves, 5 % | two halves, 1.5 % |"
    yield "|---|---|---|---|---|---|---|---|"
    for curve, area, wanted in CELLS:
        for shared in (0.3, 0.8):
            for n in (100, 200, 400):
                cells = []
                for how in PROCEDURES:
                    missed, named = thresholds_missed(
                        n, CURVES[curve], area, wanted, rng=rng, replicates=replicates, shared=shared,
                        agreement=0.3 if "all" in curve else 0.6, **how,
                    )  # fmt: skip
                    cells.append(f"{missed:.3f} of {named:.2f}")
                yield f"| {curve} | {area} | {wanted} | {shared} | {n} | {' | '.join(cells)} |"


def few(rng: np.random.Generator, replicates: int) -> Iterator[str]:
    yield "| accuracy | AUROC | wanted | n | test items choose, 5 % | 0.5 % |"
    yield "|---|---|---|---|---|---|"
    for curve, area, wanted in CELLS:
        for n in (30, 60, 99):
            cells = []
            for error in (ERROR, ERROR_ON_THE_SAME):
                missed, named = thresholds_missed(
                    n, CURVES[curve], area, wanted, rng=rng, replicates=replicates, chosen_on="test", error=error,
                    agreement=0.3 if "all" in curve else 0.6,
                )  # fmt: skip
                cells.append(f"{missed:.3f} of {named:.2f}")
            yield f"| {curve} | {area} | {wanted} | {n} | {' | '.join(cells)} |"


SHAPES = {
    "normal, AUROC 0.7": (0.5, 0.7),
    "normal, AUROC 0.8": (0.85, 0.8),
    "normal, AUROC 0.55": (0.6, 0.55),
    "right answers spread twice as far": (0.6, 0.8),
    "exponential": (0.3, 0.9),
}


class Population:
    """Confidence of right and of wrong answers, and the chance of being right at a confidence."""

    def __init__(self, shape: str) -> None:
        self.share, area = SHAPES[shape]
        shift = mean_shift(area)
        wrong = stats.norm()
        right = stats.norm(shift)
        if "spread" in shape:
            right = stats.norm(1.5 * shift, 2)
        elif shape == "exponential":
            # Minus an exponential: log-probabilities.
            right, wrong = stats.gamma(1, scale=1), stats.gamma(1, scale=8)
        self.sign = -1 if shape == "exponential" else 1
        self.right, self.wrong = right, wrong

    def draw(self, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        correct = rng.random(n) < self.share
        x = np.where(correct, self.right.rvs(n, random_state=rng), self.wrong.rvs(n, random_state=rng))
        return self.sign * x, correct.astype(float)

    def chance(self, x: np.ndarray) -> np.ndarray:
        right = self.share * self.right.pdf(self.sign * x)
        return right / (right + (1 - self.share) * self.wrong.pdf(self.sign * x))


def percentages_of(shape: str, n: int, *, rng: np.random.Generator, replicates: int) -> dict[str, float]:
    """Of new answers: is the true chance in Venn–Abers' [p₀, p₁], and in the interval that is shown?"""
    population, found = Population(shape), []
    for _ in range(replicates):
        x, correct = population.draw(n, rng)
        new, _ = population.draw(50, rng)
        predictor, fit = venn_abers(x, correct), FITS[map_for(n)](x, correct)
        if isinstance(predictor, NoMap):
            continue
        true = population.chance(new)
        p0, p1 = predictor(new)
        low, high = predictor.interval(new)
        told = supported(fit(new), low, high)
        off = np.abs(told - true)
        inside, covered = (p0 <= true) & (true <= p1), (low <= true) & (true <= high)
        found.append((inside, covered, high - low, off, fit(new) - told))
    inside, covered, width, off, moved = (np.concatenate(parts) for parts in zip(*found))
    told = np.isfinite(off)
    return {
        "venn_abers": inside.mean(),
        "covered": covered.mean(),
        "width": width.mean(),
        "told": told.mean(),
        "off": off[told].mean(),
        "far": (off[told] > 0.2).mean(),
        "moved": (np.abs(moved[told]) > 1e-9).mean(),
    }


def intervals(rng: np.random.Generator, replicates: int) -> Iterator[str]:
    yield (
        "| confidence | n | chance in [p₀, p₁] | in the interval | its mean width | told a percentage "
        f"(width ≤ {WIDEST}) | mean error of these | off by over 20 points | moved into the interval |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    for shape in SHAPES:
        for n in (20, 50, 100, 200, 400):
            one = percentages_of(shape, n, rng=rng, replicates=replicates // 10)
            yield f"| {shape} | {n} | " + " | ".join(f"{value:.2f}" for value in one.values()) + " |"


def maps(rng: np.random.Generator, replicates: int) -> Iterator[str]:
    yield "| confidence | n | mean error, logistic | isotonic |"
    yield "|---|---|---|---|"
    for shape in SHAPES:
        for n in (50, 100, 200, 400, 1000):
            population, errors = Population(shape), {name: [] for name in FITS}
            for _ in range(replicates // 10):
                x, correct = population.draw(n, rng)
                new, _ = population.draw(100, rng)
                for name, fit in FITS.items():
                    errors[name].append(np.nanmean(np.abs(fit(x, correct)(new) - population.chance(new))))
            yield f"| {shape} | {n} | {np.mean(errors['logistic']):.3f} | {np.mean(errors['isotonic']):.3f} |"


def auroc(rng: np.random.Generator, replicates: int) -> Iterator[str]:
    yield "| n | right answers | AUROC 0.55 | 0.7 | 0.9 |"
    yield "|---|---|---|---|---|"
    for n in (100, 300):
        for share in (0.05, 0.1, 0.5):
            cells = []
            for area in (0.55, 0.7, 0.9):
                covered, widths = [], []
                while len(covered) < replicates:
                    correct = (rng.random(n) < share).astype(float)
                    if 0 < correct.sum() < n:
                        low, high = auroc_interval(mean_shift(area) * correct + rng.normal(size=n), correct)
                        covered.append(low <= area <= high)
                        widths.append(high - low)
                cells.append(f"{np.mean(covered):.3f} (width {np.mean(widths):.2f})")
            yield f"| {n} | {100 * share:.0f} % | {' | '.join(cells)} |"


PARTS = {"thresholds": thresholds, "few": few, "intervals": intervals, "maps": maps, "auroc": auroc}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--replicates", type=int, default=2000)
    given = parser.parse_args()
    for part in given.parts or PARTS:
        for line in PARTS[part](np.random.default_rng(0), given.replicates):
            print(line, flush=True)
        print()
