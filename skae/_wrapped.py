"""Autoencoders in another estimator: alone, in pipelines, or frozen."""

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn import get_config
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import get_routing_for_object

from skae._base import BaseAutoencoder
from skae._table_autoencoder import TableAutoencoder
from skae._tasks import FitTasks
from skae.training import LargeTable, row_hashes


def steps_of(autoencoder: Any) -> list[Any]:
    """Return the steps of a pipeline and of nested pipelines and searches."""
    # A search and a FrozenEstimator have these attributes.
    for inner in ("best_estimator_", "estimator"):
        if hasattr(autoencoder, inner):
            return steps_of(getattr(autoencoder, inner))
    named = getattr(autoencoder, "steps", None) or []  # only pipelines have them
    steps = [step for _, step in named if step not in (None, "passthrough")]
    return [*steps[:-1], *steps_of(steps[-1])] if steps else [autoencoder]


def seeded_clone(autoencoder: Any, rng: np.random.RandomState) -> Any:
    """Clone an autoencoder, and set each `random_state` that is None to a seed."""
    autoencoder = clone(autoencoder)
    params = autoencoder.get_params()
    missing = [
        name
        for name in sorted(params)
        if name.split("__")[-1] == "random_state" and params[name] is None
    ]
    seeds = {name: rng.randint(2**31 - 1) for name in missing}
    if seeds:  # set_params of a FrozenEstimator returns nothing
        autoencoder.set_params(**seeds)
    return autoencoder


def ends_in_autoencoder(autoencoder: Any) -> bool:
    """Return whether `fit_with_validation` can fit an estimator."""
    if isinstance(autoencoder, Pipeline):
        return ends_in_autoencoder(autoencoder.steps[-1][1])
    if isinstance(autoencoder, FrozenEstimator):
        autoencoder = steps_of(autoencoder)[-1]
    return isinstance(autoencoder, BaseAutoencoder)


def fit_with_validation(
    autoencoder: Any,
    X: Any,
    sample_weight: np.ndarray | None,
    X_val: Any,
    tasks: FitTasks,
) -> Any:
    """Fit an autoencoder, and choose its epoch on validation rows.

    Steps of a pipeline transform the validation rows, but are not fitted to them.

    Parameters
    ----------
    autoencoder : estimator
        An autoencoder, a pipeline that ends in one, or a frozen one.

    X : array-like of shape (n_samples, n_features)
        Training rows.

    sample_weight : ndarray of shape (n_samples,) or None
        Weights of the rows in the loss. With metadata routing, steps of a pipeline that
        request them also get them.

    X_val : array-like of shape (n_val, n_features) or None
        Validation rows, for an autoencoder with a `validation_fraction`. With None, it
        holds out rows itself.

    tasks : FitTasks
        Tasks of the whole fit.

    Returns
    -------
    autoencoder : estimator
        The fitted estimator; a pipeline is a new one.
    """
    if isinstance(autoencoder, FrozenEstimator):
        return autoencoder
    if isinstance(autoencoder, Pipeline):
        *before, (name, last) = autoencoder.steps
        if before:
            front = Pipeline(before, memory=autoencoder.memory)
            X = front.fit_transform(X, **_routed(front, sample_weight))
            X_val = None if X_val is None else front.transform(X_val)
            before = front.steps
        last = fit_with_validation(last, X, sample_weight, X_val, tasks)
        return Pipeline([*before, (name, last)], **_options(autoencoder))
    if autoencoder.validation_fraction is None:
        X_val = None
    with tasks.part_fitting(autoencoder, "autoencoder"):
        return autoencoder.fit(X, None, sample_weight, X_val=X_val)


def _routed(steps: Pipeline, sample_weight: np.ndarray | None) -> dict[str, Any]:
    """Return row weights as metadata for the fit of steps, if one requests them."""
    if sample_weight is None or not get_config()["enable_metadata_routing"]:
        return {}
    names = get_routing_for_object(steps).consumes("fit_transform", ["sample_weight"])
    return {name: sample_weight for name in names}


def _options(pipeline: Pipeline) -> dict[str, Any]:
    """Return the parameters of a pipeline, without its steps."""
    params = pipeline.get_params(deep=False)
    return {name: value for name, value in params.items() if name != "steps"}


def hashes_of(X: Any, autoencoder: Any) -> np.ndarray:
    """Compute hashes of rows of any form; copies have the same hash.

    Rows that are equal in float32 are copies for an autoencoder, but not for a scaler
    before it or for the encoder of a table.
    """
    steps = steps_of(autoencoder)
    scales = len(steps) > 1 or isinstance(steps[-1], TableAutoencoder)
    dtype = np.float64 if scales else np.float32
    if issparse(X):
        return row_hashes(LargeTable(X.tocsr()), dtype)
    mixed = isinstance(X, list | tuple)
    array = np.array(X, dtype=object) if mixed else np.asarray(X)
    if array.dtype.kind in "biuf":
        return row_hashes(array.reshape(len(array), -1), dtype)
    _, number = np.unique([repr(row) for row in array.tolist()], return_inverse=True)
    return number
