"""
Reconstructions are bad: what to try
====================================

Three remedies help: more epochs, more and wider layers, and more components.
:func:`~skae.diagnose` suggests which to try first. The table below has the share of the
variance of held-out images that is reconstructed after each remedy.

A network that is too powerful memorises. The last network reconstructs its hundred
training images very well, from two numbers each. It has memorised them, and the two
numbers only identify the image. On held-out images it is worse than PCA. So judge a
network by held-out rows, never by training rows.
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
# Each remedy is added to those before it. :func:`~skae.diagnose` checks the first try,
# and suggests what to do.

n_columns, side = 12, 28
none = {"xticks": [], "yticks": []}


def show(axes, images):
    for ax, image in zip(axes, images, strict=False):
        ax.imshow(image.reshape(side, side), cmap="gray_r", vmin=0, vmax=1)


steps = {
    "first try": {"n_components": 2, "hidden_layer_sizes": (30,), "max_epochs": 2},
    "more epochs": {"max_epochs": 40},
    "more layers": {"hidden_layer_sizes": (200, 100)},
    "more components": {"n_components": 16},
}
print(f"{len(X)} images to train on, {len(X_test)} held out\n")
print(
    f"{'':16}{'size':>4}{'layers':>12}{'epochs':>8}{'R², held out':>14}{'seconds':>9}"
)
params, models = {"random_state": 0}, {}
for name, changes in steps.items():
    params |= changes
    start = time.perf_counter()
    models[name] = model = AutoencoderTransformer(**params).fit(X)
    print(
        f"{name:16}{model.n_components:>4}{model.hidden_layer_sizes!s:>12}"
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
# The diagnosis of the first try:

print(diagnose(models["first try"], X_test, X))

# %%
# The diagnosis of the last one:

print(diagnose(models["more components"], X_test, X))

# %%
# A network that is too powerful
# ------------------------------
#
# Now the same remedies are taken too far: wide layers and a long training, with few
# images and two components. This needs settings other than the defaults. By default,
# training starts at PCA, and a network that makes held-out rows worse is not kept.

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
# On its training images, the powerful network looks best of all.

figure, axes = plt.subplots(
    4, n_columns, figsize=(11, 4.2), layout="constrained", subplot_kw=none
)
figure.suptitle("Two components, memorised: good on training images, bad on others")
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
