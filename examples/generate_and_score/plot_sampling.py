"""
Generating images and rows from codes
=====================================

A decoder turns any code into an image. New images need codes like those of the training
images. A variational autoencoder is trained so that codes have a normal distribution.
For any other autoencoder, and for PCA, a Gaussian mixture is fitted to the codes
afterwards.

The codes of the variational autoencoder are only approximately normal, so a mixture can
be fitted to them, too. None of the new images passes for a real one: twenty numbers do
not contain the details that distinguish one shirt from another. Codes between those of
two images are decoded to mixtures of both.
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

X = load_fashion_mnist(n_samples=2_000).data
test = load_fashion_mnist(subset="test", n_samples=14)
side = 28

# %%
# Codes are drawn and decoded. ``AutoencoderSampler.sample`` would also add noise to the
# output of the decoder, which is right for rows of a table.

n_images = len(test.data)
k = 20
autoencoder = AutoencoderTransformer(k, max_epochs=40, random_state=0)
vae = VariationalAutoencoder(k, max_epochs=40, random_state=0)

images = {"held-out images": test.data}
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
# Images of each method.

figure, axes = plt.subplots(
    len(images),
    n_images,
    figsize=(11, 4.8),
    layout="constrained",
    subplot_kw={"xticks": [], "yticks": []},
)
figure.suptitle("Held-out images, and new ones: codes drawn at random and decoded")
for row, (name, drawn) in zip(axes, images.items(), strict=True):
    row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, image in zip(row, drawn, strict=True):
        ax.imshow(image.reshape(side, side), cmap="gray_r", vmin=0, vmax=1)
plt.show()

# %%
# Images that the autoencoder decodes on straight lines between two codes. The first and
# the last image of each line are the reconstructions of two held-out images.

figure, axes = plt.subplots(3, 1, figsize=(11, 3.2), layout="constrained")
figure.suptitle("Decoded from codes between those of two images")
names = np.array(test.target_names)[test.target]
for ax, (i, j) in zip(axes, [(0, 1), (13, 2), (8, 9)], strict=True):
    display = CodeGridDisplay.from_path(
        autoencoder,
        test.data[i],
        test.data[j],
        image_shape=(side, side),
        n_steps=n_images,
        ax=ax,
    )
    display.image_.set_clim(0, 1)  # the range of the pixels
    ax.set_ylabel(f"{names[i]}\nto {names[j]}", rotation=0, ha="right", va="center")
    ax.set_xlabel("")
plt.show()

# %%
# A table
# -------
#
# ``sample`` draws rows of a table. With a pipeline, they have the units of the table.
# Whole numbers stay whole, such as the last column of wine.

wine = load_wine()
pipeline = make_pipeline(StandardScaler(), AutoencoderTransformer(4, random_state=0))
sampler = AutoencoderSampler(pipeline, random_state=0).fit(wine.data)
np.set_printoptions(precision=2, suppress=True, linewidth=100)
print("\nRows of wine:", wine.data[:3], "New rows:", sampler.sample(3, 0), sep="\n")
