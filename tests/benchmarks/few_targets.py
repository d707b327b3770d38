"""What rows without a target are worth where few rows have one.

``OMP_NUM_THREADS=1 python -m tests.benchmarks.few_targets [set ...]`` prints two tables
and writes ``few_targets.json`` and ``few_targets.md`` into ``--output`` (default: the
working folder): R² of held-out rows, and the differences that matter. Figures are means
over draws of the rows that have a target; all other training rows have none. One
autoencoder, the default one, is trained for each draw, and used for all numbers of
targets.
"""

import time
import warnings

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, make_friedman1
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from skae import PretrainedRegressor
from skae._pretrainer import default_pretrainer
from tests.benchmarks import common
from tests.benchmarks.data import DatasetUnavailable, debian_r, modeldata
from tests.benchmarks.few_labels import mean_and_error, table

# Name of the frame in modeldata, target, columns to leave out, and whether its
# logarithm is the target.
FRAMES = {
    "concrete": ("concrete", "compressive_strength", (), False),
    "solubility": ("solubility_test", "solubility", (), False),
    "meats": ("meats", "protein", ("water", "fat"), False),
    "sacramento": ("Sacramento", "price", ("zip", "city"), True),
    "chem_proc_yield": ("chem_proc_yield", "yield", (), False),
    "car_prices": ("car_prices", "Price", (), True),
}
NAMES = ("diabetes", "friedman", "ozone", "boston", *FRAMES)
TARGETS = (30, 100)
N_DRAWS = 4
MAX_ROWS = 2_500

DEFAULT = "PretrainedRegressor"
WITHOUT = "without teachers"
RANDOM = "same net, random weights"
RIVALS = (RANDOM, "ridge", "nearest neighbors", "extra trees", "SVR")


def load(name):
    """Rows and target of a set."""
    if name == "diabetes":
        return load_diabetes(return_X_y=True)
    if name == "friedman":
        return make_friedman1(2_000, 10, noise=1, random_state=0)
    if name in FRAMES:
        item, target, left_out, logarithm = FRAMES[name]
        frame = modeldata(item).drop(columns=list(left_out))
    elif name == "boston":
        frame, target, logarithm = debian_r("mlbench", "BostonHousing"), "medv", False
    else:
        frame = debian_r("mlbench", "Ozone").dropna().drop(columns=["V1", "V2", "V3"])
        target, logarithm = "V4", False
    y = np.asarray(frame[target], dtype=float)
    X = pd.get_dummies(frame.drop(columns=target), dtype=float)
    X = X.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=float)
    return X[:, X.std(axis=0) > 0], np.log(y) if logarithm else y


def methods(frozen, seed):
    """Regressors by name; the first three learn from all rows."""

    def pretrained(**params):
        return PretrainedRegressor(frozen, random_state=seed, **params)

    forest = ExtraTreesRegressor(200, min_samples_leaf=2, random_state=seed)
    return {
        DEFAULT: pretrained(),
        WITHOUT: pretrained(teachers=None),
        RANDOM: pretrained(teachers=None, pretrain=False),
        "ridge": RidgeCV(np.logspace(-3, 4, 15)),
        "nearest neighbors": KNeighborsRegressor(weights="distance"),
        "extra trees": forest,
        "SVR": TransformedTargetRegressor(SVR(), transformer=StandardScaler()),
    }


def measure(name, n_draws):
    """R² by number of targets and method, one for each draw."""
    X, y = load(name)
    chosen = np.random.RandomState(0).permutation(len(X))[:MAX_ROWS]
    X, X_test, y, y_test = train_test_split(
        X[chosen], y[chosen], test_size=0.3, random_state=0
    )
    scaler = StandardScaler().fit(X)
    X, X_test = scaler.transform(X), scaler.transform(X_test)
    figures = {n_targets: {} for n_targets in TARGETS if 2 * n_targets <= len(y)}
    for draw in range(n_draws):
        order = np.random.RandomState(draw).permutation(len(y))
        autoencoder = default_pretrainer(X.shape[1], draw, "auto", 0).fit(X)
        for n_targets, by_name in figures.items():
            known = order[:n_targets]
            marked = np.full(len(y), np.nan)
            marked[known] = y[known]
            for method, model in methods(FrozenEstimator(autoencoder), draw).items():
                of_skae = isinstance(model, PretrainedRegressor)
                rows, target = (X, marked) if of_skae else (X[known], y[known])
                start = time.process_time()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    model.fit(rows, target)
                seconds = time.process_time() - start
                found = by_name.setdefault(method, {"r2": [], "cpu": []})
                found["r2"].append(r2_score(y_test, model.predict(X_test)))
                found["cpu"].append(seconds)
    return {"set": name, "shape": list(X.shape), "figures": figures}


def as_markdown(records):
    """Tables of R² and of its differences, in hundredths."""
    scores, gains, all_gains = [], [], []
    for record in records:
        for n_targets, by_name in record["figures"].items():
            begin = [record["set"], " x ".join(map(str, record["shape"]))]
            begin.append(str(n_targets))
            hundredths = {n: 100 * np.array(f["r2"]) for n, f in by_name.items()}
            scores.append([*begin, *map(mean_and_error, hundredths.values())])
            best = max(RIVALS, key=lambda method: hundredths[method].mean())
            differences = [
                hundredths[DEFAULT] - hundredths[n] for n in (best, WITHOUT, RANDOM)
            ]
            all_gains.append([each.mean() for each in differences])
            cells = list(map(mean_and_error, differences))
            seconds = [f"{np.mean(by_name[n]['cpu']):.1f}" for n in (DEFAULT, WITHOUT)]
            gains.append([*begin, f"{cells[0]} ({best})", *cells[1:], *seconds])
    for statistic in (np.mean, np.min):
        row = [f"{value:+.1f}" for value in statistic(all_gains, axis=0)]
        gains.append([statistic.__name__, "", "", *row, "", ""])
    begin = ["set", "rows x columns", "targets"]
    over = ["over the best rival", f"over {WITHOUT}", "over random weights"]
    seconds = [f"CPU s, {n}" for n in (DEFAULT, WITHOUT)]
    return "\n\n".join(
        [
            table([*begin, *hundredths], scores),
            table([*begin, *over, *seconds], gains),
        ]
    )


def main():
    """Measure the sets named on the command line, or all."""
    parser = common.parser(__doc__, NAMES)
    parser.add_argument("--draws", type=int, default=N_DRAWS)
    args = parser.parse_args()
    record = {"draws": args.draws, **common.environment(), "rows": []}
    for name in args.sets or NAMES:
        try:
            record["rows"].append(measure(name, args.draws))
        except DatasetUnavailable as error:
            print(f"{name}: {error}")
            continue
        print(as_markdown(record["rows"][-1:]), flush=True)
        common.save(args.output, "few_targets", record, as_markdown(record["rows"]))


if __name__ == "__main__":
    main()
