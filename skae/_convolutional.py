"""The convolutional autoencoder."""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils import Tags

from skae import _checks as checks
from skae._base import BaseAutoencoder
from skae._docs import shared_docs
from skae._fitting import FittedByTraining
from skae._report import warn
from skae._sklearn_compat import Interval, StrOptions
from skae.modules import ConvolutionalAutoencoder
from skae.modules._layers import ACTIVATIONS
from skae.training import AutoencoderNet, Table, pca_start, standardize

# Chosen on held-out images by error and time: convolutions take a higher rate than
# dense layers, and larger batches gain less than more steps do.
_LR = 1e-2
_BATCH_SIZE = 32


@shared_docs
class ConvAutoencoder(BaseAutoencoder):
    """Convolutional autoencoder of images, with a dense code.

    The encoder makes smaller and smaller feature maps of an image by strided
    convolutions, and a code of `n_components` numbers of these by dense layers; the
    decoder is its mirror image. Where neighbouring pixels belong together, it
    reconstructs with as many components better than a dense autoencoder.

    It starts at random. What is trained is kept if it reconstructs rows held out from
    training better than PCA with as many components; otherwise the estimator becomes
    PCA, and a warning says so.

    Parameters
    ----------
    n_components : int, default=2
        Size of the code. It may exceed the number of pixels.

    image_shape : tuple of int, default=None
        (height, width) or (height, width, n_channels) of the images whose flattened
        pixels are the rows of `X`: line by line, the channels of a pixel side by side,
        as ``image.reshape(-1)`` gives them. None: the shape of the images, if `X` has
        more than two dimensions; else a square, if the number of columns is that of
        one; else a line of pixels, for rows that are signals.

    n_filters : int or sequence of int, default=(16, 32)
        Feature maps of each of the encoder's convolutions; the decoder has them in
        reverse.

    kernel_size : int, default=3
        Height and width of the filters in pixels, an odd number.

    stride : int, default=2
        Step of the filters: each convolution makes of `n` pixels along an axis
        ``ceil(n / stride)``. Images of any size are reconstructed in their size.

    pooling : bool, default=False
        Whether the encoder's convolutions have no stride, and max-pooling of
        ``stride x stride`` pixels follows each. It takes longer.

    hidden_layer_sizes : int or sequence of int, default=(100,)
        Widths of the dense layers between feature maps and code; the decoder has them
        in reverse. A linear layer lies beside them. ``()`` is this layer alone.

    activation : {"elu", "gelu", "identity", "logistic", "relu", "selu", "tanh"}, \
            default="gelu"
        Activation of the convolutions and the hidden layers.

    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy"}, \
            torch loss instance or class, default="squared_error"
        What training minimises. "binary_cross_entropy" is for values in [0, 1]; the
        decoder then ends in a sigmoid, there is no centring, and what is trained is
        kept, better than PCA or not.

    init : {"auto", "random"}, default="auto"
        Weights are random at the start. "auto": where training does not beat PCA on
        held-out rows, the estimator becomes PCA. "random": what is trained is kept.

    output : {"code", "reconstruction", "hidden"}, default="code"
        What `transform` gives: the codes; the reconstructions; or all feature maps and
        hidden activations of the encoder, layer beside layer and map beside map. It may
        be changed after fitting.

    lr : float or "auto", default="auto"
        Learning rate, the highest one of the schedule. The loss is measured in units of
        the loss of the mean row, so no rate depends on the units of `X`. "auto" is 1e-2
        (0.1 for "sgd", 1 for "lbfgs", 3e-3 for a class).

    batch_size : int or "auto", default="auto"
        Rows in a step. "auto" is 32 (all rows for "lbfgs").

    validation_fraction : float or None, default=0.1
        Share of the rows, drawn at random, that the state to keep is chosen by. To
        compare with PCA, at least 10 rows are needed: a table of fewer than 100 rows is
        given PCA. None: all rows train, and the last state is kept.

    {parameters}

    Attributes
    ----------
    image_shape_ : tuple of int
        (height, width) or (height, width, n_channels) of the images.

    best_epoch_ : int
        Epochs trained at the state that was kept; 0 is PCA, or the start with
        ``init="random"``.

    {attributes}

    See Also
    --------
    AutoencoderTransformer : Dense layers, for tables; never worse than PCA.

    Notes
    -----
    `X` may be an array of shape (n_samples, height, width) or (n_samples, height,
    width, n_channels), or a list of images. `inverse_transform` and `reconstruct` then
    give such arrays.

    Inputs are centred by pixel and divided by one scale. They are cast to float32, in
    which the net computes; the output has the dtype of the input. Codes have the units
    of `X`.

    There is no linear path beside the convolutions while they are trained: on images it
    was in the way. Where the estimator becomes PCA, the convolutions stay in place,
    silent, so that `partial_fit` and ``warm_start`` can go on from PCA. The state
    trained is kept by the same tests as in :class:`AutoencoderTransformer`.

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

    _module_class = ConvolutionalAutoencoder
    _floor_name = "PCA"

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
        **FittedByTraining._parameter_constraints,
        "image_shape": [tuple, list, None],
        "n_filters": ["array-like", Interval(Integral, 1, None, closed="left")],
        "kernel_size": [Interval(Integral, 1, None, closed="left")],
        "stride": [Interval(Integral, 1, None, closed="left")],
        "pooling": ["boolean"],
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "activation": [StrOptions(set(ACTIVATIONS))],
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

    def _as_table(self, X: Any, *, reset: bool) -> Any:
        if isinstance(X, list | tuple) and len(X) > 0:
            X = _stacked(X)
        n_axes = getattr(X, "ndim", 2)
        if n_axes > 4 or (n_axes > 2 and not hasattr(X, "__array__")):
            raise ValueError(
                f"Found array with dim {n_axes}. X must be an array of images, of "
                "shape (n_images, height, width) or (n_images, height, width, "
                "n_channels), or a table of one flattened image a row. Got "
                f"{type(X).__name__} of shape {tuple(X.shape)}. Pass "
                "X.reshape(X.shape[0], -1), and image_shape to the estimator."
            )
        are_images = n_axes in (3, 4)
        shape = tuple(X.shape[1:]) if are_images else None
        if reset:
            self._shape_given, self._shape_told = shape, self.image_shape
        if shape is None:
            return X
        expected = self.image_shape
        if not reset:
            expected = self._image_shape(self.n_features_in_, self._shape_told)
        if expected is not None and _with_channels(expected) != _with_channels(shape):
            raise ValueError(
                f"X has images of shape {shape}; "
                f"{'image_shape is' if reset else 'in fit they had'} "
                f"{tuple(expected)}. "
                "Give images of that shape; with image_shape=None, fit takes any."
            )
        return X.reshape(len(X), math.prod(shape))

    def _shape_of_row(self) -> tuple[int, ...]:
        return self._shape_given or super()._shape_of_row()

    def _image_shape(self, n_features: int, told: Any) -> tuple[int, ...]:
        """Shape of the images that rows with so many columns are, as `told` has it."""
        shape = told
        if shape is None:
            shape = getattr(self, "_shape_given", None)
        if shape is None:
            side = math.isqrt(n_features)
            return (side, side) if side**2 == n_features else (1, n_features)
        sizes = checks.whole_numbers(shape)
        if sizes is None or len(sizes) not in (2, 3):
            raise ValueError(
                "image_shape must be (height, width) or (height, width, n_channels), "
                f"positive integers, or None. Got {told!r}."
            )
        shape = tuple(sizes)
        if math.prod(shape) != n_features:
            raise ValueError(
                f"image_shape={shape} makes {math.prod(shape)} values; X has "
                f"{n_features} columns. Give (height, width) or (height, width, "
                "n_channels) of that many."
            )
        return shape

    # Fitting

    def _uses_logits(self) -> bool:
        return self.loss == "binary_cross_entropy"

    def _has_floor(self) -> bool:
        return self.init != "random" and not self._uses_logits()

    def _lr(self) -> float:
        auto = self.lr == "auto" and self.optimizer in ("adam", "adamw")
        return _LR if auto else super()._lr()

    def _batch_size(self, n_samples: int) -> int:
        auto = self.batch_size == "auto" and self.optimizer != "lbfgs"
        return _BATCH_SIZE if auto else super()._batch_size(n_samples)

    def _module_factory(
        self, X: Table, stream: bool = False
    ) -> tuple[Any, dict[str, Any]]:
        n_filters = checks.layer_widths(
            self.n_filters, "n_filters", "the maps of each convolution"
        )
        if not n_filters:
            raise ValueError(
                "n_filters must have a number for one convolution or more. Got "
                f"{self.n_filters!r}. AutoencoderTransformer has dense layers alone."
            )
        if self.kernel_size % 2 == 0:
            raise ValueError(
                "kernel_size must be odd, so that filters have a middle. Got "
                f"{self.kernel_size}. Use {self.kernel_size - 1} or "
                f"{self.kernel_size + 1}."
            )
        image_shape = self._image_shape(X.shape[1], self.image_shape)
        if len(image_shape) == 3 and image_shape[0] in (1, 3) and image_shape[2] > 4:
            height, width, n_channels = image_shape
            warn(
                f"X has images of {height} x {width} pixels with {n_channels} "
                "channels. If they are of shape (n_channels, height, width), as those "
                "of PyTorch, put the channels last: pass X.transpose(0, 2, 3, 1), or "
                f"X.reshape(-1, {height}, {width}, {n_channels}).transpose(0, 2, 3, 1) "
                "of a table.",
            )
        return self._module_class, {
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
            "binary_output": self._uses_logits(),
        }

    def _start(
        self, net: AutoencoderNet, X: Table, sample_weight: np.ndarray | None
    ) -> None:
        if self._uses_logits():
            return
        standardize(net.plain_module_, X, sample_weight)

    def _set_floor(
        self, net: AutoencoderNet, X: Table, sample_weight: np.ndarray | None
    ) -> None:
        module = net.plain_module_
        columns = standardize(module, X, sample_weight)
        start, _ = pca_start(X, columns, self.n_components, sample_weight, self._rng)
        module.start_linear(
            torch.as_tensor(start.encoder_weight), torch.as_tensor(start.decoder_weight)
        )


def _stacked(images: Sequence[Any]) -> Any:
    """Give a list of images as one array; rows of a table, as they are."""
    arrays = [np.asarray(image) for image in images]
    shapes = {array.shape for array in arrays}
    if not any(len(shape) in (2, 3) for shape in shapes):
        return images
    if len(shapes) > 1:
        raise ValueError(
            "All images must be of one shape, (height, width) or (height, width, "
            f"n_channels). Got images of the shapes {sorted(shapes)}: crop them, or "
            "make them one size."
        )
    return np.stack(arrays)


def _with_channels(shape: Sequence[int]) -> tuple[int, ...]:
    """Give a shape three numbers: images without channels have one."""
    return (*shape, 1) if len(shape) == 2 else tuple(shape)
