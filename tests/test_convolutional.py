"""The convolutional autoencoder: images of any size, and PCA to fall back to."""

import copy
import warnings

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split

import skae
from skae import AutoencoderTransformer, ConvAutoencoder, PretrainedClassifier
from skae.modules import ConvolutionalAutoencoder
from skae.plotting import CodeGridDisplay, ReconstructionDisplay

IMAGES = load_digits().images / 16
ROWS = IMAGES.reshape(-1, 64)
# A fit of a moment, whose state is kept, better than PCA or not.
QUICK = {"max_epochs": 1, "init": "random", "random_state": 0}


def noise(*shape):
    return np.random.RandomState(0).normal(size=shape)


# Shapes


@pytest.mark.parametrize("height", range(1, 10))
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("pooling", [False, True])
@torch.no_grad()
def test_images_of_every_size_are_given_back(height, stride, pooling):
    for width in range(1, 10):
        for kernel_size in (1, 3, 5):
            module = ConvolutionalAutoencoder(
                (height, width, 2),
                3,
                n_filters=(2, 3, 2),
                kernel_size=kernel_size,
                stride=stride,
                pooling=pooling,
            )
            x = torch.rand(2, height * width * 2)
            assert module.encode(x).shape == (2, 3)
            assert module(x).shape == x.shape
            # The size after three strides.
            maps = module.hidden(x)[2]
            sizes = [-(-n // stride**3) for n in (height, width)]
            assert maps.shape == (2, 2 * sizes[0] * sizes[1])


@pytest.mark.parametrize(
    "n_features, expected", [(1, (1, 1)), (16, (4, 4)), (7, (1, 7)), (12, (1, 12))]
)
def test_rows_are_squares_or_lines_unless_told(n_features, expected):
    X = noise(30, n_features)
    model = ConvAutoencoder(2, **QUICK).fit(X)
    assert model.image_shape_ == expected
    assert model.reconstruct(X).shape == X.shape


def test_a_line_has_filters_of_one_dimension():
    module = ConvolutionalAutoencoder((1, 12), 2, kernel_size=5)
    assert module.encoder[0].weight.shape == (16, 1, 1, 5)


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 3), (6, 5, 1)])
def test_images_in_and_images_out(shape):
    X = noise(40, *shape)
    model = ConvAutoencoder(3, **QUICK).fit(X)
    rows = X.reshape(40, -1)
    codes = model.transform(X)
    assert codes.shape == (40, 3)
    assert model.image_shape_ == shape
    assert model.n_features_in_ == rows.shape[1]
    assert model.reconstruct(X).shape == X.shape
    assert model.inverse_transform(codes).shape == X.shape
    assert_array_equal(model.transform(rows), codes)
    assert_array_equal(model.transform(list(X)), codes)
    listed = ConvAutoencoder(3, **QUICK).fit(X.tolist())
    assert listed.image_shape_ == shape
    assert_array_equal(listed.transform(tuple(X)), codes)
    assert_array_equal(model.reconstruct(rows), model.reconstruct(X))
    assert_array_equal(model.score_samples(rows), model.score_samples(X))
    assert model.score(rows) == model.score(X)
    assert model.reconstruction_error(X, per_feature=True).shape == rows.shape
    model.set_params(output="reconstruction")
    assert_array_equal(model.transform(X), model.reconstruct(X))
    frame = copy.copy(model).set_output(transform="pandas").transform(X)
    assert_array_equal(frame, model.reconstruct(X).reshape(rows.shape))
    assert list(frame.columns) == list(model.get_feature_names_out())
    assert model.inverse_transform(X).shape == X.shape
    # Fitted to rows, it gives rows.
    twin = ConvAutoencoder(3, image_shape=shape, **QUICK).fit(rows)
    assert_array_equal(twin.transform(X), codes)
    assert twin.inverse_transform(codes).shape == rows.shape


def test_channels_of_a_pixel_lie_side_by_side():
    # A filter of one pixel sees the three channels of that pixel, and no other.
    module = ConvolutionalAutoencoder(
        (4, 4, 3), 2, n_filters=(5,), kernel_size=1, stride=1, hidden_layer_sizes=()
    )
    image = torch.zeros(1, 4, 4, 3)
    changed = image.clone()
    changed[0, 1, 2] = torch.tensor([1.0, 2.0, 3.0])
    (before,), (after,) = (module.hidden(x.reshape(1, -1)) for x in (image, changed))
    differs = (before != after).reshape(5, 4, 4).any(0)
    assert differs.nonzero().tolist() == [[1, 2]]


