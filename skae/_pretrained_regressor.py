"""The regressor whose network begins with a trained encoder."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils import Tags, check_array
from torch import nn

from skae._inputs import plain, targets
from skae._pretrained import BasePretrained
from skae._pretrained_docs import pretrained_docs
from skae._teachers import Lesson, NumberLesson
from skae.training import standardization

# Larger numbers overflow float32.
_MAX_TARGET = 1e37


@pretrained_docs(
    loss=" (squared error of the standardised target)",
    stratified="",
    svm="SVR",
    spreading="",
    unlabelled_score="`score` raises an error for a row without a target.",
)
class PretrainedRegressor(RegressorMixin, BasePretrained):
    """Regressor that learns from rows without a target, too.

    An autoencoder is trained on all rows. Its encoder then becomes the first layers of
    a regressor, which is trained on the rows with a target [1]_, [3]_. If there are
    rows without a target, teachers predict it first: the network itself and regressors
    of scikit-learn. The network then learns from all rows.

    Rows without a target have NaN in `y`, or another missing value: None, `pandas.NA`
    or a masked value. If `y` has several columns, one missing value in a row is enough.

    Parameters
    ----------
    {parameters}

    teachers : "auto", list of regressors or None, default="auto"
        Regressors that predict the target of rows without one, beside the network
        itself. "auto" is :class:`~sklearn.linear_model.RidgeCV`,
        :class:`~sklearn.neighbors.KNeighborsRegressor`,
        :class:`~sklearn.ensemble.ExtraTreesRegressor` and :class:`~sklearn.svm.SVR`. A
        list holds regressors. Clones of them are fitted to the rows with a target,
        centred and scaled, with `sample_weight` if they take it. Regressors of a single
        target are fitted to each column of `y`. None trains the network only on the
        rows with a target. So does any other value if all rows have a target, or if
        fewer than ten distinct rows do.

    Attributes
    ----------
    {attributes}

    teacher_losses_ : dict of str to float
        Mean squared error of each teacher on rows with a target that were held out from
        it, in units of the variance of the target. Empty without a vote.

    pseudo_labels_ : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Predicted target of each row without a target that teachers voted on. Other rows
        have NaN.

    See Also
    --------
    PretrainedClassifier : The same for classes.
    DenoisingAutoencoder : The default `pretrainer`.

    Notes
    -----
    {notes}

    The weight of a teacher is the inverse square of its loss on three folds of the rows
    with a target. The network learns the weighted mean of the predictions. Teachers
    other than the network are fitted to at most 2,500 rows, drawn at random. All
    teachers vote on at most 20,000 rows without a target, drawn at random. They see
    missing values as the autoencoder fills them, and images and series as rows.

    :class:`~sklearn.compose.TransformedTargetRegressor` refuses NaN. Transform the
    target yourself, for instance by ``numpy.log1p(y)``, which keeps NaN, and transform
    the predictions back.

    References
    ----------
    {references}

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_diabetes
    >>> from skae import AutoencoderTransformer, PretrainedRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> y_train = np.where(np.arange(len(y)) < 150, y, np.nan)
    >>> pretrainer = AutoencoderTransformer(4, max_epochs=20)
    >>> model = PretrainedRegressor(
    ...     pretrainer, max_epochs=30, random_state=0
    ... ).fit(X, y_train)
    >>> print(model.n_labelled_, model.score(X[150:], y[150:]) > 0.3)
    150 True
    """

    _mark = "NaN"
    _criterion = nn.MSELoss

    def _check_y(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        y, missing = targets(y)
        if missing.any():
            y = y.astype(y.dtype if y.dtype.kind == "f" else object)
            y[missing] = np.nan
        y = check_array(
            y,
            dtype=np.float64,
            ensure_2d=False,
            ensure_all_finite="allow-nan",
            input_name="y",
        )
        for largest in np.nanmax(np.abs(y.reshape(len(y), -1)), axis=0, initial=0):
            if largest > _MAX_TARGET or 0 < largest < 1 / _MAX_TARGET:
                raise ValueError(
                    f"y has a target of magnitude up to {largest:.3g}. Predictions may "
                    f"be in float32, so this must be between {1 / _MAX_TARGET:g} and "
                    f"{_MAX_TARGET:g}. Choose another unit of y."
                )
        return y, ~np.isnan(y.reshape(len(y), -1)).any(axis=1)

    def _encode(self, y: np.ndarray) -> np.ndarray:
        return y

    def _learn_target(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
        self._one_dimensional = y.ndim == 1
        target = y.reshape(len(y), -1)
        # Each by itself, because units may be as different as farads and hertz.
        each = [standardization(column[:, None], weight) for column in target.T]
        self._target_mean, scale = map(np.concatenate, zip(*each, strict=True))
        learned = (target - self._target_mean) / scale
        # A constant is predicted exactly.
        self._target_scale = np.where(learned.any(axis=0), scale, 0.0)
        return learned

    def _lesson(self, **fields: Any) -> Lesson:
        return NumberLesson(**fields)

    def _prediction(self, outputs: np.ndarray) -> np.ndarray:
        return outputs

    def _targets_with(self, known: np.ndarray, vote: np.ndarray) -> np.ndarray:
        return np.concatenate([known, vote])

    def _pseudo_labels(self, vote: np.ndarray) -> np.ndarray:
        y = self._target_mean + self._target_scale * vote
        return y[:, 0] if self._one_dimensional else y

    def _without_label(self, n_samples: int) -> np.ndarray:
        shape = () if self._one_dimensional else (self._n_outputs(),)
        return np.full((n_samples, *shape), np.nan)

    def _n_outputs(self) -> int:
        return len(self._target_mean)

    def _strata(self, target: np.ndarray) -> np.ndarray:
        return np.zeros(len(target), dtype=int)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the targets of rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Targets, in the units and the shape of `y` in `fit`.
        """
        rows = self._check_new_rows(X)
        y = self._target_mean + self._target_scale * self._output(rows)
        y = y.astype(rows.dtype, copy=False)
        return y[:, 0] if self._one_dimensional else y

    def score(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the R² of the predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            True targets of all rows; there is no mark for unlabelled rows.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            R² of :func:`sklearn.metrics.r2_score`, averaged over the targets.
        """
        # scikit-learn's metrics take arrays alone, or tensors alone.
        y, sample_weight = plain(y, "y"), plain(sample_weight, "sample_weight")
        return super().score(X, y, sample_weight)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
