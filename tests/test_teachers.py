"""Teachers, which label the unlabelled rows that a classifier is trained on."""

import pickle
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_diabetes, load_digits, make_moons
from sklearn.ensemble import (
    GradientBoostingRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.multioutput import MultiOutputRegressor, RegressorChain
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC, SVR
from skorch.callbacks import Callback

import skae
from skae import (
    AutoencoderTransformer,
    ConvAutoencoder,
    PretrainedClassifier,
    PretrainedRegressor,
    RecurrentAutoencoder,
    _pretrained,
    _teachers,
)

DEFAULT = [
    "network",
    "logistic regression",
    "SVC",
    "label spreading",
    "label spreading on features",
]


def marked(y, n_labels, seed=0):
    """Keep as many labels of each class, and mark the other rows with -1."""
    random = np.random.RandomState(seed)
    result = np.full(len(y), -1)
    for label in np.unique(y):
        result[random.permutation(np.flatnonzero(y == label))[:n_labels]] = label
    return result


def quick(**params):
    pretrainer = AutoencoderTransformer(
        4, hidden_layer_sizes=(16,), max_epochs=2, random_state=0
    )
    return PretrainedClassifier(
        **{"pretrainer": pretrainer, "max_epochs": 3, "random_state": 0, **params}
    )


@pytest.fixture(scope="module")
def digits():
    X, y = load_digits(return_X_y=True)
    X, y = X[:400] / 16, y[:400]
    return X, marked(y, 6), y


@pytest.fixture(scope="module")
def fitted(digits):
    return quick().fit(*digits[:2])


# What is learned


def test_teachers_help_where_few_rows_have_labels():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    pretrainer = AutoencoderTransformer(16, max_epochs=10, random_state=0).fit(X)
    accuracy, log_loss = {None: [], "auto": []}, {None: [], "auto": []}
    for seed in range(3):
        y_train = marked(y, 5, seed)
        rest = y_train < 0
        for teachers in accuracy:
            model = PretrainedClassifier(
                FrozenEstimator(pretrainer), teachers=teachers, random_state=0
            ).fit(X, y_train)
            p = model.predict_proba(X[rest])
            accuracy[teachers].append(np.mean(p.argmax(axis=1) == y[rest]))
            log_loss[teachers].append(-np.log(p[np.arange(len(p)), y[rest]]).mean())
    assert np.mean(accuracy["auto"]) > np.mean(accuracy[None]) + 0.02
    # A net that is trained on labels alone is surer than it is right.
    assert np.mean(log_loss["auto"]) < np.mean(log_loss[None]) - 0.1


def test_few_pseudo_labels_add_few_steps(digits):
    X, _, y = digits
    labels = y.copy()
    labels[:4] = -1

    def n_steps(labels, **params):
        model = quick(max_epochs="auto", **params).fit(X, labels)
        n_rows = model.n_labelled_ + model.n_pseudo_labelled_
        return model.n_iter_ * np.ceil(n_rows / model.net_.batch_size)

    few, none = n_steps(labels), n_steps(labels, teachers=None)
    assert 0.95 * none <= few <= 1.05 * none
    assert n_steps(digits[1]) == pytest.approx(2 * none, rel=0.05)


def test_the_teacher_that_is_right_has_the_largest_weight():
    X, y = make_moons(400, noise=0.05, random_state=0)
    labels = marked(y + 1, 15)
    model = quick(teachers=[LogisticRegression(), SVC(C=100)]).fit(X, labels)
    weights = model.teacher_weights_
    assert list(weights) == ["network", "LogisticRegression", "SVC"]
    assert weights["SVC"] > 0.5
    assert np.mean(model.pseudo_labels_[labels < 0] == y[labels < 0] + 1) > 0.9


# Attributes


def test_attributes(fitted, digits):
    y = digits[1]
    unlabelled = y < 0
    assert list(fitted.teacher_weights_) == DEFAULT
    assert list(fitted.teacher_losses_) == DEFAULT
    assert sum(fitted.teacher_weights_.values()) == pytest.approx(1)
    assert {type(each) for each in fitted.teacher_weights_.values()} == {float}
    losses = np.array(list(fitted.teacher_losses_.values()))
    weights = np.array(list(fitted.teacher_weights_.values()))
    assert_allclose(weights, losses**-3.0 / (losses**-3.0).sum())
    assert fitted.pseudo_labels_.shape == y.shape
    assert (fitted.pseudo_labels_[~unlabelled] == -1).all()
    assert set(fitted.pseudo_labels_[unlabelled]) <= set(fitted.classes_)
    assert fitted.n_pseudo_labelled_ == unlabelled.sum()
    assert fitted.n_labelled_ == (~unlabelled).sum()
    text = fitted.summary()
    assert "340 pseudo-labelled rows" in text and "SVC" in text


def test_verbose_says_what_the_teachers_are_worth(digits, capsys):
    quick(verbose=1).fit(*digits[:2])
    assert "Weights of the teachers: network" in capsys.readouterr().out


@pytest.mark.parametrize(
    "labels",
    [
        np.array([f"class {i}" for i in range(10)], dtype=object),
        np.arange(10) * 2.0,
        np.arange(10) + 5,
    ],
    ids=["strings", "floats", "other integers"],
)
def test_labels_of_any_kind(labels, fitted, digits, tmp_path):
    X, y, _ = digits
    y_own = np.where(y < 0, -1, labels[y])
    model = quick().fit(X, y_own)
    where = y < 0
    assert_array_equal(
        model.pseudo_labels_[where], labels[fitted.pseudo_labels_[where]]
    )
    assert all(label == -1 for label in model.pseudo_labels_[~where])
    skae.save(model, tmp_path / "model.skae")
    loaded = skae.load(tmp_path / "model.skae")
    assert_array_equal(loaded.pseudo_labels_, model.pseudo_labels_)
    assert loaded.teacher_weights_ == model.teacher_weights_
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


@pytest.mark.filterwarnings("ignore:y holds -1 and 1 and nothing else:UserWarning")
def test_minus_one_is_a_class(digits):
    X, y, true = digits
    model = quick().fit(X, np.where(y < 0, np.nan, np.where(y < 5, -1, 1)))
    assert_array_equal(np.isnan(model.pseudo_labels_), y >= 0)
    expected = np.where(true < 5, -1, 1)
    assert np.mean(model.pseudo_labels_[y < 0] == expected[y < 0]) > 0.7


@pytest.mark.parametrize("unit", ["D", "ns"])
def test_dates_are_classes(unit, fitted, digits):
    X, y, _ = digits
    dates = np.datetime64("2026-01-01", "D") + np.arange(10)
    dates = dates.astype(f"datetime64[{unit}]")
    labels = dates[y]
    labels[y < 0] = np.datetime64("NaT")
    model = quick().fit(X, labels)
    assert_array_equal(np.isnat(model.pseudo_labels_), y >= 0)
    expected = dates[fitted.pseudo_labels_[y < 0]]
    assert_array_equal(model.pseudo_labels_[y < 0], expected)


def test_files_leave_teachers_of_other_kinds_out(digits, tmp_path):
    X, y, _ = digits
    model = quick(teachers=[SVC()]).fit(X, y)
    with pytest.warns(UserWarning, match="teachers"):
        skae.save(model, tmp_path / "model.skae")
    loaded = skae.load(tmp_path / "model.skae", teachers=[SVC()])
    assert_array_equal(loaded.predict_proba(X), model.predict_proba(X))


def test_pickles(fitted, digits):
    again = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.predict_proba(digits[0]), fitted.predict_proba(digits[0]))


