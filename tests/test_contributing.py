"""The example in CONTRIBUTING.md is a score that works."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

PAGE = Path(__file__).parents[1] / "CONTRIBUTING.md"


def test_the_score_in_ten_lines():
    code = PAGE.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    code += textwrap.dedent(
        """
        from aftertune.scores import score_items
        from aftertune.types import Evidence

        greedy = Greedy(
            text=["a b", ""], n_tokens=[2, 0],
            token_logprob=[[-1.0, -3.0], [np.nan, np.nan]], token_entropy=[[0.5, 0.5], [np.nan, np.nan]],
        )
        found = score_items(Evidence(item_ids=["x", "y"], greedy=greedy), ["least_token_logprob"])
        print(found["least_token_logprob"].value.tolist(), found["least_token_logprob"].reason.tolist())
        """
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("[-3.0, nan] [None, 'the output is empty']\n", "")
