"""Inspection of the meaning of the codes of a fitted autoencoder."""

from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.utils import check_scalar

from skae._fitted import with_output

__all__ = ["decoded_ranges", "decoder_directions"]


def decoder_directions(estimator: Any, X: ArrayLike) -> np.ndarray:
    """Return the change of decoded rows with each component of the code.

    One component rises by its standard deviation from its median, and all others stay
    at their medians.

    Parameters
    ----------
    estimator : estimator
        Fitted autoencoder, or another transformer with an `inverse_transform`.

    X : array-like of shape (n_samples, n_features)
        Rows. Medians and deviations are those of their codes.

    Returns
    -------
    directions : ndarray of shape (n_components, n_features)
        Changes, in the units of `X`. Images and series are flattened.

    Raises
    ------
    TypeError
        If the rows have columns that are not numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import decoder_directions
    >>> X = load_iris().data
    >>> model = AutoencoderTransformer(2, max_epochs=3, random_state=0).fit(X)
    >>> decoder_directions(model, X).shape
    (2, 4)
    """
    codes = _codes(estimator, X)
    middle = np.median(codes, axis=0)
    steps = np.vstack([middle, middle + np.diag(codes.std(axis=0))])
    rows = _decoded(estimator, steps)
    if rows.dtype.kind not in "biuf":
        raise TypeError(
            "decoder_directions returns differences of numbers, but "
            f"{type(estimator).__name__} was also fitted to columns of other kinds. "
            "Use decoded_ranges, which returns the rows themselves."
        )
    return rows[1:] - rows[0]


def decoded_ranges(estimator: Any, X: ArrayLike, n_steps: int = 7) -> np.ndarray:
    """Return decoded rows for a range of values of each component of the code.

    One component moves from its 5th to its 95th percentile, and all others stay at
    their medians.

    Parameters
    ----------
    estimator : estimator
        Fitted autoencoder, or another transformer with an `inverse_transform`.

    X : array-like of shape (n_samples, n_features)
        Rows. Percentiles and medians are those of their codes.

    n_steps : int, default=7
        Number of rows for each component.

    Returns
    -------
    rows : ndarray of shape (n_components, n_steps, n_features)
        Decoded rows. Images and series are flattened.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.inspection import decoded_ranges
    >>> X = load_iris().data
    >>> model = AutoencoderTransformer(2, max_epochs=3, random_state=0).fit(X)
    >>> decoded_ranges(model, X, n_steps=5).shape
    (2, 5, 4)
    """
    check_scalar(n_steps, "n_steps", Integral, min_val=1)
    codes = _codes(estimator, X)
    n_components = codes.shape[1]
    steps = np.tile(np.median(codes, axis=0), (n_components, n_steps, 1))
    low, high = np.percentile(codes, [5, 95], axis=0)
    for i in range(n_components):
        steps[i, :, i] = np.linspace(low[i], high[i], n_steps)
    rows = _decoded(estimator, steps.reshape(-1, n_components))
    return rows.reshape(n_components, n_steps, -1)


def _codes(estimator: Any, X: ArrayLike) -> np.ndarray:
    codes = with_output(estimator, "code").transform(X)
    return np.asarray(codes.toarray() if issparse(codes) else codes)


def _decoded(estimator: Any, codes: np.ndarray) -> np.ndarray:
    rows = with_output(estimator, "code").inverse_transform(codes)
    return np.asarray(rows).reshape(len(codes), -1)
