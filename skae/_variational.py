"""The variational autoencoder."""

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skae import _checks as checks
from skae._base import BaseAutoencoder
from skae._dense import LAYER_CONSTRAINTS, hidden_widths
from skae._docs import shared_docs
from skae._frames import frame_like, frame_type
from skae._plan import Plan
from skae._shapes import FlatRows
from skae._sklearn_compat import Interval, StrOptions
from skae.losses import as_loss
from skae.modules import VariationalDenseAutoencoder
from skae.objectives import EvidenceLowerBound, fixed_draws, log_mean_weight
from skae.training import (
    AsBuilt,
    AutoencoderNet,
    FactorAnalysisStart,
    ProbabilisticPCA,
    Start,
    Table,
    min_variance,
    own_modes,
    private_generator,
    recipe,
)

# Number of codes to average over, in pairs z and -z.
_N_ELBO_DRAWS = 32
# A component is inactive if it has less information about a row, in nats.
_ACTIVE = 0.01


@shared_docs
class VariationalAutoencoder(BaseAutoencoder):
    """Variational autoencoder: a distribution of rows, to score and sample rows.

    The encoder maps a row to a normal distribution of codes, and the decoder maps a
    code to a normal distribution of rows. Training maximises the evidence lower bound
    (ELBO) on the log-density of the rows. By default both start as probabilistic PCA,
    or as factor analysis, which are the optimum of this model with linear layers:
    before the first step, the bound is the log-density of the rows under
    :class:`~sklearn.decomposition.PCA`, or
    :class:`~sklearn.decomposition.FactorAnalysis`. The trained network is kept if
    held-out rows have a higher bound; otherwise the start, fitted to all rows, is kept.

    Parameters
    ----------
    n_components : int, default=2
        Size of the latent code. It may exceed the number of columns.

    beta : float, default=1.0
        Weight of the divergence of codes from their prior. With more than 1, codes
        contain less information about the rows.

    variance : {"scalar", "column"}, default="scalar"
        Learned variance of a row given its code: one number for all columns, or one for
        each. "scalar" is for codes and reconstructions, "column" for densities: it may
        ignore columns that are hard to predict, if this raises the bound.

    loss : {"squared_error", "binary_cross_entropy"}, default="squared_error"
        Distribution of a row given its code: normal, or independent Bernoulli columns
        for values in [0, 1]. With the latter, there is no variance, columns are not
        centred, and the start is random. For values between 0 and 1, the cross-entropy
        is not a log-density.

    kl_warmup_epochs : int, default=0
        Number of epochs in which the weight of the divergence rises from 0 to `beta`.
        It is used only in training steps, not for the validation loss, which decides
        which state is kept.

    free_bits : float, default=0.0
        Information about a row, in nats, that each component may have at no cost: in
        training steps, its divergence, averaged over the batch, counts as this number
        if it is less [5]_.

    hidden_layer_sizes : int or sequence of int, default=(100, 100)
        Widths of the encoder's hidden layers, from input to code; the decoder has them
        in reverse. ``()`` is the linear model.

    activation : {"elu", "gelu", "identity", "logistic", "relu", "selu", "silu", \
            "tanh"}, default="gelu"
        Activation of the hidden layers.

    {initializer}

    init : {"auto", "pca", "random"}, default="auto"
        State before the first step: "pca" is probabilistic PCA or, with
        ``variance="column"``, factor analysis; "random" is the textbook network without
        a linear path. "auto" is "pca", or "random" with
        ``loss="binary_cross_entropy"``.

    output : {"code", "reconstruction", "hidden"}, default="code"
        What `transform` returns: the means of the codes, their reconstructions, or the
        activations of all hidden layers of the encoder, concatenated. The columns of
        reconstructions have the names of the columns of `X`. It may be changed after
        fitting.

    optimizer : {"adam", "adamw", "muon", "sgd"} or torch.optim.Optimizer class, \
            default="adam"
        Optimizer that minimises the loss. Pass its options in `net_params`, such as
        ``{"optimizer__betas": (0.9, 0.99)}``. "lbfgs" is not possible, as it needs a
        loss without draws.

    lr : float or "auto", default="auto"
        Learning rate; the highest one if there is a schedule. "auto" is 3e-3 (0.1 for
        "sgd", 0.01 for "muon").

    {parameters}

    Attributes
    ----------
    kl_per_component_ : ndarray of shape (n_components,)
        Mean divergence of each component from its prior over the training rows (over a
        sample, if the table is too large for memory; over the rows of the last call of
        `partial_fit`), in nats: the information of the component about a row.

    active_components_ : ndarray of int
        Components with a divergence of more than 0.01 nats.

    loss_curve_ : list of float
        Mean training loss in each of the `n_iter_` epochs: the negative ELBO divided by
        the number of columns. It may be negative.

    {attributes}

    See Also
    --------
    sklearn.decomposition.PCA : The linear model with one variance.
    sklearn.decomposition.FactorAnalysis : The linear model with one for each column.
    AutoencoderSampler : Another way to draw new rows.
    sklearn.mixture.GaussianMixture : Another density of the rows, often a better one
        for tables with few columns.

    Notes
    -----
    Codes have no units: their prior is the standard normal distribution. So the
    reconstructions of the start are those of PCA, shrunk a little towards the mean row.

    The divergence is exact, and so is the part of the squared error that depends only
    on the linear path. The rest is estimated from one draw of the code for each row in
    training, and from 8 fixed draws for the validation loss. Norms of gradients are
    clipped at 1.

    The output variance has a lower bound, as the density of a constant or copied column
    has no maximum: one millionth of the mean variance of the columns, or one thousandth
    with ``variance="column"``. If factor analysis has a lower variance, the start is
    not quite factor analysis. It is fitted to at most 10,000 rows.

    The trained network is kept if its bound on the validation rows is higher than that
    of the start, by a one-sided paired t-test at 0.5 %, and higher than that of the
    start from all rows.

    References
    ----------
    .. [1] D. P. Kingma and M. Welling, "Auto-encoding variational Bayes", ICLR 2014,
       arXiv:1312.6114.
    .. [2] I. Higgins et al., "beta-VAE: learning basic visual concepts with a
       constrained variational framework", ICLR 2017.
    .. [3] Y. Burda, R. Grosse and R. Salakhutdinov, "Importance weighted autoencoders",
       ICLR 2016, arXiv:1509.00519.
    .. [4] J. Lucas, G. Tucker, R. Grosse and M. Norouzi, "Don't blame the ELBO! A
       linear VAE perspective on posterior collapse", NeurIPS 2019, arXiv:1911.02469.
    .. [5] D. P. Kingma et al., "Improving variational inference with inverse
       autoregressive flow", NeurIPS 2016, arXiv:1606.04934, equation 15.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae import VariationalAutoencoder
    >>> X = load_digits().data / 16
    >>> vae = VariationalAutoencoder(8, max_epochs=30, random_state=0).fit(X)
    >>> codes, std = vae.transform(X, return_std=True)
    >>> codes.shape, std.shape
    ((1797, 8), (1797, 8))
    >>> print(vae.score_samples(X).mean() > PCA(8).fit(X).score(X) + 5)
    True
    >>> vae.sample(3, random_state=0).shape
    (3, 64)
    """

    _recipe = recipe.Recipe(clip_norm=1.0)
    _fills_gaps = True

    def __init__(
        self,
        n_components: int = 2,
        *,
        beta: float = 1.0,
        variance: str = "scalar",
        loss: str = "squared_error",
        kl_warmup_epochs: int = 0,
        free_bits: float = 0.0,
        hidden_layer_sizes: Any = (100, 100),
        activation: str = "gelu",
        kernel_initializer: str = "auto",
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
        self.beta = beta
        self.variance = variance
        self.loss = loss
        self.kl_warmup_epochs = kl_warmup_epochs
        self.free_bits = free_bits
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.kernel_initializer = kernel_initializer
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
        **LAYER_CONSTRAINTS,
        "loss": [StrOptions({"squared_error", "binary_cross_entropy"})],
        "kl_warmup_epochs": [Interval(Integral, 0, None, closed="left")],
        # Larger numbers overflow float32.
        "free_bits": [Interval(Real, 0, 1e18, closed="both")],
        "beta": [Interval(Real, 0, 1e18, closed="both")],
        "variance": [StrOptions({"scalar", "column"})],
        "init": [StrOptions({"auto", "pca", "random"})],
    }

    # The plan

    _frame: dict[str, Any] | None  # form of the rows that `sample` returns

    def _begin_fit(self, X: Any) -> FlatRows:
        self._frame = frame_type(X)
        return super()._begin_fit(X)

    def _is_binary(self) -> bool:
        return as_loss(self.loss).has_link

    def _plan(self, table: Table, *, stream: bool = False) -> Plan:
        if self.init == "pca" and self._is_binary():
            raise ValueError(
                "init='pca' is not possible here: loss='binary_cross_entropy' ends the "
                "decoder in a sigmoid. Use init='auto' or init='random'."
            )
        if recipe.is_lbfgs(self.optimizer):
            raise ValueError(
                "optimizer='lbfgs' needs the same loss in each evaluation, and codes "
                "are drawn anew each time. Use another optimizer."
            )
        n_components, has_columns = int(self.n_components), self.variance == "column"
        is_linear = self.init != "random" and not self._is_binary()
        start: Start = AsBuilt() if self._is_binary() else Start()
        if is_linear:
            kind = FactorAnalysisStart if has_columns else ProbabilisticPCA
            start = kind(n_components)
        return self._planned(
            len(table),
            module=VariationalDenseAutoencoder,
            arguments={
                "n_features": table.n_features,
                "n_components": n_components,
                "hidden_layer_sizes": hidden_widths(self),
                "activation": self.activation,
                "kernel_initializer": self.kernel_initializer,
                "linear_path": is_linear,
                "column_variance": has_columns,
                "min_variance": min_variance(has_columns),
                "binary_output": self._is_binary(),
            },
            objective=EvidenceLowerBound(
                self.beta, self.kl_warmup_epochs, self.free_bits
            ),
            start=start,
            floor=start if is_linear else None,
        )

    def _describe(self, net: AutoencoderNet, table: Table) -> None:
        rows = table.sample().on(net.device)
        module = net.plain_module_
        weight = None if rows.weight is None else rows.weight.cpu().numpy()
        with torch.inference_mode():
            parts = [
                module.divergence(*module.encode_distribution(x))
                for x in rows.X.split(net.evaluation_rows)
            ]
        self.kl_per_component_ = np.average(
            torch.cat(parts).cpu().double().numpy(), axis=0, weights=weight
        )
        self.active_components_ = np.flatnonzero(self.kl_per_component_ > _ACTIVE)

    # Using what was fitted

    # scikit-learn does not route these arguments as metadata.
    __metadata_request__transform: ClassVar = {"out": UNUSED, "return_std": UNUSED}

    def transform(
        self,
        X: ArrayLike,
        *,
        out: np.ndarray | None = None,
        return_std: bool = False,
    ) -> Any:
        """Return means of codes of rows, or the result that `output` selects.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        out : ndarray of shape (n_samples, n_features_out), default=None
            Array to write the result to, such as a :class:`numpy.memmap` for results
            larger than memory. It may be `X` itself, but may not overlap it otherwise.
            None makes a new array.

        return_std : bool, default=False
            Whether to also return the standard deviations of the codes.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components), (n_samples, n_features) or \
                (n_samples, n_hidden)
            Means of codes, reconstructions or hidden activations; `out` if it is given.

        std : ndarray of shape (n_samples, n_components)
            Standard deviations, only with ``return_std=True``.
        """
        if return_std and self.output != "code":
            raise ValueError(
                "return_std=True returns the standard deviations of codes, and "
                f"transform returns no codes with output={self.output!r}. Set "
                "output='code'."
            )
        if not return_std:
            return super().transform(X, out=out)
        rows = self._check_new_rows(X)
        if out is not None:
            self._check_out(out, rows)
        Z, std = np.hsplit(self._apply(_code_and_std, rows), 2)
        if out is not None:
            out[:] = Z
            Z = out
        return Z, std

    def score_samples(self, X: ArrayLike, n_draws: int = 1) -> np.ndarray:
        """Return a lower bound on the log-density of each row; low for outliers.

        It is comparable with ``PCA(...).score_samples`` and
        ``FactorAnalysis(...).score_samples``.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.

        n_draws : int, default=1
            Number of codes to draw. 1 is the ELBO, whatever `beta` is. More is the
            importance-weighted bound, which approaches the log-density with the
            number of draws. The draws are the same in each call and for each row.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Bounds in nats, on the density in the units of `X`, or on the probability
            with ``loss="binary_cross_entropy"``. If values are missing, they are on the
            density of the other values.
        """
        checks.check_count(n_draws, "n_draws")
        rows = self._check_new_rows(X, is_target=True)
        may_miss = self._may_miss(rows)
        n_draws = int(n_draws)
        size = _N_ELBO_DRAWS if n_draws == 1 else n_draws
        noise = fixed_draws(size, 1, self.n_components_).to(self.net_.device)

        def bound(module: Any, x: Tensor) -> Tensor:
            observed = ~x.isnan() if may_miss else None
            if n_draws > 1:
                return log_mean_weight(module, x, noise, observed)
            x = module.centre(x)
            distribution = module.distribution_of_centred(x)
            expected = module.expected_log_likelihood(x, *distribution, noise, observed)
            return expected - module.divergence(*distribution).sum(1)

        return self._apply(bound, rows)

    def sample(self, n_samples: int = 1, random_state: Any = None) -> Any:
        """Draw codes from their prior, and new rows given these codes.

        :class:`AutoencoderSampler` draws codes from a mixture that is fitted to codes
        of rows, and maps columns to their distributions in the rows.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows to draw.

        random_state : int, RandomState instance or None, default=None
            Determines the draws. None takes a new seed from the operating system.

        Returns
        -------
        X : ndarray or DataFrame of shape (n_samples, n_features)
            New rows in the units of the training rows, or of zeros and ones with
            ``loss="binary_cross_entropy"``. For means given the codes, use
            ``inverse_transform(numpy.random.normal(size=(n_samples, n_components_)))``.
            If `fit` received a pandas or polars DataFrame, one of the same library is
            returned, with the same column names. Columns of integers, floats or
            booleans keep their type. Other columns become floats.
        """
        check_is_fitted(self)
        checks.check_count(n_samples, "n_samples")
        rng = private_generator(random_state)
        X = self._apply(_decode, rng.normal(size=(n_samples, self.n_components_)))
        if self._is_binary():
            X = (rng.uniform(size=X.shape) < X).astype(X.dtype)
        else:
            with own_modes(gradients=False):
                module = self.net_.plain_module_
                std = module.noise_variance().sqrt() * module.scale
            X = X + std.cpu().numpy() * rng.normal(size=X.shape)
        return X if self._frame is None else frame_like(X, self._frame)


def _decode(module: Any, z: Tensor) -> Tensor:
    return module.decode(z)


def _code_and_std(module: Any, x: Tensor) -> Tensor:
    mean, log_variance = module.encode_distribution(x)
    return torch.cat([mean, (log_variance / 2).exp()], dim=1)
