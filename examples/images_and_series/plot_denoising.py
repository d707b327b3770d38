"""
Denoising images and sensor data
================================

New measurements may be noisier than those of training. Can a denoising autoencoder
remove the noise?

The first part is about images, the second about a table of measurements before four
classifiers. The denoiser is compared with the best linear denoiser, which is its start,
and with no denoiser. On the table there is another remedy, if the classifier may be
trained again: noisy copies of its training rows.
"""

# %%
# Images
# ------
#
# The data: scikit-learn's digits, a quarter of them held out.

import tempfile
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skae import DenoisingAutoencoder

train_images, clean = train_test_split(load_digits().data / 16, random_state=0)
rng = np.random.default_rng(0)
std = 0.3
noisy = clean + rng.normal(scale=std, size=clean.shape)

# %%
# All are trained on clean images. The denoisers make their own noise in training; its
# level is in units of the scale of the data, the root of the mean variance over the
# pixels. Without hidden layers the estimator is the best linear denoiser, in
# closed form. PCA with eight components is a cheap remedy: it removes everything that
# eight numbers cannot represent, noise or not.

level = std / np.sqrt(train_images.var(axis=0).mean())
models = {
    "PCA, 8": PCA(8, random_state=0),
    "linear": DenoisingAutoencoder(
        hidden_layer_sizes=(), noise_level=level, random_state=0
    ),
    "skae": DenoisingAutoencoder(noise_level=level, max_epochs=40, random_state=0),
}


def gain(noisy, denoised, clean):
    """Decibels by which the mean squared error falls."""
    before, after = (np.mean((X - clean) ** 2) for X in (noisy, denoised))
    return 10 * np.log10(before / after)


rows = {"clean": clean, "noisy": noisy}
print(f"{len(train_images)} images to train on, {len(clean)} held out\n")
table = [
    f"{'':8}{'error, noisy images':>20}{'gain':>10}{'error, clean images':>21}"
    f"{'seconds':>9}",
    f"{'nothing':8}{np.mean((noisy - clean) ** 2):>20.4f}{0:>7.2f} dB{0:>21.4f}",
]
for name, model in models.items():
    start = time.perf_counter()
    model.fit(train_images)
    seconds = time.perf_counter() - start
    # PCA has no `reconstruct`.
    denoised, of_clean = (
        model.inverse_transform(model.transform(X)) for X in (noisy, clean)
    )
    table.append(
        f"{name:8}{np.mean((denoised - clean) ** 2):>20.4f}"
        f"{gain(noisy, denoised, clean):>7.2f} dB"
        f"{np.mean((of_clean - clean) ** 2):>21.4f}{seconds:>9.1f}"
    )
    rows[name] = denoised
print("\n" + "\n".join(table))

# %%
# The errors are mean squared errors against the clean pixels. The gain compares them
# with the noisy images: 3 dB is half the error, 10 dB a tenth. The error of clean
# images is the price: the change of images without noise. If only some rows are noisy,
# set ``noise_level`` to a pair such as ``(0, level)``; each row then draws its own
# level in training.

figure, axes = plt.subplots(
    len(rows),
    12,
    figsize=(11, 4.8),
    layout="constrained",
    subplot_kw={"xticks": [], "yticks": []},
)
figure.suptitle("Held-out images: clean, noisy, and denoised in three ways")
for row_of_axes, (name, shown) in zip(axes, rows.items(), strict=True):
    row_of_axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, image in zip(row_of_axes, shown, strict=False):
        ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
plt.show()

# %%
# A table
# -------
#
# Thirty columns measured on images of cells, and whether the tumour is malignant. A
# classifier was trained on good measurements. New rows come from a worse instrument:
# the standard deviation of the noise equals that of the column. In a pipeline,
# ``output="reconstruction"`` makes `transform` return denoised columns in place of
# codes. On standardised columns, the level of the noise is its standard deviation.

X, y = load_breast_cancer(return_X_y=True)
remedies = {
    "nothing": [],
    "linear": [
        DenoisingAutoencoder(
            hidden_layer_sizes=(),
            noise_level=1.0,
            output="reconstruction",
            random_state=0,
        )
    ],
    "skae": [
        DenoisingAutoencoder(
            noise_level=1.0,
            output="reconstruction",
            max_epochs=100,
            random_state=0,
        )
    ],
}
classifiers = {
    "logistic regression": LogisticRegression(max_iter=1000),
    "nearest neighbours": KNeighborsClassifier(),
    "random forest": RandomForestClassifier(50, random_state=0),
    "support vectors": SVC(),
}

