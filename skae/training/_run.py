"""One run of training, from an initialised net to the state that is kept."""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from skorch.callbacks import Callback
from skorch.helper import predefined_split

from skae.training._batches import Rows
from skae.training._callbacks import EndRun, KeepState, RecordLoss, Watcher
from skae.training._tensor_net import TensorNet
from skae.training._threads import threads_for


class Run(NamedTuple):
    """Result of a run.

    Attributes
    ----------
    loss_curve : list of float
        Mean training loss of each epoch.

    validation_loss_curve : list of float
        Validation loss before the first step and after each epoch. It is empty if there
        are no validation rows.

    best_epoch : int
        Epoch whose state was kept; 0 is the state before the first step.

    best_loss : float
        Validation loss of that state, or training loss without validation rows.

    clean_validation_loss_curve : list of float
        Like `validation_loss_curve`, for the rows `clean`.

    diverged_at : int or None
        Epoch in which a loss was not finite.

    interrupted : bool
        Whether the user interrupted the run.

    stopped_early : bool
        Whether there was no improvement for `patience` epochs, or the watcher asked to
        stop.

    start : str
        Name of the state before the first step.

    why_start : str or None
        Reason why that state was kept, if it has a name.
    """

    loss_curve: list[float]
    validation_loss_curve: list[float]
    best_epoch: int
    best_loss: float
    clean_validation_loss_curve: list[float] = []  # noqa: RUF012
    diverged_at: int | None = None
    interrupted: bool = False
    stopped_early: bool = False
    start: str = "the start"
    why_start: str | None = None

    @property
    def kept(self) -> str:
        """Description of the state that was kept."""
        return f"that of epoch {self.best_epoch}" if self.best_epoch > 0 else self.start

    def in_units(self, unit: float) -> "Run":
        """Return a copy with the training losses divided by `unit`."""
        return self._replace(
            loss_curve=[loss / unit for loss in self.loss_curve],
            best_loss=self.best_loss / unit,
        )


def run(
    net: TensorNet,
    train: Rows,
    valid: Rows | None,
    *,
    clean: Rows | None = None,
    n_epochs: int,
    patience: int | None = None,
    tol: float = 0.0,
    callbacks: Sequence[Callback] = (),
    watcher: Watcher | None = None,
) -> Run:
    """Train an initialised net and leave it in the state that is kept.

    Parameters
    ----------
    net : TensorNet
        Initialised net, whose module is in the state to start from.

    train, valid : Rows
        Training and validation rows as tensors on the device of the net.

    clean : Rows, default=None
        Validation rows without noise, if `valid` has noise. Only their loss is
        recorded.

    n_epochs : int
        Maximum number of epochs.

    patience : int, default=None
        Number of epochs without improvement of the validation loss after which training
        stops. None never stops early.

    tol : float, default=0
        Smallest relative improvement that counts for `patience`.

    callbacks : sequence of skorch callbacks, default=()
        Callbacks for this run only, called before those of the net.

    watcher : Watcher, default=None
        Observer of the epochs. At the end of each epoch it gets a function that returns
        a copy of the net with its current weights, and the run so far.

    Returns
    -------
    run : Run
        Result of the run.
    """
    start_loss = None if valid is None else net.mean_loss(valid)
    keep = KeepState(start_loss, patience, tol)
    record_clean = None if clean is None else RecordLoss("clean_valid_loss", clean)
    n_before = len(net.history)

    def result(best_epoch: int, best_loss: float) -> Run:
        return _result(net, n_before, keep, record_clean, best_epoch, best_loss)

    own_callbacks = net.callbacks_

    def so_far() -> tuple[TensorNet, Run]:
        snapshot = _snapshot(net, own_callbacks)
        row = net.history[-1]
        loss = row["train_loss"] if valid is None else row["valid_loss"]
        return snapshot, result(keep.epoch_, loss)

    net.max_epochs = n_epochs
    net.interrupted_ = False
    first = [keep] if record_clean is None else [keep, record_clean]
    with _for_this_run(net, valid):
        net.callbacks_ = [
            *_named("run", *first, *callbacks),
            *own_callbacks,
            *_named("end_run", EndRun(keep, watcher, so_far)),
        ]
        _train(net, train)
    kept = result(keep.best_epoch_, keep.best_loss_)
    if kept.best_epoch == 0 and valid is None:
        # The loss of the start has not been computed yet.
        kept = kept._replace(best_loss=net.mean_loss(train))
    return kept


def _train(net: TensorNet, train: Rows) -> None:
    try:
        with threads_for(net):
            net.partial_fit(train.X, train.weight)
    except KeyError as error:
        if "not found in history" not in str(error):
            raise
        raise ValueError(
            f"A callback failed: {error.args[0]} valid_loss needs validation rows: set "
            "validation_fraction, X_val or early_stopping=True. partial_fit has no "
            "validation rows."
        ) from error


@contextmanager
def _for_this_run(net: TensorNet, valid: Rows | None) -> Iterator[None]:
    """Lend a net the validation rows and callbacks of a run.

    The net is kept and pickled without the data and objects of this run. Learning rates
    are restored, because a schedule ends at zero and would stop further training.
    """
    own_callbacks = net.callbacks_
    groups = [
        group for optimizer in net.optimizers() for group in optimizer.param_groups
    ]
    rates = [group["lr"] for group in groups]
    for group, rate in zip(groups, rates, strict=True):
        group["initial_lr"] = rate  # schedules start from it
    net.train_split = None if valid is None else predefined_split(valid)
    try:
        yield
    finally:
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
        net.train_split = None
        net.callbacks_ = own_callbacks
        net._set_training(False)


def _result(
    net: TensorNet,
    n_before: int,
    keep: KeepState,
    record_clean: RecordLoss | None,
    best_epoch: int,
    best_loss: float,
) -> Run:
    # An interrupted epoch does not count.
    epochs = net.history[n_before : n_before + keep.epoch_]
    validation = []
    if keep.start_loss is not None:
        validation = [keep.start_loss, *(row["valid_loss"] for row in epochs)]
    return Run(
        loss_curve=[row["train_loss"] for row in epochs],
        validation_loss_curve=validation,
        best_epoch=best_epoch,
        best_loss=best_loss,
        clean_validation_loss_curve=(
            [] if record_clean is None else list(record_clean.losses_)
        ),
        diverged_at=keep.diverged_at_,
        interrupted=net.interrupted_,
        stopped_early=keep.stopped_early_,
    )


def _snapshot(net: TensorNet, callbacks: Any) -> TensorNet:
    """Return a copy of a net in training that can be trained separately.

    It has the current weights, the given callbacks and no optimizer state.
    """
    # With copy.copy, skorch would pickle the module, but not every module can be
    # pickled.
    snapshot: Any = object.__new__(type(net))
    snapshot.__dict__.update(vars(net), module_=net.plain_module_)
    for name in (*net._modules, *net._criteria):
        snapshot.__dict__[f"{name}_"] = copy.deepcopy(snapshot.__dict__[f"{name}_"])
    snapshot.history_ = copy.copy(net.history)
    snapshot.reseed(net.seed)
    snapshot.initialize_optimizer()
    snapshot.train_split = None
    snapshot.callbacks_ = callbacks
    snapshot._set_training(False)
    return snapshot


def _named(name: str, *callbacks: Callback) -> list[tuple[str, Callback]]:
    """Initialise callbacks and name them, as skorch expects."""
    return [(f"{name}_{i}", each.initialize()) for i, each in enumerate(callbacks)]
