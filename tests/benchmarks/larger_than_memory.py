"""Memory and rows per second of a fit to a table on disk, beside one in memory.

``python -m tests.benchmarks.larger_than_memory --folder FOLDER`` prints a table and
writes ``larger_than_memory.json`` and ``larger_than_memory.md`` into ``--output``
(default: the working folder). A float32 memory map of ``--gigabytes`` (default: 6) is
written into FOLDER, and removed at the end. Each line is a process of its own, on the
CPU:

- one epoch of `AutoencoderTransformer` on the memory map, with a batch of 512 and a
  fiftieth of the rows held out;
- the same on the first rows of it, an array of 400 MB in memory;
- `transform` of the memory map, into a memory map.

The file is read once before each, so that it lies in the page cache where that has room
for it. Rows per second of training are those of the epoch, and those of `fit` count
all that `fit` does. Memory is the anonymous memory that the process gains at its peak
over what it had before: pages of mapped files are not in it.
"""

import json
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from skorch.callbacks import Callback

from skae import AutoencoderTransformer
from tests.benchmarks import common

N_FEATURES = 512
IN_MEMORY_BYTES = 400 * 10**6  # of more, no dense copy would be made
BATCH_SIZE = 512
BLOCK_ROWS = 100_000
SIDES = {
    "fit": "fit, memory map",
    "fit_in_memory": "fit, in memory",
    "transform": "transform, memory map to memory map",
}


def write(path, n_bytes):
    """Write a memory map of rows that lie near a curved surface."""
    n_rows = n_bytes // (4 * N_FEATURES)
    X = np.lib.format.open_memmap(
        path, mode="w+", dtype=np.float32, shape=(n_rows, N_FEATURES)
    )
    rng = np.random.default_rng(0)
    weights = rng.standard_normal((8, N_FEATURES), dtype=np.float32)
    for start in range(0, n_rows, BLOCK_ROWS):
        part = X[start : start + BLOCK_ROWS]
        codes = rng.standard_normal((len(part), 8), dtype=np.float32)
        np.sin(codes @ weights, out=part)
    X.flush()


def read(path):
    """Read a file to its end, and forget it."""
    with path.open("rb") as file:
        while file.read(2**24):
            pass


class AnonymousMemory:
    """Context that notes by how much the anonymous memory of the process grows."""

    def __enter__(self):
        self.before = self.most = self._now()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.done.set()
        self.thread.join()
        self.megabytes = (self.most - self.before) / 1024

    def _watch(self):
        while not self.done.wait(0.01):
            self.most = max(self.most, self._now())

    @staticmethod
    def _now():
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(x for x in lines if x.startswith("RssAnon")).split()[1])


class EpochCPU(Callback):
    """Notes the CPU seconds of the epoch, the thread that reads included."""

    def on_epoch_begin(self, net, **kwargs):
        self.seconds_ = -time.process_time()

    def on_epoch_end(self, net, **kwargs):
        self.seconds_ += time.process_time()


def measure(side, path):
    """Seconds, rows and memory of one side."""
    epoch_cpu = EpochCPU()
    model = AutoencoderTransformer(
        16,
        max_epochs=1,
        batch_size=BATCH_SIZE,
        validation_fraction=0.02,
        random_state=0,
        callbacks=[epoch_cpu],
        device="cpu",
    )
    X = np.load(path, mmap_mode="r")
    n_in_memory = IN_MEMORY_BYTES // (4 * N_FEATURES)
    model.fit(np.array(X[:5_000]))  # imports, and what is made once
    if side == "fit_in_memory":
        X = np.array(X[:n_in_memory])
    else:
        read(path)
    result = {"n_samples": len(X), "megabytes": X.nbytes / 10**6}
    with AnonymousMemory() as memory:
        start = time.perf_counter()
        if side == "transform":
            shape = (len(X), 16)
            with tempfile.NamedTemporaryFile(dir=path.parent) as file:
                out = np.memmap(file, dtype=np.float32, mode="w+", shape=shape)
                model.transform(X, out=out)
                del out
        else:
            model.fit(X)
            epoch = model.net_.history[-1]
            result["epoch_seconds"] = epoch["dur"]
            result["epoch_cpu_seconds"] = epoch_cpu.seconds_
            result["epoch_rows"] = epoch["train_batch_count"] * BATCH_SIZE
        result["seconds"] = time.perf_counter() - start
    return result | {"added_megabytes": memory.megabytes}


def as_markdown(sides):
    """Table of the best run of each side, and the most memory of any."""
    lines = [
        "| | rows | table, MB | rows/s | rows/s of the epoch "
        "| CPU, µs a row of the epoch | memory added, MB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for side, runs in sides.items():
        rates = [run["n_samples"] / run["seconds"] for run in runs]
        epochs = "|"
        if "epoch_rows" in runs[0]:
            rate = max(run["epoch_rows"] / run["epoch_seconds"] for run in runs)
            cpu = min(run["epoch_cpu_seconds"] / run["epoch_rows"] for run in runs)
            epochs = f"{rate:.0f} | {cpu * 1e6:.1f}"
        lines.append(
            f"| {SIDES[side]} | {runs[0]['n_samples']} | {runs[0]['megabytes']:.0f} "
            f"| {max(rates):.0f} | {epochs} "
            f"| {max(run['added_megabytes'] for run in runs):.0f} |"
        )
    return "\n".join(lines)


def main():
    """Write the table, and measure all sides in turn."""
    parser = common.parser(__doc__, repeats=3)
    parser.add_argument("--gigabytes", type=float, default=6, help="size of the table")
    parser.add_argument("--folder", type=Path, default=None, help="where it goes")
    parser.add_argument("--side", nargs=2, help="only this one, of this file, as JSON")
    args = parser.parse_args()
    if args.side:
        side, path = args.side
        print(json.dumps(measure(side, Path(path))))
        return
    sides = {side: [] for side in SIDES}
    record = {**common.environment(), "sides": sides}
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        path = Path(folder) / "X.npy"
        write(path, int(args.gigabytes * 10**9))
        for _ in range(args.repeats):
            for side, runs in sides.items():
                runs.append(
                    common.in_a_process("larger_than_memory", "--side", side, path)
                )
                print(side, runs[-1], flush=True)
            common.save(args.output, "larger_than_memory", record, as_markdown(sides))
    print(as_markdown(sides))


if __name__ == "__main__":
    main()
