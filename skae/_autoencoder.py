"""The plain autoencoder."""

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn

from skae import _checks as checks
from skae._base import BaseAutoencoder
from skae._docs import shared_docs
from skae._sklearn_compat import Interval, StrOptions
from skae.modules import DenseAutoencoder
from skae.modules._layers import ACTIVATIONS
from skae.noise import GaussianNoise
from skae.training import AutoencoderNet, centre_and_scale, pca_start

# Standard deviation of the noise in training, in units of what PCA leaves over.
_NOISE = 0.5


@shared_docs
class AutoencoderTransformer(BaseAutoencoder):
    """Dense autoencoder, used like :class:`~sklearn.decomposition.PCA`.

    The encoder maps a row to a code of `n_components` numbers, the decoder maps it
    back, and both are trained so that the reconstruction is near the row. By default
    they start as PCA: a linear path lies beside the nonlinear layers, and before the
    first step these are silent. What training adds is kept if rows held out from it
    are reconstructed better, and PCA of all rows is kept otherwise. So on a table too
    small to hold rows out, or with nothing nonlinear in it, this is PCA.

    Like PCA, it minimises the squared error in the units of `X`: standardise the
    columns if their scales are not comparable.

    Parameters
    ----------
    n_components : int, default=2
        Size of the code. It may exceed the number of columns.

    hidden_layer_sizes : int or sequence of int, default=(100, 100)
        Widths of the encoder's hidden layers, from input to code; the decoder has
        them in reverse. ``()`` gives the linear autoencoder.

    activation : {"elu", "gelu", "identity", "logistic", "relu", "selu", "tanh"}, \
            default="gelu"
        Activation of the hidden layers.

    tied_weights : bool, default=False
        Whether the decoder's layers use the transposes of the encoder's weights: half
        the parameters, in trials at a slightly higher error.

    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy"}, \
            torch loss instance or class, default="squared_error"
        What training minimises. "binary_cross_entropy" is for values in [0, 1]; the
        decoder then ends in a sigmoid, there is no centring, and the start is random.

    init : {"auto", "pca", "random"}, default="auto"
        State before the first step: "pca", or "random" for the textbook autoencoder
        with no linear path. "auto" is "pca" where that is possible: with the built-in
        module, any loss but "binary_cross_entropy", and not with tied weights and
        "logistic" together.

    module : torch.nn.Module, class or callable, default=None
        A network to train in place of the built-in one: it has ``encode(x)`` and
        ``decode(z)``, and takes and gives rows in the units of `X`. An instance is
        copied. A class or another callable is called with those of `n_features` and
        `n_components` that its signature names. `hidden_layer_sizes`, `activation`
        and `tied_weights` are then ignored, and so is `n_components` if no signature
        names it.

    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    sklearn.decomposition.PCA : The linear floor.

    Notes
    -----
    Inputs are cast to float32, in which the net computes; the output has the dtype of
    the input. Codes have the units of `X`, as those of PCA.

    In training from the PCA start, the encoder is given rows with Gaussian noise, of
    half the root mean squared error of PCA, and the decoder is to give the rows without
    it. This keeps small tables from being learned by heart. `loss_curve_` is the loss
    with the noise; everything else is without.

    The state trained is kept if its validation loss is lower than PCA's, by one-sided
    paired t-tests of the rows' losses and of their logarithms: both significant at 5 %,
    and one at 0.5 %; and if it is lower than that of PCA of all rows. Fewer than 10
    validation rows cannot tell, and PCA is kept. The rows held out are drawn evenly
    over the distances from the mean row. No test can vouch for rows unlike all that
    were there: where one outlier decides the error, PCA may still do better.

    With more components than PCA has, ``n_components > min(X.shape)``, the start
    spreads the axes of PCA over all components by a random rotation.

    References
    ----------
    .. [1] L. N. Smith and N. Topin, "Super-convergence: very fast training of neural
       networks using large learning rates", 2018, arXiv:1708.07120.

    .. [2] G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data
       with neural networks", Science 313, 2006. The deep autoencoder; it also starts
       from a trained state, though not from PCA.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import AutoencoderTransformer
    >>> X = load_digits().data / 16
    >>> autoencoder = AutoencoderTransformer(8, max_epochs=30, random_state=0)
    >>> codes = autoencoder.fit_transform(X)
    >>> codes.shape
    (1797, 8)
    >>> autoencoder.inverse_transform(codes).shape
    (1797, 64)
    >>> pca = PCA(8).fit(X)
    >>> print(autoencoder.score(X) > pca.explained_variance_ratio_.sum() + 0.1)
    True
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        hidden_layer_sizes: Any = (100, 100),
        activation: str = "gelu",
        tied_weights: bool = False,
        loss: Any = "squared_error",
        init: str = "auto",
        module: Any = None,
        optimizer: Any = "adam",
        lr: float | str = "auto",
        weight_decay: float = 0.0,
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
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.tied_weights = tied_weights
        self.loss = loss
        self.init = init
        self.module = module
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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseAutoencoder._parameter_constraints,
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "tied_weights": ["boolean"],
        "init": [StrOptions({"auto", "pca", "random"})],
        "module": [callable, None],
    }

    def _hidden_widths(self) -> list[int]:
        sizes = self.hidden_layer_sizes
        widths = [sizes] if isinstance(sizes, Integral) else list(sizes)
        if not all(isinstance(width, Integral) and int(width) > 0 for width in widths):
            raise ValueError(
                "hidden_layer_sizes must be positive integers, the encoder's widths "
                f"from input to code. Got {sizes!r}."
            )
        return [int(width) for width in widths]

    def _obstacle_to_pca(self) -> str | None:
        """Tell what keeps the module from starting at PCA."""
        if self.module is not None:
            return "module is given"
        if self.loss == "binary_cross_entropy":
            return "loss='binary_cross_entropy' ends the decoder in a sigmoid"
        if self.tied_weights and self.activation == "logistic":
            return "tied layers with activation='logistic' are never silent"
        return None

    def _start_is_floor(self) -> bool:
        return self.init != "random" and self._obstacle_to_pca() is None

    def _uses_logits(self) -> bool:
        return self.module is None and self.loss == "binary_cross_entropy"

    def _module_factory(self, n_features: int) -> tuple[Any, dict[str, Any]]:
        obstacle = self._obstacle_to_pca()
        if self.init == "pca" and obstacle is not None:
            raise ValueError(
                f"init='pca' is not possible here: {obstacle}. Use init='auto' or "
                "init='random'."
            )
        if self.module is not None:
            return self.module, checks.module_arguments(
                self.module, n_features, self.n_components
            )
        return DenseAutoencoder, {
            "n_features": n_features,
            "n_components": int(self.n_components),
            "hidden_layer_sizes": self._hidden_widths(),
            "activation": self.activation,
            "tied_weights": self.tied_weights,
            "linear_path": self._start_is_floor(),
            "binary_output": self._uses_logits(),
        }

    def _noise(self) -> nn.Module | None:
        # L-BFGS needs the same loss each time it asks for it.
        noisy = self._start_is_floor() and self.optimizer != "lbfgs"
        return GaussianNoise(0.0) if noisy else None

    def _start(
        self, net: AutoencoderNet, X: np.ndarray, sample_weight: np.ndarray | None
    ) -> None:
        if self._start_is_floor():
            start = pca_start(X, self.n_components, sample_weight, self._rng)
            net.plain_module_.standardize(
                torch.as_tensor(start.mean), torch.tensor(start.scale)
            )
            net.plain_module_.start_linear(
                torch.as_tensor(start.encoder_weight),
                torch.as_tensor(start.decoder_weight),
            )
            if net.noise_ is not None:
                net.noise_.std.fill_(_NOISE * start.residual)
            checks.check_offset(start.mean, start.scale)
        elif self.module is None and not self._uses_logits():
            mean, scale = centre_and_scale(X, sample_weight)
            net.plain_module_.standardize(torch.as_tensor(mean), torch.tensor(scale))
            checks.check_offset(mean, scale)
