"""One layer of a deep autoencoder and its mirror image, to be trained alone."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from skae.modules._prepared import PreparedDense
from skae.modules._protocol import AutoencoderModule


class LayerAutoencoder(AutoencoderModule):
    """Shallow autoencoder of a layer of an encoder and its mirror image in the decoder.

    It shares the weights of both layers, so training it trains them.

    Parameters
    ----------
    encoder, decoder : torch.nn.Sequential
        The layer and its mirror image, each with the activation after it, if any.

    mean : tensor of shape (d_in,), default=None
        Centre of the input; None leaves the input as it is.

    scale : tensor of shape (), default=None
        Scale that divides the centred input. It is None if `mean` is None.
    """

    mean: Tensor | None
    scale: Tensor | None

    def __init__(
        self,
        encoder: nn.Sequential,
        decoder: nn.Sequential,
        mean: Tensor | None = None,
        scale: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def encode(self, x: Tensor) -> Tensor:
        """Map the input of the layer (batch, d_in) to its output (batch, d_out)."""
        return self.encoder(self._centre(x))

    def decode(self, z: Tensor) -> Tensor:
        """Map the output of the layer (batch, d_out) to its input (batch, d_in)."""
        return self._uncentre(self.decoder(z))

    # The decoder has no link, so that a loss can apply its own.
    decode_logits = decode

    @torch.no_grad()
    def logits_with_gradient(
        self, x: Tensor
    ) -> tuple[Tensor, Callable[[Tensor], None]]:
        """Reconstruct, and return the backward pass, as `DenseAutoencoder` does."""
        layers = self.prepared()
        x_hat = layers.forward(self._centre(x))

        def to_parameters(grad: Tensor) -> None:
            with torch.no_grad():
                layers.backward(grad if self.scale is None else grad * self.scale)
                layers.add_gradients()

        return self._uncentre(x_hat), to_parameters

    def prepared(self) -> PreparedDense:
        """Return the layers, prepared for steps on centred and scaled rows."""
        return PreparedDense(self.encoder, self.decoder)

    def _centre(self, x: Tensor) -> Tensor:
        if self.mean is None or self.scale is None:
            return x
        return (x - self.mean) / self.scale

    def _uncentre(self, x: Tensor) -> Tensor:
        if self.mean is None or self.scale is None:
            return x
        return torch.addcmul(self.mean, x, self.scale)
