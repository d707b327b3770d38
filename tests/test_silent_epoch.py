"""Epochs that no callback listens to: they give what the steps one by one give."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from skorch.callbacks import Callback, GradientNormClipping
from torch import nn

import skae.training._net as net_module
from skae import (
    AutoencoderTransformer,
    DenoisingAutoencoder,
    StackedAEPretrainer,
    TableAutoencoder,
    VariationalAutoencoder,
)
from skae.modules._layers import ACTIVATIONS
from skae.training import recipe


class Listens(Callback):
    """Listen to the end of a batch, and do nothing."""

    def on_batch_end(self, net, **kwargs):
        pass


@pytest.fixture
def n_silent(monkeypatch):
    """Count the epochs whose steps nobody listens to, in a list."""
    seen = []
    steps = net_module.steps

    def spy(*args):
        seen.append(1)
        return steps(*args)

    monkeypatch.setattr(net_module, "steps", spy)
    return seen


CASES = {
    "default": AutoencoderTransformer(3),
    "tied": AutoencoderTransformer(3, tied_weights=True, activation="tanh"),
    "random": AutoencoderTransformer(3, init="random", hidden_layer_sizes=(9, 5)),
    "linear": AutoencoderTransformer(3, hidden_layer_sizes=()),
    "wide code": AutoencoderTransformer(9, activation="elu", init="random"),
    "cross-entropy": AutoencoderTransformer(3, loss="binary_cross_entropy"),
    "odd batches": AutoencoderTransformer(3, batch_size=59),  # one row is left over
    "one batch": AutoencoderTransformer(3, batch_size=1000),
    "cosine": AutoencoderTransformer(3, lr_schedule="cosine", weight_decay=0.1),
    "constant": AutoencoderTransformer(3, lr_schedule=None, early_stopping=True),
    "no validation": AutoencoderTransformer(3, validation_fraction=None),
    "not shuffled": AutoencoderTransformer(
        3, net_params={"iterator_train__shuffle": False}
    ),
    "table": TableAutoencoder(3),
    "random table": TableAutoencoder(3, init="random"),
    "denoising": DenoisingAutoencoder(hidden_layer_sizes=20),
    "masking": DenoisingAutoencoder(3, noise="masking", hidden_layer_sizes=20),
    "swap": DenoisingAutoencoder(3, noise="swap", hidden_layer_sizes=20),
    "stacked": StackedAEPretrainer(3, hidden_layer_sizes=(9, 5), noise="masking"),
    "stacked cross-entropy": StackedAEPretrainer(3, loss="binary_cross_entropy"),
    **{
        f"optimizer {name}": AutoencoderTransformer(3, optimizer=name)
        for name in recipe.OPTIMIZERS
        if name not in ("lbfgs", "muon")
    },
    **{
        f"activation {name}": AutoencoderTransformer(3, activation=name)
        for name in ACTIVATIONS
    },
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_it_is_as_step_by_step(name, weighted, curved, n_silent):
    X = 1 / (1 + np.exp(-curved))
    weight = np.random.RandomState(0).uniform(0.5, 2, len(X)) if weighted else None
    model = CASES[name].set_params(max_epochs=2, random_state=0)
    if "fine_tune_epochs" in model.get_params():
        model.set_params(fine_tune_epochs=2)
    silent = model.set_params(callbacks=None).fit(X, sample_weight=weight)
    X_hat, curve = silent.reconstruct(X), silent.loss_curve_
    validation = silent.validation_loss_curve_
    assert len(n_silent) > 0
    n_silent.clear()
    heard = model.set_params(callbacks=[Listens()]).fit(X, sample_weight=weight)
    assert len(n_silent) == 0
    close = {"rtol": 1e-4, "atol": 1e-4 * X.var()}  # a wide code leaves rounding alone
    assert_allclose(heard.loss_curve_, curve, **close)
    assert_allclose(heard.validation_loss_curve_, validation, **close)
    if silent.best_epoch_ == heard.best_epoch_:
        assert_allclose(heard.reconstruct(X), X_hat, atol=2e-3)


def test_tables_with_gaps_are_as_step_by_step(curved, n_silent):
    X = curved.astype(object)
    X[:, 1] = np.where(curved[:, 1] > 0, "more", "less")
    X[::3, 0] = X[::4, 1] = None
    model = TableAutoencoder(2, max_epochs=2, random_state=0)
    curves = [model.fit(X).loss_curve_]
    assert len(n_silent) == 2
    curves.append(model.set_params(callbacks=[Listens()]).fit(X).loss_curve_)
    assert len(n_silent) == 2
    assert_allclose(*curves, rtol=1e-4)


def test_partial_fit_goes_on_by_either(curved, n_silent):
    silent = AutoencoderTransformer(3, random_state=0).partial_fit(curved)
    heard = AutoencoderTransformer(3, random_state=0, callbacks=[Listens()])
    heard.partial_fit(curved)
    for _ in range(3):
        silent.partial_fit(curved)
        heard.partial_fit(curved)
    assert len(n_silent) == 4
    assert_allclose(silent.loss_curve_, heard.loss_curve_, rtol=1e-4)
    for one, other in zip(
        silent.net_.optimizer_.state.values(),
        heard.net_.optimizer_.state.values(),
        strict=True,
    ):
        assert float(one["step"]) == float(other["step"])


@pytest.mark.parametrize(
    "event", ["on_batch_begin", "on_batch_end", "on_grad_computed"]
)
def test_every_event_is_heard(event, curved, n_silent):
    seen = []
    listener = type("Listener", (Callback,), {event: lambda *a, **k: seen.append(1)})
    model = AutoencoderTransformer(3, callbacks=[listener()], max_epochs=1)
    model.fit(curved[:320], X_val=curved[320:])
    n_batches = -(-320 // model.net_.batch_size)
    assert len(seen) == n_batches + (event != "on_grad_computed")
    assert not n_silent


class OwnError(nn.MSELoss):
    """Note how often it is called."""

    n_calls = 0

    def forward(self, x_hat, x):
        OwnError.n_calls += 1
        return super().forward(x_hat, x)


def test_others_are_heard(curved, n_silent):
    def fit(**params):
        return AutoencoderTransformer(3, max_epochs=1, random_state=0, **params).fit(
            curved
        )

    OwnError.n_calls = 0
    fit(loss=OwnError)
    assert OwnError.n_calls > 5
    for params in (
        {"optimizer": torch.optim.NAdam},
        {"optimizer": "lbfgs"},
        {"loss": "huber"},
        {"net_params": {"autocast": torch.bfloat16}},
        {"net_params": {"iterator_train__num_workers": 0}},
        {"callbacks": [GradientNormClipping(1.0)]},
    ):
        fit(**params)
    VariationalAutoencoder(3, max_epochs=1).fit(curved)
    assert not n_silent


@pytest.mark.parametrize("kind", ["forward", "backward", "parameter", "step"])
def test_hooks_are_heard(kind, curved, n_silent):
    seen = []

    def hook(*args, **kwargs):
        seen.append(1)

    class Hooks(Callback):
        def on_epoch_begin(self, net, **kwargs):
            layer = net.module_.decoder[0]
            {
                "forward": lambda: layer.register_forward_hook(hook),
                "backward": lambda: layer.register_full_backward_hook(hook),
                "parameter": lambda: layer.weight.register_hook(hook),
                "step": lambda: net.optimizer_.register_step_post_hook(hook),
            }[kind]()

    params = {"max_epochs": 1, "batch_size": 100, "validation_fraction": None}
    model = AutoencoderTransformer(3, random_state=0, **params)
    expected = model.fit(curved).loss_curve_
    n_silent.clear()
    model.set_params(callbacks=[Hooks()]).fit(curved)
    assert len(seen) >= 4
    assert_allclose(model.loss_curve_, expected, rtol=1e-4)


def test_a_progress_bar_counts_the_steps(curved, n_silent, capsys):
    model = AutoencoderTransformer(3, max_epochs=2, verbose=1, random_state=0)
    with_bar = model.fit(curved).transform(curved)
    assert n_silent and "18 of 18 steps" in capsys.readouterr().out
    without = model.set_params(verbose=0).fit(curved).transform(curved)
    assert_array_equal(with_bar, without)


def test_gradients_are_reset_at_the_end(curved):
    model = AutoencoderTransformer(3, max_epochs=1).fit(curved)
    assert all(p.grad is None for p in model.module_.parameters())


class AtTheEnd(Callback):
    """Note what the history has of the batches of an epoch."""

    def on_epoch_end(self, net, **kwargs):
        self.losses = net.history[-1, "batches", :, "train_loss"]
        self.sizes = net.history[-1, "batches", :, "train_batch_size"]
        self.mean = net.history[-1, "train_loss"]


def test_a_callback_at_the_end_of_epochs_changes_nothing(curved, n_silent):
    model = AutoencoderTransformer(3, max_epochs=2, batch_size=50, random_state=0)
    expected = model.fit(curved).transform(curved)
    watch = AtTheEnd()
    found = model.set_params(callbacks=[watch]).fit(curved).transform(curved)
    assert_array_equal(found, expected)
    assert len(n_silent) == 4
    assert sum(watch.sizes) == 360 and len(watch.sizes) == 8
    assert_allclose(np.average(watch.losses, weights=watch.sizes), watch.mean)
