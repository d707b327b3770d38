"""How well missing cells are filled, and what rows with gaps are worth as codes.

``python -m tests.benchmarks.missing [set ...]`` prints tables and writes
``missing.json`` and ``missing.md`` into ``--output`` (default: the working folder).
Results that are there already are kept, but for those that are measured again, so that
``--parts`` and ``--methods`` may choose.

Each set has at most 2,000 training rows and 1,000 others: regressors in turns take
minutes with more. Columns are standardised with the statistics of the training rows,
and those that have one value in 99 % of them are left out. Cells are then hidden:

- MCAR: any cell, with the same probability;
- MAR: in one random half of the columns, with a probability that rises with the rank of
  a random sum of the other half, which is complete;
- MNAR: with a probability that rises with the rank of the value itself.

The probability rises linearly from 0 to twice the rate, which is that of the columns
with gaps. Every row and every column keeps a value. Sets of fewer than 1,000 training
rows have two such masks, and figures are the mean.

``cells``: root mean squared error of the hidden cells, and CPU seconds of `fit` and of
the `transform` of the held-out rows. One row of leaf lies 66 standard deviations out
and has a good part of its error.

``codes``: R² of all cells of held-out rows that are reconstructed from codes of rows
with gaps, variance-weighted.

``downstream``: accuracy on held-out rows, with the same gaps in training.

``cost``: CPU seconds of a default `DenoisingAutoencoder` on the complete rows, and the
seconds and the memory of large tables, each in a process of its own. Memory is what the
process gains at its peak over what it had before the call.

All of it is for one thread: set OMP_NUM_THREADS=1.
"""

import json
import time
import warnings
from functools import cache, partial

import numpy as np
from scipy.stats import gmean, rankdata
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderTransformer, DenoisingAutoencoder
from tests.benchmarks import common
from tests.benchmarks.common import number, table
from tests.benchmarks.larger_than_memory import AnonymousMemory

NAMES = (
    "wine",
    "breast_cancer",
    "diabetes",
    "digits",
    "leaf",
    "cells",
    "wa_churn",
    "satellite",
    "letter",
    "spam",
)
N_TRAIN = 2_000
N_TEST = 1_000
FEW_ROWS = 1_000
SIZES = (2, 8)


# Which cells are missing


def mcar(X, rate, rng):
    """Mask of any cells."""
    return rng.uniform(size=X.shape) < rate


def mar(X, rate, rng):
    """Mask of cells of one half of the columns that depends on the other half."""
    complete, others = np.array_split(rng.permutation(X.shape[1]), 2)
    weights = rng.normal(size=(len(complete), len(others)))
    mask = np.zeros(X.shape, dtype=bool)
    mask[:, others] = mnar(X[:, complete] @ weights, rate, rng)
    return mask


def mnar(X, rate, rng):
    """Mask of high values above all."""
    rank = (rankdata(X, axis=0) - 0.5) / len(X)
    return rng.uniform(size=X.shape) < 2 * rate * rank


PATTERNS = {
    "MCAR 10 %": partial(mcar, rate=0.1),
    "MCAR 30 %": partial(mcar, rate=0.3),
    "MCAR 50 %": partial(mcar, rate=0.5),
    "MAR 30 %": partial(mar, rate=0.3),
    "MNAR 30 %": partial(mnar, rate=0.3),
}


def with_gaps(X_train, X_test, pattern, seed):
    """Copies of the rows with NaN, but never a whole row or column of training."""
    # Not the numbers that an imputer of the same seed draws, to hide further cells.
    rng = np.random.default_rng((12345, seed))
    X = np.concatenate((X_train, X_test))
    mask = PATTERNS[pattern](X, rng=rng)
    rows = np.flatnonzero(mask.all(axis=1))
    mask[rows, rng.integers(X.shape[1], size=len(rows))] = False
    columns = np.flatnonzero(mask[: len(X_train)].all(axis=0))
    mask[rng.integers(len(X_train), size=len(columns)), columns] = False
    return np.split(np.where(mask, np.nan, X), [len(X_train)])


def rows_of(data):
    """Standardised rows for training and for the test."""
    X_train, X_test = data.X_train[:N_TRAIN], data.X_test[:N_TEST]
    counts = [np.unique(column, return_counts=True)[1] for column in X_train.T]
    varied = [count.max() < 0.99 * len(X_train) for count in counts]
    scaler = StandardScaler().fit(X_train[:, varied])
    return scaler.transform(X_train[:, varied]), scaler.transform(X_test[:, varied])


