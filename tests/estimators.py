"""The public autoencoders, found by themselves, and small settings of each."""

import inspect

import pytest

import skae
from skae._base import BaseAutoencoder

ESTIMATORS = [
    value
    for name in skae.__all__
    if inspect.isclass(value := getattr(skae, name))
    and issubclass(value, BaseAutoencoder)
]

# Those whose modules take the rows of `X`, and whose errors are in the units of `X`.
OF_NUMBERS = [each for each in ESTIMATORS if each is not skae.TableAutoencoder]

# What an estimator says that becomes PCA, as on the few rows and epochs of most tests.
BECOMES_PCA = (
    "ignore:.* The fitted model is (signed )?PCA:sklearn.exceptions.ConvergenceWarning"
)


def quick(estimator, **params):
    """Give an instance of an estimator that trains for a moment."""
    params = {"max_epochs": 3, "random_state": 0, **params}
    names = inspect.signature(estimator).parameters
    if "fine_tune_epochs" in names:
        params.setdefault("fine_tune_epochs", params["max_epochs"])
    if "sparsity" in names:
        params.setdefault("sparsity", 0.5)  # as few units as tests ask for need it
    if "module" not in names and params.pop("module", None) is not None:
        pytest.skip(f"{estimator.__name__} has a network of its own")
    return estimator(**params)