# Where there is nothing to teach


@pytest.mark.parametrize("case", ["all labelled", "two of a class", "one class of 3"])
def test_without_enough_labels_or_rows_nothing_changes(case, digits):
    X, _, y = digits
    y = {
        "all labelled": y,
        "two of a class": marked(y, 2),
        "one class of 3": np.where(y == 0, marked(y, 3), marked(y, 2)),
    }[case]
    model, without = (quick(teachers=each).fit(X, y) for each in ("auto", None))
    assert_array_equal(model.predict_proba(X), without.predict_proba(X))
    for each in (model, without):
        assert each.teacher_weights_ == each.teacher_losses_ == {}
        assert each.n_pseudo_labelled_ == 0
        assert (each.pseudo_labels_ == -1).all()


def test_classes_with_few_labels_stay_in_training(digits):
    X, _, y = digits
    labels = np.where(y == 9, marked(y, 1), marked(y, 4))
    model = quick().fit(X, labels)
    assert set(model.classes_) == set(range(10))
    assert model.n_pseudo_labelled_ == (labels < 0).sum()


# Contracts


def test_weight_two_is_the_row_twice(digits):
    X, y, _ = digits
    X, y = np.vstack([X, X[:50]]), np.append(y, np.full(50, -1))  # and copies
    weight = np.random.RandomState(0).randint(0, 4, size=len(y))
    weight[y >= 0] += 1
    order = np.random.RandomState(1).permutation(len(y))
    model = quick(batch_size=20)
    weighted = clone(model).fit(X, y, sample_weight=weight)
    repeated = clone(model).fit(
        *(each[order].repeat(weight[order], 0) for each in (X, y))
    )
    assert weighted.teacher_losses_ == repeated.teacher_losses_
    assert_array_equal(weighted.predict_proba(X), repeated.predict_proba(X))
    assert_array_equal(weighted.pseudo_labels_[weight == 0], -1)
    assert weighted.n_pseudo_labelled_ == ((weight > 0) & (y < 0)).sum()
    plain = clone(model).fit(X, y)
    assert plain.teacher_losses_ != weighted.teacher_losses_


