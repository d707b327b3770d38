"""One layer of a deep autoencoder and its mirror image, to be trained alone."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from skae.modules._gradient import backward, forward


class LayerAutoencoder(nn.Module):
    """Shallow autoencoder of a layer of an encoder and its mirror image in the decoder.

    It shares their weights: training it trains them.

    Parameters
    ----------
    encoder, decoder : torch.nn.Sequential
        The layer and its mirror image, each with the activation after it, if any.
    """

    def __init__(self, encoder: nn.Sequential, decoder: nn.Sequential) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def encode(self, x: Tensor) -> Tensor:
        """Map the input of the layer (batch, d_in) to its output (batch, d_out)."""
        return self.encoder(x)

    def decode(self, z: Tensor) -> Tensor:
        """Map the output of the layer (batch, d_out) to its input (batch, d_in)."""
        return self.decoder(z)

    # The last layer of a decoder has no activation: the caller's loss may have one.
    decode_logits = decode

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct the input of the layer (batch, d_in)."""
        return self.decode(self.encode(x))

    @torch.no_grad()
    def logits_with_gradient(
        self, x: Tensor
    ) -> tuple[Tensor, Callable[[Tensor], None]]:
        """Reconstruct, and give the way back, as the module of all layers does."""
        z, encoder_tape = forward(self.encoder, x)
        x_hat, decoder_tape = forward(self.decoder, z)

        @torch.no_grad()
        def to_parameters(grad: Tensor) -> None:
            grad = backward(decoder_tape, grad, to_input=True)
            backward(encoder_tape, grad, to_input=False)

        return x_hat, to_parameters
