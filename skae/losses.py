"""Reconstruction losses, and penalties on codes."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from skae.modules._mixed_link import MARK, NUMBER, MixedLink


@dataclass(frozen=True)
class Loss:
    """A reconstruction loss, with the link of its decoder and the range of its rows.

    Parameters
    ----------
    criterion : torch.nn.Module class, or functools.partial of one
        Called with reconstructions and rows. Users may pass an instance, too.

    link : str, default="identity"
        Name of the last function in the decoder of a built-in module, a key of `LINKS`
        in `skae.modules._links`. Only "identity" allows rows that are centred and
        scaled, and a start in closed form.

    logits_criterion : torch.nn.Module class, or functools.partial of one, default=None
        The same loss in a numerically stable form. It takes the output of the decoder
        before the link, and its unit is 1. None: `criterion` takes the output after the
        link, and its unit is the loss of the mean row.

    low, high : float, default=-inf, inf
        Range of the values of rows and reconstructions.

    advice : str, default=""
        Sentence that says what to do about rows with other values.
    """

    criterion: Any
    link: str = "identity"
    logits_criterion: Any = None
    low: float = -math.inf
    high: float = math.inf
    advice: str = ""

    @property
    def has_link(self) -> bool:
        """Whether the decoder has a link, so that it cannot be linear."""
        return self.link != "identity"

    @property
    def domain(self) -> str:
        """The values that rows may have, in words."""
        if math.isinf(self.high):
            return f"of {self.low:g} or more"
        return f"in [{self.low:g}, {self.high:g}]"


LOSSES = {
    "absolute_error": Loss(nn.L1Loss),
    "binary_cross_entropy": Loss(
        nn.BCELoss,
        "sigmoid",
        nn.BCEWithLogitsLoss,
        low=0.0,
        high=1.0,
        advice="Scale the columns with MinMaxScaler(clip=True), or use "
        "loss='squared_error'.",
    ),
    "huber": Loss(nn.HuberLoss),
    "squared_error": Loss(nn.MSELoss),
}


def as_loss(loss: Any) -> Loss:
    """Return the loss of a name, or of a torch loss, an instance or a class."""
    return LOSSES[loss] if isinstance(loss, str) else Loss(loss)


def apply_criterion(criterion: nn.Module, x_hat: Tensor, x: Tensor) -> Tensor:
    """Call a criterion; one of the user's gets copies, as it may work in place."""
    if not type(criterion).__module__.startswith("torch."):
        x_hat, x = x_hat.clone(), x.clone()
    return criterion(x_hat, x)


def row_losses(
    criterion: nn.Module, x_hat: Tensor, x: Tensor, entry_weight: Tensor | None = None
) -> Tensor:
    """Compute the loss of each row, averaged over the columns.

    Parameters
    ----------
    criterion : torch.nn.Module
        A loss of torch, or one that follows its convention of a `reduction`
        attribute. Any other criterion is assumed to be a mean over rows, and is called
        on one row at a time.

    x_hat, x : tensors of shape (batch, ...)
        Reconstruction and target.

    entry_weight : tensor of shape (batch, ...), default=None
        Weights of the losses of the entries. The criterion must have a `reduction`.

    Returns
    -------
    losses : tensor of shape (batch,)
    """
    if hasattr(criterion, "reduction"):
        criterion = copy.copy(criterion)
        criterion.reduction = "none"  # type: ignore[assignment]
        losses = apply_criterion(criterion, x_hat, x)
        if entry_weight is not None:
            if losses.shape != x.shape:
                raise ValueError(
                    "Emphasis, missing values and ends of series need losses of shape "
                    f"{tuple(x.shape)}, one for each entry. "
                    f"{type(criterion).__name__} returns losses of shape "
                    f"{tuple(losses.shape)}. Use another loss."
                )
            losses = losses * entry_weight
        # Not `len(x)`, which would fix the number of rows of an exported module.
        return losses.reshape(x.shape[0], -1).mean(1)
    rows = zip(x_hat.split(1), x.split(1), strict=True)
    return torch.stack([apply_criterion(criterion, *pair) for pair in rows])


