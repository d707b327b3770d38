"""What is particular to DenoisingAutoencoder, and the output of `transform`."""

import math
import pickle
import random

import numpy as np
import pytest
import torch
from modules_for_tests import Own
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Checkpoint, EpochScoring
from torch import nn

from skae import AutoencoderTransformer, DenoisingAutoencoder, StackedAEPretrainer
from skae.noise import (
    NOISES,
    Compose,
    GaussianNoise,
    MaskingNoise,
    MissingNoise,
    Noise,
    SwapNoise,
)


def fit(X, **params):
    return DenoisingAutoencoder(**{"random_state": 0, "max_epochs": 20, **params}).fit(
        X
    )


def corrupt(noise, X, pool, seed=0):
    """Noisy copy of rows, by noise fitted to others."""
    noise.fit(torch.as_tensor(pool))
    for part in noise.modules():
        if isinstance(part, SwapNoise):
            part.lend(torch.as_tensor(pool))
    return noise.train()(
        torch.as_tensor(X), torch.Generator().manual_seed(seed)
    ).numpy()


@pytest.fixture(scope="module")
def table():
    """Breast cancer, standardised, in two parts: 400 and 169 rows of 30 columns."""
    X = StandardScaler().fit_transform(load_breast_cancer().data)
    order = np.random.RandomState(0).permutation(len(X))
    return X[order[:400]], X[order[400:]]


def linear_start(X, noise, **params):
    """A fitted denoiser that was not trained."""
    return fit(X, noise=noise, hidden_layer_sizes=(), **params)


# The start


def test_start_for_gaussian_noise_is_the_wiener_filter(digits):
    X_train, X_test = digits
    model = linear_start(X_train, GaussianNoise(0.7), validation_fraction=None)
    pca = PCA().fit(X_train)
    variance = pca.explained_variance_ * (len(X_train) - 1) / len(X_train)
    noise = 0.7**2 * variance.sum() / 64
    expected = pca.inverse_transform(
        pca.transform(X_test) * variance / (variance + noise)
    )
    assert_allclose(model.reconstruct(X_test), expected, atol=2e-5)


@pytest.mark.parametrize(
    "noise",
    [
        GaussianNoise(0.7),
        MaskingNoise(0.3),
        MaskingNoise(0.3, fill=0.5),
        MaskingNoise(0.3, fill="mean"),
        NOISES["dropout"](0.3),
        NOISES["salt_and_pepper"](0.2),
        SwapNoise(0.2),
        Compose([GaussianNoise(0.5), MaskingNoise(0.2)]),
        Compose([MaskingNoise(0.5), SwapNoise(0.3)]),
        Compose([SwapNoise(0.3), MaskingNoise(0.3, fill="mean")]),
        GaussianNoise((0.1, 1.0)),
        MaskingNoise((0.0, 0.9)),
        NOISES["dropout"]((0.0, 0.8)),
        NOISES["salt_and_pepper"]((0.0, 0.6)),
        SwapNoise((0.0, 0.9)),
        Compose([MaskingNoise((0.0, 0.5)), SwapNoise((0.0, 0.5))]),
    ],
    ids=repr,
)
def test_start_is_the_least_squares_of_noisy_rows(noise, digits):
    X_train, X_test = digits
    # Many noisy copies, and least squares with an intercept.
    noisy = np.vstack([corrupt(noise, X_train, X_train, seed) for seed in range(60)])
    A = np.hstack([noisy, np.ones((len(noisy), 1))])
    B = np.linalg.lstsq(A, np.tile(X_train, (60, 1)), rcond=None)[0]
    model = linear_start(X_train, noise, validation_fraction=None)
    test = corrupt(noise, X_test, X_train, 99)
    expected = np.hstack([test, np.ones((len(test), 1))]) @ B
    errors = [
        ((X_hat - X_test) ** 2).mean() for X_hat in (model.reconstruct(test), expected)
    ]
    assert errors[0] == pytest.approx(errors[1], rel=0.01)
    gap = np.square(model.reconstruct(test) - expected).mean()
    assert gap < 0.03 * errors[1]


