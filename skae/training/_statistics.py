"""Statistics of columns."""

import math
from typing import NamedTuple

import numpy as np
from sklearn.utils import gen_batches
from sklearn.utils.sparsefuncs import mean_variance_axis

from skae.training._streaming import LargeTable, Matrix

# Number of values in a block of rows for matrix products.
_BLOCK_VALUES = 2**20


class Columns(NamedTuple):
    """Mean and variance of each column, of shape (n_features,), in float64."""

    mean: np.ndarray
    variance: np.ndarray

    @property
    def scale(self) -> float:
        """Root of the mean variance over the columns; 1 if the variance is 0.

        One scale for all columns conditions the optimisation and does not change the
        minimiser of the squared error. A scale for each column would change it.
        """
        return math.sqrt(self.variance.mean()) or 1.0


def column_statistics(X: Matrix, sample_weight: np.ndarray | None = None) -> Columns:
    """Compute the mean and the variance of each column."""
    if isinstance(X, LargeTable) and X.sparse:
        weight = None if sample_weight is None else sample_weight.astype(X.dtype)
        statistics = mean_variance_axis(X.array, axis=0, weights=weight)
        return Columns(*(each.astype(np.float64) for each in statistics))
    n_rows, n_features = X.shape
    # Blocks of about a megabyte avoid a copy of a large X, and each row is read once.
    # Sums are in float64, because sums of many float32 drift. They are relative to a
    # row, so that constant columns have variance zero.
    size = min(n_rows, max(1, 2**17 // n_features))
    memory = np.empty((size, n_features))
    first = X[:1][0].astype(np.float64)
    mean, squares, total = np.zeros(n_features), np.zeros(n_features), 0.0
    for rows in gen_batches(n_rows, size):
        block = memory[: rows.stop - rows.start]
        np.subtract(X[rows], first, out=block)
        weight = np.ones(len(block)) if sample_weight is None else sample_weight[rows]
        in_block = weight.sum()
        mean_of_block = weight @ block / in_block
        block -= mean_of_block
        np.square(block, out=block)
        # Combine the sums of squares of two parts (Chan, Golub & LeVeque 1983, eq.
        # 2.1).
        total += in_block
        delta = mean_of_block - mean
        share = in_block / total
        squares += weight @ block + np.square(delta) * in_block * (1 - share)
        mean += delta * share
    return Columns(first + mean, squares / total)


def pooled_columns(parts: list[tuple[Columns, float]]) -> Columns:
    """Compute the statistics of rows from those of parts and the shares of these."""
    # Relative to the first mean, so that constant columns have variance zero.
    first = parts[0][0].mean
    mean = first + sum(share * (part.mean - first) for part, share in parts)
    variance = sum(
        share * (part.variance + np.square(part.mean - mean)) for part, share in parts
    )
    return Columns(mean, np.asarray(variance))


def covariance(
    X: np.ndarray, sample_weight: np.ndarray | None, columns: Columns
) -> np.ndarray:
    """Compute the covariance of rows in memory, without a copy of them."""
    scale = np.sqrt(columns.variance)
    # Products of standardised columns cannot overflow.
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    mean = columns.mean.astype(X.dtype)
    # The mean is rounded in float32, and the rows are centred by what it becomes.
    shift = (columns.mean - mean) * inverse
    inverse = inverse.astype(X.dtype)
    products = np.zeros((X.shape[1], X.shape[1]))
    for rows in gen_batches(len(X), max(1, _BLOCK_VALUES // X.shape[1])):
        centred = X[rows] - mean
        centred *= inverse
        if sample_weight is not None:
            centred *= np.sqrt(sample_weight[rows, None])
        products += centred.T @ centred
    products /= len(X) if sample_weight is None else sample_weight.sum()
    return (products - np.outer(shift, shift)) * np.outer(scale, scale)


def fill_missing(X: np.ndarray, sample_weight: np.ndarray | None = None) -> np.ndarray:
    """Replace NaN by the mean of the column.

    Such values do not change the axes of PCA, because they are 0 in centred rows.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.

    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows in the mean.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        `X` itself if nothing is missing. Columns without values are 0.
    """
    missing = np.isnan(X)
    if not missing.any():
        return X
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    filled = np.where(missing, 0, X)
    # A product with `@` would convert the whole boolean mask to floats at once.
    there = weight.sum() - np.einsum("i,ij->j", weight, missing)
    mean = weight @ filled / np.maximum(there, np.finfo(np.float64).tiny)
    np.copyto(filled, mean, where=missing, casting="same_kind")
    return filled


def standardization(
    features: np.ndarray, sample_weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and standard deviation of columns; 1 for constant columns."""
    columns = column_statistics(features, sample_weight)
    scale = np.sqrt(columns.variance)
    # A constant has a tiny deviation by rounding, which must not be scaled up.
    rounding = 10 * np.finfo(features.dtype).eps
    varies = scale > rounding * (np.abs(columns.mean) + scale.max())
    return columns.mean, np.where(varies, scale, 1.0)
