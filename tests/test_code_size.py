"""The number of components for a share of the variance."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

import skae
from skae import AutoencoderTransformer, PretrainedClassifier, StackedAEPretrainer
from skae._code_size import search_size
from skae.modules import DenseAutoencoder

DIGITS = load_digits().data[:700] / 16
PARAMS = {"max_epochs": 30, "random_state": 0}


@pytest.fixture(scope="module")
def fitted():
    return AutoencoderTransformer(0.7, **PARAMS).fit(DIGITS)


@pytest.mark.parametrize("most", [1, 2, 3, 7, 20, 64])
@pytest.mark.parametrize("share", [0.3, 0.8, 0.99])
@pytest.mark.parametrize(
    ("curve", "too_many"),
    [(lambda k: 1 - np.exp(-k / 5), 0), (lambda k: k / 65, 3)],
    ids=["usual", "linear"],
)
def test_the_search_finds_the_smallest_size_in_few_fits(curve, too_many, share, most):
    scores = search_size(curve, most, share)
    assert 1 <= len(scores) <= 5 and max(scores) == most and min(scores) >= 1
    passed = [size for size in range(1, most + 1) if curve(size) >= share]
    if passed:
        found = min(size for size, score in scores.items() if score >= share)
        assert passed[0] <= found <= passed[0] + too_many
    else:
        assert list(scores) == [most]


def test_the_size_is_the_smallest_tried_that_reaches_the_share(fitted):
    search = fitted.n_components_search_
    sizes, scores = search["n_components"], search["score"]
    assert fitted.n_components_ == sizes[scores >= 0.7].min()
    assert len(np.unique(sizes)) == len(sizes) <= 5
    # PCA needs more of them.
    assert search["pca_score"][-1] >= 0.7 > search["pca_score"][-2]
    assert len(search["pca_score"]) == sizes[0] > fitted.n_components_
    assert fitted.transform(DIGITS).shape == (700, fitted.n_components_)
    assert fitted.n_components == 0.7


def test_the_fit_is_that_of_the_size_alone(fitted):
    alone = AutoencoderTransformer(fitted.n_components_, **PARAMS).fit(DIGITS)
    assert_array_equal(alone.transform(DIGITS), fitted.transform(DIGITS))
    again = clone(fitted).fit(DIGITS)
    assert_array_equal(again.transform(DIGITS), fitted.transform(DIGITS))


@pytest.mark.parametrize(
    "given",
    [
        {"sample_weight": np.arange(700) % 3},
        {"X_val": DIGITS[::5] + 0.01},
        {"groups": np.arange(700) // 7},
    ],
    ids=lambda given: next(iter(given)),
)
def test_rows_held_out_in_every_way(given):
    model = AutoencoderTransformer(0.5, max_epochs=5, random_state=0)
    model.fit(DIGITS, **given)
    scores = model.n_components_search_["score"]
    assert 1 <= model.n_components_ < 12
    assert scores.max() >= 0.5


def test_other_rows():
    X = DIGITS[:200].copy()
    dense = AutoencoderTransformer(0.4, max_epochs=3, random_state=0).fit(X)
    sparse = clone(dense).fit(csr_matrix(X))
    assert sparse.n_components_ == dense.n_components_
    X[np.random.RandomState(0).uniform(size=X.shape) < 0.05] = np.nan
    X[:, 0] = 0
    gaps = clone(dense).fit(X)
    assert abs(gaps.n_components_ - dense.n_components_) <= 2
    stacked = StackedAEPretrainer(0.4, max_epochs=2, fine_tune_epochs=2, random_state=0)
    assert stacked.fit(DIGITS[:200]).n_components_ > 1
    assert len(stacked.phases_) == 3


def test_few_rows_are_those_of_pca():
    X = load_iris().data[::3]
    model = AutoencoderTransformer(0.95, random_state=0).fit(X)
    assert model.n_components_ == PCA(0.95).fit(X).n_components_ == 2


def test_a_share_that_no_size_reaches():
    X = np.random.RandomState(0).normal(size=(120, 300))
    model = AutoencoderTransformer(0.9, max_epochs=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match=r"explain 0\.\d+ of held-out rows"):
        model.fit(X)
    assert model.n_components_ == model.n_components_search_["n_components"].max()


def test_going_on_keeps_the_size(fitted):
    model = clone(fitted).set_params(warm_start=True, max_epochs=3).fit(DIGITS)
    size = model.n_components_
    assert model.fit(DIGITS[:300]).n_components_ == size
    assert model.partial_fit(DIGITS).n_components_ == size


def test_a_fit_of_one_size_forgets_the_search(fitted):
    model = clone(fitted).set_params(max_epochs=1).fit(DIGITS)
    assert hasattr(model, "n_components_search_")
    model.set_params(n_components=2).fit(DIGITS)
    assert not hasattr(model, "n_components_search_")


def test_grid_search_over_shares():
    search = GridSearchCV(
        AutoencoderTransformer(max_epochs=2, random_state=0),
        {"n_components": [0.3, 0.5, 4]},
        cv=2,
    ).fit(DIGITS)
    assert search.best_params_["n_components"] in (0.5, 4)


def test_progress_is_told(capsys):
    AutoencoderTransformer(0.3, max_epochs=1, random_state=0, verbose=2).fit(DIGITS)
    assert "components explain 0." in capsys.readouterr().out


def test_files(fitted, tmp_path):
    skae.save(fitted, tmp_path / "model.skae")
    loaded = skae.load(tmp_path / "model.skae")
    assert_array_equal(loaded.transform(DIGITS), fitted.transform(DIGITS))
    for name, value in fitted.n_components_search_.items():
        assert_array_equal(loaded.n_components_search_[name], value)


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, 1.5])
def test_shares_that_are_none(share):
    with pytest.raises(ValueError, match=r"a float in the range \(0.0, 1.0\)"):
        AutoencoderTransformer(share).fit(DIGITS)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"validation_fraction": None}, "holds out none: set it to 0.1, pass X_val"),
        ({"module": DenseAutoencoder}, "is for the built-in module"),
    ],
)
def test_parameters_that_a_share_does_not_go_with(params, message):
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(0.9, **params).fit(DIGITS)


def test_what_cannot_search():
    model = AutoencoderTransformer(0.9)
    with pytest.raises(ValueError, match="only fit can find the number"):
        model.partial_fit(DIGITS)
    assert not hasattr(model, "n_components_")
    classifier = PretrainedClassifier(pretrainer=model, pretrain=False)
    with pytest.raises(ValueError, match="only fit can find the number"):
        classifier.fit(DIGITS[:50], np.arange(50) % 2)
    for estimator in (skae.TableAutoencoder, skae.DenoisingAutoencoder):
        with pytest.raises(ValueError, match="must be an int"):
            estimator(0.9).fit(DIGITS)
