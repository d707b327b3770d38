"""What the classifier and the regressor that start from an autoencoder share."""

import copy
import math
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import (
    Tags,
)
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)
from skorch.callbacks import Callback, PrintLog
from torch import Tensor, nn

from skae import _checks as checks
from skae._base import BaseAutoencoder
from skae._denoising import DenoisingAutoencoder
from skae._docs import _Estimator, filled_docs
from skae._halves import HalvesMixin
from skae._inference import apply_in_batches
from skae._report import report, unchanged_on_error
from skae._sklearn_compat import (
    HasMethods,
    Interval,
    StrOptions,
    fit_context,
)
from skae._summary import SummaryMixin
from skae._tasks import CallbackSupportMixin, FitTasks
from skae.modules._head import EncoderWithHead
from skae.training import (
    FreezeEncoder,
    PrivateRandomState,
    ProgressBar,
    Rows,
    Run,
    SupervisedNet,
    TensorNet,
    check_made,
    column_statistics,
    float_tensor,
    has_schedule,
    making_module,
    ordered_distinct_rows,
    own_modes,
    private_draws,
    private_generator,
    recipe,
    run,
    schedule_callbacks,
    show,
    standardize,
)

_N_STEPS = 300
_MAX_BATCH_SIZE = 128
_PARAMETERS = """
pretrainer : autoencoder or None, default=None
    An autoencoder of skae. It is cloned and fitted on all rows, labelled or not; if
    its `random_state` is None, it is given a seed. One that is fitted already is used
    as it is inside a :class:`sklearn.frozen.FrozenEstimator`. None is a
    :class:`DenoisingAutoencoder` with swap noise [2]_, hidden layers of 100 and half as
    many components as there are columns, between 4 and 32.

pretrain : bool, default=True
    Whether the encoder is pretrained. False begins with random weights in a net of
    the same architecture, which tells what pretraining is worth. The centring and
    the scaling of the columns are kept.

head_input : {"hidden", "code"}, default="hidden"
    What the head is given, standardised: the activations of all hidden layers of the
    encoder side by side, or the codes.

head_hidden_layer_sizes : int or sequence of int, default=()
    Widths of the head's hidden layers. ``()`` is a linear head.

dropout : float, default=0.3
    Probability that an input of the head is set to zero in training.

lr : float, default=3e-3
    Learning rate of AdamW, the highest one of a schedule that rises for a tenth of
    the steps and falls to zero.

encoder_lr : float or None, default=None
    Learning rate of the encoder. None is `lr`.

weight_decay : float, default=0.01
    Decoupled weight decay of AdamW.

max_epochs : int or "auto", default="auto"
    Passes over the labelled rows. "auto" makes about 300 steps, and at least one
    pass.

batch_size : int or "auto", default="auto"
    Labelled rows in a step. "auto" is all of them, at most 128.

freeze : {"none", "all"} or int, default="none"
    What of the encoder is kept as it is: nothing, all, or so many hidden layers, from
    the input on. The linear path is no layer of these.

freeze_epochs : int, default=0
    Epochs in the beginning that train only the head.

reconstruction_weight : float, default=0.0
    Weight of the autoencoder's squared error in the loss, relative to the variance of
    the columns. It is that of the labelled rows. Of no use with ``freeze="all"``.

early_stopping : bool, default=False
    Whether to hold out labelled rows, to stop when their loss has not improved for
    `n_iter_no_change` epochs, and to keep the state in which it was lowest.

validation_fraction : float, default=0.1
    Share of the labelled rows held out{stratified}. Only used with
    ``early_stopping=True``.

n_iter_no_change : int or "auto", default="auto"
    Epochs to wait for an improvement. "auto" is a third of `max_epochs`. Only used
    with ``early_stopping=True``.

callbacks : list of skorch callbacks, default=None
    Callbacks for the net that is trained on the labelled rows. A
    :class:`skorch.callbacks.LRScheduler` takes the place of the schedule.

net_params : dict, default=None
    Any further arguments of that net, a :class:`skorch.NeuralNet`.

device : str or torch.device, default="auto"
    Where to compute: "cpu", "cuda", "cuda:1", "mps". "auto" is "cuda" where there is
    one, else "cpu". A `pretrainer` has its own.

random_state : int, RandomState instance or None, default=None
    Determines the pretraining, the initial weights, the dropout, the order of the rows
    and the rows held out. The same int gives the same result bit by bit on the same
    machine. No global generator is drawn from.

verbose : int, default=0
    1 shows a progress bar with the losses and the time left; 2 prints a line for each
    epoch. A `pretrainer` has its own.
"""

