"""What is particular to AutoencoderTransformer."""

import copy
import pickle

import numpy as np
import pytest
import torch
from modules_for_tests import Own, WithoutForward, own_for_six
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import set_config
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from skorch.callbacks import Callback
from torch import nn

from skae import AutoencoderTransformer
from skae.modules import DenseAutoencoder
from skae.modules._layers import ACTIVATIONS
from skae.training import recipe


def fit(X, **params):
    return AutoencoderTransformer(
        **{"random_state": 0, "max_epochs": 20, **params}
    ).fit(X)


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize("tied_weights", [False, True])
def test_every_activation_learns(activation, tied_weights, curved):
    model = fit(
        curved,
        n_components=1,
        activation=activation,
        tied_weights=tied_weights,
        init="random",
    )
    assert model.loss_curve_[-1] < 0.8 * model.loss_curve_[0]


@pytest.mark.parametrize("tied_weights", [False, True])
@pytest.mark.parametrize("activation", sorted(set(ACTIVATIONS) - {"logistic"}))
@pytest.mark.parametrize("sizes", [(), (7,), (9, 5, 4)])
def test_module_started_linear_is_pca(tied_weights, activation, sizes, curved):
    pca = PCA(2).fit(curved)
    module = DenseAutoencoder(
        6,
        2,
        hidden_layer_sizes=sizes,
        activation=activation,
        tied_weights=tied_weights,
    )
    axes = torch.tensor(pca.components_)
    module.standardize(torch.tensor(pca.mean_), torch.tensor(2.5))
    module.start_linear(axes, axes.T)
    x = torch.tensor(curved, dtype=torch.float32)
    with torch.no_grad():
        assert_allclose(module.encode(x), pca.transform(curved), atol=1e-5)
        X_hat = pca.inverse_transform(pca.transform(curved))
        assert_allclose(module(x), X_hat, atol=1e-5)


def test_start_linear_needs_the_linear_path():
    module = DenseAutoencoder(6, 2, linear_path=False)
    with pytest.raises(ValueError, match="linear_path=True"):
        module.start_linear(torch.zeros(2, 6), torch.zeros(6, 2))


@pytest.mark.parametrize("sizes", [5, [5], (5, 4, 3), np.array([6, 2]), ()])
def test_hidden_layer_sizes(sizes, curved):
    model = fit(curved, hidden_layer_sizes=sizes, max_epochs=1)
    widths = [sizes] if isinstance(sizes, int) else list(sizes)
    found = [layer.out_features for layer in model.module_.encoder[::2]]
    assert found == [*widths, 2]
    found = [layer.out_features for layer in model.module_.decoder[::2]]
    assert found == [*widths[::-1], 6]


@pytest.mark.parametrize("init", ["pca", "random"])
def test_tied_weights_are_one_tensor(init, curved):
    model = fit(curved, tied_weights=True, init=init, hidden_layer_sizes=(5, 4))
    untied = fit(curved, init=init, hidden_layer_sizes=(5, 4))
    for twin in (model, pickle.loads(pickle.dumps(model))):
        matrices = [p for p in twin.module_.parameters() if p.ndim == 2]
        expected = [p for p in untied.module_.parameters() if p.ndim == 2]
        assert 2 * len(matrices) == len(expected)
        twin.partial_fit(curved)
        for i, layer in enumerate(twin.module_.decoder[::2]):
            source = twin.module_.encoder[-1 - 2 * i]
            assert layer.source is source
    x = torch.ones(1, 2)
    with torch.no_grad():
        layer = model.module_.decoder[0]
        expected = x @ model.module_.encoder[-1].weight + layer.bias
    assert_allclose(layer(x).detach(), expected, rtol=1e-5)
    assert not clone(model).__sklearn_is_fitted__()


@pytest.mark.parametrize(
    "loss",
    [
        "squared_error",
        "absolute_error",
        "huber",
        nn.HuberLoss(delta=0.5),
        nn.SmoothL1Loss,
        nn.MSELoss(reduction="sum"),
    ],
)
def test_losses_for_real_inputs(loss, curved):
    model = fit(curved, n_components=1, loss=loss, max_epochs=120)
    assert model.score(curved) > 0.6
    start, last = model.validation_loss_curve_[0], min(model.validation_loss_curve_)
    assert last < start


def test_score_samples_is_minus_the_loss(curved):
    model = fit(curved, loss="absolute_error", max_epochs=2)
    error = np.abs(curved - model.reconstruct(curved)).mean(axis=1)
    assert_allclose(model.score_samples(curved), -error, rtol=1e-4)


