"""Errors of the benchmark "floor" over those of PCA, best first."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

rows = json.loads(Path("../benchmarks/floor.json").read_text())["rows"]
ratios = sorted(
    ((1 - np.mean(row["scores"])) / (1 - row["pca"]), row["n_components"])
    for row in rows
    if row["pca"] < 0.99995  # else both errors are zero but for rounding
)
figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for n_components, color in ((2, "#0a7d91"), (8, "#f58220"), (30, "#59636e")):
    points = [(i, ratio) for i, (ratio, n) in enumerate(ratios) if n == n_components]
    ax.scatter(*zip(*points, strict=True), color=color, s=18, label=n_components)
ax.axhline(1, color="0.6", linewidth=1)
ax.set(xlabel="settings, best first", xticks=[], ylabel="error / error of PCA")
ax.set_ylim(0)
ax.legend(title="components", loc="lower right")
