"""What pretraining is worth where few rows have labels.

``python -m tests.benchmarks.few_labels [set ...]`` prints two tables and writes
``few_labels.json`` and ``few_labels.md`` into ``--output`` (default: the working
folder). The figure is the balanced accuracy on held-out rows, the mean over draws of
the labelled rows; all other training rows are unlabelled. The autoencoder is trained
once for each draw, and used for all numbers of labels. Self-training and label
spreading see at most 5,000 unlabelled rows, and the stacked autoencoder is left out of
larger sets: they would take hours.
"""

import time
import warnings

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from sklearn.svm import SVC

from skae import PretrainedClassifier, StackedAEPretrainer
from skae._pretrainer import default_pretrainer
from tests.benchmarks import common

NAMES = ("digits", "satellite", "leaf", "fashion_mnist")
LABELS = (5, 10, 20, 50)
N_DRAWS = 10
N_TRAIN = 20_000
N_TEST = 5_000
# What takes too long with more rows is left out, or given so many.
FEW_ROWS = 5_000


def labelled_rows(y, n_labels, rng):
    """Choose as many rows of each class, or all but one that there are."""
    index = []
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        index.append(rows[: min(n_labels, len(rows) - 1)])
    return np.concatenate(index)


def pretrainers(n_rows, n_features, seed):
    """Autoencoders to start from."""
    default = default_pretrainer(n_features, seed, "auto", 0)
    if n_rows > FEW_ROWS:
        return {"default": default}
    stacked = StackedAEPretrainer(
        default.n_components, noise="swap", noise_level=0.15, random_state=seed
    )
    return {"default": default, "stacked": stacked}


def measure(data, n_draws):
    """Balanced accuracies, by number of labels and method, one for each draw."""
    X, y = data.X_train[:N_TRAIN], data.y_train[:N_TRAIN]
    X_test, y_test = data.X_test[:N_TEST], data.y_test[:N_TEST]
    scores = {n_labels: {} for n_labels in LABELS}
    seconds = {}
    for draw in range(n_draws):
        rng = np.random.RandomState(draw)
        fitted = {}
        for name, model in pretrainers(*X.shape, draw).items():
            start = time.perf_counter()
            fitted[name] = FrozenEstimator(model.fit(X))
            seconds.setdefault(name, []).append(time.perf_counter() - start)
        for n_labels in LABELS:
            index = labelled_rows(y, n_labels, rng)
            marked = np.full(len(y), -1)
            marked[index] = y[index]
            codes, codes_test = (
                fitted["default"].transform(each) for each in (X[index], X_test)
            )
            predictions = {
                f"pretrained, {name}": PretrainedClassifier(frozen, random_state=draw)
                .fit(X, marked)
                .predict(X_test)
                for name, frozen in fitted.items()
            }
            predictions["same net, random weights"] = (
                PretrainedClassifier(
                    fitted["default"], pretrain=False, random_state=draw
                )
                .fit(X, marked)
                .predict(X_test)
            )
            for name, classifier in {
                "logistic": LogisticRegression(max_iter=2000),
                "SVC": SVC(),
            }.items():
                model = make_pipeline(StandardScaler(), classifier)
                model.fit(X[index], y[index])
                predictions[name] = model.predict(X_test)
                model.fit(codes, y[index])
                predictions[f"{name} on codes"] = model.predict(codes_test)
            some = np.union1d(index, np.arange(min(len(X), FEW_ROWS)))
            for name, classifier in {
                "self-training, logistic": SelfTrainingClassifier(
                    LogisticRegression(max_iter=2000)
                ),
                "label spreading": LabelSpreading(kernel="knn", n_neighbors=7),
            }.items():
                model = make_pipeline(StandardScaler(), classifier)
                with warnings.catch_warnings():
                    # Rows that no label reaches: a division of zero by zero.
                    warnings.simplefilter("ignore", RuntimeWarning)
                    model.fit(X[some], marked[some])
                predictions[name] = model.predict(X_test)
            for name, y_pred in predictions.items():
                score = balanced_accuracy_score(y_test, y_pred)
                scores[n_labels].setdefault(name, []).append(score)
    return {
        "set": data.name,
        "shape": list(X.shape),
        "scores": scores,
        "pretraining_seconds": seconds,
    }


def as_markdown(rows):
    """Tables of the accuracies, and of what pretraining adds."""
    names = list(rows[0]["scores"][LABELS[0]])
    names += [n for row in rows for n in row["scores"][LABELS[0]] if n not in names]
    lines = ["| set | labels a class | " + " | ".join(names) + " |"]
    lines.append("|" + " --- |" * (2 + len(names)))
    gains = ["| set | labels a class | default − random | stacked − random |"]
    gains.append("|" + " --- |" * 4)

    def figure(values):
        values = 100 * np.array(values)
        error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0
        return f"{values.mean():.1f} ± {error:.1f}"

    for row in rows:
        for n_labels, scores in row["scores"].items():
            cells = [figure(scores[name]) if name in scores else "" for name in names]
            lines.append(f"| {row['set']} | {n_labels} | " + " | ".join(cells) + " |")
            control = np.array(scores["same net, random weights"])
            cells = [
                figure(np.array(scores[f"pretrained, {name}"]) - control)
                if f"pretrained, {name}" in scores
                else ""
                for name in ("default", "stacked")
            ]
            gains.append(f"| {row['set']} | {n_labels} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *gains])


def main():
    """Measure the sets named on the command line, or all."""
    parser = common.parser(__doc__, NAMES)
    parser.add_argument("--draws", type=int, default=N_DRAWS)
    args = parser.parse_args()
    record = {"draws": args.draws, **common.environment(), "rows": []}
    for data in common.available(args.sets):
        record["rows"].append(measure(data, args.draws))
        print(as_markdown(record["rows"][-1:]), flush=True)
        common.save(args.output, "few_labels", record, as_markdown(record["rows"]))


if __name__ == "__main__":
    main()
