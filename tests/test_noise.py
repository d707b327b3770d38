"""The noises, as modules of their own."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import nn

from skae import DenoisingAutoencoder
from skae.noise import (
    NOISES,
    Compose,
    DropoutNoise,
    GaussianNoise,
    MaskingNoise,
    MissingNoise,
    Noise,
    SaltAndPepperNoise,
    SwapNoise,
)

N_ROWS, N_COLUMNS = 20_000, 5

every_noise = pytest.mark.parametrize("name", sorted(NOISES))


def rows(seed=0):
    """10⁵ entries; no value twice in a column, means and scales of all kinds."""
    rng = np.random.RandomState(seed)
    X = rng.gamma(2.0, size=(N_ROWS, N_COLUMNS)) * [1, 2, 3, 4, 5] + [0, 1, -2, 0, 9]
    return torch.tensor(X)


def draw(noise, x, seed=0):
    return noise(x, torch.Generator().manual_seed(seed))


def same(a, b):
    return bool(((a == b) | (a.isnan() & b.isnan())).all())


def test_gaussian_noise_has_the_scale_of_the_rows():
    x = rows()
    noise = draw(GaussianNoise(0.3).fit(x), x) - x
    std = 0.3 * x.var(dim=0, correction=0).mean().sqrt()
    assert_allclose(noise.mean(dim=0), 0, atol=5 * std / N_ROWS**0.5)
    assert_allclose(noise.std(dim=0), std, rtol=0.03)
    assert abs(np.corrcoef(noise.T) - np.eye(N_COLUMNS)).max() < 0.04


@pytest.mark.parametrize("fill", [0.0, -3.0, "mean"])
def test_masking_noise_hides_entries_and_leaves_the_others(fill):
    x = rows()
    noisy = draw(MaskingNoise(0.2, fill=fill).fit(x), x)
    value = x.mean(dim=0) if fill == "mean" else torch.full((N_COLUMNS,), fill)
    hidden = noisy != x
    assert_allclose(hidden.double().mean(dim=0), 0.2, atol=0.015)
    expected = value.to(torch.float32).to(x.dtype).expand_as(x)
    assert torch.equal(noisy[hidden], expected[hidden])


def test_dropout_noise_keeps_the_mean():
    x = rows()
    noisy = draw(DropoutNoise(0.4), x)
    dropped = noisy == 0
    assert_allclose(dropped.double().mean(dim=0), 0.4, atol=0.02)
    assert torch.equal(noisy[~dropped], (x / 0.6)[~dropped])
    assert_allclose(noisy.mean(dim=0), x.mean(dim=0), rtol=0.05)


def test_salt_and_pepper_noise_takes_the_extremes():
    x = rows()
    x[:, 0] = 7.0
    noisy = draw(SaltAndPepperNoise(0.2).fit(x.float()), x.float())
    x = x.float()
    low, high = x.amin(dim=0), x.amax(dim=0)
    assert torch.equal(noisy[:, 0], x[:, 0])  # a constant column has one extreme
    for extreme in (low, high):
        rate = (noisy == extreme)[:, 1:].double().mean(dim=0)
        assert_allclose(rate, 0.1, atol=0.01)
    other = (noisy != low) & (noisy != high)
    assert torch.equal(noisy[other], x[other])


@pytest.mark.parametrize("lent", [False, True])
def test_swap_noise_takes_entries_of_the_column(lent):
    x, pool = rows(), rows(seed=1)
    noise = SwapNoise(0.3)
    if lent:
        noise.lend(pool)
    noisy = draw(noise, x)
    swapped = noisy != x
    assert_allclose(swapped.double().mean(dim=0), 0.3, atol=0.02)
    source = pool if lent else x
    for j in range(N_COLUMNS):
        assert np.isin(noisy[swapped[:, j], j], source[:, j]).all()
    # Each entry from a row of its own.
    assert abs(np.corrcoef(swapped.T) - np.eye(N_COLUMNS)).max() < 0.04


def test_swap_noise_draws_rows_by_their_weights():
    noise = SwapNoise(0.5)
    rows = torch.tensor([[1.0], [2.0], [3.0]])
    noise.lend(rows, torch.tensor([1.0, 0.0, 3.0]))
    noisy = draw(noise, torch.zeros(N_ROWS, 1))
    rates = [(noisy == value).double().mean() for value in (1, 2, 3)]
    assert_allclose(rates, [0.125, 0, 0.375], atol=0.01)


def test_missing_noise_hides_entries_at_a_rate():
    x = rows()
    noisy = draw(MissingNoise(0.3), x)
    hidden = noisy.isnan()
    assert_allclose(hidden.double().mean(dim=0), 0.3, atol=0.02)
    assert torch.equal(noisy[~hidden], x[~hidden])
    few = draw(MissingNoise(0.95), x)
    assert ((~few.isnan()).sum(dim=1) >= 1).all()


def test_missing_noise_hides_what_other_rows_miss():
    nan = torch.nan
    noise = MissingNoise()
    patterns = torch.tensor([[1, 1, 1, 1], [nan, 1, 1, 1], [1, nan, nan, 1]])
    noise.lend(patterns, torch.tensor([5.0, 1.0, 3.0]))
    x = torch.ones(N_ROWS, 4)
    hidden = draw(noise, x).isnan()
    assert torch.equal(hidden[:, 1], hidden[:, 2])
    assert torch.equal(hidden[:, 0], ~hidden[:, 1])
    assert not hidden[:, 3].any()
    assert_allclose(hidden[:, 0].double().mean(), 0.25, atol=0.02)
    # What is missing stays so, and something is hidden in addition.
    x[:, 1:3] = nan
    hidden = draw(noise, x).isnan()
    assert hidden[:, 1:3].all() and (hidden.sum(dim=1) == 3).all()
    assert hidden[:, 0].double().mean() > 0.7
    x[:, 0] = nan  # the last value stays
    assert same(draw(noise, x), x)


def test_missing_noise_without_gaps_to_go_by():
    x = rows()
    noise = MissingNoise()
    for lent in (None, x):
        noise.lend(lent)
        assert_allclose(draw(noise, x).isnan().double().mean(), 0.3, atol=0.02)


@pytest.mark.parametrize("name", sorted(set(NOISES) - {"missing"}))
def test_moments_are_those_of_noisy_rows(name):
    x = rows()
    noise = NOISES[name](0.2).fit(x)
    moments = noise.moments(x.mean(dim=0), x.var(dim=0, correction=0))
    ((weight, factor, mean, variance),) = moments
    assert weight == 1
    noisy = draw(noise, x).double()
    assert_allclose(noisy.mean(dim=0), mean, rtol=0.03, atol=0.02)
    assert_allclose(noisy.var(dim=0), variance, rtol=0.06)
    cross = ((x - x.mean(dim=0)) * noisy).mean(dim=0) / x.var(dim=0)
    assert_allclose(cross, factor, rtol=0.06)


def test_moments_of_noises_in_turn():
    x = rows()
    noise = Compose([GaussianNoise(0.5), MaskingNoise(0.3), DropoutNoise(0.2)]).fit(x)
    moments = noise.moments(x.mean(dim=0), x.var(dim=0, correction=0))
    ((weight, factor, mean, variance),) = moments
    assert weight == 1
    noisy = draw(noise, x)
    assert_allclose(noisy.mean(dim=0), mean, rtol=0.05, atol=0.05)
    assert_allclose(noisy.var(dim=0), variance, rtol=0.06)
    assert factor == pytest.approx(0.7)
    assert Compose([GaussianNoise(), nn.Dropout()]).moments(x[0], x[1]) is None


@every_noise
def test_noise_is_silent_in_evaluation_mode(name):
    x = rows()
    assert draw(NOISES[name]().fit(x).eval(), x) is x


@every_noise
def test_noise_comes_from_the_generator_alone(name):
    x = rows()
    noise = NOISES[name](0.2).fit(x)
    before = torch.get_rng_state()
    first = draw(noise, x)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(3)
    assert same(draw(noise, x), first)
    assert not same(draw(noise, x, seed=1), first)


@every_noise
def test_a_pair_of_levels_is_drawn_for_each_row(name):
    x = torch.full((400, 1000), 0.5) + torch.rand(400, 1000) / 10
    noise = NOISES[name]((0.1, 0.5)).fit(x)
    noisy = draw(noise, x)
    if name == "gaussian":
        level = (noisy - x).std(dim=1) / noise.scale
    elif name == "dropout":
        level = (noisy == 0).double().mean(dim=1)
    else:
        level = (noisy != x).double().mean(dim=1)
    assert 0.05 < level.min() < 0.15 and 0.45 < level.max() < 0.55
    assert_allclose(level.mean(), 0.3, atol=0.03)
    assert level.std() > 0.1


@every_noise
def test_level_zero_changes_nothing(name):
    x = rows()
    assert torch.equal(draw(NOISES[name](0.0).fit(x), x), x)


@every_noise
def test_levels_out_of_range_are_refused(name):
    highest = "inf" if name == "gaussian" else "1"
    for level in (-0.1, float("nan"), (0.5, 0.2), (-1, 0.5), float(highest)):
        with pytest.raises(ValueError, match=rf"\[0, {highest}\), or a pair"):
            NOISES[name](level)


def test_fill_is_a_number_or_mean():
    with pytest.raises(ValueError, match=r"fill must be a number or 'mean'.*'median'"):
        MaskingNoise(fill="median")


@every_noise
def test_noise_of_one_row_and_a_pickle(name):
    x = rows().float()
    noise = NOISES[name](0.3).fit(x)
    twin = pickle.loads(pickle.dumps(noise))
    assert same(draw(twin, x), draw(noise, x))
    assert repr(twin) == repr(noise) and "level=0.3" in repr(noise)
    assert draw(noise, x[:1]).shape == (1, N_COLUMNS)


def test_a_noise_of_ones_own_is_lent_rows_if_it_needs_them():
    lent = []

    class NearMean(Noise):
        needs_rows = True

        def lend(self, rows, weight=None):
            lent.append(None if rows is None else rows.shape)

        def corrupt(self, x, level, generator):
            return x * (1 - level)

    X = rows()[:100].numpy()
    params = {"max_epochs": 1, "random_state": 0}
    DenoisingAutoencoder(2, noise=["swap", NearMean(0.1)], **params).fit(X)
    assert lent == [(90, N_COLUMNS), None]
