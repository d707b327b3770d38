"""A fit to a table in memory makes no copy of it, or as few as it can."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from estimators import BECOMES_PCA, ESTIMATORS, quick
from numpy.testing import assert_array_equal
from skorch.callbacks import Callback

# 80 MB of each kind; half of the rows are held out, so that a copy of them would show.
SCRIPT = """
import sys
from pathlib import Path

import numpy as np

from skae import AutoencoderImputer, AutoencoderTransformer


def peak():
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(x for x in status if x.startswith("VmHWM")).split()[1]) * 1024


rng = np.random.default_rng(0)
settings = {
    "max_epochs": 1,
    "batch_size": 1000,
    "validation_fraction": 0.5,
    "random_state": 0,
}
name, dtype, *names = sys.argv[1:]
model = {
    "autoencoder": AutoencoderTransformer(4, **settings),
    "imputer": AutoencoderImputer(hidden_layer_sizes=(32,), **settings),
    "gaussian imputer": AutoencoderImputer(hidden_layer_sizes=(), random_state=0),
}[name]
n_rows = 80 * 10**6 // (np.dtype(dtype).itemsize * 50)
X = rng.standard_normal((n_rows, 50), dtype=dtype)
if "imputer" in name:
    X[rng.random((n_rows, 50), dtype="float32") < 0.3] = np.nan
model.fit(X[:2000])  # what is made once
arguments = {
    "groups": np.arange(n_rows) // 10,
    "X_val": X[:500] + 1,
    "sample_weight": rng.uniform(0.5, 1.5, n_rows),
}
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
before = peak()
model.fit(X, **{name: arguments[name] for name in names})
print((peak() - before) / X.nbytes)
"""


# A copy in float32 would add 1, 1 and 0.5, and the rows held out 0.5 of the first. The
# rows that the Gaussian is fitted to are a copy.
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("arguments", "most"),
    [
        (["autoencoder", "float32", "groups"], 0.75),
        (["autoencoder", "float32", "X_val", "sample_weight"], 0.7),
        (["autoencoder", "float64", "X_val"], 0.55),
        (["imputer", "float64"], 2.2),
        (["gaussian imputer", "float64"], 2.2),
    ],
)
def test_a_fit_makes_few_copies_of_the_table(arguments, most):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < most, done.stdout


class ToTensors(Callback):
    """Listens to training, so that the rows to train on are copied into a tensor."""

    def on_train_begin(self, net, X, **kwargs):
        self.is_tensor_ = isinstance(X, torch.Tensor)


@pytest.mark.filterwarnings(BECOMES_PCA)
@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rows_that_are_not_copied_train_as_copies_do(estimator, dtype):
    X = np.random.default_rng(0).uniform(size=(300, 6)).astype(dtype)
    given = X.copy()
    X.flags.writeable = False
    to_tensors = ToTensors()
    one = quick(estimator, random_state=0).fit(X)
    other = quick(estimator, random_state=0, callbacks=[to_tensors]).fit(given)
    assert to_tensors.is_tensor_
    assert_array_equal(one.transform(X), other.transform(X))
    assert one.loss_curve_ == other.loss_curve_
