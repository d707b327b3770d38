"""The turn of a code: the linear map to ordered, uncorrelated components."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import linalg
from sklearn.utils import gen_batches

from skae.training._statistics import column_statistics, fill_missing
from skae.training._streaming import float_tensor
from skae.training._table import Table

# Rows and values in them that suffice for the moments of a code, and the minimum number
# of rows for each component.
_MAX_ROWS, _MAX_VALUES, _ROWS_PER_COMPONENT = 8192, 2**22, 8
# Factor of the number of rows if the codes are left as they are.
_MANY = 8
# Number of rows that pass through a module at once.
_BLOCK_ROWS = 1024
# A smaller share of the largest deviation is rounding in float32.
_MIN_DEVIATION = 1e-6
# So is a smaller share of one code in another.
_ROUNDING = 1e-5


class CodeTurn(NamedTuple):
    """The map ``matrix @ (z - centre)`` of codes, and the variance that they explain.

    Attributes
    ----------
    matrix, inverse : ndarray of shape (n_components, n_components)
        The map and its inverse.

    centre : ndarray of shape (n_components,)
        Mean code.

    explained : ndarray of shape (n_components,)
        Variance that each new code explains by a linear decoder, summed over columns.

    total : float
        Variance of the rows, summed over columns.
    """

    matrix: np.ndarray
    inverse: np.ndarray
    centre: np.ndarray
    explained: np.ndarray
    total: float

    @property
    def is_nothing(self) -> bool:
        """Whether the codes are turned already, up to rounding."""
        size = np.sqrt(self.explained.max(initial=0))
        moves = np.abs(self.matrix - np.eye(len(self.matrix))).max() > _ROUNDING
        return not moves and np.abs(self.centre).max() <= _ROUNDING * size


def fit_turn(
    codes: np.ndarray,
    decoded: Iterator[np.ndarray],
    total: float,
    weight: np.ndarray | None = None,
) -> CodeTurn:
    """Find the turn that orders codes and makes them uncorrelated.

    The new directions are the singular vectors of the regression of the decoded rows
    on whitened codes. The variance of a new code is the variance of rows that is linear
    in it, so it has their units. The codes of PCA do not change, with scikit-learn's
    signs.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_components)
        Codes. They have at most as many components as the rows have columns.

    decoded : iterator of ndarray of shape (n_rows, n_features)
        Decoded rows of the codes, in order, block by block. A constant row may be
        subtracted. Products of a block are computed in its dtype.

    total : float
        Variance of the rows, summed over columns.

    weight : ndarray of shape (n_samples,), default=None
        Weights.

    Returns
    -------
    turn : CodeTurn
    """
    share = np.ones(len(codes)) if weight is None else weight.astype(np.float64)
    share = (share / share.sum())[:, None]
    codes = codes.astype(np.float64)
    centre = (share * codes).sum(axis=0)
    codes -= centre
    values, directions = linalg.eigh(codes.T @ (share * codes))
    deviation, directions = np.sqrt(values[::-1].clip(0)), directions[:, ::-1]
    varies = deviation > _MIN_DEVIATION * deviation[0]
    if not varies.any():
        identity = np.eye(len(centre))
        return CodeTurn(identity, identity, centre, np.zeros(len(centre)), total)
    deviation, rest = deviation[varies], directions[:, ~varies]
    directions = directions[:, varies]
    whitened = share * (codes @ (directions / deviation))
    slopes: Any = 0.0
    start = 0
    for rows in decoded:
        block = whitened[start : start + len(rows)].astype(rows.dtype)
        slopes = slopes + (block.T @ rows).astype(np.float64)
        start += len(rows)
    left, size, axes = linalg.svd(slopes, full_matrices=False)
    left *= _signs(axes.T)
    explained = np.zeros(len(centre))
    explained[: len(size)] = np.square(size)
    # A code that explains nothing keeps its own deviation.
    own = np.linalg.norm(deviation[:, None] * left, axis=0)
    scale = np.where(size > _MIN_DEVIATION * size.max(initial=0), size, own)
    rest = rest * _signs(rest)
    matrix = np.vstack([(directions / deviation @ left * scale).T, rest.T])
    inverse = np.hstack([directions * deviation @ left / scale, rest])
    return CodeTurn(matrix, inverse, centre, explained, total)


def _signs(vectors: np.ndarray) -> np.ndarray:
    """Return signs that make the largest entry of each column positive."""
    if vectors.size == 0:
        return np.ones(vectors.shape[1])
    largest = np.abs(vectors).argmax(axis=0)
    return np.sign(vectors[largest, np.arange(vectors.shape[1])])


def turn_of(
    net: Any,
    table: Table,
    seed: int,
    column_scale: Callable[[np.ndarray], np.ndarray] | None = None,
    *,
    many_rows: bool = False,
) -> CodeTurn | None:
    """Find the turn of the codes of a trained net, using a sample of many rows.

    Parameters
    ----------
    net : AutoencoderNet
        Net with a module of skae, in evaluation mode.

    table : Table of shape (n_samples, n_features)
        Training rows.

    seed : int
        Determines the sample of rows.

    column_scale : callable, default=None
        Function of the variances of columns. It returns the divisors of the columns for
        their comparison. None compares columns without divisors.

    many_rows : bool, default=False
        Whether to use eight times as many rows as needed.

    Returns
    -------
    turn : CodeTurn or None
        None if codes are not finite.
    """
    module = net.plain_module_
    n_components = module.decoder[0].in_features
    enough = max(_MAX_VALUES // table.n_features, _ROWS_PER_COMPONENT * n_components)
    table = table.draw((_MANY if many_rows else 1) * min(enough, _MAX_ROWS), seed)
    rows: Any = table.reconstructed
    inputs: Any = table.inputs
    scale: Any = 1
    filled, z = [], []
    with torch.no_grad():
        for part in gen_batches(len(table), _BLOCK_ROWS):
            x = module.fill(float_tensor(inputs[part], net.device))
            z.append(module.encode(x))
            if table.missing and table.targets is None:
                filled.append(x.cpu().numpy())
        codes = torch.cat(z).cpu().numpy()
        if not np.isfinite(codes).all():
            return None
        if filled:
            rows = np.concatenate(filled)
        elif table.missing:
            rows = fill_missing(rows[:], table.weight)
        variance = column_statistics(rows, table.weight).variance
        if column_scale is not None:
            scale = column_scale(variance)
            variance = variance / np.square(scale)
            scale = float_tensor(scale, net.device)
        # Large means would lose the precision of float32.
        origin = module.decode(z[0][:1])
        decoded = (
            module.decode(part).sub_(origin).div_(scale).cpu().numpy() for part in z
        )
        return fit_turn(codes, decoded, float(variance.sum()), table.weight)
