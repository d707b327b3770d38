"""The recurrent autoencoder of time series."""

from numbers import Integral
from typing import Any, ClassVar

import torch
from numpy.typing import ArrayLike
from sklearn.utils import Tags

from skae._base import BaseAutoencoder
from skae._dense import pca_noise
from skae._docs import shared_docs
from skae._plan import Plan
from skae._shapes import SeriesRows
from skae._sklearn_compat import Interval, StrOptions
from skae.losses import LOSSES
from skae.modules import SeriesAutoencoder
from skae.modules._recurrent import CELLS
from skae.objectives import Reconstruction
from skae.training import PCAStart, Start, Table, recipe


@shared_docs
class RecurrentAutoencoder(BaseAutoencoder):
    """Recurrent autoencoder of time series, of equal or unequal length.

    A recurrent encoder reads a series step by step and maps its last state to the code.
    A dense or recurrent decoder maps the code back to a series. By default both start
    as PCA of the flattened series: a linear path beside the recurrent layers is set to
    PCA, and the recurrent layers output zero before the first training step. The
    trained network is kept if it reconstructs held-out series better; otherwise PCA is
    kept.

    **When to use it.** For series of unequal length. For series of equal length,
    :class:`AutoencoderTransformer` on the flattened series is often as good; with
    thousands of series, try both.

    **Forms of X**, in `fit` and in all other methods:

    - an array of shape (n_series, steps, channels), in which shorter series end in NaN;
    - a list of arrays of shape (steps, channels), of unequal length, or an array of
      dtype object or a column of pandas or polars with one in each cell;
    - a table of shape (n_series, steps * channels), each row a series: all channels of
      its first step, then all of its second, and so on. With ``series_shape=(steps,
      channels)``, shorter series end in NaN. Without it, the columns are the steps
      of one channel, and NaN raises an error: it could be a missing value.

    For arrays of shape (n_series, channels, steps), as sktime and aeon have them, pass
    ``X.transpose(0, 2, 1)``; for a list of arrays of shape (channels, steps),
    ``[each.T for each in X]``.

    **Meaning of NaN.** A series has ended if all further steps are NaN in all channels;
    any other NaN raises an error. Masked values count as NaN. The encoder stops at the
    last step, and the linear path uses the mean of the column for further steps. The
    loss of a series, its `reconstruction_error` and its `score_samples` are means over
    its values, and `reconstruct` returns NaN where its input has NaN. A code does not
    store the length of its series: `inverse_transform` returns as many steps as the
    longest series has, and extrapolates after the end of a series.

    Parameters
    ----------
    n_components : int, default=2
        Size of the latent code. It may exceed the number of columns.

    series_shape : (int, int), default=None
        Number of steps of the longest series, and number of channels. None uses those
        of `X`; a table then has as many steps as columns and one channel. Set it if
        series after `fit`, or in another fold of a cross-validation, may be longer.

    cell : {"lstm", "gru"}, default="lstm"
        Kind of the recurrent layers.

    hidden_size : int, default=64
        Size of the state of the recurrent layers, in the encoder and in a recurrent
        decoder.

    n_layers : int, default=1
        Number of recurrent layers, in the encoder and in a recurrent decoder.

    bidirectional : bool, default=False
        Whether a second encoder reads each series from its end. The code is then
        computed from both states.

    decoder : {"auto", "dense", "recurrent"}, default="auto"
        "dense" returns all steps at once. "recurrent" starts from a state that is
        computed from the code and returns one step after the other, each from its
        output for the step before; its time grows with the number of steps. "auto" is
        "dense" if all series of the first fit have the full length, and else
        "recurrent".

    decoder_hidden_size : int or None, default=256
        Width of the two hidden layers of a dense decoder. None is the width of the
        state, `hidden_size`. A recurrent decoder has no such layers: its state has
        `hidden_size` entries.

    loss : {"squared_error", "absolute_error", "huber"}, torch loss instance or class, \
            default="squared_error"
        Loss to minimise. A torch loss needs a `reduction`.

    init : {"auto", "pca", "random"}, default="auto"
        State before the first step: "pca", or "random" for the textbook network without
        a linear path. "auto" is "pca".

    output : {"code", "reconstruction", "hidden"}, default="code"
        What `transform` returns: the codes, the reconstructions, or the last state of
        the encoder. It may be changed after fitting.

    lr : float or "auto", default="auto"
        Learning rate; the highest one if there is a schedule. The loss is measured in
        units of the loss of the mean row, so the best rate does not depend on the units
        of `X`. "auto" is 4e-6 times the number of series, between 3e-3 and 8e-3, and at
        most ``0.0075 * sqrt(batch_size / n_features)``, where `n_features` is steps
        times channels (0.1 for "sgd", 0.01 for "muon", 1 for "lbfgs").

    batch_size : int or "auto", default="auto"
        Number of series in each step. "auto" is a twentieth of them, between 16 and
        128. It is all of them for "lbfgs".

    max_epochs : int or "auto", default="auto"
        Maximum number of passes over the training rows. "auto" makes about 1,500 steps,
        or 500 with a recurrent decoder, whatever the number of rows, and at least one
        pass (100 passes for "lbfgs").

    {parameters}

    Attributes
    ----------
    series_shape_ : (int, int)
        Number of steps of the longest series, and number of channels.

    {attributes}

    See Also
    --------
    AutoencoderTransformer : The dense network, for series of equal length.

    Notes
    -----
    As in PCA, channels with a large variance count more. If their units are not
    comparable, standardise them first, over all steps of all series.

    Norms of gradients are clipped at 1. In training from the PCA start, the input of
    the encoder has Gaussian noise, with half the root mean squared error of PCA as its
    standard deviation, and the loss compares with the series without noise. Codes have
    the units of `X`, as in PCA.

    The two directions of a bidirectional encoder are separate stacks of layers.

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

    # A step takes several times as long as one of a dense net.
    _recipe = recipe.Recipe(
        adam_lr=None, batch_shares=((20, 128),), n_steps=1500, clip_norm=1.0
    )
    # A step with a recurrent decoder takes twice as long again, and more steps gain
    # little.
    _n_recurrent_steps = 500

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
        decoder_hidden_size: int | None = 256,
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
        self.decoder_hidden_size = decoder_hidden_size
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
        "series_shape": ["array-like", None],
        "cell": [StrOptions(set(CELLS))],
        "hidden_size": [Interval(Integral, 1, None, closed="left")],
        "n_layers": [Interval(Integral, 1, None, closed="left")],
        "bidirectional": ["boolean"],
        "decoder": [StrOptions({"auto", "dense", "recurrent"})],
        "decoder_hidden_size": [Interval(Integral, 1, None, closed="left"), None],
        "loss": [
            StrOptions({name for name, loss in LOSSES.items() if not loss.has_link}),
            callable,
        ],
        "init": [StrOptions({"auto", "pca", "random"})],
    }

    series_shape_: tuple[int, int]

    # Rows that are series

    @property
    def _form(self) -> SeriesRows:
        return SeriesRows(self.series_shape_, self._gives_series, self._may_end)

    def _begin_fit(self, X: Any) -> SeriesRows:
        form = SeriesRows.of(X, self.series_shape)
        self.series_shape_ = form.steps_and_channels
        self._gives_series, self._may_end = form.are_series, form.may_end
        return form

    # The plan

    def _plan(self, table: Table, *, stream: bool = False) -> Plan:
        n_steps, n_channels = self.series_shape_
        n_components = int(self.n_components)
        start, noise = Start(), None
        width = self.decoder_hidden_size
        is_recurrent = self._has_recurrent_decoder(table)
        is_linear = self.init != "random"
        if is_linear:
            noise = pca_noise(self)
            start = PCAStart(n_components, scales_noise=noise is not None)
        return self._planned(
            len(table),
            module=SeriesAutoencoder,
            arguments={
                "n_steps": n_steps,
                "n_channels": n_channels,
                "n_components": n_components,
                "cell": self.cell,
                "hidden_size": int(self.hidden_size),
                "n_layers": int(self.n_layers),
                "bidirectional": bool(self.bidirectional),
                "recurrent_decoder": is_recurrent,
                "decoder_hidden_size": (
                    None if is_recurrent or width is None else int(width)
                ),
                "linear_path": is_linear,
            },
            objective=Reconstruction(missing=True),
            noise=noise,
            start=start,
            floor=start if is_linear else None,
            n_steps=self._n_recurrent_steps if is_recurrent else self._recipe.n_steps,
        )

    def _has_recurrent_decoder(self, table: Table) -> bool:
        if self.decoder != "auto":
            return self.decoder == "recurrent"
        if self.warm_start and hasattr(self, "net_"):  # the module stays as it is
            module: Any = self.module_
            return module.from_code is not None
        return table.has_missing()

    # Using what was fitted

    def score(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the R² of the reconstruction, weighted by the variance of the columns.

        It is one minus the squared error over the total variance, both summed over the
        values of the series, and comparable with
        ``PCA(...).explained_variance_ratio_.sum()``.
        :class:`~sklearn.model_selection.GridSearchCV` maximises it.

        Parameters
        ----------
        X : array-like, sparse matrix or list
            Series, in one of the forms that `fit` accepts.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the series.

        Returns
        -------
        score : float
            At most 1; 0 for the reconstruction of every step by the mean of the series
            that have it. NaN for fewer than two series, with a warning.
        """
        return super().score(X, y, sample_weight)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.allow_nan = self.series_shape is not None
        return tags
