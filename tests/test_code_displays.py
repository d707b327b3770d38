"""What codes stand for, and how many there should be, in pictures."""

import matplotlib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.random_projection import SparseRandomProjection

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from skae import (
    AutoencoderTransformer,
    DenoisingAutoencoder,
    RecurrentAutoencoder,
    TableAutoencoder,
)
from skae.inspection import decoded_ranges, decoder_directions
from skae.plotting import CodeMapDisplay, CodeRangeDisplay, CodeSizeDisplay

DIGITS = load_digits().data[:300]


@pytest.fixture(scope="module")
def model():
    return AutoencoderTransformer(3, max_epochs=3, random_state=0).fit(DIGITS)


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_directions_of_pca_are_its_axes():
    X = load_iris().data
    model = AutoencoderTransformer(2, max_epochs=1, lr=1e-9, random_state=0).fit(X)
    pca = PCA(2).fit(X)
    found = decoder_directions(model, X)
    sizes = pca.transform(X).std(axis=0)
    assert_allclose(found, pca.components_ * sizes[:, None], atol=1e-5)
    assert_allclose(decoder_directions(pca, X), found, atol=1e-5)


def test_directions_of_sparse_codes():
    projection = SparseRandomProjection(3, random_state=0).fit(csr_matrix(DIGITS))
    found = decoder_directions(projection, csr_matrix(DIGITS))
    sizes = (DIGITS @ projection.components_.T).std(axis=0)
    expected = projection.inverse_transform(np.diag(sizes))
    assert_allclose(found, expected, atol=1e-6)


def test_directions_of_a_table():
    X = load_iris(as_frame=True).frame
    table = TableAutoencoder(2, max_epochs=1, random_state=0)
    assert decoder_directions(table.fit(X), X).shape == (2, 5)
    X["target"] = X["target"].map(str)
    table.fit(X)
    with pytest.raises(TypeError, match="Use decoded_ranges, which returns the rows"):
        decoder_directions(table, X)
    assert decoded_ranges(table, X, n_steps=3)[0, 0, -1] in ("0", "1", "2")


def test_ranges_pass_through_one_component_after_the_other(model):
    rows = decoded_ranges(model, DIGITS, n_steps=5)
    assert rows.shape == (3, 5, 64)
    codes = model.transform(DIGITS)
    code = np.median(codes, axis=0)
    code[1] = np.percentile(codes[:, 1], 95)
    assert_allclose(rows[1, -1], model.inverse_transform(code[None])[0], atol=1e-4)


def test_ranges_as_images(model):
    display = CodeRangeDisplay.from_estimator(
        model, DIGITS, components=[2, 0], n_steps=4, image_shape=(8, 8)
    )
    image = np.ma.filled(display.image_.get_array(), np.nan)
    assert image.shape == (2 * 9 - 1, 4 * 9 - 1)
    rows = decoded_ranges(model, DIGITS, n_steps=4)
    assert_allclose(image[9:, :8].ravel(), rows[0, 0])
    names = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert names == ["component 2", "component 0"]


@pytest.mark.parametrize("components", [[3], [-1], [0.5], [], 2])
def test_components_that_there_are_not(model, components):
    with pytest.raises(ValueError, match=r"some of the 3 components .* Got "):
        CodeRangeDisplay.from_estimator(model, DIGITS, components=components)


@pytest.mark.parametrize("name", ["n_steps", "n_columns"])
def test_a_range_of_nothing(model, name):
    with pytest.raises(ValueError, match=f"{name} == 0, must be >= 1"):
        CodeRangeDisplay.from_estimator(model, DIGITS, **{name: 0})


def test_ranges_of_series_are_lines():
    rng = np.random.RandomState(0)
    series = rng.normal(size=(40, 6, 2)).cumsum(axis=1)
    model = RecurrentAutoencoder(2, init="random", max_epochs=1, random_state=0)
    display = CodeRangeDisplay.from_estimator(model.fit(series), series, n_steps=3)
    assert len(display.lines_) == 2 * 3 * 2  # components, steps, channels
    rows = decoded_ranges(model, series, n_steps=3).reshape(2, 3, 6, 2)
    line = display.lines_[-1].get_ydata()
    drawn = np.concatenate([each.get_ydata()[None] for each in display.lines_])
    assert_allclose(
        np.corrcoef(line, rows[1, 2, :, 1])[0, 1], 1, rtol=1e-6
    )  # moved and scaled
    assert drawn.max() < 0.5 and drawn.min() > -1.5  # a band for each component
    names = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert names == ["component 0", "component 1"]
    own = CodeRangeDisplay(rows.reshape(2, 3, 12), series_shape=(6, 2)).plot()
    assert_allclose(own.lines_[-1].get_ydata(), line)
    with pytest.raises(ValueError, match=r"series_shape=\(5,\) makes 5 values"):
        CodeRangeDisplay(rows.reshape(2, 3, 12), series_shape=(5,)).plot()


