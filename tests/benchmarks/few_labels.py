"""What unlabelled rows are worth where few rows have labels.

``python -m tests.benchmarks.few_labels [set ...]`` prints three tables and writes
``few_labels.json`` and ``few_labels.md`` into ``--output`` (default: the working
folder): balanced accuracy on held-out rows, the differences that matter, and the log
losses and CPU seconds. Figures are means over draws of the labelled rows; all other
training rows, at most ``--rows``, are unlabelled. One autoencoder, the default one, is
trained for each draw, and used for all numbers of labels.
"""

import time
import warnings
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from sklearn.svm import SVC

from skae import PretrainedClassifier
from skae._pretrainer import default_pretrainer
from tests.benchmarks import common

NAMES = (
    *("digits", "satellite", "leaf", "fashion_mnist", "spam", "musk", "wa_churn"),
    *("letter", "cells", "dna", "vehicle", "vowel", "credit", "japanese_vowels"),
)
LABELS = (5, 10, 20, 50)
N_DRAWS = 10
N_TRAIN = 3_000
N_TEST = 3_000

DEFAULT = "PretrainedClassifier"
WITHOUT = "without teachers"
RANDOM = "same net, random weights"
OF_SKAE = (DEFAULT, WITHOUT, RANDOM)
RIVALS = (
    *(RANDOM, "logistic", "SVC", "SVC on hidden"),
    *("self-training", "label spreading"),
)


def labelled_rows(y, n_labels, rng):
    """Choose as many rows of each class, or all but one that there are."""
    index = []
    for label in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == label))
        index.append(rows[: min(n_labels, len(rows) - 1)])
    return np.concatenate(index)


class Method(NamedTuple):
    """A classifier, and what it is fitted to."""

    model: Any
    takes_unlabelled: bool = True
    on_hidden: bool = False


def methods(frozen, seed):
    """Methods by name."""

    def pretrained(**params):
        return Method(PretrainedClassifier(frozen, random_state=seed, **params))

    def scaled(model, **kwargs):
        return Method(make_pipeline(StandardScaler(), model), **kwargs)

    logistic = LogisticRegression(max_iter=2000)
    return {
        DEFAULT: pretrained(),
        WITHOUT: pretrained(teachers=None),
        RANDOM: pretrained(teachers=None, pretrain=False),
        "logistic": scaled(logistic, takes_unlabelled=False),
        "SVC": scaled(SVC(), takes_unlabelled=False),
        "SVC on hidden": scaled(SVC(), takes_unlabelled=False, on_hidden=True),
        "self-training": scaled(SelfTrainingClassifier(logistic)),
        "label spreading": scaled(LabelSpreading("knn", n_neighbors=7, alpha=0.2)),
    }


def brier(y, p):
    """Mean squared error of the probabilities of all classes."""
    return float(np.square(p - np.eye(p.shape[1])[y]).sum(axis=1).mean())


def measure(data, n_draws, n_train):
    """Figures by number of labels and method, one for each draw."""
    X, y = data.X_train[:n_train], data.y_train[:n_train]
    X_test, y_test = data.X_test[:N_TEST], data.y_test[:N_TEST]
    classes, counts = np.unique(y, return_counts=True)
    classes = classes[counts >= 8]  # of which some rows are left unlabelled
    X, y = X[np.isin(y, classes)], np.searchsorted(classes, y[np.isin(y, classes)])
    kept = np.isin(y_test, classes)
    X_test, y_test = X_test[kept], np.searchsorted(classes, y_test[kept])
    figures = {n_labels: {} for n_labels in LABELS}
    pretraining = []
    for draw in range(n_draws):
        rng = np.random.RandomState(draw)
        start = time.process_time()
        autoencoder = default_pretrainer(X.shape[1], draw, "auto", 0).fit(X)
        pretraining.append(time.process_time() - start)
        autoencoder.set_params(output="hidden")
        hidden, hidden_test = map(autoencoder.transform, (X, X_test))
        autoencoder.set_params(output="code")
        for n_labels in LABELS:
            index = labelled_rows(y, n_labels, rng)
            marked = np.full(len(y), -1)
            marked[index] = y[index]
            for name, method in methods(FrozenEstimator(autoencoder), draw).items():
                rows, tested = (
                    (hidden, hidden_test) if method.on_hidden else (X, X_test)
                )
                target = marked
                if not method.takes_unlabelled:
                    rows, target = rows[index], y[index]
                model = method.model
                start = time.process_time()
                with warnings.catch_warnings():
                    # Rows that no label reaches: a division of zero by zero.
                    warnings.simplefilter("ignore", RuntimeWarning)
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    model.fit(rows, target)
                    seconds = time.process_time() - start
                    predicted = model.predict(tested)
                score = balanced_accuracy_score(y_test, predicted)
                found = {"accuracy": score, "cpu": seconds}
                if name in OF_SKAE:
                    p = model.predict_proba(tested).astype(float)
                    p /= p.sum(axis=1, keepdims=True)
                    found["log_loss"] = log_loss(y_test, p, labels=np.unique(y))
                    found["brier"] = brier(y_test, p)
                for figure, value in found.items():
                    of = figures[n_labels].setdefault(name, {})
                    of.setdefault(figure, []).append(float(value))
    return {
        "set": data.name,
        "shape": list(X.shape),
        "figures": figures,
        "pretraining_cpu": pretraining,
    }


