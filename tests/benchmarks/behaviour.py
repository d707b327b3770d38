"""Record what every estimator returns, and compare it bit by bit with a record.

A change of the inside that is to change no result is checked on one machine:

    python -m tests.benchmarks.behaviour --record before.npz    # before the change
    python -m tests.benchmarks.behaviour --compare before.npz   # after it
"""

import argparse
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_matrix
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.preprocessing import StandardScaler

import skae

WEIGHTED = {"weighted": True}
QUICK = {"max_epochs": 4, "random_state": 3}
COMMON = [
    {},
    {"max_epochs": "auto", "early_stopping": True},
    {"validation_fraction": None},
    {"batch_size": 32, "lr_schedule": "cosine", "weight_decay": 0.01},
    {"init": "random", "optimizer": "sgd"},
    {"n_components": 7, "output": "reconstruction"},
    {"net_params": {"autocast": torch.bfloat16}},
    WEIGHTED,
    {"partial": True},
    {"sparse": True},
    {"warm_start": True},
]
DENSE = [
    {"hidden_layer_sizes": ()},
    {"hidden_layer_sizes": (20, 10), "tied_weights": True, "activation": "tanh"},
    {"loss": "huber"},
    {"loss": "binary_cross_entropy"},
    {"kernel_initializer": "orthogonal", "optimizer": "adamw"},
]
LBFGS = {"optimizer": "lbfgs"}
SETS: dict[str, list[dict[str, Any]]] = {
    "AutoencoderTransformer": [*COMMON, *DENSE, LBFGS, {"output": "hidden"}],
    "DenoisingAutoencoder": [
        *COMMON,
        *DENSE,
        {"noise": "masking", "emphasis": (1.0, 0.3)},
        {"noise": "swap", "noise_level": (0.05, 0.3)},
        {"noise": ["dropout", "gaussian"], "n_components": 4},
        {"noise": torch.nn.Dropout(0.3)},
    ],
    "StackedAEPretrainer": [
        *COMMON,
        *DENSE,
        {"noise": "salt_and_pepper"},
        {"fine_tune_epochs": 0},
    ],
    "SparseAutoencoder": [
        *COMMON,
        {"penalty": "l1"},
        {"penalty": "kl", "sparsity": 0.2},
        {"penalty": "l1", "penalty_weight": 0.3, **WEIGHTED},
        LBFGS,
    ],
    "VariationalAutoencoder": [
        *COMMON,
        {"variance": "column"},
        {"beta": 3.0, "free_bits": 0.1, "kl_warmup_epochs": 2},
        {"loss": "binary_cross_entropy"},
        {"hidden_layer_sizes": ()},
    ],
    "ConvAutoencoder": [
        *COMMON,
        {"pooling": True, "n_filters": (4,), "stride": 1},
        {"loss": "binary_cross_entropy"},
        LBFGS,
    ],
    "RecurrentAutoencoder": [
        *COMMON,
        {"decoder": "recurrent", "hidden_size": 12},
        {"cell": "lstm", "bidirectional": True, "series_shape": (4, 3)},
        {"unequal": True},
        {"unequal": True, "loss": "absolute_error", **WEIGHTED},
        LBFGS,
    ],
    "PretrainedClassifier": [
        {},
        {"pretrain": False, "head_input": "code"},
        {"early_stopping": True, "head_hidden_layer_sizes": (8,)},
        {"freeze": 1, "freeze_epochs": 1, "reconstruction_weight": 0.5},
        {"class_weight": "balanced", **WEIGHTED},
        {"pretrainer": skae.AutoencoderTransformer(4, max_epochs=3)},
    ],
    "PretrainedRegressor": [
        {},
        {"pretrain": False, "encoder_lr": 1e-4},
        {"early_stopping": True, **WEIGHTED},
        {"pretrainer": skae.StackedAEPretrainer(4, max_epochs=2, fine_tune_epochs=2)},
    ],
}
# What a case says about its rows, not about the estimator.
ABOUT_ROWS = ("weighted", "partial", "sparse", "unequal")