class RowOffset(nn.Module):
    """Noise that is the same for all entries of a row."""

    def forward(self, x):
        return x + torch.randn(len(x), 1) if self.training else x


def test_start_for_a_module_is_sampled(digits):
    X_train, X_test = digits
    model = linear_start(X_train, RowOffset(), validation_fraction=None)
    offset = np.random.RandomState(0).normal(size=(len(X_test), 1))
    error = ((model.reconstruct(X_test + offset) - X_test) ** 2).mean()
    # What tells the offset is the border of the images, which is white.
    assert error < 0.02


def test_narrow_start_is_the_best_of_its_rank(digits):
    X_train, X_test = digits
    noise = GaussianNoise(0.7)
    noisy = corrupt(noise, X_test, X_train)

    def error(X_hat):
        return ((X_hat - X_test) ** 2).mean()

    model = linear_start(X_train, noise, n_components=8, validation_fraction=None)
    assert model.transform(X_test).shape == (len(X_test), 8)
    pca = PCA(8).fit(X_train)
    variance = pca.explained_variance_
    shrunk = variance / (variance + 0.7**2 * X_train.var(axis=0).mean())
    wiener = pca.inverse_transform(pca.transform(noisy) * shrunk)
    assert error(model.reconstruct(noisy)) == pytest.approx(error(wiener), rel=1e-3)


@pytest.mark.parametrize("noise", ["gaussian", "masking"])
@pytest.mark.parametrize("n_components", [None, 15])
def test_tied_start_is_symmetric_and_about_as_good(noise, n_components, digits):
    X_train, X_test = digits
    errors = []
    for tied in (False, True):
        model = linear_start(
            X_train,
            noise,
            tied_weights=tied,
            n_components=n_components,
            validation_fraction=None,
        )
        noisy = corrupt(NOISES[noise](), X_test, X_train)
        errors.append(((model.reconstruct(noisy) - X_test) ** 2).mean())
    assert errors[1] < 1.1 * errors[0]


@pytest.mark.parametrize("noise", ["gaussian", "masking", "swap"])
@pytest.mark.parametrize("n_rows", [40, 60])
@pytest.mark.parametrize("wide", [False, True])
def test_few_rows_shrink_the_start(noise, n_rows, wide, digits, monkeypatch):
    # More columns than rows: the covariance as it is would be learned by heart.
    if wide:
        monkeypatch.setattr("skae.training._linear_denoiser.WIDE", 50)
    X_train, X_test = digits[0][:n_rows], digits[1]
    instance = NOISES[noise](0.5)
    noisy = corrupt(instance, X_test, X_train)
    model = fit(X_train, noise=instance)  # too few rows to train
    assert model.n_iter_ == 0 and model.n_components_ == (n_rows if wide else 64)
    error = ((model.reconstruct(noisy) - X_test) ** 2).mean()
    constant = ((X_train.mean(axis=0) - X_test) ** 2).mean()
    assert error < 0.8 * constant
    assert error < ((noisy - X_test) ** 2).mean()


def test_few_rows_and_little_noise_is_no_worse_than_nothing(digits):
    X_train, X_test = digits[0][:40], digits[1]
    noise = GaussianNoise(0.1)
    noisy = corrupt(noise, X_test, X_train)
    denoised = fit(X_train, noise=noise).reconstruct(noisy)
    assert ((denoised - X_test) ** 2).mean() < 1.05 * ((noisy - X_test) ** 2).mean()


