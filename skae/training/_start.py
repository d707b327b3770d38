"""Closed-form starts: the weights of the linear path before the first step."""

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn import config_context
from sklearn.decomposition import PCA
from sklearn.utils import gen_batches
from sklearn.utils.sparsefuncs import mean_variance_axis

from skae.training._streaming import LargeTable, Table, dense_rows


class Columns(NamedTuple):
    """Mean and variance of each column, of shape (n_features,), in float64."""

    mean: np.ndarray
    variance: np.ndarray

    @property
    def scale(self) -> float:
        """Root of the mean variance over the columns; 1 where that is 0.

        One scale for all columns conditions the optimisation and leaves the minimiser
        of the squared error as it is; a scale for each column would not.
        """
        return math.sqrt(self.variance.mean()) or 1.0


class LinearStart(NamedTuple):
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


def column_statistics(X: Table, sample_weight: np.ndarray | None = None) -> Columns:
    """Mean and variance of each column."""
    if isinstance(X, LargeTable) and X.sparse:
        weight = None if sample_weight is None else sample_weight.astype(X.dtype)
        statistics = mean_variance_axis(X.array, axis=0, weights=weight)
        return Columns(*(each.astype(np.float64) for each in statistics))
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    weight = weight / weight.sum()
    # In blocks of about a megabyte, so that no copy of a large X is made; in float64,
    # because sums of many float32 drift; relative to a row, so that columns that are
    # constant have variance zero.
    first = X[:1][0].astype(np.float64)
    blocks = list(gen_batches(len(X), max(1, 2**17 // X.shape[1])))
    mean = sum(weight[rows] @ (X[rows] - first) for rows in blocks)
    variance = sum(weight[rows] @ np.square(X[rows] - first - mean) for rows in blocks)
    mean = first + mean
    return Columns(mean, variance)


def start_statistics(X: Table, sample_weight: np.ndarray | None) -> Columns:
    """Mean and variance of each column; of a large dense table, from a sample."""
    if isinstance(X, LargeTable) and X.sparse:
        return column_statistics(X, sample_weight)
    return column_statistics(*dense_rows(X, sample_weight))


def standardize(module: Any, X: Table, sample_weight: np.ndarray | None) -> Columns:
    """Set centre and scale of a module from rows, and give the columns' statistics."""
    columns = start_statistics(X, sample_weight)
    module.standardize(
        torch.as_tensor(columns.mean), torch.tensor(columns.scale, dtype=torch.float64)
    )
    return columns


def pca_start(
    X: Table,
    columns: Columns,
    n_components: int,
    sample_weight: np.ndarray | None,
    random_state: np.random.RandomState,
) -> tuple[LinearStart, float]:
    """Start at the PCA of the rows.

    Where `n_components` exceeds the number of axes that PCA has, ``min(X.shape)``,
    the axes are spread over all components by a random matrix with orthonormal
    columns: the reconstruction is that of PCA, and no component is idle.

    Parameters
    ----------
    X : ndarray or LargeTable of shape (n_samples, n_features)
        Rows. Of a large dense table, or one with weights, a sample is taken.

    columns : Columns
        Their statistics.

    n_components : int
        Size of the code.

    sample_weight : ndarray of shape (n_samples,) or None
        Positive weights of the rows.

    random_state : RandomState
        For PCA's randomised solver and the spreading.

    Returns
    -------
    start : LinearStart

    residual : float
        Root mean squared error of PCA, over rows and columns.
    """
    rows: Any
    total: float
    if (
        isinstance(X, LargeTable)
        and X.sparse
        and sample_weight is None
        # PCA of a sparse matrix wants fewer axes than there are.
        and n_components < min(X.shape)
    ):
        rows = X.array
    else:
        rows, sample_weight = dense_rows(X, sample_weight)
    total = rows.shape[0]
    if sample_weight is not None:
        # Weighted centred rows beside their negatives have mean zero, and their
        # second moments are those of the weighted rows: what PCA centres is right.
        centred = (rows - columns.mean) * np.sqrt(sample_weight)[:, None]
        rows = np.concatenate([centred, -centred])
        total = 2 * sample_weight.sum()
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
    residual = max(0.0, columns.variance.sum() - explained) / X.shape[1]
    encoder, decoder = spread(axes, axes.T, n_components, random_state)
    start = LinearStart(encoder, decoder, np.zeros(X.shape[1]))
    return start, math.sqrt(residual)


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
