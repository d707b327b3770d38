"""Speed of a fitted autoencoder beside its bare module, and beside PCA.

``python -m tests.benchmarks.inference`` prints a table and writes ``inference.json``
and ``inference.md`` into ``--output`` (default: the working folder): `transform` of
100,000 rows, and of one row, by skae with default settings, by the module itself in
evaluation mode (given a float32 tensor, and giving one), by its ONNX model in
onnxruntime, on one thread, and by scikit-learn's `PCA`.
Times are CPU time of the process, in turn. Then the memory that
`reconstruction_error` of 1,000,000 rows of 50 columns needs, in a process of its own,
beside that of the rows.
"""

import json
import time

import numpy as np
import onnxruntime
import torch
from sklearn.decomposition import PCA

from skae import AutoencoderTransformer, to_onnx
from tests.benchmarks import common

N_REPEATS = 7
# Columns, codes.
SIZES = ((20, 2), (64, 8), (784, 30))
# Rows, calls in a repeat.
CALLS = ((100_000, 1), (1, 200))
ERROR_ROWS = (1_000_000, 50)


def measure(n_features, n_components):
    """Seconds of a call on each side, for many rows and for one."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(max(CALLS)[0], n_features)).astype(np.float32)
    few = X[:1000]
    model = AutoencoderTransformer(n_components, max_epochs=1, random_state=0).fit(few)
    pca = PCA(n_components).fit(few)
    module = model.module_.eval()

    def bare(rows):
        with torch.inference_mode():
            return module.encode(torch.from_numpy(rows))

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(to_onnx(model).SerializeToString(), options)

    def onnx(rows):
        return session.run(None, {"X": rows})

    for n_rows, n_calls in CALLS:
        sides = {
            "bare": bare,
            "onnx": onnx,
            "skae": model.transform,
            "pca": pca.transform,
        }
        times = {side: [] for side in sides}
        for repeat in range(N_REPEATS + 1):
            for side, function in sides.items():
                start = time.process_time()
                for _ in range(n_calls):
                    function(X[:n_rows])
                if repeat > 0:
                    times[side].append((time.process_time() - start) / n_calls)
        yield {
            "n_samples": n_rows,
            "n_features": n_features,
            "n_components": n_components,
            "seconds": times,
        }


def error_memory():
    """Megabytes of the rows, and those that `reconstruction_error` adds to them."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal(ERROR_ROWS, dtype=np.float32)
    model = AutoencoderTransformer(8, max_epochs=1, random_state=0).fit(X[:1000])
    model.reconstruction_error(X[:10_000])
    before = common.peak_megabytes()
    model.reconstruction_error(X)
    return [X.nbytes / 2**20, common.peak_megabytes() - before]


def as_markdown(rows, memory=None):
    """Table of the times, minimum and median, and of their ratios."""
    lines = [
        "| rows x columns, codes | bare module | onnxruntime | skae | PCA "
        "| skae / bare | skae / onnxruntime | skae / PCA |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        times = row["seconds"]
        unit, factor = ("µs", 1e6) if row["n_samples"] == 1 else ("ms", 1e3)
        cells = [
            f"{min(times[side]) * factor:.0f} / "
            f"{np.median(times[side]) * factor:.0f} {unit}"
            for side in ("bare", "onnx", "skae", "pca")
        ]
        cells += [
            f"{min(times['skae']) / min(times[side]):.2f} / "
            f"{np.median(times['skae']) / np.median(times[side]):.2f}"
            for side in ("bare", "onnx", "pca")
        ]
        shape = f"{row['n_samples']} x {row['n_features']}, {row['n_components']}"
        lines.append(f"| {shape} | {' | '.join(cells)} |")
    if memory:
        lines += [
            "",
            "`reconstruction_error` of {} x {} rows of {:.0f} MB adds {:.0f} MB to the "
            "memory of the process.".format(*ERROR_ROWS, *memory),
        ]
    return "\n".join(lines)


def main():
    """Measure all sizes."""
    parser = common.parser(__doc__)
    parser.add_argument("--memory", action="store_true", help="only print the memory")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.memory:
        print(json.dumps(error_memory()))
        return
    record = {**common.environment(), "rows": []}
    for size in SIZES:
        record["rows"] += measure(*size)
        print(as_markdown(record["rows"][-len(CALLS) :]), flush=True)
    record["error_megabytes"] = common.in_a_process("inference", "--memory")
    table = as_markdown(record["rows"], record["error_megabytes"])
    print(table.splitlines()[-1])
    common.save(args.output, "inference", record, table)


if __name__ == "__main__":
    main()
