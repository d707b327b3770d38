"""Objectives: the loss of rows, given a module that encodes and decodes them.

One objective defines the loss that training steps minimise, the loss that validation
compares and the result of `score_samples`.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from skae.losses import (
    apply_criterion,
    kl_penalty,
    l1_penalty,
    mean_loss_with_gradient,
    row_losses,
)
from skae.modules._links import LINKS

# Codes drawn for each row if no gradient is computed, in pairs z and -z.
_N_DRAWS = 8
# Weight of the common factor in the factor of a column, in units of the mean weight of
# the columns.
_PRIOR = 0.2


@dataclass(frozen=True)
class Objective:
    """Base of the objectives.

    A subclass overrides `outputs`, `losses` and `unit`. It also overrides
    `step_arguments`, `row_losses` or `validation_losses` if training, single rows or
    validation differ from these, and `predictions` if outputs are not reconstructions.
    Optimizers see the loss divided by `unit`, so penalties are multiplied by it.

    Parameters
    ----------
    missing : bool, default=False
        Whether entries of rows may be NaN. The other entries then make up the loss.
    """

    missing: bool = field(default=False, kw_only=True)

    # Whether losses are logarithms (of densities), so that differences are comparable.
    logarithmic: ClassVar[bool] = False
    # Whether training rows keep their missing values, and the module fills them in each
    # step.
    trains_on_gaps: ClassVar[bool] = False
    # Whether targets keep their missing values when those of the inputs are filled
    # once.
    returns_gaps: ClassVar[bool] = False
    # Whether rows without noise have no loss.
    needs_noise: ClassVar[bool] = False
    # Whether the losses of validation rows depend on one another.
    validates_together: ClassVar[bool] = False
    # Whether the loss depends on the reconstructions only. A module that computes its
    # own gradient can then use it.
    of_reconstructions: ClassVar[bool] = False

    def check_criterion(self, criterion: nn.Module, given: Any) -> None:
        """Raise a ValueError if the objective cannot use a criterion.

        `given` is what the user passed, for messages.
        """

    def step_arguments(
        self, module: Any, x: Tensor, epoch: int, generator: torch.Generator
    ) -> tuple[Any, ...]:
        """Return the further arguments of `outputs` in a training step.

        Parameters
        ----------
        module : torch.nn.Module
            The module.

        x : tensor of shape (batch, n_features)
            Input rows of the encoder.

        epoch : int
            Number of the epoch, from 0.

        generator : torch.Generator
            Source of random numbers.
        """
        return ()

    def outputs(self, module: Any, x: Tensor, *arguments: Any) -> Tensor:
        """Compute the tensor for the loss. torch.compile compiles this method."""
        raise NotImplementedError

    def predictions(self, module: Any, outputs: Tensor, x: Tensor) -> Tensor:
        """Return the reconstructions of `x`, for skorch's callbacks."""
        return outputs

    def losses(
        self, criterion: nn.Module, outputs: Tensor, x_in: Tensor, x: Tensor
    ) -> Tensor:
        """Compute the loss (batch,) of each row.

        Parameters
        ----------
        criterion : torch.nn.Module
            Loss of reconstructions and rows.

        outputs : tensor
            Result of `outputs`.

        x_in, x : tensors of shape (batch, n_features)
            Input rows of the encoder, and targets of the decoder.
        """
        raise NotImplementedError

    def mean(
        self,
        criterion: nn.Module,
        outputs: Tensor,
        x_in: Tensor,
        x: Tensor,
        weight: Tensor | None,
        unit: float,
    ) -> Tensor:
        """Compute the mean loss of a batch.

        `weight` (batch,) holds weights of the rows, and `unit` is the loss of the mean
        row. The other arguments are those of `losses`.
        """
        return weighted_mean(self.losses(criterion, outputs, x_in, x), weight)

    def row_losses(
        self, criterion: nn.Module, module: Any, x_in: Tensor, x: Tensor
    ) -> Tensor:
        """Compute the loss (batch,) of each row by a module in evaluation mode."""
        return self.losses(criterion, self.outputs(module, x_in), x_in, x)

    def validation_losses(
        self,
        criterion: nn.Module,
        module: Any,
        batches: Iterable[tuple[Tensor, Tensor]],
        n_rows: int,
        weight: Tensor | None,
        unit: float,
    ) -> Tensor:
        """Compute the losses (n_rows,) of all validation rows, in float64."""
        losses = torch.empty(n_rows, dtype=torch.float64, device="cpu")
        start = 0
        for x_in, x in batches:
            # Small tensors on the device would keep the memory of freed batches.
            part = self.row_losses(criterion, module, x_in, x)
            losses[start : start + len(x)] = part.flatten()
            start += len(x)
        return losses

    def settle(
        self,
        module: Any,
        batches: Iterable[tuple[Tensor, Tensor]],
        weight: Tensor | None,
    ) -> None:
        """Set the parts of a trained module that come from validation rows."""

    def unit(self, criterion: nn.Module, x: Tensor, weight: Tensor) -> float:
        """Compute the loss if the weighted mean row reconstructs every row."""
        return 1.0

    def mean_with_gradient(
        self,
        criterion: nn.Module,
        x_hat: Tensor,
        x_in: Tensor,
        x: Tensor,
        weight: Tensor | None,
        unit: float,
    ) -> tuple[Tensor, Tensor]:
        """Compute the mean loss, and its gradient at `x_hat` divided by `unit`."""
        x_hat.requires_grad_()
        with torch.enable_grad():
            loss = self.mean(criterion, x_hat, x_in, x, weight, unit)
            (grad,) = torch.autograd.grad(loss / unit, x_hat)
        return loss, grad


