"""The convolutional autoencoder."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import torch
from sklearn.utils import Tags

from skae import _checks as checks
from skae._base import BaseAutoencoder
from skae._dense import LAYER_CONSTRAINTS, loss_decisions
from skae._docs import shared_docs
from skae._plan import Plan
from skae._report import warn
from skae._shapes import ImageRows
from skae._sklearn_compat import Interval, StrOptions
from skae.losses import as_loss
from skae.modules import ConvolutionalAutoencoder
from skae.training import AsBuilt, PCAStart, Start, Table, recipe

# Chosen on held-out images by error and time: convolutions need a higher rate than
# dense layers, and more steps help more than larger batches.
_RECIPE = recipe.Recipe(adam_lr=1e-2, batch_size=32)


@shared_docs
class ConvAutoencoder(BaseAutoencoder):
    """Convolutional autoencoder of images, with a dense code.

    Strided convolutions of the encoder make smaller and smaller feature maps of an
    image, and dense layers map them to a code of `n_components` numbers. The decoder is
    the mirror image of the encoder. If neighbouring pixels are related, the autoencoder
    usually reconstructs better than a dense one with the same `n_components`.

    The start is random. The trained network is kept if it reconstructs held-out rows
    better than PCA with as many components; otherwise the estimator becomes PCA, with a
    warning.

    Parameters
    ----------
    n_components : int, default=2
        Size of the latent code. It may exceed the number of pixels.

    image_shape : tuple of int, default=None
        (height, width) or (height, width, n_channels) of the images. Rows of a table
        `X` are flattened images, as ``image.reshape(-1)`` returns them: line by line,
        with the channels of a pixel side by side. None is the shape of the images if
        `X` has more than two dimensions, else a square if the number of columns is a
        square number, else one line of pixels, for signals.

    n_filters : int or sequence of int, default=(16, 32)
        Number of feature maps of each convolution of the encoder; the decoder has them
        in reverse.

    kernel_size : int, default=3
        Height and width of the filters in pixels, an odd number.

    stride : int, default=2
        Step of the filters: each convolution maps `n` pixels along an axis to
        ``ceil(n / stride)``. Reconstructions have the size of the images, whatever it
        is.

    pooling : bool, default=False
        Whether to use max-pooling of ``stride x stride`` pixels after each convolution
        of the encoder, in place of the stride. It takes longer.

    hidden_layer_sizes : int or sequence of int, default=(100,)
        Widths of the dense layers between feature maps and code; the decoder has them
        in reverse. A linear layer runs in parallel; ``()`` keeps only this layer.

    activation : {"elu", "gelu", "identity", "logistic", "relu", "selu", "silu", \
            "tanh"}, default="gelu"
        Activation of the convolutions and the hidden layers.

    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy"}, \
            torch loss instance or class, default="squared_error"
        Loss to minimise. "binary_cross_entropy" is for values in [0, 1]; the decoder
        then ends in a sigmoid, columns are not centred, and the trained network is
        kept, better than PCA or not.

    init : {"auto", "random"}, default="auto"
        Both start with random weights. With "auto", the estimator becomes PCA if
        training does not beat PCA on held-out rows. "random" keeps the trained network.

    output : {"code", "reconstruction", "hidden"}, default="code"
        What `transform` returns: the codes, the reconstructions, or all feature maps
        and hidden activations of the encoder, concatenated. It may be changed after
        fitting.

    lr : float or "auto", default="auto"
        Learning rate; the highest one if there is a schedule. The loss is measured in
        units of the loss of the mean row, so the best rate does not depend on the units
        of `X`. "auto" is 1e-2 (0.1 for "sgd", 1 for "lbfgs", 3e-3 for a class).

    batch_size : int or "auto", default="auto"
        Number of rows in each step. "auto" is 32 (all rows for "lbfgs").

    validation_fraction : float or None, default=0.1
        Share of the rows, drawn at random, to hold out for validation. Their loss
        decides which state is kept. At least 10 of them are needed for the comparison
        with PCA: the estimator becomes PCA with fewer than 100 rows. None trains on all
        rows and keeps the last state.

    {parameters}

    Attributes
    ----------
    image_shape_ : tuple of int
        (height, width) or (height, width, n_channels) of the images.

    best_epoch_ : int
        Epoch whose state was kept; 0 is PCA, or the start with ``init="random"``.

    {attributes}

    See Also
    --------
    AutoencoderTransformer : Dense layers, for tables; starts as PCA.

    Notes
    -----
    `X` may be an array of shape (n_samples, height, width) or (n_samples, height,
    width, n_channels), or a list of images. `inverse_transform` and `reconstruct` then
    return such arrays.

    Inputs are centred by pixel and divided by one scale. The net computes in float32,
    and the output has the dtype of the input. Codes have the units of `X`.

    Training uses no linear path beside the convolutions: on images it was a hindrance.
    If the estimator becomes PCA, the convolutions remain and output zero, so that
    `partial_fit` and ``warm_start`` can continue from PCA. The trained network is kept
    by the same tests as in :class:`AutoencoderTransformer`.

    References
    ----------
    .. [1] J. Masci, U. Meier, D. Ciresan and J. Schmidhuber, "Stacked convolutional
       auto-encoders for hierarchical feature extraction", ICANN 2011.
    .. [2] V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep
       learning", arXiv:1603.07285. Sizes of strided and transposed convolutions.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import ConvAutoencoder
    >>> images = load_digits().images / 16
    >>> autoencoder = ConvAutoencoder(8, max_epochs=6, random_state=0)
    >>> codes = autoencoder.fit_transform(images)
    >>> codes.shape
    (1797, 8)
    >>> autoencoder.inverse_transform(codes).shape
    (1797, 8, 8)
    >>> pca = PCA(8).fit(images.reshape(-1, 64))
    >>> print(autoencoder.score(images) > pca.explained_variance_ratio_.sum() + 0.1)
    True
    """

    _recipe = _RECIPE

    def __init__(
        self,
        n_components: int = 2,
        *,
        image_shape: Sequence[int] | None = None,
        n_filters: Any = (16, 32),
        kernel_size: int = 3,
        stride: int = 2,
        pooling: bool = False,
        hidden_layer_sizes: Any = (100,),
        activation: str = "gelu",
        loss: Any = "squared_error",
        init: str = "auto",
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
        self.image_shape = image_shape
        self.n_filters = n_filters
        self.kernel_size = kernel_size
        self.stride = stride
        self.pooling = pooling
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.init = init
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
        "image_shape": [tuple, list, None],
        "n_filters": ["array-like", Interval(Integral, 1, None, closed="left")],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left")],
        "pooling": ["boolean"],
        "hidden_layer_sizes": LAYER_CONSTRAINTS["hidden_layer_sizes"],
        "activation": LAYER_CONSTRAINTS["activation"],
        "init": [StrOptions({"auto", "random"})],
    }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    # Rows and images

    @property
    def image_shape_(self) -> tuple[int, ...]:
        """Shape of the images."""
        module: Any = self.module_
        return module.image_shape

    @property
    def _form(self) -> ImageRows:
        return ImageRows(self._shape_given, self._shape_told, self.n_features_in_)

    def _begin_fit(self, X: Any) -> ImageRows:
        form = ImageRows.of(X, self.image_shape)
        self._shape_given, self._shape_told = form.given, form.asked
        _warn_of_channels_first(form.given if form.asked is None else form.asked)
        return form

    # The plan

    def _plan(self, table: Table, *, stream: bool = False) -> Plan:
        loss = as_loss(self.loss)
        has_floor = self.init != "random" and not loss.has_link
        return self._planned(
            len(table),
            module=ConvolutionalAutoencoder,
            arguments={**self._module_arguments(table.n_features), "link": loss.link},
            **loss_decisions(self.loss),
            start=Start() if not loss.has_link else AsBuilt(),
            floor=PCAStart(int(self.n_components)) if has_floor else None,
        )

    def _module_arguments(self, n_features: int) -> dict[str, Any]:
        n_filters = checks.layer_widths(
            self.n_filters, "n_filters", "the maps of each convolution"
        )
        if not n_filters:
            raise ValueError(
                "n_filters must have a number for one convolution or more. Got "
                f"{self.n_filters!r}. AutoencoderTransformer has only dense layers."
            )
        if self.kernel_size % 2 == 0:
            raise ValueError(
                "kernel_size must be odd, so that filters have a middle. Got "
                f"{self.kernel_size}. Use {self.kernel_size - 1} or "
                f"{self.kernel_size + 1}."
            )
        given = getattr(self, "_shape_given", None)
        image_shape = ImageRows(given, self.image_shape).image_shape(n_features)
        return {
            "image_shape": image_shape,
            "n_components": int(self.n_components),
            "n_filters": n_filters,
            "kernel_size": int(self.kernel_size),
            "stride": int(self.stride),
            "pooling": bool(self.pooling),
            "hidden_layer_sizes": checks.layer_widths(
                self.hidden_layer_sizes,
                "hidden_layer_sizes",
                "the widths of the dense layers from feature maps to code",
            ),
            "activation": self.activation,
        }


def _warn_of_channels_first(image_shape: Any) -> None:
    sizes = None if image_shape is None else checks.whole_numbers(image_shape)
    if sizes is None or len(sizes) != 3 or sizes[0] not in (1, 3) or sizes[2] <= 4:
        return
    height, width, n_channels = sizes
    warn(
        f"X has images of {height} x {width} pixels with {n_channels} "
        "channels. If they are of shape (n_channels, height, width), as those "
        "of PyTorch, put the channels last: pass X.transpose(0, 2, 3, 1), or "
        f"X.reshape(-1, {height}, {width}, {n_channels}).transpose(0, 2, 3, 1) "
        "of a table.",
    )
