"""Autoencoder with linear layers and sparse codes."""

from typing import Any

import torch
from torch import Tensor, nn

from skae.modules._standardized import StandardizedModule


class SparseLinearAutoencoder(StandardizedModule):
    r"""Linear encoder and decoder, with codes that are rectified between them.

    With :math:`\tilde x = (x - \mu) / s`, the code and the reconstruction are

    .. math::

        z = s \, \phi(W \tilde x + b), \qquad \hat x = \mu + s \, (V z / s + c),

    where :math:`\phi` sets negative entries to zero and, with `n_active`, all but the
    largest of each row; :math:`\mu` (`mean`) and :math:`s` (`scale`) are buffers. Or
    :math:`\phi` is the logistic function; :math:`z` is then in [0, 1], without the
    factor :math:`s`. The columns of :math:`V` are called atoms.

    Parameters
    ----------
    n_features : int
        Number of columns of the input.

    n_components : int
        Number of entries of a code, the units. It may exceed `n_features`.

    n_active : int, default=None
        Number of units that may be active in a row. None: any number.

    activation : {"relu", "logistic"}, default="relu"
        What :math:`\phi` is. `n_active` is for "relu" alone.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import SparseLinearAutoencoder
    >>> module = SparseLinearAutoencoder(n_features=8, n_components=30, n_active=3)
    >>> z = module.encode(torch.randn(5, 8))
    >>> z.shape, int((z > 0).sum(dim=1).max()), module.decode(z).shape
    (torch.Size([5, 30]), 3, torch.Size([5, 8]))
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        *,
        n_active: int | None = None,
        activation: str = "relu",
    ) -> None:
        super().__init__(n_features)
        self.encoder = nn.Sequential(nn.Linear(n_features, n_components))
        self.decoder = nn.Linear(n_components, n_features)
        self.n_active = n_active
        self.activation = activation

    def encode(self, x: Tensor) -> Tensor:
        """Map rows (batch, n_features) to codes (batch, n_components)."""
        z = self.encoder(self.centre(x))
        if self.in_interval:
            return torch.sigmoid(z)
        z = torch.relu(z)
        if self.n_active is not None:
            values, index = z.topk(self.n_active, dim=1, sorted=False)
            z = torch.zeros_like(z).scatter(1, index, values)
        return z * self.scale

    def decode(self, z: Tensor) -> Tensor:
        """Map codes (batch, n_components) to rows (batch, n_features)."""
        z = z if self.in_interval else z / self.scale
        return torch.addcmul(self.mean, self.decoder(z), self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct rows (batch, n_features)."""
        return self.decode(self.encode(x))

    @property
    def in_interval(self) -> bool:
        """Whether codes are in [0, 1]."""
        return self.activation == "logistic"

    def activity(self, z: Tensor) -> Tensor:
        """Tell how active the units are, in numbers (batch, n_components) of no unit.

        Of codes in [0, 1], these themselves. Of others, the root mean square over the
        columns of what a unit adds to a row, in units of `scale`: so it does not depend
        on how a unit divides this between its code and its atom.
        """
        if self.in_interval:
            return z
        atoms: Tensor = self.decoder.weight
        # At zero, a root has no gradient.
        mean_square = atoms.square().mean(dim=0).clamp_min(torch.finfo(z.dtype).tiny)
        return z / self.scale * mean_square.sqrt()

    def idle_parts(self, half: str) -> list[str]:
        """Name the parts that "encode" or "decode" has no use for."""
        return ["decoder"] if half == "encode" else ["encoder"]

    @torch.no_grad()
    def set_layers(
        self,
        encoder_weight: Tensor,
        encoder_bias: Tensor,
        decoder_weight: Tensor,
        decoder_bias: Tensor,
    ) -> None:
        """Set both layers.

        Parameters
        ----------
        encoder_weight : tensor of shape (n_components, n_features)
            W.

        encoder_bias : tensor of shape (n_components,)
            b.

        decoder_weight : tensor of shape (n_features, n_components)
            V.

        decoder_bias : tensor of shape (n_features,)
            c.
        """
        encoder: Any = self.encoder[0]
        encoder.weight.copy_(encoder_weight)
        encoder.bias.copy_(encoder_bias)
        self.decoder.weight.copy_(decoder_weight)
        self.decoder.bias.copy_(decoder_bias)
