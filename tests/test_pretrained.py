"""The classifier and the regressor that begin with a pretrained encoder."""

import copy
import pickle
import random
import re

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from modules_for_tests import Own
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_param_validation,
    parametrize_with_checks,
)

from skae import (
    AutoencoderTransformer,
    PretrainedClassifier,
    PretrainedRegressor,
)


# Some checks have such labels.
@pytest.mark.filterwarnings("ignore:y holds -1 and 1 and nothing else:UserWarning")
@parametrize_with_checks([PretrainedClassifier(), PretrainedRegressor()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


both = pytest.mark.parametrize("estimator", [PretrainedClassifier, PretrainedRegressor])


def autoencoder(**params):
    return AutoencoderTransformer(4, **{"max_epochs": 2, **params})


def quick(estimator=PretrainedClassifier, **params):
    return estimator(
        **{"pretrainer": autoencoder(), "max_epochs": 4, "random_state": 0, **params}
    )


@pytest.fixture(scope="module")
def digits():
    """300 images of digits, of which every third has a label, and the true labels."""
    X, y = load_digits(return_X_y=True)
    X, y = X[:300] / 16, y[:300]
    return X, np.where(np.arange(300) % 3 == 0, y, -1), y


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X, np.where(np.arange(len(y)) % 2 == 0, y, np.nan), y


def state(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(before, after):
    """Names of the entries that are the same bit by bit."""
    return {name for name in before if torch.equal(before[name], after[name])}


# What is learned


def test_unlabelled_rows_help():
    X, y = load_digits(return_X_y=True)
    X = X / 16
    labelled = np.random.RandomState(0).permutation(len(y)) < 100
    y_train = np.where(labelled, y, -1)
    # A code that was learned from all rows, against one with random weights.
    model = PretrainedClassifier(
        autoencoder(max_epochs=20),
        head_input="code",
        freeze="all",
        teachers=None,
        random_state=0,
    ).fit(X, y_train)
    control = clone(model).set_params(pretrain=False).fit(X, y_train)
    unlabelled = X[~labelled], y[~labelled]
    assert model.score(*unlabelled) > control.score(*unlabelled) + 0.05
    assert model.n_labelled_ == 100
    assert model.n_iter_ == len(model.loss_curve_) == 300
    assert model.validation_loss_curve_ == []
    assert model.transform(X).shape == (len(X), 4)


def test_the_targets_may_be_in_any_units(diabetes):
    X, y, true = diabetes
    model = quick(PretrainedRegressor, max_epochs=60).fit(X, y)
    unlabelled = np.isnan(y)
    assert model.score(X[unlabelled], true[unlabelled]) > 0.35
    far = clone(model).fit(X, y * 1e-3 + 1e5)
    assert_allclose(far.predict(X), model.predict(X) * 1e-3 + 1e5, rtol=1e-7)


def test_fitting_changes_the_codes(digits):
    X, y, _ = digits
    model = quick(max_epochs=30, pretrainer=autoencoder(max_epochs=20)).fit(X, y)
    assert np.abs(model.transform(X) - model.pretrainer_.transform(X)).max() > 1e-3
    names = model.get_feature_names_out()
    assert list(names) == [f"pretrainedclassifier{i}" for i in range(4)]


@both
def test_default_pretrainer(estimator):
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)[:60]
    model = estimator(random_state=0).fit(X, y[:60])
    assert model.n_components_ == 15
    assert model.pretrainer_.noise == "swap"
    assert model.score(X, y[:60]) > 0.8
    assert estimator(max_epochs=1).fit(X[:, :3], y[:60]).n_components_ == 4


# The pretrainer


@both
@pytest.mark.parametrize("pretrain", [True, False])
def test_a_frozen_pretrainer_is_used_as_it_is(estimator, pretrain, digits):
    X, y, _ = digits
    fitted = autoencoder(random_state=3).fit(X)
    before, attributes = state(fitted.module_), set(vars(fitted))
    optimizer = copy.deepcopy(fitted.net_.optimizer_.state_dict())
    frozen = FrozenEstimator(fitted)
    model = quick(estimator, pretrainer=frozen, pretrain=pretrain).fit(X, y)
    assert model.pretrainer_ is (fitted if pretrain else None)
    assert same(before, state(fitted.module_)) == set(before)
    assert set(vars(fitted)) == attributes
    assert str(fitted.net_.optimizer_.state_dict()) == str(optimizer)
    if pretrain:
        alone = quick(estimator, pretrainer=frozen, freeze="all").fit(X, y)
        assert_array_equal(alone.transform(X), fitted.transform(X))


def test_pretrainer_is_cloned_and_given_a_seed(digits):
    X, y, _ = digits
    pretrainer = autoencoder()
    model = quick(pretrainer=pretrainer).fit(X, y)
    assert not hasattr(pretrainer, "net_") and pretrainer.random_state is None
    assert isinstance(model.pretrainer_.random_state, int)
    model = quick(pretrainer=autoencoder(random_state=7)).fit(X, y)
    assert model.pretrainer_.random_state == 7


@pytest.mark.parametrize("frozen", [True, False])
def test_no_pretraining_is_the_same_net_with_random_weights(frozen, digits):
    X, y, _ = digits
    pretrainer = autoencoder()
    if frozen:
        pretrainer = FrozenEstimator(pretrainer.fit(X))
    models = [
        quick(pretrainer=pretrainer, pretrain=pretrain, freeze="all").fit(X, y)
        for pretrain in (True, False)
    ]
    states = [state(model.net_.module_.autoencoder) for model in models]
    shapes = [{name: v.shape for name, v in each.items()} for each in states]
    assert shapes[0] == shapes[1]
    fill = {name for name in states[0] if name.startswith("fill.")}
    assert same(*states) <= {"mean", "scale", *fill}
    for name in ("mean", "scale"):
        assert_allclose(*(each[name] for each in states), atol=0.0 if frozen else 0.1)
    # The default initialisation of torch, in the linear path too.
    assert states[1]["linear_encoder.weight"].abs().max() <= 1 / 8
    assert models[1].pretrainer_ is None
    trained = [
        sum(
            p.requires_grad
            for p in quick(pretrain=p).fit(X, y).net_.module_.parameters()
        )
        for p in (True, False)
    ]
    assert trained[0] == trained[1] == len(list(models[0].net_.module_.parameters()))


def test_modules_of_users(digits):
    X, y, _ = digits
    pretrainer = autoencoder(module=Own)
    for pretrain in (True, False):
        model = quick(pretrainer=pretrainer, head_input="code", pretrain=pretrain)
        codes = model.fit(X, y).transform(X)
        assert codes.shape == (300, 4)
        assert_array_equal(clone(model).fit(X, y).transform(X), codes)
    model.set_params(pretrainer__module=Own(64, 4), pretrain=True).fit(X, y)
    with pytest.raises(ValueError, match="instance of Own: pass its class"):
        model.set_params(pretrain=False).fit(X, y)


# Freezing


def encoder_states(digits, **params):
    X, y, _ = digits
    fitted = autoencoder(random_state=0, max_epochs=20).fit(X)
    model = quick(pretrainer=FrozenEstimator(fitted), **params).fit(X, y)
    return state(fitted.module_), state(model.net_.module_.autoencoder)


LAYERS = [{f"encoder.{i}.weight", f"encoder.{i}.bias"} for i in (0, 2, 4)]


@pytest.mark.parametrize("epochs", [0, 2])
def test_freeze(digits, epochs):
    def kept(freeze, **params):
        states = encoder_states(digits, freeze=freeze, freeze_epochs=epochs, **params)
        everything = set(states[0])
        return same(*states), everything

    names, everything = kept("all")
    assert names == everything
    names, everything = kept("none", head_input="code")
    assert {name for name in everything if "decoder" in name} < names
    assert not names & {*LAYERS[0], *LAYERS[1], *LAYERS[2], "linear_encoder.weight"}
    names, _ = kept(0)
    assert not names & {*LAYERS[0], *LAYERS[1]}
    names, _ = kept(1)
    assert LAYERS[0] < names and not names & LAYERS[1]
    names, _ = kept(2)
    assert LAYERS[0] | LAYERS[1] < names


def test_freeze_epochs_train_the_head_alone(digits):
    assert same(*(states := encoder_states(digits, freeze_epochs=4))) == set(states[0])
    assert same(*(states := encoder_states(digits, freeze_epochs=3))) != set(states[0])


def test_rates_of_encoder_and_head(digits):
    X, y, _ = digits
    model = quick(lr=1e-2, encoder_lr=1e-3).fit(X, y)
    rates = [group["lr"] for group in model.net_.optimizer_.param_groups]
    assert rates == [1e-3, 1e-2]
    before, after = encoder_states(digits, encoder_lr=1e-12, weight_decay=0.0)
    for name in before:
        assert_allclose(before[name], after[name], atol=1e-9)


def test_reconstruction_weight_keeps_the_decoder_in_use(digits):
    X, y, _ = digits

    def error(**params):
        model = quick(head_input="code", max_epochs=60, **params).fit(X, y)
        module = model.net_.module_
        with torch.no_grad():
            x = torch.as_tensor(X).float()
            return float((module.decode(module.encode(x)) - x).square().mean())

    assert error(reconstruction_weight=3.0) < 0.7 * error()


# Labels


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(10),
        np.arange(10) - 5.0,
        np.array([f"digit {i}" for i in range(10)], dtype=object),
        np.arange(10).astype(object),
    ],
    ids=["int", "float", "str", "object"],
)
def test_types_of_labels(labels, digits):
    X, _, true = digits
    y = labels[true]
    if y.dtype.kind == "f":
        labels = labels[labels != -1]
    y[np.arange(300) % 3 > 0] = -1
    model = quick(max_epochs=30).fit(X, y)
    assert_array_equal(model.classes_, labels)
    assert model.predict(X).dtype == model.classes_.dtype
    if y.dtype.kind != "f":
        assert model.n_labelled_ == 100
        reference = quick(max_epochs=30).fit(X, digits[1])
        assert_array_equal(model.predict_proba(X), reference.predict_proba(X))


