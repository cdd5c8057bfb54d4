import numpy as np

from aftertune.stats.falls import Falls, count_falls


def test_each_value_is_counted_once() -> None:
    values = np.array([[-0.1, -1e-9, np.nan], [0.0, -0.0, 0.3], [np.nan, 2.0, 1e-9]])
    found = count_falls(values)
    assert found == Falls(fell=2, rose=3, unchanged=2, undefined=2)
    assert found.total == values.size


def test_nothing() -> None:
    assert count_falls([]) == Falls(fell=0, rose=0, unchanged=0, undefined=0)
