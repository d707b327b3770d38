"""Data sets for the examples."""

import gzip
import math
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import fetch_openml
from sklearn.utils import Bunch

__all__ = ["load_fashion_mnist"]

# Where Debian's package has the files.
_DEBIAN = Path("/usr/share/datasets/fashion-mnist")
_FILES = {"train": "train", "test": "t10k"}
_N_TRAIN = 60_000
_NAMES = [
    *("T-shirt", "trousers", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "boot"),
]


def load_fashion_mnist(
    *,
    subset: str = "train",
    n_samples: int | None = None,
    data_home: Any = None,
    return_X_y: bool = False,
) -> Any:
    """Load Fashion-MNIST: images of ten kinds of clothing [1]_.

    The files come from Debian's package ``dataset-fashion-mnist`` if it is installed.
    Otherwise they are downloaded once from OpenML and kept.

    Parameters
    ----------
    subset : {"train", "test"}, default="train"
        60,000 training images, or 10,000 test images.

    n_samples : int, default=None
        Number of images. The first ones are loaded; their order is random. None loads
        all.

    data_home : str or path-like, default=None
        Folder for the download, as in :func:`sklearn.datasets.fetch_openml`.

    return_X_y : bool, default=False
        Whether to return ``(data, target)`` in place of a Bunch.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        Dictionary with the attributes

        data : ndarray of shape (n_samples, 784)
            Images of 28 x 28 pixels as rows, float32 between 0 and 1.
        target : ndarray of shape (n_samples,)
            Kinds of clothing, from 0 to 9.
        images : ndarray of shape (n_samples, 28, 28)
            The same images.
        target_names : list of str
            Names of the kinds.

    (data, target) : tuple, if `return_X_y` is True

    Raises
    ------
    OSError
        If the package is not installed and the download fails.

    References
    ----------
    .. [1] H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for
       benchmarking machine learning algorithms", arXiv:1708.07747, 2017.

    Examples
    --------
    >>> from skae.datasets import load_fashion_mnist
    >>> X, y = load_fashion_mnist(n_samples=5000, return_X_y=True)  # doctest: +SKIP
    >>> X.shape  # doctest: +SKIP
    (5000, 784)
    """
    if subset not in _FILES:
        raise ValueError(f"subset must be 'train' or 'test'. Got {subset!r}.")
    is_count = isinstance(n_samples, Integral) and not isinstance(n_samples, bool)
    if n_samples is not None and not (is_count and n_samples >= 1):
        raise ValueError(f"n_samples must be an int of 1 or more. Got {n_samples!r}.")
    if _DEBIAN.is_dir():
        images = _read(f"{_FILES[subset]}-images-idx3-ubyte.gz", 16, 784, n_samples)
        target = _read(f"{_FILES[subset]}-labels-idx1-ubyte.gz", 8, 1, n_samples)
    else:
        images, target = _from_openml(subset, data_home)
    X = images.reshape(-1, 784)[:n_samples].astype(np.float32) / 255
    y = target.reshape(-1)[:n_samples].astype(np.int64)
    if return_X_y:
        return X, y
    return Bunch(
        data=X, target=y, images=X.reshape(-1, 28, 28), target_names=list(_NAMES)
    )


def _read(name: str, n_header: int, size: int, n_samples: int | None) -> np.ndarray:
    """Read values of one byte each after a header."""
    n_bytes = -1 if n_samples is None else math.prod((size, int(n_samples)))
    with gzip.open(_DEBIAN / name) as file:
        file.read(n_header)
        return np.frombuffer(file.read(n_bytes), dtype=np.uint8)


def _from_openml(subset: str, data_home: Any) -> tuple[np.ndarray, np.ndarray]:
    try:
        data = fetch_openml(
            "Fashion-MNIST", version=1, data_home=data_home, as_frame=False
        )
    except Exception as error:
        raise OSError(
            "Fashion-MNIST is not on this computer, and could not be downloaded from "
            "OpenML. On Debian or Ubuntu, install it with `apt install "
            "dataset-fashion-mnist`; elsewhere, check the connection and try again. "
            f"The download failed with: {error}"
        ) from error
    rows = slice(_N_TRAIN) if subset == "train" else slice(_N_TRAIN, None)
    return data.data[rows], data.target[rows]