@pytest.mark.filterwarnings("ignore:y holds -1 and 1 and nothing else:UserWarning")
@pytest.mark.parametrize(
    "labels", [[False, True], ["no", "yes"], [-1, 1], [-1.0, 1.0], [0, 1]]
)
def test_two_classes_and_no_unlabelled_row(labels):
    X, y = load_breast_cancer(return_X_y=True)
    X, y = StandardScaler().fit_transform(X), np.array(labels)[y]
    model = quick(max_epochs=20).fit(X, y)
    assert_array_equal(model.classes_, labels)
    assert model.n_labelled_ == len(X)
    assert model.score(X, y) > 0.93
    scores, probabilities = model.decision_function(X), model.predict_proba(X)
    assert scores.shape == (len(X),) and probabilities.shape == (len(X), 2)
    assert_allclose(1 / (1 + np.exp(-scores)), probabilities[:, 1])


def test_minus_one_beside_a_single_class(digits):
    X, y, _ = digits
    for positive, dtype in [(0, int), (1, object)]:
        one = np.where(y == positive, positive, -1).astype(dtype)
        model = quick().fit(X, one)
        assert list(model.classes_) == [positive]
        assert_array_equal(model.predict(X), np.full(300, positive))
        assert_array_equal(model.predict_proba(X), np.ones((300, 1)))
    with pytest.warns(UserWarning, match=r"taken for two classes.*astype\(object\)"):
        assert list(quick().fit(X, one.astype(int)).classes_) == [-1, 1]