@dataclass(frozen=True)
class Reconstruction(Objective):
    """The loss of reconstructions.

    Parameters
    ----------
    emphasis : (float, float), default=None
        Weights in the loss of entries changed by noise and of unchanged entries, if
        rows have noise. None: all one.

    missing : bool, default=False
        Whether entries of rows may be NaN. The loss of a row is then the mean over its
        other entries, so all rows count the same. The criterion needs a `reduction`.
        Keyword only.

    link : str, default="identity"
        Name of a function that belongs to the criterion, see `skae.modules._links`.
        With all but "identity", the criterion takes the output of `decode_logits`
        instead of `decode`, and its unit is 1.
    """

    emphasis: tuple[float, float] | None = None
    link: str = "identity"

    of_reconstructions: ClassVar[bool] = True

    def check_criterion(self, criterion: nn.Module, given: Any) -> None:
        if self.missing and not hasattr(criterion, "reduction"):
            raise ValueError(
                "The loss ignores missing values and values after the end of a series. "
                "So it needs a `reduction` attribute, like the losses of torch. Got "
                f"loss={given!r}."
            )

    def outputs(self, module: Any, x: Tensor, *arguments: Any) -> Tensor:
        z = module.encode(x)
        return module.decode(z) if self.link == "identity" else module.decode_logits(z)

    def predictions(self, module: Any, outputs: Tensor, x: Tensor) -> Tensor:
        return LINKS[self.link](outputs)

    def losses(
        self, criterion: nn.Module, outputs: Tensor, x_in: Tensor, x: Tensor
    ) -> Tensor:
        weight = None
        if self.emphasis is not None and x_in is not x:
            corrupted, untouched = self.emphasis
            weight = torch.where(
                x_in != x, x.new_tensor(corrupted), x.new_tensor(untouched)
            )
        if self.missing:
            missing = x.isnan()
            there = (~missing).to(outputs.dtype)
            share = x.shape[1] / there.sum(1, keepdim=True)
            weight = there * share if weight is None else weight * there * share
            # NaN has weight 0, but must be a number.
            x = torch.where(missing, outputs.detach(), x)
        return row_losses(criterion, outputs, x, weight)

    def mean(
        self,
        criterion: nn.Module,
        outputs: Tensor,
        x_in: Tensor,
        x: Tensor,
        weight: Tensor | None,
        unit: float,
    ) -> Tensor:
        is_plain = weight is None and self.emphasis is None
        if is_plain and (not self.missing or _is_mean_of_all(criterion, x)):
            return apply_criterion(criterion, outputs, x)
        return super().mean(criterion, outputs, x_in, x, weight, unit)

    def unit(self, criterion: nn.Module, x: Tensor, weight: Tensor) -> float:
        if self.link != "identity":
            return 1.0
        mean = (weight @ x).expand_as(x)
        return float(weight @ row_losses(criterion, mean, x))

    def mean_with_gradient(
        self,
        criterion: nn.Module,
        x_hat: Tensor,
        x_in: Tensor,
        x: Tensor,
        weight: Tensor | None,
        unit: float,
    ) -> tuple[Tensor, Tensor]:
        found = None
        if weight is None and self.emphasis is None and not self.missing:
            with torch.no_grad():
                found = mean_loss_with_gradient(criterion, x_hat, x, unit)
        arguments = (criterion, x_hat, x_in, x, weight, unit)
        return super().mean_with_gradient(*arguments) if found is None else found


