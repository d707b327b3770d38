"""
A table larger than memory
==========================

Can an autoencoder be trained on a file that does not fit into memory? Yes: ``fit``
accepts a memory map, ``transform`` writes into one, and their memory does not grow with
the number of rows. The table here is small enough for any machine, and large enough to
be streamed.
"""

# %%
# The table: rows near a surface with two dimensions, written to a file block by block.

import tempfile
import threading
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from skae import AutoencoderTransformer

n_rows, n_features = 200_000, 256
folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "rows.npy"
X = np.lib.format.open_memmap(
    path, mode="w+", dtype=np.float32, shape=(n_rows, n_features)
)
rng = np.random.default_rng(0)
directions = rng.standard_normal((2, n_features))
place = rng.uniform(-1, 1, size=(n_rows, 2))
for start in range(0, n_rows, 10_000):
    rows = slice(start, start + 10_000)
    X[rows] = np.sin(2 * place[rows] @ directions)
X.flush()
print(f"{n_rows:,} rows of {n_features} columns: {X.nbytes / 1e6:,.0f} MB in a file")


# %%
# This class measures the memory of the process without the pages of files, which the
# system can drop at any time. Only Linux reports it.


class Memory:
    """Context that measures the largest growth of the memory of the process."""

    status = Path("/proc/self/status")

    def __enter__(self):
        self.before = self.most = self.now()
        self.done = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.done.set()
        self.thread.join()

    def __str__(self):
        if not self.status.exists():
            return "unknown here"
        return f"{self.most - self.before:,.0f} MB"

    def watch(self):
        while not self.done.wait(0.02):
            self.most = max(self.most, self.now())

    def now(self):
        if not self.status.exists():
            return 0
        lines = self.status.read_text().splitlines()
        return int(next(x for x in lines if x.startswith("RssAnon")).split()[1]) / 1e3


# %%
# Fit to the file, and write the codes into another.

X = np.load(path, mmap_mode="r")
codes = np.lib.format.open_memmap(
    Path(folder.name) / "codes.npy", mode="w+", dtype=np.float32, shape=(n_rows, 2)
)
with Memory() as memory:
    autoencoder = AutoencoderTransformer(2, max_epochs=1, random_state=0).fit(X)
print("added by fit:", memory)
with Memory() as memory:
    autoencoder.transform(X, out=codes)
print("added by transform:", memory)
print(f"R² of the first rows: {autoencoder.score(X[:5_000]):.3f}")

# %%
# The codes, coloured by the place of the row on the surface.

shown = slice(None, None, max(1, n_rows // 5_000))
figure, axes = plt.subplots(1, 2, figsize=(9, 4.3), layout="constrained")
figure.suptitle(f"Codes of some of the {n_rows:,} rows, by their place on the surface")
for i, ax in enumerate(axes):
    dots = ax.scatter(*codes[shown].T, c=place[shown, i], s=3)
    ax.set(title=f"coloured by coordinate {i}", xlabel="code 0", ylabel="code 1")
figure.colorbar(dots, ax=axes, label="coordinate on the surface")
plt.show()
# A map keeps its file open.
del X, codes
folder.cleanup()
