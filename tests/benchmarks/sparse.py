"""Sparse codes of images: error and activity, with default settings.

``python -m tests.benchmarks.sparse [size ...]`` prints a table and writes
``sparse.json`` and ``sparse.md`` into ``--output`` (default: the working folder). For
each size, so many training images of Fashion-MNIST are fitted by PCA with 30 components
and by `SparseAutoencoder` with 300 units and each of its penalties, and the mean
squared error of the 10,000 test images is taken. Seconds are the CPU time of the fit.
55,000 is what A. Géron trains on in "Hands-On Machine Learning with Scikit-Learn, Keras
and TensorFlow", 3rd edition, chapter 17, for 10 epochs and with 300 units, too. The
notebook prints the validation loss on the other 5,000 training images, which has the
penalty in it: .0111 with L1, .0099 with the KL divergence.
"""

import time

import numpy as np
from sklearn.decomposition import PCA

from skae import SparseAutoencoder
from tests.benchmarks import common
from tests.benchmarks.data import load

N_UNITS, N_ACTIVE = 300, 30
SIZES = (10_000, 55_000)
# (epochs, validation loss), of the notebook at github.com/ageron/handson-ml3.
GERON = {"l1": (10, 0.0111), "kl": (10, 0.0099)}


def measure(X, X_test, side, seed):
    """Error, activity, seconds and epochs of one fit."""
    if side == "PCA":
        model = PCA(N_ACTIVE, random_state=seed)
    else:
        model = SparseAutoencoder(N_UNITS, penalty=side, random_state=seed)
    start = time.process_time()
    model.fit(X)
    seconds = time.process_time() - start
    X_hat = model.inverse_transform(model.transform(X_test))
    run = {
        "size": len(X),
        "side": side,
        "seed": seed,
        "error": float(np.mean((X_hat - X_test) ** 2)),
        "seconds": seconds,
    }
    if side != "PCA":
        run["epochs"] = model.n_iter_
        run["best_epoch"] = model.best_epoch_
        run["active"] = float(model.code_activity_.sum())
        run["dead"] = model.n_dead_units_
    return run


def as_markdown(runs):
    """Table of the means over the seeds."""
    lines = [
        "| images | model | epochs | active units | dead units | error of test images "
        "| CPU seconds | Géron: epochs, loss |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for size, side in dict.fromkeys((run["size"], run["side"]) for run in runs):
        same = [run for run in runs if (run["size"], run["side"]) == (size, side)]
        mean = {
            name: np.mean([run[name] for run in same])
            for name in same[0]
            if name != "side"
        }
        own = " | | "
        if side != "PCA":
            own = f"{same[0]['epochs']} | {mean['active']:.0f} | {mean['dead']:.0f}"
        geron = ""
        if size == 55_000 and side in GERON:
            geron = "{}, {:.4f}".format(*GERON[side])
        lines.append(
            f"| {size:,} | {side} | {own} | {mean['error']:.4f} "
            f"| {mean['seconds']:.0f} | {geron} |"
        )
    return "\n".join(lines)


def main():
    """Measure all sizes."""
    parser = common.parser(__doc__, map(str, SIZES), repeats=1)
    args = parser.parse_args()
    data = load("fashion_mnist")
    order = np.random.default_rng(0).permutation(len(data.X_train))
    X_train = data.X_train.astype(np.float32)
    X_test = data.X_test.astype(np.float32)
    record = {**common.environment(), "runs": []}
    for size in map(int, args.sets):
        for seed in range(args.repeats):
            for side in ("PCA", "topk", "l1", "kl"):
                run = measure(X_train[order[:size]], X_test, side, seed)
                record["runs"].append(run)
                print(run, flush=True)
                table = as_markdown(record["runs"])
                common.save(args.output, "sparse", record, table)
    print(table)


if __name__ == "__main__":
    main()