@dataclass(frozen=True)
class MixedReconstruction(Objective):
    """The loss of reconstructions of numbers and categories.

    The criterion is a :class:`~skae.losses.MixedLoss`, and the module has the link
    "mixed". The loss of the mean row is 1 if all columns vary.
    """

    of_reconstructions: ClassVar[bool] = True
    # Filled values lie between levels.
    returns_gaps: ClassVar[bool] = True

    def outputs(self, module: Any, x: Tensor, *arguments: Any) -> Tensor:
        return module.decode_logits(module.encode(x))

    def predictions(self, module: Any, outputs: Tensor, x: Tensor) -> Tensor:
        return module.mixed_link(outputs)

    def losses(
        self, criterion: Any, outputs: Tensor, x_in: Tensor, x: Tensor
    ) -> Tensor:
        return criterion.row_losses(outputs, x)

    def mean_with_gradient(
        self,
        criterion: Any,
        x_hat: Tensor,
        x_in: Tensor,
        x: Tensor,
        weight: Tensor | None,
        unit: float,
    ) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            return criterion.mean_with_gradient(x_hat, x, weight, unit)


def _is_mean_of_all(criterion: nn.Module, x: Tensor) -> bool:
    """Return whether a loss is known to be a mean over all entries, none missing."""
    if not (type(criterion) is nn.MSELoss and criterion.reduction == "mean"):
        return False
    # A NaN makes the sum NaN. Reading the sum would stall other devices at each step.
    return x.device.type == "cpu" and not bool(x.sum().isnan())


