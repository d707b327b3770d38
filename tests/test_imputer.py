"""The imputer."""

import io
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_wine
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import (
    check_param_validation,
    parametrize_with_checks,
)

import skae
from skae import AutoencoderImputer
from skae.modules import ImputingNetwork
from skae.training import _streaming


@parametrize_with_checks(
    [AutoencoderImputer(max_epochs=5), AutoencoderImputer(hidden_layer_sizes=())]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_parameters_are_all_checked():
    check_param_validation("AutoencoderImputer", AutoencoderImputer())


def test_docstring_describes_every_parameter():
    doc = AutoencoderImputer.__doc__
    for name in AutoencoderImputer().get_params():
        assert (
            f"\n    {name} : " in doc
            or f"\n    {name}, " in doc
            or f", {name} :" in doc
        )


@pytest.fixture
def gaps(curved):
    """Rows with three in ten values missing, and the complete rows."""
    hidden = np.random.RandomState(1).uniform(size=curved.shape) < 0.3
    return np.where(hidden, np.nan, curved), curved


def quick(**params):
    return AutoencoderImputer(**{"max_epochs": 10, "random_state": 0, **params})


def gaussian(**params):
    return AutoencoderImputer(**{"hidden_layer_sizes": (), "random_state": 0, **params})


both = pytest.mark.parametrize("make", [quick, gaussian])


def rmse(imputer, X, complete):
    missing = np.isnan(X)
    return np.sqrt(np.mean((imputer.transform(X) - complete)[missing] ** 2))


# What it fills in


def test_the_network_is_better_than_the_gaussian_and_this_than_the_mean(digits):
    rng = np.random.RandomState(0)
    X, X_new = (
        np.where(rng.uniform(size=rows.shape) < 0.3, np.nan, rows) for rows in digits
    )
    errors = [
        rmse(imputer.fit(X), X_new, digits[1])
        for imputer in (SimpleImputer(), gaussian(), quick(max_epochs=60))
    ]
    assert errors[1] < 0.7 * errors[0]
    assert errors[2] < 0.95 * errors[1]


def test_rows_without_any_value_become_the_mean_row(digits):
    X = np.where(
        np.random.RandomState(0).uniform(size=digits[0].shape) < 0.3, np.nan, digits[0]
    )
    imputer = quick(max_epochs=60).fit(X)
    assert imputer.trust_.any()
    filled = imputer.transform(np.full((1, X.shape[1]), np.nan))
    assert_allclose(filled[0], imputer.mean_, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_gaussian_where_there_is_nothing_to_learn(seed):
    rng = np.random.RandomState(seed)
    complete = rng.normal(size=(300, 8)) @ rng.normal(size=(8, 8))
    X = np.where(rng.uniform(size=complete.shape) < 0.2, np.nan, complete)
    errors = [
        rmse(make(random_state=seed).fit(X), X, complete) for make in (quick, gaussian)
    ]
    assert errors[0] < 1.05 * errors[1]


def test_columns_that_depend_on_one_another_are_filled_exactly():
    rng = np.random.RandomState(0)
    complete = rng.normal(size=(500, 2)) @ rng.normal(size=(2, 5)) * [1, 10, 1, 1e3, 1]
    X = np.where(rng.uniform(size=complete.shape) < 0.1, np.nan, complete)
    filled = gaussian().fit_transform(X)
    few = np.isnan(X).sum(axis=1) <= 2
    error = (filled - complete)[few] / complete.std(axis=0)
    assert np.sqrt(np.mean(error[np.isnan(X[few])] ** 2)) < 0.3


@both
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_observed_values_are_unchanged(make, dtype, gaps):
    X = gaps[0].astype(dtype)
    filled = make().fit_transform(X)
    assert filled.dtype == dtype
    assert np.isfinite(filled).all()
    assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])


@both
def test_complete_rows_are_given_back(make, gaps):
    X, complete = gaps
    imputer = make().fit(X)
    assert_array_equal(imputer.transform(complete), complete)
    assert_array_equal(make().fit_transform(complete), complete)
    assert np.isfinite(make().fit(complete).transform(X)).all()


