"""Base of the classifier and the regressor that start from an autoencoder."""

import copy
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.frozen import FrozenEstimator
from sklearn.utils import Tags
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)
from skorch.callbacks import Callback
from torch import Tensor, nn

from skae import _checks as checks
from skae._fitting import TrainedEstimator
from skae._halves import HalvesMixin
from skae._inference import apply_in_batches
from skae._labelled_rows import Distinct, Given
from skae._plan import Plan
from skae._pretrainer import made_pretrainer, random_module
from skae._report import report, unchanged_on_error
from skae._sklearn_compat import HasMethods, Interval, StrOptions, fit_context
from skae._tasks import FitTasks
from skae._teachers import MAX_ROWS, MAX_VOTED, Lesson, Teacher, check_teachers
from skae.modules._head import EncoderWithHead
from skae.training import (
    FreezeEncoder,
    PrivateRandomState,
    Run,
    SupervisedNet,
    Table,
    distinct_pairs,
    filled,
    float_tensor,
    hold_out_strata,
    mean_one,
    own_modes,
    private_generator,
    recipe,
    show,
    standardization,
)

_N_STEPS = 300
_MAX_BATCH_SIZE = 128


class Seeds(NamedTuple):
    """Seeds of a fit. All are drawn, used or not: no option changes the others."""

    pretraining: int
    net: int
    split: int
    teachers: int