class MeanCube(nn.Module):
    """A loss without the attribute `reduction`."""

    def forward(self, x_hat, x):
        return (x_hat - x).abs().pow(3).mean()


def test_a_loss_of_ones_own(curved):
    model = fit(curved, n_components=1, loss=MeanCube)
    cube = (np.abs(curved - model.reconstruct(curved)) ** 3).mean(axis=1)
    assert_allclose(model.score_samples(curved), -cube, rtol=1e-3)
    weighted = AutoencoderTransformer(loss=MeanCube(), max_epochs=2)
    weighted.fit(curved, sample_weight=np.arange(400.0))


def test_cross_entropy_for_values_in_the_unit_interval(digits):
    X, X_test = digits
    model = fit(X, n_components=8, loss="binary_cross_entropy", max_epochs="auto")
    X_hat = model.reconstruct(X_test)
    assert X_hat.min() >= 0 and X_hat.max() <= 1
    assert model.score(X_test) > 0.6
    p = X_hat.clip(1e-7, 1 - 1e-7)
    entropy = -(X_test * np.log(p) + (1 - X_test) * np.log(1 - p)).mean(axis=1)
    assert_allclose(model.score_samples(X_test), -entropy, rtol=1e-2)
    # The logits are not bounded, so nothing saturates.
    z = torch.tensor(model.transform(X_test), dtype=torch.float32)
    assert not model.module_.decode_logits(z).detach().abs().max() < 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_module_with_everything_but_forward(dtype, curved):
    X = curved[:353].astype(dtype)
    before = X.copy()
    # 353 rows in batches of 16 leave one over, which batch norm cannot take alone.
    model = fit(X, module=WithoutForward, batch_size=16, validation_fraction=None)
    model.fit(X[:320], X_val=X[320:])
    model.transform(X)
    model.score_samples(X[:16])
    assert_array_equal(X, before)
    twin = pickle.loads(pickle.dumps(model))
    assert_array_equal(twin.transform(X), model.transform(X))


@pytest.mark.parametrize("loss", ["squared_error", "binary_cross_entropy"])
def test_compiled(loss, curved):
    X = (curved - curved.min()) / np.ptp(curved)
    net_params = {"compile": True, "compile__backend": "eager"}
    params = {"loss": loss, "init": "random", "warm_start": True}
    plain = fit(X, **params)
    model = fit(X, net_params=net_params, **params)
    assert_allclose(model.transform(X), plain.transform(X), atol=1e-4)
    assert type(model.module_) is DenseAutoencoder
    model.set_params(net_params=None).fit(X)
    assert model.score(X) > plain.score(X)


@pytest.mark.parametrize("module", [Own, Own(6, 3), own_for_six, DenseAutoencoder])
def test_modules_of_ones_own(module, curved):
    before = pickle.dumps(module)
    model = fit(curved, n_components=3, module=module, max_epochs=100)
    assert model.n_components_ == 3
    assert model.transform(curved).shape == (400, 3)
    assert model.get_feature_names_out().shape == (3,)
    assert model.score(curved) > 0.5
    assert pickle.dumps(module) == before  # an instance is not trained itself
    assert model.module_ is not module


def test_arguments_of_a_module_class(curved):
    model = fit(
        curved,
        module=DenseAutoencoder,
        net_params={"module__activation": "tanh", "module__hidden_layer_sizes": (7,)},
    )
    assert isinstance(model.module_.encoder[1], nn.Tanh)
    assert model.module_.encoder[0].out_features == 7


def test_more_components_than_columns_or_rows(curved):
    for X in (curved, curved[:5]):
        for init in ("auto", "random"):
            model = fit(X, n_components=9, init=init)
            assert model.transform(X).shape == (len(X), 9)


def test_features_in_any_units(curved):
    # The recipe does not depend on the units: neither do the codes, but for rounding.
    for factor in (1e-6, 1e6):
        models = [
            fit(X, n_components=1, max_epochs=60) for X in (curved, curved * factor)
        ]
        assert_allclose(models[0].score(curved), models[1].score(curved * factor), 1e-2)
        assert models[0].best_epoch_ > 0


