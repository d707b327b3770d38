"""What has to be waited for before any training: the import, and the set-up of a fit.

``python -m tests.benchmarks.startup`` prints a table and writes ``startup.json`` and
``startup.md`` into ``--output`` (default: the working folder). The time to import skae
is what it takes in a fresh process, compiled to bytecode before, after scikit-learn's
`PCA`, torch and skorch have been imported, and the garbage collection been done that
is due after them (over all that torch has made, it takes longer than the import, and
falls into it or not by chance). The set-up is a fit of one epoch to ten
rows, after a first one, with the default start and with ``init="random"``. Times are
CPU time of the process, in milliseconds.
"""

import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

from skae import AutoencoderTransformer
from tests.benchmarks import common

N_REPEATS = 9
OPTIONAL = ("matplotlib", "pandas", "polars")
IMPORT = f"""
import gc, sys, time
from sklearn.decomposition import PCA
import torch, skorch
gc.collect()
before = set(sys.modules)
start = time.process_time()
import skae
print((time.process_time() - start) * 1e3)
print(*[name for name in {OPTIONAL} if name in set(sys.modules) - before])
"""


def import_times():
    """Milliseconds of the import, and which optional packages it brings in."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        for repeat in range(N_REPEATS + 1):
            result = subprocess.run(
                [sys.executable, "-c", IMPORT],
                capture_output=True,
                check=True,
                env=environment,
                text=True,
            )
            milliseconds, imported = result.stdout.split("\n")[:2]
            if repeat > 0:  # the first one compiles
                times.append(float(milliseconds))
    return times, imported.split()


def fit_times(**params):
    """Milliseconds of a fit to ten rows."""
    X = np.random.default_rng(0).normal(size=(10, 5))
    times = []
    for repeat in range(N_REPEATS + 1):
        model = AutoencoderTransformer(2, max_epochs=1, random_state=0, **params)
        start = time.process_time()
        model.fit(X)
        if repeat > 0:
            times.append((time.process_time() - start) * 1e3)
    return times


def as_markdown(rows):
    """Table of the times."""
    lines = ["| | minimum | median |", "| --- | --- | --- |"]
    for name, times in rows.items():
        lines.append(f"| {name} | {min(times):.1f} | {np.median(times):.1f} |")
    return "\n".join(lines)


def main():
    """Measure both."""
    args = common.parser(__doc__).parse_args()
    torch.set_num_threads(1)
    imports, imported = import_times()
    rows = {
        "import skae": imports,
        "fit, 10 rows": fit_times(),
        'fit, 10 rows, `init="random"`, all rows train': fit_times(
            init="random", validation_fraction=None
        ),
    }
    record = {**common.environment(), "milliseconds": rows, "imported": imported}
    print(as_markdown(rows))
    print("optional packages imported:", imported or "none")
    common.save(args.output, "startup", record, as_markdown(rows))


if __name__ == "__main__":
    main()
