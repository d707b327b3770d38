"""Never worse than PCA, and better where there is something to gain."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import datasets
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer


def pca_score(k, X, X_test):
    pca = PCA(k).fit(X)
    X_hat = pca.inverse_transform(pca.transform(X_test))
    return r2_score(X_test, X_hat, multioutput="variance_weighted")


def bundled(name):
    X = getattr(datasets, f"load_{name}")().data
    if name == "digits":
        return train_test_split(X / 16, random_state=1)
    X, X_test = train_test_split(X, random_state=1)
    scaler = StandardScaler().fit(X)
    return scaler.transform(X), scaler.transform(X_test)


@pytest.mark.parametrize(
    "name", ["iris", "wine", "breast_cancer", "diabetes", "digits"]
)
@pytest.mark.parametrize("k", [2, 8, 30])
def test_bundled_sets(name, k):
    X, X_test = bundled(name)
    if k > X.shape[1]:
        k = X.shape[1]
    model = AutoencoderTransformer(k, random_state=0).fit(X)
    assert model.score(X_test) > pca_score(k, X, X_test) - 0.002


def generated(name):
    rng = np.random.RandomState(0)

    def normal(*shape):
        return rng.normal(size=shape)

    if name == "linear":
        return normal(400, 4) @ normal(4, 20) + 0.3 * normal(400, 20)
    if name == "wide":
        return normal(100, 5) @ normal(5, 2000) + normal(100, 2000)
    if name == "tiny":
        return normal(20, 5)
    if name == "constant columns":
        return np.hstack(
            [np.sin(normal(200, 2) @ normal(2, 8)), np.full((200, 3), 7.0)]
        )
    if name == "heavy tails":
        return np.sin(normal(600, 2) @ normal(2, 15)) + 0.1 * rng.standard_t(
            1.5, size=(600, 15)
        )
    if name == "counts":
        return rng.poisson(np.exp(normal(300, 3) @ normal(3, 40) - 1)).clip(0, 50)
    raise KeyError(name)


@pytest.mark.parametrize(
    "name",
    [
        "linear",
        "wide",
        "tiny",
        "constant columns",
        "heavy tails",
        "counts",
    ],
)
def test_generated_sets(name):
    X, X_test = train_test_split(generated(name), random_state=1)
    model = AutoencoderTransformer(2, random_state=0).fit(X)
    assert model.score(X_test) > pca_score(2, X, X_test) - 0.002


def test_a_table_of_constants():
    X = np.full((100, 4), 3.0)
    model = AutoencoderTransformer(2, random_state=0).fit(X)
    assert_allclose(model.reconstruct(X), X)
    assert_allclose(model.transform(X), 0, atol=1e-6)


def test_clearly_better_where_structure_is_nonlinear(digits):
    X, X_test = digits
    for k, gain in [(2, 0.15), (8, 0.10)]:
        model = AutoencoderTransformer(k, random_state=0).fit(X)
        assert model.score(X_test) > pca_score(k, X, X_test) + gain
        assert model.best_epoch_ > 0


def test_small_tables_are_given_pca():
    X = datasets.load_iris().data[::4]
    model = AutoencoderTransformer(2).fit(X)
    assert model.n_iter_ == model.best_epoch_ == 0
    assert_allclose(model.transform(X), PCA(2).fit_transform(X), atol=1e-5)


def test_rows_far_from_zero_are_given_pca_of_what_varies():
    rng = np.random.RandomState(0)
    X = (1000 + rng.randn(90, 2) @ rng.randn(2, 6)).astype(np.float32)
    model = AutoencoderTransformer(2, random_state=0).fit(X)
    codes = PCA(2).fit_transform(X.astype(np.float64))
    assert_allclose(model.transform(X), codes, atol=1e-2)


def test_where_training_does_not_help_it_is_pca_of_all_rows():
    X = generated("linear")
    model = AutoencoderTransformer(4, random_state=0, max_epochs=5).fit(X)
    assert model.n_iter_ == 5 and model.best_epoch_ == 0
    assert_allclose(model.transform(X), PCA(4).fit_transform(X), atol=1e-4)


@pytest.mark.parametrize("k", [8, 12])
def test_as_many_components_as_pca_has_or_more(k):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(100, 8))
    model = AutoencoderTransformer(k, random_state=0).fit(X)
    assert model.score(rng.normal(size=(50, 8))) > 1 - 1e-6
    # No component is idle.
    assert (model.transform(X).std(axis=0) > 0.1).all()


def test_linear_autoencoder_spans_the_subspace_of_pca():
    X = StandardScaler().fit_transform(datasets.load_wine().data)
    model = AutoencoderTransformer(
        3,
        hidden_layer_sizes=(),
        init="random",
        optimizer="lbfgs",
        validation_fraction=None,
        random_state=0,
    ).fit(X)
    pca = PCA(3).fit(X)
    basis, _ = np.linalg.qr(model.module_.decoder[0].weight.detach().numpy())
    cosines = np.linalg.svd(pca.components_ @ basis, compute_uv=False)
    assert_allclose(cosines, 1, atol=1e-4)
    assert_allclose(model.score(X), pca.explained_variance_ratio_.sum(), atol=1e-5)
