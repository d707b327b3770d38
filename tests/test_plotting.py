"""The displays."""

import copy
import sys

import matplotlib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import coo_array, csr_matrix
from sklearn.base import clone
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from modules_for_tests import Convolutions, Own

from skae import (
    AutoencoderOutlierDetector,
    AutoencoderSampler,
    AutoencoderTransformer,
    ConvAutoencoder,
    DenoisingAutoencoder,
    PretrainedClassifier,
    PretrainedRegressor,
    RecurrentAutoencoder,
    SparseAutoencoder,
    StackedAEPretrainer,
    VariationalAutoencoder,
)
from skae.plotting import (
    CodeGridDisplay,
    CodeMapDisplay,
    CodeRangeDisplay,
    ErrorDisplay,
    FeatureDisplay,
    LossCurveDisplay,
    OutlierDisplay,
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
    display = LossCurveDisplay.from_estimator(model)
    assert len(display.lines_) == 1
    assert display.start_line_ is None


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (AutoencoderTransformer(), "PCA"),
        (DenoisingAutoencoder(), "best linear denoiser"),
        (VariationalAutoencoder(), "probabilistic PCA"),
        (VariationalAutoencoder(variance="column"), "factor analysis"),
        (AutoencoderTransformer(init="random"), None),
        (StackedAEPretrainer(fine_tune_epochs=1), None),
        (AutoencoderTransformer(warm_start=True), "PCA"),
    ],
)
def test_the_loss_to_beat_is_a_line(digits, estimator, name):
    estimator.set_params(max_epochs=1, random_state=0).fit(digits[0])
    display = LossCurveDisplay.from_estimator(estimator)
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    if name is None:
        assert display.start_line_ is None
        assert len(legend) == 3
    else:
        assert display.start_line_.get_ydata()[0] == estimator.validation_loss_curve_[0]
        assert name in legend


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


def test_images_of_one_channel_are_grey(digits):
    X = 16 * digits[0][:50]  # not between 0 and 1, as colours are
    model = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(X)
    for shape in ((8, 8), (8, 8, 1)):
        images = X[:4].reshape(2, 2, *shape)
        pictures = [
            ReconstructionDisplay(X[:2], X[:2], image_shape=shape).plot().image_,
            CodeGridDisplay(images).plot().image_,
            FeatureDisplay(X[:4], image_shape=shape).plot().image_,
        ]
        for picture in pictures:
            assert picture.get_array().shape == (17, 17)
            assert np.nanmax(picture.get_array()) == picture.get_clim()[1] == 16
        points = model.transform(X)
        for display in (
            CodeMapDisplay.from_estimator(model, X, image_shape=shape),
            CodeMapDisplay(points, images=X.reshape(-1, *shape)).plot(),
        ):
            thumbnails = [each.offsetbox for each in display.thumbnails_]
            assert {each.get_data().shape for each in thumbnails} == {(8, 8)}
            assert max(each.get_data().max() for each in thumbnails) > 1
            assert {each.image.norm.vmax for each in thumbnails} == {16}


def test_images_of_two_channels_have_no_colours():
    X = np.random.RandomState(0).uniform(size=(4, 3, 3, 2))
    with pytest.raises(ValueError, match=r"Got 2 channels\. Show one channel"):
        ReconstructionDisplay(X, X).plot()
    ReconstructionDisplay(X[..., 0], X[..., 0]).plot()


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


