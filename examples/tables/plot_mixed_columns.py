"""
A table with numbers and categories, encoded by hand
====================================================

How does an autoencoder of numbers encode numbers and categories, and which of them are
reconstructed?

A :class:`~sklearn.compose.ColumnTransformer` encodes the table, as for any other
estimator. The scales of the columns and the loss determine the errors: categories are
reconstructed better if they are scaled up, or with a loss for binary columns. Numbers
are then reconstructed worse by PCA, and only a little worse by an autoencoder.
:class:`~skae.TableAutoencoder` encodes the table by itself; see the example of tables
as they are.
"""

# %%
# The data: scikit-learn's diabetes, 442 patients. Nine columns are measurements, one is
# the progression of the disease, and sex is a category. It is a small table with one
# category, but a real one.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes
from sklearn.decomposition import PCA
from sklearn.model_selection import ShuffleSplit
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from skae import AutoencoderTransformer

diabetes = load_diabetes(as_frame=True, scaled=False)
table = diabetes.data.assign(
    sex=diabetes.data["sex"].map({1: "first", 2: "second"}),
    progression=diabetes.target,
)
numbers = [name for name in table if name != "sex"]
print(table.head(3))

# %%
# Numbers are standardised, and the category becomes two columns of zeros and ones.
# These have a smaller variance than a standardised column, so they count less in the
# loss. ``transformer_weights`` can scale the category up. For cross-entropy, all
# columns have to lie between 0 and 1.


def columns(scaler, weight=1):
    return ColumnTransformer(
        [("numbers", scaler, numbers), ("sex", OneHotEncoder(), ["sex"])],
        transformer_weights={"sex": weight},
        sparse_threshold=0,
    )


def back(columns, Z):
    """Return numbers and category from a reconstruction."""
    parts = []
    for name in ("numbers", "sex"):
        transformer = columns.named_transformers_[name]
        parts.append(transformer.inverse_transform(Z[:, columns.output_indices_[name]]))
    return parts[0], parts[1][:, 0]


settings = {"max_epochs": 120, "random_state": 0}
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
# A fifth of the rows is held out, three times. Reconstructions are compared in the
# units of the table: errors of numbers over the standard deviation of their column, and
# whether the category is right.

splits = ShuffleSplit(3, test_size=0.2, random_state=0)
spread = table[numbers].std().to_numpy()
errors = {name: [] for name in candidates}
for train, test in splits.split(table):
    for name, (before, model) in candidates.items():
        model.fit(before.fit_transform(table.iloc[train]))
        codes = model.transform(before.transform(table.iloc[test]))
        found, sex = back(before, model.inverse_transform(codes))
        rows = table.iloc[test]
        of_numbers = ((found - rows[numbers]) / spread) ** 2
        errors[name].append(np.column_stack([of_numbers, sex != rows["sex"]]))
errors = {name: np.concatenate(parts) for name, parts in errors.items()}

print(
    f"{'four codes of':24}{'mean squared':>14}{'median |error|':>16}{'sex right':>11}"
)
for name, error in errors.items():
    print(
        f"{name:24}{error[:, :-1].mean():>14.3f}"
        f"{np.median(np.sqrt(error[:, :-1])):>16.3f}{1 - error[:, -1].mean():>11.3f}"
    )

# %%
# The same by column. Left: the errors of the numbers. Right: how often sex is wrong.

shown = ["squared error", "squared error, sex x 3", "absolute error", "cross-entropy"]
order = np.argsort(np.mean([errors[name].mean(axis=0)[:-1] for name in shown], axis=0))
figure, (left, right) = plt.subplots(
    1, 2, figsize=(10, 4.4), width_ratios=[2, 1], layout="constrained"
)
for i, name in enumerate(shown):
    mean = errors[name].mean(axis=0)
    left.plot(mean[order], np.arange(len(order)), "os^D"[i], color=f"C{i}", label=name)
    right.barh(name, mean[-1], color=f"C{i}")
left.set_yticks(range(len(order)), np.array(numbers)[order])
left.set(xlabel="squared error over variance", title="Numbers: errors by column")
left.grid(alpha=0.3)
left.legend(title="four components of", loc="lower right")
right.invert_yaxis()
right.yaxis.tick_right()
right.set(xlabel="share of rows", title="Sex: how often it is wrong")
plt.show()
