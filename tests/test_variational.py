"""Bounds, codes and samples of the variational autoencoder."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.model_selection import train_test_split
from torch.distributions import Bernoulli, Normal, kl_divergence

import skae
from skae import VariationalAutoencoder
from skae.modules import VariationalDenseAutoencoder
from skae.objectives import EvidenceLowerBound, fixed_draws
from skae.training import AutoencoderNet, is_better


@pytest.fixture(scope="module")
def images():
    """Images of digits without the pixels that hardly vary; few enough for no step."""
    X = load_digits().data / 16
    return X[:, X.std(axis=0) > 0.15][:99]


@pytest.mark.parametrize("k", [1, 2, 3])
@pytest.mark.parametrize("unit", [1e-3, 1, 1e3])
def test_the_start_is_probabilistic_pca(k, unit):
    X = load_iris().data[::2] * unit
    model = VariationalAutoencoder(k).fit(X)
    pca = PCA(k).fit(X)
    assert model.best_epoch_ == model.n_iter_ == 0
    assert_allclose(model.score_samples(X), pca.score_samples(X), atol=1e-4)
    assert_allclose(model.score_samples(X).mean(), pca.score(X), rtol=1e-5)
    # The posterior is exact, so every importance weight is the density.
    assert_allclose(model.score_samples(X, n_draws=3), pca.score_samples(X), atol=1e-4)
    # And the loss is minus the bound over the columns.
    assert_allclose(-model.best_loss_ * X.shape[1], pca.score(X), rtol=1e-5)


def test_the_start_is_probabilistic_pca_of_images(images):
    for k in (2, 8):
        model = VariationalAutoencoder(k).fit(images)
        pca = PCA(k).fit(images)
        assert_allclose(model.score_samples(images).mean(), pca.score(images), 1e-5)
        # Codes are those of PCA, each scaled, with its signs.
        codes, expected = model.transform(images), pca.transform(images)
        ratio = codes / expected
        assert_allclose(ratio, np.broadcast_to(ratio[0], ratio.shape), rtol=1e-2)
        assert (ratio > 0).all()


@pytest.mark.parametrize("k", [1, 4])
def test_the_start_is_factor_analysis(k, images):
    model = VariationalAutoencoder(k, variance="column").fit(images)
    analysis = FactorAnalysis(k, tol=1e-8, max_iter=10_000).fit(images)
    assert analysis.noise_variance_.min() > 1e-3 * images.var(axis=0).mean()
    scores = model.score_samples(images)
    assert_allclose(scores.mean(), analysis.score(images), rtol=1e-5)
    assert_allclose(model.score_samples(images, n_draws=2), scores, atol=1e-3)
    # The codes of a row are independent: M of Bishop (12.66) is diagonal.
    loadings = model.module_.linear_decoder.weight.detach().double()
    noise = model.module_.noise_variance().detach().double()
    m = torch.eye(k) + loadings.T @ (loadings / noise[:, None])
    assert_allclose(m - torch.diag(torch.diag(m)), 0, atol=1e-4 * float(m.max()))
    assert_allclose(
        model.transform(images, return_std=True)[1] ** -2,
        np.broadcast_to(torch.diag(m), (99, k)),
        rtol=1e-4,
    )


def test_weights_count_as_rows():
    X = load_iris().data[:60]
    weight = np.arange(60) % 3
    for variance in ("scalar", "column"):
        model = VariationalAutoencoder(1, variance=variance)
        repeated = np.repeat(X, weight, axis=0)
        scores = model.fit(X, sample_weight=weight).score_samples(X)
        kl = model.kl_per_component_
        assert_allclose(scores, model.fit(repeated).score_samples(X), atol=2e-2)
        assert_allclose(kl, model.kl_per_component_, rtol=2e-2)


def random_module(**options):
    torch.manual_seed(0)
    module = VariationalDenseAutoencoder(5, 3, hidden_layer_sizes=(7,), **options)
    module.standardize(torch.arange(5.0), torch.tensor(2.5))
    return module.eval()


@pytest.mark.parametrize("linear_path", [True, False])
@pytest.mark.parametrize("column_variance", [True, False])
@torch.no_grad()
def test_the_bound_is_that_of_torch_distributions(linear_path, column_variance):
    module = random_module(linear_path=linear_path, column_variance=column_variance)
    module.log_noise.normal_()
    x = 3 * torch.randn(4, 5)
    mean, log_variance = module.encode_distribution(x)
    posterior = Normal(mean, (log_variance / 2).exp())
    divergence = kl_divergence(posterior, Normal(0.0, 1.0))
    assert_allclose(module.divergence(mean, log_variance), divergence, atol=1e-5)

    def likelihood(z):
        std = module.noise_variance().sqrt() * module.scale
        return Normal(module.decode(z), std).log_prob(x).sum(-1)

    z = posterior.sample((5_000,))
    assert_allclose(
        module.log_likelihood(module.centre(x), z[0]), likelihood(z[0]), rtol=1e-4
    )
    noise = torch.randn(5_000, 1, 3)
    found = module.expected_log_likelihood(module.centre(x), mean, log_variance, noise)
    assert_allclose(found, torch.stack([likelihood(each) for each in z]).mean(0), 4e-2)


@pytest.fixture(scope="module")
def fitted():
    """A model that was trained, with rows that it was not trained on."""
    X, X_test = train_test_split(load_digits().data / 16, random_state=0)
    model = VariationalAutoencoder(2, random_state=0, max_epochs=60, batch_size=128)
    return model.fit(X), X, X_test


def test_better_than_probabilistic_pca_where_there_is_structure(fitted):
    model, X, X_test = fitted
    pca = PCA(2).fit(X)
    assert model.best_epoch_ > 0
    assert model.score_samples(X_test).mean() > pca.score(X_test) + 5
    assert model.score(X_test) > 0.4 > pca.explained_variance_ratio_.sum()
    assert (model.validation_loss_curve_[0] - model.best_loss_) * 64 > 5


def test_more_draws_give_a_higher_bound_and_the_same_each_time(fitted):
    model, _, X = fitted
    bounds = [model.score_samples(X, n_draws).mean() for n_draws in (1, 5, 50)]
    assert bounds[0] < bounds[1] < bounds[2]
    assert_array_equal(model.score_samples(X, 5), model.score_samples(X, 5))
    assert_allclose(model.score_samples(X[:3], 5), model.score_samples(X, 5)[:3], 1e-4)
    for wrong in (0, 1.5):
        with pytest.raises(ValueError, match=r"n_draws must be an int .* Got"):
            model.score_samples(X, n_draws=wrong)


def test_divergence_of_each_component(fitted):
    model, X, _ = fitted
    mean, std = model.transform(X, return_std=True)
    divergence = (mean**2 + std**2 - 1 - 2 * np.log(std)) / 2
    assert_allclose(model.kl_per_component_, divergence.mean(axis=0), rtol=1e-4)
    assert_array_equal(model.active_components_, [0, 1])
    model = VariationalAutoencoder(6).fit(load_iris().data[:60])
    assert_array_equal(model.kl_per_component_[4:], 0)  # PCA has four axes
    assert set(model.active_components_) <= set(range(4))


def test_beta_presses_codes_to_the_prior(fitted):
    model, X, _ = fitted
    pressed = VariationalAutoencoder(
        2, beta=20.0, random_state=0, max_epochs=20, batch_size=128
    ).fit(X)
    assert pressed.kl_per_component_.sum() < model.kl_per_component_.sum() - 1


def test_samples_of_a_gaussian_table_have_its_moments():
    rng = np.random.RandomState(0)
    X = 10 + rng.normal(size=(5_000, 2)) @ rng.normal(size=(2, 5))
    X += 0.3 * rng.normal(size=X.shape)
    model = VariationalAutoencoder(2, max_epochs=1, random_state=0).fit(X)
    rows = model.sample(20_000, random_state=0)
    assert rows.shape == (20_000, 5)
    assert_allclose(rows.mean(axis=0), X.mean(axis=0), atol=0.1)
    assert_allclose(np.cov(rows.T), np.cov(X.T), atol=0.2)


def test_samples_are_reproducible_and_leave_global_generators_alone(fitted):
    model, _, X = fitted

    def states():
        return np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()

    before = states()
    rows = model.sample(5, random_state=1)
    assert_array_equal(rows, model.sample(5, random_state=1))
    assert np.abs(rows - model.sample(5, random_state=2)).max() > 0.1
    assert np.abs(model.sample(5) - model.sample(5)).max() > 0.1
    rng = np.random.RandomState(0)
    assert np.abs(model.sample(5, rng) - model.sample(5, rng)).max() > 0.1
    assert states() == before
    # They look like images to the model.
    assert model.score_samples(model.sample(500, 0)).mean() > (
        model.score_samples(X[:, ::-1]).mean()
    )
    with pytest.raises(ValueError, match=r"n_samples must be an int .* Got 0"):
        model.sample(0)


def test_standard_deviations_beside_codes(fitted):
    model, _, X = fitted
    codes = model.transform(X)
    with torch.inference_mode():
        x = torch.tensor(X[:16], dtype=torch.float32)
        log_variance = model.module_.encode_distribution(x)[1].numpy()
    out = np.empty_like(codes)
    for given in (None, out):
        Z, std = model.transform(X, out=given, return_std=True)
        assert_array_equal(Z, codes)
        assert given is None or Z is out
        assert Z.dtype == std.dtype == X.dtype
        assert_allclose(std[:16], np.exp(log_variance / 2), rtol=1e-5)
    with pytest.raises(ValueError, match="out must be a writeable array"):
        model.transform(X, out=out[:3], return_std=True)


def test_standard_deviations_only_with_codes(fitted):
    model, _, X = fitted
    model.set_params(output="reconstruction")
    try:
        with pytest.raises(ValueError, match="Set output='code'"):
            model.transform(X, return_std=True)
    finally:
        model.set_params(output="code")


def test_lbfgs_is_refused(curved):
    with pytest.raises(ValueError, match=r"'lbfgs' needs the same loss .* another"):
        VariationalAutoencoder(optimizer="lbfgs").fit(curved)


def test_validation_loss_does_not_depend_on_draws(curved):
    model = VariationalAutoencoder(2, max_epochs=3, random_state=0).fit(curved)
    net = model.net_
    x = torch.as_tensor(curved, dtype=torch.float32)
    losses = net.row_losses_with(net.module_, x)
    torch.randn(3, generator=net.generator_)
    assert_array_equal(losses.detach(), net.row_losses_with(net.module_, x).detach())


def test_a_constant_table_and_a_single_row():
    for X in (np.full((30, 3), 7.0), np.ones((1, 2))):
        for variance in ("scalar", "column"):
            model = VariationalAutoencoder(2, variance=variance).fit(X)
            assert_allclose(model.reconstruct(X), X)
            assert np.isfinite(model.score_samples(X)).all()
            assert len(model.active_components_) == 0


def test_is_better_of_losses_that_are_logarithms():
    rng = np.random.RandomState(0)
    losses = rng.normal(-5, 3, size=200)
    assert is_better(losses - rng.uniform(0, 1, 200), losses, logarithmic=True)
    assert not is_better(losses - rng.normal(size=200) - 0.05, losses, logarithmic=True)


@torch.no_grad()
def test_the_bernoulli_bound_is_that_of_torch_distributions():
    torch.manual_seed(0)
    module = VariationalDenseAutoencoder(
        5, 3, hidden_layer_sizes=(7,), binary_output=True
    ).eval()
    module.decoder[-1].weight.mul_(5)  # probabilities that differ
    x = torch.randint(0, 2, (4, 5)).float()
    mean, log_variance = module.encode_distribution(x)
    noise = torch.randn(300, 4, 3)
    z = mean + (log_variance / 2).exp() * noise
    likelihood = Bernoulli(module.decode(z)).log_prob(x).sum(-1)
    assert_allclose(module.log_likelihood(x, z[0]), likelihood[0], rtol=1e-4)
    found = module.expected_log_likelihood(x, mean, log_variance, noise)
    assert_allclose(found, likelihood.mean(0), rtol=1e-4)
    # And the loss of the net is minus the bound over the columns.
    objective = EvidenceLowerBound(beta=2.0)
    net = AutoencoderNet(module, objective=objective).initialize()
    posterior = Normal(mean, (log_variance / 2).exp())
    divergence = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1)
    draws = fixed_draws(8, 4, 3)
    z = mean + (log_variance / 2).exp() * draws
    likelihood = Bernoulli(module.decode(z)).log_prob(x).sum(-1).mean(0)
    losses = net.row_losses_with(module, x)
    assert_allclose(losses, (2 * divergence - likelihood) / 5, rtol=1e-4)
    # Values between 0 and 1 have the cross-entropy.
    x, z = torch.rand(4, 5), z[0]
    p = module.decode(z)
    entropy = -(x * p.log() + (1 - x) * (1 - p).log()).sum(1)
    assert_allclose(module.log_likelihood(x, z), -entropy, rtol=1e-4)


@pytest.fixture(scope="module")
def binary():
    X, X_test = train_test_split((load_digits().data > 7).astype(float), random_state=0)
    model = VariationalAutoencoder(
        4,
        loss="binary_cross_entropy",
        max_epochs=30,
        batch_size=64,
        random_state=0,
    )
    return model.fit(X), X, X_test


def test_bernoulli_columns(binary):
    model, X, X_test = binary
    p = X.mean(axis=0).clip(1e-3, 1 - 1e-3)
    independent = (X_test * np.log(p) + (1 - X_test) * np.log(1 - p)).sum(axis=1)
    scores = model.score_samples(X_test)
    assert scores.mean() > independent.mean() + 3
    assert model.score_samples(X_test, n_draws=20).mean() > scores.mean()
    assert scores.max() < 0  # they are probabilities
    rows = model.reconstruct(X_test)
    assert 0 <= rows.min() < 0.1 and 0.9 < rows.max() <= 1
    drawn = model.sample(2_000, random_state=0)
    assert set(drawn.ravel()) == {0.0, 1.0}
    assert_allclose(drawn.mean(axis=0), X.mean(axis=0), atol=0.12)
    assert_array_equal(drawn, model.sample(2_000, random_state=0))
    assert model.encoder_module_(torch.zeros(2, 64)).shape == (2, 4)
    assert model.decoder_module_(torch.zeros(2, 4)).shape == (2, 64)


def test_bernoulli_columns_need_values_between_0_and_1(binary):
    model, X, _ = binary
    with pytest.raises(ValueError, match=r"needs values in \[0, 1\]"):
        VariationalAutoencoder(loss="binary_cross_entropy").fit(2 * X)
    with pytest.raises(ValueError, match=r"needs values in \[0, 1\]"):
        model.score_samples(2 * X)
    with pytest.raises(ValueError, match=r"init='pca' is not possible .*='random'"):
        VariationalAutoencoder(loss="binary_cross_entropy", init="pca").fit(X)
    with pytest.raises(ValueError, match=r"'loss' .* Got 'huber' instead"):
        VariationalAutoencoder(loss="huber").fit(X)


def test_files_of_bernoulli_columns(binary, tmp_path):
    model, X, _ = binary
    skae.save(model, tmp_path / "model")
    twin = skae.load(tmp_path / "model")
    assert_array_equal(twin.score_samples(X), model.score_samples(X))


def training_losses(x, epoch, **options):
    """Losses of rows in a training step of an epoch, and parts of them to compare."""
    objective = EvidenceLowerBound(**options)
    net = AutoencoderNet(random_module(), objective=objective).initialize()
    for _ in range(epoch + 1):
        net.history.new_epoch()
    net.generator_.manual_seed(0)
    net.module_.train()
    with torch.no_grad():
        losses = net._outputs(x)
        divergence = net.module_.divergence(*net.module_.encode_distribution(x))
    net.module_.eval()
    with torch.no_grad():
        assert_array_equal(net._outputs(x), net.row_losses_with(net.module_, x))
    return losses, divergence, net.row_losses_with(net.module_, x).detach()


def test_the_weight_of_the_divergence_rises():
    x = torch.randn(6, 5)
    start, divergence, _ = training_losses(x, 0, beta=0.0)
    for epoch, weight in ((0, 0.0), (1, 0.25), (3, 0.75), (4, 1.0), (9, 1.0)):
        losses, _, of_bound = training_losses(x, epoch, beta=2.0, kl_warmup_epochs=4)
        assert_allclose(losses, start + 2 * weight * divergence.sum(1) / 5, rtol=1e-5)
        # What the state to keep is chosen by does not change.
        assert_array_equal(of_bound, training_losses(x, 0, beta=2.0)[2])


def test_free_bits():
    x = 10 * torch.randn(6, 5)
    start, divergence, _ = training_losses(x, 0, beta=0.0)
    mean = divergence.mean(0)
    lowest = float(mean.sort()[0][:2].mean())  # between two components
    losses, _, of_bound = training_losses(x, 0, free_bits=lowest)
    expected = mean.clamp(min=lowest).sum() / 5
    assert_allclose((losses - start).mean(), expected, rtol=1e-5)
    assert_array_equal(of_bound, training_losses(x, 0)[2])


def test_free_bits_keep_components_from_the_prior(fitted):
    _, X, _ = fitted
    params = {
        "beta": 50.0,
        "init": "random",
        "validation_fraction": None,
        "max_epochs": 20,
        "batch_size": 128,
        "random_state": 0,
    }
    pressed = VariationalAutoencoder(4, **params).fit(X)
    free = VariationalAutoencoder(4, free_bits=0.5, **params).fit(X)
    assert pressed.kl_per_component_.max() < 0.1
    assert free.kl_per_component_.min() > 0.3
    warm = VariationalAutoencoder(4, kl_warmup_epochs=40, **params).fit(X)
    assert warm.kl_per_component_.sum() > pressed.kl_per_component_.sum()
