"""Estimators that label the unlabelled rows together, each as far as it is trusted."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import Pipeline
from sklearn.semi_supervised import (
    LabelPropagation,
    LabelSpreading,
    SelfTrainingClassifier,
)
from sklearn.svm import SVC, SVR
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from skae.training import on_one_thread, private_draws

# Rows that a teacher is fitted to at most, half of them labelled at most.
MAX_ROWS = 5_000
# Unlabelled rows that the teachers vote on at most: the net learns from as many.
MAX_VOTED = 20_000

_N_FOLDS = 3
# Trees of a regressor, and how many values they are fitted to together.
_MIN_TREES, _MAX_TREES = 30, 200
_MAX_TREE_VALUES = 40_000_000
# Fewer labelled rows say nothing of a regressor.
_MIN_LABELLED = 10
# Share of a uniform guess in the probabilities that the losses are computed of: a
# teacher that is sure of a wrong class has a finite loss.
_DOUBT = 0.1
# The vote is too cautious: its probabilities to this power are learned.
_SHARPENING = 2
_SEMI_SUPERVISED = LabelPropagation | LabelSpreading | SelfTrainingClassifier

# Function of the mask of the labelled rows to learn from, and of the indices of the
# rows to predict. It returns an array of shape (n_rows, n_outputs).
Teacher = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Vote(NamedTuple):
    """What teachers predict together.

    Attributes
    ----------
    losses : dict of str to float
        Mean loss of each teacher on labelled rows that it was not fitted to.

    weights : dict of str to float
        Weights of the teachers, which sum to 1.

    predictions : ndarray of shape (n_rows, n_outputs)
        Predictions for the rows asked for.
    """

    losses: dict[str, float]
    weights: dict[str, float]
    predictions: np.ndarray


@dataclass(frozen=True)
class Lesson(ABC):
    """Rows, some of them labelled, and how predictions of their labels are judged.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows, centred and scaled.

    features : callable
        Function that returns what the pretrained encoder makes of them, an ndarray of
        shape (n_samples, n_inputs).

    target : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Targets; those of unlabelled rows are not looked at.

    labelled : ndarray of bool of shape (n_samples,)
        Which rows are labelled.

    weight : ndarray of shape (n_samples,)
        Positive weights of the rows.

    seed : int
        Random state of what is drawn.
    """

    X: np.ndarray
    features: Callable[[], np.ndarray]
    target: np.ndarray
    labelled: np.ndarray
    weight: np.ndarray
    seed: int

    # A teacher's weight is its loss to this power.
    power: ClassVar[int]

    @abstractmethod
    def has_enough_labels(self) -> bool:
        """Return whether some of the labelled rows can be held out."""

    @abstractmethod
    def folds(self) -> list[np.ndarray]:
        """Return the indices of the labelled rows that are held out together."""

    @abstractmethod
    def losses(self, predictions: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the loss of the prediction for each of some labelled rows."""

    @abstractmethod
    def targets_for(
        self, estimator: Any, index: np.ndarray, labelled: np.ndarray
    ) -> list[np.ndarray]:
        """Return the targets of some rows, one array for each fit of an estimator."""

    @abstractmethod
    def predict(self, model: Any, X: np.ndarray) -> np.ndarray:
        """Return the predictions (n_rows, n_outputs) of a fitted estimator."""

    @abstractmethod
    def default_teachers(self) -> dict[str, Teacher]:
        """Return the teachers that "auto" stands for, beside the network."""

    def joined(self, predictions: np.ndarray) -> np.ndarray:
        """Return the vote, from the weighted sum of the predictions."""
        return predictions

    def shuffled(self, rows: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        """Return labelled rows in an order of which the first ones are a sample."""
        return random.permutation(rows)

    def vote(self, teachers: Mapping[str, Teacher], rows: np.ndarray) -> Vote:
        """Weigh teachers by their losses on held-out rows; let them vote on others."""
        losses = dict.fromkeys(teachers, 0.0)
        n_held_out = 0.0
        for held_out in self.folds():
            labelled = self.labelled.copy()
            labelled[held_out] = False
            weight = self.weight[held_out]
            n_held_out += weight.sum()
            for name, teacher in teachers.items():
                loss = self.losses(teacher(labelled, held_out), held_out)
                losses[name] += float(weight @ loss)
        losses = {name: float(loss / n_held_out) for name, loss in losses.items()}
        # Of losses that are zero, or nearly, the powers alone would be infinite.
        lowest = max(min(losses.values()), 1e-12 * max(losses.values()), 1e-300)
        powers = {
            name: max(loss / lowest, 1.0) ** self.power for name, loss in losses.items()
        }
        weights = {name: power / sum(powers.values()) for name, power in powers.items()}
        total: Any = 0.0
        for name, teacher in teachers.items():
            total = total + weights[name] * teacher(self.labelled, rows)
        return Vote(losses, weights, self.joined(total))

    def own_teachers(self, estimators: list) -> dict[str, Teacher]:
        """Return a list of estimators as teachers, under the names of their classes."""
        names = [type(each).__name__ for each in estimators]
        return {
            name if names.count(name) == 1 else f"{name}-{1 + names[:i].count(name)}": (
                self.teacher(each)
            )
            for i, (name, each) in enumerate(zip(names, estimators, strict=True))
        }

    def teacher(self, estimator: Any, X: np.ndarray | None = None) -> Teacher:
        """Return a teacher that fits a clone of an estimator to `X` or other rows."""
        X = self.X if X is None else X

        def predictions(labelled: np.ndarray, rows: np.ndarray) -> np.ndarray:
            index = self._sample(labelled, takes_unlabelled(estimator))
            with _named_errors(estimator, labelled[index].sum()):
                return np.hstack(
                    [
                        self._fitted_predictions(
                            estimator, X[index], target, self.weight[index], X[rows]
                        )
                        for target in self.targets_for(estimator, index, labelled)
                    ]
                )

        return predictions

    def _fitted_predictions(
        self,
        estimator: Any,
        X: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray,
        new_rows: np.ndarray,
    ) -> np.ndarray:
        """Fit a clone of an estimator, and return its predictions for new rows."""
        model = clone(estimator)
        for name, value in sorted(model.get_params().items()):
            parameter = name.rpartition("__")[2]
            if parameter == "random_state" and value is None:
                model.set_params(**{name: self.seed})
            elif parameter == "decision_function_shape":
                model.set_params(**{name: "ovr"})  # one score for each class
        options = {}
        # Estimators of estimators refuse weights, even equal ones, that those inside
        # do not take.
        if has_fit_parameter(model, "sample_weight") and np.ptp(weight) > 0:
            options["sample_weight"] = weight
        # Label spreading divides zero by zero where no label reaches, and SVR draws
        # from the global generator of NumPy.
        with (
            np.errstate(invalid="ignore", divide="ignore"),
            on_one_thread(),
            private_draws(self.seed, True),
        ):
            model.fit(X, target, **options)
            return self.predict(model, new_rows)

    def _sample(self, labelled: np.ndarray, takes_unlabelled: bool) -> np.ndarray:
        """Return the indices of the rows to fit to."""
        random = np.random.RandomState(self.seed)
        known = np.flatnonzero(labelled)
        if len(known) > MAX_ROWS // 2:
            known = self.shuffled(known, random)[: MAX_ROWS // 2]
        if not takes_unlabelled:
            return np.sort(known)
        others = np.flatnonzero(~labelled)
        if len(known) + len(others) > MAX_ROWS:
            others = random.permutation(others)[: MAX_ROWS - len(known)]
        return np.sort(np.concatenate([known, others]))


@dataclass(frozen=True)
class ClassLesson(Lesson):
    """Lesson in classes, numbered from 0; predictions are their probabilities.

    Parameters
    ----------
    n_classes : int
        Number of classes.
    """

    n_classes: int

    power = -3

    def has_enough_labels(self) -> bool:
        return bool(self._is_common().sum() >= 2)

    def _is_common(self) -> np.ndarray:
        counts = np.bincount(self.target[self.labelled], minlength=self.n_classes)
        return counts >= _N_FOLDS

    def folds(self) -> list[np.ndarray]:
        # A class with fewer labelled rows is left in training.
        common = self._is_common()[np.where(self.labelled, self.target, 0)]
        index = np.flatnonzero(self.labelled & common)
        folds = StratifiedKFold(_N_FOLDS, shuffle=True, random_state=self.seed)
        return [
            index[held_out] for _, held_out in folds.split(index, self.target[index])
        ]

    def losses(self, predictions: np.ndarray, rows: np.ndarray) -> np.ndarray:
        p = predictions[np.arange(len(rows)), self.target[rows]]
        return -np.log((1 - _DOUBT) * p + _DOUBT / self.n_classes)

    def targets_for(
        self, estimator: Any, index: np.ndarray, labelled: np.ndarray
    ) -> list[np.ndarray]:
        return [np.where(labelled[index], self.target[index], -1)]

    def predict(self, model: Any, X: np.ndarray) -> np.ndarray:
        known = np.asarray(model.classes_)
        p = np.zeros((len(X), self.n_classes))
        # A row that no label reaches has no probabilities, and so no say in the vote.
        p[:, known[known >= 0]] = np.nan_to_num(_probabilities(model, X))[:, known >= 0]
        return p

    def joined(self, predictions: np.ndarray) -> np.ndarray:
        return predictions / predictions.sum(axis=1, keepdims=True)

    def shuffled(self, rows: np.ndarray, random: np.random.RandomState) -> np.ndarray:
        # A sample without a rare class may have one class, which few classifiers take.
        rows = random.permutation(rows)
        by_class = np.argsort(self.target[rows], kind="stable")
        labels = self.target[rows[by_class]]
        rank = np.empty_like(by_class)
        rank[by_class] = np.arange(len(rows)) - np.searchsorted(labels, labels)
        return rows[np.argsort(rank >= _N_FOLDS, kind="stable")]

    def default_teachers(self) -> dict[str, Teacher]:
        n_neighbors = min(7, len(self.X) - 1)
        spreading = LabelSpreading("knn", n_neighbors=n_neighbors, alpha=0.2)
        return {
            "logistic regression": self.teacher(LogisticRegression(max_iter=1000)),
            "SVC": self.teacher(SVC()),
            "label spreading": self.teacher(spreading),
            "label spreading on features": self.teacher(spreading, self.features()),
        }


class NumberLesson(Lesson):
    """Lesson in numbers of shape (n_samples, n_outputs)."""

    power = -2

    def has_enough_labels(self) -> bool:
        return int(self.labelled.sum()) >= _MIN_LABELLED

    def folds(self) -> list[np.ndarray]:
        index = np.flatnonzero(self.labelled)
        folds = KFold(_N_FOLDS, shuffle=True, random_state=self.seed)
        return [index[held_out] for _, held_out in folds.split(index)]

    def losses(self, predictions: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return np.square(predictions - self.target[rows]).mean(axis=1)

    def targets_for(
        self, estimator: Any, index: np.ndarray, labelled: np.ndarray
    ) -> list[np.ndarray]:
        target = self.target[index]
        takes = get_tags(estimator).target_tags
        if takes.multi_output and (target.shape[1] > 1 or not takes.single_output):
            return [target]
        return list(target.T)

    def predict(self, model: Any, X: np.ndarray) -> np.ndarray:
        y = np.asarray(model.predict(X)).reshape(len(X), -1)
        n_bad = int((~np.isfinite(y)).any(axis=1).sum())
        if n_bad:
            raise ValueError(f"{n_bad} of {len(y)} predictions are NaN or infinite.")
        return y

    def default_teachers(self) -> dict[str, Teacher]:
        # Trees of thousands of rows in hundreds of columns take minutes, and few trees
        # are nearly as good there.
        size = min(int(self.labelled.sum()), MAX_ROWS // 2) * self.X.shape[1]
        n_trees = int(np.clip(_MAX_TREE_VALUES // size, _MIN_TREES, _MAX_TREES))
        return {
            "ridge": self.teacher(RidgeCV(np.logspace(-3, 4, 15))),
            "nearest neighbors": self.teacher(KNeighborsRegressor(weights="distance")),
            "extra trees": self.teacher(
                ExtraTreesRegressor(n_trees, min_samples_leaf=2, random_state=self.seed)
            ),
            "SVR": self.teacher(SVR()),
        }


def sharpened(probabilities: np.ndarray) -> np.ndarray:
    """Return the probabilities to learn from a vote."""
    powers = probabilities**_SHARPENING
    return powers / powers.sum(axis=1, keepdims=True)


def check_teachers(estimators: list, *, classify: bool) -> None:
    """Raise if a list holds anything that is no classifier or regressor, or nothing."""
    kind = "classifiers" if classify else "regressors"
    methods = ("predict_proba", "decision_function") if classify else ("predict",)
    example = "[SVC()]" if classify else "[SVR()]"
    if not estimators:
        raise ValueError(
            f"teachers is an empty list. Pass {kind} such as {example}, or None for no "
            "teachers."
        )
    is_right = is_classifier if classify else is_regressor
    for each in estimators:
        # What cannot be cloned has no tags, which the other checks ask for.
        is_estimator = hasattr(each, "get_params") and not isinstance(each, type)
        if isinstance(each, FrozenEstimator):
            raise ValueError(
                f"teachers must be {kind} that can be fitted: their weights are their "
                f"losses on rows that they were not fitted to. Got {each!r} in the "
                "list. Pass the estimator inside it."
            )
        if not (is_estimator and is_right(each) and _has_one_of(each, methods)):
            raise ValueError(
                f"teachers must be 'auto', None or a list of {kind} with "
                f"{' or '.join(methods)}, such as {example}. Got {each!r} in the list."
            )


def _has_one_of(estimator: Any, methods: tuple[str, ...]) -> bool:
    # Stacking has the methods of its default for the last estimator once it is fitted.
    undecided = any(
        name.rpartition("__")[2] == "final_estimator" and value is None
        for name, value in estimator.get_params().items()
    )
    owner = type(estimator) if undecided else estimator
    return any(hasattr(owner, method) for method in methods)


@contextmanager
def _named_errors(estimator: Any, n_labelled: int) -> Iterator[None]:
    """Context in which a teacher is fitted; errors name it."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"The teacher {estimator!r} failed on {n_labelled} labelled rows. Change "
            "it, label more rows, or leave it out of teachers. A third of the labelled "
            "rows is held out to weigh the teachers. The error is "
            f"{type(error).__name__}: {error}"
        ) from error


def takes_unlabelled(model: Any) -> bool:
    """Return whether a classifier takes -1 in `y` for the mark of an unlabelled row."""
    if isinstance(model, Pipeline):
        model = model.steps[-1][1]
    return isinstance(model, _SEMI_SUPERVISED)


def _probabilities(model: Any, X: np.ndarray) -> np.ndarray:
    if hasattr(model, "predict_proba"):
        return model.predict_proba(X)
    scores = model.decision_function(X)
    if scores.ndim == 1:
        scores = np.column_stack([-scores, scores])
    # Scores are about one margin apart: twice that is a probability of .88 of two.
    return softmax(2 * scores, axis=1)