def test_the_state_kept_is_the_best_on_validation_rows(digits):
    X, X_val = digits
    model = AutoencoderTransformer(8, random_state=0, max_epochs=15)
    model.fit(X, X_val=X_val)
    curve = model.validation_loss_curve_
    assert len(curve) == model.n_iter_ + 1 == 16
    assert len(model.loss_curve_) == 15
    assert model.best_epoch_ == int(np.argmin(curve))
    assert model.best_loss_ == min(curve)
    loss = model.reconstruction_error(X_val).mean()
    assert_allclose(loss, model.best_loss_, rtol=1e-4)
    start = PCA(8).fit(X)
    rows = start.inverse_transform(start.transform(X_val))
    assert_allclose(curve[0], ((X_val - rows) ** 2).mean(), rtol=1e-3)


def test_without_validation_rows_the_last_state_is_kept(curved):
    model = fit(curved, validation_fraction=None)
    assert model.validation_loss_curve_ == []
    assert model.best_epoch_ == model.n_iter_ == 20
    assert model.best_loss_ == model.loss_curve_[-1]


def test_early_stopping(digits, capsys):
    model = AutoencoderTransformer(
        2,
        early_stopping=True,
        n_iter_no_change=3,
        tol=0.05,
        verbose=1,
        max_epochs=200,
        random_state=0,
    ).fit(digits[0])
    assert 3 <= model.n_iter_ < 200
    assert f"Stopped early after {model.n_iter_} epochs" in capsys.readouterr().out
    patient = AutoencoderTransformer(
        2, early_stopping=True, max_epochs=9, tol=10.0, random_state=0
    ).fit(digits[0])
    assert patient.n_iter_ == 3  # a third of the epochs


def test_x_val_passes_through_a_pipeline(digits):
    X, X_val = digits[0] * 16, digits[1] * 16
    set_config(enable_metadata_routing=True)
    try:
        model = AutoencoderTransformer(4, max_epochs=3, random_state=0)
        pipeline = Pipeline(
            [("scale", MinMaxScaler()), ("code", model.set_fit_request(X_val=True))],
            transform_input=["X_val"],
        ).fit(X, X_val=X_val)
        scaler = MinMaxScaler().fit(X)
        alone = clone(model).fit(scaler.transform(X), X_val=scaler.transform(X_val))
    finally:
        set_config(enable_metadata_routing=False)
    assert pipeline[-1].validation_loss_curve_ == alone.validation_loss_curve_


@pytest.mark.parametrize("validation_fraction", [0.1, None])
def test_warm_start_goes_on(validation_fraction, digits):
    X = digits[0]
    model = AutoencoderTransformer(
        8,
        warm_start=True,
        max_epochs=5,
        random_state=0,
        validation_fraction=validation_fraction,
    ).fit(X)
    first = model.score(X)
    model.fit(X)
    assert model.score(X) > first
    assert model.n_iter_ == 5


def test_warm_start_keeps_the_floor():
    rng = np.random.RandomState(0)
    X, X_test = rng.normal(size=(2, 60, 20))
    small = AutoencoderTransformer(4, warm_start=True, random_state=0).fit(X)
    once = small.score(X_test)
    assert small.fit(X).score(X_test) == once
    larger = AutoencoderTransformer(4, warm_start=True, random_state=0, max_epochs=30)
    X, X_test = rng.normal(size=(2, 200, 20)) @ rng.normal(size=(20, 20))
    once = larger.fit(X).score(X_test)
    noise = float(larger.net_.noise_.scale)
    assert larger.fit(X).score(X_test) > once - 0.002
    assert float(larger.net_.noise_.scale) == noise > 0


def test_auto_is_about_two_thousand_steps():
    for n, batch_size in [(1000, "auto"), (150, 10_000), (4, "auto"), (150, 7)]:
        X = np.random.RandomState(0).normal(size=(n, 3))
        model = AutoencoderTransformer(
            1, hidden_layer_sizes=(), validation_fraction=None, batch_size=batch_size
        ).fit(X)
        steps = sum(model.net_.history[:, "train_batch_count"])
        assert 1900 < steps < 2100


@pytest.mark.parametrize("n_first", [50, 200])
def test_partial_fit_after_fit(n_first, curved):
    # After a fit that only gave PCA, too, the loss has its unit and Adam no past.
    X = 1000 * curved
    model = AutoencoderTransformer(2, optimizer="sgd", random_state=0).fit(X[:n_first])
    error = model.reconstruction_error(X).mean()
    for _ in range(5):
        model.partial_fit(X)
    assert model.reconstruction_error(X).mean() < 1.2 * error
    unit = AutoencoderTransformer(2, optimizer="sgd").partial_fit(X).net_.loss_unit
    assert model.net_.loss_unit == pytest.approx(unit, rel=0.3)


