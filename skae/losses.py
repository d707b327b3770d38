"""Reconstruction losses, and penalties on codes."""

import copy
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Loss:
    """A reconstruction loss, and what it asks of decoders and of rows.

    Parameters
    ----------
    criterion : torch.nn.Module class, or functools.partial of one
        Called with reconstructions and rows. Users may pass an instance, too.

    link : str, default="identity"
        Name of the function that the decoder of a built-in module ends in, an entry of
        `LINKS` in `skae.modules._links`. Only with "identity" are rows centred and
        scaled, and is there a start in closed form.

    logits_criterion : torch.nn.Module class, or functools.partial of one, default=None
        The same loss in a form that is numerically stable: it is called with what the
        decoder computes before the link, and its unit is 1. None: `criterion` is called
        after the link, and its unit is the loss of the mean row.

    low, high : float, default=-inf, inf
        Values that rows and reconstructions have to lie between.

    advice : str, default=""
        What to do about rows with other values, as a sentence.
    """

    criterion: Any
    link: str = "identity"
    logits_criterion: Any = None
    low: float = -math.inf
    high: float = math.inf
    advice: str = ""

    @property
    def has_link(self) -> bool:
        """Whether the decoder ends in a function, so that it cannot be linear."""
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
    """Call a criterion; one of the user's may work in place, and is given copies."""
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
        attribute. Any other criterion is taken for a mean over rows and called on
        one row at a time.

    x_hat, x : tensors of shape (batch, ...)
        Reconstruction and target.

    entry_weight : tensor of shape (batch, ...), default=None
        Weights that the losses of the entries are multiplied by. The criterion must
        have a `reduction`.

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
                    "Emphasis and ends of series weight the losses of entries, of "
                    f"shape {tuple(x.shape)}; {type(criterion).__name__} gives losses "
                    f"of shape {tuple(losses.shape)}. Use another loss."
                )
            losses = losses * entry_weight
        # Not `len(x)`, which would fix the number of rows of an exported module.
        return losses.reshape(x.shape[0], -1).mean(1)
    rows = zip(x_hat.split(1), x.split(1), strict=True)
    return torch.stack([apply_criterion(criterion, *pair) for pair in rows])


def mean_loss_with_gradient(
    criterion: nn.Module, x_hat: Tensor, x: Tensor, unit: float
) -> tuple[Tensor, Tensor] | None:
    """Compute a mean loss and the gradient of this loss over `unit`, without autograd.

    Parameters
    ----------
    criterion : torch.nn.Module
        The loss.

    x_hat, x : tensors of shape (batch, ...)
        Reconstruction and target.

    unit : float
        What the gradient is divided by.

    Returns
    -------
    loss, gradient : tensors of shapes () and (batch, ...), or None
        None if the criterion is not one whose gradient is known here.
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
        The same number for each row: it belongs to all of them.
    """
    if weight is None:
        weight = activity.new_ones(activity.shape[0])
    mean = weight @ activity / weight.sum()
    mean = mean.clamp(1e-6, 1 - 1e-6)  # both ends are infinitely far from the target
    on = target * (target / mean).log()
    off = (1 - target) * ((1 - target) / (1 - mean)).log()
    return (on + off).mean().expand(activity.shape[0])
