"""The engine: one training loop for every estimator."""

import copy
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.dataset import unpack_data
from skorch.utils import to_tensor
from torch import Tensor, nn

from skae.modules._prepared import can_be_prepared
from skae.noise import Noise
from skae.objectives import Objective, Reconstruction
from skae.training._batches import Rows, TensorBatches, take
from skae.training._processes import Share, begin_together, own_generator
from skae.training._silent_epoch import is_possible, steps
from skae.training._statistics import fill_missing
from skae.training._tensor_net import TensorNet, is_overridden


class AutoencoderNet(TensorNet):
    """skorch net that trains a module to reconstruct its input.

    A training step is ``x_hat = module(noise(x)); loss = criterion(x_hat, x)`` unless
    the objective changes it. With pairs of rows, the first row is the input of the
    module and the second is the target of the loss.

    Parameters
    ----------
    module : torch.nn.Module, class or callable
        As in skorch, but an instance is copied, and the copy is trained. It has
        `encode` and `decode`.

    criterion : torch.nn.Module class or instance, default=torch.nn.MSELoss
        Called with reconstructions and rows.

    noise : skae.noise.Noise, default=None
        Corrupts the inputs of the encoder in training. The targets of the loss are the
        clean rows. A copy, `noise_`, is used.

    objective : skae.objectives.Objective, default=Reconstruction()
        Computes the loss of rows from the module and the criterion.

    loss_unit : float, default=1.0
        Divisor of the loss whose gradients are used. Reported losses are not divided.
        If it is the loss of a trivial reconstruction, the constants of optimizers
        (epsilon, clipping) do not depend on the units of the data.

    autocast : torch.dtype, default=None
        ``torch.bfloat16`` for mixed precision: in training steps, layers compute in it
        if torch considers this safe. Weights and losses stay in float32.

    copy_rows : bool, default=False
        Whether the module gets copies of rows, because it may change its input.

    share_batches : bool, default=False
        Whether the processes of torch.distributed's default group train the module
        together, each on its share of every batch. All of them must get the same rows,
        parameters and seed.

    **kwargs : dict
        Further parameters of :class:`TensorNet`.
    """

    def __init__(
        self,
        module: Any,
        criterion: Any = nn.MSELoss,
        *,
        objective: Objective = Reconstruction(),  # noqa: B008
        noise: Noise | None = None,
        loss_unit: float = 1.0,
        autocast: torch.dtype | None = None,
        copy_rows: bool = False,
        share_batches: bool = False,
        **kwargs: Any,
    ) -> None:
        self.objective = objective
        self.noise = noise
        self.loss_unit = loss_unit
        self.autocast = autocast
        self.copy_rows = copy_rows
        self.share_batches = share_batches
        super().__init__(module, criterion, **kwargs)

    noise_: Any
    # Whether the module computes the gradients of this epoch; None: not known yet.
    _by_hand: bool | None = None
    # For separate draws of each process if processes share batches.
    _own_generator: Any = None
    # The compiled `outputs` of the objective, while a net with ``compile=True`` trains.
    _compiled: Any = None

    def initialize_module(self) -> "AutoencoderNet":
        if self.autocast not in (None, torch.bfloat16):
            raise ValueError(
                "autocast must be None or torch.bfloat16; float16 is not supported, as "
                f"its gradients need scaling. Got {self.autocast!r}."
            )
        super().initialize_module()
        self.noise_ = copy.deepcopy(self.noise)
        if self.noise_ is not None:
            # If it were trained, noise would learn to be weak.
            self.noise_.requires_grad_(False)
        return self

    def initialize_criterion(self) -> "AutoencoderNet":
        super().initialize_criterion()
        self.objective.check_criterion(self.criterion_, self.criterion)
        return self

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
            outputs = partial(self.objective.outputs, self.plain_module_)
            self._compiled = torch.compile(outputs, **self.get_params_for("compile"))

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
        """Compute the mean loss of outputs, with weights `y_true` of the rows.

        `X` is a pair: the input of the encoder and the target of the decoder.
        """
        x_in, x = X
        return self.objective.mean(
            self.criterion_, y_pred, x_in, x, y_true, self.loss_unit
        )

    def _outputs(self, x: Tensor) -> Tensor:
        """Compute the outputs of the objective in the current mode of the module."""
        module = self.plain_module_
        arguments: tuple[Any, ...] = ()
        compute: Any = partial(self.objective.outputs, module)
        if module.training:
            arguments = self.objective.step_arguments(
                module, x, len(self.history) - 1, self.generator_
            )
            compute = self._compiled or compute
        outputs = compute(x.clone() if self.copy_rows else x, *arguments)
        # In training mode, a module of the user may return something else.
        if self.copy_rows and getattr(outputs, "shape", None) != x.shape:
            got = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs)
            raise ValueError(
                f"In training, {type(module).__name__} must return reconstructions of "
                f"shape {tuple(x.shape)}. It returned {got}."
            )
        return outputs

    def infer(self, x: Any, **fit_params: Any) -> Any:
        # The noisy rows of pairs are the input of the encoder.
        x = x[0] if isinstance(x, tuple | list) else x
        return super().infer(x, **fit_params)

    def _module_has_gradient(self) -> bool:
        """Return whether the module computes gradients faster than autograd.

        An inherited method does not count: a subclass may have changed the layers.
        """
        module = self.module_
        own = "logits_with_gradient" in vars(type(module))
        if not (own and self.objective.of_reconstructions and self.autocast is None):
            return False
        return not hasattr(module, "prepared") or can_be_prepared(module)

    def run_single_epoch(
        self, iterator: Any, training: bool, prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        self._by_hand = None
        together = self.objective.validates_together and not training
        if together and type(iterator) is TensorBatches:
            loss = self.mean_loss(Rows(iterator.X, iterator.weight))
            self._record_epoch(prefix, loss, len(iterator))
            return
        super().run_single_epoch(iterator, training, prefix, *args, **kwargs)

    def _silent_steps(self, iterator: Any) -> Any:
        callbacks = [callback for _, callback in self.callbacks_]
        if any(
            is_overridden(callback, event)
            for callback in callbacks
            for event in ("on_batch_begin", "on_grad_computed")
        ):
            return ()
        listeners = [each for each in callbacks if is_overridden(each, "on_batch_end")]
        own = type(self).train_step_single is AutoencoderNet.train_step_single
        if not own or not all(hasattr(each, "on_step") for each in listeners):
            return ()
        if not is_possible(self, iterator):
            return ()
        return steps(self, iterator, [each.on_step for each in listeners])

    def _in_precision(self) -> AbstractContextManager[Any]:
        """Return the context of the forward pass in training."""
        if self.autocast is None:
            return nullcontext()
        return torch.autocast(torch.device(self.device).type, self.autocast)

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
        """Compute loss and reconstructions of rows, and set the gradients."""
        if self._by_hand is None:
            self._by_hand = self._module_has_gradient()
        if self._by_hand:
            outputs, backward = self.module_.logits_with_gradient(x_in)
            loss, grad = self.objective.mean_with_gradient(
                self.criterion_, outputs, x_in, x, weight, self.loss_unit
            )
            backward(grad)
        else:
            with self._in_precision():
                outputs = self._outputs(x_in)
                loss = self.get_loss(outputs, weight, X=(x_in, x), training=True)
            if not loss.requires_grad:
                raise ValueError(
                    f"The loss of {type(self.plain_module_).__name__} has no gradient "
                    "in training. Set requires_grad=True on some of its parameters, "
                    "and remove detach() and torch.no_grad() from module and loss."
                )
            (loss / self.loss_unit).backward()
        if "on_batch_end" not in self._silent:  # only callbacks look at it
            outputs = self.objective.predictions(
                self.plain_module_, outputs.detach(), x
            )
        return {"loss": loss, "y_pred": outputs}

    def _step_on_share(
        self, x_in: Tensor, x: Tensor, weight: Tensor | None
    ) -> dict[str, Tensor]:
        """Do the same with several processes; `y_pred` has the rows of this one."""
        # The whole batch gets noise before it is shared, as in one process.
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
            outputs = self._outputs(x_in)
            loss = self.get_loss(outputs, weight, X=(x_in, x), training=False)
            y_pred = self.objective.predictions(self.plain_module_, outputs, x)
        return {"loss": loss, "y_pred": y_pred}

    @staticmethod
    def _input_and_target(x: Any) -> tuple[Tensor, Tensor]:
        return tuple(x) if isinstance(x, tuple | list) else (x, x)

    def _step_optimizer(self, step_fn: Any) -> None:
        # Line searches need the loss in the units of the gradients.
        super()._step_optimizer(lambda: step_fn().detach() / self.loss_unit)

    def row_losses_with(self, module: Any, x: Tensor, missing: bool = False) -> Tensor:
        """Compute the loss of each row with a module in evaluation mode.

        `missing` is True if these rows may have missing values, even if training had
        none.
        """
        module = _GivenCopies(module) if self.copy_rows else module
        objective = self.objective
        if missing and not objective.missing:
            objective = replace(objective, missing=True)
            objective.check_criterion(self.criterion_, self.criterion)
        return objective.row_losses(self.criterion_, module, x, x)

    def row_losses(self, rows: Rows) -> np.ndarray:
        """Compute the loss of each row, in float64."""
        self._set_training(False)
        module = _GivenCopies(self.module_) if self.copy_rows else self.module_
        batches = rows.batches(self.evaluation_rows)
        with torch.no_grad():
            losses = self.objective.validation_losses(
                self.criterion_,
                module,
                batches,
                len(rows),
                rows.weight,
                self.loss_unit,
            )
        return losses.numpy()

    def settle(self, rows: Rows) -> None:
        """Set the parts of the trained module that come from validation rows."""
        self._set_training(False)
        with torch.no_grad():
            batches = rows.batches(self.evaluation_rows)
            self.objective.settle(self.plain_module_, batches, rows.weight)

    # Noise

    def corrupt(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Return noisy rows, as the inputs of the encoder in training."""
        self._set_training(True)
        with torch.no_grad(), self.guarded():
            return self.noise_(x, generator)

    @property
    def makes_gaps(self) -> bool:
        """Whether noise makes gaps, which the module then has to fill."""
        return getattr(self.noise_, "makes_gaps", False)

    @contextmanager
    def with_rows(self, rows: Rows, given: Rows | None = None) -> Iterator[None]:
        """Run a block in which noise may draw from the training rows.

        `given` are the rows before gaps were filled, for noise that makes gaps.
        """
        modules = [] if self.noise_ is None else self.noise_.modules()
        drawing: list[Any] = [
            each for each in modules if getattr(each, "needs_rows", False)
        ]
        makers = [each for each in drawing if getattr(each, "makes_gaps", False)]
        others = [each for each in drawing if each not in makers]
        _lend(makers, rows if given is None else given)
        _lend(others, rows)
        try:
            yield
        finally:
            # The net is kept and pickled without the data.
            for noise in drawing:
                noise.lend(None)

    def set_loss_unit(self, rows: Rows) -> None:
        """Set the unit to the loss if the mean row reconstructs every row."""
        few = slice(None, None, max(1, len(rows) // 1000))  # enough for a mean
        _, x = self._input_and_target(take(rows.X, few))
        if self.objective.missing:
            x = torch.as_tensor(fill_missing(x.cpu().numpy()), device=x.device)
        weight = x.new_ones(len(x)) if rows.weight is None else rows.weight[few]
        with torch.no_grad():
            unit = self.objective.unit(self.criterion_, x, weight / weight.sum())
        self.loss_unit = unit if math.isfinite(unit) and unit > 0 else 1.0


def _lend(noises: list[Any], rows: Rows) -> None:
    """Lend rows to noises. Without noises, no rows are read into memory."""
    if noises:
        rows = rows.in_memory()
    for noise in noises:
        noise.lend(rows.inputs, rows.weight)


class _GivenCopies:
    """A module that encodes copies of rows, because it may change its input."""

    def __init__(self, module: nn.Module) -> None:
        self._module: Any = module

    def encode(self, x: Tensor) -> Tensor:
        return self._module.encode(x.clone())

    def decode(self, z: Tensor) -> Tensor:
        return self._module.decode(z)
