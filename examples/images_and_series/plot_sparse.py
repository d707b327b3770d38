"""
Sparse codes of images
======================

PCA describes all images by the same thirty components.
:class:`~skae.SparseAutoencoder` has three hundred atoms. It describes each image by
thirty of them, which differ between images, and it never subtracts an atom. What do the
atoms look like, and which of them does an image consist of?

The error of held-out images is compared with that of PCA with as many components as a
sparse code has nonzero entries. The comparison favours the sparse code, because the
positions of its nonzero entries also contain information.
"""

# %%
# The data: :func:`~skae.datasets.load_fashion_mnist`, from Debian's package or from
# OpenML.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA

from skae import SparseAutoencoder
from skae.datasets import load_fashion_mnist

train = load_fashion_mnist(n_samples=3_000).data
test = load_fashion_mnist(subset="test", n_samples=1_000).data
side, n_units, n_active = 28, 300, 30

# %%
# Three ways to make codes sparse: keep the largest entries and set the others to zero
# (``"topk"``, the default), penalise their sum (``"l1"``), or penalise units whose mean
# over the images is not a low target (``"kl"``, with codes between 0 and 1).
# ``sparsity`` is the share of active units that ``"topk"`` keeps, and the target of
# ``"kl"``. With ``"l1"``, ``penalty_weight`` determines it. `code_activity_` has the
# resulting shares.

settings = {
    "sparsity": n_active / n_units,
    "max_epochs": 15,
    "random_state": 0,
}
models = {
    "PCA": PCA(n_active, random_state=0),
    **{
        penalty: SparseAutoencoder(n_units, penalty=penalty, **settings)
        for penalty in ("topk", "l1", "kl")
    },
}
print(f"{len(train)} images to train on, {len(test)} held out\n")
print(
    f"{'':6}{'units':>8}{'active':>9}{'dead':>7}{'mean squared error':>21}"
    f"{'seconds':>10}"
)
for name, model in models.items():
    start = time.perf_counter()
    model.fit(train)
    seconds = time.perf_counter() - start
    error = np.mean((test - model.inverse_transform(model.transform(test))) ** 2)
    if name == "PCA":
        units = active = n_active
        dead = 0
    else:
        units, dead = model.n_components_, model.n_dead_units_
        active = model.code_activity_.sum()
    print(f"{name:6}{units:>8}{active:>9.1f}{dead:>7}{error:>21.4f}{seconds:>10.1f}")

# %%
# "Active" is the mean number of entries that are not zero. With ``"kl"``, no entry is
# zero, and it is the sum of the units' means.
#
# The atoms are the columns of the decoder's weights. The picture shows components of
# PCA, and the atoms that are active most often. Red pixels are increased, and blue ones
# are decreased.

n_columns = 12
none = {"xticks": [], "yticks": []}


def show_atoms(axes, atoms):
    for ax, atom in zip(axes, atoms, strict=False):
        limit = np.abs(atom).max()
        ax.imshow(atom.reshape(side, side), cmap="RdBu_r", vmin=-limit, vmax=limit)


sparse = models["topk"]
order = np.argsort(sparse.code_activity_)[::-1]
figure, axes = plt.subplots(
    4, n_columns, figsize=(11, 4.2), subplot_kw=none, layout="constrained"
)
figure.suptitle("Components of PCA, and the sparse atoms that are most active")
show_atoms(axes[:2].ravel(), models["PCA"].components_[: 2 * n_columns])
show_atoms(axes[2:].ravel(), sparse.components_[order[: 2 * n_columns]])
for row, name in zip(axes, ["PCA", "PCA", "atoms", "atoms"], strict=True):
    row[0].set_ylabel(name)
plt.show()

# %%
# One image is the mean image plus its active atoms. The picture shows its most active
# atoms, each with the sum so far.

codes = sparse.transform(test)
example = np.argmin(np.abs(test.mean(axis=1) - np.median(test.mean(axis=1))))
code = codes[example]
largest = np.argsort(code * np.linalg.norm(sparse.components_, axis=1))[::-1]
largest = largest[: min(10, (code > 0).sum())]
sums = []
for n in range(len(largest) + 1):
    part = np.zeros_like(code)
    part[largest[:n]] = code[largest[:n]]
    sums.append(sparse.inverse_transform(part[None])[0])


def show_images(axes, images):
    for ax, image in zip(axes, images, strict=False):
        ax.imshow(image.reshape(side, side), cmap="gray_r", vmin=0, vmax=1)


figure, axes = plt.subplots(
    2, n_columns, figsize=(11, 2.3), subplot_kw=none, layout="constrained"
)
figure.suptitle("One image from its strongest atoms, one after the other")
show_images(axes[:, 0], [test[example], sparse.reconstruct(test[[example]])[0]])
show_atoms(axes[0, 2:], sparse.components_[largest])
show_images(axes[1, 1:], sums)
labels = [f"all {(code > 0).sum()}", "mean", *range(1, len(sums))]
for ax, label in zip(axes[1], labels, strict=False):
    ax.set_xlabel(label)
axes[0, 0].set_ylabel("image,\natoms")
axes[1, 0].set_ylabel("sum of")
for ax in figure.axes:
    if not ax.images:  # a place too many
        ax.axis("off")
plt.show()
