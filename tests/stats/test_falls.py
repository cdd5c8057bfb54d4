import math

import numpy as np
import pytest

from aftertune.stats.falls import Falls, count_falls, largest_fall


def test_each_value_is_counted_once() -> None:
    values = np.array([[-0.1, -1e-9, np.nan], [0.0, -0.0, 0.3], [np.nan, 2.0, 1e-9]])
    found = count_falls(values)
    assert found == Falls(fell=2, rose=3, unchanged=2, undefined=2)
    assert found.total == values.size


def test_nothing() -> None:
    assert count_falls([]) == Falls(fell=0, rose=0, unchanged=0, undefined=0)


def test_by_hand() -> None:
    # Falls of the runs: −0.2 at step 1, −0.5 at step 2, +0.1 (it never falls).
    steps = np.array([[0.1, -0.2, 0.0], [-0.4, 0.1, -0.5], [0.3, 0.1, 0.2]])
    fall = largest_fall(steps)
    assert fall.mean == pytest.approx(-0.2)
    assert fall.sd == pytest.approx(math.sqrt((0.0 + 0.09 + 0.09) / 2))
    assert (fall.worst, fall.worst_step) == (-0.5, 2)


def test_one_run_has_no_spread_and_the_first_of_equal_steps_counts() -> None:
    fall = largest_fall(np.array([[0.2, -0.1, -0.1]]))
    assert (fall.mean, fall.worst, fall.worst_step) == (-0.1, -0.1, 1)
    assert math.isnan(fall.sd)


def test_a_rise_is_reported_as_it_is() -> None:
    assert largest_fall(np.array([[0.2, 0.1], [0.3, 0.4]])).mean == pytest.approx(0.2)


def test_without_steps_there_is_no_fall() -> None:
    fall = largest_fall(np.empty((3, 0)))
    assert np.isnan([fall.mean, fall.sd, fall.worst]).all()
    assert fall.worst_step is None


def test_undefined_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        largest_fall(np.array([[0.1, np.nan]]))