@pytest.mark.parametrize("first", [3, "a"])
def test_labels_of_several_kinds(first, digits):
    y = np.array([first, 3, "a", -1] * 60, dtype=object)
    with pytest.raises(ValueError, match=r"all strings or all numbers.*'int', 'str'"):
        quick().fit(digits[0][: len(y)], y)


TEXTS = {
    "array": np.asarray,
    "object": lambda y: np.array(y, dtype=object),
    "series": pd.Series,
    "object series": lambda y: pd.Series(y, dtype=object),
    "string": lambda y: pd.Series(y, dtype="string"),
    "category": lambda y: pd.Series(y, dtype="category"),
    "polars": pl.Series,
    "list": list,
}


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("mark", ["-1", "-1.0", "nan"])
def test_marks_as_texts(kind, mark, digits):
    y = TEXTS[kind](["zero", mark, "one"] * 100)
    with pytest.raises(ValueError, match=f"string '{mark}'.*with the number -1 or No"):
        quick().fit(digits[0], y)


@pytest.mark.parametrize("kind", [kind for kind in TEXTS if kind != "array"])
@pytest.mark.parametrize("classes", [["a", "b"], [0, 1], [False, True]])
def test_labels_that_are_missing(kind, classes, digits):
    X, _, _ = digits
    if kind == "string" and classes != ["a", "b"]:
        pytest.skip("they are no strings")
    y = np.array(classes, dtype=object)[np.arange(300) % 2]
    expected = quick().fit(X, np.where(np.arange(300) % 3 == 0, y, -1).astype(object))
    y[np.arange(300) % 3 > 0] = None
    model = quick().fit(X, TEXTS[kind](y.tolist()))
    assert model.n_labelled_ == 100
    assert_array_equal(model.classes_, classes)
    assert_array_equal(model.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize(
    "missing", [np.nan, pd.NA, np.ma.masked], ids=["nan", "NA", "masked"]
)
@both
def test_marks_of_what_is_missing(estimator, missing, digits):
    X, _, y = digits
    expected = y.astype(float)
    expected[np.arange(300) % 3 > 0] = np.nan
    given = np.ma.array(y) if missing is np.ma.masked else y.astype(object)
    given[np.arange(300) % 3 > 0] = missing
    model, reference = (quick(estimator).fit(X, labels) for labels in (given, expected))
    assert model.n_labelled_ == reference.n_labelled_ == 100
    assert_array_equal(model.predict(X), reference.predict(X))


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "category"])
@both
def test_columns_of_pandas_with_gaps(estimator, dtype, digits):
    X, _, y = digits
    gaps = pd.Series(y).astype(dtype).mask(np.arange(300) % 3 > 0)
    model = quick(estimator).fit(X, gaps)
    reference = quick(estimator).fit(X, gaps.astype(float).to_numpy())
    assert model.n_labelled_ == 100
    assert_array_equal(model.predict(X), reference.predict(X))


