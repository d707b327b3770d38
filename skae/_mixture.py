"""Gaussian mixtures of codes."""

import itertools
import math
import warnings
from typing import NamedTuple

import numpy as np
import torch
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

_MAX_COMPONENTS = 32


class Mixture(NamedTuple):
    """Gaussian mixture with the probabilities of its components for training codes.

    Attributes
    ----------
    weights : ndarray of shape (n_mixture,)
        Weights of the components.

    means : ndarray of shape (n_mixture, n_components)
        Means of the components.

    covariances : ndarray of shape (n_mixture, n_components, n_components)
        Covariances of the components.

    responsibilities : ndarray of shape (n_samples, n_mixture)
        Probability of each component for each code.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    responsibilities: np.ndarray


def fit_mixture(
    codes: np.ndarray, reg_covar: float, rng: np.random.RandomState
) -> Mixture:
    """Fit a mixture with full covariances; the BIC chooses its size.

    The number of components is doubled for as long as the BIC falls.
    """
    from sklearn.mixture import GaussianMixture  # the import takes long

    # Some constants of GaussianMixture, such as reg_covar, assume unit scale.
    scale = codes.std(axis=0)
    scale[scale == 0] = 1.0
    codes = codes / scale
    best, lowest = None, np.inf
    sizes = itertools.takewhile(
        lambda size: size <= min(_MAX_COMPONENTS, len(codes)),
        (2**i for i in itertools.count()),
    )
    with config_context(array_api_dispatch=False), warnings.catch_warnings():
        # The BIC judges mixtures that have not quite converged, or that have fewer
        # clusters than components, like any other.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for size in sizes:
            mixture = GaussianMixture(size, reg_covar=reg_covar, random_state=rng).fit(
                codes
            )
            bic = mixture.bic(codes)
            if bic >= lowest:
                break
            best, lowest = mixture, bic
        assert best is not None
        responsibilities = best.predict_proba(codes)
    return Mixture(
        best.weights_,
        best.means_ * scale,
        best.covariances_ * scale[:, None] * scale,
        responsibilities,
    )


def whitening(
    weights: np.ndarray, means: np.ndarray, covariances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the arguments of `log_density` for a mixture, except its means.

    Returns
    -------
    constant : ndarray of shape (n_mixture,)
        Logarithm of the weight times the density at the mean, for each component.

    factors : ndarray of shape (n_mixture, n_components, n_components)
        Matrices that turn distances from the mean into standard normal ones.
    """
    factors = np.linalg.inv(np.linalg.cholesky(covariances))
    diagonals = np.diagonal(factors, axis1=1, axis2=2)
    normal = 0.5 * means.shape[1] * math.log(2 * math.pi)
    return np.log(weights) + np.log(diagonals).sum(axis=1) - normal, factors


def log_density(
    codes: Tensor, means: Tensor, constant: Tensor, factors: Tensor
) -> Tensor:
    """Compute the logarithm of the density of a mixture, of shape (n_samples,)."""
    centred = codes[:, None, :] - means  # (n_samples, n_mixture, n_components)
    whitened = torch.einsum("nmk,mjk->nmj", centred, factors)
    return torch.logsumexp(constant - 0.5 * whitened.square().sum(dim=2), dim=1)
