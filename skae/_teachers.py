"""Classifiers that label the unlabelled rows together, each as far as it is trusted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn.base import clone, is_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline
from sklearn.semi_supervised import (
    LabelPropagation,
    LabelSpreading,
    SelfTrainingClassifier,
)
from sklearn.svm import SVC
from sklearn.utils.validation import has_fit_parameter

from skae.training import on_one_thread

# Number of labelled rows that a class needs to be held out, and number of folds.
N_FOLDS = 3
# Weight of a teacher: its loss on held-out rows, to this power.
_POWER = -3
# Share of a uniform guess in the probabilities that the losses are computed of: a
# teacher that is sure of a wrong class has a finite loss.
_DOUBT = 0.1
# Rows that a teacher is fitted to at most, half of them labelled at most.
MAX_ROWS = 5_000
# Unlabelled rows that the teachers vote on at most: the net learns from as many.
MAX_VOTED = 20_000
_N_NEIGHBORS = 7
# The vote is too cautious: its probabilities to this power are learned.
_SHARPENING = 2
_SEMI_SUPERVISED = LabelPropagation | LabelSpreading | SelfTrainingClassifier

# Function of encoded labels (-1: unlabelled), weights and the indices of rows. It
# returns the probabilities of the classes for these rows, or zeros for a row that it
# cannot say anything of.
Teacher = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class Vote(NamedTuple):
    """What teachers say together.

    Attributes
    ----------
    losses : dict of str to float
        Mean log loss of each teacher on labelled rows that it was not fitted to.

    weights : dict of str to float
        Weights of the teachers, which sum to 1.

    probabilities : ndarray of shape (n_rows, n_classes)
        Probabilities of the classes for the rows asked for.
    """

    losses: dict[str, float]
    weights: dict[str, float]
    probabilities: np.ndarray


def can_be_weighed(y: np.ndarray) -> bool:
    """Return whether enough rows are labelled to hold some of them out."""
    return bool((np.bincount(y[y >= 0]) >= N_FOLDS).sum() >= 2)


def vote(
    teachers: Mapping[str, Teacher],
    y: np.ndarray,
    weight: np.ndarray,
    rows: np.ndarray,
    *,
    n_classes: int,
    seed: int,
) -> Vote:
    """Weigh teachers by how well they predict held-out labels, and let them vote.

    Parameters
    ----------
    teachers : dict of str to callable
        Teachers, with their names.

    y : ndarray of shape (n_samples,)
        Classes as numbers from 0, and -1 for an unlabelled row. `can_be_weighed` must
        be true of them.

    weight : ndarray of shape (n_samples,)
        Positive weights of the rows.

    rows : ndarray of shape (n_rows,)
        Indices of the rows to vote on.

    n_classes : int
        Number of classes.

    seed : int
        Seed of the folds.
    """
    # A class with fewer labelled rows is left in training.
    is_common = np.bincount(y[y >= 0], minlength=n_classes) >= N_FOLDS
    index = np.flatnonzero((y >= 0) & is_common[y])
    folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed)
    losses = dict.fromkeys(teachers, 0.0)
    for _, held_out in folds.split(index, y[index]):
        held_out = index[held_out]
        marked = y.copy()
        marked[held_out] = -1
        for name, teacher in teachers.items():
            p = teacher(marked, weight, held_out)[np.arange(len(held_out)), y[held_out]]
            log_loss = -np.log((1 - _DOUBT) * p + _DOUBT / n_classes)
            losses[name] += float(weight[held_out] @ log_loss / weight[index].sum())
    powers = {name: loss**_POWER for name, loss in losses.items()}
    weights = {name: power / sum(powers.values()) for name, power in powers.items()}
    total = np.zeros((len(rows), n_classes))
    for name, teacher in teachers.items():
        total += weights[name] * teacher(y, weight, rows)
    return Vote(losses, weights, total / total.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class FittedTeacher:
    """Teacher that fits a classifier of scikit-learn.

    Parameters
    ----------
    classifier : classifier
        It is cloned. It needs `predict_proba` or `decision_function`.

    X : ndarray of shape (n_samples, n_features)
        Rows.

    n_classes : int
        Number of classes.

    seed : int
        Random state of the classifier, where it has none, and of the sample of rows.
    """

    classifier: Any
    X: np.ndarray
    n_classes: int
    seed: int

    def __call__(
        self, y: np.ndarray, weight: np.ndarray, rows: np.ndarray
    ) -> np.ndarray:
        """Return the probabilities of the classes for rows."""
        model = clone(self.classifier)
        for name, value in sorted(model.get_params().items()):
            if name.rpartition("__")[2] == "random_state" and value is None:
                model.set_params(**{name: self.seed})
        index = self._sample(y, takes_unlabelled(model))
        options = {}
        if has_fit_parameter(model, "sample_weight"):
            options["sample_weight"] = weight[index]
        # Label spreading divides zero by zero where no label reaches.
        with np.errstate(invalid="ignore", divide="ignore"), on_one_thread():
            model.fit(self.X[index], y[index], **options)
            p = _probabilities(model, self.X[rows])
        known = np.asarray(model.classes_)
        result = np.zeros((len(rows), self.n_classes))
        result[:, known[known >= 0]] = np.nan_to_num(p)[:, known >= 0]
        return result

    def _sample(self, y: np.ndarray, takes_unlabelled: bool) -> np.ndarray:
        """Return the indices of the rows to fit to."""
        random = np.random.RandomState(self.seed)
        labelled = np.flatnonzero(y >= 0)
        if len(labelled) > MAX_ROWS // 2:
            labelled = random.permutation(labelled)[: MAX_ROWS // 2]
        if not takes_unlabelled:
            return np.sort(labelled)
        others = np.flatnonzero(y < 0)
        if len(labelled) + len(others) > MAX_ROWS:
            others = random.permutation(others)[: MAX_ROWS - len(labelled)]
        return np.sort(np.concatenate([labelled, others]))


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


def sharpened(probabilities: np.ndarray) -> np.ndarray:
    """Return the probabilities to learn from a vote."""
    powers = probabilities**_SHARPENING
    return powers / powers.sum(axis=1, keepdims=True)


def check_teachers(classifiers: list) -> None:
    """Raise if a list holds anything that is no classifier, or nothing."""
    for each in classifiers:
        is_classifier_ = not isinstance(each, type) and is_classifier(each)
        if not is_classifier_ or not (
            hasattr(each, "predict_proba") or hasattr(each, "decision_function")
        ):
            raise ValueError(
                "teachers must be 'auto', None or a list of classifiers of "
                "scikit-learn's kind, with predict_proba or decision_function, such as "
                f"[SVC(), LogisticRegression()]. Got {each!r} in the list."
            )
    if not classifiers:
        raise ValueError(
            "teachers is an empty list. Pass classifiers such as [SVC()], or None for "
            "no teachers."
        )


def own_teachers(
    classifiers: list, X: np.ndarray, n_classes: int, seed: int
) -> dict[str, Teacher]:
    """Return a list of classifiers as teachers, under the names of their classes."""
    names = [type(each).__name__ for each in classifiers]
    return {
        name if names.count(name) == 1 else f"{name}-{1 + names[:i].count(name)}": (
            FittedTeacher(each, X, n_classes, seed)
        )
        for i, (name, each) in enumerate(zip(names, classifiers, strict=True))
    }


def default_teachers(
    X: np.ndarray, features: np.ndarray, n_classes: int, seed: int
) -> dict[str, Teacher]:
    """Return the teachers that `teachers="auto"` stands for, beside the network.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows, centred and scaled.

    features : ndarray of shape (n_samples, n_inputs)
        What the pretrained encoder makes of them.

    n_classes : int
        Number of classes.

    seed : int
        Random state.
    """
    spreading = LabelSpreading(
        kernel="knn", n_neighbors=min(_N_NEIGHBORS, len(features) - 1), alpha=0.2
    )
    chosen = {
        "logistic regression": (LogisticRegression(max_iter=1000), X),
        "SVC": (SVC(), X),
        "label spreading": (spreading, X),
        "label spreading on features": (spreading, features),
    }
    return {
        name: FittedTeacher(classifier, rows, n_classes, seed)
        for name, (classifier, rows) in chosen.items()
    }
