"""Series of equal and of unequal length, and the recurrent autoencoder of them."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from torch import nn

import skae
from skae import RecurrentAutoencoder
from skae.modules import SeriesAutoencoder
from skae.objectives import Reconstruction
from skae.training import fill_missing
from skae.training._recipe import EVALUATION_ROWS

QUICK = {"max_epochs": 2, "batch_size": 64, "hidden_size": 16, "random_state": 0}


def waves(n=200, longest=12, seed=0):
    """Series of two channels: waves of some frequency, phase and length."""
    rng = np.random.RandomState(seed)
    n_steps = rng.randint(longest // 2, longest + 1, size=n)
    n_steps[0] = longest
    time = np.arange(longest)[:, None]
    angle = rng.uniform(0.3, 0.9, n) * time + rng.uniform(0, 6, n)
    both = np.stack([np.sin(angle), np.cos(angle)], axis=2)
    both += 0.05 * rng.normal(size=both.shape)
    return [both[:k, i] for i, k in enumerate(n_steps)]


def padded(series, n_steps):
    """Series as an array of three dimensions, with NaN after the ends."""
    array = np.full((len(series), n_steps, series[0].shape[1]), np.nan)
    for row, each in zip(array, series, strict=True):
        row[: len(each)] = each
    return array


@pytest.fixture(scope="module")
def images():
    """Images of digits as series of eight rows of pixels."""
    return load_digits().data.reshape(-1, 8, 8)[:200] / 16


every_net = pytest.mark.parametrize(
    "params",
    [
        {"cell": "lstm"},
        {"cell": "gru"},
        {"cell": "gru", "n_layers": 2, "bidirectional": True},
        {"cell": "lstm", "n_layers": 2, "decoder": "recurrent"},
        {"cell": "gru", "decoder": "recurrent", "bidirectional": True},
    ],
    ids=str,
)


# Shapes


@every_net
def test_all_shapes_of_equal_series_are_the_same(params, images):
    params = {**QUICK, **params}
    array = RecurrentAutoencoder(3, **params).fit(images)
    codes = array.transform(images)
    rows = array.reconstruct(images)
    assert rows.shape == array.inverse_transform(codes).shape == images.shape
    listed = RecurrentAutoencoder(3, **params).fit(list(images))
    flat = images.reshape(-1, 64)
    table = RecurrentAutoencoder(3, series_shape=(8, 8), **params).fit(flat)
    for model, X in ((listed, list(images)), (table, flat), (table, csr_array(flat))):
        assert model.series_shape_ == (8, 8)
        assert_array_equal(model.transform(X), codes)
        assert_array_equal(model.reconstruct(X).reshape(rows.shape), rows)
        assert model.score(X) == array.score(images)
    # What was fitted takes any of them, and gives the shape that `fit` was given.
    assert_array_equal(array.transform(flat), codes)
    assert array.reconstruct(flat).shape == images.shape
    assert table.reconstruct(images).shape == flat.shape
    assert array.reconstruction_error(images, per_feature=True).shape == flat.shape


@every_net
def test_all_shapes_of_unequal_series_are_the_same(params):
    series = waves()
    array = padded(series, 12)
    params = {**QUICK, **params}
    listed = RecurrentAutoencoder(3, **params).fit(series)
    codes = listed.transform(series)
    table = RecurrentAutoencoder(3, series_shape=[12, 2], **params)
    table.fit(array.reshape(-1, 24))
    other = RecurrentAutoencoder(3, **params).fit(array)
    for model in (listed, table, other):
        for X in (
            series,
            array,
            array.reshape(-1, 24),
            tuple(map(pd.DataFrame, series)),
        ):
            assert_array_equal(model.transform(X), codes)
            assert model.score(X) == listed.score(series)
    assert listed.inverse_transform(codes).shape == (200, 12, 2)


def test_a_table_is_series_of_one_channel(curved):
    model = RecurrentAutoencoder(**QUICK).fit(curved)
    assert model.series_shape_ == (6, 1)
    assert model.reconstruct(curved).shape == curved.shape
    assert_array_equal(
        RecurrentAutoencoder(**QUICK).fit(curved[:, :, None]).transform(curved),
        model.transform(curved),
    )


def test_shorter_series_after_fit(images):
    model = RecurrentAutoencoder(3, **QUICK).fit(images)
    short = [image[:5] for image in images]
    assert model.transform(short).shape == (200, 3)
    assert_array_equal(model.transform(images[:, :5]), model.transform(short))
    model = RecurrentAutoencoder(3, series_shape=(10, 8), **QUICK).fit(images)
    assert model.inverse_transform(np.zeros((4, 3))).shape == (4, 10, 8)
    assert np.isfinite(model.score(images))


@pytest.mark.parametrize(
    "params, X, message",
    [
        ({"series_shape": (5, 7)}, np.ones((9, 36)), r"\(5, 7\) needs .*35.*has 36\."),
        ({"series_shape": (5,)}, np.ones((9, 5)), r"two positive ints.*Got \(5,\)"),
        ({"series_shape": (5, 0)}, np.ones((9, 5)), r"two positive.*Got \(5, 0\)"),
        ({"series_shape": 5}, np.ones((9, 5)), r"'series_shape'.*Got 5"),
        (
            {"series_shape": (5, 2)},
            np.ones((9, 6, 2)),
            r"2 channels and at most 5 steps.*Got 2 channels and up to 6 steps",
        ),
        ({}, [np.ones((5, 2)), np.ones((5, 3))], r"2 channels.*Series 1 has.*\(5, 3\)"),
        ({}, [np.ones((5, 2)), np.ones(5)], r"Series 1 has shape \(5,\)"),
        ({}, [np.ones(5), np.ones(4)], r"shape \(steps,\), of unequal length: pass .*"),
        ({}, [np.ones((5, 2)), np.ones((0, 2))], r"row 1, .*a series without steps"),
        ({}, np.ones((0, 5, 2)), "0 sample"),
        ({"cell": "rnn"}, np.ones((9, 5)), r"'cell'.*'gru'.*Got 'rnn'"),
        ({"decoder": "both"}, np.ones((9, 5)), r"'decoder'.*'dense'.*Got 'both'"),
        ({"hidden_size": 0}, np.ones((9, 5)), r"'hidden_size'.*Got 0"),
        (
            {"decoder_hidden_size": 0},
            np.ones((9, 5)),
            r"'decoder_hidden_size'.*or None\. Got 0",
        ),
        ({"loss": "binary_cross_entropy"}, np.ones((9, 5)), r"'loss'.*Got 'binary"),
    ],
)
def test_wrong_shapes_and_parameters(params, X, message):
    with pytest.raises(ValueError, match=message):
        RecurrentAutoencoder(**params).fit(X)


def test_wrong_shapes_after_fit(images):
    model = RecurrentAutoencoder(**QUICK)
    with pytest.raises(NotFittedError):
        model.transform(images)
    model.fit(images)
    for X, got in (
        (np.ones((3, 9, 8)), "Got 8 channels and up to 9 steps"),
        ([np.ones((5, 7))], "Got 7 channels and up to 5 steps"),
        (np.ones((3, 63)), "63 features"),
    ):
        with pytest.raises(ValueError, match=got):
            model.transform(X)
    # A fit that fails leaves what was fitted.
    with pytest.raises(ValueError, match="NaN within a series"):
        model.fit([np.ones((3, 2)), _gap()])
    assert model.transform(images).shape == (200, 2)


def _gap():
    series = np.ones((3, 2))
    series[1] = np.nan
    return series


@pytest.mark.parametrize(
    "params, width",
    [
        ({}, 256),
        ({"decoder_hidden_size": np.int64(5)}, 5),
        ({"decoder_hidden_size": None}, 16),
    ],
    ids=str,
)
def test_width_of_a_dense_decoder(params, width, images):
    module = RecurrentAutoencoder(3, **QUICK, **params).fit(images).module_
    hidden = [layer for layer in module.decoder if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in hidden] == [width, width]
    assert module.to_row.in_features == width
    assert module.forwards.hidden_size == 16


def test_a_recurrent_decoder_has_no_width_but_its_state(images):
    rows = [
        RecurrentAutoencoder(3, decoder="recurrent", decoder_hidden_size=width, **QUICK)
        .fit(images)
        .reconstruct(images)
        for width in (5, None)
    ]
    assert_array_equal(*rows)


@pytest.mark.parametrize("decoder, n_steps", [("dense", 1500), ("recurrent", 500)])
def test_a_recurrent_decoder_is_trained_for_fewer_steps(decoder, n_steps, images):
    small = {"hidden_size": 2, "decoder_hidden_size": 2, "batch_size": 20}
    model = RecurrentAutoencoder(decoder=decoder, validation_fraction=None, **small)
    assert 2 * model.fit(images[:40, :2]).n_iter_ == n_steps


# Where series have ended


@pytest.mark.parametrize(
    "where, message",
    [
        ((7, 0), r"row 7, step 0.*of 12 steps"),
        ((7, 5, 1), r"row 7, step 5"),
        ((7, -1, 0), r"row 7, step 11"),
        ((7,), r"NaN in every step of row 7"),
    ],
)
def test_nan_is_refused_but_after_the_end(where, message):
    X = np.ones((40, 12, 2))
    X[where] = np.nan
    with pytest.raises(ValueError, match=message):
        RecurrentAutoencoder().fit(X)
    X[where] = np.inf
    with pytest.raises(ValueError, match=r"contains infinity.*row 7"):
        RecurrentAutoencoder().fit(X)


def test_nan_in_a_table_is_refused_unless_rows_are_said_to_be_series(curved):
    X = curved.copy()
    X[3, 4:] = np.nan
    with pytest.raises(ValueError, match=r"contains NaN.*row 3, column 4"):
        RecurrentAutoencoder().fit(X)
    model = RecurrentAutoencoder(series_shape=(6, 1), **QUICK).fit(X)
    assert np.isnan(model.reconstruct(X)).sum() == 2
    assert not RecurrentAutoencoder().__sklearn_tags__().input_tags.allow_nan
    assert model.__sklearn_tags__().input_tags.allow_nan


@every_net
@torch.no_grad()
def test_what_comes_after_the_end_changes_no_bit(params):
    torch.manual_seed(0)
    options = {name: value for name, value in params.items() if name != "decoder"}
    module = SeriesAutoencoder(
        9, 2, 3, recurrent_decoder="decoder" in params, **options
    ).eval()
    x = torch.randn(6, 18)
    n_steps = torch.tensor([9, 4, 1, 8, 9, 3])
    ended = torch.arange(18) >= 2 * n_steps[:, None]
    x[ended] = torch.nan
    codes = module.encode(x)
    assert codes.isfinite().all()
    # To the encoder, a column's centre is all that there is after the end.
    module.mean[4:] += 5
    shifted = torch.where(ended, torch.nan, x + 5 * (torch.arange(18) >= 4))
    assert_allclose(module.encode(shifted), codes, atol=1e-5)
    module.mean[4:] -= 5
    # To the loss, it does not matter what is reconstructed there.
    objective, criterion = Reconstruction(missing=True), torch.nn.MSELoss()
    x_hat = torch.randn(6, 18)
    other = torch.where(ended, 1e6 * torch.randn(6, 18), x_hat)
    with torch.enable_grad():
        grads = []
        for each in (x_hat, other):
            each.requires_grad_()
            loss = objective.mean(criterion, each, x, x, None, 1.0)
            grads.append(torch.autograd.grad(loss, each)[0])
    assert_array_equal(*grads)
    assert not grads[0][ended].any()
    losses = objective.losses(criterion, x_hat, x, x)
    assert_array_equal(losses, objective.losses(criterion, other, x, x))
    expected = [
        float((row - row_hat)[~end].square().mean())
        for row, row_hat, end in zip(x, x_hat, ended, strict=True)
    ]
    assert_allclose(losses, expected, rtol=1e-5)
    assert_allclose(loss, np.mean(expected), rtol=1e-5)


@every_net
@torch.no_grad()
def test_codes_do_not_depend_on_the_padding_of_the_longest(params):
    """Fewer steps of padding, and torch's own packed sequences, give the same codes."""
    torch.manual_seed(0)
    options = {name: value for name, value in params.items() if name != "decoder"}
    long = SeriesAutoencoder(9, 2, 3, linear_path=False, **options).eval()
    short = SeriesAutoencoder(5, 2, 3, linear_path=False, **options).eval()
    same = {
        name: value
        for name, value in long.state_dict().items()
        if name.startswith(("forwards", "backwards", "to_code"))
    }
    short.load_state_dict(same, strict=False)
    x = torch.randn(4, 18)
    n_steps = torch.tensor([5, 4, 1, 3])
    x[torch.arange(18) >= 2 * n_steps[:, None]] = torch.nan
    assert_allclose(short.encode(x[:, :10]), long.encode(x), atol=1e-6)
    series = nn.utils.rnn.pack_sequence(
        [row[: 2 * n].reshape(-1, 2) for row, n in zip(x, n_steps, strict=True)],
        enforce_sorted=False,
    )
    state = long.forwards(series)[1]
    state = state[0] if isinstance(state, tuple) else state
    assert_allclose(long.hidden(x)[0][:, :64], state[-1], atol=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_whole_series_are_the_same_beside_one_that_ends_early(cell, bidirectional):
    torch.manual_seed(0)
    module = SeriesAutoencoder(
        6, 2, n_components=3, cell=cell, bidirectional=bidirectional
    )
    whole = torch.randn(5, 12)
    short = torch.cat([torch.randn(1, 8), torch.full((1, 4), torch.nan)], 1)
    parameter = module.forwards.weight_hh_l0
    codes, gradients = [], []
    for x in (whole, torch.cat([whole, short])):
        z = module.encode(x)[:5]
        codes.append(z)
        gradients += torch.autograd.grad(z.square().sum(), parameter)
    torch.testing.assert_close(*codes)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("linear_path", [True, False])
@torch.no_grad()
def test_a_recurrent_decoder_is_given_its_own_output(linear_path):
    torch.manual_seed(0)
    module = SeriesAutoencoder(
        7, 2, 3, recurrent_decoder=True, linear_path=linear_path
    ).eval()
    z = torch.randn(4, 3)
    (cell,) = module.decoder
    state = (module.from_code(z / module._code_size).tanh(), torch.zeros(4, 64))
    linear = module.linear_decoder(z) if linear_path else torch.zeros(4, 14)
    step, steps = torch.zeros(4, 2), []
    for part in linear.split(2, 1):
        state = cell(step, state)
        step = module.to_row(state[0]) + part
        steps.append(step)
    assert_allclose(module.decode(z), torch.cat(steps, 1), atol=1e-6)


def test_reconstructions_end_where_the_series_do():
    series = waves()
    model = RecurrentAutoencoder(4, **QUICK).fit(series)
    rows = model.reconstruct(series)
    assert_array_equal(np.isnan(rows), np.isnan(padded(series, 12)))
    # A code does not tell where its series ended.
    from_codes = model.inverse_transform(model.transform(series))
    assert np.isfinite(from_codes).all()
    assert_allclose(np.where(np.isnan(rows), np.nan, from_codes), rows, atol=1e-5)
    error = model.reconstruction_error(series, per_feature=True)
    assert_array_equal(np.isnan(error), np.isnan(rows).reshape(200, 24))
    by_hand = [
        np.mean((s - r[: len(s)]) ** 2) for s, r in zip(series, rows, strict=True)
    ]
    assert_allclose(model.reconstruction_error(series), by_hand)
    assert_allclose(model.score_samples(series), -np.array(by_hand), rtol=1e-4)
    model.set_params(output="reconstruction")
    assert_array_equal(model.transform(series), rows)
    assert_array_equal(model.inverse_transform(series), padded(series, 12))
    model.set_params(output="hidden")
    assert model.transform(series).shape == (200, 16)


def test_score_is_of_the_values_that_there_are():
    series = waves()
    X = padded(series, 12)
    model = RecurrentAutoencoder(4, **QUICK).fit(series)
    weight = np.arange(200) % 3
    for w in (np.ones(200), weight):
        there = ~np.isnan(X)
        w = w[:, None, None]
        mean = (w * np.where(there, X, 0)).sum(0) / (w * there).sum(0)
        total = (w * np.where(there, X - mean, 0) ** 2).sum()
        left = (w * np.where(there, X - model.reconstruct(X), 0) ** 2).sum()
        found = model.score(series, sample_weight=w.ravel())
        assert_allclose(found, 1 - left / total, rtol=1e-6)


# The floor


def test_the_start_is_pca(images):
    flat = images.reshape(-1, 64)
    model = RecurrentAutoencoder(5, random_state=0).fit(images[:99])
    pca = PCA(5).fit(flat[:99])
    assert model.best_epoch_ == model.n_iter_ == 0
    assert_allclose(model.transform(images), pca.transform(flat), atol=1e-4)
    assert_allclose(
        model.reconstruct(images).reshape(-1, 64),
        pca.inverse_transform(pca.transform(flat)),
        atol=1e-4,
    )


@pytest.mark.parametrize("decoder", ["dense", "recurrent"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_start_is_pca_of_what_there_is_of_unequal_series(decoder, weighted):
    series = waves(90)
    weight = np.arange(90) % 3 if weighted else np.ones(90)
    kept = [s for s, w in zip(series, weight, strict=True) for _ in range(int(w))]
    X = padded(kept, 12).reshape(-1, 24)
    pca = PCA(4).fit(fill_missing(X))
    assert not np.isnan(fill_missing(X)).any()
    model = RecurrentAutoencoder(4, decoder=decoder)
    model.fit(series, sample_weight=weight if weighted else None)
    assert model.best_epoch_ == 0
    expected = pca.inverse_transform(pca.transform(fill_missing(X))).reshape(-1, 12, 2)
    assert_allclose(model.inverse_transform(model.transform(kept)), expected, atol=1e-4)


@pytest.mark.parametrize("decoder", ["dense", "recurrent"])
def test_better_than_pca_where_there_is_structure(decoder):
    series, new = waves(600), waves(300, seed=1)
    model = RecurrentAutoencoder(
        3, decoder=decoder, max_epochs=25, batch_size=32, lr=1e-2, random_state=0
    ).fit(series)
    assert model.best_epoch_ > 0
    mean = np.nanmean(padded(series, 12), axis=0)
    X = np.where(np.isnan(padded(series, 12)), mean, padded(series, 12))
    pca = PCA(3).fit(X.reshape(-1, 24))
    X_new = padded(new, 12)
    filled = np.where(np.isnan(X_new), mean, X_new).reshape(-1, 24)
    of_pca = pca.inverse_transform(pca.transform(filled)).reshape(-1, 12, 2)
    left = np.nansum((X_new - of_pca) ** 2)
    assert np.nansum((X_new - model.reconstruct(new)) ** 2) < 0.9 * left


def test_what_is_noise_stays_pca():
    X = np.random.RandomState(0).normal(size=(300, 6, 2))
    model = RecurrentAutoencoder(3, random_state=0, max_epochs=10).fit(X)
    assert model.best_epoch_ == 0
    X = X.reshape(-1, 12)
    ratio = PCA(3).fit(X).explained_variance_ratio_.sum()
    assert_allclose(model.score(X), ratio, rtol=1e-5)


# Everything else that an estimator does, with series


@pytest.fixture
def fitted():
    series = waves()
    return RecurrentAutoencoder(3, **QUICK).fit(series), series


@pytest.mark.parametrize("copied", ["pickle", "file"])
def test_copies(copied, fitted, tmp_path):
    model, series = fitted
    if copied == "pickle":
        twin = pickle.loads(pickle.dumps(model))
    else:
        pytest.importorskip("safetensors")
        skae.save(model, tmp_path / "model.skae")
        twin = skae.load(tmp_path / "model.skae")
    for each in (model, twin):
        each.partial_fit(series[:50])
    assert_array_equal(twin.reconstruct(series), model.reconstruct(series))


def test_grid_search_over_lists_of_series(fitted):
    _, series = fitted
    search = GridSearchCV(
        RecurrentAutoencoder(max_epochs=2, random_state=0, series_shape=(12, 2)),
        {"n_components": [1, 4], "cell": ["gru", "lstm"]},
        cv=2,
    ).fit(series)
    assert search.best_params_["n_components"] == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_weights_validation_rows_and_warm_start(fitted):
    _, series = fitted
    weight = np.arange(200) % 2
    model = RecurrentAutoencoder(3, warm_start=True, **QUICK)
    model.fit(series, sample_weight=weight, X_val=waves(50, seed=1))
    assert model.validation_loss_curve_[-1] < model.validation_loss_curve_[0]
    model.fit(series, sample_weight=weight, X_val=waves(50, seed=1))
    with pytest.raises(ValueError, match=r"at most 12 steps.*up to 13 steps"):
        model.fit(waves(longest=13))


@pytest.mark.parametrize("first_equal", [True, False])
def test_a_warm_start_goes_on_with_the_decoder_that_there_is(first_equal, images):
    fits = [images, [*images[:150], *(image[:5] for image in images[150:])]]
    first, second = fits if first_equal else fits[::-1]
    model = RecurrentAutoencoder(3, series_shape=(8, 8), warm_start=True, **QUICK)
    model.fit(first)
    assert (model.module_.from_code is None) == first_equal
    start = model.transform(images)
    model.set_params(lr=1e-9).fit(second)
    assert_allclose(model.transform(images), start, atol=1e-4)


def test_a_warm_start_keeps_the_width_of_the_decoder(images):
    model = RecurrentAutoencoder(3, warm_start=True, **QUICK).fit(images)
    with pytest.raises(ValueError, match="warm_start=True continues from the fitted"):
        model.set_params(decoder_hidden_size=7).fit(images)


@pytest.mark.parametrize(
    "params",
    [
        {"loss": "absolute_error"},
        {"loss": nn.SmoothL1Loss(beta=0.1)},
        {"loss": nn.HuberLoss, "init": "random"},
        {"optimizer": "lbfgs", "max_epochs": 2},
        {"n_components": 40},
        {"early_stopping": True},
        {"validation_fraction": None},
    ],
    ids=str,
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_and_other_parameters(params, dtype, fitted):
    series = [each.astype(dtype) for each in fitted[1]]
    model = RecurrentAutoencoder(**{"n_components": 3, **QUICK, **params}).fit(series)
    assert model.reconstruct(series).dtype == model.transform(series).dtype == dtype
    assert np.isfinite(model.loss_curve_).all()
    assert np.isfinite(model.score_samples(series)).all()


def test_a_loss_that_cannot_leave_entries_out(fitted):
    class Plain(nn.Module):
        def forward(self, x_hat, x):
            return (x_hat - x).abs().mean()

    with pytest.raises(ValueError, match="needs a `reduction` attribute"):
        RecurrentAutoencoder(loss=Plain()).fit(fitted[1])


def test_rows_beyond_one_batch(fitted):
    model, series = fitted
    many = series * (EVALUATION_ROWS // 200 + 1)
    assert_allclose(model.score(many), model.score(series), rtol=1e-6)


def test_a_table_that_is_read_block_by_block(fitted, tmp_path, monkeypatch):
    from skae.training import _streaming

    series = fitted[1]
    X = padded(series, 12)
    np.save(tmp_path / "X.npy", X)
    for name, size in {"DENSE_BYTES": 0, "BLOCK_BYTES": 2**10}.items():
        monkeypatch.setattr(_streaming, name, size)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    model = RecurrentAutoencoder(3, **QUICK).fit(mapped)
    assert model.n_iter_ == 2
    assert_array_equal(np.isnan(model.reconstruct(mapped)), np.isnan(X))
    assert_allclose(model.score(mapped), model.score(series), rtol=1e-6)


def test_onnx():
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    series = waves(200, longest=4)
    X = padded(series, 4).reshape(-1, 8).astype(np.float32)
    model = RecurrentAutoencoder(2, bidirectional=True, **QUICK).fit(series)
    for method in ("transform", "reconstruct"):
        proto = skae.to_onnx(model, method=method)
        session = onnxruntime.InferenceSession(proto.SerializeToString())
        for n_rows in (1, 7, 200):
            (found,) = session.run(None, {"X": X[:n_rows]})
            expected = getattr(model, method)(X[:n_rows]).reshape(found.shape)
            assert_allclose(found, expected, atol=1e-5)
