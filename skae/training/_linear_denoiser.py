"""Linear autoencoders in closed form: the best linear denoiser."""

import copy
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from scipy import linalg

from skae.noise import Moments, Noise
from skae.training._distinct import count_distinct, ordered_distinct_rows
from skae.training._gaussian_em import Gaussian
from skae.training._pca import LinearMap, spread
from skae.training._statistics import Columns, column_statistics
from skae.training._table import Table

# Shares of the covariance that a diagonal may replace.
_SHRINKAGES = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 0.9)
_PAIRED_SHRINKAGES = (1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 0.9)
_N_FOLDS = 3
# A good shrinkage is harder to find from pairs than from known moments. So pairs have
# more folds, unless there are so many columns that this would take long.
_N_PAIRED_FOLDS = 10
_MANY_COLUMNS = 256
# With more rows than this for each column, shrinking has no benefit.
_ROWS_PER_COLUMN = 10
# Noise with unknown moments is drawn for at least this many rows.
_SAMPLED_ROWS = 10_000
_BLOCK_BYTES = 2**26
# With more columns, matrices of shape (n_features, n_features) are too large.
WIDE = 1000


def full_width(table: Table) -> int:
    """Return the size of a code that loses nothing: columns, or distinct rows."""
    return _full_width(table.sample().inputs)


def _full_width(X: Any) -> int:
    n_features = X.shape[1]
    return n_features if n_features <= WIDE else count_distinct(X, n_features)


def fit_denoiser(
    table: Table,
    columns: Columns,
    n_components: int,
    noise: Noise,
    corrupt: Callable[[np.ndarray], np.ndarray],
    random_state: np.random.RandomState,
    *,
    tied: bool = False,
) -> LinearMap:
    r"""Fit the best linear denoiser of the rows.

    Let :math:`S` be the covariance of the rows, :math:`a` the slope of the expected
    noisy entry as a function of the clean one, and :math:`v` the variances of the noisy
    columns. The covariance of clean with noisy rows is :math:`a S`. The covariance of
    the noisy rows is :math:`a^2 S` with :math:`v` on the diagonal. So the denoiser is

    .. math:: M = a S \, (a^2 S + \mathrm{diag}(v - a^2 \mathrm{diag}\, S))^{-1}.

    For Gaussian noise this is the Wiener filter, for masking the marginalised
    denoising autoencoder [1]_. If each row draws its own level, both covariances are
    means over the levels. With fewer components the denoiser is the reduced-rank
    regression: :math:`M`, then the projection onto the leading eigenvectors of
    :math:`a M S`. Noise with unknown moments is sampled.

    If a table has few rows for its columns, :math:`S` is shrunk towards the mean
    variance on the diagonal (except for constant columns), by the amount with the least
    expected error in three folds. With more than `WIDE` columns, and more columns than
    rows, the denoiser works in the space that the rows span.

    Parameters
    ----------
    table : Table of shape (n_samples, n_features)
        Rows. Only a sample of a large table is used.

    columns : Columns
        Statistics of the rows.

    n_components : int
        Size of the code.

    noise : Noise
        The noise, fitted.

    corrupt : callable
        Returns noisy rows; used if the moments of `noise` are not known.

    random_state : RandomState
        For the folds, and for spreading the code over more components than directions.

    tied : bool, default=False
        Whether V must be the transpose of W. M is then the best symmetric matrix in the
        space of the leading eigenvectors.

    Returns
    -------
    linear : LinearMap

    References
    ----------
    .. [1] M. Chen, Z. Xu, K. Weinberger and F. Sha, "Marginalized denoising
       autoencoders for domain adaptation", ICML 2012.
    """
    X, weight = _rows_and_weights(table)
    known = noise.moments(*_tensors(columns)) is not None
    noisy = (
        _Known(X, weight, columns.mean, noise, table.gaussian)
        if known
        else _Sampled(X, weight, columns.mean, _draws(X, corrupt))
    )
    return _fit(noisy, columns, columns.mean, n_components, random_state, tied=tied)


def _rows_and_weights(table: Table) -> tuple[Any, np.ndarray]:
    sample = table.sample()
    weight = np.ones(len(sample)) if sample.weight is None else sample.weight
    return sample.inputs, weight


