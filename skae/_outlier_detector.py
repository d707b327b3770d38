"""Outlier detector with a false alarm rate that is calibrated on held-out rows."""

import math
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy import linalg
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags, check_array, get_tags
from sklearn.utils.validation import check_is_fitted, validate_data

from skae import _checks as checks
from skae import _conformal as conformal
from skae._autoencoder import AutoencoderTransformer
from skae._base import BaseAutoencoder
from skae._doc_link import DocLinkMixin
from skae._frames import frame_type, frame_with_index
from skae._inputs import check_is_table, plain
from skae._near_names import NearNamesMixin
from skae._outlier_scores import MAX_BYTES, SCORES, max_rows
from skae._report import unchanged_on_error, warn
from skae._shapes import FlatRows, TableRows
from skae._sklearn_compat import (
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
    safe_indexing,
)
from skae._table_autoencoder import TableAutoencoder
from skae._tasks import CallbackSupportMixin, FitTasks
from skae._wrapped import (
    ends_in_autoencoder,
    fit_with_validation,
    hashes_of,
    seeded_clone,
    steps_of,
)
from skae.training import (
    MIN_VALIDATION_ROWS,
    CalibrationSplit,
    Table,
    distinct_at_random,
    hold_out_to_calibrate,
    is_large,
    n_rows_in,
    private_generator,
)

# False alarm rate of contamination="auto".
_ALPHA = 0.05
_MAX_CALIBRATION_ROWS = 10_000
# Share of the variance that PCA explains with the code size of the default autoencoder.
_VARIANCE = 0.7
_MAX_ROWS_FOR_SIZE = 1_000
# Lower bound of the mean error of a column, over that of all columns.
_LEAST_COLUMN = 1e-6


