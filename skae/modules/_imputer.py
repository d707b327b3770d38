"""Network that fills missing values."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skae.modules._conditional_mean import ConditionalMean
from skae.modules._layers import dense_layers


class ImputingNetwork(nn.Module):
    r"""Network that corrects the values that a Gaussian fills in for missing ones.

    Missing values are NaN. First, the conditional mean of the row in a Gaussian fills
    them. The filled row is :math:`f`. In units :math:`z = (f - \mu) / s`, a missing
    value in column :math:`j` becomes

    .. math:: \hat x_j = f_j + s_j \, a_j \, g_j(z),

    where :math:`g` is a multi-layer perceptron, and :math:`a` (`trust`) are factors
    between 0 and 1. Observed values do not change. The last layer of :math:`g` starts
    at zero, so the network starts as the Gaussian.

    Parameters
    ----------
    n_features : int
        Number of columns of the input.

    hidden_layer_sizes : sequence of int, default=(256, 256)
        Widths of the hidden layers of :math:`g`. With ``()``, :math:`g` is constant.

    activation : str, default="gelu"
        Function applied after each hidden layer: "elu", "gelu", "identity", "logistic",
        "relu", "selu", "silu" or "tanh".

    n_passes : int, default=1
        How often :math:`g` is applied. Each later pass starts from the values that the
        pass before filled in.

    Attributes
    ----------
    fill : ConditionalMean
        The Gaussian.

    mean, scale : tensors of shape (n_features,)
        :math:`\mu` and :math:`s`.

    trust : tensor of shape (n_features,)
        :math:`a`.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import ImputingNetwork
    >>> network = ImputingNetwork(n_features=2)
    >>> network.fill.set(torch.zeros(2), torch.tensor([[1.0, 0.5], [0.5, 1.0]]))
    >>> network(torch.tensor([[2.0, torch.nan]]))
    tensor([[2., 1.]], grad_fn=<WhereBackward0>)
    """

    mean: Tensor
    scale: Tensor
    trust: Tensor

    def __init__(
        self,
        n_features: int,
        *,
        hidden_layer_sizes: Sequence[int] = (256, 256),
        activation: str = "gelu",
        n_passes: int = 1,
    ) -> None:
        super().__init__()
        self.n_passes = n_passes
        self.fill = ConditionalMean(n_features)
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.register_buffer("trust", torch.ones(n_features))
        widths = [n_features, *hidden_layer_sizes]
        layers = list(dense_layers([*widths, n_features], activation))
        last = _Constant(n_features) if len(widths) == 1 else layers[-1]
        self.layers = nn.Sequential(*layers[:-1], last)
        self.silence()

    @torch.no_grad()
    def silence(self) -> None:
        """Make the network return what the Gaussian fills in."""
        for parameter in self.layers[-1].parameters():
            parameter.zero_()
        self.trust.fill_(1)

    @torch.no_grad()
    def standardize(self, mean: Tensor, scale: Tensor) -> None:
        """Set the centre and the scale (n_features,) of the layers' input."""
        self.mean.copy_(mean)
        self.scale.copy_(scale)

    def correction(self, filled: Tensor, missing: Tensor) -> Tensor:
        """Compute what the layers add to all values (batch, n_features) of filled rows.

        `missing` (batch, n_features) is True where a value was filled.
        """
        z = (filled - self.mean) / self.scale
        correction = self.layers(z)
        for _ in range(self.n_passes - 1):
            correction = self.layers(torch.where(missing, z + correction, z))
        return correction * self.scale

    def forward(self, x: Tensor) -> Tensor:
        """Fill the NaN of rows (batch, n_features)."""
        missing = x.isnan()
        filled = self.fill(x)
        correction = self.trust * self.correction(filled, missing)
        # A row without values is filled with the mean alone.
        correction = torch.where(missing.all(dim=1, keepdim=True), 0, correction)
        return torch.where(missing, filled + correction, x)


class _Constant(nn.Module):
    """Layer that adds the same to all rows."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(n_features))

    def forward(self, x: Tensor) -> Tensor:
        return self.bias.expand_as(x)