class BasePretrained(HalvesMixin, TrainedEstimator):
    """Base of the classifier and the regressor.

    A subclass decides which rows are labelled and what the targets of the net are.
    """

    def __init__(
        self,
        pretrainer: Any = None,
        *,
        pretrain: bool = True,
        head_input: str = "hidden",
        head_hidden_layer_sizes: Any = (),
        dropout: float = 0.3,
        lr: float = 3e-3,
        encoder_lr: float | None = None,
        weight_decay: float = 1e-2,
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        freeze: str | int = "none",
        freeze_epochs: int = 0,
        reconstruction_weight: float = 0.0,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int | str = "auto",
        teachers: list | str | None = "auto",
        callbacks: list | None = None,
        net_params: dict[str, Any] | None = None,
        device: str | torch.device = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.pretrainer = pretrainer
        self.pretrain = pretrain
        self.head_input = head_input
        self.head_hidden_layer_sizes = head_hidden_layer_sizes
        self.dropout = dropout
        self.lr = lr
        self.encoder_lr = encoder_lr
        self.weight_decay = weight_decay
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.freeze = freeze
        self.freeze_epochs = freeze_epochs
        self.reconstruction_weight = reconstruction_weight
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.teachers = teachers
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    _criterion: ClassVar[type[nn.Module]]
    # Mark of an unlabelled row in `y`, for messages.
    _mark: ClassVar[str]
    _steps_per_output: ClassVar[int] = 0

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **TrainedEstimator._parameter_constraints,
        "pretrainer": [HasMethods("fit"), None],
        "pretrain": ["boolean"],
        "head_input": [StrOptions({"hidden", "code"})],
        "head_hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "encoder_lr": [Interval(Real, 0, None, closed="neither"), None],
        "freeze": [
            StrOptions({"none", "all"}),
            Interval(Integral, 0, None, closed="left"),
        ],
        "freeze_epochs": [Interval(Integral, 0, None, closed="left")],
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "teachers": [StrOptions({"auto"}), list, None],
    }

    # Decisions of a subclass

    @abstractmethod
    def _check_y(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the target as an array, and the mask of the labelled rows."""

    @abstractmethod
    def _encode(self, y: np.ndarray) -> np.ndarray:
        """Return the targets of labelled rows as numbers."""

    @abstractmethod
    def _learn_target(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Learn from the targets of distinct labelled rows; return those to use."""

    @abstractmethod
    def _n_outputs(self) -> int:
        """Width of the net's output."""

    @abstractmethod
    def _strata(self, target: np.ndarray) -> np.ndarray:
        """Numbers of the classes that both sides of a split must have."""

    def _weighing(self, table: Table) -> Callable[[Table], Table]:
        """Return a function that sets the weights of tables for the loss."""
        return lambda table: replace(table, weight=mean_one(table.weight))

    @abstractmethod
    def _lesson(self, **fields: Any) -> Lesson:
        """Return the rows as teachers see them."""

    @abstractmethod
    def _prediction(self, outputs: np.ndarray) -> np.ndarray:
        """Return what the net predicts in a lesson, from its outputs."""

    @abstractmethod
    def _targets_with(self, known: np.ndarray, vote: np.ndarray) -> np.ndarray:
        """Return the targets for training: of labelled rows, then of voted ones."""

    @abstractmethod
    def _pseudo_labels(self, vote: np.ndarray) -> np.ndarray:
        """Return the targets that a vote predicts, in the form of `y`."""

    @abstractmethod
    def _without_label(self, n_samples: int) -> np.ndarray:
        """Return the marks of unlabelled rows."""

    # Fitting

    # The pretrainer is the user's: its parameters are to be checked, too.
    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Train the autoencoder on all rows, then the net on the labelled ones.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, labelled and unlabelled. A sparse matrix is made dense.

        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets; the class docstring describes how to mark unlabelled rows.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, also in pretraining. A row of weight 2 counts as two
            rows, and a row of weight 0 is left out.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        tasks = FitTasks(self)
        with own_modes(), unchanged_on_error(self):
            self._check_parameters()
            rng = private_generator(self.random_state)
            seeds = Seeds(*rng.randint(2**31 - 1, size=4).tolist())
            given = self._check_rows(X, y, sample_weight)
            labelled = given.of(given.labelled)
            tasks.set_rows(labelled.X, labelled.y, labelled.weight)
            index, total, _ = distinct_pairs(given.X, given.weight)
            missing = checks.has_gaps(given.X)
            table = Table(given.X[index], weight=mean_one(total), missing=missing)
            train, valid = self._labelled_table(labelled), None
            weigh = self._weighing(train)
            if self.early_stopping:
                train, valid, _ = hold_out_strata(
                    train,
                    self._strata(np.asarray(train.targets)),
                    fraction=self.validation_fraction,
                    seed=seeds.split,
                )
            autoencoder = self._pretrained_module(X, table, seeds, tasks)
            if table.missing and hasattr(autoencoder, "fill"):
                table, train = (filled(autoencoder, each) for each in (table, train))
                valid = None if valid is None else filled(autoencoder, valid)
            self.n_labelled_ = len(labelled.X)
            length = 1.0
            taught = self._taught(train, given, autoencoder, table, seeds)
            if taught is not train:
                # A few rows more need few steps more: of steps without new rows, the
                # net only gets too certain.
                length += min((len(taught) - len(train)) / len(train), 1)
                weigh, train = self._weighing(taught), taught
            net, result, n_epochs = self._train_net(
                autoencoder,
                table,
                weigh(train),
                None if valid is None else weigh(valid),
                seeds.net,
                length,
                tasks,
            )
            self._store(net, result)
            rows = f" on {self._rows_in_words()}"
            report(self, result, n_epochs, lr=self.lr, rows=rows)
            tasks.end()
        return self

    def _train_net(
        self,
        autoencoder: nn.Module,
        table: Table,
        train: Table,
        valid: Table | None,
        seed: int,
        length: float = 1.0,
        tasks: FitTasks | None = None,
    ) -> tuple[SupervisedNet, Run, int]:
        """Train an encoder with a head; return the net, what happened, and epochs.

        `table` has all rows, which the head's input is standardised by. `length` is a
        factor of the number of steps.
        """
        plan = self._plan(autoencoder, table, len(train), seed)
        plan = replace(plan, n_steps=round(length * plan.n_steps))
        net = self._make_net(plan, table, seed)
        n_epochs = plan.n_epochs(len(train), net.batch_size)
        watcher = None
        if tasks is not None:
            watcher = tasks.epochs(n_epochs, self._fitted_so_far, "training")
        result = self._run(
            net,
            plan,
            train.on(net.device),
            None if valid is None else valid.on(net.device),
            n_epochs=n_epochs,
            callbacks=self._freezing(),
            watcher=watcher,
        )
        return net, result, n_epochs

    def _quiet(self) -> Self:
        """Return a copy that trains nets without callbacks and output."""
        quiet = copy.copy(self)
        quiet.callbacks, quiet.verbose = None, 0
        quiet.net_params = {
            name: value
            for name, value in (self.net_params or {}).items()
            if not name.startswith("callbacks")
        }
        return quiet

    def _taught(
        self,
        train: Table,
        given: Given,
        autoencoder: nn.Module,
        table: Table,
        seeds: Seeds,
    ) -> Table:
        """Return the labelled rows, with unlabelled ones if teachers can vote on them.

        `table` has all distinct rows.
        """
        self.pseudo_labels_ = self._without_label(len(given.counts))
        self.n_pseudo_labelled_ = 0
        self.teacher_losses_: dict[str, float] = {}
        self.teacher_weights_: dict[str, float] = {}
        others = given.of(~given.labelled)
        if self.teachers is None or not len(others.X):
            return train
        random = np.random.RandomState(seeds.teachers)
        unlabelled = Distinct.of(others, MAX_VOTED, random)
        voters = Table(unlabelled.X, missing=checks.has_gaps(others.X))
        if voters.missing and hasattr(autoencoder, "fill"):
            voters = filled(autoencoder, voters)
        rows = np.concatenate([train.inputs[:], voters.inputs[:]])
        known: Any = train.targets
        unknown = np.zeros_like(known, shape=(len(voters), *known.shape[1:]))
        weight = self._weighing(train)(train).weight
        known_weight = np.ones(len(train)) if weight is None else np.asarray(weight)
        # The scale of the head's input needs no more rows than others are fitted to.
        some = table.read(np.sort(random.permutation(len(table))[:MAX_ROWS]))
        columns = table.columns
        lesson = self._lesson(
            X=(rows - columns.mean) / columns.scale,
            features=partial(self._features, rows, autoencoder, some, seeds.net),
            target=np.concatenate([known, unknown]),
            labelled=np.arange(len(rows)) < len(train),
            weight=np.append(known_weight, np.ones(len(voters))),
            seed=seeds.teachers,
        )
        if not lesson.has_enough_labels():
            return train
        teachers = (
            lesson.own_teachers(self.teachers)
            if isinstance(self.teachers, list)
            else lesson.default_teachers()
        )
        network = self._network_as_teacher(rows, lesson, autoencoder, some, seeds.net)
        to_vote_on = np.arange(len(train), len(rows))
        vote = lesson.vote({"network": network, **teachers}, to_vote_on)
        self.teacher_losses_, self.teacher_weights_ = vote.losses, vote.weights
        labels = self._pseudo_labels(vote.predictions)
        self.pseudo_labels_[unlabelled.place] = labels[unlabelled.number]
        self.n_pseudo_labelled_ = len(unlabelled.place)
        if self.verbose:
            show(f"{type(self).__name__}: {self._teachers_in_words()}")
        return Table(
            rows,
            self._targets_with(known, vote.predictions),
            np.append(np.asarray(train.weight), unlabelled.weight),
            missing=table.missing,
        )

    def _features(
        self, rows: np.ndarray, autoencoder: nn.Module, table: Table, seed: int
    ) -> np.ndarray:
        """Compute the head's standardised input for rows, before training."""
        plan = self._plan(copy.deepcopy(autoencoder), table, len(table), seed)
        net = self._quiet()._make_net(plan, table, seed)
        return _outputs(net, lambda module, x: module.head_inputs(x), rows)

    def _network_as_teacher(
        self,
        rows: np.ndarray,
        lesson: Lesson,
        autoencoder: nn.Module,
        table: Table,
        seed: int,
    ) -> Teacher:
        """Return the net as a teacher, trained on labelled rows alone."""

        def predictions(labelled: np.ndarray, index: np.ndarray) -> np.ndarray:
            train = Table(
                rows[labelled],
                lesson.target[labelled],
                mean_one(lesson.weight[labelled]),
                missing=table.missing,
            )
            quiet = self._quiet()
            quiet.net_, *_ = quiet._train_net(
                copy.deepcopy(autoencoder), table, train, None, seed
            )
            return self._prediction(quiet._output(rows[index]))

        return predictions

    def _check_parameters(self) -> None:
        self._check_net_params(
            {
                "criterion",
                "guard_random_state",
                "module",
                "optimizer",
                "reconstruction_unit",
                "seed",
                "train_split",
                "warm_start",
            },
            {
                "module__dropout": "dropout",
                "module__head_input": "head_input",
                "module__hidden_layer_sizes": "head_hidden_layer_sizes",
                "optimizer__weight_decay": "weight_decay",
            },
        )
        checks.check_device(self.device)
        self._head_widths()
        if isinstance(self.teachers, list):
            check_teachers(self.teachers, classify=is_classifier(self))

    def _head_widths(self) -> list[int]:
        return checks.layer_widths(
            self.head_hidden_layer_sizes,
            "head_hidden_layer_sizes",
            "the widths of the head's hidden layers, or () for a linear head",
        )

    def _check_rows(self, X: Any, y: Any, sample_weight: Any) -> Given:
        if y is None:
            validate_data(self, X, y)  # with the error that all estimators have
        X = checks.check_table(self, X, reset=True, allow_nan=self._takes_gaps)[:]
        y, labelled = self._check_y(y)
        check_consistent_length(X, y)
        given = Given(X, y, labelled, None, np.ones(len(X), dtype=bool))
        if sample_weight is not None:
            weight = checks.check_weights(sample_weight, X)
            given = given._replace(weight=weight).of(weight > 0)
        checks.check_gaps(self, given.X, "X", columns=True)
        if not given.labelled.any():
            which = "" if given.weight is None else " with a positive weight"
            n_rows = len(given.X)
            raise ValueError(
                f"None of the {n_rows} rows of X{which} is labelled: {self._mark} in y "
                "marks an unlabelled row. At least one row needs a label; to train on "
                "unlabelled rows alone, fit the autoencoder by itself."
            )
        return given

    def _labelled_table(self, labelled: Given) -> Table:
        """Return the distinct labelled rows; groups differ in the target alone."""
        X, y = labelled.X, self._encode(labelled.y)
        index, total, number = distinct_pairs(X, labelled.weight, y)
        target = self._learn_target(y[index], total)
        return Table(X[index], target, total, number, checks.has_gaps(X))

    def _pretrained_module(
        self, given: Any, table: Table, seeds: Seeds, tasks: FitTasks
    ) -> nn.Module:
        """Fit the pretrainer if it has to be; return a copy of its module."""
        pretrainer = made_pretrainer(self, given, table.n_features, seeds.pretraining)
        fits = self.pretrain and not isinstance(self.pretrainer, FrozenEstimator)
        tasks.begin(2 if fits else 1)
        if fits:
            with tasks.part_fitting(pretrainer, "pretraining"):
                pretrainer.fit(table.inputs, sample_weight=table.weight)
            if hasattr(self, "feature_names_in_"):
                pretrainer.feature_names_in_ = self.feature_names_in_
        self.pretrainer_ = pretrainer if self.pretrain else None
        if self.pretrain:
            module = copy.deepcopy(pretrainer.net_.plain_module_)
        else:
            module, self._autoencoder_arguments = random_module(
                pretrainer, table, seeds.pretraining
            )
        return module.to(checks.check_device(self.device)).eval()

    def _plan(
        self, autoencoder: nn.Module, table: Table, n_train: int, seed: int
    ) -> Plan:
        """Decide how to train an encoder with a head."""
        device = checks.check_device(self.device)
        guarded: AbstractContextManager[Any] = nullcontext()
        if _is_users(autoencoder):
            guarded = PrivateRandomState(seed, device)
        with torch.no_grad(), guarded:
            x = float_tensor(table.inputs[:2], device, copy=True)
            self.n_components_ = checks.check_module(autoencoder, x)
            n_inputs = self.n_components_
            if self.head_input == "hidden":
                n_inputs = sum(checks.check_hidden(autoencoder, x, "head_input"))
        return self._plan_of(
            {
                "autoencoder": autoencoder,
                "n_inputs": n_inputs,
                "n_outputs": self._n_outputs(),
                "head_input": self.head_input,
                "hidden_layer_sizes": self._head_widths(),
                "dropout": self.dropout,
                **{
                    name.removeprefix("module__"): value
                    for name, value in self._net_params(of_module=True).items()
                },
            },
            table.n_features,
            n_train,
            unit=float(table.columns.variance.mean()) or 1.0,
        )

    def _plan_of(
        self,
        arguments: dict[str, Any],
        n_features: int,
        n_train: int,
        unit: float = 1.0,
    ) -> Plan:
        """Decide how to train a module with known arguments.

        `unit` is the mean squared error that counts as a reconstruction error of 1.
        """
        autoencoder = arguments["autoencoder"]
        batch_size: Any = self.batch_size
        if batch_size == "auto":
            batch_size = min(_MAX_BATCH_SIZE, n_train)
        max_epochs: Any = self.max_epochs
        encoder_lr = self.lr if self.encoder_lr is None else self.encoder_lr
        n_rows = recipe.evaluation_rows(autoencoder, n_features)
        return Plan(
            EncoderWithHead,
            arguments,
            is_user_module=_is_users(autoencoder),
            criterion=self._criterion,
            optimizer="adamw",
            lr=self.lr,
            weight_decay=self.weight_decay,
            batch_size=batch_size,
            max_epochs=None if max_epochs == "auto" else max_epochs,
            n_steps=max(_N_STEPS, self._steps_per_output * self._n_outputs()),
            net_class=SupervisedNet,
            net_options={
                "iterator_valid__batch_size": n_rows,
                "optimizer__param_groups": [("*autoencoder.*", {"lr": encoder_lr})],
                "reconstruction_unit": unit,
                "reconstruction_weight": self.reconstruction_weight,
            },
        )

    def _make_net(self, plan: Plan, table: Table, seed: int) -> SupervisedNet:
        """Build the net; the input of its head is standardised."""
        net = self._build(plan, seed)
        module = net.plain_module_
        module.freeze(self.freeze)
        module.eval()
        rows: Any = table.inputs
        features = _outputs(
            net,
            lambda module, x: module.features(x),
            rows.astype(np.float32, copy=False),
        )
        mean, scale = standardization(features, table.weight)
        module.standardize(torch.as_tensor(mean), torch.as_tensor(scale))
        return net

    def _freezing(self) -> list[Callback]:
        if self.freeze_epochs == 0:
            return []
        return [FreezeEncoder(self.freeze_epochs, self.freeze)]

    # Using what was fitted

    @property
    def _takes_gaps(self) -> bool:
        """Whether values of rows to train on may be missing."""
        pretrainer = self.pretrainer
        if isinstance(pretrainer, FrozenEstimator):
            return getattr(pretrainer.estimator, "_takes_new_gaps", False)
        return pretrainer is None or getattr(pretrainer, "_takes_gaps", False)

    def _check_new_rows(self, X: Any) -> Any:
        """Check rows passed to the fitted estimator."""
        check_is_fitted(self)
        autoencoder: Any = self._autoencoder()
        fill = getattr(autoencoder, "fill", None)
        takes = fill.is_set if fill is not None else self._takes_gaps
        return checks.check_table(self, X, reset=False, allow_nan=takes)

    def _output(self, X: np.ndarray) -> np.ndarray:
        """Compute the outputs of the net for rows, in float64."""
        outputs = _outputs(self.net_, lambda module, x: module(x), X)
        return outputs.astype(np.float64)

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Return the latent codes of rows, from the trained encoder.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Codes.
        """
        rows = self._check_new_rows(X)
        return _outputs(self.net_, lambda module, x: module.encode(x), rows)

    def _autoencoder(self) -> nn.Module:
        return self.net_.plain_module_.autoencoder

    def _parts(self) -> dict[str, Callable[[Any, Tensor], Tensor]]:
        return {**super()._parts(), "head": lambda module, x: module(x)}

    def _rows_in_words(self) -> str:
        text = f"{self.n_labelled_} labelled rows"
        if self.n_pseudo_labelled_:
            text += f" and {self.n_pseudo_labelled_} pseudo-labelled rows"
        return text

    def _teachers_in_words(self) -> str:
        weights = (f"{name} {w:.2f}" for name, w in self.teacher_weights_.items())
        return f"Weights of the teachers: {', '.join(weights)}."

    def _training_in_words(self) -> str:
        text = (
            f"Epochs trained: {self.n_iter_}, on {self._rows_in_words()}, "
            f"with training loss {self.loss_curve_[-1]:.4g}"
        )
        if self.validation_loss_curve_:
            text += (
                f" and lowest validation loss {min(self.validation_loss_curve_):.4g}"
            )
        text += "."
        return f"{text} {self._teachers_in_words()}" if self.teacher_weights_ else text

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self._takes_gaps
        return tags


def _is_users(autoencoder: nn.Module) -> bool:
    """Whether a module is the user's, which may draw from the global generators."""
    return not type(autoencoder).__module__.startswith("skae.")


def _outputs(
    net: SupervisedNet, function: Callable[[Any, Tensor], Tensor], X: np.ndarray
) -> np.ndarray:
    """Apply a function of the module of a net, which may be the user's, to rows."""
    return apply_in_batches(net.plain_module_, function, X, net.device, copy_rows=True)
