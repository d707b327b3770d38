"""
Missing values: fill them, or leave them in
===========================================

How accurately do means, regressions in turns and an autoencoder impute missing values?
And how accurate is a classifier on the imputed rows?

In these digits, three pixels in ten are missing. The mean of a pixel contains no
information about the digit. :class:`~skae.AutoencoderImputer`, a Gaussian with a
network that corrects it, is nearest to the true pixels. An autoencoder needs no
imputer: it accepts missing values.
"""

# %%
# The data: scikit-learn's digits, 1,797 images of 8 x 8 pixels. Pixels are removed at
# random, so their true values are known.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderImputer, AutoencoderTransformer

X, y = load_digits(return_X_y=True)
X = X / 16
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
rng = np.random.default_rng(0)


def with_gaps(X):
    return np.where(rng.random(X.shape) < 0.3, np.nan, X)


X_train_gaps, X_test_gaps = with_gaps(X_train), with_gaps(X_test)
missing = np.isnan(X_test_gaps)

# %%
# Each imputer is fitted to the training rows with their missing values, and fills those
# of the test rows.

imputers = {
    "mean": SimpleImputer(keep_empty_features=True),
    "regressions": IterativeImputer(max_iter=10, random_state=0),
    "Gaussian": AutoencoderImputer(hidden_layer_sizes=(), random_state=0),
    "AutoencoderImputer": AutoencoderImputer(max_epochs=150, random_state=0),
}
filled, errors, accuracies = {}, {}, {}
for name, imputer in imputers.items():
    X_train_filled = imputer.fit(X_train_gaps).transform(X_train_gaps)
    filled[name] = imputer.transform(X_test_gaps)
    errors[name] = np.sqrt(np.mean((filled[name] - X_test)[missing] ** 2))
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    classifier.fit(X_train_filled, y_train)
    accuracies[name] = classifier.score(filled[name], y_test)
    print(f"{name:20} error {errors[name]:.3f}  accuracy {accuracies[name]:.3f}")

# %%
# Codes need no imputer: the autoencoder accepts NaN.

pipeline = make_pipeline(
    AutoencoderTransformer(16, max_epochs=50, random_state=0),
    StandardScaler(),
    LogisticRegression(max_iter=1000),
)
accuracy = pipeline.fit(X_train_gaps, y_train).score(X_test_gaps, y_test)
print(f"{'codes, gaps left in':20} accuracy {accuracy:.3f}")

# %%
# Images with missing pixels in red, the true images, and the imputed ones.

shown = {"true": X_test, "with gaps": X_test_gaps, **filled}
colours = plt.get_cmap("gray_r").with_extremes(bad="tab:red")
figure, axes = plt.subplots(
    len(shown),
    10,
    figsize=(9, 5.6),
    layout="constrained",
    subplot_kw={"xticks": [], "yticks": []},
)
figure.suptitle("Digits with missing pixels, the true ones, and imputed ones")
for row_of_axes, (name, rows) in zip(axes, shown.items(), strict=True):
    row_of_axes[0].set_ylabel(name, rotation=0, ha="right", va="center")
    for ax, row in zip(row_of_axes, rows, strict=False):
        ax.imshow(row.reshape(8, 8), cmap=colours, vmin=0, vmax=1)
plt.show()

# %%
# Imputed values by the true values. Points on the diagonal are correct.

some = rng.permutation(missing.sum())[:1500]
figure, axes = plt.subplots(
    1, len(filled), figsize=(11, 3.4), sharex=True, sharey=True, layout="constrained"
)
figure.suptitle("Imputed values, by the true values")
for ax, (name, rows) in zip(axes, filled.items(), strict=True):
    ax.plot([0, 1], [0, 1], color="tab:gray", linewidth=1)
    ax.scatter(X_test[missing][some], rows[missing][some], s=4, alpha=0.3)
    title = f"{name}: error {errors[name]:.3f}"
    ax.set_title(title, fontsize=10)
    ax.set_xlabel("true value")
axes[0].set_ylabel("imputed value")
plt.show()
