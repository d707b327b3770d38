"""
Few labels: what pretraining is worth
=====================================

An autoencoder needs no labels, so it can learn from all rows, and its encoder can then
start a classifier that learns from the few rows that have a label. Does that help?

The fair control is the same network with random weights, trained on the same labelled
rows (``pretrain=False``). On digits the pretrained network is ahead of it, the more so
the fewer labels there are. But the rows without labels help other methods, too: label
spreading, which takes a second and no network, is ahead of both by far. And a support
vector machine that sees the labelled rows alone is as good from ten labels a class on,
and better from twenty. So try those first.

On other tables the gain is smaller, or none: the page of benchmarks has four data sets.
"""

# %%
# The data: scikit-learn's digits, three quarters of them to train on. All rows train
# the autoencoder; of each class, a few have a label. Unlabelled rows are marked by -1,
# as everywhere in scikit-learn.

import argparse
import time
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC

from skae import DenoisingAutoencoder, PretrainedClassifier

parser = argparse.ArgumentParser()
parser.add_argument("--fast", action="store_true", help="few labels, draws and epochs")
parser.add_argument("--output", type=Path, default=Path("few_labels.png"))
args = parser.parse_args()

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
n_labels = [5, 20] if args.fast else [3, 5, 10, 20, 50]
n_draws = 2 if args.fast else 8

# %%
# ``PretrainedClassifier()`` trains its autoencoder, a denoising one with swap noise, in
# each fit. Here one autoencoder serves all fits, which is what
# :class:`~sklearn.frozen.FrozenEstimator` is for.

start = time.perf_counter()
autoencoder = DenoisingAutoencoder(
    n_components=32,
    noise="swap",
    noise_level=0.15,
    max_epochs=3 if args.fast else "auto",
    random_state=0,
).fit(X_train)
print(f"Pretraining on {len(X_train)} rows: {time.perf_counter() - start:.1f} seconds")

frozen = FrozenEstimator(autoencoder)


def models(seed):
    """Classifiers by name."""
    return {
        "pretrained": PretrainedClassifier(frozen, random_state=seed),
        "same network, random weights": PretrainedClassifier(
            frozen, pretrain=False, random_state=seed
        ),
        "SVC, labelled rows alone": SVC(C=10),
        "label spreading": LabelSpreading(kernel="knn", n_neighbors=7),
    }


# %%
# Each draw chooses other labelled rows; all methods get the same ones. A method that
# knows nothing of unlabelled rows is given the labelled ones.

accuracies = {name: np.zeros((len(n_labels), n_draws)) for name in models(0)}
for draw in range(n_draws):
    order = np.random.default_rng(draw).permutation(len(y_train))
    for i, n in enumerate(n_labels):
        labelled = np.concatenate(
            [order[y_train[order] == label][:n] for label in range(10)]
        )
        marked = np.full(len(y_train), -1)
        marked[labelled] = y_train[labelled]
        for name, model in models(draw).items():
            if isinstance(model, SVC):
                model.fit(X_train[labelled], y_train[labelled])
            else:
                with warnings.catch_warnings():
                    # Label spreading divides zero by zero for rows no label reaches.
                    warnings.simplefilter("ignore", RuntimeWarning)
                    model.fit(X_train, marked)
            accuracy = balanced_accuracy_score(y_test, model.predict(X_test))
            accuracies[name][i, draw] = accuracy

# %%
# The bands are one standard error of the mean on either side. What counts for
# pretraining is the paired difference from the control, in the last column: the draws
# differ much more than the methods do.

print(f"\n{'labels a class':30}" + "".join(f"{n:>8}" for n in n_labels))
for name, values in accuracies.items():
    print(f"{name:30}" + "".join(f"{value:8.3f}" for value in values.mean(axis=1)))
gain = accuracies["pretrained"] - accuracies["same network, random weights"]
error = gain.std(axis=1, ddof=1) / np.sqrt(n_draws)
print(f"{'gain of pretraining':30}" + "".join(f"{g:+8.3f}" for g in gain.mean(axis=1)))
print(f"{'its standard error':30}" + "".join(f"{e:8.3f}" for e in error))

figure, axis = plt.subplots(figsize=(7, 4.5), layout="constrained")
styles = zip(["-", "--", "-.", ":"], ["C0", "C1", "C2", "C7"], strict=True)
for (name, values), (line, color) in zip(accuracies.items(), styles, strict=True):
    mean = values.mean(axis=1)
    error = values.std(axis=1, ddof=1) / np.sqrt(n_draws)
    axis.plot(n_labels, mean, line, color=color, marker="o", label=name)
    axis.fill_between(n_labels, mean - error, mean + error, color=color, alpha=0.2)
axis.set(
    xscale="log",
    xticks=n_labels,
    xticklabels=[str(n) for n in n_labels],
    xlabel="labelled rows of each class",
    ylabel="balanced accuracy on held-out rows",
    title=f"Digits: {len(X_train)} rows, few of them with a label",
)
axis.minorticks_off()
axis.grid(alpha=0.3)
axis.legend()
figure.savefig(args.output, dpi=150)
print(f"\nThe figure is in {args.output.resolve()}")
