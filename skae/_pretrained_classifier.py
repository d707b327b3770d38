"""The classifier whose network begins with a trained encoder."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import assert_all_finite
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d
from torch import nn

from skae._inputs import plain, targets
from skae._pretrained import BasePretrained
from skae._pretrained_docs import pretrained_docs
from skae._report import warn
from skae._sklearn_compat import StrOptions
from skae._teachers import ClassLesson, Lesson, sharpened
from skae.training import Table, mean_one

# Texts have these where -1 or NaN is meant: NumPy makes them of numbers beside strings.
_MARKS_AS_TEXTS = {"-1", "-1.0", "nan", b"-1", b"-1.0", b"nan"}


@pretrained_docs(
    loss=" (cross entropy)",
    stratified=", with all classes among them",
    svm="SVC",
    spreading=" and :class:`sklearn.semi_supervised.LabelSpreading`",
    unlabelled_score="`score` counts the mark of an unlabelled row as its label.",
)
class PretrainedClassifier(ClassifierMixin, BasePretrained):
    """Classifier that learns from unlabelled rows, too.

    An autoencoder is trained on all rows. Its encoder then becomes the first layers of
    a classifier, which is trained on the labelled rows [1]_, [3]_. If some rows have
    no label, teachers label them first: the network itself and classifiers of
    scikit-learn. The network then learns from all rows.

    Unlabelled rows have -1 in `y`, as in :mod:`sklearn.semi_supervised`, or a missing
    value: NaN, None, `pandas.NA` or a masked value. To mix strings with -1, use an
    array of dtype object. One exception: if `y` holds only the numbers -1 and 1, they
    are two classes, and all rows are labelled. If 1 is the only class and -1 marks
    unlabelled rows, pass `y` with dtype object.

    Parameters
    ----------
    {parameters}

    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, by label. With "balanced", the weights of
        the rows of each class have the same sum. None weights rows by `sample_weight`
        only.

    teachers : "auto", list of classifiers or None, default="auto"
        Classifiers that label the unlabelled rows, beside the network itself. "auto" is
        :class:`~sklearn.linear_model.LogisticRegression`, :class:`~sklearn.svm.SVC`,
        :class:`~sklearn.semi_supervised.LabelSpreading`, and label spreading on the
        input of the head, from the pretrained encoder. A list holds classifiers with
        `predict_proba` or `decision_function`. Clones of them are fitted to the
        labelled rows, centred and scaled. If they take `sample_weight`, it includes
        `class_weight`. Classifiers of :mod:`sklearn.semi_supervised` are fitted to the
        unlabelled rows, too. Teachers see the classes as numbers from 0. None trains
        the network on the labelled rows only. So does any other value if no row is
        unlabelled, or if fewer than two classes have three distinct labelled rows.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.

    {attributes}

    teacher_losses_ : dict of str to float
        Mean log loss of each teacher on labelled rows that were held out from it. Empty
        without a vote.

    pseudo_labels_ : ndarray of shape (n_samples,)
        Most probable class of each unlabelled row that teachers voted on. Other rows
        have -1, or NaN if -1 is a class, or NaT if the classes are dates.

    See Also
    --------
    PretrainedRegressor : The same for numbers.
    DenoisingAutoencoder : The default `pretrainer`.

    Notes
    -----
    {notes}

    The weight of a teacher is its log loss to the power -3. The loss is computed on
    three stratified folds of the labelled rows, and a tenth of a uniform guess is mixed
    with the probabilities. Classes with fewer than three labelled rows stay in
    training. The network learns the probabilities of the vote, squared and normalised,
    so it learns where the teachers are unsure. Teachers other than the network are
    fitted to at most 5,000 rows, drawn at random. At most half of these are labelled,
    with at least three rows of each class if it has as many. All teachers vote on at
    most 20,000 unlabelled rows, drawn at random. They see missing values as the
    autoencoder fills them, and images and series as rows.

    Some estimators encode `y` before they pass it on, so -1 becomes a class:
    :class:`~sklearn.ensemble.VotingClassifier`,
    :class:`~sklearn.ensemble.StackingClassifier`,
    :class:`~sklearn.ensemble.BaggingClassifier`, and
    :class:`~sklearn.calibration.CalibratedClassifierCV`. The classifier cannot detect
    this. Pass only labelled rows to them, and a pretrainer that was fitted to all rows,
    in a :class:`~sklearn.frozen.FrozenEstimator`.

    References
    ----------
    {references}

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer, PretrainedClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> unlabelled = np.random.default_rng(0).random(len(y)) < 0.9
    >>> y_train = np.where(unlabelled, -1, y)
    >>> pretrainer = AutoencoderTransformer(10, max_epochs=20)
    >>> model = PretrainedClassifier(pretrainer, random_state=0).fit(X, y_train)
    >>> print(model.score(X[unlabelled], y[unlabelled]) > 0.9)
    True
    """

    def __init__(
        self,
        pretrainer: Any = None,
        *,
        pretrain: bool = True,
        head_input: str = "hidden",
        head_hidden_layer_sizes: Any = (),
        dropout: float = 0.3,
        lr: float = 3e-3,
        encoder_lr: float | None = None,
        weight_decay: float = 1e-2,
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        freeze: str | int = "none",
        freeze_epochs: int = 0,
        reconstruction_weight: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | str = "auto",
        teachers: list | str | None = "auto",
        class_weight: dict[Any, float] | str | None = None,
        callbacks: list | None = None,
        net_params: dict[str, Any] | None = None,
        device: str | torch.device = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(
            pretrainer,
            pretrain=pretrain,
            head_input=head_input,
            head_hidden_layer_sizes=head_hidden_layer_sizes,
            dropout=dropout,
            lr=lr,
            encoder_lr=encoder_lr,
            weight_decay=weight_decay,
            max_epochs=max_epochs,
            batch_size=batch_size,
            freeze=freeze,
            freeze_epochs=freeze_epochs,
            reconstruction_weight=reconstruction_weight,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            teachers=teachers,
            callbacks=callbacks,
            net_params=net_params,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    _mark = "-1"
    _criterion = nn.CrossEntropyLoss
    # The network has to tell each class from all others.
    _steps_per_output = 20

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BasePretrained._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
    }

    def _check_y(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        objects = isinstance(getattr(y, "dtype", None), np.dtype) and y.dtype == object
        y, missing = targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            warn(
                "A column-vector y was passed when a 1d array was expected. Pass "
                "y.ravel(), or a column of the DataFrame.",
                DataConversionWarning,
            )
        y, missing = column_or_1d(y), missing.reshape(-1)
        labels = y[~missing]
        texts = {label for label in labels.tolist() if isinstance(label, str | bytes)}
        if not (texts or objects):
            labels = np.array(labels.tolist())  # numbers, which None stood beside
        if labels.dtype.kind == "f":
            assert_all_finite(labels, input_name="y")
        if texts & _MARKS_AS_TEXTS:
            raise ValueError(
                f"y has the string {min(texts & _MARKS_AS_TEXTS, key=str)!r} among its "
                "labels. To mark unlabelled rows beside labels that are strings, pass "
                "y with dtype object, and mark them with the number -1 or None. If it "
                "is a class, rename the class."
            )
        if labels.dtype.kind in "if" and not objects:
            numbers = np.unique(labels).tolist()
            if numbers == [-1, 1]:
                warn(
                    "y holds -1 and 1 and nothing else: they are taken for two "
                    "classes. If -1 marks unlabelled rows here, pass y.astype(object).",
                )
                return y, ~missing
            if numbers == [-1, 0, 1]:
                warn(
                    "y holds -1, 0 and 1 and nothing else: -1 is taken for the mark of "
                    "unlabelled rows, and there are two classes. If so, pass "
                    "y.astype(object), and this warning is not issued. If -1 is a "
                    "class, pass other numbers, such as y + 1.",
                )
        labelled = ~missing
        if labels.dtype.kind in "iufO":
            labelled[labelled] = labels != -1
        return y, labelled

    def _encode(self, y: np.ndarray) -> np.ndarray:
        if y.dtype.kind == "O":
            texts = {isinstance(label, str) for label in y}
            if len(texts) > 1:
                raise ValueError(
                    "The labels in y must be all strings or all numbers, beside the "
                    "number -1 that marks an unlabelled row. Got labels of the types "
                    f"{sorted({type(label).__name__ for label in y})}."
                )
            if not texts.pop():
                y = np.array(y.tolist())  # numbers, which -1 may have stood beside
        check_classification_targets(y)
        self.classes_, encoded = np.unique(y, return_inverse=True)
        return encoded

    def _learn_target(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return y.astype(np.int64)

    def _weighing(self, table: Table) -> Callable[[Table], Table]:
        def shares(table: Table) -> np.ndarray:
            """Return the share of each class in each row."""
            target: Any = table.targets
            return target if target.ndim == 2 else np.eye(len(self.classes_))[target]

        weight: Any = table.weight
        if self.class_weight == "balanced":
            by_class = 1 / (weight @ shares(table))
        else:
            by_class = compute_class_weight(
                self.class_weight, classes=self.classes_, y=self.classes_
            )
        if not (by_class >= 0).all() or by_class.sum() == 0:
            raise ValueError(
                "class_weight must give no class a negative weight, and one class of "
                f"the labelled rows a positive one. Got {self.class_weight!r}."
            )

        def weigh(table: Table) -> Table:
            weight = table.weight * (shares(table) @ by_class)
            return replace(table, weight=mean_one(weight))

        return weigh

    def _lesson(self, **fields: Any) -> Lesson:
        # A class of weight zero is not learned: its rows are as good as unlabelled.
        fields["labelled"] = fields["labelled"] & (fields["weight"] > 0)
        return ClassLesson(n_classes=len(self.classes_), **fields)

    def _prediction(self, outputs: np.ndarray) -> np.ndarray:
        return softmax(outputs, axis=1)

    def _targets_with(self, known: np.ndarray, vote: np.ndarray) -> np.ndarray:
        return np.concatenate([np.eye(vote.shape[1])[known], sharpened(vote)])

    def _pseudo_labels(self, vote: np.ndarray) -> np.ndarray:
        return self.classes_[vote.argmax(axis=1)]

    def _without_label(self, n_samples: int) -> np.ndarray:
        if -1 in self.classes_:
            return np.full(n_samples, np.nan)
        if self.classes_.dtype.kind in "mM":
            return np.full(n_samples, "NaT", dtype=self.classes_.dtype)
        dtype = np.dtype(object)
        if self.classes_.dtype.kind in "biuf":
            dtype = np.result_type(self.classes_, np.int8)  # -1 is one of its values
        return np.full(n_samples, -1, dtype=dtype)

    def _n_outputs(self) -> int:
        return len(self.classes_)

    def _strata(self, target: np.ndarray) -> np.ndarray:
        return target

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Predict the classes of rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels.
        """
        rows = self._check_new_rows(X)
        return self.classes_[self._output(rows).argmax(axis=1)]

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Estimate the probabilities of the classes.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of `classes_`.
        """
        rows = self._check_new_rows(X)
        return softmax(self._output(rows), axis=1).astype(rows.dtype, copy=False)

    def decision_function(self, X: ArrayLike) -> np.ndarray:
        """Compute the scores of the classes; the highest is predicted.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logarithms of the probabilities, up to a constant for each row. With two
            classes, the difference between the second and the first.
        """
        rows = self._check_new_rows(X)
        scores = self._output(rows).astype(rows.dtype, copy=False)
        return scores[:, 1] - scores[:, 0] if scores.shape[1] == 2 else scores

    def score(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the accuracy of the predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        y : array-like of shape (n_samples,)
            True labels of all rows; there is no mark for unlabelled rows.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            Share of correctly predicted rows.
        """
        # scikit-learn's metrics take arrays alone, or tensors alone.
        y, sample_weight = plain(y, "y"), plain(sample_weight, "sample_weight")
        return super().score(X, y, sample_weight)