@both
def test_rows_are_filled_one_by_one(make, gaps):
    X = gaps[0]
    imputer = make().fit(X)
    filled = imputer.transform(X)
    assert_allclose(imputer.transform(X[:7]), filled[:7], rtol=1e-5, atol=1e-6)
    assert_allclose(imputer.transform(X[3:4]), filled[3:4], rtol=1e-5, atol=1e-6)


def test_order_of_columns_permutes_the_result(gaps):
    X = gaps[0]
    order = np.random.RandomState(0).permutation(X.shape[1])
    filled = gaussian().fit_transform(X)
    permuted = gaussian().fit_transform(X[:, order])
    assert_allclose(permuted, filled[:, order], rtol=1e-3, atol=1e-3)


def test_units_of_columns_do_not_matter(gaps):
    X = gaps[0]
    units = np.array([1, 1e3, 1e-3, 1, 1e6, 1])
    for make in (gaussian, quick):
        filled = make().fit_transform(X)
        assert_allclose(make().fit_transform(X * units) / units, filled, atol=0.02)


def test_weight_two_is_the_row_twice(gaps):
    X = gaps[0][:200]
    twice = np.random.RandomState(0).uniform(size=len(X)) < 0.3
    weighted = gaussian().fit(X, sample_weight=1.0 + twice)
    repeated = gaussian().fit(np.concatenate([X, X[twice]]))
    assert_allclose(weighted.covariance_, repeated.covariance_, rtol=1e-3, atol=1e-4)
    assert_allclose(weighted.transform(X), repeated.transform(X), atol=1e-3)
    left_out = gaussian().fit(X, sample_weight=np.where(twice, 0.0, 3.0))
    assert_allclose(
        left_out.transform(X), gaussian().fit(X[~twice]).transform(X), atol=1e-3
    )


@both
def test_rows_without_weight_do_not_count(make, gaps):
    X = gaps[0][:200].copy()
    X[100:, 2] = np.nan
    weight = np.repeat([0.0, 1.0], 100)
    params = {"add_indicator": True, "keep_empty_features": True}
    filled = make(**params).fit(X, sample_weight=weight).transform(X)
    assert np.isfinite(filled).all()
    assert_array_equal(filled[100:, 2], 0)
    indicated = gaussian(**params).fit(X[100:]).transform(X)[:, 6:]
    assert_array_equal(filled[:, 6:], indicated)


@both
def test_same_random_state_gives_the_same_bits(make, gaps):
    X = gaps[0]
    first = make().fit_transform(X)
    torch.rand(3)
    assert_array_equal(make().fit_transform(X), first)


def test_bounds_of_values(gaps):
    X = gaps[0]
    high = np.full(6, np.inf)
    high[2] = 0.1
    imputer = gaussian(min_value=-0.2, max_value=high).fit(X)
    filled = imputer.transform(X)
    missing = np.isnan(X)
    assert filled[missing].min() == -0.2
    assert filled[:, 2][missing[:, 2]].max() == pytest.approx(0.1)
    assert filled[:, 1][missing[:, 1]].max() > 0.1
    assert_array_equal(filled[~missing], X[~missing])


def test_gaussian_alone_does_not_train(gaps):
    imputer = gaussian().fit(gaps[0])
    assert imputer.n_iter_ == imputer.best_epoch_ == 0
    assert_array_equal(imputer.trust_, np.zeros(6))
    assert imputer.covariance_.shape == (6, 6)
    correlation = np.corrcoef(gaps[1].T)
    scale = np.sqrt(imputer.covariance_.diagonal())
    found = imputer.covariance_ / scale / scale[:, None]
    assert_allclose(found, correlation, atol=0.15)
    assert_allclose(imputer.mean_, gaps[1].mean(axis=0), atol=0.1)


def test_trust_is_of_columns(gaps):
    imputer = quick(max_epochs=40).fit(gaps[0])
    assert imputer.best_epoch_ > 0
    assert imputer.trust_.shape == (6,)
    assert 0 <= imputer.trust_.min() <= imputer.trust_.max() <= 1
    assert imputer.trust_.max() > 0.2
    last = quick(validation_fraction=None).fit(gaps[0])
    assert_array_equal(last.trust_, np.ones(6))


