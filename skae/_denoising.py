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
    """Dense autoencoder that is trained to remove noise from rows.

    In training, the encoder receives noisy rows, and the loss compares the
    reconstructions with the clean rows. So codes depend less on bad measurements, and
    the reconstruction of a noisy row is nearer to the clean row. `transform`,
    `reconstruct` and the scores add no noise.

    ``fit(X_clean)`` makes noisy rows by `noise`. ``fit(X_noisy, X_clean)`` uses given
    pairs of noisy and clean rows.

    By default it starts as the best linear denoiser (for Gaussian noise the Wiener
    filter), in closed form, and the nonlinear layers beside it output zero before the
    first step. The trained network is kept if it denoises held-out rows better;
    otherwise the best linear denoiser of all rows is kept.

    By default the code has as many components as there are columns, because a narrow
    code loses a part of each row. Set `n_components` to use codes as features.

    Parameters
    ----------
    n_components : int or None, default=None
        Size of the latent code. None is the number of columns, or the number of
        distinct rows if there are more than 1,000 columns and fewer such rows. The
        linear path is then fixed at its start, and only the nonlinear layers are
        trained.

    noise : {"auto", "dropout", "gaussian", "masking", "missing", "salt_and_pepper", \
            "swap"}, torch.nn.Module, or list of these, default="auto"
        Noise to add: a name, an instance from :mod:`skae.noise`, or any module that
        maps rows to noisy rows in training mode. A list applies several in turn. An
        instance is copied. "auto" is "gaussian" if `fit` receives only clean rows, and
        no noise if it receives pairs of noisy and clean rows. Any other value adds
        noise to the noisy rows of pairs in training, which reduces overfitting on few
        pairs; the start and the validation use the pairs without it. With noise,
        `optimizer` may not be "lbfgs", which needs the same loss in each evaluation.

    noise_level : float, (float, float) or "auto", default="auto"
        Level of a noise set by name. "gaussian": standard deviation in units of the
        scale of `X`, the root of the mean variance over the columns, so 0.5 on
        standardised columns is 0.5. All others: probability of an entry to be
        corrupted, in [0, 1). With a pair ``(low, high)``, each row draws its own level
        in between, for noise of unknown strength. "auto" is 0.5 for "gaussian", 0.3 for
        "masking" and "dropout", 0.15 for "swap", 0.1 for "salt_and_pepper". For
        "missing", each row also misses the values that another row of `X` misses; it is
        0.3 if no value of `X` is missing. Not used if ``noise="auto"`` adds none.

    emphasis : (float, float) or None, default=None
        Weights in the loss of corrupted and of other entries [1]_, for noise that does
        not corrupt all entries. An entry whose value did not change, such as a zero
        that was masked, is not corrupted. None weights all entries equally. In pairs of
        rows, an entry is corrupted if the noisy and the clean row differ there.

    hidden_layer_sizes : int or sequence of int, default=(256, 256)
        Widths of the encoder's hidden layers, from input to code; the decoder has them
        in reverse. ``()`` is the best linear denoiser: with the squared error, the
        linear start and no `emphasis`, `fit` does not train.

    activation : {"elu", "gelu", "identity", "logistic", "relu", "selu", "silu", \
            "tanh"}, default="gelu"
        Activation of the hidden layers.

    {initializer}

    tied_weights : bool, default=False
        Whether the decoder's layers use the transposes of the encoder's weights.

    loss : {"squared_error", "absolute_error", "huber", "binary_cross_entropy"}, \
            torch loss instance or class, default="squared_error"
        Loss to minimise. "binary_cross_entropy" is for values in [0, 1]; the decoder
        then ends in a sigmoid, columns are not centred, and the start is random.

    init : {"auto", "linear", "random"}, default="auto"
        State before the first step: "linear", the best linear denoiser, or "random"
        without a linear path. "auto" is "linear" where it is possible: not with a
        `module`, with "binary_cross_entropy", or with tied weights and "logistic"
        together.

    module : torch.nn.Module, class or callable, default=None
        Network to train in place of the built-in one, as in
        :class:`AutoencoderTransformer`.

    optimizer : {"adam", "adamw", "muon", "sgd"} or torch.optim.Optimizer class, \
            default="adamw"
        Optimizer that minimises the loss, as in :class:`AutoencoderTransformer`.

    weight_decay : float or "auto", default="auto"
        Weight decay of the optimizer: an L2 penalty for "adam" and "sgd", decoupled for
        "adamw" and "muon". "auto" is ``(25 * n_features / n_samples) ** 2``, where
        copies of a row are one sample, and at most 2; it draws the denoiser towards the
        linear one. For pairs of rows, whose noise is drawn once, it is four times as
        much, and at most 6. It is 0 with an optimizer other than "adamw", without a
        fixed linear path, without hidden layers, and in `partial_fit`.

    {parameters}

    Attributes
    ----------
    clean_validation_loss_curve_ : list of float
        Like `validation_loss_curve_`, for the validation rows without noise.

    {weights}

    {attributes}

    See Also
    --------
    AutoencoderTransformer : Small codes of clean rows.
    skae.noise : The noises.

    Notes
    -----
    `loss_curve_` has noise that is drawn anew for each batch. `validation_loss_curve_`
    and `best_loss_` have noise that is drawn once, for as many copies of the validation
    rows as make at least 512 noisy rows; for pairs, they have no further noise.

    The start is ``x_hat = mean + M (x_noisy - mean_noisy)`` with the matrix that
    minimises the expected squared error, given the covariance of the rows and the
    moments of the noise [2]_; with fewer components than columns, it is the best one of
    that rank. If there are few rows for the columns, the covariance is shrunk. The
    moments of a noise module of your own are estimated from samples.

    For pairs of rows, the start is a least-squares regression of clean rows on noisy
    ones, with an intercept; with fewer components than columns, it is the best map of
    that rank. If there are few pairs for the columns, it is shrunk, by
    cross-validation. Training has to beat it on held-out pairs; otherwise the
    regression on all pairs is kept. Noisy copies of one clean row are held out
    together. The clean rows may have other units than the noisy ones: a scaler in a
    pipeline changes `X` only, and reconstructions are in the units of `y`. Scores
    without `y` compare with `X`, and mean little if the units differ.

    `score` without `y` is for clean rows, and is highest without noise. To choose a
    noise level by cross-validation, score the step after the denoiser, or the
    reconstructions of noisy rows: ``score(X_noisy, X_clean)``.

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
        """Train the denoiser on clean rows, or on pairs of noisy and clean rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training rows: clean ones, or the noisy ones of pairs. A table that would
            take more than 512 MiB as float32 (64 MiB if it is sparse) is read block by
            block, without a dense copy; it may be a memory-mapped file larger than
            memory.

        y : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Clean rows, in the order of `X`, that the decoder should return for the rows
            of `X`; or other rows of the same shape. Values equal to those of `X` are
            the same as None: then `X` is clean. A `y` of another shape is ignored, as
            pipelines pass class labels and targets to all their steps; a warning is
            issued if it has two columns or more.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows in the loss, the centring and the start. A row of weight
            2 counts as two rows, and a row of weight 0 is left out.

        X_val : array-like of shape (n_val, n_features), default=None
            Validation rows, in place of `validation_fraction`: training then uses all
            rows of `X`. A large table is sampled. In a pipeline, name `X_val` in
            `transform_input`, so that the steps before transform it.

        y_val : array-like of shape (n_val, n_features), default=None
            Clean rows of `X_val`. Required with `X_val` if `y` has the clean rows of
            `X`.

        groups : array-like of shape (n_samples,), default=None
            Group labels, such as patients, or recordings that windows are cut from. All
            rows of a group are held out, or none. None keeps copies of a row together,
            and pairs with the same clean row. Not used with `X_val`, or without a
            `validation_fraction`.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter is invalid or does not match `X`. An estimator that was
            fitted before remains unchanged.
        """
        return self._fit(X, y, sample_weight, X_val, groups, y_val)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train for one pass over the given rows, starting from the current state.

        The first call starts like `fit`, from the rows of that call. All calls share
        one optimizer, at a constant learning rate. Later calls use a changed `lr`, if
        it is a number, but no other changed parameter. There are no validation rows,
        and the last state is kept.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        y : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Clean rows, as in `fit`. With ``noise="auto"``, either all calls have them
            or none.

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

        It is one minus the squared error over the total variance of `X`, or of `y`.
        :class:`~sklearn.model_selection.GridSearchCV` maximises it.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows, clean or noisy.

        y : {array-like, sparse matrix} of shape (n_samples, n_features), default=None
            Clean rows to compare the reconstructions with. Without `y`, or with a `y`
            of another shape, they are compared with `X`.

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
            # At full width, training the linear path would only fit the noise of small
            # tables, unless more rows of a stream can improve the start.
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
                # Pairs have no further noise in validation, whatever noise they train
                # with.
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
        """Return whether the start is the optimum, as it is without hidden layers."""
        exact = is_linear and self.loss == "squared_error" and self.emphasis is None
        return exact and len(hidden_widths(self)) == 0

    def _weight_decay(
        self, table: Table, decisions: dict[str, Any], is_linear: bool, stream: bool
    ) -> float:
        if self.weight_decay != "auto":
            return float(self.weight_decay)
        # A linear path that is trained would decay, too. The rows of a stream cannot be
        # counted.
        if (
            not is_linear
            or not hidden_widths(self)
            or decisions["arguments"]["train_linear_path"]
            or stream
        ):
            return 0.0
        # A large table has enough rows, even with copies.
        return recipe.weight_decay(
            self.optimizer,
            len(table) if table.large else table.n_distinct(),
            table.n_features,
            drawn_once=pairs.is_fitted_to_pairs(self),
        )
