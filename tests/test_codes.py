"""Codes in order: uncorrelated, and with what each of them explains."""

import copy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import scale

import skae
from skae import (
    AutoencoderTransformer,
    DenoisingAutoencoder,
    StackedAEPretrainer,
    TableAutoencoder,
    VariationalAutoencoder,
)
from skae.modules import DenseAutoencoder
from tests.estimators import quick

DIGITS = load_digits().data[:600] / 16
DENSE = [
    AutoencoderTransformer(5),
    AutoencoderTransformer(5, init="random"),
    AutoencoderTransformer(5, hidden_layer_sizes=(), init="random"),
    AutoencoderTransformer(5, loss="binary_cross_entropy"),
    AutoencoderTransformer(5, loss="huber", validation_fraction=None),
    DenoisingAutoencoder(5, init="random"),
    StackedAEPretrainer(5, fine_tune_epochs=4),
    TableAutoencoder(5),
]
NAMES = ["explained_variance_", "explained_variance_ratio_", "singular_values_"]


@pytest.mark.parametrize("estimator", DENSE, ids=repr)
def test_codes_are_ordered_and_decode_to_the_same_rows(estimator, monkeypatch):
    before = []
    turn = DenseAutoencoder.turn

    def spy(module, *arguments):
        before.append(copy.deepcopy(module))
        turn(module, *arguments)

    monkeypatch.setattr(DenseAutoencoder, "turn", spy)
    model = clone(estimator).set_params(max_epochs=4, random_state=0).fit(DIGITS)
    codes = model.transform(DIGITS)
    ratio = model.explained_variance_ratio_
    assert ratio.shape == (5,)
    assert (np.diff(ratio) <= 0).all() and 0 < ratio.sum() < 1
    assert_allclose(codes.mean(axis=0), 0, atol=1e-4 * codes.std())
    assert_allclose(np.corrcoef(codes.T), np.eye(5), atol=1e-3)
    # They have the units of what they explain.
    assert_allclose(codes.var(axis=0, ddof=1), model.explained_variance_, rtol=1e-3)
    [unturned] = before
    rows = DIGITS
    if isinstance(model, TableAutoencoder):
        rows = model.encoder_.transform(DIGITS)
    x = torch.tensor(rows, dtype=torch.float32)
    with torch.no_grad():
        x_hat, expected = model.module_(x), unturned(x)
    assert_allclose(x_hat, expected, atol=1e-5 * float(expected.abs().max()))


def test_large_means_do_not_change_what_codes_explain():
    X = scale(load_wine().data) + 1000
    model = AutoencoderTransformer(4, hidden_layer_sizes=(), random_state=0).fit(X)
    expected = PCA(4).fit(X).explained_variance_ratio_
    assert_allclose(model.explained_variance_ratio_, expected, rtol=3e-5)


@pytest.mark.parametrize("weighted", [False, True])
def test_pca_that_is_kept_is_pca(weighted):
    X = load_iris().data
    weight = np.random.RandomState(0).randint(1, 4, len(X)) if weighted else None
    model = AutoencoderTransformer(3, max_epochs=1, lr=1e-9, random_state=0)
    model.fit(X, sample_weight=weight)
    assert model.best_epoch_ == 0
    pca = PCA(3).fit(X if weight is None else np.repeat(X, weight, axis=0))
    assert_allclose(
        model.explained_variance_ratio_, pca.explained_variance_ratio_, rtol=1e-5
    )
    assert_allclose(model.transform(X), pca.transform(X), atol=1e-5)
    if weight is None:
        assert_allclose(model.explained_variance_, pca.explained_variance_, rtol=1e-5)
        assert_allclose(model.singular_values_, pca.singular_values_, rtol=1e-5)


def test_pca_that_is_kept_is_pca_of_many_rows():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(9000, 3)) @ rng.normal(size=(3, 5))
    X += 0.3 * rng.normal(size=X.shape)
    model = AutoencoderTransformer(3, max_epochs=1, lr=1e-9, random_state=0).fit(X)
    pca = PCA(3).fit(X)
    assert_allclose(
        model.explained_variance_ratio_, pca.explained_variance_ratio_, rtol=1e-5
    )
    assert_allclose(model.transform(X), pca.transform(X), atol=1e-4)


