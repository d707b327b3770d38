"""Set-up that has to come before scikit-learn and torch are imported."""

import os

# Without it, scikit-learn skips its check with array API dispatch.
os.environ["SCIPY_ARRAY_API"] = "1"

# Workers of pytest-xdist share the cores. With all of the threads in each of them, they
# wait for one another most of the time.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    n_workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    n_threads = max(1, (os.cpu_count() or 1) // n_workers)
    os.environ.setdefault("OMP_NUM_THREADS", str(n_threads))

import numpy as np
import pytest
from sklearn.datasets import load_digits


@pytest.fixture(scope="session")
def digits():
    """Images of digits in [0, 1], in two parts."""
    X = load_digits().data / 16
    order = np.random.RandomState(0).permutation(len(X))
    return X[order[:1000]], X[order[1000:]]


@pytest.fixture
def curved():
    """Rows near a curve: 400 x 6, one nonlinear degree of freedom."""
    rng = np.random.RandomState(0)
    t = rng.uniform(-2, 2, size=(400, 1))
    return np.hstack([np.sin(t * f) for f in (1, 2, 3)] * 2) + 0.05 * rng.normal(
        size=(400, 6)
    )
