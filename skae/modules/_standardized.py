"""What the fully connected autoencoders share."""

import torch
from torch import Tensor, nn


class StandardizedModule(nn.Module):
    """Base of modules whose `encoder` is given centred and scaled rows.

    A subclass sets `encoder`, linear layers with an activation between each two.

    Parameters
    ----------
    n_features : int
        Number of columns of the input.
    """

    mean: Tensor
    scale: Tensor
    encoder: nn.Sequential

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(()))

    def centre(self, x: Tensor) -> Tensor:
        """Centre and scale rows: what the first layer is given."""
        return (x - self.mean) / self.scale

    def hidden(self, x: Tensor) -> list[Tensor]:
        """Give what the encoder's hidden layers make of rows: (batch, width) each."""
        x = self.centre(x)
        activations = []
        for layer in list(self.encoder)[:-1]:
            x = layer(x)
            if not isinstance(layer, nn.Linear):
                activations.append(x)
        return activations

    @torch.no_grad()
    def standardize(self, mean: Tensor, scale: Tensor) -> None:
        """Set the centre (n_features,) and the scale (scalar) of the input."""
        self.mean.copy_(mean)
        self.scale.copy_(scale)
