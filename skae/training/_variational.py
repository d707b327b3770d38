"""The engine for variational autoencoders: the bound, and where it starts."""

import math
import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn import config_context
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning
from torch import Tensor

from skae.training._batches import Rows
from skae.training._distinct import count_distinct
from skae.training._net import AutoencoderNet
from skae.training._start import Columns, pca_start
from skae.training._streaming import Table, dense_rows

# Codes drawn for each row where the bound is not trained on, in pairs z and -z.
_N_DRAWS = 8
# Without columns that are constant, or copies of others, a density has no end.
_MIN_COLUMN_VARIANCE = 1e-3
_MIN_SCALAR_VARIANCE = 1e-6
# The start is a little above: at the bound itself there is no gradient.
_ABOVE = 1.01
# Of more rows, factor analysis would take longer than the training.
_FACTOR_ANALYSIS_ROWS = 10_000
# Gain of the log-likelihood of a row at which factor analysis ends.
_TOLERANCE = 1e-6


def min_variance(column: bool) -> float:
    """Lower bound of the output variance, in units of the mean column variance."""
    return _MIN_COLUMN_VARIANCE if column else _MIN_SCALAR_VARIANCE


class VariationalNet(AutoencoderNet):
    """skorch net that maximises the evidence lower bound (ELBO).

    The loss of a row is ``-(E log p(x | z) - beta * KL) / n_features``, in nats and in
    the units of the rows. The divergence is exact. In training, the mean is over one
    code drawn for each row; otherwise over a few that are always the same. In a
    training step `y_pred` is the loss of each row.

    Parameters
    ----------
    module : torch.nn.Module, class or callable
        As in skorch. It is, or gives, a
        :class:`~skae.modules.VariationalDenseAutoencoder`.

    beta : float, default=1.0
        Weight of the divergence.

    kl_warmup_epochs : int, default=0
        In epoch i, from 0, training steps weight the divergence by ``min(1, i /
        kl_warmup_epochs)`` more.

    free_bits : float, default=0.0
        In training steps, the divergence of each component, averaged over the batch, is
        this at least, in nats (Kingma et al. 2016, arXiv:1606.04934, equation 15).

    **kwargs : dict
        Further parameters of :class:`AutoencoderNet`.
    """

    logarithmic_loss = True

    def __init__(
        self,
        module: Any,
        *,
        beta: float = 1.0,
        kl_warmup_epochs: int = 0,
        free_bits: float = 0.0,
        **kwargs: Any,
    ) -> None:
        self.beta = beta
        self.kl_warmup_epochs = kl_warmup_epochs
        self.free_bits = free_bits
        super().__init__(module, **kwargs)

    def _reconstruct_for_loss(self, x: Tensor) -> Tensor:
        module = self.plain_module_
        if not module.training:
            return self.row_losses_with(module, x)
        shape = (1, len(x), module.decoder[0].in_features)
        noise = torch.randn(shape, generator=self.generator_, device=x.device)
        weight = self.beta
        if self.kl_warmup_epochs > 0:
            epoch = len(self.history) - 1
            weight = weight * min(1.0, epoch / self.kl_warmup_epochs)
        return self._maybe_compiled(x, noise, weight, self.free_bits)

    def get_loss(
        self,
        y_pred: Tensor,
        y_true: Tensor | None,
        X: Any = None,
        training: bool = False,
    ) -> Tensor:
        """Mean of the losses of rows `y_pred`, with weights `y_true`."""
        return y_pred.mean() if y_true is None else (y_pred * y_true).mean()

    def _forward(
        self,
        module: Any,
        x: Tensor,
        noise: Tensor,
        weight: float,
        free_bits: float = 0.0,
    ) -> Tensor:
        """Compute the loss of each row, over the draws `noise` of its code."""
        x = module.centre(x)
        distribution = module.distribution_of_centred(x)
        divergence = module.divergence(*distribution)
        if free_bits > 0:
            divergence = _at_least(divergence, free_bits)
        expected = module.expected_log_likelihood(x, *distribution, noise)
        return (weight * divergence.sum(1) - expected) / x.shape[1]

    def row_losses_with(
        self, module: Any, x_in: Tensor, x: Tensor | None = None
    ) -> Tensor:
        """Loss of each row, over codes that are always the same ones."""
        noise = fixed_draws(_N_DRAWS, len(x_in), module.decoder[0].in_features)
        return self._forward(module, x_in, noise.to(x_in.device), self.beta)

    def set_loss_unit(self, rows: Rows) -> None:
        """Leave the unit one: nats have no unit that depends on the data."""


def _at_least(divergence: Tensor, lowest: float) -> Tensor:
    """Replace columns (batch, n_components) whose mean is lower by a constant."""
    return torch.where(divergence.mean(0) > lowest, divergence, lowest)


def fixed_draws(n_draws: int, n_rows: int, n_components: int) -> Tensor:
    """Give standard normal draws (n_draws, n_rows, n_components), in pairs z, -z."""
    generator = torch.Generator().manual_seed(0)
    half = (n_draws + 1) // 2
    shape = (half, n_rows, n_components)
    noise = torch.randn(
        shape, generator=generator, dtype=torch.float32, device=generator.device
    )
    return torch.cat([noise, -noise])[:n_draws]