def test_passes_of_the_network(gaps):
    X = gaps[0]
    filled = [quick(n_passes=n, max_epochs=40).fit_transform(X) for n in (1, 2)]
    assert np.isfinite(filled[1]).all()
    assert np.abs(filled[1] - filled[0]).max() > 1e-3
    module = ImputingNetwork(6, hidden_layer_sizes=(8,), n_passes=2)
    module.fill.set(np.zeros(6), np.eye(6))
    torch.nn.init.normal_(module.layers[-1].weight)
    x = torch.tensor(X, dtype=torch.float32)
    there = ~x.isnan()
    assert torch.equal(module(x)[there], x[there])


def test_a_table_of_few_rows_is_filled_by_the_gaussian(gaps):
    X = gaps[0][:40]
    imputer = quick().fit(X)
    assert imputer.best_epoch_ == 0
    assert_allclose(imputer.transform(X), gaussian().fit_transform(X), atol=1e-4)


# What stands for a missing value


@both
def test_a_number_marks_missing_values(make, gaps):
    X = gaps[0]
    expected = make().fit_transform(X)
    marked = np.where(np.isnan(X), -99, X)
    imputer = make(missing_values=-99)
    assert_array_equal(imputer.fit_transform(marked), expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("mark", [np.float64(0.1), -(2**63), 1e37, -1.7e308, np.inf])
def test_any_number_marks_missing_values(mark, dtype, gaps):
    X = gaps[0].astype(dtype)
    expected = gaussian().fit_transform(X)
    with np.errstate(over="ignore"):
        marked = np.where(np.isnan(X), mark, X).astype(dtype)
    imputer = gaussian(missing_values=mark)
    assert_array_equal(imputer.fit_transform(marked), expected)
    assert_allclose(imputer.transform(marked[:1]), expected[:1], atol=1e-5)


def test_a_table_of_integers(gaps):
    X = np.rint(np.nan_to_num(10 * gaps[0], nan=-1000)).astype(int)
    filled = gaussian(missing_values=-1000).fit_transform(X)
    assert filled.dtype == np.float64
    assert_array_equal(filled[X != -1000], X[X != -1000])
    assert filled.min() > -100


@pytest.mark.parametrize("missing_values", [np.nan, None, pd.NA])
@pytest.mark.parametrize("mark", [np.nan, None, pd.NA])
def test_nan_none_and_na_are_the_same(missing_values, mark, gaps):
    X = gaps[0][:100]
    objects = X.astype(object)
    objects[np.isnan(X)] = mark
    imputer = gaussian(missing_values=missing_values)
    expected = gaussian().fit_transform(X)
    for rows in (objects, objects.tolist(), pd.DataFrame(objects)):
        assert_array_equal(np.asarray(imputer.fit_transform(rows)), expected)


def test_frames_with_nullable_columns(gaps):
    X = pd.DataFrame(gaps[0][:100]).add_prefix("c")
    expected = gaussian().fit_transform(X)
    assert_array_equal(gaussian().fit_transform(X.convert_dtypes()), expected)
    polars = pl.DataFrame(gaps[0][:100], schema=list(X.columns)).fill_nan(None)
    assert_array_equal(gaussian().fit_transform(polars), expected)


@pytest.mark.parametrize(
    "library, frame", [("pandas", pd.DataFrame), ("polars", pl.DataFrame)]
)
def test_frames_in_and_out(library, frame, gaps):
    names = [f"c{i}" for i in range(6)]
    X = frame(gaps[0], **{"columns" if library == "pandas" else "schema": names})
    imputer = gaussian(add_indicator=True).set_output(transform=library)
    filled = imputer.fit_transform(X)
    assert isinstance(filled, frame)
    indicators = [f"missingindicator_{name}" for name in names]
    assert list(filled.columns) == names + indicators


# Columns and rows without values


def test_empty_columns_are_dropped_or_kept(gaps):
    X = np.insert(gaps[0], 2, np.nan, axis=1)
    X_new = X.copy()
    X_new[0, 2] = 5
    imputer = gaussian().fit(X)
    with pytest.warns(UserWarning, match=r"without any value in fit are dropped: 2\."):
        filled = imputer.transform(X_new)
    assert_array_equal(filled, gaussian().fit_transform(gaps[0]))
    assert list(imputer.get_feature_names_out()) == ["x0", "x1", "x3", "x4", "x5", "x6"]
    assert imputer.mean_.shape == (6,)
    kept = gaussian(keep_empty_features=True).fit(X).transform(X_new)
    assert_array_equal(np.delete(kept, 2, axis=1), filled)
    assert_array_equal(kept[:, 2], [5] + [0] * 399)


def test_a_column_or_row_all_missing_in_transform_is_filled(gaps):
    X = gaps[0]
    imputer = gaussian().fit(X)
    X_new = X[:20].copy()
    X_new[:, 1] = np.nan
    X_new[3] = np.nan
    filled = imputer.transform(X_new)
    assert np.isfinite(filled).all()
    assert_allclose(filled[3], imputer.mean_, rtol=1e-5, atol=1e-6)


def test_rows_without_values_do_not_count(gaps):
    X = gaps[0]
    with_empty = np.insert(X, [0, 50], np.nan, axis=0)
    weight = np.insert(np.ones(400), [0, 50], 7)
    expected = gaussian().fit(X).transform(X)
    assert_array_equal(gaussian().fit(with_empty).transform(X), expected)
    weighted = gaussian().fit(with_empty, sample_weight=weight)
    assert_allclose(weighted.transform(X), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 3), (50, 1), (2, 2)])
