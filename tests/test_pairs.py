"""DenoisingAutoencoder fitted to pairs of rows, and `y` in all other autoencoders."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import torch
from estimators import BECOMES_PCA, OF_NUMBERS, quick
from modules_for_tests import Own
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import (
    AutoencoderTransformer,
    ConvAutoencoder,
    DenoisingAutoencoder,
    RecurrentAutoencoder,
)
from skae.training import _streaming


def fit(X, y=None, *, X_val=None, y_val=None, sample_weight=None, **params):
    params = {"random_state": 0, "max_epochs": 2, "hidden_layer_sizes": 16, **params}
    model = DenoisingAutoencoder(**params)
    return model.fit(X, y, sample_weight, X_val=X_val, y_val=y_val)


def linear(X, y, **params):
    """A fitted denoiser that was not trained."""
    return fit(X, y, hidden_layer_sizes=(), **params)


def curved_pairs(seed=0, n_rows=1500):
    """Noisy and clean rows: 10 columns, two nonlinear degrees of freedom."""
    rng = np.random.default_rng(seed)
    t = rng.uniform(-2, 2, size=(n_rows, 2))
    clean = np.sin(1.5 * t @ rng.normal(size=(2, 10)))
    return clean + 0.4 * rng.normal(size=clean.shape), clean


def error(X_hat, X):
    return ((X_hat - X) ** 2).mean()


@pytest.fixture(scope="module")
def pairs():
    """Noisy and clean rows of 10 columns, 400 of each."""
    return curved_pairs(n_rows=400)


# The start, and what is learned


def test_pairs_are_learned_better_than_by_a_linear_map():
    ratios = []
    for seed in range(3):
        noisy, clean = curved_pairs(seed)
        train, test = slice(1000), slice(1000, None)
        model = fit(
            noisy[train],
            clean[train],
            max_epochs=20,
            hidden_layer_sizes=(64, 64),
            random_state=seed,
        )
        reference = LinearRegression().fit(noisy[train], clean[train])
        found, linear_error = (
            error(X_hat, clean[test])
            for X_hat in (
                model.reconstruct(noisy[test]),
                reference.predict(noisy[test]),
            )
        )
        assert found < 1.01 * linear_error
        ratios.append(found / linear_error)
        assert model.net_.noise_ is None
    assert np.mean(ratios) < 0.92


@pytest.mark.parametrize("unit", [1, 1e-3, 255])
@pytest.mark.parametrize("weighted", [False, True])
def test_start_is_the_least_squares_of_the_pairs(unit, weighted, pairs):
    noisy, clean = pairs
    clean = clean @ np.random.default_rng(0).normal(size=(10, 10)) * unit + 3 * unit
    weight = np.random.default_rng(1).integers(0, 4, 400) if weighted else None
    model = linear(noisy, clean, sample_weight=weight)
    expected = LinearRegression().fit(noisy, clean, weight).predict(noisy)
    assert_allclose(model.reconstruct(noisy), expected, atol=1e-4 * unit, rtol=1e-4)
    assert model.n_iter_ == model.best_epoch_ == 0


def test_narrow_start_is_the_best_map_of_its_rank(pairs):
    noisy, clean = pairs
    model = linear(noisy, clean, n_components=3)
    full = LinearRegression().fit(noisy, clean).predict(noisy)
    mean = full.mean(axis=0)
    _, _, axes = np.linalg.svd(full - mean, full_matrices=False)
    expected = mean + (full - mean) @ axes[:3].T @ axes[:3]
    assert_allclose(model.reconstruct(noisy), expected, atol=1e-4)
    assert model.transform(noisy).shape == (400, 3)


def test_tied_start_is_the_best_symmetric_map(pairs):
    noisy, clean = pairs
    model = linear(noisy, clean, tied_weights=True)
    best = error(LinearRegression().fit(noisy, clean).predict(noisy), clean)
    assert best <= error(model.reconstruct(noisy), clean) < 1.1 * best


@pytest.mark.parametrize("n_rows", [20, 60, 99])
@pytest.mark.parametrize("level", [0.05, 0.4])
@pytest.mark.parametrize("shift", [0, 8])
def test_few_pairs_are_given_the_best_linear_map(n_rows, level, shift, digits):
    rng = np.random.default_rng(n_rows)
    clean = np.vstack(digits)
    noisy = clean + level * rng.normal(size=clean.shape)
    clean = np.roll(clean, shift, axis=1)  # no longer near the noisy rows
    model = fit(noisy[:n_rows], clean[:n_rows])
    ridge = RidgeCV(np.logspace(-3, 4, 15)).fit(noisy[:n_rows], clean[:n_rows])
    test = slice(n_rows, None)
    found = error(model.reconstruct(noisy[test]), clean[test])
    assert model.best_epoch_ == model.n_iter_ == 0
    assert found < 1.1 * error(ridge.predict(noisy[test]), clean[test])
    assert shift or found < 1.1 * error(noisy[test], clean[test])


def test_few_wide_pairs_work_in_the_space_of_both(monkeypatch):
    # Targets lie in other directions than the rows that they belong to.
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 3))
    noisy, clean = (z @ rng.normal(size=(3, 200)) for _ in range(2))
    noisy += 0.1 * rng.normal(size=noisy.shape)
    monkeypatch.setattr("skae.training._linear_denoiser.WIDE", 100)
    model = linear(noisy[:40], clean[:40])
    assert model.n_components_ == 40
    assert model.score(noisy[40:], clean[40:]) > 0.98


@pytest.mark.parametrize("n_rows", [1, 2, 5])
@pytest.mark.parametrize("constant", ["X", "y"])
def test_degenerate_pairs(n_rows, constant, pairs):
    noisy, clean = (part[:n_rows].copy() for part in pairs)
    (noisy if constant == "X" else clean)[:] = 2.0
    model = fit(noisy, clean)
    assert_allclose(model.reconstruct(noisy).mean(axis=0), clean.mean(axis=0), atol=0.1)


def test_pairs_of_one_column(pairs):
    noisy, clean = (part[:, :1] for part in pairs)
    model = linear(noisy, clean)
    expected = LinearRegression().fit(noisy, clean)
    assert model.score(noisy, clean) == pytest.approx(expected.score(noisy, clean))


@pytest.mark.parametrize(("a", "b", "c", "d"), [(255, -9, 1, 0), (1, 0, 1000, 50)])
def test_units_of_rows_and_targets_are_free(a, b, c, d, pairs):
    noisy, clean = pairs
    params = {"max_epochs": 20, "init": "random", "hidden_layer_sizes": (64, 64)}
    expected = fit(noisy, clean, **params).score(noisy, clean)
    model = fit(a * noisy + b, c * clean + d, **params)
    found = model.score(a * noisy + b, c * clean + d)
    assert found == pytest.approx(expected, abs=0.02)
    assert expected > 0.3


def test_targets_may_be_in_the_unit_interval_alone(pairs):
    noisy, clean = pairs
    clean = (clean > 0).astype(float)
    params = {"loss": "binary_cross_entropy", "max_epochs": 30}
    model = fit(100 + 9 * noisy, clean, **params)
    X_hat = model.reconstruct(100 + 9 * noisy)
    assert X_hat.min() >= 0 and X_hat.max() <= 1
    assert ((X_hat > 0.5) == clean).mean() > 0.75
    with pytest.raises(ValueError, match=r"values in \[0, 1\]; y has values from"):
        fit(clean, noisy, **params)
    with pytest.raises(ValueError, match=r"\[0, 1\]; y_val has values from"):
        fit(noisy, clean, X_val=noisy, y_val=noisy, **params)


# Noise


def test_pairs_have_no_noise_unless_asked(pairs):
    noisy, clean = pairs
    model = fit(noisy, clean)
    assert model.noise == "auto"
    assert model.net_.noise_ is None
    assert model.clean_validation_loss_curve_ == model.validation_loss_curve_
    model.fit(clean)
    assert repr(model.net_.noise_) == "GaussianNoise(level=0.5)"
    assert model.clean_validation_loss_curve_[0] < model.validation_loss_curve_[0]
    model = fit(noisy, clean, noise="masking", noise_level=0.2)
    assert repr(model.net_.noise_).startswith("MaskingNoise(level=0.2")
    assert model.clean_validation_loss_curve_ == model.validation_loss_curve_


def test_auto_noise_is_gaussian_without_pairs(pairs):
    _, clean = pairs
    expected = fit(clean, noise="gaussian").reconstruct(clean)
    for y in (None, clean, clean.copy(), clean.astype(np.float32)):
        assert_array_equal(fit(clean, y).reconstruct(clean), expected)


@pytest.mark.parametrize("noise", ["gaussian", "swap"])
def test_noise_beside_pairs_leaves_start_and_validation_alone(noise, pairs):
    noisy, clean = pairs
    expected, found = (
        fit(noisy, clean, noise=each, max_epochs=1, lr=1e-30)
        for each in ("auto", noise)
    )
    assert_allclose(found.reconstruct(noisy), expected.reconstruct(noisy))
    assert_allclose(found.validation_loss_curve_, expected.validation_loss_curve_)
    assert found.loss_curve_[0] > 1.1 * expected.loss_curve_[0]


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "sgd"])
def test_optimizers_without_noise(optimizer, pairs):
    model = fit(*pairs, optimizer=optimizer, init="random", max_epochs=10)
    assert model.best_loss_ < model.validation_loss_curve_[0]


def test_emphasis_is_on_entries_that_differ(pairs):
    _, clean = pairs
    hidden = np.random.default_rng(0).random(clean.shape) < 0.3
    noisy = np.where(hidden, 0, clean)
    errors = []
    for emphasis in [(1.0, 0.02), (0.02, 1.0)]:
        model = fit(
            noisy, clean, emphasis=emphasis, n_components=3, init="random", max_epochs=9
        )
        gap = (model.reconstruct(noisy) - clean) ** 2
        errors.append([gap[hidden].mean(), gap[~hidden].mean()])
    assert errors[0][0] < errors[1][0]
    assert errors[0][1] > errors[1][1]


def test_own_modules_take_pairs(pairs):
    noisy, clean = pairs
    model = fit(noisy, clean, module=Own, max_epochs=30)
    assert model.score(noisy, clean) > 0.3
    assert model.best_epoch_ > 0


# Forms of rows


@pytest.mark.parametrize(
    ("form", "form_of_y"),
    [
        (np.asarray, pd.DataFrame),
        (pd.DataFrame, pl.DataFrame),
        (sp.csr_array, sp.coo_matrix),
        (np.asarray, sp.csc_array),
        (sp.csr_matrix, np.asfortranarray),
        (np.ndarray.tolist, np.ndarray.tolist),
        (torch.tensor, torch.tensor),
    ],
)
def test_pairs_of_every_form(form, form_of_y, pairs):
    noisy, clean = pairs
    expected = fit(noisy, clean)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")
        model = fit(form(noisy), form_of_y(clean))
        found = model.reconstruct(noisy)
        score = model.score(form(noisy), form_of_y(clean))
    assert_allclose(found, expected.reconstruct(noisy), atol=1e-5)
    assert score == pytest.approx(expected.score(noisy, clean))


def test_dtype_of_the_output_is_that_of_the_rows(pairs):
    noisy, clean = pairs
    model = fit(noisy.astype(np.float32), clean)
    assert model.reconstruct(noisy.astype(np.float32)).dtype == np.float32
    assert fit(noisy, (10 * clean).astype(int)).reconstruct(noisy).dtype == np.float64


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("form_of_y", [np.asarray, sp.csr_array])
def test_large_pairs_are_read_block_by_block(form, form_of_y, pairs, monkeypatch):
    noisy, clean = pairs
    # The order of the rows is all that differs: there is none here.
    params = {
        "validation_fraction": None,
        "net_params": {"iterator_train__shuffle": False},
    }
    expected = fit(noisy, clean, **params)
    for name in ("DENSE_BYTES", "SPARSE_BYTES"):
        monkeypatch.setattr(_streaming, name, 0)
    monkeypatch.setattr(_streaming, "BLOCK_BYTES", 2**12)
    model = fit(form(noisy), form_of_y(clean), **params)
    assert_allclose(model.reconstruct(noisy), expected.reconstruct(noisy), atol=1e-4)
    model = fit(form(noisy), form_of_y(clean), noise="swap", sample_weight=np.ones(400))
    assert model.score(form(noisy), form_of_y(clean)) > 0.5


def test_large_and_small_tables_make_pairs(pairs, tmp_path, monkeypatch):
    noisy, clean = pairs
    np.save(tmp_path / "clean.npy", clean)
    monkeypatch.setattr(_streaming, "SPARSE_BYTES", 0)  # the dense one stays in memory
    model = fit(sp.csr_array(noisy), np.load(tmp_path / "clean.npy", mmap_mode="r"))
    assert model.score(noisy, clean) > 0.5


def test_columns_in_another_order_are_refused(pairs):
    noisy, clean = (pd.DataFrame(part).add_prefix("c") for part in pairs)
    with pytest.raises(ValueError, match="columns of y are in another order"):
        fit(noisy, clean.iloc[:, ::-1])


# scikit-learn's tools, and going on


def test_score_is_against_the_clean_rows(pairs):
    noisy, clean = pairs
    weight = np.arange(1, 401)
    for model in (fit(noisy, clean), fit(clean)):
        X_hat = model.reconstruct(noisy)
        found = model.score(noisy, clean, weight)
        assert found == pytest.approx(
            r2_score(
                clean, X_hat, sample_weight=weight, multioutput="variance_weighted"
            )
        )
        assert model.score(noisy) == model.score(noisy, np.zeros(400))
        assert model.score(noisy) != pytest.approx(found, abs=0.01)


def test_searches_and_pipelines_pass_pairs_on(pairs):
    noisy, clean = pairs
    search = GridSearchCV(
        make_pipeline(StandardScaler(), DenoisingAutoencoder(max_epochs=2)),
        {"denoisingautoencoder__n_components": [1, None]},
        cv=2,
    ).fit(100 * noisy, clean)
    assert search.best_params_ == {"denoisingautoencoder__n_components": None}
    assert 0.4 < search.best_score_ < 1
    assert clone(search.best_estimator_[-1]).noise == "auto"


def test_validation_pairs(pairs):
    noisy, clean = pairs
    train, rest = slice(300), slice(300, None)
    model = fit(noisy[train], clean[train], X_val=noisy[rest], y_val=clean[rest])
    start = linear(noisy[train], clean[train], X_val=noisy[rest], y_val=clean[rest])
    expected = error(start.reconstruct(noisy[rest]), clean[rest])
    assert model.validation_loss_curve_[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("optional", [{}, {"loss": "binary_cross_entropy"}])
def test_copies_and_files_of_what_is_fitted_to_pairs(optional, pairs, tmp_path):
    noisy, clean = pairs
    model = fit(noisy, (clean + 1) / 2, **optional)
    skae.save(model, tmp_path / "model.skae")
    for other in (
        pickle.loads(pickle.dumps(model)),
        skae.load(tmp_path / "model.skae"),
    ):
        assert_array_equal(other.reconstruct(noisy), model.reconstruct(noisy))
        other.partial_fit(noisy, (clean + 1) / 2)
        assert other.n_iter_ == model.n_iter_ + 1


def test_fits_go_on_between_pairs_and_rows_alone(pairs):
    noisy, clean = pairs
    for first, second in (
        ((noisy, clean), (noisy, clean)),
        ((clean,), (noisy, clean)),
        ((noisy, clean), (clean,)),
    ):
        model = fit(*first, warm_start=True)
        loss = fit(*first, warm_start=True).fit(*second).validation_loss_curve_[0]
        model.set_params(max_epochs=1, lr=1e-30).fit(*second)
        assert model.validation_loss_curve_[0] == pytest.approx(loss)


def test_streams_of_pairs(pairs):
    noisy, clean = pairs
    model = DenoisingAutoencoder(random_state=0, hidden_layer_sizes=16)
    for start in range(0, 400, 50):
        rows = slice(start, start + 50)
        model.partial_fit(noisy[rows], clean[rows])
    assert model.score(noisy, clean) > 0.4
    model.partial_fit(clean[:50], clean[:50])  # pairs that happen to have no noise
    with pytest.raises(ValueError, match="Pass a y of the shape of X in each call"):
        model.partial_fit(clean)
    model = DenoisingAutoencoder(random_state=0).partial_fit(clean)
    model.partial_fit(clean, np.zeros(400))
    with pytest.raises(ValueError, match="and added noise to X"):
        model.partial_fit(noisy, clean)
    model = DenoisingAutoencoder(noise="swap", random_state=0).partial_fit(clean)
    assert model.partial_fit(noisy, clean).n_iter_ == 2


def test_a_diagnosis_is_of_rows_alone(pairs):
    with pytest.raises(ValueError, match=r"fitted to pairs.*score\(X_noisy, X_clean\)"):
        skae.diagnose(fit(*pairs), pairs[0])


# What else `y` may be

LABELS = {
    "labels": np.arange(400) % 3,
    "list": ["a", "b"] * 200,
    "one column": np.arange(400.0)[:, None],
    "one sparse column": sp.csr_array(np.ones((400, 1))),
    "series": pd.Series(np.arange(400)),
    "NaN": np.full(400, np.nan),
    "NA": pd.Series([pd.NA, 1] * 200),
}


@pytest.mark.parametrize("y", LABELS.values(), ids=LABELS)
def test_labels_and_targets_are_ignored(y, pairs):
    _, clean = pairs
    expected = fit(clean)
    found = fit(clean, y)
    assert_array_equal(found.reconstruct(clean), expected.reconstruct(clean))
    assert found.score(clean, y) == expected.score(clean)


@pytest.mark.parametrize("shape", [(400, 3), (400, 11), (400, 2, 5)])
def test_targets_of_another_shape_are_ignored_with_a_warning(shape, pairs):
    _, clean = pairs
    with pytest.warns(UserWarning, match=r"ignores y.*only a y of the shape of X"):
        model = fit(clean, np.zeros(shape))
    assert_array_equal(model.reconstruct(clean), fit(clean).reconstruct(clean))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"y": "short"}, "Got 399 rows in y and 400 in X"),
        ({"y": "nan"}, "Input y contains NaN.* row 3, column 2"),
        ({"y": "text"}, "could not convert string to float"),
        ({"y": "clean", "X_val": "clean"}, "those of X_val are needed.*as y_val"),
        ({"y": "clean", "y_val": "clean"}, "y_val holds the clean rows of X_val"),
        ({"X_val": "noisy", "y_val": "clean"}, "Pass all three, or leave y_val out"),
        (
            {"y": "clean", "X_val": "clean", "y_val": "short"},
            r"y_val must have the shape.*\(400, 10\)\. Got \(399, 10\)",
        ),
        (
            {"y": "clean", "X_val": "clean", "y_val": "nan"},
            "Input y_val contains NaN",
        ),
    ],
)
def test_mistakes_are_explained(given, message, pairs):
    noisy, clean = pairs
    kinds = {
        "noisy": noisy,
        "clean": clean,
        "short": clean[1:],
        "nan": np.where(np.arange(4000).reshape(400, 10) == 32, np.nan, clean),
        "text": np.full((400, 10), "a"),
    }
    with pytest.raises(ValueError, match=message):
        fit(noisy, **{name: kinds[kind] for name, kind in given.items()})


others = pytest.mark.parametrize(
    "estimator",
    [each for each in OF_NUMBERS if each is not DenoisingAutoencoder],
)


@others
@pytest.mark.filterwarnings(BECOMES_PCA)
@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame, sp.csr_array])
def test_other_autoencoders_say_that_they_ignore_targets(estimator, form, pairs):
    noisy, clean = pairs
    rows = form(noisy)
    model = quick(estimator, max_epochs=1)
    message = f"{estimator.__name__} ignores y.*use DenoisingAutoencoder"
    with pytest.warns(UserWarning, match=message) as caught:
        model.fit(rows, form(clean))
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match=message):
        model.partial_fit(rows, clean)
    with pytest.warns(UserWarning, match=message):
        model.score(rows, clean)


@others
@pytest.mark.filterwarnings(BECOMES_PCA)
def test_other_autoencoders_take_keras_pairs_and_labels(estimator, pairs):
    noisy, _ = pairs
    model = quick(estimator, max_epochs=1)
    ignored = [noisy, noisy.copy(), noisy.astype(np.float32), noisy.tolist()]
    for y in (*ignored, np.zeros((400, 3)), *LABELS.values()):
        model.fit(noisy, y)
        model.score(noisy, y)


@pytest.mark.filterwarnings(BECOMES_PCA)
def test_images_and_series_as_targets(digits):
    images = digits[0][:50].reshape(-1, 8, 8)
    convolutional = ConvAutoencoder(max_epochs=1, random_state=0)
    convolutional.fit(images, images.copy())
    with pytest.warns(UserWarning, match="ConvAutoencoder ignores y"):
        convolutional.fit(images, images + 1)
    series = [image[: 4 + i % 3] for i, image in enumerate(images)]
    recurrent = RecurrentAutoencoder(max_epochs=1, random_state=0)
    recurrent.fit(series, [each.copy() for each in series])
    with pytest.warns(UserWarning, match="RecurrentAutoencoder ignores y"):
        recurrent.fit(series, [each + 1 for each in series])


def test_one_column_of_targets_is_ignored_without_a_word(pairs):
    rows = pairs[0][:, :1]
    AutoencoderTransformer(1, max_epochs=1, random_state=0).fit(rows, rows + 1)
