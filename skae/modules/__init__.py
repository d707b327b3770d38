"""Plain PyTorch modules: encoder and decoder pairs that know nothing of scikit-learn.

A module has ``encode(x) -> z``, ``decode(z) -> x_hat`` and
``forward(x) = decode(encode(x))``.
"""

from skae.modules._dense import DenseAutoencoder

__all__ = ["DenseAutoencoder"]