def test_images_as_validation_rows_and_in_parts():
    X = noise(60, 5, 5)
    model = ConvAutoencoder(2, **QUICK).fit(X[:40], X_val=X[40:])
    assert len(model.validation_loss_curve_) == 2
    model = ConvAutoencoder(2, **QUICK).partial_fit(X[:30]).partial_fit(X[30:])
    assert model.reconstruct(X).shape == X.shape
    model.fit(X.reshape(60, 25))
    assert model.reconstruct(X).shape == (60, 25)


@pytest.mark.parametrize(
    "params, message",
    [
        ({"image_shape": (7, 9)}, r"\(7, 9\) needs 63 columns; X has 64 columns"),
        ({"image_shape": (8, 8, 3)}, r"needs 192 columns; X has 64 columns"),
        ({"image_shape": (64,)}, r"image_shape must be \(height, width\).* Got \(64,"),
        ({"image_shape": (-8, -8)}, r"positive integers.* Got \(-8, -8\)"),
        ({"image_shape": (8, 8.0)}, r"positive integers.* Got \(8, 8\.0\)"),
        ({"kernel_size": 4}, r"must be odd.* Got 4\. Use 3 or 5"),
        ({"n_filters": ()}, r"one convolution or more\. Got \(\)"),
        ({"n_filters": (16, 0)}, r"n_filters must be positive.* Got \(16, 0\)"),
        ({"hidden_layer_sizes": (0,)}, r"hidden_layer_sizes must be positive"),
    ],
)
def test_wrong_parameters(params, message):
    with pytest.raises(ValueError, match=message):
        ConvAutoencoder(**params).fit(ROWS[:100])


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"\(8, 8\); image_shape is \(4, 16\)"):
        ConvAutoencoder(image_shape=(4, 16)).fit(IMAGES)
    model = ConvAutoencoder(**QUICK).fit(IMAGES[:50])
    before = model.transform(IMAGES)
    for method in (model.transform, model.reconstruct, model.partial_fit):
        with pytest.raises(ValueError, match=r"\(4, 16\); in fit they had \(8, 8\)"):
            method(IMAGES.reshape(-1, 4, 16))
    with pytest.raises(ValueError, match="dim 5"):
        model.fit(noise(3, 2, 2, 2, 2))
    assert_array_equal(model.transform(IMAGES), before)
    assert model.reconstruct(IMAGES[:2]).shape == (2, 8, 8)


def test_image_shape_is_that_of_the_fit():
    model = ConvAutoencoder(2, **QUICK).fit(IMAGES[:50])
    codes = model.transform(IMAGES[:50])
    model.set_params(image_shape=(4, 16))
    assert_array_equal(model.transform(IMAGES[:50]), codes)
    assert model.image_shape_ == (8, 8)


def test_no_images():
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        ConvAutoencoder().fit(IMAGES[:0])


# What is trained, and what is kept


@pytest.fixture(scope="module")
def fitted():
    """A model that was trained and not warned of, with images it has not seen."""
    X, X_test = train_test_split(IMAGES, random_state=0)
    model = ConvAutoencoder(8, max_epochs=10, random_state=0).fit(X)
    return model, X, X_test


def flat_pca_score(k, X, X_test):
    X, X_test = X.reshape(len(X), -1), X_test.reshape(len(X_test), -1)
    pca = PCA(k).fit(X)
    error = X_test - pca.inverse_transform(pca.transform(X_test))
    return 1 - np.square(error).sum() / np.square(X_test - X_test.mean(axis=0)).sum()


def test_better_than_pca_on_images(fitted):
    model, X, X_test = fitted
    assert model.best_epoch_ > 0
    assert model.score(X_test) > flat_pca_score(8, X, X_test) + 0.1
    assert model.module_.linear_on == 0


def test_the_linear_path_takes_no_part_in_training(fitted):
    module = fitted[0].module_
    assert (module.linear_encoder.weight == 0).all()
    assert (module.linear_decoder.weight == 0).all()


def test_few_rows_are_given_pca_and_a_warning():
    X = IMAGES[:60]
    with pytest.warns(ConvergenceWarning, match=r"X has 60 rows, too few .* is PCA"):
        model = ConvAutoencoder(5, random_state=0).fit(X)
    pca = PCA(5).fit(ROWS[:60])
    assert model.n_iter_ == model.best_epoch_ == 0
    assert_allclose(model.transform(X), pca.transform(ROWS[:60]), atol=1e-5)
    rows = model.reconstruct(X).reshape(60, -1)
    expected = pca.inverse_transform(pca.transform(ROWS[:60]))
    assert_allclose(rows, expected, atol=1e-5)
    assert model.best_loss_ == pytest.approx(np.mean((expected - ROWS[:60]) ** 2), 1e-4)