@pytest.mark.parametrize("hidden_layer_sizes", [(), (20,)])
def test_linear_path_of_full_width_stays(hidden_layer_sizes, table):
    X_train, _ = table
    narrow = fit(X_train, n_components=29)
    assert all(p.requires_grad for p in narrow.module_.parameters())
    full = fit(X_train, hidden_layer_sizes=hidden_layer_sizes)
    frozen = [n for n, p in full.module_.named_parameters() if not p.requires_grad]
    expected = ["linear_encoder.weight", "linear_decoder.weight"]
    assert frozen == (expected if hidden_layer_sizes else [])
    if hidden_layer_sizes:
        before = full.module_.linear_encoder.weight.clone()
        full.partial_fit(X_train)
        assert torch.equal(full.module_.linear_encoder.weight, before)
        full.set_params(warm_start=True).fit(X_train[:200])
        assert not full.module_.linear_encoder.weight.requires_grad


def decay(model):
    (group,) = model.net_.optimizer_.param_groups
    return group["weight_decay"]


@pytest.mark.parametrize(("n_rows", "expected"), [(400, 2.0), (1600, 1.0)])
def test_denoiser_decays_towards_the_linear_one(n_rows, expected, digits):
    X = np.resize(digits[0], (n_rows, 64))
    X = X + np.random.RandomState(0).normal(scale=0.01, size=X.shape)  # no copies
    assert decay(fit(X, max_epochs=1)) == pytest.approx(expected)


@pytest.mark.parametrize(
    "params",
    [
        {"n_components": 8},
        {"init": "random"},
        {"hidden_layer_sizes": ()},
        {"module": Own},
        {"optimizer": "adam"},
        {"weight_decay": 0},
    ],
)
def test_what_is_no_linear_denoiser_does_not_decay_to_it(params, table):
    assert decay(fit(table[0], max_epochs=1, **params)) == 0


@pytest.mark.filterwarnings("ignore:.* the first call of partial_fit was given")
@pytest.mark.parametrize("n_rows", [10, 400])
def test_a_stream_has_no_weight_decay(n_rows, table):
    model = DenoisingAutoencoder(random_state=0).partial_fit(table[0][:n_rows])
    assert decay(model) == 0


def test_weight_decay_is_that_asked_for(table):
    assert decay(fit(table[0], max_epochs=1, weight_decay=0.1)) == 0.1


@pytest.mark.parametrize("n_components", [None, 3])
def test_the_linear_denoiser_needs_no_training(n_components, table):
    X_train, X_test = table
    params = {"hidden_layer_sizes": (), "n_components": n_components}
    model = fit(X_train, **params)
    assert model.n_iter_ == model.best_epoch_ == 0
    # With hidden layers that learn nothing, it is the same.
    start = fit(X_train, max_epochs=1, lr=1e-30, n_components=n_components)
    assert start.n_iter_ == 1
    assert_allclose(
        model.reconstruct(X_test), start.reconstruct(X_test), rtol=1e-4, atol=1e-5
    )
    other = fit(X_train, max_epochs=1, loss="absolute_error", **params)
    assert other.n_iter_ == 1


@pytest.mark.filterwarnings("ignore:.* the first call of partial_fit was given")
@pytest.mark.parametrize("n_rows", [10, 50])
def test_a_stream_may_begin_with_few_rows(n_rows, digits):
    X_train, X_test = digits
    model = DenoisingAutoencoder(random_state=0)
    model.partial_fit(X_train[:n_rows])
    assert model.n_components_ == 64
    assert model.module_.linear_encoder.weight.requires_grad
    noisy = corrupt(GaussianNoise(0.5), X_test, X_train)
    for _ in range(5):
        for start in range(0, 1000, 50):
            model.partial_fit(X_train[start : start + 50])
    error = ((model.reconstruct(noisy) - X_test) ** 2).mean()
    assert error < 0.7 * ((noisy - X_test) ** 2).mean()