@dataclass(frozen=True)
class SparseReconstruction(Reconstruction):
    """The loss of reconstructions, with a penalty on the activity of units.

    Losses in training and validation include the penalty. Losses of single rows do not.
    The module needs a method `activity`.

    Parameters
    ----------
    penalty : {"l1", "kl"}, default="l1"
        Penalty.

    penalty_weight : float, default=0.0
        Factor of the penalty, in units of the loss of the mean row.

    sparsity : float, default=0.1
        Target of "kl" for the mean activity of each unit.
    """

    penalty: str = "l1"
    penalty_weight: float = 0.0
    sparsity: float = 0.1

    of_reconstructions: ClassVar[bool] = False

    def outputs(self, module: Any, x: Tensor, *arguments: Any) -> Tensor:
        z = module.encode(x)
        return torch.cat([module.decode(z), module.activity(z)], dim=1)

    def predictions(self, module: Any, outputs: Tensor, x: Tensor) -> Tensor:
        return outputs[:, : x.shape[1]]

    def _penalties(
        self, activity: Tensor, weight: Tensor | None, unit: float
    ) -> Tensor:
        penalties = (
            l1_penalty(activity)
            if self.penalty == "l1"
            else kl_penalty(activity, self.sparsity, weight)
        )
        return unit * self.penalty_weight * penalties

    def mean(
        self,
        criterion: nn.Module,
        outputs: Tensor,
        x_in: Tensor,
        x: Tensor,
        weight: Tensor | None,
        unit: float,
    ) -> Tensor:
        n_features = x.shape[1]
        x_hat, activity = outputs[:, :n_features], outputs[:, n_features:]
        penalties = self._penalties(activity, weight, unit)
        loss = super().mean(criterion, x_hat, x_in, x, weight, unit)
        return loss + weighted_mean(penalties, weight)

    def row_losses(
        self, criterion: nn.Module, module: Any, x_in: Tensor, x: Tensor
    ) -> Tensor:
        x_hat = super().outputs(module, x_in)
        return self.losses(criterion, x_hat, x_in, x)

    def validation_losses(
        self,
        criterion: nn.Module,
        module: Any,
        batches: Iterable[tuple[Tensor, Tensor]],
        n_rows: int,
        weight: Tensor | None,
        unit: float,
    ) -> Tensor:
        losses, activities = [], []
        for x_in, x in batches:
            z = module.encode(x_in)
            losses.append(self.losses(criterion, module.decode(z), x_in, x))
            activities.append(module.activity(z))
        penalties = self._penalties(torch.cat(activities), weight, unit)
        return torch.cat(losses).cpu().double() + penalties.cpu().double()


@dataclass(frozen=True)
class EvidenceLowerBound(Objective):
    """Negative evidence lower bound (ELBO) divided by the number of columns.

    The loss of a row is ``-(E log p(x | z) - beta * KL) / n_features``, in nats and in
    the units of the rows. The divergence is exact. A training step draws one code for
    each row to estimate the mean. Otherwise, a few draws that are always the same
    estimate it. There is no criterion: the module, a
    :class:`~skae.modules.VariationalDenseAutoencoder`, has the densities.

    Parameters
    ----------
    beta : float, default=1.0
        Weight of the divergence.

    kl_warmup_epochs : int, default=0
        In epoch i, from 0, training steps multiply the weight of the divergence by
        ``min(1, i / kl_warmup_epochs)``.

    free_bits : float, default=0.0
        Lower bound in training steps of the divergence of each component, averaged over
        the batch, in nats (Kingma et al. 2016, arXiv:1606.04934, equation 15).
    """

    beta: float = 1.0
    kl_warmup_epochs: int = 0
    free_bits: float = 0.0

    logarithmic: ClassVar[bool] = True
    # Filled columns vary too little for a density.
    trains_on_gaps: ClassVar[bool] = True

    def step_arguments(
        self, module: Any, x: Tensor, epoch: int, generator: torch.Generator
    ) -> tuple[Any, ...]:
        shape = (1, len(x), module.decoder[0].in_features)
        noise = torch.randn(shape, generator=generator, device=x.device)
        weight = self.beta
        if self.kl_warmup_epochs > 0:
            weight = weight * min(1.0, epoch / self.kl_warmup_epochs)
        return noise, weight, self.free_bits

    def outputs(self, module: Any, x: Tensor, *arguments: Any) -> Tensor:
        if arguments:
            noise, weight, free_bits = arguments
        else:
            draws = fixed_draws(_N_DRAWS, len(x), module.decoder[0].in_features)
            noise, weight, free_bits = draws.to(x.device), self.beta, 0.0
        observed = ~x.isnan() if self.missing else None
        x = module.centre(x)
        distribution = module.distribution_of_centred(x)
        divergence = module.divergence(*distribution)
        if free_bits > 0:
            # A component below the bound has no gradient.
            free = divergence.mean(0) > free_bits
            divergence = torch.where(free, divergence, free_bits)
        expected = module.expected_log_likelihood(x, *distribution, noise, observed)
        return (weight * divergence.sum(1) - expected) / x.shape[1]

    def losses(
        self, criterion: nn.Module, outputs: Tensor, x_in: Tensor, x: Tensor
    ) -> Tensor:
        return outputs


