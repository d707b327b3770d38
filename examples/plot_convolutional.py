"""
Images: convolutional or dense?
===============================

A dense autoencoder does not know which pixels are neighbours: shuffle all images in the
same way, and it does as well. A convolutional one does know. What is that worth, with
codes of the same size?

On clothes of Fashion-MNIST, the convolutional autoencoder has the lower error with as
many components. On the same images with their pixels shuffled, the convolutions lose
what they gained. So use :class:`~skae.ConvAutoencoder` where neighbours belong
together, and :class:`~skae.AutoencoderTransformer` for tables.
"""

# %%
# The data: Fashion-MNIST, if it is installed (Debian's package
# ``dataset-fashion-mnist``) or can be fetched from OpenML, else scikit-learn's digits.

import argparse
import gzip
import time
import urllib.error
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import fetch_openml, load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer, ConvAutoencoder

parser = argparse.ArgumentParser()
parser.add_argument("--fast", action="store_true", help="few rows, pixels and epochs")
parser.add_argument("--output", type=Path, default=Path("convolutional.png"))
args = parser.parse_args()


def fashion_mnist():
    folder = Path("/usr/share/datasets/fashion-mnist")
    if not folder.exists():
        return fetch_openml("Fashion-MNIST", as_frame=False).data
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)


try:
    images = fashion_mnist()
    print("Data: Fashion-MNIST, 28 x 28 pixels")
except (urllib.error.URLError, OSError) as error:
    images = load_digits().data
    print(f"Data: scikit-learn's digits, 8 x 8 pixels (no Fashion-MNIST: {error})")

side = int(np.sqrt(images.shape[1]))
images = images.reshape(-1, side, side).astype(np.float32) / images.max()
if args.fast:
    images = images[:, ::2, ::2]
    side = (side + 1) // 2
n_components = 30 if side == 28 else 8
n_rows = 1_500 if args.fast else 10_000
train, test = train_test_split(
    images, train_size=min(n_rows, len(images) * 3 // 4), random_state=0
)
test = test[:2000]

# %%
# :class:`~skae.ConvAutoencoder` takes arrays of images, and gives such arrays back; the
# others take rows. All have as many components, and default settings otherwise.

max_epochs = 8 if args.fast else "auto"
models = {
    "PCA": PCA(n_components, random_state=0),
    "dense": AutoencoderTransformer(
        n_components, max_epochs=max_epochs, random_state=0
    ),
    "convolutional": ConvAutoencoder(
        n_components, max_epochs=max_epochs, random_state=0
    ),
}


def fit_all(train, test):
    """Reconstructions of the test images, and seconds of the fits, by name."""
    reconstructions, seconds = {}, {}
    for name, model in models.items():
        if name == "convolutional":
            shown, to_show = train, test
        else:
            shown, to_show = train.reshape(len(train), -1), test.reshape(len(test), -1)
        start = time.perf_counter()
        model.fit(shown)
        seconds[name] = time.perf_counter() - start
        images = model.inverse_transform(model.transform(to_show))
        reconstructions[name] = images.reshape(test.shape)
    return reconstructions, seconds


reconstructions, seconds = fit_all(train, test)

# %%
# Once more, with the pixels of all images shuffled in the same way. What PCA and the
# dense autoencoder make of them is the same to chance.

order = np.random.default_rng(0).permutation(side**2)


def shuffled(images):
    return images.reshape(len(images), -1)[:, order].reshape(images.shape)


of_shuffled, _ = fit_all(shuffled(train), shuffled(test))


def error(images, reconstructed):
    """Mean squared error over all pixels."""
    return np.mean((images - reconstructed) ** 2)


print(
    f"\n{len(train)} images to train on, {len(test)} held out, {n_components} "
    f"components\n\n{'mean squared error':20}{'images':>10}{'shuffled':>11}"
    f"{'seconds':>10}"
)
for name in models:
    print(
        f"{name:20}{error(test, reconstructions[name]):>10.4f}"
        f"{error(shuffled(test), of_shuffled[name]):>11.4f}{seconds[name]:>10.1f}"
    )

# %%
# Held-out images above what each makes of them.

rows = {"image": test, **reconstructions}
figure, axes = plt.subplots(
    len(rows),
    12,
    figsize=(11, 4),
    layout="constrained",
    subplot_kw={"xticks": [], "yticks": []},
)
for row_of_axes, (name, shown) in zip(axes, rows.items(), strict=True):
    label = name
    if name != "image":
        label += f"\n{error(test, shown):.4f}"
    row_of_axes[0].set_ylabel(label, rotation=0, ha="right", va="center")
    for ax, image in zip(row_of_axes, shown, strict=False):
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
figure.suptitle(
    f"{n_components} components; under the names, mean squared error of {len(test)} "
    "held-out images"
)
figure.savefig(args.output, dpi=110)
print(f"\nPicture: {args.output}")