def tables() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield names, rows and classes: linear, curved and image-like tables."""
    X, y = load_wine(return_X_y=True)
    yield "wine", StandardScaler().fit_transform(X)[:, :12], y
    X, y = load_breast_cancer(return_X_y=True)
    yield "cancer", StandardScaler().fit_transform(X).astype(np.float32)[:, :12], y
    X, y = load_digits(return_X_y=True)
    yield "digits", X[:700] / 16, y[:700]
    yield "few", X[:60, :36] / 16, y[:60]


def results(model: Any, X: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a fitted model returns and remembers."""
    yield "transform", model.transform(X)
    for name in ("predict", "predict_proba", "reconstruct", "score_samples"):
        if hasattr(model, name):
            yield name, getattr(model, name)(X)
    if hasattr(model, "reconstruction_error"):
        yield "score", model.score(X)
        yield "reconstruction_error", model.reconstruction_error(X)
    for name in (
        "loss_curve_",
        "validation_loss_curve_",
        "clean_validation_loss_curve_",
        "best_loss_",
        "best_epoch_",
        "code_activity_",
        "kl_per_component_",
        "active_components_",
    ):
        if hasattr(model, name):
            yield name, getattr(model, name)
    for name, tensor in model.net_.module_.state_dict().items():
        yield f"module.{name}", tensor.numpy()


def case(name: str, params: dict[str, Any], X: np.ndarray, y: np.ndarray) -> Any:
    """Fit an estimator as a case asks, and return it with the rows for its methods."""
    settings = {k: v for k, v in params.items() if k not in ABOUT_ROWS}
    model = getattr(skae, name)(**{**QUICK, **settings})
    rng = np.random.default_rng(0)
    weight = rng.integers(1, 4, len(X)) / 2 if "weighted" in params else None
    if params.get("loss") == "binary_cross_entropy":
        X = (X - X.min()) / (X.max() - X.min())
    rows: Any = csr_matrix(X) if "sparse" in params else X
    if "unequal" in params:
        lengths = rng.integers(2, 6, len(X))
        rows = [X[i, : 2 * n].reshape(n, 2) for i, n in enumerate(lengths)]
    if name == "PretrainedClassifier":
        y = np.where(np.arange(len(y)) % 3 == 0, y, -1)
    elif name == "PretrainedRegressor":
        y = np.where(np.arange(len(y)) % 3 == 0, y + X[:, 0], np.nan)
    if "partial" in params:
        for _ in range(3):
            model.partial_fit(rows, sample_weight=weight)
    else:
        model.fit(rows, y, sample_weight=weight)
        if settings.get("warm_start"):
            model.fit(rows, y)
    return model, rows


def record() -> dict[str, np.ndarray]:
    """Return the results of all cases, or the error that a case ends in."""
    found = {}
    for table, X, y in tables():
        for name, sets in SETS.items():
            for number, params in enumerate(sets):
                key = f"{table}/{name}/{number}"
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        model, rows = case(name, params, X, y)
                        for part, value in results(model, rows):
                            found[f"{key}/{part}"] = np.asarray(value)
                except ValueError as error:
                    found[f"{key}/error"] = np.asarray(str(error)[:200])
        print(table, len(found), flush=True)
    return found


def compare(before: Any, after: dict[str, np.ndarray]) -> int:
    """Print what differs, by case, and return the number of cases that do."""
    cases: dict[str, list[str]] = {}
    for key in sorted({*before, *after}):
        name, _, part = key.rpartition("/")
        if key not in after or key not in before:
            cases.setdefault(name, []).append(f"{part} only on one side")
        elif not np.array_equal(
            before[key], after[key], equal_nan=after[key].dtype.kind == "f"
        ):
            cases.setdefault(name, []).append(part)
    for name, parts in cases.items():
        print(name, SETS[name.split("/")[1]][int(name.split("/")[2])], parts[:4])
    return len(cases)


def main() -> None:
    """Record, or compare with a record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", metavar="FILE")
    parser.add_argument("--compare", metavar="FILE")
    options = parser.parse_args()
    found = record()
    if options.record:
        np.savez_compressed(options.record, **found)
    if options.compare:
        with np.load(options.compare) as before:
            n_different = compare(dict(before), found)
        print(f"{n_different} cases differ")
        raise SystemExit(n_different > 0)


if __name__ == "__main__":
    main()