def test_dates_with_gaps(digits):
    X, _, y = digits
    dates = np.datetime64("2020-01-01") + y
    dates[np.arange(300) % 3 > 0] = np.datetime64("NaT")
    model = quick().fit(X, dates)
    assert model.n_labelled_ == 100
    assert_array_equal(model.classes_, np.unique(dates[::3]))


def test_columns_of_labels_warn_where_fit_is_called(digits):
    X, _, y = digits
    with pytest.warns(DataConversionWarning, match="column-vector y") as caught:
        model = quick().fit(X, y[:, None])
    assert [each.filename for each in caught] == [__file__]
    assert_array_equal(model.predict(X), quick().fit(X, y).predict(X))


def test_minus_one_beside_zero_and_one(digits):
    X, y, _ = digits
    y = y % 3 - 1
    for labels in (y, y.astype(float), y.tolist(), pd.Series(y), pl.Series(y)):
        with pytest.warns(UserWarning, match=r"-1, 0 and 1 and nothing else.*object\)"):
            model = quick().fit(X, labels)
        assert_array_equal(model.classes_, [0, 1])
    assert_array_equal(quick().fit(X, y.astype(object)).classes_, [0, 1])


@both
def test_tensors_of_targets(estimator, digits):
    X, _, y = digits
    X, y = torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(y)
    weight = torch.linspace(1, 2, 300)
    expected = quick(estimator).fit(X.numpy(), y.numpy(), weight.numpy())
    for dispatch in (False, True):
        with config_context(array_api_dispatch=dispatch):
            for target in (y, y.float().requires_grad_()):
                model = quick(estimator).fit(X, target, weight)
                assert_array_equal(model.predict(X), expected.predict(X.numpy()))
                assert model.score(X, target, weight) == expected.score(
                    X.numpy(), y.numpy(), weight.numpy()
                )


def test_booleans_beside_unlabelled_rows(digits):
    X, _, y = digits
    marked = np.array([bool(label % 2) for label in y], dtype=object)
    marked[100:] = -1
    model = quick().fit(X, marked)
    assert_array_equal(model.classes_, [False, True])
    assert model.n_labelled_ == 100


