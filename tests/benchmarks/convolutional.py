"""Convolutional beside dense codes of images, with default settings.

``python -m tests.benchmarks.convolutional [size ...]`` prints a table and writes
``convolutional.json`` and ``convolutional.md`` into ``--output`` (default: the working
folder). For each size, so many training images of Fashion-MNIST are fitted by PCA,
`AutoencoderTransformer` and `ConvAutoencoder` with 30 components, and the mean squared
error of the 10,000 test images is taken. Seconds are the CPU time of the fit. 55,000 is
what A. Géron trains on in "Hands-On Machine Learning with Scikit-Learn, Keras and
TensorFlow", 3rd edition, chapter 17. The notebook prints the error of the other 5,000
training images: .0132 for its stacked dense autoencoder, .0121 for its convolutional
one.
"""

import time

import numpy as np
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer, ConvAutoencoder
from tests.benchmarks import common
from tests.benchmarks.data import load

N_COMPONENTS = 30
SIZES = (10_000, 55_000)
# (epochs, validation error), of the notebook at github.com/ageron/handson-ml3.
GERON = {"dense": (20, 0.0132), "convolutional": (10, 0.0121)}
SIDES = {
    "PCA": PCA,
    "dense": AutoencoderTransformer,
    "convolutional": ConvAutoencoder,
}


def measure(X, X_test, side, seed):
    """Error, seconds and epochs of one fit."""
    model = SIDES[side](N_COMPONENTS, random_state=seed)
    start = time.process_time()
    model.fit(X)
    seconds = time.process_time() - start
    X_hat = model.inverse_transform(model.transform(X_test))
    return {
        "size": len(X),
        "side": side,
        "seed": seed,
        "epochs": getattr(model, "n_iter_", None),
        "best_epoch": getattr(model, "best_epoch_", None),
        "error": float(np.mean((X_hat - X_test) ** 2)),
        "seconds": seconds,
    }


def as_markdown(runs):
    """Table of the means over the seeds."""
    lines = [
        "| images | model | epochs | error of test images | CPU seconds "
        "| Géron: epochs, error |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for size, side in dict.fromkeys((run["size"], run["side"]) for run in runs):
        same = [run for run in runs if (run["size"], run["side"]) == (size, side)]
        error, seconds = (
            np.mean([run[name] for run in same]) for name in ("error", "seconds")
        )
        epochs = "" if same[0]["epochs"] is None else same[0]["epochs"]
        geron = ""
        if size == 55_000 and side in GERON:
            geron = "{}, {:.4f}".format(*GERON[side])
        lines.append(
            f"| {size:,} | {side} | {epochs} | {error:.4f} | {seconds:.0f} | {geron} |"
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
            for side in SIDES:
                run = measure(X_train[order[:size]], X_test, side, seed)
                record["runs"].append(run)
                print(run, flush=True)
                table = as_markdown(record["runs"])
                common.save(args.output, "convolutional", record, table)
    print(table)


if __name__ == "__main__":
    main()
