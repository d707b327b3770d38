"""
Quick start: an autoencoder in place of PCA
===========================================

PCA and an autoencoder reduce images of clothing to eight numbers each. A classifier and
t-SNE use these codes. The autoencoder starts as PCA. After training, it reconstructs
held-out images better than PCA. It takes seconds, where PCA takes a fraction of one.
"""

# %%
# The data: :func:`~skae.datasets.load_fashion_mnist`, from Debian's package or from
# OpenML.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.manifold import TSNE
from sklearn.metrics import r2_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import AutoencoderTransformer
from skae.datasets import load_fashion_mnist

X, y = load_fashion_mnist(n_samples=5_000, return_X_y=True)
X_test, y_test = load_fashion_mnist(subset="test", n_samples=1_000, return_X_y=True)

# %%
# The two pipelines differ in one step.

steps = {
    "PCA": PCA(8, random_state=0),
    "skae": AutoencoderTransformer(8, random_state=0),
}
pipelines, reconstructions = {}, {}
print(f"{len(X)} rows to train on, {len(X_test)} held out, 8 components\n")
table = [f"{'':6}{'R² of reconstruction':>22}{'accuracy':>10}{'seconds':>9}"]
for name, step in steps.items():
    pipeline = make_pipeline(MinMaxScaler(), step, KNeighborsClassifier(10))
    start = time.perf_counter()
    pipeline.fit(X, y)
    seconds = time.perf_counter() - start
    accuracy = pipeline.score(X_test, y_test)
    # The first two steps, there and back again.
    X_hat = pipeline[:2].inverse_transform(pipeline[:2].transform(X_test))
    r2 = r2_score(X_test, X_hat, multioutput="variance_weighted")
    table.append(f"{name:6}{r2:>22.3f}{accuracy:>10.3f}{seconds:>9.1f}")
    pipelines[name], reconstructions[name] = pipeline, X_hat
print("\n" + "\n".join(table))

# %%
# A second pipeline ends in t-SNE. The trained steps are frozen, so the pipeline does
# not train them again on the held-out rows.

frozen = [FrozenEstimator(step) for step in pipelines["skae"][:2]]
tsne = TSNE(max_iter=1000, random_state=0)
points = make_pipeline(*frozen, tsne).fit_transform(X_test)

# %%
# The picture shows held-out images above their reconstructions, the loss by epoch, and
# the map by t-SNE.

figure = plt.figure(figsize=(11, 7), layout="constrained")
figure.suptitle("Held-out images, and their reconstructions from eight numbers")
top, bottom = figure.subfigures(2, 1, height_ratios=[1.1, 1])

side = int(np.sqrt(X.shape[1]))
for i, (name, images) in enumerate({"images": X_test, **reconstructions}.items()):
    for j in range(12):
        ax = top.add_subplot(3, 12, 12 * i + j + 1, xticks=[], yticks=[])
        ax.imshow(images[j].reshape(side, side), cmap="gray_r", vmin=0, vmax=X.max())
        if j == 0:
            ax.set_ylabel(name)

loss_ax, map_ax = bottom.subplots(1, 2)
autoencoder = pipelines["skae"][1]
epochs = np.arange(autoencoder.n_iter_ + 1)
loss_ax.plot(epochs[1:], autoencoder.loss_curve_, label="training, with noise")
loss_ax.plot(epochs, autoencoder.validation_loss_curve_, label="validation")
loss_ax.axhline(
    autoencoder.validation_loss_curve_[0], color="0.6", linestyle=":", label="PCA"
)
loss_ax.set(xlabel="epoch", ylabel="mean squared error", title="Loss by epoch")
loss_ax.legend()
dots = map_ax.scatter(*points.T, c=y_test, cmap="tab10", s=6)
handles = dots.legend_elements()[0]
names = load_fashion_mnist(n_samples=1).target_names
map_ax.legend(handles, names, loc="center left", bbox_to_anchor=(1, 0.5), fontsize=9)
map_ax.set(xticks=[], yticks=[], title="t-SNE of the codes, coloured by class")
plt.show()
