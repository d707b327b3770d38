"""Errors say what was got, what is allowed, and what to do; nothing is lost."""

import re
import signal
from functools import partial

import numpy as np
import pytest
import torch
from estimators import BECOMES_PCA, ESTIMATORS, OF_NUMBERS, quick
from modules_for_tests import (
    NoDecoder,
    Own,
    TwoCodes,
    WithoutForward,
    WrongCodes,
    WrongRows,
)
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from skorch.callbacks import Callback, EarlyStopping, LRScheduler
from torch import nn
from torch.optim.lr_scheduler import LambdaLR, StepLR

from skae import (
    AutoencoderOutlierDetector,
    AutoencoderSampler,
    AutoencoderTransformer,
    ConvAutoencoder,
    DenoisingAutoencoder,
    PretrainedClassifier,
    RecurrentAutoencoder,
    StackedAEPretrainer,
    TableEncoder,
    VariationalAutoencoder,
)
from skae._near_names import near_name
from skae.training import Table

WITH_LOSSES = [
    AutoencoderTransformer,
    ConvAutoencoder,
    DenoisingAutoencoder,
    StackedAEPretrainer,
]


class CtrlCInFourthEpoch(Callback):
    """Interrupt: by the signal, as the user does, or by an error of a callback's."""

    def __init__(self, where="step", signalled=False):
        self.where = where
        self.signalled = signalled

    def interrupt(self, net, where):
        if where != self.where or len(net.history) != 4:
            return
        if self.signalled:
            signal.raise_signal(signal.SIGINT)
        raise KeyboardInterrupt

    def on_epoch_begin(self, net, **kwargs):
        self.interrupt(net, "begin")

    def on_batch_end(self, net, training, **kwargs):
        self.interrupt(net, "step" if training else "validation")

    def on_epoch_end(self, net, **kwargs):
        self.interrupt(net, "end")


class ErrorOnFirstBatch(Callback):
    def on_batch_begin(self, net, **kwargs):
        raise RuntimeError("on purpose")


@pytest.mark.parametrize(
    "params, message",
    [
        ({"n_components": 0}, r"'n_components'.*range \[1, inf\).*Got 0"),
        ({"n_components": 2.5}, r"'n_components'.*Got 2.5"),
        ({"hidden_layer_sizes": (10, -1)}, r"positive integers.*Got \(10, -1\)"),
        ({"hidden_layer_sizes": (10, 1.5)}, r"positive integers.*Got \(10, 1.5\)"),
        ({"activation": "swish"}, r"'activation'.*'gelu'.*Got 'swish'"),
        ({"loss": "mse"}, r"'loss'.*'squared_error'.*Got 'mse'"),
        ({"loss": len}, r"loss must be a name, a torch loss.*Got <built-in function"),
        ({"init": "svd"}, r"'init'.*'pca'.*Got 'svd'"),
        ({"optimizer": "rmsprop"}, r"'optimizer'.*'adam'.*Got 'rmsprop'"),
        ({"optimizer": len}, r"class of torch.optim, not an instance"),
        ({"lr": 0}, r"'lr'.*\(0.0, inf\).*Got 0"),
        ({"lr": "fast"}, r"'lr'.*'auto'.*Got 'fast'"),
        ({"weight_decay": -1}, r"'weight_decay'.*Got -1"),
        ({"optimizer": "lbfgs", "weight_decay": 0.1}, r"no weight decay.*Got.*0.1"),
        ({"lr_schedule": "linear"}, r"'lr_schedule'.*'one_cycle'.*Got 'linear'"),
        ({"max_epochs": 0}, r"'max_epochs'.*Got 0"),
        ({"batch_size": 0}, r"'batch_size'.*Got 0"),
        ({"validation_fraction": 1.5}, r"'validation_fraction'.*Got 1.5"),
        ({"validation_fraction": 0.001}, r"0.001 leaves 0 of the 400 rows"),
        (
            {"early_stopping": True, "validation_fraction": None},
            r"needs validation rows.*pass X_val to fit, or set",
        ),
        ({"validation_fraction": 0.02}, r"leaves 8 of the 400.*at least 10.*0.025"),
        ({"validation_fraction": 0.001, "init": "random"}, r"leaves 0 .*at least 1 "),
        ({"loss": nn.BCEWithLogitsLoss}, r"Use loss='binary_cross_entropy' in place"),
        ({"loss": nn.BCELoss()}, r"Use loss='binary_cross_entropy' in place of BCELo"),
        ({"lr_schedule": StepLR}, r"partial\(torch.*StepLR, step_size=10\).*StepLR"),
        ({"lr_schedule": EarlyStopping()}, r"skorch.callbacks.LRScheduler instance"),
        ({"lr_schedule": EarlyStopping}, r"skorch.callbacks.LRScheduler instance"),
        ({"net_params": {"seed": 1}}, r"'seed': AutoencoderTransformer sets it itself"),
        (
            {"module": TwoCodes},
            r"must return a tensor of codes.*returned <class 'tuple'>",
        ),
        (
            {"net_params": {"iterator_train__drop_last": True}, "batch_size": 500},
            r"train rows fill no batch.*batch_size=500",
        ),
        ({"n_iter_no_change": 0}, r"'n_iter_no_change'.*Got 0"),
        ({"tol": -1.0}, r"'tol'.*Got -1.0"),
        ({"callbacks": "EarlyStopping"}, r"'callbacks'.*Got 'EarlyStopping'"),
        ({"net_params": {"lr": 1}}, r"'lr': set the parameter 'lr' of Autoenc"),
        ({"net_params": {"criterion": 1}}, r"'criterion'.*parameter 'loss'"),
        ({"net_params": {"nonsense": 1}}, "has unknown names: nonsense"),
        ({"device": "cuda:99"}, r"'cuda:99' is not available.*'cpu'"),
        ({"device": "gpu"}, r"'gpu' is not available.*'cpu'"),
        ({"random_state": "x"}, r"'random_state'.*Got 'x'"),
        ({"verbose": -1}, r"'verbose'.*Got -1"),
        ({"module": NoDecoder}, r"encode\(x\) and decode\(z\); NoDecoder lacks decode"),
        ({"module": NoDecoder()}, r"NoDecoder lacks decode"),
        ({"module": dict}, r"a torch.nn.Module.*Got dict"),
        ({"module": Own(4, 2)}, r"Own.encode failed on a.* of shape \(2, 6\)"),
        ({"module": WrongRows}, r"\(2, 2\) back to rows of shape \(2, 6\).*\(2, 12\)"),
        ({"module": WrongCodes}, r"codes of shape \(2, n_comp.*returned \(2, 2, 1\)"),
        (
            {"module": Own, "init": "pca"},
            r"init='pca' is not possible.*module is given",
        ),
        (
            {"tied_weights": True, "activation": "logistic", "init": "pca"},
            r"never output zero",
        ),
        (
            {"loss": "binary_cross_entropy"},
            r"values in \[0, 1\]; X has values from -1\.\d+ to 1\.\d+.*MinMaxScaler",
        ),
    ],
)
def test_parameters(params, message, curved):
    with pytest.raises((ValueError, TypeError), match=message):
        AutoencoderTransformer(**params).fit(curved)


