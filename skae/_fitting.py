"""Fitting of all estimators: from a plan to a trained net."""

import copy
import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.utils import Tags
from skorch.callbacks import Callback, GradientNormClipping, PrintLog
from torch import nn

from skae import _checks as checks
from skae._doc_link import DocLinkMixin
from skae._near_names import NearNamesMixin
from skae._plan import Plan
from skae._sklearn_compat import HasMethods, Interval, StrOptions
from skae._summary import SummaryMixin
from skae._tasks import CallbackSupportMixin
from skae.noise import draws_globally
from skae.training import (
    ProgressBar,
    Rows,
    Run,
    Table,
    TensorNet,
    has_schedule,
    private_generator,
    recipe,
    run,
    schedule_callbacks,
    show,
)


class TrainedEstimator(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    SummaryMixin,
    DocLinkMixin,
    CallbackSupportMixin,
    NearNamesMixin,
    BaseEstimator,
):
    """Base of the estimators that train a net: how it is built, run and stored."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "max_epochs": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "batch_size": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "callbacks": [list, None],
        "net_params": [dict, None],
        "device": [str, torch.device],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    # Smallest relative improvement that counts for `n_iter_no_change`.
    tol: float = 0.0

    n_features_in_: int

    def _reset_random_state(self) -> None:
        """Reset the generator, so that a fit does not depend on an earlier one."""
        self._rng = private_generator(self.random_state)
        self._split_seed = self._seed()

    def _seed(self) -> int:
        return int(self._rng.randint(2**31 - 1))

    def _check_net_params(
        self, reserved: set[str], replaced_by: dict[str, str]
    ) -> None:
        checks.check_callbacks(self.callbacks, self.net_params)
        checks.check_net_params(self, reserved=reserved, replaced_by=replaced_by)

    def _net_params(self, *, of_module: bool) -> dict[str, Any]:
        """Return the entries of `net_params` for the module, or all others."""
        return {
            name: value
            for name, value in (self.net_params or {}).items()
            if name.startswith("module__") == of_module
        }

    def _build(self, plan: Plan, seed: int) -> Any:
        """Build the net of a plan, and initialise it."""
        device = checks.check_device(self.device)
        net_params = self._net_params(of_module=False)
        asked = {
            name.removeprefix("optimizer__"): net_params[name] for name in net_params
        }
        options = recipe.optimizer_options(plan.optimizer, device, asked)
        if plan.weight_decay > 0:
            options["weight_decay"] = plan.weight_decay
        noise = plan.noise
        with checks.building_net(self):
            return plan.net_class(
                plan.module,
                plan.criterion,
                guard_random_state=plan.is_user_module
                or (noise is not None and draws_globally(noise)),
                seed=seed,
                optimizer=recipe.OPTIMIZERS.get(plan.optimizer, plan.optimizer),
                batch_size=plan.batch_size,
                callbacks=self.callbacks,
                device=str(device),
                verbose=int(self.verbose >= 2),
                **{
                    "lr": plan.lr,
                    **{f"optimizer__{name}": value for name, value in options.items()},
                    **{f"module__{name}": v for name, v in plan.arguments.items()},
                    **plan.options,
                    **net_params,
                },
            ).initialize()

    def _run(
        self,
        net: TensorNet,
        plan: Plan,
        train: Rows,
        valid: Rows | None,
        *,
        n_epochs: int,
        clean: Rows | None = None,
        callbacks: list[Callback] | None = None,
        part: str = "",
        watcher: Any = None,
    ) -> Run:
        """Train a net for some epochs, and set the state that is kept."""
        patience = None
        if self.early_stopping and valid is not None:
            patience = self.n_iter_no_change
            if patience == "auto":
                patience = recipe.patience(n_epochs)
        return run(
            net,
            train,
            valid,
            clean=clean,
            n_epochs=n_epochs,
            patience=patience,
            tol=self.tol,
            callbacks=self._run_callbacks(
                net, plan, len(train), n_epochs, callbacks or [], part
            ),
            watcher=watcher,
        )

    def _run_callbacks(
        self,
        net: TensorNet,
        plan: Plan,
        n_rows: int,
        n_epochs: int,
        others: list[Callback],
        part: str,
    ) -> list[Callback]:
        n_steps = n_epochs * math.ceil(n_rows / net.batch_size)
        if n_steps == 0:
            return []
        schedule = plan.lr_schedule
        if schedule == "auto":
            constant = plan.optimizer == "lbfgs" or has_schedule(self.callbacks)
            schedule = None if constant else "one_cycle"
        callbacks = [
            *clipping(plan),
            *schedule_callbacks(schedule, n_steps),
            *others,
        ]
        if self.verbose == 1:
            callbacks.append(ProgressBar(type(self).__name__ + part, n_steps))
        elif self.verbose >= 2:
            callbacks.append(PrintLog(sink=show))
        return callbacks

    def _store(self, net: TensorNet, result: Run) -> None:
        """Set the fitted attributes that describe the training."""
        self.net_ = net
        self.n_iter_ = len(result.loss_curve)
        self.loss_curve_ = result.loss_curve
        self.validation_loss_curve_ = result.validation_loss_curve

    def _describe(self, net: Any, table: Any) -> None:
        """Set fitted attributes that describe a trained net and its training rows."""

    def _fitted_so_far(
        self, net: TensorNet, result: Run, table: Table | None = None
    ) -> dict[str, Any]:
        """Return the attributes of an estimator that has been fitted so far."""
        fitted = copy.copy(self)
        fitted._describe(net, table)
        fitted._store(net, result)
        return fitted.__dict__

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = True
        return tags


class RecipeEstimator(TrainedEstimator):
    """Base of the estimators with parameters for the whole recipe of a training."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **TrainedEstimator._parameter_constraints,
        "optimizer": [StrOptions(set(recipe.OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "lr_schedule": [
            StrOptions({"auto", "cosine", "one_cycle"}),
            HasMethods("on_train_begin"),
            callable,
            None,
        ],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    best_epoch_: int
    best_loss_: float

    # Values of "auto".
    _recipe: ClassVar[recipe.Recipe] = recipe.Recipe()
    # Parameters for the training of the whole module.
    _lr_parameter: ClassVar[str] = "lr"
    _epochs_parameter: ClassVar[str] = "max_epochs"
    # Whether the built-in module fills missing values.
    _fills_gaps: ClassVar[bool] = False

    @property
    def _has_user_module(self) -> bool:
        """Whether the module is the user's, so that nothing is known about it."""
        return getattr(self, "module", None) is not None

    def _planned(self, n_rows: int, **decisions: Any) -> Plan:
        """Return a plan with decisions that are added to those of the parameters."""
        decisions["arguments"] = {
            **decisions.get("arguments", {}),
            **{
                name.removeprefix("module__"): value
                for name, value in self._net_params(of_module=True).items()
            },
        }
        batch_size: Any = self.batch_size
        if batch_size == "auto":
            batch_size = self._recipe.rows_in_step(
                self.optimizer, n_rows, decisions.get("validates_noisy", False)
            )
        max_epochs = getattr(self, self._epochs_parameter)
        defaults = {
            "optimizer": self.optimizer,
            "lr": self._lr(n_rows),
            "lr_schedule": self.lr_schedule,
            "weight_decay": self.weight_decay,
            "batch_size": batch_size,
            "max_epochs": None if max_epochs == "auto" else max_epochs,
            "n_steps": self._recipe.n_steps,
            "clip_norm": self._recipe.clip_norm,
        }
        return Plan(**{**defaults, **decisions})

    def _lr(self, n_rows: int) -> float:
        lr = getattr(self, self._lr_parameter)
        if isinstance(lr, str):
            return self._recipe.learning_rate(
                self.optimizer, n_rows, self.n_features_in_
            )
        return lr

    def _check_training(
        self, replaced_by: dict[str, str], reserved: Iterable[str] = ()
    ) -> None:
        """Check parameters of the training, before the plan is made.

        The arguments are those of `checks.check_net_params`.
        """
        checks.check_optimizer(self.optimizer)
        checks.check_schedule(self.lr_schedule)
        self._check_net_params(
            {
                "copy_rows",
                "guard_random_state",
                "loss_unit",
                "module",
                "noise",
                "objective",
                "seed",
                *reserved,
            },
            {"train_split": "validation_fraction", **replaced_by},
        )

    def _set_evaluation_rows(self, net: TensorNet, n_features: int) -> None:
        if "iterator_valid__batch_size" not in (self.net_params or {}):
            net.iterator_valid__batch_size = recipe.evaluation_rows(
                net.plain_module_, n_features
            )

    def _store(self, net: TensorNet, result: Run) -> None:
        super()._store(net, result)
        self.best_epoch_ = result.best_epoch
        self.best_loss_ = result.best_loss
        self._epoch_0 = result.start
        self._why_start = result.why_start

    def _training_in_words(self) -> str:
        kept = f"that of epoch {self.best_epoch_}"
        if self.best_epoch_ == 0:
            kept = getattr(self, "_epoch_0", "the start")
        start = getattr(self, "_start_name", None) or "the start"
        # There may be no validation rows, or too few.
        curve = self.validation_loss_curve_
        text = (
            f"Epochs trained: {self.n_iter_}. State kept: {kept}, with "
            f"{'validation' if curve else 'training'} loss {self.best_loss_:.4g}"
        )
        if curve and self.best_epoch_ > 0:
            text += f" ({start}: {curve[0]:.4g})"
        return text + "."

    def _kept_start_in_words(self) -> str | None:
        """Say which model was kept in place of a trained network, and why, if so."""
        # Files and pickles of earlier versions have no reason.
        why = getattr(self, "_why_start", None)
        if self.best_epoch_ > 0 or why is None:
            return None
        return f"Kept: {self._epoch_0}, not a trained network, because {why}."

    @property
    def module_(self) -> nn.Module:
        """The trained torch module."""
        return self.net_.plain_module_


def clipping(plan: Plan) -> list[Callback]:
    """Return the callback that bounds the norm of gradients, if the plan has one."""
    return [] if plan.clip_norm is None else [GradientNormClipping(plan.clip_norm)]
