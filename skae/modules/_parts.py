"""The two halves of an autoencoder as separate modules."""

from typing import Any

from torch import Tensor, nn


class Encoder(nn.Module):
    """The encoder of an autoencoder: rows in, codes out.

    Parameters
    ----------
    autoencoder : torch.nn.Module
        A module with `encode`. It is not copied: training this module trains it.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> from skae.modules import DenseAutoencoder, Encoder
    >>> autoencoder = DenseAutoencoder(n_features=8, n_components=2)
    >>> classifier = nn.Sequential(Encoder(autoencoder), nn.Linear(2, 3))
    >>> classifier(torch.zeros(5, 8)).shape
    torch.Size([5, 3])
    """

    def __init__(self, autoencoder: nn.Module) -> None:
        super().__init__()
        self.autoencoder: Any = autoencoder

    def forward(self, x: Tensor) -> Tensor:
        return self.autoencoder.encode(x)


class Decoder(nn.Module):
    """The decoder of an autoencoder: codes in, rows out.

    Parameters
    ----------
    autoencoder : torch.nn.Module
        A module with `decode`. It is not copied: training this module trains it.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import Decoder, DenseAutoencoder
    >>> autoencoder = DenseAutoencoder(n_features=8, n_components=2)
    >>> Decoder(autoencoder)(torch.zeros(5, 2)).shape
    torch.Size([5, 8])
    """

    def __init__(self, autoencoder: nn.Module) -> None:
        super().__init__()
        self.autoencoder: Any = autoencoder

    def forward(self, z: Tensor) -> Tensor:
        return self.autoencoder.decode(z)
