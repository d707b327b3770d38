"""PCA of numbers and categories, with a decoder that is linear before its link."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import entr
from sklearn.utils import gen_batches

from skae.losses import MixedLoss
from skae.modules._mixed_link import MARK, NUMBER
from skae.training._pca import LinearMap, fit_pca
from skae.training._statistics import Columns, column_statistics
from skae.training._table import Table

# Rows, values in them and steps that suffice to fit a linear decoder, and its ridge
# penalty.
_MAX_ROWS, _MAX_VALUES, _N_STEPS, _RIDGE = 4_000, 2**20, 25, 1e-3
# Number of values in a block of rows that stays in the processor's cache.
_CACHED_VALUES = 2**15
# Number of values in a block of rows.
_BLOCK_VALUES = 2**20
# Lower bound of the shares of levels, as zero has no logarithm.
_MIN_SHARE = 1e-4


# A smaller share of the largest deviation of codes is rounding.
_MIN_CODE = 1e-5
# A smaller variance of standardised numbers, or a smaller entropy, is rounding.
_MIN_UNIT = 1e-10


def mixed_loss(table: Table, kind: np.ndarray, block: np.ndarray) -> MixedLoss:
    """Build the loss of rows, in units of the loss of the mean row.

    Parameters
    ----------
    table : Table of shape (n_samples, n_features)
        Rows; NaN where a value is missing.

    kind, block : ndarray of shape (n_features,)
        See :class:`~skae.modules._mixed_link.MixedLink`.
    """
    rows: Any = table.inputs
    weight = np.ones(len(table)) if table.weight is None else table.weight
    sums = np.zeros((3, table.n_features))
    for part in gen_batches(len(table), max(1, _BLOCK_VALUES // table.n_features)):
        there = ~np.isnan(rows[part])
        values = np.where(there, rows[part], 0)
        sums += weight[part] @ np.stack([there, values, np.square(values)])
    # In later calls, a column may have no value.
    mean, square = sums[1:] / np.maximum(sums[0], np.finfo(float).tiny)
    losses = np.where(kind == NUMBER, square - np.square(mean), entr(mean))
    losses += np.where(kind == MARK, entr(1 - mean), 0)
    unit = np.bincount(block, weights=losses)[block]
    loss = MixedLoss(table.n_features)
    loss.set(kind, block, np.where(unit > _MIN_UNIT, unit, 0))
    return loss


def mean_logits(mean: np.ndarray, loss: MixedLoss) -> np.ndarray:
    """Return the output of a decoder before its link that stands for the mean row.

    Parameters
    ----------
    mean : ndarray of shape (n_features,)
        Mean row.

    loss : MixedLoss
        Loss that knows the kinds and blocks of the columns.
    """
    kind = loss.link.kind.cpu().numpy()
    share = mean.clip(_MIN_SHARE, 1 - _MIN_SHARE)
    logits = np.where(kind == MARK, np.log(share / (1 - share)), np.log(share))
    return np.where(kind == NUMBER, mean, logits)


def fit_mixed_pca(
    table: Table,
    columns: Columns,
    loss: MixedLoss,
    n_components: int,
    random_state: np.random.RandomState,
) -> LinearMap:
    """Fit PCA in which each number and each category has a total variance of one.

    The decoder of numbers is that of PCA. The decoder of categories is a logistic
    regression on the codes, with a ridge penalty and few steps of L-BFGS, fitted to a
    sample of the rows of large tables.

    Parameters
    ----------
    table : Table of shape (n_samples, n_features)
        Rows without gaps. Its `targets`, if it has any, have the gaps.

    columns : Columns
        Statistics of the rows.

    loss : MixedLoss
        Loss that knows the kinds and blocks of the columns.

    n_components : int
        Size of the code.

    random_state : RandomState
        For PCA's randomised solver, and for spreading the code over more components
        than PCA has.

    Returns
    -------
    linear : LinearMap
        The map from rows to the output of the decoder before its link.
    """
    counts = loss.share.cpu().numpy() > 0
    scale = mixed_scale(columns.variance, loss)
    linear = _scaled_pca(table, scale, n_components, random_state)
    encoder, decoder = linear.encoder_weight / scale, linear.decoder_weight
    decoder = decoder * scale[:, None]
    bias = mean_logits(columns.mean, loss)
    others = loss.link.kind.cpu().numpy() != NUMBER
    decoder[others] = 0
    if counts[others].any():
        most = min(_MAX_ROWS, max(1, _MAX_VALUES // int(others.sum())))
        few = table.read(slice(None, None, -(-len(table) // most)))
        codes = (few.inputs - columns.mean) @ encoder.T
        _fit_logistic(codes, few, loss, others, decoder, bias)
    return LinearMap(encoder, decoder, bias - columns.mean)


def mixed_scale(variance: np.ndarray, loss: MixedLoss) -> np.ndarray:
    """Return divisors of columns that make the variance of each block one.

    Parameters
    ----------
    variance : ndarray of shape (n_features,)
        Variances of the columns.

    loss : MixedLoss
        Loss that knows the kinds and blocks of the columns.
    """
    block = loss.link.block.cpu().numpy()
    total = np.bincount(block, weights=variance)[block]
    counts = loss.share.cpu().numpy() > 0
    return np.sqrt(np.where(counts & (total > 0), total, 1))


def _scaled_pca(
    table: Table,
    scale: np.ndarray,
    n_components: int,
    random_state: np.random.RandomState,
) -> LinearMap:
    """Fit PCA to rows divided by the scales of their columns."""
    gaussian = table.gaussian
    if gaussian is not None and gaussian.covariance is not None:
        covariance = gaussian.covariance / np.outer(scale, scale)
        gaussian = replace(gaussian, covariance=covariance)
    inputs: Any = table.inputs
    scaled = Table(inputs / scale.astype(inputs.dtype), weight=table.weight)
    statistics = column_statistics(scaled.inputs, scaled.weight)
    scaled = replace(scaled, gaussian=gaussian)
    return fit_pca(scaled, statistics, n_components, random_state)[0]


def _fit_logistic(
    codes: np.ndarray,
    table: Table,
    loss: MixedLoss,
    others: np.ndarray,
    decoder: np.ndarray,
    bias: np.ndarray,
) -> None:
    """Fit the decoder of all columns except numbers, in place."""
    size = codes.std(axis=0)
    # Codes that vary only by rounding have no slope.
    size[size <= _MIN_CODE * size.max()] = np.inf
    # The last column is for the bias.
    z = torch.from_numpy(np.column_stack([codes / size, np.ones(len(codes))])).float()
    x = torch.as_tensor(table.reconstructed)[:, others].float()
    total = np.ones(len(codes)) if table.weight is None else table.weight
    weight = torch.from_numpy(total / total.sum()).float()
    of_others = loss.of(others)
    n_blocks = float(of_others.share.sum())
    shape = (int(others.sum()), z.shape[1])
    size_of_block = max(1, _CACHED_VALUES // shape[0])

    def penalised(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.from_numpy(flat.reshape(shape)).float()
        slopes = weights[:, :-1]
        value = _RIDGE * slopes.square().mean()
        gradient = torch.zeros(shape)
        for rows in gen_batches(len(z), size_of_block):
            logits = z[rows] @ weights.T
            scale = n_blocks * (rows.stop - rows.start)
            part, of_logits = of_others.mean_with_gradient(
                logits, x[rows], weight[rows], 1 / scale
            )
            value += scale * part
            gradient += of_logits.T @ z[rows]
        gradient[:, :-1] += 2 * _RIDGE / slopes.numel() * slopes
        return float(value), gradient.double().numpy().ravel()

    first = np.zeros(shape)
    first[:, -1] = bias[others]
    found = minimize(
        penalised,
        first.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _N_STEPS},
    ).x.reshape(shape)
    decoder[others] = found[:, :-1] / size
    bias[others] = found[:, -1]
