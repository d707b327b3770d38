"""Layer that fills missing values."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

_BUFFERS = ("mean", "scale", "precision", "diagonal", "factor")


class ConditionalMean(nn.Module):
    r"""Layer that fills missing values with their conditional mean in a Gaussian.

    Missing values are NaN. The missing part :math:`x_m` of a row becomes its expected
    value, given the observed part :math:`x_o`, in a Gaussian with mean :math:`\mu` and
    precision matrix :math:`\Lambda`,

    .. math::

        \hat x_m = \mu_m - \Lambda_{mm}^{-1} \Lambda_{mo} (x_o - \mu_o).

    Observed values do not change. A row without observed values is filled with
    :math:`\mu`. The layer is the identity until `set` or `set_low_rank` is called.

    Parameters
    ----------
    n_features : int
        Number of columns of the input.

    n_steps : int, default=16
        Number of conjugate gradient steps that solve the linear system of each row.
        With many missing values and a badly conditioned covariance, more steps come
        closer to the exact solution.

    Attributes
    ----------
    mean : tensor of shape (n_features,) or None
        :math:`\mu`. All these buffers are None while the layer is the identity.

    scale : tensor of shape (n_features,) or None
        Root of the diagonal of :math:`\Lambda`.

    precision : tensor of shape (n_features, n_features) or None
        :math:`\Lambda`, scaled to a unit diagonal. None after `set_low_rank`.

    diagonal, factor : tensors of shape (n_features,) and (n_features, rank) or None
        The scaled precision as ``diag(diagonal) - factor @ factor.T``. None after
        `set`.

    Notes
    -----
    The number of steps is fixed, and a step is a matrix product and a mask. So the
    layer runs on any device and can be compiled or exported to ONNX. As the precision
    is scaled to a unit diagonal, 16 steps usually suffice: in correlated tables with
    half of the cells missing, they differ from the exact solution by less than 1 % of
    its error.

    Examples
    --------
    >>> import torch
    >>> from skae.modules import ConditionalMean
    >>> layer = ConditionalMean(n_features=2)
    >>> layer.set(torch.zeros(2), torch.tensor([[1.0, 0.5], [0.5, 1.0]]))
    >>> layer(torch.tensor([[2.0, torch.nan]]))
    tensor([[2., 1.]])
    """

    mean: Tensor | None
    scale: Tensor | None
    precision: Tensor | None
    diagonal: Tensor | None
    factor: Tensor | None
    place: Tensor

    def __init__(self, n_features: int, n_steps: int = 16) -> None:
        super().__init__()
        self.n_features = n_features
        self.n_steps = n_steps
        for name in _BUFFERS:
            self.register_buffer(name, None)
        # It holds the device and the dtype of the layer before the buffers are set.
        self.register_buffer("place", torch.empty(0), persistent=False)

    @property
    def is_set(self) -> bool:
        """Whether the layer fills missing values; otherwise it is the identity."""
        return self.mean is not None

    @torch.no_grad()
    def covariance(self) -> Tensor:
        """Return the covariance (n_features, n_features) of the Gaussian.

        Returns
        -------
        covariance : tensor of shape (n_features, n_features)
            Covariance, in float64 on the CPU.

        Raises
        ------
        ValueError
            If the layer is the identity.
        """
        if self.scale is None:
            raise ValueError(
                "This layer has no covariance: it is the identity until `set` or "
                "`set_low_rank` is called."
            )
        precision = self._times_precision(torch.diag(torch.ones_like(self.scale)))
        scale = self.scale.cpu().double()
        return torch.linalg.inv(precision.cpu().double()) / scale / scale[:, None]

    @torch.no_grad()
    def set(self, mean: Any, covariance: Any) -> None:
        """Set the Gaussian by its covariance.

        Parameters
        ----------
        mean : tensor or ndarray of shape (n_features,)
            Mean.

        covariance : tensor or ndarray of shape (n_features, n_features)
            Covariance, which must be positive definite.
        """
        mean, covariance = self._float64(mean), self._float64(covariance)
        precision = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
        scale = precision.diagonal().sqrt()
        precision = precision / scale / scale[:, None]
        self._set_buffers(mean=mean, scale=scale, precision=precision)

    @torch.no_grad()
    def set_low_rank(self, mean: Any, loadings: Any, noise_variance: Any) -> None:
        """Set the Gaussian by a covariance of low rank plus a diagonal.

        The covariance is ``loadings @ loadings.T + diag(noise_variance)``. No matrix of
        shape (n_features, n_features) is made.

        Parameters
        ----------
        mean : tensor or ndarray of shape (n_features,)
            Mean.

        loadings : tensor or ndarray of shape (n_features, rank)
            Loadings.

        noise_variance : tensor or ndarray of shape (n_features,)
            Variances, all positive.
        """
        mean, loadings = self._float64(mean), self._float64(loadings)
        noise_variance = self._float64(noise_variance)
        # The precision by the matrix inversion lemma, with C the Cholesky factor of
        # I + L' N^-1 L:  N^-1 - N^-1 L C^-T C^-1 L' N^-1.
        weighted = loadings / noise_variance[:, None]
        inner = loadings.T @ weighted
        inner.diagonal().add_(1)
        factor = torch.linalg.solve_triangular(
            torch.linalg.cholesky(inner), weighted.T, upper=False
        ).T
        scale = (1 / noise_variance - factor.square().sum(dim=1)).sqrt()
        self._set_buffers(
            mean=mean,
            scale=scale,
            diagonal=1 / noise_variance / scale.square(),
            factor=factor / scale[:, None],
        )

    def clear(self) -> None:
        """Make the layer the identity again."""
        self._set_buffers()

    def _float64(self, values: Any) -> Tensor:
        # On the CPU, because some devices have no float64.
        tensor = torch.as_tensor(values, dtype=torch.float64, device="cpu")
        if len(tensor) != self.n_features:
            raise ValueError(
                f"The Gaussian must have {self.n_features} columns, like the layer. "
                f"Got {len(tensor)}."
            )
        return tensor

    def _set_buffers(self, **values: Tensor) -> None:
        for name in _BUFFERS:
            value = values.get(name)
            if value is not None:
                value = value.to(self.place.dtype).to(self.place.device).contiguous()
            setattr(self, name, value)

    def forward(self, x: Tensor) -> Tensor:
        """Fill the NaN of rows (batch, n_features)."""
        if self.mean is None or self.scale is None:
            return x
        # A traced graph must not depend on the rows that it is traced with.
        tracing: bool = torch.jit.is_tracing()  # type: ignore[attr-defined]
        traced = torch.compiler.is_compiling() or tracing
        # A sum takes a fraction of the time of a mask. It is NaN if any value is NaN.
        if not traced and not x.sum().isnan():
            return x
        missing = x.isnan()
        # Conjugate gradients need products of full precision.
        precise: AbstractContextManager[Any] = (
            nullcontext() if traced else torch.autocast(x.device.type, enabled=False)
        )
        with precise:
            centred = (x.to(self.mean.dtype) - self.mean) * self.scale
            centred = torch.where(missing, 0, centred)
            solution = self._solve(centred, missing.to(centred.dtype))
            filled = self.mean + solution / self.scale
        return torch.where(missing, filled.to(x.dtype), x)

    def _solve(self, observed: Tensor, mask: Tensor) -> Tensor:
        """Return the missing part of scaled rows: 0 where `mask` is 0."""
        tiny = torch.finfo(observed.dtype).tiny
        residual = -self._times_precision(observed) * mask
        solution = torch.zeros_like(residual)
        direction = residual
        norm = residual.square().sum(dim=1, keepdim=True)
        for _ in range(self.n_steps):
            product = self._times_precision(direction) * mask
            # A solved row has a norm of 0 and does not change.
            curvature = (direction * product).sum(dim=1, keepdim=True).clamp(min=tiny)
            step = norm / curvature
            solution = solution + step * direction
            residual = residual - step * product
            previous = norm.clamp(min=tiny)
            norm = residual.square().sum(dim=1, keepdim=True)
            direction = residual + norm / previous * direction
        return solution

    def _times_precision(self, x: Tensor) -> Tensor:
        if self.precision is not None:
            return x @ self.precision
        assert self.diagonal is not None and self.factor is not None
        return x * self.diagonal - (x @ self.factor) @ self.factor.T

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any
    ) -> None:
        # A state dict has only the buffers that were set in its layer.
        for name in _BUFFERS:
            value = state_dict.get(prefix + name)
            if value is not None:
                value = self.place.new_empty(value.shape)
            setattr(self, name, value)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def extra_repr(self) -> str:
        """Describe the layer in the representation of a module."""
        return f"n_features={self.n_features}, n_steps={self.n_steps}"
