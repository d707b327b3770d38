"""Selection of validation rows, and tests of whether training improved on its start."""

import math
from typing import NamedTuple

import numpy as np
from scipy import stats
from sklearn.utils import gen_batches

_LEVEL = 0.05
# The same rows selected the best of many states, so the usual level alone would accept
# too many improvements that are due to chance.
_STRICT_LEVEL = 0.005


class Comparison(NamedTuple):
    """Result of a comparison of losses on validation rows.

    Attributes
    ----------
    better : bool
        Whether the trained state is better.

    gain : float
        Share by which the mean loss fell; negative if it rose.

    p_value : float
        P-value of the test that decided; 1.0 if the mean loss did not fall.

    level : float
        Level that this p-value had to be below.
    """

    better: bool
    gain: float
    p_value: float = 1.0
    level: float = _STRICT_LEVEL


def is_better(
    losses: np.ndarray,
    start_losses: np.ndarray,
    sample_weight: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    *,
    logarithmic: bool = False,
) -> bool:
    """Test on validation rows whether the trained state is better than the start.

    Two one-sided paired t-tests compare the losses of the rows and the logarithms of
    the losses. Both must be significant, and one of them at a stricter level. A few bad
    rows can decide the first test, which compares means. The second test compares the
    factors by which the losses changed. These may be large by chance for rows that were
    nearly perfect before.

    Parameters
    ----------
    losses, start_losses : ndarrays of shape (n_samples,)
        Loss of each validation row after training and before the first step. Pass
        duplicate rows only once, because they are no further evidence.

    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows. The weighted mean must be lower, too.

    groups : ndarray of shape (n_samples,), default=None
        Groups of similar rows. The tests then compare the means of the groups. None
        means that there are no groups.

    logarithmic : bool, default=False
        Whether the losses are logarithms already, such as those of densities. Then
        there is a single test, at the stricter level.

    Returns
    -------
    better : bool
        Whether the trained state is better.
    """
    return compare(
        losses, start_losses, sample_weight, groups, logarithmic=logarithmic
    ).better


def compare(
    losses: np.ndarray,
    start_losses: np.ndarray,
    sample_weight: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    *,
    logarithmic: bool = False,
) -> Comparison:
    """Test as `is_better` does, with the same parameters, and return the details."""
    mean = np.average(losses, weights=sample_weight)
    start_mean = np.average(start_losses, weights=sample_weight)
    gain = float((start_mean - mean) / abs(start_mean)) if start_mean else 0.0
    if not mean < start_mean:
        return Comparison(False, gain)
    if logarithmic:
        p_value = _p_value(start_losses - losses, groups)
        return Comparison(p_value < _STRICT_LEVEL, gain, p_value)
    # Differences between losses at the level of rounding errors carry no information.
    floor = start_mean * 1e-12
    log_gain = np.log(np.maximum(start_losses, floor) / np.maximum(losses, floor))
    p_values = _p_value(log_gain, groups), _p_value(start_losses - losses, groups)
    if max(p_values) >= _LEVEL:
        return Comparison(False, gain, max(p_values), _LEVEL)
    return Comparison(min(p_values) < _STRICT_LEVEL, gain, min(p_values))


def _p_value(gain: np.ndarray, groups: np.ndarray | None) -> float:
    """Compute the p-value of a one-sided t-test for a mean above zero."""
    if groups is not None:
        _, number = np.unique(groups, return_inverse=True)
        gain = np.bincount(number, weights=gain) / np.bincount(number)
    if len(gain) < 2 or gain.std() == 0:
        return 1.0
    t = gain.mean() / (gain.std(ddof=1) / math.sqrt(len(gain)))
    return float(stats.t.sf(t, len(gain) - 1))


def spread_sample(X: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Draw a random sample of rows, stratified by their distance from the mean row.

    The rows are sorted by distance and split into `size` blocks, and one row is drawn
    from each. A few rows that are far from all others dominate the squared error, and a
    simple random sample of a small table would often contain none of them. Each row is
    as likely to be drawn as any other.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.

    size : int
        Number of rows to draw.

    seed : int
        Seed of the generator.

    Returns
    -------
    index : ndarray of shape (size,)
        Indices of the rows drawn.
    """
    mean = X.mean(axis=0, dtype=np.float64).astype(X.dtype)
    distance = np.empty(len(X))
    # Blocks of this size stay in the processor's cache.
    n_rows = min(len(X), max(1, 2**16 // X.shape[1]))
    memory = np.empty((n_rows, X.shape[1]), X.dtype)
    for rows in gen_batches(len(X), n_rows):
        centred = memory[: rows.stop - rows.start]
        np.subtract(X[rows], mean, out=centred)
        distance[rows] = np.einsum("ij,ij->i", centred, centred)
    rng = np.random.RandomState(seed)
    # The rows are shuffled first, so that equal distances come in random order.
    shuffled = rng.permutation(len(X))
    order = shuffled[np.argsort(distance[shuffled], kind="stable")]
    return order[_one_of_each_block(len(X), size, rng)]


def _one_of_each_block(n: int, size: int, rng: np.random.RandomState) -> np.ndarray:
    """Draw `size` of the numbers below `n`, one from each of as many equal blocks."""
    numbers = np.arange(n)
    if n % size:
        # Smaller blocks would favour their rows, so the rest is removed evenly.
        numbers = np.delete(numbers, _one_of_each_block(n, n % size, rng))
    blocks = numbers.reshape(size, -1)
    return blocks[np.arange(size), rng.randint(blocks.shape[1], size=size)]
