"""How well outliers are found, and whether false alarms are what was asked for.

``python -m tests.benchmarks.outliers [set ...]`` prints a line for each measurement and
writes ``outliers.json`` and ``outliers.md`` into ``--output`` (default: the working
folder). Results that are there already are kept, but for those that are measured again.
All sets have the first seed before any has the second one.

The sets are for classification: one class or a few are outliers, and the others are
normal, see `SETS`. They come with scikit-learn, or with Debian's r-cran-mlbench,
r-cran-kernlab and dataset-fashion-mnist. Half of the normal rows, and at most 2,000,
are for training; up to 3,000 others are for the test, with outliers that are at most a
fifth of them. "clean" has normal training rows alone; in "contaminated", outliers are 5
% more (and at most half of all outliers). Columns are standardised with the statistics
of the training rows, but for pixels.

- `auc`: area under the ROC curve; `ap`: average precision;
- `alarms`: share of the normal rows of the test that are taken for outliers, where 1,
  5 and 10 % were asked for: of skae by p-values, of the others by the quantile of the
  scores of training rows, as `contamination` sets it;
- `seconds` of the processor, for the fit.

Detectors have their default settings. Those of pyod are left out where it is not
installed.

All of it is for one thread: set OMP_NUM_THREADS=1.
"""

import json
import time
import warnings
from functools import partial

import numpy as np
import pandas as pd
from sklearn import datasets
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import OneClassSVM

from skae import AutoencoderOutlierDetector
from tests.benchmarks.common import environment, number, parser, save, table
from tests.benchmarks.data import debian_r, load

N_TRAIN = 2_000
N_TEST = 3_000
RATES = (0.01, 0.05, 0.1)


# Sets: rows, and which are outliers


def _bundled(reader, outliers, seed):
    X, y = reader(return_X_y=True)
    return X, np.isin(y, outliers)


def _debian(package, item, target, outliers, seed, drop=()):
    frame = debian_r(package, item)
    is_outlier = frame[target].astype(str).isin(outliers).to_numpy()
    X = frame.drop(columns=[target, *drop]).astype(float).to_numpy()
    there = np.isfinite(X).all(axis=1)
    return X[there], is_outlier[there]


def _digit(seed):
    X, y = datasets.load_digits(return_X_y=True)
    return X / 16, y == seed


def _garment(seed):
    data = load("fashion_mnist")
    return data.X_test, data.y_test == seed


SETS = {
    "breast_cancer": partial(_bundled, datasets.load_breast_cancer, [0]),
    "wine": partial(_bundled, datasets.load_wine, [2]),
    "digits": _digit,
    "fashion_mnist": _garment,
    "satellite": partial(
        *(_debian, "mlbench", "Satellite", "classes"),
        ["cotton crop", "damp grey soil", "vegetation stubble"],
    ),
    "shuttle": partial(
        *(_debian, "mlbench", "Shuttle", "Class"),
        ["Fpv.Close", "Fpv.Open", "High", "Bypass", "Bpv.Close", "Bpv.Open"],
    ),
    "letter": partial(
        *(_debian, "mlbench", "LetterRecognition", "lettr"), ["A", "J", "Q"]
    ),
    "vowel": partial(_debian, "mlbench", "Vowel", "Class", ["hid"], drop=["V1"]),
    "vehicle": partial(_debian, "mlbench", "Vehicle", "Class", ["van"]),
    "ionosphere": partial(
        *(_debian, "mlbench", "Ionosphere", "Class", ["bad"]), drop=["V1", "V2"]
    ),
    "pima": partial(_debian, "mlbench", "PimaIndiansDiabetes", "diabetes", ["pos"]),
    "sonar": partial(_debian, "mlbench", "Sonar", "Class", ["M"]),
    "spam": partial(_debian, "kernlab", "spam", "type", ["spam"]),
    "musk": partial(_debian, "kernlab", "musk", "Class", ["1"]),
}
_PIXELS = ("digits", "fashion_mnist")