@pytest.mark.parametrize("pretrain", [True, False])
@pytest.mark.parametrize(
    "params, message",
    [
        ({"n_components": 0}, "n_components"),
        ({"activation": "foo"}, "activation"),
        ({"loss": "binary_cross_entropy"}, r"values in \[0, 1\]"),
    ],
)
def test_parameters_of_the_pretrainer_are_checked(pretrain, params, message, digits):
    X, _, y = digits
    pretrainer = AutoencoderTransformer(**{"max_epochs": 1, **params})
    model = PretrainedClassifier(pretrainer, pretrain=pretrain, max_epochs=1)
    with pytest.raises(ValueError, match=message):
        model.fit(X * 20, y)


def test_names_of_columns_reach_the_pretrainer(digits):
    X, _, y = digits
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(64)])
    model = quick().fit(frame, y)
    assert list(model.pretrainer_.feature_names_in_) == list(frame.columns)
    model.pretrainer_.transform(frame)  # without a warning


def test_what_is_fixed_in_a_module_stays_so(digits):
    X, _, y = digits

    class PartlyFixed(Own):
        def __init__(self, n_features, n_components):
            super().__init__(n_features, n_components)
            self.to_code.weight.requires_grad_(False)

    pretrainer = AutoencoderTransformer(4, module=PartlyFixed, max_epochs=1)
    model = PretrainedClassifier(pretrainer, head_input="code", max_epochs=3).fit(X, y)
    before, after = model.pretrainer_.module_, model.net_.module_.autoencoder
    assert torch.equal(before.to_code.weight, after.to_code.weight)
    assert any(
        not torch.equal(p, q)
        for p, q in zip(before.parameters(), after.parameters(), strict=True)
    )


def test_cross_validation_with_unlabelled_rows(digits):
    X, _, y = digits
    labelled = np.arange(len(y)) % 2 == 0
    marked = np.where(labelled, y, -1)
    cv = [
        (train, test[labelled[test]])
        for train, test in KFold(3, shuffle=True, random_state=0).split(X)
    ]
    grid = {"dropout": [0.0, 0.3]}
    search = GridSearchCV(quick(max_epochs=40), grid, cv=cv).fit(X, marked)
    assert search.best_score_ > 0.6


def test_class_weight():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    keep = (y == 0) | (np.arange(len(y)) % 15 == 0)
    X, y = X[keep], y[keep]

    def share(**params):
        return np.mean(quick(max_epochs=6, **params).fit(X, y).predict(X))

    assert share(class_weight={0: 1e4}) < share() < share(class_weight={1: 1e4})
    assert share() <= share(class_weight="balanced")
    counts = np.bincount(y)
    by_hand = {label: 1 / counts[label] for label in (0, 1)}
    balanced = quick(class_weight="balanced").fit(X, y).predict_proba(X)
    same_weights = quick(class_weight=by_hand).fit(X, y).predict_proba(X)
    assert_allclose(balanced, same_weights, rtol=1e-4, atol=1e-6)


@both
def test_weight_two_is_the_row_twice(estimator, digits):
    X, y, _ = digits
    y = y if estimator is PretrainedClassifier else np.where(y < 0, np.nan, y)
    weight = np.random.RandomState(0).randint(0, 4, size=len(y))
    order = np.random.RandomState(1).permutation(len(y))
    model = quick(estimator, batch_size=20)
    weighted = clone(model).fit(X, y, sample_weight=weight)
    repeated = clone(model).fit(
        *(each[order].repeat(weight[order], 0) for each in (X, y))
    )
    assert_array_equal(weighted.predict(X), repeated.predict(X))
    assert_array_equal(weighted.transform(X), repeated.transform(X))
    assert weighted.loss_curve_ == repeated.loss_curve_
    plain = clone(model).fit(X, y)
    assert np.abs(plain.transform(X) - weighted.transform(X)).max() > 1e-4


