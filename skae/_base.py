"""What all estimators share: the whole contract with scikit-learn."""

import math
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.utils import Tags, check_array
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from skae import _checks as checks
from skae._fitting import FittedByTraining
from skae._halves import HalvesMixin
from skae._inference import apply_in_batches, in_evaluation
from skae._report import warn
from skae._sklearn_compat import check_feature_names_in, get_output_config
from skae._summary import SummaryMixin
from skae.training import Columns, Table, column_statistics, own_modes


class BaseAutoencoder(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    HalvesMixin,
    SummaryMixin,
    FittedByTraining,
):
    """Base of the autoencoders.

    A subclass has a constructor with the parameters, and overrides `_module_factory`;
    also `_start` and `_start_is_floor` if its module starts anywhere else than
    at random.
    """

    def _apply(
        self,
        function: Callable[[Any, Tensor], Tensor],
        X: Table,
        then: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
        *,
        targets: Table | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        return apply_in_batches(
            self.net_.plain_module_,
            function,
            X,
            self.net_.device,
            copy_rows=self._own_module(),
            then=then,
            targets=targets,
            out=out,
        )

    def _check_new_rows(self, X: Any, unit_interval: bool = False) -> Table:
        """Check rows that the fitted estimator is given."""
        check_is_fitted(self)
        X = self._as_table(self._plain(X), reset=False)
        return checks.check_table(
            self,
            X,
            reset=False,
            unit_interval=unit_interval,
            n_channels=self._n_channels(),
        )

    # Using what was fitted

    # To scikit-learn's metadata routing, `out` is none.
    __metadata_request__transform: ClassVar = {"out": UNUSED}

    def transform(self, X: ArrayLike, *, out: np.ndarray | None = None) -> np.ndarray:
        """Give the codes of rows, or what `output` asks for.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        out : ndarray of shape (n_samples, n_features_out), default=None
            Where to write the result, for instance a :class:`numpy.memmap` for more
            rows than memory holds. It may be `X` itself, but not overlap it otherwise.
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
        return self._as_given(result) if out is None and self._gives_rows() else result

    def _gives_rows(self) -> bool:
        """Whether `transform` gives rows in the shape of those of `fit`."""
        frames = get_output_config("transform", self)["dense"] != "default"
        return self.output == "reconstruction" and not frames  # frames are tables

    def _check_out(self, out: Any, rows: Table) -> None:
        shapes: list[tuple[int, ...]] = [(len(rows), self._n_features_out)]
        if self._gives_rows():
            shapes.insert(0, (len(rows), *self._shape_of_row()))
        checks.check_out(out, rows, *shapes)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Give the rows that codes stand for.

        With ``output="reconstruction"``, the rows given are such rows already, and are
        given back.

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
                "gives hidden activations, which cannot be decoded. Set output='code'."
            )
        X = self._plain(X)
        if self.output == "reconstruction":
            X = self._as_table(X, reset=False)
        may_end = self.output == "reconstruction" and self._n_channels() is not None
        Z = check_array(
            X,
            dtype=[np.float64, np.float32],
            order="C",
            ensure_all_finite="allow-nan" if may_end else True,
            input_name="codes" if self.output == "code" else "X",
        )
        if Z.shape[1] != self._n_features_out:
            what = "codes" if self.output == "code" else "rows"
            raise ValueError(
                f"inverse_transform needs {what} with {self._n_features_out} columns, "
                f"as transform gives them. Got an array with {Z.shape[1]} columns."
            )
        if self.output == "reconstruction":
            return self._as_given(Z)
        checks.check_codes(Z)
        return self._as_given(self._apply(lambda module, z: module.decode(z), Z))

    def reconstruct(self, X: ArrayLike) -> np.ndarray:
        """Encode rows and decode them again.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features)
            Reconstructions, ``inverse_transform(transform(X))``.
        """
        return self._as_given(self._apply(_reconstruct, self._check_new_rows(X)))

    def reconstruction_error(
        self, X: ArrayLike, per_feature: bool = False
    ) -> np.ndarray:
        """Give the squared error of the reconstructions, whatever the loss.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        per_feature : bool, default=False
            Whether to give the squared error of each entry, not the mean of each row.

        Returns
        -------
        error : ndarray of shape (n_samples,) or (n_samples, n_features)
            Squared errors, in the squared units of `X`.
        """
        rows = self._check_new_rows(X)
        if per_feature:
            return self._apply(_reconstruct, rows, _squared_error)
        return self._row_errors(rows)

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Give minus the loss of each row: the higher, the more normal a row is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Minus the loss, averaged over the columns.
        """
        rows = self._check_new_rows(X, self.loss == "binary_cross_entropy")
        return -self._apply(self.net_.row_losses_with, rows)

    def score(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Give the R² of the reconstruction, weighted by the variance of the columns.

        One minus the squared error over the total variance of `X`: comparable with
        ``PCA(...).explained_variance_ratio_.sum()``, and what
        :class:`~sklearn.model_selection.GridSearchCV` maximises.

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
            At most 1; 0 for the reconstruction of every row by the mean row. NaN of
            fewer than two rows, with a warning. Of rows that are all the same, 1 if
            they are reconstructed exactly, else 0.
        """
        self._warn_of_targets(X, y)
        return self._r2(self._check_new_rows(X), sample_weight)

    def _r2(
        self, rows: Table, sample_weight: Any, targets: Table | None = None
    ) -> float:
        """R² of the reconstructions, against targets or the rows themselves."""
        weight = None
        if sample_weight is not None:
            weight = checks.check_weights(sample_weight, rows)
        if (len(rows) if weight is None else np.count_nonzero(weight)) < 2:
            warn(
                "R² is not defined for fewer than two rows, and is NaN. To "
                "cross-validate, leave out more rows at a time than LeaveOneOut does.",
                UndefinedMetricWarning,
            )
            return math.nan
        error, columns = self._error_and_statistics(rows, weight, targets)
        # Means are rounded, so that columns that do not vary seem to.
        rounding = np.finfo(rows.dtype).eps * columns.mean
        if not (columns.variance > np.square(rounding)).any():
            # As r2_score has it for constant targets; the net computes in float32.
            single = np.finfo(np.float32)
            exact = np.square(single.eps * np.abs(columns.mean) + single.tiny).mean()
            return float(error <= exact)
        return 1 - float(error / columns.variance.mean())

    def _error_and_statistics(
        self,
        X: Table,
        sample_weight: np.ndarray | None,
        targets: Table | None = None,
    ) -> tuple[float, Columns]:
        """Mean squared error of rows, and mean and variance of the target columns."""
        error = np.average(self._row_errors(X, targets), weights=sample_weight)
        target = X if targets is None else targets
        return float(error), column_statistics(target, sample_weight)

    def _row_errors(self, X: Table, targets: Table | None = None) -> np.ndarray:
        return self._apply(_reconstruct, X, _row_error, targets=targets)

    # What scikit-learn asks of an estimator

    @property
    def module_(self) -> nn.Module:
        """The trained torch module."""
        return self.net_.plain_module_

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Give the names of the columns that `transform` gives.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of `X`; those seen in `fit` by default. They matter
            for reconstructions only.

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
        """Widths of the hidden layers whose activations the module gives."""
        with own_modes(gradients=False):
            x = torch.zeros(2, self.n_features_in_, device=self.net_.device)
            return checks.check_hidden(in_evaluation(self.net_.plain_module_), x)

    @property
    def _n_features_out(self) -> int:
        if self.output == "reconstruction":
            return self.n_features_in_
        if self.output == "hidden":
            return sum(self._hidden_sizes())
        return self.n_components_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = True
        return tags


def _encode(module: Any, x: Tensor) -> Tensor:
    return module.encode(x)


def _reconstruct(module: Any, x: Tensor) -> Tensor:
    x_hat = module.decode(module.encode(x))
    # Where a series has ended, there is nothing to reconstruct.
    return module.end_as(x, x_hat) if hasattr(module, "end_as") else x_hat


def _hidden(module: Any, x: Tensor) -> Tensor:
    return torch.cat(module.hidden(x), dim=1)


# What `transform` gives of rows, by the parameter `output`.
OUTPUTS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "code": _encode,
    "hidden": _hidden,
    "reconstruction": _reconstruct,
}


def _squared_error(X: np.ndarray, X_hat: np.ndarray) -> np.ndarray:
    return np.square(X - X_hat)


def _row_error(X: np.ndarray, X_hat: np.ndarray) -> np.ndarray:
    error = _squared_error(X, X_hat)
    mean = error.mean(axis=1)
    if np.isnan(mean).any():  # of series, over the steps that there are
        mean = error.mean(axis=1, where=~np.isnan(X))
    return mean
