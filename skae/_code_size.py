"""Search for the size of a code by its share of the variance: `n_components=0.95`."""

import math
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skae._report import unchanged_on_error, warn
from skae._sklearn_compat import Interval, RealNotInt
from skae._tasks import FitTasks, belongs_to_callbacks
from skae._training import split_rows
from skae.training import Split, fit_pca, private_generator, show

SIZE_CONSTRAINTS: list[Any] = [
    Interval(Integral, 1, None, closed="left"),
    Interval(RealNotInt, 0, 1, closed="neither"),
]
_MAX_FITS = 5
# PCA of more axes would take longer than the fits.
_MAX_AXES = 1000


def is_share(n_components: Any) -> bool:
    """Return whether `n_components` is a share of the variance, not a size."""
    return n_components is not None and not isinstance(n_components, Integral)


def code_size(estimator: Any) -> int:
    """Return the number of components of an estimator, set or found by `fit`."""
    if not is_share(estimator.n_components):
        return int(estimator.n_components)
    if hasattr(estimator, "n_components_"):
        return estimator.n_components_
    raise ValueError(
        f"n_components={estimator.n_components} is a share of the variance, and only "
        "fit can find the number of components for it. Call fit, or set n_components "
        "to an integer."
    )


def fit_for_share(
    estimator: Any, X: Any, y: Any, sample_weight: Any, X_val: Any, groups: Any
) -> Any:
    """Fit the smallest code that explains a share of the variance of held-out rows.

    Fit an estimator of each size that is tried, and copy the attributes of the chosen
    one.

    Parameters
    ----------
    estimator : estimator
        Estimator, whose `n_components` is the share.

    X, y, sample_weight, X_val, groups
        As in `fit`.

    Returns
    -------
    estimator : estimator
        The same, fitted.
    """
    share, name = estimator.n_components, type(estimator).__name__
    _check(estimator, X_val)
    tasks = FitTasks(estimator, X, X if y is None else y, sample_weight)
    tasks.begin(_MAX_FITS)
    seed: Any = estimator.random_state
    if not isinstance(seed, Integral):
        seed = int(private_generator(seed).randint(2**31 - 1))
    with unchanged_on_error(estimator):
        first = _of_size(estimator, 1, seed)
        held_out = _HeldOut(_split(first, X, y, sample_weight, X_val, groups), seed)
        fitted = {}

        def score(size: int) -> float:
            candidate = _of_size(estimator, size, seed)
            with tasks.part_fitting(candidate, f"{size} components"):
                candidate._fit(X, y, sample_weight, X_val, groups)
            fitted[size] = candidate
            found = held_out.score(candidate)
            if estimator.verbose:
                show(f"{name}: {size} components explain {found:.4f} of held-out rows.")
            return found

        enough = np.flatnonzero(held_out.pca >= share)
        most = 1 + int(enough[0]) if len(enough) else len(held_out.pca)
        scores = search_size(score, most, share)
        passed = [size for size, found in scores.items() if found >= share]
        size = min(passed, default=most)
        if not passed:
            warn(
                f"{name}: {most} components explain {scores[most]:.3f} of held-out "
                f"rows, less than n_components={share}. They are kept.",
                ConvergenceWarning,
            )
        params = estimator.get_params(deep=False)
        for attribute in [*vars(estimator)]:
            if attribute.endswith("_"):  # of an earlier fit
                delattr(estimator, attribute)
        for attribute, value in vars(fitted[size]).items():
            if attribute not in params and not belongs_to_callbacks(attribute):
                setattr(estimator, attribute, value)
        estimator.n_components_search_ = {
            "n_components": np.array(list(scores)),
            "score": np.array(list(scores.values())),
            "pca_score": held_out.pca[:most],
            "share": share,
        }
        tasks.end()
    return estimator


