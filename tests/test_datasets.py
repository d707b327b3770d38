"""The data set of the examples, from files or from a download."""

import gzip

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.utils import Bunch

from skae import datasets
from skae.datasets import load_fashion_mnist


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Files of 30 images to train on, and 20 others."""
    rng = np.random.RandomState(0)
    made = {}
    for subset, name, n in [("train", "train", 30), ("test", "t10k", 20)]:
        images = rng.randint(256, size=(n, 784)).astype(np.uint8)
        labels = rng.randint(10, size=n).astype(np.uint8)
        for kind, header, values in [
            ("images-idx3", 16, images),
            ("labels-idx1", 8, labels),
        ]:
            with gzip.open(tmp_path / f"{name}-{kind}-ubyte.gz", "wb") as file:
                file.write(bytes(header) + values.tobytes())
        made[subset] = images, labels
    monkeypatch.setattr(datasets, "_DEBIAN", tmp_path)
    return made


@pytest.fixture
def download(files, tmp_path, monkeypatch):
    """The same as what OpenML would return."""
    images, labels = (
        np.concatenate(each) for each in zip(*files.values(), strict=True)
    )
    data = Bunch(data=images.astype(np.int64), target=labels.astype(str))
    monkeypatch.setattr(datasets, "_DEBIAN", tmp_path / "nowhere")
    monkeypatch.setattr(datasets, "_N_TRAIN", 30)
    monkeypatch.setattr(datasets, "fetch_openml", lambda *args, **kwargs: data)
    return files


@pytest.mark.parametrize("source", ["files", "download"])
@pytest.mark.parametrize("subset", ["train", "test"])
@pytest.mark.parametrize("n_samples", [None, 7])
def test_images(source, subset, n_samples, request):
    images, labels = request.getfixturevalue(source)[subset]
    X, y = load_fashion_mnist(subset=subset, n_samples=n_samples, return_X_y=True)
    assert X.dtype == np.float32
    assert_array_equal(np.round(X * 255), images[:n_samples])
    assert_array_equal(y, labels[:n_samples])
    data = load_fashion_mnist(subset=subset, n_samples=n_samples)
    assert_array_equal(data.images[2].ravel(), data.data[2])
    assert len(data.target_names) == 10


def test_without_files_and_network(tmp_path, monkeypatch):
    def fails(*args, **kwargs):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(datasets, "_DEBIAN", tmp_path / "nowhere")
    monkeypatch.setattr(datasets, "fetch_openml", fails)
    with pytest.raises(OSError, match=r"apt install dataset-fashion-mnist.*no route"):
        load_fashion_mnist()


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"subset": "both"}, "subset must be 'train' or 'test'"),
        ({"n_samples": 0}, "n_samples must be an int of 1 or more"),
        ({"n_samples": True}, "n_samples must be an int of 1 or more. Got True"),
    ],
)
def test_errors(params, match):
    with pytest.raises(ValueError, match=match):
        load_fashion_mnist(**params)
