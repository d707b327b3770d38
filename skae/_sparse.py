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
# More units of wide tables would take long and much memory.
_MAX_ACTIVE = 30
# A unit whose code varies less over the rows is dead.
_DEAD_RANGE = 0.01


@shared_docs
class SparseAutoencoder(BaseAutoencoder):
    """Autoencoder with more units than columns are needed for, few of them active.

    Encoder and decoder are linear, and the code between them is sparse: a row is the
    mean row plus a few atoms, the columns of the decoder's weights, each multiplied by
    an entry of the code that is not negative. So a code is longer than one of PCA, but
    a row uses little of it, and each unit stands for a feature that some rows have.

    Training starts with rows of `X` for atoms. What it reaches is kept if rows held out
    from it are reconstructed better than by signed PCA; that is PCA with as many
    components as units are active, as a sparse code: two units for each axis `u`, of
    which one gives the positive part of ``u @ x`` and the other the negative part.
    Otherwise signed PCA of all rows is kept, with a warning.

    Parameters
    ----------
    n_components : int, default=None
        Number of units. None: as many as make the root of the number of columns, but 30
        at most, the number of active units: with the default `sparsity`, ten for each.

    penalty : {"topk", "l1", "kl"}, default="topk"
        What makes codes sparse. "topk" keeps the largest ``sparsity * n_components``
        entries of each code and sets the others to zero. "l1" penalises the sum of
        what the units add to a row. "kl" has codes between 0 and 1, by the logistic
        function, and penalises units whose mean over the rows is not `sparsity`; there
        is no signed PCA with such codes, and the best state trained is kept.

    sparsity : float, default=0.1
        Share of the units that is to be active, in (0, 1); at least one unit is. With
        "l1" it only sets the size of signed PCA, and `penalty_weight` decides how many
        are active.

    penalty_weight : float or "auto", default="auto"
        What the penalty of "l1" or "kl" is multiplied by in the loss, in units of the
        loss of the mean row: no weight depends on the units of `X`. "auto" is 0.03
        for "l1" and 1 for "kl". "topk" has no use for it.

    init : {"auto", "random"}, default="auto"
        State before the first step: rows of `X` for atoms, or torch's random weights.
        With "random" there is no signed PCA to beat: the best state trained is kept.

    output : {"code", "reconstruction"}, default="code"
        What `transform` gives: the codes, or the reconstructions, in columns named as
        those of `X`. It may be changed after fitting.

    lr : float or "auto", default="auto"
        Learning rate, the highest one of the schedule. The loss is measured in units of
        the loss of the mean row, so no rate depends on the units of `X`. "auto" is 0.01
        for "adam" and "adamw", and otherwise that of all estimators: 0.1 for "sgd",
        0.01 for "muon", 1 for "lbfgs", 3e-3 for a class.

    {parameters}

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Atoms: what a unit adds to a row if its code is 1. The reconstruction of a code
        `z` is ``z @ components_`` and the row that a code of zeros stands for.

    code_activity_ : ndarray of shape (n_components,)
        How active each unit is over the training rows (over a sample, if the table is
        too large for memory; over the rows of the last call of `partial_fit`): the
        share of the rows in which its code is not zero; with "kl", the mean of its
        code. Both are what `sparsity` asks for on average.

    n_dead_units_ : int
        Number of dead units, which say nothing about the training rows: their code is
        zero in all; with "kl", it varies by less than 0.01.

    loss_curve_ : list of float
        Mean training loss with the penalty in each of the `n_iter_` epochs, averaged
        over rows and columns.

    validation_loss_curve_ : list of float
        Validation loss with the penalty before the first step (entry 0) and after each
        epoch. Empty without validation rows.

    {attributes}

    See Also
    --------
    AutoencoderTransformer : Short codes, and a nonlinear encoder and decoder.
    sklearn.decomposition.MiniBatchDictionaryLearning : Sparse codes found by an
        optimisation for each row, not by an encoder.

    Notes
    -----
    Codes have the units of `X`, except those of "kl", which have none. The penalties
    are in the losses of training and validation; `score_samples`, `score` and
    `reconstruction_error` are of the reconstruction alone.

    The penalty of "l1" is the sum over the units of the root mean square, over the
    columns, of what each adds to a row, in units of the root of the mean variance of
    the columns. It is the L1 norm of a code whose atoms all have the same length. The
    penalty of "kl" is the mean over the units of the divergence of [2]_, of which
    the sum is taken there, over the rows of a batch.

    Departures from [1]_: codes are rectified, so fewer units may be active than
    allowed, and encoder and decoder have weights of their own.

    At the start the atoms are centred rows of length one, drawn at random, in the
    encoder and in the decoder, times one factor that gives the least squared error.
    A unit that is never among the largest has no gradient, and stays so; one that
    starts as a row is among the largest for this row, and for those near it.

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

    # Linear layers take longer steps than deep ones.
    _recipe = recipe.Recipe(adam_lr=1e-2)
    _fills_gaps = True

    # The start and the floor are made for it.
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
        if from_rows and self.penalty != "kl":  # codes in [0, 1] are not those of PCA
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