def test_partial_fit_learns_from_chunks(digits):
    X, X_test = digits
    model = AutoencoderTransformer(8, random_state=0)
    for _ in range(20):
        for chunk in np.array_split(X, 4):
            model.partial_fit(chunk)
    assert model.n_iter_ == len(model.loss_curve_) == 80
    pca = PCA(8).fit(X)
    rows = pca.inverse_transform(pca.transform(X_test))
    assert (
        model.reconstruction_error(X_test).mean() < 0.8 * ((X_test - rows) ** 2).mean()
    )


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd", "lbfgs", "muon"])
@pytest.mark.parametrize("init", ["pca", "random"])
def test_every_optimizer_learns(optimizer, init, curved):
    if optimizer == "muon" and not hasattr(torch.optim, "Muon"):
        pytest.skip("torch has no Muon before version 2.9")
    epochs = 10 if optimizer == "lbfgs" else 60
    # Without validation rows, what was learned is kept in any case.
    model = fit(
        curved,
        n_components=1,
        optimizer=optimizer,
        init=init,
        max_epochs=epochs,
        validation_fraction=None,
    )
    floor = PCA(1).fit(curved).explained_variance_ratio_[0]
    # Without momentum of its own scale, SGD hardly leaves the saddle that PCA is.
    assert model.score(curved) > floor + (
        0.1 if (optimizer, init) != ("sgd", "pca") else -0.01
    )


@pytest.mark.parametrize(
    "optimizer",
    [*recipe.OPTIMIZERS, torch.optim.LBFGS, torch.optim.NAdam, torch.optim.Rprop],
)
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
def test_copies_go_on_with_every_optimizer(optimizer, copied, curved):
    params = {"hidden_layer_sizes": (5,), "max_epochs": 2, "random_state": 0}
    if optimizer is torch.optim.LBFGS:
        # Without a line search, rounding decides whether it diverges.
        params["net_params"] = {"optimizer__line_search_fn": "strong_wolfe"}
    model = fit(curved, optimizer=optimizer, init="random", **params)
    model.partial_fit(curved)
    twin = copied(model)
    for rows in (curved, curved[:50]):
        assert_array_equal(
            twin.partial_fit(rows).transform(curved),
            model.partial_fit(rows).transform(curved),
        )


def test_muon_takes_every_parameter(curved):
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("torch has no Muon before version 2.9")

    class Rates(Callback):
        def on_batch_end(self, net, **kwargs):
            self.last_ = net.optimizer_vectors_.param_groups[0]["lr"]

    rates = Rates()
    params = {"optimizer": "muon", "init": "random", "max_epochs": 1}
    model = fit(curved, callbacks=[rates], **params)
    start = fit(curved, lr=1e-30, **params)
    assert rates.last_ == pytest.approx(0, abs=1e-9)  # the schedule reaches them all
    for one, other in zip(
        model.module_.parameters(), start.module_.parameters(), strict=True
    ):
        assert not torch.equal(one, other)


def test_no_weight_decay_means_none_for_adamw(curved):
    model = fit(curved, optimizer="adamw")
    assert model.net_.optimizer_.param_groups[0]["weight_decay"] == 0


def test_an_optimizer_class_with_options(curved):
    model = fit(
        curved,
        optimizer=torch.optim.RMSprop,
        lr=1e-3,
        weight_decay=0.01,
        net_params={"optimizer__momentum": 0.5},
    )
    group = model.net_.optimizer_.param_groups[0]
    assert isinstance(model.net_.optimizer_, torch.optim.RMSprop)
    assert group["momentum"] == 0.5 and group["weight_decay"] == 0.01


@pytest.mark.parametrize("inside", [False, True])
def test_grid_search(inside, digits):
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X, y = X[:300], y[:300]
    model = AutoencoderTransformer(max_epochs=5, random_state=0)
    grid = {
        "n_components": [2, 10],
        "hidden_layer_sizes": [(), (20,)],
        "loss": ["squared_error", "absolute_error"],
    }
    if inside:
        pipeline = make_pipeline(
            StandardScaler(), model, LogisticRegression(max_iter=1000)
        )
        grid = {f"autoencodertransformer__{name}": v for name, v in grid.items()}
        search = GridSearchCV(pipeline, grid, cv=2).fit(X, y)
        assert search.best_params_["autoencodertransformer__n_components"] == 10
        assert search.best_score_ > 0.6
    else:
        search = GridSearchCV(model, grid, cv=2).fit(X)
        assert search.best_params_["n_components"] == 10
        assert search.best_score_ == search.cv_results_["mean_test_score"].max() > 0.5