def test_the_same_random_state_gives_the_same_bits(fitted, digits):
    X, y, _ = digits
    state, torch_state = np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    again = quick().fit(X, y)
    assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    assert again.teacher_weights_ == fitted.teacher_weights_
    assert_array_equal(np.random.get_state()[1], state[1])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), torch_state)
    other = quick(random_state=1).fit(X, y)
    assert other.teacher_weights_ != fitted.teacher_weights_


def test_class_weight_counts_once(digits):
    """A class of weight 3 is the class with each of its rows three times."""
    X, y, _ = digits
    labelled = y >= 0
    quick(teachers=[Spy()], class_weight={0: 3.0}).fit(X, y)
    seen = Spy.seen[-1]
    weight = np.where(y == 0, 3.0, 1.0)
    quick(teachers=[Spy()]).fit(X, y, sample_weight=weight)
    expected = Spy.seen[-1]
    assert_allclose(seen / seen.mean(), expected / expected.mean())
    assert len(seen) == labelled.sum()


def test_balanced_classes_weigh_the_same_with_pseudo_labels(digits):
    X, y, true = digits
    rare = (true == 0) & (np.arange(len(true)) % 3 > 0)
    X, y = X[~rare], y[~rare]
    model = quick(class_weight="balanced", teachers=[SVC()], max_epochs=30).fit(X, y)
    assert np.isfinite(model.loss_curve_).all()


def test_a_class_of_weight_zero(digits):
    X, y, _ = digits
    model = quick(class_weight={3: 0.0}, max_epochs=20).fit(X, y)
    assert 3 not in model.pseudo_labels_


def test_early_stopping_is_on_true_labels(digits):
    X, y, _ = digits
    model = quick(early_stopping=True, validation_fraction=0.2, max_epochs=5)
    model.fit(X, y)
    assert len(model.validation_loss_curve_) == 1 + model.n_iter_
    assert model.n_pseudo_labelled_ == (y < 0).sum()


class Count(Callback):
    def __init__(self):
        self.n_trainings = 0

    def on_train_begin(self, net, **kwargs):
        self.n_trainings += 1


def test_callbacks_see_the_last_training_alone(digits):
    count = Count()
    model = quick(callbacks=[("count", count)], net_params={"callbacks__count": count})
    model.fit(*digits[:2])
    assert count.n_trainings == 1


# Classifiers of the user


class Spy(ClassifierMixin, BaseEstimator):
    """Remember the weights that it was given."""

    seen: ClassVar[list] = []

    def fit(self, X, y, sample_weight=None):
        assert (y >= 0).all()
        self.classes_ = np.unique(y)
        Spy.seen.append(np.sort(sample_weight))
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))


class Unlabelled(LabelSpreading):
    def fit(self, X, y):
        assert (y == -1).sum() > 300
        return super().fit(X, y)


def test_a_list_of_classifiers(digits):
    X, y, _ = digits
    pipeline = make_pipeline(StandardScaler(), Unlabelled("knn", alpha=0.2))
    teachers = [SVC(), KNeighborsClassifier(1), SVC(C=10), pipeline, Unlabelled("knn")]
    model = quick(teachers=teachers).fit(X, y)
    assert list(model.teacher_weights_) == [
        *("network", "SVC-1", "KNeighborsClassifier", "SVC-2", "Pipeline"),
        "Unlabelled",
    ]
    assert not hasattr(teachers[0], "classes_")
    assert_array_equal(clone(model).fit(X, y).predict(X), model.predict(X))


def test_stacked_classifiers(digits):
    """They have no `predict_proba` before they are fitted."""
    X, y, _ = digits
    stack = StackingClassifier([("bayes", GaussianNB())], cv=2)
    teachers = [stack, make_pipeline(StandardScaler(), stack)]
    model = quick(teachers=teachers).fit(X, y)
    assert list(model.teacher_weights_) == ["network", "StackingClassifier", "Pipeline"]


