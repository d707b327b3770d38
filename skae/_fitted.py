"""Methods of a fitted autoencoder: codes, reconstructions and scores of rows."""

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import TransformerMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skae import _checks as checks
from skae import _pairs as pairs
from skae._inference import apply_in_batches, in_evaluation
from skae._report import warn
from skae._sklearn_compat import check_feature_names_in, get_output_config
from skae.training import Columns, Matrix, Table, column_statistics, own_modes


class FittedAutoencoderMixin(TransformerMixin):
    """Mixin with the methods of a fitted autoencoder."""

    net_: Any
    loss: Any
    output: str
    n_components_: int
    n_features_in_: int

    # Whether the input of the module is the input of the estimator, and not an encoding
    # of it.
    _module_takes_rows: ClassVar[bool] = True

    def _apply(
        self,
        function: Callable[[Any, Tensor], Tensor],
        X: Matrix,
        then: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
        *,
        targets: Matrix | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        return apply_in_batches(
            self.net_.plain_module_,
            function,
            X,
            self.net_.device,
            copy_rows=self._has_user_module,
            then=then,
            targets=targets,
            out=out,
        )

    def _check_new_rows(self, X: Any, *, is_target: bool = False) -> Matrix:
        """Check rows for the fitted estimator."""
        check_is_fitted(self)
        return self._check_X(
            X, reset=False, is_target=is_target, allow_nan=self._takes_new_gaps
        )

    @property
    def _takes_new_gaps(self) -> bool:
        """Whether rows for the fitted estimator may have missing values."""
        if self._has_user_module:
            return self._takes_gaps
        return self._takes_gaps and self.net_.plain_module_.fill.is_set

    def _may_miss(self, X: Matrix) -> bool:
        """Return whether checked rows may have missing values."""
        if self._takes_gaps:
            return checks.has_gaps(X)
        return self._form.n_channels is not None

    # scikit-learn does not route `out` as metadata.
    __metadata_request__transform: ClassVar = {"out": UNUSED}

    def transform(self, X: ArrayLike, *, out: np.ndarray | None = None) -> np.ndarray:
        """Encode rows; `output` can select reconstructions or activations instead.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows. Missing values are NaN. They are accepted if `fit` accepts them. If no
            value was missing in `fit`, they are accepted up to 1,000 columns. A row
            without any value counts as the mean row.

        out : ndarray of shape (n_samples, n_features_out), default=None
            Array to write the result to, such as a :class:`numpy.memmap` for results
            larger than memory. It may be `X` itself, but may not overlap it otherwise.
            Reconstructions of images or series may have their shape. None makes a new
            array.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), (n_samples, n_features) or \
                (n_samples, n_hidden)
            Codes, reconstructions or hidden activations; `out` if it is given.
        """
        rows = self._check_new_rows(X)
        if self.output not in ("code", "reconstruction"):
            self._validate_params()  # it may have been changed to something unknown
            self._hidden_sizes()
        if out is not None:
            self._check_out(out, rows)
        result = self._apply(OUTPUTS[self.output], rows, out=out)
        return (
            self._form.restore(result) if out is None and self._gives_rows() else result
        )

    def _gives_rows(self) -> bool:
        """Return whether `transform` returns rows in the shape of those of `fit`."""
        frames = get_output_config("transform", self)["dense"] != "default"
        return self.output == "reconstruction" and not frames  # frames are tables

    def _check_out(self, out: Any, rows: Matrix) -> None:
        shapes: list[tuple[int, ...]] = [(len(rows), self._n_features_out)]
        if self._gives_rows():
            shapes.insert(0, (len(rows), *self._form.shape(self.n_features_in_)))
        checks.check_out(out, rows, *shapes)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Decode codes to rows.

        With ``output="reconstruction"``, `X` already holds reconstructions, which are
        returned unchanged.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        X_original : ndarray of shape (n_samples, n_features)
            Rows, in the units of the training rows.
        """
        check_is_fitted(self)
        if self.output == "hidden":
            raise ValueError(
                "inverse_transform needs codes, and with output='hidden' transform "
                "returns hidden activations, which cannot be decoded. Set "
                "output='code'."
            )
        may_end = False
        if self.output == "reconstruction":
            X = self._form.to_table(X)
            may_end = self._form.n_channels is not None
        name = "codes" if self.output == "code" else "X"
        Z = checks.check_codes(X, name, may_end=may_end)
        if Z.shape[1] != self._n_features_out:
            what = "codes" if self.output == "code" else "rows"
            raise ValueError(
                f"inverse_transform needs {what} with {self._n_features_out} columns, "
                f"like those of transform. Got an array with {Z.shape[1]} columns."
            )
        if self.output == "reconstruction":
            return self._form.restore(Z)
        checks.check_magnitude(Z)
        return self._form.restore(self._decode(Z))

    def _decode(self, Z: np.ndarray) -> np.ndarray:
        """Decode checked codes to rows of the module."""
        return self._apply(lambda module, z: module.decode(z), Z)

    def reconstruct(self, X: ArrayLike) -> np.ndarray:
        """Encode rows and decode their codes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features)
            Reconstructions, ``inverse_transform(transform(X))``. They have no missing
            values, even if `X` has some, except after the end of a series.
        """
        X_hat = self._apply(reconstruct_rows, self._check_new_rows(X))
        return self._form.restore(X_hat)

    def reconstruction_error(
        self, X: ArrayLike, per_feature: bool = False
    ) -> np.ndarray:
        """Return the squared error of the reconstructions, whatever the loss.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        per_feature : bool, default=False
            Whether to return the squared error of each entry, not the mean of each row.

        Returns
        -------
        error : ndarray of shape (n_samples,) or (n_samples, n_features)
            Squared errors, in the squared units of `X`. The error of a missing value is
            NaN, and the mean of a row is over the other values.
        """
        rows = self._check_new_rows(X)
        if per_feature:
            return self._apply(reconstruct_rows, rows, _squared_error)
        return self._row_errors(rows)

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return the negative loss of each row; low scores indicate outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Negative loss, averaged over the columns with a value in the row. NaN for a
            row without any value.
        """
        rows = self._check_new_rows(X, is_target=True)
        losses = partial(self.net_.row_losses_with, missing=self._may_miss(rows))
        return -self._apply(losses, rows)

    def score(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the R² of the reconstruction, weighted by the variance of the columns.

        It is one minus the squared error over the total variance of `X`, and comparable
        with ``PCA(...).explained_variance_ratio_.sum()``.
        :class:`~sklearn.model_selection.GridSearchCV` maximises it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            At most 1; 0 for the reconstruction of every row by the mean row. NaN for
            fewer than two rows, with a warning. If all rows are the same, 1 if they are
            reconstructed exactly, else 0. Missing values are left out.
        """
        pairs.warn_of_targets(self, X, y)
        return self._r2(self._check_new_rows(X), sample_weight)

    def _r2(
        self, rows: Matrix, sample_weight: Any, targets: Matrix | None = None
    ) -> float:
        """Return the R² of reconstructions, against targets or the rows themselves."""
        weight = None
        if sample_weight is not None:
            weight = checks.check_weights(sample_weight, rows)
        if (len(rows) if weight is None else np.count_nonzero(weight)) < 2:
            warn(
                "R² is not defined for fewer than two rows, and is NaN. In "
                "cross-validation, leave out more rows at a time than LeaveOneOut "
                "does.",
                UndefinedMetricWarning,
            )
            return math.nan
        missing = targets is None and self._may_miss(rows)
        error, columns = self._error_and_statistics(
            Table(rows, targets, weight, missing=missing)
        )
        # Means are rounded, so constant columns may seem to vary.
        rounding = np.finfo(rows.dtype).eps * columns.mean
        if not (columns.variance > np.square(rounding)).any():
            # As r2_score does for constant targets; the net computes in float32.
            single = np.finfo(np.float32)
            exact = np.square(single.eps * np.abs(columns.mean) + single.tiny).mean()
            return float(error <= exact)
        return 1 - float(error / columns.variance.mean())

    def _error_and_statistics(self, table: Table) -> tuple[float, Columns]:
        """Return the mean squared error, and statistics of the target columns."""
        if not table.has_missing():
            error = np.average(
                self._row_errors(table.inputs, table.targets), weights=table.weight
            )
            return float(error), column_statistics(table.reconstructed, table.weight)
        table = table.sample()
        share = (~np.isnan(table.inputs)).mean(axis=1)  # type: ignore[arg-type]
        errors = np.where(share > 0, self._row_errors(table.inputs) * share, 0)
        # Filled values do not vary.
        return float(np.average(errors, weights=table.weight)), table.columns

    def _row_errors(self, X: Matrix, targets: Matrix | None = None) -> np.ndarray:
        return self._apply(reconstruct_rows, X, _row_error, targets=targets)

    # Interface of scikit-learn

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of `X`; those seen in `fit` by default. They are only
            used for reconstructions.

        Returns
        -------
        names : ndarray of str
            ``denoisingautoencoder0`` and so on for codes, the names of the columns for
            reconstructions, ``denoisingautoencoder_layer1_unit0`` for activations.
        """
        check_is_fitted(self)
        names = super().get_feature_names_out(input_features)
        if self.output == "reconstruction":
            return check_feature_names_in(self, input_features)
        if self.output == "hidden":
            prefix = type(self).__name__.lower()
            names = [
                f"{prefix}_layer{layer}_unit{unit}"
                for layer, size in enumerate(self._hidden_sizes(), start=1)
                for unit in range(size)
            ]
        return np.asarray(names, dtype=object)

    def _hidden_sizes(self) -> list[int]:
        """Return the widths of the hidden layers of the module."""
        with own_modes(gradients=False):
            n_inputs = self._n_inputs
            x = torch.zeros(2, n_inputs, device=self.net_.device)
            return checks.check_hidden(in_evaluation(self.net_.plain_module_), x)

    @property
    def _n_features_out(self) -> int:
        if self.output == "reconstruction":
            return self.n_features_in_
        if self.output == "hidden":
            return sum(self._hidden_sizes())
        return self.n_components_


def with_output(estimator: Any, output: str) -> Any:
    """Copy a fitted estimator and set its parameter `output`.

    Other transformers have no such parameter and return codes only. They are returned
    unchanged.
    """
    if not hasattr(estimator, "output"):
        return estimator
    return copy.copy(estimator).set_params(output=output)


def dense_rows(estimator: Any, X: Any) -> np.ndarray:
    """Convert rows, in any form that an estimator accepts, to a dense table of floats.

    Series of unequal length end in NaN. Transformers that are no autoencoders accept
    only tables and flattened images.
    """
    if isinstance(estimator, FittedAutoencoderMixin):
        return np.asarray(estimator._check_new_rows(X)[:])
    return flat(X)


def flat(X: Any) -> np.ndarray:
    """Convert a table or images to a dense table of floats."""
    X = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=float)
    return X.reshape(len(X), -1)


def _encode(module: Any, x: Tensor) -> Tensor:
    return module.encode(x)


def reconstruct_rows(module: Any, x: Tensor) -> Tensor:
    x_hat = module.decode(module.encode(x))
    # There is nothing to reconstruct after the end of a series.
    return module.end_as(x, x_hat) if hasattr(module, "end_as") else x_hat


def _hidden(module: Any, x: Tensor) -> Tensor:
    return torch.cat(module.hidden(x), dim=1)


# Result of `transform`, by the parameter `output`.
OUTPUTS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "code": _encode,
    "hidden": _hidden,
    "reconstruction": reconstruct_rows,
}


def _squared_error(X: np.ndarray, X_hat: np.ndarray) -> np.ndarray:
    return np.square(X - X_hat)


def _row_error(X: np.ndarray, X_hat: np.ndarray) -> np.ndarray:
    error = _squared_error(X, X_hat)
    mean = error.mean(axis=1)
    gaps = np.isnan(mean)
    if gaps.any():  # average over the values that are not missing
        there = ~np.isnan(error[gaps])
        counts = there.sum(axis=1)
        total = error[gaps].sum(axis=1, where=there)
        mean[gaps] = np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
    return mean
