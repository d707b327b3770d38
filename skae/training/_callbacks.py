"""Callbacks for training."""

import copy
import inspect
import math
import time
from collections.abc import Callable
from typing import Any, Protocol

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, LRScheduler

from skae.training._batches import Rows
from skae.training._console import (
    console,
    is_interactive,
    progress_bar_type,
    show,
)
from skae.training._tensor_net import EndOfTraining, forget_optimizer_state


class KeepState(Callback):
    """Decide which state of the module is kept, and when to stop.

    With validation rows, the state with the lowest validation loss is kept, which may
    be the state before the first step. Without validation rows, the last state is kept.
    Training stops at once if a loss is not finite, and a state with a finite loss is
    kept. An epoch that the user interrupts does not count.

    Parameters
    ----------
    start_loss : float or None
        Validation loss before the first step; None if there are no validation rows.

    patience : int, default=None
        Number of epochs without improvement after which training stops. None never
        stops early.

    tol : float, default=1e-4
        Smallest improvement that counts for `patience`, as a fraction of the validation
        loss.

    Attributes
    ----------
    best_epoch_ : int
        Epoch of this call whose state was kept; 0 is the state before the first step.

    best_loss_ : float
        Validation loss of that state, or training loss without validation rows.

    diverged_at_ : int or None
        Epoch in which a loss was not finite.

    stopped_early_ : bool
        Whether there was no improvement for `patience` epochs, or a watcher asked to
        stop.
    """

    def __init__(
        self,
        start_loss: float | None,
        patience: int | None = None,
        tol: float = 1e-4,
    ) -> None:
        self.start_loss = start_loss
        self.patience = patience
        self.tol = tol

    state_: dict[str, Any]

    def _keep(self, net: NeuralNet, loss: float) -> None:
        self.best_epoch_ = self.epoch_
        self.best_loss_ = loss
        if self._is_last(net):
            return  # the module does not change any more
        state = net.plain_module_.state_dict()
        tensors = [name for name in state if isinstance(state[name], torch.Tensor)]
        if self.state_:
            # Many times faster than a deepcopy.
            torch._foreach_copy_(
                [self.state_[name] for name in tensors],
                [state[name] for name in tensors],
            )
        else:
            self.state_ = {name: state[name].clone() for name in tensors}
        for name in state.keys() - set(tensors):
            self.state_[name] = copy.deepcopy(state[name])

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.epoch_ = 0
        self.lowest_ = math.inf if self.start_loss is None else self.start_loss
        self.epochs_without_improvement_ = 0
        self.diverged_at_: int | None = None
        self.stopped_early_ = False
        self.state_ = {}
        self._keep(net, self.lowest_)

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self.epoch_ += 1
        record = net.history[-1]
        losses = [record["train_loss"], record.get("valid_loss", 0.0)]
        if not all(map(math.isfinite, losses)) or not self._parameters_are_finite(net):
            self.diverged_at_ = self.epoch_
            forget_optimizer_state(net)  # it may hold values that are not finite
            raise EndOfTraining
        if self.start_loss is None:
            self._keep(net, record["train_loss"])
            return
        loss = record["valid_loss"]
        if loss < self.best_loss_:
            self._keep(net, loss)
        # Losses that are negative log densities may be negative.
        if loss < self.lowest_ - self.tol * abs(loss):
            self.lowest_ = loss
            self.epochs_without_improvement_ = 0
        else:
            self.epochs_without_improvement_ += 1
        if self.epochs_without_improvement_ == self.patience:
            # `EndRun` stops training, after all other callbacks have seen this epoch.
            self.stopped_early_ = True

    def _is_last(self, net: Any) -> bool:
        """Return whether the kept state is that of the last epoch."""
        return self.start_loss is None and self.best_epoch_ == net.max_epochs

    @staticmethod
    def _parameters_are_finite(net: Any) -> bool:
        # Looking up the parameters of optimizers is faster than those of the module.
        parameters = [
            parameter
            for optimizer in net.optimizers()
            for group in optimizer.param_groups
            for parameter in group["params"]
            if parameter.is_floating_point()
        ]
        norms = torch._foreach_norm(parameters)
        return bool(torch.stack(norms).isfinite().all())

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        last = self.start_loss is None and self.diverged_at_ is None
        if not self._is_last(net) and (net.interrupted_ or not last):
            net.plain_module_.load_state_dict(self.state_)
        del self.state_


class Watcher(Protocol):
    """Interface of an object that observes the epochs of a run and may stop it."""

    def begin_epoch(self) -> None:
        """Record that an epoch begins."""

    def end_epoch(self, so_far: Callable[[], Any]) -> bool:
        """Record that the epoch has ended, and return whether to stop the run."""

    def end_run(self) -> None:
        """Record that the run has ended, perhaps within an epoch."""


class EndRun(Callback):
    """Stop a run early, after all other callbacks have seen its last epoch.

    Parameters
    ----------
    keep : KeepState
        Callback that decides whether to stop.

    watcher : Watcher or None
        Observer of the epochs, which may also decide to stop.

    so_far : callable
        Function without arguments that returns the net and the run so far. It is passed
        to the watcher.
    """

    def __init__(
        self, keep: KeepState, watcher: Watcher | None, so_far: Callable[[], Any]
    ) -> None:
        self.keep = keep
        self.watcher = watcher
        self.so_far = so_far

    def __getstate__(self) -> dict[str, Any]:
        # A net that is saved during training is saved without objects of this run.
        return {**vars(self), "watcher": None, "so_far": None}

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        if self.watcher is not None:
            self.watcher.begin_epoch()

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        if self.watcher is not None and self.watcher.end_epoch(self.so_far):
            self.keep.stopped_early_ = True
        if self.keep.stopped_early_:
            raise EndOfTraining

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        if self.watcher is not None:
            self.watcher.end_run()