# %%
# In three folds, each row is tested by classifiers that have not seen it, with three
# draws of the noise. There are two comparisons: the same classifiers on rows without
# noise, and classifiers without a denoiser that are trained on three noisy copies of
# each row. The pipelines cache their first steps, so each denoiser is trained once for
# all classifiers.

rng = np.random.default_rng(0)
n_splits, n_copies = 3, 3


def noisy_copies(rows, spread):
    rows = np.tile(rows, (n_copies, 1))
    return rows + rng.normal(size=rows.shape) * spread


accuracies = {name: [] for name in ("no noise", *remedies, "noisy copies")}
gains = {"linear": [], "skae": []}
folds = StratifiedKFold(n_splits, shuffle=True, random_state=0)
with tempfile.TemporaryDirectory() as cache:
    for train, test in folds.split(X, y):
        spread = X[train].std(axis=0)
        X_noisy, y_noisy = noisy_copies(X[test], spread), np.tile(y[test], n_copies)
        for remedy, steps in remedies.items():
            fitted = [
                make_pipeline(StandardScaler(), *steps, classifier, memory=cache).fit(
                    X[train], y[train]
                )
                for classifier in classifiers.values()
            ]
            accuracies[remedy].append([p.score(X_noisy, y_noisy) for p in fitted])
            if remedy == "nothing":
                accuracies["no noise"].append(
                    [p.score(X[test], y[test]) for p in fitted]
                )
            else:
                scaler, denoiser = fitted[0][:1], fitted[0][:2]
                Z = np.tile(scaler.transform(X[test]), (n_copies, 1))
                Z_noisy = scaler.transform(X_noisy)
                gains[remedy].append(gain(Z_noisy, denoiser.transform(X_noisy), Z))
        X_copies, y_copies = noisy_copies(X[train], spread), np.tile(y[train], n_copies)
        fitted = [
            make_pipeline(StandardScaler(), classifier).fit(X_copies, y_copies)
            for classifier in classifiers.values()
        ]
        accuracies["noisy copies"].append([p.score(X_noisy, y_noisy) for p in fitted])

accuracies = {name: np.array(scores) for name, scores in accuracies.items()}
print(
    f"\nBreast cancer: {X.shape[0]} rows of {X.shape[1]} columns in {n_splits} folds\n"
    "Gain on noisy columns: "
    + ", ".join(f"{name} {np.mean(values):.2f} dB" for name, values in gains.items())
    + "\n\n"
    + f"{'accuracy':20}"
    + "".join(f"{name:>14}" for name in accuracies)
    + "   skae − nothing"
)
for i, name in enumerate(classifiers):
    change = accuracies["skae"][:, i] - accuracies["nothing"][:, i]
    print(
        f"{name:20}"
        + "".join(f"{scores[:, i].mean():>14.3f}" for scores in accuracies.values())
        + f"   {change.mean():+.3f} ({change.min():+.3f} to {change.max():+.3f})"
    )

# %%
# The worst and the best fold are in brackets. A test fold has about two hundred rows,
# so differences of one percentage point mean little. The example has no noise of a kind
# or strength that the denoiser was not trained for. It also has no unrelated columns: a
# denoiser needs columns that depend on each other, as these do.

# %%
# The mean accuracies over the folds.

figure, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
styles = {
    "no noise": {"color": "0.4", "marker": "|"},
    "nothing": {"color": "k", "marker": "x"},
    "linear": {"color": "tab:blue", "marker": "o"},
    "skae": {"color": "tab:orange", "marker": "o"},
    "noisy copies": {"color": "tab:green", "marker": "^"},
}
for name, scores in accuracies.items():
    means = scores.mean(axis=0)
    ax.scatter(means, list(classifiers), label=name, s=60, alpha=0.8, **styles[name])
ax.invert_yaxis()
ax.margins(y=0.15)
ax.set(xlabel="accuracy", title="Breast cancer: accuracy on noisy rows, by remedy")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()