class GaussianStart(NamedTuple):
    """A linear Gaussian model and the exact distribution of its codes.

    Attributes
    ----------
    encoder_weight : ndarray of shape (n_components, n_features)
        W: the mean of the code of a row.

    decoder_weight : ndarray of shape (n_features, n_components)
        V: the mean of the row of a code.

    code_variance : ndarray of shape (n_components,)
        Variance of a code given its row.

    noise_variance : ndarray of shape (1,) or (n_features,)
        Variance of a row given its code.
    """

    encoder_weight: np.ndarray
    decoder_weight: np.ndarray
    code_variance: np.ndarray
    noise_variance: np.ndarray


def probabilistic_pca_start(
    X: Table,
    columns: Columns,
    n_components: int,
    sample_weight: np.ndarray | None,
    random_state: np.random.RandomState,
) -> GaussianStart:
    """Start at the probabilistic PCA of the rows, centred and scaled.

    It is the optimum of a linear variational autoencoder with one output variance
    (Lucas et al. 2019, Don't blame the ELBO!, section 4). Components that PCA does not
    have are idle.

    Parameters
    ----------
    X : ndarray or LargeTable of shape (n_samples, n_features)
        Rows. Of a large table, a sample is taken.

    columns : Columns
        Their statistics.

    n_components : int
        Size of the code.

    sample_weight : ndarray of shape (n_samples,) or None
        Positive weights of the rows.

    random_state : RandomState
        For PCA's randomised solver.
    """
    X, sample_weight = dense_rows(X, sample_weight)
    n_axes = min(n_components, *X.shape)
    linear, _ = pca_start(X, columns, n_axes, sample_weight, random_state)
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    centred = (X - columns.mean) / columns.scale
    total = weight.sum()
    # As scikit-learn's PCA, which has unbiased variances. Copies and weights are no
    # further rows.
    n_rows = count_distinct(X)
    factor = n_rows / (n_rows - 1) if n_rows > 1 else 1.0
    scores = centred @ linear.encoder_weight.T
    explained = factor * (weight / total) @ np.square(scores)
    left = factor * (weight / total) @ np.square(centred).sum(axis=1) - explained.sum()
    n_left = X.shape[1] - n_axes
    noise = left / n_left if n_left > 0 else 0.0
    noise = max(noise, _ABOVE * _MIN_SCALAR_VARIANCE)
    loadings = linear.decoder_weight * np.sqrt(np.maximum(explained - noise, 0))
    return _with_codes(loadings, np.array([noise]), n_components)


def factor_analysis_start(
    X: Table,
    columns: Columns,
    n_components: int,
    sample_weight: np.ndarray | None,
    random_state: np.random.RandomState,
) -> GaussianStart:
    """Start at the factor analysis of the rows, centred and scaled.

    It is the optimum of a linear variational autoencoder with an output variance for
    each column. The parameters are those of :func:`probabilistic_pca_start`.
    """
    X, sample_weight = dense_rows(X, sample_weight)
    if len(X) > _FACTOR_ANALYSIS_ROWS:
        index = random_state.choice(len(X), _FACTOR_ANALYSIS_ROWS, replace=False)
        X = X[index]
        sample_weight = None if sample_weight is None else sample_weight[index]
    centred = (X - columns.mean) / columns.scale
    if sample_weight is not None:
        # Weighted rows beside their negatives have the mean and the second moments of
        # those with weights.
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
        # Training goes on from there.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(centred)
    noise = np.maximum(model.noise_variance_, lowest)
    return _with_codes(model.components_.T, noise, n_components)


def _with_codes(
    loadings: np.ndarray, noise: np.ndarray, n_components: int
) -> GaussianStart:
    """Rotate the factors so that those of a row are independent, given the row.

    The matrix M is that of Bishop, Pattern Recognition and Machine Learning, (12.41)
    and (12.66), over the noise variance.
    """
    precision = np.eye(loadings.shape[1]) + loadings.T @ (loadings / noise[:, None])
    m, rotation = np.linalg.eigh(precision)
    m, rotation = m[::-1], rotation[:, ::-1]  # the most informative factor first
    # Signs as before the rotation, not as rounding has them: for PCA, those of PCA.
    largest = np.abs(rotation).argmax(axis=0)
    rotation = rotation * np.sign(rotation[largest, np.arange(len(m))])
    loadings = loadings @ rotation
    encoder = (loadings / noise[:, None]).T / m[:, None]
    idle = n_components - len(m)
    return GaussianStart(
        np.pad(encoder, ((0, idle), (0, 0))),
        np.pad(loadings, ((0, 0), (0, idle))),
        np.pad(1 / m, (0, idle), constant_values=1.0),
        noise,
    )


def log_mean_weight(module: Any, x: Tensor, noise: Tensor) -> Tensor:
    """Importance-weighted bound on the log-density of rows, in nats.

    Parameters
    ----------
    module : VariationalDenseAutoencoder
        The module, in evaluation mode.

    x : tensor of shape (batch, n_features)
        Rows.

    noise : tensor of shape (n_draws, batch or 1, n_components)
        Standard normal draws.

    Returns
    -------
    bound : tensor of shape (batch,)
        Burda et al. 2016, Importance weighted autoencoders, equation 8.
    """
    x = module.centre(x)
    mean, log_variance = module.distribution_of_centred(x)
    log_weights = []
    for draw in noise:
        z = mean + (log_variance / 2).exp() * draw
        # log p(z) - log q(z | x); the constants cancel.
        ratio = (draw.square() + log_variance - z.square()).sum(1) / 2
        log_weights.append(module.log_likelihood(x, z) + ratio)
    return torch.stack(log_weights).logsumexp(0) - math.log(len(noise))
