"""`net_` is a real skorch net, and what skorch documents works."""

import inspect
import pickle
from functools import partial

import numpy as np
import pytest
import torch
from estimators import BECOMES_PCA, ESTIMATORS, quick
from modules_for_tests import WithoutForward
from numpy.testing import assert_allclose, assert_array_equal
from skorch import NeuralNet
from skorch.callbacks import (
    BatchScoring,
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    GradientNormClipping,
    LRScheduler,
)
from skorch.history import History
from torch.utils.data import DataLoader

import skae
from skae import (
    AutoencoderTransformer,
    PretrainedClassifier,
    SparseAutoencoder,
    VariationalAutoencoder,
)


def fit(X, **params):
    params = {"random_state": 0, "max_epochs": 4, **params}
    return AutoencoderTransformer(2, **params).fit(X)


def test_history_and_prediction(curved):
    model = fit(curved)
    net = model.net_
    assert isinstance(net, NeuralNet)
    assert net.history[:, "train_loss"] == model.loss_curve_
    assert net.history[:, "valid_loss"] == model.validation_loss_curve_[1:]
    assert net.history[-1, "epoch"] == 4 and net.history[-1, "dur"] > 0
    as_of_skorch = History(net.history)
    for index in (0, -1, slice(1, 3), (slice(None), ("epoch", "dur")), (-1, "dur")):
        assert net.history[index] == as_of_skorch[index]
    with pytest.raises(IndexError):
        net.history[4]
    X = curved.astype(np.float32)
    assert_allclose(net.predict(X), model.reconstruct(X), atol=1e-6)
    assert net.module_ is model.module_ and not net.module_.training


def test_saved_parameters(curved, tmp_path):
    # At the end of fit, codes are put in order, and the optimizer begins anew.
    model = fit(curved).partial_fit(curved)
    other = fit(curved, init="auto", random_state=1)
    model.net_.save_params(tmp_path / "module.pt", tmp_path / "optimizer.pt")
    other.net_.load_params(tmp_path / "module.pt", tmp_path / "optimizer.pt")
    assert_array_equal(other.transform(curved), model.transform(curved))
    state = other.net_.optimizer_.state_dict()["state"]
    assert len(state) == len(list(model.module_.parameters()))


def negative_error(net, X, y):
    rows = X.X.numpy() if hasattr(X, "X") else np.asarray(X)
    return -float(np.mean((net.predict(rows) - rows) ** 2))


def test_epoch_scoring_and_checkpoint(curved, tmp_path):
    callbacks = [
        EpochScoring(negative_error, name="own", lower_is_better=False),
        Checkpoint(dirname=tmp_path, monitor="valid_loss_best"),
    ]
    model = fit(curved, callbacks=callbacks)
    history = model.net_.history
    assert_allclose(history[:, "own"], -np.array(history[:, "valid_loss"]), rtol=1e-4)
    assert any(history[:, "own_best"])
    assert (tmp_path / "params.pt").exists()
    assert (tmp_path / "optimizer.pt").exists()


def test_losses_of_batches_are_there_for_callbacks(curved):
    class Recorder(Callback):
        seen = ()

        def on_batch_end(self, net, training, loss, **kwargs):
            if training:
                Recorder.seen += (net.history[-1, "batches", -1, "train_loss"],)
                assert Recorder.seen[-1] == pytest.approx(loss.item())

    model = fit(curved, callbacks=[Recorder()])
    assert len(Recorder.seen) == sum(model.net_.history[:, "train_batch_count"])
    scoring = BatchScoring(lambda net, X, y: 1.0, name="ones", use_caching=False)
    model = fit(curved, callbacks=[scoring])
    assert model.net_.history[:, "ones"] == [1.0] * 4


