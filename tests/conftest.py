"""Shared by all tests: where the tiny models' module and the scripts are, and what a test process starts with."""

from __future__ import annotations

import gc
import signal
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

# The example plug-in must be found by being installed, never by being imported while doctests are collected.
collect_ignore = ["plugin/aftertune_example_plugin"]


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    """A folder with llama, t5, train.jsonl, validation.jsonl and test.jsonl: read only."""
    from samples import make_bench

    return make_bench(tmp_path_factory.mktemp("bench"), "llama", "t5")


def pytest_collection_finish():
    """What is imported by now stays: the garbage collector need not look through it again and again.

    With torch and transformers imported that is a third of the time of tests that train.
    """
    gc.collect()
    gc.freeze()


# A shell starts commands in the background with Ctrl-C ignored, which the commands under test would inherit.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