@pytest.mark.parametrize(
    "X, message",
    [
        (np.ones(5), "Expected 2D array, got 1D"),
        (np.ones((5, 2, 2)), "dim 3"),
        (np.ones((0, 3)), "0 sample"),
        (np.ones((3, 0)), "0 feature"),
        (np.full((5, 2), np.nan), "NaN"),
        (np.full((5, 2), np.inf), "infinity"),
        (np.ones((5, 2), complex), "Complex"),
        (np.array([["a", "b"]] * 5), "could not convert|dtype"),
        (np.array([[object(), 1]] * 5, object), "float"),
        (np.full((5, 2), 1e30), r"up to 1e\+30.*float32.*StandardScaler"),
    ],
)
def test_rows(X, message):
    with pytest.raises((ValueError, TypeError), match=message):
        AutoencoderTransformer().fit(X)


def test_new_rows_and_codes(curved):
    model = AutoencoderTransformer(3, max_epochs=1).fit(curved)
    with pytest.raises(ValueError, match=r"5 features.*expecting 6"):
        model.transform(curved[:, :5])
    with pytest.raises(ValueError, match=r"with 3 columns.*array with 2 columns"):
        model.inverse_transform(curved[:, :2])
    with pytest.raises(ValueError, match=r"5 features.*expecting 6"):
        model.fit(curved, X_val=curved[:, :5])
    with pytest.raises(ValueError, match="infinity"):
        model.transform(np.full((2, 6), np.inf))
    with pytest.raises(ValueError, match=r"up to 1e\+300.*float32"):
        model.transform(np.full((2, 6), 1e300))
    with pytest.raises(ValueError, match=r"X_val has 9 rows; at least 10"):
        model.fit(curved, X_val=curved[:9])


X_VAL = {
    "columns": (lambda X: X[:, :5], r"X_val has 5 features.*expecting 6"),
    "NaN": (lambda X: np.full_like(X, np.nan), "Input X_val contains NaN"),
    "dimensions": (lambda X: X[0], "X_val: Expected 2D array"),
    "strings": (lambda X: np.full(X.shape, "a"), "X_val: could not convert string"),
    "no rows": (lambda X: X[:0], "X_val: Found array with 0 sample"),
    "too large": (lambda X: 1e30 * X, "X_val has values of magnitude"),
}


