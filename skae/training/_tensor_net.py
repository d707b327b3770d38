"""A skorch net for tensors, with fast batches and its own random numbers."""

import copy
import dis
import math
import operator
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, LRScheduler
from skorch.history import History
from torch import Tensor, nn
from torch.utils.data import DataLoader

from skae.training._batches import Rows, make_batches
from skae.training._modes import own_modes
from skae.training._random import DrawsFrom, PrivateRandomState
from skae.training._recipe import EVALUATION_ROWS


class Epochs(History):
    """History of skorch that returns an epoch in constant time.

    skorch copies the list of all epochs several times in each epoch. So each call of
    `partial_fit` would take longer than the call before.
    """

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, int | slice):
            return list.__getitem__(self, i)
        return super().__getitem__(i)


class TensorNet(NeuralNet):
    """skorch net for data in memory that does not change the global generators.

    It does what skorch documents for :class:`skorch.NeuralNet`, with three differences
    for speed. Batches are slices of one tensor on the device. The losses of batches are
    copied from the device only if callbacks may read them. The only default callback is
    a timer.

    Parameters
    ----------
    module : torch.nn.Module, class or callable
        As in skorch, but an instance is copied, and the copy is trained.

    criterion : torch.nn.Module class or instance
        The loss.

    seed : int, default=0
        Seed of the orders of rows and of noise.

    guard_random_state : bool, default=False
        Whether the initial weights and training steps use a private state of the global
        generators. This is needed for modules of the user, which may draw from them.

    **kwargs : dict
        Further parameters of :class:`skorch.NeuralNet`.
    """

    def __init__(
        self,
        module: Any,
        criterion: Any,
        *,
        seed: int = 0,
        guard_random_state: bool = False,
        iterator_train: Any = make_batches,
        iterator_train__shuffle: bool = True,
        iterator_valid: Any = make_batches,
        iterator_valid__batch_size: int = EVALUATION_ROWS,
        dataset: Any = Rows,
        train_split: Any = None,
        verbose: int = 0,
        **kwargs: Any,
    ) -> None:
        self.seed = seed
        self.guard_random_state = guard_random_state
        super().__init__(
            module,
            criterion,
            iterator_train=iterator_train,
            iterator_train__shuffle=iterator_train__shuffle,
            iterator_valid=iterator_valid,
            iterator_valid__batch_size=iterator_valid__batch_size,
            dataset=dataset,
            train_split=train_split,
            verbose=verbose,
            **kwargs,
        )

    lr: float
    iterator_valid__batch_size: int
    history_: Any
    module_: Any
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

    def guarded(self) -> AbstractContextManager[None]:
        """Return the context for code that may draw from the global generators."""
        return self.private_random_state_ if self.guard_random_state else nullcontext()

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if torch.device(self.device).type != "cpu" and self.initialized_:
            # A CUDA generator cannot be loaded on a machine without CUDA. So the copy
            # starts a new stream.
            del state["generator_"], state["private_random_state_"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if not self.initialized_:
            return
        if not hasattr(self, "generator_"):
            self.reseed(self.seed)
        if any(p.is_inference() for p in self.module_.parameters()):
            # A copy loaded in inference mode could not continue to train.
            with own_modes():
                self.__dict__.update(copy.deepcopy(self.__dict__))
        # torch pickles only settings and state of optimizers, but L-BFGS has more.
        states = [optimizer.state_dict() for optimizer in self.optimizers()]
        self.initialize_optimizer()
        for optimizer, state in zip(self.optimizers(), states, strict=True):
            optimizer.load_state_dict(state)

    # Initialisation

    def initialize(self) -> "TensorNet":
        self.reseed(self.seed)
        return super().initialize()

    def initialize_module(self) -> "TensorNet":
        draws = self.guarded() if self.guard_random_state else DrawsFrom(self.seed)
        with making_module(self.module), draws:
            super().initialize_module()
        check_made(self.module_)
        if self.module_ is self.module:
            if isinstance(self.module, torch.jit.ScriptModule):
                raise ValueError(
                    "module is a torch.jit.ScriptModule, which cannot be copied for "
                    "training. Pass the original module. "
                    "net_params={'compile': True} compiles the training step."
                )
            self.module_ = copy.deepcopy(self.module)
        self.module_ = self.module_.float()
        if not any(each.requires_grad for each in self.module_.parameters()):
            n_parameters = len(list(self.module_.parameters()))
            raise ValueError(
                f"module has nothing to train: {type(self.module_).__name__} has "
                f"{n_parameters} parameters"
                + (", all with requires_grad=False" if n_parameters else "")
                + ". At least one torch.nn.Parameter must have requires_grad=True."
            )
        return self

    def initialize_optimizer(self, triggered_directly: Any = None) -> "TensorNet":
        if self.optimizer is not getattr(torch.optim, "Muon", None):
            return super().initialize_optimizer(triggered_directly)
        # Muon is for matrices. AdamW optimises everything else, with steps of the same
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

    def initialize_criterion(self) -> "TensorNet":
        super().initialize_criterion()
        if self.criterion_ is self.criterion:
            self.criterion_ = copy.deepcopy(self.criterion)
        if hasattr(self.criterion_, "reduction"):
            # Sums would grow with the size of the batch.
            self.criterion_.reduction = "mean"
        return self

    def initialize_history(self) -> "TensorNet":
        if self.history_ is None:
            self.history_ = Epochs()
        super().initialize_history()
        self.lowest_losses_: dict[str, float] = {}
        self.interrupted_ = False
        return self

    def torch_compile(self, module: nn.Module, name: str) -> nn.Module:
        # Only the module is compiled: losses of single rows need the plain criterion.
        return super().torch_compile(module, name) if name == "module" else module

    @property
    def plain_module_(self) -> Any:
        """The module without the wrapper of torch.compile."""
        return getattr(self.module_, "_orig_mod", self.module_)

    def optimizers(self) -> list[torch.optim.Optimizer]:
        """Return all optimizers; Muon has more than one."""
        return [getattr(self, f"{name}_") for name in self._optimizers]

    def get_iterator(self, dataset: Any, training: bool = False) -> Any:
        name = "iterator_train" if training else "iterator_valid"
        iterator = getattr(self, name)
        options = {"batch_size": self.batch_size, **self.get_params_for(name)}
        if options["batch_size"] == -1:
            options["batch_size"] = len(dataset)
        # Neither of them may draw from torch's global generator.
        if iterator is make_batches:
            options.setdefault("generator", self.generator_)
        elif iterator is DataLoader:
            options.setdefault("generator", torch.Generator().manual_seed(self.seed))
        try:
            return iterator(dataset, **options)
        except (TypeError, ValueError) as error:
            asked = {key: options[key] for key in options if key != "generator"}
            raise ValueError(
                f"{name} cannot be built with {asked}: {error}. Set its options in "
                f"net_params, for instance {{'{name}__num_workers': 2}}."
            ) from error

    def on_train_end(
        self, net: NeuralNet, X: Any = None, y: Any = None, **kwargs: Any
    ) -> None:
        for _, callback in self.callbacks_:
            if isinstance(callback, LRScheduler):
                # It holds the optimizer. pickle would save it a second time, without
                # skorch's support for machines without CUDA.
                callback.lr_scheduler_ = None

    # Losses and epochs

    @property
    def evaluation_rows(self) -> int:
        """Number of rows in a batch without gradients."""
        size = self.iterator_valid__batch_size
        return size if size > 0 else sys.maxsize  # -1 means all rows

    def row_losses(self, rows: Rows) -> np.ndarray:
        """Compute the loss of each row, in float64; subclasses implement this."""
        raise NotImplementedError

    def mean_loss(self, rows: Rows) -> float:
        """Compute the weighted mean of the losses of rows."""
        return rows.average(self.row_losses(rows))

    def _set_training(self, training: bool = True) -> None:
        # Visiting all submodules at each step takes as long as a small layer.
        for name in (*self._modules, *self._criteria):
            module = getattr(self, f"{name}_")
            if isinstance(module, nn.Module) and module.training != training:
                module.train(training)

    _silent: frozenset[str] = frozenset()

    def _silent_steps(self, iterator: Any) -> Any:
        """Take the steps of an epoch without events for callbacks, if that is faster.

        Yield losses and numbers of rows; nothing if the steps must be taken one by one.
        """
        return ()

    def notify(self, method_name: str, **kwargs: Any) -> None:
        if method_name not in self._silent:
            super().notify(method_name, **kwargs)

    def fit_loop(self, *args: Any, **kwargs: Any) -> NeuralNet:
        try:
            return super().fit_loop(*args, **kwargs)
        except KeyboardInterrupt as error:
            self.interrupted_ = not _ends_training(error)
            raise

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
        self._silent = _silent_events(self.callbacks_, record_batches)
        losses = _Losses(_N_WAITING if training else 1)
        try:
            for loss, size in self._silent_steps(iterator) if training else ():
                losses.append(loss, size)
                if record_batches:
                    self.history.new_batch()
                    _record_batch(self.history, prefix, loss, size)
            for batch in () if len(losses) else iterator:
                self.notify("on_batch_begin", batch=batch, training=training)
                step = _step(step_fn, batch, training, fit_params)
                n_rows = _n_rows(batch)
                losses.append(step["loss"].detach(), n_rows)
                if record_batches:
                    _record_batch(self.history, prefix, step["loss"], n_rows)
                self.notify("on_batch_end", batch=batch, training=training, **step)
        finally:
            self._silent = frozenset()
        if not len(losses):
            raise ValueError(
                f"The {prefix} rows fill no batch: with drop_last, batch_size="
                f"{iterator.batch_size} must not exceed the number of rows."
            )
        self._record_epoch(prefix, losses.mean(), len(losses))

    def _record_epoch(self, prefix: str, loss: float, n_batches: int) -> None:
        lowest = self.lowest_losses_.get(prefix, math.inf)
        self.lowest_losses_[prefix] = min(loss, lowest)
        self.history.record(f"{prefix}_batch_count", n_batches)
        self.history.record(f"{prefix}_loss", loss)
        self.history.record(f"{prefix}_loss_best", loss < lowest)


_N_WAITING = 256


class _Losses:
    """Losses of the batches of an epoch.

    Reading the loss of each step separately would take time. Keeping the tensors of all
    steps would take memory: small tensors would block the memory of freed large ones.

    Parameters
    ----------
    n_waiting : int
        Number of batches whose losses are copied from the device at once.
    """

    def __init__(self, n_waiting: int) -> None:
        self._n_waiting = n_waiting
        self._waiting: list[Tensor] = []
        self._means: list[float] = []
        self._sizes: list[int] = []

    def __len__(self) -> int:
        return len(self._sizes)

    def append(self, loss: Tensor, n_rows: int) -> None:
        """Add the mean loss of a batch."""
        self._waiting.append(loss)
        self._sizes.append(n_rows)
        if len(self._waiting) == self._n_waiting:
            self._read()

    def _read(self) -> None:
        if self._waiting:
            self._means += torch.stack(self._waiting).tolist()
            self._waiting.clear()

    def mean(self) -> float:
        """Compute the mean loss of all rows."""
        self._read()
        total = sum(map(operator.mul, self._means, self._sizes))
        return total / sum(self._sizes)


class EndOfTraining(KeyboardInterrupt):
    """Exception that ends training: skorch stops at a KeyboardInterrupt."""


def _ends_training(error: KeyboardInterrupt) -> bool:
    """Return whether a callback of skorch ended training, and not the user.

    Both raise a KeyboardInterrupt. That of a callback comes from a `raise` in skorch.
    That of the user comes from any place in the program.
    """
    if isinstance(error, EndOfTraining):
        return True
    traceback: Any = error.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    package = traceback.tb_frame.f_globals.get("__name__", "").partition(".")[0]
    instruction = traceback.tb_frame.f_code.co_code[traceback.tb_lasti]
    return package == "skorch" and dis.opname[instruction] == "RAISE_VARARGS"


@contextmanager
def making_module(factory: Any) -> Iterator[None]:
    """Run a block that builds a module; errors name the class or function."""
    try:
        yield
    except ValueError:
        raise  # its message says what is wrong
    except Exception as error:
        name = getattr(factory, "__name__", type(factory).__name__)
        raise ValueError(
            f"The module {name} could not be built: {type(error).__name__}: {error}"
        ) from error


def check_made(module: Any) -> None:
    """Raise a ValueError if `module` is not a torch module."""
    if not isinstance(module, nn.Module):
        raise ValueError(
            "module must be, or return, a torch.nn.Module with the methods encode(x) "
            f"and decode(z). Got {type(module).__name__}."
        )


def _n_rows(batch: Any) -> int:
    X = batch[0]
    return len(X[0] if isinstance(X, tuple | list) else X)


def _step(step_fn: Any, batch: Any, training: bool, fit_params: Any) -> Any:
    try:
        return step_fn(batch, **fit_params)
    except ValueError as error:
        if training and _n_rows(batch) == 1:
            raise ValueError(
                f"A training batch of one row failed: {error}. Layers such as "
                "BatchNorm need at least two rows. Set batch_size so that no single "
                "row is left over, and pass more rows to partial_fit."
            ) from error
        raise


def _record_batch(history: Any, prefix: str, loss: Tensor, n_rows: int) -> None:
    history.record_batch(f"{prefix}_loss", loss.item())
    history.record_batch(f"{prefix}_batch_size", n_rows)


def is_overridden(callback: Any, event: str) -> bool:
    """Return whether a callback does something at an event."""
    return getattr(getattr(callback, event), "__func__", None) is not getattr(
        Callback, event
    )


def _silent_events(callbacks: Any, record_batches: bool) -> frozenset[str]:
    """Return the events of a step that no callback uses.

    For a small net, calling all callbacks takes a large part of the time of a step.
    """
    events = {"on_batch_begin", "on_batch_end", "on_grad_computed"}
    for name in tuple(events):
        if any(is_overridden(callback, name) for _, callback in callbacks):
            events.discard(name)
    if record_batches:
        events.discard("on_batch_begin")  # the net opens the record of the batch
    return frozenset(events)


def set_lr(net: TensorNet, lr: float) -> None:
    """Set the learning rate of a net. Rates of groups keep their ratio to it."""
    factor = lr / net.lr
    net.lr = lr
    for optimizer in net.optimizers():
        for group in optimizer.param_groups:
            group["lr"] *= factor


def forget_optimizer_state(net: TensorNet) -> None:
    """Reset the optimizers, because the weights have been replaced."""
    for optimizer in net.optimizers():
        optimizer.state.clear()
