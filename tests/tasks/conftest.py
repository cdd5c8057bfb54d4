"""Small task files in the layout of a data folder, and datasets with the hub's own schemas."""

import json
from pathlib import Path

import pytest


def write_jsonl(path: Path, rows: list[dict]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def squad_row(name: str, k: int, *, hub: bool = False) -> dict:
    """Three questions to a paragraph."""
    texts = [f"answer {k}", f"the answer {k}"]
    return {
        "id": f"{name}-{k}",
        "title": "T",
        "context": f" Paragraph {name} {k // 3}.",
        "question": f"Question {k}? ",
        "answers": {"text": texts, "answer_start": [0, 0]} if hub else texts,
    }


def gsm8k_row(name: str, k: int) -> dict:
    return {"question": f"What is {name} {k} + 1?", "answer": f"{k} + 1 = <<{k}+1={k + 1}>>{k + 1}\n#### {k + 1}"}


@pytest.fixture
def data_dir(tmp_path):
    for split, n in (("train", 60), ("validation", 12), ("test", 30)):
        write_jsonl(tmp_path / "squad" / f"{split}.jsonl", [squad_row(split, k) for k in range(n)])
        rows = [{"source": f"{split} sentence {k}.", "target": f"{split} sin {k}."} for k in range(n)]
        write_jsonl(tmp_path / "eng_afr" / f"{split}.jsonl", rows)
        if split != "validation":
            write_jsonl(tmp_path / "gsm8k" / f"{split}.jsonl", [gsm8k_row(split, k) for k in range(n)])
    return tmp_path
