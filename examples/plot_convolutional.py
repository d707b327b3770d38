"""
Images: convolutional or dense?
===============================

A dense autoencoder does not know which pixels are neighbours: shuffle all images in the
same way, and it does as well. A convolutional one does know. What is that worth, with
codes of the same size?

On clothes of Fashion-MNIST, the convolutional autoencoder has the lower error with as
many components. On the same images with their pixels shuffled, the convolutions lose
more than they gained: the dense autoencoder, to which the order of the pixels is all
the same, is then ahead. So use :class:`~skae.ConvAutoencoder` where neighbours belong
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
from sklearn.base import clone
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
# others take rows. All have as many components, and default settings otherwise. At last
# the convolutional one once more, with the pixels of all images shuffled in the same
# way: PCA and the dense autoencoder would not notice.

order = np.random.default_rng(0).permutation(side**2)


def as_rows(images):
    return images.reshape(len(images), side**2)


def shuffled(images):
    return as_rows(images)[:, order].reshape(images.shape)


def put_back(images):
    return as_rows(images)[:, np.argsort(order)].reshape(images.shape)


def as_they_are(images):
    return images


settings = {"max_epochs": 10 if args.fast else "auto", "random_state": 0}
dense = AutoencoderTransformer(n_components, **settings)
convolutional = ConvAutoencoder(n_components, **settings)
# A model, and what is done to images before it and after it.
models = {
    "PCA": (PCA(n_components, random_state=0), as_rows, as_they_are),
    "dense": (dense, as_rows, as_they_are),
    "convolutional": (convolutional, as_they_are, as_they_are),
    "convolutional,\npixels shuffled": (clone(convolutional), shuffled, put_back),
}

print(
    f"{len(train)} images to train on, {len(test)} held out, {n_components} components"
)
print(f"\n{'':31}{'mean squared error':>20}{'seconds':>10}")
reconstructions = {}
for name, (model, before, after) in models.items():
    start = time.perf_counter()
    model.fit(before(train))
    seconds = time.perf_counter() - start
    images = model.inverse_transform(model.transform(before(test)))
    reconstructions[name] = after(images.reshape(test.shape))
    error = np.mean((test - reconstructions[name]) ** 2)
    print(f"{name.replace(chr(10), ' '):31}{error:>20.4f}{seconds:>10.1f}")

# %%
# Held-out images above what each makes of them.

rows = {"image": test, **reconstructions}
figure, axes = plt.subplots(
    len(rows),
    12,
    figsize=(11, 4.5),
    layout="constrained",
    subplot_kw={"xticks": [], "yticks": []},
)
for row_of_axes, (name, shown) in zip(axes, rows.items(), strict=True):
    row_of_axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, image in zip(row_of_axes, shown, strict=False):
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
figure.suptitle(f"Held-out images reconstructed from {n_components} components")
figure.savefig(args.output, dpi=110)
print(f"\nPicture: {args.output}")
