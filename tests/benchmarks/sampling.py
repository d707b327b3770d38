"""New rows beside held-out ones: whether a classifier tells them apart.

``python -m tests.benchmarks.sampling [set ...]`` prints a table and writes
``sampling.json`` and ``sampling.md`` into ``--output`` (default: the working folder).

Two figures for each way to draw rows. The AUC is that of boosted trees, by
cross-validation, between held-out rows and as many new ones: 0.5 is what rows of the
same distribution have. The distance is the median of those from new rows to the nearest
training row, over the same for held-out rows: 1 is as it should be, 0 are copies.
"""

import time
import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import FunctionTransformer

from skae import AutoencoderSampler, AutoencoderTransformer, VariationalAutoencoder
from tests.benchmarks import common

N_COMPONENTS = {"satellite": 8, "cells": 8, "digits": 8, "fashion_mnist": 30}
SETS = ("satellite", "cells", "fashion_mnist")
# Columns of tables have a variance each; pixels share one, as most hardly vary.
VARIANCE = {"fashion_mnist": "scalar"}
N_TRAIN = 10_000
N_TEST = {"fashion_mnist": 1_000}
SEEDS = (0, 1)


def best_mixture(X, seed):
    """Mixture of rows, with the number of components that BIC takes."""
    X = X[np.random.default_rng(seed).permutation(len(X))[:4_000]]
    sizes = (1, 2, 4, 8, 16, 32)
    mixtures = [GaussianMixture(size, random_state=seed).fit(X) for size in sizes[:1]]
    for size in sizes[1:]:
        mixtures.append(GaussianMixture(size, random_state=seed).fit(X))
        if mixtures[-1].bic(X) >= mixtures[-2].bic(X):
            return mixtures[-2]
    return mixtures[-1]


def ways(data, X, seed):
    """Functions that give new rows, by name, each with the seconds of its fit."""
    k = N_COMPONENTS[data.name]

    def fitted(model):
        start = time.perf_counter()
        return model.fit(X), time.perf_counter() - start

    def sampler(transformer):
        return fitted(AutoencoderSampler(transformer, random_state=seed))

    def rows_of(model_and_seconds):
        model, seconds = model_and_seconds
        return lambda n: model.sample(n, random_state=seed), seconds

    rng = np.random.default_rng(seed)
    yield "training rows", (lambda n: X[rng.permutation(len(X))[:n]], 0.0)
    start = time.perf_counter()
    mixture = best_mixture(X, seed)
    seconds = time.perf_counter() - start
    yield "mixture of rows", (lambda n: mixture.sample(n)[0], seconds)
    yield "mixture of rows, columns mapped", rows_of(sampler(FunctionTransformer()))
    yield "PCA + mixture", rows_of(sampler(PCA(k, random_state=seed)))
    vae = VariationalAutoencoder(
        k, variance=VARIANCE.get(data.name, "column"), random_state=seed
    )
    vae, seconds = fitted(vae)
    yield "VAE, prior", rows_of((vae, seconds))
    of_vae, more = sampler(FrozenEstimator(vae))
    yield "VAE + mixture", rows_of((of_vae, seconds + more))
    yield "autoencoder + mixture", rows_of(sampler(AutoencoderTransformer(k)))


def auc(X, new, seed):
    """How well a classifier tells rows from new ones."""
    y = np.repeat([0, 1], [len(X), len(new)])
    proba = cross_val_predict(
        HistGradientBoostingClassifier(random_state=seed),
        np.vstack([X, new]),
        y,
        cv=3,
        method="predict_proba",
    )
    return roc_auc_score(y, proba[:, 1])


def measure(data, seed):
    """Both figures for each way."""
    X = data.X_train[:N_TRAIN]
    X_test = data.X_test[: N_TEST.get(data.name, 2_000)]
    neighbours = NearestNeighbors(n_neighbors=1).fit(X)

    def distance(rows):
        return float(np.median(neighbours.kneighbors(rows)[0]))

    for name, (draw, seconds) in ways(data, X, seed):
        rows = draw(len(X_test))
        yield {
            "set": data.name,
            "shape": list(X.shape),
            "n_components": N_COMPONENTS[data.name],
            "way": name,
            "seed": seed,
            "auc": auc(X_test, rows, seed),
            "distance": distance(rows) / distance(X_test),
            "seconds": seconds,
        }


def as_markdown(rows):
    """Table of the results, one line for a set and a way."""
    lines = [
        "| set | rows x columns | codes | new rows by | AUC | distance | seconds |",
        "|" + " --- |" * 7,
    ]
    for key in dict.fromkeys((row["set"], row["way"]) for row in rows):
        same = [row for row in rows if (row["set"], row["way"]) == key]
        auc, distance, seconds = (
            np.mean([row[name] for row in same])
            for name in ("auc", "distance", "seconds")
        )
        shape = " x ".join(map(str, same[0]["shape"]))
        lines.append(
            f"| {key[0]} | {shape} | {same[0]['n_components']} | {key[1]} "
            f"| {auc:.3f} | {distance:.2f} | {seconds:.1f} |"
        )
    return "\n".join(lines)


def main():
    """Measure the sets named on the command line, or the three."""
    args = common.parser(__doc__, SETS).parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    record = {"seeds": SEEDS, **common.environment(), "rows": []}
    for data in common.available(args.sets):
        for seed in SEEDS:
            for row in measure(data, seed):
                record["rows"].append(row)
                print(as_markdown([row]).splitlines()[-1], flush=True)
                table = as_markdown(record["rows"])
                common.save(args.output, "sampling", record, table)


if __name__ == "__main__":
    main()
