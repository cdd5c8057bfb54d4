"""The items of squad_sentences: SQuAD's questions, each with the one sentence that answers it.

    python studies/squad_sentences/items.py SQUAD    # a folder with train.jsonl, validation.jsonl, test.jsonl

In SQUAD, one object a line: id, title (of the article), context (a paragraph), question, answers (a list).
The texts are CC BY-SA 4.0: studies/results/README.md.
"""

import json
import random
import re
import sys
from pathlib import Path

SIZES = {"train": 240, "validation": 60, "test": 200}
LONGEST = 200
"""Characters of a sentence."""
END = re.compile(r"(?<=[.!?])[\"”)\]]*\s+(?=[\"“(\[]?[A-Z0-9])")


def sentence(context: str, answers: list[str]) -> str | None:
    """The sentence that holds all answers, where no other holds one of them and it is not too long."""
    holding = [text for text in END.split(context) if any(answer in text for answer in answers)]
    fits = len(holding) == 1 and len(holding[0]) <= LONGEST and all(answer in holding[0] for answer in answers)
    return holding[0] if fits else None


def items(rows: list[dict], n: int) -> list[dict]:
    """The items of n rows, chosen at random, no two of one paragraph."""
    random.Random(0).shuffle(rows)
    chosen: dict[str, dict] = {}
    for row in rows:
        text = sentence(row["context"], row["answers"])
        if text is not None and row["context"] not in chosen and len(chosen) < n:
            chosen[row["context"]] = {
                "id": row["id"],
                "group": row["title"],
                "text": text,
                "question": row["question"].strip(),
                "answer": list(dict.fromkeys(row["answers"])),
            }
    return list(chosen.values())


for split, size in SIZES.items():
    lines = (Path(sys.argv[1]) / f"{split}.jsonl").read_text("utf-8").splitlines()
    found = items([json.loads(line) for line in lines], size)
    text = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in found)
    Path(__file__).with_name(f"{split}.jsonl").write_text(text, "utf-8")
    print(f"{split}: {len(found)} items of {len({item['group'] for item in found})} articles")