@pytest.mark.parametrize("estimator", OF_NUMBERS)
@pytest.mark.parametrize("name", X_VAL)
def test_validation_rows(name, estimator, curved):
    change, message = X_VAL[name]
    with pytest.raises(ValueError, match=message):
        quick(estimator).fit(curved, X_val=change(curved))


def test_validation_images_and_series(curved):
    images, other = curved.reshape(-1, 2, 3), curved.reshape(-1, 3, 2)
    with pytest.raises(ValueError, match=r"X_val has images of shape \(3, 2\)"):
        ConvAutoencoder().fit(images, X_val=other)
    with pytest.raises(ValueError, match="X_val: Series must have 3 channels"):
        RecurrentAutoencoder().fit(images, X_val=other)


def test_weights_of_rows_in_scores(curved):
    weights = np.zeros(400)
    series = curved.copy()
    series[::2, -1] = np.nan
    recurrent = RecurrentAutoencoder(series_shape=(6, 1), max_epochs=1, hidden_size=2)
    for model, X in [
        (AutoencoderTransformer(max_epochs=1).fit(curved), curved),
        (recurrent.fit(series), series),
    ]:
        with pytest.raises(ValueError, match=r"non-zero|zero for every row"):
            model.score(X, sample_weight=weights)
        with pytest.raises(ValueError, match=r"Negative values.*sample_weight"):
            model.score(X, sample_weight=weights - 1)


@pytest.mark.filterwarnings(BECOMES_PCA)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_codes(estimator, curved):
    model = quick(estimator, n_components=2).fit(curved)
    for value, message in [
        (1e39, r"codes of magnitude up to 1e\+39.*accepts codes up to 1e\+18"),
        (np.nan, "Input codes contains NaN"),
        (np.inf, "Input codes contains infinity"),
    ]:
        with pytest.raises(ValueError, match=message):
            model.inverse_transform([[0.0, value]])


def test_cross_entropy_on_new_rows_and_on_ones_own_module(curved):
    X = (curved > 0).astype(float)
    model = AutoencoderTransformer(loss="binary_cross_entropy", max_epochs=1).fit(X)
    with pytest.raises(ValueError, match=r"values in \[0, 1\]; X has values"):
        model.score_samples(curved)
    model.set_params(module=Own)
    with pytest.raises(ValueError, match=r"end Own.decode with torch.sigmoid"):
        model.fit(X)


def test_columns_far_from_zero(curved):
    with pytest.warns(UserWarning, match=r"mean 1e\+06.*Centre the columns first"):
        AutoencoderTransformer(max_epochs=1).fit(curved + 1e6)


def test_columns_of_frames(curved):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(curved, columns=list("abcdef"))
    model = AutoencoderTransformer(max_epochs=1).fit(frame)
    with pytest.raises(ValueError, match="same order"):
        model.transform(frame[list("fedcba")])
    with pytest.raises(ValueError, match="seen at fit time, yet now missing:\n- f"):
        model.transform(frame[list("abcde")])
    with pytest.raises(ValueError, match="unseen at fit time:\n- g"):
        model.transform(frame.assign(g=1.0))


@pytest.mark.parametrize(
    "method",
    ["transform", "inverse_transform", "reconstruct", "score", "score_samples"],
)
def test_not_fitted(method, curved):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(AutoencoderTransformer(), method)(curved)


@pytest.mark.parametrize("validation_fraction", [0.1, None])
def test_divergence_keeps_a_finite_state_and_warns(validation_fraction, curved):
    model = AutoencoderTransformer(
        init="random",
        optimizer="sgd",
        lr=1e6,
        lr_schedule=None,
        max_epochs=20,
        batch_size=400,
        validation_fraction=validation_fraction,
        random_state=0,
    )
    with pytest.warns(
        ConvergenceWarning, match=r"epoch \d+ of 20, at lr=1e\+06.*Try lr"
    ):
        model.fit(curved)
    assert model.n_iter_ < 20
    assert np.isfinite(model.transform(curved)).all()


@pytest.mark.parametrize("estimator", OF_NUMBERS)
def test_best_loss_is_that_of_the_state_kept(estimator, curved):
    params = {"optimizer": "sgd", "lr": 1e30, "validation_fraction": None}
    if estimator is StackedAEPretrainer:
        params["fine_tune_lr"] = 1e30
    model = quick(estimator, max_epochs=1, **params)
    with pytest.warns(ConvergenceWarning, match="not finite in epoch 1 of 1"):
        model.fit(curved)
    rows = Table(curved).on("cpu")
    assert model.best_loss_ == pytest.approx(model.net_.mean_loss(rows))
    assert np.isfinite(model.best_loss_)
    with pytest.warns(ConvergenceWarning, match="not finite in epoch 1 of 1"):
        model.partial_fit(curved[:50])
    assert np.isfinite(model.best_loss_)


