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
from skorch.callbacks import Callback, PrintLog
from torch import nn

from skae import _checks as checks
from skae._inputs import plain
from skae._report import report, unchanged_on_error, warn
from skae._sklearn_compat import (
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
)
from skae._tasks import CallbackSupportMixin, FitTasks
from skae.losses import LOSSES
from skae.noise import Noise, draws_globally
from skae.training import (
    MIN_VALIDATION_ROWS,
    AutoencoderNet,
    LargeTable,
    Pairs,
    ProgressBar,
    Rows,
    Run,
    Split,
    StreamedRows,
    Table,
    count_distinct,
    dense_rows,
    device_rows,
    distinct_with_weights,
    float_tensor,
    has_schedule,
    hold_out,
    inputs_of,
    is_better,
    own_modes,
    private_generator,
    recipe,
    run,
    schedule_callbacks,
    share_in,
    show,
    take_rows,
    threads_for,
)

# Fewer rows say little of centre and scale.
_MIN_FIRST_ROWS = 30
# With fewer noisy rows, the draw of the noise would decide.
_MIN_NOISY_ROWS = 512


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
    n_features_in_: int

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

    # What the start is, where that has a name, such as "PCA".
    _closed_form_name: str | None = None

    # What `validation_loss_curve_` begins with, if that has a name, and the state that
    # is kept if `best_epoch_` is 0.
    _start_name: str | None
    _epoch_0: str

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

    def _shape_of_row(self) -> tuple[int, ...]:
        """Shape of a row, as `fit` was given it: that of an image, for instance."""
        return (self.n_features_in_,)

    def _as_given(self, rows: np.ndarray) -> np.ndarray:
        """Give rows the shape of those that `fit` was given."""
        return rows.reshape(len(rows), *self._shape_of_row())

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
        groups: ArrayLike | None = None,
    ) -> Self:
        """Train the autoencoder.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows. Of a table that would take more than 512 MiB as float32 (of
            a sparse matrix, 64 MiB), no dense copy is made: it is read block by block,
            and may be a memory-mapped file larger than memory.

        y : None
            Ignored. A warning says so if it has the shape of `X` and other values:
            :class:`DenoisingAutoencoder` is for such pairs of rows.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows: in the loss, in the centring and in the start. Weight
            2 counts as the row twice, weight 0 as the row left out. What all of them
            are multiplied by changes nothing.

        X_val : array-like of shape (n_val, n_features), default=None
            Validation rows. All rows of `X` then train, whatever
            `validation_fraction` says. Of a large table, a sample is taken. Copies
            count as one row; a warning tells if most are rows of `X`, too. For `X_val`
            to pass through the steps of a pipeline, name it in the pipeline's
            `transform_input`.

        groups : array-like of shape (n_samples,), default=None
            Labels of groups, such as patients, or recordings that windows are cut
            from. No group is on both sides when rows are held out. None is for rows
            that know nothing of each other; copies of a row are kept together in any
            case. Not used with `X_val`, or without a `validation_fraction`.

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
        return self._fit(X, y, sample_weight, X_val, groups)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        X_val: Any,
        groups: Any,
        y_val: Any = None,
    ) -> Self:
        tasks = FitTasks(self, X, X if y is None else y, sample_weight)
        with own_modes(), unchanged_on_error(self):
            warm = self.warm_start and hasattr(self, "net_")
            table, sample_weight, groups = self._check_rows(
                X, y, sample_weight, groups, reset=not warm
            )
            self._set_weight_unit(sample_weight)
            sample_weight = self._in_weight_units(table, sample_weight)
            table_val = self._check_validation_rows(X_val, y_val)
            if not warm:
                self._begin_anew()
            net = self._make_net(table)
            if warm:
                self._take_over_state(net)
            with threads_for(net):
                result, n_epochs = self._fit_net(
                    net, table, sample_weight, groups, table_val, warm, tasks
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

        The first call starts as `fit` does, from the rows of that call: centre, scale,
        start and unit of the loss stay as they are then. So let these rows be many, and
        typical of all; a warning says so if they are fewer than 30, or than
        `n_components`, or all the same. All calls
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
            Weights of the rows in the loss, and in the start of the first call. They
            compare across calls: a row of weight 2 counts twice as much as a row of
            weight 1, or without a weight, in another call. What the weights of all
            calls, and of an earlier `fit`, are multiplied by changes nothing.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        return self._partial_fit(X, y, sample_weight)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> Self:
        tasks = FitTasks(self, X, X if y is None else y, sample_weight)
        with own_modes(), unchanged_on_error(self):
            first = not hasattr(self, "net_")
            table, sample_weight, _ = self._check_rows(X, y, sample_weight, reset=first)
            if first:
                self._set_weight_unit(sample_weight)
                self._begin_anew()
                net = self._make_net(table, stream=True)
                self._warn_of_few_first_rows(table)
                curve = []
            else:
                net, curve = self.net_, self.loss_curve_
                self._check_goes_on(net, table)
                if self._learning_rate() != "auto":
                    net.set_lr(self._lr())
            start = self._name_start(warm=not first)
            sample_weight = self._in_weight_units(table, sample_weight)
            rows = self._rows(net, table, sample_weight)
            epochs_before = 0 if first else self.best_epoch_
            with threads_for(net), net.lending(rows):
                if first:
                    self._fit_noise(net, table, sample_weight)
                    self._start(net, table, sample_weight)
                    self._check_offset(net)
                    net.set_loss_unit(rows)
                go_on = not first or self._pretrain(net, rows, None, tasks)
                n_epochs = int(go_on)
                # An estimator after the epoch is the one after the whole call.
                watcher = tasks.epochs(n_epochs, None, "all layers")
                result = run(
                    net,
                    rows,
                    None,
                    n_epochs=n_epochs,
                    callbacks=self._step_callbacks(),
                    watcher=watcher,
                )._replace(start=start)
                self._describe(net, table, sample_weight)
            if sample_weight is not None:
                # The weights decide how much the rows count, not what the loss is.
                result = result.in_units(float(sample_weight.mean()))
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
        groups: np.ndarray | None,
        X_val: Any,
        warm: bool,
        tasks: FitTasks,
    ) -> tuple[Run, int]:
        """Hold out, start, train, and decide which state is kept."""
        floor = self._has_floor()
        start = self._name_start(warm)
        split = self._split(X, sample_weight, groups, X_val, floor)
        X_train, weight, X_val = split.X, split.weight, split.X_val
        too_few = floor and X_val is None and self.validation_fraction is not None
        if self.early_stopping and X_val is None and not too_few:
            raise ValueError(
                "early_stopping=True needs validation rows, and there are none: pass "
                "X_val to fit, or set validation_fraction so that it leaves some of "
                f"the {self._count(X)} of X."
            )

        train = self._rows(net, X_train, weight)
        net.set_loss_unit(train)
        with net.lending(train):
            self._fit_noise(net, X_train, weight)
            if not warm:
                self._start(net, X_train, weight)
                self._check_offset(net)
            if too_few:
                if not (warm or self._start_is_floor()):
                    self._set_floor(net, X, sample_weight)
                    self._warn_of_floor(
                        f"X has {self._count(X)}, too few to hold out "
                        f"{MIN_VALIDATION_ROWS} of them, which it takes to tell "
                        "whether training is of use"
                    )
                if not warm:
                    start = self._floor_in_words()
                rows = self._validation_rows(net, X_train, weight)
                loss = net.mean_loss(rows)
                return Run([], [], best_epoch=0, best_loss=loss, start=start), 0
            valid = clean = None
            if X_val is not None:
                valid = self._validation_rows(net, X_val, split.weight_val)
                if self._denoises():
                    clean = self._rows(net, X_val, split.weight_val)
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
            )._replace(start=start)
            if not floor or X_val is None or valid is None or start_losses is None:
                return result, n_epochs

            def restart() -> None:
                if warm:
                    self._take_over_state(net)
                else:
                    self._set_floor(net, X, sample_weight)

            if not self._keep_better(net, valid, split, start_losses, restart):
                start_loss = valid.average(start_losses)
                result = result._replace(best_epoch=0, best_loss=start_loss)
                if not warm:
                    result = result._replace(start=self._floor_in_words())
                if not (warm or self._start_is_floor()):
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

    def _name_start(self, warm: bool) -> str:
        self._start_name = None
        if warm:
            self._start_name = "the earlier fit"
        elif self._start_is_floor():
            self._start_name = self._closed_form_name
        return self._start_name or "the start"

    def _floor_in_words(self) -> str:
        name = self._closed_form_name if self._start_is_floor() else None
        return name or self._floor_name

    def _check_offset(self, net: AutoencoderNet) -> None:
        if self._own_module():
            return
        module = net.plain_module_
        checks.check_offset(module.mean, module.scale)
        if hasattr(module, "output_mean"):
            checks.check_offset(module.output_mean, module.output_scale, "y")

    def _warn_of_few_first_rows(self, X: Table) -> None:
        """Warn if the rows of the first `partial_fit` cannot tell of the others."""
        if self.loss == "binary_cross_entropy":
            return  # nothing is found from them
        # Without a number, codes are as long as rows, or longer.
        needed = max(_MIN_FIRST_ROWS, self.n_components or 0)
        rows, _ = dense_rows(inputs_of(X), None)
        alike = len(X) > 1 and bool((rows == rows[0]).all())
        if len(X) < needed or alike:
            warn(
                f"{type(self).__name__}: the first call of partial_fit was given "
                f"{len(X)} row{'s' if len(X) > 1 else ''}"
                + (", all of them the same" if alike else "")
                + ". "
                "What it finds from them stays for all calls: centre, scale, start and "
                f"unit of the loss. Begin with {needed} rows or more that are typical "
                "of all."
            )

    def _warn_of_floor(self, reason: str) -> None:
        """Say that the state kept is neither the start nor what was trained."""
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
        split: Split,
        start_losses: np.ndarray,
        restart: Callable[[], None],
    ) -> bool:
        """Keep the state trained if it is better than the start; tell whether it is.

        What is kept otherwise is the state taken over, or the start from all rows.
        That has seen the rows held out, but a row like no other may be among them, and
        the state trained has not learned it: it has to be better than this one, too.
        """
        n_val = 0 if split.X_val is None else len(split.X_val)
        losses = net.row_losses(valid)
        trained = copy.deepcopy(net.plain_module_.state_dict())
        restart()
        # Of noisy rows there are copies, one after the other.
        losses, start_losses, other_losses = (
            each.reshape(-1, n_val).mean(axis=0)
            for each in (losses, start_losses, net.row_losses(valid))
        )
        gain = np.average(other_losses - losses, weights=split.weight_val)
        # Losses of the user's that are below zero have no logarithm.
        logarithmic = net.logarithmic_loss or min(losses.min(), start_losses.min()) < 0
        better = is_better(
            losses,
            start_losses,
            split.weight_val,
            split.groups_val,
            logarithmic=logarithmic,
        )
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
        groups: np.ndarray | None,
        X_val: Any,
        floor: bool,
    ) -> Split:
        """Rows to train on, and rows to validate on if there are any."""
        if X_val is not None:
            X_val, _ = dense_rows(X_val, None)
            self._check_held_out(X, X_val, floor)
            return Split(X, sample_weight, *distinct_with_weights(X_val))
        if self.validation_fraction is None:
            return Split(X, sample_weight)
        if groups is not None and groups.max() == 0:
            raise ValueError(
                "groups has one group alone, and rows are held out by whole groups. "
                "Give two groups or more, or pass X_val, or set "
                "validation_fraction=None to train on all rows."
            )
        return hold_out(
            X,
            sample_weight,
            groups,
            fraction=self.validation_fraction,
            needed=MIN_VALIDATION_ROWS if floor else 1,
            seed=self._split_seed,
        )

    def _check_held_out(self, X: Any, X_val: Any, floor: bool) -> None:
        """Refuse validation rows that tell nothing, and warn of those that train."""
        if floor and count_distinct(X_val) < MIN_VALIDATION_ROWS:
            raise ValueError(
                f"X_val has {self._count(X_val)}; at least {MIN_VALIDATION_ROWS} are "
                "needed to tell an improvement on the start from luck. Pass more, or "
                "set init='random'."
            )
        # A table in a file would have to be read for this alone.
        if not isinstance(inputs_of(X), LargeTable):
            share = share_in(X, X_val)
            if share > 0.5:
                warn(
                    f"{share:.0%} of the rows of X_val are rows of X, too. "
                    "What was learned by heart passes for an improvement on them: "
                    "leave them out of X, or let fit hold out rows itself."
                )

    @staticmethod
    def _count(X: Any) -> str:
        """Tell how many rows there are, and how many of them differ."""
        n_distinct = count_distinct(X)
        if n_distinct == len(X):
            return f"{len(X)} rows"
        return f"{n_distinct} distinct row{'s' if n_distinct > 1 else ''}"

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
        checks.check_loss(self.loss, self.net_params)
        checks.check_optimizer(self.optimizer)
        checks.check_schedule(self.lr_schedule)
        checks.check_callbacks(self.callbacks, self.net_params)
        checks.check_net_params(
            self,
            set_here={
                "emphasis",
                "copy_rows",
                "from_logits",
                "guard_random_state",
                "loss_unit",
                "module",
                "noise",
                "seed",
            },
            instead={"criterion": "loss", "train_split": "validation_fraction"}
            | ({} if self._own_module() else {"module__n_components": "n_components"}),
        )
        factory, arguments = module or self._module_factory(X, stream)
        weight_decay = self._weight_decay(X, arguments, stream)
        checks.check_weight_decay(self.optimizer, weight_decay)
        arguments = {f"module__{name}": value for name, value in arguments.items()}
        if module is None:
            arguments.update(self._net_params(of_module=True))
        if self._own_module():
            names = {name.removeprefix("module__"): None for name in arguments}
            checks.check_module_arguments(factory, names)
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
        with torch.no_grad(), net.guarded():
            net.module_.eval()
            rows = float_tensor(inputs_of(X)[:2], net.device, copy=True)
            self.n_components_ = checks.check_module(
                net.plain_module_,
                rows,
                unit_interval=self.loss == "binary_cross_entropy",
            )
            if not isinstance(self.loss, str):
                checks.check_criterion(net, rows)
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
        net_params = self._net_params(of_module=False)
        asked = {
            name.removeprefix("optimizer__"): net_params[name] for name in net_params
        }
        options = recipe.optimizer_options(self.optimizer, device, asked)
        if weight_decay > 0:
            options["weight_decay"] = weight_decay
        with checks.building_net(self):
            return self._net_class(
                factory,
                noise=noise,
                copy_rows=self._own_module(),
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
                    **net_params,
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
        """Rows on the device."""
        rows: Any
        # What callbacks and iterators of the user's do, nobody knows.
        copy = bool(self.callbacks or self.net_params)
        if isinstance(X, LargeTable):
            rows = device_rows(X, torch.device(net.device))
        elif isinstance(X, Pairs) and isinstance(X.inputs, LargeTable):
            rows = StreamedRows(X, net.device)
        elif isinstance(X, Pairs):
            rows = (
                float_tensor(X.inputs, net.device, copy=copy),
                float_tensor(X.targets, net.device, copy=copy),
            )
        else:
            rows = float_tensor(X, net.device, copy=copy)
        if sample_weight is None:
            return Rows(rows)
        return Rows(rows, float_tensor(sample_weight, net.device))

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

    def _step_callbacks(self) -> list[Callback]:
        """Callbacks that belong to each training step."""
        return []

    def _run_callbacks(
        self, net: AutoencoderNet, n_samples: int, n_epochs: int, part: str = ""
    ) -> list[Callback]:
        n_steps = n_epochs * math.ceil(n_samples / net.batch_size)
        if n_steps == 0:
            return []
        schedule = self.lr_schedule
        if schedule == "auto":
            constant = self.optimizer == "lbfgs" or has_schedule(self.callbacks)
            schedule = None if constant else "one_cycle"
        callbacks = [*self._step_callbacks(), *schedule_callbacks(schedule, n_steps)]
        if self.verbose == 1:
            callbacks.append(ProgressBar(type(self).__name__ + part, n_steps))
        elif self.verbose >= 2:
            callbacks.append(PrintLog(sink=show))
        return callbacks

    def _store(self, net: AutoencoderNet, result: Run) -> None:
        """Set the fitted attributes."""
        self.net_ = net
        self.loss_curve_ = result.loss_curve
        self.validation_loss_curve_ = result.validation_loss_curve
        self.n_iter_ = len(result.loss_curve)
        self.best_epoch_ = result.best_epoch
        self.best_loss_ = result.best_loss
        self._epoch_0 = result.start
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
        kept = f"that of epoch {self.best_epoch_}"
        if self.best_epoch_ == 0:
            kept = getattr(self, "_epoch_0", "the start")
        start = getattr(self, "_start_name", None) or "the start"
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

    # Whether masks say where rows end, so that NaN stands for what is masked.
    _ends_where_masked: ClassVar[bool] = False

    def _plain(self, X: Any, name: str = "X") -> Any:
        return plain(X, name, fill_masked=self._ends_where_masked)

    def _check_X(
        self, X: Any, *, name: str = "X", reset: bool, is_target: bool = True
    ) -> Table:
        return checks.check_table(
            self,
            self._as_table(self._plain(X, name), reset=reset),
            name=name,
            reset=reset,
            unit_interval=is_target and self.loss == "binary_cross_entropy",
            n_channels=self._n_channels(),
        )

    def _check_table(self, X: Any, y: Any, *, reset: bool) -> Any:
        """Check training rows, or pairs of them where a subclass has a use for `y`."""
        self._warn_of_targets(X, y)
        return self._check_X(X, reset=reset)

    def _warn_of_targets(self, X: Any, y: Any) -> None:
        """Warn if `y` is ignored though it looks like the rows to reconstruct."""
        if not checks.same_shape(X, y) or checks.shape_of(y)[1:] == (1,):
            return
        if not checks.same_rows(X, y):
            warn(
                f"{type(self).__name__} ignores y, which has the shape of X and other "
                "values: it reconstructs the rows of X. DenoisingAutoencoder takes "
                "pairs of rows, noisy ones as X and clean ones as y."
            )

    def _check_goes_on(self, net: AutoencoderNet, X: Any) -> None:
        """Refuse rows that the earlier calls of `partial_fit` do not go on with."""

    def _check_validation_rows(self, X: Any, y: Any) -> Any:
        if X is None:
            return None
        with checks.naming("X_val"):
            return self._check_X(X, name="X_val", reset=False)

    def _check_rows(
        self, X: Any, y: Any, sample_weight: Any, groups: Any = None, *, reset: bool
    ) -> tuple[Any, np.ndarray | None, np.ndarray | None]:
        """Training rows, weights and groups, without the rows that count nothing."""
        X = self._check_table(X, y, reset=reset)
        if groups is not None:
            groups = checks.check_groups(plain(groups, "groups"), X)
        if sample_weight is not None:
            sample_weight = checks.check_weights(sample_weight, X)
            counts = sample_weight > 0
            if not counts.all():
                X, sample_weight = take_rows(X, counts), sample_weight[counts]
                groups = None if groups is None else groups[counts]
        return X, sample_weight, groups

    def _set_weight_unit(self, sample_weight: np.ndarray | None) -> None:
        """Take the mean weight for one: what all are multiplied by changes nothing."""
        self._weight_unit = 1.0
        if sample_weight is not None:
            self._weight_unit = float(sample_weight.mean())

    def _in_weight_units(
        self, X: Any, sample_weight: np.ndarray | None
    ) -> np.ndarray | None:
        """Weights in units of the mean; None if all are one."""
        # Estimators in older files have no unit.
        unit = getattr(self, "_weight_unit", 1.0)
        if sample_weight is None and unit != 1:
            sample_weight = np.ones(len(X))
        if sample_weight is None or (sample_weight == unit).all():
            return None
        return sample_weight / unit
