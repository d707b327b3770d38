"""Series of equal and unequal length: recurrent, dense and linear codes.

``python -m tests.benchmarks.series`` prints two tables and writes ``series.json`` and
``series.md`` into ``--output`` (default: the working folder):

1. JapaneseVowels as it is, 270 series of 7 to 26 steps and 370 to test on, of 12
   channels, which are standardised: mean squared error of the reconstruction of test
   series over the values that they have, in units of the channels' variances; accuracy
   of the nearest neighbour's speaker by the codes; and seconds. PCA is that of rows
   with the mean of the column after the end of a series.
2. Series of equal length: JapaneseVowels resampled to 25 steps, by aeon, and images of
   Fashion-MNIST as series of 28 rows of pixels. There a dense network on the
   flattened series does the same.
"""

import time

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier

from skae import AutoencoderTransformer, RecurrentAutoencoder
from tests.benchmarks import common
from tests.benchmarks.data import wheel_member

SEEDS = (0, 1, 2)
N_COMPONENTS = 12
SETS = ("unequal", "japanese_vowels", "fashion_mnist")
SHAPES = {"japanese_vowels": (25, 12), "fashion_mnist": (28, 28)}
# Series in the set are channel after channel, and of images row after row.
CHANNELS_FIRST = ("japanese_vowels",)


def japanese_vowels(part):
    """Series of shape (steps, 12), and speakers."""
    member = f"aeon/datasets/data/JapaneseVowels/JapaneseVowels_{part}.ts"
    text = wheel_member("aeon==1.6.0", member).decode()
    series, speakers = [], []
    for row in text.partition("@data")[2].split():
        channels, _, speaker = row.rpartition(":")
        values = [channel.split(",") for channel in channels.split(":")]
        series.append(np.array(values, dtype=float).T)
        speakers.append(speaker)
    return series, speakers


def padded(series, n_steps):
    """Rows that are NaN after the ends of series."""
    rows = np.full((len(series), n_steps, series[0].shape[1]), np.nan)
    for row, each in zip(rows, series, strict=True):
        row[: len(each)] = each
    return rows.reshape(len(rows), -1)


def measured(fit, encode, decode, X, X_test, y, y_test):
    """Error of test rows, accuracy by the codes, seconds of the fit."""
    start = time.perf_counter()
    model = fit(X)
    seconds = time.perf_counter() - start
    classifier = KNeighborsClassifier(1).fit(encode(model, X), y)
    return {
        "error": float(np.nanmean((X_test - decode(model, X_test)) ** 2)),
        "accuracy": float(classifier.score(encode(model, X_test), y_test)),
        "seconds": seconds,
    }


def of_skae(model, *data):
    """Figures of an estimator of skae."""
    return measured(
        model.fit,
        lambda model, X: model.transform(X),
        lambda model, X: model.reconstruct(X),
        *data,
    )


def of_pca(n_components, X, *data):
    """Figures of PCA, with the mean of the column in place of NaN."""
    # No training series may be as long as the longest one.
    there = np.maximum((~np.isnan(X)).sum(axis=0), 1)
    mean = np.nansum(X, axis=0) / there

    def fill(X):
        return np.where(np.isnan(X), mean, X)

    return measured(
        lambda X: PCA(n_components, random_state=0).fit(fill(X)),
        lambda model, X: model.transform(fill(X)),
        lambda model, X: model.inverse_transform(model.transform(fill(X))),
        X,
        *data,
    )


def rows_of(name, models, n_components, data):
    """Figures of PCA and of some models, for each seed."""
    yield {"set": name, "model": "PCA", "runs": [of_pca(n_components, *data)]}
    for label, model in models.items():
        seeds = SEEDS[:1] if name == "fashion_mnist" else SEEDS
        runs = [of_skae(model.set_params(random_state=seed), *data) for seed in seeds]
        yield {"set": name, "model": label, "runs": runs}


def unequal():
    """Figures for series of unequal length."""
    (series, y), (series_test, y_test) = map(japanese_vowels, ("TRAIN", "TEST"))
    values = np.concatenate(series)
    mean, std = values.mean(axis=0), values.std(axis=0)
    n_steps = max(map(len, series + series_test))
    X, X_test = (
        padded([(each - mean) / std for each in part], n_steps)
        for part in (series, series_test)
    )
    shape = {"series_shape": (n_steps, 12)}
    models = {
        "LSTM, recurrent decoder (default)": {},
        "GRU, recurrent decoder": {"cell": "gru"},
        "LSTM, dense decoder": {"decoder": "dense"},
        "LSTM, recurrent decoder, random start": {"init": "random"},
        "LSTM, dense decoder, random start": {"decoder": "dense", "init": "random"},
    }
    models = {
        label: RecurrentAutoencoder(N_COMPONENTS, **shape, **params)
        for label, params in models.items()
    }
    data = X, X_test, y, y_test
    return rows_of("JapaneseVowels, unequal", models, N_COMPONENTS, data)


def equal(data):
    """Figures for series of equal length."""
    X, X_test = data.X_train, data.X_test
    if data.name in CHANNELS_FIRST:
        X, X_test = (
            each.reshape(len(each), *SHAPES[data.name][::-1])
            .transpose(0, 2, 1)
            .reshape(len(each), -1)
            for each in (X, X_test)
        )
    n_components = 30 if data.name == "fashion_mnist" else N_COMPONENTS
    models = {
        "LSTM, dense decoder (default)": RecurrentAutoencoder(
            n_components, series_shape=SHAPES[data.name]
        ),
        "dense network": AutoencoderTransformer(n_components),
    }
    if data.name == "fashion_mnist":
        X, X_test = X.astype(np.float32), X_test.astype(np.float32)
        for label, model in list(models.items()):
            model.set_params(max_epochs=10)
            models[f"{label}, 10 epochs"] = models.pop(label)
    return rows_of(
        data.name, models, n_components, (X, X_test, data.y_train, data.y_test)
    )


def as_markdown(record):
    """Table of the results: means over the seeds."""
    lines = ["| set | model | error | accuracy | seconds |", "|" + " --- |" * 5]
    for row in record["rows"]:
        error, accuracy, seconds = (
            np.mean([run[key] for run in row["runs"]])
            for key in ("error", "accuracy", "seconds")
        )
        lines.append(
            f"| {row['set']} | {row['model']} | {error:.4f} | {accuracy:.3f} "
            f"| {seconds:.1f} |"
        )
    return "\n".join(lines)


def main():
    """Measure everything, or what the command line says."""
    args = common.parser(__doc__, SETS).parse_args()
    record = {**common.environment(), "seeds": SEEDS, "rows": []}
    parts = [unequal()] if "unequal" in args.sets else []
    names = [name for name in args.sets if name != "unequal"]
    parts += map(equal, common.available(names))
    for part in parts:
        for row in part:
            record["rows"].append(row)
            print(row, flush=True)
            common.save(args.output, "series", record, as_markdown(record))
    print(as_markdown(record))


if __name__ == "__main__":
    main()
