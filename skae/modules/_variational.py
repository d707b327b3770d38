"""Fully connected variational autoencoder."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from skae.modules._layers import dense_layers
from skae.modules._standardized import StandardizedModule

# Variances of codes outside this range are 0 or infinite in float32.
_LOG_VARIANCES = (-30.0, 30.0)


class VariationalDenseAutoencoder(StandardizedModule):
    r"""Fully connected variational autoencoder with a linear path beside it.

    With :math:`\tilde x = (x - \mu) / s`, the distribution of the code given a row, and
    of a row given the code, are

    .. math::

        q(z | x) = N(W \tilde x + f(\tilde x),\, e^{h(\tilde x)}), \qquad
        p(x | z) = N(\mu + s \, (V z + g(z)),\, s^2 \sigma^2),

    where :math:`f` and :math:`h` are the two halves of the output of a multi-layer
    perceptron, and :math:`g` is another perceptron. :math:`W` and :math:`V` are the
    linear path, and :math:`\mu` (`mean`) and :math:`s` (`scale`) are buffers. All
    covariances are diagonal. The prior of the code is the standard normal distribution,
    so codes have no unit.

    With `binary_output`, a row in [0, 1] has independent Bernoulli columns instead,
    with probabilities :math:`1 / (1 + e^{-g(z)})`. Such a module has no linear path. Do
    not standardise it.

    Parameters
    ----------
    n_features : int
        Number of columns of the input.

    n_components : int
        Number of entries of a code. It may exceed `n_features`.

    hidden_layer_sizes : sequence of int, default=(100, 100)
        Widths of the encoder's hidden layers, from input to code. The decoder reverses
        the order.

    activation : str, default="gelu"
        Function applied after each hidden layer: "elu", "gelu", "identity", "logistic",
        "relu", "selu", "silu" or "tanh".

    kernel_initializer : str, default="auto"
        Distribution of the initial weights: "auto" (as in `torch.nn.Linear`),
        "kaiming_normal", "kaiming_uniform", "lecun_normal", "lecun_uniform",
        "orthogonal", "xavier_normal" or "xavier_uniform". Biases are zero, except with
        "auto".

    linear_path : bool, default=True
        Whether to have :math:`W` and :math:`V`.

    column_variance : bool, default=False
        Whether each column has its own :math:`\sigma^2`, instead of one for all.

    min_variance : float, default=1e-6
        Lower bound of :math:`\sigma^2`, in units of :math:`s^2`.

    binary_output : bool, default=False
        Whether columns are Bernoulli instead of normal. `linear_path`,
        `column_variance` and `min_variance` are then ignored.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import VariationalDenseAutoencoder
    >>> module = VariationalDenseAutoencoder(n_features=8, n_components=2)
    >>> mean, log_variance = module.encode_distribution(torch.zeros(5, 8))
    >>> mean.shape, log_variance.shape, module.decode(mean).shape
    (torch.Size([5, 2]), torch.Size([5, 2]), torch.Size([5, 8]))
    """

    def __init__(
        self,
        n_features: int,
        n_components: int,
        *,
        hidden_layer_sizes: Sequence[int] = (100, 100),
        activation: str = "gelu",
        kernel_initializer: str = "auto",
        linear_path: bool = True,
        column_variance: bool = False,
        min_variance: float = 1e-6,
        binary_output: bool = False,
    ) -> None:
        super().__init__(n_features)
        widths = [n_features, *hidden_layer_sizes]
        how = (activation, kernel_initializer)
        self.encoder = dense_layers([*widths, 2 * n_components], *how)
        self.decoder = dense_layers([n_components, *widths[::-1]], *how)
        self.linear_encoder: nn.Linear | None = None
        self.linear_decoder: nn.Linear | None = None
        if linear_path and not binary_output:
            self.linear_encoder = nn.Linear(n_features, n_components, bias=False)
            self.linear_decoder = nn.Linear(n_components, n_features, bias=False)
        self.min_variance = min_variance
        self.binary_output = binary_output
        self.log_noise: Any = None
        if not binary_output:
            n_variances = n_features if column_variance else 1
            self.log_noise = nn.Parameter(torch.zeros(n_variances))

    def encode_distribution(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the means and the log-variances (batch, n_components) of codes."""
        return self.distribution_of_centred(self.centre(x))

    def distribution_of_centred(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the same as `encode_distribution`, for rows that `centre` returned."""
        mean, log_variance = self.encoder(x).chunk(2, dim=1)
        if self.linear_encoder is not None:
            mean = mean + self.linear_encoder(x)
        return mean, log_variance.clamp(*_LOG_VARIANCES)

    def encode(self, x: Tensor) -> Tensor:
        """Map rows (batch, n_features) to the means of their codes."""
        return self.encode_distribution(x)[0]

    def decode(self, z: Tensor) -> Tensor:
        """Map codes (batch, n_components) to the means of their rows."""
        x_hat = self._decode_centred(z)
        if self.binary_output:
            return torch.sigmoid(x_hat)
        return torch.addcmul(self.mean, x_hat, self.scale)

    def _decode_centred(self, z: Tensor) -> Tensor:
        x_hat = self.decoder(z)
        if self.linear_decoder is not None:
            x_hat = x_hat + self.linear_decoder(z)
        return x_hat

    def noise_variance(self) -> Tensor:
        """Return the output variance, (1,) or (n_features,), of centred, scaled rows.

        A module with `binary_output` has none.
        """
        return self.min_variance + self.log_noise.exp()

    def unused_in(self, half: str) -> list[str]:
        """Return the names of the parts that "encode" or "decode" does not use."""
        if half == "encode":
            return ["decoder", "linear_decoder", "log_noise"]
        return ["encoder", "linear_encoder", "log_noise"]

    @torch.no_grad()
    def start_linear(
        self,
        encoder_weight: Tensor,
        decoder_weight: Tensor,
        code_variance: Tensor,
        noise_variance: Tensor,
    ) -> None:
        """Make the module a linear Gaussian model of centred, scaled rows.

        Set the last layers of the nonlinear halves to zero, so that these add nothing.
        Training can start from there.

        Parameters
        ----------
        encoder_weight : tensor of shape (n_components, n_features)
            W.

        decoder_weight : tensor of shape (n_features, n_components)
            V.

        code_variance : tensor of shape (n_components,)
            Variance of a code given its row.

        noise_variance : tensor of shape (1,) or (n_features,)
            Variance of a row given its code.
        """
        if self.linear_encoder is None or self.linear_decoder is None:
            raise ValueError(
                "start_linear needs the linear path: build the module with "
                "linear_path=True."
            )
        self.linear_encoder.weight.copy_(encoder_weight)
        self.linear_decoder.weight.copy_(decoder_weight)
        for layer in (self.encoder[-1], self.decoder[-1]):
            layer.weight.zero_()  # type: ignore[operator]
            layer.bias.zero_()  # type: ignore[operator]
        log_variance: Any = self.encoder[-1].bias
        log_variance[len(code_variance) :] = code_variance.log()
        above = (noise_variance - self.min_variance).clamp(min=1e-3 * self.min_variance)
        self.log_noise.copy_(above.log())

    # Bounds on the log-likelihood

    def divergence(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Compute the Kullback-Leibler divergence from the prior, in nats.

        It has the shape (batch, n_components).
        """
        return (mean.square() + log_variance.exp() - 1 - log_variance) / 2

    def expected_log_likelihood(
        self,
        x: Tensor,
        mean: Tensor,
        log_variance: Tensor,
        noise: Tensor,
        observed: Tensor | None = None,
    ) -> Tensor:
        r"""Estimate the mean log-likelihood of rows over their codes.

        With the decoder :math:`V z + g(z)`, the squared error is
        :math:`|\tilde x - V z|^2 - 2 (\tilde x - V z) g(z) + |g(z)|^2`. The mean of the
        first term is known, and only the others are averaged over draws: a linear
        decoder needs no draws.

        Parameters
        ----------
        x : tensor of shape (batch, n_features)
            Rows, centred and scaled.

        mean, log_variance : tensors of shape (batch, n_components)
            Distribution of the codes.

        noise : tensor of shape (n_draws, batch or 1, n_components)
            Standard normal draws.

        observed : bool tensor of shape (batch, n_features), default=None
            Entries that count in the likelihood. None: all.

        Returns
        -------
        log_likelihood : tensor of shape (batch,)
            Log-likelihood in nats, in the units of the rows before they were scaled.
        """
        std = (log_variance / 2).exp()
        if self.binary_output:
            draws = [
                self.log_likelihood(x, mean + std * draw, observed) for draw in noise
            ]
            return torch.stack(draws).mean(0)
        variance = self.noise_variance()
        if self.linear_decoder is None:
            error: Tensor | float = 0.0
        else:
            weight = self.linear_decoder.weight
            # The variance of V z, summed over the columns in units of their variances.
            spread = weight.square() / variance[:, None]
            code_variance = log_variance.exp()
            if observed is None:
                spread = code_variance @ spread.sum(0)
            else:
                spread = (code_variance * (observed.to(x.dtype) @ spread)).sum(1)
            left_of_mean = x - self.linear_decoder(mean)
            error = _sum(left_of_mean.square() / variance, observed) + spread
        for draw in noise:
            offset = std * draw
            g = self.decoder(mean + offset)
            if self.linear_decoder is None:
                part = (x - g).square()
            else:
                left = left_of_mean - self.linear_decoder(offset)
                part = g * (g - 2 * left)
            error = error + _sum(part / variance, observed) / len(noise)
        return -error / 2 - self._log_normaliser(observed)

    def log_likelihood(
        self, x: Tensor, z: Tensor, observed: Tensor | None = None
    ) -> Tensor:
        """Compute the log-likelihood (batch,) of centred rows given codes, in nats.

        Only the entries `observed` count. None: all.
        """
        if self.binary_output:
            logits = self._decode_centred(z)
            # log sigmoid(g) = g - softplus(g), and log(1 - sigmoid(g)) = -softplus(g).
            return _sum(x * logits - nn.functional.softplus(logits), observed)
        error = x - self._decode_centred(z)
        return -_sum(
            error.square() / self.noise_variance(), observed
        ) / 2 - self._log_normaliser(observed)

    def _log_normaliser(self, observed: Tensor | None) -> Tensor:
        # The density of a row is that of the scaled row divided by scale**n_features.
        log_std = self.noise_variance().log() / 2 + self.scale.log()
        constant = math.log(2 * math.pi) / 2
        each = log_std.expand_as(self.mean) + constant
        return each.sum() if observed is None else observed.to(each.dtype) @ each


def _sum(terms: Tensor, observed: Tensor | None) -> Tensor:
    """Sum the terms (batch, n_features) of the entries that are observed."""
    return (terms if observed is None else terms * observed).sum(1)
