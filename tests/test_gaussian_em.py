"""The Gaussian that is fitted to rows with gaps."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import (
    load_breast_cancer,
    load_diabetes,
    load_digits,
    load_wine,
)
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.preprocessing import StandardScaler

from skae.modules import ConditionalMean
from skae.training._gaussian_em import conditional_mean, fit_gaussian

LOADERS = {
    "breast_cancer": load_breast_cancer,
    "diabetes": load_diabetes,
    "digits": load_digits,
    "wine": load_wine,
}


def correlated(n_samples=200, n_features=8, n_factors=3, seed=0, noise=0.3):
    """Return rows with a few factors, and columns of different units."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_samples, n_factors)) @ rng.normal(
        size=(n_factors, n_features)
    )
    X += noise * rng.normal(size=X.shape)
    return X * rng.uniform(0.1, 10, size=n_features) + 5 * rng.normal(size=n_features)


def with_gaps(X, rate=0.3, seed=1):
    """Hide cells at random, but one in each row and in each column."""
    n_samples, n_features = X.shape
    missing = np.random.default_rng(seed).uniform(size=X.shape) < rate
    missing[np.arange(n_samples), np.arange(n_samples) % n_features] = False
    missing[np.arange(n_features) % n_samples, np.arange(n_features)] = False
    return np.where(missing, np.nan, X)


def fitted(X, weight=None):
    return fit_gaussian(X, weight, random_state=0)


def assert_same(gaussian, expected, rtol=1e-6):
    scale = np.sqrt(expected.variance)
    assert_allclose((gaussian.mean - expected.mean) / scale, 0, atol=rtol)
    difference = gaussian.covariance - expected.covariance
    assert_allclose(difference / np.outer(scale, scale), 0, atol=rtol)


def assert_valid(gaussian):
    assert np.isfinite(gaussian.mean).all()
    scale = np.sqrt(gaussian.variance)
    assert (scale > 0).all()
    correlation = gaussian.covariance / np.outer(scale, scale)
    assert np.linalg.eigvalsh(correlation).min() > 1e-4


def rmse(filled, X, gaps):
    return np.sqrt(np.mean(np.square(filled - X)[np.isnan(gaps)]))


@pytest.mark.parametrize("name", LOADERS)
def test_fills_better_than_the_mean_and_an_iterative_imputer(name):
    X = StandardScaler().fit_transform(LOADERS[name]().data[:600])
    X = X[:, X.std(axis=0) > 0]
    errors = []
    for seed in range(3):
        gaps = with_gaps(X, seed=seed)
        mean = np.where(np.isnan(gaps), np.nanmean(gaps, axis=0), X)
        imputer = IterativeImputer(max_iter=10, tol=0)
        with pytest.warns(match="Early stopping criterion not reached"):
            iterative = imputer.fit_transform(gaps)
        ours = conditional_mean(fitted(gaps), gaps)
        errors.append([rmse(filled, X, gaps) for filled in (ours, mean, iterative)])
    ours, mean, iterative = np.mean(errors, axis=0)
    assert ours < 0.95 * mean
    assert ours < iterative


def test_parameters_of_a_gaussian_are_found():
    X = correlated(20_000)
    gaussian = fitted(with_gaps(X))
    scale = X.std(axis=0)
    assert_allclose((gaussian.mean - X.mean(axis=0)) / scale, 0, atol=0.03)
    difference = gaussian.covariance - np.cov(X.T)
    assert_allclose(difference / np.outer(scale, scale), 0, atol=0.05)


def test_complete_rows_have_their_mean_and_a_shrunk_covariance():
    X = correlated()
    gaussian = fit_gaussian(X, shrinkage=0.1)
    covariance = np.cov(X.T, bias=True)
    covariance = 0.9 * covariance + 0.1 * np.diag(np.diag(covariance))
    assert_allclose(gaussian.mean, X.mean(axis=0))
    assert_allclose(gaussian.covariance, covariance, rtol=1e-9)
    assert_allclose(gaussian.variance, X.var(axis=0))
    assert gaussian.n_iter == 0


