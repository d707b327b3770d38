"""
Taking noise out of images and of sensor columns
================================================

If measurements are noisier than those at hand for training, does a denoising
autoencoder bring them back?

On images, yes: it takes out more noise than PCA, and more than the best linear
denoiser, which it starts from. To the eye the two differ in outlines and background.
Fine detail is lost to both, and an image that had no noise loses it too.

On a table, in part. The columns come nearer to their clean values, but the linear
denoiser does most of that already. Three of four classifiers trained on clean rows
judge noisy rows better after a denoiser; nearest neighbours hardly, and none comes
near to what it does on clean rows. Whether the denoiser has nonlinear layers changes
accuracy little. If you may train the classifier anew, noisy copies of its training
rows do as well for those three, without any denoiser.
"""

# %%
# Images
# ------
#
# The data: Fashion-MNIST, if it is installed (Debian's package
# ``dataset-fashion-mnist``) or can be fetched from OpenML, else scikit-learn's digits.

import argparse
import gzip
import tempfile
import time
import urllib.error
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import fetch_openml, load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skae import DenoisingAutoencoder

parser = argparse.ArgumentParser()
parser.add_argument("--fast", action="store_true", help="few rows, pixels and epochs")
parser.add_argument("--output", type=Path, default=Path("denoising.png"))
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

images = images.astype(np.float32) / images.max()
side = int(np.sqrt(images.shape[1]))
if args.fast:
    images = images.reshape(-1, side, side)[:, ::2, ::2].reshape(len(images), -1)
    side = (side + 1) // 2
n_rows = 1_500 if args.fast else 20_000
train_images, clean = train_test_split(
    images, train_size=min(n_rows, len(images) * 3 // 4), random_state=0
)
clean = clean[:1000]
rng = np.random.default_rng(0)
std = 0.3
noisy = clean + rng.normal(scale=std, size=clean.shape).astype(np.float32)

# %%
# All are trained on clean images. The denoisers make their own noise in training; its
# level is in units of the scale of the data, the root of the mean variance over the
# pixels. Without hidden layers the estimator is the best linear denoiser, in
# closed form. PCA with eight components is the cheap remedy: what eight numbers cannot
# hold is lost, noise or not.

level = std / np.sqrt(train_images.var(axis=0).mean())
models = {
    "PCA, 8": PCA(8, random_state=0),
    "linear": DenoisingAutoencoder(
        hidden_layer_sizes=(), noise_level=level, random_state=0
    ),
    "skae": DenoisingAutoencoder(
        noise_level=level,
        max_epochs=3 if args.fast else "auto",
        random_state=0,
        verbose=1,
    ),
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
# with doing nothing: 3 dB is half the error, 10 dB a tenth. The error of clean images
# is the price: what a denoiser does to an image that had no noise. If only some rows
# are noisy, give ``noise_level`` a pair such as ``(0, level)``; each row then draws its
# own in training.

# %%
# A table
# -------
#
# Thirty columns measured on images of cells, and whether the tumour is malignant. A
# classifier was trained on good measurements. The rows that it is to judge come from a
# worse instrument: the noise of a column is as strong as its spread. In a pipeline,
# ``output="reconstruction"`` makes the estimator give denoised columns in place of
# codes. On standardised columns the level of the noise is its standard deviation.

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
            max_epochs=20 if args.fast else "auto",
            random_state=0,
        )
    ],
}
classifiers = {
    "logistic regression": LogisticRegression(max_iter=1000),
    "nearest neighbours": KNeighborsClassifier(),
    "random forest": RandomForestClassifier(random_state=0),
    "support vectors": SVC(),
}

# %%
# In five folds each row is tested by classifiers that have not seen it, with five draws
# of the noise. Two things to compare with: the same classifiers on test rows without
# noise, and without denoiser but trained on five noisy copies of each training row. The
# pipelines cache their first steps, so each denoiser is trained once for all
# classifiers.

rng = np.random.default_rng(0)
n_splits, n_copies = (2, 1) if args.fast else (5, 5)


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
# In brackets: the worst and the best fold. A test fold has about a hundred rows, so
# differences of one point between remedies say little. Nor does this show what
# happens with noise of a kind or strength that the denoiser was not trained for, or
# with columns that have little to do with each other: a denoiser needs columns that
# tell something of one another, as these do.

# %%
# One picture: the images, and the mean accuracies over the folds.

figure = plt.figure(figsize=(10, 8.5), layout="constrained")
top, bottom = figure.subfigures(2, 1, height_ratios=[1.6, 1])

axes = top.subplots(len(rows), 10, subplot_kw={"xticks": [], "yticks": []})
for row_of_axes, (name, shown) in zip(axes, rows.items(), strict=True):
    row_of_axes[0].set_ylabel(name)
    for ax, image in zip(row_of_axes, shown, strict=False):
        ax.imshow(image.reshape(side, side), cmap="gray_r", vmin=0, vmax=1)

ax = bottom.subplots()
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
ax.set(xlabel="accuracy", title="Breast cancer, noisy test rows: mean over folds")
ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
figure.savefig(args.output, dpi=110)
print(f"\nPicture: {args.output}")