@dataclass(frozen=True)
class Imputation(Objective):
    """The squared error of hidden cells, in units of the variance of their columns.

    Hidden cells are NaN in the input, but not in `x`. The loss of a row is the mean
    over its hidden cells. The module is an :class:`~skae.modules.ImputingNetwork`;
    there is no criterion.

    The module multiplies its corrections of the Gaussian by `trust`, a factor for each
    column. Training steps do not use it. Validation finds the factors in one half of
    the rows and uses them in the other half, so that losses are those of new rows.
    """

    trains_on_gaps: ClassVar[bool] = True
    needs_noise: ClassVar[bool] = True
    validates_together: ClassVar[bool] = True

    def outputs(self, module: Any, x: Tensor, *arguments: Any) -> Tensor:
        filled = module.fill(x)
        x_hat = filled + module.correction(filled, x.isnan())
        return torch.stack([x_hat, module.scale.expand_as(x_hat)])

    def predictions(self, module: Any, outputs: Tensor, x: Tensor) -> Tensor:
        return outputs[0]

    def losses(
        self, criterion: nn.Module, outputs: Tensor, x_in: Tensor, x: Tensor
    ) -> Tensor:
        hidden = _hidden(x_in, x)
        return _error(outputs, x, hidden).sum(1) / hidden.sum(1).clamp(min=1)

    def mean(
        self,
        criterion: nn.Module,
        outputs: Tensor,
        x_in: Tensor,
        x: Tensor,
        weight: Tensor | None,
        unit: float,
    ) -> Tensor:
        # All cells count the same, so rows with few hidden cells do not dominate.
        hidden = _hidden(x_in, x)
        error, counts = _error(outputs, x, hidden).sum(1), hidden.sum(1)
        if weight is not None:
            error, counts = error * weight, counts * weight
        return error.sum() / counts.sum().clamp(min=torch.finfo(x.dtype).tiny)

    def validation_losses(
        self,
        criterion: nn.Module,
        module: Any,
        batches: Iterable[tuple[Tensor, Tensor]],
        n_rows: int,
        weight: Tensor | None,
        unit: float,
    ) -> Tensor:
        cells = self._hidden_cells(module, batches)
        factors = torch.stack(
            [_factors(cells, module, weight, cells.half != i) for i in (0, 1)]
        )
        row, column = cells.row, cells.column
        error = factors[cells.half[row], column] * cells.added - cells.wanted
        total, count = error.new_zeros(2, n_rows)
        total.index_add_(0, row, error.square())
        count.index_add_(0, row, torch.ones_like(error))
        return (total / count.clamp(min=1)).cpu().double()

    def settle(
        self,
        module: Any,
        batches: Iterable[tuple[Tensor, Tensor]],
        weight: Tensor | None,
    ) -> None:
        cells = self._hidden_cells(module, batches)
        module.trust.copy_(_factors(cells, module, weight, cells.half >= 0))

    def _hidden_cells(
        self, module: Any, batches: Iterable[tuple[Tensor, Tensor]]
    ) -> "_Cells":
        parts, copies, first, start = [], [], None, 0
        for x_in, x in batches:
            first = x[:1] if first is None else first
            copies.append(((x == first) | (x.isnan() & first.isnan())).all(1))
            row, column = _hidden(x_in, x).nonzero(as_tuple=True)
            filled = module.fill(x_in)
            added = module.correction(filled, x_in.isnan()) / module.scale
            wanted = (x - filled) / module.scale
            part = row + start, column, added[row, column], wanted[row, column]
            parts.append(part)
            start += len(x)
        # Copies of all rows come one after the other.
        again = torch.cat(copies).nonzero()[1:2, 0].tolist()
        number = torch.arange(start, device=module.scale.device)
        half = number % (again[0] if again else start) % 2
        row, column, added, wanted = map(torch.cat, zip(*parts, strict=True))
        return _Cells(row, column, added, wanted, half)