# What fills them


class IterativePCA(TransformerMixin, BaseEstimator):
    """Regularised iterative PCA, its rank by two draws of a tenth of the cells.

    References
    ----------
    .. [1] Josse, J., & Husson, F. (2012). Handling missing values in exploratory
       multivariate data analysis methods. Journal de la SFdS, 153(2), 79-99.
    """

    RANKS = (0, 1, 2, 3, 5, 8, 12, 16, 24, 32)

    def __init__(self, max_iter=200, tol=1e-4, random_state=None):
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X, y=None):
        rng = np.random.default_rng(self.random_state)
        ranks = [rank for rank in self.RANKS if rank < min(X.shape)]
        errors = np.zeros(len(ranks))
        for _ in range(2):
            hidden = ~np.isnan(X) & (rng.uniform(size=X.shape) < 0.1)
            known = np.where(hidden, np.nan, X)
            errors += [
                np.mean((self._fit_rank(known, rank) - X)[hidden] ** 2)
                for rank in ranks
            ]
        self.rank_ = ranks[np.argmin(errors)]
        self._fit_rank(X, self.rank_)
        return self

    def _fit_rank(self, X, rank):
        gaps = np.isnan(X)
        filled = np.where(gaps, np.nanmean(X, axis=0), X)
        for _ in range(self.max_iter):
            self.mean_ = filled.mean(axis=0)
            values, vectors = np.linalg.eigh(np.cov(filled.T, bias=True))
            noise = values[: len(values) - rank].mean()
            kept = vectors[:, len(values) - rank :]
            shrinkage = 1 - noise / values[len(values) - rank :]
            self.projection_ = kept * shrinkage @ kept.T
            filled, change = self._step(filled, gaps)
            if change < self.tol:
                break
        return filled

    def _step(self, filled, gaps):
        fitted = self.mean_ + (filled - self.mean_) @ self.projection_
        new = np.where(gaps, fitted, filled)
        return new, np.sqrt(np.mean((new - filled)[gaps] ** 2)) if gaps.any() else 0

    def transform(self, X):
        gaps = np.isnan(X)
        filled = np.where(gaps, self.mean_, X)
        for _ in range(self.max_iter):
            filled, change = self._step(filled, gaps)
            if change < self.tol:
                break
        return filled