def mean_loss_with_gradient(
    criterion: nn.Module, x_hat: Tensor, x: Tensor, unit: float
) -> tuple[Tensor, Tensor] | None:
    """Compute a mean loss, and its gradient divided by `unit`, without autograd.

    Parameters
    ----------
    criterion : torch.nn.Module
        The loss.

    x_hat, x : tensors of shape (batch, ...)
        Reconstruction and target.

    unit : float
        Divisor of the gradient.

    Returns
    -------
    loss, gradient : tensors of shapes () and (batch, ...), or None
        None if the gradient of this criterion is not known here.
    """
    n = x.numel()
    if type(criterion) is nn.MSELoss and criterion.reduction == "mean":
        error = x_hat - x
        flat = error.reshape(-1)
        return flat @ flat / n, error.mul_(2 / (n * unit))
    if type(criterion) is nn.BCEWithLogitsLoss and criterion.reduction == "mean":
        loss = criterion(x_hat, x)
        return loss, torch.sigmoid(x_hat).sub_(x).div_(n * unit)
    return None


def l1_penalty(activity: Tensor) -> Tensor:
    """Compute the L1 norm of each row of activities.

    Parameters
    ----------
    activity : tensor of shape (batch, n_units)
        How active each unit is in each row.

    Returns
    -------
    penalties : tensor of shape (batch,)
    """
    return activity.abs().sum(1)


def kl_penalty(activity: Tensor, target: float, weight: Tensor | None = None) -> Tensor:
    """Compute the divergence of the units' mean activities from a target.

    That is the mean over the units of the Kullback-Leibler divergence, in nats, between
    two coins: one with the probability `target`, the other with the unit's mean
    activity. It is zero for a unit at its target.

    Parameters
    ----------
    activity : tensor of shape (batch, n_units)
        Activities in [0, 1].

    target : float
        Mean activity that is not penalised, in (0, 1).

    weight : tensor of shape (batch,), default=None
        Weights of the rows in the mean activities.

    Returns
    -------
    penalties : tensor of shape (batch,)
        The same number for all rows.
    """
    if weight is None:
        weight = activity.new_ones(activity.shape[0])
    mean = weight @ activity / weight.sum()
    mean = mean.clamp(1e-6, 1 - 1e-6)  # both ends are infinitely far from the target
    on = target * (target / mean).log()
    off = (1 - target) * ((1 - target) / (1 - mean)).log()
    return (on + off).mean().expand(activity.shape[0])


