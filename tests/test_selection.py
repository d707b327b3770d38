"""Which rows are held out, and when the start is left."""

import numpy as np
import pytest

from skae.training import is_better, spread_sample


def test_what_is_better():
    rng = np.random.RandomState(0)
    start = rng.chisquare(3, size=50)
    assert is_better(0.8 * start, start)
    assert not is_better(start, start)
    assert not is_better(1.2 * start, start)
    # Half as large for most rows, and a single row spoilt: the mean is higher.
    losses = 0.5 * start
    losses[0] += 200
    assert not is_better(losses, start)
    # One row saved, and the others a little worse: the mean is lower, by luck.
    losses, heavy = 1.05 * start, start.copy()
    heavy[0], losses[0] = 300, 1
    assert losses.mean() < heavy.mean()
    assert not is_better(losses, heavy)
    # Weights take part.
    losses = np.where(np.arange(50) < 40, 0.5, 2.0) * start
    assert is_better(losses, start)
    assert not is_better(losses, start, np.where(np.arange(50) < 40, 0.01, 1.0))


def test_where_nothing_can_be_told():
    assert not is_better(np.zeros(20), np.zeros(20))
    assert not is_better(np.array([1.0]), np.array([2.0]))


@pytest.mark.parametrize("size", [1, 10, 37, 99, 100])
def test_rows_are_spread_over_the_distances(size):
    rng = np.random.RandomState(0)
    X = rng.standard_t(2, size=(100, 5)) + 3
    for seed in range(5):
        index = spread_sample(X, size, seed)
        assert len(set(index)) == size
        np.testing.assert_array_equal(index, spread_sample(X, size, seed))
        if size == 10:  # one of the ten farthest, one of the ten nearest, ...
            rank = np.argsort(np.argsort(np.linalg.norm(X - X.mean(0), axis=1)))
            np.testing.assert_array_equal(np.sort(rank[index] // 10), np.arange(10))


@pytest.mark.parametrize("size", [7, 40, 67, 93])
def test_near_and_far_rows_are_equally_likely(size):
    X = np.arange(100.0).reshape(-1, 1) ** 2
    order = np.argsort(np.abs(X - X.mean()).ravel())
    drawn = np.zeros(100)
    for seed in range(500):
        drawn[spread_sample(X, size, seed)] += 1
    share = size / 100
    error = np.sqrt(share * (1 - share) / 500)
    np.testing.assert_allclose(drawn / 500, share, rtol=0, atol=5 * error)
    # Of each tenth by distance, about the same number are in each sample.
    rank = np.empty(100, dtype=int)
    rank[order] = np.arange(100)
    for seed in range(20):
        counts = np.bincount(rank[spread_sample(X, size, seed)] // 10, minlength=10)
        assert np.ptp(counts) <= 3
