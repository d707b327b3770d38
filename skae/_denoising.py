"""The denoising autoencoder."""

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from skae import _checks as checks
from skae._dense import BaseDenseAutoencoder
from skae._docs import shared_docs
from skae._sklearn_compat import Interval, StrOptions
from skae._tasks import FitTasks
from skae.noise import NOISES, Noise
from skae.training import (
    AutoencoderNet,
    Columns,
    LargeTable,
    LinearStart,
    Rows,
    Table,
    count_distinct,
    denoising_start,
    float_tensor,
    full_width,
    recipe,
)


@shared_docs
class DenoisingAutoencoder(BaseDenseAutoencoder):
    """Dense autoencoder that is trained to take noise out of rows.

    In training the encoder is given noisy rows, and the loss compares what the decoder
    gives with the clean ones. So the codes survive bad measurements, and the
    reconstruction of a noisy row is nearer to the clean row. Rows are never made noisy
    by `transform`, `reconstruct` or the scores.

    By default it starts as the best linear denoiser (for Gaussian noise the Wiener
    filter), in closed form, with nonlinear layers beside it that are silent before the
    first step. What training adds is kept if held-out rows that were made noisy are
    denoised better, and the best linear denoiser of all rows is kept otherwise.

    The code has as many components as there are columns: a narrow one is a handicap for
    a denoiser, as what it cannot hold of a row is lost. Set `n_components` for codes to
    be used as features.

    Parameters
    ----------
    n_components : int or None, default=None
        Size of the code. None is the number of columns; of more than 1,000 columns, it
        is the number of distinct rows if these are fewer. The linear path then stays
        at its start, and only the nonlinear layers are trained.

    noise : {"dropout", "gaussian", "masking", "salt_and_pepper", "swap"}, \
            torch.nn.Module, or list of these, default="gaussian"
        What makes rows noisy: the name of a noise, an instance from :mod:`skae.noise`
        or any module that takes rows and gives noisy ones in training mode. A list
        applies several in turn. An instance is copied. With any of them, `optimizer`
        may not be "lbfgs", which needs the same loss each time it asks for it.

    noise_level : float, (float, float) or "auto", default="auto"
        Level of the noise given by name. "gaussian": standard deviation in units of
        the scale of `X`, the root of the mean variance over the columns, so 0.5 on
        standardised columns is 0.5. All others: probability of an entry to be
        corrupted, in [0, 1). Of a pair ``(low, high)``, each row draws its own level
        in between: for noise of unknown strength. "auto" is 0.5 for "gaussian", 0.3 for
        "masking" and "dropout", 0.15 for "swap", 0.1 for "salt_and_pepper".

    emphasis : (float, float) or None, default=None
        Weights in the loss of entries that are corrupted and of entries that are not
        [1]_, for noise that leaves entries as they are. An entry whose value did not
        change, as a zero that was masked, counts as not corrupted. None weights all
        the same.

    hidden_layer_sizes : int or sequence of int, default=(256, 256)
        Widths of the encoder's hidden layers, from input to code; the decoder has
        them in reverse. ``()`` gives the best linear denoiser: with the
        squared error, the linear start and no `emphasis`, `fit` does not train.

    activation : {"elu", "gelu", "identity", "logistic", "relu", "selu", "tanh"}, \
            default="gelu"
        Activation of the hidden layers.

    {initializer}

    tied_weights : bool, default=False
        Whether the decoder's layers use the transposes of the encoder's weights.

    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy"}, \
            torch loss instance or class, default="squared_error"
        What training minimises. "binary_cross_entropy" is for values in [0, 1]; the
        decoder then ends in a sigmoid, there is no centring, and the start is random.

    init : {"auto", "linear", "random"}, default="auto"
        State before the first step: "linear", the best linear denoiser, or "random"
        with no linear path. "auto" is "linear" where that is possible: with the
        built-in module, any loss but "binary_cross_entropy", and not with tied weights
        and "logistic" together.

    module : torch.nn.Module, class or callable, default=None
        A network to train in place of the built-in one, as in
        :class:`AutoencoderTransformer`.

    optimizer : {"adam", "adamw", "muon", "sgd"} or torch.optim.Optimizer class, \
            default="adamw"
        What minimises the loss, as in :class:`AutoencoderTransformer`.

    weight_decay : float or "auto", default="auto"
        Weight decay of the optimizer: an L2 penalty for "adam" and "sgd", decoupled
        for "adamw" and "muon". "auto" draws the hidden layers towards zero, so the
        denoiser towards the linear one: ``(25 * n_features / n_samples) ** 2``, where
        copies of a row are one sample, and not more than 2. It is 0 with another
        optimizer, without a linear path that stays at its start, and in
        `partial_fit`.

    {parameters}

    Attributes
    ----------
    clean_validation_loss_curve_ : list of float
        As `validation_loss_curve_`, of the validation rows without noise.

    {weights}

    {attributes}

    See Also
    --------
    AutoencoderTransformer : Narrow codes of clean rows.
    skae.noise : The noises.

    Notes
    -----
    `loss_curve_` is the loss with noise drawn anew for each batch.
    `validation_loss_curve_` and `best_loss_` are with noise drawn once, of copies of
    the validation rows so that there are at least 512 noisy ones.

    The start is ``x_hat = mean + M (x_noisy - mean_noisy)`` with the matrix that
    minimises the expected squared error, given the covariance of the rows and the
    moments of the noise [2]_; with fewer components than columns, it is the best of
    that rank. Of tables with few rows for their columns, the covariance is shrunk.
    Noise given as a module of your own is sampled to find it.

    `score` is about clean rows, and no noise is best for it. To choose a noise level
    by cross-validation, score what comes after the denoiser, or the error from noisy
    rows.

    References
    ----------
    .. [1] P. Vincent, H. Larochelle, I. Lajoie, Y. Bengio and P.-A. Manzagol, "Stacked
       denoising autoencoders: learning useful representations in a deep network with
       a local denoising criterion", Journal of Machine Learning Research 11, 2010;
       the emphasis is in section 5.1.

    .. [2] M. Chen, Z. Xu, K. Weinberger and F. Sha, "Marginalized denoising
       autoencoders for domain adaptation", ICML 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAutoencoder
    >>> X = load_digits().data / 16
    >>> X_noisy = X + np.random.default_rng(0).normal(scale=0.3, size=X.shape)
    >>> level = 0.3 / np.sqrt(X.var(axis=0).mean())
    >>> denoiser = DenoisingAutoencoder(
    ...     noise_level=level, max_epochs=30, random_state=0
    ... ).fit(X[:1500])
    >>> X_denoised = denoiser.reconstruct(X_noisy[1500:])
    >>> before = np.mean((X_noisy[1500:] - X[1500:]) ** 2)
    >>> after = np.mean((X_denoised - X[1500:]) ** 2)
    >>> print(f"{before:.2f} {after:.2f}")
    0.09 0.02
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        noise: Any = "gaussian",
        noise_level: Any = "auto",
        emphasis: tuple[float, float] | None = None,
        hidden_layer_sizes: Any = (256, 256),
        activation: str = "gelu",
        kernel_initializer: str = "auto",
        tied_weights: bool = False,
        loss: Any = "squared_error",
        init: str = "auto",
        module: Any = None,
        output: str = "code",
        optimizer: Any = "adamw",
        lr: float | str = "auto",
        weight_decay: float | str = "auto",
        lr_schedule: Any = "auto",
        max_epochs: int | str = "auto",
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
        self.noise = noise
        self.noise_level = noise_level
        self.emphasis = emphasis
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.kernel_initializer = kernel_initializer
        self.tied_weights = tied_weights
        self.loss = loss
        self.init = init
        self.module = module
        self.output = output
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.lr_schedule = lr_schedule
        self.max_epochs = max_epochs
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

    _closed_form_name = "best linear denoiser"
    _linear_init = "linear"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseDenseAutoencoder._parameter_constraints,
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "noise": [StrOptions(set(NOISES)), nn.Module, list],
        "noise_level": [
            Interval(Real, 0, None, closed="left"),
            tuple,
            StrOptions({"auto"}),
        ],
        "emphasis": [tuple, None],
        "weight_decay": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "init": [StrOptions({"auto", "linear", "random"})],
        "module": [callable, None],
    }

    def _noise(self) -> Noise:
        return self._noise_asked_for()

    def _denoises(self) -> bool:
        return True

    def _weight_decay(
        self, X: Table, module_arguments: dict[str, Any], stream: bool
    ) -> float:
        if self.weight_decay != "auto":
            return float(self.weight_decay)
        # A linear path that is trained would decay, too; and of a stream, nobody
        # knows how many rows it has.
        if (
            self.module is not None
            or not self._hidden_widths()
            or not module_arguments["linear_path"]
            or module_arguments["train_linear_path"]
            or stream
        ):
            return 0.0
        # Of a large table, there are enough rows whatever their copies.
        n_rows = len(X) if isinstance(X, LargeTable) else count_distinct(X)
        return recipe.weight_decay(self.optimizer, n_rows, X.shape[1])

    def _net_options(self) -> dict[str, Any]:
        return {"emphasis": self.emphasis}

    def _fit_noise(
        self, net: AutoencoderNet, X: Table, sample_weight: np.ndarray | None
    ) -> None:
        super()._fit_noise(net, X, sample_weight)
        if self.emphasis is not None:
            checks.check_emphasis(self.emphasis, self.loss, net.noise_)

    def _code_size(self, X: Table) -> int:
        return full_width(X) if self.n_components is None else int(self.n_components)

    def _module_factory(
        self, X: Table, stream: bool = False
    ) -> tuple[Any, dict[str, Any]]:
        factory, arguments = super()._module_factory(X, stream)
        if self.module is None:
            # At full width there is nothing to gain but the noise of small tables;
            # unless that of the start is to be mended by the rows of a stream.
            narrow = arguments["n_components"] < full_width(X)
            arguments["train_linear_path"] = narrow or (stream and len(X) < X.shape[1])
        return factory, arguments

    def _pretrain(
        self, net: AutoencoderNet, train: Rows, valid: Rows | None, tasks: FitTasks
    ) -> bool:
        # Without hidden layers, the start is the solution.
        return (
            len(self._hidden_widths()) > 0
            or not self._start_is_floor()
            or self.loss != "squared_error"
            or self.emphasis is not None
        )

    def _linear_start(
        self,
        net: AutoencoderNet,
        X: Table,
        columns: Columns,
        sample_weight: np.ndarray | None,
    ) -> LinearStart:
        generator = torch.Generator(net.device).manual_seed(self._seed())

        def corrupt(X: np.ndarray) -> np.ndarray:
            rows = float_tensor(X, net.device, copy=True)
            return net.corrupt(rows, generator).cpu().numpy()

        return denoising_start(
            X,
            columns,
            self.n_components_,
            net.noise_,
            corrupt,
            sample_weight,
            self._rng,
            tied=self.tied_weights,
        )