def test_series_are_shown_as_lines(digits):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(3, 20)).cumsum(axis=1)
    X_hat = X + 0.1
    display = ReconstructionDisplay(X, X_hat, X_noisy=X - 1, series_shape=(10, 2))
    display.plot()
    assert [len(lines) for lines in display.lines_.values()] == [6, 6, 6]
    first, second = display.lines_["input"][2:4]  # the two channels of row 1
    assert_allclose(np.ptp(first.get_xdata()), 9)
    channels = X[1].reshape(10, 2).T
    assert_allclose(np.corrcoef(first.get_ydata(), channels[0])[0, 1], 1)
    assert_allclose(np.corrcoef(second.get_ydata(), channels[1])[0, 1], 1)
    assert second.get_ydata().max() <= 0 <= first.get_ydata().min()
    # Input and output have one scale.
    gap = display.lines_["output"][2].get_ydata() - first.get_ydata()
    assert_allclose(gap, 0.1 / np.ptp(X[:, ::2]))
    names = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert names == ["input", "noisy", "output"]
    with pytest.raises(ValueError, match=r"makes 18 values; rows have 20 columns"):
        ReconstructionDisplay(X, X_hat, series_shape=(9, 2)).plot()
    model = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(digits[0])
    display = ReconstructionDisplay.from_estimator(
        model, digits[0][:4], series_shape=(64,)
    )
    assert len(display.lines_["output"]) == 4


def test_series_that_end():
    rng = np.random.RandomState(0)
    X = [rng.normal(size=(n, 2)) for n in (6, 4, 5) * 10]
    model = RecurrentAutoencoder(2, max_epochs=1, random_state=0).fit(X)
    error = model.reconstruction_error(X)
    array = np.full((30, 6, 2), np.nan)
    for row, each in zip(array, X, strict=True):
        row[: len(each)] = each
    for series in (X, array):
        display = ReconstructionDisplay.from_estimator(model, series[:3])
        assert_allclose(display.error_, error[:3])
        for i, line in enumerate(display.lines_["input"][::2]):
            assert np.isfinite(line.get_ydata()).sum() == len(X[i])
        display = ErrorDisplay.from_estimator(model, series, kind="rows")
        assert sum(bar.get_height() for bar in display.bars_) == 30
        display = ErrorDisplay.from_estimator(model, series)
        per_entry = model.reconstruction_error(X, per_feature=True)
        expected = np.sort(np.nanmean(per_entry, axis=0))[::-1]
        assert_allclose([bar.get_width() for bar in display.bars_], expected)
        atoms = FeatureDisplay.from_estimator(model, series, kind="atoms").features
        assert atoms.shape == (2, 12)


def test_wrong_image_shape_tells_both_numbers(model, digits):
    with pytest.raises(ValueError, match=r"makes 63 values; rows have 64 columns"):
        ReconstructionDisplay.from_estimator(model, digits[0][:3], image_shape=(7, 9))


def test_map_of_codes(model):
    X, y = load_digits(return_X_y=True)
    display = CodeMapDisplay.from_estimator(model, X, y)
    assert len(display.points_) == 10
    points = np.vstack([each.get_offsets() for each in display.points_])
    order = np.argsort(y, kind="stable")
    # Codes are in the order of PCA already.
    assert_allclose(points, model.transform(X)[order, :2])
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


def test_thumbnails_on_the_map_are_those_of_their_points(model, digits):
    X = digits[0]
    display = CodeMapDisplay.from_estimator(model, X, image_shape=(8, 8))
    points = np.asarray(display.points)
    places = np.array([each.xy for each in display.thumbnails_])
    assert 10 < len(places) < 150
    for each in display.thumbnails_:
        i = np.flatnonzero((points == each.xy).all(axis=1))[0]
        assert_allclose(each.offsetbox.get_data(), X[i].reshape(8, 8))
    scaled = places / np.ptp(points, axis=0)
    gaps = np.linalg.norm(scaled[:, None] - scaled, axis=2)
    assert gaps[~np.eye(len(gaps), dtype=bool)].min() > 0.05
    assert CodeMapDisplay.from_estimator(model, X).thumbnails_ == []


