"""Shared by all tests: where the tiny models' module is, and one thread per worker."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

# The example plug-in must be found by being installed, never by being imported while doctests are collected.
collect_ignore = ["plugin/aftertune_example_plugin"]
