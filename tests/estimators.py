"""The public autoencoders, found by themselves, and small settings of each."""

import inspect

import skae
from skae._base import BaseAutoencoder

ESTIMATORS = [
    value
    for name in skae.__all__
    if inspect.isclass(value := getattr(skae, name))
    and issubclass(value, BaseAutoencoder)
]


def quick(estimator, **params):
    """Give an instance of an estimator that trains for a moment."""
    return estimator(**{"max_epochs": 3, "random_state": 0, **params})
