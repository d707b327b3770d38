"""The plain autoencoder."""

from typing import Any, ClassVar

import torch

from skae._base import BaseAutoencoder
from skae._code_size import SIZE_CONSTRAINTS
from skae._dense import LAYER_CONSTRAINTS, DenseWeightsMixin, plan_from_pca
from skae._docs import shared_docs
from skae._plan import Plan
from skae._sklearn_compat import StrOptions
from skae.training import Table, recipe


@shared_docs
class AutoencoderTransformer(DenseWeightsMixin, BaseAutoencoder):
    """Dense autoencoder, used like :class:`~sklearn.decomposition.PCA`.

    The encoder maps a row to a latent code, or embedding, of `n_components` numbers,
    and the decoder maps the code back. Both are trained so that the reconstruction is
    near the row. By default they start as PCA: a linear path beside the nonlinear
    layers is set to PCA, and the nonlinear layers output zero before the first step.
    The trained network is kept if it reconstructs held-out rows better; otherwise PCA
    of all rows is kept. So the result is PCA if the table is too small to hold rows
    out, or has no nonlinear structure.

    Like PCA, it minimises the squared error in the units of `X`: standardise the
    columns if their scales are not comparable.

    Parameters
    ----------
    {size}

    hidden_layer_sizes : int or sequence of int, default=(100, 100)
        Widths of the encoder's hidden layers, from input to code; the decoder has them
        in reverse. ``()`` is a linear autoencoder.

    activation : {"elu", "gelu", "identity", "logistic", "relu", "selu", "silu", \
            "tanh"}, default="silu"
        Activation of the hidden layers.

    {initializer}

    tied_weights : bool, default=False
        Whether the decoder's layers use the transposes of the encoder's weights. This
        halves the number of parameters; in trials the error was slightly higher.

    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy"}, \
            torch loss instance or class, default="squared_error"
        Loss to minimise. "binary_cross_entropy" is for values in [0, 1]; the decoder
        then ends in a sigmoid, columns are not centred, and the start is random.

    init : {"auto", "pca", "random"}, default="auto"
        State before the first step: "pca", or "random" for the textbook autoencoder
        without a linear path. "auto" is "pca" where it is possible: not with a
        `module`, with "binary_cross_entropy", or with tied weights and "logistic"
        together.

    module : torch.nn.Module, class or callable, default=None
        Network to train in place of the built-in one. It has the methods ``encode(x)``
        and ``decode(z)``; its input and output are rows in the units of `X`. An
        instance is copied. A class or another callable is called with `n_features` and
        `n_components` if its signature has them. `hidden_layer_sizes`, `activation` and
        `tied_weights` are then ignored, and so is `n_components` if the signature lacks
        it. The module receives missing values as NaN if it has an attribute
        ``allow_nan = True``; otherwise `fit` raises an error.

    lr : float or "auto", default="auto"
        Learning rate; the highest one if there is a schedule. The loss is measured in
        units of the loss of the mean row, so the best rate does not depend on the units
        of `X`. "auto" is 4e-6 times the number of rows, between 3e-3 and 8e-3, and at
        most ``0.0075 * sqrt(batch_size / n_features)`` (0.1 for "sgd", 0.01 for "muon",
        1 for "lbfgs").

    batch_size : int or "auto", default="auto"
        Number of rows in each step. "auto" is a tenth of the rows, up to 64, or a
        twentieth, up to 128, whichever is more, and at least 16. It is all rows for
        "lbfgs".

    {parameters}

    Attributes
    ----------
    {search}

    {weights}

    {attributes}

    See Also
    --------
    sklearn.decomposition.PCA : Linear dimensionality reduction.

    Notes
    -----
    The net computes in float32, and the output has the dtype of the input. Codes have
    the units of `X`, as in PCA. At the end of `fit`, a linear map makes the components
    uncorrelated and sorts them, with signs as in PCA. The map becomes part of the
    layers before and after the code, so reconstructions do not change.

    In training from the PCA start, the input of the encoder has Gaussian noise, with
    half the root mean squared error of PCA as its standard deviation, and the loss
    compares with the rows without noise. This reduces overfitting on small tables.
    `loss_curve_` is the loss with noise; everything else is without.

    The trained network is kept if its validation loss is lower than PCA's by one-sided
    paired t-tests of the rows' losses and of their logarithms: both significant at 5 %,
    and one at 0.5 %. It also has to be lower than that of PCA of all rows. With fewer
    than 10 validation rows, PCA is kept. Copies of a row count as one row here, and are
    held out together. Held-out rows are drawn evenly over the distances from the mean
    row. No test can vouch for rows that are unlike the training rows: where one outlier
    dominates the error, PCA may still do better.

    For a share of the variance, such as ``n_components=0.95``, `fit` searches below the
    size that PCA needs on the held-out rows. It interpolates the logarithm of one minus
    the share linearly between a size that is too small and one that is not, until they
    are adjacent. The size is chosen on few rows, so the share on new rows may be a
    little lower.

    With more components than PCA has, ``n_components > min(X.shape)``, the start
    spreads the axes of PCA over all components by a random rotation.

    References
    ----------
    .. [1] G. E. Hinton and R. R. Salakhutdinov, "Reducing the dimensionality of data
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

    _recipe = recipe.DENSE
    _fills_gaps = True

    def __init__(
        self,
        n_components: int | float = 2,
        *,
        hidden_layer_sizes: Any = (100, 100),
        activation: str = "silu",
        kernel_initializer: str = "auto",
        tied_weights: bool = False,
        loss: Any = "squared_error",
        init: str = "auto",
        module: Any = None,
        output: str = "code",
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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseAutoencoder._parameter_constraints,
        **LAYER_CONSTRAINTS,
        "n_components": SIZE_CONSTRAINTS,
        "tied_weights": ["boolean"],
        "init": [StrOptions({"auto", "pca", "random"})],
        "module": [callable, None],
    }

    def _plan(self, table: Table, *, stream: bool = False) -> Plan:
        return plan_from_pca(self, table)
