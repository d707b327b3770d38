"""Linear autoencoders in closed form: PCA."""

import math
from typing import Any, NamedTuple

import numpy as np
from sklearn import config_context
from sklearn.decomposition import PCA

from skae.training._statistics import Columns
from skae.training._table import Table


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

    Where `n_components` exceeds the number of axes that PCA has, ``min(X.shape)``,
    the axes are spread over all components by a random matrix with orthonormal
    columns: the reconstruction is that of PCA, and no component is idle.

    Parameters
    ----------
    table : Table of shape (n_samples, n_features)
        Rows. PCA is fitted to a sample of a large table if it is dense or has weights.

    columns : Columns
        Their statistics.

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
    rows: Any
    total: float
    # PCA of a sparse matrix wants fewer axes than there are.
    few = n_components < min(len(table), table.n_features)
    if table.sparse and table.weight is None and few:
        rows, weight = table.inputs.array, None  # type: ignore[union-attr]
    else:
        sample = table.sample()
        rows, weight = sample.inputs, sample.weight
    total = rows.shape[0]
    if weight is not None:
        # Weighted centred rows beside their negatives have mean zero, and their
        # second moments are those of the weighted rows: what PCA centres is right.
        centred = (rows - columns.mean) * np.sqrt(weight)[:, None]
        rows = np.concatenate([centred, -centred])
        total = 2 * weight.sum()
    pca = PCA(
        min(n_components, *rows.shape), random_state=random_state.randint(2**31 - 1)
    )
    # The variance explained is a division by zero for one row; it is not used.
    with (
        config_context(array_api_dispatch=False),  # it solves in another way
        np.errstate(divide="ignore", invalid="ignore"),
    ):
        pca.fit(rows)
    axes = np.ascontiguousarray(pca.components_)
    explained = np.square(pca.singular_values_).sum() / total
    residual = max(0.0, columns.variance.sum() - explained) / table.n_features
    encoder, decoder = spread(axes, axes.T, n_components, random_state)
    linear = LinearMap(encoder, decoder, np.zeros(table.n_features))
    return linear, math.sqrt(residual)


def spread(
    encoder: np.ndarray,
    decoder: np.ndarray,
    n_components: int,
    random_state: np.random.RandomState,
) -> tuple[np.ndarray, np.ndarray]:
    """Spread a code over more components, by a matrix with orthonormal columns."""
    if len(encoder) == n_components:
        return encoder, decoder
    matrix = random_state.normal(size=(n_components, len(encoder)))
    axes, _ = np.linalg.qr(matrix)
    return axes @ encoder, decoder @ axes.T
