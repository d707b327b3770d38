"""Small layers shared by the architectures."""

import itertools
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "relu": nn.ReLU,
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "tanh": nn.Tanh,
}


# Functions that fill the weights of a layer in place of torch.nn.Linear's own.
INITIALIZERS: dict[str, Callable[[Tensor], Tensor]] = {
    "kaiming_normal": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "kaiming_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
    # torch has them under this name only.
    "lecun_normal": partial(nn.init.kaiming_normal_, nonlinearity="linear"),
    "lecun_uniform": partial(nn.init.kaiming_uniform_, nonlinearity="linear"),
    "orthogonal": nn.init.orthogonal_,
    "xavier_normal": nn.init.xavier_normal_,
    "xavier_uniform": nn.init.xavier_uniform_,
}


class Dropout(nn.Module):
    """:class:`torch.nn.Dropout` that draws from a generator passed to `forward`.

    Parameters
    ----------
    p : float
        Probability that an entry is set to zero in training.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Drop entries of `x`; None uses torch's global generator."""
        if not self.training or self.p == 0:
            return x
        kept = torch.empty_like(x).bernoulli_(1 - self.p, generator=generator)
        return x * kept / (1 - self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class TiedLinear(nn.Module):
    """Linear layer whose weight is the transpose of another layer's weight.

    The two layers have one weight tensor, and a bias each.

    Parameters
    ----------
    source : torch.nn.Linear
        Layer whose weight is shared. It maps ``a`` to ``b`` features, and this one
        ``b`` to ``a``.

    bias : bool, default=True
        Whether to add a bias of its own.
    """

    def __init__(self, source: nn.Linear, bias: bool = True) -> None:
        super().__init__()
        # A tuple keeps torch from registering the source as a submodule. Its weight
        # then has one name in ``state_dict``, and ``parameters`` lists it once.
        self._source = (source,)
        if bias:
            self.bias = nn.Parameter(torch.zeros(source.in_features))
        else:
            self.register_parameter("bias", None)

    @property
    def source(self) -> nn.Linear:
        """The layer whose weight this one uses."""
        return self._source[0]

    def forward(self, x: Tensor) -> Tensor:
        return functional.linear(x, self.source.weight.t(), self.bias)


def dense_layers(
    widths: list[int], activation: str, kernel_initializer: str = "auto"
) -> nn.Sequential:
    """Build linear layers of the given widths with an activation between each two.

    Biases are zero unless `kernel_initializer` is "auto".
    """
    layers: list[nn.Module] = []
    for d_in, d_out in itertools.pairwise(widths):
        linear = nn.Linear(d_in, d_out)
        if kernel_initializer != "auto":
            INITIALIZERS[kernel_initializer](linear.weight)
            nn.init.zeros_(linear.bias)
        layers += [linear, ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def tied_layers(encoder: nn.Sequential, activation: str) -> nn.Sequential:
    """Build the mirror image of `encoder` with the transposes of its weights."""
    layers: list[nn.Module] = []
    for layer in reversed(encoder):
        if isinstance(layer, nn.Linear):
            layers += [TiedLinear(layer), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])


def linear_weights(layers: nn.Sequential) -> list[Tensor]:
    """Return the weights of the linear layers in turn, (d_out, d_in) each."""
    return [
        layer.source.weight.t() if isinstance(layer, TiedLinear) else layer.weight
        for layer in layers
        if isinstance(layer, nn.Linear | TiedLinear)
    ]