def test_sampled_start_with_weights_is_that_of_repeated_rows(table):
    X = table[0][:60]
    weight = np.where(np.arange(60) < 5, 8, 1)
    noise = [SwapNoise(0.5), nn.Identity()]
    weighted = DenoisingAutoencoder(noise=noise, random_state=0)
    weighted.fit(X, sample_weight=weight)
    repeated = fit(np.repeat(X, weight, axis=0), noise=noise)
    plain = fit(X, noise=noise)
    gaps = [
        np.abs(model.reconstruct(X) - weighted.reconstruct(X)).mean()
        for model in (repeated, plain)
    ]
    assert gaps[0] < 0.5 * gaps[1]


# Denoising


@pytest.mark.parametrize("noise", sorted(NOISES))
def test_rows_held_out_are_denoised(noise, digits):
    X_train, X_test = digits
    instance = NOISES[noise]()
    model = fit(X_train, noise=noise, max_epochs=40)
    noisy = corrupt(instance, X_test, X_train)
    linear = fit(X_train, noise=noise, hidden_layer_sizes=())
    undone = np.where(np.isnan(noisy), X_train.mean(axis=0), noisy)
    errors = [
        ((X_hat - X_test) ** 2).mean()
        for X_hat in (undone, linear.reconstruct(noisy), model.reconstruct(noisy))
    ]
    assert errors[2] < 0.95 * errors[1] < 0.95 * errors[0]
    assert model.best_epoch_ > 0
    assert model.best_loss_ == min(model.validation_loss_curve_)


def test_the_epoch_that_stops_a_fit_is_in_all_curves(digits, capsys):
    model = fit(
        digits[0][:300], early_stopping=True, n_iter_no_change=1, tol=10.0, verbose=2
    )
    assert model.n_iter_ == 1  # nothing is an improvement
    curves = (model.validation_loss_curve_, model.clean_validation_loss_curve_)
    assert list(map(len, curves)) == [2, 2]
    assert "clean_valid_loss" in capsys.readouterr().out  # the line of the epoch


def test_validation_noise_is_drawn_once(digits):
    X = digits[0][:300]
    model = fit(X, max_epochs=5, lr=1e-30)
    curve = model.validation_loss_curve_
    assert len(curve) == len(model.clean_validation_loss_curve_) == 6
    # Nothing is learned, so nothing changes: the noise is the same in all epochs.
    assert_allclose(curve, curve[0], rtol=1e-6)
    assert np.ptp(model.loss_curve_) > 1e-5
    assert model.clean_validation_loss_curve_[0] < curve[0]
    # 30 rows, and 540 noisy ones: near the expectation that others come to as well.
    other = fit(X, max_epochs=5, lr=1e-30, random_state=1)
    assert other.validation_loss_curve_[0] != curve[0]


def test_clean_rows_score_as_without_noise(table):
    X_train, X_test = table
    model = fit(X_train)
    expected = model.module_(torch.tensor(X_test, dtype=torch.float32))
    for _ in range(2):
        assert_allclose(model.reconstruct(X_test), expected.detach(), atol=1e-5)
    error = ((X_test - model.reconstruct(X_test)) ** 2).mean(axis=1)
    assert_allclose(model.score_samples(X_test), -error, rtol=1e-4)
    model.module_.train()
    assert_allclose(model.transform(X_test), model.transform(X_test))


def test_levels_and_noises_can_be_searched(table):
    X_train, _ = table
    search = GridSearchCV(
        DenoisingAutoencoder(max_epochs=2, random_state=0),
        {"noise": ["masking", MaskingNoise(0.9)], "n_components": [2, None]},
        cv=2,
    ).fit(X_train)
    assert search.best_params_ == {"noise": "masking", "n_components": None}
    search = GridSearchCV(
        DenoisingAutoencoder(max_epochs=2, random_state=0),
        {"noise_level": [0.1, 2.0, (0.1, 0.2)]},
        cv=2,
    ).fit(X_train)
    assert search.best_params_ == {"noise_level": 0.1}


