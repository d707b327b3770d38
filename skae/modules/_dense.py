"""Fully connected autoencoder."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skae.modules._layers import TiedLinear, dense_layers, tied_layers
from skae.modules._layerwise import LayerAutoencoder
from skae.modules._links import LINKS, link_name
from skae.modules._mixed_link import MixedLink
from skae.modules._prepared import PreparedDense
from skae.modules._standardized import StandardizedModule


class DenseAutoencoder(StandardizedModule):
    r"""Fully connected, symmetric autoencoder with a linear path beside it.

    With :math:`\tilde x = (x - \mu) / s`, the code and the reconstruction are

    .. math::

        z = s \, (W \tilde x + f(\tilde x)), \qquad
        \hat x = \mu + s \, (V z / s + g(z / s)),

    where :math:`f` and :math:`g` are multi-layer perceptrons, :math:`W` and :math:`V`
    the linear path, :math:`\mu` (`mean`) and :math:`s` (`scale`) buffers. Rows, codes
    and reconstructions are in the units of the data, as in PCA.

    Parameters
    ----------
    n_features : int
        Number of columns of the input.

    n_components : int
        Number of entries of a code. It may exceed `n_features`.

    hidden_layer_sizes : sequence of int, default=(100, 100)
        Widths of the encoder's hidden layers, from input to code. The decoder reverses
        the order. ``()`` is a linear autoencoder without a separate path.

    activation : str, default="silu"
        Function applied after each hidden layer: "elu", "gelu", "identity", "logistic",
        "relu", "selu", "silu" or "tanh".

    kernel_initializer : str, default="auto"
        Distribution of the initial weights: "auto" (as in `torch.nn.Linear`),
        "kaiming_normal", "kaiming_uniform", "lecun_normal", "lecun_uniform",
        "orthogonal", "xavier_normal" or "xavier_uniform". Biases are zero, except with
        "auto".

    tied_weights : bool, default=False
        Whether the decoder's layers use the transposes of the encoder's weights,
        with biases of their own.

    linear_path : bool, default=True
        Whether to have :math:`W` and :math:`V`. Without hidden layers, the only layer
        replaces them.

    train_linear_path : bool, default=True
        Whether :math:`W` and :math:`V` are trained. Ignored without a separate path.

    link : {"identity", "mixed", "sigmoid"}, default="identity"
        Last function of `decode`. "sigmoid" is for data in [0, 1]. "mixed" is for
        numbers beside one-hot categories: the layer `mixed_link` computes their
        probabilities. `decode_logits` returns the values before this function. Do not
        standardise a module with the link "sigmoid".

    binary_output : bool, default=False
        True is the same as ``link="sigmoid"``.

    output_units : bool, default=False
        Whether the output has its own centre and scale, the buffers `output_mean` and
        `output_scale`. Use it to train on pairs of rows, where the targets differ from
        the inputs.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import DenseAutoencoder
    >>> module = DenseAutoencoder(n_features=8, n_components=2)
    >>> x = torch.zeros(5, 8)
    >>> module.encode(x).shape, module(x).shape
    (torch.Size([5, 2]), torch.Size([5, 8]))
    """

    output_mean: Tensor
    output_scale: Tensor

    def __init__(
        self,
        n_features: int,
        n_components: int,
        *,
        hidden_layer_sizes: Sequence[int] = (100, 100),
        activation: str = "silu",
        kernel_initializer: str = "auto",
        tied_weights: bool = False,
        linear_path: bool = True,
        train_linear_path: bool = True,
        link: str = "identity",
        binary_output: bool = False,
        output_units: bool = False,
    ) -> None:
        super().__init__(n_features)
        self.output_units = output_units
        if output_units:
            self.register_buffer("output_mean", torch.zeros(n_features))
            self.register_buffer("output_scale", torch.ones(()))
        widths = [n_features, *hidden_layer_sizes, n_components]
        self.encoder = dense_layers(widths, activation, kernel_initializer)
        self.decoder = (
            tied_layers(self.encoder, activation)
            if tied_weights
            else dense_layers(widths[::-1], activation, kernel_initializer)
        )
        self.linear_encoder: nn.Linear | None = None
        self.linear_decoder: nn.Linear | TiedLinear | None = None
        if linear_path and len(hidden_layer_sizes) > 0:
            self.linear_encoder = nn.Linear(n_features, n_components, bias=False)
            self.linear_decoder = (
                TiedLinear(self.linear_encoder, bias=False)
                if tied_weights
                else nn.Linear(n_components, n_features, bias=False)
            )
            self.linear_encoder.requires_grad_(train_linear_path)
            self.linear_decoder.requires_grad_(train_linear_path)
        self.link = link_name(link, binary_output, others=("mixed",))
        self.mixed_link = MixedLink(n_features) if self.link == "mixed" else None

    def encode(self, x: Tensor) -> Tensor:
        """Map rows (batch, n_features) to codes (batch, n_components)."""
        x = self.centre(x)
        z = self.encoder(x)
        if self.linear_encoder is not None:
            z = z + self.linear_encoder(x)
        return z * self.scale

    def decode(self, z: Tensor) -> Tensor:
        """Map codes (batch, n_components) to rows (batch, n_features)."""
        logits = self.decode_logits(z)
        if self.mixed_link is not None:
            return self.mixed_link(logits)
        return LINKS[self.link](logits)

    def decode_logits(self, z: Tensor) -> Tensor:
        """Map codes to rows before the link."""
        z = z / self.scale
        x_hat = self.decoder(z)
        if self.linear_decoder is not None:
            x_hat = x_hat + self.linear_decoder(z)
        mean, scale = self._output_centre_and_scale()
        return torch.addcmul(mean, x_hat, scale)

    def _output_centre_and_scale(self) -> tuple[Tensor, Tensor]:
        if self.output_units:
            return self.output_mean, self.output_scale
        return self.mean, self.scale

    @torch.no_grad()
    def standardize_output(self, mean: Tensor, scale: Tensor) -> None:
        """Set the centre (n_features,) and the scale (scalar) of the output."""
        self.output_mean.copy_(mean)
        self.output_scale.copy_(scale)

    def layer_autoencoder(self, i: int) -> LayerAutoencoder:
        """Return hidden layer `i`, from 0, and its mirror image as a module to train.

        The module takes the output of the layer before. The first one takes rows.
        """
        last = len(self.decoder) - 1 - 2 * i
        encoder, decoder = list(self.encoder), list(self.decoder)
        units = (self.mean, self.scale) if i == 0 else ()
        return LayerAutoencoder(
            nn.Sequential(*encoder[2 * i : 2 * i + 2]),
            # The last layer of the decoder has no activation: the slice ends with it.
            nn.Sequential(*decoder[last : last + 2]),
            *units,
        )

    def code_layers(self) -> list[nn.Module]:
        """Return the layers next to the code and the output, and the linear path."""
        layers = [self.encoder[-1], self.decoder[0], self.decoder[-1]]
        paths = (self.linear_encoder, self.linear_decoder)
        return layers + [path for path in paths if path is not None]

    def unused_in(self, half: str) -> list[str]:
        """Return the names of the parts that "encode" or "decode" does not use."""
        if half == "encode":
            return ["decoder", "linear_decoder"]
        # Tied layers use the weights of the encoder.
        tied = isinstance(self.decoder[-1], TiedLinear)
        return [] if tied else ["encoder", "linear_encoder"]

    @torch.no_grad()
    def logits_with_gradient(
        self, x: Tensor
    ) -> tuple[Tensor, Callable[[Tensor], None]]:
        """Reconstruct rows, and return their backward pass, without autograd.

        Parameters
        ----------
        x : tensor of shape (batch, n_features)
            Rows.

        Returns
        -------
        x_hat : tensor of shape (batch, n_features)
            ``decode_logits(encode(x))``.

        backward : callable
            Function that takes the gradient of a loss with respect to `x_hat`, and
            adds the gradients of the parameters to their `grad`.
        """
        mean, scale = self._output_centre_and_scale()
        layers = self.prepared()
        x_hat = layers.forward(self.centre(x))

        def to_parameters(grad: Tensor) -> None:
            with torch.no_grad():
                layers.backward(grad * scale)
                layers.add_gradients()

        return torch.addcmul(mean, x_hat, scale), to_parameters

    def prepared(self) -> PreparedDense:
        """Return the layers, prepared for steps on centred and scaled rows."""
        paths = self.linear_encoder, self.linear_decoder
        return PreparedDense(self.encoder, self.decoder, *paths)

    @torch.no_grad()
    def start_linear(
        self,
        encoder_weight: Tensor,
        decoder_weight: Tensor,
        decoder_bias: Tensor | None = None,
    ) -> None:
        """Make the module linear: ``z = W x`` and ``x_hat = V z + b`` of centred rows.

        Set the last layers of the nonlinear halves to zero, so that these add nothing.
        Training can start from there.

        Parameters
        ----------
        encoder_weight : tensor of shape (n_components, n_features)
            W.

        decoder_weight : tensor of shape (n_features, n_components)
            V. With tied weights it is ignored: V is the transpose of W.

        decoder_bias : tensor of shape (n_features,), default=None
            b, in the units of the rows; None is zero.

        Notes
        -----
        With `output_units`, the output is
        ``x_hat = output_mean + output_scale / scale * (V z + b)``.
        """
        if self.linear_encoder is None:
            if len(self.encoder) > 1:
                raise ValueError(
                    "start_linear needs the linear path: build the module with "
                    "linear_path=True."
                )
            linear_encoder: Any = self.encoder[-1]
            linear_decoder: Any = self.decoder[-1]
        else:
            linear_encoder, linear_decoder = self.linear_encoder, self.linear_decoder
            for layer in (self.encoder[-1], self.decoder[-1]):
                if isinstance(layer, nn.Linear):
                    layer.weight.zero_()
        # Tied layers cannot be zero: they add nothing only if all biases are zero.
        for layer in (self.encoder[-1], *self.decoder):
            if isinstance(layer, nn.Linear | TiedLinear):
                layer.bias.zero_()
        linear_encoder.weight.copy_(encoder_weight)
        if not isinstance(linear_decoder, TiedLinear):
            linear_decoder.weight.copy_(decoder_weight)
        if decoder_bias is not None:
            output_bias: Any = self.decoder[-1].bias
            output_bias.copy_(decoder_bias / self.scale.to(decoder_bias.device))

    @property
    def can_turn(self) -> bool:
        """Whether `turn` works: False with tied weights, which it would untie."""
        return not isinstance(self.decoder[0], TiedLinear)

    @torch.no_grad()
    def turn(self, matrix: Tensor, inverse: Tensor, centre: Tensor) -> None:
        """Replace codes z by ``matrix @ (z - centre)``; reconstructions do not change.

        Parameters
        ----------
        matrix, inverse : tensors of shape (n_components, n_components)
            The map and its inverse, in float64.

        centre : tensor of shape (n_components,)
            Code that becomes zero, in float64.
        """
        last: Any = self.encoder[-1]
        first: Any = self.decoder[0]
        output: Any = self.decoder[-1]
        paths: Any = self.linear_encoder, self.linear_decoder
        # Inside, codes are divided by the scale.
        centre = centre / self.scale.cpu()

        def exact(parameter: Tensor) -> Tensor:
            return parameter.cpu().double()  # not every device has float64

        for layer in (last, paths[0]):
            if layer is not None:
                layer.weight.copy_(matrix @ exact(layer.weight))
        last.bias.copy_(matrix @ (exact(last.bias) - centre))
        for layer, bias in ((first, first.bias), (paths[1], output.bias)):
            if layer is not None:
                weight = exact(layer.weight)
                bias.copy_(exact(bias) + weight @ centre)
                layer.weight.copy_(weight @ inverse)