@both
def test_what_a_net_does_not_tell_apart_is_one_row(estimator, digits):
    X, y, _ = digits
    y = y if estimator is PretrainedClassifier else np.where(y < 0, np.nan, y)
    model = quick(estimator)
    expected = clone(model).fit(X, y).transform(X)
    other_signs = np.where((X == 0) & (np.arange(64) % 2 == 0), -0.0, X)
    assert_array_equal(clone(model).fit(other_signs, y).transform(X), expected)
    single = clone(model).fit(X.astype(np.float32), y).transform(X)
    assert_allclose(single, expected, atol=1e-3)
    weight = np.where(np.arange(len(X)) < 60, 2.0, 1.0)
    weighted = clone(model).fit(X, y, sample_weight=weight).transform(X)
    for twin in (other_signs, np.nextafter(X, 1)):
        repeated = clone(model).fit(np.r_[X, twin[:60]], np.r_[y, y[:60]])
        assert_array_equal(repeated.transform(X), weighted)


# Targets of the regressor


def test_units_of_several_targets(diabetes):
    X, y, _ = diabetes
    units = np.array([1e-12, 1, 1e9])
    Y = np.column_stack([y] * 3)
    fitted = [quick(PretrainedRegressor).fit(X, Y * unit) for unit in (1, units)]
    same, other = (model.predict(X) for model in fitted)
    assert_allclose(other / units, same, rtol=0.05)
    Y[:, 1] = np.where(np.isnan(y), np.nan, 1e-36)
    predicted = quick(PretrainedRegressor).fit(X, Y).predict(X)
    assert_array_equal(predicted[:, 1], np.full(len(X), 1e-36, predicted.dtype))
    Y[:, 1] *= 1e-10
    with pytest.raises(ValueError, match=r"y has a target of magnitude up to 1e-46"):
        quick(PretrainedRegressor).fit(X, Y)


def test_several_targets(diabetes):
    X, y, true = diabetes
    Y = np.column_stack([y, 1000 - true])
    model = quick(PretrainedRegressor, max_epochs=30).fit(X, Y)
    assert model.n_labelled_ == np.isfinite(y).sum()  # NaN in one of them is enough
    prediction = model.predict(X)
    assert prediction.shape == Y.shape
    assert abs(prediction.sum(axis=1) - 1000).max() < 200
    column = quick(PretrainedRegressor).fit(X, y[:, None]).predict(X)
    assert_array_equal(column[:, 0], quick(PretrainedRegressor).fit(X, y).predict(X))


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_output_has_the_dtype_of_the_input(estimator, dtype, digits):
    X, _, y = digits
    X = X.astype(dtype)
    model = quick(estimator).fit(X, y)
    assert model.transform(X).dtype == dtype
    if estimator is PretrainedRegressor:
        assert model.predict(X).dtype == dtype
    else:
        assert model.predict_proba(X).dtype == dtype
        assert model.decision_function(X).dtype == dtype


# Early stopping


@both
def test_early_stopping(estimator, digits):
    X, _, y = digits
    model = quick(
        estimator, early_stopping=True, n_iter_no_change=3, max_epochs=300, lr=0.03
    ).fit(X, y)
    assert model.n_iter_ < 300
    curve = model.validation_loss_curve_
    assert len(curve) == model.n_iter_ + 1
    assert min(curve[-3:]) >= min(curve) and np.argmin(curve) == len(curve) - 4
    # Held out: 30 distinct rows.
    assert quick(estimator, early_stopping=True).fit(X, y).n_labelled_ == 300


def test_early_stopping_needs_rows_of_each_class(digits):
    X, y, true = digits
    model = quick(early_stopping=True)
    with pytest.raises(ValueError, match=r"each of the 10 classes.*holds out 4 of 40 "):
        model.fit(X[:40], true[:40])
    lonely = np.where(true == 3, 2, true)
    lonely[7] = 3
    with pytest.raises(ValueError, match=r"the rarest class has 1. Label more rows"):
        model.fit(X, lonely)
    one = np.full(300, np.nan)
    one[0] = 1.0
    with pytest.raises(ValueError, match="holds out 1 of 1 distinct labelled rows"):
        quick(PretrainedRegressor, early_stopping=True).fit(X, one)
    model.set_params(validation_fraction=0.3).fit(X, y)


# scikit-learn


