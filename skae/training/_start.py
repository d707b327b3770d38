"""Closed-form starts: the weights of the linear path before the first step."""

import math
from typing import NamedTuple

import numpy as np
from sklearn.decomposition import PCA


class LinearStart(NamedTuple):
    """A linear autoencoder: ``z = W (x - mean)``, ``x_hat = mean + V z``.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        Centre of the rows.

    scale : float
        Root of the mean variance over the columns; 1 where that is 0.

    residual : float
        Root mean squared error of the reconstruction, over rows and columns.

    encoder_weight : ndarray of shape (n_components, n_features)
        W.

    decoder_weight : ndarray of shape (n_features, n_components)
        V.
    """

    mean: np.ndarray
    scale: float
    residual: float
    encoder_weight: np.ndarray
    decoder_weight: np.ndarray


def centre_and_scale(
    X: np.ndarray, sample_weight: np.ndarray | None = None
) -> tuple[np.ndarray, float]:
    """Mean of each column, and the root of the mean variance over the columns.

    One scale for all columns conditions the optimisation and leaves the minimiser of
    the squared error as it is; a scale for each column would not.
    """
    mean = np.empty(X.shape[1])
    variance = np.empty(X.shape[1])
    # Column by column, so that no copy of a large X is made; in float64, because sums
    # of many float32 drift.
    for i, column in enumerate(X.T):
        column = column.astype(np.float64)
        mean[i] = np.average(column, weights=sample_weight)
        variance[i] = np.average(np.square(column - mean[i]), weights=sample_weight)
    scale = math.sqrt(variance.mean())
    return mean, scale if scale > 0 else 1.0


def pca_start(
    X: np.ndarray,
    n_components: int,
    sample_weight: np.ndarray | None,
    random_state: np.random.RandomState,
) -> LinearStart:
    """Start at the PCA of the rows.

    Where `n_components` exceeds the number of axes that PCA has, ``min(X.shape)``,
    the axes are spread over all components by a random matrix with orthonormal
    columns: the reconstruction is that of PCA, and no component is idle.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.

    n_components : int
        Size of the code.

    sample_weight : ndarray of shape (n_samples,) or None
        Positive weights of the rows.

    random_state : RandomState
        For PCA's randomised solver and the spreading.

    Returns
    -------
    start : LinearStart
    """
    mean, scale = centre_and_scale(X, sample_weight)
    n_axes = min(n_components, *X.shape)
    if sample_weight is None:
        rows = X
    else:
        # Weighted centred rows beside their negatives have mean zero, and their
        # second moments are those of the weighted rows: what PCA centres is right.
        centred = (X - mean) * np.sqrt(sample_weight)[:, None]
        rows = np.concatenate([centred, -centred])
    pca = PCA(n_axes, random_state=random_state.randint(2**31 - 1))
    # The variance explained is a division by zero for one row; it is not used.
    with np.errstate(divide="ignore", invalid="ignore"):
        pca.fit(rows)
    axes = pca.components_
    explained = np.square(pca.singular_values_).sum() / (
        len(X) if sample_weight is None else 2 * sample_weight.sum()
    )
    residual = math.sqrt(max(0.0, scale**2 - explained / X.shape[1]))
    if n_axes == n_components:
        return LinearStart(mean, scale, residual, axes, axes.T)
    spread, _ = np.linalg.qr(random_state.normal(size=(n_components, n_axes)))
    return LinearStart(mean, scale, residual, spread @ axes, axes.T @ spread.T)
