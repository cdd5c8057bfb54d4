"""Worker processes give the values of one process, in order, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aftertune.scores import similarity, workers
from aftertune.scores.text_pairs import TextPairs
from aftertune.scores.workers import Workers

PAIRS = [(f"text {i} of many \ud800 é", f"text {i % 7} of {i % 11} …") for i in range(60)]
HYPOTHESES, REFERENCES = map(list, zip(*PAIRS))


@pytest.fixture(autouse=True)
def short_turns(monkeypatch):
    monkeypatch.setattr(workers, "PAIRS_PER_TURN", 4)


@pytest.fixture
def team():
    team = Workers()
    yield team
    team.close()


def wait_for(condition, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def hold_back(monkeypatch, until) -> None:
    """This process compares nothing `until` something holds of the workers."""
    original = similarity.get

    def get(name):
        def compare(hypotheses, references):
            wait_for(until, 60)
            return original(name).compare(hypotheses, references)

        return replace(original(name), compare=compare)

    monkeypatch.setattr(workers.similarities, "get", get)


@pytest.mark.parametrize("name", ["bleu", "chrf", "meteor", "rouge_l"])
def test_values_and_their_order(team, name, monkeypatch):
    expected = similarity.get(name).compare(HYPOTHESES, REFERENCES)
    answered = []

    def spy(self, *arguments):
        answered.append(ask(self, *arguments))
        return answered[-1]

    ask = workers._Worker._ask
    monkeypatch.setattr(workers._Worker, "_ask", spy)
    # the first answer is to the question whether the worker compares as this process does
    hold_back(monkeypatch, lambda: len(answered) > 3)
    np.testing.assert_array_equal(team.compare(name, HYPOTHESES, REFERENCES, 2), expected)
    assert not any(values is None for values in answered)
    np.testing.assert_array_equal(team.compare(name, HYPOTHESES[:9], REFERENCES[:9], 2), expected[:9])
    assert len(team._workers) == 1, "the worker is kept"


def test_text_pairs_start_workers_where_it_pays_only(monkeypatch):
    started = []
    monkeypatch.setattr(
        Workers, "compare", lambda self, name, a, b, n: started.append((len(a), n)) or np.ones(len(a))
    )
    each = similarity.get("bleu").pairs_per_process
    assert each is not None
    many = np.array([str(i) for i in range(3 * each + 1)], dtype=object)
    for n, count in [(2 * each - 1, 8), (2 * each, 8), (3 * each + 1, 8), (3 * each, 2), (3 * each, 1)]:
        TextPairs(workers=count).similarity("bleu", many[:n], np.array("0", dtype=object))
    assert started == [(2 * each, 2), (3 * each + 1, 3), (3 * each, 2)]


def test_what_is_raised_is_raised_here(team, monkeypatch):
    team.compare("bleu", HYPOTHESES, REFERENCES, 2)
    process = team._workers[0]._process

    def fail(hypotheses, references):
        raise ZeroDivisionError("in a measure")

    failing = replace(similarity.get("bleu"), compare=fail)
    monkeypatch.setattr(workers.similarities, "get", lambda name: failing)
    with pytest.raises(ZeroDivisionError, match="in a measure"):
        team.compare("bleu", HYPOTHESES, REFERENCES, 2)
    team.close()
    assert process.poll() is not None


def test_a_worker_that_dies_costs_no_value(team, monkeypatch):
    expected = similarity.get("bleu").compare(HYPOTHESES, REFERENCES)
    team.compare("bleu", HYPOTHESES, REFERENCES, 2)
    team._workers[0]._process.kill()
    team._workers[0]._process.wait()
    hold_back(monkeypatch, lambda: any(worker.failed for worker in team._workers))
    with pytest.warns(RuntimeWarning, match="did not answer as this one would"):
        np.testing.assert_array_equal(team.compare("bleu", HYPOTHESES, REFERENCES, 2), expected)
    assert team._workers == []


def test_a_worker_that_differs_is_not_used(team, monkeypatch):
    expected = similarity.get("bleu").compare(HYPOTHESES, REFERENCES)
    other = replace(similarity.get("bleu"), settings=lambda: {"similarity": "bleu", "sacrebleu": "0"})
    monkeypatch.setattr(workers.similarities, "get", lambda name: other)
    hold_back(monkeypatch, lambda: any(worker.failed for worker in team._workers))
    with pytest.warns(RuntimeWarning, match="did not answer as this one would"):
        np.testing.assert_array_equal(team.compare("bleu", HYPOTHESES, REFERENCES, 2), expected)


SCRIPT = """
import sys, time
import numpy as np
from aftertune.scores import similarity, workers
print("the script runs", flush=True)
workers.PAIRS_PER_TURN = 2
team = workers.Workers()
measure = similarity.get("chrf")
here = []
def compare(a, b):
    here.append(len(a))
    time.sleep({pause})
    return measure.compare(a, b)
from dataclasses import replace
workers.similarities.get = lambda name: replace(measure, compare=compare)
texts = [f"text {{i}}" for i in range(200)]
values = team.compare("chrf", texts, texts[::-1], 2)
assert (values == measure.compare(texts, texts[::-1])).all()
print(sum(here) < 200, "torch" in sys.modules, flush=True)
"""


def run_script(tmp_path: Path, pause: float) -> subprocess.Popen[str]:
    """A script without an ``if __name__ == "__main__"``, which does not close its workers."""
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(SCRIPT).format(pause=pause))
    return subprocess.Popen(
        [sys.executable, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def processes_of(session: int) -> list[int]:
    """Live processes of a session."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")


@linux_only
def test_a_script_without_a_guard(tmp_path):
    with run_script(tmp_path, 0.05) as process:
        out, err = process.communicate(timeout=60)
        assert (out.splitlines(), err) == (["the script runs", "True False"], "")
        wait_for(lambda: not processes_of(process.pid))


@linux_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_end_from_outside_leaves_no_process(tmp_path, number):
    with run_script(tmp_path, 1.0) as process:
        wait_for(lambda: len(processes_of(process.pid)) == 2)
        time.sleep(0.5)
        if number == signal.SIGINT:  # as the terminal does it
            os.killpg(process.pid, number)
        else:
            process.kill()
        _, err = process.communicate(timeout=30)
        assert process.returncode != 0
        assert err.count("Traceback") <= 1, "only the script reports"
        wait_for(lambda: not processes_of(process.pid))
