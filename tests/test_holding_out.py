"""Which rows are held out: no copy of a row, and no group, is on both sides."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from estimators import BECOMES_PCA, ESTIMATORS, OF_NUMBERS, quick
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import set_config
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import resample
from sklearn.utils.random import sample_without_replacement
from skorch.callbacks import Callback

import skae
from skae import (
    AutoencoderTransformer,
    PretrainedClassifier,
    PretrainedRegressor,
    RecurrentAutoencoder,
)
from skae.training import (
    LargeTable,
    Table,
    _streaming,
    hold_out,
    is_better,
    spread_sample,
)

every_estimator = pytest.mark.parametrize("estimator", ESTIMATORS)


class Sides(Callback):
    """Note the rows of both sides when training begins."""

    runs_ = ()

    def on_train_begin(self, net, X, y, **kwargs):
        valid = net.train_split.keywords["valid_ds"]
        self.runs_ = [*self.runs_, [self.rows_of(side) for side in (X, valid.X)]]

    @staticmethod
    def rows_of(side):
        # A denoiser has noisy and clean rows, a classifier rows and targets.
        rows = side[side[0].shape == side[1].shape] if isinstance(side, tuple) else side
        return rows[:].numpy()


def sides(model, X, y=None, **metadata):
    """Give training rows and validation rows of each phase of a fit that has rows."""
    seen = Sides()
    clone(model).set_params(callbacks=[seen]).fit(X, y, **metadata)
    # The activations of hidden layers have other widths.
    runs = [run for run in seen.runs_ if run[0].shape[1] == 6]
    assert runs
    return runs


def shares_rows(X, Y):
    return bool({row.tobytes() for row in X + 0} & {row.tobytes() for row in Y + 0})


@pytest.fixture
def copies():
    """130 distinct rows that come one to five times, some with another sign of zero."""
    rng = np.random.RandomState(0)
    X = np.round(3 * rng.normal(size=(130, 6))) / 3
    X = X.repeat(rng.randint(1, 6, size=130), axis=0)
    X = X[rng.permutation(len(X))]
    return np.where((X == 0) & (rng.rand(*X.shape) < 0.5), -0.0, X)


@pytest.mark.parametrize("estimator", OF_NUMBERS)
@pytest.mark.parametrize("init", ["auto", "random"])
@pytest.mark.parametrize("kind", ["array", "float32", "file", "csr"])
@pytest.mark.filterwarnings(BECOMES_PCA)
def test_copies_are_on_one_side(estimator, init, kind, copies, tmp_path, monkeypatch):
    X = copies
    if kind in ("file", "csr"):
        monkeypatch.setattr(_streaming, "DENSE_BYTES", 0)
        monkeypatch.setattr(_streaming, "SPARSE_BYTES", 0)
    if kind == "file":
        np.save(tmp_path / "X.npy", X)
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
    elif kind == "csr":
        X = sp.csr_matrix(X)
    elif kind == "float32":
        X = X.astype(np.float32)
    model = quick(estimator, init=init, max_epochs=1, early_stopping=init == "random")
    for train, valid in sides(model, X):
        # Of noisy rows there are many; the clean ones are the same.
        valid = np.unique(valid + 0, axis=0)
        assert len(valid) == 13  # a tenth of the distinct rows
        assert not shares_rows(train, valid)
        assert len(train) == sum(
            (valid != row).any(axis=1).all() for row in copies.astype(np.float32)
        )


@pytest.mark.filterwarnings(BECOMES_PCA)
def test_copies_of_series_that_end_are_on_one_side():
    rng = np.random.RandomState(0)
    series = [rng.normal(size=(rng.randint(1, 4), 2)) for _ in range(120)]
    model = quick(RecurrentAutoencoder, max_epochs=1, hidden_size=3)
    ((train, valid),) = sides(model, series * 3)
    assert len(valid) == 12 and len(train) == 3 * 108
    assert not shares_rows(np.nan_to_num(train, nan=99), np.nan_to_num(valid, nan=99))


def test_noise_that_comes_more_than_once_is_given_pca():
    rng = np.random.RandomState(0)
    X, X_new = rng.normal(size=(150, 20)), rng.normal(size=(500, 20))
    model = AutoencoderTransformer(4, lr=0.01, max_epochs=10, random_state=0)
    for table in (X.repeat(2, axis=0), resample(X, n_samples=450, random_state=0)):
        model.fit(table)
        assert model.n_iter_ == 10 and model.best_epoch_ == 0
        pca = PCA(4).fit(table)
        assert_allclose(model.transform(X_new), pca.transform(X_new), atol=1e-4)
        # Rows that were trained on are reconstructed much better.
        with pytest.warns(UserWarning, match="100% of the rows of X_val"):
            assert model.fit(table, X_val=table).best_epoch_ > 0


@every_estimator
def test_too_few_distinct_rows_are_not_enough(estimator):
    X = np.random.RandomState(0).normal(size=(60, 4)).repeat(4, axis=0)
    model = quick(estimator)
    if estimator not in (skae.ConvAutoencoder, skae.SparseAutoencoder):
        model.fit(X)
    else:
        with pytest.warns(match="X has 60 distinct rows, too few to hold out 10"):
            model.fit(X)
    assert model.n_iter_ == 0


def test_a_fraction_that_leaves_too_few_distinct_rows():
    X = np.random.RandomState(0).normal(size=(200, 4)).repeat(3, axis=0)
    model = AutoencoderTransformer(validation_fraction=0.04)
    with pytest.raises(ValueError, match=r"leaves 8 of the 200 distinct rows.* 0\.05 "):
        model.fit(X)


def test_tables_without_copies_are_split_as_ever(curved):
    options = {"fraction": 0.1, "needed": 10, "seed": 3}
    split = hold_out(Table(curved), **options)
    index = np.sort(spread_sample(curved, 40, 3))
    assert_array_equal(split.valid.inputs[:], curved[index])
    assert_array_equal(split.train.inputs, np.delete(curved, index, axis=0))
    assert split.train.weight is split.valid.weight is split.valid.groups is None
    split = hold_out(Table(LargeTable(curved)), **options)
    index = np.sort(sample_without_replacement(400, 40, random_state=3))
    assert_array_equal(split.valid.inputs[:], curved[index])
    assert_array_equal(split.train.inputs[:], np.delete(curved, index, axis=0))


def test_copies_and_weights_are_held_out_alike(curved):
    weight = np.random.RandomState(0).randint(1, 4, size=len(curved))
    number = np.arange(len(curved)).repeat(weight)
    options = {"fraction": 0.1, "needed": 10, "seed": 3}
    weighted = hold_out(Table(curved, weight=weight / weight.mean()), **options)
    repeated = hold_out(Table(curved[number]), **options)
    assert_array_equal(weighted.valid.inputs[:], repeated.valid.inputs[:])
    assert_allclose(weighted.valid.weight, repeated.valid.weight)
    assert_allclose(weighted.train.weight.sum(), len(weighted.train))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments_of_all_rows_are_pooled_from_training_and_validation_rows(
    dtype, weighted
):
    X = load_digits().data.astype(dtype)
    X = np.concatenate([X, X[:300]])
    weight = np.random.RandomState(0).uniform(0.5, 3, len(X)) if weighted else None
    split = hold_out(Table(X, weight=weight), fraction=0.1, needed=10, seed=3)
    pooled = split.whole(Table(X, weight=weight))
    columns, covariance = pooled.columns, pooled.covariance
    assert_allclose(columns.mean, np.average(X, axis=0, weights=weight), atol=1e-5)
    expected = np.cov(X.astype(float), rowvar=False, ddof=0, aweights=weight)
    tolerance = 1e-5 if dtype == np.float32 else 1e-11
    assert_allclose(covariance, expected, atol=tolerance * expected.max())
    assert_allclose(columns.variance, np.diag(expected), atol=1e-10)
    constant = np.ptp(X, axis=0) == 0
    assert constant.any() and (columns.variance[constant] == 0).all()


def test_weight_two_is_the_row_twice_with_validation_rows(curved):
    weight = np.random.RandomState(0).randint(1, 4, size=len(curved)).astype(float)

    def fit(X, sample_weight=None):
        return AutoencoderTransformer(
            2,
            init="random",
            optimizer="sgd",
            batch_size=10_000,
            max_epochs=9,
            random_state=0,
        ).fit(X, sample_weight=sample_weight)

    weighted, repeated = fit(curved, weight), fit(curved.repeat(weight.astype(int), 0))
    assert_allclose(
        weighted.validation_loss_curve_, repeated.validation_loss_curve_, rtol=1e-4
    )
    assert weighted.best_epoch_ == repeated.best_epoch_


def test_copies_are_no_further_evidence():
    rng = np.random.RandomState(0)
    start = rng.chisquare(3, size=12)
    losses = start * np.exp(rng.normal(-0.2, 0.3, size=12))
    groups = np.arange(12)
    one = is_better(losses, start), is_better(losses, start, None, groups)
    many = is_better(np.tile(losses, 9), np.tile(start, 9), None, np.tile(groups, 9))
    assert one == (False, False) and not many
    assert is_better(np.tile(losses, 9), np.tile(start, 9))


# Groups


@pytest.fixture
def patients(curved):
    """Labels of 40 groups of unequal sizes, for the rows of `curved`."""
    labels = np.random.RandomState(0).geometric(0.1, size=len(curved)).clip(max=40)
    return np.array([f"patient {label}" for label in labels])


@pytest.mark.parametrize("estimator", OF_NUMBERS)
@pytest.mark.filterwarnings(BECOMES_PCA)
def test_groups_are_on_one_side(estimator, curved, patients):
    curved = curved.astype(np.float32)
    group = {row.tobytes(): label for row, label in zip(curved, patients, strict=True)}
    for train, valid in sides(quick(estimator, max_epochs=1), curved, groups=patients):
        of_train, of_valid = (
            {group[row.tobytes()] for row in X} for X in (train, valid)
        )
        assert not of_train & of_valid
        n_valid = len(np.unique(valid, axis=0))
        assert len(train) + n_valid == 400 and 40 <= n_valid < 150


def test_groups_of_any_labels(curved, patients):
    model = AutoencoderTransformer(2, init="random", max_epochs=2, random_state=0)
    expected = model.fit(curved, groups=patients).transform(curved)
    _, number = np.unique(patients, return_inverse=True)
    for groups in (
        list(patients),
        pd.Series(patients, dtype="category"),
        patients.astype(object),
        number,
        number - 1e9,
    ):
        assert_array_equal(model.fit(curved, groups=groups).transform(curved), expected)
    other = model.fit(curved).transform(curved)
    assert np.abs(other - expected).max() > 1e-3


@pytest.mark.parametrize("large", [False, True])
def test_rows_with_copies_in_other_groups_train(large, curved):
    # A row that all have, such as an empty one, does not make one group of them.
    X = np.where(np.arange(400)[:, None] % 4 == 0, 0, curved)
    groups = np.arange(400) // 20
    split = hold_out(
        Table(LargeTable(X) if large else X, groups=groups),
        fraction=0.1,
        needed=10,
        seed=0,
    )
    train = split.train.inputs[:]
    valid = split.valid.inputs[:]
    assert (train == 0).all(axis=1).sum() == 100
    assert len(valid) == 30 and not shares_rows(train, valid)
    assert split.valid.groups is None  # two are too few to compare


def test_a_group_of_most_rows_trains(curved):
    groups = np.r_[np.zeros(350, int), 1 + np.arange(50) // 2]
    for seed in range(20):
        split = hold_out(
            Table(curved, groups=groups), fraction=0.1, needed=10, seed=seed
        )
        assert len(split.train.inputs) >= 350
        assert len(np.unique(split.valid.groups)) == len(split.valid.inputs) / 2 >= 20
    # Nor are all of the groups held out.
    halves = Table(curved, groups=np.arange(400) % 2)
    split = hold_out(halves, fraction=0.9, needed=10, seed=0)
    assert len(split.train.inputs) == len(split.valid.inputs) == 200


def test_near_copies_defeat_the_floor_but_for_groups():
    rng = np.random.RandomState(0)
    number = np.arange(150).repeat(4)
    X = rng.normal(size=(150, 20))[number] + 0.01 * rng.normal(size=(600, 20))
    model = AutoencoderTransformer(4, lr=0.01, max_epochs=10, random_state=0)
    assert model.fit(X).best_epoch_ > 0
    assert model.fit(X, groups=number).best_epoch_ == 0


def test_groups_of_rows_of_weight_zero_are_left_out(curved, patients):
    weight = (np.arange(400) % 3 > 0).astype(float)
    model = AutoencoderTransformer(2, max_epochs=2, random_state=0)
    with_zeros = model.fit(curved, groups=patients, sample_weight=weight)
    codes, counts = with_zeros.transform(curved), weight > 0
    without = model.fit(curved[counts], groups=patients[counts])
    assert_array_equal(without.transform(curved), codes)


def test_groups_pass_through_a_pipeline(curved, patients):
    model = AutoencoderTransformer(2, max_epochs=2, random_state=0)
    alone = clone(model).fit(StandardScaler().fit_transform(curved), groups=patients)
    pipeline = make_pipeline(StandardScaler(), clone(model))
    pipeline.fit(curved, autoencodertransformer__groups=patients)
    assert pipeline[-1].validation_loss_curve_ == alone.validation_loss_curve_
    set_config(enable_metadata_routing=True)
    try:
        model = clone(model).set_fit_request(groups=True)
        pipeline = make_pipeline(StandardScaler(), model).fit(curved, groups=patients)
    finally:
        set_config(enable_metadata_routing=False)
    assert pipeline[-1].validation_loss_curve_ == alone.validation_loss_curve_


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.arange(399), r"each of the 400 rows of X. Got an array of shape \(399,\)"),
        (np.ones((400, 2)), r"Got an array of shape \(400, 2\)"),
        (3, r"Got an array of shape \(\)"),
        (np.zeros(400), "groups has only one group.*Pass two"),
        (np.r_[np.nan, np.arange(399)], "groups has no label in row 0"),
        ([*"ab" * 199, "a", None], "groups has no label in row 399"),
        (pd.Series([1, pd.NA] * 200, dtype="Int64"), "no label in row 1"),
        (["a", 1] * 200, None),
        (np.array(["a", 1] * 200, dtype=object), r"one type.*\['int', 'str'\]"),
    ],
)
def test_groups_that_are_none(groups, message, curved):
    model = AutoencoderTransformer(max_epochs=1)
    if message is None:  # numpy makes texts of them
        model.fit(curved, groups=groups)
        return
    with pytest.raises(ValueError, match=message):
        model.fit(curved, groups=groups)


# Validation rows of the user


def test_validation_rows_that_are_training_rows(curved):
    model = AutoencoderTransformer(2, max_epochs=1)
    with pytest.warns(UserWarning, match="60% of the rows of X_val are also rows of X"):
        model.fit(curved[:300], X_val=curved[240:340])
    model.fit(curved[:300], X_val=curved[270:370])
    with pytest.raises(ValueError, match="X_val has 9 distinct rows; at least 10"):
        model.fit(curved[:300], X_val=curved[300:309].repeat(5, axis=0))
    few = curved[300:312]
    model = AutoencoderTransformer(2, max_epochs=5, random_state=0)
    curve = model.fit(curved[:300], X_val=few).validation_loss_curve_
    model.fit(curved[:300], X_val=few.repeat(5, axis=0))
    assert_allclose(model.validation_loss_curve_, curve, rtol=1e-5)


# Supervised


@pytest.mark.parametrize("estimator", [PretrainedClassifier, PretrainedRegressor])
def test_rows_with_several_targets_are_on_one_side(estimator, curved):
    X = curved[:200].repeat(2, axis=0)
    y = np.tile([0, 1], 200)
    model = estimator(
        AutoencoderTransformer(2, max_epochs=1),
        early_stopping=True,
        max_epochs=1,
        random_state=0,
    )
    ((train, valid),) = sides(model, X, y)
    assert len(train) == 360 and len(valid) == 40 and not shares_rows(train, valid)
