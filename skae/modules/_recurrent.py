"""Recurrent autoencoder of series."""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from skae.modules._layers import dense_layers
from skae.modules._standardized import StandardizedModule

# Layers for whole series and cells for one step. A cell takes less than half the time
# of a layer for a single step.
CELLS: dict[str, tuple[Any, Any]] = {
    "gru": (nn.GRU, nn.GRUCell),
    "lstm": (nn.LSTM, nn.LSTMCell),
}


def _are_whole(x: Tensor) -> bool:
    """Return whether rows are known to have no series that ends early."""
    # A traced graph must not depend on the rows that it is traced with.
    tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined]
    if tracing or torch.compiler.is_compiling():
        return False
    # A NaN makes the sum NaN. Reading the sum would stall other devices at each step.
    return x.device.type == "cpu" and not bool(x.sum().isnan())


class SeriesAutoencoder(StandardizedModule):
    r"""Recurrent autoencoder of series with a linear path beside it.

    A row is a series, step after step: all channels of the first step, then all
    channels of the second. The entries after the end of a series are NaN. With
    :math:`\tilde x = (x - \mu) / s`, which is 0 after the end, the code and the
    reconstruction are

    .. math::

        z = s \, (W \tilde x + f(\tilde x)), \qquad
        \hat x = \mu + s \, (V z / s + g(z / s)),

    where :math:`f` is a linear layer on the state of a recurrent network after the last
    step of the series, and :math:`g` is the decoder: a multi-layer perceptron, or a
    recurrent network. A recurrent decoder computes its first state from the code. Its
    input at each step is the reconstruction of the step before. :math:`W` and :math:`V`
    are the linear path, and :math:`\mu` (`mean`) and :math:`s` (`scale`) are buffers.
    The module takes rows and returns reconstructions in the units of the data.

    The code does not hold the length of a series, so all steps are reconstructed.

    Parameters
    ----------
    n_steps : int
        Number of steps of the longest series.

    n_channels : int
        Number of values in each step.

    n_components : int
        Number of entries of a code.

    cell : {"lstm", "gru"}, default="lstm"
        Kind of the recurrent layers.

    hidden_size : int, default=64
        Size of the state of the recurrent layers.

    n_layers : int, default=1
        Number of recurrent layers, each on top of the one before.

    bidirectional : bool, default=False
        Whether a second encoder reads the series from its last step to its first.

    recurrent_decoder : bool, default=False
        Whether the decoder is recurrent instead of dense.

    decoder_hidden_size : int, default=None
        Width of the two hidden layers of a dense decoder. None: `hidden_size`.

    linear_path : bool, default=True
        Whether to have :math:`W` and :math:`V`.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import SeriesAutoencoder
    >>> module = SeriesAutoencoder(n_steps=10, n_channels=3, n_components=2)
    >>> x = torch.zeros(5, 30)
    >>> x[0, 12:] = torch.nan  # a series of four steps
    >>> module.encode(x).shape, module(x).shape
    (torch.Size([5, 2]), torch.Size([5, 30]))
    """

    def __init__(
        self,
        n_steps: int,
        n_channels: int,
        n_components: int,
        *,
        cell: str = "lstm",
        hidden_size: int = 64,
        n_layers: int = 1,
        bidirectional: bool = False,
        recurrent_decoder: bool = False,
        decoder_hidden_size: int | None = None,
        linear_path: bool = True,
    ) -> None:
        n_features = n_steps * n_channels
        super().__init__(n_features)
        self.n_steps = n_steps
        self.n_channels = n_channels

        # The gates of an LSTM are four times as many as its states.
        self.n_activations = 4 * n_steps * hidden_size
        layers, step = CELLS[cell]
        sizes = n_channels, hidden_size, n_layers
        self.forwards = layers(*sizes, batch_first=True)
        self.backwards = layers(*sizes, batch_first=True) if bidirectional else None
        self.to_code = nn.Linear((1 + bidirectional) * hidden_size, n_components)
        self.from_code: nn.Linear | None = None
        self.decoder: nn.ModuleList | nn.Sequential
        if recurrent_decoder:
            self.from_code = nn.Linear(n_components, n_layers * hidden_size)
            widths = [n_channels] + [hidden_size] * n_layers
            self.decoder = nn.ModuleList(map(step, widths, widths[1:]))
            self.to_row = nn.Linear(hidden_size, n_channels)
        else:
            width = hidden_size if decoder_hidden_size is None else decoder_hidden_size
            widths = [n_components, width, width]
            # `dense_layers` puts no activation after the last layer.
            self.decoder = nn.Sequential(*dense_layers(widths, "gelu"), nn.GELU())
            self.to_row = nn.Linear(width, n_features)
            self.n_activations = max(self.n_activations, width)
        self.linear_encoder: nn.Linear | None = None
        self.linear_decoder: nn.Linear | None = None
        if linear_path:
            self.linear_encoder = nn.Linear(n_features, n_components, bias=False)
            self.linear_decoder = nn.Linear(n_components, n_features, bias=False)
        # Entries of a code have about this size in units of the scale. Inputs larger
        # than 1 would saturate the gates of a recurrent layer.
        self._code_size = math.sqrt(max(1.0, n_features / n_components))

    def centre(self, x: Tensor) -> Tensor:
        """Centre and scale rows; entries after the end of a series become 0."""
        x = super().centre(x)
        return x if _are_whole(x) else torch.where(x.isnan(), 0.0, x)

    def encode(self, x: Tensor) -> Tensor:
        """Map rows (batch, n_steps * n_channels) to codes (batch, n_components)."""
        centred = self.centre(x)
        z = self.to_code(self._last_state(x, centred))
        if self.linear_encoder is not None:
            z = z + self.linear_encoder(centred)
        return z * self.scale

    def hidden(self, x: Tensor) -> list[Tensor]:
        """Return the state after the last step, (batch, width), in a list of one.

        The states of two directions are side by side.
        """
        return [self._last_state(x, self.centre(x))]

    def _last_state(self, x: Tensor, centred: Tensor) -> Tensor:
        shape = (-1, self.n_steps, self.n_channels)
        if self.backwards is None and _are_whole(x):
            states, _ = self.forwards(centred.reshape(shape))
            return states[:, -1]
        n_steps = (~x.reshape(shape)[:, :, 0].isnan()).sum(1)  # (batch,)
        last = (n_steps - 1).clamp(min=0)
        x = centred.reshape(shape)
        at_last = [self._state_at(self.forwards, x, last)]
        if self.backwards is not None:
            # Each series is reversed, from its last step. Entries after its first step
            # do not influence the state that is taken.
            steps = torch.arange(self.n_steps, device=x.device)
            order = (last[:, None] - steps).clamp(min=0)
            order = order[:, :, None].expand(-1, -1, self.n_channels)
            at_last.append(self._state_at(self.backwards, x.gather(1, order), last))
        return torch.cat(at_last, 1)

    @staticmethod
    def _state_at(layers: nn.RNNBase, x: Tensor, step: Tensor) -> Tensor:
        """Return the top layer's state (batch, hidden_size) after one step of each."""
        states, _ = layers(x)  # (batch, n_steps, hidden_size)
        index = step[:, None, None].expand(-1, 1, states.shape[2])
        return states.gather(1, index).squeeze(1)

    def decode(self, z: Tensor) -> Tensor:
        """Map codes (batch, n_components) to rows (batch, n_steps * n_channels)."""
        z = z / self.scale
        linear = None if self.linear_decoder is None else self.linear_decoder(z)
        if self.from_code is not None:
            x_hat = self._unroll(z, linear)
        else:
            x_hat = self.to_row(self.decoder(z))
            if linear is not None:
                x_hat = x_hat + linear
        return torch.addcmul(self.mean, x_hat, self.scale)

    def _unroll(self, z: Tensor, linear: Tensor | None) -> Tensor:
        """Reconstruct step by step, each from the one before."""
        layers: Any = self.decoder
        from_code: Any = self.from_code
        states = list(from_code(z / self._code_size).tanh().chunk(len(layers), 1))
        has_memory = isinstance(layers[0], nn.LSTMCell)
        if linear is None:
            linear = z.new_zeros(1, self.n_steps * self.n_channels)
        linear = linear.reshape(-1, self.n_steps, self.n_channels)
        if has_memory and len(layers) == 1 and z.device.type == "cpu":
            return self._unroll_at_once(layers[0], states[0], linear)
        if has_memory:
            states = [(state, torch.zeros_like(state)) for state in states]
        x_hat = z.new_zeros(z.shape[0], self.n_channels)
        steps = []
        for i in range(self.n_steps):
            for j, layer in enumerate(layers):
                states[j] = layer(x_hat, states[j])
                x_hat = states[j][0] if has_memory else states[j]
            x_hat = self.to_row(x_hat) + linear[:, i]
            steps.append(x_hat)
        return torch.cat(steps, 1)

    def _unroll_at_once(self, layer: Any, state: Tensor, linear: Tensor) -> Tensor:
        """Unroll a single LSTM layer from a state (batch, hidden_size).

        The input of a step, ``A h + b`` with the linear path in ``b``, is linear in the
        layer's own state ``h``. So ``A`` is added to the recurrent weight, and one call
        computes the whole series in a fraction of the time. The first step has no
        input, so the term of ``A`` is subtracted there.
        """
        first = -functional.linear(state, self.to_row.weight)
        others = self.to_row.bias + linear[:, :-1]
        others = others.expand(state.shape[0], -1, -1)
        recurrent = layer.weight_hh + layer.weight_ih @ self.to_row.weight
        of_torch: Any = torch
        states, _, _ = of_torch.lstm(
            torch.cat([first[:, None], others], 1),
            (state[None], torch.zeros_like(state)[None]),
            [layer.weight_ih, recurrent, layer.bias_ih, layer.bias_hh],
            has_biases=True,
            num_layers=1,
            dropout=0.0,
            train=self.training,
            bidirectional=False,
            batch_first=True,
        )
        return (self.to_row(states) + linear).flatten(1)

    def end_as(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """Return `x_hat` with NaN after the ends of the series `x`."""
        return torch.where(x.isnan(), torch.nan, x_hat)

    def unused_in(self, half: str) -> list[str]:
        """Return the names of the parts that "encode" or "decode" does not use."""
        if half == "encode":
            return ["decoder", "from_code", "to_row", "linear_decoder"]
        return ["forwards", "backwards", "to_code", "linear_encoder"]

    @torch.no_grad()
    def start_linear(self, encoder_weight: Tensor, decoder_weight: Tensor) -> None:
        """Make the module linear: ``z = W x`` and ``x_hat = V z`` of centred rows.

        Set the layers after the recurrent ones to zero, so that these add nothing.
        Training can start from there.

        Parameters
        ----------
        encoder_weight : tensor of shape (n_components, n_steps * n_channels)
            W.

        decoder_weight : tensor of shape (n_steps * n_channels, n_components)
            V.
        """
        if self.linear_encoder is None or self.linear_decoder is None:
            raise ValueError(
                "start_linear needs the linear path: build the module with "
                "linear_path=True."
            )
        for layer in (self.to_code, self.to_row):
            layer.weight.zero_()
            layer.bias.zero_()
        self.linear_encoder.weight.copy_(encoder_weight)
        self.linear_decoder.weight.copy_(decoder_weight)
