"""Epochs of dense autoencoders whose steps no callback listens to.

The steps are those of the net: the same batches, the same noise, and the same results
up to rounding. Layers are prepared once in each epoch, so that a small step takes
little more time than its matrix products.
"""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from skae.losses import MixedLoss
from skae.modules import DenseAutoencoder
from skae.modules._layerwise import LayerAutoencoder
from skae.modules._prepared import can_be_prepared
from skae.objectives import MixedReconstruction, Reconstruction
from skae.training._batches import TensorBatches, batch_ends, take
from skae.training._recipe import OPTIMIZERS

# These optimizers need only gradients: no closure, and no other optimizer.
_OPTIMIZERS = {
    *(OPTIMIZERS[name] for name in ("adam", "adamw", "sgd")),
    *(torch.optim.Adam, torch.optim.AdamW),
}
# Number of values in rows gathered at once, which stay in the processor's cache.
_CHUNK = 2**16


def is_possible(net: Any, batches: Any) -> bool:
    """Return whether the steps of an epoch can be taken here.

    Parameters
    ----------
    net : AutoencoderNet
        Net without callbacks that listen to steps.

    batches : iterable
        Training batches of the net.
    """
    module = net.module_
    optimizer = getattr(net, "optimizer_", None)
    return (
        type(batches) is TensorBatches
        and _are_known(net.objective, batches.X)
        and type(module) in (DenseAutoencoder, LayerAutoencoder)
        and not getattr(module, "output_units", False)
        and _has_known_loss(net, module)
        and not net.makes_gaps
        and type(optimizer) in _OPTIMIZERS
        and net.autocast is None
        and not (net.share_batches or net.guard_random_state or net.copy_rows)
        and not net.compile
        and can_be_prepared(module)
    )


def _are_known(objective: Any, X: Any) -> bool:
    """Return whether rows are float32, and have no pairs or gaps that matter."""
    few = take(X, slice(1))
    if type(objective) is MixedReconstruction:
        few = _inputs(few)
    elif objective.missing and _has_gaps(X):
        return False
    return isinstance(few, Tensor) and few.dtype == torch.float32


def _inputs(rows: Any) -> Any:
    """Return the inputs of rows, or of pairs of inputs and targets."""
    return rows[0] if isinstance(rows, tuple) else rows


def _has_gaps(X: Any) -> bool:
    """Return whether rows have gaps; True for streamed rows, which may have some."""
    return not isinstance(X, Tensor) or bool(X.sum().isnan())


def _has_known_loss(net: Any, module: Any) -> bool:
    objective, criterion = net.objective, net.criterion_
    if type(objective) is MixedReconstruction:
        return type(criterion) is MixedLoss
    if type(objective) is not Reconstruction:
        return False
    if objective.emphasis is not None:
        return False
    if getattr(criterion, "reduction", None) != "mean":
        return False
    if objective.link == "identity":
        return type(criterion) is nn.MSELoss
    # Logits are not in the units of the rows.
    if objective.link != "sigmoid" or type(criterion) is not nn.BCEWithLogitsLoss:
        return False
    weighted = criterion.weight is not None or criterion.pos_weight is not None
    return not weighted and _is_as_built(module)


def _is_as_built(module: Any) -> bool:
    return module.mean is None or bool((module.mean == 0).all() and module.scale == 1)


def steps(
    net: Any, batches: TensorBatches, after_step: list[Callable[[], None]]
) -> Iterator[tuple[Tensor, int]]:
    """Take the steps of an epoch; yield the loss and the number of rows of each.

    Parameters
    ----------
    net, batches
        See `is_possible`.

    after_step : list of callable
        Called after each step.
    """
    module, noise, generator = net.module_, net.noise_, net.generator_
    if noise is not None:
        noise.train()  # the other layers do not depend on the mode
    layers = module.prepared()
    mean, scale = module.mean, module.scale
    X: Any = batches.X
    n_features = _inputs(take(X, slice(1))).shape[1]
    loss_with_gradient = _loss_with_gradient(net, n_features)
    is_mixed = type(net.objective) is MixedReconstruction
    optimizer = net.optimizer_
    optimizer.zero_grad()
    take_step: Any = None
    with torch.no_grad():
        for x, weight in _rows(batches, n_features):
            x_in, x = x if isinstance(x, tuple) else (x, x)
            x_in = x_in if noise is None else noise(x_in, generator)
            if mean is not None:
                x_in = (x_in - mean).div_(scale)
                if not is_mixed:  # the mixed loss takes rows as they are
                    x = x_in if noise is None else (x - mean).div_(scale)
            loss, grad = loss_with_gradient(layers.forward(x_in), x, weight)
            layers.backward(grad)
            if take_step is None:
                layers.set_gradients()
                prepared = getattr(optimizer, "prepared", None)
                take_step = optimizer.step if prepared is None else prepared()
            take_step()
            for function in after_step:
                function()
            yield loss, len(x)
    optimizer.zero_grad()


def _rows(
    batches: TensorBatches, n_features: int
) -> Iterator[tuple[Any, Tensor | None]]:
    """Yield the batches of a pass; gather the rows of several batches at a time."""
    X: Any = batches.X
    weight, n_rows = batches.weight, batches.n_rows
    order = None
    if batches.shuffle:
        order = torch.randperm(
            n_rows, generator=batches.generator, device=_inputs(X).device
        )
    ends = batch_ends(n_rows, batches.batch_size, join_last=batches.shuffle)
    n_batches = max(1, _CHUNK // (batches.batch_size * n_features))
    for i in range(0, len(ends) - 1, n_batches):
        inside = ends[i : i + n_batches + 1]
        first, last = inside[0], inside[-1]
        part: Any = slice(first, last) if order is None else order[first:last]
        # Noise of the user may change its input.
        rows = take(X, part)
        weights = None if weight is None else weight[part]
        for start, stop in itertools.pairwise(end - first for end in inside):
            yield _part_of(rows, start, stop), _part_of(weights, start, stop)


def _part_of(rows: Any, start: int, stop: int) -> Any:
    """Return some of the rows of a tensor or of a pair; None for None."""
    if isinstance(rows, tuple):
        return tuple(each[start:stop] for each in rows)
    return None if rows is None else rows[start:stop]


def _loss_with_gradient(net: Any, n_features: int) -> Callable[..., Any]:
    """Return the loss as a function of reconstructions, rows and weights of a batch.

    Reconstructions and rows are centred. The function returns the mean loss, and its
    gradient at the reconstructions in units of the loss.
    """
    unit = net.loss_unit
    if type(net.objective) is MixedReconstruction:
        mean, scale_of_rows = net.module_.mean, net.module_.scale

        def mixed_loss(
            x_hat: Tensor, x: Tensor, weight: Tensor | None
        ) -> tuple[Tensor, Tensor]:
            logits = torch.addcmul(mean, x_hat, scale_of_rows)
            loss, grad = net.criterion_.mean_with_gradient(logits, x, weight, unit)
            return loss, grad.mul_(scale_of_rows)

        return mixed_loss
    if net.objective.link != "identity":

        def cross_entropy(
            x_hat: Tensor, x: Tensor, weight: Tensor | None
        ) -> tuple[Tensor, Tensor]:
            n = len(x) * n_features
            grad = torch.sigmoid(x_hat).sub_(x).div_(n * unit)
            if weight is None:
                return functional.binary_cross_entropy_with_logits(x_hat, x), grad
            losses = functional.binary_cross_entropy_with_logits(
                x_hat, x, reduction="none"
            )
            return (losses.mean(1) * weight).mean(), grad.mul_(weight[:, None])

        return cross_entropy
    scale = net.module_.scale
    square = 1.0 if scale is None else float(scale) ** 2

    def squared_error(
        x_hat: Tensor, x: Tensor, weight: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        factor = square / (len(x) * n_features)
        error = x_hat.sub_(x)
        if weight is None:
            flat = error.view(-1)
            loss = torch.dot(flat, flat) * factor
        else:
            loss = torch.dot(error.square().sum(1), weight) * factor
            error.mul_(weight[:, None])
        return loss, error.mul_(2 * factor / unit)

    return squared_error
