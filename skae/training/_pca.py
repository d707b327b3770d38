"""Linear autoencoders in closed form: PCA."""

import math
from typing import Any, NamedTuple

import numpy as np
from scipy import linalg
from sklearn import config_context
from sklearn.decomposition import PCA

from skae.training._statistics import Columns
from skae.training._table import Table

# Limits within which scikit-learn's PCA also uses the covariance matrix.
_MAX_COLUMNS = 1000
_ROWS_PER_COLUMN = 10


class LinearMap(NamedTuple):
    """A linear autoencoder: ``z = W (x - mean)``, ``x_hat = mean + V z + b``.

    Attributes
    ----------
    encoder_weight : ndarray of shape (n_components, n_features)
        W.

    decoder_weight : ndarray of shape (n_features, n_components)
        V.

    decoder_bias : ndarray of shape (n_features,)
        b.
    """

    encoder_weight: np.ndarray
    decoder_weight: np.ndarray
    decoder_bias: np.ndarray


def fit_pca(
    table: Table,
    columns: Columns,
    n_components: int,
    random_state: np.random.RandomState,
) -> tuple[LinearMap, float]:
    """Fit PCA to the rows of a table.

    If `n_components` exceeds the number of axes of PCA, ``min(X.shape)``, a random
    matrix with orthonormal columns spreads the axes over all components. Then the
    reconstruction is that of PCA, and no component is idle.

    Parameters
    ----------
    table : Table of shape (n_samples, n_features)
        Rows. PCA is fitted to a sample of a large table if it is dense or has weights.

    columns : Columns
        Statistics of the rows.

    n_components : int
        Size of the code.

    random_state : RandomState
        For PCA's randomised solver and the spreading.

    Returns
    -------
    linear : LinearMap

    residual : float
        Root mean squared error of PCA, over rows and columns.
    """
    seed = random_state.randint(2**31 - 1)
    n_rows, n_features = table.inputs.shape
    n_axes = min(n_components, n_rows, n_features)
    gaussian = table.gaussian
    is_tall = n_features <= _MAX_COLUMNS and n_rows >= _ROWS_PER_COLUMN * n_features
    if gaussian is not None and gaussian.covariance is not None:
        axes, explained = _axes_of(gaussian.covariance, n_axes)
    elif is_tall and not table.large:
        axes, explained = _axes_of(table.covariance, n_axes)
    else:
        axes, explained = _by_scikit_learn(table, columns, n_axes, seed)
    residual = max(0.0, columns.variance.sum() - explained) / n_features
    encoder, decoder = spread(axes, axes.T, n_components, random_state)
    linear = LinearMap(encoder, decoder, np.zeros(n_features))
    return linear, math.sqrt(residual)


def _axes_of(covariance: np.ndarray, n_axes: int) -> tuple[np.ndarray, float]:
    """Find the axes of a covariance, and the variance that they explain."""
    last = len(covariance) - 1
    values, vectors = linalg.eigh(covariance, subset_by_index=(last + 1 - n_axes, last))
    axes = vectors.T[::-1]
    # The sign of an eigenvector is arbitrary. This is the sign of scikit-learn's PCA.
    largest = np.abs(axes).argmax(axis=1)
    axes = axes * np.sign(axes[np.arange(n_axes), largest])[:, None]
    return axes, values.clip(0).sum()


def _by_scikit_learn(
    table: Table, columns: Columns, n_axes: int, seed: int
) -> tuple[np.ndarray, float]:
    """Fit PCA with scikit-learn, for large tables and for few but wide rows."""
    rows: Any
    total: float
    # PCA of a sparse matrix requires fewer axes than there are.
    few = n_axes < min(len(table), table.n_features)
    if table.sparse and table.weight is None and few:
        rows, weight = table.inputs.array, None  # type: ignore[union-attr]
    else:
        sample = table.sample()
        rows, weight = sample.inputs, sample.weight
    total = rows.shape[0]
    if weight is not None:
        # Weighted centred rows together with their negatives have mean zero, so PCA
        # centres correctly. Their second moments are those of the weighted rows.
        centred = (rows - columns.mean) * np.sqrt(weight)[:, None]
        rows = np.concatenate([centred, -centred])
        total = 2 * weight.sum()
    pca = PCA(min(n_axes, *rows.shape), random_state=seed)
    # For one row, the explained variance, which is not used, divides by zero.
    with (
        config_context(array_api_dispatch=False),  # it would use another solver
        np.errstate(divide="ignore", invalid="ignore"),
    ):
        pca.fit(rows)
    axes = np.ascontiguousarray(pca.components_)
    return axes, np.square(pca.singular_values_).sum() / total


def spread(
    encoder: np.ndarray,
    decoder: np.ndarray,
    n_components: int,
    random_state: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Spread a code over more components with a matrix of orthonormal columns."""
    if len(encoder) == n_components:
        return encoder, decoder
    matrix = random_state.normal(size=(n_components, len(encoder)))
    axes, _ = np.linalg.qr(matrix)
    return axes @ encoder, decoder @ axes.T
