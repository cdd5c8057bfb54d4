import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from aftertune.stats.multiplicity import holm


@pytest.mark.parametrize("m", [1, 2, 7, 60])
def test_equals_statsmodels(m: int) -> None:
    rng = np.random.default_rng(m)
    for p in (rng.random(m), rng.random(m) ** 6, np.round(rng.random(m), 1)):
        np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-15)


def test_undefined_is_no_test_and_stays_undefined() -> None:
    p = np.array([np.nan, 0.02, 0.5, np.nan, 0.01])
    adjusted = holm(p)
    np.testing.assert_array_equal(np.isnan(adjusted), np.isnan(p))
    np.testing.assert_allclose(adjusted[[1, 2, 4]], multipletests([0.02, 0.5, 0.01], method="holm")[1])


def test_nothing_to_correct() -> None:
    assert holm([]).shape == (0,)
    assert np.isnan(holm([np.nan, np.nan])).all()