_ATTRIBUTES = """
pretrainer_ : autoencoder or None
    The fitted autoencoder that training began with; a frozen one itself. None with
    ``pretrain=False``.

net_ : skorch.NeuralNet
    The net trained on the labelled rows. The module is ``net_.module_``.

encoder_module_, decoder_module_ : torch.nn.Module
    Copies of the encoder as it was trained last, rows to codes, and of the decoder,
    codes to rows, for a network of your own; see :mod:`skae.modules`.

n_components_ : int
    Size of the code.

n_labelled_ : int
    Number of labelled rows with a positive weight.

n_iter_ : int
    Epochs trained on them.

loss_curve_ : list of float
    Mean training loss in each epoch{loss}.

validation_loss_curve_ : list of float
    Loss of the rows held out before the first step (entry 0) and after each epoch.
    Empty without ``early_stopping=True``.

n_features_in_ : int
    Number of columns of `X` in `fit`.

feature_names_in_ : ndarray of shape (n_features,)
    Names of the columns, if they all are strings.
"""

_NOTES = """
Rows that are the same count as one row with the sum of their weights, and are trained
on in an order of their own. So a weight of 2 is exactly the row twice, and the order of
the rows does not matter.

With ``head_input="hidden"``, labels change the codes that `transform` gives through the
hidden layers alone: the layer that makes codes of them, and the linear path beside it,
are as the pretrainer left them. Where the pretrainer kept its start in closed form, the
codes are linear, and the hidden layers are what training made of them.

To cross-validate with unlabelled rows, score labelled rows alone, as in
``cv=[(train, test[labelled[test]]) for train, test in KFold(5).split(X)]`` with a mask
``labelled``: `score` takes the mark of an unlabelled row for its label.

Expect little of pretraining. Compare with ``pretrain=False``, and try
:class:`sklearn.svm.{svm}`{spreading} first.
"""

_REFERENCES = """
.. [1] G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data with
   neural networks", Science 313, 2006.

.. [2] M. Jahrer, "1st place solution: representation learning", Porto Seguro's Safe
   Driver Prediction, Kaggle, 2017.

.. [3] D. Erhan, Y. Bengio, A. Courville, P.-A. Manzagol, P. Vincent and S. Bengio,
   "Why does unsupervised pre-training help deep learning?", Journal of Machine
   Learning Research 11, 2010.
"""


def pretrained_docs(**words: str) -> Callable[[_Estimator], _Estimator]:
    """Fill the shared paragraphs into a class docstring, with words of its own."""
    texts = {
        "parameters": _PARAMETERS,
        "attributes": _ATTRIBUTES,
        "notes": _NOTES,
        "references": _REFERENCES,
    }
    for name, word in words.items():
        texts = {k: text.replace(f"{{{name}}}", word) for k, text in texts.items()}
    return filled_docs(texts)


