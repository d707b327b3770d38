"""An encoder with a head that predicts."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skae.modules._layers import Dropout, dense_layers


class EncoderWithHead(nn.Module):
    """An autoencoder whose encoder feeds a head that predicts.

    The head takes the features that the encoder computes, standardised with the
    buffers `mean` and `scale`.

    Parameters
    ----------
    autoencoder : torch.nn.Module
        A module with `encode` and `decode`. It is not copied.

    n_inputs : int
        Number of features that the head takes.

    n_outputs : int
        Number of outputs.

    head_input : {"hidden", "code"}, default="hidden"
        Input of the head: the activations of all hidden layers of the encoder, side by
        side, or the codes. "hidden" needs a module with the method `hidden`.

    hidden_layer_sizes : sequence of int, default=()
        Widths of the head's hidden layers. ``()`` is a linear head.

    dropout : float, default=0.3
        Probability that an input of the head is set to zero in training.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import DenseAutoencoder
    >>> from skae.modules._head import EncoderWithHead
    >>> autoencoder = DenseAutoencoder(n_features=8, n_components=2)
    >>> module = EncoderWithHead(autoencoder, n_inputs=200, n_outputs=3)
    >>> module(torch.zeros(5, 8)).shape
    torch.Size([5, 3])
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self,
        autoencoder: nn.Module,
        n_inputs: int,
        n_outputs: int,
        *,
        head_input: str = "hidden",
        hidden_layer_sizes: Sequence[int] = (),
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.autoencoder: Any = autoencoder
        # `freeze` must not thaw parameters that were fixed before.
        self._trainable = {
            name for name, p in autoencoder.named_parameters() if p.requires_grad
        }
        self.head_input = head_input
        self.dropout = Dropout(dropout)
        self.head = dense_layers([n_inputs, *hidden_layer_sizes, n_outputs], "gelu")
        self.register_buffer("mean", torch.zeros(n_inputs))
        self.register_buffer("scale", torch.ones(n_inputs))

    def encode(self, x: Tensor) -> Tensor:
        """Map rows (batch, n_features) to codes (batch, n_components)."""
        return self.autoencoder.encode(x)

    def decode(self, z: Tensor) -> Tensor:
        """Map codes (batch, n_components) to rows (batch, n_features)."""
        return self.autoencoder.decode(z)

    def features(self, x: Tensor) -> Tensor:
        """Compute the input of the head (batch, n_inputs) before standardisation."""
        if self.head_input == "code":
            return self.autoencoder.encode(x)
        return torch.cat(self.autoencoder.hidden(x), dim=1)

    def head_inputs(self, x: Tensor) -> Tensor:
        """Compute the input of the head (batch, n_inputs), standardised."""
        return (self.features(x) - self.mean) / self.scale

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Predict outputs (batch, n_outputs) from rows (batch, n_features).

        Dropout draws from `generator` in training.
        """
        return self.head(self.dropout(self.head_inputs(x), generator))

    @torch.no_grad()
    def standardize(self, mean: Tensor, scale: Tensor) -> None:
        """Set the centre and the scale, (n_inputs,) each, of the head's input."""
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def freeze(self, layers: str | int) -> None:
        """Choose which layers of the autoencoder are trained.

        Parameters
        ----------
        layers : {"none", "all"} or int
            Layers that are not trained: none, the whole autoencoder, or this number of
            hidden layers of the encoder, counted from the input. Parameters that were
            fixed when the module was built stay fixed.
        """
        hidden = [] if isinstance(layers, str) else self._first_hidden_layers(layers)
        for name, parameter in self.autoencoder.named_parameters():
            parameter.requires_grad_(layers != "all" and name in self._trainable)
        for layer in hidden:
            layer.requires_grad_(False)
        self.train(self.training)

    def _first_hidden_layers(self, n_layers: int) -> list[nn.Module]:
        encoder = getattr(self.autoencoder, "encoder", None)
        layers = list(encoder) if isinstance(encoder, nn.Sequential) else []
        hidden = [layer for layer in layers if any(True for _ in layer.parameters())]
        hidden = hidden[:-1]  # the last one returns the code
        if n_layers > len(hidden):
            raise ValueError(
                f"freeze={n_layers} is too large: the encoder of "
                f"{type(self.autoencoder).__name__} has {len(hidden)} known hidden "
                "layers. Set freeze to at most that, 'none' or 'all'."
            )
        return hidden[:n_layers]

    def train(self, mode: bool = True) -> "EncoderWithHead":
        """Set the mode. An autoencoder without trained parameters stays evaluating."""
        super().train(mode)
        if not any(p.requires_grad for p in self.autoencoder.parameters()):
            # Otherwise, batch normalisation would change its statistics.
            self.autoencoder.eval()
        return self
