"""What is particular to StackedAEPretrainer."""

import copy
import itertools
import pickle
import re
import warnings
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from skorch.callbacks import Callback

import skae._fitting
from skae import AutoencoderTransformer, StackedAEPretrainer
from skae.noise import SwapNoise


def fit(X, **params):
    return StackedAEPretrainer(
        **{
            "n_components": 4,
            "hidden_layer_sizes": (30, 20),
            "random_state": 0,
            "max_epochs": 5,
            "fine_tune_epochs": 5,
            **params,
        }
    ).fit(X)


def test_phases_have_records(digits):
    X = digits[0]
    model = fit(X, max_epochs=[3, 4, 5], fine_tune_epochs=6)
    frame = pd.DataFrame(model.phases_)
    assert list(frame["name"]) == ["layer 1", "layer 2", "code"]
    assert list(frame["width"]) == [30, 20, 4]
    assert list(frame["n_epochs"]) == [3, 4, 5]
    assert (frame["error_after"] < frame["error_before"]).all()
    assert (frame["seconds"] > 0).all()
    for phase in model.phases_:
        assert len(phase["loss_curve"]) == phase["n_epochs"]
        assert phase["validation_loss_curve"][0] == pytest.approx(phase["error_before"])
        lowest = min(phase["validation_loss_curve"])
        assert lowest == pytest.approx(phase["error_after"])
    assert len(model.loss_curve_) == 6
    # The last phase begins where that of the code ended.
    assert model.validation_loss_curve_[0] == pytest.approx(
        model.phases_[-1]["error_after"]
    )


@pytest.mark.parametrize("tied_weights", [False, True])
@pytest.mark.parametrize("init", ["auto", "random"])
def test_a_phase_trains_its_own_layers_alone(tied_weights, init, digits, monkeypatch):
    states = []
    train_phase = StackedAEPretrainer._train_phase

    def spy(self, net, i, name, *rows):
        go_on = train_phase(self, net, i, name, *rows)
        states.append(copy.deepcopy(modules[-1].state_dict()))
        return go_on

    modules = []
    pretrain = StackedAEPretrainer._pretrain

    def note(self, net, *rows):
        modules.append(net.plain_module_)
        states.append(copy.deepcopy(net.plain_module_.state_dict()))
        return pretrain(self, net, *rows)

    monkeypatch.setattr(StackedAEPretrainer, "_train_phase", spy)
    monkeypatch.setattr(StackedAEPretrainer, "_pretrain", note)
    model = fit(digits[0], tied_weights=tied_weights, init=init, fine_tune_epochs=0)
    own = [
        {"encoder.0", "decoder.4"},
        {"encoder.2", "decoder.2"},
        {"encoder.4", "decoder.0", "decoder.4", "linear_encoder", "linear_decoder"},
    ]
    for before, after, layers in zip(states[:-1], states[1:], own, strict=True):
        changed = {
            name.rpartition(".")[0]
            for name in before
            if not torch.equal(before[name], after[name])
        }
        assert changed and changed <= layers
    assert all(p.requires_grad for p in model.module_.parameters())


def test_inputs_of_a_layer_are_what_the_layers_below_give(digits, monkeypatch):
    seen = []
    train_layer = StackedAEPretrainer._train_layer

    def spy(self, module, i, train, valid, tasks):
        seen.append(tuple(rows.in_memory().X.clone() for rows in (train, valid)))
        return train_layer(self, module, i, train, valid, tasks)

    monkeypatch.setattr(StackedAEPretrainer, "_train_layer", spy)
    model = fit(digits[0], fine_tune_epochs=0)
    module = model.module_
    for (rows, _), (codes, _) in itertools.pairwise(seen):
        layer = module.encoder[:2]
        with torch.no_grad():
            assert_allclose(layer(module.centre(rows)), codes, atol=1e-6)
    assert len(seen[0][1]) == 100 and seen[1][0].shape == (900, 30)
    # The first layer is given rows, in their own units.
    assert {row.tobytes() for row in seen[0][0].numpy()} <= {
        row.tobytes() for row in digits[0].astype(np.float32)
    }


class Targets(torch.nn.MSELoss):
    """Note the range of the rows that are to be given."""

    ranges: ClassVar[set] = set()

    def forward(self, x_hat, x):
        self.ranges.add((float(x.min()), float(x.max())))
        return super().forward(x_hat, x)