class Schedule(Callback):
    """Multiply the learning rates by a function of the number of steps.

    Parameters
    ----------
    factor : callable
        Takes the number of steps done, and returns the factor.
    """

    def __init__(self, factor: Callable[[int], float]) -> None:
        self.factor = factor

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.groups_ = [
            (group, group["lr"])
            for optimizer in net.optimizers()
            for group in optimizer.param_groups
        ]
        self.n_steps_ = 0
        self._set()

    def on_batch_end(self, net: NeuralNet, training: bool, **kwargs: Any) -> None:
        if training:
            self.on_step()

    def on_step(self) -> None:
        """Count a step that needs no further event."""
        self.n_steps_ += 1
        self._set()

    def _set(self) -> None:
        factor = self.factor(self.n_steps_)
        for group, lr in self.groups_:
            group["lr"] = lr * factor

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        del self.groups_


class ScheduleLearningRate(LRScheduler):
    """The scheduler callback of skorch, for nets with several optimizers."""

    def _get_scheduler(self, net: NeuralNet, policy: Any, **kwargs: Any) -> Any:
        # A function of the user accepts an optimizer only.
        if "last_epoch" in inspect.signature(policy).parameters:
            kwargs.setdefault("last_epoch", len(net.history) - 1)
        try:
            schedulers = [policy(each, **kwargs) for each in net.optimizers()]
        except Exception as error:
            raise ValueError(
                "lr_schedule failed to build a torch scheduler from an optimizer: "
                f"{type(error).__name__}: {error}"
            ) from error
        for each in schedulers:
            if not callable(getattr(each, "step", None)):
                raise ValueError(
                    "lr_schedule must return a torch scheduler for an optimizer. It "
                    f"returned {each!r}."
                )
        self.others_ = schedulers[1:]
        return schedulers[0]

    def _step(self, net: NeuralNet, lr_scheduler: Any, score: Any = None) -> None:
        for scheduler in (lr_scheduler, *self.others_):
            super()._step(net, scheduler, score=score)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        del self.others_


class RecordLoss(Callback):
    """Record the mean loss of further rows in the history.

    Parameters
    ----------
    name : str
        Name of the column in the history.

    rows : Rows
        Rows as tensors on the device of the net.

    Attributes
    ----------
    losses_ : list of float
        The loss before the first step and after each epoch.
    """

    def __init__(self, name: str, rows: Rows) -> None:
        self.name = name
        self.rows = rows

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.losses_ = [net.mean_loss(self.rows)]

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self.losses_.append(net.mean_loss(self.rows))
        net.history.record(self.name, self.losses_[-1])


class ProgressBar(Callback):
    """Progress bar with the remaining time and the losses of the last epoch.

    If standard output is neither a terminal nor a notebook, about ten lines of text
    replace the bar.

    Parameters
    ----------
    description : str
        Text in front of the bar.

    n_steps : int
        Number of steps of the whole training.
    """

    def __init__(self, description: str, n_steps: int) -> None:
        self.description = description
        self.n_steps = n_steps

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.bar_: Any
        if is_interactive():
            # skorch depends on tqdm; the import is slow.
            bar_type = progress_bar_type()
            self.bar_ = bar_type(
                total=self.n_steps,
                desc=self.description,
                unit="step",
                file=console(),
            )
        else:
            self.bar_ = _ProgressLines(self.description, self.n_steps)

    def on_batch_end(self, net: NeuralNet, training: bool, **kwargs: Any) -> None:
        if training:
            self.on_step()

    def on_step(self) -> None:
        """Count a step that needs no further event."""
        self.bar_.update()

    def on_epoch_end(self, net: NeuralNet, **kwargs: Any) -> None:
        losses = {"loss": net.history[-1, "train_loss"]}
        if "valid_loss" in net.history[-1]:
            losses["validation_loss"] = net.history[-1, "valid_loss"]
        self.bar_.set_postfix(losses)

    def on_train_end(self, net: NeuralNet, **kwargs: Any) -> None:
        self.bar_.close()
        del self.bar_


class _ProgressLines:
    """Lines of text instead of a progress bar, one for each tenth of the steps."""

    def __init__(self, description: str, n_steps: int) -> None:
        self._description = description
        self._n_steps = n_steps
        self._n_done = 0
        self._n_lines = 0
        self._start = time.perf_counter()

    def update(self) -> None:
        """Count a step."""
        self._n_done += 1

    def set_postfix(self, losses: dict[str, float]) -> None:
        """Print a line if another tenth of the steps is done."""
        tenth = 10 * self._n_done // self._n_steps
        if tenth <= self._n_lines:
            return
        self._n_lines = tenth
        values = ", ".join(f"{name} {value:.4g}" for name, value in losses.items())
        seconds = time.perf_counter() - self._start
        show(
            f"{self._description}: {self._n_done} of {self._n_steps} steps, {values}, "
            f"{seconds:.1f} s"
        )

    def close(self) -> None:
        """Do nothing: all lines are complete."""
