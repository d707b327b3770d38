"""
A synthetic table
=================

How can you generate a table that looks like a real one, with categories, dates and
missing values?

:class:`~skae.AutoencoderSampler` with a :class:`~skae.TableAutoencoder` draws codes
from a mixture, and decodes them to rows. New rows have the columns and types of the
table, and nearly the same distribution in each column. Above all, they preserve the
dependence between columns: a classifier hardly distinguishes them from held-out rows.
It does distinguish rows whose columns are drawn independently.

A synthetic table is good for trying out code, for teaching, or for showing what a table
looks like. It is not private: nothing limits what it reveals about a row of the table,
new rows contain values of old ones, and outliers may be nearly repeated. It also adds
no information to the rows that it was made from.
"""

# %%
# The data: scikit-learn's diabetes, 442 patients, as a mixed table. Sex is a category,
# and the progression of the disease is an ordered category. The dates of visits are
# made up, and so are the missing values: s5 is missing more often for older patients,
# and together with s6.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict, train_test_split

from skae import AutoencoderSampler, TableAutoencoder

diabetes = load_diabetes(as_frame=True, scaled=False)
rng = np.random.default_rng(0)
table = diabetes.data.astype({"age": int})
table["sex"] = table["sex"].map({1: "first", 2: "second"})
names = ["slow", "medium", "fast"]
table["progress"] = pd.qcut(diabetes.target, 3, labels=names)
days = (200 * rng.beta(2, 2, len(table)) + 2 * table["bmi"]).astype(int)
table["visit"] = pd.Timestamp("2003-01-01") + pd.to_timedelta(days, unit="D")
gone = rng.random(len(table)) < np.where(table["age"] > 50, 0.4, 0.05)
table.loc[gone, ["s5", "s6"]] = None
table, held_out = train_test_split(table, train_size=300, random_state=0)

# %%
# The sampler is fitted to 300 rows, and can draw any number of rows.

autoencoder = TableAutoencoder(8)
sampler = AutoencoderSampler(autoencoder, random_state=0).fit(table)
synthetic = sampler.sample(1_000, random_state=0)
assert (synthetic.dtypes == table.dtypes).all()

shown = ["age", "sex", "bmi", "s5", "s6", "progress", "visit"]
print("Real rows:", table[shown].head(4), sep="\n")
print("\nSynthetic rows:", synthetic[shown].head(4), sep="\n")

# %%
# Can a classifier distinguish them from held-out rows? An AUC of 0.5 means that it
# cannot. For comparison: rows whose columns are drawn independently, and other real
# rows.

alone = pd.DataFrame(
    {
        name: column.sample(1_000, replace=True, random_state=i, ignore_index=True)
        for i, (name, column) in enumerate(table.items())
    }
)


def as_numbers(rows):
    numbers = rows.assign(
        sex=rows["sex"] == "first",
        progress=rows["progress"].cat.codes,
        visit=rows["visit"].dt.day_of_year,
    )
    return numbers.astype(float)


def told_apart(rows):
    X = pd.concat([as_numbers(held_out), as_numbers(rows[: len(held_out)])])
    y = np.repeat([0, 1], len(held_out))
    forest = HistGradientBoostingClassifier(max_iter=50, random_state=0)
    proba = cross_val_predict(forest, X, y, cv=5, method="predict_proba")
    return roc_auc_score(y, proba[:, 1])


print("\nAUC of a classifier between held-out rows and")
ways = {"real rows": table, "synthetic rows": synthetic, "columns by themselves": alone}
for name, rows in ways.items():
    print(f"  {name:24}{told_apart(rows):.2f}")

# %%
# Above: single columns. Below: two columns together. Columns that are drawn
# independently lose their dependence.

figure, axes = plt.subplots(2, 3, figsize=(11, 6.5), layout="constrained")
figure.suptitle("Real and synthetic rows: single columns, and two of them together")
both = {"real": table, "synthetic": synthetic}
for ax, name in zip(axes[0, :2], ["age", "s5"], strict=True):
    bins = np.histogram_bin_edges(table[name].dropna(), 12)
    values = [rows[name].dropna() for rows in both.values()]
    ax.hist(values, bins, density=True, alpha=0.5, label=list(both))
    ax.set(title=name, xlabel=name, ylabel="density of rows", yticks=[])
axes[0, 0].legend()
shares = {
    label: [
        *rows["progress"].value_counts(normalize=True)[names],
        *rows["sex"].value_counts(normalize=True)[["first", "second"]],
        rows["s5"].isna().mean(),
    ]
    for label, rows in both.items()
}
labels = [*names, "first", "second", "no s5"]
positions = np.arange(len(labels))
for shift, (label, share) in zip((-0.2, 0.2), shares.items(), strict=True):
    axes[0, 2].bar(positions + shift, share, 0.4, alpha=0.5, label=label)
axes[0, 2].set_xticks(positions, labels, fontsize=9)
axes[0, 2].set(title="progress, sex, gaps", ylabel="share of rows")

for ax, (label, rows) in zip(
    axes[1], {**both, "columns by themselves": alone}.items(), strict=True
):
    for level, color in zip(names, ["C0", "C1", "C3"], strict=True):
        part = rows[: len(table)]
        part = part[part["progress"] == level]
        ax.scatter(part["s1"], part["s2"], s=9, color=color, label=level)
    ax.set(title=label, xlabel="s1", ylabel="s2")
    ax.set(xlim=(90, 310), ylim=(30, 250))
axes[1, 0].legend(title="progress")
plt.show()