def test_weights_of_units_as_images(model, digits):
    display = FeatureDisplay.from_estimator(model, units=[3, 7, 50], image_shape=(8, 8))
    image = np.ma.filled(display.image_.get_array(), np.nan)
    weights = model.encoder_weights_[0]
    assert image.shape == (17, 17)
    assert_allclose(image[:8, 9:].ravel(), weights[7])
    assert np.isnan(image[9:, 9:]).all()
    low, high = display.image_.get_clim()
    assert -low == high == np.float64(np.abs(weights[[3, 7, 50]]).max())
    with pytest.raises(ValueError, match=r"some of the 100 .* Got \[100\]"):
        FeatureDisplay.from_estimator(model, units=[100])


def test_atoms_of_components(digits):
    linear = AutoencoderTransformer(3, hidden_layer_sizes=(), max_epochs=1)
    linear.fit(digits[0])
    display = FeatureDisplay.from_estimator(
        linear, digits[0], kind="atoms", image_shape=(8, 8)
    )
    std = linear.transform(digits[0]).std(axis=0)
    expected = linear.decoder_weights_[-1].T * std[:, None]
    assert_allclose(display.features, expected, atol=1e-4)
    assert display.names == ["component 0", "component 1", "component 2"]
    with pytest.raises(ValueError, match="kind='atoms' needs rows: pass X"):
        FeatureDisplay.from_estimator(linear, kind="atoms")


def test_rows_that_activate_units(model, digits):
    X = digits[0]
    display = FeatureDisplay.from_estimator(
        model, X, kind="inputs", units=[0, 150], n_inputs=4, image_shape=(8, 8)
    )
    hidden = AutoencoderTransformer.transform(
        AutoencoderTransformer(3, output="hidden", max_epochs=3, random_state=0).fit(X),
        X,
    )
    for row, unit in zip(np.asarray(display.features), (0, 150), strict=True):
        assert_allclose(row, X[np.argsort(-hidden[:, unit])[:4]])
    assert model.output == "code"
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels == ["unit 0", "unit 150"]


def test_rows_that_activate_units_of_a_sparse_code(digits):
    X = digits[0]
    model = SparseAutoencoder(20, max_epochs=2, random_state=0).fit(X)
    unit = int(np.argmax(model.code_activity_))
    display = FeatureDisplay.from_estimator(
        model, X, kind="inputs", units=[unit], n_inputs=2, image_shape=(8, 8)
    )
    top = np.argsort(-model.transform(X)[:, unit], kind="stable")[:2]
    assert_allclose(np.asarray(display.features)[0], X[top])


def test_features_of_a_table_are_bars():
    wine = load_wine(as_frame=True).data
    model = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(wine)
    display = FeatureDisplay.from_estimator(model, units=[0, 4], n_columns=5)
    weights = model.encoder_weights_[0][[0, 4]]
    names = [label.get_text() for label in display.ax_.get_yticklabels()]
    widths = np.array([[bar.get_width() for bar in each] for each in display.bars_])
    shown = [list(wine.columns).index(name) for name in names]
    assert len(shown) == 5
    assert_allclose(widths, weights[:, shown] / np.abs(weights).max() / 2)
    assert display.bars_[1][0].get_x() == 1
    display = FeatureDisplay.from_estimator(model, wine, kind="inputs", units=[0])
    hidden = model.set_params(output="hidden").transform(wine)[:, 0]
    top = wine.iloc[np.argsort(-hidden)[:6]].mean()
    expected = (top - wine.mean()) / wine.std(ddof=0)
    assert_allclose(np.asarray(display.features)[0], expected, rtol=1e-6)


def test_kernels_of_convolutions(digits):
    model = AutoencoderTransformer(module=Convolutions, max_epochs=1).fit(digits[0])
    display = FeatureDisplay.from_estimator(model)
    kernels = model.module_.encoder[0].weight.detach().numpy()
    assert_allclose(np.asarray(display.features), kernels.reshape(4, 9))
    assert display.image_.get_array().shape == (7, 7)
    model = AutoencoderTransformer(2, module=Own, max_epochs=1).fit(digits[0])
    with pytest.raises(ValueError, match=r"Own has none\. Use kind='atoms'"):
        FeatureDisplay.from_estimator(model)
    with pytest.raises(ValueError, match="kind must be 'weights', 'atoms' or"):
        FeatureDisplay.from_estimator(model, kind="filters")


