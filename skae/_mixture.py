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
    """A Gaussian mixture, and the probabilities of its components for training codes.

    Attributes
    ----------
    weights : ndarray of shape (n_mixture,)
        Weights of the components.

    means : ndarray of shape (n_mixture, n_components)
        Their means.

    covariances : ndarray of shape (n_mixture, n_components, n_components)
        Their covariances.

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
    """Fit a mixture with full covariances, of a size that the BIC chooses.

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


def log_density(
    codes: Tensor, weights: Tensor, means: Tensor, covariances: Tensor
) -> Tensor:
    """Compute the logarithm of the density of a mixture, of shape (n_samples,)."""
    factors, _ = torch.linalg.cholesky_ex(covariances)
    inverse = torch.linalg.solve_triangular(
        factors,
        torch.eye(means.shape[1], dtype=means.dtype).expand_as(factors),
        upper=False,
    )  # (n_mixture, k, k)
    constant = torch.log(weights) + torch.log(
        torch.diagonal(inverse, dim1=1, dim2=2)
    ).sum(dim=1)
    constant = constant - 0.5 * means.shape[1] * math.log(2 * math.pi)
    centred = codes[:, None, :] - means  # (n, n_mixture, k)
    whitened = torch.einsum("nmk,mjk->nmj", centred, inverse)
    return torch.logsumexp(constant - 0.5 * whitened.square().sum(dim=2), dim=1)