def test_the_loss_of_rows_is_in_their_units(digits):
    Targets.ranges.clear()
    model = fit(digits[0] * 100 + 1000, loss=Targets)
    assert Targets.ranges == {(1000.0, 1100.0)}
    errors = [model.phases_[i]["error_before"] for i in (0, 2)]
    assert 0.5 < errors[0] / errors[1] < 2


def test_weights_count_in_the_noise_of_the_layers(digits, monkeypatch):
    scales = []
    train_phase = StackedAEPretrainer._train_phase

    def spy(self, net, i, *rows):
        scales.append(float(net.noise_.scale))
        return train_phase(self, net, i, *rows)

    monkeypatch.setattr(StackedAEPretrainer, "_train_phase", spy)
    X = np.concatenate([digits[0][:300], 0.01 * digits[0][300:600]])
    weight = np.repeat([1.0, 1000.0], 300)
    params = {"noise": "gaussian", "validation_fraction": None, "random_state": 0}
    model = StackedAEPretrainer(4, max_epochs=1, fine_tune_epochs=0, **params)
    model.fit(X, sample_weight=weight)
    mean = np.average(X, axis=0, weights=weight)
    variance = np.average((X - mean) ** 2, axis=0, weights=weight)
    assert scales[0] == pytest.approx(np.sqrt(variance.mean()), rel=1e-4)
    assert scales[0] == pytest.approx(scales[2])  # the phase of the code


def test_no_fine_tuning_without_validation_rows(digits, capsys):
    model = fit(digits[0], fine_tune_epochs=0, validation_fraction=None, verbose=2)
    error = model.reconstruction_error(digits[0]).mean()
    assert model.best_loss_ == pytest.approx(error, rel=1e-4)
    assert "Trained after 0 epochs" in capsys.readouterr().out


def test_options_of_the_module_and_of_parameter_groups(digits):
    model = fit(
        digits[0],
        net_params={
            "module__train_linear_path": False,
            "optimizer__param_groups": [("encoder*", {"lr": 1e-5})],
        },
    )
    assert not model.module_.linear_encoder.weight.requires_grad
    rates = [group["lr"] for group in model.net_.optimizer_.param_groups]
    assert rates == pytest.approx([1e-5, 3e-3])


@pytest.mark.parametrize("init", ["auto", "random"])
def test_tied_weights_stay_one_tensor(init, digits):
    model = fit(digits[0], tied_weights=True, init=init)
    untied = fit(digits[0], init=init)
    for twin in (model, pickle.loads(pickle.dumps(model))):
        matrices = [p for p in twin.module_.parameters() if p.ndim == 2]
        expected = [p for p in untied.module_.parameters() if p.ndim == 2]
        assert 2 * len(matrices) == len(expected)
        for i, layer in enumerate(twin.module_.decoder[::2]):
            assert layer.source is twin.module_.encoder[-1 - 2 * i]


def test_layers_learn_before_the_whole_does(digits):
    X_train, X_test = digits
    pca = PCA(4).fit(X_train).explained_variance_ratio_.sum()
    greedy = fit(X_train, max_epochs=40, fine_tune_epochs=0)
    assert greedy.n_iter_ == 0 and greedy.best_epoch_ == 0
    assert greedy.score(X_test) > pca + 0.05
    tuned = fit(X_train, max_epochs=40, fine_tune_epochs=40)
    assert tuned.score(X_test) > greedy.score(X_test) + 0.01


def test_textbook_stack_without_linear_path(digits):
    X_train, X_test = digits
    model = fit(X_train, init="random", max_epochs=30, fine_tune_epochs=0)
    assert model.module_.linear_encoder is None
    untrained = AutoencoderTransformer(
        4, hidden_layer_sizes=(30, 20), init="random", max_epochs=1, random_state=0
    ).fit(X_train)
    assert model.score(X_test) > max(0.4, untrained.score(X_test))


def test_noise_is_on_the_input_of_each_phase(digits):
    seen = []

    class Spy(SwapNoise):
        def corrupt(self, x, level, generator):
            seen.append((x.shape[1], None if self.rows is None else len(self.rows)))
            return super().corrupt(x, level, generator)

    model = fit(digits[0], noise=Spy(0.2))
    # Rows, activations of the first layer, rows again; and the rows lent are of the
    # same kind.
    assert {(64, 900), (30, 900)} <= set(seen)
    assert np.isfinite(model.score(digits[1]))
    assert model.score(digits[1]) > 0.3


