"""Which rows are the same."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

from skae.training import (
    LargeTable,
    count_distinct,
    distinct_rows,
    ordered_distinct_rows,
    row_hashes,
)

KINDS = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "signs": lambda rng, shape: rng.choice([-1.0, 1.0], size=shape),
    "bits": lambda rng, shape: rng.randint(2, size=shape).astype(float),
    "counts": lambda rng, shape: rng.poisson(0.5, size=shape).astype(float),
    "nearly constant": lambda rng, shape: 1 + 1e-6 * rng.randint(9, size=shape),
    "every other column": lambda rng, shape: (
        rng.choice([-1.0, 1.0], size=shape) * (np.arange(shape[1]) % 2)
    ),
}


@pytest.mark.parametrize("n_columns", [1, 2, 7, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_the_same_if_their_values_are(kind, n_columns):
    rng = np.random.RandomState(0)
    X = KINDS[kind](rng, (3000, n_columns)).astype(np.float32)
    X = np.concatenate([X, X[rng.randint(3000, size=1000)]])
    _, expected = np.unique(X, axis=0, return_inverse=True)
    index, number = distinct_rows(row_hashes(X))
    n_distinct = expected.max() + 1
    assert count_distinct(X) == len(index) == n_distinct
    assert len({*zip(expected.ravel(), number, strict=True)}) == n_distinct
    assert_array_equal(X[index][number], X)
    # They are numbered as they come.
    assert_array_equal(number[index], np.arange(n_distinct))
    assert (np.diff(index) > 0).all()
    assert count_distinct(X, 5) == min(5, n_distinct)


def test_what_a_net_does_not_tell_apart_is_the_same():
    rng = np.random.RandomState(0)
    X = np.round(rng.normal(size=(60, 7)))
    X[X == 0] = 0.0
    X[:9, 4:] = np.nan  # series that have ended
    hashes = row_hashes(X)
    other_signs = np.where(X == 0, -0.0, np.where(np.isnan(X), -np.nan, X))
    for same in (
        other_signs,
        np.where(X == 0, -1e-300, X),
        X.astype(np.float32),
        np.asfortranarray(X),
        LargeTable(X),
    ):
        assert_array_equal(row_hashes(same), hashes)


@pytest.mark.parametrize("form", [np.asarray, LargeTable, sp.csr_matrix])
def test_what_float64_tells_apart(form):
    rng = np.random.RandomState(0)
    X = rng.randint(9, size=(400, 3)) + 1e9
    for same_in_float32 in (X, 1e-60 * X):
        rows = form(same_in_float32)
        rows = LargeTable(rows) if sp.issparse(rows) else rows
        assert len(np.unique(row_hashes(rows))) == 1
        hashes = row_hashes(rows, np.float64)
        assert len(np.unique(hashes)) == len(np.unique(X, axis=0))


def test_sparse_rows_are_the_same_with_zeros_that_are_stored():
    rng = np.random.RandomState(0)
    X = rng.poisson(0.1, size=(300, 9)).astype(float)
    stored = sp.csr_matrix(X + 5)
    stored.data -= 5
    stored.data[stored.data == 0] = -0.0
    hashes = row_hashes(LargeTable(sp.csr_matrix(X)))
    assert_array_equal(row_hashes(LargeTable(stored)), hashes)
    assert len(np.unique(hashes)) == len(np.unique(X, axis=0))


def test_an_order_that_does_not_depend_on_that_of_the_table():
    rng = np.random.RandomState(0)
    X = rng.poisson(0.7, size=(200, 3)).astype(float)
    order = rng.permutation(200)
    index, number = ordered_distinct_rows(X)
    for rows in (X[order], np.where(X == 0, -0.0, X)[order].astype(np.float32)):
        other_index, other_number = ordered_distinct_rows(rows)
        assert_array_equal(rows[other_index], X[index])
        assert_array_equal(other_number, number[order])
