"""
A table as it is: codes, rows back, and cells that look wrong
=============================================================

How does an autoencoder encode a DataFrame with categories, numbers and missing values,
without any encoding by hand?

Codes of two components show the three cultivars of wine as three clouds. Decoded codes
are rows of a table again, with the categories and dtypes of the DataFrame. Then a few
cells are made wrong. An imputer hides each cell and predicts it from the others. It
finds many times more wrong cells than chance would. It also finds true values that are
unusual.
"""

# %%
# The data: scikit-learn's wines. The cultivar is a category, and two columns are turned
# into ordered categories, as in a form. A twentieth of the cells is missing.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_wine

from skae import AutoencoderImputer, TableAutoencoder

wine = load_wine(as_frame=True)
numbers = wine.data[["alcohol", "malic_acid", "flavanoids", "hue", "magnesium"]]
whole = numbers.astype({"magnesium": "Int64"}).assign(
    cultivar=pd.Categorical.from_codes(wine.target, ["first", "second", "third"]),
    colour=pd.cut(
        wine.data["color_intensity"],
        [0, 3.5, 5.5, 14],
        labels=["light", "medium", "deep"],
    ),
    protein=np.where(wine.data["proline"] > 700, "high", "low"),
)
rng = np.random.default_rng(0)
table = whole.mask(rng.random(whole.shape) < 0.05)
print(table.head())
print(table.dtypes)

# %%
# The autoencoder accepts the DataFrame as it is, and returns DataFrames.

model = TableAutoencoder(2, random_state=0)
codes = model.fit_transform(table)
print(f"score, 1 at best: {model.score(table):.2f}")

row = 60
beside = pd.DataFrame(
    {"the row": table.iloc[row], "reconstructed": model.reconstruct(table).iloc[row]}
)
print(beside)
probabilities = model.category_probabilities(table.iloc[[row]])["cultivar"]
print({level: f"{each[0]:.3f}" for level, each in probabilities.items()})

# %%
# Twenty cells receive the value of another row. The imputer is fitted to the table with
# the wrong cells, because in practice the true values are unknown. For a suspicious
# cell, it also returns the value that it expects.

wrong = table.copy()
places = np.stack([rng.integers(len(table), size=60), rng.integers(8, size=60)], axis=1)
changed = set()
for i, j in places.tolist():
    value = table.iloc[(i + 90) % len(table), j]
    differs = not pd.isna(value) and not pd.isna(table.iloc[i, j])
    if differs and value != table.iloc[i, j] and len(changed) < 20:
        wrong.iloc[i, j] = value
        changed.add((i, j))
imputer = AutoencoderImputer(random_state=0).fit(wrong)
surprise = imputer.surprise(wrong)
order = np.argsort(-np.nan_to_num(surprise), axis=None)
cells = [tuple(map(int, np.unravel_index(k, surprise.shape))) for k in order[:40]]
found = [cell in changed for cell in cells]
print(f"wrong cells among the 20 most surprising of {surprise.size}: {sum(found[:20])}")
for (i, j), is_wrong in list(zip(cells, found, strict=True))[:5]:
    hidden = wrong.iloc[[i]].copy()
    hidden.iloc[0, j] = np.nan
    print(
        f"row {i}, {wrong.columns[j]}: {wrong.iloc[i, j]}, expected "
        f"{imputer.transform(hidden).iloc[0, j]}" + ", made wrong" * is_wrong
    )

# %%
# Left: the codes by cultivar. Right: how many of the wrong cells are among the most
# surprising ones. The line below is the number by chance.

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained")
for level in whole["cultivar"].cat.categories:
    of_level = (table["cultivar"] == level).to_numpy()
    left.scatter(*codes[of_level].T, s=12, label=level)
missing = table["cultivar"].isna().to_numpy()
left.scatter(*codes[missing].T, s=30, marker="x", color="black", label="missing")
left.legend(title="cultivar")
left.set(xlabel="code 0", ylabel="code 1", title="Codes of wines, by cultivar")
right.plot(np.arange(1, 41), np.cumsum(found), label="most surprising")
right.plot([0, 40], [0, 40 * 20 / surprise.size], color="tab:gray", label="by chance")
right.set(
    xlabel="cells looked at",
    ylabel="wrong cells found, of 20",
    yticks=range(0, 21, 5),
    title="Wrong cells among the most surprising",
)
right.legend()
plt.show()
