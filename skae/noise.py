"""Noise for the encoder's input during training."""

import torch
from torch import Tensor, nn


class GaussianNoise(nn.Module):
    r"""Add independent Gaussian noise to each entry: :math:`\tilde x = x + \sigma e`.

    Active in training mode only.

    Parameters
    ----------
    std : float
        Standard deviation :math:`\sigma`, in the units of the input.
    """

    std: Tensor

    def __init__(self, std: float) -> None:
        super().__init__()
        self.register_buffer("std", torch.tensor(std))

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Give noisy rows; `generator` is where the noise is drawn from."""
        if not self.training:
            return x
        noise = torch.empty_like(x).normal_(generator=generator)
        return torch.addcmul(x, noise, self.std)
