"""The displays."""

import sys

import matplotlib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from skae import AutoencoderTransformer
from skae.plotting import (
    CodeGridDisplay,
    CodeMapDisplay,
    ErrorDisplay,
    LossCurveDisplay,
    ReconstructionDisplay,
)


@pytest.fixture(scope="module")
def model(digits):
    return AutoencoderTransformer(3, max_epochs=3, random_state=0).fit(digits[0])


@pytest.fixture(autouse=True)
def draw_and_close():
    yield
    for number in plt.get_fignums():
        plt.figure(number).canvas.draw()
    plt.close("all")


def test_loss_curves_are_those_of_the_estimator(model):
    display = LossCurveDisplay.from_estimator(model)
    training, validation = display.lines_
    assert list(training.get_xdata()) == [1, 2, 3]
    assert list(training.get_ydata()) == model.loss_curve_
    assert list(validation.get_xdata()) == [0, 1, 2, 3]
    assert list(validation.get_ydata()) == model.validation_loss_curve_


def test_loss_curve_without_validation_rows(digits):
    model = AutoencoderTransformer(
        2, max_epochs=2, validation_fraction=None, random_state=0
    ).fit(digits[0])
    assert len(LossCurveDisplay.from_estimator(model).lines_) == 1


def test_images_stand_above_their_reconstructions(model, digits):
    X = digits[0][:5]
    display = ReconstructionDisplay.from_estimator(model, X, image_shape=(8, 8))
    image = np.ma.filled(display.image_.get_array(), np.nan)
    assert image.shape == (2 * 8 + 1, 5 * 8 + 4)
    assert_allclose(image[:8, 9:17].ravel(), X[1])
    assert_allclose(image[9:, 9:17].ravel(), model.reconstruct(X)[1], atol=1e-6)
    assert np.isnan(image[8]).all()
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == ["input", "output"]
    assert_allclose(display.error_, model.reconstruction_error(X))


def test_noisy_images_are_shown_and_reconstructed(model, digits):
    X = digits[0][:4]
    X_noisy = X + 1
    display = ReconstructionDisplay.from_estimator(
        model, X, X_noisy=X_noisy, image_shape=(8, 8)
    )
    image = np.ma.filled(display.image_.get_array(), np.nan)
    assert_allclose(image[9:17, :8].ravel(), X_noisy[0])
    assert_allclose(image[18:, :8].ravel(), model.reconstruct(X_noisy)[0], atol=1e-6)
    assert_allclose(display.error_, np.square(X - model.reconstruct(X_noisy)).mean(1))


def test_colour_images_are_between_0_and_1():
    X = np.random.RandomState(0).uniform(-3, 9, size=(4, 12))
    image = ReconstructionDisplay(X, X, image_shape=(2, 2, 3)).plot().image_
    values = image.get_array()
    assert values.shape == (5, 11, 3)
    assert values.min() >= 0 and values.max() <= 1
    assert_allclose(values[:2, :2].ravel(), (X[0] - X.min()) / np.ptp(X))


def test_tables_are_shown_in_standard_deviations():
    wine = load_wine(as_frame=True).data
    X = wine.iloc[:6]
    model = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(wine)
    display = ReconstructionDisplay.from_estimator(model, X)
    table = np.ma.filled(display.image_.get_array(), np.nan)
    assert table.shape == (6 * 3 - 1, 13)
    assert_allclose(table[::3], StandardScaler().fit_transform(X))
    names = [label.get_text() for label in display.ax_.get_xticklabels()]
    assert names == list(wine.columns)


def test_wrong_image_shape_tells_both_numbers(model, digits):
    with pytest.raises(ValueError, match=r"makes 63 values; rows have 64 columns"):
        ReconstructionDisplay.from_estimator(model, digits[0][:3], image_shape=(7, 9))


def test_map_of_codes(model):
    X, y = load_digits(return_X_y=True)
    display = CodeMapDisplay.from_estimator(model, X, y)
    assert len(display.points_) == 10
    points = np.vstack([each.get_offsets() for each in display.points_])
    order = np.argsort(y, kind="stable")
    codes = model.transform(X)
    expected = PCA(2, random_state=0).fit_transform(codes)[order]
    assert_allclose(points, expected, atol=1e-6)
    colours = {tuple(each.get_facecolor()[0]) for each in display.points_}
    assert len(colours) == 10
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == [str(digit) for digit in range(10)]


def test_map_of_two_components_and_errors(digits):
    X = digits[0]
    model = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(X)
    display = CodeMapDisplay.from_estimator(model, X, "error")
    assert_allclose(display.points_.get_offsets(), model.transform(X))
    assert_allclose(display.points_.get_array(), model.reconstruction_error(X))
    assert display.figure_.axes[1].get_ylabel() == "squared error"
    with pytest.raises(ValueError, match="embedding must be 'pca', 'tsne'"):
        CodeMapDisplay.from_estimator(model, X, embedding="umap")


def test_grid_of_codes(model, digits):
    X = digits[0]
    display = CodeGridDisplay.from_estimator(
        model, X, image_shape=(8, 8), components=(0, 2), n_steps=3
    )
    codes = model.transform(X)
    low, high = np.percentile(codes, [5, 95], axis=0)
    corner = np.median(codes, axis=0)
    corner[0], corner[2] = low[0], high[2]
    assert_allclose(
        np.asarray(display.images)[0, 0].ravel(),
        model.inverse_transform([corner])[0],
        atol=1e-4,
    )
    with pytest.raises(ValueError, match="components must be two of the 3"):
        CodeGridDisplay.from_estimator(model, X, image_shape=(8, 8), components=(0, 3))


def test_way_between_two_rows(model, digits):
    X = digits[0]
    display = CodeGridDisplay.from_path(model, X[0], X[1], image_shape=(8, 8))
    images = np.asarray(display.images)
    assert images.shape == (1, 10, 8, 8)
    ends = model.reconstruct(X[:2])
    assert_allclose(images[0, [0, -1]].reshape(2, -1), ends, atol=1e-4)


def test_errors_of_columns_and_rows():
    wine = load_wine(as_frame=True).data
    model = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(wine)
    error = model.reconstruction_error(wine, per_feature=True).mean(axis=0)
    display = ErrorDisplay.from_estimator(model, wine, n_columns=4)
    assert_allclose([bar.get_width() for bar in display.bars_], np.sort(error)[:-5:-1])
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert names[0] == wine.columns[error.argmax()]
    display = ErrorDisplay.from_estimator(model, wine, kind="rows", threshold=1.5)
    assert sum(bar.get_height() for bar in display.bars_) == len(wine)
    assert display.ax_.lines[0].get_xdata()[0] == 1.5
    with pytest.raises(ValueError, match="kind must be 'columns' or 'rows'"):
        ErrorDisplay.from_estimator(model, wine, kind="cells")


def test_axes_that_are_given_are_used(model, digits):
    X = digits[0][:20]
    _, axes = plt.subplots(1, 5, figsize=(20, 4), layout="constrained")
    displays = [
        LossCurveDisplay.from_estimator(model, ax=axes[0]),
        ReconstructionDisplay.from_estimator(model, X, ax=axes[1]),
        CodeMapDisplay.from_estimator(model, X, ax=axes[2]),
        CodeGridDisplay.from_estimator(model, X, image_shape=(8, 8), ax=axes[3]),
        ErrorDisplay.from_estimator(model, X, ax=axes[4]),
    ]
    assert_array_equal([display.ax_ for display in displays], axes)
    assert len(plt.get_fignums()) == 1


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        LossCurveDisplay([1.0]).plot()