def fit_paired_denoiser(
    table: Table,
    centre: np.ndarray,
    unit: float,
    n_components: int,
    random_state: np.random.RandomState,
    *,
    tied: bool = False,
) -> LinearMap:
    """Fit the best linear map from inputs to their targets.

    Second moments are those of the pairs. With few pairs for the columns, the moments
    are shrunk towards multiples of the identity. This also shrinks the map towards such
    a multiple or towards zero. Cross-validation chooses the shrinkage with the least
    error. Pairs with the same target are in the same fold.

    Parameters
    ----------
    table : Table of shape (n_samples, n_features)
        Rows with targets. Only a sample of a large table is used.

    centre : ndarray of shape (n_features,)
        Centre of the inputs.

    unit : float
        Divisor that converts the targets to the units of the inputs.

    n_components, random_state, tied
        See :func:`fit_denoiser`.

    Returns
    -------
    linear : LinearMap
        Map to targets minus their mean, in the units of the inputs.
    """
    inputs, weight = _rows_and_weights(table)
    targets: Any = table.sample().targets
    targets = targets / unit
    columns = column_statistics(targets, weight)
    noisy = _Paired(targets, weight, columns.mean, inputs)
    return _fit(noisy, columns, centre, n_components, random_state, tied=tied)


def _draws(
    X: np.ndarray, corrupt: Callable[[np.ndarray], np.ndarray]
) -> list[np.ndarray]:
    return [corrupt(X) for _ in range(math.ceil(_SAMPLED_ROWS / len(X)))]


def _fit(
    table: "_NoisyRows",
    columns: Columns,
    centre: np.ndarray,
    n_components: int,
    random_state: np.random.RandomState,
    *,
    tied: bool,
) -> LinearMap:
    shrinkage = table.shrinkages[0]
    enough = _ROWS_PER_COLUMN * table.X.shape[1]
    if count_distinct(table.X, enough) < enough:
        shrinkage = table.best_shrinkage(random_state)
    cross, noisy = table.moments(slice(None), columns)(shrinkage)
    denoiser = _denoiser(cross, noisy)
    gain = denoiser @ cross.T
    if n_components >= len(gain) and table.basis is None:
        # With all directions, codes are denoised columns, and none has to be chosen.
        vectors = np.eye(len(gain))
    else:
        _, vectors = linalg.eigh((gain + gain.T) / 2)
        vectors = vectors[:, -1 : -1 - min(n_components, len(gain)) : -1]
        in_columns = vectors if table.basis is None else table.basis @ vectors
        # The sign of an eigenvector is arbitrary.
        largest = np.abs(in_columns).argmax(axis=0)
        vectors = vectors * np.sign(in_columns[largest, np.arange(len(largest))])
    if tied:
        inside = (vectors.T @ each @ vectors for each in (cross, noisy))
        encoder = _symmetric_root(*inside) @ vectors.T
        decoder = encoder.T
    else:
        encoder, decoder = vectors.T @ denoiser, vectors
    if table.basis is not None:
        encoder, decoder = encoder @ table.basis.T, table.basis @ decoder
    bias = decoder @ (encoder @ (centre - table.noisy_mean(columns)))
    encoder, decoder = spread(encoder, decoder, n_components, random_state)
    return LinearMap(encoder, decoder, bias)


def _tensors(columns: Columns) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.as_tensor(columns.mean), torch.as_tensor(columns.variance)


