"""
Reconstructions are bad: what to try
====================================

Three things help, one after the other: more epochs, more and wider layers, more
components. :func:`~skae.diagnose` says which to begin with. The table below has the
share of the variance of held-out images that comes back after each of them.

But beware of a network that can do anything. The last one reconstructs its hundred
training images very well, from two numbers each. It has learned them by heart,
and the two numbers say which image it is. For held-out images it is worse than PCA. So
look at held-out rows, never at those of training.
"""

# %%
# The data: :func:`~skae.datasets.load_fashion_mnist`, from Debian's package or from
# OpenML.

import time

import matplotlib.pyplot as plt

from skae import AutoencoderTransformer, diagnose
from skae.datasets import load_fashion_mnist

X = load_fashion_mnist(n_samples=1_500).data
X_test = load_fashion_mnist(subset="test", n_samples=500).data

# %%
# One remedy after the other
# --------------------------
#
# Each is added to those before it. :func:`~skae.diagnose` looks at the first try, and
# names what to do about it.

n_columns, side = 12, 28
none = {"xticks": [], "yticks": []}


def show(axes, images):
    for ax, image in zip(axes, images, strict=False):
        ax.imshow(image.reshape(side, side), cmap="gray_r", vmin=0, vmax=1)


steps = {
    "first try": {"n_components": 2, "hidden_layer_sizes": (30,), "max_epochs": 2},
    "more epochs": {"max_epochs": 40},
    "more layers": {"hidden_layer_sizes": (200, 100)},
    "more codes": {"n_components": 16},
}
print(f"{len(X)} images to train on, {len(X_test)} held out\n")
print(
    f"{'':14}{'codes':>6}{'layers':>12}{'epochs':>8}{'R², held out':>14}{'seconds':>9}"
)
params, models = {"random_state": 0}, {}
for name, changes in steps.items():
    params |= changes
    start = time.perf_counter()
    models[name] = model = AutoencoderTransformer(**params).fit(X)
    print(
        f"{name:14}{model.n_components:>6}{model.hidden_layer_sizes!s:>12}"
        f"{model.n_iter_:>8}{model.score(X_test):>14.3f}"
        f"{time.perf_counter() - start:>9.1f}"
    )

figure, axes = plt.subplots(
    1 + len(models),
    n_columns,
    figsize=(11, 5),
    layout="constrained",
    subplot_kw=none,
)
figure.suptitle("Held-out images, and their reconstructions after each remedy")
show(axes[0], X_test)
axes[0, 0].set_ylabel("image", rotation=0, ha="right", va="center")
for row, (name, model) in zip(axes[1:], models.items(), strict=True):
    show(row, model.reconstruct(X_test[:n_columns]))
    label = f"{name},\nR² {model.score(X_test):.2f}"
    row[0].set_ylabel(label, rotation=0, ha="right", va="center")
plt.show()

# %%
# What is found in the first try:

print(diagnose(models["first try"], X_test, X))

# %%
# And in the last:

print(diagnose(models["more codes"], X_test, X))

# %%
# Too much of it
# --------------
#
# Now the same remedies without measure: wide layers and a long training, for a few
# images and two codes. It is done by hand here, because by default training starts at
# PCA, and what makes held-out rows worse is not kept.

n_few = 100
start = time.perf_counter()
powerful = AutoencoderTransformer(
    2,
    hidden_layer_sizes=(200, 200),
    init="random",
    validation_fraction=None,
    max_epochs=500,
    random_state=0,
).fit(X[:n_few])
print(f"{time.perf_counter() - start:.1f} seconds")
print(f"R² of the images trained on: {powerful.score(X[:n_few]):.3f}")
print(f"R² of others: {powerful.score(X_test):.3f}\n")
print(diagnose(powerful, X_test, X[:n_few]))

# %%
# On the images that it was trained on, the powerful network looks best of all.

figure, axes = plt.subplots(
    4, n_columns, figsize=(11, 4.2), layout="constrained", subplot_kw=none
)
figure.suptitle("Two codes, learned by heart: good where trained, bad on other images")
for pair, rows, name in [
    (axes[:2], X[:n_few], "trained on"),
    (axes[2:], X_test, "held out"),
]:
    show(pair[0], rows)
    show(pair[1], powerful.reconstruct(rows[:n_columns]))
    labels = name, f"output,\nR² {powerful.score(rows):.2f}"
    for ax, label in zip(pair[:, 0], labels, strict=True):
        ax.set_ylabel(label, rotation=0, ha="right", va="center")
plt.show()