class MixedLoss(nn.Module):
    r"""Loss of rows of numbers and categories, each in units of its own.

    The loss of a number is its squared error. The loss of a category is the
    cross-entropy of its levels, and the loss of a mark (yes or no) is the cross-entropy
    of the two. Each is divided by :math:`u_j`, its mean if the mean row reconstructs
    all rows: the variance of a number, the entropy of a category or a mark. The loss of
    a row is the mean of

    .. math::

        \frac{(\hat x_j - x_j)^2}{u_j}
        \quad \text{and} \quad
        -\frac{1}{u_j} \sum_l x_{jl} \log \hat p_{jl}

    over its numbers, categories and marks that are not missing. Those that never vary,
    :math:`u_j = 0`, do not count.

    Parameters
    ----------
    n_features : int
        Number of columns.

    Attributes
    ----------
    link : MixedLink
        Kinds and blocks of the columns.

    rate : tensor of shape (n_features,)
        :math:`1 / u_j` of the block of each column, 0 if it does not count.

    share : tensor of shape (n_features,)
        One over the number of columns in the block of each column, 0 if it does not
        count.
    """

    rate: Tensor
    share: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.link = MixedLink(n_features)
        self.register_buffer("rate", torch.ones(n_features))
        self.register_buffer("share", torch.ones(n_features))

    @torch.no_grad()
    def set(self, kind: Any, block: Any, unit: Any) -> None:
        """Set the kinds, the blocks and the units of the columns.

        Parameters
        ----------
        kind, block : array-like of shape (n_features,)
            See :class:`~skae.modules._mixed_link.MixedLink`.

        unit : array-like of shape (n_features,)
            :math:`u_j` of the block of each column. Blocks with 0 do not count.
        """
        self.link.set(kind, block)
        unit = torch.as_tensor(unit, dtype=self.rate.dtype)
        counts = unit > 0
        size = torch.bincount(self.link.block)[self.link.block]
        self.rate.copy_(torch.where(counts, 1 / unit, 0))
        self.share.copy_(counts / size)

    def effective_columns(self) -> float:
        """Count the numbers, and the levels less one of categories and marks.

        The number of levels is the exponential of their entropy, so that rare levels
        count less.
        """
        n_levels = (1 / self.rate).where(self.share > 0, 0).exp()
        counts = torch.where(self.link.kind == NUMBER, 1, n_levels - 1)
        return float(counts @ self.share)

    def of(self, columns: Any) -> "MixedLoss":
        """Return the loss of some columns alone, on the CPU.

        `columns` is a mask (n_features,) of whole blocks.
        """
        mask = torch.as_tensor(columns)
        part = MixedLoss(int(mask.sum()))
        block = torch.unique(self.link.block.cpu()[mask], return_inverse=True)[1]
        part.link.set(self.link.kind.cpu()[mask], block)
        part.rate.copy_(self.rate.cpu()[mask])
        part.share.copy_(self.share.cpu()[mask])
        return part

    def forward(self, logits: Tensor, x: Tensor) -> Tensor:
        """Compute the mean loss of rows."""
        return self.row_losses(logits, x).mean()

    def row_losses(self, logits: Tensor, x: Tensor) -> Tensor:
        """Compute the loss (batch,) of each row; it is 0 if all values are missing.

        Parameters
        ----------
        logits : tensor of shape (batch, n_features)
            Output of the decoder before the link.

        x : tensor of shape (batch, n_features)
            Rows; NaN where a value is missing.
        """
        losses, _, there = self._entries(logits, x)
        return (losses * self._weight(there)).sum(1)

    def entries(self, logits: Tensor, x: Tensor) -> Tensor:
        """Compute the part of each column in the loss of its block, in its units.

        The part is NaN where a value is missing or the block does not count.
        """
        losses, _, there = self._entries(logits, x)
        return torch.where(there & (self.share > 0), losses * self.rate, torch.nan)

    def mean_with_gradient(
        self, logits: Tensor, x: Tensor, row_weight: Tensor | None, unit: float
    ) -> tuple[Tensor, Tensor]:
        """Compute the mean loss, and its gradient at `logits` divided by `unit`.

        `row_weight` (batch,) holds weights of the rows with a mean of one.
        """
        losses, gradient, there = self._entries(logits, x)
        weight = self._weight(there) / x.shape[0]
        if row_weight is not None:
            weight = weight * row_weight[:, None]
        return (losses * weight).sum(), gradient.mul_(weight).div_(unit)

    def _entries(self, logits: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return losses and gradients, both without units, and the mask of values.

        Losses and gradients are finite where `x` is NaN, as a weight of zero requires.
        """
        there = ~x.isnan()
        x = torch.where(there, x, 0)
        log_p = self.link.log_softmax(logits)
        losses, gradient = -x * log_p, log_p.exp() - x
        # Most columns are levels; the others are few.
        numbers = (self.link.kind == NUMBER).nonzero()[:, 0]
        error = logits[:, numbers] - x[:, numbers]
        losses[:, numbers], gradient[:, numbers] = error.square(), 2 * error
        marks = (self.link.kind == MARK).nonzero()[:, 0]
        if len(marks) > 0:
            of_marks, x = logits[:, marks], x[:, marks]
            losses[:, marks] = functional.softplus(of_marks) - x * of_marks
            gradient[:, marks] = of_marks.sigmoid() - x
        return losses, gradient, there

    def _weight(self, there: Tensor) -> Tensor:
        """Return weights of entries, so that their losses add up to those of rows."""
        there = there.to(self.rate.dtype)
        # A row without any value has a count of zero, and no loss.
        count = (there @ self.share).clamp(min=0.5)
        return there * self.rate / count[:, None]