@pytest.mark.parametrize("offset", [0, 2e6 + 0.06, 3e6 + 0.12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_copies_of_columns_far_from_zero(dtype, offset):
    X = (StandardScaler().fit_transform(correlated(3000)) + offset).astype(dtype)
    X = np.concatenate([X, X], axis=1)
    gaussian = fitted(X)
    assert_valid(gaussian)
    scale = X.std(axis=0, dtype=float)
    difference = gaussian.covariance - np.cov(X.T.astype(float), bias=True)
    assert_allclose(difference / np.outer(scale, scale), 0, atol=0.01)
    ConditionalMean(X.shape[1]).set(gaussian.mean, gaussian.covariance)


@pytest.mark.parametrize("n_features", [8, 1001])
def test_weight_two_is_the_row_twice(n_features):
    X = with_gaps(correlated(80, n_features))
    weight = np.random.default_rng(0).integers(1, 3, size=len(X))
    twice = fitted(np.concatenate([X, X[weight == 2]]))
    once = fitted(X, weight.astype(float))
    assert_allclose(once.mean, twice.mean, atol=1e-6 * np.abs(twice.mean).max())
    assert_allclose(once.variance, twice.variance, rtol=1e-6)
    x = conditional_mean(twice, X)
    assert_allclose(conditional_mean(once, X), x, atol=1e-6 * np.abs(x).max())
    assert not np.allclose(fitted(X).mean, twice.mean, rtol=1e-4)


def test_unit_of_weights_does_not_matter():
    X = with_gaps(correlated())
    weight = np.random.default_rng(0).uniform(0.5, 2, size=len(X))
    assert_same(fitted(X, 1000 * weight), fitted(X, weight))


def test_permuting_columns_permutes_the_result():
    X = with_gaps(correlated())
    order = np.random.default_rng(0).permutation(X.shape[1])
    gaussian, permuted = fitted(X), fitted(X[:, order])
    assert_allclose(permuted.mean, gaussian.mean[order])
    assert_allclose(permuted.covariance, gaussian.covariance[np.ix_(order, order)])


def test_units_of_columns_do_not_matter():
    X = with_gaps(correlated())
    units = 10.0 ** np.arange(-4, X.shape[1] - 4)
    offset = 100 * units
    gaussian, other = fitted(X), fitted(X * units + offset)
    assert_allclose(other.mean, gaussian.mean * units + offset, rtol=1e-6)
    expected = gaussian.covariance * np.outer(units, units)
    scale = np.sqrt(expected.diagonal())
    assert_allclose(
        (other.covariance - expected) / np.outer(scale, scale), 0, atol=1e-6
    )


def test_float32_is_close_to_float64_and_nothing_is_changed():
    X = with_gaps(correlated())
    before = X.copy()
    assert_same(fitted(X.astype(np.float32)), fitted(X), rtol=1e-4)
    assert_array_equal(X, before)


@pytest.mark.parametrize("n_samples", [1, 2, 3, 5, 10])
def test_few_rows(n_samples):
    assert_valid(fitted(with_gaps(correlated(n_samples, 4))))
    assert_valid(fitted(correlated(n_samples, 4)))


def test_fewer_rows_than_columns():
    X = correlated(30, 60)
    gaps = with_gaps(X)
    gaussian = fitted(gaps)
    assert_valid(gaussian)
    mean = np.where(np.isnan(gaps), np.nanmean(gaps, axis=0), X)
    scale = X.std(axis=0)
    filled = conditional_mean(gaussian, gaps)
    assert rmse(filled / scale, X / scale, gaps) < rmse(mean / scale, X / scale, gaps)


def test_constants_and_columns_with_one_value():
    X = with_gaps(correlated())
    X[:, 0] = np.where(np.isnan(X[:, 0]), np.nan, 0.1)  # not a sum of powers of two
    X[1:, 1] = np.nan
    X[:, 2] = -7
    gaussian = fitted(X)
    assert_valid(gaussian)
    assert_allclose(gaussian.mean[:3], [0.1, X[0, 1], -7], rtol=1e-12)
    filled = conditional_mean(gaussian, X)
    assert_allclose(filled[:, :3], np.tile(gaussian.mean[:3], (len(X), 1)), rtol=1e-9)
    others = fitted(X[:, 3:])
    assert_allclose(gaussian.mean[3:], others.mean, rtol=0.05, atol=0.05)


def test_few_gaps():
    X = correlated()
    gaps = X.copy()
    gaps[3, 4] = np.nan
    filled = conditional_mean(fitted(gaps), gaps)
    assert abs(filled[3, 4] - X[3, 4]) < 1.5 * X[:, 4].std()
    assert_array_equal(np.delete(filled, 3, axis=0), np.delete(X, 3, axis=0))


def test_few_patterns_of_gaps():
    X = correlated(5000)
    gaps = X.copy()
    gaps[1000:, :3] = np.nan
    gaps[2000:3000, 3:5] = np.nan
    filled = conditional_mean(fitted(gaps), gaps)
    mean = np.where(np.isnan(gaps), np.nanmean(gaps, axis=0), X)
    assert rmse(filled, X, gaps) < 0.5 * rmse(mean, X, gaps)


@pytest.mark.parametrize("n_features", [8, 350])
def test_layer_fills_as_the_exact_solution(n_features):
    X = with_gaps(correlated(400, n_features))
    gaussian = fitted(X)
    layer = ConditionalMean(n_features)
    gaussian.put_into(layer)
    expected = conditional_mean(gaussian, X)
    scale = np.sqrt(gaussian.variance)
    difference = (layer(torch.tensor(X)).numpy() - expected) / scale
    assert np.sqrt(np.mean(np.square(difference))) < 0.01


def test_many_columns_have_a_covariance_of_low_rank():
    X = correlated(300, 1500, n_factors=6)
    gaps = with_gaps(X)
    gaussian = fitted(gaps)
    assert gaussian.covariance is None
    assert gaussian.loadings.shape[0] == 1500 and gaussian.loadings.shape[1] < 100
    assert (gaussian.noise_variance > 0).all()
    assert_allclose(gaussian.variance, X.var(axis=0), rtol=0.5)
    layer = ConditionalMean(1500)
    gaussian.put_into(layer)
    scale = X.std(axis=0)
    mean = np.where(np.isnan(gaps), np.nanmean(gaps, axis=0), X)
    filled = layer(torch.tensor(gaps)).numpy()
    assert rmse(filled / scale, X / scale, gaps) < 0.5 * rmse(
        mean / scale, X / scale, gaps
    )


def test_complete_rows_of_many_columns():
    X = correlated(200, 1200)
    gaussian = fitted(X)
    gaps = with_gaps(X)
    scale = X.std(axis=0)
    assert rmse(conditional_mean(gaussian, gaps) / scale, X / scale, gaps) < 0.5


def test_a_column_without_values_in_a_sample_of_the_rows():
    X = with_gaps(correlated(8000, 1100, n_factors=1), rate=0.1)
    X[:, 0] = np.nan
    X[0, 0] = 1
    for seed in range(2):  # not all samples have the first row
        gaussian = fit_gaussian(X, None, seed)
        assert np.isfinite(gaussian.mean).all()
        assert np.isfinite(conditional_mean(gaussian, X[-100:])).all()


def test_results_are_repeatable():
    X = with_gaps(correlated())
    assert_array_equal(fitted(X).covariance, fitted(X).covariance)