def test_tiny_tables(shape):
    X = np.random.RandomState(0).normal(size=shape)
    assert_array_equal(quick().fit_transform(X), X)
    if len(X) > 1:
        X[0, 0] = np.nan
        filled = quick().fit_transform(X)
        assert np.isfinite(filled).all()


def test_constant_columns(gaps):
    X = gaps[0].copy()
    X[:, 3] = np.where(np.isnan(X[:, 3]), np.nan, 7.5)
    filled = quick().fit_transform(X)
    assert_allclose(filled[:, 3], 7.5, rtol=1e-4)


def test_indicator(gaps):
    X = gaps[0]
    filled = gaussian(add_indicator=True).fit_transform(X)
    assert_array_equal(filled[:, 6:], MissingIndicator().fit_transform(X))


# Errors


@pytest.mark.parametrize(
    "change, match",
    [
        (lambda X: np.where(np.isnan(X), np.inf, X), "contains infinity"),
        (lambda X: np.vstack([X, np.full(6, np.inf)]), "contains infinity"),
        (lambda X: np.full((5, 3), np.nan), "X has no value in its"),
    ],
)
def test_rows_that_are_refused(change, match, gaps):
    with pytest.raises(ValueError, match=match):
        gaussian().fit(change(gaps[0]))


@pytest.mark.parametrize(
    "params, match",
    [
        ({"missing_values": -1}, "contains NaN.*missing_values=-1"),
        ({"min_value": 1, "max_value": 0}, "min_value must be lower than max_value"),
        ({"max_value": [1, 2]}, "max_value must be a number, or one for each of the 6"),
        ({"optimizer": "lbfgs"}, "lbfgs"),
        ({"missing_values": "?"}, "missing_values"),
        ({"net_params": {"criterion": torch.nn.L1Loss}}, "may not contain 'criterion'"),
    ],
)
def test_parameters_that_are_refused(params, match, gaps):
    with pytest.raises(ValueError, match=match):
        gaussian(**params).fit(gaps[0])


def test_weights_with_gaps_are_refused(gaps):
    weight = np.ones(400)
    weight[3] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        gaussian().fit(gaps[0], sample_weight=weight)


# Scores


def test_score_is_of_hidden_values(gaps):
    X, complete = gaps
    scores = [make().fit(X).score(X) for make in (gaussian, quick)]
    assert 0.3 < min(scores) < 1
    imputer = gaussian().fit(X)
    assert imputer.score(X) == imputer.score(X)
    assert imputer.score(X * [1, 1, 1, 1, 1, 1]) == imputer.score(X)
    assert 0.3 < imputer.score(complete) < 1  # hides some itself
    noise = np.random.RandomState(0).normal(size=(400, 6))
    assert gaussian().fit(noise).score(noise) < 0.1


