"""Checks of pairs of rows: whether `y` holds rows that the decoder should return."""

from typing import Any

from skae import _checks as checks
from skae._report import warn


def has_targets(estimator: Any, X: Any, y: Any, *, reset: bool) -> bool:
    """Return whether `y` holds targets; warn if it only looks like targets.

    Parameters
    ----------
    estimator : estimator
        Estimator, with `_takes_pairs` if it uses targets.

    X, y : array-like
        Training rows and the `y` of `fit`, before any check.

    reset : bool
        Whether a new fit begins.
    """
    if not estimator._takes_pairs:
        warn_of_targets(estimator, X, y)
        return False
    # Training that continues from pairs may have some without noise.
    goes_on = not reset and is_fitted_to_pairs(estimator)
    return checks.same_shape(X, y) and (goes_on or not checks.same_rows(X, y))


def is_fitted_to_pairs(estimator: Any) -> bool:
    """Return whether an estimator was fitted to pairs of rows."""
    # Older files lack this attribute.
    return getattr(estimator, "_fitted_to_pairs", False)


def makes_noise(estimator: Any) -> bool:
    """Return whether an estimator removes noise that it added itself."""
    return estimator._takes_pairs and not is_fitted_to_pairs(estimator)


def warn_of_targets(estimator: Any, X: Any, y: Any) -> None:
    """Warn if `y` is ignored, but looks like rows to reconstruct."""
    if not checks.same_shape(X, y) or checks.shape_of(y)[1:] == (1,):
        return
    if not checks.same_rows(X, y):
        warn(
            f"{type(estimator).__name__} ignores y, which has the shape of X and other "
            "values: it reconstructs the rows of X. For pairs of noisy rows X and "
            "clean rows y, use DenoisingAutoencoder."
        )


def check_ignored(estimator: Any, inputs: Any, y: Any) -> None:
    """Raise or warn if an estimator of pairs does not use `y`."""
    shape = checks.shape_of(y)
    if len(shape) < 2 or shape == inputs.shape or shape[1:] == (1,):
        return
    if shape[1:] == inputs.shape[1:]:
        raise ValueError(
            "y must have a clean row for each row of X, in the same order. "
            f"Got {shape[0]} rows in y and {len(inputs)} in X."
        )
    warn(
        f"{type(estimator).__name__} ignores y, of shape {shape}: only a y of the "
        f"shape of X, {inputs.shape}, is used as clean rows."
    )


def check_goes_on(estimator: Any, net: Any, has_targets: bool) -> None:
    """Raise if rows do not match those of earlier calls of `partial_fit`."""
    if not estimator._takes_pairs or estimator.noise != "auto":
        return
    if (net.noise_ is None) == has_targets:
        return
    if net.noise_ is None:
        raise ValueError(
            "The earlier calls had y, the clean rows, and added no noise. Pass "
            "a y of the shape of X in each call of partial_fit."
        )
    raise ValueError(
        "The earlier calls had no y of the shape of X, and added noise to X. Leave y "
        "out, or train on pairs of rows with fit; with warm_start=True, it continues "
        "from the current state."
    )


def check_validation_targets(estimator: Any, X_val: Any, y_val: Any) -> None:
    """Raise if validation rows lack targets, or targets lack validation rows."""
    pairs = is_fitted_to_pairs(estimator)
    if (X_val is None or not pairs) and y_val is not None:
        raise ValueError(
            "y_val holds the clean rows of X_val, and needs X_val and the clean rows y "
            "of X. Pass all three, or leave y_val out."
        )
    if pairs and X_val is not None and y_val is None:
        raise ValueError(
            "y has the clean rows of X, and those of X_val are needed, too: pass "
            "them as y_val."
        )
