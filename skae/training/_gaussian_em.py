"""A Gaussian fitted to rows with gaps, by expectation maximisation."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from sklearn.utils import check_random_state, gen_batches
from sklearn.utils.extmath import randomized_svd
from torch import Tensor

from skae.modules import ConditionalMean
from skae.training._distinct import distinct_rows, row_hashes
from skae.training._statistics import Columns, column_statistics, covariance

# With more columns, exact steps take too long and need more rows.
_MAX_EXACT = 300
# With more columns, a covariance is too large.
_MAX_DENSE = 1000
_MAX_ITER = 50
# Steps end after this many that have not lowered the error by this share.
_PATIENCE, _GAIN = 3, 0.001
# Mean change of the covariance of standardised columns at which the steps end.
_TOLERANCE = 1e-4
# Lower bound of the variance of standardised columns.
_MIN_VARIANCE = 1e-6
_MIN_TESTED_ROWS, _MAX_TESTED_ROWS = 50, 1000
# Operations of a step, about 0.02 seconds, and those of a step with up to this many
# rows for each column.
_OPERATIONS, _MAX_OPERATIONS = 5e7, 5e8
_ROWS_FOR_A_COLUMN = 30
# Shrinkage if a column has as many values as there are columns, and its bounds. It was
# tuned on held-out rows of tables with 20 to 5,000 rows.
_SHRINKAGE, _MIN_SHRINKAGE, _MAX_SHRINKAGE = 0.06, 0.001, 0.2
# With low rank, there are fewer parameters.
_LOW_RANK_SHRINKAGE = 0.01
# Number of values in a block, so that blocks stay in the processor's cache.
_BLOCK_VALUES = 2**18
# Number of values in a block of rows whose patterns of gaps are sorted together.
_STEP_VALUES = 2**21
# Number of values in the rows to which a covariance of low rank is fitted.
_LOW_RANK_VALUES = 4_000_000
_RANKS = (8, 16, 32, 64)
# Larger ranks are not tried if the error is more than this share of the one before.
_RANK_GAIN = 0.995


@dataclass(frozen=True)
class Gaussian:
    """A Gaussian, with a whole covariance or with one of low rank.

    Attributes
    ----------
    mean : ndarray of shape (n_features,)
        Mean.

    covariance : ndarray of shape (n_features, n_features) or None
        Covariance. None means ``loadings @ loadings.T + diag(noise_variance)``.

    loadings : ndarray of shape (n_features, rank) or None
        Loadings of a covariance of low rank.

    noise_variance : ndarray of shape (n_features,) or None
        Variance of each column that the loadings do not explain.

    n_iter : int
        Number of steps of expectation maximisation.
    """

    mean: np.ndarray
    covariance: np.ndarray | None
    loadings: np.ndarray | None = None
    noise_variance: np.ndarray | None = None
    n_iter: int = 0

    @property
    def variance(self) -> np.ndarray:
        """Variance of each column, of shape (n_features,)."""
        if self.covariance is not None:
            return self.covariance.diagonal().copy()
        assert self.loadings is not None and self.noise_variance is not None
        return np.square(self.loadings).sum(axis=1) + self.noise_variance

    def put_into(self, layer: ConditionalMean) -> None:
        """Set a layer so that it fills gaps with this Gaussian."""
        if self.covariance is not None:
            layer.set(self.mean, self.covariance)
        else:
            layer.set_low_rank(self.mean, self.loadings, self.noise_variance)


def fit_gaussian(
    X: np.ndarray,
    weight: np.ndarray | None = None,
    random_state: int | np.random.RandomState | None = None,
    *,
    shrinkage: float | None = None,
) -> Gaussian:
    """Fit a Gaussian to rows with gaps, which are NaN.

    The method is expectation maximisation (Little and Rubin, Statistical Analysis with
    Missing Data, section 11.2) on standardised columns. The covariance is shrunk
    towards its diagonal. Steps are stopped early: further cells are hidden in some of
    the rows, and the step with the lowest error on them is kept. One more step uses all
    cells. Rows without gaps need no step if they have up to 1,000 columns.

    All steps but the last use a sample of the rows of large tables. With more than 300
    columns, the covariance is that of factor analysis with missing values, fitted to a
    sample of the rows. The hidden cells choose its rank. With more than 1,000 columns,
    it is returned as loadings and noise.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows with at least one value each. A column without values counts as zeros.

    weight : ndarray of shape (n_samples,), default=None
        Weights of the rows. Weight 2 has the same effect as the row twice.

    random_state : int, RandomState or None, default=None
        For the cells to hide and the sample of rows.

    shrinkage : float, default=None
        Share of the diagonal in the covariance. None chooses a share from 0.001 to 0.2,
        larger if columns have fewer values.

    Returns
    -------
    gaussian : Gaussian
        The Gaussian, with a positive definite covariance.
    """
    rng = check_random_state(random_state)
    empty = np.isnan(X[0])
    if empty.any():
        empty[empty] = np.isnan(X[:, empty]).all(axis=0)
        X = np.where(empty, 0, X) if empty.any() else X
    # Copies count as weights. Neither of them changes which cells are hidden.
    first, number = distinct_rows(row_hashes(X))
    if X.shape[1] <= _MAX_DENSE and not np.isnan(X).any():
        columns = column_statistics(X, weight)
        second = covariance(X, weight, columns)
        return complete_gaussian(columns, second, len(first), shrinkage=shrinkage)
    centre, scale = _units(X, weight)
    total = np.bincount(number, weights=weight).astype(np.float64)
    if len(first) < len(X):
        X = X[first]
    total /= total.mean()
    table = _Standardized(X, centre, scale)
    if X.shape[1] > _MAX_EXACT:
        return _fit_low_rank(table, total, rng, shrinkage).in_units(centre, scale)
    return _fit_dense(table, total, rng, shrinkage).in_units(centre, scale)


def complete_gaussian(
    columns: Columns,
    covariance: np.ndarray,
    n_rows: int,
    *,
    shrinkage: float | None = None,
) -> Gaussian:
    """Return the Gaussian of rows without gaps.

    Parameters
    ----------
    columns : Columns
        Mean and variance of each column.

    covariance : ndarray of shape (n_features, n_features)
        Covariance of the rows.

    n_rows : int
        Number of distinct rows.

    shrinkage : float, default=None
        As in :func:`fit_gaussian`.

    Returns
    -------
    gaussian : Gaussian
        The Gaussian, with a positive definite covariance.
    """
    mean, variance = columns
    if shrinkage is None:
        shrinkage = _shrinkage(len(mean), n_rows)
    varies = _varies(mean, np.sqrt(variance))
    # Both have errors of rounding, and the covariance must be positive definite.
    variance = np.maximum(variance, covariance.diagonal())
    covariance = np.where(varies & varies[:, None], (1 - shrinkage) * covariance, 0)
    np.fill_diagonal(covariance, np.where(varies, variance, _MIN_VARIANCE))
    return Gaussian(mean, covariance)


def _shrinkage(n_features: int, n_values: float) -> float:
    """Return the shrinkage for columns with this mean number of values."""
    shrinkage = _SHRINKAGE * n_features / n_values
    return min(max(shrinkage, _MIN_SHRINKAGE), _MAX_SHRINKAGE)


def conditional_mean(gaussian: Gaussian, X: np.ndarray) -> np.ndarray:
    """Fill gaps with their exact conditional mean.

    Parameters
    ----------
    gaussian : Gaussian
        The Gaussian.

    X : ndarray of shape (n_samples, n_features)
        Rows with gaps, which are NaN.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        Complete rows in float64. The observed cells are those of `X`.
    """
    covariance = gaussian.covariance
    if covariance is None:
        assert gaussian.loadings is not None and gaussian.noise_variance is not None
        covariance = gaussian.loadings @ gaussian.loadings.T
        covariance += np.diag(gaussian.noise_variance)
    scale = np.sqrt(covariance.diagonal())
    Z = (X - gaussian.mean) / scale
    correlation = torch.from_numpy(covariance / np.outer(scale, scale))
    rows = _Rows(Z, np.ones(len(Z)))
    for expected in rows.expected(torch.zeros(len(scale)).double(), correlation):
        Z[expected.rows] = expected.centred.numpy()
    return np.where(np.isnan(X), Z * scale + gaussian.mean, X)


class _Model(NamedTuple):
    """A Gaussian of standardised columns."""

    mean: Tensor
    covariance: Tensor | None
    loadings: Tensor | None
    noise_variance: Tensor | None
    n_iter: int

    def in_units(self, centre: np.ndarray, scale: np.ndarray) -> Gaussian:
        mean = centre + scale * self.mean.numpy()
        if self.covariance is not None:
            covariance = self.covariance.numpy() * np.outer(scale, scale)
            return Gaussian(mean, covariance, n_iter=self.n_iter)
        assert self.loadings is not None and self.noise_variance is not None
        loadings = self.loadings.numpy() * scale[:, None]
        noise_variance = self.noise_variance.numpy() * np.square(scale)
        return Gaussian(mean, None, loadings, noise_variance, self.n_iter)


def _units(X: np.ndarray, weight: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Compute mean and standard deviation of the values of each column.

    The scale of a constant is 1.
    """
    weight = np.ones(len(X)) if weight is None else weight
    # Values are relative to a value of the column, so that constants have variance 0.
    origin = X[np.isnan(X).argmin(axis=0), np.arange(X.shape[1])].astype(np.float64)
    sums = np.zeros((3, X.shape[1]))
    for rows in gen_batches(len(X), max(1, _BLOCK_VALUES // X.shape[1])):
        block = X[rows] - origin
        observed = ~np.isnan(block)
        block[~observed] = 0
        sums += weight[rows] @ np.stack([observed, block, np.square(block)])
    mean = sums[1] / sums[0]
    scale = np.sqrt(np.maximum(sums[2] / sums[0] - np.square(mean), 0))
    mean += origin
    varies = _varies(mean, scale)
    return np.where(varies, mean, origin), np.where(varies, scale, 1.0)


def _varies(mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return which columns are not constants, whose deviation is rounding."""
    return scale > 10 * np.finfo(np.float64).eps * np.abs(mean)


class _Standardized(NamedTuple):
    """Rows in units of their columns, computed when they are read.

    Attributes
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows in their own units.

    centre, scale : ndarrays of shape (n_features,)
        Origin and unit of each column.
    """

    X: np.ndarray
    centre: np.ndarray
    scale: np.ndarray

    def read(self, rows: Any) -> np.ndarray:
        """Return a copy of some of the rows, in the dtype of `X`."""
        Z: np.ndarray = self.X[rows] - self.centre
        Z /= self.scale
        return Z.astype(self.X.dtype, copy=False)


class _Expected(NamedTuple):
    """Rows filled with their conditional mean, and the covariances of their gaps.

    Attributes
    ----------
    rows : ndarray of shape (n,)
        Indices of the rows.

    centred : tensor of shape (n, n_features)
        The filled rows minus the mean.

    cells : tensor of shape (n_patterns, n_gaps, n_gaps) or None
        Position of each entry of `covariances` in the flattened covariance.

    covariances : tensor of shape (n_patterns, n_gaps, n_gaps) or None
        Conditional covariance of each pattern of gaps. None: there are no gaps.

    pattern : tensor of shape (n,)
        The pattern of gaps of each row.
    """

    rows: np.ndarray
    centred: Tensor
    cells: Tensor | None
    covariances: Tensor | None
    pattern: Tensor


class _Rows:
    """Rows sorted by their patterns of gaps, in blocks with the same number of gaps."""

    def __init__(self, Z: np.ndarray, weight: np.ndarray) -> None:
        self.Z = Z
        self.weight = weight
        self.blocks: list[tuple[np.ndarray, Tensor, Tensor]] = []
        if len(Z) == 0:
            return
        missing = np.isnan(Z)
        n_gaps = missing.sum(axis=1)
        _, pattern = distinct_rows(row_hashes(missing))
        order = np.lexsort((pattern, n_gaps))
        ends = np.flatnonzero(np.diff(n_gaps[order])) + 1
        for same in np.split(order, ends):
            k = int(n_gaps[same[0]])
            size = max(1, _BLOCK_VALUES // (k * k + Z.shape[1]))
            for part in gen_batches(len(same), size):
                rows = same[part]
                is_new = np.diff(pattern[rows], prepend=-1) != 0
                gaps = np.nonzero(missing[rows[is_new]])[1].reshape(is_new.sum(), k)
                number = np.cumsum(is_new) - 1
                block = rows, torch.from_numpy(gaps), torch.from_numpy(number)
                self.blocks.append(block)

    def expected(self, mean: Tensor, covariance: Tensor) -> Iterator[_Expected]:
        """Fill the rows, block by block."""
        d = len(mean)
        if any(gaps.shape[1] > 0 for _, gaps, _ in self.blocks):
            precision = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
            flat = precision.reshape(-1)
        for rows, gaps, number in self.blocks:
            # The gaps become the mean.
            centred = (torch.from_numpy(self.Z[rows]) - mean).nan_to_num_(0.0)
            if gaps.shape[1] == 0:
                yield _Expected(rows, centred, None, None, number)
                continue
            cells = gaps[:, :, None] * d + gaps[:, None, :]
            factor = torch.linalg.cholesky(flat[cells])
            covariances = torch.cholesky_inverse(factor)
            single = len(gaps) == len(rows)
            where = gaps if single else gaps[number]
            right = (centred @ precision).gather(1, where)[:, :, None]
            solution = (covariances if single else covariances[number]) @ right
            centred.scatter_(1, where, -solution[:, :, 0])
            yield _Expected(rows, centred, cells, covariances, number)


class _Moments:
    """Sums over rows that determine the mean and the covariance.

    Parameters
    ----------
    mean : tensor of shape (n_features,)
        Centre of the rows.
    """

    def __init__(self, mean: Tensor) -> None:
        self.mean = mean
        self.total = 0.0
        self.first = torch.zeros_like(mean)
        self.second = mean.new_zeros(len(mean), len(mean))

    def add(self, expected: _Expected, weight: Tensor) -> None:
        self.total += float(weight.sum())
        self.first += weight @ expected.centred
        scaled = (expected.centred * weight.sqrt()[:, None]).numpy()
        # NumPy computes only one half of such a symmetric product.
        self.second += torch.from_numpy(scaled.T @ scaled)
        if expected.covariances is not None and expected.cells is not None:
            of_pattern = torch.zeros(len(expected.cells), dtype=torch.float64)
            of_pattern.index_add_(0, expected.pattern, weight)
            values = expected.covariances * of_pattern[:, None, None]
            flat = self.second.view(-1)
            flat.index_add_(0, expected.cells.view(-1), values.mT.reshape(-1))

    def maximum(self, shrinkage: float) -> tuple[Tensor, Tensor]:
        """Return the mean and the shrunk covariance."""
        shift = self.first / self.total
        covariance = self.second / self.total - torch.outer(shift, shift)
        covariance = (covariance + covariance.T) * ((1 - shrinkage) / 2)
        diagonal = covariance.diagonal()
        # The variances do not change, but those of constants must become positive.
        diagonal.copy_((diagonal / (1 - shrinkage)).clamp(min=_MIN_VARIANCE))
        return self.mean + shift, covariance


class _Hidden:
    """Observed cells that become gaps, by the patterns of other rows.

    Parameters
    ----------
    Z : ndarray of shape (n_samples, n_features)
        Rows. The cells become NaN in place.

    weight : ndarray of shape (n_samples,)
        Weights of the rows.

    rng : RandomState
        For the choice of rows and patterns.
    """

    def __init__(
        self, Z: np.ndarray, weight: np.ndarray, rng: np.random.RandomState
    ) -> None:
        n, d = Z.shape
        n_tested = min(max(n // 10, min(n // 2, _MIN_TESTED_ROWS)), _MAX_TESTED_ROWS)
        missing = np.isnan(Z)
        with_gaps = np.flatnonzero(missing.any(axis=1))
        tested = np.sort(rng.permutation(n)[:n_tested])
        if len(with_gaps) > 0:
            hidden = missing[rng.choice(with_gaps, n_tested)]
        else:
            hidden = rng.uniform(size=(n_tested, d)) < 0.1
        hidden &= ~missing[tested]
        # A prediction needs another value in the row and in the column.
        hidden &= (~missing[tested] & ~hidden).any(axis=1)[:, None]
        n_left = (~missing).sum(axis=0) - hidden.sum(axis=0)
        hidden &= n_left >= 2
        some = hidden.any(axis=1)
        self.Z = Z
        self.rows, hidden = tested[some], hidden[some]
        self.row, self.column = np.nonzero(hidden)
        self.cells = self.rows[self.row], self.column
        self.values = Z[self.cells]
        self.weight = weight[self.rows][self.row]
        Z[self.cells] = np.nan

    def restore(self) -> None:
        """Restore the values of the cells."""
        self.Z[self.cells] = self.values

    def error(self, predicted: np.ndarray) -> float:
        """Return the mean squared error of predictions of the cells."""
        if len(self.values) == 0:
            return 0.0
        error = np.square(predicted - self.values)
        return float(np.average(error, weights=self.weight))


class _Best:
    """The model with the lowest error on the hidden cells."""

    def __init__(self) -> None:
        self.error = np.inf
        self.model: tuple[Tensor, ...] = ()
        self.n_iter = 0
        self.seen = 0
        self.last_gain = 0
        self.error_then = np.inf

    def update(self, error: float, *model: Tensor) -> bool:
        """Keep a model if it is the best. Return whether to continue."""
        # Without hidden cells, the last model is the best.
        if error < self.error or error == 0 or not self.model:
            self.error, self.model, self.n_iter = error, model, self.seen
        if error < (1 - _GAIN) * self.error_then or error == 0:
            self.error_then, self.last_gain = error, self.seen
        self.seen += 1
        return self.seen - self.last_gain <= _PATIENCE


def _fit_dense(
    table: _Standardized,
    weight: np.ndarray,
    rng: np.random.RandomState,
    shrinkage: float | None,
) -> _Model:
    X = table.X
    if shrinkage is None:
        n_values = X.size - np.count_nonzero(np.isnan(X))
        shrinkage = _shrinkage(X.shape[1], n_values / X.shape[1])
    varies = np.fmax.reduce(X, axis=0) > np.fmin.reduce(X, axis=0)
    mean = torch.zeros(len(varies), dtype=torch.float64)
    covariance = torch.from_numpy(np.diag(np.where(varies, 1.0, _MIN_VARIANCE)))
    part = _sample(X, rng)
    best = _early_stopped(
        table.read(part), weight[part], mean, covariance, rng, shrinkage
    )
    mean, covariance = best.model
    moments = _Moments(mean)
    for part in gen_batches(len(X), max(1, _STEP_VALUES // X.shape[1])):
        rows = _Rows(table.read(part), weight[part])
        for expected in rows.expected(mean, covariance):
            moments.add(expected, torch.from_numpy(rows.weight[expected.rows]))
    return _Model(*moments.maximum(shrinkage), None, None, best.n_iter + 1)


def _early_stopped(
    Z: np.ndarray,
    weight: np.ndarray,
    mean: Tensor,
    covariance: Tensor,
    rng: np.random.RandomState,
    shrinkage: float,
) -> _Best:
    """Find the step with the lowest error on hidden cells. Change `Z` in place."""
    hidden = _Hidden(Z, weight, rng)
    is_other = np.ones(len(Z), dtype=bool)
    is_other[hidden.rows] = False
    tested = _Rows(Z[hidden.rows], weight[hidden.rows])
    others = _Rows(Z[is_other], weight[is_other])
    filled = torch.empty(tested.Z.shape, dtype=torch.float64)
    best = _Best()
    for _ in range(_MAX_ITER):
        moments = _Moments(mean)
        for expected in tested.expected(mean, covariance):
            moments.add(expected, torch.from_numpy(tested.weight[expected.rows]))
            filled[expected.rows] = expected.centred + mean
        error = hidden.error(filled[hidden.row, hidden.column].numpy())
        if not best.update(error, mean, covariance):
            break
        for expected in others.expected(mean, covariance):
            moments.add(expected, torch.from_numpy(others.weight[expected.rows]))
        before = covariance
        mean, covariance = moments.maximum(shrinkage)
        if float((covariance - before).abs().mean()) < _TOLERANCE:
            break
    return best


def _sample(X: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
    """Choose so few rows that a step does not take too long."""
    k = np.isnan(X).sum(axis=1, dtype=np.float64)
    # Besides the factorisation, each entry of its matrix is moved several times.
    operations = np.mean(k**3 + 50 * k**2 + 2 * X.shape[1] ** 2)
    enough = min(_ROWS_FOR_A_COLUMN * X.shape[1], _MAX_OPERATIONS / operations)
    size = int(max(_OPERATIONS / operations, enough))
    return np.sort(rng.permutation(len(X))[:size])


class _Factors(NamedTuple):
    """Factor analysis of standardised columns.

    Attributes
    ----------
    weights : tensor of shape (n_features, rank + 1)
        Loadings, and the mean as the last column.

    noise : tensor of shape (n_features,)
        Variance of each column that the factors do not explain.
    """

    weights: Tensor
    noise: Tensor


def _fit_low_rank(
    table: _Standardized,
    weight: np.ndarray,
    rng: np.random.RandomState,
    shrinkage: float | None,
) -> _Model:
    """Fit factor analysis; add factors as long as the error falls."""
    if shrinkage is None:
        shrinkage = _LOW_RANK_SHRINKAGE
    n, d = table.X.shape
    part = np.sort(rng.permutation(n)[: max(_LOW_RANK_VALUES // d, 2 * max(_RANKS))])
    Z, weight = table.read(part).astype(np.float64), weight[part]
    hidden = _Hidden(Z, weight, rng)
    kept = _Best()
    kept.model = (torch.zeros(d, 1).double(), torch.ones(d).double())
    kept.error = hidden.error(np.zeros(len(hidden.values)))
    for rank in _RANKS:
        if rank >= min(Z.shape):
            break
        best = _Best()
        factors = _start(Z, weight, _Factors(*kept.model), rank, rng)
        going_on = True
        while going_on and best.seen < _MAX_ITER:
            after, codes = _factor_step(Z, weight, factors, shrinkage)
            predicted = (codes[hidden.cells[0]] * factors.weights[hidden.column]).sum(1)
            going_on = best.update(hidden.error(predicted.numpy()), *factors)
            factors = after
        enough = best.error > _RANK_GAIN * kept.error
        if best.error < kept.error:
            kept = best
        if enough:
            break
    hidden.restore()
    factors, _ = _factor_step(Z, weight, _Factors(*kept.model), shrinkage)
    loadings, mean = factors.weights[:, :-1], factors.weights[:, -1]
    if d > _MAX_DENSE:
        return _Model(mean, None, loadings, factors.noise, kept.n_iter + 1)
    covariance = loadings @ loadings.T + torch.diag(factors.noise)
    return _Model(mean, covariance, None, None, kept.n_iter + 1)


def _start(
    Z: np.ndarray,
    weight: np.ndarray,
    fill: _Factors,
    rank: int,
    rng: np.random.RandomState,
) -> _Factors:
    """Return the principal components of rows filled by other factors."""
    _, codes = _factor_step(Z, weight, fill, 0)
    mean = fill.weights[:, -1].numpy()
    filled = np.where(np.isnan(Z), codes.numpy() @ fill.weights.numpy().T, Z)
    filled = (filled - mean) * np.sqrt(weight)[:, None]
    _, singular, components = randomized_svd(filled, rank, random_state=rng)
    loadings = components.T * (singular / np.sqrt(len(Z)))
    noise = np.maximum(1 - np.square(loadings).sum(axis=1), 0.01)
    weights = np.column_stack([loadings, mean])
    return _Factors(torch.from_numpy(weights), torch.from_numpy(noise))


def _factor_step(
    Z: np.ndarray, weight: np.ndarray, factors: _Factors, shrinkage: float
) -> tuple[_Factors, Tensor]:
    """Take a step of expectation maximisation.

    Return the new factors, and the codes of the rows by the old ones, ending in a one.
    """
    weights, noise = factors
    d, r = weights.shape[0], weights.shape[1] - 1
    loadings, mean = weights[:, :r], weights[:, r]
    i, j = torch.tril_indices(r, r)
    products = loadings[:, i] * loadings[:, j] / noise[:, None]
    # The codes of a row end in a one.
    i1, j1 = torch.tril_indices(r + 1, r + 1)
    codes = torch.ones(len(Z), r + 1, dtype=torch.float64)
    left = torch.zeros(d, len(i1), dtype=torch.float64)
    right = torch.zeros(d, r + 1, dtype=torch.float64)
    squares, totals = torch.zeros(2, d, dtype=torch.float64)
    of_codes = torch.zeros(len(i1), dtype=torch.float64)
    for rows in gen_batches(len(Z), max(1, 4 * _BLOCK_VALUES // (d + r * r))):
        x, w = torch.from_numpy(Z[rows]), torch.from_numpy(weight[rows])
        observed = (~x.isnan()).double()
        x = x.nan_to_num(0.0)
        precision = torch.zeros(len(x), r, r, dtype=torch.float64)
        precision[:, i, j] = observed @ products
        precision.diagonal(dim1=1, dim2=2).add_(1)
        covariance = torch.cholesky_inverse(torch.linalg.cholesky(precision))
        projected = ((x - mean) * observed / noise) @ loadings
        z = codes[rows]
        z[:, :r] = (covariance @ projected[:, :, None])[:, :, 0]
        moments = z[:, i1] * z[:, j1]
        is_code = i1 < r
        moments[:, is_code] += covariance[:, i, j]
        moments *= w[:, None]
        of_codes += moments.sum(dim=0)
        left += observed.T @ moments
        right += x.T @ (z * w[:, None])
        squares += w @ x.square()
        totals += w @ observed
    after = torch.empty(d, r + 1, dtype=torch.float64)
    # A prior of one row for each loading, for columns with few values.
    prior = torch.eye(r + 1, dtype=torch.float64)
    for columns in gen_batches(d, max(1, _BLOCK_VALUES // (r + 1) ** 2)):
        b = right[columns, :, None]
        system = b.new_zeros(len(b), r + 1, r + 1)
        system[:, i1, j1] = system[:, j1, i1] = left[columns]
        solution = torch.linalg.solve(system + prior, b)
        squares[columns] += ((system @ solution - 2 * b) * solution).sum(dim=(1, 2))
        after[columns] = solution[:, :, 0]
    # A column without values in the sample of rows has variance 1 in its units.
    noise = torch.where(totals > 0, squares / totals, 1.0)
    # Reset the codes to mean 0 and covariance I. Otherwise, this takes many steps (Liu,
    # Rubin and Wu 1998, Parameter expansion to accelerate EM).
    second = torch.zeros(r + 1, r + 1, dtype=torch.float64)
    second[i1, j1] = second[j1, i1] = of_codes / of_codes[-1]
    shift = second[:r, r]
    spread = torch.linalg.cholesky(second[:r, :r] - torch.outer(shift, shift))
    after[:, r] += after[:, :r] @ shift
    after[:, :r] = after[:, :r] @ spread
    noise = noise + shrinkage * after[:, :r].square().sum(dim=1)
    after[:, :r] *= (1 - shrinkage) ** 0.5
    return _Factors(after, noise.clamp(min=_MIN_VARIANCE)), codes
