"""Convolutional autoencoder."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skae.modules._layers import ACTIVATIONS, dense_layers
from skae.modules._links import LINKS, link_name
from skae.modules._standardized import StandardizedModule


class ConvolutionalAutoencoder(StandardizedModule):
    r"""Convolutional autoencoder of flattened images, with a dense code.

    The encoder has strided convolutions. A dense layer and, beside it, a multi-layer
    perceptron map the feature maps to the code. The decoder is the mirror image of the
    encoder, with transposed convolutions. With :math:`\tilde x = (x - \mu) / s`, the
    code and the reconstruction are

    .. math::

        z = s \, (f(\tilde x) + b \, W \tilde x), \qquad
        \hat x = \mu + s \, (g(z / s) + b \, V z / s),

    where :math:`f` and :math:`g` are these layers, and :math:`\mu` (`mean`) and
    :math:`s` (`scale`) are buffers. The buffer :math:`b` (`linear_on`) is 0 until
    `start_linear` sets it to 1: this turns on the linear path :math:`W` and :math:`V`.

    Parameters
    ----------
    image_shape : tuple of int
        (height, width) or (height, width, n_channels). A row is ``image.reshape(-1)``:
        the pixels line by line, with the channels of each pixel side by side.

    n_components : int
        Number of entries of a code.

    n_filters : sequence of int, default=(16, 32)
        Number of feature maps of each convolution, from input to code. The decoder
        reverses the order.

    kernel_size : int, default=3
        Height and width of the filters, an odd number. Along an axis of one pixel it is
        1.

    stride : int, default=2
        Each convolution reduces `n` pixels along an axis to ``ceil(n / stride)``.

    pooling : bool, default=False
        Whether the encoder reduces the size by max-pooling blocks of
        ``stride x stride`` pixels instead of by strided convolutions.

    hidden_layer_sizes : sequence of int, default=(100,)
        Widths of the hidden layers of the perceptron between feature maps and code.
        The decoder reverses the order. The last layer of the perceptron starts at zero.
        ``()`` means no perceptron.

    activation : str, default="gelu"
        Function applied after each convolution and hidden layer: "elu", "gelu",
        "identity", "logistic", "relu", "selu", "silu" or "tanh".

    link : {"identity", "sigmoid"}, default="identity"
        Last function of `decode`: "sigmoid" is for data in [0, 1]. `decode_logits`
        returns the values before it. Do not standardise a module with the link
        "sigmoid".

    binary_output : bool, default=False
        True is the same as ``link="sigmoid"``.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import ConvolutionalAutoencoder
    >>> module = ConvolutionalAutoencoder((8, 8), n_components=3)
    >>> x = torch.zeros(5, 64)
    >>> module.encode(x).shape, module(x).shape
    (torch.Size([5, 3]), torch.Size([5, 64]))
    """

    linear_on: Tensor

    def __init__(
        self,
        image_shape: Sequence[int],
        n_components: int,
        *,
        n_filters: Sequence[int] = (16, 32),
        kernel_size: int = 3,
        stride: int = 2,
        pooling: bool = False,
        hidden_layer_sizes: Sequence[int] = (100,),
        activation: str = "gelu",
        link: str = "identity",
        binary_output: bool = False,
    ) -> None:
        n_features = math.prod(image_shape)
        super().__init__(n_features)
        self.image_shape = tuple(image_shape)
        height, width, *channels = image_shape
        n_channels = math.prod(channels)
        self._image = (height, width, n_channels)
        encoder: list[nn.Module] = []
        decoder: list[nn.Module] = []
        size = (height, width)
        self.n_activations = n_features
        for d_in, d_out in itertools.pairwise([n_channels, *n_filters]):
            kernel = _on_axes(lambda n: kernel_size if n > 1 else 1, size)
            padding = _on_axes(lambda k: k // 2, kernel)
            encoder += [
                nn.Conv2d(d_in, d_out, kernel, 1 if pooling else stride, padding),
                ACTIVATIONS[activation](),
            ]
            if pooling:
                block = _on_axes(lambda n: min(stride, n), size)
                encoder.append(nn.MaxPool2d(block, ceil_mode=True))
            n_pixels = math.prod(
                size if pooling else _on_axes(lambda n: math.ceil(n / stride), size)
            )
            self.n_activations = max(self.n_activations, d_out * n_pixels)
            # A stride maps several sizes to the same one. The transposed convolution
            # needs to know the original size.
            rest = _on_axes(lambda n: (n - 1) % stride, size)
            decoder = [
                ACTIVATIONS[activation](),
                nn.ConvTranspose2d(d_out, d_in, kernel, stride, padding, rest),
                *decoder,
            ]
            size = _on_axes(lambda n: math.ceil(n / stride), size)
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.Sequential(*decoder)
        self._maps = (n_filters[-1], *size)
        widths = [math.prod(self._maps), *hidden_layer_sizes, n_components]
        self.to_code = _DenseHead(widths, activation)
        self.from_code = _DenseHead(widths[::-1], activation)
        self.linear_encoder = nn.Linear(n_features, n_components, bias=False)
        self.linear_decoder = nn.Linear(n_components, n_features, bias=False)
        for path in (self.linear_encoder, self.linear_decoder):
            nn.init.zeros_(path.weight)
        # A buffer, so that it is saved and copied with the weights.
        self.register_buffer("linear_on", torch.zeros(()))
        self.link = link_name(link, binary_output)

    def _as_image(self, x: Tensor) -> Tensor:
        return x.unflatten(1, self._image).permute(0, 3, 1, 2)

    def encode(self, x: Tensor) -> Tensor:
        """Map rows (batch, n_features) to codes (batch, n_components)."""
        x = self.centre(x)
        z = self.to_code(self.encoder(self._as_image(x)).flatten(1))
        return (z + self.linear_on * self.linear_encoder(x)) * self.scale

    def decode(self, z: Tensor) -> Tensor:
        """Map codes (batch, n_components) to rows (batch, n_features)."""
        return LINKS[self.link](self.decode_logits(z))

    def decode_logits(self, z: Tensor) -> Tensor:
        """Map codes to rows before the link."""
        z = z / self.scale
        images = self.decoder(self.from_code(z).unflatten(1, self._maps))
        x_hat = images.permute(0, 2, 3, 1).flatten(1)
        x_hat = x_hat + self.linear_on * self.linear_decoder(z)
        return torch.addcmul(self.mean, x_hat, self.scale)

    def hidden(self, x: Tensor) -> list[Tensor]:
        """Return the encoder's feature maps and hidden layers, (batch, width) each.

        Feature maps are taken after pooling and flattened one after the other.
        """
        x = self._as_image(self.centre(x))
        activations = []
        for layer, following in itertools.pairwise([*self.encoder, None]):
            x = layer(x)
            if following is None or isinstance(following, nn.Conv2d):
                activations.append(x.flatten(1))
        x = x.flatten(1)
        for layer in list(self.to_code.layers)[:-1]:
            x = layer(x)
            if not isinstance(layer, nn.Linear):
                activations.append(x)
        return activations

    def unused_in(self, half: str) -> list[str]:
        """Return the names of the parts that "encode" or "decode" does not use."""
        if half == "encode":
            return ["decoder", "from_code", "linear_decoder"]
        return ["encoder", "to_code", "linear_encoder"]

    @torch.no_grad()
    def start_linear(self, encoder_weight: Tensor, decoder_weight: Tensor) -> None:
        """Make the module linear: ``z = W x`` and ``x_hat = V z`` of centred rows.

        Set the last layers of both halves to zero, so that the convolutions add
        nothing. Training can start from there.

        Parameters
        ----------
        encoder_weight : tensor of shape (n_components, n_features)
            W.

        decoder_weight : tensor of shape (n_features, n_components)
            V.
        """
        last: list[Any] = [self.to_code.linear, self.decoder[-1]]
        if len(self.to_code.layers) > 0:
            last.append(self.to_code.layers[-1])
        for layer in last:
            layer.weight.zero_()
            layer.bias.zero_()
        self.linear_encoder.weight.copy_(encoder_weight)
        self.linear_decoder.weight.copy_(decoder_weight)
        self.linear_on.fill_(1)


def _on_axes(function: Callable[[int], int], size: tuple[int, int]) -> tuple[int, int]:
    return function(size[0]), function(size[1])


class _DenseHead(nn.Module):
    """A linear layer, and beside it a perceptron that starts as zero.

    Parameters
    ----------
    widths : list of int
        Widths from input to output. Two widths make a linear layer only.

    activation : str
        Function applied after each hidden layer.
    """

    def __init__(self, widths: list[int], activation: str) -> None:
        super().__init__()
        self.linear = nn.Linear(widths[0], widths[-1])
        self.layers = nn.Sequential()
        if len(widths) > 2:
            self.layers = dense_layers(widths, activation)
            last: Any = self.layers[-1]
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        return y + self.layers(x) if len(self.layers) > 0 else y
