"""A plug-in package, installed by pip, adds a score, a task and a quality metric, each by one file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from aftertune.errors import InputError
from aftertune.quality import QUALITY
from aftertune.scores import get
from aftertune.tasks import TASKS

PACKAGE = Path(__file__).parent / "aftertune_example_plugin"

USE = """
import json
import numpy as np
import aftertune
from aftertune.scores import get, score_items
from aftertune.quality import QUALITY, compute
from aftertune.tasks import TASKS, load_task
from aftertune.types import Evidence, Greedy

greedy = Greedy(
    text=["Lilongwe", "Luanda"],
    token_logprob=[[-0.5, -2.0, -1.0], [-0.25, np.nan, np.nan]],
    token_entropy=[[0.1, 0.2, 0.3], [0.4, np.nan, np.nan]],
    n_tokens=[3, 1],
)
evidence = Evidence(item_ids=["Malawi", "Angola"], greedy=greedy)
two = score_items(evidence, ["lowest_token_logprob[count=2]"])["lowest_token_logprob[count=2]"]
test = load_task("capitals").test
print(json.dumps({
    "all": sorted(aftertune.score(evidence)),
    "one": aftertune.score(evidence)["lowest_token_logprob"].tolist(),
    "two": [two.value[0], two.reason[1]],
    "signature": get("lowest_token_logprob[count=2]").signature(),
    "tasks": TASKS.names(),
    "items": sorted((example.prompt, example.target) for example in test),
    "metrics": QUALITY.names(),
    "quality": compute("word_recall", ["it is Luanda", "no"], [["Luanda"], ["not known"]]).tolist(),
    "quality of the task": TASKS.get("capitals").quality,
}))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Folder into which pip installed the example, without a network."""
    source = shutil.copytree(PACKAGE, tmp_path_factory.mktemp("source") / "plugin")
    target = tmp_path_factory.mktemp("target")
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    alone = ["--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *quiet, *alone, "--target", target, source],
        check=True,
        timeout=120,
    )
    return target


def test_an_installed_plug_in(installed):
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        [sys.executable, "-c", USE], env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert "lowest_token_logprob" in seen["all"]
    assert "mean_token_logprob" in seen["all"]
    assert seen["one"] == [-2.0, -0.25]
    assert seen["two"] == [-1.5, "the greedy output has 1 of 2 tokens"]
    assert seen["signature"].startswith("lowest_token_logprob|count:2|version:")
    assert "capitals" in seen["tasks"]
    assert seen["items"] == [
        ["What is the capital of Angola?", "Luanda"],
        ["What is the capital of Malawi?", "Lilongwe"],
    ]
    assert "word_recall" in seen["metrics"]
    assert seen["quality"] == [1.0, 0.0]
    assert seen["quality of the task"] == "word_recall"


def test_unknown_where_it_is_not_installed():
    with pytest.raises(InputError, match="unknown score 'lowest_token_logprob'"):
        get("lowest_token_logprob")
    assert "capitals" not in TASKS
    assert "word_recall" not in QUALITY
