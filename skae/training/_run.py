"""One run of training, from an initialised net to the state that is kept."""

from collections.abc import Sequence
from typing import NamedTuple

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
    record_clean = [] if clean is None else [RecordLoss("clean_valid_loss", clean)]
    n_before = len(net.history)
    net.max_epochs = n_epochs
    net.interrupted_ = False
    net.train_split = None if valid is None else predefined_split(valid)
    own_callbacks = net.callbacks_
    groups = [
        group for optimizer in net.optimizers() for group in optimizer.param_groups
    ]
    rates = [group["lr"] for group in groups]
    for group, rate in zip(groups, rates, strict=True):
        group["initial_lr"] = rate  # schedules start from it

    def result(best_epoch: int, best_loss: float) -> Run:
        # The last row of the history may be of an interrupted epoch.
        epochs = net.history[n_before : n_before + keep.epoch_]
        return Run(
            loss_curve=[row["train_loss"] for row in epochs],
            validation_loss_curve=(
                []
                if start_loss is None
                else [
                    start_loss,
                    *(row["valid_loss"] for row in epochs),
                ]
            ),
            best_epoch=best_epoch,
            best_loss=best_loss,
            clean_validation_loss_curve=(
                list(record_clean[0].losses_) if record_clean else []
            ),
            diverged_at=keep.diverged_at_,
            interrupted=net.interrupted_,
            stopped_early=keep.stopped_early_,
        )

    def so_far() -> tuple[TensorNet, Run]:
        snapshot = net.snapshot()
        snapshot.train_split = None
        snapshot.callbacks_ = own_callbacks
        snapshot._set_training(False)
        row = net.history[-1]
        loss = row["train_loss"] if valid is None else row["valid_loss"]
        return snapshot, result(keep.epoch_, loss)

    net.callbacks_ = [
        *_named("run", keep, *record_clean, *callbacks),
        *own_callbacks,
        *_named("end_run", EndRun(keep, watcher, so_far)),
    ]
    try:
        with threads_for(net):
            net.partial_fit(train.X, train.y)
    except KeyError as error:
        if "not found in history" not in str(error):
            raise
        raise ValueError(
            f"A callback failed: {error.args[0]} The history has a valid_loss only if "
            "there are validation rows. Set validation_fraction, pass X_val, or set "
            "early_stopping=True; partial_fit has none."
        ) from error
    finally:
        # The net is kept and may be pickled, so it must not hold data and objects of
        # this run. A schedule leaves a learning rate of zero, which would prevent
        # further training.
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
        net.train_split = None
        net.callbacks_ = own_callbacks
        net._set_training(False)
    kept = result(keep.best_epoch_, keep.best_loss_)
    if kept.best_epoch == 0 and valid is None:
        # The loss of the start has not been computed yet.
        kept = kept._replace(best_loss=net.mean_loss(train))
    return kept


def _named(name: str, *callbacks: Callback) -> list[tuple[str, Callback]]:
    """Initialise callbacks and name them, as skorch expects."""
    return [(f"{name}_{i}", each.initialize()) for i, each in enumerate(callbacks)]