def test_gradient_clipping_and_early_stopping(curved):
    class Norm(Callback):
        largest = 0.0

        def on_grad_computed(self, net, named_parameters, **kwargs):
            norms = [p.grad.norm() for _, p in named_parameters]
            Norm.largest = max(Norm.largest, float(torch.stack(norms).norm()))

    clip = GradientNormClipping(gradient_clip_value=0.01)
    fit(curved, callbacks=[clip, ("norm", Norm())], init="random")
    assert Norm.largest == pytest.approx(0.01, rel=1e-2)
    stop = EarlyStopping(patience=2, threshold=10.0, threshold_mode="abs", sink=str)
    model = fit(curved, callbacks=[stop], max_epochs=50, init="random")
    assert model.n_iter_ < 10  # and no warning of an interruption


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.AdamW])
@pytest.mark.parametrize("options", [{}, {"amsgrad": True}, {"fused": False}])
def test_named_optimizers_step_as_those_of_torch(optimizer, options, curved):
    options = {"fused": True, "weight_decay": 0.1, **options}
    net_params = {f"optimizer__{name}": value for name, value in options.items()}
    models = [
        fit(curved, optimizer=each, net_params=net_params)
        for each in (optimizer, optimizer.__name__.lower())
    ]
    expected, found = (model.net_.optimizer_ for model in models)
    assert isinstance(found, optimizer)
    states = zip(expected.state.values(), found.state.values(), strict=True)
    for expected_state, state in states:
        assert expected_state.keys() == state.keys()
        for name, value in expected_state.items():
            torch.testing.assert_close(state[name], value, rtol=0, atol=0)
    codes, expected_codes = (model.transform(curved) for model in models)
    assert_array_equal(codes, expected_codes)


def test_step_hooks_of_optimizers_run(curved):
    net = fit(curved).net_
    n_steps = []
    net.optimizer_.register_step_post_hook(lambda *args: n_steps.append(1))
    net.max_epochs = 2
    net.partial_fit(curved.astype(np.float32))
    assert len(n_steps) == sum(net.history[-2:, "train_batch_count"])


class Rates(Callback):
    """Notes the learning rate of each step."""

    def __init__(self):
        self.seen_ = []

    def on_batch_begin(self, net, training, **kwargs):
        if training:
            self.seen_.append(net.optimizer_.param_groups[0]["lr"])


@pytest.mark.parametrize(
    "schedule, last",
    [
        (None, 3e-3),
        ("one_cycle", 0.0),
        ("cosine", 0.0),
        (LRScheduler("StepLR", step_size=1, gamma=0.5), 3e-3 / 8),
        (torch.optim.lr_scheduler.ConstantLR, 1e-3),
        (torch.optim.lr_scheduler.ReduceLROnPlateau, 3e-3),
    ],
)
def test_schedules(schedule, last, curved):
    rates = Rates()
    model = fit(curved, lr_schedule=schedule, callbacks=[rates])
    assert rates.seen_[-1] == pytest.approx(last, abs=1e-4)
    # The rate is as it was for those who train on.
    assert model.net_.optimizer_.param_groups[0]["lr"] == 3e-3


def halve(optimizer):
    return torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)


def plateau(optimizer):
    return torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
def test_functions_that_make_schedules(optimizer, curved):
    if optimizer == "muon" and not hasattr(torch.optim, "Muon"):
        pytest.skip("torch has no Muon before version 2.9")
    rates = Rates()
    params = {"optimizer": optimizer, "lr": 1e-3, "max_epochs": 3}
    model = fit(curved, lr_schedule=halve, callbacks=[rates], **params)
    assert_allclose(sorted(set(rates.seen_)), [2.5e-4, 5e-4, 1e-3])
    model = pickle.loads(pickle.dumps(model)).partial_fit(curved)
    plateau_of_torch = partial(torch.optim.lr_scheduler.ReduceLROnPlateau, patience=0)
    for schedule in (plateau, plateau_of_torch):
        fit(curved, lr_schedule=schedule, **params)


