"""
New images and rows from codes
==============================

A decoder turns any code into an image. To draw new images, one needs codes like those
of the training images. A variational autoencoder is trained so that codes come from a
normal distribution. For any other autoencoder, and for PCA, a Gaussian mixture is
fitted to the codes afterwards.

The codes of the variational autoencoder are only near to the distribution that they
should have, so a mixture can be fitted to them, too. No way makes images that pass for
real ones: thirty numbers do not hold what distinguishes one shirt from another. Between
two images, the codes on the way stand for images that are a bit of both.
"""

# %%
# The data: :func:`~skae.datasets.load_fashion_mnist`, from Debian's package or from
# OpenML.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderSampler, AutoencoderTransformer, VariationalAutoencoder
from skae.datasets import load_fashion_mnist
from skae.plotting import CodeGridDisplay

X = load_fashion_mnist(n_samples=5_000).data
X_test = load_fashion_mnist(subset="test", n_samples=100).data
side = 28

# %%
# An image is a code, decoded: without the noise that ``AutoencoderSampler.sample`` adds
# to what the decoder gives, which is of use where rows are a table.

n_images = 14
k = 30
autoencoder = AutoencoderTransformer(k, random_state=0)
vae = VariationalAutoencoder(k, random_state=0)

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
pipeline = make_pipeline(StandardScaler(), AutoencoderTransformer(4, random_state=0))
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
    ax.set_xlabel("from the first image, at the left, to the second" if i == 2 else "")
plt.show()
