"""
New rows from codes
===================

A decoder turns any code into an image. To get new images, one needs codes like those of
the training images. A variational autoencoder is trained so that codes come from a
normal distribution; for any other autoencoder, and for PCA, a Gaussian mixture is
fitted to the codes afterwards.

The mixture is worth it for the variational autoencoder, too: its codes are only near to
the distribution that they should have, and many draws from that lie where no image has
its code. No way makes images that pass for real ones: thirty numbers do not hold what
tells a shirt from another. Between two images, the codes on the way stand for images
that are a bit of both.
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
from sklearn.datasets import fetch_openml, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderSampler, AutoencoderTransformer, VariationalAutoencoder
from skae.plotting import CodeGridDisplay

parser = argparse.ArgumentParser()
parser.add_argument("--fast", action="store_true", help="few rows and epochs")
parser.add_argument("--output", type=Path, default=Path("sampling.png"))
args = parser.parse_args()


def fashion_mnist():
    folder = Path("/usr/share/datasets/fashion-mnist")
    if not folder.exists():
        return fetch_openml("Fashion-MNIST", as_frame=False).data
    with gzip.open(folder / "train-images-idx3-ubyte.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=16).reshape(-1, 784)


try:
    X = fashion_mnist()
    print("Data: Fashion-MNIST, 28 x 28 pixels")
except (urllib.error.URLError, OSError) as error:
    X = load_digits().data
    print(f"Data: scikit-learn's digits, 8 x 8 pixels (no Fashion-MNIST: {error})")
X = (X / X.max()).astype(np.float32)
n_rows = min(1_500 if args.fast else 10_000, len(X) * 3 // 4)
X, X_test = train_test_split(X, train_size=n_rows, random_state=0)
side = int(np.sqrt(X.shape[1]))

# %%
# An image is a code, decoded: without the noise that ``AutoencoderSampler.sample`` adds
# to what the decoder gives, which is of use where rows are a table.

n_images = 14
k = 10 if args.fast else 30
max_epochs = 3 if args.fast else "auto"
autoencoder = AutoencoderTransformer(k, max_epochs=max_epochs, random_state=0)
vae = VariationalAutoencoder(k, max_epochs=max_epochs, random_state=0)

images = {"held-out images": X_test[:n_images]}
for name, model in {
    "PCA,\nmixture": PCA(k, random_state=0),
    "autoencoder,\nmixture": autoencoder,
    "variational,\nmixture": vae,
}.items():
    start = time.perf_counter()
    model.fit(X)
    fitted = time.perf_counter()
    sampler = AutoencoderSampler(FrozenEstimator(model), random_state=0).fit(X)
    print(
        f"{name.replace(chr(10), ' '):24}{fitted - start:6.1f} seconds, and "
        f"{time.perf_counter() - fitted:.1f} for a mixture of {len(sampler.weights_)}"
    )
    codes = sampler.sample_codes(n_images, random_state=0)
    images[name] = model.inverse_transform(codes)
prior = np.random.default_rng(0).normal(size=(n_images, k))
images["variational,\nprior"] = vae.inverse_transform(prior)

# %%
# Rows of a table are drawn by ``sample``. A pipeline goes back to the units of the
# table, and whole numbers stay whole: of wine, the last column is one.

wine = load_wine()
pipeline = make_pipeline(
    StandardScaler(), AutoencoderTransformer(4, max_epochs=max_epochs, random_state=0)
)
sampler = AutoencoderSampler(pipeline, random_state=0).fit(wine.data)
np.set_printoptions(precision=2, suppress=True, linewidth=100)
print("\nRows of wine:", wine.data[:3], "New rows:", sampler.sample(3, 0), sep="\n")

# %%
# One picture: images by each way to draw them, and ways between two images.

figure = plt.figure(figsize=(11, 7.5), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=[5, 3.2])
axes = top.subplots(len(images), n_images, subplot_kw={"xticks": [], "yticks": []})
for row, (name, drawn) in zip(axes, images.items(), strict=True):
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, image in zip(row, drawn, strict=True):
        ax.imshow(image.reshape(side, side), cmap="gray_r", vmin=0, vmax=1)
bottom.suptitle("From the code of one image to that of another")
for i, ax in enumerate(bottom.subplots(3, 1)):
    CodeGridDisplay.from_path(
        autoencoder,
        X_test[2 * i],
        X_test[2 * i + 1],
        image_shape=(side, side),
        n_steps=n_images,
        ax=ax,
    )
    ax.set_xlabel("")
figure.savefig(args.output, dpi=110)
print(f"\nPicture: {args.output}")
