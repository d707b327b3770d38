"""
Reconstructions are bad: what to try
====================================

Three things help, one after the other: more epochs, more and wider layers, more
components. :func:`~skae.diagnose` says which to begin with. The table below has the
share of the variance of held-out images that comes back after each of them.

But beware of a network that can do anything. The last one reconstructs its two hundred
training images almost perfectly, from two numbers each. It has learned them by heart,
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

X = load_fashion_mnist(n_samples=5_000).data
X_test = load_fashion_mnist(subset="test", n_samples=2_000).data
side = 28

# %%
# One remedy after the other
# --------------------------
#
# Each is added to those before it. :func:`~skae.diagnose` looks at the first try, and
# names what to do about it.

steps = {
    "first try": {"n_components": 2, "hidden_layer_sizes": (30,), "max_epochs": 2},
    "more epochs": {"max_epochs": 50},
    "more layers": {"hidden_layer_sizes": (256, 128)},
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

n_few = 200
start = time.perf_counter()
powerful = AutoencoderTransformer(
    2,
    hidden_layer_sizes=(300, 300),
    init="random",
    validation_fraction=None,
    max_epochs=1_000,
    random_state=0,
).fit(X[:n_few])
print(f"{time.perf_counter() - start:.1f} seconds")
print(f"R² of the images trained on: {powerful.score(X[:n_few]):.3f}")
print(f"R² of others: {powerful.score(X_test):.3f}\n")
print(diagnose(powerful, X_test, X[:n_few]))

# %%
# One picture. Above: held-out images, and what becomes of them with each remedy. Below:
# the powerful network, which looks best of all if one looks at what it was trained on.

figure = plt.figure(figsize=(10, 7), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=[5, 2.4])
n_columns = 12
none = {"xticks": [], "yticks": []}


def show(axes, images):
    for ax, image in zip(axes, images, strict=False):
        ax.imshow(image.reshape(side, side), cmap="gray_r", vmin=0, vmax=1)


top.suptitle("Held-out images: one remedy after the other")
axes = top.subplots(1 + len(models), n_columns, subplot_kw=none)
show(axes[0], X_test)
axes[0, 0].set_ylabel("image", rotation=0, ha="right", va="center")
for row, (name, model) in zip(axes[1:], models.items(), strict=True):
    show(row, model.reconstruct(X_test[:n_columns]))
    label = f"{name},\nR² {model.score(X_test):.2f}"
    row[0].set_ylabel(label, rotation=0, ha="right", va="center")

halves = bottom.subfigures(1, 2)
for half, rows, title in zip(
    halves, [X[:n_few], X_test], ["trained on", "held out"], strict=True
):
    half.suptitle(f"Too powerful: images {title}, R² {powerful.score(rows):.2f}")
    axes = half.subplots(2, n_columns // 2, subplot_kw=none)
    axes[0, 0].set_ylabel("image")
    axes[1, 0].set_ylabel("output")
    show(axes[0], rows)
    show(axes[1], powerful.reconstruct(rows[: n_columns // 2]))
plt.show()