def test_convolutions_know_the_shape_of_their_images(digits):
    X = digits[0]
    model = ConvAutoencoder(2, max_epochs=2, init="random", random_state=0).fit(X)
    rows = ReconstructionDisplay.from_estimator(model, X[:5])
    told = ReconstructionDisplay.from_estimator(model, X[:5], image_shape=(8, 8))
    assert_allclose(rows.image_.get_array(), told.image_.get_array())
    assert np.shape(CodeGridDisplay.from_estimator(model, X).images) == (10, 10, 8, 8)
    path = CodeGridDisplay.from_path(model, X[0], X[1], n_steps=4)
    assert np.shape(path.images) == (1, 4, 8, 8)
    atoms = FeatureDisplay.from_estimator(model, X, kind="atoms")
    assert atoms.image_shape == model.image_shape_
    # The rows of a table are lines to it, and are shown as a table.
    model.fit(X[:, :10])
    table = ReconstructionDisplay.from_estimator(model, X[:5, :10])
    assert table.image_shape is None


def test_grids_need_the_shape_of_images(model, digits):
    with pytest.raises(ValueError, match="rows of 64 columns: pass image_shape"):
        CodeGridDisplay.from_estimator(model, digits[0])


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


@pytest.mark.parametrize("output", ["reconstruction", "hidden"])
def test_codes_are_shown_whatever_transform_gives(model, digits, output):
    X = digits[0][:50]
    other = copy.copy(model).set_params(output=output)
    ways = [
        lambda model: CodeMapDisplay.from_estimator(model, X).points_.get_offsets(),
        lambda model: CodeGridDisplay.from_estimator(
            model, X, image_shape=(8, 8), n_steps=3
        ).image_.get_array(),
        lambda model: CodeGridDisplay.from_path(
            model, X[0], X[1], image_shape=(8, 8)
        ).image_.get_array(),
    ]
    for show in ways:
        assert_array_equal(show(other), show(model))
    assert other.output == output


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
    with pytest.raises(ValueError, match="n_columns == 0, must be >= 1"):
        ErrorDisplay.from_estimator(model, wine, n_columns=0)


def test_axes_that_are_given_are_used(model, digits):
    X = digits[0][:20]
    plt.close("all")  # those of other tests
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


FROM_ROWS = [
    lambda model, X: ReconstructionDisplay.from_estimator(model, X).error_,
    lambda model, X: ErrorDisplay.from_estimator(model, X).error,
    lambda model, X: CodeMapDisplay.from_estimator(model, X, image_shape=(8, 8)).images,
    lambda model, X: (
        CodeGridDisplay.from_estimator(model, X, image_shape=(8, 8), n_steps=2).images
    ),
    lambda model, X: FeatureDisplay.from_estimator(model, X, kind="atoms").features,
    lambda model, X: FeatureDisplay.from_estimator(model, X, kind="inputs").features,
]


@pytest.mark.parametrize("show", FROM_ROWS)
def test_rows_in_all_forms(show, model, digits):
    X = digits[1][:30]
    names = [f"pixel {i}" for i in range(64)]
    expected = show(model, X)
    for rows in (csr_matrix(X), coo_array(X), torch.as_tensor(X)):
        assert_allclose(show(model, rows), expected, atol=1e-5)
    for frame in (pd.DataFrame(X, columns=names), pl.DataFrame(X, schema=names)):
        named = copy.deepcopy(model)
        named.feature_names_in_ = np.array(names, dtype=object)
        assert_allclose(show(named, frame), expected, atol=1e-5)