def test_the_first_code_explains_what_a_regression_on_it_does():
    model = quick(AutoencoderTransformer, n_components=4).fit(DIGITS)
    codes, rows = model.transform(DIGITS), model.reconstruct(DIGITS)
    rows = rows - rows.mean(axis=0)
    for i, ratio in enumerate(model.explained_variance_ratio_):
        slope = codes[:, i] @ rows / (codes[:, i] @ codes[:, i])
        explained = np.square(np.outer(codes[:, i], slope)).sum()
        total = np.square(DIGITS - DIGITS.mean(axis=0)).sum()
        assert ratio == pytest.approx(explained / total, rel=1e-3)


def test_many_rows_are_judged_by_some_of_them():
    X = np.tile(DIGITS[:, ::2], (20, 1))
    X += np.random.RandomState(0).normal(scale=0.1, size=X.shape)
    model = quick(AutoencoderTransformer, n_components=3, init="random").fit(X)
    assert_allclose(np.corrcoef(model.transform(X).T), np.eye(3), atol=0.05)


def test_missing_values():
    X = DIGITS[:, 10:40].copy()
    X[np.random.RandomState(0).uniform(size=X.shape) < 0.1] = np.nan
    model = quick(AutoencoderTransformer, n_components=3, init="random").fit(X)
    assert_allclose(np.corrcoef(model.transform(X).T), np.eye(3), atol=1e-3)


def test_rows_that_are_all_the_same():
    model = quick(AutoencoderTransformer, n_components=2).fit(np.ones((20, 3)))
    assert (model.explained_variance_ratio_ == 0).all()


def test_training_goes_on_from_ordered_codes():
    model = quick(AutoencoderTransformer, n_components=4, warm_start=True)
    model.set_params(init="random", max_epochs=30).fit(DIGITS)
    first = model.score(DIGITS)
    model.partial_fit(DIGITS)
    assert model.score(DIGITS) > first - 0.05
    assert not hasattr(model, "explained_variance_ratio_")
    model.fit(DIGITS)
    assert model.score(DIGITS) > first
    assert_allclose(np.corrcoef(model.transform(DIGITS).T), np.eye(4), atol=1e-3)


@pytest.mark.parametrize(
    ("estimator", "reason"),
    [
        (AutoencoderTransformer(2, tied_weights=True), "tied_weights=True"),
        (AutoencoderTransformer(2, module=DenseAutoencoder), "network of your own"),
        (AutoencoderTransformer(9), "9 components, more than 8"),
        (VariationalAutoencoder(2), "drawn independently"),
        (skae.SparseAutoencoder(4, penalty="kl"), "SparseLinearAutoencoder"),
        (skae.ConvAutoencoder(2, init="random"), "ConvolutionalAutoencoder"),
    ],
    ids=repr,
)
def test_codes_that_stay_as_they_are(estimator, reason):
    model = clone(estimator).set_params(max_epochs=1, random_state=0)
    model.fit(DIGITS[:100, 20:28])
    for name in NAMES:
        with pytest.raises(AttributeError, match=f"no {name}: .*{reason}"):
            getattr(model, name)


def test_partial_fit_does_not_know_what_codes_explain():
    model = AutoencoderTransformer(2).partial_fit(DIGITS)
    with pytest.raises(AttributeError, match="partial_fit sees some of the rows"):
        _ = model.explained_variance_ratio_


def test_files_keep_what_codes_explain(tmp_path):
    model = quick(AutoencoderTransformer, n_components=3).fit(DIGITS)
    skae.save(model, tmp_path / "model.skae")
    loaded = skae.load(tmp_path / "model.skae")
    for name in NAMES:
        assert_allclose(getattr(loaded, name), getattr(model, name), rtol=0)