def _denoiser(cross: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """Solve ``M noisy = cross``: the least-squares map from noisy to clean rows."""
    return linalg.solve(_regular(noisy), cross.T, assume_a="pos").T


def _symmetric_root(cross: np.ndarray, noisy: np.ndarray) -> np.ndarray:
    """Return the symmetric W such that ``W @ W`` is the best symmetric denoiser.

    That solves ``M noisy + noisy M = cross + cross.T``.
    """
    scales, axes = linalg.eigh(_regular(noisy))
    rotated = axes.T @ (cross + cross.T) @ axes
    denoiser = axes @ (rotated / (scales[:, None] + scales)) @ axes.T
    values, vectors = linalg.eigh(denoiser)
    return (np.sqrt(values.clip(0)) * vectors) @ vectors.T


def _regular(noisy: np.ndarray) -> np.ndarray:
    # Columns that are constant even with noise have no variance.
    ridge = 1e-10 * np.trace(noisy) / len(noisy) or 1.0
    return noisy + ridge * np.eye(len(noisy))


# Function of a shrinkage: second moments of clean with noisy rows, and of noisy rows.
_Shrink = Callable[[Any], tuple[np.ndarray, np.ndarray]]


class _NoisyRows:
    """Rows, and the moments of their noisy versions.

    Attributes
    ----------
    basis : ndarray of shape (n_features, rank) or None
        Orthonormal columns that span the centred rows, if these are few and wide. All
        matrices are then in this basis.
    """

    # `best_shrinkage` chooses one of them. The first one does not shrink.
    shrinkages: Sequence[Any] = _SHRINKAGES
    n_folds = _N_FOLDS

    def __init__(self, X: np.ndarray, weight: np.ndarray, mean: np.ndarray) -> None:
        self.X = X
        self.weight = weight
        self.basis: np.ndarray | None = None
        if _full_width(X) < X.shape[1]:
            self.basis = _basis(X - mean)

    def moments(self, index: np.ndarray | slice, columns: Columns) -> _Shrink:
        """Compute the moments of some rows around a mean.

        Parameters
        ----------
        index : ndarray or slice
            The rows to use.

        columns : Columns
            Centre of the moments, and the variance around it.

        Returns
        -------
        shrink : callable
            Takes the share of the covariance to replace. Returns the second moments of
            clean with noisy rows, and of noisy rows, (rank, rank) each.
        """
        raise NotImplementedError

    def noisy_mean(self, columns: Columns) -> np.ndarray:
        """Compute the mean of the noisy rows."""
        raise NotImplementedError

    def best_shrinkage(self, random_state: np.random.RandomState) -> Any:
        """Find the shrinkage with the least expected error in cross-validation."""
        # Equal rows are in the same fold, so that weight 2 is the same as the row
        # twice.
        index, number = ordered_distinct_rows(self.X)
        n_folds = min(self.n_folds, max(_N_FOLDS, len(index) // 2))
        if len(index) < n_folds:
            return self.shrinkages[-1]
        fold = random_state.permutation(len(index))[number] % n_folds
        errors = np.zeros(len(self.shrinkages))
        for held_out in range(n_folds):
            train, valid = fold != held_out, fold == held_out
            columns = column_statistics(self.X[train], self.weight[train])
            squares = np.square(self.X[valid] - columns.mean)
            weight = self.weight[valid]
            variance = np.average(squares, axis=0, weights=weight)
            table = self.centred_at(train)
            moments = table.moments(valid, Columns(columns.mean, variance))
            cross, noisy = moments(self.shrinkages[0])
            shrink = table.moments(train, columns)
            for i, shrinkage in enumerate(self.shrinkages):
                M = _denoiser(*shrink(shrinkage))
                # Without the variance of the clean rows, which is the same for all.
                error = ((M @ noisy) * M).sum() - 2 * (M * cross).sum()
                errors[i] += weight.sum() * error
        return self.shrinkages[int(errors.argmin())]

    def centred_at(self, index: np.ndarray) -> "_NoisyRows":
        """Return the rows, with the mean of the noisy rows taken from some of them."""
        return self

    def _in_basis(self, X: np.ndarray, mean: np.ndarray) -> np.ndarray:
        centred = X.astype(np.float64) - mean
        return centred if self.basis is None else centred @ self.basis


class _Known(_NoisyRows):
    """Rows with noise whose moments are known."""

    def __init__(
        self,
        X: np.ndarray,
        weight: np.ndarray,
        mean: np.ndarray,
        noise: Noise,
        gaussian: Gaussian | None,
    ) -> None:
        super().__init__(X, weight, mean)
        self.noise = noise
        # Rows with filled gaps vary too little.
        self.lost: np.ndarray | float = 0.0
        if gaussian is not None and gaussian.covariance is not None:
            covariance = gaussian.covariance
            if self.basis is not None:
                covariance = self.basis.T @ covariance @ self.basis
            self.lost = covariance - self._covariance(slice(None), mean)

    def moments(self, index: np.ndarray | slice, columns: Columns) -> _Shrink:
        covariance = self._covariance(index, columns.mean) + self.lost
        # Constant columns are assumed to stay constant.
        common = columns.variance.mean() * (columns.variance > 0)
        if self.basis is None:
            target = np.diag(common)
        else:
            target = (self.basis.T * common) @ self.basis

        def shrink(share: float) -> tuple[np.ndarray, np.ndarray]:
            shrunk = (1 - share) * covariance + share * target
            variance = (1 - share) * columns.variance + share * common
            return self._noisy(shrunk, Columns(columns.mean, variance))

        return shrink

    def noisy_mean(self, columns: Columns) -> np.ndarray:
        levels = self._levels(columns)
        return np.sum([each.weight * each.mean.numpy() for each in levels], axis=0)

    def _levels(self, columns: Columns) -> list[Moments]:
        levels = self.noise.moments(*_tensors(columns))
        assert levels is not None
        return levels

    def _noisy(
        self, covariance: np.ndarray, columns: Columns
    ) -> tuple[np.ndarray, np.ndarray]:
        levels = self._levels(columns)
        mean = self.noisy_mean(columns)
        factor = sum(level.weight * level.factor for level in levels)
        square = sum(level.weight * level.factor**2 for level in levels)
        # All entries of a row share the level, so they share the differences of the
        # levels' means. The rest of a column's variance is independent.
        common = np.array(
            [math.sqrt(each.weight) * (each.mean.numpy() - mean) for each in levels]
        )
        own = -square * columns.variance + sum(
            each.weight * each.variance.numpy() for each in levels
        )
        if self.basis is None:
            noisy = np.diag(own)
        else:
            noisy = (self.basis.T * own) @ self.basis
            common = common @ self.basis
        return factor * covariance, square * covariance + noisy + common.T @ common

    def _covariance(self, index: np.ndarray | slice, mean: np.ndarray) -> np.ndarray:
        X, weight = self.X[index], self.weight[index]
        n_rows = max(1, _BLOCK_BYTES // (8 * X.shape[1]))
        total: np.ndarray | float = 0.0
        for start in range(0, len(X), n_rows):
            rows = slice(start, start + n_rows)
            centred = self._in_basis(X[rows], mean)
            total = total + (centred * weight[rows, None]).T @ centred
        return np.asarray(total / weight.sum())


class _Sampled(_NoisyRows):
    """Rows with noise whose moments are estimated from samples."""

    def __init__(
        self,
        X: np.ndarray,
        weight: np.ndarray,
        mean: np.ndarray,
        draws: list[np.ndarray],
    ) -> None:
        super().__init__(X, weight, mean)
        self.draws = draws
        self.mean = np.mean(
            [np.average(draw, axis=0, weights=weight) for draw in self.draws], axis=0
        )

    def moments(self, index: np.ndarray | slice, columns: Columns) -> _Shrink:
        weight = self.weight[index, None] / self.weight[index].sum()
        clean = self._in_basis(self.X[index], columns.mean) * weight
        draws = [self._in_basis(draw[index], self.mean) for draw in self.draws]
        cross = np.mean([clean.T @ draw for draw in draws], axis=0)
        noisy = np.mean([(draw * weight).T @ draw for draw in draws], axis=0)
        common = np.trace(noisy) / len(noisy)

        def shrink(share: float) -> tuple[np.ndarray, np.ndarray]:
            ridge = share * common * np.eye(len(noisy))
            return (1 - share) * cross, (1 - share) * noisy + ridge

        return shrink

    def noisy_mean(self, columns: Columns) -> np.ndarray:
        return self.mean


class _Paired(_Sampled):
    """Rows and the noisy rows that they are paired with.

    A shrinkage is the share of both moments that multiples of the identity replace, and
    whether this shrinks the map towards a multiple of the identity or towards zero.
    """

    shrinkages = ((0.0, True), *itertools.product(_PAIRED_SHRINKAGES, (True, False)))

    def __init__(
        self,
        X: np.ndarray,
        weight: np.ndarray,
        mean: np.ndarray,
        inputs: np.ndarray,
    ) -> None:
        super().__init__(X, weight, mean, [inputs])
        if self.basis is not None:
            # Noisy rows may have other directions.
            self.basis = _basis(np.concatenate([X - mean, inputs - self.mean]))
        if X.shape[1] <= _MANY_COLUMNS:
            self.n_folds = _N_PAIRED_FOLDS

    def moments(self, index: np.ndarray | slice, columns: Columns) -> _Shrink:
        cross, noisy = super().moments(index, columns)(0.0)
        identity = np.eye(len(noisy))

        def shrink(shrinkage: tuple[float, bool]) -> tuple[np.ndarray, np.ndarray]:
            share, to_identity = shrinkage
            common = [share * np.trace(each) / len(each) for each in (cross, noisy)]
            return (
                (1 - share) * cross + to_identity * common[0] * identity,
                (1 - share) * noisy + common[1] * identity,
            )

        return shrink

    def centred_at(self, index: np.ndarray) -> _NoisyRows:
        table = copy.copy(self)
        (inputs,) = self.draws
        table.mean = np.average(inputs[index], axis=0, weights=self.weight[index])
        return table


def _basis(centred: np.ndarray) -> np.ndarray:
    """Return orthonormal columns that span the rows."""
    _, values, axes = linalg.svd(centred, full_matrices=False)
    rounding = max(centred.shape) * np.finfo(np.float64).eps * values[0]
    return axes[: max(1, (values > rounding).sum())].T