def default_pretrainer(
    n_features: int, seed: int, device: Any, verbose: int
) -> BaseAutoencoder:
    """Make the autoencoder that `pretrainer=None` stands for."""
    return DenoisingAutoencoder(
        n_components=int(np.clip(n_features // 2, 4, 32)),
        noise="swap",
        noise_level=0.15,
        hidden_layer_sizes=(100, 100),
        device=device,
        verbose=verbose,
        random_state=seed,
    )


class _Labelled(NamedTuple):
    """The distinct labelled rows.

    Attributes
    ----------
    X : ndarray of shape (n_rows, n_features)
        Rows.

    target : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        What the net is to give: numbers of classes, or standardised targets.

    weight : ndarray of shape (n_rows,) or None
        Weights of mean one; None: all one.

    number : ndarray of shape (n_rows,)
        Numbers of the rows: they are equal where rows differ in the target alone.
    """

    X: np.ndarray
    target: np.ndarray
    weight: np.ndarray | None
    number: np.ndarray

    def take(self, index: np.ndarray) -> "_Labelled":
        weight = None if self.weight is None else self.weight[index]
        return _Labelled(self.X[index], self.target[index], weight, self.number[index])

    def rows(self, device: str) -> Rows:
        """Give them as tensors on a device."""
        target = torch.as_tensor(self.target)
        if target.is_floating_point():
            target = target.float()
        weight = None if self.weight is None else float_tensor(self.weight, device)
        return Rows((float_tensor(self.X, device), target.to(device)), weight)


def _distinct(
    X: np.ndarray, weight: np.ndarray | None, y: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the distinct rows, or of pairs with a target, and summed weights.

    They are in an order of their own: training on them, a row with weight 2 and the row
    twice are the same bit by bit. Equal numbers, given last, have rows that are the
    same in pairs with different targets.
    """
    index, number = ordered_distinct_rows(X)
    row = np.arange(len(index))
    if y is not None:
        pairs = np.column_stack([number, y]) + 0.0  # -0.0 becomes 0.0
        _, index, number = np.unique(
            pairs, axis=0, return_index=True, return_inverse=True
        )
        row = pairs[index, 0].astype(int)
    total = np.bincount(number.ravel(), weights=weight).astype(np.float64)
    return index, total, row


def _mean_one(weight: np.ndarray) -> np.ndarray | None:
    return None if np.ptp(weight) == 0 else weight / weight.mean()


class BasePretrained(
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    HalvesMixin,
    SummaryMixin,
    CallbackSupportMixin,
    BaseEstimator,
):
    """What the classifier and the regressor share.

    A subclass says what is labelled and what the targets of the net are.
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
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.random_state = random_state
        self.verbose = verbose

    _criterion: ClassVar[type[nn.Module]]

    _parameter_constraints: ClassVar[dict[str, Any]] = {
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
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "max_epochs": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "batch_size": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "freeze": [
            StrOptions({"none", "all"}),
            Interval(Integral, 0, None, closed="left"),
        ],
        "freeze_epochs": [Interval(Integral, 0, None, closed="left")],
        "reconstruction_weight": [Interval(Real, 0, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
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

    # What a subclass decides

    @abstractmethod
    def _check_y(self, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Give the target as an array, and the mask of the labelled rows."""

    @abstractmethod
    def _learn_target(
        self, y: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take in the targets of distinct labelled rows; targets and weights to use."""

    @abstractmethod
    def _n_outputs(self) -> int:
        """Width of the net's output."""

    @abstractmethod
    def _strata(self, target: np.ndarray) -> np.ndarray:
        """Classes that are to be on both sides of a split, as numbers."""

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
            Targets; the class docstring says how unlabelled rows are marked.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, in pretraining too. Weight 2 counts as the row twice,
            weight 0 as the row left out.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        tasks = FitTasks(self)
        with own_modes(), unchanged_on_error(self):
            net_params = self._checked_net_params()
            device = checks.check_device(self.device)
            widths = checks.layer_widths(
                self.head_hidden_layer_sizes,
                "head_hidden_layer_sizes",
                "the widths of the head's hidden layers, or () for a linear head",
            )
            rng = private_generator(self.random_state)
            # All are drawn, used or not: no option changes the others' numbers.
            pretrain_seed, net_seed, split_seed = rng.randint(
                2**31 - 1, size=3
            ).tolist()

            given = X
            X, y, labelled, weight = self._check_rows(X, y, sample_weight)
            tasks.set_rows(
                X[labelled], y[labelled], None if weight is None else weight[labelled]
            )
            index, total_weight, _ = _distinct(X, weight)
            rows, row_weight = X[index], _mean_one(total_weight)
            train = self._labelled_rows(X, y, labelled, weight)
            valid = None
            if self.early_stopping:
                train, valid = self._split(train, split_seed)

            pretrainer = self._make_pretrainer(given, X.shape[1], pretrain_seed, device)
            frozen = isinstance(self.pretrainer, FrozenEstimator)
            tasks.begin(2 if self.pretrain and not frozen else 1)
            if self.pretrain and not frozen:
                with tasks.part_fitting(pretrainer, "pretraining"):
                    pretrainer.fit(rows, sample_weight=row_weight)
                if hasattr(self, "feature_names_in_"):
                    pretrainer.feature_names_in_ = self.feature_names_in_
            if self.pretrain:
                autoencoder = copy.deepcopy(pretrainer.net_.plain_module_)
            else:
                autoencoder, self._autoencoder_arguments = _random_module(
                    pretrainer, rows, row_weight, pretrain_seed
                )
            autoencoder = autoencoder.to(device).eval()

            net = self._make_net(
                autoencoder,
                rows,
                row_weight,
                len(train.X),
                widths,
                device,
                net_seed,
                net_params,
            )
            self.pretrainer_ = pretrainer if self.pretrain else None
            self.n_labelled_ = int(labelled.sum())
            result, n_epochs = self._train(net, train, valid, tasks)
            self._store(net, result)
            on = f" on {self.n_labelled_} labelled rows"
            report(self, result, n_epochs, lr=self.lr, rows=on)
            tasks.end()
        return self

    def _check_rows(
        self, X: Any, y: Any, sample_weight: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
        """Rows, targets, which are labelled, weights; without rows of weight zero."""
        if y is None:
            validate_data(self, X, y)  # with the error that all estimators have
        X = checks.check_table(self, X, reset=True)[:]
        y, labelled = self._check_y(y)
        check_consistent_length(X, y)
        weight = None
        if sample_weight is not None:
            weight = checks.check_weights(sample_weight, X)
            counts = weight > 0
            X, y, labelled = X[counts], y[counts], labelled[counts]
            weight = weight[counts]
        if not labelled.any():
            marked = "-1" if isinstance(self, ClassifierMixin) else "NaN"
            which = "" if weight is None else " with a positive weight"
            raise ValueError(
                f"None of the {len(X)} rows of X{which} is labelled: {marked} in y "
                "marks an unlabelled row. At least one row needs a label; to train on "
                "unlabelled rows alone, fit the autoencoder by itself."
            )
        return X, y, labelled, weight

    def _labelled_rows(
        self,
        X: np.ndarray,
        y: np.ndarray,
        labelled: np.ndarray,
        weight: np.ndarray | None,
    ) -> _Labelled:
        X, y = X[labelled], self._encode(y[labelled])
        index, total, number = _distinct(
            X, None if weight is None else weight[labelled], y
        )
        target, total = self._learn_target(y[index], total)
        return _Labelled(X[index], target, _mean_one(total), number)

    def _encode(self, y: np.ndarray) -> np.ndarray:
        """Targets of labelled rows as numbers."""
        return y

    def _make_pretrainer(
        self, X: Any, n_features: int, seed: int, device: torch.device
    ) -> BaseAutoencoder:
        if self.pretrainer is None:
            return default_pretrainer(n_features, seed, device, self.verbose)
        frozen = isinstance(self.pretrainer, FrozenEstimator)
        pretrainer = self.pretrainer.estimator if frozen else clone(self.pretrainer)
        if not isinstance(pretrainer, BaseAutoencoder):
            raise ValueError(
                "pretrainer must be an autoencoder of skae, such as "
                "AutoencoderTransformer(10), or a fitted one inside "
                f"sklearn.frozen.FrozenEstimator. Got {self.pretrainer!r}."
            )
        if frozen:
            check_is_fitted(pretrainer)
            # With scikit-learn's messages about other columns.
            validate_data(pretrainer, X, reset=False, skip_check_array=True)
        elif pretrainer.random_state is None:
            pretrainer.set_params(random_state=seed)
        return pretrainer

    def _checked_net_params(self) -> dict[str, Any]:
        checks.check_callbacks(self.callbacks, self.net_params)
        checks.check_net_params(
            self,
            set_here={
                "criterion",
                "guard_random_state",
                "module",
                "optimizer",
                "reconstruction_unit",
                "seed",
                "train_split",
                "warm_start",
            },
            instead={
                "module__dropout": "dropout",
                "module__head_input": "head_input",
                "module__hidden_layer_sizes": "head_hidden_layer_sizes",
                "optimizer__weight_decay": "weight_decay",
            },
        )
        return dict(self.net_params or {})

    def _n_head_inputs(self, autoencoder: Any, x: Tensor) -> int:
        """Width of what the head is given."""
        if self.head_input == "code":
            return self.n_components_
        return sum(checks.check_hidden(autoencoder, x, "head_input"))

    def _make_net(
        self,
        autoencoder: nn.Module,
        rows: np.ndarray,
        row_weight: np.ndarray | None,
        n_train: int,
        widths: list[int],
        device: torch.device,
        seed: int,
        net_params: dict[str, Any],
    ) -> SupervisedNet:
        """Build a net that is ready to be trained."""
        guarded: AbstractContextManager[Any] = nullcontext()
        if _is_users(autoencoder):
            guarded = PrivateRandomState(seed, device)
        with torch.no_grad(), guarded:
            x = float_tensor(rows[:2], device, copy=True)
            self.n_components_ = checks.check_module(autoencoder, x)
            n_inputs = self._n_head_inputs(autoencoder, x)
        net = self._net(
            rows.shape[1],
            n_train,
            device,
            seed,
            module__autoencoder=autoencoder,
            module__n_inputs=n_inputs,
            module__n_outputs=self._n_outputs(),
            module__head_input=self.head_input,
            module__hidden_layer_sizes=widths,
            module__dropout=self.dropout,
            reconstruction_unit=(
                float(column_statistics(rows, row_weight).variance.mean()) or 1.0
            ),
            **net_params,
        )
        module = net.plain_module_
        features = apply_in_batches(
            module,
            lambda module, x: module.features(x),
            rows.astype(np.float32, copy=False),
            device,
            copy_rows=True,
        )
        mean, scale = standardization(features, row_weight)
        module.standardize(torch.as_tensor(mean), torch.as_tensor(scale))
        return net

    def _net(
        self,
        n_features: int,
        n_train: int,
        device: torch.device,
        seed: int,
        **arguments: Any,
    ) -> SupervisedNet:
        """Build an initialised net as the parameters for training ask."""
        batch_size = self.batch_size
        if batch_size == "auto":
            batch_size = min(_MAX_BATCH_SIZE, n_train)
        asked = {
            name.removeprefix("optimizer__"): value for name, value in arguments.items()
        }
        options = recipe.optimizer_options("adamw", device, asked)
        encoder_lr = self.lr if self.encoder_lr is None else self.encoder_lr
        autoencoder = arguments["module__autoencoder"]
        with checks.building_net(self):
            net = SupervisedNet(
                EncoderWithHead,
                self._criterion,
                reconstruction_weight=self.reconstruction_weight,
                guard_random_state=_is_users(autoencoder),
                seed=seed,
                optimizer=torch.optim.AdamW,
                lr=self.lr,
                batch_size=batch_size,
                callbacks=self.callbacks,
                device=str(device),
                verbose=int(self.verbose >= 2),
                **{
                    "iterator_valid__batch_size": recipe.evaluation_rows(
                        autoencoder, n_features
                    ),
                    "optimizer__weight_decay": self.weight_decay,
                    "optimizer__param_groups": [("*autoencoder.*", {"lr": encoder_lr})],
                    **{f"optimizer__{name}": value for name, value in options.items()},
                    **arguments,
                },
            ).initialize()
        net.plain_module_.freeze(self.freeze)
        net.plain_module_.eval()
        return net

    def _train(
        self,
        net: SupervisedNet,
        train: _Labelled,
        valid: _Labelled | None,
        tasks: FitTasks,
    ) -> tuple[Run, int]:
        """Train; what happened, and the epochs asked for."""
        steps_per_epoch = math.ceil(len(train.X) / net.batch_size)
        n_epochs: Any = self.max_epochs
        if n_epochs == "auto":
            n_epochs = max(1, round(_N_STEPS / steps_per_epoch))
        n_steps = n_epochs * steps_per_epoch
        patience: Any = None
        if self.early_stopping:
            patience = self.n_iter_no_change
            if patience == "auto":
                patience = recipe.patience(n_epochs)
        schedule = None if has_schedule(self.callbacks) else "one_cycle"
        callbacks: list[Callback] = schedule_callbacks(schedule, n_steps)
        if self.freeze_epochs > 0:
            callbacks.append(FreezeEncoder(self.freeze_epochs, self.freeze))
        if self.verbose == 1:
            callbacks.append(ProgressBar(type(self).__name__, n_steps))
        elif self.verbose >= 2:
            callbacks.append(PrintLog(sink=show))
        result = run(
            net,
            train.rows(net.device),
            None if valid is None else valid.rows(net.device),
            n_epochs=n_epochs,
            patience=patience,
            callbacks=callbacks,
            watcher=tasks.epochs(n_epochs, self._fitted_so_far, "training"),
        )
        return result, n_epochs

    def _store(self, net: TensorNet, result: Run) -> None:
        """Set the fitted attributes that tell of training."""
        self.net_ = net
        self.n_iter_ = len(result.loss_curve)
        self.loss_curve_ = result.loss_curve
        self.validation_loss_curve_ = result.validation_loss_curve

    def _fitted_so_far(self, net: TensorNet, result: Run) -> dict[str, Any]:
        """Give the attributes of an estimator that has been fitted so far."""
        fitted = copy.copy(self)
        fitted._store(net, result)
        return fitted.__dict__

    def _split(self, data: _Labelled, seed: int) -> tuple[_Labelled, _Labelled]:
        """Training and validation rows, with all classes on both sides.

        Rows that differ in the target alone are on one side.
        """
        _, first, unit = np.unique(data.number, return_index=True, return_inverse=True)
        n_rows = len(first)
        strata = self._strata(data.target[first])
        n_strata, rarest = len(np.unique(strata)), np.bincount(strata).min()
        n_val = math.ceil(self.validation_fraction * n_rows)
        if rarest < 2 or min(n_val, n_rows - n_val) < n_strata:
            needed = "a row"
            if n_strata > 1:
                needed = f"a row of each of the {n_strata} classes"
            raise ValueError(
                f"early_stopping=True needs {needed} to train on and {needed} to hold "
                f"out. validation_fraction={self.validation_fraction} holds out "
                f"{n_val} of {n_rows} distinct labelled rows"
                + (f"; the rarest class has {rarest}" if n_strata > 1 else "")
                + ". Label more rows, change validation_fraction, or set "
                "early_stopping=False."
            )
        train, valid = train_test_split(
            np.arange(n_rows), test_size=n_val, stratify=strata, random_state=seed
        )
        starts = np.cumsum(np.bincount(unit))[:-1]
        rows = np.split(np.argsort(unit, kind="stable"), starts)
        train, valid = (np.concatenate([rows[i] for i in s]) for s in (train, valid))
        return data.take(train), data.take(valid)

    # Using what was fitted

    def _output(self, X: np.ndarray) -> np.ndarray:
        """Give what the net makes of rows, in float64."""
        net = self.net_
        outputs = apply_in_batches(
            net.plain_module_,
            lambda module, x: module(x),
            X,
            net.device,
            copy_rows=True,
        )
        return outputs.astype(np.float64)

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Give the codes of rows, from the encoder as it was trained last.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
            Codes.
        """
        rows = checks.check_new_rows(self, X)
        net = self.net_
        return apply_in_batches(
            net.plain_module_,
            lambda module, x: module.encode(x),
            rows,
            net.device,
            copy_rows=True,
        )

    def _autoencoder(self) -> nn.Module:
        return self.net_.plain_module_.autoencoder

    def _parts(self) -> dict[str, Callable[[Any, Tensor], Tensor]]:
        return {**super()._parts(), "head": lambda module, x: module(x)}

    def _training_in_words(self) -> str:
        text = (
            f"Epochs trained: {self.n_iter_}, on {self.n_labelled_} labelled rows, "
            f"with training loss {self.loss_curve_[-1]:.4g}"
        )
        if self.validation_loss_curve_:
            text += (
                f" and lowest validation loss {min(self.validation_loss_curve_):.4g}"
            )
        return text + "."

    # What scikit-learn asks of an estimator

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "net_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.sparse = True
        return tags


def _is_users(autoencoder: nn.Module) -> bool:
    """Whether a module is the user's, which may draw from the global generators."""
    return not type(autoencoder).__module__.startswith("skae.")


def _random_module(
    pretrainer: BaseAutoencoder,
    X: np.ndarray,
    sample_weight: np.ndarray | None,
    seed: int,
) -> tuple[nn.Module, dict[str, Any]]:
    """Build the module that a pretrainer trains, untrained, with the input's scale.

    Its arguments are given, too.
    """
    fitted = hasattr(pretrainer, "net_")
    if fitted:
        net = pretrainer.net_
        factory, arguments = net.module, net.get_params_for("module")
    else:
        pretrainer._validate_params()
        pretrainer._check_X(X, reset=True)
        factory, arguments = pretrainer._module_factory(X)
        asked = pretrainer._net_params(of_module=True)
        arguments = {
            **arguments,
            **{name.removeprefix("module__"): value for name, value in asked.items()},
        }
        if pretrainer._own_module():
            checks.check_module_arguments(factory, arguments)
    if isinstance(factory, nn.Module):
        raise ValueError(
            "pretrain=False builds the pretrainer's module anew, and the module is an "
            f"instance of {type(factory).__name__}: pass its class, or a function "
            "that makes it."
        )
    with making_module(factory), private_draws(seed, pretrainer._own_module()):
        module = factory(**arguments)
    check_made(module)
    module = module.float()
    if not hasattr(module, "standardize"):
        return module, arguments
    if fitted:
        trained = net.plain_module_
        module.standardize(trained.mean.cpu(), trained.scale.cpu())
    elif not pretrainer._uses_logits():
        standardize(module, X, sample_weight)
    return module, arguments


def standardization(
    features: np.ndarray, sample_weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of columns; 1 for those that do not vary."""
    columns = column_statistics(features, sample_weight)
    scale = np.sqrt(columns.variance)
    # What is left of a constant is rounding, which is not to be blown up.
    rounding = 10 * np.finfo(features.dtype).eps
    varies = scale > rounding * (np.abs(columns.mean) + scale.max())
    return columns.mean, np.where(varies, scale, 1.0)
