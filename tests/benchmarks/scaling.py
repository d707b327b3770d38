"""Seconds of an epoch and memory of a fit, against rows, columns and threads.

``python -m tests.benchmarks.scaling`` prints a table and writes ``scaling.json`` and
``scaling.md`` into ``--output`` (default: the working folder). Each line is a process
of its own that makes normal float32 rows and fits two epochs with ``init="random"``, a
batch of 256 and otherwise default settings; seconds are those of the second epoch, the
fit is all of `fit`. Memory is what `fit` adds at its peak to what there was before,
the rows included in that.
"""

import json
import time

import numpy as np
import torch

from skae import AutoencoderTransformer
from tests.benchmarks import common

ROWS = (1_000, 10_000, 100_000, 1_000_000)
COLUMNS = (10, 100, 1_000, 10_000)
SIZES = [(n_rows, 20) for n_rows in ROWS] + [(2_000, n) for n in COLUMNS]
THREADS = (1, 2)


def fit(n_rows, n_features):
    """Seconds of the second epoch and of the fit, and megabytes that it adds."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, n_features), dtype=np.float32)
    model = AutoencoderTransformer(
        2, init="random", batch_size=256, max_epochs=2, random_state=0, device="cpu"
    )
    model.fit(X[:500])  # imports, and starts threads
    before = common.peak_megabytes()
    start = time.perf_counter()
    model.fit(X)
    return {
        "n_samples": n_rows,
        "n_features": n_features,
        "threads": torch.get_num_threads(),
        "fit_seconds": time.perf_counter() - start,
        "epoch_seconds": model.net_.history[-1, "dur"],
        "rows_megabytes": X.nbytes / 2**20,
        "added_megabytes": common.peak_megabytes() - before,
    }


def as_markdown(rows):
    """Table of the medians."""
    lines = [
        "| rows x columns | threads | fit, s | epoch, s | epoch, µs a row "
        "| rows, MB | added by fit, MB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for runs in rows:
        run = {key: np.median([run[key] for run in runs]) for key in runs[0]}
        per_row = run["epoch_seconds"] / run["n_samples"] * 1e6
        lines.append(
            f"| {run['n_samples']:.0f} x {run['n_features']:.0f} "
            f"| {run['threads']:.0f} | {run['fit_seconds']:.2f} "
            f"| {run['epoch_seconds']:.3f} | {per_row:.2f} "
            f"| {run['rows_megabytes']:.0f} | {run['added_megabytes']:.0f} |"
        )
    return "\n".join(lines)


def main():
    """Measure all sizes."""
    parser = common.parser(__doc__, repeats=3)
    parser.add_argument("--size", type=int, nargs=2, help="only this one, as JSON")
    args = parser.parse_args()
    if args.size:
        print(json.dumps(fit(*args.size)))
        return
    record = {**common.environment(), "rows": []}
    for size in SIZES:
        for threads in THREADS:
            runs = [
                common.in_a_process(
                    "scaling", "--size", *size, OMP_NUM_THREADS=str(threads)
                )
                for _ in range(args.repeats)
            ]
            record["rows"].append(runs)
            print(as_markdown([runs]).splitlines()[-1], flush=True)
        common.save(args.output, "scaling", record, as_markdown(record["rows"]))


if __name__ == "__main__":
    main()
