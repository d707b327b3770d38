"""The denoising autoencoder."""

from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import torch
from numpy.typing import ArrayLike
from torch import nn

from skae import _checks as checks
from skae import _pairs as pairs
from skae._base import BaseAutoencoder
from skae._dense import (
    LAYER_CONSTRAINTS,
    DenseWeightsMixin,
    dense_decisions,
    hidden_widths,
    noise_asked_for,
)
from skae._docs import shared_docs
from skae._plan import Plan
from skae._sklearn_compat import Interval, StrOptions, fit_context
from skae.losses import as_loss
from skae.noise import NOISES
from skae.training import (
    LinearDenoiser,
    PairedDenoiser,
    Start,
    Table,
    TargetUnits,
    full_width,
    recipe,
)


@shared_docs
class DenoisingAutoencoder(DenseWeightsMixin, BaseAutoencoder):
    """Dense autoencoder that is trained to take noise out of rows.

    In training the encoder is given noisy rows, and the loss compares what the decoder
    gives with the clean ones. So the codes survive bad measurements, and the
    reconstruction of a noisy row is nearer to the clean row. Rows are never made noisy
    by `transform`, `reconstruct` or the scores.

    The noisy rows are made of clean ones by `noise`, in ``fit(X_clean)``; or they are
    given with the clean ones, row by row, in ``fit(X_noisy, X_clean)``.

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

    noise : {"auto", "dropout", "gaussian", "masking", "missing", "salt_and_pepper", \
            "swap"}, torch.nn.Module, or list of these, default="auto"
        What makes rows noisy: the name of a noise, an instance from :mod:`skae.noise`
        or any module that takes rows and gives noisy ones in training mode. A list
        applies several in turn. An instance is copied. "auto" is "gaussian" if `fit`
        is given clean rows alone, and no noise if it is given pairs of noisy and clean
        rows. Any other value makes the noisy rows of pairs noisier in training, which
        keeps few pairs from being learned by heart; start and validation are of the
        pairs as they are. With noise, `optimizer` may not be "lbfgs", which needs the
        same loss each time it asks for it.

    noise_level : float, (float, float) or "auto", default="auto"
        Level of the noise given by name. "gaussian": standard deviation in units of
        the scale of `X`, the root of the mean variance over the columns, so 0.5 on
        standardised columns is 0.5. All others: probability of an entry to be
        corrupted, in [0, 1). Of a pair ``(low, high)``, each row draws its own level
        in between: for noise of unknown strength. "auto" is 0.5 for "gaussian", 0.3 for
        "masking" and "dropout", 0.15 for "swap", 0.1 for "salt_and_pepper". For
        "missing", each row also misses what another row of `X` misses; it is 0.3 if no
        value of `X` is missing. Not used where ``noise="auto"`` makes none.

    emphasis : (float, float) or None, default=None
        Weights in the loss of entries that are corrupted and of entries that are not
        [1]_, for noise that leaves entries as they are. An entry whose value did not
        change, as a zero that was masked, counts as not corrupted. None weights all
        the same. In pairs of rows, an entry is corrupted if the noisy row differs from
        the clean one there.

    hidden_layer_sizes : int or sequence of int, default=(256, 256)
        Widths of the encoder's hidden layers, from input to code; the decoder has
        them in reverse. ``()`` gives the best linear denoiser: with the
        squared error, the linear start and no `emphasis`, `fit` does not train.

    activation : {"elu", "gelu", "identity", "logistic", "relu", "selu", "silu", \
            "tanh"}, default="gelu"
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
        copies of a row are one sample, and not more than 2; for pairs of rows, whose
        noise is drawn once, four times as much, and not more than 6. It is 0 with
        another optimizer, without a linear path that stays at its start, and in
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
    the validation rows so that there are at least 512 noisy ones; or of pairs as they
    are.

    The start is ``x_hat = mean + M (x_noisy - mean_noisy)`` with the matrix that
    minimises the expected squared error, given the covariance of the rows and the
    moments of the noise [2]_; with fewer components than columns, it is the best of
    that rank. Of tables with few rows for their columns, the covariance is shrunk.
    Noise given as a module of your own is sampled to find it.

    Of pairs of rows, the start is the least squares of clean rows from noisy ones, with
    an intercept; with fewer components than columns, it is the best map of that rank.
    Where pairs are few for their columns, it is shrunk, by cross-validation. It is what
    training has to beat on pairs held out, and what is kept otherwise, of all pairs.
    Noisy copies of one clean row are held out together. The clean rows may have other
    units than the noisy ones: a pipeline's scaler changes `X` alone, and the decoder
    then gives rows in the units of `y`. Scores without `y` compare with `X`, and mean
    little where units differ.

    `score` without `y` is about clean rows, and no noise is best for it. To choose a
    noise level by cross-validation, score what comes after the denoiser, or the error
    from noisy rows: ``score(X_noisy, X_clean)``.

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

    With pairs of rows, the noise is learned from them:

    >>> denoiser = DenoisingAutoencoder(max_epochs=5, random_state=0)
    >>> denoiser = denoiser.fit(X_noisy[:1500], X[:1500])
    >>> print(f"{denoiser.score(X_noisy[1500:], X[1500:]):.1f}")
    0.7
    """

    def __init__(
        self,
        n_components: int | None = None,
        *,
        noise: Any = "auto",
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

    _takes_pairs = True
    _fills_gaps = True

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseAutoencoder._parameter_constraints,
        **LAYER_CONSTRAINTS,
        "tied_weights": ["boolean"],
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "noise": [StrOptions({"auto", *NOISES}), nn.Module, list],
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

    # Rows in pairs

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Train the denoiser on rows that it makes noisy itself, or on pairs of rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows: clean ones, or the noisy ones of pairs. Of a table that would
            take more than 512 MiB as float32 (of a sparse matrix, 64 MiB), no dense
            copy is made: it is read block by block, and may be a memory-mapped file
            larger than memory.

        y : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            The clean rows, in the same order, that the decoder is to give of the rows
            of `X`; or other rows with a column for each of `X`. Values equal to those
            of `X` are as None: then `X` is clean. A `y` of another shape is ignored, as
            pipelines pass class labels and targets to all their steps; a warning says
            so if it has two columns or more.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows: in the loss, in the centring and in the start. Weight
            2 counts as the row twice, weight 0 as the row left out.

        X_val : array-like of shape (n_val, n_features), default=None
            Validation rows. All rows of `X` then train, whatever
            `validation_fraction` says. Of a large table, a sample is taken. For `X_val`
            to pass through the steps of a pipeline, name it in the pipeline's
            `transform_input`.

        y_val : array-like of shape (n_val, n_features), default=None
            The clean rows of `X_val`. Needed with `X_val` if `y` has those of `X`.

        groups : array-like of shape (n_samples,), default=None
            Labels of groups, such as patients, or recordings that windows are cut
            from. No group is on both sides when rows are held out. None keeps copies
            of a row together, and pairs with the same clean row. Not used with `X_val`,
            or without a `validation_fraction`.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is not valid, or does not fit `X`. An estimator that was
            fitted before stays as it was.
        """
        return self._fit(X, y, sample_weight, X_val, groups, y_val)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train for one pass over the given rows, going on from the present state.

        The first call starts as `fit` does, from the rows of that call. All calls
        share one optimizer, at a constant learning rate; of the parameters, only a
        number set for `lr` is looked at again. There are no validation rows: the last
        state is the one kept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        y : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            The clean rows, as in `fit`. With ``noise="auto"``, either all calls have
            them or none.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the loss, and in the start of the first call.

        Returns
        -------
        self : object
            Fitted estimator.
        """
        return self._partial_fit(X, y, sample_weight)

    def score(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the R² of the reconstruction, weighted by the variance of the columns.

        One minus the squared error over the total variance, of `X` or of `y`. It is
        what :class:`~sklearn.model_selection.GridSearchCV` maximises.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, clean or noisy.

        y : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            The clean rows, which the reconstructions are compared with. Without it, or
            with a `y` of another shape, they are compared with `X`.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            At most 1; 0 for the reconstruction of every row by the mean row.
        """
        rows, targets = self._check_new_rows(X), None
        if checks.same_shape(X, y):
            targets = checks.check_targets(self, y, rows)
        return self._r2(rows, sample_weight, targets)

    # The plan

    def _plan(self, table: Table, *, stream: bool = False) -> Plan:
        in_pairs = pairs.is_fitted_to_pairs(self)
        width = full_width(table)
        n_components = width if self.n_components is None else int(self.n_components)
        decisions, is_linear = dense_decisions(self, table, n_components, "linear")
        if not (in_pairs and self.noise == "auto"):
            noise = "gaussian" if self.noise == "auto" else self.noise
            decisions.update(noise=noise_asked_for(self, noise), fits_noise=True)
        if not decisions.get("is_user_module", False):
            # At full width there is nothing to gain but the noise of small tables;
            # unless that of the start is to be mended by the rows of a stream.
            mends = stream and len(table) < table.n_features
            decisions["arguments"].update(
                train_linear_path=n_components < width or mends,
                output_units=self._has_output_units(in_pairs),
            )
            decisions["start"] = self._start(decisions, is_linear, in_pairs)
        objective = decisions.get("objective", Plan.objective)
        return self._planned(
            len(table),
            **{
                **decisions,
                "objective": replace(objective, emphasis=self.emphasis),
                "floor": decisions["start"] if is_linear else None,
                "is_solved": self._is_solved(is_linear),
                # Pairs are validated on as they are, whatever noise they train with.
                "validates_noisy": not in_pairs,
                "weight_decay": self._weight_decay(table, decisions, is_linear, stream),
            },
        )

    def _has_output_units(self, in_pairs: bool) -> bool:
        if self.warm_start and hasattr(self, "net_"):  # the module stays as it is
            return getattr(self.module_, "output_units", False)
        return in_pairs

    def _start(
        self, decisions: dict[str, Any], is_linear: bool, in_pairs: bool
    ) -> Start:
        n_components = decisions["arguments"]["n_components"]
        if is_linear:
            kind = PairedDenoiser if in_pairs else LinearDenoiser
            return kind(n_components, self.tied_weights)
        if not in_pairs:
            return decisions["start"]
        return TargetUnits() if not as_loss(self.loss).has_link else Start()

    def _is_solved(self, is_linear: bool) -> bool:
        """Whether the start is the optimum: without hidden layers, it is."""
        exact = is_linear and self.loss == "squared_error" and self.emphasis is None
        return exact and len(hidden_widths(self)) == 0

    def _weight_decay(
        self, table: Table, decisions: dict[str, Any], is_linear: bool, stream: bool
    ) -> float:
        if self.weight_decay != "auto":
            return float(self.weight_decay)
        # A linear path that is trained would decay, too; and the rows of a stream
        # cannot be counted.
        if (
            not is_linear
            or not hidden_widths(self)
            or decisions["arguments"]["train_linear_path"]
            or stream
        ):
            return 0.0
        # A large table has enough rows whatever their copies.
        return recipe.weight_decay(
            self.optimizer,
            len(table) if table.large else table.n_distinct(),
            table.n_features,
            drawn_once=pairs.is_fitted_to_pairs(self),
        )
