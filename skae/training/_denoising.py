"""The best linear denoiser in closed form, as a start."""

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy import linalg

from skae.noise import Noise
from skae.training._start import (
    Columns,
    LinearStart,
    as_bytes,
    column_statistics,
    count_distinct,
    spread,
)

# Shares of the covariance that may be replaced by a multiple of the identity.
_SHRINKAGES = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 0.9)
_N_FOLDS = 3
# With more rows than this for each column, there is nothing to gain by shrinking.
_ROWS_PER_COLUMN = 10
# Noise that only samples tell of is drawn for so many rows at least.
_SAMPLED_ROWS = 10_000
_BLOCK_BYTES = 2**26


def denoising_start(
    X: np.ndarray,
    columns: Columns,
    n_components: int,
    noise: Noise,
    corrupt: Callable[[np.ndarray], np.ndarray],
    sample_weight: np.ndarray | None,
    random_state: np.random.RandomState,
    *,
    tied: bool = False,
) -> LinearStart:
    r"""Start at the best linear denoiser of the rows.

    With :math:`S` the covariance of the rows, :math:`a` the factor of the expected
    noisy entry and :math:`v` the variances of the noisy columns, the covariance of
    clean with noisy rows is :math:`a S`, and that of the noisy rows is :math:`a^2 S`
    with :math:`v` on the diagonal, so the denoiser is

    .. math:: M = a S \, (a^2 S + \mathrm{diag}(v - a^2 \mathrm{diag}\, S))^{-1}.

    For Gaussian noise this is the Wiener filter, for masking the marginalised
    denoising autoencoder [1]_. With fewer components it is the reduced-rank
    regression: :math:`M`, then the projection onto the leading eigenvectors of
    :math:`a M S`. Noise whose moments are not known is sampled.

    Of a table with few rows for its columns, :math:`S` is shrunk towards a multiple of
    the identity, by the amount with the least expected error in three folds. With more
    columns than rows, the denoiser works in the space that the rows span.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.

    columns : Columns
        Their statistics.

    n_components : int
        Size of the code.

    noise : Noise
        The noise, fitted.

    corrupt : callable
        Gives noisy rows; used if the moments of `noise` are not known.

    sample_weight : ndarray of shape (n_samples,) or None
        Positive weights of the rows.

    random_state : RandomState
        For the folds, and for spreading the code over more components than
        ``min(X.shape)``.

    tied : bool, default=False
        Whether V is to be the transpose of W: M is the best symmetric matrix then.

    Returns
    -------
    start : LinearStart

    References
    ----------
    .. [1] M. Chen, Z. Xu, K. Weinberger and F. Sha, "Marginalized denoising
       autoencoders for domain adaptation", ICML 2012.
    """
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    known = noise.moments(*map(torch.as_tensor, columns)) is not None
    table = (
        _Known(X, weight, columns.mean, noise)
        if known
        else _Sampled(X, weight, columns.mean, corrupt)
    )
    shrinkage = 0.0
    enough = _ROWS_PER_COLUMN * X.shape[1]
    if count_distinct(X, enough) < enough:
        shrinkage = table.best_shrinkage(random_state)
    cross, noisy, noisy_mean = table.moments(slice(None), columns, shrinkage)
    if tied:
        target = denoiser = _symmetric_denoiser(cross, noisy)
    else:
        denoiser = _denoiser(cross, noisy)
        target = denoiser @ cross.T
    values, vectors = linalg.eigh((target + target.T) / 2)
    leading = slice(-1, -1 - min(n_components, len(values)), -1)
    values, vectors = values[leading], vectors[:, leading]
    if tied:
        encoder = np.sqrt(values.clip(0))[:, None] * vectors.T
        decoder = encoder.T
    else:
        encoder, decoder = vectors.T @ denoiser, vectors
    if table.basis is not None:
        encoder, decoder = encoder @ table.basis.T, table.basis @ decoder
    # Eigenvectors have no sign of their own.
    largest = np.abs(decoder).argmax(axis=0)
    sign = np.sign(decoder[largest, np.arange(len(largest))])
    encoder, decoder = sign[:, None] * encoder, decoder * sign
    bias = decoder @ (encoder @ (columns.mean - noisy_mean))
    encoder, decoder = spread(encoder, decoder, n_components, random_state)
    return LinearStart(encoder, decoder, bias)


