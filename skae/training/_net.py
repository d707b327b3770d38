"""The engine: one training loop for every estimator."""

import copy
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, LRScheduler
from skorch.dataset import unpack_data
from skorch.utils import to_tensor
from torch import Tensor, nn
from torch.utils.data import DataLoader

from skae.losses import row_losses
from skae.noise import Noise, SwapNoise
from skae.training._batches import Rows, make_batches
from skae.training._random import PrivateRandomState
from skae.training._recipe import EVALUATION_ROWS


class AutoencoderNet(NeuralNet):
    """skorch net that trains a module to reconstruct its input.

    A training step is ``x_hat = module(noise(x)); loss = criterion(x_hat, x)``. All
    that skorch documents for :class:`skorch.NeuralNet` holds, with these differences,
    made for speed on data in memory: batches are slices of one tensor on the device,
    the losses of batches are read off the device only if there are callbacks that may
    look at them, and there are no default callbacks but a timer.

    Parameters
    ----------
    module : torch.nn.Module, class or callable
        As in skorch, but an instance is copied, not trained itself. It has `encode`
        and `decode`.

    criterion : torch.nn.Module class or instance, default=torch.nn.MSELoss
        Called with reconstructions and rows.

    seed : int, default=0
        Start of the stream that orders and noise are drawn from.

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

    guard_random_state : bool, default=False
        Whether training steps run with torch's global generators in a private state:
        needed for modules that draw from them, such as dropout.

    **kwargs : dict
        Further parameters of :class:`skorch.NeuralNet`.
    """

    def __init__(
        self,
        module: Any,
        criterion: Any = nn.MSELoss,
        *,
        noise: Noise | None = None,
        emphasis: tuple[float, float] | None = None,
        seed: int = 0,
        loss_unit: float = 1.0,
        from_logits: bool = False,
        guard_random_state: bool = False,
        iterator_train: Any = make_batches,
        iterator_train__shuffle: bool = True,
        iterator_valid: Any = make_batches,
        dataset: Any = Rows,
        train_split: Any = None,
        verbose: int = 0,
        **kwargs: Any,
    ) -> None:
        self.noise = noise
        self.emphasis = emphasis
        self.seed = seed
        self.loss_unit = loss_unit
        self.from_logits = from_logits
        self.guard_random_state = guard_random_state
        super().__init__(
            module,
            criterion,
            iterator_train=iterator_train,
            iterator_train__shuffle=iterator_train__shuffle,
            iterator_valid=iterator_valid,
            dataset=dataset,
            train_split=train_split,
            verbose=verbose,
            **kwargs,
        )

    module_: Any
    noise_: Any
    criterion_: Any

    @property
    def _default_callbacks(self) -> list[tuple[str, Callback]]:
        return [("epoch_timer", EpochTimer())]

    # Random numbers

    def reseed(self, seed: int) -> None:
        """Start a new stream of random numbers."""
        device = torch.device(self.device)
        self.seed = seed
        self.generator_ = torch.Generator(device).manual_seed(seed)
        self.private_random_state_ = PrivateRandomState(seed, device)

    def _guarded(self) -> AbstractContextManager[None]:
        return self.private_random_state_ if self.guard_random_state else nullcontext()

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if torch.device(self.device).type != "cpu" and self.initialized_:
            # A generator of CUDA cannot be opened on a machine without it: the copy
            # begins a stream of its own.
            del state["generator_"], state["private_random_state_"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if self.initialized_ and not hasattr(self, "generator_"):
            self.reseed(self.seed)

    # Initialisation

    def initialize(self) -> "AutoencoderNet":
        self.reseed(self.seed)
        return super().initialize()

    def initialize_module(self) -> "AutoencoderNet":
        with self.private_random_state_:
            super().initialize_module()
        if not isinstance(self.module_, nn.Module):
            raise ValueError(
                "module must be, or give, a torch.nn.Module with the methods encode(x) "
                f"and decode(z). Got {type(self.module_).__name__}."
            )
        if self.module_ is self.module:
            self.module_ = copy.deepcopy(self.module)
        self.module_ = self.module_.float()
        self.noise_ = copy.deepcopy(self.noise)
        return self

    def initialize_optimizer(self, triggered_directly: Any = None) -> "AutoencoderNet":
        if self.optimizer is not getattr(torch.optim, "Muon", None):
            return super().initialize_optimizer(triggered_directly)
        # Muon is for matrices; everything else goes to AdamW, with steps of the same
        # root mean square (Liu et al. 2025, Muon is scalable for LLM training, 2.2).
        named = list(self.get_all_learnable_params())
        matrices = [(name, p) for name, p in named if p.ndim == 2]
        others = [(name, p) for name, p in named if p.ndim != 2]
        groups, options = self.get_params_for_optimizer("optimizer", matrices)
        self.optimizer_ = torch.optim.Muon(
            *groups,
            **{"weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw", **options},
        )
        if others:
            groups, _ = self.get_params_for_optimizer("optimizer_vectors", others)
            self.optimizer_vectors_ = torch.optim.AdamW(
                groups[0], lr=self.lr, weight_decay=options.get("weight_decay", 0.0)
            )
        return self

    def initialize_criterion(self) -> "AutoencoderNet":
        super().initialize_criterion()
        if self.criterion_ is self.criterion:
            self.criterion_ = copy.deepcopy(self.criterion)
        if hasattr(self.criterion_, "reduction"):
            # Sums would grow with the batch.
            self.criterion_.reduction = "mean"
        return self

    def initialize_history(self) -> "AutoencoderNet":
        super().initialize_history()
        self.lowest_losses_: dict[str, float] = {}
        self.interrupted_ = False
        return self

    def torch_compile(self, module: nn.Module, name: str) -> nn.Module:
        # Only the module: losses of single rows need the criterion as it is.
        return super().torch_compile(module, name) if name == "module" else module

    @property
    def plain_module_(self) -> Any:
        """The module, not wrapped by torch.compile."""
        return getattr(self.module_, "_orig_mod", self.module_)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """All optimizers: more than one with Muon."""
        return [getattr(self, f"{name}_") for name in self._optimizers]

    def set_lr(self, lr: float) -> None:
        """Set the learning rate of all optimizers."""
        self.lr = lr
        for optimizer in self.optimizers():
            for group in optimizer.param_groups:
                group["lr"] = lr

    def forget_optimizer_state(self) -> None:
        """Let the optimizers begin anew, for other weights than they worked on."""
        for optimizer in self.optimizers():
            optimizer.state.clear()

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        name = "iterator_train" if training else "iterator_valid"
        iterator = getattr(self, name)
        options = {"batch_size": self.batch_size, **self.get_params_for(name)}
        if options["batch_size"] == -1:
            options["batch_size"] = len(dataset)
        # Neither of them is to draw from torch's global generator.
        if iterator is make_batches:
            options.setdefault("generator", self.generator_)
        elif iterator is DataLoader:
            options.setdefault("generator", torch.Generator().manual_seed(self.seed))
        return iterator(dataset, **options)

    def on_train_end(
        self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any
    ) -> None:
        for _, callback in self.callbacks_:
            if isinstance(callback, LRScheduler):
                # It holds the optimizer, which pickle would then save a second time,
                # out of reach of skorch's care for machines without CUDA.
                callback.lr_scheduler_ = None

    # Steps

    def _set_training(self, training: bool = True) -> None:
        # Walking over all submodules at each step takes as long as a small layer.
        modules = [self.module_] if self.noise_ is None else [self.module_, self.noise_]
        if any(module.training != training for module in modules):
            super()._set_training(training)

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
            return self.criterion_(y_pred, x)
        losses = self._row_losses(y_pred, *X)
        return losses.mean() if y_true is None else (losses * y_true).mean()

    def _row_losses(self, x_hat: Tensor, x_in: Tensor, x: Tensor) -> Tensor:
        if self.emphasis is None:
            return row_losses(self.criterion_, x_hat, x)
        corrupted, untouched = self.emphasis
        weight = torch.where(x_in != x, corrupted, untouched)
        return row_losses(self.criterion_, x_hat, x, weight)

    def _reconstruct_for_loss(self, x: Tensor) -> Tensor:
        if self.from_logits:
            return self.module_.decode_logits(self.module_.encode(x))
        if self.compile:  # which compiles `forward` alone
            return self.module_(x)
        return self.module_.decode(self.module_.encode(x))

    def _module_has_gradient(self) -> bool:
        """Whether the module offers a gradient that is faster than autograd's.

        A subclass may have changed what it is the gradient of.
        """
        return "logits_with_gradient" in vars(type(self.module_))

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        self._set_training(True)
        x, weight = unpack_data(batch)
        x = to_tensor(x, device=self.device)
        with self._guarded():
            x_in = x if self.noise_ is None else self.noise_(x, self.generator_)
            if self._module_has_gradient():
                x_hat, backward = self.module_.logits_with_gradient(x_in)
                x_hat.requires_grad_()
            else:
                x_hat = self._reconstruct_for_loss(x_in)
            loss = self.get_loss(x_hat, weight, X=(x_in, x), training=True)
            (loss / self.loss_unit).backward()
            if self._module_has_gradient():
                backward(x_hat.grad)
        return {"loss": loss, "y_pred": x_hat}

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
        return (x, x) if isinstance(x, Tensor) else tuple(x)

    def _step_optimizer(self, step_fn: Any) -> None:
        # The optimiser sees the loss that its gradients are of: line searches need it.
        super()._step_optimizer(lambda: step_fn().detach() / self.loss_unit)

    def row_losses_with(
        self, module: Any, x_in: Tensor, x: Tensor | None = None
    ) -> Tensor:
        """Loss of each row of `x`, reconstructed by a module in evaluation mode.

        The module is given `x_in`; without `x`, that is also what it is to give.
        """
        z = module.encode(x_in)
        x_hat = module.decode_logits(z) if self.from_logits else module.decode(z)
        if x is None:
            return row_losses(self.criterion_, x_hat, x_in)
        return self._row_losses(x_hat, x_in, x)

    def row_losses(self, rows: Rows) -> np.ndarray:
        """Loss of each row, in float64."""
        self._set_training(False)
        parts = rows.X if isinstance(rows.X, tuple) else (rows.X,)
        batches = zip(*(part.split(EVALUATION_ROWS) for part in parts), strict=True)
        with torch.no_grad():
            losses = [self.row_losses_with(self.module_, *batch) for batch in batches]
        return torch.cat(losses).double().cpu().numpy()

    def mean_loss(self, rows: Rows) -> float:
        """Weighted mean of the losses of rows."""
        weight = None if rows.y is None else rows.y.cpu().numpy()
        return float(np.average(self.row_losses(rows), weights=weight))

    # Noise

    def corrupt(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Give noisy rows, as the encoder sees them in training."""
        self._set_training(True)
        with torch.no_grad(), self._guarded():
            return self.noise_(x, generator)

    @contextmanager
    def lending(self, rows: Rows) -> Iterator[None]:
        """Lend the training rows to noise that draws from them."""
        modules = [] if self.noise_ is None else self.noise_.modules()
        swaps = [module for module in modules if isinstance(module, SwapNoise)]
        for noise in swaps:
            noise.rows, noise.row_weight = rows.X, rows.y
        try:
            yield
        finally:
            # The net is kept and pickled: without the data.
            for noise in swaps:
                noise.rows = noise.row_weight = None

    def set_loss_unit(self, rows: Rows) -> None:
        """Take for unit the loss of the mean row as every row's reconstruction."""
        if self.from_logits:
            return
        few = slice(None, None, max(1, len(rows) // 1000))  # tell it well enough
        x = rows.X[few]
        weight = torch.ones(len(x), device=x.device) if rows.y is None else rows.y[few]
        weight = weight / weight.sum()
        with torch.no_grad():
            mean = (weight @ x).expand_as(x)
            loss = float(weight @ row_losses(self.criterion_, mean, x))
        self.loss_unit = loss if math.isfinite(loss) and loss > 0 else 1.0

    # Epochs

    def run_single_epoch(
        self,
        iterator: Any,
        training: bool,
        prefix: str,
        step_fn: Any,
        **fit_params: Any,
    ) -> None:
        if iterator is None:
            return
        record_batches = bool(self.callbacks)
        total: Any = 0.0
        n_rows = n_batches = 0
        try:
            for batch in iterator:
                self.notify("on_batch_begin", batch=batch, training=training)
                step = step_fn(batch, **fit_params)
                size = len(step["y_pred"])
                total = total + step["loss"].detach() * size
                n_rows += size
                n_batches += 1
                if record_batches:
                    self.history.record_batch(f"{prefix}_loss", step["loss"].item())
                    self.history.record_batch(f"{prefix}_batch_size", size)
                self.notify("on_batch_end", batch=batch, training=training, **step)
        except KeyboardInterrupt:
            # skorch's callbacks stop training by the same exception, between epochs.
            self.interrupted_ = True
            raise
        if n_batches == 0:
            raise ValueError(
                f"There is no batch of the {prefix} rows: with drop_last, batch_size="
                f"{self.batch_size} must not exceed the number of rows."
            )
        loss = float(total) / n_rows
        lowest = self.lowest_losses_.get(prefix, math.inf)
        self.lowest_losses_[prefix] = min(loss, lowest)
        self.history.record(f"{prefix}_batch_count", n_batches)
        self.history.record(f"{prefix}_loss", loss)
        self.history.record(f"{prefix}_loss_best", loss < lowest)
