"""How many components a share of the variance takes, and how well they are found.

``python -m tests.benchmarks.code_size [set ...]`` prints a line for each set and writes
``code_size.json`` and ``code_size.md`` into ``--output`` (default: the working folder).
Sets that are there already are kept, but for those that are measured again.

A tenth of the training rows, drawn at random, is held out, for all sizes the same.
``AutoencoderTransformer(share)`` has default settings otherwise, and is fitted with
these rows as `X_val`. Figures:

- `pca`: fewest components of PCA that explain the share of the held-out rows;
- `size`: those that are found;
- `r2`: R² of the test rows, which no fit has seen;
- `fits`, and `seconds` of the processor for all of them, beside those of one fit of the
  size found;
- `turn`: share of the seconds of that fit that putting the codes in order takes.

Of the sets named by ``--brute-force``, each size up to that of PCA is fitted:
`held_out` and `test` are the smallest that explain the share of the held-out and of the
test rows.

All of it is for one thread: set OMP_NUM_THREADS=1.
"""

import json
import time
import warnings

import numpy as np
from sklearn.model_selection import train_test_split

from skae import AutoencoderTransformer
from skae._codes import OrderedCodesMixin
from tests.benchmarks.common import (
    available,
    environment,
    number,
    parser,
    save,
    table,
)

SETS = (
    "digits",
    "breast_cancer",
    "satellite",
    "letter",
    "leaf",
    "cells",
    "wa_churn",
    "spam",
)
BRUTE_FORCE = ("satellite", "letter", "breast_cancer")


def fit(size, train, held_out):
    """Return a fitted autoencoder and the seconds that it took."""
    began = time.process_time()
    model = AutoencoderTransformer(size, random_state=0).fit(train, X_val=held_out)
    return model, time.process_time() - began


def seconds_of_turn(model, train):
    """Return the seconds that it takes to put the codes of a fit in order."""
    began = time.process_time()
    table = model._table(train, reset=False)
    OrderedCodesMixin._order_codes(
        model, model.net_, table, many_rows=model.best_epoch_ == 0
    )
    return time.process_time() - began


def measure(dataset, share, brute_force):
    """Return the figures of a set."""
    train, held_out = train_test_split(dataset.X_train, test_size=0.1, random_state=0)
    model, seconds = fit(share, train, held_out)
    search = model.n_components_search_
    _, seconds_of_one = fit(model.n_components_, train, held_out)
    figures = {
        "shape": [*dataset.X_train.shape],
        "pca": len(search["pca_score"]),
        "size": model.n_components_,
        "tried": search["n_components"].tolist(),
        "scores": search["score"].tolist(),
        "r2": model.score(dataset.X_test),
        "fits": len(search["score"]),
        "seconds": seconds,
        "seconds_of_one": seconds_of_one,
        "turn": seconds_of_turn(model, train) / seconds_of_one,
    }
    if brute_force:
        sizes = range(1, figures["pca"] + 1)
        models = [fit(size, train, held_out)[0] for size in sizes]
        for name, rows in (("held_out", held_out), ("test", dataset.X_test)):
            mean = train.mean(axis=0)
            total = np.square(rows - mean).sum()
            errors = [m.reconstruction_error(rows).mean() * rows.size for m in models]
            passed = np.flatnonzero(1 - np.array(errors) / total >= share)
            figures[name] = int(passed[0]) + 1 if len(passed) else None
    return figures


def as_markdown(rows):
    lines = [
        [
            row["set"],
            "{} x {}".format(*row["shape"]),
            str(row["pca"]),
            str(row["size"]),
            number(row["r2"]),
            str(row["fits"]),
            number(row["seconds"], 1),
            number(row["seconds_of_one"], 1),
            number(100 * row["turn"], 1),
        ]
        for row in rows
    ]
    titles = ("rows x columns", "PCA", "size found", "test R²", "fits", "seconds")
    titles += ("of one fit", "turn, %")
    text = table(("set",), titles, lines)
    lines = [
        [row["set"], str(row["size"]), str(row["held_out"]), str(row["test"])]
        for row in rows
        if "test" in row
    ]
    titles = ("size found", "smallest on held-out rows", "on test rows")
    return "\n".join([*text, *table(("every size fitted",), titles, lines)][:-1])


def main():
    """Measure the sets named on the command line, or all."""
    arguments = parser(__doc__, SETS)
    arguments.add_argument("--share", type=float, default=0.95)
    arguments.add_argument("--brute-force", nargs="*", default=BRUTE_FORCE)
    args = arguments.parse_args()
    path = args.output / "code_size.json"
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    record = {**environment(), "share": args.share, "rows": rows}
    warnings.simplefilter("ignore")
    for dataset in available(args.sets):
        figures = measure(dataset, args.share, dataset.name in args.brute_force)
        print(dataset.name, *figures.values(), flush=True)
        rows[:] = [row for row in rows if row["set"] != dataset.name]
        rows.append({"set": dataset.name, **figures})
        save(args.output, "code_size", record, as_markdown(rows))
    print(as_markdown(rows))


if __name__ == "__main__":
    main()