@pytest.mark.parametrize("form", [csr_matrix, pd.DataFrame, np.asarray])
def test_paths_between_rows_in_all_forms(form, model, digits):
    X = digits[1][:2]
    expected = CodeGridDisplay.from_path(model, *X, image_shape=(8, 8)).images
    rows = form(X)
    ends = (rows.iloc[[0]], rows.iloc[1]) if hasattr(rows, "iloc") else (rows[0], X[1])
    path = CodeGridDisplay.from_path(model, *ends, image_shape=(8, 8))
    assert_allclose(path.images, expected, atol=1e-5)


def test_series_of_unequal_length():
    rng = np.random.RandomState(0)
    series = [rng.normal(size=(1 + i % 4, 2)) for i in range(120)]
    model = RecurrentAutoencoder(3, hidden_size=4, max_epochs=1, random_state=0)
    model.fit(series)
    table = np.full((120, 4, 2), np.nan)
    for row, each in zip(table, series, strict=True):
        row[: len(each)] = each
    lines = ReconstructionDisplay.from_estimator(model, series[:8]).lines_["input"]
    assert [np.isfinite(line.get_ydata()).sum() for line in lines[::2]] == [
        1,
        2,
        3,
        4,
    ] * 2
    assert [line.get_marker() for line in lines[:4]] == [".", ".", "", ""]
    display = FeatureDisplay.from_estimator(model, series, kind="inputs", n_inputs=120)
    # All rows activate a unit, and their mean is that of the rows.
    assert_allclose(display.features, np.zeros((4, 8)), atol=1e-12)
    for kind in ("columns", "rows"):
        ErrorDisplay.from_estimator(model, series, kind=kind)
    CodeMapDisplay.from_estimator(model, series, "error")
    FeatureDisplay.from_estimator(model, series, kind="atoms")
    CodeGridDisplay.from_path(model, series[0], series[3], image_shape=(4, 2))


def test_colours_of_labels_that_are_partly_missing(model, digits):
    y = np.array([-1, "up", "down"] * 5, dtype=object)
    display = CodeMapDisplay.from_estimator(model, digits[1][:15], y)
    assert [points.get_label() for points in display.points_] == ["-1", "down", "up"]
    with pytest.raises(ValueError, match="X has 1 row"):
        CodeMapDisplay.from_estimator(model, digits[1][:1], embedding=PCA(2))


@pytest.fixture(scope="module")
def others(digits):
    """Estimators that are no autoencoders, and what to show in their place."""
    X = digits[0][:100]
    inner = AutoencoderTransformer(3, max_epochs=1, random_state=0)
    classifier = PretrainedClassifier(inner, max_epochs=1, random_state=0)
    regressor = PretrainedRegressor(inner, pretrain=False, max_epochs=1, random_state=0)
    return {
        "its fitted pretrainer_": classifier.fit(X, X[:, 20] > 0.5),
        "a fitted autoencoder": regressor.fit(X, X[:, 20]),
        "its fitted autoencoder_": AutoencoderSampler(inner, random_state=0).fit(X),
        "the autoencoder step": make_pipeline(StandardScaler(), inner).fit(X),
    }


def test_estimators_that_have_not_what_is_shown(others, digits):
    X = digits[0][:100]
    of_rows = (
        lambda model: ReconstructionDisplay.from_estimator(model, X),
        lambda model: ErrorDisplay.from_estimator(model, X),
        lambda model: CodeMapDisplay.from_estimator(model, X, "error"),
    )
    of_networks = (
        lambda model: FeatureDisplay.from_estimator(model),
        lambda model: FeatureDisplay.from_estimator(model, X, kind="inputs"),
    )
    for instead, model in others.items():
        # A pipeline passes rows through its steps, and has no network.
        for show in (
            of_networks if instead == "the autoencoder step" else of_networks + of_rows
        ):
            with pytest.raises(TypeError, match=f"Got .*Pass {instead}"):
                show(model)
    with pytest.raises(TypeError, match=r"loss_curve_ .*Pass its fitted autoencoder_"):
        LossCurveDisplay.from_estimator(others["its fitted autoencoder_"])
    for name in ("its fitted pretrainer_", "its fitted autoencoder_"):
        with pytest.raises(TypeError, match=f"inverse_transform.*Pass {name}"):
            CodeGridDisplay.from_path(others[name], X[0], X[1], image_shape=(8, 8))