def test_binary_rows(digits):
    X_train, X_test = ((X > 0.5).astype(float) for X in digits)
    model = fit(
        X_train, loss="binary_cross_entropy", max_epochs=30, fine_tune_epochs=20
    )
    for phase in model.phases_:
        assert phase["error_after"] < 0.8 * phase["error_before"]
    X_hat = model.reconstruct(X_test)
    assert X_hat.min() >= 0 and X_hat.max() <= 1
    assert model.score(X_test) > 0.3


def test_too_few_rows_give_pca(digits):
    X = digits[0][:60]
    model = fit(digits[0]).fit(X)  # nothing is left of the first fit
    assert model.phases_ == [] and model.n_iter_ == 0
    pca = PCA(4).fit(X)
    assert_allclose(
        model.reconstruct(X), pca.inverse_transform(pca.transform(X)), atol=1e-5
    )


def test_going_on_is_with_all_layers(digits):
    X = digits[0]
    model = fit(X, warm_start=True)
    phases = model.phases_
    before = model.score(X)
    model.set_params(fine_tune_epochs=20).fit(X)
    assert model.phases_ is phases
    assert model.n_iter_ == 20 and model.score(X) > before
    stream = StackedAEPretrainer(4, max_epochs=2, random_state=0)
    stream.partial_fit(X[:500])
    phases = stream.phases_
    assert [phase["n_epochs"] for phase in phases] == [2, 2, 2]
    assert phases[0]["validation_loss_curve"] == []
    assert stream.partial_fit(X[500:]).phases_ is phases
    assert stream.n_iter_ == 2


def test_rates_of_the_phases(digits, monkeypatch):
    rates = []
    run = skae._fitting.run

    def spy(net, *args, **kwargs):
        rates.append((net.lr, net.optimizer_.param_groups[0]["lr"]))
        return run(net, *args, **kwargs)

    monkeypatch.setattr(skae._fitting, "run", spy)
    model = fit(digits[0], lr=0.01, fine_tune_lr=0.002)
    assert rates == [(0.01, 0.01)] * 3 + [(0.002, 0.002)]
    assert model.net_.lr == 0.002


def test_progress_of_each_phase(digits, capsys):
    fit(digits[0], verbose=1)
    shown = capsys.readouterr().out
    for part in ("layer 1", "layer 2", "code"):
        assert f"StackedAEPretrainer, {part}: Trained after 5 epochs" in shown
        steps = re.findall(rf"{part}: (\d+) of (\d+) steps, loss", shown)
        assert steps and steps[-1][0] == steps[-1][1]


def test_divergence_in_a_phase_names_it(digits):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(digits[0], lr=1e18, optimizer="sgd", fine_tune_epochs=0)
    messages = [str(w.message) for w in caught if w.category is ConvergenceWarning]
    assert any("StackedAEPretrainer, layer 1: the loss was not" in m for m in messages)
    assert {w.filename for w in caught} == {__file__}


def test_interruption_ends_all_phases(digits):
    class Stop(Callback):
        def on_batch_end(self, net, training, **kwargs):
            if training:
                net.interrupted_ = True
                raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="layer 1: training was interrupted"):
        model = fit(digits[0], callbacks=[Stop()])
    assert len(model.phases_) == 1 and model.n_iter_ == 0


@pytest.mark.parametrize("optimizer", ["lbfgs", "muon", "sgd"])
def test_other_optimizers(optimizer, digits):
    if optimizer == "muon" and not hasattr(torch.optim, "Muon"):
        pytest.skip("torch.optim.Muon is new in torch 2.9")
    X = digits[0][:300]
    model = fit(X, optimizer=optimizer, max_epochs=2, fine_tune_epochs=2)
    for phase in model.phases_:
        assert phase["error_after"] <= phase["error_before"]


def test_same_random_state_same_bits(digits):
    first, second = (fit(digits[0], noise="swap") for _ in range(2))
    assert_array_equal(first.transform(digits[1]), second.transform(digits[1]))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"max_epochs": [1, 2]}, r"one for each hidden layer.*3 in all. Got \[1, 2\]"),
        ({"max_epochs": [1, 2, 0]}, r"positive integer.*Got \[1, 2, 0\]"),
        ({"max_epochs": 0}, "'max_epochs' parameter.*Got 0"),
        ({"fine_tune_epochs": -1}, "'fine_tune_epochs' parameter.*Got -1"),
        ({"noise": "swap", "optimizer": "lbfgs"}, "lbfgs.*noise is drawn anew"),
        ({"noise": "snow"}, "'noise' parameter.*Got 'snow'"),
    ],
)
def test_mistakes_are_explained(params, message, digits):
    with pytest.raises(ValueError, match=message):
        fit(digits[0], **params)