def test_noise_given_is_copied(table):
    noise = SwapNoise(0.2)
    model = fit(table[0], noise=noise)
    assert model.net_.noise_ is not noise
    assert model.net_.noise_.rows is None and noise.rows is None
    assert clone(model).noise is not noise


class Checker(Noise):
    """Notes what it is given."""

    seen: list = []  # noqa: RUF012

    def __init__(self):
        super().__init__(0.0)

    def corrupt(self, x, level, generator):
        self.seen.append((x.clone(), generator))
        return x


@pytest.mark.parametrize("noise", [*sorted(NOISES), MaskingNoise(fill="mean")])
def test_warm_start_with_every_noise(noise, table):
    model = fit(table[0], noise=noise, warm_start=True, max_epochs=2)
    assert np.isfinite(model.fit(table[0]).best_loss_)
    model.set_params(noise="gaussian").fit(table[0])
    assert model.net_.noise_.scale == pytest.approx(1, abs=0.1)


def test_noise_that_works_in_place_leaves_the_rows_alone(table):
    X = table[0].astype(np.float32)
    before = X.copy()
    options = {"net_params": {"iterator_train__shuffle": False}}
    errors = []
    for inplace in (False, True):
        model = fit(X, noise=nn.Dropout(0.5, inplace=inplace), **options)
        assert_array_equal(X, before)
        errors.append(model.reconstruction_error(X).mean())
    assert errors[0] == errors[1]


class NumpyNoise(nn.Module):
    """Draws from the global generators of numpy and of Python."""

    def forward(self, x):
        noise = np.random.normal(size=x.shape) * random.random()  # noqa: NPY002
        return x + torch.tensor(noise, dtype=x.dtype)


def test_noise_from_other_global_generators(table):
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    first = fit(table[0], noise=NumpyNoise(), max_epochs=2).transform(table[1])
    draws = np.random.rand(), random.random()  # noqa: NPY002
    second = fit(table[0], noise=NumpyNoise(), max_epochs=2).transform(table[1])
    assert_array_equal(first, second)
    np.random.seed(3)  # noqa: NPY002
    random.seed(3)
    assert draws == (np.random.rand(), random.random())  # noqa: NPY002


class OwnScale(Noise):
    """Noise with a statistic and a parameter of its own, in a wrapper."""

    def __init__(self):
        super().__init__(0.5)
        self.factor = nn.Parameter(torch.ones(()))

    def fit(self, X, mean=None, variance=None):
        self.std = variance.sqrt().float()
        return self

    def corrupt(self, x, level, generator):
        noise = torch.randn(x.shape, generator=generator)
        return x + level * self.factor * self.std * noise


@pytest.mark.parametrize("module", [None, Own])
def test_noise_with_statistics_and_parameters(module, table):
    model = fit(table[0], noise=nn.Sequential(OwnScale()), module=module)
    own = next(m for m in model.net_.noise_.modules() if isinstance(m, OwnScale))
    assert_allclose(own.std, table[0].std(axis=0), rtol=0.1)
    assert own.factor == 1 and not own.factor.requires_grad


def test_scoring_callbacks_see_noisy_validation_rows(table):
    def count(net, dataset, y=None):
        return float(net.predict(dataset).shape[0])

    scoring = EpochScoring(count, name="rows", use_caching=False)
    model = fit(table[0], callbacks=[scoring], max_epochs=2)
    assert model.net_.history[:, "rows"] == [520, 520]


def test_a_checkpoint_during_training_holds_no_rows(table, tmp_path):
    file = tmp_path / "net.pkl"
    saved = Checkpoint(
        monitor=None,
        f_pickle=file,
        f_params=None,
        f_optimizer=None,
        f_criterion=None,
        f_history=None,
    )
    fit(table[0], noise="swap", callbacks=[saved], max_epochs=1)
    net = pickle.loads(file.read_bytes())
    assert net.noise_.rows is None and net.train_split is None


