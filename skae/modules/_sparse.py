"""Autoencoder with linear layers and sparse codes."""

from typing import Any

import torch
from torch import Tensor, nn

from skae.modules._standardized import StandardizedModule


class SparseLinearAutoencoder(StandardizedModule):
    r"""Linear encoder and decoder with rectified codes between them.

    With :math:`\tilde x = (x - \mu) / s`, the code and the reconstruction are

    .. math::

        z = s \, \phi(W \tilde x + b), \qquad \hat x = \mu + s \, (V z / s + c),

    where :math:`\mu` (`mean`) and :math:`s` (`scale`) are buffers. :math:`\phi` sets
    negative entries to zero. With `n_active`, it also sets all but the largest entries
    of each row to zero. With ``activation="logistic"``, :math:`\phi` is the logistic
    function, and the code :math:`z = \phi(W \tilde x + b)` is in [0, 1]. The decoder
    then takes :math:`z` instead of :math:`z / s`. The columns of :math:`V` are called
    atoms.

    Parameters
    ----------
    n_features : int
        Number of columns of the input.

    n_components : int
        Number of entries of a code, the units. It may exceed `n_features`.

    n_active : int, default=None
        Maximum number of active units in a row. None means no maximum.

    activation : {"relu", "logistic"}, default="relu"
        The function :math:`\phi`. `n_active` is for "relu" only.

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

    @property
    def in_interval(self) -> bool:
        """Whether codes are in [0, 1]."""
        return self.activation == "logistic"

    def activity(self, z: Tensor) -> Tensor:
        """Compute the activity of the units, (batch, n_components), without a unit.

        The activity of a code in [0, 1] is the code. Otherwise, it is the root mean
        square, over the columns, of what a unit adds to a row, divided by `scale`. It
        does not change if a unit's code is doubled and its atom halved.
        """
        if self.in_interval:
            return z
        atoms: Tensor = self.decoder.weight
        # The square root has no gradient at zero.
        mean_square = atoms.square().mean(dim=0).clamp_min(torch.finfo(z.dtype).tiny)
        return z / self.scale * mean_square.sqrt()

    def unused_in(self, half: str) -> list[str]:
        """Return the names of the parts that "encode" or "decode" does not use."""
        return ["decoder"] if half == "encode" else ["encoder"]

    @torch.no_grad()
    def start_linear(
        self,
        encoder_weight: Tensor,
        decoder_weight: Tensor,
        *,
        encoder_bias: Tensor | None = None,
        decoder_bias: Tensor | None = None,
    ) -> None:
        """Set the weights and the biases of both layers.

        Parameters
        ----------
        encoder_weight : tensor of shape (n_components, n_features)
            W.

        decoder_weight : tensor of shape (n_features, n_components)
            V.

        encoder_bias : tensor of shape (n_components,), default=None
            b, in units of `scale`; None is zero.

        decoder_bias : tensor of shape (n_features,), default=None
            c, in units of `scale`; None is zero.
        """
        encoder: Any = self.encoder[0]
        encoder.weight.copy_(encoder_weight)
        self.decoder.weight.copy_(decoder_weight)
        encoder.bias.copy_(_or_zero(encoder_bias))
        self.decoder.bias.copy_(_or_zero(decoder_bias))


def _or_zero(bias: Tensor | None) -> Tensor:
    return torch.zeros(()) if bias is None else bias