@pytest.mark.parametrize("n_classes", [3, 10])
def test_scores_of_pairs_of_classes(n_classes, digits):
    """Three classes have three pairs, whose scores are not those of the classes."""
    X, y, _ = digits
    y = np.where(y < n_classes, y, -1)
    pairs = make_pipeline(StandardScaler(), SVC(decision_function_shape="ovo"))
    classes = make_pipeline(StandardScaler(), SVC())
    losses = [
        quick(teachers=[each]).fit(X, y).teacher_losses_ for each in (pairs, classes)
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("teachers", "match"),
    [
        ([], "teachers is an empty list"),
        ([SVC], "teachers must be 'auto', None or a list of classifiers"),
        ([StandardScaler()], r"Got StandardScaler\(\) in the list"),
        (
            [("svc", SVC())],
            r"list of classifiers .* Got \('svc', SVC\(\)\) in the list",
        ),
        (["SVC"], "list of classifiers .* Got 'SVC' in the list"),
        ([None], "list of classifiers .* Got None in the list"),
        ([VotingClassifier([("svc", SVC())])], "Got VotingClassifier"),
        ([FrozenEstimator(SVC())], "Pass the estimator inside it"),
        ("SVC", "The 'teachers' parameter of PretrainedClassifier must be"),
    ],
)
def test_errors(teachers, match, digits):
    with pytest.raises(ValueError, match=match):
        quick(teachers=teachers).fit(*digits[:2])


def test_errors_name_the_teacher(digits, diabetes):
    match = r"teacher KNeighborsClassifier\(n_neighbors=50\) failed on 40 labelled rows"
    with pytest.raises(ValueError, match=match):
        quick(teachers=[SVC(), KNeighborsClassifier(50)]).fit(*digits[:2])
    pretrainer = AutoencoderTransformer(3, max_epochs=1, random_state=0)
    model = PretrainedRegressor(pretrainer, teachers=[RadiusNeighborsRegressor(1e-9)])
    match = "RadiusNeighborsRegressor.* of 14 predictions are NaN"
    with (
        pytest.warns(UserWarning, match="no neighbors within specified radius"),
        pytest.raises(ValueError, match=match),
    ):
        model.fit(*diabetes[:2])


# Kinds of rows


def test_rows_with_gaps(digits):
    X, y, _ = digits
    X = np.where(np.random.RandomState(0).rand(*X.shape) < 0.1, np.nan, X)
    model = quick().fit(X, y)
    assert list(model.teacher_weights_) == DEFAULT
    assert np.isfinite(model.predict_proba(X)).all()


def test_images_and_series(digits):
    X, y, _ = digits
    images = ConvAutoencoder(4, image_shape=(8, 8), init="random", max_epochs=1)
    model = quick(pretrainer=images, max_epochs=1).fit(X, y)
    assert list(model.teacher_weights_) == DEFAULT
    series = RecurrentAutoencoder(4, max_epochs=1, random_state=0)
    model = quick(pretrainer=series, head_input="code", max_epochs=1).fit(X, y)
    assert list(model.teacher_weights_) == DEFAULT


@pytest.mark.parametrize("params", [{"freeze": "all"}, {"pretrain": False}])
def test_other_options(params, digits):
    model = quick(**params).fit(*digits[:2])
    assert list(model.teacher_weights_) == DEFAULT


def test_columns_in_any_units(digits):
    X, y, _ = digits
    far = quick().fit(X * 1e4 + 3e4, y)
    near = quick().fit(X, y)
    assert np.mean(far.pseudo_labels_ == near.pseudo_labels_) > 0.9


def test_dtypes_and_frames_give_the_same(fitted, digits):
    X, y, _ = digits
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    for rows in (X.astype(np.float32), frame):
        model = quick().fit(rows, y)
        assert model.teacher_losses_ == pytest.approx(fitted.teacher_losses_, rel=1e-3)


def test_many_rows(monkeypatch, digits):
    """Teachers are fitted to some of the rows, and vote on some."""
    monkeypatch.setattr(_teachers, "MAX_ROWS", 80)
    monkeypatch.setattr(_pretrained, "MAX_VOTED", 150)
    X, y, true = digits
    model = quick().fit(X, y)
    voted = model.pseudo_labels_ >= 0
    assert model.n_pseudo_labelled_ == voted.sum() == 150
    assert not voted[y >= 0].any()
    assert np.mean(model.pseudo_labels_[voted] == true[voted]) > 0.6


