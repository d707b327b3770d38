"""A grid search beside the same fits in a loop, in one process and in two.

``python -m tests.benchmarks.grid_search`` prints a table and writes
``grid_search.json`` and ``grid_search.md`` into ``--output`` (default: the working
folder): `GridSearchCV` of 24 candidates and 3 folds of digits, which are 72 fits, with
one job and with two, in turn with a loop that fits and scores the same. Beside the
seconds is the largest number of threads times processes that torch computed with: it
must not exceed the cores.
"""

import os
import time

import numpy as np
import torch
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold, ParameterGrid
from skorch.callbacks import Callback

from skae import AutoencoderTransformer
from tests.benchmarks import common
from tests.benchmarks.data import load

GRID = {
    "n_components": [2, 8, 16],
    "hidden_layer_sizes": [(32,), (100, 100)],
    "lr": [1e-3, 3e-3],
    "activation": ["gelu", "relu"],
}
FOLDS = KFold(3, shuffle=True, random_state=0)
N_THREADS = "n_threads"


class CountThreads(Callback):
    """Notes in the history how many threads torch computes with."""

    def on_epoch_begin(self, net, **kwargs):
        net.history.record(N_THREADS, torch.get_num_threads())


def autoencoder(n_epochs, **params):
    """An unfitted autoencoder."""
    return AutoencoderTransformer(max_epochs=n_epochs, random_state=0, **params)


def by_hand(X, n_epochs, n_jobs):
    """Fit and score all candidates on all folds."""
    base = autoencoder(n_epochs)
    for params in ParameterGrid(GRID):
        for train, test in FOLDS.split(X):
            clone(base).set_params(**params).fit(X[train]).score(X[test])


def by_grid_search(X, n_epochs, n_jobs):
    """Let scikit-learn do so."""
    base = autoencoder(n_epochs)
    GridSearchCV(base, GRID, cv=FOLDS, n_jobs=n_jobs, refit=False).fit(X)


def score_threads(model, X, y=None):
    """Score that is the number of threads of the fit."""
    return max(model.net_.history[:, N_THREADS])


def threads_of(X, n_jobs):
    """Largest number of threads of a fit in a grid search."""
    search = GridSearchCV(
        autoencoder(1, callbacks=[CountThreads()]),
        GRID,
        scoring=score_threads,
        cv=FOLDS,
        n_jobs=n_jobs,
        refit=False,
    ).fit(X)
    return int(search.cv_results_["mean_test_score"].max())


SIDES = {
    "a loop": (by_hand, 1),
    "GridSearchCV, n_jobs=1": (by_grid_search, 1),
    "GridSearchCV, n_jobs=2": (by_grid_search, 2),
}


def as_markdown(seconds, threads):
    """Table of the seconds, minimum and median."""
    lines = [
        "| 72 fits by | seconds | ratio to the loop | threads x processes |",
        "| --- | --- | --- | --- |",
    ]
    base = seconds["a loop"]
    for name, times in seconds.items():
        lines.append(
            f"| {name} | {min(times):.1f} / {np.median(times):.1f} "
            f"| {min(times) / min(base):.2f} / {np.median(times) / np.median(base):.2f}"
            f" | {threads[name]} |"
        )
    return "\n".join(lines)


def main():
    """Measure all sides in turn."""
    parser = common.parser(__doc__, repeats=5)
    parser.add_argument("--epochs", type=int, default=10, help="length of a fit")
    args = parser.parse_args()
    X = load("digits").X_train
    threads = {
        name: n_jobs * threads_of(X, n_jobs) for name, (_, n_jobs) in SIDES.items()
    }
    seconds = {name: [] for name in SIDES}
    record = {**common.environment(), "epochs": args.epochs}
    record |= {"seconds": seconds, "threads": threads}
    for _ in range(args.repeats):
        for name, (function, n_jobs) in SIDES.items():
            start = time.perf_counter()
            function(X, args.epochs, n_jobs)
            seconds[name].append(time.perf_counter() - start)
        table = as_markdown(seconds, threads)
        common.save(args.output, "grid_search", record, table)
    print(table)
    print("cores:", os.cpu_count())


if __name__ == "__main__":
    main()