def mean_and_error(values):
    """Mean and standard error, as text."""
    values = np.array(values)
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else 0
    return f"{values.mean():.1f} ± {error:.1f}"


def table(head, rows):
    """Return a table of Markdown."""
    lines = ["| " + " | ".join(each) + " |" for each in [head, *rows]]
    return "\n".join([lines[0], "|" + " --- |" * len(head), *lines[1:]])


def as_markdown(records):
    """Tables of accuracies, of differences, of losses and seconds, and their means."""
    names = list(records[0]["figures"][LABELS[0]])
    accuracies, gains, losses, all_gains = [], [], [], []
    for record in records:
        for n_labels, by_name in record["figures"].items():
            begin = [record["set"], str(n_labels)]
            percent = {n: 100 * np.array(by_name[n]["accuracy"]) for n in names}
            accuracies.append([*begin, *(mean_and_error(percent[n]) for n in names)])
            best = max(RIVALS, key=lambda name: percent[name].mean())
            differences = [
                percent[DEFAULT] - percent[n] for n in (best, WITHOUT, RANDOM)
            ]
            differences.append(percent[WITHOUT] - percent[RANDOM])
            all_gains.append([each.mean() for each in differences])
            cells = list(map(mean_and_error, differences))
            gains.append([*begin, f"{cells[0]} ({best})", *cells[1:]])
            cells = [
                f"{np.mean(by_name[name][figure]):.3f}"
                for figure in ("log_loss", "brier")
                for name in OF_SKAE
            ]
            cells += [f"{np.mean(by_name[n]['cpu']):.1f}" for n in (DEFAULT, WITHOUT)]
            cells.append(f"{np.mean(record['pretraining_cpu']):.1f}")
            losses.append([*begin, *cells])
    for statistic in (np.mean, np.min):
        row = [f"{value:+.1f}" for value in statistic(all_gains, axis=0)]
        gains.append([statistic.__name__, "", *row])
    begin = ["set", "labels a class"]
    of_losses = [f"{f}, {name}" for f in ("log loss", "Brier") for name in OF_SKAE]
    seconds = [f"CPU s, {name}" for name in (DEFAULT, WITHOUT, "pretraining")]
    return "\n\n".join(
        [
            table([*begin, *names], accuracies),
            table(
                [
                    *begin,
                    *("over the best rival", f"over {WITHOUT}", "over random weights"),
                    f"{WITHOUT} over random weights",
                ],
                gains,
            ),
            table([*begin, *of_losses, *seconds], losses),
        ]
    )


def main():
    """Measure the sets named on the command line, or all."""
    parser = common.parser(__doc__, NAMES)
    parser.add_argument("--draws", type=int, default=N_DRAWS)
    parser.add_argument("--rows", type=int, default=N_TRAIN, help="training rows")
    args = parser.parse_args()
    record = {"draws": args.draws, **common.environment(), "rows": []}
    for data in common.available(args.sets):
        record["rows"].append(measure(data, args.draws, args.rows))
        print(as_markdown(record["rows"][-1:]), flush=True)
        common.save(args.output, "few_labels", record, as_markdown(record["rows"]))


if __name__ == "__main__":
    main()
