"""Pairs of rows: which `y` are rows that the decoder has to return."""

from typing import Any

from skae import _checks as checks
from skae._report import warn


def has_targets(estimator: Any, X: Any, y: Any, *, reset: bool) -> bool:
    """Return whether `y` holds targets, and warn if it only looks as if.

    Parameters
    ----------
    estimator : estimator
        One with `_takes_pairs` if it has a use for targets.

    X, y : array-like
        Training rows, not checked, and what `fit` was given with them.

    reset : bool
        Whether a new fit begins.
    """
    if not estimator._takes_pairs:
        warn_of_targets(estimator, X, y)
        return False
    # A training that goes on from pairs may have some without noise.
    goes_on = not reset and is_fitted_to_pairs(estimator)
    return checks.same_shape(X, y) and (goes_on or not checks.same_rows(X, y))


def is_fitted_to_pairs(estimator: Any) -> bool:
    """Return whether an estimator was fitted to pairs of rows."""
    # A file may be from before there were pairs.
    return getattr(estimator, "_fitted_to_pairs", False)


def makes_noise(estimator: Any) -> bool:
    """Return whether an estimator takes noise out of rows that it made itself."""
    return estimator._takes_pairs and not is_fitted_to_pairs(estimator)


def warn_of_targets(estimator: Any, X: Any, y: Any) -> None:
    """Warn if `y` is ignored though it looks like rows to reconstruct."""
    if not checks.same_shape(X, y) or checks.shape_of(y)[1:] == (1,):
        return
    if not checks.same_rows(X, y):
        warn(
            f"{type(estimator).__name__} ignores y, which has the shape of X and other "
            "values: it reconstructs the rows of X. DenoisingAutoencoder takes "
            "pairs of rows, noisy ones as X and clean ones as y."
        )


def check_ignored(estimator: Any, inputs: Any, y: Any) -> None:
    """Refuse or warn of a `y` that an estimator of pairs does not use."""
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
        f"shape of X, {inputs.shape}, is taken for the clean rows that the "
        "decoder is to give."
    )


def check_goes_on(estimator: Any, net: Any, has_targets: bool) -> None:
    """Refuse rows that earlier calls of `partial_fit` do not go on with."""
    if not estimator._takes_pairs or estimator.noise != "auto":
        return
    if (net.noise_ is None) == has_targets:
        return
    if net.noise_ is None:
        raise ValueError(
            "The earlier calls had y, the clean rows, and no noise was made: give "
            "a y of the shape of X in each call of partial_fit."
        )
    raise ValueError(
        "The earlier calls had no y of the shape of X, and noise was made in its "
        "place. Leave y out; or train on pairs of rows by fit, with "
        "warm_start=True if it is to go on from the present state."
    )


def check_validation_targets(estimator: Any, X_val: Any, y_val: Any) -> None:
    """Refuse validation rows without the targets they need, and the reverse."""
    pairs = is_fitted_to_pairs(estimator)
    if (X_val is None or not pairs) and y_val is not None:
        raise ValueError(
            "y_val is for the clean rows of X_val, where y has those of X: give "
            "all of X_val, y_val and y, or leave y_val out."
        )
    if pairs and X_val is not None and y_val is None:
        raise ValueError(
            "y has the clean rows of X, and those of X_val are needed, too: give "
            "them as y_val."
        )