def test_noise_of_ones_own_draws_from_the_generator(table):
    Checker.seen.clear()
    model = fit(table[0], noise=[Checker(), "gaussian"], max_epochs=1)
    assert all(generator is not None for _, generator in Checker.seen)
    assert any(generator is model.net_.generator_ for _, generator in Checker.seen)
    assert isinstance(model.net_.noise_, Compose)


@pytest.mark.parametrize("module", [None, Own])
def test_emphasis_weights_corrupted_entries(module, digits):
    X_train, X_test = digits
    noise = MaskingNoise(0.3, fill=-1.0)  # no pixel has this value
    noisy = corrupt(noise, X_test, X_train)
    hidden = noisy == -1
    errors = []
    for emphasis in [(1.0, 0.02), (0.02, 1.0)]:
        model = fit(
            X_train, noise=noise, emphasis=emphasis, n_components=8, module=module
        )
        error = (model.reconstruct(noisy) - X_test) ** 2
        errors.append([error[hidden].mean(), error[~hidden].mean()])
    assert errors[0][0] < errors[1][0]
    assert errors[0][1] > errors[1][1]


def test_emphasis_of_equal_weights_is_the_plain_loss(table):
    X_train, _ = table
    params = {"noise": "masking"}
    plain, equal = fit(X_train, **params), fit(X_train, emphasis=(1.0, 1.0), **params)
    assert_allclose(plain.loss_curve_, equal.loss_curve_, rtol=1e-3)
    weighted = fit(X_train, emphasis=(2.0, 2.0), max_epochs=1, lr=1e-30, **params)
    assert weighted.loss_curve_[0] == pytest.approx(
        2 * fit(X_train, max_epochs=1, lr=1e-30, **params).loss_curve_[0], rel=1e-5
    )
    weight = np.arange(len(X_train))
    assert np.isfinite(fit(X_train, emphasis=(2, 1), **params).best_loss_)
    model = DenoisingAutoencoder(
        emphasis=(2, 1), max_epochs=2, random_state=0, **params
    )
    assert np.isfinite(model.fit(X_train, sample_weight=weight).best_loss_)


@pytest.mark.parametrize("noise", ["masking", "salt_and_pepper", "swap"])
def test_binary_rows(noise, digits):
    X_train, X_test = ((X > 0.5).astype(float) for X in digits)
    noise = NOISES[noise](0.5)
    model = fit(X_train, noise=noise, loss="binary_cross_entropy", max_epochs=60)
    noisy = corrupt(noise, X_test, X_train)
    X_hat = model.reconstruct(noisy)
    assert X_hat.min() >= 0 and X_hat.max() <= 1
    assert ((X_hat - X_test) ** 2).mean() < 0.95 * ((noisy - X_test) ** 2).mean()


@pytest.mark.parametrize("n_rows", [1, 2, 3, 5])
@pytest.mark.parametrize("noise", sorted(NOISES))
def test_few_rows_and_constant_columns(noise, n_rows, table):
    X = table[0][:n_rows].copy()
    X[:, 3] = 2.0
    model = fit(X, noise=noise)
    assert np.isfinite(model.reconstruct(X)).all()
    assert_allclose(model.reconstruct(X)[:, 3], 2.0, atol=0.05)


def test_swap_noise_is_lent_the_training_rows(table):
    Rows = []

    class Spy(SwapNoise):
        def corrupt(self, x, level, generator):
            Rows.append(None if self.rows is None else len(self.rows))
            return super().corrupt(x, level, generator)

    model = fit(table[0], noise=Spy(), max_epochs=2)
    assert 360 in Rows  # nine tenths of 400
    assert model.net_.noise_.noises[0].rows is None
    Rows.clear()
    model.partial_fit(table[0][:50])
    assert set(Rows) == {50}


