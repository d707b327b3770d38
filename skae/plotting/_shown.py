"""What displays show: autoencoders, pipelines that end in one, and others like PCA."""

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skae._fitted import flat, with_output

# Attributes of the last step that hold for the whole pipeline, too.
_OF_LAST_STEP = {
    *("loss_curve_", "validation_loss_curve_", "best_epoch_", "_start_name"),
    *("explained_variance_ratio_", "n_components", "n_components_"),
    *("n_components_search_", "image_shape_", "series_shape_"),
    *("calibration_scores_", "offset_"),
}
# Methods of the last step that take rows and do not return rows.
_OF_ROWS = {"score_samples", "p_values", "explain"}


def as_shown(estimator: Any) -> Any:
    """Return an estimator with the methods that displays call.

    Autoencoders are returned as they are. A pipeline is shown in its own units: rows
    pass through the steps before the autoencoder, and back.
    """
    if hasattr(estimator, "best_estimator_"):
        return as_shown(estimator.best_estimator_)
    if isinstance(estimator, Pipeline):
        last = estimator[-1]
        if len(estimator.steps) == 1:
            return as_shown(last)
        # Frames of mixed columns cannot pass through the steps before, and back.
        takes_numbers = getattr(last, "_module_takes_rows", True)
        return _Shown(estimator) if takes_numbers else estimator
    is_other = not hasattr(estimator, "reconstruct")
    if is_other and hasattr(estimator, "inverse_transform"):
        return _Shown(estimator)
    return estimator


class _Shown:
    """A pipeline or another transformer with the methods that displays call.

    Parameters
    ----------
    estimator : Pipeline or transformer
        Fitted estimator. If it lacks `transform` or `inverse_transform`, so does this
        object.
    """

    def __init__(self, estimator: Any) -> None:
        self._last = self._whole = estimator
        self._before: Any = None
        if isinstance(estimator, Pipeline):
            name, last = estimator.steps[-1]
            self._before = estimator[:-1]
            self._last = with_output(last, "code")
            self._whole = Pipeline([*estimator.steps[:-1], (name, self._last)])

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("_last", "_whole", "_before"):
            raise AttributeError(name)
        if name in ("transform", "inverse_transform", "feature_names_in_"):
            return getattr(self._whole, name)
        if name in ("reconstruct", "reconstruction_error"):
            if not hasattr(self._whole, "inverse_transform"):
                raise AttributeError(name)
            return self._reconstruct if name == "reconstruct" else self._error
        if name in _OF_ROWS and hasattr(self._last, name):
            return self._of_rows(name)
        if name in _OF_LAST_STEP:
            return getattr(self._last, name)
        raise AttributeError(name)

    def _of_rows(self, name: str) -> Callable[..., Any]:
        def method(X: Any, **kwargs: Any) -> Any:
            rows = X if self._before is None else self._before.transform(X)
            return getattr(self._last, name)(rows, **kwargs)

        return method

    def _reconstruct(self, X: Any) -> np.ndarray:
        return flat(self._whole.inverse_transform(self._whole.transform(X)))

    def _error(self, X: Any, per_feature: bool = False) -> np.ndarray:
        errors = np.square(self._reconstruct(X) - flat(X))
        return errors if per_feature else errors.mean(axis=1)
