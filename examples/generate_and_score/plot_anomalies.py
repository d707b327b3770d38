"""
Anomalies, by error and by density
==================================

An autoencoder reconstructs common rows well. Are the rows that it reconstructs badly
anomalies? And does it find more of them than scikit-learn's detectors, which take a
fraction of the time?

There are two tasks: malignant tumours among benign ones, and one digit that is rare
among the others. The best detector differs between them, as the first table below
shows. So if you know some anomalies, try several detectors on them. The second table
counts false alarms for a rate of 5 %.
"""

# %%
# Two kinds of tasks
# ------------------
#
# Breast cancer: a detector is fitted to benign tumours only, and scores tumours of both
# kinds afterwards. Digits: one digit is rare, with 2 % of the rows, and nobody has
# marked it. Detectors are fitted to all rows. Three digits are the rare one in turn.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.neighbors import LocalOutlierFactor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import OneClassSVM

from skae import (
    AutoencoderOutlierDetector,
    AutoencoderTransformer,
    VariationalAutoencoder,
)


def cancer(draw):
    """Rows to fit to, other rows, and which of these are anomalies."""
    X, y = load_breast_cancer(return_X_y=True)
    rng = np.random.default_rng(draw)
    benign = rng.permutation(np.flatnonzero(y == 1))
    n_train = 2 * len(benign) // 3
    test = np.concatenate([benign[n_train:], np.flatnonzero(y == 0)])
    scaler = StandardScaler().fit(X[benign[:n_train]])
    X = scaler.transform(X)
    return X[benign[:n_train]], X[test], y[test] == 0


def digits(draw):
    """The same, with the digit `draw` as the rare one."""
    X, y = load_digits(return_X_y=True)
    X = X / 16
    rng = np.random.default_rng(draw)
    common = rng.permutation(np.flatnonzero(y != draw))
    rare = rng.permutation(np.flatnonzero(y == draw))
    n_train = 2 * len(common) // 3
    n_rare = round(0.02 * n_train)
    train = np.concatenate([common[:n_train], rare[:n_rare]])
    test = np.concatenate([common[n_train:], rare[n_rare:]])
    return X[train], X[test], y[test] == draw


# %%
# The detectors
# -------------
#
# All autoencoders and detectors of skae have `score_samples`, which is high for normal
# rows. For :class:`~skae.AutoencoderTransformer` it is the negative reconstruction
# error. For :class:`~skae.VariationalAutoencoder` it is a lower bound on the
# log-density of the row, which also depends on the density of its code. With
# ``variance="column"``, each column has a variance of its own, and errors count less in
# columns with large errors. This suits columns that measure different things, such as
# those of tumours, better than pixels. :class:`~skae.AutoencoderOutlierDetector` uses
# the distance to the nearest training rows, by codes and residuals.


class PCAError(PCA):
    """PCA that scores rows by their error; PCA itself gives a density."""

    def score_samples(self, X):
        X_hat = self.inverse_transform(self.transform(X))
        return -np.mean((X - X_hat) ** 2, axis=1)


def detectors(k, variance):
    """Detectors by name."""
    settings = {"max_epochs": 40, "random_state": 0}
    return {
        "PCA, error": PCAError(k, random_state=0),
        "autoencoder, error": AutoencoderTransformer(k, **settings),
        "autoencoder, neighbors": AutoencoderOutlierDetector(
            AutoencoderTransformer(k, **settings), random_state=0
        ),
        "variational, bound": VariationalAutoencoder(k, variance=variance, **settings),
        "isolation forest": IsolationForest(n_estimators=300, random_state=0),
        "local outlier factor": LocalOutlierFactor(novelty=True),
        "one-class SVM": OneClassSVM(nu=0.05),
    }


