"""Make the items of the toy tasks that the package ships.

    python scripts/toy_items.py [FOLDER]

FOLDER is ``src/aftertune/tasks/toy`` unless given. A test compares what is shipped with what this makes, byte for
byte: the shipped models were pre-trained on the other half of the same prompts (`toy.partition`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

from toy import facts, sums, translation
from toy.partition import splits

SHIPPED = Path(__file__).resolve().parents[1] / "src" / "aftertune" / "tasks" / "toy"


def jsonl(task: ModuleType) -> str:
    """The items of a toy task, one JSON object a line."""
    rows = (
        {"split": split, "id": example.id, "prompt": example.prompt, "target": example.target}
        for split, examples in splits(task.generate).items()
        for example in examples
    )
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SHIPPED
    folder.mkdir(parents=True, exist_ok=True)
    for task in (facts, sums, translation):
        (folder / f"{task.NAME}.jsonl").write_text(jsonl(task), encoding="utf-8", newline="\n")