def test_ranges_of_columns_have_their_names():
    X = load_iris(as_frame=True).data
    model = AutoencoderTransformer(2, max_epochs=2, random_state=0).fit(X)
    display = CodeRangeDisplay.from_estimator(model, X, n_columns=3)
    names = [text.get_text() for text in display.ax_.get_yticklabels()]
    assert len(names) == 3 and set(names) < set(X.columns)
    low, high = display.image_.get_clim()
    assert -low == high == np.nanmax(display.image_.get_array())
    table = TableAutoencoder(2, max_epochs=1).fit(X)
    with pytest.raises(TypeError, match="shows rows of numbers"):
        CodeRangeDisplay.from_estimator(table, X)


def test_sizes_of_a_fit(model):
    search = AutoencoderTransformer(0.6, max_epochs=5, random_state=0).fit(DIGITS)
    display = CodeSizeDisplay.from_estimator(search)
    tried = search.n_components_search_
    assert_array_equal(display.line_.get_xdata(), np.sort(tried["n_components"]))
    assert_array_equal(display.pca_line_.get_ydata(), tried["pca_score"])
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert {"PCA", "60% of the variance", "size kept"} < set(labels)
    # The line is at the share that was searched for, whatever is asked for next.
    search.set_params(n_components=3)
    assert CodeSizeDisplay.from_estimator(search).share == 0.6
    with pytest.raises(TypeError, match="or pass a search to from_search"):
        CodeSizeDisplay.from_estimator(model)


def test_sizes_of_a_search():
    pipe = make_pipeline(
        StandardScaler(), AutoencoderTransformer(max_epochs=1, random_state=0)
    )
    grid = {
        "autoencodertransformer__n_components": [4, 2],
        "autoencodertransformer__lr": [1e-3, 1e-5],
    }
    search = GridSearchCV(pipe, grid, cv=2).fit(DIGITS)
    display = CodeSizeDisplay.from_search(search)
    assert list(display.sizes) == [2, 4] and display.pca_line_ is None
    scores = search.cv_results_["mean_test_score"].reshape(2, 2)
    sizes = np.asarray(search.cv_results_["param_autoencodertransformer__n_components"])
    best = [max(scores.ravel()[sizes == size]) for size in (2, 4)]
    assert_array_equal(display.line_.get_ydata(), best)
    search.set_params(param_grid={"standardscaler__with_mean": [True]}).fit(DIGITS)
    with pytest.raises(ValueError, match="search over one n_components"):
        CodeSizeDisplay.from_search(search)


def test_sizes_of_several_grids():
    grids = [{"n_components": [2, 3]}, {"activation": ["relu"]}]
    model = AutoencoderTransformer(4, max_epochs=1, random_state=0)
    search = GridSearchCV(model, grids, cv=2).fit(DIGITS)
    assert list(CodeSizeDisplay.from_search(search).sizes) == [2, 3]


@pytest.mark.parametrize("other", [None, 0.5])
def test_a_search_over_what_is_no_size(other):
    kind = AutoencoderTransformer if other else DenoisingAutoencoder
    search = GridSearchCV(
        kind(max_epochs=1, random_state=0), {"n_components": [3, other]}, cv=2
    ).fit(DIGITS)
    with pytest.raises(ValueError, match=f"n_components={other}. Search over integers"):
        CodeSizeDisplay.from_search(search)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_axes_of_the_map_have_shares(size):
    model = AutoencoderTransformer(size, max_epochs=1, random_state=0).fit(DIGITS)
    display = CodeMapDisplay.from_estimator(model, DIGITS)
    share = model.explained_variance_ratio_[0]
    expected = "code, 0" if size == 1 else f"code, 0 ({share:.1%})"
    assert display.ax_.get_xlabel() == expected
    other = CodeMapDisplay.from_estimator(PCA(2).fit(DIGITS), DIGITS)
    assert other.ax_.get_ylabel().startswith("code, 1 (")
    tied = AutoencoderTransformer(2, tied_weights=True, max_epochs=1, random_state=0)
    display = CodeMapDisplay.from_estimator(tied.fit(DIGITS), DIGITS)
    assert display.ax_.get_ylabel() == "code, 1"