n_draws = 3
tasks = {"cancer": (cancer, 4, "column"), "digits": (digits, 16, "scalar")}
names = list(detectors(1, "scalar"))
fitted, curves, areas, seconds = {}, {}, {}, {}
for task, (load, k, variance) in tasks.items():
    for draw in range(n_draws):
        train, test, is_anomaly = load(draw)
        fitted[task, draw] = detectors(k, variance)
        for name, detector in fitted[task, draw].items():
            start = time.perf_counter()
            score = -detector.fit(train).score_samples(test)
            seconds.setdefault((task, name), []).append(time.perf_counter() - start)
            areas.setdefault((task, name), []).append(roc_auc_score(is_anomaly, score))
            curves.setdefault((task, name), roc_curve(is_anomaly, score))

# %%
# The area under the ROC curve is the probability that an anomaly has a worse score than
# a normal row. Figures are means and standard errors over three splits of the tumours,
# and over three digits.

print(f"{'':24}{'cancer':>15}{'digits':>15}{'seconds':>10}")
for name in names:
    line = f"{name:24}"
    for task in tasks:
        area = np.array(areas[task, name])
        error = area.std(ddof=1) / np.sqrt(len(area))
        line += f"{area.mean():>7.3f} ± {error:.3f}"
    print(line + f"{np.mean(seconds['digits', name]):>10.2f}")

# %%
# How frequent are false alarms?
# ------------------------------
#
# The area does not depend on a threshold. In most detectors, `contamination` sets the
# threshold by training rows: 5 % of them are beyond it. `predict` of
# :class:`~skae.AutoencoderOutlierDetector` sets it by held-out rows. The table has the
# shares of benign tumours with a false alarm, for a rate of 5 %, and of malignant
# tumours that are found. With so few rows, all false alarm rates are near 5 %:

alarms = {}
for draw in range(n_draws):
    train, test, is_anomaly = cancer(draw)
    models = fitted["cancer", draw]
    calibrated = models["autoencoder, neighbors"]
    alarms.setdefault("held-out rows", []).append(calibrated.predict(test) < 0)
    forest = IsolationForest(contamination=0.05, random_state=0).fit(train)
    alarms.setdefault("forest, training rows", []).append(forest.predict(test) < 0)
    errors = models["autoencoder, error"]
    limit = np.quantile(errors.score_samples(train), 0.05)
    raised = errors.score_samples(test) < limit
    alarms.setdefault("error, training rows", []).append(raised)
for name, raised in alarms.items():
    false, found = (np.mean(raised, axis=0)[is_anomaly == i].mean() for i in (0, 1))
    print(f"{name:24}{false:>8.1%} of benign{found:>8.1%} of malignant")

# %%
# Left: one split of the tumours, with the share of malignant ones that are found by the
# share of benign ones with a false alarm. If the autoencoder has kept its start, PCA,
# the two lines coincide. Right: the digits.

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained")
colours = ["0.6", "C0", "C3", "C1", "C2", "C4", "C5"]
lines = ["-", "--", "-.", ":", "-", "--", "-."]
legend = []
for i, name in enumerate(names):
    style = {"color": colours[i], "linewidth": 4 if i == 0 else 1.5}
    false_alarms, found, _ = curves["cancer", name]
    left.plot(false_alarms, found, lines[i], **style)
    places = np.arange(n_draws) + 0.1 * (i - 3)
    right.plot(places, areas["digits", name], "so*^vDP"[i], color=colours[i])
    both = {"linestyle": lines[i], "marker": "so*^vDP"[i], **style}
    legend.append(plt.Line2D([], [], label=name, **both))
left.set(
    xlabel="benign tumours that raise an alarm",
    ylabel="malignant tumours that are found",
    title="Breast cancer: tumours found, by false alarms",
    xlim=(0, 0.5),
    ylim=(0.5, 1.01),
)
right.axhline(0.5, color="0.8", zorder=0)
right.set_xticks(np.arange(n_draws - 1) + 0.5, minor=True)
right.set(
    xticks=range(n_draws),
    xlabel="the digit that is rare",
    ylabel="area under ROC curve",
    title="Digits: how well a rare one is found",
)
left.grid(alpha=0.3)
right.grid(alpha=0.3, axis="y")
right.grid(alpha=0.3, axis="x", which="minor")  # between the digits
figure.legend(handles=legend, loc="outside lower center", ncols=4)
plt.show()
