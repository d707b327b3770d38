"""
Time series of unequal length
=============================

How can time series of unequal length be encoded as a few numbers, and decoded?

The data are generated: figures drawn with a pen whose position is recorded at regular
intervals. A slowly drawn figure is a long series, so the series do not fit into a table
without gaps. :class:`~skae.RecurrentAutoencoder` accepts them as a list.

The start of the autoencoder is PCA of padded rows. Two decoders are compared with it:
the recurrent one, and the dense one, which computes all steps at once. The table below
has their errors and times.
"""

# %%
# The data
# --------
#
# Five kinds of figures, drawn with different speed, size and slant.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from skae import RecurrentAutoencoder

FIGURES = {
    "circle": lambda t: (np.cos(2 * np.pi * t), np.sin(2 * np.pi * t)),
    "eight": lambda t: (np.sin(4 * np.pi * t) / 1.5, np.cos(2 * np.pi * t)),
    "spiral": lambda t: (t * np.cos(4 * np.pi * t), t * np.sin(4 * np.pi * t)),
    "wave": lambda t: (2 * t - 1, np.sin(4 * np.pi * t) / 2),
    "zigzag": lambda t: (2 * t - 1, np.abs(6 * t % 2 - 1) - 0.5),
}


def draw(n_figures, rng):
    """Series of shape (steps, 2), and which figure each of them is."""
    names = rng.choice(list(FIGURES), n_figures)
    series = []
    for name in names:
        n_steps = rng.integers(15, 41)
        t = np.linspace(0, 1, n_steps) ** rng.uniform(0.7, 1.4)  # slow or fast first
        angle, size = rng.normal(scale=0.2), rng.uniform(0.7, 1.3)
        turn = np.array(
            [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        )
        points = size * np.stack(FIGURES[name](t), axis=1) @ turn
        series.append(points + rng.normal(scale=0.02, size=points.shape))
    return series, names


rng = np.random.default_rng(0)
series, names = draw(800, rng)
new, new_names = draw(300, rng)
print(f"{len(series)} series of {min(map(len, series))} to {max(map(len, series))}")

# %%
# Codes of eight numbers
# ----------------------
#
# For comparison: PCA of rows that are padded with the mean of the column after the end
# of a series.

N_COMPONENTS = 8
N_STEPS = 40


def padded(series):
    """Rows with NaN after the ends."""
    table = np.full((len(series), N_STEPS, 2), np.nan)
    for row, each in zip(table, series, strict=True):
        row[: len(each)] = each
    return table.reshape(len(table), -1)


def errors(X, X_hat):
    """Mean squared error of each series over the steps that it has."""
    return np.nanmean((X - X_hat) ** 2, axis=1)


X, X_new = padded(series), padded(new)
mean = np.nanmean(X, axis=0)
filled, filled_new = (np.where(np.isnan(each), mean, each) for each in (X, X_new))
start = time.perf_counter()
pca = PCA(N_COMPONENTS).fit(filled)
seconds = {"PCA of padded rows": time.perf_counter() - start}

models = {
    "recurrent decoder": RecurrentAutoencoder(N_COMPONENTS),
    "dense decoder": RecurrentAutoencoder(N_COMPONENTS, decoder="dense"),
}
for name, model in models.items():
    model.set_params(series_shape=(N_STEPS, 2), max_epochs=30, random_state=0)
    start = time.perf_counter()
    model.fit(series)
    seconds[name] = time.perf_counter() - start

codes = {"PCA of padded rows": (pca.transform(filled), pca.transform(filled_new))}
rows = {"PCA of padded rows": pca.inverse_transform(pca.transform(filled_new))}
for name, model in models.items():
    codes[name] = model.transform(series), model.transform(new)
    rows[name] = model.reconstruct(new).reshape(len(new), -1)

# %%
# The error is that of the positions of the pen. The accuracy is that of a classifier
# that predicts the kind of figure by the nearest code. Codes of series of unequal
# length can be the input of any classifier. Few epochs are enough to compare the
# decoders; with more epochs, both errors are lower.

print(f"\n{'':20}{'error':>10}{'accuracy':>10}{'seconds':>10}")
for name, X_hat in rows.items():
    classifier = KNeighborsClassifier(1).fit(codes[name][0], names)
    accuracy = classifier.score(codes[name][1], new_names)
    print(
        f"{name:20}{errors(X_new, X_hat).mean():>10.4f}{accuracy:>10.3f}"
        f"{seconds[name]:>10.1f}"
    )

# %%
# Figures are grey, and their reconstructions are coloured. Each reconstruction ends
# where its series ends.

shown = [list(new_names).index(name) for name in FIGURES]
figure, axes = plt.subplots(
    len(rows),
    len(shown),
    figsize=(9, 6),
    sharex=True,
    sharey=True,
    layout="constrained",
    subplot_kw={"aspect": "equal", "xticks": [], "yticks": []},
)
figure.suptitle("Figures, and their reconstructions from eight numbers")
for row, (name, X_hat) in zip(axes, rows.items(), strict=True):
    for ax, i in zip(row, shown, strict=True):
        there = np.isfinite(X_new[i]).reshape(-1, 2)[:, 0]
        ax.plot(*new[i].T, color="0.75", linewidth=4, label="drawn")
        shape = X_hat[i].reshape(-1, 2)[there]
        ax.plot(*shape.T, color="tab:blue", label="reconstructed")
    row[0].set_ylabel(name)
for ax, i in zip(axes[0], shown, strict=True):
    ax.set_title(f"{new_names[i]}, {len(new[i])} steps")
handles = axes[0, 0].get_legend_handles_labels()
figure.legend(*handles, loc="outside lower center", ncols=2)
plt.show()
