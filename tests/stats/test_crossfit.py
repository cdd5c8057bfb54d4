"""A score that was chosen is judged on items that did not choose it: coverage, bias, and what it corrects."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from aftertune.stats.crossfit import ATOMS, atom_of, chosen

SCRIPT = Path(__file__).parents[2] / "scripts" / "simulate" / "recommending.py"


@pytest.fixture(scope="module")
def simulation():
    spec = importlib.util.spec_from_file_location("recommending", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["recommending"] = module
    spec.loader.exec_module(module)
    return module


def test_atoms_do_not_depend_on_the_order_and_are_of_equal_size():
    keys = [f"item-{i}" for i in range(107)]
    atoms = dict(zip(keys, atom_of(keys)))
    assert np.ptp(np.bincount(list(atoms.values()), minlength=ATOMS)) <= 1
    turned = keys[::-1]
    assert atom_of(turned).tolist() == [atoms[key] for key in turned]
    assert atom_of(["\ud800"]).tolist() == [0]


def test_preferences_come_before_effects():
    effect = np.array([0.1, 0.9, np.nan])
    none, first, every = np.zeros(3, dtype=bool), np.array([True, False, True]), np.ones(3, dtype=bool)
    assert [chosen(effect, first), chosen(effect, none, every), chosen(effect, none)] == [0, 1, None]


@pytest.mark.parametrize(
    ("kind", "n", "strengths", "correlation", "replicates"),
    [
        ("0.6", 100, "all equal", 0.3, 60),
        pytest.param("0.6", 50, "spread", 0.8, 300, marks=pytest.mark.thorough),
        pytest.param("f1", 100, "all equal", 0.3, 300, marks=pytest.mark.thorough),
        pytest.param("continuous", 100, "spread", 0.3, 300, marks=pytest.mark.thorough),
    ],
)
def test_coverage_and_bias(simulation, kind, n, strengths, correlation, replicates):
    found = simulation.choices(kind, n, strengths, correlation, replicates)
    error = 1 / np.sqrt(replicates)
    assert found["fair coverage"] >= 0.93 - 0.5 * error
    assert abs(found["fair bias"]) <= 0.01 + 0.1 * error
    if strengths == "all equal":
        assert found["naive bias"] > 0.03