class Midas(TransformerMixin, BaseEstimator):
    """The mean of ten imputations by MIDAS (midasverse-midas), its defaults."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, X, y=None):
        import pandas as pd
        from midas2 import MIDAS

        self.model_ = MIDAS()
        self.model_.fit(pd.DataFrame(X), seed=self.random_state, verbose=False)
        return self

    def transform(self, X):
        import pandas as pd

        imputations = self.model_.transform(pd.DataFrame(X), m=10)
        return np.mean([frame.to_numpy() for frame in imputations], axis=0)


def extra_trees(seed):
    """Trees in turns, as missForest."""
    trees = ExtraTreesRegressor(n_estimators=20, random_state=seed)
    return IterativeImputer(trees, max_iter=3, random_state=seed)


def autoencoder(seed, **params):
    from skae import AutoencoderImputer

    return AutoencoderImputer(random_state=seed, **params)


IMPUTERS = {
    "mean": lambda seed: SimpleImputer(),
    "knn": lambda seed: KNNImputer(),
    "bayesian_ridge": lambda seed: IterativeImputer(BayesianRidge(), random_state=seed),
    "extra_trees": extra_trees,
    "iterative_pca": lambda seed: IterativePCA(random_state=seed),
    "midas": lambda seed: Midas(random_state=seed),
    "gaussian": lambda seed: autoencoder(seed, hidden_layer_sizes=()),
    "skae": autoencoder,
}
RIVALS = ("mean", "knn", "bayesian_ridge", "iterative_pca", "extra_trees", "midas")
# "native" has the gaps, "complete" the rows before cells were hidden.
FILLS = ("mean", "bayesian_ridge", "skae")
FEATURES = ("complete", "native", *FILLS, "codes")
TITLES = {
    "mean": "mean",
    "knn": "KNNImputer",
    "bayesian_ridge": "BayesianRidge in turns",
    "extra_trees": "ExtraTrees in turns",
    "iterative_pca": "iterative PCA",
    "midas": "MIDAS",
    "gaussian": "Gaussian imputer",
    "skae": "AutoencoderImputer",
    "complete": "complete rows",
    "native": "rows with gaps",
    "codes": "8 codes",
    "denoising": "DenoisingAutoencoder",
}
PARTS = ("cells", "codes", "downstream", "cost")


# The parts


@cache
def warm_up(method):
    """Make what is made once in a process, and is not to be counted."""
    X = np.random.default_rng(0).normal(size=(50, 5))
    X[::3, 0] = np.nan
    IMPUTERS[method](0).fit(X).transform(X)


def measure_cells(X_train, X_test, pattern, seed, method):
    """Errors of the hidden cells, and CPU seconds."""
    warm_up(method)
    gaps_train, gaps_test = with_gaps(X_train, X_test, pattern, seed)
    imputer = IMPUTERS[method](seed)
    start = time.process_time()
    imputer.fit(gaps_train)
    fitted = time.process_time()
    filled = imputer.transform(gaps_test)
    filled_at = time.process_time()

    def rmse(X_hat, X, gaps):
        return np.sqrt(np.mean((X_hat - X)[np.isnan(gaps)] ** 2))

    return {
        "shape": [len(X_train), len(X_test), X_train.shape[1]],
        "train": rmse(imputer.transform(gaps_train), X_train, gaps_train),
        "test": rmse(filled, X_test, gaps_test),
        "fit_seconds": fitted - start,
        "transform_seconds": filled_at - fitted,
    }


def measure_codes(X_train, X_test, pattern, seed, method, n_components):
    """R² of all cells, from codes of rows with gaps."""
    gaps = with_gaps(X_train, X_test, pattern, seed)
    if method == "skae":
        model = AutoencoderTransformer(n_components, random_state=seed).fit(gaps[0])
        X_hat = model.reconstruct(gaps[1])
    else:
        imputer = IMPUTERS[method](seed).fit(gaps[0])
        filled = [imputer.transform(part) for part in gaps]
        if method == "mean":
            model = AutoencoderTransformer(n_components, random_state=seed)
        else:
            model = PCA(n_components, random_state=seed)
        model.fit(filled[0])
        X_hat = model.inverse_transform(model.transform(filled[1]))
    return {"r2": r2_score(X_test, X_hat, multioutput="variance_weighted")}


def measure_downstream(data, X_train, X_test, pattern, seed, method):
    """Accuracies of classifiers."""
    gaps = with_gaps(X_train, X_test, pattern, seed)
    if method == "complete":
        train, test = X_train, X_test
    elif method == "native":
        train, test = gaps
    else:
        if method == "codes":
            model = AutoencoderTransformer(8, random_state=seed)
        else:
            model = IMPUTERS[method](seed)
        train, test = model.fit(gaps[0]).transform(gaps[0]), model.transform(gaps[1])
    y_train, y_test = data.y_train[:N_TRAIN], data.y_test[:N_TEST]
    boosting = HistGradientBoostingClassifier(random_state=seed).fit(train, y_train)
    accuracies = {"boosting": boosting.score(test, y_test)}
    if method != "native":
        logistic = LogisticRegression(max_iter=2000)
        logistic = make_pipeline(StandardScaler(), logistic).fit(train, y_train)
        accuracies["logistic"] = logistic.score(test, y_test)
    return accuracies


TABLES = {
    "10,000 x 50": (10_000, 50),
    "200,000 x 50": (200_000, 50),
    "2,000 x 1,500": (2_000, 1_500),
}


def measure_table(name, method):
    """Seconds and memory of a generated table with 30 % gaps, MCAR."""
    n_rows, n_features = TABLES[name]
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(n_rows, 8))
    X = np.sin(Z @ rng.normal(size=(8, n_features)))
    X += 0.1 * rng.normal(size=X.shape)
    X[mcar(X, 0.3, rng)] = np.nan
    warm_up(method)
    imputer = IMPUTERS[method](0)
    result = {}
    for call in (imputer.fit, imputer.transform):
        with AnonymousMemory() as memory:
            start = time.process_time()
            call(X)
            result[f"{call.__name__}_seconds"] = time.process_time() - start
        size = memory.megabytes * 2**20 / X.nbytes
        result[f"{call.__name__}_tables"] = size
    return result


def measurements(part, data):
    """Yield what identifies a measurement of a set, and the function that makes it."""
    X_train, X_test = rows_of(data)
    arguments = X_train, X_test
    seeds = (0, 1) if len(X_train) < FEW_ROWS else (0,)
    name = {"part": part, "set": data.name}
    if part == "cells":
        for pattern in PATTERNS:
            for seed in seeds:
                for method in IMPUTERS:
                    key = {"pattern": pattern, "seed": seed, "method": method}
                    yield name | key, partial(measure_cells, *arguments, **key)
    elif part == "codes":
        for pattern in ("MCAR 10 %", "MCAR 30 %", "MCAR 50 %"):
            for n_components in SIZES:
                for method in ("gaussian", "mean", "skae"):
                    key = {"pattern": pattern, "seed": 0, "method": method}
                    key |= {"n_components": n_components}
                    yield name | key, partial(measure_codes, *arguments, **key)
    elif part == "downstream" and data.y_train.dtype.kind == "i":
        for pattern in ("MCAR 30 %", "MNAR 30 %"):
            for method in FEATURES:
                key = {"pattern": pattern, "seed": 0, "method": method}
                measure = partial(measure_downstream, data, *arguments, **key)
                yield name | key, measure
    elif part == "cost":

        def denoising():
            DenoisingAutoencoder(max_epochs=1).fit(X_train)  # what is made once
            start = time.process_time()
            DenoisingAutoencoder(random_state=0).fit(X_train)
            return {"fit_seconds": time.process_time() - start}

        yield name | {"method": "denoising"}, denoising


def table_measurements():
    """Yield what identifies a measurement of a large table, and its function."""
    for name in TABLES:
        for method in ("gaussian", "skae"):
            measure = partial(
                common.in_a_process, "missing", "--table", name, "--methods", method
            )
            yield {"part": "cost", "set": name, "method": method}, measure


# The tables


def figures(rows, name, part="cells"):
    """Figures of that name, the mean over masks: {case: {method: figure}}."""
    values = {}
    for row in rows:
        if row["part"] == part and name in row:
            case = tuple(row[k] for k in ("set", "pattern", "n_components") if k in row)
            values.setdefault(case, {}).setdefault(row["method"], []).append(row[name])
    return {
        case: {method: float(np.mean(x)) for method, x in methods.items()}
        for case, methods in values.items()
    }


def ratios(rows, method, rival, name):
    """Ratio of a figure of a method to that of a rival, for each case with both."""
    return [
        x[method] / x[rival]
        for x in figures(rows, name).values()
        if method in x and rival in x
    ]


def figures_table(first, rows, name, methods, part="cells"):
    """Table of a figure, one line for a case and one column for a method."""
    cases = figures(rows, name, part)
    methods = [m for m in methods if any(m in x for x in cases.values())]
    lines = [
        [*map(str, case), *(number(x.get(m)) for m in methods)]
        for case, x in cases.items()
    ]
    return table(first, [TITLES[m] for m in methods], lines)


def seconds_table(rows):
    """Table of the seconds of fit and transform, one line for a set."""
    shapes = {row["set"]: row["shape"] for row in rows if "shape" in row}
    fit, transform = (figures(rows, f"{name}_seconds") for name in ("fit", "transform"))
    lines = [
        [name, "{} + {} x {}".format(*shapes[name])]
        + [
            f"{x[m]:.2f} / {transform[name, pattern][m]:.2f}" if m in x else ""
            for m in IMPUTERS
        ]
        for (name, pattern), x in fit.items()
        if pattern == "MCAR 30 %"
    ]
    first = ("CPU seconds, fit / transform", "rows x columns")
    return table(first, [TITLES[m] for m in IMPUTERS], lines)


def ratios_table(rows):
    """Table of the errors and seconds of the imputers over those of the rivals."""
    lines = []
    for method in ("skae", "gaussian"):
        for rival in (*RIVALS, *(["gaussian"] if method == "skae" else [])):
            line = [f"{TITLES[method]} / {TITLES[rival]}"]
            for name in ("test", "train"):
                errors = ratios(rows, method, rival, name)
                if errors:
                    line += [number(gmean(errors)), number(max(errors))]
            seconds = ratios(rows, method, rival, "fit_seconds")
            if seconds:
                line += [number(gmean(seconds), 2), str(len(seconds))]
                lines.append(line)
    titles = ("worst case", "training rows", "worst case", "CPU of fit", "cases")
    return table(("geometric mean of ratios", "held-out rows"), titles, lines)


def gates(rows):
    """Table of what the imputers are to hold."""
    cost = {(row["set"], row["method"]): row for row in rows if row["part"] == "cost"}
    denoising = [
        row["fit_seconds"] / cost[row["set"], "denoising"]["fit_seconds"]
        for row in rows
        if row["part"] == "cells"
        and row["method"] == "skae"
        and (row["set"], "denoising") in cost
    ]

    def of_table(name, figure):
        return [r[figure] for (x, _), r in cost.items() if x == name]

    floor = ratios(rows, "skae", "gaussian", "test")
    ridge = ratios(rows, "skae", "bayesian_ridge", "test")
    trees = ratios(rows, "skae", "extra_trees", "test")
    floor_fit = ratios(rows, "gaussian", "bayesian_ridge", "fit_seconds")
    trees_fit = ratios(rows, "skae", "extra_trees", "fit_seconds")
    small = of_table("10,000 x 50", "transform_seconds")
    large = of_table("200,000 x 50", "fit_tables")
    claims = (
        ("RMSE over that of the Gaussian imputer, worst case", max, floor, 1.005),
        ("RMSE over that of BayesianRidge, worst case", max, ridge, 1),
        ("RMSE over that of BayesianRidge, geometric mean", gmean, ridge, 0.9),
        ("RMSE over that of ExtraTrees, geometric mean", gmean, trees, 0.95),
        ("fit of the Gaussian imputer over BayesianRidge, worst", max, floor_fit, 1),
        ("fit over ExtraTrees, worst case", max, trees_fit, 1),
        ("fit over DenoisingAutoencoder, worst case", max, denoising, 3),
        ("transform of 10,000 x 50, CPU seconds", max, small, 0.5),
        ("memory of a fit to 200,000 x 50, tables", max, large, 2),
    )
    lines = [
        [
            title,
            number(summary(values)),
            str(bound),
            "holds" if summary(values) <= bound else "does not hold",
        ]
        for title, summary, values, bound in claims
        if values
    ]
    return table(("AutoencoderImputer",), ("figure", "at most", ""), lines)


def as_markdown(record):
    """Tables of the results."""
    rows = record["rows"]
    lines = gates(rows) + ratios_table(rows)
    for title, name in (("held-out rows", "test"), ("training rows", "train")):
        first = (f"RMSE, {title}", "gaps")
        lines += figures_table(first, rows, name, IMPUTERS)
    lines += seconds_table(rows)
    codes = figures(rows, "r2", "codes")
    titles = ("PCA of the Gaussian fill", "mean fill, skae", "skae")
    lines += table(
        ("R² of all cells", "gaps", "codes"),
        titles,
        [
            [*map(str, case), *(number(x.get(m)) for m in ("gaussian", "mean", "skae"))]
            for case, x in codes.items()
        ],
    )
    for name in ("boosting", "logistic"):
        first = (f"accuracy, {name}", "gaps")
        lines += figures_table(first, rows, name, FEATURES, "downstream")
    lines += table(
        ("table", "imputer"),
        ("fit, CPU s", "transform, CPU s", "memory of fit, tables", "of transform"),
        [
            [
                row["set"],
                TITLES[row["method"]],
                number(row["fit_seconds"], 1),
                number(row["transform_seconds"], 2),
                number(row["fit_tables"], 2),
                number(row["transform_tables"], 2),
            ]
            for row in rows
            if row["set"] in TABLES
        ],
    )
    return "\n".join(lines[:-1])


def main():
    """Measure the sets named on the command line, or all."""
    parser = common.parser(__doc__, NAMES)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--methods", nargs="+", choices=TITLES, default=list(TITLES))
    parser.add_argument("--table", choices=TABLES, help="only this one, as JSON")
    args = parser.parse_args()
    if args.table:
        print(json.dumps(measure_table(args.table, *args.methods)))
        return
    path = args.output / "missing.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    record = {**common.environment(), "rows": rows}
    todo = [
        x
        for data in common.available(args.sets)
        for part in args.parts
        for x in measurements(part, data)
    ]
    if "cost" in args.parts:
        todo += table_measurements()
    warnings.simplefilter("ignore", ConvergenceWarning)
    for key, measure in todo:
        if key["method"] not in args.methods:
            continue
        try:
            row = key | measure()
        except ImportError as error:
            warnings.warn(f"{key['method']} is left out: {error}", stacklevel=1)
            continue
        print(*(row.values()), flush=True)
        known = [key.items() <= x.items() for x in rows]
        rows[:] = [x for x, is_known in zip(rows, known, strict=True) if not is_known]
        rows.append(row)
        common.save(args.output, "missing", record, as_markdown(record))
    print(as_markdown(record))


if __name__ == "__main__":
    main()
