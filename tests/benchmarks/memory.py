"""Memory that a fit to a table in memory adds.

``python -m tests.benchmarks.memory`` prints a table and writes ``memory.json`` and
``memory.md`` into ``--output`` (default: the working folder). Each line is a process of
its own, on the CPU: two epochs of `AutoencoderTransformer(16)`, other settings the
defaults, of an array of ``--megabytes`` (default: 400), with rows near a surface.

Memory is the anonymous memory that the process gains at its peak over what it had
before the call, the table included, in megabytes and in units of the table. Seconds are
those of the CPU for the whole call.
"""

import json
import time

import numpy as np

from skae import AutoencoderTransformer
from tests.benchmarks import common
from tests.benchmarks.larger_than_memory import AnonymousMemory

BLOCK_ROWS = 10_000
# Name: dtype, columns, order of the array, arguments of `fit`.
SIDES = {
    "float32": ("float32", 784, "C", ()),
    "float32, 100 columns": ("float32", 100, "C", ()),
    "float32, weights": ("float32", 784, "C", ("sample_weight",)),
    "float32, X_val": ("float32", 784, "C", ("X_val",)),
    "float32, Fortran order": ("float32", 784, "F", ()),
    "float64": ("float64", 784, "C", ()),
    "float64, 100 columns": ("float64", 100, "C", ()),
    "float64, weights": ("float64", 784, "C", ("sample_weight",)),
    "float64, X_val": ("float64", 784, "C", ("X_val",)),
    "float64, Fortran order": ("float64", 784, "F", ()),
}


def table(n_bytes, dtype, n_features, order):
    """Rows near a curved surface, made in blocks."""
    n_rows = n_bytes // (np.dtype(dtype).itemsize * n_features)
    X = np.empty((n_rows, n_features), dtype=dtype, order=order)
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((8, n_features))
    for start in range(0, n_rows, BLOCK_ROWS):
        part = X[start : start + BLOCK_ROWS]
        part[:] = np.sin(rng.standard_normal((len(part), 8)) @ weights)
    return X


def measure(side, megabytes):
    """Memory and seconds of one side."""
    dtype, n_features, order, names = SIDES[side]
    X = table(megabytes * 10**6, dtype, n_features, order)
    available = {
        "sample_weight": np.random.default_rng(1).uniform(0.5, 1.5, len(X)),
        "X_val": table(megabytes * 10**5, dtype, n_features, order) * 0.99,
    }
    arguments = {name: available[name] for name in names}
    model = AutoencoderTransformer(16, max_epochs=2, random_state=0, device="cpu")
    model.fit(np.array(X[:5000]))  # imports, and what is made once
    with AnonymousMemory() as memory:
        start = time.process_time()
        model.fit(X, **arguments)
        seconds = time.process_time() - start
    return {
        "megabytes": X.nbytes / 10**6,
        "added_megabytes": memory.megabytes * 2**20 / 10**6,
        "seconds": seconds,
    }


def as_markdown(sides):
    """Table of the most memory and the least time of any run."""
    lines = [
        "| table | MB | memory added, MB | of the table | CPU seconds |",
        "| --- | --- | --- | --- | --- |",
    ]
    for side, runs in sides.items():
        size = runs[0]["megabytes"]
        added = max(run["added_megabytes"] for run in runs)
        seconds = min(run["seconds"] for run in runs)
        lines.append(
            f"| {side} | {size:.0f} | {added:.0f} | {added / size:.2f} "
            f"| {seconds:.1f} |"
        )
    return "\n".join(lines)


def main():
    """Write the table, and measure all sides in turn."""
    parser = common.parser(__doc__, repeats=2)
    parser.add_argument("--megabytes", type=int, default=400, help="size of the table")
    parser.add_argument("--side", choices=SIDES, help="only this one, as JSON")
    args = parser.parse_args()
    if args.side:
        print(json.dumps(measure(args.side, args.megabytes)))
        return
    sides = {}
    record = {**common.environment(), "sides": sides}
    for side in SIDES:
        sides[side] = []
        for _ in range(args.repeats):
            arguments = ("--side", side, "--megabytes", args.megabytes)
            sides[side].append(common.in_a_process("memory", *arguments))
            print(side, sides[side][-1], flush=True)
        common.save(args.output, "memory", record, as_markdown(sides))
    print(as_markdown(sides))


if __name__ == "__main__":
    main()
