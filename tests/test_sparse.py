"""Sparse codes, their penalties, and the floor of the sparse autoencoder."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

from skae import SparseAutoencoder
from skae.losses import kl_penalty, l1_penalty
from skae.modules import SparseLinearAutoencoder
from skae.training import Table

QUICK = {"max_epochs": 20, "batch_size": 64, "random_state": 0}


@pytest.fixture(scope="module")
def fitted(digits):
    """A model that was trained."""
    return SparseAutoencoder(80, **QUICK).fit(digits[0])


def test_exactly_k_units_are_active(fitted, digits):
    n_active = (fitted.transform(digits[1]) > 0).sum(axis=1)
    assert_array_equal(n_active, 8)
    assert fitted.code_activity_.sum() == pytest.approx(8, abs=1e-3)
    with torch.random.fork_rng():
        torch.manual_seed(0)  # of few weights, a row has less than three positive units
        module = SparseLinearAutoencoder(6, 20, n_active=3).eval()
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    z, free = module.encode(x), torch.relu(module.encoder(x))
    # The largest ones, as they are.
    assert_array_equal((z > 0).sum(1), 3)
    assert_array_equal(
        z.detach().sort(1).values[:, -3:], free.sort(1).values[:, -3:].detach()
    )


def test_better_than_pca_of_as_many_components(fitted, digits):
    X, X_test = digits
    pca = PCA(8).fit(X)
    share = 1 - (
        np.square(X_test - pca.inverse_transform(pca.transform(X_test))).sum()
        / np.square(X_test - X_test.mean(axis=0)).sum()
    )
    assert fitted.best_epoch_ > 0
    assert fitted.score(X_test) > share + 0.05
    assert fitted.n_dead_units_ < 8


@pytest.mark.parametrize("penalty", ["topk", "l1"])
@pytest.mark.parametrize(
    ("n_components", "sparsity", "n_axes"),
    [(20, 0.1, 2), (6, 0.5, 3), (30, 0.2, 4), (4, 0.9, 2), (7, 0.9, 3)],
)
def test_the_floor_is_pca(penalty, n_components, sparsity, n_axes):
    X = load_iris().data[::2]
    model = SparseAutoencoder(n_components, penalty=penalty, sparsity=sparsity)
    with pytest.warns(ConvergenceWarning, match=r"75 rows, too few .* is signed PCA"):
        model.fit(X)
    pca = PCA(n_axes).fit(X)
    assert_allclose(
        model.reconstruct(X), pca.inverse_transform(pca.transform(X)), atol=1e-5
    )
    codes = model.transform(X)
    pairs = codes[:, : 2 * n_axes].reshape(len(X), n_axes, 2)
    assert_allclose(pairs[..., 0] - pairs[..., 1], pca.transform(X), atol=1e-5)
    assert_array_equal((pairs > 0).sum(axis=2), 1)
    assert not codes[:, 2 * n_axes :].any()
    assert model.n_dead_units_ == n_components - 2 * n_axes
    assert model.best_epoch_ == model.n_iter_ == 0


def test_the_floor_is_kept_where_training_does_not_help():
    rng = np.random.RandomState(0)
    X = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 10))
    model = SparseAutoencoder(20, max_epochs=2, random_state=0)
    with pytest.warns(ConvergenceWarning, match="did not beat signed PCA with as many"):
        model.fit(X)
    assert model.best_epoch_ == 0
    assert model.score(X) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("n_features", [1, 2, 5])
def test_one_unit_and_few_columns(n_features):
    X = np.random.RandomState(0).normal(size=(30, n_features))
    for n_components, penalty in [(1, "topk"), (None, "topk"), (None, "l1")]:
        model = SparseAutoencoder(n_components, penalty=penalty)
        with pytest.warns(ConvergenceWarning, match="too few to hold out"):
            model.fit(X)
        assert model.score(X) > 0.05
    size = {1: 10, 2: 20, 5: 30}[n_features]
    assert model.n_components_ == size


def test_no_floor_for_random_starts_and_for_codes_between_0_and_1():
    X = load_iris().data
    for params in ({"init": "random"}, {"penalty": "kl"}):
        model = SparseAutoencoder(20, **QUICK, **params).fit(X)
        assert model.n_iter_ == 20
    codes = model.transform(X)
    assert codes.min() > 0 and codes.max() < 1


def test_kl_penalty_of_a_unit_at_its_target_is_zero():
    activity = torch.tensor([[0.0, 0.4], [0.2, 0.0], [0.1, 0.0]])
    assert_allclose(kl_penalty(activity[:, :1], 0.1), 0, atol=1e-6)
    rows = kl_penalty(activity, 0.1)
    mean = 0.4 / 3
    expected = 0.1 * np.log(0.1 / mean) + 0.9 * np.log(0.9 / (1 - mean))
    assert_allclose(rows, np.full(3, expected / 2), rtol=1e-4)
    # A weight of two is the row twice.
    twice = kl_penalty(activity, 0.1, torch.tensor([2.0, 1.0, 0.0]))
    assert_allclose(twice[0], kl_penalty(activity[[0, 0, 1]], 0.1)[0])
    assert torch.isfinite(kl_penalty(torch.zeros(2, 3), 0.1)).all()


def test_l1_penalty_does_not_depend_on_how_a_unit_divides_its_size():
    assert_array_equal(l1_penalty(torch.tensor([[1.0, 2.0], [0.0, 0.5]])), [3, 0.5])
    torch.manual_seed(0)
    module = SparseLinearAutoencoder(6, 20)
    module.standardize(torch.ones(6), torch.tensor(3.0))
    x = torch.randn(50, 6)
    z = module.encode(x)
    before = module.activity(z)
    added = module.decoder.weight.T * z[0, :, None]  # in the units of the rows
    assert_allclose(
        before[0].detach(), added.square().mean(1).sqrt().detach() / 3, rtol=1e-5
    )
    with torch.no_grad():
        module.decoder.weight[:, 3] *= 5
        module.encoder[0].weight[3] /= 5
        module.encoder[0].bias[3] /= 5
    again = module.activity(module.encode(x))
    assert_allclose(again.detach(), before.detach(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("penalty", "weights"), [("l1", [0.01, 0.05]), ("kl", [0.0, 10.0])]
)
def test_activity_falls_as_the_penalty_rises_at_little_cost(penalty, weights, digits):
    X, X_test = digits
    light, heavy = (
        SparseAutoencoder(
            80, penalty=penalty, sparsity=0.05, penalty_weight=weight, **QUICK
        ).fit(X)
        for weight in weights
    )
    assert heavy.code_activity_.sum() < 0.75 * light.code_activity_.sum()
    assert heavy.score(X_test) > light.score(X_test) - 0.06
    assert heavy.score(X_test) > 0.8
    # The loss has the penalty; scores have not.
    assert heavy.best_loss_ > -heavy.score_samples(X).mean() * 1.05


def test_kl_draws_units_to_their_target(digits):
    X = digits[0]
    for target in (0.05, 0.2):
        model = SparseAutoencoder(
            80, penalty="kl", sparsity=target, penalty_weight=10.0, **QUICK
        ).fit(X)
        assert_allclose(np.median(model.code_activity_), target, rtol=0.3)


@pytest.mark.parametrize("penalty", ["topk", "kl"])
def test_rows_are_sums_of_atoms(penalty, digits):
    X = digits[0]
    model = SparseAutoencoder(20, penalty=penalty, init="random", **QUICK).fit(X)
    codes = model.transform(X)
    silent = model.inverse_transform(np.zeros((1, 20)))
    assert_allclose(silent + codes @ model.components_, model.reconstruct(X), atol=1e-5)


def test_dead_units_are_counted(digits):
    X = digits[0]
    for penalty in ("topk", "kl"):
        model = SparseAutoencoder(40, penalty=penalty, **QUICK).fit(X)
        before = model.n_dead_units_
        with torch.no_grad():
            bias = model.module_.encoder[0].bias
            bias[np.argsort(model.code_activity_)[-3:].copy()] -= 1e3
        model._describe(model.net_, Table(X))
        assert model.n_dead_units_ >= before + 3
        assert (model.code_activity_ == 0).sum() >= 3


def test_weights_count_in_activities(digits):
    X = digits[0][:200]
    weight = np.arange(200) % 3
    model = SparseAutoencoder(20, init="random", **QUICK).fit(X, sample_weight=weight)
    active = model.transform(X) > 0
    assert_allclose(
        model.code_activity_, np.average(active, axis=0, weights=weight), atol=1e-5
    )


@pytest.mark.parametrize("penalty", ["l1", "kl"])
def test_weight_two_is_the_row_twice_at_full_batch(penalty, curved):
    weight = np.random.RandomState(3).randint(0, 4, size=len(curved))

    def fit(X, sample_weight=None):
        return SparseAutoencoder(
            12,
            penalty=penalty,
            penalty_weight=0.1,
            init="random",
            batch_size=10_000,
            max_epochs=5,
            validation_fraction=None,
            random_state=0,
        ).fit(X, sample_weight=sample_weight)

    weighted, repeated = fit(curved, weight), fit(curved.repeat(weight, axis=0))
    assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-4)
    assert_allclose(weighted.transform(curved), repeated.transform(curved), atol=1e-4)


@pytest.mark.parametrize("penalty", ["topk", "l1", "kl"])
def test_equal_weights_are_as_none(penalty, curved):
    # Without validation rows, no rounding decides which epoch is kept.
    model = SparseAutoencoder(
        12, penalty=penalty, optimizer="sgd", validation_fraction=None, **QUICK
    )
    codes = model.fit(curved).transform(curved)
    # Rows of weight zero are as if they were not there.
    X = np.concatenate([curved, curved[:50] + 1])
    weight = np.r_[np.full(len(curved), 3.0), np.zeros(50)]
    model.fit(X, sample_weight=weight)
    assert_allclose(model.transform(curved), codes, atol=1e-4)


@pytest.mark.parametrize("penalty", ["topk", "l1", "kl"])
def test_results_do_not_depend_on_units(penalty, digits):
    X = digits[0]
    model = SparseAutoencoder(40, penalty=penalty, **QUICK)
    score = model.fit(X).score(X)
    codes, activity = model.transform(X), model.code_activity_
    model.fit(64 * X)
    assert model.score(64 * X) == pytest.approx(score, abs=1e-3)
    unit = 1 if penalty == "kl" else 64
    assert_allclose(model.transform(64 * X).mean(), unit * codes.mean(), rtol=1e-2)
    assert_allclose(model.code_activity_.sum(), activity.sum(), rtol=1e-2)


@pytest.mark.parametrize("penalty", ["l1", "kl"])
def test_same_random_state_same_bits(penalty, curved):
    fits = [
        SparseAutoencoder(12, penalty=penalty, **QUICK).fit_transform(curved)
        for _ in range(2)
    ]
    assert_array_equal(*fits)


def test_constant_rows():
    X = np.full((200, 3), 7.0)
    for penalty in ("topk", "l1", "kl"):
        model = SparseAutoencoder(8, penalty=penalty, **QUICK)
        if penalty == "kl":
            model.fit(X)
        else:
            with pytest.warns(ConvergenceWarning, match="1 distinct row, too few"):
                model.fit(X)
        assert_allclose(model.reconstruct(X), X, atol=1e-2)


def test_wrong_parameters(curved):
    for params, text in [
        ({"sparsity": 1.0}, r"'sparsity' .* range \(0"),
        ({"penalty": "l2"}, "'penalty' parameter .* Got 'l2'"),
        ({"penalty_weight": -1.0}, "'penalty_weight' parameter"),
        ({"output": "hidden"}, "'output' parameter .* Got 'hidden'"),
    ]:
        with pytest.raises(ValueError, match=text):
            SparseAutoencoder(**params).fit(curved)


def test_training_goes_on_after_the_floor(curved):
    # Signed PCA has atoms of zero, where a norm has no gradient.
    model = SparseAutoencoder(20, penalty="l1", max_epochs=1, random_state=0)
    with pytest.warns(ConvergenceWarning, match="The fitted model is signed PCA"):
        model.fit(curved)
    assert (np.linalg.norm(model.components_, axis=1) == 0).any()
    model.partial_fit(curved)
    assert np.isfinite(model.loss_curve_).all()