def test_training_can_go_on_after_divergence(curved):
    model = AutoencoderTransformer(lr=1e38, random_state=0)
    with pytest.warns(ConvergenceWarning, match="not finite in epoch 1 of 1") as seen:
        model.partial_fit(curved)
    assert seen[0].filename == __file__
    model.set_params(lr=1e-3).partial_fit(curved)
    assert np.isfinite(model.loss_curve_[-1])


@pytest.mark.parametrize("validation_fraction", [0.1, None])
def test_interruption_keeps_the_best_state_and_warns(validation_fraction, curved):
    model = AutoencoderTransformer(
        init="random",
        max_epochs=50,
        callbacks=[CtrlCInFourthEpoch()],
        validation_fraction=validation_fraction,
        random_state=0,
    )
    with pytest.warns(UserWarning, match="interrupted after 3 of 50 epochs"):
        model.fit(curved)
    assert model.n_iter_ == len(model.loss_curve_) == 3
    assert np.isfinite(model.transform(curved)).all()
    if validation_fraction is None:  # the epoch broken off does not count
        params = {"init": "random", "validation_fraction": None, "random_state": 0}
        schedule = partial(LambdaLR, lr_lambda=lambda epoch: 1.0)
        model.set_params(lr_schedule=schedule)
        with pytest.warns(UserWarning, match="interrupted"):
            broken = model.fit(curved).transform(curved)
        whole = AutoencoderTransformer(max_epochs=3, lr_schedule=schedule, **params)
        np.testing.assert_array_equal(whole.fit(curved).transform(curved), broken)


@pytest.mark.parametrize(("where", "kept"), [("begin", 3), ("step", 3), ("end", 4)])
def test_interruption_of_the_last_epoch(where, kept, curved):
    params = {
        "init": "random",
        "lr_schedule": None,
        "validation_fraction": None,
        "random_state": 0,
    }
    model = AutoencoderTransformer(
        max_epochs=4, callbacks=[CtrlCInFourthEpoch(where)], **params
    )
    with pytest.warns(UserWarning, match=f"interrupted after {kept} of 4 epochs"):
        broken = model.fit(curved).transform(curved)
    assert model.best_epoch_ == kept
    whole = AutoencoderTransformer(max_epochs=kept, **params).fit(curved)
    np.testing.assert_allclose(whole.transform(curved), broken, atol=1e-5)


