"""Base of the modules that centre and scale their rows."""

import torch
from torch import Tensor, nn

from skae.modules._conditional_mean import ConditionalMean
from skae.modules._protocol import AutoencoderModule


class StandardizedModule(AutoencoderModule):
    """Base of modules whose first layers take centred and scaled rows.

    A subclass sets `encoder`, linear layers with an activation between each two, or
    overrides `hidden`. The layer `fill` fills missing values, NaN, once it is set.

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
        self.fill = ConditionalMean(n_features)

    def centre(self, x: Tensor) -> Tensor:
        """Fill the missing values of rows, then centre and scale the rows."""
        return (self.fill(x) - self.mean) / self.scale

    def hidden(self, x: Tensor) -> list[Tensor]:
        """Return the activations (batch, width) of the encoder's hidden layers."""
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