def test_rare_classes_among_many_labelled_rows(monkeypatch, digits):
    """The rows that teachers are fitted to hold all classes, in all folds."""
    monkeypatch.setattr(_teachers, "MAX_ROWS", 16)
    X, _, true = digits
    y = np.where(true == 0, marked(true, 3), np.where(true < 9, 1, -1))
    for seed in range(3):
        model = quick(random_state=seed, max_epochs=1).fit(X, y.astype(object))
        assert list(model.teacher_weights_) == DEFAULT


# Numbers


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    labelled = np.random.RandomState(0).permutation(len(y)) < 40
    return X, np.where(labelled, y, np.nan), y


def test_regressors_teach_too(diabetes):
    X, y, true = diabetes
    rest = np.isnan(y)
    pretrainer = AutoencoderTransformer(4, max_epochs=5, random_state=0).fit(X)
    model, without = (
        PretrainedRegressor(
            FrozenEstimator(pretrainer), teachers=teachers, random_state=0
        ).fit(X, y)
        for teachers in ("auto", None)
    )
    assert model.score(X[rest], true[rest]) > without.score(X[rest], true[rest]) + 0.05
    names = ["network", "ridge", "nearest neighbors", "extra trees", "SVR"]
    assert list(model.teacher_weights_) == names
    weights, losses = (
        np.array(list(each.values()))
        for each in (model.teacher_weights_, model.teacher_losses_)
    )
    assert_allclose(weights, losses**-2.0 / (losses**-2.0).sum())
    assert_array_equal(np.isnan(model.pseudo_labels_), ~rest)
    error = np.mean((model.pseudo_labels_[rest] - true[rest]) ** 2)
    assert error < 0.8 * true.var()


def test_teachers_of_numbers_leave_the_global_generator_alone(diabetes):
    """SVR draws from it, and has no parameter for another one."""
    X, y, _ = diabetes
    pretrainer = AutoencoderTransformer(3, max_epochs=1, random_state=0)
    model = PretrainedRegressor(pretrainer, max_epochs=2, random_state=0)
    before = np.random.get_state()  # noqa: NPY002
    model.fit(X, y)
    assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    again = clone(model).fit(X, y)
    assert again.teacher_losses_ == model.teacher_losses_


def test_several_targets_and_weights(diabetes, tmp_path):
    X, y, _ = diabetes
    y = np.column_stack([y, 3 * y + 1])
    weight = np.random.RandomState(0).randint(0, 3, size=len(y))
    weight[~np.isnan(y[:, 0])] += 1
    params = {"random_state": 0, "max_epochs": 2}
    pretrainer = AutoencoderTransformer(3, max_epochs=1, random_state=0)
    model = PretrainedRegressor(pretrainer, **params)
    weighted = clone(model).fit(X, y, sample_weight=weight)
    repeated = clone(model).fit(X.repeat(weight, 0), y.repeat(weight, 0))
    assert weighted.teacher_losses_ == repeated.teacher_losses_
    assert_array_equal(weighted.predict(X), repeated.predict(X))
    assert weighted.pseudo_labels_.shape == y.shape
    skae.save(weighted, tmp_path / "model.skae")
    loaded = skae.load(tmp_path / "model.skae")
    assert_array_equal(loaded.pseudo_labels_, weighted.pseudo_labels_)


def test_a_list_of_regressors(diabetes):
    X, y, _ = diabetes
    params = {"max_epochs": 2, "random_state": 0}
    pretrainer = AutoencoderTransformer(3, max_epochs=1, random_state=0)
    model = PretrainedRegressor(pretrainer, **params)
    stack = StackingRegressor([("svr", SVR()), ("ridge", Ridge())], cv=2)
    model.set_params(teachers=[SVR(), Ridge(), stack]).fit(X, y)
    names = ["network", "SVR", "Ridge", "StackingRegressor"]
    assert list(model.teacher_weights_) == names
    with pytest.raises(ValueError, match="a list of regressors with predict"):
        PretrainedRegressor(pretrainer, teachers=[SVC()]).fit(X, y)


