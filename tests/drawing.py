"""Runs without figures and page, which take longer than what a test of something else looks at."""

from __future__ import annotations

import pytest


def without_drawing(patch: pytest.MonkeyPatch) -> None:
    """Commands write everything else."""
    patch.setattr("aftertune.commands.analyze.write_page", lambda *arguments, **settings: None)
    patch.setattr("aftertune.report.figures.draw", lambda summary: ())