# The output of `transform`


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, DenoisingAutoencoder])
def test_reconstructions_as_output(estimator, table):
    X_train, X_test = table
    model = estimator(max_epochs=3, random_state=0, output="reconstruction")
    denoised = model.fit_transform(X_train)
    assert_array_equal(denoised, model.reconstruct(X_train))
    assert_array_equal(model.inverse_transform(denoised), denoised)
    names = model.get_feature_names_out([f"sensor {i}" for i in range(30)])
    assert list(names) == [f"sensor {i}" for i in range(30)]
    assert model.get_feature_names_out()[3] == "x3"
    with pytest.raises(ValueError, match="needs rows with 30 columns"):
        model.inverse_transform(X_test[:, :2])
    pipeline = make_pipeline(model, LogisticRegression()).fit(
        X_train, X_train[:, 0] > 0
    )
    assert pipeline.score(X_test, X_test[:, 0] > 0) > 0.9


@pytest.mark.parametrize("estimator", [AutoencoderTransformer, DenoisingAutoencoder])
def test_hidden_activations_as_output(estimator, table):
    X_train, X_test = table
    model = estimator(
        max_epochs=3, random_state=0, output="hidden", hidden_layer_sizes=(7, 5)
    ).fit(X_train)
    hidden = model.transform(X_test)
    assert hidden.shape == (len(X_test), 12) and hidden.dtype == X_test.dtype
    x = torch.tensor(X_test, dtype=torch.float32)
    with torch.no_grad():
        first, second = model.module_.hidden(x)
    assert_allclose(hidden, np.hstack([first, second]), atol=1e-5)
    with torch.no_grad():
        inputs = (x - model.module_.mean) / model.module_.scale
        assert_allclose(model.module_.encoder[:2](inputs), first)
    names = list(model.get_feature_names_out())
    name = estimator.__name__.lower()
    assert names[0] == f"{name}_layer1_unit0" and names[-1] == f"{name}_layer2_unit4"
    frame = model.set_output(transform="pandas").transform(X_test)
    assert list(frame.columns) == names
    with pytest.raises(ValueError, match=r"cannot be decoded\. Set output='code'"):
        model.inverse_transform(hidden)
    model.set_params(output="code")
    assert model.transform(X_test).shape[1] == model.n_components_


def test_hidden_output_needs_hidden_layers(table):
    for params, message in (
        (
            {"hidden_layer_sizes": ()},
            "DenseAutoencoder has none here. Set output='code'",
        ),
        ({"module": Own}, r"a method hidden\(x\).*Own has none"),
    ):
        with pytest.raises(ValueError, match=message):
            fit(table[0], output="hidden", **params)
        model = fit(table[0], **params).set_params(output="hidden")
        with pytest.raises(ValueError, match=message):
            model.transform(table[0])


def test_output_changed_to_something_unknown(table):
    model = fit(table[0]).set_params(output="codes")
    with pytest.raises(ValueError, match=r"'output' parameter.*'codes'"):
        model.transform(table[0])


# Mistakes


class ToDouble(nn.Module):
    """Noise that is no longer float32."""

    def forward(self, x):
        return x.double()