@pytest.mark.parametrize(
    "teacher",
    [
        SVR(),
        GradientBoostingRegressor(n_estimators=3),
        make_pipeline(StandardScaler(), SVR()),
        MultiOutputRegressor(make_pipeline(StandardScaler(), SVR())),
        RegressorChain(Ridge()),
    ],
    ids=lambda teacher: type(teacher).__name__,
)
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_regressors_of_one_target_or_of_several(teacher, n_outputs, diabetes):
    X, y, _ = diabetes
    several = np.column_stack([y, 3 * y + 1])[:, :n_outputs]
    params = {"teachers": [teacher], "max_epochs": 1, "random_state": 0}
    pretrainer = AutoencoderTransformer(3, max_epochs=1, random_state=0)
    model = PretrainedRegressor(pretrainer, **params).fit(X, several)
    assert model.pseudo_labels_.shape == several.shape
    assert model.teacher_losses_[type(teacher).__name__] < 1.5
    alone = PretrainedRegressor(pretrainer, **params).fit(X, several[:, 0])
    assert alone.pseudo_labels_.shape == (len(X),)


def test_metadata_routing_is_no_matter(diabetes):
    X, y, _ = diabetes
    params = {"max_epochs": 1, "random_state": 0}
    pretrainer = AutoencoderTransformer(3, max_epochs=1, random_state=0)
    model = PretrainedRegressor(pretrainer, **params)
    weight = np.arange(len(y)) % 3 + 1
    with config_context(enable_metadata_routing=True):
        routed = clone(model).fit(X, np.c_[y, -y], sample_weight=weight)
    model.fit(X, np.c_[y, -y], sample_weight=weight)
    assert routed.teacher_losses_ == model.teacher_losses_


def test_fewer_trees_on_large_tables():
    random = np.random.RandomState(0)
    X, seen = random.randn(2100, 400).astype(np.float32), []

    class Teachers(_teachers.NumberLesson):
        def teacher(self, estimator, X=None):
            seen.append(estimator)
            return super().teacher(estimator, X)

    for n_labelled in (100, 2000):
        labelled = np.arange(len(X)) < n_labelled
        y, weight = np.zeros((len(X), 1)), np.ones(len(X))
        Teachers(X, X.copy, y, labelled, weight, 0).default_teachers()
    trees = [each.n_estimators for each in seen if hasattr(each, "n_estimators")]
    assert trees == [200, 50]


def test_a_constant_target(diabetes):
    X, y, _ = diabetes
    params = {"max_epochs": 2, "random_state": 0}
    pretrainer = AutoencoderTransformer(3, max_epochs=1, random_state=0)
    y = np.where(np.isnan(y), np.nan, 3.0)
    model = PretrainedRegressor(pretrainer, **params).fit(X, y)
    assert sum(model.teacher_weights_.values()) == pytest.approx(1)
    assert_allclose(model.pseudo_labels_[np.isnan(y)], 3, atol=1e-6)


def test_too_few_targets(diabetes):
    X, y, true = diabetes
    few = np.where(np.arange(len(y)) < 9, true, np.nan)
    params = {"max_epochs": 2, "random_state": 0}
    pretrainer = AutoencoderTransformer(3, max_epochs=1, random_state=0)
    model, without = (
        PretrainedRegressor(pretrainer, teachers=teachers, **params).fit(X, few)
        for teachers in ("auto", None)
    )
    assert model.teacher_weights_ == {}
    assert np.isnan(model.pseudo_labels_).all()
    assert_array_equal(model.predict(X), without.predict(X))


# The vote


def test_vote():
    y = np.array([0, 0, 0, 1, 1, 1, -1, -1])
    true = np.array([0, 0, 0, 1, 1, 1, 0, 1])

    def right(labelled, rows):
        return np.eye(2)[true[rows]]

    def wrong(labelled, rows):
        return np.eye(2)[1 - true[rows]]

    def knows_nothing_of_the_last(labelled, rows):
        return np.eye(2)[true[rows]] * (rows < 7)[:, None]

    teachers = {"right": right, "wrong": wrong, "silent": knows_nothing_of_the_last}
    rows = np.zeros((8, 2))
    lesson = _teachers.ClassLesson(
        rows, rows.copy, y, y >= 0, np.ones(8), 0, n_classes=2
    )
    result = lesson.vote(teachers, np.array([6, 7]))
    assert result.losses["right"] == pytest.approx(-np.log(0.95))
    assert result.losses["wrong"] == pytest.approx(-np.log(0.05))
    assert result.losses["silent"] == result.losses["right"]
    assert_allclose(result.predictions.sum(axis=1), 1)
    assert_array_equal(result.predictions.argmax(axis=1), [0, 1])
    assert_allclose(_teachers.sharpened(np.array([[0.75, 0.25]])), [[0.9, 0.1]])