def test_where_training_does_not_help_it_is_pca_of_all_rows():
    X = noise(400, 4) @ noise(4, 20) + 0.3 * noise(400, 20)
    with pytest.warns(ConvergenceWarning, match=r"in 2 epochs.* did not beat PCA"):
        model = ConvAutoencoder(4, max_epochs=2, random_state=0).fit(X)
    assert model.n_iter_ == 2 and model.best_epoch_ == 0
    assert_allclose(model.transform(X), PCA(4).fit_transform(X), atol=1e-4)
    # The curve is that of what was trained.
    assert len(model.validation_loss_curve_) == 3
    assert model.best_loss_ < min(model.validation_loss_curve_)


def test_the_warning_points_to_the_call_of_fit():
    with pytest.warns(ConvergenceWarning) as caught:
        ConvAutoencoder().fit(IMAGES[:20])
    assert [each.filename for each in caught] == [__file__]


@pytest.mark.parametrize(
    "params",
    [{"init": "random"}, {"loss": "binary_cross_entropy"}],
    ids=["random", "cross-entropy"],
)
def test_no_fall_back_without_pca_to_compare_with(params):
    model = ConvAutoencoder(5, max_epochs=2, random_state=0, **params)
    for X in (IMAGES[:60], IMAGES[:300]):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model.fit(X)
        assert model.n_iter_ == 2
        assert model.module_.linear_on == 0
    assert model.score(X) < flat_pca_score(5, X, X)


def test_training_goes_on_from_pca():
    X = IMAGES[:300]
    with pytest.warns(ConvergenceWarning, match="did not beat PCA"):
        model = ConvAutoencoder(8, max_epochs=1, random_state=0).fit(X)
    before = model.score(X)
    model.set_params(lr=1e-3)
    for _ in range(20):
        model.partial_fit(X)
    assert model.score(X) > before + 0.02
    assert model.module_.linear_on == 1


def test_a_warm_start_goes_on_from_what_was_kept(fitted):
    model, X, _ = copy.deepcopy(fitted)
    loss = model.best_loss_
    # A fit that makes it no better leaves it as it is, without a warning.
    model.set_params(warm_start=True, lr=1e-9, max_epochs=1).fit(X)
    assert model.best_epoch_ == 0
    assert model.best_loss_ == pytest.approx(loss)
    model.set_params(lr=3e-3, max_epochs=6).fit(X)
    assert model.best_loss_ < loss


def test_cross_entropy_gives_values_between_0_and_1():
    model = ConvAutoencoder(
        8, loss="binary_cross_entropy", max_epochs=10, random_state=0
    ).fit(IMAGES[:600])
    rows = model.reconstruct(IMAGES)
    assert 0 <= rows.min() < 0.05 and 0.95 < rows.max() <= 1
    assert model.score(IMAGES[600:]) > 0.5
    with pytest.raises(ValueError, match=r"needs values in \[0, 1\]"):
        model.score_samples(2 * IMAGES)


def test_weights_of_rows_count_in_pca():
    X, weight = IMAGES[:40], np.arange(40) % 3
    with pytest.warns(ConvergenceWarning):
        weighted = ConvAutoencoder(3).fit(X, sample_weight=weight)
    with pytest.warns(ConvergenceWarning):
        repeated = ConvAutoencoder(3).fit(X.repeat(weight, axis=0))
    assert_allclose(weighted.reconstruct(X), repeated.reconstruct(X), atol=1e-5)


def test_images_in_a_file(tmp_path):
    X = IMAGES[:200].astype(np.float32)
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    codes = ConvAutoencoder(3, **QUICK).fit(X).transform(X)
    model = ConvAutoencoder(3, **QUICK).fit(mapped)
    assert_array_equal(model.transform(mapped), codes)
    assert model.reconstruct(mapped).shape == mapped.shape


@pytest.mark.parametrize(
    "params",
    [
        {"pooling": True},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": 20, "n_filters": 4, "kernel_size": 5, "stride": 3},
        {"activation": "relu", "optimizer": "sgd", "max_epochs": 20},
        {"optimizer": "lbfgs", "n_filters": 4},
        {"loss": torch.nn.SmoothL1Loss()},
        {"net_params": {"autocast": torch.bfloat16}},
    ],
    ids=str,
)
def test_parameters_train(params):
    X = IMAGES[:300]
    model = ConvAutoencoder(4, **{**QUICK, "max_epochs": 6, **params}).fit(X)
    assert model.loss_curve_[-1] < 0.9 * model.loss_curve_[0]
    assert model.score(X) > 0.1


