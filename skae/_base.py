"""What all autoencoders share: how `fit` turns parameters and rows into a plan."""

from abc import abstractmethod
from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import Tags

from skae import _checks as checks
from skae import _pairs as pairs
from skae._code_size import fit_for_share, is_share
from skae._codes import OrderedCodesMixin
from skae._fitted import FittedAutoencoderMixin
from skae._fitting import RecipeEstimator
from skae._halves import HalvesMixin
from skae._inputs import plain
from skae._plan import Plan
from skae._report import report, unchanged_on_error
from skae._shapes import FlatRows
from skae._sklearn_compat import Interval, StrOptions, fit_context
from skae._tasks import FitTasks
from skae._training import fit_net, pass_over, take_gaps_from_now_on
from skae.losses import LOSSES, as_loss
from skae.training import (
    Matrix,
    Run,
    Table,
    TensorNet,
    own_modes,
    set_lr,
    threads_for,
)


class BaseAutoencoder(
    OrderedCodesMixin, FittedAutoencoderMixin, HalvesMixin, RecipeEstimator
):
    """Base of the autoencoders.

    A subclass has a constructor with the parameters, and a method `_plan`.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **RecipeEstimator._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "loss": [StrOptions(set(LOSSES)), callable],
        "output": [StrOptions({"code", "hidden", "reconstruction"})],
        "warm_start": ["boolean"],
    }

    loss_curve_: list[float]
    validation_loss_curve_: list[float]
    clean_validation_loss_curve_: list[float]

    # Whether the estimator removes noise from rows and accepts pairs of rows.
    _takes_pairs: ClassVar[bool] = False

    @abstractmethod
    def _plan(self, table: Table, *, stream: bool = False) -> Plan:
        """Decide how to train on a table; `stream` says whether more rows will follow.

        A subclass calls `_planned` with its decisions.
        """

    def _planned(self, n_rows: int, **decisions: Any) -> Plan:
        criterion = as_loss(self.loss).criterion
        return super()._planned(n_rows, **{"criterion": criterion, **decisions})

    # Training rows

    @property
    def _form(self) -> FlatRows:
        """Form of the rows that `fit` received."""
        return FlatRows()

    def _begin_fit(self, X: Any) -> FlatRows:
        """Set the attributes of a new fit, and return the form of its rows."""
        return FlatRows()

    @property
    def _takes_gaps(self) -> bool:
        """Whether training rows may have missing values."""
        if self._has_user_module:
            return bool(getattr(self.module, "allow_nan", False))
        return self._fills_gaps

    def _check_X(
        self,
        X: Any,
        *,
        name: str = "X",
        reset: bool,
        is_target: bool = True,
        allow_nan: bool | None = None,
    ) -> Matrix:
        """Check rows, in any form that the estimator accepts, and return a table."""
        form = self._begin_fit(X) if reset else self._form
        return checks.check_table(
            self,
            form.to_table(X, name),
            name=name,
            reset=reset,
            loss=self.loss if is_target else None,
            n_channels=form.n_channels,
            allow_nan=self._takes_gaps if allow_nan is None else allow_nan,
        )

    def _missing(self, X: Matrix, name: str, *, columns: bool) -> bool:
        """Check missing values of training rows; return whether there may be some."""
        if self._takes_gaps:
            return checks.check_gaps(self, X, name, columns=columns)
        return self._form.n_channels is not None

    def _table(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
        *,
        reset: bool,
        goes_on: bool = False,
    ) -> Table:
        """Check training data, and leave out rows with a weight of zero.

        `goes_on` says that the module already fills missing values.
        """
        has_targets = pairs.has_targets(self, X, y, reset=reset)
        inputs = self._check_X(
            X,
            reset=reset,
            is_target=not has_targets,
            allow_nan=self._takes_new_gaps if goes_on else None,
        )
        targets = None
        if self._takes_pairs:
            self._fitted_to_pairs = has_targets
            if has_targets:
                targets = checks.check_targets(self, y, inputs, loss=self.loss)
            else:
                pairs.check_ignored(self, inputs, y)
        if groups is not None:
            groups = checks.check_groups(plain(groups, "groups"), inputs)
        if sample_weight is not None:
            sample_weight = checks.check_weights(sample_weight, inputs)
        table = Table(inputs, targets, sample_weight, groups)
        if sample_weight is not None and not (sample_weight > 0).all():
            table = table.take(np.flatnonzero(sample_weight))
        missing = self._missing(table.inputs, "X", columns=not goes_on)
        return replace(table, missing=missing)

    def _validation_table(self, X: Any, y: Any) -> Table | None:
        if self._takes_pairs:
            pairs.check_validation_targets(self, X, y)
        if X is None:
            return None
        with checks.naming("X_val"):
            inputs = self._check_X(X, name="X_val", reset=False, is_target=y is None)
        targets = None
        if y is not None:
            targets = checks.check_targets(
                self, y, inputs, name="y_val", loss=self.loss
            )
        missing = self._missing(inputs, "X_val", columns=False)
        return Table(inputs, targets, missing=missing)

    def _in_weight_units(self, table: Table, *, new: bool) -> Table:
        """Divide the weights by their mean in the first call.

        A constant factor of all weights must not matter.
        """
        weight = table.weight
        if new:
            # The mean of equal weights may differ from them by rounding.
            same = weight is not None and np.ptp(weight) == 0
            unit = 1.0 if weight is None else weight[0] if same else weight.mean()
            self._weight_unit = float(unit)
        # Estimators in older files have no unit.
        unit = getattr(self, "_weight_unit", 1.0)
        if weight is None and unit != 1:
            weight = np.ones(len(table))
        if weight is None or (weight == unit).all():
            return replace(table, weight=None)
        return replace(table, weight=weight / unit)

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
            Training rows. A table that would take more than 512 MiB as float32 (64 MiB
            if it is sparse) is read block by block, without a dense copy; it may be a
            memory-mapped file larger than memory. Missing values are NaN. Estimators
            with dense layers fill them by their conditional mean in a Gaussian that is
            fitted by expectation maximisation; each row and each column needs a value.
            `ConvAutoencoder` accepts no missing values, and `RecurrentAutoencoder`
            accepts NaN only after the end of a series.

        y : None
            Ignored. A warning is issued if it has the shape of `X` and other values:
            :class:`DenoisingAutoencoder` is for such pairs of rows.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the loss, the centring and the start. A row of weight
            2 counts as two rows, and a row of weight 0 is left out. A constant factor
            of all weights changes nothing.

        X_val : array-like of shape (n_val, n_features), default=None
            Validation rows, in place of `validation_fraction`: training then uses all
            rows of `X`. A large table is sampled, and copies count as one row. A
            warning is issued if most of them are also rows of `X`. In a pipeline, name
            `X_val` in `transform_input`, so that the steps before transform it.

        groups : array-like of shape (n_samples,), default=None
            Group labels, such as patients, or recordings that windows are cut from. All
            rows of a group are held out, or none. None is for independent rows; copies
            of a row are kept together in any case. Not used with `X_val`, or without a
            `validation_fraction`.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is invalid or does not match `X`. An estimator that was
            fitted before remains unchanged.
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
        if is_share(self.n_components) and not (
            self.warm_start and hasattr(self, "net_")
        ):
            return fit_for_share(self, X, y, sample_weight, X_val, groups)
        tasks = FitTasks(self, X, X if y is None else y, sample_weight)
        with own_modes(), unchanged_on_error(self):
            warm = self.warm_start and hasattr(self, "net_")
            table = self._table(X, y, sample_weight, groups, reset=not warm)
            table = self._in_weight_units(table, new=True)
            table_val = self._validation_table(X_val, y_val)
            if not warm:
                self._reset_random_state()
            self._explained = "fit is not at its end"
            if not is_share(self.n_components):
                self.__dict__.pop("n_components_search_", None)  # of an earlier fit
            missing = table_val is not None and table_val.missing
            net, plan = self._make_net(table, missing=missing)
            if warm:
                plan = plan.going_on_from(self.net_)
            with threads_for(net):
                result, n_epochs = fit_net(self, net, plan, table, table_val, tasks)
                # A kept PCA must not change.
                self._order_codes(net, table, many_rows=result.best_epoch == 0)
                self._describe(net, table)
            self._store(net, result)
            self._start_name = plan.start_name
            report(self, result, n_epochs, lr=net.lr)
            tasks.end()
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train for one pass over the given rows, starting from the current state.

        The first call computes the centre, the scale, the start and the unit of the
        loss from its rows, and later calls keep them. So make the first call large and
        representative: a warning is issued if it has fewer than 30 rows, fewer than
        `n_components`, or copies of one row only. All calls share one optimizer, at a
        constant learning rate. Later calls use a changed `lr`, if it is a number, but
        no other changed parameter. There are no validation rows, and the last state is
        kept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the loss, and in the start of the first call. They
            are comparable across calls: a row of weight 2 counts twice as much as a row
            of weight 1, or without a weight, in another call. A constant factor of the
            weights of all calls, and of an earlier `fit`, changes nothing.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        return self._partial_fit(X, y, sample_weight)

    def _partial_fit(self, X: Any, y: Any, sample_weight: Any) -> Self:
        tasks = FitTasks(self, X, X if y is None else y, sample_weight)
        with own_modes(), unchanged_on_error(self):
            self._explained = "partial_fit sees some of the rows only"
            first = not hasattr(self, "net_")
            table = self._table(X, y, sample_weight, reset=first, goes_on=not first)
            epochs_before, curve = 0, []
            if first:
                table = self._in_weight_units(table, new=True)
                self._reset_random_state()
                net, plan = self._make_net(table, stream=True)
                checks.check_first_rows(self, table)
            else:
                table = self._in_weight_units(table, new=False)
                net, curve, epochs_before = (
                    self.net_,
                    self.loss_curve_,
                    self.best_epoch_,
                )
                pairs.check_goes_on(self, net, table.targets is not None)
                plan = self._planned(len(table), module=None).going_on_from(net)
                if getattr(self, self._lr_parameter) != "auto":
                    set_lr(net, self._lr(len(table)))
            with threads_for(net):
                result = pass_over(self, net, plan, table, tasks, first=first)
                take_gaps_from_now_on(self, net, plan, table)
                self._describe(net, table)
            if table.weight is not None:
                # The weights decide how much the rows count, not what the loss is.
                result = result.in_units(float(table.weight.mean()))
            self._store(net, result)
            self._start_name = plan.start_name
            self.loss_curve_ = curve + result.loss_curve
            self.n_iter_ = len(self.loss_curve_)
            self.best_epoch_ = epochs_before + result.best_epoch
            report(self, result, 1, lr=net.lr)
            tasks.end()
        return self

    def _make_net(
        self, table: Table, *, stream: bool = False, missing: bool = False
    ) -> tuple[Any, Plan]:
        """Plan the training on a table, and build the net.

        `missing` says that values of validation rows may be missing.
        """
        checks.check_loss(self.loss, self.net_params)
        replaced_by = {"criterion": "loss"}
        if not self._has_user_module:
            replaced_by["module__n_components"] = "n_components"
        self._check_training(replaced_by)
        plan = self._plan(table, stream=stream)
        if table.missing or missing:
            plan = replace(plan, objective=replace(plan.objective, missing=True))
        checks.check_weight_decay(self.optimizer, plan.weight_decay)
        if plan.is_user_module:
            checks.check_module_arguments(plan.module, plan.arguments)
        net = self._build(plan, self._seed())
        self._set_evaluation_rows(net, table.n_features)
        self.n_components_ = checks.check_net(
            net, table, self.loss, with_hidden=self.output == "hidden"
        )
        return net, plan

    def _store(self, net: TensorNet, result: Run) -> None:
        super()._store(net, result)
        if self._takes_pairs:
            clean = result.clean_validation_loss_curve
            if pairs.is_fitted_to_pairs(self):
                clean = list(result.validation_loss_curve)
            self.clean_validation_loss_curve_ = clean

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._takes_gaps
        return tags
