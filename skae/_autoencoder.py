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
    {size}

    hidden_layer_sizes : int or sequence of int, default=(100, 100)
        Widths of the encoder's hidden layers, from input to code; the decoder has
        them in reverse. ``()`` gives the linear autoencoder.

    activation : {"elu", "gelu", "identity", "logistic", "relu", "selu", "silu", \
            "tanh"}, default="silu"
        Activation of the hidden layers.

    {initializer}

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
        names it. It is given missing values, NaN, if it has an attribute
        ``allow_nan = True``; `fit` refuses them otherwise.

    lr : float or "auto", default="auto"
        Learning rate; the highest one if there is a schedule. The loss is measured in
        units of the loss of the mean row, so the best rate does not depend on the units
        of `X`. "auto" is 4e-6 times the number of rows, between 3e-3 and 8e-3, and at
        most 0.0075 times the root of the rows in a step over the columns (0.1 for
        "sgd", 0.01 for "muon", 1 for "lbfgs").

    batch_size : int or "auto", default="auto"
        Number of rows in each step. "auto" is a tenth of the rows up to 64 of them,
        then a twentieth, between 16 and 128. It is all rows for "lbfgs".

    {parameters}

    Attributes
    ----------
    {search}

    {weights}

    {attributes}

    See Also
    --------
    sklearn.decomposition.PCA : The linear floor.

    Notes
    -----
    Inputs are cast to float32, in which the net computes; the output has the dtype of
    the input. Codes have the units of `X`, as those of PCA. At the end of `fit`, they
    are turned: a linear map, which goes into the layers before and after the code,
    makes them uncorrelated and orders them, and changes no reconstruction. Signs are
    those of PCA.

    In training from the PCA start, the encoder is given rows with Gaussian noise, of
    half the root mean squared error of PCA, and the decoder is to give the rows without
    it. This keeps small tables from being learned by heart. `loss_curve_` is the loss
    with the noise; everything else is without.

    The state trained is kept if its validation loss is lower than PCA's, by one-sided
    paired t-tests of the rows' losses and of their logarithms: both significant at 5 %,
    and one at 0.5 %; and if it is lower than that of PCA of all rows. Fewer than 10
    validation rows are too few to decide, and PCA is kept. Copies of a row are one row
    here, and all of them are held out or none. The rows held out are drawn evenly over
    the distances from the mean row. No test can vouch for rows unlike all that
    were there: where one outlier decides the error, PCA may still do better.

    The size for a share of the variance, ``n_components=0.95``, is searched for below
    the size that PCA needs for it on the rows held out. Between a size that is too
    small and one that is not, the logarithm of one minus the share is taken to be
    linear, until they are neighbours. The size is chosen by few rows, so that the share
    of new rows may be a little lower.

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
