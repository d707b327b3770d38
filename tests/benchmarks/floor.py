"""Held-out reconstruction beside PCA of the same size, with default settings.

``python -m tests.benchmarks.floor [set ...]`` prints a table and writes
``floor.json`` and ``floor.md`` into ``--output`` (default: the working folder). The
figure is the variance-weighted R² of the reconstruction of rows that nothing was
fitted to. Sets that are not to be had are left out, with the reason.
"""

import argparse
import json
import os
import platform
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
import skorch
import torch
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

import skae
from skae import AutoencoderTransformer
from tests.benchmarks.data import NAMES, DatasetUnavailable, load

SIZES = (2, 8, 30)
SEEDS = (0, 1, 2)
TOLERANCE = 0.002


def measure(data, n_components, seeds=SEEDS, **params):
    """R² of PCA and of the autoencoder, for each seed, and the seconds of its fits."""
    pca = PCA(n_components, random_state=0).fit(data.X_train)
    reconstruction = pca.inverse_transform(pca.transform(data.X_test))
    scores, seconds, epochs = [], [], []
    for seed in seeds:
        start = time.perf_counter()
        model = AutoencoderTransformer(n_components, random_state=seed, **params)
        model.fit(data.X_train)
        seconds.append(time.perf_counter() - start)
        scores.append(model.score(data.X_test))
        epochs.append(model.best_epoch_)
    return {
        "set": data.name,
        "shape": list(data.X_train.shape),
        "n_components": n_components,
        "pca": r2_score(data.X_test, reconstruction, multioutput="variance_weighted"),
        "scores": scores,
        "best_epochs": epochs,
        "seconds": seconds,
    }


def as_markdown(rows):
    """Table of the results, one line for a set and size."""
    lines = [
        "| set | rows x columns | codes | PCA | skae, worst | skae, mean | seconds | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        worst, mean = min(row["scores"]), np.mean(row["scores"])
        verdict = "below PCA" if worst < row["pca"] - TOLERANCE else ""
        lines.append(
            f"| {row['set']} | {row['shape'][0]} x {row['shape'][1]} "
            f"| {row['n_components']} | {row['pca']:.4f} | {worst:.4f} | {mean:.4f} "
            f"| {np.median(row['seconds']):.1f} | {verdict} |"
        )
    return "\n".join(lines)


def main():
    """Measure the sets named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", nargs="*", default=list(NAMES))
    parser.add_argument("--output", type=Path, default=Path.cwd())
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    versions = {m.__name__: m.__version__ for m in (np, sklearn, skorch, torch, skae)}
    record = {
        "seeds": SEEDS,
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "versions": versions,
        "rows": [],
    }
    for name in args.sets or NAMES:
        try:
            data = load(name)
        except DatasetUnavailable as error:
            warnings.warn(f"{name} is left out: {error}", stacklevel=1)
            continue
        for n_components in SIZES:
            if n_components <= min(data.X_train.shape):
                record["rows"].append(measure(data, n_components))
                print(as_markdown(record["rows"][-1:]).splitlines()[-1], flush=True)
        # After each set, so that a run that is broken off is not lost.
        (args.output / "floor.json").write_text(json.dumps(record, indent=1))
        (args.output / "floor.md").write_text(as_markdown(record["rows"]) + "\n")


if __name__ == "__main__":
    main()