def _denoiser(cross: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """Solve ``M noisy = cross``: the least squares of clean rows from noisy ones."""
    return linalg.solve(_regular(noisy), cross.T, assume_a="pos").T


def _symmetric_denoiser(cross: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """Solve ``M noisy + noisy M = cross + cross.T``: the same, for symmetric M."""
    return linalg.solve_continuous_lyapunov(_regular(noisy), cross + cross.T)


def _regular(noisy: np.ndarray) -> np.ndarray:
    # Columns that are constant, noise or not, have no variance.
    ridge = 1e-10 * np.trace(noisy) / len(noisy) or 1.0
    return noisy + ridge * np.eye(len(noisy))


class _Table:
    """Rows, and what is known about them when they are noisy.

    Attributes
    ----------
    basis : ndarray of shape (n_features, rank) or None
        Orthonormal columns that span the centred rows, where these are fewer than
        columns: all matrices are in this basis then.
    """

    def __init__(self, X: np.ndarray, weight: np.ndarray, mean: np.ndarray) -> None:
        self.X = X
        self.weight = weight
        self.basis: np.ndarray | None = None
        if count_distinct(X, X.shape[1]) < X.shape[1]:
            _, values, axes = linalg.svd(X - mean, full_matrices=False)
            rounding = max(X.shape) * np.finfo(np.float64).eps * values[0]
            self.basis = axes[: max(1, (values > rounding).sum())].T

    def moments(
        self, index: np.ndarray | slice, columns: Columns, shrinkage: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Give the moments of some rows.

        Parameters
        ----------
        index : ndarray or slice
            Which rows.

        columns : Columns
            Statistics of their columns. The mean is what the moments are around.

        shrinkage : float
            Share of the covariance that is replaced.

        Returns
        -------
        cross, noisy : ndarrays of shape (rank, rank)
            Second moments of clean with noisy rows, and of noisy rows.

        noisy_mean : ndarray of shape (n_features,)
            Mean of the noisy rows.
        """
        raise NotImplementedError

    def best_shrinkage(self, random_state: np.random.RandomState) -> float:
        """Give the shrinkage with the least expected error in three folds."""
        # Rows that are the same go into the same fold: weight 2 is the row twice.
        distinct, number = np.unique(as_bytes(self.X), return_inverse=True)
        if len(distinct) < _N_FOLDS:
            return _SHRINKAGES[-1]
        fold = random_state.permutation(len(distinct))[number] % _N_FOLDS
        errors = np.zeros(len(_SHRINKAGES))
        for held_out in range(_N_FOLDS):
            train, valid = fold != held_out, fold == held_out
            columns = column_statistics(self.X[train], self.weight[train])
            squares = np.square(self.X[valid] - columns.mean)
            weight = self.weight[valid]
            variance = np.average(squares, axis=0, weights=weight)
            around = Columns(columns.mean, variance)
            cross, noisy, _ = self.moments(valid, around, 0.0)
            for i, shrinkage in enumerate(_SHRINKAGES):
                M = _denoiser(*self.moments(train, columns, shrinkage)[:2])
                # Up to the variance of the clean rows.
                error = ((M @ noisy) * M).sum() - 2 * (M * cross).sum()
                errors[i] += weight.sum() * error
        return _SHRINKAGES[errors.argmin()]


class _Known(_Table):
    """Rows with noise whose moments are known."""

    def __init__(
        self, X: np.ndarray, weight: np.ndarray, mean: np.ndarray, noise: Noise
    ) -> None:
        super().__init__(X, weight, mean)
        self.noise = noise

    def moments(
        self, index: np.ndarray | slice, columns: Columns, shrinkage: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        common = columns.variance.mean()
        variance = (1 - shrinkage) * columns.variance + shrinkage * common
        covariance = (1 - shrinkage) * self._covariance(index, columns.mean)
        covariance += shrinkage * common * np.eye(len(covariance))
        moments = self.noise.moments(*map(torch.as_tensor, (columns.mean, variance)))
        assert moments is not None
        factor, noisy_mean, noisy_variance = moments
        own = noisy_variance.numpy() - factor**2 * variance
        if self.basis is None:
            noisy = factor**2 * covariance + np.diag(own)
        else:
            noisy = factor**2 * covariance + (self.basis.T * own) @ self.basis
        return factor * covariance, noisy, noisy_mean.numpy()

    def _covariance(self, index: np.ndarray | slice, mean: np.ndarray) -> np.ndarray:
        X, weight = self.X[index], self.weight[index]
        n_rows = max(1, _BLOCK_BYTES // (8 * X.shape[1]))
        total = 0.0
        for start in range(0, len(X), n_rows):
            rows = slice(start, start + n_rows)
            centred = X[rows].astype(np.float64) - mean
            if self.basis is not None:
                centred = centred @ self.basis
            total = total + (centred * weight[rows, None]).T @ centred
        return total / weight.sum()


class _Sampled(_Table):
    """Rows with noise that only samples tell of."""

    def __init__(
        self,
        X: np.ndarray,
        weight: np.ndarray,
        mean: np.ndarray,
        corrupt: Callable[[np.ndarray], np.ndarray],
    ) -> None:
        super().__init__(X, weight, mean)
        n_draws = math.ceil(_SAMPLED_ROWS / len(X))
        self.draws = [corrupt(X) for _ in range(n_draws)]
        self.noisy_mean = np.mean(
            [np.average(draw, axis=0, weights=weight) for draw in self.draws], axis=0
        )

    def moments(
        self, index: np.ndarray | slice, columns: Columns, shrinkage: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        weight = self.weight[index, None] / self.weight[index].sum()
        clean = self._centred(self.X[index], columns.mean) * weight
        draws = [self._centred(draw[index], self.noisy_mean) for draw in self.draws]
        cross = np.mean([clean.T @ draw for draw in draws], axis=0)
        noisy = np.mean([(draw * weight).T @ draw for draw in draws], axis=0)
        ridge = shrinkage * np.trace(noisy) / len(noisy) * np.eye(len(noisy))
        return (1 - shrinkage) * cross, (1 - shrinkage) * noisy + ridge, self.noisy_mean

    def _centred(self, X: np.ndarray, mean: np.ndarray) -> np.ndarray:
        centred = X.astype(np.float64) - mean
        return centred if self.basis is None else centred @ self.basis
