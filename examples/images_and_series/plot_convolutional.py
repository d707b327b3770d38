"""
Images: convolutional or dense?
===============================

A dense autoencoder does not know which pixels are neighbours: if the pixels of all
images are shuffled in the same way, it is as good as before. A convolutional
autoencoder does know. How much better is it, with the same number of components?

On images of clothing, the convolutional autoencoder is compared with the dense one, and
with itself on images whose pixels are shuffled. The difference to the shuffled images
is the gain from neighbours. Use :class:`~skae.ConvAutoencoder` if neighbouring pixels
are related, and a dense autoencoder if they are not.
"""

# %%
# The data: :func:`~skae.datasets.load_fashion_mnist`, from Debian's package or from
# OpenML.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer, ConvAutoencoder
from skae.datasets import load_fashion_mnist

train = load_fashion_mnist(n_samples=1_500).images
test = load_fashion_mnist(subset="test", n_samples=500).images
side, n_components = 28, 30

# %%
# :class:`~skae.ConvAutoencoder` takes and returns arrays of images; the others take
# rows. All have the same number of components and train for at most 12 epochs. With
# ``init="random"``, the convolutional one is kept even if it is worse than PCA. The
# last model is again convolutional, with the pixels of all images shuffled in the same
# way. Shuffling would not change PCA or the dense autoencoder.

order = np.random.default_rng(0).permutation(side**2)


def as_rows(images):
    return images.reshape(len(images), side**2)


def shuffled(images):
    return as_rows(images)[:, order].reshape(images.shape)


def put_back(images):
    return as_rows(images)[:, np.argsort(order)].reshape(images.shape)


def as_they_are(images):
    return images


settings = {"max_epochs": 12, "random_state": 0}
dense = AutoencoderTransformer(n_components, **settings)
convolutional = ConvAutoencoder(n_components, init="random", **settings)
# Each entry has a model, and functions that change images before and after it.
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
# Held-out images above the reconstructions of each model.

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
plt.show()
