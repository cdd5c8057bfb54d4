"""Shared by the tests of whole flows: tiny models and items on disk, made once."""

from __future__ import annotations

import pytest

from samples import make_bench


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    """A folder with llama, t5, train.jsonl, validation.jsonl and test.jsonl: read only."""
    return make_bench(tmp_path_factory.mktemp("bench"), "llama", "t5")
