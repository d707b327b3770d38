"""Which rows to validate on, and whether training has improved on the start."""

import math

import numpy as np
from scipy import stats

_LEVEL = 0.05
# The state was chosen among many by the same rows: the usual level alone would let too
# much luck pass.
_STRICT_LEVEL = 0.005


def is_better(
    losses: np.ndarray,
    start_losses: np.ndarray,
    sample_weight: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    *,
    logarithmic: bool = False,
) -> bool:
    """Decide from validation rows whether the trained state beats the start.

    It does if one-sided paired t-tests say so of the rows' losses and of their
    logarithms, and one of them at a stricter level. The first is about the mean, which
    a few bad rows may decide. To the second a row counts by the factor that its loss
    has changed by, which may be large by chance for rows that were nearly perfect.

    Parameters
    ----------
    losses, start_losses : ndarrays of shape (n_samples,)
        Loss of each validation row, trained and before the first step. A row that comes
        more than once is to be there once: copies are no further evidence.

    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows; the mean has to be lower with them, too.

    groups : ndarray of shape (n_samples,), default=None
        Groups of rows that are alike: the tests are of their means. None: there are
        none.

    logarithmic : bool, default=False
        Whether the losses are logarithms already, as those of densities are: then
        there is one test, at the stricter level.

    Returns
    -------
    better : bool
    """
    mean = np.average(losses, weights=sample_weight)
    start_mean = np.average(start_losses, weights=sample_weight)
    if not mean < start_mean:
        return False
    if logarithmic:
        return _p_value(start_losses - losses, groups) < _STRICT_LEVEL
    # Rows reconstructed to rounding error are equal, whatever is left of it.
    floor = start_mean * 1e-12
    log_gain = np.log(np.maximum(start_losses, floor) / np.maximum(losses, floor))
    p_values = _p_value(log_gain, groups), _p_value(start_losses - losses, groups)
    return max(p_values) < _LEVEL and min(p_values) < _STRICT_LEVEL


def _p_value(gain: np.ndarray, groups: np.ndarray | None) -> float:
    """P-value of a one-sided t-test of a mean of zero."""
    if groups is not None:
        _, number = np.unique(groups, return_inverse=True)
        gain = np.bincount(number, weights=gain) / np.bincount(number)
    if len(gain) < 2 or gain.std() == 0:
        return 1.0
    t = gain.mean() / (gain.std(ddof=1) / math.sqrt(len(gain)))
    return float(stats.t.sf(t, len(gain) - 1))


def spread_sample(X: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Draw rows at random, evenly over their distances from the mean row.

    The rows are sorted by distance and cut into as many blocks as rows are wanted; each
    gives one. The few rows that are far from all others decide a squared error: a plain
    sample of a small table would often have none of them.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.

    size : int
        How many to draw.

    seed : int
        Determines the draw.

    Returns
    -------
    index : ndarray of shape (size,)
        Numbers of the rows drawn.
    """
    mean = X.mean(axis=0, dtype=np.float64)
    # Up to a constant; without a centred copy of X.
    distance = np.einsum("ij,ij->i", X, X, dtype=np.float64) - 2 * (X @ mean)
    rng = np.random.RandomState(seed)
    # Equal distances in a random order.
    shuffled = rng.permutation(len(X))
    order = shuffled[np.argsort(distance[shuffled], kind="stable")]
    return np.array([rng.choice(block) for block in np.array_split(order, size)])
