"""Mean area under the ROC curve of the outlier detectors."""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

rows = json.loads(Path("../benchmarks/outliers.json").read_text())["rows"]
methods = list(dict.fromkeys(row["method"] for row in rows))
figure, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for training, marker in (("clean", "o"), ("contaminated", "^")):
    means = [
        np.mean(
            [
                row["auc"]
                for row in rows
                if (row["method"], row["training"]) == (method, training)
            ]
        )
        for method in methods
    ]
    ax.scatter(means, methods, marker=marker, label=f"{training} training samples")
ax.set(xlabel="mean area under the ROC curve")
ax.invert_yaxis()
ax.grid(axis="y", color="0.9")
ax.set_axisbelow(True)
ax.legend()