class _Cells(NamedTuple):
    """Hidden cells of all validation rows.

    Attributes
    ----------
    row, column : tensors of shape (n_cells,)
        Positions of the cells.

    added, wanted : tensors of shape (n_cells,)
        Corrections of the Gaussian by the network, and the ideal corrections.

    half : tensor of shape (n_rows,)
        The half that each row belongs to, 0 or 1.
    """

    row: Tensor
    column: Tensor
    added: Tensor
    wanted: Tensor
    half: Tensor


def _hidden(x_in: Tensor, x: Tensor) -> Tensor:
    return x_in.isnan() & ~x.isnan()


def _error(outputs: Tensor, x: Tensor, hidden: Tensor) -> Tensor:
    x_hat, scale = outputs
    return torch.where(hidden, (x_hat - x) / scale, 0).square()


def _factors(cells: _Cells, module: Any, weight: Tensor | None, rows: Tensor) -> Tensor:
    """Compute the factors of columns in [0, 1] that bring `added` closest to `wanted`.

    Factors of columns with few cells are shrunk towards the factor of all columns.
    """
    added = cells.added
    counts = rows.to(added.dtype) if weight is None else rows * weight
    weighted = counts[cells.row] * added
    size, fit = added.new_zeros(2, len(module.scale))
    size.index_add_(0, cells.column, weighted * added)
    fit.index_add_(0, cells.column, weighted * cells.wanted)
    tiny = torch.finfo(added.dtype).tiny
    common = (fit.sum() / size.sum().clamp(min=tiny)).clamp(0, 1)
    prior = _PRIOR * size.mean()
    return ((fit + prior * common) / (size + prior).clamp(min=tiny)).clamp(0, 1)


def weighted_mean(losses: Tensor, weight: Tensor | None) -> Tensor:
    """Compute the mean of losses (batch,), with weights of mean one."""
    return losses.mean() if weight is None else (losses * weight).mean()


def fixed_draws(n_draws: int, n_rows: int, n_components: int) -> Tensor:
    """Return standard normal draws (n_draws, n_rows, n_components), in pairs z, -z."""
    generator = torch.Generator().manual_seed(0)
    half = (n_draws + 1) // 2
    shape = (half, n_rows, n_components)
    noise = torch.randn(
        shape, generator=generator, dtype=torch.float32, device=generator.device
    )
    return torch.cat([noise, -noise])[:n_draws]


def log_mean_weight(
    module: Any, x: Tensor, noise: Tensor, observed: Tensor | None = None
) -> Tensor:
    """Compute the importance-weighted bound on the log-density of rows, in nats.

    Parameters
    ----------
    module : VariationalDenseAutoencoder
        The module, in evaluation mode.

    x : tensor of shape (batch, n_features)
        Rows.

    noise : tensor of shape (n_draws, batch or 1, n_components)
        Standard normal draws.

    observed : bool tensor of shape (batch, n_features), default=None
        Entries that count in the density. None: all.

    Returns
    -------
    bound : tensor of shape (batch,)
        Burda et al. 2016, Importance weighted autoencoders, equation 8.
    """
    x = module.centre(x)
    mean, log_variance = module.distribution_of_centred(x)
    log_weights = []
    for draw in noise:
        z = mean + (log_variance / 2).exp() * draw
        # log p(z) - log q(z | x); the constants cancel.
        ratio = (draw.square() + log_variance - z.square()).sum(1) / 2
        log_weights.append(module.log_likelihood(x, z, observed) + ratio)
    return torch.stack(log_weights).logsumexp(0) - math.log(len(noise))