@pytest.mark.parametrize("signalled", [False, True])
@pytest.mark.parametrize("where", ["begin", "validation", "end"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_interruption_between_steps(estimator, where, signalled, curved):
    callbacks = [CtrlCInFourthEpoch(where, signalled)]
    model = quick(estimator, max_epochs=9, init="random", callbacks=callbacks)
    done = 4 if where == "end" else 3
    with pytest.warns(UserWarning, match=f"interrupted after {done} of 9 epochs"):
        model.fit(curved)
    if estimator is not StackedAEPretrainer:
        assert model.n_iter_ == len(model.loss_curve_) == done
        assert len(model.validation_loss_curve_) == done + 1
        assert model.best_loss_ == min(model.validation_loss_curve_)
    assert np.isfinite(model.transform(curved)).all()


def test_interruption_of_parts_of_a_fit(curved):
    autoencoder = AutoencoderTransformer(
        max_epochs=9, callbacks=[CtrlCInFourthEpoch("end")]
    )
    message = "AutoencoderTransformer: training was interrupted after 4 of 9"
    classifier = PretrainedClassifier(autoencoder, max_epochs=1)
    with pytest.warns(UserWarning, match=message):
        classifier.fit(curved, curved[:, 0] > 0)
    with pytest.warns(UserWarning, match=message):
        AutoencoderSampler(autoencoder).fit(curved)
    classifier.set_params(
        pretrainer=None, pretrain=False, max_epochs=9, callbacks=autoencoder.callbacks
    )
    with pytest.warns(UserWarning, match="PretrainedClassifier: training was interr"):
        classifier.fit(curved, curved[:, 0] > 0)
    assert classifier.n_iter_ == 4


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_failed_fit_leaves_the_earlier_one(warm_start, curved):
    model = AutoencoderTransformer(warm_start=warm_start, max_epochs=2, random_state=0)
    codes = model.fit(curved).transform(curved)
    for bad in [
        {"lr": -1.0},
        {"hidden_layer_sizes": (3, 0)},
        {"callbacks": [ErrorOnFirstBatch]},
    ]:
        good = {name: model.get_params()[name] for name in bad}
        with pytest.raises(Exception, match=r"lr|positive|on purpose"):
            model.set_params(**bad).fit(curved)
        model.set_params(**good)
        np.testing.assert_array_equal(model.transform(curved), codes)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.full((20, 6 if warm_start else 4), np.nan))
    np.testing.assert_array_equal(model.transform(curved), codes)
    if warm_start:
        with pytest.raises(ValueError, match="warm_start=True continues from"):
            model.set_params(hidden_layer_sizes=(7,)).fit(curved)
        np.testing.assert_array_equal(model.transform(curved), codes)


def test_pca_start_with_cross_entropy(curved):
    model = AutoencoderTransformer(loss="binary_cross_entropy", init="pca")
    with pytest.raises(ValueError, match="init='pca' is not possible here: loss='bin"):
        model.fit(curved > 0)


def a_module(**methods):
    """Give a class of modules for six columns, some of whose methods are bad."""

    class Bad(Own):
        def __init__(self):
            super().__init__(6, 2)

    for name, method in methods.items():
        setattr(Bad, name, method)
    return Bad


def raising(error):
    def method(self, x):
        raise error

    return method


class NoParameters(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("weight", torch.ones(6, 2))

    def encode(self, x):
        return x @ self.weight

    def decode(self, z):
        return z @ self.weight.T


class Frozen(Own):
    def __init__(self):
        super().__init__(6, 2)
        self.requires_grad_(False)


class OtherArgument(Own):
    def __init__(self, width):
        super().__init__(6, width)


BAD_MODULES = {
    "no parameters": (NoParameters, r"nothing to train: NoParameters has 0 parameters"),
    "frozen": (Frozen, r"Frozen has 4 parameters, all with requires_grad=False"),
    "argument": (OtherArgument, r"OtherArgument needs 'width'.*\{'module__width'"),
    "factory with argument": (lambda width: Own(6, width), r"<lambda> needs 'width'"),
    "factory of nothing": (lambda: None, r"a torch.nn.Module.*Got NoneType"),
    "factory that raises": (lambda: 1 / 0, r"not be built: ZeroDivisionError: div"),
    "KeyError": (
        a_module(encode=raising(KeyError("a"))),
        r"Bad.encode failed on a float32 input of shape \(2, 6\): KeyError: 'a'",
    ),
    "AssertionError": (
        a_module(decode=raising(AssertionError())),
        r"Bad.decode failed on a float32 input of shape \(2, 2\): AssertionError",
    ),
    "no method": (a_module(encode=3), r"Bad lacks encode"),
    "1d codes": (
        a_module(encode=lambda self, x: self.to_code(x)[:, 0]),
        r"codes of shape \(2, n_components\).*returned \(2,\), torch.float32",
    ),
    "integer codes": (
        a_module(encode=lambda self, x: self.to_code(x).long()),
        r"of dtype float32.*returned \(2, 2\), torch.int64",
    ),
    "NaN": (
        a_module(decode=lambda self, z: self.to_row(z) * float("nan")),
        r"Bad.decode must return finite values.*12 of 12 values are NaN",
    ),
    "tuple": (
        a_module(decode=lambda self, z: (self.to_row(z), z)),
        r"back to rows of shape \(2, 6\).*returned <class 'tuple'>",
    ),
    "None": (a_module(decode=lambda self, z: None), r"returned <class 'NoneType'>"),
    "NumPy": (
        a_module(decode=lambda self, z: self.to_row(z).detach().numpy()),
        r"returned <class 'numpy.ndarray'>",
    ),
    "detached": (
        a_module(decode=lambda self, z: self.to_row(z).detach()),
        r"Bad cannot be trained.*Remove detach\(\)",
    ),
}


@pytest.mark.parametrize("name", BAD_MODULES)
def test_modules_of_ones_own(name, curved):
    module, message = BAD_MODULES[name]
    autoencoder = AutoencoderTransformer(module=module)
    y = curved[:, 0] > 0
    for estimator in (autoencoder, PretrainedClassifier(autoencoder)):
        with pytest.raises(ValueError, match=message):
            estimator.fit(curved, y)
    with pytest.raises(ValueError, match=message):
        autoencoder.partial_fit(curved)


def test_modules_that_differ_in_training(curved):
    half = a_module(
        decode=lambda self, z: self.to_row(z)[:, : 3 if self.training else 6]
    )
    with pytest.raises(ValueError, match=r"In training.*shape \(40, 6\).*\(40, 3\)"):
        AutoencoderTransformer(module=half).fit(curved)
    detached = a_module(
        decode=lambda self, z: (
            self.to_row(z).detach() if self.training else self.to_row(z)
        )
    )
    with pytest.raises(ValueError, match="loss of Bad has no gradient in training"):
        AutoencoderTransformer(module=detached).fit(curved)


@pytest.mark.parametrize(
    "methods",
    [
        {"encode": lambda self, x: self.to_code(x).detach()},
        {"decode": lambda self, z: self.to_row(z.detach())},
    ],
)
def test_an_encoder_that_is_not_trained(methods, curved):
    model = AutoencoderTransformer(module=a_module(**methods), max_epochs=1)
    message = r"does not change to_code.weight, to_code.bias. Remove detach\(\)"
    with pytest.warns(UserWarning, match=message):
        model.fit(curved)


def test_an_encoder_that_is_fixed_on_purpose(curved):
    class Fixed(Own):
        def __init__(self):
            super().__init__(6, 2)
            self.to_code.requires_grad_(False)

    before = Fixed()
    model = AutoencoderTransformer(module=before, max_epochs=2).fit(curved)
    np.testing.assert_array_equal(
        before.to_code.weight.numpy(), model.module_.to_code.weight.numpy()
    )


def test_batches_of_one_row(curved):
    model = AutoencoderTransformer(module=WithoutForward, batch_size=33, random_state=0)
    message = "batch of one row failed.*BatchNorm need at least two rows"
    model.partial_fit(curved[:100])  # the last row joins the batch before
    with pytest.raises(ValueError, match=message):
        model.partial_fit(curved[:1])
    with pytest.raises(ValueError, match=message):
        model.set_params(batch_size=1).fit(curved)


BAD_HIDDEN = {
    "nothing": (lambda self, x: None, "returned <class 'NoneType'>"),
    "tensor": (lambda self, x: self.to_code(x), r"returned \(2, 2\), torch.float32"),
    "1d": (
        lambda self, x: [self.to_code(x)[:, 0]],
        r"returned \['\(2,\), torch.float32'\]",
    ),
    "error": (raising(KeyError("a")), "Bad.hidden failed on .*KeyError: 'a'"),
}


@pytest.mark.parametrize("name", BAD_HIDDEN)
def test_hidden_activations_of_ones_own_module(name, curved):
    hidden, message = BAD_HIDDEN[name]
    model = AutoencoderTransformer(module=a_module(hidden=hidden), max_epochs=1)
    classifier = PretrainedClassifier(model).fit
    model.fit(curved).set_params(output="hidden")
    for method in (model.fit, model.transform):
        with pytest.raises(ValueError, match=message):
            method(curved)
    with pytest.raises(ValueError, match=message):
        classifier(curved, curved[:, 0] > 0)


def test_untrained_module_of_ones_own_in_a_classifier(curved):
    autoencoder = AutoencoderTransformer(
        module=OtherArgument, net_params={"module__width": 3}
    )
    params = {"pretrain": False, "head_input": "code", "max_epochs": 1}
    model = PretrainedClassifier(autoencoder, **params)
    assert model.fit(curved, curved[:, 0] > 0).n_components_ == 3
    autoencoder.set_params(net_params=None)
    with pytest.raises(ValueError, match="OtherArgument needs 'width'"):
        model.fit(curved, curved[:, 0] > 0)


class PerEntry(nn.Module):
    def forward(self, x_hat, x):
        return (x_hat - x) ** 2


class Nothing(nn.Module):
    def forward(self, x_hat, x):
        return None


class DetachedLoss(nn.Module):
    def forward(self, x_hat, x):
        return (x_hat - x).detach().abs().mean()


class WeightedLoss(nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x_hat, x):
        return self.factor * (x_hat - x).square().mean()


class UndefinedLoss(nn.Module):
    def forward(self, x_hat, x):
        return (-1.0 - (x_hat - x).square()).log().mean()


BAD_LOSSES = [
    (PerEntry, r"PerEntry must return the mean loss.*returned \(2, 6\), torch.float32"),
    (Nothing(), r"Nothing must return the mean loss.*returned <class 'NoneType'>"),
    (DetachedLoss, r"DetachedLoss has no gradient"),
    (WeightedLoss, r"loss=WeightedLoss needs 'factor'.*WeightedLoss\(factor=...\)"),
    (nn.GaussianNLLLoss(), r"GaussianNLLLoss failed on .* \(2, 6\): TypeError.*'var'"),
    (nn.CrossEntropyLoss, r"CrossEntropyLoss compares scores of classes with labels"),
    (UndefinedLoss(), r"UndefinedLoss is NaN for rows of X"),
]


@pytest.mark.parametrize("estimator", WITH_LOSSES)
@pytest.mark.parametrize("loss, message", BAD_LOSSES)
def test_losses(loss, message, estimator, curved):
    with pytest.raises(ValueError, match=message):
        estimator(loss=loss).fit(curved)


def test_losses_with_arguments_and_below_zero(curved):
    net_params = {"criterion__factor": 2.0}
    model = AutoencoderTransformer(loss=WeightedLoss, net_params=net_params)
    model.set_params(max_epochs=2).fit(curved)
    assert model.net_.criterion_.factor == 2.0
    # Of such losses there are no logarithms to compare.
    model.set_params(loss=nn.PoissonNLLLoss, net_params=None).fit(curved)
    assert model.best_loss_ <= model.validation_loss_curve_[0]


class NeedsArgument(Callback):
    def __init__(self, limit):
        self.limit = limit


BAD_CALLBACKS = {
    "number": (1, "list of skorch callbacks.*Got 1 in it"),
    "name": ("EarlyStopping", "Got 'EarlyStopping' in it"),
    "pair": (("a", "b"), r"Got \('a', 'b'\) in it"),
    "single": (("a",), r"Got \('a',\) in it"),
    "list": ([EarlyStopping()], r"Got \[<skorch"),
    "number as name": ((1, EarlyStopping()), r"Got \(1, <skorch"),
    "function": (print, "Got <built-in function print> in it"),
    "argument": (NeedsArgument, r"needs 'limit'.*NeedsArgument\(limit=...\)"),
    "policy": (LRScheduler("Nope"), "has no policy 'Nope'"),
    "step_size": (LRScheduler("StepLR"), r"'StepLR'\) needs 'step_size'"),
}


@pytest.mark.parametrize("name", BAD_CALLBACKS)
def test_callbacks(name, curved):
    callback, message = BAD_CALLBACKS[name]
    classifier = PretrainedClassifier(callbacks=[EarlyStopping(), callback])
    with pytest.raises(ValueError, match=message):
        classifier.fit(curved, curved[:, 0] > 0)
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(callbacks=[callback]).fit(curved)


def test_callbacks_that_need_validation_rows(curved):
    message = r"Key 'valid_loss' was not found.*partial_fit has no validation"
    model = AutoencoderTransformer(callbacks=[EarlyStopping()], max_epochs=1)
    with pytest.raises(ValueError, match=message):
        model.fit(curved).partial_fit(curved)
    classifier = PretrainedClassifier(callbacks=[EarlyStopping()], max_epochs=1)
    with pytest.raises(ValueError, match=message):
        classifier.fit(curved, curved[:, 0] > 0)


@pytest.mark.parametrize(
    "net_params, message",
    [
        ({1: 2}, r"names of arguments as keys. Got 1"),
        ({"optimizer__nonsense": 1}, r"net_params=\{'optimizer__nonsense'.*nonsense"),
        ({"criterion__delta": 1}, r"net_params=\{'criterion__delta'.*delta"),
        ({"module__depth": 1}, r"DenseAutoencoder could not be built.*'depth'"),
        ({"module__n_components": 3}, r"set the parameter 'n_components' of Auto"),
        ({"iterator_train__batch_size": 0}, r"positive int, or -1 for all.*Got 0"),
        ({"iterator_valid__batch_size": "a"}, r"positive int, or -1 for all.*Got 'a'"),
        ({"iterator_train__num_workers": -1}, r"iterator_train cannot be built.*-1"),
        ({"optimizer__betas": 5}, r"net_params=\{'optimizer__betas': 5\}.*TypeError"),
    ],
)
def test_net_params(net_params, message, curved):
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(net_params=net_params).fit(curved)


@pytest.mark.parametrize("optimizer", ["lbfgs", torch.optim.LBFGS, torch.optim.Rprop])
def test_optimizers_without_weight_decay(optimizer, curved):
    model = AutoencoderTransformer(optimizer=optimizer, weight_decay=0.1)
    with pytest.raises(ValueError, match=r"no weight decay.*Got weight_decay=0.1"):
        model.fit(curved)


@pytest.mark.parametrize(
    "schedule, message",
    [
        (lambda: None, r"failed to build a torch scheduler.*TypeError"),
        (lambda optimizer: None, r"must return a torch scheduler.*returned None"),
        (LRScheduler("Nope"), r"lr_schedule: LRScheduler has no policy 'Nope'"),
        (LRScheduler("StepLR"), r"lr_schedule: LRScheduler\('StepLR'\) needs 'step_"),
    ],
)
def test_schedules(schedule, message, curved):
    with pytest.raises(ValueError, match=message):
        AutoencoderTransformer(lr_schedule=schedule).fit(curved)


@pytest.mark.parametrize(
    "sizes",
    [
        True,
        (True,),
        [[5]],
        torch.tensor(1.0),
        [5, None],
        np.array([5.0]),
        np.array([[5]]),
        ["5"],
        (0,),
    ],
)
def test_sizes(sizes, curved):
    for estimator, name in [
        (AutoencoderTransformer(), "hidden_layer_sizes"),
        (ConvAutoencoder(), "n_filters"),
        (VariationalAutoencoder(), "hidden_layer_sizes"),
        (PretrainedClassifier(), "head_hidden_layer_sizes"),
        (StackedAEPretrainer(hidden_layer_sizes=()), "max_epochs"),
    ]:
        with pytest.raises(ValueError, match=rf"{name} must be .*positive int.*Got"):
            estimator.set_params(**{name: sizes}).fit(curved, curved[:, 0] > 0)


@pytest.mark.parametrize("name", ["beta", "free_bits"])
def test_weights_that_overflow(name, curved):
    with pytest.raises(ValueError, match=rf"'{name}'.*range \[0.0, 1e\+18\]"):
        VariationalAutoencoder(**{name: 1e300}).fit(curved)


def test_sizes_of_other_types(curved):
    model = AutoencoderTransformer(max_epochs=1, random_state=0)
    expected = model.set_params(hidden_layer_sizes=5).fit(curved).transform(curved)
    for sizes in (np.array(5), np.int64(5), [np.int32(5)], np.array([5]), (5,)):
        model.set_params(hidden_layer_sizes=sizes).fit(curved)
        np.testing.assert_array_equal(model.transform(curved), expected)
    stacked = StackedAEPretrainer(max_epochs=np.array(1), fine_tune_epochs=1)
    assert [phase["n_epochs"] for phase in stacked.fit(curved).phases_] == [1, 1, 1]
    series = RecurrentAutoencoder(series_shape=np.array(6))
    with pytest.raises(ValueError, match=r"\(steps, channels\).*Got array\(6\)"):
        series.fit(curved)


def test_optimizer_instances_are_refused(curved):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=0.1)
    with pytest.raises((ValueError, TypeError), match="optimizer"):
        AutoencoderTransformer(optimizer=optimizer).fit(curved)


@pytest.mark.parametrize(
    ("model", "name"),
    [
        (AutoencoderTransformer(max_epochs=1), "lr_shedule"),
        (PretrainedClassifier(max_epochs=1), "autocast"),  # of autoencoders alone
    ],
)
def test_net_params_that_the_net_does_not_know(model, name, curved):
    model.set_params(net_params={name: torch.bfloat16})
    words = f"net_params of {type(model).__name__} has unknown names: {name}. Corr"
    with pytest.raises(ValueError, match=words):
        model.fit(curved, np.arange(len(curved)) % 2)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is deprecated")
def test_compiled_scripts_are_no_modules(curved):
    module = torch.jit.script(nn.Linear(curved.shape[1], 2))
    with pytest.raises(
        ValueError, match=r"a torch\.jit\.ScriptModule, which cannot be"
    ):
        AutoencoderTransformer(2, module=module).fit(curved)


def test_options_of_a_loss_that_is_an_instance(curved):
    # skorch would make another instance with this argument alone.
    params = {"net_params": {"criterion__reduction": "mean"}, "max_epochs": 1}
    AutoencoderTransformer(loss=nn.HuberLoss, **params).fit(curved)
    with pytest.raises(
        ValueError, match=r"'criterion__reduction'.*Pass loss=HuberLoss"
    ):
        AutoencoderTransformer(loss=nn.HuberLoss(delta=3.0), **params).fit(curved)


@pytest.mark.parametrize(
    ("estimator", "params", "hint"),
    [
        (AutoencoderTransformer, {"loss": "mse"}, "Did you mean 'squared_error'?"),
        (AutoencoderTransformer, {"activation": "sigmoid"}, "Did you mean 'logistic'?"),
        (AutoencoderTransformer, {"init": "PCA"}, "Did you mean 'pca'?"),
        (StackedAEPretrainer, {"optimizer": "Adam"}, "Did you mean 'adam'?"),
        (DenoisingAutoencoder, {"noise": "gauss"}, "Did you mean 'gaussian'?"),
        (PretrainedClassifier, {"head_input": "codes"}, "Did you mean 'code'?"),
        (TableEncoder, {"scaler": "Standard"}, "Did you mean 'standard'?"),
        (
            AutoencoderOutlierDetector,
            {"outlier_score": "knn"},
            "Did you mean 'neighbors'?",
        ),
        (AutoencoderTransformer, {"n_components": "mle"}, "AutoencoderTransformer(0.9"),
        (ConvAutoencoder, {"n_components": 0.95}, "AutoencoderTransformer(0.95)"),
    ],
)
def test_errors_name_the_option_that_was_meant(estimator, params, hint, digits):
    X = digits[0]
    y = np.zeros(len(X))
    with pytest.raises(ValueError, match=re.escape(hint)):
        estimator(**params).fit(X, y)


def test_errors_without_an_option_like_it_have_no_hint(digits):
    X = digits[0]
    with pytest.raises(ValueError, match=r"Got 'zzz' instead\.$"):
        AutoencoderTransformer(loss="zzz").fit(X)


def test_every_option_is_near_itself():
    for estimator in ESTIMATORS:
        for constraints in estimator._parameter_constraints.values():
            for constraint in constraints if isinstance(constraints, list) else []:
                for option in getattr(constraint, "options", ()):
                    if isinstance(option, str):
                        assert near_name(option.upper(), constraint.options) == option