def test_hidden_activations_are_maps_and_dense_layers():
    model = ConvAutoencoder(
        3, n_filters=(4, 5), hidden_layer_sizes=(7,), output="hidden", **QUICK
    ).fit(IMAGES[:50])
    sizes = [4 * 4 * 4, 5 * 2 * 2, 7]
    hidden = model.transform(IMAGES[:50])
    assert hidden.shape == (50, sum(sizes))
    names = model.get_feature_names_out()
    assert names[0] == "convautoencoder_layer1_unit0"
    assert names[-1] == "convautoencoder_layer3_unit6"
    # The code is a linear function of the last map and the last layer.
    module = model.module_
    head = module.to_code
    with torch.no_grad():
        maps, last = torch.as_tensor(hidden, dtype=torch.float32).split(sizes, dim=1)[
            1:
        ]
        z = (head.linear(maps) + head.layers[-1](last)) * module.scale
    model.set_params(output="code")
    assert_allclose(z, model.transform(IMAGES[:50]), atol=1e-4)


def test_units_do_not_matter():
    X = IMAGES[:300]
    model = ConvAutoencoder(4, **QUICK).fit(X)
    scaled = ConvAutoencoder(4, **QUICK).fit(100 * X + 7)
    assert_allclose(scaled.transform(100 * X + 7), 100 * model.transform(X), atol=0.5)
    assert scaled.score(100 * X + 7) == pytest.approx(model.score(X), abs=1e-2)


# With the rest of the library


def test_files_keep_the_shape_of_images(tmp_path):
    pytest.importorskip("safetensors", reason="files need the extra 'files'")
    model = ConvAutoencoder(3, n_filters=[2, 3], **QUICK).fit(IMAGES[:50])
    skae.save(model, tmp_path / "model.skae")
    twin = skae.load(tmp_path / "model.skae")
    assert twin.image_shape_ == (8, 8)
    assert_array_equal(twin.reconstruct(IMAGES), model.reconstruct(IMAGES))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 6, 8)])
def test_channels_first(shape):
    X = noise(60, *shape)
    given = [
        ({}, X),
        ({}, list(X)),
        ({}, torch.as_tensor(X)),
        ({"image_shape": shape}, X.reshape(60, -1)),
    ]
    for params, images in given:
        with pytest.warns(UserWarning, match=r"put the channels last: pass X\.transp"):
            ConvAutoencoder(**QUICK, **params).fit(images)


@pytest.mark.parametrize("shape", [(1, 8, 3), (3, 3, 1), (8, 8, 3), (3, 8), (1, 64, 1)])
def test_channels_last_need_no_warning(shape):
    ConvAutoencoder(**QUICK).fit(noise(60, *shape))


def test_out_has_the_shape_of_the_images():
    model = ConvAutoencoder(**QUICK, output="reconstruction").fit(IMAGES[:60])
    expected = model.transform(IMAGES[:60])
    for shape in (IMAGES[:60].shape, (60, 64)):
        out = np.empty(shape, dtype=np.float32)
        assert model.transform(IMAGES[:60], out=out) is out
        assert_allclose(out.reshape(expected.shape), expected, rtol=1e-6)
    with pytest.raises(ValueError, match=r"of shape \(60, 8, 8\).*Got shape \(60, 2\)"):
        model.transform(IMAGES[:60], out=np.empty((60, 2)))


def test_folds_of_images():
    search = GridSearchCV(
        ConvAutoencoder(**{**QUICK, "max_epochs": 3}),
        {"n_components": [1, 6], "stride": [2, 3]},
        cv=2,
    ).fit(IMAGES[:300])
    assert search.best_params_["n_components"] == 6
    assert search.transform(IMAGES).shape == (len(IMAGES), 6)


def test_a_classifier_starts_from_it():
    X, y = load_digits(return_X_y=True)
    pretrainer = ConvAutoencoder(8, max_epochs=5, init="random", random_state=0)
    model = PretrainedClassifier(pretrainer, max_epochs=20, random_state=0)
    model.fit(X[:800] / 16, y[:800])
    assert model.score(X[800:] / 16, y[800:]) > 0.8


def test_displays_of_images(fitted):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    model, X, _ = fitted
    images = ReconstructionDisplay.from_estimator(model, X[:5])
    rows = ReconstructionDisplay.from_estimator(
        model, X[:5].reshape(5, 64), image_shape=model.image_shape_
    )
    assert_allclose(images.error_, model.reconstruction_error(X[:5]))
    assert_array_equal(images.image_.get_array(), rows.image_.get_array())
    assert images.image_.get_array().shape == (17, 44)
    grid = CodeGridDisplay.from_estimator(model, X, image_shape=(8, 8), n_steps=3)
    assert grid.image_.get_array().shape == (26, 26)
    way = CodeGridDisplay.from_path(model, X[0], X[1], image_shape=(8, 8), n_steps=4)
    assert way.image_.get_array().shape == (8, 35)
    plt.close("all")


def test_dense_codes_of_the_same_size_are_worse(fitted):
    model, X, X_test = fitted
    dense = AutoencoderTransformer(8, max_epochs=10, random_state=0)
    dense.fit(X.reshape(len(X), -1))
    assert model.score(X_test) > dense.score(X_test.reshape(len(X_test), -1))
