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

from skae import _checks as checks
from skae._inputs import plain, targets
from skae._pretrained import BasePretrained, Given, Seeds
from skae._pretrained_docs import pretrained_docs
from skae._report import warn
from skae._sklearn_compat import StrOptions
from skae._teachers import (
    MAX_ROWS,
    MAX_VOTED,
    Teacher,
    can_be_weighed,
    check_teachers,
    default_teachers,
    own_teachers,
    sharpened,
    vote,
)
from skae.training import Table, filled, mean_one, ordered_distinct_rows, show

# Files of texts have these where -1 is meant.
_MARKS_AS_TEXTS = {"-1", "-1.0", b"-1", b"-1.0"}


@pretrained_docs(
    loss=" (cross entropy)",
    stratified=", with all classes among them",
    more=" (600 with rows that teachers labelled)",
    svm="SVC",
    spreading=" and :class:`sklearn.semi_supervised.LabelSpreading`",
)
class PretrainedClassifier(ClassifierMixin, BasePretrained):
    """Classifier that learns from unlabelled rows, too.

    An autoencoder is trained on all rows. Its encoder then becomes the first layers of
    a classifier, and all of it is trained on the labelled rows [1]_, [3]_. Where few
    rows have labels, teachers label the other rows first: the network itself, and
    classifiers of scikit-learn. The network then learns from all rows.

    Unlabelled rows have -1 in `y`, as in :mod:`sklearn.semi_supervised`, or a missing
    value: NaN, None, `pandas.NA` or a masked one. Labels that are strings are mixed
    with -1 in an array of dtype object. One exception: numbers that are -1 and 1 and
    nothing else are two classes, and all rows are labelled; where 1 is the only class
    and -1 is to be no label, pass `y` with dtype object.

    Parameters
    ----------
    {parameters}

    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, by label. "balanced" gives all classes the
        same weight together. None weights rows by `sample_weight` alone.

    teachers : "auto", list of classifiers or None, default="auto"
        Classifiers that label the unlabelled rows, beside the network itself. "auto" is
        :class:`~sklearn.linear_model.LogisticRegression`, :class:`~sklearn.svm.SVC` and
        :class:`~sklearn.semi_supervised.LabelSpreading` on the centred and scaled rows,
        and label spreading on what the pretrained encoder hands to the head. A list
        holds classifiers with `predict_proba` or `decision_function`, which are cloned
        and fitted to the centred and scaled rows. They are fitted to the labelled rows
        alone, unless they are one of :mod:`sklearn.semi_supervised`, and get
        `sample_weight` where they take it. None trains the network on the labelled rows
        alone. Teachers need unlabelled rows, and three labelled rows in each of two
        classes; without them, the fit is that of None.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels of the classes.

    {attributes}

    teacher_weights_ : dict of str to float
        Weight of each teacher in the vote on the unlabelled rows; they sum to 1. Empty
        where no teacher was asked.

    teacher_losses_ : dict of str to float
        Mean log loss of each teacher on labelled rows that were held out from it.

    pseudo_labels_ : ndarray of shape (n_samples,)
        Most probable class of each unlabelled row, as the teachers vote, and -1 for all
        other rows.

    n_pseudo_labelled_ : int
        Number of rows with such a label.

    See Also
    --------
    PretrainedRegressor : The same for numbers.
    DenoisingAutoencoder : What it is pretrained with.

    Notes
    -----
    {notes}

    The weight of a teacher is its log loss to the power -3. The loss is that of three
    stratified folds of the labelled rows, where a tenth of a uniform guess is mixed
    with the probabilities; classes with fewer than three labelled rows stay in
    training. The network learns the probabilities that the teachers vote for, squared
    and normalised, and for labelled rows their labels: so what teachers are unsure of,
    it learns as unsure. Teachers other than the network are fitted to 5,000 rows at
    most, drawn at random, half of them labelled at most. Teachers vote on 20,000
    unlabelled rows at most, drawn at random.

    Some estimators encode `y` before they pass it on, and make a class of -1:
    :class:`~sklearn.ensemble.VotingClassifier`,
    :class:`~sklearn.ensemble.StackingClassifier`,
    :class:`~sklearn.ensemble.BaggingClassifier`, and
    :class:`~sklearn.calibration.CalibratedClassifierCV`. That cannot be seen from
    within, so give them labelled rows alone, and a pretrainer that was fitted to all
    rows, in a :class:`~sklearn.frozen.FrozenEstimator`.

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
        class_weight: dict[Any, float] | str | None = None,
        teachers: list | str | None = "auto",
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
            callbacks=callbacks,
            net_params=net_params,
            device=device,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight
        self.teachers = teachers

    _mark = "-1"
    _criterion = nn.CrossEntropyLoss

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BasePretrained._parameter_constraints,
        "class_weight": [StrOptions({"balanced"}), dict, None],
        "teachers": [StrOptions({"auto"}), list, None],
    }

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if isinstance(self.teachers, list):
            check_teachers(self.teachers)

    def _check_y(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        objects = isinstance(getattr(y, "dtype", None), np.dtype) and y.dtype == object
        y, missing = targets(y)
        if y.ndim == 2 and y.shape[1] == 1:
            warn(
                "A column-vector y was passed when a 1d array was expected. Pass "
                "y.ravel(), or the column of a frame.",
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
                "labels. To mark unlabelled rows beside labels that are strings, give "
                "y dtype object, with the number -1 or None. If it is a class, give "
                "that another name."
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
                    "y.astype(object), which says that; if -1 is a class, give that "
                    "another number, as y + 1 does.",
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

    def _taught(
        self,
        train: Table,
        given: Given,
        autoencoder: nn.Module,
        table: Table,
        seeds: Seeds,
    ) -> Table:
        dtype = np.dtype(object)
        if self.classes_.dtype.kind in "biuf":
            dtype = np.result_type(self.classes_, np.int8)  # -1 is one of its values
        self.pseudo_labels_ = np.full(len(given.counts), -1, dtype=dtype)
        self.n_pseudo_labelled_ = 0
        self.teacher_losses_: dict[str, float] = {}
        self.teacher_weights_: dict[str, float] = {}
        others = given.of(~given.labelled)
        weights: Any = self._weighing(train)(train).weight
        weights = np.ones(len(train)) if weights is None else weights
        # A class of weight zero is not learned: its rows are as good as unlabelled.
        labels = np.where(weights > 0, np.asarray(train.targets), -1)
        if self.teachers is None or not len(others.X) or not can_be_weighed(labels):
            return train
        index, number = ordered_distinct_rows(others.X)
        total = np.bincount(number, weights=others.weight).astype(np.float64)
        random = np.random.RandomState(seeds.teachers)
        chosen = np.sort(random.permutation(len(index))[:MAX_VOTED])
        index, total = index[chosen], total[chosen]
        missing = checks.has_gaps(others.X)
        unlabelled = Table(others.X[index], weight=total, missing=missing)
        if missing and hasattr(autoencoder, "fill"):
            unlabelled = filled(autoencoder, unlabelled)
        rows = Table(
            np.concatenate([train.inputs[:], unlabelled.inputs[:]]),
            np.concatenate([labels, np.full(len(index), -1)]),
            np.concatenate([weights, np.ones(len(index))]),
            missing=table.missing,
        )
        result = vote(
            self._teachers(rows, autoencoder, table, seeds),
            np.asarray(rows.targets),
            np.asarray(rows.weight),
            np.arange(len(train), len(rows)),
            n_classes=len(self.classes_),
            seed=seeds.teachers,
        )
        self.teacher_losses_, self.teacher_weights_ = result.losses, result.weights
        if self.verbose:
            show(f"{type(self).__name__}: {self._teachers_in_words()}")
        is_voted = np.isin(number, chosen)
        voted = self.classes_[result.probabilities.argmax(axis=1)]
        where = np.flatnonzero(given.counts)[~given.labelled][is_voted]
        self.pseudo_labels_[where] = voted[np.searchsorted(chosen, number[is_voted])]
        self.n_pseudo_labelled_ = len(where)
        known = np.eye(len(self.classes_))[np.asarray(train.targets)]
        return replace(
            rows,
            targets=np.concatenate([known, sharpened(result.probabilities)]),
            weight=np.concatenate([np.asarray(train.weight), total]),
        )

    def _rows_in_words(self) -> str:
        text = super()._rows_in_words()
        if self.n_pseudo_labelled_:
            text += f" and {self.n_pseudo_labelled_} pseudo-labelled rows"
        return text

    def _training_in_words(self) -> str:
        text = super()._training_in_words()
        return f"{text} {self._teachers_in_words()}" if self.teacher_weights_ else text

    def _teachers_in_words(self) -> str:
        weights = (f"{name} {w:.2f}" for name, w in self.teacher_weights_.items())
        return f"Weights of the teachers: {', '.join(weights)}."

    def _teachers(
        self, rows: Table, autoencoder: nn.Module, table: Table, seeds: Seeds
    ) -> dict[str, Teacher]:
        """Return the teachers of rows, the network itself among them."""
        # The scale of the head's input needs no more rows than others are fitted to.
        index = np.random.RandomState(seeds.teachers).permutation(len(table))
        some = table.read(np.sort(index[:MAX_ROWS]))
        network, features = self._network_as_teacher(rows, autoencoder, some, seeds.net)
        columns = table.statistics()
        X = (np.asarray(rows.inputs) - columns.mean) / columns.scale
        n_classes, seed = len(self.classes_), seeds.teachers
        if isinstance(self.teachers, list):
            others = own_teachers(self.teachers, X, n_classes, seed)
        else:
            others = default_teachers(X, features, n_classes, seed)
        return {
            "network": lambda *args: softmax(network(*args), axis=1),
            **others,
        }

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
        """Compute the scores that the classes are chosen by.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logarithms of the probabilities up to a number for each row; of two
            classes, how much that of the second is higher.
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
            Their true labels; the mark of an unlabelled row is no exception.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            Share of rows whose label is predicted.
        """
        # scikit-learn's metrics take arrays alone, or tensors alone.
        y, sample_weight = plain(y, "y"), plain(sample_weight, "sample_weight")
        return super().score(X, y, sample_weight)
