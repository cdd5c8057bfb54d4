"""Checkpoint folders of the tiny models, files of items and study files for tests of whole flows."""

from __future__ import annotations

import json
from pathlib import Path

from aftertune.measure.reporter import Reporter
from aftertune.models.load import save
from aftertune.models.loaded import wrap
from tiny import SEED, prompts, tiny

LISTS = {"run.json", "run.backup.json", "log.jsonl", ".lock"}
"""What every run folder holds besides its results."""


class Notes(Reporter):
    """Keeps what it is told: the notes, and how many checkpoints are planned and done."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.planned: tuple[int, int] | None = None

    def note(self, text: str) -> None:
        self.notes.append(text)

    def plan(self, checkpoints: int, done: int) -> None:
        self.planned = checkpoints, done


def rows(n: int, seed: int) -> list[dict[str, str]]:
    """Items: turn the prompt's words round."""
    texts = [prompt.removesuffix(" =") for prompt in prompts(n, seed)]
    return [
        {"id": f"{seed}-{i}", "q": text, "answer": " ".join(reversed(text.split()))}
        for i, text in enumerate(texts)
    ]


def write_jsonl(path: Path, items: list[dict]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def make_bench(folder: Path, *architectures: str, train: int = 24, validation: int = 8, test: int = 20) -> Path:
    """A folder with tiny models (by architecture) and train, validation and test items."""
    for architecture in architectures:
        save(wrap(*tiny(architecture)), folder / architecture)
    for name, n, seed in (("train", train, 1), ("validation", validation, 2), ("test", test, 3)):
        write_jsonl(folder / f"{name}.jsonl", rows(n, seed))
    return folder


def study(
    bench: Path,
    *models: str,
    epochs: int = 2,
    patience: int | None = None,
    by_epoch: bool = True,
    **changes: object,
) -> dict:
    """A study of the given models on the bench's items; mappings in `changes` are merged.

    before_after with so many epochs and this patience; `by_epoch` measures all of them; one seed, that of `tiny`.
    """
    experiments = {"before_after": {"epochs": epochs, "patience": patience}}
    if by_epoch:
        experiments |= {"by_epoch": {"epochs": epochs}}
    task = {
        "name": "turn",
        **{split: str(bench / f"{split}.jsonl") for split in ("train", "validation", "test")},
        "input": "q",
        "target": "answer",
        "template": "{q} =",
        "quality": "token_f1",
        "max_new_tokens": 14,
    }
    known = {
        "llama": {"dropout": "residual:0.1", "learning_rate": 1e-3},
        "t5": {"learning_rate": 1e-3, "lora": {"r": 4}},
    }
    whole = {
        "name": "tiny",
        "models": [{"name": name, "path": str(bench / name), **known[name]} for name in models],
        "tasks": [task],
        "seeds": [SEED],
        "experiments": experiments,
        "evaluation": {"beams": 3, "dropout_samples": 2, "batch_size": 8},
        "resamples": 200,
    }
    for key, value in changes.items():
        old = whole.get(key)
        whole[key] = old | value if isinstance(old, dict) and isinstance(value, dict) else value
    return whole


def write_study(path: Path, content: dict) -> Path:
    """JSON is YAML."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
