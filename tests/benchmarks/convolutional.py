"""Convolutional beside dense codes of images, with default settings.

``python -m tests.benchmarks.convolutional [set ...]`` prints a table and writes
``convolutional.json`` and ``convolutional.md`` into ``--output`` (default: the working
folder). For each set that is a number, so many training images of Fashion-MNIST are
fitted by PCA, `AutoencoderTransformer` and `ConvAutoencoder` with 30 components, and
the mean squared error of the 10,000 test images is taken. Seconds are the CPU time of
the fit. 55,000 is what A. Géron trains on in "Hands-On Machine Learning with
Scikit-Learn, Keras and TensorFlow", 3rd edition, chapter 17. The notebook prints the
error of the other 5,000 training images: .0132 for its stacked dense autoencoder, .0121
for its convolutional one. "colour" are the patches of 16 x 16 pixels that
scikit-learn's two photographs fall into, three quarters of them to fit and the others
to test on.
"""

import time

import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer, ConvAutoencoder
from tests.benchmarks import common
from tests.benchmarks.data import load

N_COMPONENTS = 30
SETS = ("10000", "55000", "colour")
PATCH = (16, 16, 3)
# (epochs, validation error), of the notebook at github.com/ageron/handson-ml3.
GERON = {"dense": (20, 0.0132), "convolutional": (10, 0.0121)}
SIDES = {
    "PCA": PCA,
    "dense": AutoencoderTransformer,
    "convolutional": ConvAutoencoder,
}


def colour_patches():
    """Patches of photographs, to fit and to test on."""
    height, width, n_channels = PATCH
    patches = []
    for photo in load_sample_images().images:
        rows, columns = photo.shape[0] // height, photo.shape[1] // width
        photo = photo[: rows * height, : columns * width]
        blocks = photo.reshape(rows, height, columns, width, n_channels)
        patches.append(blocks.swapaxes(1, 2).reshape(rows * columns, -1))
    X = np.concatenate(patches).astype(np.float32) / 255
    return train_test_split(X, test_size=0.25, random_state=0)


def fashion_mnist(size):
    """So many training images, and the test images."""
    data = load("fashion_mnist")
    order = np.random.default_rng(0).permutation(len(data.X_train))[:size]
    return data.X_train[order].astype(np.float32), data.X_test.astype(np.float32)


def measure(name, X, X_test, side, seed):
    """Error, seconds and epochs of one fit."""
    model = SIDES[side](N_COMPONENTS, random_state=seed)
    if name == "colour" and side == "convolutional":
        model.set_params(image_shape=PATCH)
    start = time.process_time()
    model.fit(X)
    seconds = time.process_time() - start
    X_hat = model.inverse_transform(model.transform(X_test))
    return {
        "set": name,
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
    for name, side in dict.fromkeys((run["set"], run["side"]) for run in runs):
        same = [run for run in runs if (run["set"], run["side"]) == (name, side)]
        error, seconds = (
            np.mean([run[key] for run in same]) for key in ("error", "seconds")
        )
        epochs = "" if same[0]["epochs"] is None else same[0]["epochs"]
        geron = ""
        if name == "55000" and side in GERON:
            geron = "{}, {:.4f}".format(*GERON[side])
        images = f"{same[0]['size']:,}" + (", colour" if name == "colour" else "")
        lines.append(
            f"| {images} | {side} | {epochs} | {error:.4f} | {seconds:.0f} | {geron} |"
        )
    return "\n".join(lines)


def main():
    """Measure all sets."""
    args = common.parser(__doc__, SETS, repeats=1).parse_args()
    record = {**common.environment(), "runs": []}
    for name in args.sets:
        X, X_test = colour_patches() if name == "colour" else fashion_mnist(int(name))
        for seed in range(args.repeats):
            for side in SIDES:
                run = measure(name, X, X_test, side, seed)
                record["runs"].append(run)
                print(run, flush=True)
                table = as_markdown(record["runs"])
                common.save(args.output, "convolutional", record, table)
    print(table)


if __name__ == "__main__":
    main()