def split(name, contaminated, seed):
    """Return training rows, rows of the test, and which of these are outliers."""
    X, is_outlier = SETS[name](seed=seed)
    rng = np.random.RandomState(seed)
    normal = rng.permutation(np.flatnonzero(~is_outlier))
    outliers = rng.permutation(np.flatnonzero(is_outlier))
    n_train = min(N_TRAIN, len(normal) // 2)
    test = normal[n_train:][:N_TEST]
    # Both have the same test.
    n_mixed_in = min(n_train // 20, len(outliers) // 2)
    mixed_in, outliers = outliers[:n_mixed_in], outliers[n_mixed_in:]
    train = normal[:n_train]
    if contaminated:
        train = np.concatenate([train, mixed_in])
    outliers = outliers[: max(1, len(test) // 5)]
    rows = np.concatenate([test, outliers])
    scaler = FunctionTransformer() if name in _PIXELS else StandardScaler()
    return scaler.fit_transform(X[train]), scaler.transform(X[rows]), is_outlier[rows]


# Detectors: functions that fit, and return what scores rows (high: an outlier), and the
# scores of training rows or p-values of new rows


def _skae(score, X, seed):
    model = AutoencoderOutlierDetector(outlier_score=score, random_state=seed).fit(X)
    return lambda rows: -model.score_samples(rows), model.p_values


def _neighbors(X, seed):
    model = NearestNeighbors(n_neighbors=5).fit(X)
    return lambda rows: model.kneighbors(rows)[0][:, -1], model.kneighbors()[0][:, -1]


def _sklearn(model, X, seed):
    if "random_state" in model.get_params():
        model.set_params(random_state=seed)
    model.fit(X)
    scores = -getattr(model, "negative_outlier_factor_", model.score_samples(X))
    return lambda rows: -model.score_samples(rows), scores


def _pyod(name, X, seed):
    from pyod.models.auto_encoder import AutoEncoder
    from pyod.models.ecod import ECOD
    from pyod.models.pca import PCA

    model = {
        "autoencoder": lambda: AutoEncoder(random_state=seed, verbose=0),
        "ecod": ECOD,
        "pca": lambda: PCA(random_state=seed),
    }[name]()
    model.fit(X)
    return model.decision_function, model.decision_scores_


OURS = ("neighbors", "error", "density")
METHODS = {
    **{score: partial(_skae, score) for score in OURS},
    "kNN": _neighbors,
    "IsolationForest": lambda X, seed: _sklearn(IsolationForest(), X, seed),
    "LOF": lambda X, seed: _sklearn(LocalOutlierFactor(novelty=True), X, seed),
    "OneClassSVM": lambda X, seed: _sklearn(OneClassSVM(), X, seed),
    "pyod AutoEncoder": partial(_pyod, "autoencoder"),
    "pyod ECOD": partial(_pyod, "ecod"),
    "pyod PCA": partial(_pyod, "pca"),
}


def measure(method, parts, seed):
    """Return the figures of one detector."""
    train, test, is_outlier = parts
    began = time.process_time()
    score, calibrated = METHODS[method](train, seed)
    seconds = time.process_time() - began
    # The PCA of pyod divides by variances, which are zero for constant columns.
    scores = np.nan_to_num(score(test))
    normal = test[~is_outlier]
    if method in OURS:
        p = calibrated(normal)
        alarms = [float(np.mean(p <= rate)) for rate in RATES]
    else:
        limits = np.quantile(np.nan_to_num(calibrated), [1 - rate for rate in RATES])
        alarms = [float(np.mean(scores[~is_outlier] > limit)) for limit in limits]
    return {
        "shape": [*train.shape, int((~is_outlier).sum()), int(is_outlier.sum())],
        "auc": float(roc_auc_score(is_outlier, scores)),
        "ap": float(average_precision_score(is_outlier, scores)),
        "alarms": alarms,
        "seconds": seconds,
    }


# The tables


def as_markdown(rows):
    """Return the tables of all figures."""
    frame = pd.DataFrame(rows)
    cases = ["set", "training", "seed"]
    found = frame["method"].unique()
    methods = [method for method in METHODS if method in found]
    complete = frame.groupby(["set", "seed"])["seed"].transform("size")
    frame = frame[complete == 2 * len(methods)]
    if frame.empty:
        return ""
    auc = frame.pivot(index=cases, columns="method", values="auc")[methods]
    by_set = auc.groupby(level=["set", "training"], sort=False).mean()
    lines = _summary(frame, auc, by_set, methods)
    lines += _gates(by_set, methods)
    lines += _false_alarms(frame, methods)
    set_lines = [
        [*key, *(number(value) for value in row)]
        for key, row in zip(by_set.index, by_set.to_numpy(), strict=True)
    ]
    lines += table(("AUC", "training rows"), methods, set_lines)
    return "\n".join(lines[:-1])


def _summary(frame, auc, by_set, methods):
    lines = []
    means = frame.groupby("method")[["ap", "seconds"]].mean()
    rank = by_set.rank(axis=1, ascending=False).mean()
    clean = auc.xs("clean", level="training").mean()
    mixed = auc.xs("contaminated", level="training").mean()
    for method in methods:
        figures = [auc[method].mean(), clean[method], mixed[method]]
        figures += [means.loc[method, "ap"]]
        line = [method, *(number(figure) for figure in figures)]
        lines.append(
            [*line, number(rank[method], 2), number(means.loc[method, "seconds"], 2)]
        )
    titles = ("AUC", "clean", "contaminated", "average precision", "mean rank", "CPU s")
    return table(("means",), titles, lines)


def _gates(by_set, methods):
    lines = []
    for method in methods:
        if method in OURS or "neighbors" not in methods:
            continue
        gain = by_set["neighbors"] - by_set[method]
        holds = "holds" if gain.mean() >= 0 else "does not hold"
        n_better = f"{(gain > 0).sum()} of {len(gain)}"
        lines.append([method, number(gain.mean()), n_better, holds])
    return table(("AUC of neighbors over",), ("mean gain", "better in", ""), lines)


def _false_alarms(frame, methods):
    clean = frame[frame["training"] == "clean"]
    lines = []
    for method in methods:
        of_method = clean[clean["method"] == method]
        rates = pd.DataFrame(of_method["alarms"].tolist(), index=of_method["set"])
        rates = rates.groupby(level=0).mean()
        cells = [
            f"{100 * rates[i].mean():.1f} ({100 * rates[i].max():.1f})"
            for i in range(len(RATES))
        ]
        lines.append([method, *cells])
    titles = [f"{rate:.0%} asked for" for rate in RATES]
    return table(("false alarms in %, mean (worst set)",), titles, lines)


def main():
    """Measure the sets named on the command line, or all."""
    arguments = parser(__doc__, SETS, repeats=3)
    arguments.add_argument("--methods", nargs="+", choices=METHODS, default=[*METHODS])
    args = arguments.parse_args()
    path = args.output / "outliers.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    record = {**environment(), "rows": rows}
    warnings.simplefilter("ignore")
    for seed in range(args.repeats):
        for name in args.sets:
            for training in ("clean", "contaminated"):
                parts = split(name, training == "contaminated", seed)
                for method in args.methods:
                    key = {
                        **{"set": name, "training": training},
                        **{"seed": seed, "method": method},
                    }
                    try:
                        row = key | measure(method, parts, seed)
                    except ImportError as error:
                        print(f"{method} is left out: {error}")
                        continue
                    print(*row.values(), flush=True)
                    rows[:] = [x for x in rows if not key.items() <= x.items()]
                    rows.append(row)
            save(args.output, "outliers", record, as_markdown(rows))
    print(as_markdown(rows))


if __name__ == "__main__":
    main()
