"""Seconds to three levels of the error of PCA, by library."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter

path = Path("../benchmarks/time_to_quality.json")
rows = json.loads(path.read_text())["rows"]
names = list(rows[0]["sides"])
figure, axes = plt.subplots(
    1, len(rows), figsize=(10, 3.2), sharey=True, layout="constrained"
)
for ax, row in zip(axes, rows, strict=True):
    for level, marker, share in zip(range(3), "o^s", ("1", "0.9", "0.75"), strict=True):
        points = [
            (row["sides"][name]["seconds"][level], position)
            for position, name in enumerate(names)
            if name in row["sides"] and row["sides"][name]["seconds"][level] is not None
        ]
        ax.scatter(*zip(*points, strict=True), marker=marker, s=24, label=share)
    ax.set(title=row["set"], xscale="log", xlabel="CPU seconds")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.grid(axis="y", color="0.9")
    ax.set_axisbelow(True)
axes[0].set_yticks(range(len(names)), [name.replace("`", "") for name in names])
axes[0].invert_yaxis()
figure.legend(
    *axes[0].get_legend_handles_labels(),
    title="share of the error of PCA that is reached",
    loc="outside lower center",
    ncols=3,
)
