"""
What a sparse code says of an image
===================================

PCA describes every image by the same thirty components, each a little of everything.
:class:`~skae.SparseAutoencoder` has three hundred atoms and describes an image by
thirty of them, other ones for each image, and none is subtracted. What do the atoms
look like, and which of them make an image?

Some of the atoms used most are broad shapes, others the edge of a part: a neckline, a
hem, a heel. Components of PCA have all the outlines at once. With as many numbers to an
image that are not zero, the error of held-out images is well below that of PCA; but
which they are, the code has to say, too.
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

from skae import SparseAutoencoder

parser = argparse.ArgumentParser()
parser.add_argument("--fast", action="store_true", help="few rows, pixels and epochs")
parser.add_argument("--output", type=Path, default=Path("sparse.png"))
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
images = images.reshape(-1, side**2)
n_units, n_active = (300, 30) if side == 28 else (80, 8)
n_rows = 1_500 if args.fast else 10_000
train, test = train_test_split(
    images, train_size=min(n_rows, len(images) * 3 // 4), random_state=0
)
test = test[:2000]

# %%
# Three ways to make codes sparse: keep the largest entries and set the others to zero
# (``"topk"``, the default), penalise their sum (``"l1"``), or draw the mean of each
# unit over the images to a low target (``"kl"``, with codes between 0 and 1).
# ``sparsity`` is the share of active units that ``"topk"`` keeps and ``"kl"`` aims at;
# with ``"l1"``, ``penalty_weight`` decides it. `code_activity_` tells what came of it.

settings = {
    "sparsity": n_active / n_units,
    "max_epochs": 15 if args.fast else "auto",
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
# "Active" is the mean number of entries that are not zero; with ``"kl"``, where no
# entry is zero, it is the sum of the units' means, which the target is for.
#
# The atoms are the columns of the decoder's weights. One image is taken apart: the
# mean image, and then its most active atoms, each with the sum so far.

sparse = models["topk"]
order = np.argsort(sparse.code_activity_)[::-1]
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

# %%
# Above: components of PCA, and the atoms that are active most often. Red adds to a
# pixel, blue takes from it. Below: one image, and how it comes about. All other atoms
# are silent.

figure = plt.figure(figsize=(11, 7), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=[4, 3])


def show_atoms(axes, atoms):
    for ax, atom in zip(axes, atoms, strict=False):
        limit = np.abs(atom).max()
        ax.imshow(atom.reshape(side, side), cmap="RdBu_r", vmin=-limit, vmax=limit)


def show_images(axes, images):
    for ax, image in zip(axes, images, strict=False):
        ax.imshow(image.reshape(side, side), cmap="gray_r", vmin=0, vmax=1)


n_columns = 12
none = {"xticks": [], "yticks": []}
axes = top.subplots(4, n_columns, subplot_kw=none)
show_atoms(axes[:2].ravel(), models["PCA"].components_[: 2 * n_columns])
show_atoms(axes[2:].ravel(), sparse.components_[order[: 2 * n_columns]])
axes[0, 0].set_ylabel("PCA")
axes[2, 0].set_ylabel("atoms")

axes = bottom.subplots(2, n_columns, subplot_kw=none)
show_images(axes[:, 0], [test[example], sparse.reconstruct(test[[example]])[0]])
axes[0, 0].set_ylabel("image")
axes[1, 0].set_ylabel(f"{(code > 0).sum()} atoms")
show_atoms(axes[0, 2:], sparse.components_[largest])
show_images(axes[1, 1:], sums)
axes[1, 1].set_title("no atom", fontsize=9)
for n in range(1, len(sums)):
    axes[1, 1 + n].set_title(f"+ {n}", fontsize=9)
for ax in figure.axes:
    if not ax.images:  # a place too many
        ax.axis("off")
figure.savefig(args.output, dpi=110)
print(f"\nPicture: {args.output}")