def search_size(
    score: Callable[[int], float], most: int, share: float
) -> dict[int, float]:
    """Search for the smallest size whose score is at least a share.

    The logarithm of one minus the score is about linear between a size that is too
    small and one that is not.

    Parameters
    ----------
    score : callable
        Function of a size. It is called at most five times.

    most : int
        Largest size.

    share : float
        Score to reach.

    Returns
    -------
    scores : dict
        Scores by size, in the order of the search.
    """
    scores = {most: score(most)}
    low, high = 0, most
    if scores[most] < share:
        return scores
    size = most // 2
    while high - low > 1 and len(scores) < _MAX_FITS:
        size = min(max(size, low + 1), high - 1)
        scores[size] = score(size)
        if scores[size] < share:
            low = size
        else:
            high = size
        rest = [math.log(max(1 - s, 1e-9)) for s in (scores.get(low, 0), scores[high])]
        steps = (rest[0] - math.log(1 - share)) / max(rest[0] - rest[1], 1e-9)
        size = low + math.ceil((high - low) * steps)
        if high == most and len(scores) == _MAX_FITS - 1:
            # Sizes near the one that was too small may be too small as well.
            size = (low + high) // 2
    return scores


def _check(estimator: Any, X_val: Any) -> None:
    share = estimator.n_components
    if estimator._has_user_module:
        raise ValueError(
            f"n_components={share} is for the built-in module, which fit builds in "
            "several sizes. With module=, set an integer, or search with GridSearchCV."
        )
    if estimator.validation_fraction is None and X_val is None:
        raise ValueError(
            f"n_components={share} is a share of the variance of held-out rows, and "
            "validation_fraction=None holds out none: set it to 0.1, pass X_val to "
            "fit, or set n_components to an integer."
        )


def _of_size(estimator: Any, size: int, seed: int) -> Any:
    """Return an unfitted estimator with a number of components."""
    params = estimator.get_params(deep=False)
    return type(estimator)(**{**params, "n_components": size, "random_state": seed})


def _split(
    candidate: Any, X: Any, y: Any, sample_weight: Any, X_val: Any, groups: Any
) -> Split:
    """Return the rows that all candidates train on, and those to compare them on."""
    table = candidate._table(X, y, sample_weight, groups, reset=True)
    table = candidate._in_weight_units(table, new=True)
    table_val = candidate._validation_table(X_val, None)
    candidate._reset_random_state()
    return split_rows(candidate, candidate._plan(table), table, table_val)


class _HeldOut:
    """Rows to compare candidates on: validation rows, if there are any.

    Parameters
    ----------
    split : Split
        Training rows and validation rows. Without validation rows, PCA and the
        candidates are scored on the training rows.

    seed : int
        For PCA's randomised solver.
    """

    def __init__(self, split: Split, seed: int) -> None:
        table = (split.valid or split.train).sample()
        self._rows: Any = table.inputs[:]
        self._weight = table.weight
        train = split.train.filled()
        columns = train.columns
        n_axes = min(len(train), train.n_features, _MAX_AXES)
        linear, _ = fit_pca(train, columns, n_axes, np.random.RandomState(seed))
        centred = np.nan_to_num(self._rows - columns.mean)
        self._total = self._sum(np.square(centred))
        along = np.square(centred @ linear.encoder_weight.T)
        explained = np.cumsum(np.average(along, axis=0, weights=self._weight))
        # Any code explains rows that are all the same.
        self.pca = explained / self._total if self._total > 0 else np.ones(n_axes)

    def _sum(self, squares: np.ndarray) -> float:
        return float(np.average(squares.sum(axis=1), weights=self._weight))

    def score(self, candidate: Any) -> float:
        """Return the share of the variance that the codes of a candidate explain."""
        if candidate.best_epoch_ == 0 and candidate._start_name == "PCA":
            # The kept PCA is fitted to all rows, including the validation rows.
            return float(self.pca[candidate.n_components_ - 1])
        squares = candidate.reconstruction_error(self._rows, per_feature=True)
        return 1 - self._sum(np.nan_to_num(squares)) / (self._total or 1)
