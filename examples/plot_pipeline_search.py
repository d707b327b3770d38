"""
Tuning an autoencoder before a classifier
=========================================

How many components, and which hidden layers? Before a classifier, a grid search can
choose both. The autoencoder is a step of a pipeline, and the search over the whole
pipeline maximises the accuracy of the classifier. PCA is in the same grid, for
comparison.

The autoencoder helps if codes must be short. Its lead over PCA is largest with few
components, and there is no difference with many. So use an autoencoder if you need
short codes, for speed, for memory or to look at them. Otherwise leave it out.
"""

# %%
# The data: scikit-learn's digits. A quarter of them is held out from the search.

import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import AutoencoderTransformer

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, stratify=y, random_state=0)

# %%
# A step is a parameter like any other, so PCA and autoencoders are in one grid. In each
# fold, the whole pipeline is fitted without the test rows.

sizes = [2, 4, 8, 16]
layers = [(100,), (100, 100)]
autoencoder = AutoencoderTransformer(max_epochs=40, random_state=0)
pipeline = Pipeline(
    [
        ("scale", MinMaxScaler()),
        ("reduce", PCA(random_state=0)),
        ("classify", LogisticRegression(max_iter=5_000)),
    ]
)
grid = [
    {"reduce__n_components": sizes},
    {
        "reduce": [autoencoder],
        "reduce__n_components": sizes,
        "reduce__hidden_layer_sizes": layers,
    },
]
folds = StratifiedKFold(2, shuffle=True, random_state=0)
search = GridSearchCV(pipeline, grid, cv=folds)
start = time.perf_counter()
search.fit(X, y)
seconds = time.perf_counter() - start

# %%
# The result of the search: accuracy by size and layers.

results = search.cv_results_
params, accuracy = results["params"], results["mean_test_score"]
error = results["std_test_score"] / np.sqrt(folds.n_splits - 1)
lines = {"PCA": np.array(["reduce" not in each for each in params])}
for widths in layers:
    of_widths = [each.get("reduce__hidden_layer_sizes") == widths for each in params]
    lines[f"layers {widths}"] = np.array(of_widths)

print(f"{len(params)} settings, {folds.n_splits} folds: {seconds:.0f} seconds\n")
print(f"{'size of the code':18}" + "".join(f"{size:>8}" for size in sizes))
for name, of_line in lines.items():
    print(f"{name:18}" + "".join(f"{each:8.3f}" for each in accuracy[of_line]))

# %%
# The cross-validated accuracy of the best setting is optimistic, because it is the best
# of many. Held-out rows have no such bias. The table compares it with the best PCA and
# with the classifier on all columns.

all_columns = clone(pipeline).set_params(reduce="passthrough")
folds_accuracy = cross_val_score(all_columns, X, y, cv=folds).mean()
contenders = {
    "best autoencoder": np.argmax(np.where(lines["PCA"], 0, accuracy)),
    "best PCA": np.argmax(np.where(lines["PCA"], accuracy, 0)),
}
print(f"\n{'':18}{'cross-validated':>17}{'held out':>10}")
for name, i in contenders.items():
    # Steps in a grid are shared: a clone may be fitted without harm to the others.
    chosen = clone(pipeline).set_params(**clone(params[i], safe=False)).fit(X, y)
    print(f"{name:18}{accuracy[i]:>17.3f}{chosen.score(X_test, y_test):>10.3f}")
held_out = all_columns.fit(X, y).score(X_test, y_test)
print(f"{'all columns':18}{folds_accuracy:>17.3f}{held_out:>10.3f}")

# %%
# Each point is the mean over the folds, and each bar is one standard error.

figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
for i, (name, of_line) in enumerate(lines.items()):
    ax.errorbar(
        np.array(sizes) * 1.02**i,  # side by side, so that bars can be told apart
        accuracy[of_line],
        error[of_line],
        linestyle=["-", "--", "-."][i],
        color=["C7", "C0", "C1"][i],
        marker="o",
        capsize=3,
        label=name if name == "PCA" else f"autoencoder, {name}",
    )
ax.axhline(folds_accuracy, color="0.3", linewidth=1, label=f"all {X.shape[1]} columns")
ax.set(
    xscale="log",
    xticks=sizes,
    xticklabels=[str(size) for size in sizes],
    xlabel="size of the code",
    ylabel="accuracy, cross-validated",
    title="Digits: accuracy of logistic regression, by size of the code",
)
ax.minorticks_off()
ax.grid(alpha=0.3)
ax.legend()
plt.show()
