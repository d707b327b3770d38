"""Messages to the user about a fit, and the state after one that failed."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from sklearn.exceptions import ConvergenceWarning

from skae.training import Run, show

# Frames of these packages stand between a user's line and a warning.
_PASSED_THROUGH = {"joblib", "skae", "sklearn", "skorch", "torch"}


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that names the line of the user's code.

    The line is the same from `fit`, from `fit_transform` and from a pipeline's `fit`.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _package(frame) in _PASSED_THROUGH:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def report(
    estimator: Any,
    result: Run,
    n_epochs: int,
    *,
    lr: float,
    part: str = "",
    rows: str = "",
) -> None:
    """Warn if training did not go as planned; describe it if `verbose` is set.

    Parameters
    ----------
    estimator : estimator
        The estimator.

    result : Run
        Result of the training.

    n_epochs : int
        Number of epochs that was planned.

    lr : float
        Learning rate.

    part : str, default=""
        Part of the training, to append to the name of the estimator.

    rows : str, default=""
        Training rows, to append to the number of epochs.
    """
    name = type(estimator).__name__ + part
    done = len(result.loss_curve)
    if result.diverged_at is not None:
        warn(
            f"{name}: the loss was not finite in epoch {result.diverged_at} of "
            f"{n_epochs}, at lr={lr:g}. The state kept is {result.kept}. "
            f"Try lr={lr / 10:g}, callbacks=[skorch.callbacks."
            "GradientNormClipping(1.0)], or columns scaled by StandardScaler.",
            ConvergenceWarning,
        )
    if result.interrupted:
        warn(
            f"{name}: training was interrupted after {done} of {n_epochs} epochs. "
            f"The state kept is {result.kept}.",
        )
    if estimator.verbose:
        how = "Stopped early" if result.stopped_early else "Trained"
        show(
            f"{name}: {how} after {done} epochs{rows}; the state kept is "
            f"{result.kept}, with loss {result.best_loss:.4g}."
        )


@contextmanager
def unchanged_on_error(estimator: Any) -> Iterator[None]:
    """Restore the attributes of an estimator if an error is raised."""
    # The net itself is not restored: `partial_fit` may have changed it.
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise
