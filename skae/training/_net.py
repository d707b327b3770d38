"""The engine: one training loop for every estimator."""

import copy
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.dataset import unpack_data
from skorch.utils import to_tensor
from torch import Tensor, nn

from skae.losses import apply_criterion, mean_loss_with_gradient, row_losses
from skae.noise import Noise
from skae.training._batches import Rows, take
from skae.training._processes import Share, begin_together, own_generator
from skae.training._tensor_net import TensorNet


class AutoencoderNet(TensorNet):
    """skorch net that trains a module to reconstruct its input.

    A training step is ``x_hat = module(noise(x)); loss = criterion(x_hat, x)``. Of
    pairs of rows, the module is given the first, and the loss is against the second.

    Parameters
    ----------
    module : torch.nn.Module, class or callable
        As in skorch, but an instance is copied, not trained itself. It has `encode`
        and `decode`.

    criterion : torch.nn.Module class or instance, default=torch.nn.MSELoss
        Called with reconstructions and rows.

    noise : skae.noise.Noise, default=None
        Corrupts the rows that the encoder is given in training; the loss is against
        the clean rows. It is copied, and the copy, `noise_`, is at work.

    emphasis : (float, float), default=None
        Weights in the loss of the entries that are corrupted and of those that are
        not. None: all one.

    loss_unit : float, default=1.0
        Gradients are those of the loss divided by this number; the losses reported
        are not divided. With the loss of a trivial reconstruction, the optimisers'
        constants (epsilon, clipping) do not depend on the units of the data.

    from_logits : bool, default=False
        Whether the criterion takes the output of `decode_logits`, not of `decode`.

    autocast : torch.dtype, default=None
        ``torch.bfloat16`` for mixed precision: in training steps, the layers compute
        in it where torch holds that to be safe, and weights and losses stay in float32.

    copy_rows : bool, default=False
        Whether the module may change its input, so that it is given copies.

    share_batches : bool, default=False
        Whether several processes train the module together, each on its share of every
        batch. They are those of torch.distributed's default group, and all of them
        are given the same rows, parameters and seed.

    **kwargs : dict
        Further parameters of :class:`TensorNet`.
    """

    def __init__(
        self,
        module: Any,
        criterion: Any = nn.MSELoss,
        *,
        noise: Noise | None = None,
        emphasis: tuple[float, float] | None = None,
        loss_unit: float = 1.0,
        from_logits: bool = False,
        autocast: torch.dtype | None = None,
        copy_rows: bool = False,
        share_batches: bool = False,
        **kwargs: Any,
    ) -> None:
        self.noise = noise
        self.emphasis = emphasis
        self.loss_unit = loss_unit
        self.from_logits = from_logits
        self.autocast = autocast
        self.copy_rows = copy_rows
        self.share_batches = share_batches
        super().__init__(module, criterion, **kwargs)

    noise_: Any
    # For draws that processes that share batches make each by itself.
    _own_generator: Any = None
    # `_forward`, compiled, while a net with ``compile=True`` trains.
    _compiled: Any = None
    # Whether losses are logarithms (of densities), so that their differences compare.
    logarithmic_loss = False

    def initialize_module(self) -> "AutoencoderNet":
        if self.autocast not in (None, torch.bfloat16):
            raise ValueError(
                "autocast must be None or torch.bfloat16: gradients in float16 would "
                f"have to be scaled. Got {self.autocast!r}."
            )
        super().initialize_module()
        self.noise_ = copy.deepcopy(self.noise)
        if self.noise_ is not None:
            # Trained with the rest, noise would learn to be easy.
            self.noise_.requires_grad_(False)
        return self

    def _trained_modules(self) -> list[nn.Module]:
        return [self.module_] if self.noise_ is None else [self.module_, self.noise_]

    def __getstate__(self) -> dict[str, Any]:
        # A callback may save the net while it has validation rows.
        state = {**super().__getstate__(), "train_split": None}
        state.pop("_compiled", None)
        return state

    # Steps

    def on_train_begin(
        self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any
    ) -> None:
        if self.share_batches:
            settings = {
                "random_state": self.seed,
                "batch_size": self.batch_size,
                "max_epochs": self.max_epochs,
            }
            begin_together([self.plain_module_, self.noise_], X, y, settings)
            self._own_generator = own_generator(self.generator_)
        if self.compile:
            forward = partial(self._forward, self.plain_module_)
            self._compiled = torch.compile(forward, **self.get_params_for("compile"))

    def on_train_end(
        self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any
    ) -> None:
        super().on_train_end(net, X, y, **kwargs)
        self._own_generator = self._compiled = None

    def get_loss(
        self,
        y_pred: Tensor,
        y_true: Tensor | None,
        X: Any = None,
        training: bool = False,
    ) -> Tensor:
        """Mean loss of reconstructions, with weights `y_true` of the rows.

        `X` is what the encoder was given, and what it is to be reconstructed to.
        """
        _, x = X
        if y_true is None and self.emphasis is None:
            return apply_criterion(self.criterion_, y_pred, x)
        losses = self._row_losses(y_pred, *X)
        return losses.mean() if y_true is None else (losses * y_true).mean()

    def _row_losses(self, x_hat: Tensor, x_in: Tensor, x: Tensor) -> Tensor:
        if self.emphasis is None:
            return row_losses(self.criterion_, x_hat, x)
        corrupted, untouched = self.emphasis
        weight = torch.where(
            x_in != x, x.new_tensor(corrupted), x.new_tensor(untouched)
        )
        return row_losses(self.criterion_, x_hat, x, weight)

    def _forward(self, module: Any, x: Tensor, *args: Any) -> Tensor:
        """Compute what the loss of a batch is taken from."""
        z = module.encode(x)
        return module.decode_logits(z) if self.from_logits else module.decode(z)

    def _maybe_compiled(self, *args: Any) -> Tensor:
        if self._compiled is not None:
            return self._compiled(*args)
        return self._forward(self.plain_module_, *args)

    def _reconstruct_for_loss(self, x: Tensor) -> Tensor:
        x_hat = self._maybe_compiled(x.clone() if self.copy_rows else x)
        # A module of the user's may do other things in training mode.
        if getattr(x_hat, "shape", None) != x.shape:
            got = tuple(x_hat.shape) if isinstance(x_hat, Tensor) else type(x_hat)
            raise ValueError(
                f"{type(self.plain_module_).__name__} must give a reconstruction of "
                f"shape {tuple(x.shape)} of a batch in training. It gave {got}."
            )
        return x_hat

    def infer(self, x: Any, **fit_params: Any) -> Any:
        # Of validation rows with noise, the encoder is given those.
        x = x[0] if isinstance(x, tuple | list) else x
        return super().infer(x, **fit_params)

    def _module_has_gradient(self) -> bool:
        """Whether the module offers a gradient that is faster than autograd's.

        A subclass may have changed what it is the gradient of.
        """
        own = "logits_with_gradient" in vars(type(self.module_))
        return own and self.autocast is None

    def _in_precision(self) -> AbstractContextManager[Any]:
        """Context of the forward pass in training."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, self.autocast)

    def _loss_with_gradient(
        self, x_hat: Tensor, weight: Tensor | None, x_in: Tensor, x: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Loss, and its gradient at the reconstruction in units of the loss."""
        if weight is None and self.emphasis is None:
            with torch.no_grad():
                found = mean_loss_with_gradient(
                    self.criterion_, x_hat, x, self.loss_unit
                )
            if found is not None:
                return found
        x_hat.requires_grad_()
        loss = self.get_loss(x_hat, weight, X=(x_in, x), training=True)
        (grad,) = torch.autograd.grad(loss / self.loss_unit, x_hat)
        return loss, grad

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        self._set_training(True)
        x, weight = unpack_data(batch)
        x_in, x = self._input_and_target(to_tensor(x, device=self.device))
        with self.guarded():
            if self.noise_ is not None:
                with torch.no_grad():
                    x_in = self.noise_(x_in, self.generator_)
            if self.share_batches:
                return self._step_on_share(x_in, x, weight)
            return self._step_on(x_in, x, weight)

    def _step_on(
        self, x_in: Tensor, x: Tensor, weight: Tensor | None
    ) -> dict[str, Tensor]:
        """Loss and reconstructions of rows, which leaves the gradients in place."""
        if self._module_has_gradient():
            x_hat, backward = self.module_.logits_with_gradient(x_in)
            loss, grad = self._loss_with_gradient(x_hat, weight, x_in, x)
            backward(grad)
        else:
            with self._in_precision():
                x_hat = self._reconstruct_for_loss(x_in)
                loss = self.get_loss(x_hat, weight, X=(x_in, x), training=True)
            if not loss.requires_grad:
                raise ValueError(
                    f"The loss of {type(self.plain_module_).__name__} has no gradient "
                    "in training. Let some of its parameters have requires_grad=True, "
                    "and take detach() and torch.no_grad() out of it and of the loss."
                )
            (loss / self.loss_unit).backward()
        return {"loss": loss, "y_pred": x_hat}

    def _step_on_share(
        self, x_in: Tensor, x: Tensor, weight: Tensor | None
    ) -> dict[str, Tensor]:
        """Do the same with several processes; `y_pred` is of the rows of this one."""
        # Noise is that of the whole batch: it is the same as in one process.
        share = Share(len(x))
        generator = self.generator_
        self.generator_ = self._own_generator
        try:
            step = self._step_on(*map(share.of, (x_in, x, weight)))
        finally:
            self.generator_ = generator
        return {**step, "loss": share.sum(step["loss"], self.optimizers())}

    def validation_step(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        self._set_training(False)
        x, weight = unpack_data(batch)
        x_in, x = self._input_and_target(to_tensor(x, device=self.device))
        with torch.no_grad():
            x_hat = self._reconstruct_for_loss(x_in)
            loss = self.get_loss(x_hat, weight, X=(x_in, x), training=False)
            y_pred = torch.sigmoid(x_hat) if self.from_logits else x_hat
        return {"loss": loss, "y_pred": y_pred}

    @staticmethod
    def _input_and_target(x: Any) -> tuple[Tensor, Tensor]:
        return tuple(x) if isinstance(x, tuple | list) else (x, x)

    def _step_optimizer(self, step_fn: Any) -> None:
        # The optimiser sees the loss that its gradients are of: line searches need it.
        super()._step_optimizer(lambda: step_fn().detach() / self.loss_unit)

    def row_losses_with(
        self, module: Any, x_in: Tensor, x: Tensor | None = None
    ) -> Tensor:
        """Loss of each row of `x`, reconstructed by a module in evaluation mode.

        The module is given `x_in`; without `x`, that is also what it is to give.
        """
        z = module.encode(x_in.clone() if self.copy_rows else x_in)
        x_hat = module.decode_logits(z) if self.from_logits else module.decode(z)
        if x is None:
            return row_losses(self.criterion_, x_hat, x_in)
        return self._row_losses(x_hat, x_in, x)

    def row_losses(self, rows: Rows) -> np.ndarray:
        """Loss of each row, in float64."""
        self._set_training(False)
        size = self.evaluation_rows
        batches = (
            zip(*(part.split(size) for part in rows.X), strict=True)
            if isinstance(rows.X, tuple)
            else rows.X.split(size)
        )
        with torch.no_grad():
            losses = [
                self.row_losses_with(
                    self.module_, *(batch if isinstance(batch, tuple) else (batch,))
                )
                for batch in batches
            ]
        return torch.cat(losses).cpu().double().numpy()

    # Noise

    def corrupt(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Give noisy rows, as the encoder sees them in training."""
        self._set_training(True)
        with torch.no_grad(), self.guarded():
            return self.noise_(x, generator)

    @contextmanager
    def lending(self, rows: Rows) -> Iterator[None]:
        """Lend the training rows to noise that draws from them."""
        modules = [] if self.noise_ is None else self.noise_.modules()
        swaps: list[Any] = [
            each for each in modules if getattr(each, "needs_rows", False)
        ]
        if swaps:
            rows = rows.in_memory()
        for noise in swaps:
            noise.lend(self._input_and_target(rows.X)[0], rows.y)
        try:
            yield
        finally:
            # The net is kept and pickled: without the data.
            for noise in swaps:
                noise.lend(None)

    def set_loss_unit(self, rows: Rows) -> None:
        """Take for unit the loss of the mean row as every row's reconstruction."""
        if self.from_logits:
            return
        few = slice(None, None, max(1, len(rows) // 1000))  # tell it well enough
        _, x = self._input_and_target(take(rows.X, few))
        weight = x.new_ones(len(x)) if rows.y is None else rows.y[few]
        weight = weight / weight.sum()
        with torch.no_grad():
            mean = (weight @ x).expand_as(x)
            loss = float(weight @ row_losses(self.criterion_, mean, x))
        self.loss_unit = loss if math.isfinite(loss) and loss > 0 else 1.0