@pytest.mark.parametrize("lr", ["auto", 1e-3])
@pytest.mark.parametrize(
    "scheduler",
    [
        LRScheduler("StepLR", step_size=1, gamma=0.5),
        LRScheduler(torch.optim.lr_scheduler.LambdaLR, lr_lambda=lambda n: 0.5**n),
    ],
)
def test_schedulers_among_the_callbacks(scheduler, lr, curved):
    rates = Rates()
    params = {"lr": lr, "max_epochs": 3, "callbacks": [scheduler, rates]}
    model = fit(curved, **params)
    # There is no other schedule beside it.
    top = 3e-3 if lr == "auto" else lr
    assert_allclose(sorted(set(rates.seen_)), [top / 4, top / 2, top])
    model.partial_fit(curved).partial_fit(curved)
    AutoencoderTransformer(random_state=0, **params).partial_fit(curved).partial_fit(
        curved
    )
    autoencoder = AutoencoderTransformer(max_epochs=1)
    rates.seen_.clear()
    PretrainedClassifier(autoencoder, **{**params, "lr": 1e-2}).fit(
        curved, curved[:, 0] > 0
    )
    assert_allclose(sorted(set(rates.seen_)), [2.5e-3, 5e-3, 1e-2])


OPTIONS = [
    {},
    {"amsgrad": True},
    {"maximize": True},
    {"foreach": True},
    {"fused": False},
    {"capturable": False},
    {"decoupled_weight_decay": True},
    {"eps": 0.1, "betas": (0.5, 0.6)},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_options_of_optimizers_do_what_they_do_in_torch(name, options, curved):
    kinds = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}
    kind = getattr(torch.optim, kinds[name])
    if not set(options) <= set(inspect.signature(kind).parameters):
        pytest.skip(f"{kind.__name__} has no such option")
    net_params = {f"optimizer__{key}": value for key, value in options.items()}
    of_torch = dict(net_params)
    if name == "sgd":
        of_torch |= {"optimizer__momentum": 0.9, "optimizer__nesterov": True}
    params = {"lr": 1e-3, "weight_decay": 1.0, "init": "random", "max_epochs": 3}
    model = fit(curved, optimizer=name, net_params=net_params, **params)
    other = fit(curved, optimizer=kind, net_params=of_torch, **params)
    assert_allclose(model.loss_curve_, other.loss_curve_, rtol=1e-4)


def test_sgd_without_momentum(curved):
    for options in ({"optimizer__momentum": 0.0}, {"optimizer__dampening": 0.1}):
        model = fit(curved, optimizer="sgd", net_params=options, max_epochs=1)
        assert not model.net_.optimizer_.param_groups[0]["nesterov"]


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.filterwarnings(BECOMES_PCA, "ignore:The .grad attribute of a Tensor")
def test_compiled(estimator, curved):
    torch._dynamo.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    net_params = {"compile": True, "compile__backend": "eager"}
    params = {"max_epochs": 1, "init": "random"}
    plain = quick(estimator, **params).fit(curved)
    assert not counters["frames"]
    model = quick(estimator, net_params=net_params, **params).fit(curved)
    assert counters["frames"]["ok"] > 0
    assert_allclose(model.loss_curve_, plain.loss_curve_, rtol=1e-4)
    pickle.loads(pickle.dumps(model)).partial_fit(curved)


def test_compiled_penalties_and_modules_without_forward(curved):
    net_params = {"compile": True, "compile__backend": "eager"}
    for model in (
        SparseAutoencoder(penalty="l1", init="random"),
        SparseAutoencoder(penalty="kl"),
        VariationalAutoencoder(kl_warmup_epochs=2, free_bits=0.1),
        AutoencoderTransformer(module=WithoutForward),
    ):
        model.set_params(max_epochs=2, random_state=0)
        expected = model.fit(curved).loss_curve_
        found = model.set_params(net_params=net_params).fit(curved).loss_curve_
        assert_allclose(found, expected, rtol=1e-4)


def test_schedules_and_rates_reach_both_optimizers_of_muon(curved):
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("torch has no Muon before version 2.9")

    class Both(Callback):
        def on_batch_end(self, net, **kwargs):
            self.last_ = [o.param_groups[0]["lr"] for o in net.optimizers()]

    both = Both()
    step = LRScheduler("StepLR", step_size=1, gamma=0.1)
    model = fit(curved, optimizer="muon", lr_schedule=step, callbacks=[both])
    assert both.last_ == pytest.approx([1e-5, 1e-5])
    model.set_params(lr=1e-4).partial_fit(curved)
    rates = [o.param_groups[0]["lr"] for o in model.net_.optimizers()]
    assert rates == [1e-4, 1e-4]


