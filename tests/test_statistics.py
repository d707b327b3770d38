"""Mean and variance of columns, block by block."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from skae.training import column_statistics


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n_rows", [1, 2, 40_000])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_as_computed_at_once(dtype, n_rows, weighted):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 9)) * np.logspace(-3, 3, 9)
    X += np.sort(rng.normal(size=(n_rows, 1)), axis=0)  # blocks differ in their means
    X = X.astype(dtype)
    exact = X.astype(np.float64)
    weight = rng.uniform(0.1, 2, size=n_rows) if weighted else None
    mean = np.average(exact, axis=0, weights=weight)
    variance = np.average((exact - mean) ** 2, axis=0, weights=weight)
    columns = column_statistics(X, weight)
    assert_allclose(columns.mean, mean, rtol=1e-5, atol=1e-6)
    assert_allclose(columns.variance, variance, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("value", [0.1, 1e8 + 0.1, -1e-30])
def test_a_column_that_is_constant_has_no_variance(value):
    X = np.full((40_000, 9), value)
    X[:, 1] = np.arange(len(X))
    columns = column_statistics(X, np.random.default_rng(0).uniform(size=len(X)))
    assert columns.mean[0] == value
    assert columns.variance[0] == 0 < columns.variance[1]


def test_far_from_zero():
    rng = np.random.default_rng(0)
    around_zero = rng.integers(-8, 9, size=(40_000, 9)).astype(np.float64)
    around_zero[0] = 1e4  # what is near the first row need not be near the others
    near, far = map(column_statistics, (around_zero, around_zero + 1e12))
    assert_allclose(far.mean - 1e12, near.mean, atol=1e-3)
    assert_allclose(far.variance, near.variance, rtol=1e-12)
