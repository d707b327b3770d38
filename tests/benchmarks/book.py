"""All kinds of autoencoders of images beside the figures of a book, with few epochs.

``python -m tests.benchmarks.book [model ...]`` prints a table and writes ``book.json``
and ``book.md`` into ``--output`` (default: the working folder); lines of an earlier run
in that folder are kept. Each model is fitted to the 55,000 training images of
Fashion-MNIST that A. Géron trains on in "Hands-On Machine Learning with Scikit-Learn,
Keras and TensorFlow", 3rd edition, chapter 17, or as many others, and the mean squared
error of the 10,000 test images is taken. Seconds are the CPU time of the fit. His
figures are what the notebook at github.com/ageron/handson-ml3 prints of the other 5,000
training images after the last epoch. It is their mean squared error but in three cases:
"sparse, L1" and "sparse, KL" have the penalty in it, and "variational" is of codes that
are drawn, and has the divergence over 784 in it. "drawn" is that figure of ours.

Epochs of the autoencoder that is trained layer by layer are those of all phases.
"""

import json
import time

import numpy as np
from sklearn.decomposition import PCA

from skae import (
    AutoencoderTransformer,
    ConvAutoencoder,
    RecurrentAutoencoder,
    SparseAutoencoder,
    StackedAEPretrainer,
    VariationalAutoencoder,
)
from tests.benchmarks import common
from tests.benchmarks.data import load

N_ROWS = 55_000
SERIES = {"series_shape": (28, 28)}
RECURRENT = {**SERIES, "decoder": "recurrent", "max_epochs": 10}
# Epochs and figure of the book: 10 + 10 + 5 epochs layer by layer.
DENSE, TIED, LAYERS = (20, 0.0132), (10, 0.0133), (25, 0.0133)
CONVOLUTIONAL, LSTM = (10, 0.0121), (10, 0.0104)
L1, KL, VARIATIONAL = (10, 0.0111), (10, 0.0099), (25, 0.0311)
MODELS = {
    "PCA": (PCA(30), None),
    "dense": (AutoencoderTransformer(30), DENSE),
    "dense, 20 epochs": (AutoencoderTransformer(30, max_epochs=20), DENSE),
    "dense, 10 epochs, batches of 32": (
        AutoencoderTransformer(30, max_epochs=10, batch_size=32),
        DENSE,
    ),
    "dense, tied weights": (AutoencoderTransformer(30, tied_weights=True), TIED),
    "dense, layer by layer": (StackedAEPretrainer(30), LAYERS),
    "convolutional": (ConvAutoencoder(30), CONVOLUTIONAL),
    "convolutional, pooling": (ConvAutoencoder(30, pooling=True), CONVOLUTIONAL),
    "LSTM": (RecurrentAutoencoder(30, **SERIES), LSTM),
    "LSTM, 10 epochs": (RecurrentAutoencoder(30, **SERIES, max_epochs=10), LSTM),
    "LSTM, recurrent decoder, 10 epochs": (RecurrentAutoencoder(30, **RECURRENT), LSTM),
    "LSTM, recurrent decoder, 10 epochs, batches of 32": (
        RecurrentAutoencoder(30, **RECURRENT, batch_size=32),
        LSTM,
    ),
    "LSTM, recurrent decoder, 10 epochs, batches of 32, state of 128": (
        RecurrentAutoencoder(30, **RECURRENT, batch_size=32, hidden_size=128),
        LSTM,
    ),
    "sparse, top-k": (SparseAutoencoder(300), None),
    "sparse, L1": (SparseAutoencoder(300, penalty="l1"), L1),
    "sparse, KL": (SparseAutoencoder(300, penalty="kl"), KL),
    "PCA, 10 codes": (PCA(10), None),
    "variational": (VariationalAutoencoder(10), VARIATIONAL),
    # The divergence weighs in the book as with a variance of the pixels of 0.5, about
    # twenty times of what they have; the widths are those of the book.
    "variational, beta=20, widths 150 and 100, 25 epochs": (
        VariationalAutoencoder(
            10, beta=20, hidden_layer_sizes=(150, 100), max_epochs=25
        ),
        VARIATIONAL,
    ),
}


def drawn_loss(model, X):
    """Mean squared error by codes drawn, and the divergence over the columns."""
    mean, std = model.transform(X, return_std=True)
    draws = mean + std * np.random.default_rng(0).normal(size=mean.shape)
    error = np.mean((model.inverse_transform(draws.astype(X.dtype)) - X) ** 2)
    divergence = 0.5 * (mean**2 + std**2 - 1 - 2 * np.log(std)).sum(axis=1).mean()
    return float(error + divergence / X.shape[1])


def measure(name, X, X_test):
    """Error, seconds and epochs of one fit."""
    model = MODELS[name][0].set_params(random_state=0)
    start = time.process_time()
    model.fit(X)
    seconds = time.process_time() - start
    X_hat = model.inverse_transform(model.transform(X_test))
    phases = sum(phase["n_epochs"] for phase in getattr(model, "phases_", []))
    drawn = isinstance(model, VariationalAutoencoder)
    return {
        "model": name,
        "epochs": phases + model.n_iter_ if hasattr(model, "n_iter_") else None,
        "error": float(np.mean((X_hat - X_test) ** 2)),
        "drawn": drawn_loss(model, X_test) if drawn else None,
        "seconds": seconds,
    }


def as_markdown(runs):
    """Table of the runs."""
    lines = [
        "| model | epochs | error of test images | drawn | CPU seconds "
        "| book: epochs | book: figure |",
        "|" + " --- |" * 7,
    ]
    for run in runs:
        book = MODELS[run["model"]][1]
        epochs, figure = ("", "") if book is None else (book[0], f"{book[1]:.4f}")
        own = "" if run["epochs"] is None else run["epochs"]
        drawn = "" if run["drawn"] is None else f"{run['drawn']:.4f}"
        lines.append(
            f"| {run['model']} | {own} | {run['error']:.4f} | {drawn} "
            f"| {run['seconds']:.0f} | {epochs} | {figure} |"
        )
    return "\n".join(lines)


def main():
    """Measure the models, those named or all."""
    args = common.parser(__doc__, MODELS).parse_args()
    path = args.output / "book.json"
    runs = {}
    if path.exists():
        runs = {run["model"]: run for run in json.loads(path.read_text())["runs"]}
    data = load("fashion_mnist")
    order = np.random.default_rng(0).permutation(len(data.X_train))[:N_ROWS]
    X_train = data.X_train[order].astype(np.float32)
    X_test = data.X_test.astype(np.float32)
    for name in args.sets:
        runs[name] = measure(name, X_train, X_test)
        print(runs[name], flush=True)
        done = [runs[name] for name in MODELS if name in runs]
        record = {**common.environment(), "runs": done}
        common.save(args.output, "book", record, as_markdown(done))
    print(as_markdown(done))


if __name__ == "__main__":
    main()
