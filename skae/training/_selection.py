"""Whether training has improved on the start."""

import math

import numpy as np
from scipy import stats


def is_better(
    losses: np.ndarray,
    start_losses: np.ndarray,
    sample_weight: np.ndarray | None = None,
    level: float = 0.005,
) -> bool:
    """Decide from validation rows whether the trained state beats the start.

    It does if its mean loss is lower, and if a one-sided paired t-test on the
    logarithms of the rows' losses is significant. On the losses themselves, one
    heavy-tailed row would hide an improvement of all others.

    Parameters
    ----------
    losses, start_losses : ndarrays of shape (n_samples,)
        Loss of each validation row, trained and before the first step.

    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows in the mean.

    level : float, default=0.005
        Significance level. The state was chosen among many on the same rows, so the
        usual one would let too much luck pass.

    Returns
    -------
    better : bool
    """
    mean = np.average(losses, weights=sample_weight)
    start_mean = np.average(start_losses, weights=sample_weight)
    if not mean < start_mean:
        return False
    # Rows reconstructed to rounding error are equal, whatever is left of it.
    floor = start_mean * 1e-12
    gain = np.log(np.maximum(start_losses, floor)) - np.log(np.maximum(losses, floor))
    if len(gain) < 2 or gain.std() == 0:
        return False
    t = gain.mean() / (gain.std(ddof=1) / math.sqrt(len(gain)))
    return bool(stats.t.sf(t, len(gain) - 1) < level)
