"""Linear Gaussian models in closed form: probabilistic PCA and factor analysis."""

import warnings
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg
from sklearn import config_context
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning

from skae.training._distinct import count_distinct
from skae.training._pca import fit_pca
from skae.training._statistics import Columns
from skae.training._table import Table

# Without a bound, constant columns and copies of others make the density infinite.
_MIN_COLUMN_VARIANCE = 1e-3
_MIN_SCALAR_VARIANCE = 1e-6
# The start is a little above the bound, because there is no gradient at the bound.
_ABOVE = 1.01
# With more rows, factor analysis would take longer than the training.
_FACTOR_ANALYSIS_ROWS = 10_000
# Gain of the log-likelihood of a row at which factor analysis ends.
_TOLERANCE = 1e-6


def min_variance(column: bool) -> float:
    """Lower bound of the output variance, in units of the mean column variance."""
    return _MIN_COLUMN_VARIANCE if column else _MIN_SCALAR_VARIANCE


class GaussianModel(NamedTuple):
    """A linear Gaussian model and the exact distribution of its codes.

    Attributes
    ----------
    encoder_weight : ndarray of shape (n_components, n_features)
        W, which maps a row to the mean of its code.

    decoder_weight : ndarray of shape (n_features, n_components)
        V, which maps a code to the mean of its row.

    code_variance : ndarray of shape (n_components,)
        Variance of a code given its row.

    noise_variance : ndarray of shape (1,) or (n_features,)
        Variance of a row given its code.
    """

    encoder_weight: np.ndarray
    decoder_weight: np.ndarray
    code_variance: np.ndarray
    noise_variance: np.ndarray


def fit_probabilistic_pca(
    table: Table,
    columns: Columns,
    n_components: int,
    random_state: np.random.RandomState,
) -> GaussianModel:
    """Fit probabilistic PCA to rows, centred and scaled.

    It is the optimum of a linear variational autoencoder with one output variance
    (Lucas et al. 2019, Don't blame the ELBO!, section 4). Components beyond those of
    PCA are idle.

    Parameters
    ----------
    table : Table of shape (n_samples, n_features)
        Rows. Only a sample of a large table is used.

    columns : Columns
        Statistics of the rows.

    n_components : int
        Size of the code.

    random_state : RandomState
        For PCA's randomised solver.
    """
    table = table.sample()
    X: Any = table.inputs
    sample_weight = table.weight
    n_axes = min(n_components, *X.shape)
    linear, _ = fit_pca(table, columns, n_axes, random_state)
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    centred = (X - columns.mean) / columns.scale
    total = weight.sum()
    # scikit-learn's PCA also has unbiased variances. Copies and weights do not count as
    # further rows.
    n_rows = count_distinct(X)
    factor = n_rows / (n_rows - 1) if n_rows > 1 else 1.0
    covariance = _covariance_of_gaps(table, columns)
    if covariance is None:
        scores = centred @ linear.encoder_weight.T
        explained = factor * (weight / total) @ np.square(scores)
        in_all = factor * (weight / total) @ np.square(centred).sum(axis=1)
    else:
        axes = linear.encoder_weight
        explained = factor * ((axes @ covariance) * axes).sum(axis=1)
        in_all = factor * np.trace(covariance)
    left = in_all - explained.sum()
    n_left = X.shape[1] - n_axes
    noise = left / n_left if n_left > 0 else 0.0
    noise = max(noise, _ABOVE * _MIN_SCALAR_VARIANCE)
    loadings = linear.decoder_weight * np.sqrt(np.maximum(explained - noise, 0))
    return _with_codes(loadings, np.array([noise]), n_components)


def fit_factor_analysis(
    table: Table,
    columns: Columns,
    n_components: int,
    random_state: np.random.RandomState,
) -> GaussianModel:
    """Fit factor analysis to rows, centred and scaled.

    It is the optimum of a linear variational autoencoder with an output variance for
    each column. The parameters are those of :func:`fit_probabilistic_pca`.
    """
    table = table.sample()
    X: Any = table.inputs
    sample_weight = table.weight
    if len(X) > _FACTOR_ANALYSIS_ROWS:
        index = random_state.choice(len(X), _FACTOR_ANALYSIS_ROWS, replace=False)
        X = X[index]
        sample_weight = None if sample_weight is None else sample_weight[index]
    centred = (X - columns.mean) / columns.scale
    covariance = _covariance_of_gaps(table, columns)
    if covariance is not None:
        # These rows have exactly this covariance.
        values, vectors = linalg.eigh(covariance)
        root = np.sqrt(values.clip(0))[:, None] * vectors.T
        centred = np.sqrt(len(root)) * np.concatenate([root, -root])
    elif sample_weight is not None:
        # Weighted rows together with their negatives have the mean and the second
        # moments of the rows with weights.
        centred *= np.sqrt(sample_weight / sample_weight.mean())[:, None]
        centred = np.concatenate([centred, -centred])
    lowest = _ABOVE * _MIN_COLUMN_VARIANCE
    if not centred.any():
        loadings = np.zeros((X.shape[1], 1))
        return _with_codes(loadings, np.full(X.shape[1], lowest), n_components)
    model = FactorAnalysis(
        min(n_components, *X.shape),
        tol=_TOLERANCE * len(centred),
        noise_variance_init=np.maximum(centred.var(axis=0), lowest),
        svd_method="lapack" if min(centred.shape) <= 100 else "randomized",
        random_state=random_state.randint(2**31 - 1),
    )
    with config_context(array_api_dispatch=False), warnings.catch_warnings():
        # Training continues from this state.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(centred)
    noise = np.maximum(model.noise_variance_, lowest)
    return _with_codes(model.components_.T, noise, n_components)


def _covariance_of_gaps(table: Table, columns: Columns) -> np.ndarray | None:
    """Return the covariance of rows with gaps, centred and scaled; None if complete.

    Rows whose gaps are filled vary too little.
    """
    if table.gaussian is None or table.gaussian.covariance is None:
        return None
    return table.gaussian.covariance / columns.scale**2


def _with_codes(
    loadings: np.ndarray, noise: np.ndarray, n_components: int
) -> GaussianModel:
    """Rotate the factors so that they are independent given their row.

    The matrix M is that of Bishop, Pattern Recognition and Machine Learning, (12.41)
    and (12.66), divided by the noise variance.
    """
    precision = np.eye(loadings.shape[1]) + loadings.T @ (loadings / noise[:, None])
    m, rotation = np.linalg.eigh(precision)
    m, rotation = m[::-1], rotation[:, ::-1]  # the most informative factor first
    # Keep the signs from before the rotation, as rounding may flip them: for PCA, those
    # of PCA.
    largest = np.abs(rotation).argmax(axis=0)
    rotation = rotation * np.sign(rotation[largest, np.arange(len(m))])
    loadings = loadings @ rotation
    encoder = (loadings / noise[:, None]).T / m[:, None]
    idle = n_components - len(m)
    return GaussianModel(
        np.pad(encoder, ((0, idle), (0, 0))),
        np.pad(loadings, ((0, 0), (0, idle))),
        np.pad(1 / m, (0, idle), constant_values=1.0),
        noise,
    )
