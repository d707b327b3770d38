"""Documented parameters in any combination, on tables of many kinds.

A fit works and keeps the contract of an estimator, or it ends in an error in words.
``SKAE_RANDOM_CASES=2000`` tries so many cases; by default there are few, and always the
same ones.
"""

import copy
import inspect
import os
import pickle
import random
import traceback
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import sklearn
import torch
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from sklearn.base import clone
from skorch.callbacks import EarlyStopping, GradientNormClipping

import skae
from skae import noise as noises

pytestmark = pytest.mark.filterwarnings("ignore")

N_CASES = int(os.environ.get("SKAE_RANDOM_CASES", "60"))
ESTIMATORS = [
    skae.AutoencoderTransformer,
    skae.ConvAutoencoder,
    skae.DenoisingAutoencoder,
    skae.PretrainedClassifier,
    skae.PretrainedRegressor,
    skae.RecurrentAutoencoder,
    skae.SparseAutoencoder,
    skae.StackedAEPretrainer,
    skae.VariationalAutoencoder,
]
# Where an error in words is raised.
OWN = tuple(str(Path(package.__file__).parent) for package in (skae, sklearn))


class Own(torch.nn.Module):
    """A network as users write it."""

    def __init__(self, n_features, n_components):
        super().__init__()
        self.encoder = torch.nn.Linear(n_features, n_components)
        self.decoder = torch.nn.Linear(n_components, n_features)

    def encode(self, x):
        return torch.tanh(self.encoder(x))

    def decode(self, z):
        return torch.sigmoid(self.decoder(z))

    def hidden(self, x):
        return [self.encoder(x)]