class AutoencoderOutlierDetector(
    DocLinkMixin, CallbackSupportMixin, NearNamesMixin, OutlierMixin, BaseEstimator
):
    """Detect outliers with an autoencoder, at a false alarm rate that you choose.

    An autoencoder is trained on a part of the rows, and the others are held out. A row
    is an outlier if it differs more from the training rows than most held-out rows. As
    nothing was learned from held-out rows, the share of normal new rows that are called
    outliers is the one that you set: 5 % by default. A threshold from the scores of
    training rows would raise more false alarms.

    Parameters
    ----------
    autoencoder : estimator or None, default=None
        Any autoencoder of skae, or a pipeline that ends in one, for instance of
        :class:`~sklearn.preprocessing.StandardScaler` and an autoencoder. It is cloned
        and fitted. If its `random_state` is None, it is set to a seed. To use a fitted
        one without a new fit, pass it inside a :class:`sklearn.frozen.FrozenEstimator`:
        the rows of `fit` then calibrate it, and must not be its training rows. None is
        an :class:`AutoencoderTransformer` with as many components as PCA needs for 70 %
        of the variance.

    outlier_score : {"neighbors", "error", "density"}, default="neighbors"
        Criterion for outliers:

        - "neighbors": a large distance to training rows, by codes and residuals. The
          detector stores training rows.
        - "error": a large reconstruction error.
        - "density": a low density of the code, or a large error. No rows are stored.

    n_neighbors : int, default=5
        For "neighbors": the distance is that to the `n_neighbors`-th nearest training
        row.

    contamination : "auto" or float, default="auto"
        Threshold of `predict`. With "auto", outliers are rows with a p-value of at most
        0.05, so 5 % of normal rows. A float between 0 and 0.5 is the share of outliers
        among the rows of `fit`.

    random_state : int, RandomState instance or None, default=None
        Determines the held-out rows, and the fit of the autoencoder if its
        `random_state` is None. None takes a new seed from the operating system.

    Attributes
    ----------
    autoencoder_ : estimator
        The fitted autoencoder.

    offset_ : float
        Threshold of the scores: `predict` is -1 for rows with a lower one. It is minus
        infinity if too few rows were held out for an alarm.

    calibration_scores_ : ndarray of shape (n_calibration,)
        Scores of the distinct held-out rows, in ascending order.

    calibration_weights_ : ndarray of shape (n_calibration,)
        Weights of these rows, with a mean of 1.

    n_features_in_ : int
        Number of columns of `X` in `fit`.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if all of them are strings.

    See Also
    --------
    sklearn.ensemble.IsolationForest : A detector that needs no scaling of columns.
    sklearn.neighbors.LocalOutlierFactor : Rows far from others, by their neighbours.
    skae.plotting.OutlierDisplay : Plots of scores, of p-values and of the columns that
        make a row an outlier.

    Notes
    -----
    A tenth of the distinct rows is held out, or 100 rows if that is more, but at most a
    quarter of them, and at most 10,000. Copies of a row, and rows of a group, are held
    out together. The held-out rows are also the validation rows of the autoencoder,
    unless it has ``validation_fraction=None``; this hardly changes their errors. Steps
    before the autoencoder are fitted to the training rows only.

    The p-value of a row is ``(1 + m) / (1 + n)``, where `m` of the `n` held-out rows
    have a score that is not higher [1]_. So no p-value is below ``1 / (1 + n)``, and a
    p-value of 0.05 needs 19 held-out rows. The rate holds on average over all fits, for
    new rows from the distribution of the rows of `fit`. Outliers among the rows of
    `fit` make p-values larger, so that there are fewer alarms. P-values of the rows of
    `fit` are not valid.

    "neighbors" is the distance to the `n_neighbors`-th nearest of at most 20,000
    training rows (and 128 MiB of them). Distances are between vectors of the codes,
    divided by their standard deviations, and the residuals, divided by their root mean
    square and the root of the number of columns. A training row is no neighbour of
    itself or of a copy. "density" is the logarithm of the density of the code in a
    Gaussian mixture, minus half the reconstruction error over its mean for each column.
    Missing values have no residuals. For a :class:`TableAutoencoder`, residuals are
    those of the matrix of its encoder, and the error is its loss in units of the
    columns.

    Row weights are used by the autoencoder and for the held-out rows; copies of a row
    are one neighbour. With metadata routing, steps before the autoencoder that request
    weights also get them.

    References
    ----------
    .. [1] S. Bates, E. Candès, L. Lei, Y. Romano and M. Sesia, "Testing for outliers
       with conformal p-values", Annals of Statistics 51 (2023), arXiv:2104.08279.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_breast_cancer
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skae import AutoencoderOutlierDetector, AutoencoderTransformer
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> benign, malignant = X[y == 1], X[y == 0]
    >>> autoencoder = make_pipeline(
    ...     StandardScaler(), AutoencoderTransformer(3, max_epochs=10)
    ... )
    >>> detector = AutoencoderOutlierDetector(autoencoder, random_state=0)
    >>> detector.fit(benign[:250]).predict(malignant[:5])
    array([-1, -1, -1, -1, -1])
    >>> print((detector.predict(benign[250:]) == -1).mean() < 0.2)
    True
    >>> detector.p_values(malignant[:2]).round(3)
    array([0.016, 0.016])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "autoencoder": [HasMethods(["fit", "transform"]), None],
        "outlier_score": [StrOptions(set(SCORES))],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "contamination": [
            StrOptions({"auto"}),
            Interval(Real, 0, 0.5, closed="right"),
        ],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        autoencoder: Any = None,
        *,
        outlier_score: str = "neighbors",
        n_neighbors: int = 5,
        contamination: float | str = "auto",
        random_state: Any = None,
    ) -> None:
        self.autoencoder = autoencoder
        self.outlier_score = outlier_score
        self.n_neighbors = n_neighbors
        self.contamination = contamination
        self.random_state = random_state

    # Fitting

    # The parameters of the autoencoder are nested, and must be checked, too.
    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Train the autoencoder, and calibrate the detector on held-out rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, in any form that the autoencoder accepts: tables, images, series, with
            missing values or without. All or most of them should be normal.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. Weight 0 leaves a row out.

        X_val : array-like of shape (n_val, n_features), default=None
            Rows to calibrate on, which are also the validation rows of the autoencoder.
            Training then uses all rows of `X`.

        groups : array-like of shape (n_samples,), default=None
            Group labels, such as patients. All rows of a group are held out, or none.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is invalid, or if all rows are the same. An estimator that
            was fitted before remains unchanged.

        Warns
        -----
        UserWarning
            If ``contamination="auto"`` and fewer than 19 rows were held out: then no
            row can have a p-value of 0.05, and `predict` never returns -1.
        """
        tasks = FitTasks(self, X, y, sample_weight)
        with unchanged_on_error(self):
            self._check_autoencoder()
            rng = private_generator(self.random_state)
            X = self._read(X, "X")
            X, weight, numbers = _with_weight(X, sample_weight, groups)
            if X_val is not None:
                X_val = self._read(X_val, "X_val")
            split = self._split(X, weight, numbers, X_val, rng.randint(2**31 - 1))
            held_out = X if X_val is None else X_val
            held_out = safe_indexing(held_out, split.held_out.rows)
            n_rows = max_rows(math.prod(_shape(X)[1:]))
            learned, of_learned = (each[:n_rows] for each in split.learned)
            learned = safe_indexing(X, learned)
            autoencoder = self._made_autoencoder(learned, of_learned, rng)
            tasks.begin(1)
            self.autoencoder_ = self._fit_autoencoder(
                autoencoder, X, weight, split.train, held_out, tasks
            )
            self._score = self.outlier_score
            self._state = SCORES[self._score].learn(
                self._model,
                self._prepared(learned),
                of_learned,
                n_neighbors=self.n_neighbors,
                rng=rng,
            )
            self._calibrate(held_out, split.held_out.weight)
            self.offset_ = self._offset(X, weight)
            tasks.end()
        return self

    def _check_autoencoder(self) -> None:
        autoencoder = self.autoencoder
        if autoencoder is None:
            return
        if not ends_in_autoencoder(autoencoder):
            raise ValueError(
                "autoencoder must be an autoencoder of skae, a pipeline that ends in "
                "one, a fitted one inside sklearn.frozen.FrozenEstimator, or None. Got "
                f"{autoencoder!r}."
            )
        if self._is_frozen:
            check_is_fitted(steps_of(autoencoder)[-1])

    @property
    def _is_frozen(self) -> bool:
        """Whether the whole autoencoder is already fitted."""
        return isinstance(self.autoencoder, FrozenEstimator)

    def _read(self, X: Any, name: str) -> Any:
        """Return rows of `fit` in a form that can be indexed by rows."""
        check_is_table(X, name)
        autoencoder = self.autoencoder
        steps = [None] if autoencoder is None else steps_of(autoencoder)
        model = steps[-1] or AutoencoderTransformer()
        if len(steps) == 1:
            form = model._form if self._is_frozen else clone(model)._begin_fit(X)
            is_flat = isinstance(form, TableRows) or type(form) is FlatRows
            X = form.to_table(X, name)
            # Pad series together, as held-out ones may be the longest.
            if isinstance(X, np.ndarray) and not is_flat:
                X = form.restore(X)
        X = plain(X, name, fill_masked=True)
        if issparse(X):
            X = X.tocsr()  # some sparse formats cannot be indexed
        if not isinstance(model, TableAutoencoder):
            checked = check_array(
                X,
                accept_sparse=True,
                dtype=None,
                ensure_all_finite=False,
                allow_nd=True,
                ensure_min_samples=2,
                estimator=self,
                input_name=name,
            )
            X = X if hasattr(X, "shape") else checked
        elif _shape(X)[0] < 2:
            raise ValueError(
                f"Found {name} with {_shape(X)[0]} sample(s), and "
                "AutoencoderOutlierDetector needs at least 2."
            )
        reset = name == "X"
        flat = len(_shape(X)) == 2
        validate_data(self, X, skip_check_array=True, ensure_2d=flat, reset=reset)
        if reset:
            self.n_features_in_ = math.prod(_shape(X)[1:])  # pixels of an image
        return X

    def _split(
        self, X: Any, weight: Any, groups: Any, X_val: Any, seed: int
    ) -> CalibrationSplit:
        hashes = hashes_of(X, self.autoencoder)
        everything = np.arange(len(hashes))
        if X_val is not None:
            held_out = distinct_at_random(
                hashes_of(X_val, self.autoencoder), None, seed
            )
            learned = distinct_at_random(hashes, weight, seed)
            return CalibrationSplit(everything, learned, held_out)
        if self._is_frozen and self.outlier_score == "error":
            rows = distinct_at_random(hashes, weight, seed)  # nothing is learned
            return CalibrationSplit(everything, rows, rows)
        n_values = max(1, math.prod(_shape(X)[1:]))
        most = min(_MAX_CALIBRATION_ROWS, n_rows_in(MAX_BYTES, n_values))
        return hold_out_to_calibrate(hashes, weight, groups, most=most, seed=seed)

    def _made_autoencoder(
        self, X: Any, weight: np.ndarray, rng: np.random.RandomState
    ) -> Any:
        if self.autoencoder is not None:
            return seeded_clone(self.autoencoder, rng)
        X = safe_indexing(X, np.arange(min(len(weight), _MAX_ROWS_FOR_SIZE)))
        rows = AutoencoderTransformer()._check_X(X, reset=True)
        n_components = _pca_size(np.asarray(rows[:]), weight[: len(rows)])
        return AutoencoderTransformer(n_components, random_state=rng.randint(2**31 - 1))

    def _fit_autoencoder(
        self,
        autoencoder: Any,
        X: Any,
        weight: np.ndarray | None,
        train: np.ndarray,
        held_out: Any,
        tasks: FitTasks,
    ) -> Any:
        n_rows = _shape(X)[0]
        if isinstance(autoencoder, BaseAutoencoder) and is_large(X):
            # Rows of weight zero are left out without a copy of the others.
            trains = np.zeros(n_rows)
            trains[train] = 1.0 if weight is None else weight[train]
            weight = trains
        elif len(train) < n_rows:
            X = safe_indexing(X, train)
            weight = None if weight is None else weight[train]
        # With fewer rows, the autoencoder holds out rows itself, or none.
        X_val = held_out if _shape(held_out)[0] >= MIN_VALIDATION_ROWS else None
        return fit_with_validation(autoencoder, X, weight, X_val, tasks)

    def _calibrate(self, held_out: Any, weight: np.ndarray) -> None:
        rows = self._prepared(held_out)
        scores = SCORES[self._score].score(self._model, rows, self._state)
        order = np.argsort(scores, kind="stable")
        self.calibration_scores_ = scores[order]
        self.calibration_weights_ = weight[order]
        errors = np.asarray(self._model.reconstruction_error(rows, per_feature=True))
        there = ~np.isnan(errors)
        total = np.where(there, weight[:, None], 0).sum(axis=0)
        sums = (np.where(there, errors, 0) * weight[:, None]).sum(axis=0)
        mean = sums / np.where(total > 0, total, 1)
        least = _LEAST_COLUMN * mean.mean() or 1.0
        self._column_errors = np.maximum(mean, least).astype(float)

    def _offset(self, X: Any, weight: np.ndarray | None) -> float:
        if self.contamination != "auto":
            scores = self._scores(X)
            return conformal.quantile(scores, weight, float(self.contamination))
        self._warn_if_silent(_ALPHA, "contamination='auto'")
        return conformal.threshold(
            self.calibration_scores_, self.calibration_weights_, _ALPHA
        )

    def _warn_if_silent(self, alpha: float, asked_by: str) -> None:
        """Warn if no p-value can be `alpha`."""
        n_rows = len(self.calibration_scores_)
        if not conformal.reaches(n_rows, alpha):
            warn(
                f"With {n_rows} rows held out, no p-value is below 1/{n_rows + 1}, and "
                f"{asked_by} finds no outlier. That needs {math.ceil(1 / alpha) - 1} "
                "rows or more held out: fit more rows, pass X_val, or set "
                "contamination to the share of outliers."
            )

    # New rows

    @property
    def _model(self) -> BaseAutoencoder:
        """The autoencoder at the end of a pipeline."""
        return steps_of(self.autoencoder_)[-1]

    def _prepared(self, X: Any) -> Any:
        """Return rows after the steps before the autoencoder."""
        for step in steps_of(self.autoencoder_)[:-1]:
            X = step.transform(X)
        return X

    def _check_new(self, X: Any) -> Any:
        check_is_fitted(self)
        check_is_table(X, "X")
        X = plain(X, fill_masked=True)
        # The autoencoder checks the number of columns.
        validate_data(self, X, skip_check_array=True, ensure_2d=False, reset=False)
        return X

    def _scores(self, X: Any) -> np.ndarray:
        rows = self._prepared(X)
        return SCORES[self._score].score(self._model, rows, self._state)

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Return a score of each row; low scores indicate outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Negative distance to a training row, negative error, or logarithm of a
            density, according to `outlier_score`. The score of a row does not depend on
            the others.
        """
        return self._scores(self._check_new(X))

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Return the distances of scores from the threshold, negative for outliers.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        decision : ndarray of shape (n_samples,)
            ``score_samples(X) - offset_``. If `offset_` is minus infinity, positive
            numbers in the order of the scores.
        """
        return conformal.margins(self.score_samples(X), self.offset_)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return -1 for outliers and 1 for other rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        is_inlier : ndarray of int of shape (n_samples,)
            -1 if the score is below `offset_`. With ``contamination="auto"``, these are
            the rows that ``reject(X, alpha=0.05)`` rejects.
        """
        return np.where(self.decision_function(X) < 0, -1, 1)

    def p_values(self, X: ArrayLike) -> np.ndarray:
        """Return conformal p-values: small for outliers, uniform for normal rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            New rows, which `fit` has not seen.

        Returns
        -------
        p : ndarray of shape (n_samples,)
            Share of normal rows that are at least as unusual, between ``1 / (1 + n)``
            and 1 for `n` held-out rows. It does not depend on `contamination`.
        """
        return conformal.p_values(
            self.score_samples(X), self.calibration_scores_, self.calibration_weights_
        )

    def reject(
        self, X: ArrayLike, alpha: float = 0.05, method: str | None = None
    ) -> np.ndarray:
        """Return which rows are outliers, at a chosen error rate.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            New rows, which `fit` has not seen.

        alpha : float, default=0.05
            Error rate, between 0 and 1.

        method : {"bh"} or None, default=None
            Meaning of `alpha`. None: the share of normal rows that are rejected, by
            p-values of at most `alpha`. "bh": the share of normal rows among the
            rejected rows, the false discovery rate, by the procedure of Benjamini and
            Hochberg. The result of a row then depends on the others.

        Returns
        -------
        rejected : ndarray of bool of shape (n_samples,)
            True for outliers.

        Warns
        -----
        UserWarning
            If too few rows were held out for a p-value of `alpha`.
        """
        is_number = isinstance(alpha, Real) and not isinstance(alpha, bool)
        if not (is_number and 0 < alpha < 1):
            raise ValueError(
                f"alpha must be a float in the range (0, 1). Got {alpha!r}."
            )
        if method not in (None, "bh"):
            raise ValueError(f"method must be None or 'bh'. Got {method!r}.")
        p = self.p_values(X)
        self._warn_if_silent(float(alpha), f"alpha={alpha:g}")
        if method == "bh":
            return conformal.benjamini_hochberg(p, float(alpha))
        return conformal.rejected(p, float(alpha))

    def explain(self, X: ArrayLike) -> Any:
        """Return how unusual the error of each column is.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        contributions : ndarray or DataFrame of shape (n_samples, n_features)
            Squared errors of the columns over their means on held-out rows: about 1 for
            normal rows. NaN if a value is missing. It is a DataFrame if `X` is one, and
            has the shape of `X` for images and series. Columns are those of the input
            of the autoencoder, which steps before it may have changed.
        """
        X = self._check_new(X)
        rows = self._prepared(X)
        model = self._model
        errors = np.asarray(model.reconstruction_error(rows, per_feature=True))
        contributions = errors / self._column_errors
        if frame_type(X) is not None:
            return frame_with_index(contributions, self._column_names(), X)
        if isinstance(model, TableAutoencoder):
            return contributions
        return model._form.restore(contributions)

    def _column_names(self) -> list[Any]:
        """Return the names of the columns of the input of the autoencoder."""
        model = self._model
        if hasattr(model, "feature_names_in_"):
            return list(model.feature_names_in_)
        names = getattr(self, "feature_names_in_", None)
        for step in steps_of(self.autoencoder_)[:-1]:
            if not hasattr(step, "get_feature_names_out"):
                names = None
                break
            names = step.get_feature_names_out(names)
        if names is None or len(names) != model.n_features_in_:
            return [str(i) for i in range(model.n_features_in_)]
        return list(names)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "offset_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        autoencoder = self.autoencoder
        if autoencoder is None:
            autoencoder = AutoencoderTransformer()
        tags.input_tags = get_tags(autoencoder).input_tags
        return tags


def _shape(X: Any) -> tuple[int, ...]:
    """Return the shape of an array, a frame or a list of rows."""
    return tuple(X.shape) if hasattr(X, "shape") else (len(X), len(X[0]))


def _with_weight(
    X: Any, sample_weight: Any, groups: Any
) -> tuple[Any, np.ndarray | None, np.ndarray | None]:
    """Check weights and groups, and leave out rows of weight zero."""
    weight = numbers = None
    if sample_weight is not None:
        weight = checks.check_weights(sample_weight, X)
    if groups is not None:
        labels = plain(groups, "groups")
        numbers = checks.check_groups(labels, np.empty((_shape(X)[0], 0)))
    if weight is not None and not weight.all():
        counts = np.flatnonzero(weight)
        X, weight = safe_indexing(X, counts), weight[counts]
        if numbers is not None:
            _, numbers = np.unique(numbers[counts], return_inverse=True)
    return X, weight, numbers


def _pca_size(rows: np.ndarray, weight: np.ndarray) -> int:
    """Return the number of components of PCA for a share of the variance of rows."""
    table = Table(rows, weight=weight, missing=True).filled()
    columns = table.columns
    centred = (table.inputs[:] - columns.mean) * np.sqrt(weight)[:, None]
    variance = np.square(linalg.svdvals(centred))
    share = np.cumsum(variance) / (variance.sum() or 1.0)
    return 1 + int(np.argmax(share >= _VARIANCE))
