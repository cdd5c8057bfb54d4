"""All that a reader sees of one study, word for word: the page as text, and the terminal at two widths.

After a change of words or numbers that is meant, write the stored texts again and read the difference in git:

    RENEW_GOLDEN=1 python -m pytest tests/report/test_golden.py
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import numpy as np
import pytest

from aftertune._version import __version__
from aftertune.analysis.analyse import analyse
from aftertune.analysis.schema import Analysis
from aftertune.report.page import write_all
from aftertune.report.summary import summarise
from aftertune.report.tables import write_tables
from aftertune.types import Records
from downstream_samples import with_correct
from record_samples import checkpoint, together
from report_text import printed, visible

GOLDEN = Path(__file__).parent / "golden"


def sample() -> Records:
    """Settings that between them reach most of what page and terminal can say.

    - "tiny" on "qa", judged: two seeds, epochs 0 to 3. Of five scores one gets worse, one gets better, one is
      constant before fine-tuning, and "mine" is not aftertune's. Some outputs stay the same, and similarity to the
      training set is known.
    - The same with 40 and 80 training items, with and without a fixed number of steps: the last checkpoint alone.
    - "big" on "sum", not judged: one seed, epochs 0 to 2; one score holds, and one never changes.
    - "small" on "sum": epochs 0 and 1, quality is constant before fine-tuning.
    """
    rng = np.random.default_rng(13)
    parts = []
    for split, n in (("test", 80), ("validation", 150)):
        for seed in (0, 1):
            for epoch in (0, 1, 2, 3):
                parts.append(_judged(rng, split, n, seed, epoch, selected=epoch == 2))
    for setting in ("n=40", "n=80", "n=40,steps=9", "n=80,steps=9"):
        for seed in (0, 1):
            part = _judged(rng, "test", 80, seed, 3, setting=setting)
            parts.append(part if setting == "n=40" else with_correct(part, [None] * 80))
    quality, noise = rng.random(50), rng.normal(size=50)
    for epoch in (0, 1, 2):
        scores = {"mean_token_logprob": quality + 0.01 * rng.normal(size=50), "mine": noise}
        parts.append(checkpoint(quality, scores, model="big", task="sum", epoch=epoch, selected=epoch == 2))
        if epoch < 2:
            own = quality if epoch else np.full(50, 0.5)
            parts.append(checkpoint(own, scores, model="small", task="sum", epoch=epoch, selected=epoch == 1))
    return together(*parts)


def _judged(
    rng: np.random.Generator,
    split: str,
    n: int,
    seed: int,
    epoch: int,
    *,
    selected: bool = False,
    setting: str = "default",
) -> Records:
    truth = rng.normal(size=n)
    quality = np.round(1 / (1 + np.exp(-truth)), 1)
    noise = rng.normal(size=(4, n))
    scores = {
        "mean_token_logprob": truth + (0.3 + epoch) * noise[0] + 0.5 * epoch,
        "dropout_bleu_variance": 0.5 * epoch * truth + noise[1],
        "beam_ratio": np.zeros(n) if epoch == 0 else truth + noise[2],
        "mine": np.round(noise[3] - 0.5 * truth),
        "dropout_kl": truth + 0.5 * noise[3],
    }
    part = checkpoint(
        quality,
        scores,
        model="tiny",
        task="qa",
        setting=setting,
        seed=seed,
        epoch=epoch,
        selected=selected,
        split=split,
        ids=[f"{split}-{i:02}" for i in range(n)],
        output=[f"answer {i % 3 if i % 2 else epoch} to {i}" for i in range(n)],
        references=[(f"reference {i}", "another")[: 1 + i % 2] for i in range(n)],
        similarity=0.5 + 0.1 * noise[0] + 0.05 * truth if split == "test" and setting == "default" else None,
        extra={"input": [f"question {i}?" for i in range(n)]},
    )
    return with_correct(part, [None if i % 20 == 19 else bool(t > 0) for i, t in enumerate(truth + noise[1] / 3)])


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(sample(), resamples=200)


def is_stored(name: str, text: str) -> None:
    """Compare with the stored text; a difference is shown line by line."""
    path = GOLDEN / name
    if os.environ.get("RENEW_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    stored = path.read_text(encoding="utf-8")
    changed = difflib.unified_diff(
        stored.splitlines(), text.splitlines(), f"golden/{name}", "now", n=1, lineterm=""
    )
    if stored != text:
        pytest.fail("\n".join([*changed, "", f"Where that is meant, {__file__} says what to do."]), pytrace=False)


def test_page(analysis: Analysis, tmp_path: Path) -> None:
    write_tables(analysis, tmp_path / "tables")
    path = write_all(
        tmp_path,
        summarise(analysis, sample()),
        title="A study",
        settings={"margin": "0.05", "resamples": "200"},
        signatures={"mine": "mine|version:1", "correct": "rule|similarity:token_f1|threshold:0.5|version:0.1.0"},
    )
    is_stored("page.txt", visible(path.read_text(encoding="utf-8")).replace(__version__, "VERSION"))


def test_terminal(analysis: Analysis) -> None:
    parts = [f"{f' {width} columns ':=^{width}}\n{printed(analysis, width)}" for width in (120, 80)]
    is_stored("terminal.txt", "".join(f"{line.rstrip()}\n" for part in parts for line in part.splitlines()))
