"""The stacked autoencoder, trained layer by layer."""

import time
from collections.abc import Callable
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from skae import _checks as checks
from skae._base import BaseAutoencoder
from skae._code_size import SIZE_CONSTRAINTS
from skae._dense import (
    LAYER_CONSTRAINTS,
    DenseWeightsMixin,
    hidden_widths,
    loss_decisions,
    plan_from_pca,
)
from skae._docs import shared_docs
from skae._plan import Plan
from skae._report import report
from skae._shapes import FlatRows
from skae._sklearn_compat import Interval, StrOptions
from skae._tasks import FitTasks
from skae._training import set_start
from skae.modules import DenseAutoencoder
from skae.noise import NOISES, make_noise
from skae.training import (
    AutoencoderNet,
    Rows,
    Table,
    forget_optimizer_state,
    mapped,
    recipe,
    set_lr,
)


@shared_docs
class StackedAEPretrainer(DenseWeightsMixin, BaseAutoencoder):
    """Deep, symmetric autoencoder that is trained layer by layer, then as a whole.

    Each hidden layer is trained together with its mirror image in the decoder, as a
    shallow autoencoder of the output of the layer below; the layers below do not
    change. Then the layers next to the code are trained, and finally all layers
    together. The layers can initialise a classifier or a regressor if few rows have
    labels, see :class:`PretrainedClassifier`. For that, set ``init="random"``,
    ``noise="swap"`` and ``noise_level=0.3``. With the default start, the linear path
    has much of what the classifier needs, but its head reads the hidden layers only.

    Like :class:`AutoencoderTransformer`, it has a linear path that starts as PCA. The
    trained network is kept if it reconstructs held-out rows better than PCA; otherwise
    PCA is kept.

    Parameters
    ----------
    {size}

    hidden_layer_sizes : int or sequence of int, default=(100, 100)
        Widths of the encoder's hidden layers, from input to code; the decoder has
        them in reverse. Each of them is a phase of the training, and so is the code.

    activation : {"elu", "gelu", "identity", "logistic", "relu", "selu", "silu", \
            "tanh"}, default="silu"
        Activation of the hidden layers.

    {initializer}

    tied_weights : bool, default=False
        Whether the decoder's layers use the transposes of the encoder's weights, in all
        phases. This halves the number of parameters; in trials, it never reduced the
        error on held-out rows.

    noise : {"dropout", "gaussian", "masking", "salt_and_pepper", "swap"}, \
            torch.nn.Module, list of these or None, default=None
        Noise on the input of each phase, rows or activations, as in
        :class:`DenoisingAutoencoder`; this is the stacked denoising autoencoder [2]_.
        With None, hidden layers have no noise, and the phases of the code and of all
        layers have the noise of :class:`AutoencoderTransformer`.

    noise_level : float, (float, float) or "auto", default="auto"
        Level of a noise set by name, as in :class:`DenoisingAutoencoder`. The scale of
        Gaussian noise is that of the input of the phase.

    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy"}, \
            torch loss instance or class, default="squared_error"
        Loss to minimise. Activations are always compared by their squared error.
        "binary_cross_entropy" is for values in [0, 1]; the decoder then ends in a
        sigmoid, columns are not centred, and the start is random.

    init : {"auto", "pca", "random"}, default="auto"
        State before the first step: "pca", or "random" for the textbook autoencoder
        without a linear path. "auto" is "pca" where it is possible: not with
        "binary_cross_entropy", or with tied weights and "logistic" together.

    lr : float or "auto", default="auto"
        Learning rate of the phases of the hidden layers and of the code; the highest
        one if there is a schedule. "auto" is 3e-3 (0.1 for "sgd", 0.01 for "muon", 1
        for "lbfgs").

    max_epochs : int, sequence of int or "auto", default="auto"
        Maximum number of passes over the training rows in each phase before the last:
        one number for all, or one for each hidden layer and one for the code. "auto"
        makes about 500 steps in each phase.

    fine_tune_epochs : int or "auto", default="auto"
        Maximum number of passes over the training rows in the last phase, of all
        layers. 0 skips it. "auto" makes about 2,000 steps (100 passes for "lbfgs").

    fine_tune_lr : float or "auto", default="auto"
        Learning rate of the last phase. "auto" is 3e-3 (0.1 for "sgd", 0.01 for "muon",
        1 for "lbfgs"), whatever `lr` is.

    {parameters}

    Attributes
    ----------
    phases_ : list of dict
        A record for each hidden layer and for the code, in the order of training:
        "name", "width" (of the layer), "n_epochs", "loss_curve",
        "validation_loss_curve", "error_before" and "error_after" (mean loss of the
        phase on the validation rows, or on the training rows without them), and
        "seconds". Empty if the table is too small to train.

    {search}

    {weights}

    {attributes}

    See Also
    --------
    AutoencoderTransformer : The same network, trained as a whole from the start.

    Notes
    -----
    `loss_curve_`, `validation_loss_curve_`, `n_iter_` and `best_epoch_` are those of
    the last phase. `partial_fit` of a new estimator trains the phases on the rows of
    the first call; further calls, and `fit` with `warm_start`, continue the last phase.

    The phase of the code reconstructs rows, not the activations of the last hidden
    layer as in [1]_. It uses all layers, but trains only those next to the code and to
    the output, and the linear path. Without the last phase, this makes reconstructions
    much better. Entry 0 of `validation_loss_curve_` is the loss after the phases.

    The activations of a hidden layer are computed once and stored for the phase of the
    next layer, with 4 bytes each: in memory, or in a temporary file if `X` is read
    block by block and they take more than 512 MiB.

    References
    ----------
    .. [1] Y. Bengio, P. Lamblin, D. Popovici and H. Larochelle, "Greedy layer-wise
       training of deep networks", NIPS 2006.

    .. [2] P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol, "Stacked
       denoising autoencoders: learning useful representations in a deep network with
       a local denoising criterion", Journal of Machine Learning Research 11, 2010.

    .. [3] G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data
       with neural networks", Science 313, 2006.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import StackedAEPretrainer
    >>> X = load_digits().data / 16
    >>> stacked = StackedAEPretrainer(
    ...     8, hidden_layer_sizes=(60, 30), max_epochs=10, fine_tune_epochs=20,
    ...     random_state=0,
    ... ).fit(X)
    >>> [(phase["name"], phase["width"]) for phase in stacked.phases_]
    [('layer 1', 60), ('layer 2', 30), ('code', 8)]
    >>> stacked.transform(X).shape
    (1797, 8)
    >>> print(stacked.score(X) > 0.75)
    True
    """

    def __init__(
        self,
        n_components: int | float = 2,
        *,
        hidden_layer_sizes: Any = (100, 100),
        activation: str = "silu",
        kernel_initializer: str = "auto",
        tied_weights: bool = False,
        noise: Any = None,
        noise_level: Any = "auto",
        loss: Any = "squared_error",
        init: str = "auto",
        output: str = "code",
        optimizer: Any = "adam",
        lr: float | str = "auto",
        weight_decay: float = 0.0,
        lr_schedule: Any = "auto",
        max_epochs: Any = "auto",
        fine_tune_epochs: int | str = "auto",
        fine_tune_lr: float | str = "auto",
        batch_size: int | str = "auto",
        validation_fraction: float | None = 0.1,
        early_stopping: bool = False,
        n_iter_no_change: int | str = "auto",
        tol: float = 1e-4,
        callbacks: list | None = None,
        net_params: dict[str, Any] | None = None,
        device: str | torch.device = "auto",
        warm_start: bool = False,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_components = n_components
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.kernel_initializer = kernel_initializer
        self.tied_weights = tied_weights
        self.noise = noise
        self.noise_level = noise_level
        self.loss = loss
        self.init = init
        self.output = output
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.max_epochs = max_epochs
        self.fine_tune_epochs = fine_tune_epochs
        self.fine_tune_lr = fine_tune_lr
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.callbacks = callbacks
        self.net_params = net_params
        self.device = device
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseAutoencoder._parameter_constraints,
        **LAYER_CONSTRAINTS,
        "n_components": SIZE_CONSTRAINTS,
        "tied_weights": ["boolean"],
        "init": [StrOptions({"auto", "pca", "random"})],
        "noise": [StrOptions(set(NOISES) - {"missing"}), nn.Module, list, None],
        "noise_level": [
            Interval(Real, 0, None, closed="left"),
            tuple,
            StrOptions({"auto"}),
        ],
        "max_epochs": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
            "array-like",
        ],
        "fine_tune_epochs": [
            Interval(Integral, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "fine_tune_lr": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"auto"}),
        ],
    }

    _fills_gaps = True
    _lr_parameter = "fine_tune_lr"
    _epochs_parameter = "fine_tune_epochs"

    phases_: list[dict[str, Any]]

    def _begin_fit(self, X: Any) -> FlatRows:
        self.phases_ = []
        return super()._begin_fit(X)

    def _plan(self, table: Table, *, stream: bool = False) -> Plan:
        if not isinstance(self.max_epochs, str):
            self._epochs_of_phases()
        plan = plan_from_pca(self, table, self.noise, pretrain=self._pretrain)
        if plan.noise is not None and plan.noise.makes_gaps:
            raise ValueError(
                "Hidden layers cannot fill missing values, and the noise makes some: "
                f"{plan.noise}. Use DenoisingAutoencoder, or another noise."
            )
        return plan

    def _phase_epochs(self, net: AutoencoderNet, i: int, n_samples: int) -> int:
        if isinstance(self.max_epochs, str):
            return recipe.n_phase_epochs(self.optimizer, n_samples, net.batch_size)
        return self._epochs_of_phases()[i]

    def _epochs_of_phases(self) -> list[int]:
        n_phases = len(hidden_widths(self)) + 1
        epochs = checks.whole_numbers(self.max_epochs)
        if epochs is not None and np.ndim(self.max_epochs) == 0:
            epochs = epochs * n_phases
        if epochs is None or len(epochs) != n_phases:
            raise ValueError(
                "max_epochs must be a positive integer, or one for each hidden layer "
                f"and one for the code, {n_phases} in all. Got {self.max_epochs!r}."
            )
        return epochs

    def _pretrain(
        self, net: AutoencoderNet, train: Rows, valid: Rows | None, tasks: FitTasks
    ) -> bool:
        module = net.plain_module_
        # Missing values of validation rows are filled like those of training rows.
        layer_valid = None if valid is None else Rows(valid.inputs, valid.weight)
        layer_train = train
        n_layers = len(hidden_widths(self))
        tasks.begin(n_layers + 2)
        for i in range(n_layers):
            if not self._train_layer(module, i, layer_train, layer_valid, tasks):
                return False
            layer = module.layer_autoencoder(i).encode
            layer_train = _activations(layer, layer_train)
            if layer_valid is not None:
                layer_valid = _activations(layer, layer_valid)
        return self._train_code(net, train, valid, tasks)

    def _train_layer(
        self,
        module: DenseAutoencoder,
        i: int,
        train: Rows,
        valid: Rows | None,
        tasks: FitTasks,
    ) -> bool:
        """Train a hidden layer and its mirror image on the input of the layer."""
        layer = module.layer_autoencoder(i)
        decisions: dict[str, Any] = {"module": lambda: layer}
        if self.noise is not None:
            noise = make_noise(self.noise, self.noise_level)
            decisions.update(noise=noise, fits_noise=True)
        if i == 0:  # it reconstructs rows
            decisions.update(loss_decisions(self.loss))
        else:
            decisions.update(criterion=nn.MSELoss)
        plan = self._planned(len(train), lr=self._phase_lr(len(train)), **decisions)
        net = self._build(replace(plan, arguments={}), self._seed())
        few = train.in_memory()
        weight = None if few.weight is None else few.weight.cpu().numpy()
        set_start(self, net, plan, Table(few.inputs.cpu().numpy(), weight=weight))
        net.set_loss_unit(train)
        with net.with_rows(train):
            phase = f"layer {i + 1}"
            return self._train_phase(net, plan, i, phase, train, valid, tasks)

    def _train_code(
        self, net: AutoencoderNet, train: Rows, valid: Rows | None, tasks: FitTasks
    ) -> bool:
        """Train the layers next to the code and the output, and the linear path."""
        module = net.plain_module_
        trained = {id(p) for layer in module.code_layers() for p in layer.parameters()}
        others = [p for p in module.parameters() if id(p) not in trained]
        for parameter in others:
            parameter.requires_grad_(False)
        lr = net.lr
        set_lr(net, self._phase_lr(len(train)))
        i = len(hidden_widths(self))
        plan = self._planned(len(train), module=module)
        go_on = self._train_phase(net, plan, i, "code", train, valid, tasks)
        set_lr(net, lr)
        for parameter in others:
            parameter.requires_grad_(True)
        forget_optimizer_state(net)
        net.initialize_history()
        return go_on

    def _phase_lr(self, n_rows: int) -> float:
        if isinstance(self.lr, str):
            return self._recipe.learning_rate(
                self.optimizer, n_rows, self.n_features_in_
            )
        return self.lr

    def _train_phase(
        self,
        net: AutoencoderNet,
        plan: Plan,
        i: int,
        name: str,
        train: Rows,
        valid: Rows | None,
        tasks: FitTasks,
    ) -> bool:
        """Train a phase and store its record; return whether to continue."""
        n_epochs = self._phase_epochs(net, i, len(train))
        rows = train if valid is None else valid
        before = net.mean_loss(rows)
        start = time.perf_counter()
        result = self._run(
            net,
            plan,
            train,
            valid,
            n_epochs=n_epochs,
            part=f", {name}",
            # The module encodes and decodes rows only after all layers are trained.
            watcher=tasks.epochs(n_epochs, None, name),
        )
        widths = [*hidden_widths(self), self.n_components_]
        self.phases_.append(
            {
                "name": name,
                "width": widths[i],
                "n_epochs": len(result.loss_curve),
                "loss_curve": result.loss_curve,
                "validation_loss_curve": result.validation_loss_curve,
                "error_before": before,
                "error_after": net.mean_loss(rows),
                "seconds": time.perf_counter() - start,
            }
        )
        report(self, result, n_epochs, lr=net.lr, part=f", {name}")
        return not result.interrupted


def _activations(layer: Callable[[Tensor], Tensor], rows: Rows) -> Rows:
    return Rows(mapped(layer, rows.inputs, recipe.EVALUATION_ROWS), rows.weight)