widths = st.sampled_from([(), 3, (4,), (4, 3), [3], np.array([5, 2]), (1,)])
small = st.sampled_from([1, 2, 3, 7])
share = st.sampled_from([0.1, 0.3, 0.5, 0.9])
noise = st.sampled_from(
    [
        "dropout",
        "gaussian",
        "masking",
        "salt_and_pepper",
        "swap",
        noises.GaussianNoise(0.3),
        torch.nn.Dropout(0.2),
        ["masking", "gaussian"],
    ]
)
PARAMETERS = {
    "n_components": small,
    "hidden_layer_sizes": widths,
    "activation": st.sampled_from(
        ["elu", "gelu", "identity", "logistic", "relu", "selu", "silu", "tanh"]
    ),
    "kernel_initializer": st.sampled_from(
        ["auto", "kaiming_normal", "xavier_uniform", "lecun_normal", "orthogonal"]
    ),
    "tied_weights": st.booleans(),
    "loss": st.sampled_from(
        [
            "squared_error",
            "absolute_error",
            "huber",
            "binary_cross_entropy",
            torch.nn.HuberLoss(delta=2.0),
            torch.nn.SmoothL1Loss,
        ]
    ),
    "init": st.sampled_from(["auto", "pca", "linear", "random"]),
    "module": st.sampled_from([None, None, None, Own]),
    "output": st.sampled_from(["code", "code", "hidden", "reconstruction"]),
    "optimizer": st.sampled_from(
        ["adam", "adam", "adamw", "lbfgs", "muon", "sgd", torch.optim.Adagrad]
    ),
    "lr": st.sampled_from(["auto", 1e-3, 0.1, 10.0]),
    "weight_decay": st.sampled_from([0.0, 1e-3, 1.0]),
    "lr_schedule": st.sampled_from(
        [
            "auto",
            "cosine",
            "one_cycle",
            None,
            lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9),
        ]
    ),
    "max_epochs": st.sampled_from([1, 2]),
    "batch_size": st.sampled_from(["auto", 1, 16, 1000]),
    "validation_fraction": st.sampled_from([None, 0.1, 0.25, 0.9]),
    "early_stopping": st.booleans(),
    "n_iter_no_change": st.sampled_from(["auto", 1]),
    "tol": st.sampled_from([0.0, 1e-4, 0.5]),
    "callbacks": st.builds(
        copy.deepcopy,
        st.sampled_from(
            [
                None,
                [],
                [GradientNormClipping(1.0)],
                [EarlyStopping(monitor="train_loss")],
            ]
        ),
    ),
    "net_params": st.sampled_from(
        [None, {}, {"iterator_train__drop_last": True}, {"autocast": torch.bfloat16}]
    ),
    "device": st.sampled_from(["auto", "cpu"]),
    "warm_start": st.booleans(),
    "random_state": st.sampled_from([0, 7]),
    "verbose": st.just(0),
    # Of single estimators.
    "noise": noise,
    "noise_level": st.sampled_from(["auto", 0.2, (0.1, 0.4)]),
    "emphasis": st.sampled_from([None, (1.0, 0.5), (1, 0)]),
    "fine_tune_epochs": st.sampled_from([0, 1, 2]),
    "fine_tune_lr": st.sampled_from(["auto", 1e-3]),
    "image_shape": st.none(),
    "n_filters": st.sampled_from([2, (2, 3), [4]]),
    "kernel_size": st.sampled_from([1, 3, 5]),
    "stride": st.sampled_from([1, 2, 3]),
    "pooling": st.booleans(),
    "series_shape": st.none(),
    "cell": st.sampled_from(["gru", "lstm"]),
    "hidden_size": small,
    "n_layers": st.sampled_from([1, 2]),
    "bidirectional": st.booleans(),
    "decoder": st.sampled_from(["auto", "dense", "recurrent"]),
    "decoder_hidden_size": st.sampled_from([None, 1, 5]),
    "penalty": st.sampled_from(["topk", "l1", "kl"]),
    "sparsity": share,
    "penalty_weight": st.sampled_from(["auto", 0.0, 1.0]),
    "beta": st.sampled_from([0.0, 1.0, 4.0]),
    "variance": st.sampled_from(["scalar", "column"]),
    "kl_warmup_epochs": st.sampled_from([0, 2]),
    "free_bits": st.sampled_from([0.0, 0.5]),
    "pretrainer": st.builds(
        lambda estimator: estimator(max_epochs=1),
        st.sampled_from(
            [
                skae.AutoencoderTransformer,
                skae.VariationalAutoencoder,
                skae.ConvAutoencoder,
                skae.RecurrentAutoencoder,
            ]
        ),
    ),
    "pretrain": st.booleans(),
    "head_input": st.sampled_from(["hidden", "code"]),
    "head_hidden_layer_sizes": widths,
    "dropout": st.sampled_from([0.0, 0.3, 0.9]),
    "encoder_lr": st.sampled_from([None, 1e-4]),
    "freeze": st.sampled_from(["none", "all", 0, 1, 2]),
    "freeze_epochs": st.sampled_from([0, 1, 5]),
    "reconstruction_weight": st.sampled_from([0.0, 1.0]),
    "class_weight": st.sampled_from([None, "balanced"]),
    "teachers": st.sampled_from([None, "auto"]),
}


@st.composite
def models(draw):
    """Draw an estimator with some of its parameters other than the default."""
    estimator = draw(st.sampled_from(ESTIMATORS))
    names = inspect.signature(estimator).parameters
    unknown = set(names) - set(PARAMETERS)
    assert not unknown, f"PARAMETERS has no values for {unknown}"
    chosen = draw(st.sets(st.sampled_from(sorted(names)), max_size=7))
    always = {"max_epochs", "random_state", "fine_tune_epochs", "pretrainer"}
    chosen |= always & set(names)
    return estimator(**{name: draw(PARAMETERS[name]) for name in sorted(chosen)})


