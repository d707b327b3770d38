"""
Few labels: teachers and one network
====================================

An autoencoder needs no labels, so it can learn from all rows. Its encoder then becomes
the first layers of a classifier, which learns from the few rows with a label. In
:class:`~skae.PretrainedClassifier`, *teachers* label the other rows: the network
itself, logistic regression, a support vector machine and label spreading. The weight of
a teacher depends on its loss on held-out labelled rows.

This example compares it with the same network without teachers, with the same network
from random weights, and with two of the teachers alone. Classes of digits are clusters,
so label spreading alone is best here. It has the largest weight in the vote, and the
network comes close to it.
"""

# %%
# The data: scikit-learn's digits, with three quarters for training. All training rows
# train the autoencoder. A few rows of each class have a label. Unlabelled rows are
# marked by -1, as everywhere in scikit-learn.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC

from skae import DenoisingAutoencoder, PretrainedClassifier

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
n_labels = [3, 20]
n_draws = 2

# %%
# ``PretrainedClassifier()`` trains its autoencoder, a denoising one with swap noise, in
# each fit. Here, all fits use the same autoencoder, which is passed in a
# :class:`~sklearn.frozen.FrozenEstimator`.

autoencoder = DenoisingAutoencoder(
    n_components=32,
    hidden_layer_sizes=(100, 100),
    noise="swap",
    noise_level=0.3,
    init="random",
    max_epochs=50,
    random_state=0,
).fit(X_train)
frozen = FrozenEstimator(autoencoder)


def models(seed):
    """Classifiers by name."""
    without = PretrainedClassifier(frozen, teachers=None, random_state=seed)
    return {
        "with teachers": PretrainedClassifier(frozen, random_state=seed),
        "without teachers": without,
        "random weights": PretrainedClassifier(
            frozen, pretrain=False, teachers=None, random_state=seed
        ),
        "SVC, labelled rows alone": SVC(C=10),
        "label spreading": LabelSpreading(kernel="knn", n_neighbors=7, alpha=0.2),
    }


# %%
# Each draw chooses other labelled rows, the same for all methods. Methods that cannot
# use unlabelled rows are fitted to the labelled ones.

accuracies = {name: np.zeros((len(n_labels), n_draws)) for name in models(0)}
weights = []
for draw in range(n_draws):
    order = np.random.default_rng(draw).permutation(len(y_train))
    for i, n in enumerate(n_labels):
        labelled = np.concatenate(
            [order[y_train[order] == label][:n] for label in range(10)]
        )
        marked = np.full(len(y_train), -1)
        marked[labelled] = y_train[labelled]
        for name, model in models(draw).items():
            rows, labels = X_train, marked
            if isinstance(model, SVC):
                rows, labels = X_train[labelled], y_train[labelled]
            with warnings.catch_warnings():
                # Label spreading divides zero by zero for rows no label reaches.
                warnings.simplefilter("ignore", RuntimeWarning)
                predicted = model.fit(rows, labels).predict(X_test)
            accuracy = balanced_accuracy_score(y_test, predicted)
            accuracies[name][i, draw] = accuracy
            if name == "with teachers":
                weights.append(model.teacher_weights_)

print(f"{'labels of each class':26}" + "".join(f"{n:>8}" for n in n_labels))
for name, values in accuracies.items():
    print(f"{name:26}" + "".join(f"{value:8.3f}" for value in values.mean(axis=1)))

# %%
# Each draw is a point, and the lines are their means. Draws differ more than some of
# the methods do, so ignore small gaps between lines.

figure, axis = plt.subplots(figsize=(7, 4.5), layout="constrained")
styles = zip(["-", "--", "-.", ":", "--"], ["C0", "C1", "C2", "C7", "C3"], strict=True)
for (name, values), (line, color) in zip(accuracies.items(), styles, strict=True):
    axis.plot(n_labels, values.mean(axis=1), line, color=color, label=name)
    axis.plot(n_labels, values, "o", color=color, alpha=0.6)
axis.set(
    xscale="log",
    xticks=n_labels,
    xticklabels=[str(n) for n in n_labels],
    xlabel="labelled rows of each class",
    ylabel="balanced accuracy on held-out rows",
    title=f"Digits: accuracy with few labels in {len(X_train)} rows",
)
axis.minorticks_off()
axis.grid(alpha=0.3)
axis.legend(loc="lower right")
plt.show()

# %%
# The weights of the teachers on this table, averaged over all fits.

names = list(weights[0])
mean_weights = [np.mean([each[name] for each in weights]) for name in names]
figure, axis = plt.subplots(figsize=(7, 2.5), layout="constrained")
axis.barh(names, mean_weights)
axis.invert_yaxis()
axis.set(xlabel="mean weight in the vote", title="Teachers: weights on digits")
plt.show()
