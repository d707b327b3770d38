"""Conformal p-values and thresholds for them."""

from typing import Any

import numpy as np

# Sums of weights are rounded.
_ROUNDING = 1e-9


def p_values(
    scores: np.ndarray, calibration: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Compute conformal p-values: the share of rows that are at least as unusual.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores: the lower, the more unusual.

    calibration : ndarray of shape (n_calibration,)
        Scores of calibration rows, in ascending order.

    weight : ndarray of shape (n_calibration,)
        Weights of these rows, of mean one.

    Returns
    -------
    p : ndarray of shape (n_samples,)
        ``(1 + number of calibration rows whose score is not higher) / (1 + n)``.
    """
    counts = np.concatenate([[0.0], np.cumsum(weight)])
    return (1 + counts[np.searchsorted(calibration, scores, side="right")]) / (
        1 + counts[-1]
    )


def threshold(calibration: np.ndarray, weight: np.ndarray, alpha: float) -> float:
    """Return the score below which a p-value is at most `alpha`.

    It is minus infinity if there are too few rows for such a p-value.
    """
    n_rows = len(calibration)
    # The p-value of a score that is just below each of the rows.
    below = (1 + np.cumsum(weight) - weight) / (1 + n_rows)
    allowed = calibration[below <= alpha + _ROUNDING]
    return float(allowed[-1]) if len(allowed) else -np.inf


def margins(scores: Any, threshold: float) -> Any:
    """Compute how far scores, an array or a tensor, are above a threshold.

    If the threshold is minus infinity, they are positive numbers in the order of the
    scores, as infinite ones could not be ranked.
    """
    if threshold > -np.inf:
        return scores - threshold
    return 1 / (1 - scores.clip(max=0)) + scores.clip(min=0)


def reaches(n_calibration: int, alpha: float) -> bool:
    """Return whether a p-value can be `alpha` or less."""
    return 1 / (1 + n_calibration) <= alpha + _ROUNDING


def rejected(p: np.ndarray, alpha: float) -> np.ndarray:
    """Return which p-values are at most `alpha`."""
    return p <= alpha + _ROUNDING


def benjamini_hochberg(p: np.ndarray, alpha: float) -> np.ndarray:
    """Return which p-values the procedure of Benjamini and Hochberg rejects."""
    ordered = np.sort(p)
    allowed = alpha * np.arange(1, len(p) + 1) / len(p)
    found = ordered[ordered <= allowed + _ROUNDING]
    return p <= found[-1] if len(found) else np.zeros(len(p), dtype=bool)


def quantile(scores: np.ndarray, weight: np.ndarray | None, share: float) -> float:
    """Return the score that a share of the rows is below."""
    order = np.argsort(scores)
    weight = np.ones(len(scores)) if weight is None else weight[order]
    up_to = np.cumsum(weight)
    i = np.searchsorted(up_to, share * up_to[-1] * (1 + _ROUNDING), side="right")
    return float(scores[order][min(i, len(scores) - 1)])