def test_grid_search(gaps):
    search = GridSearchCV(quick(), {"hidden_layer_sizes": [(), (64,)]}, cv=2)
    search.fit(gaps[0])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    pipeline = make_pipeline(StandardScaler(), gaussian())
    assert np.isfinite(pipeline.fit(gaps[0]).score(gaps[0]))


# Files


def saved(imputer):
    file = io.BytesIO()
    skae.save(imputer, file)
    file.seek(0)
    return skae.load(file)


@pytest.mark.parametrize("copied", [saved, lambda m: pickle.loads(pickle.dumps(m))])
@both
def test_copies(make, copied, gaps):
    X = np.insert(gaps[0], 2, np.nan, axis=1)
    imputer = make(add_indicator=True, keep_empty_features=True).fit(X)
    twin = copied(imputer)
    assert_array_equal(twin.transform(X), imputer.transform(X))
    assert_array_equal(twin.trust_, imputer.trust_)
    assert list(twin.get_feature_names_out()) == list(imputer.get_feature_names_out())


def test_a_pickle_holds_no_rows(gaps):
    X = gaps[0]
    sizes = [
        len(pickle.dumps(quick(validation_fraction=None).fit(rows)))
        for rows in (X, np.tile(X, (20, 1)))
    ]
    assert sizes[1] < sizes[0] + X.nbytes


@pytest.mark.parametrize("keep", [False, True])
def test_onnx(keep, gaps):
    onnxruntime = pytest.importorskip("onnxruntime")
    X = np.insert(gaps[0], 2, np.nan, axis=1).astype(np.float32)
    X[3] = np.nan
    imputer = quick(add_indicator=True, keep_empty_features=keep, max_value=0.5)
    imputer.fit(X)
    model = skae.to_onnx(imputer)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {"X": X})
    if keep:
        expected = imputer.transform(X)
    else:
        with pytest.warns(UserWarning, match="dropped"):
            expected = imputer.transform(X)
    assert_allclose(found, expected, atol=1e-4)


def test_skl2onnx(gaps):
    skl2onnx = pytest.importorskip("skl2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    skae.register_onnx_converters()
    X = gaps[0].astype(np.float32)
    pipeline = make_pipeline(quick(), StandardScaler()).fit(X)
    model = skl2onnx.to_onnx(pipeline, X[:1])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {"X": X})
    assert_allclose(found, pipeline.transform(X), atol=1e-4)


def test_summary_and_verbose(gaps, capsys):
    imputer = quick(early_stopping=False, verbose=1).fit(gaps[0])
    assert "AutoencoderImputer: Trained after 10 epochs" in capsys.readouterr().out
    assert "6 columns" in imputer.summary()
    assert not hasattr(imputer, "encoder_module_")


def test_wine_is_filled_better_than_by_means():
    complete = load_wine().data
    hidden = np.random.RandomState(0).uniform(size=complete.shape) < 0.3
    X = np.where(hidden, np.nan, complete)
    scale = complete.std(axis=0)

    def error(imputer):
        return np.mean(((imputer.fit_transform(X) - complete) / scale)[hidden] ** 2)

    assert error(quick()) < 0.9 * error(SimpleImputer())


@pytest.mark.parametrize("marker", [np.nan, -99.0])
@both
def test_tables_that_are_read_block_by_block(make, marker, gaps, monkeypatch, tmp_path):
    observed = ~np.isnan(gaps[0])
    observed[[0, 7]] = False
    X = np.where(observed, gaps[0], marker)
    path = tmp_path / "rows.npy"
    np.save(path, X)
    in_memory = make(missing_values=marker).fit_transform(X)
    monkeypatch.setattr(_streaming, "DENSE_BYTES", 0)
    monkeypatch.setattr(_streaming, "BLOCK_BYTES", 2**13)
    mapped = np.load(path, mmap_mode="r")
    filled = make(missing_values=marker).fit_transform(mapped)
    assert_array_equal(filled[observed], X[observed])
    assert_allclose(filled, in_memory, atol=0.5)
