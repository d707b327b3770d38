"""Held-out reconstruction beside PCA of the same size, with default settings.

``python -m tests.benchmarks.floor [set ...]`` prints a table and writes
``floor.json``, ``floor.md``, ``floor_summary.md`` and ``fit_seconds.md`` into
``--output`` (default: the working folder). The figure is the variance-weighted R² of
the reconstruction of rows that nothing was fitted to. The seconds are those of the
processors. Sets that are not available are left out, with the reason.
"""

import time

import numpy as np
from sklearn.decomposition import PCA
from sklearn.metrics import r2_score

from skae import AutoencoderTransformer
from tests.benchmarks import common
from tests.benchmarks.data import NAMES

SIZES = (2, 8, 30)
SEEDS = (0, 1, 2)
TOLERANCE = 0.002
EQUAL = 1e-4  # R², between settings that count as equal


def measure(data, n_components, seeds=SEEDS, **params):
    """R² of PCA and of the autoencoder for each seed, and CPU seconds of its fits."""
    pca = PCA(n_components, random_state=0).fit(data.X_train)
    reconstruction = pca.inverse_transform(pca.transform(data.X_test))
    scores, seconds, epochs = [], [], []
    for seed in seeds:
        start = time.process_time()
        model = AutoencoderTransformer(n_components, random_state=seed, **params)
        model.fit(data.X_train)
        seconds.append(time.process_time() - start)
        scores.append(model.score(data.X_test))
        epochs.append(model.best_epoch_)
    return {
        "set": data.name,
        "shape": list(data.X_train.shape),
        "n_components": n_components,
        "pca": r2_score(data.X_test, reconstruction, multioutput="variance_weighted"),
        "scores": scores,
        "best_epochs": epochs,
        "seconds": seconds,
    }


def as_markdown(rows):
    """Table of the results, one line for a set and size."""
    lines = [
        "| set | rows x columns | codes | PCA | skae, worst | skae, mean | CPU s | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        worst, mean = min(row["scores"]), np.mean(row["scores"])
        verdict = "below PCA" if worst < row["pca"] - TOLERANCE else ""
        lines.append(
            f"| {row['set']} | {row['shape'][0]} x {row['shape'][1]} "
            f"| {row['n_components']} | {row['pca']:.4f} | {worst:.4f} | {mean:.4f} "
            f"| {np.median(row['seconds']):.1f} | {verdict} |"
        )
    return "\n".join(lines)


def summary(rows):
    """Sentence on how many settings are better than PCA, and by how much."""
    gains = [np.mean(row["scores"]) - row["pca"] for row in rows]
    shares = [
        gain / (1 - row["pca"])
        for row, gain in zip(rows, gains, strict=True)
        if gain > EQUAL
    ]
    losses = [-gain for gain in gains if gain < -EQUAL]
    equal = len(rows) - len(shares) - len(losses)
    lower = f", and {len(losses)} lower by at most {max(losses):.4f} of R²"
    return (
        f"{len(shares)} of {len(rows)} settings are better than PCA, "
        f"by a median of {100 * np.median(shares):.0f} % of its error; "
        f"{equal} are equal{lower if losses else ''}."
    )


def fit_seconds(rows):
    """Table of the seconds of a default fit, one line for a set."""
    lines = [
        "| rows × columns | seconds of a default fit | data |",
        "| ---: | ---: | --- |",
    ]
    sets = {row["set"]: tuple(row["shape"]) for row in rows}
    for name, shape in sorted(sets.items(), key=lambda item: item[1]):
        medians = [np.median(row["seconds"]) for row in rows if row["set"] == name]
        low, high = (f"{bound(medians):.1f}" for bound in (min, max))
        seconds = low if low == high else f"{low} to {high}"
        if high == "0.0":
            seconds = "less than 0.1"
        lines.append(f"| {shape[0]:,} × {shape[1]:,} | {seconds} | {name} |")
    return "\n".join(lines)


def publish(folder, record):
    """Write the record, and all that is made from it."""
    rows = record["rows"]
    common.save(folder, "floor", record, as_markdown(rows))
    (folder / "floor_summary.md").write_text(summary(rows) + "\n")
    (folder / "fit_seconds.md").write_text(fit_seconds(rows) + "\n")


def main():
    """Measure the sets named on the command line, or all."""
    args = common.parser(__doc__, NAMES).parse_args()
    record = {"seeds": SEEDS, **common.environment(), "rows": []}
    for data in common.available(args.sets):
        for n_components in SIZES:
            if n_components <= min(data.X_train.shape):
                record["rows"].append(measure(data, n_components))
                print(as_markdown(record["rows"][-1:]).splitlines()[-1], flush=True)
        publish(args.output, record)


if __name__ == "__main__":
    main()
