"""From parameters and rows to a trained net: how all estimators are fitted."""

import copy
import math
from abc import abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.random import sample_without_replacement
from skorch.callbacks import Callback, PrintLog
from torch import nn

from skae import _checks as checks
from skae._report import report, unchanged_on_error, warn
from skae._sklearn_compat import (
    HasMethods,
    Interval,
    StrOptions,
    check_sample_weight,
    fit_context,
)
from skae._tasks import CallbackSupportMixin, FitTasks
from skae.losses import LOSSES
from skae.noise import Noise, draws_globally
from skae.training import (
    AutoencoderNet,
    LargeTable,
    ProgressBar,
    Rows,
    Run,
    Table,
    dense_rows,
    device_rows,
    float_tensor,
    is_better,
    n_rows_in,
    private_generator,
    recipe,
    run,
    schedule_callbacks,
    spread_sample,
    take_rows,
    threads_for,
)

# Fewer rows cannot tell an improvement on the start from luck.
_MIN_VALIDATION_ROWS = 10
# With fewer noisy rows, the draw of the noise would decide.
_MIN_NOISY_ROWS = 512
# Validation rows are kept in memory: of a larger table, a smaller share of the rows.
_VALIDATION_BYTES = 2**27


class FittedByTraining(CallbackSupportMixin, BaseEstimator):
    """How an autoencoder is fitted: its parameters, what a subclass decides, `fit`."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "loss": [StrOptions(set(LOSSES)), callable],
        "output": [StrOptions({"code", "hidden", "reconstruction"})],
        "optimizer": [StrOptions(set(recipe.OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "lr_schedule": [
            StrOptions({"auto", "cosine", "one_cycle"}),
            HasMethods("on_train_begin"),
            callable,
            None,
        ],
        "max_epochs": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "batch_size": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "early_stopping": ["boolean"],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "tol": [Interval(Real, 0, None, closed="left")],
        "callbacks": [list, None],
        "net_params": [dict, None],
        "device": [str, torch.device],
        "warm_start": ["boolean"],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    best_epoch_: int
    loss_curve_: list[float]
    validation_loss_curve_: list[float]
    clean_validation_loss_curve_: list[float]

    # What an estimator without these parameters has.
    module: Any = None
    noise: Any = None

    # What a subclass decides

    _net_class: ClassVar[type[AutoencoderNet]] = AutoencoderNet
    # The network, unless `module` is another one.
    _module_class: ClassVar[type[nn.Module]]

    @abstractmethod
    def _module_factory(
        self, X: Table, stream: bool = False
    ) -> tuple[Any, dict[str, Any]]:
        """Class (or instance, or callable) of the module, and its arguments."""

    def _noise(self) -> Noise | None:
        """Noise on the encoder's input in training."""
        return None

    def _fit_noise(
        self, net: AutoencoderNet, X: Table, sample_weight: np.ndarray | None
    ) -> None:
        """Fit the noise that the user asked for to the training rows."""

    def _denoises(self) -> bool:
        """Whether the noise is what the user asked for: validation then has it, too."""
        return False

    def _weight_decay(
        self, X: Table, module_arguments: dict[str, Any], stream: bool
    ) -> float:
        """Weight decay for a module with those arguments."""
        return self.weight_decay

    def _net_options(self) -> dict[str, Any]:
        """Further arguments of the net."""
        return {}

    def _start(
        self, net: AutoencoderNet, X: Table, sample_weight: np.ndarray | None
    ) -> None:
        """Set the state before the first step, from the training rows."""

    def _pretrain(
        self, net: AutoencoderNet, train: Rows, valid: Rows | None, tasks: FitTasks
    ) -> bool:
        """Train parts of the module first; tell whether to go on with the whole."""
        return True

    def _describe(
        self, net: AutoencoderNet, X: Table, sample_weight: np.ndarray | None
    ) -> None:
        """Set fitted attributes that tell of a trained net and its training rows."""

    def _start_is_floor(self) -> bool:
        """Whether the start is kept unless training improves on it significantly."""
        return False

    def _start_name(self) -> str | None:
        """Name of what the first entry of `validation_loss_curve_` is the loss of."""
        # A fit that went on from an earlier one started at that.
        if self._start_is_floor() and not self.warm_start:
            return self._closed_form_name
        return None

    # What the start is, where that has a name, such as "PCA".
    _closed_form_name: str | None = None

    # A state other than the start that is kept unless training beats it, in words for
    # messages, such as "PCA". A class that has one overrides the two methods below.
    _floor_name: ClassVar[str] = "the start"

    def _has_floor(self) -> bool:
        """Whether there is a state that training has to beat: the start, or another."""
        return self._start_is_floor()

    def _set_floor(
        self, net: AutoencoderNet, X: Table, sample_weight: np.ndarray | None
    ) -> None:
        """Set the state that training has to beat, from the training rows."""
        self._start(net, X, sample_weight)

    def _as_table(self, X: Any, *, reset: bool) -> Any:
        """Give the rows as a table where a subclass takes other shapes, too.

        `reset` tells that they are those of a new fit, whose shape is remembered.
        """
        return X

    def _as_given(self, rows: np.ndarray) -> np.ndarray:
        """Give rows the shape of those that `fit` was given."""
        return rows

    def _n_channels(self) -> int | None:
        """Values in a step, where rows are series that may end in NaN; else None."""
        return None

    def _uses_logits(self) -> bool:
        """Whether the loss is taken from `decode_logits`, the stable form."""
        return False

    # Fitting

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
    ) -> Self:
        """Train the autoencoder.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. Of a table that would take more than 512 MiB as float32 (of
            a sparse matrix, 64 MiB), no dense copy is made: it is read block by block,
            and may be a memory-mapped file larger than memory.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows: in the loss, in the centring and in the start. Weight
            2 counts as the row twice, weight 0 as the row left out.

        X_val : array-like of shape (n_val, n_features), default=None
            Validation rows. All rows of `X` then train, whatever
            `validation_fraction` says. Of a large table, a sample is taken. For `X_val`
            to pass through the steps of a pipeline, name it in the pipeline's
            `transform_input`.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is not valid, or does not fit `X`. An estimator that was
            fitted before stays as it was.
        """
        tasks = FitTasks(self, X, X if y is None else y, sample_weight)
        with unchanged_on_error(self):
            warm = self.warm_start and hasattr(self, "net_")
            table, sample_weight = self._check_rows(X, sample_weight, reset=not warm)
            table_val = None
            if X_val is not None:
                table_val = self._check_X(X_val, name="X_val", reset=False)
            if not warm:
                self._begin_anew()
            net = self._make_net(table)
            if warm:
                self._take_over_state(net)
            with threads_for(net):
                result, n_epochs = self._fit_net(
                    net, table, sample_weight, table_val, warm, tasks
                )
                self._describe(net, table, sample_weight)
            self._store(net, result)
            report(self, result, n_epochs, lr=net.lr)
            tasks.end()
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one pass over the given rows, going on from the present state.

        The first call starts as `fit` does, from the rows of that call. All calls
        share one optimizer, at a constant learning rate; of the parameters, only a
        number set for `lr` is looked at again. There are no validation rows: the last
        state is the one kept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the loss, and in the start of the first call.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        tasks = FitTasks(self, X, X if y is None else y, sample_weight)
        with unchanged_on_error(self):
            first = not hasattr(self, "net_")
            table, sample_weight = self._check_rows(X, sample_weight, reset=first)
            if first:
                self._begin_anew()
                net = self._make_net(table, stream=True)
                curve = []
            else:
                net, curve = self.net_, self.loss_curve_
                if self._learning_rate() != "auto":
                    net.set_lr(self._lr())
            rows = self._rows(net, table, sample_weight)
            epochs_before = 0 if first else self.best_epoch_
            with threads_for(net), net.lending(rows):
                if first:
                    self._fit_noise(net, table, sample_weight)
                    self._start(net, table, sample_weight)
                    net.set_loss_unit(rows)
                go_on = not first or self._pretrain(net, rows, None, tasks)
                n_epochs = int(go_on)
                # An estimator after the epoch is the one after the whole call.
                watcher = tasks.epochs(n_epochs, None, "all layers")
                result = run(net, rows, None, n_epochs=n_epochs, watcher=watcher)
                self._describe(net, table, sample_weight)
            self._store(net, result)
            self.loss_curve_ = curve + result.loss_curve
            self.n_iter_ = len(self.loss_curve_)
            self.best_epoch_ = epochs_before + result.best_epoch
            report(self, result, 1, lr=net.lr)
            tasks.end()
        return self

    def _fit_net(
        self,
        net: AutoencoderNet,
        X: Table,
        sample_weight: np.ndarray | None,
        X_val: Table | None,
        warm: bool,
        tasks: FitTasks,
    ) -> tuple[Run, int]:
        """Hold out, start, train, and decide which state is kept."""
        floor = self._has_floor()
        X_train, weight, X_val, weight_val = self._split(X, sample_weight, X_val, floor)
        too_few = floor and X_val is None and self.validation_fraction is not None
        if self.early_stopping and X_val is None and not too_few:
            raise ValueError(
                "early_stopping=True needs validation rows, and there are none: pass "
                "X_val to fit, or set validation_fraction so that it leaves some of "
                f"the {len(X)} rows of X."
            )

        train = self._rows(net, X_train, weight)
        net.set_loss_unit(train)
        with net.lending(train):
            self._fit_noise(net, X_train, weight)
            if not warm:
                self._start(net, X_train, weight)
            if too_few:
                if not (warm or self._start_is_floor()):
                    self._set_floor(net, X, sample_weight)
                    self._warn_of_floor(
                        f"X has {len(X)} rows, too few to hold out "
                        f"{_MIN_VALIDATION_ROWS} of them, which it takes to tell "
                        "whether training is of use"
                    )
                rows = self._validation_rows(net, X_train, weight)
                loss = net.mean_loss(rows)
                return Run([], [], best_epoch=0, best_loss=loss, start_kept=True), 0
            valid = clean = None
            if X_val is not None:
                valid = self._validation_rows(net, X_val, weight_val)
                clean = self._rows(net, X_val, weight_val) if self._denoises() else None
            start_losses = None
            if valid is not None:
                start_losses = self._losses_to_beat(net, valid, X_train, weight, warm)
            go_on = warm or self._pretrain(net, train, valid, tasks)
            n_epochs = self._n_epochs(net, len(train)) if go_on else 0
            result = run(
                net,
                train,
                valid,
                clean=clean,
                n_epochs=n_epochs,
                patience=self._patience(n_epochs),
                tol=self.tol,
                callbacks=self._run_callbacks(net, len(train), n_epochs),
                watcher=tasks.epochs(
                    n_epochs,
                    lambda net, result: self._fitted_so_far(
                        net, result, X, sample_weight
                    ),
                    "all layers",
                ),
            )
            if not floor or X_val is None or valid is None or start_losses is None:
                return result, n_epochs

            def restart() -> None:
                if warm:
                    self._take_over_state(net)
                else:
                    self._set_floor(net, X, sample_weight)

            if not self._keep_better(
                net, valid, len(X_val), weight_val, start_losses, restart
            ):
                start_loss = valid.average(start_losses)
                result = result._replace(
                    best_epoch=0, best_loss=start_loss, start_kept=True
                )
                if not warm:
                    self._warn_of_floor(
                        f"in {len(result.loss_curve)} epochs, training did not beat "
                        f"{self._floor_name} with as many components on held-out rows"
                    )
        return result, n_epochs

    def _losses_to_beat(
        self,
        net: AutoencoderNet,
        valid: Rows,
        X: Table,
        sample_weight: np.ndarray | None,
        warm: bool,
    ) -> np.ndarray:
        """Losses of the validation rows in the state that training has to beat."""
        if warm or self._start_is_floor() or not self._has_floor():
            return net.row_losses(valid)
        start = copy.deepcopy(net.plain_module_.state_dict())
        self._set_floor(net, X, sample_weight)
        losses = net.row_losses(valid)
        net.plain_module_.load_state_dict(start)
        return losses

    def _warn_of_floor(self, reason: str) -> None:
        """Say that the state kept is neither the start nor what was trained."""
        if self._start_is_floor():
            return
        warn(
            f"{type(self).__name__}: {reason}. What is kept is {self._floor_name}, of "
            "all rows. Try more rows, another n_components or a larger max_epochs; "
            "init='random' keeps what is trained, better or not.",
            ConvergenceWarning,
        )

    @staticmethod
    def _keep_better(
        net: AutoencoderNet,
        valid: Rows,
        n_val: int,
        weight: np.ndarray | None,
        start_losses: np.ndarray,
        restart: Callable[[], None],
    ) -> bool:
        """Keep the state trained if it is better than the start; tell whether it is.

        What is kept otherwise is the state taken over, or the start from all rows.
        That has seen the rows held out, but a row like no other may be among them, and
        the state trained has not learned it: it has to be better than this one, too.
        """
        losses = net.row_losses(valid)
        trained = copy.deepcopy(net.plain_module_.state_dict())
        restart()
        # Of noisy rows there are copies, one after the other.
        losses, start_losses, other_losses = (
            each.reshape(-1, n_val).mean(axis=0)
            for each in (losses, start_losses, net.row_losses(valid))
        )
        gain = np.average(other_losses - losses, weights=weight)
        better = is_better(losses, start_losses, weight, net.logarithmic_loss)
        if gain > 0 and better:
            net.plain_module_.load_state_dict(trained)
            return True
        net.forget_optimizer_state()
        return False

    def _validation_rows(
        self, net: AutoencoderNet, X: Table, sample_weight: np.ndarray | None
    ) -> Rows:
        """Rows to validate on; for a denoiser, noisy copies of them beside them."""
        rows = self._rows(net, X, sample_weight)
        if not self._denoises():
            return rows
        # Drawn once: the curve shows what is learned, not what is drawn.
        generator = torch.Generator(net.device).manual_seed(self._split_seed)
        n_copies = math.ceil(_MIN_NOISY_ROWS / len(X))
        clean = rows.X.repeat(n_copies, 1)
        weight = None if rows.y is None else rows.y.repeat(n_copies)
        return Rows((net.corrupt(clean, generator), clean), weight)

    def _split(
        self,
        X: Table,
        sample_weight: np.ndarray | None,
        X_val: Table | None,
        floor: bool,
    ) -> tuple[Table, np.ndarray | None, np.ndarray | None, np.ndarray | None]:
        """Training rows and weights, validation rows and weights."""
        if X_val is not None:
            X_val, _ = dense_rows(X_val, None)
            if floor and len(X_val) < _MIN_VALIDATION_ROWS:
                raise ValueError(
                    f"X_val has {len(X_val)} rows; at least {_MIN_VALIDATION_ROWS} are "
                    "needed to tell an improvement on the start from luck. Pass more, "
                    "or set init='random'."
                )
            return X, sample_weight, X_val, None
        if self.validation_fraction is None:
            return X, sample_weight, None, None
        held_out = self._hold_out(X, floor)
        if not held_out.any():
            return X, sample_weight, None, None
        weight = weight_val = None
        if sample_weight is not None:
            weight, weight_val = sample_weight[~held_out], sample_weight[held_out]
        return take_rows(X, ~held_out), weight, X[held_out], weight_val

    def _hold_out(self, X: Table, floor: bool) -> np.ndarray:
        """Mask of the validation rows; for the same rows it is the same.

        So a fit that goes on from an earlier one holds out what that one did.
        """
        n_samples = len(X)
        n_val = int(self.validation_fraction * n_samples)
        needed = _MIN_VALIDATION_ROWS if floor else 1
        # A tenth of the rows is enough of a larger table: there the fraction is wrong.
        if n_val < needed <= n_samples // 10:
            raise ValueError(
                f"validation_fraction={self.validation_fraction} leaves {n_val} of the "
                f"{n_samples} rows of X to validate on, and at least {needed} are "
                f"needed: set it to {needed / n_samples:.2g} or more, or to None to "
                "train on all rows."
            )
        held_out = np.zeros(n_samples, dtype=bool)
        if n_val < needed:
            return held_out
        if isinstance(X, LargeTable):
            n_val = min(n_val, max(needed, n_rows_in(_VALIDATION_BYTES, X.shape[1])))
            index = sample_without_replacement(
                n_samples, n_val, random_state=self._split_seed
            )
        else:
            index = spread_sample(X, n_val, self._split_seed)
        held_out[index] = True
        return held_out

    def _begin_anew(self) -> None:
        """Begin a fit that owes nothing to an earlier one."""
        self._rng = private_generator(self.random_state)
        self._split_seed = self._seed()

    def _own_module(self) -> bool:
        """Whether the module is the user's, of which nothing is known."""
        return self.module is not None

    def _seed(self) -> int:
        return int(self._rng.randint(2**31 - 1))

    def _learning_rate(self) -> float | str:
        """Give the parameter that the whole module is trained at."""
        return self.lr

    def _lr(self) -> float:
        lr = self._learning_rate()
        return recipe.learning_rate(self.optimizer) if isinstance(lr, str) else lr

    def _uses_lbfgs(self) -> bool:
        optimizer = recipe.OPTIMIZERS.get(self.optimizer, self.optimizer)
        return optimizer is torch.optim.LBFGS

    def _make_net(
        self,
        X: Table,
        stream: bool = False,
        module: tuple[Any, dict[str, Any]] | None = None,
    ) -> AutoencoderNet:
        """Build an initialised net for rows like those of `X`.

        `stream` tells that more rows are to come; `module` is a factory and all of its
        arguments, in place of what `_module_factory` would give, of a module that was
        fitted and needs no more checks.
        """
        checks.check_loss(self.loss)
        checks.check_optimizer(self.optimizer)
        checks.check_schedule(self.lr_schedule)
        checks.check_net_params(
            self,
            set_here={
                "emphasis",
                "from_logits",
                "guard_random_state",
                "loss_unit",
                "module",
                "noise",
                "seed",
            },
            instead={"criterion": "loss", "train_split": "validation_fraction"},
        )
        factory, arguments = module or self._module_factory(X, stream)
        weight_decay = self._weight_decay(X, arguments, stream)
        if self.optimizer == "lbfgs" and weight_decay > 0:
            raise ValueError(
                "optimizer='lbfgs' has no weight decay. Set weight_decay=0, or use "
                f"another optimizer. Got weight_decay={weight_decay}."
            )
        arguments = {f"module__{name}": value for name, value in arguments.items()}
        if module is None:
            arguments.update(self._net_params(of_module=True))
        net = self._net(
            factory,
            len(X),
            criterion=nn.BCEWithLogitsLoss
            if self._uses_logits()
            else self._criterion(),
            noise=self._noise(),
            from_logits=self._uses_logits(),
            weight_decay=weight_decay,
            **self._net_options(),
            **arguments,
        )
        if "iterator_valid__batch_size" not in (self.net_params or {}):
            net.iterator_valid__batch_size = recipe.evaluation_rows(
                net.plain_module_, X.shape[1]
            )
        if module is not None:
            return net
        with torch.no_grad(), net.private_random_state_:
            net.module_.eval()
            rows = float_tensor(X[:2], net.device, copy=True)
            self.n_components_ = checks.check_module(
                net.plain_module_,
                rows,
                unit_interval=self.loss == "binary_cross_entropy",
            )
            if self.output == "hidden":
                checks.check_hidden(net.plain_module_, rows)
        return net

    def _criterion(self) -> Any:
        if self._uses_logits():
            return nn.BCEWithLogitsLoss
        return LOSSES[self.loss] if isinstance(self.loss, str) else self.loss

    def _net(
        self,
        factory: Any,
        n_samples: int,
        *,
        noise: Noise | None,
        weight_decay: float,
        **arguments: Any,
    ) -> AutoencoderNet:
        """Build an initialised net as the parameters for training ask."""
        device = checks.check_device(self.device)
        options = recipe.optimizer_options(self.optimizer, device)
        if weight_decay > 0:
            options["weight_decay"] = weight_decay
        return self._net_class(
            factory,
            noise=noise,
            guard_random_state=self._own_module()
            or (noise is not None and draws_globally(noise)),
            seed=self._seed(),
            optimizer=recipe.OPTIMIZERS.get(self.optimizer, self.optimizer),
            batch_size=self._batch_size(n_samples),
            callbacks=self.callbacks,
            device=str(device),
            verbose=int(self.verbose >= 2),
            **{
                "lr": self._lr(),
                **{f"optimizer__{name}": value for name, value in options.items()},
                **arguments,
                **self._net_params(of_module=False),
            },
        ).initialize()

    def _net_params(self, *, of_module: bool) -> dict[str, Any]:
        """Give those of `net_params` that are for the module, or all others."""
        return {
            name: value
            for name, value in (self.net_params or {}).items()
            if name.startswith("module__") == of_module
        }

    def _take_over_state(self, net: AutoencoderNet) -> None:
        try:
            net.plain_module_.load_state_dict(self.net_.plain_module_.state_dict())
            if net.noise_ is not None and self.noise is None:
                net.noise_.load_state_dict(self.net_.noise_.state_dict())
        except RuntimeError as error:
            raise ValueError(
                "warm_start=True goes on from the fitted module, but the parameters "
                "now ask for another one: set them as they were, or set "
                f"warm_start=False. {error}"
            ) from error

    def _rows(
        self, net: AutoencoderNet, X: Table, sample_weight: np.ndarray | None
    ) -> Rows:
        """Rows on the device, with weights of mean one."""
        rows: Any
        if isinstance(X, LargeTable):
            rows = device_rows(X, torch.device(net.device))
        else:
            rows = float_tensor(X, net.device, copy=self._own_module())
        if sample_weight is None:
            return Rows(rows)
        return Rows(
            rows, float_tensor(sample_weight / sample_weight.mean(), net.device)
        )

    def _batch_size(self, n_samples: int) -> int:
        if self.batch_size == "auto":
            return recipe.batch_size(self.optimizer, n_samples, self._denoises())
        return self.batch_size

    def _n_epochs(self, net: AutoencoderNet, n_samples: int) -> int:
        if self.max_epochs == "auto":
            return recipe.n_epochs(self.optimizer, n_samples, net.batch_size)
        return self.max_epochs

    def _patience(self, n_epochs: int) -> int | None:
        if not self.early_stopping:
            return None
        if self.n_iter_no_change == "auto":
            return recipe.patience(n_epochs)
        return self.n_iter_no_change

    def _run_callbacks(
        self, net: AutoencoderNet, n_samples: int, n_epochs: int, part: str = ""
    ) -> list[Callback]:
        n_steps = n_epochs * math.ceil(n_samples / net.batch_size)
        if n_steps == 0:
            return []
        schedule = self.lr_schedule
        if schedule == "auto":
            schedule = None if self.optimizer == "lbfgs" else "one_cycle"
        callbacks = schedule_callbacks(schedule, n_steps)
        if self.verbose == 1:
            callbacks.append(ProgressBar(type(self).__name__ + part, n_steps))
        elif self.verbose >= 2:
            callbacks.append(PrintLog())
        return callbacks

    def _store(self, net: AutoencoderNet, result: Run) -> None:
        """Set the fitted attributes."""
        self.net_ = net
        self.loss_curve_ = result.loss_curve
        self.validation_loss_curve_ = result.validation_loss_curve
        self.n_iter_ = len(result.loss_curve)
        self.best_epoch_ = result.best_epoch
        self.best_loss_ = result.best_loss
        if self._denoises():
            self.clean_validation_loss_curve_ = result.clean_validation_loss_curve

    def _fitted_so_far(
        self,
        net: AutoencoderNet,
        result: Run,
        X: Table,
        sample_weight: np.ndarray | None,
    ) -> dict[str, Any]:
        """Give the attributes of an estimator that has been fitted so far."""
        fitted = copy.copy(self)
        fitted._describe(net, X, sample_weight)
        fitted._store(net, result)
        return fitted.__dict__

    def _training_in_words(self) -> str:
        start = self._start_name() or "the start"
        kept = f"that of epoch {self.best_epoch_}"
        if self.best_epoch_ == 0:
            other_floor = self._has_floor() and not self._start_is_floor()
            kept = self._floor_name if other_floor and not self.warm_start else start
        # Without validation rows, or with too few, the loss is that of training rows.
        curve = self.validation_loss_curve_
        text = (
            f"Epochs trained: {self.n_iter_}. State kept: {kept}, with "
            f"{'validation' if curve else 'training'} loss {self.best_loss_:.4g}"
        )
        if curve and self.best_epoch_ > 0:
            text += f" ({start}: {curve[0]:.4g})"
        return text + "."

    # Data

    def _check_X(self, X: Any, *, name: str = "X", reset: bool) -> Table:
        return checks.check_table(
            self,
            self._as_table(X, reset=reset),
            name=name,
            reset=reset,
            unit_interval=self.loss == "binary_cross_entropy",
            n_channels=self._n_channels(),
        )

    def _check_rows(
        self, X: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Table, np.ndarray | None]:
        """Training rows and weights, without the rows that count nothing."""
        X = self._check_X(X, reset=reset)
        if sample_weight is None:
            return X, None
        sample_weight = check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
        counts = sample_weight > 0
        if not counts.any():
            raise ValueError(
                "sample_weight is zero for every row: at least one row needs a "
                "positive weight."
            )
        if counts.all():
            return X, sample_weight
        return take_rows(X, counts), sample_weight[counts]
