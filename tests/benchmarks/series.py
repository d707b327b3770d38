"""Series of equal and unequal length: recurrent, dense and linear codes.

``python -m tests.benchmarks.series`` prints two tables and writes ``series.json`` and
``series.md`` into ``--output`` (default: the working folder):

1. JapaneseVowels as it is, 270 series of 7 to 26 steps and 370 to test on, of 12
   channels, which are standardised: mean squared error of the reconstruction of test
   series over the values that they have, in units of the channels' variances; accuracy
   of the nearest neighbour's speaker by the codes; and CPU seconds of the fit. PCA is
   that of rows with the mean of the column after the end of a series, or with what PCA
   itself gives there, in 50 rounds: so it leaves out what comes after the end, too.
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


class PaddedPCA:
    """PCA of rows that end in NaN, with a mean of the column in the place of each.

    In every further round, PCA is fitted again with what it gave in place of NaN: in
    the end it is the subspace next to the values that there are. Where no row ends in
    NaN, it is PCA.
    """

    def __init__(self, n_components, n_rounds=1):
        self.n_components, self.n_rounds = n_components, n_rounds

    def set_params(self, random_state):
        """Take a seed, as other models do."""
        return self

    def fit(self, X):
        """Learn means and components."""
        # No training series may be as long as the longest one.
        there = np.maximum((~np.isnan(X)).sum(axis=0), 1)
        self.mean = np.nansum(X, axis=0) / there
        rows = self._filled(X)
        for _ in range(self.n_rounds):
            self.pca = PCA(self.n_components, random_state=0).fit(rows)
            rows = self._next(X, rows)
        return self

    def _filled(self, X):
        return np.where(np.isnan(X), self.mean, X)

    def _next(self, X, rows):
        guess = self.pca.inverse_transform(self.pca.transform(rows))
        return np.where(np.isnan(X), guess, X)

    def transform(self, X):
        """Give codes, of rows filled in as many rounds as in `fit`."""
        rows = self._filled(X)
        for _ in range(self.n_rounds - 1):
            rows = self._next(X, rows)
        return self.pca.transform(rows)

    def reconstruct(self, X):
        """Give rows from their codes."""
        return self.pca.inverse_transform(self.transform(X))


def measured(model, X, X_test, y, y_test):
    """Error of test rows, accuracy by the codes, CPU seconds of the fit."""
    start = time.process_time()
    model.fit(X)
    seconds = time.process_time() - start
    classifier = KNeighborsClassifier(1).fit(model.transform(X), y)
    return {
        "error": float(np.nanmean((X_test - model.reconstruct(X_test)) ** 2)),
        "accuracy": float(classifier.score(model.transform(X_test), y_test)),
        "seconds": seconds,
    }


def rows_of(name, models, data):
    """Figures of some models, for each seed."""
    for label, model in models.items():
        one = name == "fashion_mnist" or isinstance(model, PaddedPCA)
        seeds = SEEDS[:1] if one else SEEDS
        runs = [measured(model.set_params(random_state=seed), *data) for seed in seeds]
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
        "LSTM both ways, recurrent decoder": {"bidirectional": True},
        "LSTM of two layers, recurrent decoder": {"n_layers": 2},
        "LSTM, recurrent decoder, random start": {"init": "random"},
        "LSTM, dense decoder, random start": {"decoder": "dense", "init": "random"},
    }
    models = {
        "PCA of padded rows": PaddedPCA(N_COMPONENTS),
        "PCA of the values there are": PaddedPCA(N_COMPONENTS, n_rounds=50),
    } | {
        label: RecurrentAutoencoder(N_COMPONENTS, **shape, **params)
        for label, params in models.items()
    }
    return rows_of("JapaneseVowels, unequal", models, (X, X_test, y, y_test))


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
        "PCA": PaddedPCA(n_components),
        "LSTM, dense decoder (default)": RecurrentAutoencoder(
            n_components, series_shape=SHAPES[data.name]
        ),
        "LSTM, recurrent decoder": RecurrentAutoencoder(
            n_components, series_shape=SHAPES[data.name], decoder="recurrent"
        ),
        "dense network": AutoencoderTransformer(n_components),
    }
    if data.name == "fashion_mnist":
        X, X_test = X.astype(np.float32), X_test.astype(np.float32)
        for label in list(models)[1:]:
            model = models.pop(label)
            models[f"{label}, 10 epochs"] = model.set_params(max_epochs=10)
    return rows_of(data.name, models, (X, X_test, data.y_train, data.y_test))


def as_markdown(record):
    """Table of the results: means over the seeds."""
    lines = ["| set | model | error | accuracy | CPU seconds |", "|" + " --- |" * 5]
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