@pytest.mark.parametrize("name", ["freeze_epochs", "pretrainer__n_components"])
def test_grid_search_in_a_pipeline(name, digits):
    X, _, y = digits
    pipeline = make_pipeline(StandardScaler(), quick(max_epochs=15))
    grid = {f"pretrainedclassifier__{name}": [2, 6]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
    assert search.best_score_ > 0.6
    assert search.predict(X).shape == (300,)
    model = search.best_estimator_[-1]
    if name == "pretrainer__n_components":
        assert model.n_components_ == model.pretrainer_.n_components


@both
def test_parameters_are_all_checked_and_described(estimator):
    check_param_validation(estimator.__name__, estimator())
    for name in estimator().get_params():
        assert f"\n    {name} : " in estimator.__doc__, name
    assert not re.search(
        r"\{(parameters|attributes|notes|references|svm)\}", estimator.__doc__
    )


@both
@pytest.mark.parametrize("random_state", [None, 0])
def test_random_states(estimator, random_state, digits):
    X, _, y = digits
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    random.seed(5)

    def states():
        numpy_state = np.random.get_state()  # noqa: NPY002
        return (
            torch.get_rng_state().tolist(),
            [*numpy_state[1].tolist(), *numpy_state[2:]],
            random.getstate(),
        )

    before = states()
    model = quick(estimator, random_state=random_state, early_stopping=True).fit(X, y)
    predictions = model.predict(X)
    copied = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
    for each in copied:
        assert_array_equal(each.predict(X), predictions)
    assert states() == before
    torch.rand(3)
    again = model.fit(X, y).transform(X)
    assert (again == copied[0].transform(X)).all() == (random_state == 0)


def test_a_saved_model_holds_no_rows(digits):
    X, _, y = digits
    pretrainer = autoencoder(init="random", validation_fraction=None)
    models = [quick(pretrainer=pretrainer).fit(X[:n], y[:n]) for n in (100, 300)]
    sizes = [len(pickle.dumps(model)) for model in models]
    assert sizes[1] < sizes[0] + X[:20].nbytes


@both
def test_frames(estimator, digits):
    X, _, y = digits
    frame = pd.DataFrame(X).add_prefix("pixel ")
    model = quick(estimator).set_output(transform="pandas").fit(frame, pd.Series(y))
    assert list(model.transform(frame).columns) == list(model.get_feature_names_out())
    assert list(model.feature_names_in_) == list(frame.columns)
    frozen = FrozenEstimator(autoencoder().fit(frame))
    quick(estimator, pretrainer=frozen).fit(frame, y)
    with pytest.raises(ValueError, match="feature names should match"):
        quick(estimator, pretrainer=frozen).fit(frame.add_prefix("x"), y)


def test_silence_and_progress(digits, capsys):
    X, y, _ = digits
    quick().fit(X, y)
    assert capsys.readouterr() == ("", "")
    quick(verbose=1).fit(X, y)
    shown = capsys.readouterr().out
    assert "PretrainedClassifier: 12 of 12 steps, loss" in shown
    assert "PretrainedClassifier: Trained after 4 epochs on 100 labelled rows" in shown
    quick(verbose=2, early_stopping=True, validation_fraction=0.3).fit(X, y)
    assert "valid_loss" in capsys.readouterr().out


@both
@pytest.mark.parametrize("verbose", [1, 2])
def test_progress_without_a_console(estimator, verbose, digits, monkeypatch):
    X, _, y = digits
    model = quick(estimator, verbose=verbose, pretrainer=autoencoder(verbose=verbose))
    monkeypatch.setattr("sys.stdout", None)
    monkeypatch.setattr("sys.stderr", None)
    assert len(model.fit(X, y).loss_curve_) == 4


def test_arguments_of_the_net(digits):
    X, y, _ = digits
    model = quick(
        head_hidden_layer_sizes=7,
        net_params={"iterator_train__num_workers": 0, "optimizer__betas": (0.8, 0.9)},
    ).fit(X, y)
    assert model.net_.optimizer_.param_groups[0]["betas"] == (0.8, 0.9)
    assert [p.shape[0] for p in model.net_.module_.head.parameters()] == [7, 7, 10, 10]


# Errors


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"pretrainer": StandardScaler()}, "must be an autoencoder of skae"),
        (
            {"pretrainer": AutoencoderTransformer},
            "must be an autoencoder of skae.* Got",
        ),
        (
            {"pretrainer": autoencoder(module=Own)},
            "Own has none. Set head_input='code'",
        ),
        (
            {"pretrainer": autoencoder(hidden_layer_sizes=())},
            "needs an encoder with hidden layers.* Set head_input='code'",
        ),
        ({"freeze": 3}, "freeze=3 is too large.* 2 known hidden layers. Set freeze"),
        ({"head_hidden_layer_sizes": (0,)}, r"must be positive integers.*Got \(0,\)"),
        ({"net_params": {"lr": 1}}, "set the parameter 'lr' of PretrainedClassifier"),
        ({"net_params": {"module": Own}}, "PretrainedClassifier sets it itself"),
        ({"device": "nowhere"}, "device='nowhere' is not available"),
        ({"class_weight": {0: -1.0}}, "no class a negative weight"),
    ],
)
def test_errors_of_parameters(params, match, digits):
    X, y, _ = digits
    with pytest.raises(ValueError, match=match):
        quick(**params).fit(X, y)


