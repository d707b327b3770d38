"""Pictures of the tables of the benchmarks, one function for each."""

import re
from pathlib import Path

import matplotlib.pyplot as plt

FOLDER = Path("../benchmarks")
MARKERS = "os^Dv<>P"


def table(name, first):
    """Return the rows of the table whose first column is called `first`, as dicts."""
    blocks = (FOLDER / f"{name}.md").read_text().split("\n\n")
    tables = [
        [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in lines]
        for lines in map(str.splitlines, map(str.strip, blocks))
        if lines and lines[0].startswith("|")
    ]
    header, _, *rows = next(rows for rows in tables if rows[0][0] == first)
    return [dict(zip(header, row, strict=True)) for row in rows]


def value(text):
    """Return the first number in a cell, or None."""
    found = re.match(r"-?[\d.]+", text.replace(",", ""))
    return float(found[0]) if found else None


def dots(series, xlabel, *, line=None, log=False, legend=None):
    """Draw a dot for each value of `series`, {name: {row: text of the value}}."""
    labels = list(dict.fromkeys(row for values in series.values() for row in values))
    figure, ax = plt.subplots(
        figsize=(7, 1.2 + 0.24 * len(labels)), layout="constrained"
    )
    if line is not None:
        ax.axvline(line, color="0.6", linewidth=1)
    for (name, values), marker in zip(series.items(), MARKERS, strict=False):
        points = [
            (value(text), labels.index(row))
            for row, text in values.items()
            if value(text) is not None
        ]
        ax.scatter(*zip(*points, strict=True), marker=marker, s=22, label=name)
    ax.set_yticks(range(len(labels)), labels)
    ax.set_ylim(len(labels) - 0.5, -0.5)
    ax.grid(axis="y", color="0.9")
    ax.set_axisbelow(True)
    ax.set_xlabel(xlabel)
    if log:
        ax.set_xscale("log")
    if len(series) > 1:
        n_columns = len(series) if len(series) < 5 else 3
        figure.legend(loc="outside upper center", ncols=n_columns, title=legend)


def columns(rows, names, label):
    """Return series of the columns `names`, one row for each of `rows`."""
    return {name: {label(row): row[name] for row in rows} for name in names}


def groups(rows, by, label, column):
    """Return series of one column, one series for each value of the column `by`."""
    series = {}
    for row in rows:
        series.setdefault(row[by], {})[row[label]] = row[column]
    return series


def code_size():
    rows = table("code_size", "set")
    series = columns(rows, ["PCA", "size found"], lambda row: row["set"])
    dots(series, "components for 95 % of the variance")


def denoising():
    rows = table("denoising", "set")
    names = ["PCA, 8", "MLPRegressor", "best linear", "random start", "skae, mean"]
    series = columns(rows, names, lambda row: f"{row['set']}, {row['noise']}")
    dots(series, "gain over the noisy samples, dB", line=0)


def missing():
    rows = table("missing", "geometric mean of ratios")
    pairs = [row["geometric mean of ratios"].split(" / ") for row in rows]
    series = {}
    for (name, rival), row in zip(pairs, rows, strict=True):
        series.setdefault(name, {})[rival] = row["held-out rows"]
    dots(series, "error / error of the method at the left", line=1)


def few_labels():
    rows = table("few_labels", "set")
    sizes = list(dict.fromkeys(row["labels a class"] for row in rows))
    figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
    for name, marker in zip(list(rows[0])[2:], MARKERS, strict=True):
        means = []
        for size in sizes:
            cells = [value(row[name]) for row in rows if row["labels a class"] == size]
            means.append(sum(cells) / len(cells))
        ax.plot([int(size) for size in sizes], means, marker=marker, label=name)
    ax.set(xlabel="labelled samples of each class", ylabel="mean balanced accuracy, %")
    ax.set_xscale("log")
    ax.set_xticks([int(size) for size in sizes], sizes)
    ax.minorticks_off()
    figure.legend(loc="outside right upper")


def few_targets():
    rows = table("few_targets", "set")
    names = [name for name in list(rows[0])[3:] if not name.startswith("same net")]
    series = columns(rows, names, lambda row: f"{row['set']}, {row['targets']}")
    dots(series, "R² of held-out samples, hundredths")


def stacking():
    rows = table("stacking", "set")
    series = columns(
        rows,
        ["R², greedy", "R², joint"],
        lambda row: row["hidden layers"] + (", tied" if row["tied"] == "yes" else ""),
    )
    dots(series, "R² of test images, by hidden layers")


def image_errors(name):
    """Draw the errors of test images by model, for each number of images."""
    rows = table(name, "images")
    series = groups(rows, "model", "images", "error of test images")
    dots(series, "error of test images")


def convolutional():
    image_errors("convolutional")


def sparse():
    image_errors("sparse")


def book():
    rows = [row for row in table("book", "model") if row["error of test images"]]
    series = columns(rows, ["error of test images"], lambda row: row["model"])
    dots(series, "error of test images")


def series():
    rows = table("series", "set")
    errors = groups(rows, "set", "model", "error")
    dots(errors, "squared error of test series", log=True)


def sampling():
    rows = table("sampling", "set")
    dots(
        groups(rows, "set", "new rows by", "AUC"),
        "AUC of a judge (0.5: cannot be told from real samples)",
        line=0.5,
    )


def tables():
    rows = table("tables", "combined, means; codes")
    series = {
        f"{row['combined, means; codes']} components": {
            name: row[name] for name in list(row)[1:]
        }
        for row in rows
    }
    dots(series, "mean of the explained shares of numbers and categories")


def synthetic():
    rows = table("synthetic", "table")
    dots(
        groups(rows, "table", "new rows by", "AUC"),
        "AUC of a judge (0.5: cannot be told from real samples)",
        line=0.5,
    )


def overhead():
    rows = table("overhead", "net")
    names = [name for name in rows[0] if name.startswith("with ")]
    label = "{net}, batch {batch}, {epochs} epochs".format_map
    series = columns(rows, ["ratio", *names], label)
    series = {"plain": series.pop("ratio"), **series}
    dots(series, "time of a step / time of the bare torch loop", line=1)


def inference():
    rows = table("inference", "rows x columns, codes")
    names = ["skae / bare", "skae / onnxruntime", "skae / PCA"]
    series = columns(rows, names, lambda row: row["rows x columns, codes"])
    dots(series, "ratio of times", line=1, log=True)


def memory():
    rows = table("memory", "table")
    series = columns(rows, ["of the table"], lambda row: row["table"])
    dots(series, "memory that a fit adds, as a share of the table")


def scaling():
    rows = table("scaling", "rows x columns")
    series = groups(rows, "threads", "rows x columns", "fit, s")
    dots(series, "seconds of a fit", log=True, legend="threads")


def outliers():
    rows = table("outliers", "means")
    series = columns(rows, ["clean", "contaminated"], lambda row: row["means"])
    dots(series, "mean area under the ROC curve", legend="training samples")
