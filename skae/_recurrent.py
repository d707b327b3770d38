"""The autoencoder of series."""

import math
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import Tags
from skorch.callbacks import Callback, GradientNormClipping

from skae import _checks as checks
from skae._base import BaseAutoencoder
from skae._docs import shared_docs
from skae._fitting import FittedByTraining
from skae._sklearn_compat import Interval, StrOptions
from skae.losses import LOSSES
from skae.modules import SeriesAutoencoder
from skae.modules._recurrent import CELLS
from skae.noise import GaussianNoise, Noise
from skae.training import (
    AutoencoderNet,
    Columns,
    LargeTable,
    SeriesNet,
    Table,
    column_statistics,
    dense_rows,
    fill_ends,
    pca_start,
    standardize,
)

# Level of the noise in training, in units of what PCA leaves over.
_NOISE = 0.5
# Length of training where `max_epochs` does not say.
_N_STEPS = 500


@shared_docs
class RecurrentAutoencoder(BaseAutoencoder):
    """Recurrent autoencoder of series, of equal or of unequal length.

    A recurrent network reads a series step by step, and the state that it ends in gives
    the code; a dense or a recurrent decoder gives the series back. By default both
    start as PCA of the rows that the series are, one step after the other: a linear
    path lies beside the recurrent layers, and before the first training step these
    are silent. What training adds is kept if series held out from it are reconstructed
    better, and PCA is kept otherwise.

    **What it is for.** Series of unequal length, which no table holds without gaps. On
    series of equal length a dense network trains sooner and is often as good: try
    :class:`AutoencoderTransformer` on the flattened series first. With many series, ten
    passes or more and ``decoder="recurrent"``, this one may reconstruct better.

    **What X may be**, in `fit` and in all other methods:

    - an array of shape (n_series, steps, channels), in which shorter series end in NaN;
    - a list of arrays of shape (steps, channels), of unequal length, or an array of
      dtype object or a column of pandas or polars with one in each cell;
    - a table of shape (n_series, steps * channels), each row a series: all channels of
      its first step, then all of its second, and so on. With ``series_shape=(steps,
      channels)``, shorter series end in NaN. Without it, the columns are the steps
      of one channel, and NaN is refused: it could be a value that is missing.

    For arrays of shape (n_series, channels, steps), as sktime and aeon have them, pass
    ``X.transpose(0, 2, 1)``; for a list of arrays of shape (channels, steps),
    ``[each.T for each in X]``.

    **What NaN means.** NaN in all channels from some step on says that the series has
    ended; any other NaN is refused. What is masked in a masked array counts as NaN. The
    encoder stops at the last step, and to the linear path the rest is the mean of the
    column. The loss of a series, its `reconstruction_error` and its `score_samples` are
    means over the values that it has, and `reconstruct` gives NaN where its input has
    NaN. A code alone does not tell where its series ended: `inverse_transform` gives as
    many steps as the longest series has, and what comes after the end is how the model
    would go on.

    Parameters
    ----------
    n_components : int, default=2
        Size of the code. It may exceed the number of columns.

    series_shape : (int, int), default=None
        Steps of the longest series, and channels. None takes both from `X`: of an array
        or a list, as they are; of a table, as many steps as columns and one channel.
        Set it where series that come after `fit`, or in another fold of a
        cross-validation, may be longer.

    cell : {"lstm", "gru"}, default="lstm"
        Kind of the recurrent layers.

    hidden_size : int, default=64
        Size of the state of the recurrent layers, and width of the two hidden layers of
        a dense decoder.

    n_layers : int, default=1
        Number of recurrent layers, in the encoder and in a recurrent decoder.

    bidirectional : bool, default=False
        Whether a second encoder reads each series from its end, for a code made from
        both states.

    decoder : {"auto", "dense", "recurrent"}, default="auto"
        "dense" gives all steps at once. "recurrent" starts in a state made from the
        code and gives one step after the other, each from what it gave for the step
        before; its time grows with the number of steps. "auto" is "dense" where all
        series of the first fit are as long as the longest may be, and else "recurrent".

    loss : {"squared_error", "absolute_error", "huber"}, torch loss instance or class, \
            default="squared_error"
        What training minimises. A torch loss needs a `reduction`.

    init : {"auto", "pca", "random"}, default="auto"
        State before the first step: "pca", or "random" for the textbook network with no
        linear path. "auto" is "pca".

    output : {"code", "reconstruction", "hidden"}, default="code"
        What `transform` gives: the codes; the reconstructions; or the last state of
        the encoder. It may be changed after fitting.

    max_epochs : int or "auto", default="auto"
        Passes over the training rows. "auto" makes about 500 steps, whatever the
        number of rows, and at least one pass (100 passes for "lbfgs").

    {parameters}

    Attributes
    ----------
    series_shape_ : (int, int)
        Steps of the longest series, and channels.

    {attributes}

    See Also
    --------
    AutoencoderTransformer : The dense network, for series of equal length.

    Notes
    -----
    As in PCA, channels with a large variance count more. Standardise them beforehand,
    over all steps of all series, if their units are not comparable.

    Norms of gradients are clipped at 1. From the PCA start, the encoder is given series
    with Gaussian noise in training, of half the root mean squared error of PCA, and the
    decoder is to give them without it. Codes have the units of `X`, as those of PCA.

    The two directions of a bidirectional encoder are stacks of layers that do not see
    each other.

    References
    ----------
    .. [1] I. Sutskever, O. Vinyals and Q. V. Le, "Sequence to sequence learning with
       neural networks", NeurIPS 2014, arXiv:1409.3215.
    .. [2] N. Srivastava, E. Mansimov and R. Salakhutdinov, "Unsupervised learning of
       video representations using LSTMs", ICML 2015, arXiv:1502.04681.

    Examples
    --------
    >>> import numpy as np
    >>> from skae import RecurrentAutoencoder
    >>> rng = np.random.default_rng(0)
    >>> series = [np.sin(0.5 * np.arange(n) + rng.uniform(0, 6)) for n in range(10, 30)]
    >>> series = [each[:, None] for each in series] * 10  # one channel
    >>> autoencoder = RecurrentAutoencoder(3, max_epochs=3, random_state=0).fit(series)
    >>> codes = autoencoder.transform(series)
    >>> codes.shape, autoencoder.inverse_transform(codes).shape
    ((200, 3), (200, 29, 1))
    >>> int(np.isfinite(autoencoder.reconstruct(series)[0]).sum())  # as in the series
    10
    """

    _net_class = SeriesNet
    _ends_where_masked = True
    _module_class = SeriesAutoencoder

    def __init__(
        self,
        n_components: int = 2,
        *,
        series_shape: Any = None,
        cell: str = "lstm",
        hidden_size: int = 64,
        n_layers: int = 1,
        bidirectional: bool = False,
        decoder: str = "auto",
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
        self.series_shape = series_shape
        self.cell = cell
        self.hidden_size = hidden_size
        self.n_layers = n_layers
        self.bidirectional = bidirectional
        self.decoder = decoder
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

    _closed_form_name = "PCA"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **FittedByTraining._parameter_constraints,
        "series_shape": ["array-like", None],
        "cell": [StrOptions(set(CELLS))],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "decoder": [StrOptions({"auto", "dense", "recurrent"})],
        "loss": [StrOptions(set(LOSSES) - {"binary_cross_entropy"}), callable],
        "init": [StrOptions({"auto", "pca", "random"})],
    }

    series_shape_: tuple[int, int]

    # Rows that are series

    def _as_table(self, X: Any, *, reset: bool) -> Any:
        series = _series(X)
        if reset:
            self._gives_series = series is not None
            self._may_end = series is not None or self.series_shape is not None
            self.series_shape_ = _shape(X, series, self.series_shape)
        return X if series is None else _padded(series, self.series_shape_)

    def _shape_of_row(self) -> tuple[int, ...]:
        return self.series_shape_ if self._gives_series else super()._shape_of_row()

    def _check_X(self, X: Any, **options: Any) -> Table:
        table = super()._check_X(X, **options)
        if self.series_shape_ is None:
            self.series_shape_ = (table.shape[1], 1)
        return table

    def _n_channels(self) -> int | None:
        return self.series_shape_[1] if self._may_end else None

    def _filled(
        self, X: Table, sample_weight: np.ndarray | None
    ) -> tuple[Table, np.ndarray | None]:
        """Give rows, without NaN, that tell the columns' statistics, and weights."""
        if not self._may_end or (isinstance(X, LargeTable) and X.sparse):
            return X, sample_weight
        rows, sample_weight = dense_rows(X, sample_weight)
        return fill_ends(rows, sample_weight), sample_weight

    # Fitting

    def _start_is_floor(self) -> bool:
        return self.init != "random"

    def _noise(self) -> Noise | None:
        # L-BFGS needs the same loss each time it asks for it.
        noisy = self._start_is_floor() and not self._uses_lbfgs()
        return GaussianNoise(_NOISE) if noisy else None

    def _module_factory(
        self, X: Table, stream: bool = False
    ) -> tuple[Any, dict[str, Any]]:
        n_steps, n_channels = self.series_shape_
        return self._module_class, {
            "n_steps": n_steps,
            "n_channels": n_channels,
            "n_components": int(self.n_components),
            "cell": self.cell,
            "hidden_size": int(self.hidden_size),
            "n_layers": int(self.n_layers),
            "bidirectional": bool(self.bidirectional),
            "recurrent_decoder": self._has_recurrent_decoder(X),
            "linear_path": self._start_is_floor(),
        }

    def _has_recurrent_decoder(self, X: Table) -> bool:
        if self.decoder != "auto":
            return self.decoder == "recurrent"
        if self.warm_start and hasattr(self, "net_"):  # to go on with what there is
            module: Any = self.module_
            return module.from_code is not None
        return self._may_end and _has_nan(X)

    def _start(
        self, net: AutoencoderNet, X: Table, sample_weight: np.ndarray | None
    ) -> None:
        X, sample_weight = self._filled(X, sample_weight)
        module = net.plain_module_
        columns = standardize(module, X, sample_weight)
        if self._start_is_floor():
            start, residual = pca_start(
                X, columns, self.n_components, sample_weight, self._rng
            )
            weights = start.encoder_weight, start.decoder_weight
            module.start_linear(*map(torch.as_tensor, weights))
            if net.noise_ is not None:
                net.noise_.scale.fill_(residual)

    def _n_epochs(self, net: AutoencoderNet, n_samples: int) -> int:
        if self.max_epochs == "auto" and not self._uses_lbfgs():
            # A step takes many times that of a dense net.
            return max(1, round(_N_STEPS / math.ceil(n_samples / net.batch_size)))
        return super()._n_epochs(net, n_samples)

    def _step_callbacks(self) -> list[Callback]:
        return [GradientNormClipping(1.0)]

    # Using what was fitted

    def score(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Give the R² of the reconstruction, weighted by the variance of the columns.

        One minus the squared error over the total variance, both summed over the
        values that the series have: comparable with
        ``PCA(...).explained_variance_ratio_.sum()``, and what
        :class:`~sklearn.model_selection.GridSearchCV` maximises.

        Parameters
        ----------
        X : array-like, sparse matrix or list
            Series, in one of the shapes that `fit` takes.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the series.

        Returns
        -------
        score : float
            At most 1; 0 for the reconstruction of every series by the mean of those
            that have as many steps. NaN of fewer than two series, with a warning.
        """
        return super().score(X, y, sample_weight)

    def _error_and_statistics(
        self,
        X: Table,
        sample_weight: np.ndarray | None,
        targets: Table | None = None,
    ) -> tuple[float, Columns]:
        if not (self._may_end and _has_nan(X)):
            return super()._error_and_statistics(X, sample_weight, targets)
        X, weight = dense_rows(X, sample_weight)
        share = (~np.isnan(X)).mean(axis=1)
        error = np.average(self._row_errors(X) * share, weights=weight)
        # What is filled in does not vary.
        return float(error), column_statistics(fill_ends(X, weight), weight)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.series_shape is not None
        return tags


def _series(X: Any) -> Any:
    """Give an array of three dimensions, or a list of series; None for a table."""
    n_axes = getattr(X, "ndim", 2)
    if n_axes > 3 or (n_axes == 3 and not hasattr(X, "__array__")):
        raise ValueError(
            f"Found array with dim {n_axes}. X must be an array of shape (n_series, "
            "steps, channels), a list of series or a table of one flattened series a "
            f"row. Got {type(X).__name__} of shape {tuple(X.shape)}. Pass "
            "X.reshape(X.shape[0], -1), and series_shape to the estimator."
        )
    if n_axes == 3:
        return np.asarray(X)
    if not (isinstance(X, list | tuple) and len(X) > 0):
        return None
    try:
        series = [np.asarray(each) for each in X]
    except ValueError as error:
        raise ValueError(
            "All series must be of shape (steps, channels), with as many channels in "
            f"each step. {error}"
        ) from error
    if any(each.dtype.kind == "c" for each in series):
        raise ValueError(
            "Complex data not supported. Give real and imaginary parts as channels, "
            "for instance numpy.concatenate([s.real, s.imag], axis=1) for each series."
        )
    if all(each.ndim == 0 for each in series):
        return None  # for scikit-learn's message
    if all(each.ndim == 1 for each in series):
        if len({len(each) for each in series}) > 1:
            raise ValueError(
                "All series must be of shape (steps, channels). Got some of shape "
                "(steps,), of unequal length: give numpy.asarray(series)[:, None] for "
                "each, which has one channel."
            )
        return None  # the rows of a table
    n_channels = next(each.shape[1] for each in series if each.ndim > 1)
    for i, each in enumerate(series):
        if each.ndim != 2 or each.shape[1] != n_channels:
            raise ValueError(
                "All series must be of shape (steps, channels), with the same number "
                f"of channels. One has {n_channels} channels. Series {i} has shape "
                f"{each.shape}."
            )
    return series


def _shape(X: Any, series: Any, series_shape: Any) -> Any:
    """Give steps and channels of the series, as told or as rows have them."""
    if series_shape is not None:
        shape = checks.whole_numbers(series_shape)
        if shape is None or len(shape) != 2:
            raise ValueError(
                "series_shape must be (steps, channels), two positive ints, or None. "
                f"Got {series_shape!r}."
            )
        n_steps, n_channels = shape
        if series is None:
            n_columns = (getattr(X, "shape", None) or np.shape(X))[1:]
            if n_columns and n_columns[0] != n_steps * n_channels:
                raise ValueError(
                    f"series_shape=({n_steps}, {n_channels}) needs rows of "
                    f"{n_steps * n_channels} columns, and X has {n_columns[0]}. Set "
                    "series_shape to the (steps, channels) of the longest series."
                )
        return n_steps, n_channels
    if series is None:
        return None  # told by the number of columns, once that is checked
    if isinstance(series, list):
        return max(map(len, series)), series[0].shape[1]
    return series.shape[1:]


def _padded(series: Any, shape: tuple[int, int]) -> np.ndarray:
    """Give a table of series, with NaN after the ends."""
    n_steps, n_channels = shape
    longest, found = (
        (max(map(len, series)), series[0].shape[1])
        if isinstance(series, list)
        else series.shape[1:]
    )
    if found != n_channels or longest > n_steps:
        raise ValueError(
            f"Series must have {n_channels} channels and at most {n_steps} steps, as "
            f"those of `fit` or as series_shape says. Got {found} channels and up to "
            f"{longest} steps. Arrays are of shape (n_series, steps, channels)."
        )
    if not isinstance(series, list) and longest == n_steps:
        return series.reshape(len(series), n_steps * n_channels)
    single = all(each.dtype == np.float32 for each in series)
    table = np.full(
        (len(series), n_steps, n_channels), np.nan, np.float32 if single else np.float64
    )
    for row, each in zip(table, series, strict=True):
        row[: len(each)] = each
    return table.reshape(len(table), n_steps * n_channels)


def _has_nan(X: Table) -> bool:
    """Whether a series is shorter than others: then the last column tells."""
    if isinstance(X, LargeTable):
        return not X.sparse and any(np.isnan(rows[:, -1]).any() for rows in X.values())
    return bool(np.isnan(X[:, -1]).any())