@st.composite
def tables(draw):
    """Draw a table, in one of the forms that users have."""
    n_samples = draw(st.sampled_from([1, 2, 3, 9, 20, 60, 110, 130]))
    n_features = draw(st.sampled_from([1, 2, 4, 9, 12]))
    rng = np.random.default_rng(draw(st.integers(0, 5)))
    X = np.tanh(rng.normal(size=(n_samples, 2)) @ rng.normal(size=(2, n_features)))
    X += 0.1 * rng.normal(size=X.shape)
    values = draw(
        st.sampled_from(
            ["real", "unit", "binary", "integer", "large", "tiny", "offset", "constant"]
        )
    )
    if values == "unit":
        X = 1 / (1 + np.exp(-X))
    elif values == "binary":
        X = (X > 0) * 1.0
    elif values == "integer":
        X = np.round(10 * X)
    elif values == "large":
        X = X * 1e12
    elif values == "tiny":
        X = X * 1e-12
    elif values == "offset":
        X = X + 1e4
    elif values == "constant":
        X[:, 0] = 1.7
        X[n_samples // 2 :] = X[0]
    form = draw(
        st.sampled_from(
            ["array", "float32", "fortran", "int", "frame", "list", "csr", "tensor"]
        )
    )
    if form == "float32":
        X = X.astype(np.float32)
    elif form == "fortran":
        X = np.asfortranarray(X)
    elif form == "int" and values in ("integer", "binary"):
        X = X.astype(int)
    elif form == "frame":
        X = pd.DataFrame(X, columns=[f"x{i}" for i in range(n_features)])
    elif form == "list":
        X = X.tolist()
    elif form == "csr":
        X = sp.csr_matrix(X)
    elif form == "tensor":
        X = torch.from_numpy(X)
    weight = None
    if draw(st.sampled_from([False, False, True])):
        weight = rng.integers(0, 3, size=n_samples).astype(float)
    return X, weight


def dense(X):
    return X.toarray() if sp.issparse(X) else np.asarray(X, dtype=float)


def in_words(error):
    """Whether an error is raised for the user, not come up from the depths."""
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    return (
        isinstance(error, ValueError | TypeError | AttributeError)
        and last.startswith(OWN)
        and len(str(error)) > 20
    )


def state_of_everything():
    return (
        torch.get_rng_state().numpy().tobytes(),
        pickle.dumps(np.random.get_state()),  # noqa: NPY002
        random.getstate(),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
    )


def results(model, X):
    """What the methods of a fitted model return for rows."""
    found = {"transform": model.transform(X)}
    if hasattr(model, "predict"):
        found["predict"] = model.predict(X)
        if hasattr(model, "predict_proba"):
            found["predict_proba"] = model.predict_proba(X)
        return found
    if model.output != "hidden":
        found["inverse_transform"] = model.inverse_transform(found["transform"])
    found["reconstruct"] = model.reconstruct(X)
    found["reconstruction_error"] = model.reconstruction_error(X)
    found["score_samples"] = model.score_samples(X)
    return found


def check(model, X, weight):
    n_samples = len(dense(X))
    y = None
    if hasattr(model, "predict"):
        y = np.arange(n_samples) % 3 - 1
        if isinstance(model, skae.PretrainedRegressor):
            y = np.where(y < 0, np.nan, y)
    before, given = dense(X).copy(), state_of_everything()
    model.fit(X, y, sample_weight=weight)
    first = results(model, X)
    for name, result in first.items():
        assert len(result) == n_samples, name
        assert np.isfinite(result).all(), name
    single = "float32" in str(getattr(X, "dtype", ""))
    assert first["transform"].dtype == (np.float32 if single else np.float64)
    names = model.get_feature_names_out()
    assert len(names) == first["transform"].reshape(n_samples, -1).shape[1]
    if hasattr(model, "summary"):
        assert type(model).__name__ in model.summary()
    np.testing.assert_array_equal(dense(X), before)
    assert state_of_everything() == given

    again = results(clone(model).fit(X, y, sample_weight=weight), X)
    others = [again]
    if "lambda" not in repr(model):
        others.append(results(pickle.loads(pickle.dumps(model)), X))
    for other in others:
        for name, result in first.items():
            np.testing.assert_array_equal(other[name], result, err_msg=name)
    if hasattr(model, "partial_fit"):
        model.partial_fit(X)
        for name, result in results(model, X).items():
            assert np.isfinite(result).all(), f"{name} after partial_fit"


@settings(
    max_examples=N_CASES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(models(), tables())
def test_a_fit_keeps_its_contract_or_says_why_not(model, table):
    X, weight = table
    note(repr(X)[:300])
    try:
        check(model, X, weight)
    except Exception as error:
        if isinstance(error, AssertionError) or not in_words(error):
            raise
