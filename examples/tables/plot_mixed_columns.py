"""
A table with numbers and categories, encoded by hand
====================================================

How do numbers and categories go into one autoencoder of numbers, and which of them come
back?

By a :class:`~sklearn.compose.ColumnTransformer`, as into any other estimator. What
comes back depends on the scales of the columns and on the loss: a category that is
scaled up, or a loss for binary columns, brings it back more often. The numbers pay for
it where the model is PCA, and hardly where it is an autoencoder.
:class:`~skae.TableAutoencoder` takes the table as it is, and does this by itself; see
the example of tables as they are.
"""

# %%
# The data: scikit-learn's diabetes, 442 patients. Nine columns are measurements, one
# tells how the disease went on, and sex is a category. It is a small table with one
# category, but a real one.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes
from sklearn.decomposition import PCA
from sklearn.model_selection import KFold
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from skae import AutoencoderTransformer
from skae.plotting import ErrorDisplay

diabetes = load_diabetes(as_frame=True, scaled=False)
table = diabetes.data.assign(
    sex=diabetes.data["sex"].map({1: "first", 2: "second"}),
    progression=diabetes.target,
)
numbers = [name for name in table if name != "sex"]
print(table.head(3))

# %%
# Numbers are standardised, and the category becomes two columns of zeros and ones.
# These have a smaller variance than a standardised column, and the loss sees variances:
# by ``transformer_weights``, the category may be made to count more. For cross-entropy,
# all columns have to lie between 0 and 1.


def columns(scaler, weight=1):
    return ColumnTransformer(
        [("numbers", scaler, numbers), ("sex", OneHotEncoder(), ["sex"])],
        transformer_weights={"sex": weight},
        sparse_threshold=0,
    )


def back(columns, Z):
    """Numbers and category of what an autoencoder gives."""
    parts = []
    for name in ("numbers", "sex"):
        transformer = columns.named_transformers_[name]
        parts.append(transformer.inverse_transform(Z[:, columns.output_indices_[name]]))
    return parts[0], parts[1][:, 0]


settings = {"random_state": 0}
standard, in_0_1 = StandardScaler(), MinMaxScaler(clip=True)
candidates = {
    "PCA": (columns(standard), PCA(4)),
    "PCA, sex x 3": (columns(standard, weight=3), PCA(4)),
    "squared error": (columns(standard), AutoencoderTransformer(4, **settings)),
    "squared error, sex x 3": (
        columns(standard, weight=3),
        AutoencoderTransformer(4, **settings),
    ),
    "absolute error": (
        columns(standard),
        AutoencoderTransformer(4, loss="absolute_error", **settings),
    ),
    "cross-entropy": (
        columns(in_0_1),
        AutoencoderTransformer(4, loss="binary_cross_entropy", **settings),
    ),
}

# %%
# Each row is held out once. What comes back is compared in the units of the table:
# errors of numbers over the standard deviation of their column, and whether the
# category is right.

folds = KFold(5, shuffle=True, random_state=0)
spread = table[numbers].std().to_numpy()
errors = {name: np.empty((len(table), len(numbers) + 1)) for name in candidates}
for train, test in folds.split(table):
    for name, (before, model) in candidates.items():
        model.fit(before.fit_transform(table.iloc[train]))
        codes = model.transform(before.transform(table.iloc[test]))
        found, sex = back(before, model.inverse_transform(codes))
        rows = table.iloc[test]
        errors[name][test, :-1] = ((found - rows[numbers]) / spread) ** 2
        errors[name][test, -1] = sex != rows["sex"]

print(
    f"{'four codes of':24}{'mean squared':>14}{'median |error|':>16}{'sex right':>11}"
)
for name, error in errors.items():
    print(
        f"{name:24}{error[:, :-1].mean():>14.3f}"
        f"{np.median(np.sqrt(error[:, :-1])):>16.3f}{1 - error[:, -1].mean():>11.3f}"
    )

# %%
# The same by column. For sex, it is the share that is wrong.

shown = ["squared error", "squared error, sex x 3", "absolute error", "cross-entropy"]
figure, axes = plt.subplots(
    1, len(shown), figsize=(11, 4), sharex=True, layout="constrained"
)
for ax, name in zip(axes, shown, strict=True):
    display = ErrorDisplay(errors[name], feature_names=[*numbers, "sex"]).plot(ax)
    label = [text.get_text() for text in ax.get_yticklabels()].index("sex")
    display.bars_[label].set_color("C1")
    ax.set(title=name, ylabel="")
plt.show()
