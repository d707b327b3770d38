"""The sparse autoencoder."""

import math
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch

from skae._base import BaseAutoencoder
from skae._docs import shared_docs
from skae._plan import Plan
from skae._sklearn_compat import Interval, StrOptions
from skae.modules import SparseLinearAutoencoder
from skae.objectives import Objective, Reconstruction, SparseReconstruction
from skae.training import Atoms, AutoencoderNet, SignedPCA, Start, Table, recipe

# Values of "auto".
_PENALTY_WEIGHTS = {"topk": 0.0, "l1": 0.03, "kl": 1.0}
# More units would need much time and memory for wide tables.
_MAX_ACTIVE = 30
# A unit is dead if its code varies less over the rows.
_DEAD_RANGE = 0.01


@shared_docs
class SparseAutoencoder(BaseAutoencoder):
    """Sparse autoencoder: a long code with few active units for each row.

    Encoder and decoder are linear, and the code is sparse: a row is the mean row plus a
    few atoms, which are columns of the decoder's weights. Each atom is multiplied by an
    entry of the code, which is not negative. So a code is longer than a code of PCA,
    but a row uses few of its entries, and each unit represents a feature that some rows
    have.

    Training starts with rows of `X` as atoms. The trained network is kept if it
    reconstructs held-out rows better than signed PCA; otherwise signed PCA of all rows
    is kept, with a warning. Signed PCA is PCA with as many components as units are
    active, as a sparse code with two units for each axis `u`: one is the positive part
    of ``u @ x`` and the other is the negative part.

    Parameters
    ----------
    n_components : int, default=None
        Number of units. None is ``min(sqrt(n_features), 30) / sparsity``, so that at
        most 30 units are active.

    penalty : {"topk", "l1", "kl"}, default="topk"
        Method that makes codes sparse. "topk" keeps the largest
        ``sparsity * n_components`` entries of each code and sets the others to zero.
        "l1" penalises the sum of the contributions of units to a row. "kl" has codes
        between 0 and 1, by the logistic function, and penalises units whose mean over
        the rows is not `sparsity`; signed PCA is not possible with such codes, and the
        best trained state is kept.

    sparsity : float, default=0.1
        Target share of active units, in (0, 1); at least one unit is active. With "l1"
        it only sets the size of signed PCA, and `penalty_weight` determines how many
        units are active.

    penalty_weight : float or "auto", default="auto"
        Weight of the penalty of "l1" or "kl" in the loss, in units of the loss of the
        mean row, so that it does not depend on the units of `X`. "auto" is 0.03 for
        "l1" and 1 for "kl". It is not used with "topk".

    init : {"auto", "random"}, default="auto"
        State before the first step: rows of `X` as atoms, or torch's random weights.
        "random" does not compare with signed PCA, and keeps the best trained state.

    output : {"code", "reconstruction"}, default="code"
        What `transform` returns: the codes or the reconstructions. The columns of
        reconstructions have the names of the columns of `X`. It may be changed after
        fitting.

    lr : float or "auto", default="auto"
        Learning rate; the highest one if there is a schedule. The loss is measured in
        units of the loss of the mean row, so the best rate does not depend on the units
        of `X`. "auto" is 0.01 for "adam" and "adamw" (0.1 for "sgd", 0.01 for "muon", 1
        for "lbfgs", 3e-3 for a class).

    {parameters}

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Atoms: the contribution of each unit to a row if its code is 1. The
        reconstruction of a code `z` is ``z @ components_`` plus the row that a code of
        zeros decodes to.

    code_activity_ : ndarray of shape (n_components,)
        Activity of each unit over the training rows (over a sample, if the table is too
        large for memory; over the rows of the last call of `partial_fit`): the share of
        the rows in which its code is not zero, or the mean of its code with "kl".
        `sparsity` is the target of its mean.

    n_dead_units_ : int
        Number of dead units, whose code is zero for all training rows; with "kl", it
        varies by less than 0.01.

    loss_curve_ : list of float
        Mean training loss with the penalty in each of the `n_iter_` epochs, averaged
        over rows and columns.

    validation_loss_curve_ : list of float
        Validation loss with the penalty before the first step (entry 0) and after each
        epoch. Empty without validation rows.

    {attributes}

    See Also
    --------
    AutoencoderTransformer : Small codes, and a nonlinear encoder and decoder.
    sklearn.decomposition.MiniBatchDictionaryLearning : Sparse codes found by an
        optimisation for each row, not by an encoder.

    Notes
    -----
    Codes have the units of `X`, except those of "kl", which have none. The losses of
    training and validation include the penalties; `score_samples`, `score` and
    `reconstruction_error` are for the reconstruction only.

    The penalty of "l1" is a sum over the units: the root mean square, over the columns,
    of the contribution of a unit to a row, in units of the root of the mean variance of
    the columns. It is the L1 norm of a code whose atoms all have the same length. The
    penalty of "kl" is the mean over the units of the divergence of [2]_ over the rows
    of a batch; [2]_ has the sum.

    Departures from [1]_: codes are rectified, so fewer units may be active than
    allowed, and encoder and decoder have weights of their own.

    At the start, the atoms of the encoder and of the decoder are centred rows of length
    one, drawn at random, times one factor that minimises the squared error. A unit that
    is never among the largest has no gradient and does not change; one that starts as a
    row is among the largest for this row and for rows near it.

    References
    ----------
    .. [1] A. Makhzani and B. Frey, "k-sparse autoencoders", 2013, arXiv:1312.5663.
    .. [2] A. Ng, "Sparse autoencoder", CS294A lecture notes, Stanford University, 2011.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseAutoencoder
    >>> X = load_digits().data / 16
    >>> sparse = SparseAutoencoder(100, max_epochs=30, random_state=0).fit(X)
    >>> codes = sparse.transform(X)
    >>> codes.shape, int((codes > 0).sum(axis=1).max())
    ((1797, 100), 10)
    >>> sparse.code_activity_.shape
    (100,)
    """

    # Linear layers can use a higher learning rate than deep ones.
    _recipe = recipe.Recipe(adam_lr=1e-2)
    _fills_gaps = True

    # The start and the floor need this loss.
    loss = "squared_error"

    def __init__(
        self,
        n_components: int | None = None,
        *,
        penalty: str = "topk",
        sparsity: float = 0.1,
        penalty_weight: float | str = "auto",
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
        self.penalty = penalty
        self.sparsity = sparsity
        self.penalty_weight = penalty_weight
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
        **{
            name: constraint
            for name, constraint in BaseAutoencoder._parameter_constraints.items()
            if name != "loss"
        },
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "penalty": [StrOptions(set(_PENALTY_WEIGHTS))],
        "sparsity": [Interval(Real, 0, 1, closed="neither")],
        "penalty_weight": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
        "init": [StrOptions({"auto", "random"})],
        "output": [StrOptions({"code", "reconstruction"})],
    }

    @property
    def components_(self) -> np.ndarray:
        """Atoms."""
        module: Any = self.module_
        atoms = module.decoder.weight.detach().T
        if module.in_interval:
            atoms = atoms * module.scale
        return atoms.cpu().numpy().copy()

    # The plan

    def _plan(self, table: Table, *, stream: bool = False) -> Plan:
        n_components = self._code_size(table.n_features)
        n_active = max(1, round(self.sparsity * n_components))
        from_rows = self.init != "random"
        floor = None
        if from_rows and self.penalty != "kl":  # codes of PCA are not in [0, 1]
            floor = SignedPCA(min(n_active, n_components // 2))
        return self._planned(
            len(table),
            module=SparseLinearAutoencoder,
            arguments={
                "n_features": table.n_features,
                "n_components": n_components,
                "n_active": n_active if self.penalty == "topk" else None,
                "activation": "logistic" if self.penalty == "kl" else "relu",
            },
            objective=self._objective(),
            start=Atoms(self.sparsity) if from_rows else Start(),
            floor=floor,
        )

    def _code_size(self, n_features: int) -> int:
        if self.n_components is not None:
            return int(self.n_components)
        n_active = min(_MAX_ACTIVE, math.ceil(math.sqrt(n_features)))
        return round(n_active / self.sparsity)

    def _objective(self) -> Objective:
        if self.penalty == "topk":
            return Reconstruction()
        weight: Any = self.penalty_weight
        if weight == "auto":
            weight = _PENALTY_WEIGHTS[self.penalty]
        return SparseReconstruction(
            penalty=self.penalty, penalty_weight=weight, sparsity=self.sparsity
        )

    def _describe(self, net: AutoencoderNet, table: Table) -> None:
        rows = table.sample().on(net.device)
        n_rows = len(rows.X)
        weights = torch.ones(n_rows) if rows.weight is None else rows.weight
        module = net.plain_module_
        size = net.evaluation_rows
        total: Any = 0.0
        n_seen = 0
        lows, highs = [], []
        with torch.inference_mode():
            for x in rows.X.split(size):
                z = module.encode(x)
                weight = weights[n_seen : n_seen + len(z)]
                n_seen += len(z)
                active = z if module.in_interval else (z > 0).to(z.dtype)
                total = total + weight.cpu().double() @ active.cpu().double()
                lows.append(active.amin(dim=0))
                highs.append(active.amax(dim=0))
            activity = total / weights.cpu().double().sum()
            dead = activity == 0
            if module.in_interval:
                low, high = torch.stack(lows).amin(0), torch.stack(highs).amax(0)
                dead = high - low < _DEAD_RANGE
        self.code_activity_ = activity.numpy()
        self.n_dead_units_ = int(dead.sum())