def test_one_cycle_rises_and_falls(curved):
    rates = Rates()
    fit(curved, callbacks=[rates], max_epochs=20, lr=0.1)
    seen = rates.seen_
    peak = int(np.argmax(seen))
    assert peak == pytest.approx(0.1 * len(seen), abs=1)
    assert seen[peak] == pytest.approx(0.1)
    assert seen[0] == pytest.approx(0.1 / 25)
    assert np.all(np.diff(seen[peak:]) < 0)


@pytest.mark.parametrize(
    "net_params",
    [
        {"iterator_train": DataLoader, "iterator_valid": DataLoader},
        {"iterator_train__drop_last": True, "iterator_valid__num_workers": 0},
    ],
)
def test_loaders_of_torch(net_params, curved):
    state = torch.get_rng_state()
    model = fit(curved, net_params=net_params, batch_size=50)
    again = fit(curved, net_params=net_params, batch_size=50)
    assert_array_equal(model.transform(curved), again.transform(curved))
    n_batches = 7 if "iterator_train__drop_last" in net_params else 8
    assert model.net_.history[-1, "train_batch_count"] == n_batches
    assert torch.equal(torch.get_rng_state(), state)
    weight = np.arange(400.0)
    losses = [
        AutoencoderTransformer(
            2, net_params=params, max_epochs=1, lr=1e-9, init="random", random_state=0
        )
        .fit(curved, sample_weight=weight)
        .validation_loss_curve_
        for params in (None, net_params)
    ]
    assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_the_mode_that_a_module_is_left_in_does_not_matter(curved):
    models = [fit(curved), fit(curved)]
    models[0].module_.train()
    for model in models:
        model.partial_fit(curved)
    assert_array_equal(models[0].transform(curved), models[1].transform(curved))


def test_the_net_can_go_on_by_itself(curved):
    model = fit(curved)
    before = model.transform(curved)
    model.net_.partial_fit(curved.astype(np.float32))
    assert np.abs(model.transform(curved) - before).max() > 0
    assert len(model.net_.history) == 8


def test_mixed_precision(digits):
    X = digits[0]
    dtypes = set()

    class Watch(Callback):
        def on_train_begin(self, net, **kwargs):
            net.module_.encoder[0].register_forward_hook(
                lambda layer, x, y: dtypes.add((layer.training, y.dtype))
            )

    def fit(**net_params):
        return AutoencoderTransformer(
            8, max_epochs=10, random_state=0, net_params=net_params, callbacks=[Watch()]
        ).fit(X)

    mixed = fit(autocast=torch.bfloat16)
    assert dtypes == {(True, torch.bfloat16), (False, torch.float32)}
    assert next(mixed.module_.parameters()).dtype == torch.float32
    assert mixed.transform(X).dtype == X.dtype
    assert mixed.best_epoch_ > 0
    assert mixed.score(X) == pytest.approx(fit().score(X), abs=0.01)
    with pytest.raises(ValueError, match=r"autocast must be None or torch\.bfloat16"):
        fit(autocast=torch.float16)


class Predictions(Callback):
    """Note the shapes and the range of what callbacks see."""

    def __init__(self):
        self.seen = []

    def on_batch_end(self, net, batch, training, y_pred, **kwargs):
        self.seen.append((training, y_pred.shape[1], y_pred.min(), y_pred.max()))


@pytest.mark.parametrize(
    "model",
    [
        AutoencoderTransformer(loss="binary_cross_entropy"),
        skae.ConvAutoencoder(loss="binary_cross_entropy"),
        skae.SparseAutoencoder(20, penalty="l1"),
    ],
)
@pytest.mark.filterwarnings("ignore:.* The fitted model is signed PCA")
def test_callbacks_see_reconstructions(model, digits):
    watch = Predictions()
    model.set_params(callbacks=[watch], max_epochs=1, random_state=0).fit(digits[0])
    assert {training for training, *_ in watch.seen} == {True, False}
    assert {width for _, width, *_ in watch.seen} == {64}
    if model.loss == "binary_cross_entropy":
        assert all(0 <= low <= high <= 1 for *_, low, high in watch.seen)