def test_displays_of_the_classifier(others, digits):
    model = others["its fitted pretrainer_"]
    (line,) = LossCurveDisplay.from_estimator(model).lines_
    assert list(line.get_ydata()) == model.loss_curve_
    points = CodeMapDisplay.from_estimator(model, digits[0], embedding=PCA(2)).points
    assert_allclose(points, PCA(2).fit_transform(model.transform(digits[0])))


def test_targets_with_gaps_and_an_order():
    points = np.random.RandomState(0).normal(size=(6, 2))
    sizes = pd.Categorical(["S", "L", None, "M", "S", "L"], ["S", "M", "L"])
    display = CodeMapDisplay(points, sizes).plot()
    legend = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert legend == ["missing", "S", "M", "L"]
    counts = pd.array([3, None, 5, 8, 13, 21] * 10, dtype="Int64")
    display = CodeMapDisplay(np.tile(points, (10, 1)), counts).plot()
    shown = sum(len(each.get_offsets()) for each in display.ax_.collections)
    assert shown == 60


@pytest.fixture(scope="module")
def detector(digits):
    model = AutoencoderTransformer(3, max_epochs=2)
    return AutoencoderOutlierDetector(model, random_state=0).fit(digits[0])


def test_scores_of_outliers(detector, digits):
    X = digits[1]
    display = OutlierDisplay.from_estimator(detector, X)
    for bars, n_rows in zip(display.bars_, (100, len(X)), strict=True):
        heights = [bar.get_height() * n_rows for bar in bars]
        assert sum(heights) == pytest.approx(n_rows)
    (line,) = display.ax_.lines
    assert line.get_xdata()[0] == detector.offset_
    display = OutlierDisplay(detector.score_samples(X), threshold=-np.inf).plot()
    assert len(display.bars_) == 1 and not display.ax_.lines


def test_p_values_of_outliers(detector, digits):
    p = detector.p_values(digits[1])
    line = OutlierDisplay.from_estimator(detector, digits[1], kind="p_values").line_
    x, y = line.get_data()
    for alpha in (0.05, 0.5):
        assert y[x <= alpha][-1] == pytest.approx((p <= alpha).mean())


def test_contributions_to_outliers(detector):
    wine = load_wine(as_frame=True).data
    model = make_pipeline(StandardScaler(), AutoencoderTransformer(3, max_epochs=2))
    of_wine = AutoencoderOutlierDetector(model, random_state=0).fit(wine)
    row = wine.iloc[[0]].assign(ash=20.0)
    display = OutlierDisplay.from_estimator(
        of_wine, row, kind="contributions", n_columns=4
    )
    labels = [label.get_text() for label in display.ax_.get_yticklabels()]
    assert labels[0] == "ash" and len(labels) == 4
    widths = [bar.get_width() for bar in display.bars_]
    assert_allclose(widths[0], of_wine.explain(row)["ash"].iloc[0])
    images = np.random.RandomState(0).uniform(size=(30, 64))
    OutlierDisplay.from_estimator(detector, images, kind="contributions")


def test_outlier_displays_of_something_else(detector, digits):
    with pytest.raises(ValueError, match="kind must be 'scores', 'p_values' or"):
        OutlierDisplay.from_estimator(detector, digits[1], kind="errors")
    with pytest.raises(ValueError, match="n_columns == 0, must be >= 1"):
        OutlierDisplay.from_estimator(
            detector, digits[1], kind="contributions", n_columns=0
        )
    with pytest.raises(TypeError, match="needs an estimator with calibration_"):
        OutlierDisplay.from_estimator(detector.autoencoder_, digits[1])