def test_errors_of_frozen_pretrainers(digits):
    X, y, _ = digits
    with pytest.raises(NotFittedError, match="AutoencoderTransformer"):
        quick(pretrainer=FrozenEstimator(autoencoder())).fit(X, y)
    fitted = FrozenEstimator(autoencoder().fit(X[:, :10]))
    with pytest.raises(ValueError, match="X has 64 features, but AutoencoderTransform"):
        quick(pretrainer=fitted).fit(X, y)


def test_errors_of_targets(digits):
    X, y, true = digits
    with pytest.raises(ValueError, match=r"None of the 300 rows .* -1 in y marks"):
        quick().fit(X, np.full(300, -1))
    with pytest.raises(ValueError, match=r"None of the 300 rows .* NaN in y marks"):
        quick(PretrainedRegressor).fit(X, np.full(300, np.nan))
    with pytest.raises(ValueError, match=r"None of the 200 rows .* positive weight"):
        quick().fit(X, y, sample_weight=y == -1)
    with pytest.raises(ValueError, match="requires y to be passed, but the target"):
        quick().fit(X, None)
    with pytest.raises(ValueError, match="contains infinity"):
        quick(PretrainedRegressor).fit(X, np.where(true == 0, np.inf, true))
    for unit in (1e300, 1e-300):
        with pytest.raises(ValueError, match=r"magnitude up to 9e[+-].* unit of y"):
            quick(PretrainedRegressor).fit(X, true * unit)


def test_a_rate_that_is_too_high(digits):
    X, y, _ = digits
    with pytest.warns(
        ConvergenceWarning, match=r"not finite in epoch \d+ of 40, at lr"
    ):
        quick(lr=1e30, max_epochs=40, dropout=0.0).fit(X, y)


def test_a_fit_that_fails_leaves_the_earlier_one(digits):
    X, y, truth = digits
    model = quick().fit(X, y)
    before = model.predict(X)
    model.set_params(freeze=7)
    with pytest.raises(ValueError, match="freeze=7"):
        model.fit(X, truth % 2)
    assert_array_equal(model.predict(X), before)


def test_many_classes_need_more_steps(digits):
    X, _, y = digits
    n_steps = []
    for labels in (y, np.arange(300) % 30):
        model = quick(max_epochs="auto", batch_size=30).fit(X, labels)
        n_steps.append(model.n_iter_ * 10)
    assert n_steps == [300, 600]


def test_weight_decay_is_that_of_the_optimizer(digits):
    X, y = digits[0][:100], np.arange(100) % 2
    pretrainer = AutoencoderTransformer(2, max_epochs=1)
    for weight_decay in (0.0, 0.01, 0.5):
        model = PretrainedClassifier(
            pretrainer, weight_decay=weight_decay, max_epochs=1, random_state=0
        ).fit(X, y)
        groups = model.net_.optimizer_.param_groups
        assert {group["weight_decay"] for group in groups} == {weight_decay}