class ToNan(nn.Module):
    """Noise that is not a number."""

    def forward(self, x):
        return x * float("nan")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"noise": "gausian"}, "'noise' parameter.*'gaussian'.*Got 'gausian'"),
        ({"noise": ["gausian"]}, "noise must be 'dropout', 'gaussian'.*Got 'gausian'"),
        ({"noise": []}, "empty list"),
        ({"noise": [3]}, "a torch module, or a list of these. Got 3"),
        ({"noise_level": 1.0, "noise": "masking"}, r"MaskingNoise.*\[0, 1\).*Got 1.0"),
        ({"noise_level": (0.5, 0.1)}, r"GaussianNoise.*pair.*Got \(0.5, 0.1\)"),
        (
            {"noise_level": 0.2, "noise": GaussianNoise(0.1)},
            "a module has its own level.*noise_level=0.2",
        ),
        ({"noise_level": (0.1, 0.2, 0.3)}, r"pair \(low, high\).*0.2, 0.3\)"),
        ({"noise_level": ("a", "b")}, r"must be a number.*\('a', 'b'\)"),
        ({"emphasis": (1,), "noise": "swap"}, r"pair of finite.*Got \(1,\)"),
        ({"emphasis": (0, 0), "noise": "swap"}, r"one must be positive.*\(0, 0\)"),
        ({"emphasis": (-1, 2), "noise": "swap"}, r"may be negative.*\(-1, 2\)"),
        ({"emphasis": (math.inf, 2), "noise": "swap"}, r"finite.*\(inf, 2\)"),
        ({"emphasis": (1, 0)}, r"leaves some entries.*GaussianNoise.*corrupts all"),
        ({"emphasis": (1, 0), "noise": ["swap", "dropout"]}, "corrupts all"),
        ({"optimizer": torch.optim.LBFGS}, "lbfgs.*noise is drawn anew"),
        ({"noise": ToDouble()}, r"finite float32 rows.*torch.float64"),
        ({"noise": ToNan()}, r"finite float32 rows.*60 entries that are not finite"),
        ({"optimizer": "lbfgs"}, "lbfgs.*noise is drawn anew"),
        ({"init": "linear", "module": Own}, "init='linear' is not possible.*module"),
        ({"init": "pca"}, "'init' parameter.*'linear'"),
        ({"noise": nn.Linear(30, 4)}, r"shape of its input, \(2, 30\).*\(2, 4\)"),
        (
            {"noise": nn.Linear(5, 5)},
            r"noise failed on float32 rows of shape \(2, 30\)",
        ),
        ({"net_params": {"emphasis": (1, 2)}}, "may not contain 'emphasis'"),
    ],
)
def test_mistakes_are_explained(params, message, table):
    with pytest.raises(ValueError, match=message):
        fit(table[0], **params)


def test_emphasis_needs_losses_of_entries(table):
    class Total(nn.Module):
        def forward(self, x_hat, x):
            return ((x_hat - x) ** 2).sum()

    with pytest.raises(ValueError, match="needs a `reduction` attribute"):
        fit(table[0], loss=Total, emphasis=(1, 0), noise="swap")


def test_noise_of_gaps_makes_ready_for_them(digits):
    X, X_new = digits
    hidden = np.random.RandomState(0).uniform(size=X_new.shape) < 0.3
    gaps = np.where(hidden, np.nan, X_new)
    model = fit(X, noise="missing")
    error = np.mean((model.reconstruct(gaps) - X_new)[hidden] ** 2)
    assert error < 0.4 * np.mean((X.mean(axis=0) - X_new)[hidden] ** 2)


@pytest.mark.parametrize("hidden_layer_sizes", [(), (20,)])
@pytest.mark.parametrize("level", ["auto", 0.2, (0.1, 0.5)])
def test_noise_of_gaps_on_tables_with_gaps(hidden_layer_sizes, level, curved):
    X = curved.copy()
    X[::3, 1] = np.nan
    model = DenoisingAutoencoder(
        noise="missing",
        noise_level=level,
        hidden_layer_sizes=hidden_layer_sizes,
        max_epochs=3,
        random_state=0,
    ).fit(X)
    assert np.isfinite(model.reconstruct(X)).all()
    assert np.isfinite(model.validation_loss_curve_).all()
    assert model.score(X) > 0.5
    model.partial_fit(X)
    assert np.isfinite(model.transform(X)).all()


def test_noise_of_gaps_needs_a_module_that_fills_them(curved):
    model = DenoisingAutoencoder(2, noise="missing", module=Own)
    with pytest.raises(ValueError, match=r"makes values NaN.*allow_nan"):
        model.fit(curved)
    stacked = StackedAEPretrainer(2, noise=MissingNoise(), max_epochs=1)
    with pytest.raises(ValueError, match="Hidden layers cannot fill missing values"):
        stacked.fit(curved)