# Pipelines and PCA


@pytest.fixture(scope="module")
def in_a_pipeline():
    X = load_wine(as_frame=True).data
    model = AutoencoderTransformer(3, max_epochs=3, random_state=0)
    return make_pipeline(StandardScaler(), model).fit(X), X


def test_errors_of_a_pipeline_are_in_its_units(in_a_pipeline):
    pipeline, X = in_a_pipeline
    display = ErrorDisplay.from_estimator(pipeline, X)
    there = pipeline.inverse_transform(pipeline.transform(X))
    assert_allclose(display.error, (X.to_numpy() - there) ** 2)
    assert list(display.feature_names) == list(X.columns)
    rows = ReconstructionDisplay.from_estimator(pipeline, X.iloc[:4])
    assert_allclose(rows.X, X.iloc[:4])
    assert_allclose(rows.X_hat, there[:4])


@pytest.mark.parametrize("kind", ["pipeline", "PCA", "search", "alone"])
def test_displays_take_pipelines_and_pca(kind, in_a_pipeline):
    pipeline, X = in_a_pipeline
    estimator = {
        "pipeline": pipeline,
        "PCA": PCA(3).fit(X),
        "search": GridSearchCV(
            pipeline, {"autoencodertransformer__n_components": [3]}, cv=2
        ),
        "alone": make_pipeline(clone(pipeline[-1])),
    }[kind]
    if kind in ("search", "alone"):
        estimator.fit(X)
    before = estimator.get_params(deep=False)
    codes = estimator.transform(X)
    for display in (
        ReconstructionDisplay.from_estimator(estimator, X.iloc[:4]),
        ErrorDisplay.from_estimator(estimator, X),
        CodeMapDisplay.from_estimator(estimator, X),
        CodeRangeDisplay.from_estimator(estimator, X),
        CodeGridDisplay.from_estimator(estimator, X, image_shape=(13, 1)),
        FeatureDisplay.from_estimator(estimator, X, kind="atoms"),
    ):
        assert display.ax_ is not None
    if kind != "PCA":
        assert LossCurveDisplay.from_estimator(estimator).ax_ is not None
    assert_allclose(estimator.transform(X), codes)
    assert estimator.get_params(deep=False).keys() == before.keys()


def test_a_pipeline_that_returns_reconstructions_is_shown_by_its_codes(in_a_pipeline):
    pipeline, X = in_a_pipeline
    own = make_pipeline(StandardScaler(), clone(pipeline[-1]))
    own.set_params(autoencodertransformer__output="reconstruction").fit(X)
    display = CodeMapDisplay.from_estimator(own, X, embedding="pca")
    assert np.shape(display.points) == (len(X), 2)
    assert own[-1].output == "reconstruction"


def test_pipelines_that_end_in_a_detector_or_a_classifier(in_a_pipeline):
    pipeline, X = in_a_pipeline
    model = clone(pipeline[-1])
    detector = AutoencoderOutlierDetector(model, random_state=0)
    detector = make_pipeline(StandardScaler(), detector).fit(X)
    for kind in ("scores", "p_values", "contributions"):
        assert OutlierDisplay.from_estimator(detector, X, kind=kind).ax_ is not None
    classifier = PretrainedClassifier(model, max_epochs=2, random_state=0)
    classifier = make_pipeline(StandardScaler(), classifier)
    classifier.fit(X, load_wine().target)
    assert LossCurveDisplay.from_estimator(classifier).ax_ is not None


def test_pipelines_without_a_way_back_say_what_to_do(in_a_pipeline):
    _, X = in_a_pipeline
    one_way = make_pipeline(Normalizer(), PCA(2))
    with pytest.raises(TypeError, match=r"pipe\[-1\] and pipe\[:-1\]\.transform"):
        ErrorDisplay.from_estimator(one_way.fit(X), X)
