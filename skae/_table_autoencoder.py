"""The autoencoder for tables of mixed columns."""

import math
from functools import partial
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags
from torch import Tensor

from skae import _checks as checks
from skae import _pairs as pairs
from skae._base import BaseAutoencoder
from skae._dense import LAYER_CONSTRAINTS, DenseWeightsMixin, hidden_widths
from skae._docs import shared_docs
from skae._fitted import reconstruct_rows
from skae._inputs import plain
from skae._plan import Plan
from skae._shapes import TableRows
from skae._sklearn_compat import Interval, StrOptions, safe_indexing
from skae._table_encoder import TableEncoder, take_encoder
from skae.losses import MixedLoss
from skae.modules import DenseAutoencoder
from skae.modules._mixed_link import LEVEL, MARK, NUMBER
from skae.objectives import MixedReconstruction
from skae.training import (
    AutoencoderNet,
    Matrix,
    MixedPCA,
    MixedStart,
    Table,
    mean_one,
    mixed_loss,
    mixed_scale,
    recipe,
)

_KINDS = {"number": NUMBER, "date": NUMBER, "category": LEVEL, "missing": MARK}


@shared_docs
class TableAutoencoder(DenseWeightsMixin, BaseAutoencoder):
    """Autoencoder of tables with numbers, categories, dates and missing values.

    It accepts pandas and polars DataFrames, and arrays. `transform` returns codes.
    `inverse_transform` and `reconstruct` return tables like that of `fit`: of the same
    library, with the same columns, dtypes and levels.

    A :class:`TableEncoder` turns the table into a matrix, and a dense autoencoder
    reconstructs it: numbers and dates by squared error, categories by the cross-entropy
    of their levels. All columns of the table count the same. It starts as PCA of mixed
    data, in closed form. The trained network is kept if it reconstructs held-out rows
    better; otherwise the start, fitted to all rows, is kept.

    Parameters
    ----------
    n_components : int, default=2
        Size of the latent code.

    encoder : TableEncoder, default=None
        Encoder of the table, which is cloned. It determines which columns are
        categories and how many levels they have, for instance
        ``TableEncoder(categorical_features=["zip"], max_categories=20)``. Numbers are
        standardised after its scaler, whatever it is. None is ``TableEncoder()``.

    hidden_layer_sizes : int or sequence of int, default=(100, 100)
        Widths of the encoder's hidden layers, from input to code; the decoder has them
        in reverse. ``()`` is a network of linear layers.

    activation : {"elu", "gelu", "identity", "logistic", "relu", "selu", "silu", \
            "tanh"}, default="silu"
        Activation of the hidden layers.

    {initializer}

    init : {"auto", "pca", "random"}, default="auto"
        State before the first step. "pca" is PCA of mixed data. "random" has no linear
        path, and the trained network is kept, better or not. "auto" is "pca".

    output : {"code", "hidden"}, default="code"
        What `transform` returns: the codes, or the activations of all hidden layers of
        the encoder, concatenated. It may be changed after fitting.

    optimizer : {"adam", "adamw", "lbfgs", "muon", "sgd"} or torch.optim.Optimizer \
            class, default="adamw"
        Optimizer that minimises the loss, as in :class:`AutoencoderTransformer`.

    lr : float or "auto", default="auto"
        Learning rate; the highest one if there is a schedule. "auto" is 0.01 (0.1 for
        "sgd", 1 for "lbfgs").

    weight_decay : float or "auto", default="auto"
        Weight decay of the optimizer: an L2 penalty for "adam" and "sgd", decoupled for
        "adamw" and "muon". "auto" reduces overfitting on small tables: it is
        ``(25 * n_columns / n_samples) ** 2``, and at most 2. Copies of a row are one
        sample. A category counts as the number of its levels minus one, where the
        number of levels is the exponential of its entropy, so that rare levels count
        less. It is 0 with another optimizer than "adamw", and in `partial_fit`.

    max_epochs : int or "auto", default="auto"
        Maximum number of passes over the training rows. "auto" makes about 4,500
        steps, whatever the number of rows, and at least one pass (100 passes for
        "lbfgs").

    batch_size : int or "auto", default="auto"
        Number of rows in each step. "auto" is a tenth of the rows, up to 64, or a
        twentieth, up to 128, whichever is more, and at least 16. It is all rows for
        "lbfgs".

    {parameters}

    Attributes
    ----------
    encoder_ : TableEncoder
        The fitted encoder. Its `blocks_` describe which columns of the matrix encode
        which column of the table.

    {weights}

    {attributes}

    See Also
    --------
    TableEncoder : The encoding of tables as matrices, for other estimators.
    AutoencoderSampler : Synthetic tables, drawn with a TableAutoencoder.
    AutoencoderTransformer : Autoencoder of numbers in comparable units.

    Notes
    -----
    The loss of a column is divided by its loss for the mean row: the variance of a
    number, the entropy of a category. The loss of a row is the mean over its columns
    with a value. Constant columns do not count.

    In PCA of mixed data, each number and each category has a total variance of one. The
    decoder of categories is a logistic regression on the codes.

    Missing values are filled by their conditional mean in a Gaussian, as in
    :class:`AutoencoderTransformer`, and have no loss. A level that `fit` has not seen
    is a missing value. `fit` ignores rows without any value.

    `module_`, `encoder_module_` and `decoder_module_` take and return rows of the
    matrix of `encoder_`, with probabilities of the levels.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.datasets import load_wine
    >>> from skae import TableAutoencoder
    >>> table = load_wine(as_frame=True).frame
    >>> names = {0: "Barolo", 1: "Grignolino", 2: "Barbera"}
    >>> table["target"] = table["target"].map(names)
    >>> table.loc[::7, "alcohol"] = None
    >>> autoencoder = TableAutoencoder(2, max_epochs=20, random_state=0).fit(table)
    >>> autoencoder.transform(table).shape
    (178, 2)
    >>> autoencoder.reconstruct(table)["target"].head(3).tolist()
    ['Barolo', 'Barolo', 'Barolo']
    """

    # The loss of numbers; categories have a loss of their own.
    loss = "squared_error"
    _recipe = recipe.TABLE
    _fills_gaps = True
    _module_takes_rows = False

    def __init__(
        self,
        n_components: int = 2,
        *,
        encoder: Any = None,
        hidden_layer_sizes: Any = (100, 100),
        activation: str = "silu",
        kernel_initializer: str = "auto",
        init: str = "auto",
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
        self.encoder = encoder
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
        "encoder": [TableEncoder, None],
        "init": [StrOptions({"auto", "pca", "random"})],
        "output": [StrOptions({"code", "hidden"})],
        "weight_decay": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
    }
    del _parameter_constraints["loss"]

    # Rows

    @property
    def _form(self) -> TableRows:
        return TableRows(self.encoder_)

    def _check_X(
        self,
        X: Any,
        *,
        name: str = "X",
        reset: bool,
        is_target: bool = True,
        allow_nan: bool | None = None,
    ) -> Matrix:
        """Encode a table as a matrix, with NaN where a value is missing."""
        X = plain(X, name, fill_masked=True)
        matrix = self.encoder_.transform(X)
        checks.check_values(matrix, name, allow_nan=True)
        single = isinstance(X, np.ndarray) and X.dtype == np.float32
        return matrix.astype(np.float32 if single else np.float64, copy=False)

    def _fit_encoder(self, X: Any, sample_weight: Any) -> None:
        encoder = TableEncoder() if self.encoder is None else clone(self.encoder)
        encoder.set_output(transform="default")
        if encoder.scaler is None:
            encoder.scaler = "standard"
        elif not isinstance(encoder.scaler, str):
            encoder.scaler = make_pipeline(encoder.scaler, StandardScaler())
        encoder._validate_params()
        take_encoder(self, encoder._fit(X, sample_weight))

    def _missing(self, X: Matrix, name: str, *, columns: bool) -> bool:
        return checks.has_gaps(X)

    def _table(
        self,
        X: Any,
        y: Any = None,
        sample_weight: Any = None,
        groups: Any = None,
        *,
        reset: bool,
        goes_on: bool = False,
    ) -> Table:
        if sample_weight is not None:
            X = plain(X, fill_masked=True)
            sample_weight = checks.check_weights(sample_weight, X)
            counts = np.flatnonzero(sample_weight)
            if len(counts) < len(sample_weight):
                # Rows of weight zero must not affect the encoder.
                X, sample_weight = safe_indexing(X, counts), sample_weight[counts]
                if groups is not None:
                    groups = safe_indexing(plain(groups, "groups"), counts)
        if reset:
            weight = None if sample_weight is None else mean_one(sample_weight)
            self._fit_encoder(X, weight)
        table = super()._table(
            X, y, sample_weight, groups, reset=reset, goes_on=goes_on
        )
        return _with_values(table, "X")

    def _validation_table(self, X: Any, y: Any) -> Table | None:
        table = super()._validation_table(X, y)
        return None if table is None else _with_values(table, "X_val")

    # The plan

    def _plan(self, table: Table, *, stream: bool = False) -> Plan:
        n_components, is_linear = int(self.n_components), self.init != "random"
        start = MixedPCA(n_components) if is_linear else MixedStart()
        block = self.encoder_._block_of_each()
        kinds = [_KINDS[each.kind] for each in self.encoder_._blocks_with_values()]
        loss = mixed_loss(table, np.array(kinds)[block], block)
        return self._planned(
            len(table),
            module=DenseAutoencoder,
            arguments={
                "n_features": table.n_features,
                "n_components": n_components,
                "hidden_layer_sizes": hidden_widths(self),
                "activation": self.activation,
                "kernel_initializer": self.kernel_initializer,
                "linear_path": is_linear,
                "link": "mixed",
            },
            criterion=loss,
            objective=MixedReconstruction(),
            start=start,
            floor=start if is_linear else None,
            weight_decay=self._weight_decay(table, loss, stream),
        )

    def _weight_decay(self, table: Table, loss: MixedLoss, stream: bool) -> float:
        if self.weight_decay != "auto":
            return float(self.weight_decay)
        # The rows of a stream cannot be counted.
        if stream:
            return 0.0
        n_rows, n_columns = table.n_distinct(), loss.effective_columns()
        return recipe.weight_decay(self.optimizer, n_rows, n_columns)

    # Fitting

    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: Any = None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Fit the encoder of the table, and train the autoencoder.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The table: a pandas or polars DataFrame, a NumPy array, also of strings or
            objects, or a list of rows. NaN, None, NaT and `pandas.NA` are missing.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. A row of weight 2 counts as two rows, and a row of
            weight 0 is left out. Rare levels are counted by rows, whatever their
            weights.

        X_val : array-like or DataFrame of shape (n_val, n_features), default=None
            Validation rows, in place of `validation_fraction`: training then uses all
            rows of `X`.

        groups : array-like of shape (n_samples,), default=None
            Group labels, such as patients. All rows of a group are held out, or none.

        Returns
        -------
        self : object
            Fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or a value of a column is invalid. An estimator that was
            fitted before remains unchanged.

        Warns
        -----
        UserWarning
            If a column has no value, or if most values of a category are rare levels.
        """
        return super().fit(X, y, sample_weight, X_val=X_val, groups=groups)

    # Using what was fitted

    def transform(self, X: Any, *, out: np.ndarray | None = None) -> np.ndarray:
        """Encode rows; `output` can select hidden activations instead.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Table, with the columns of `fit`. Any value may be missing. A row without
            any value counts as the mean row.

        out : ndarray of shape (n_samples, n_features_out), default=None
            Array to write the result to. None makes a new array.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components) or (n_samples, n_hidden)
            Codes or hidden activations; `out` if it is given.
        """
        return super().transform(X, out=out)

    def inverse_transform(self, X: ArrayLike) -> Any:
        """Decode codes to a table.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.

        Returns
        -------
        table : DataFrame or ndarray of shape (n_samples, n_features)
            Table like that of `fit`: of the same library, with the same columns and
            dtypes. Categories have the most probable level. No value is missing, unless
            the encoder has ``add_indicator=True``. A pandas DataFrame has the index of
            `X` if `X` is also one.
        """
        return _with_index_of(X, super().inverse_transform(X))

    def reconstruct(self, X: Any) -> Any:
        """Encode a table and decode its codes.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Table.

        Returns
        -------
        table : DataFrame or ndarray of shape (n_samples, n_features)
            Reconstruction, ``inverse_transform(transform(X))``. A pandas DataFrame
            has the index of `X`.
        """
        return _with_index_of(X, super().reconstruct(X))

    def reconstruction_error(self, X: Any, per_feature: bool = False) -> np.ndarray:
        """Return the losses of the reconstructions, in units of the columns.

        The loss of a number is its squared error over the variance of its column in
        `fit`; the loss of a category is minus the logarithm of the probability of its
        level over the entropy of the column. So reconstructions by the mean row have a
        mean loss of 1 in each column.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Table.

        per_feature : bool, default=False
            Whether to return the loss of each cell, not the mean of each row.

        Returns
        -------
        error : ndarray of shape (n_samples,) or (n_samples, n_features)
            Losses. The loss of a cell is NaN if its value is missing, or if its column
            was constant in `fit`. The mean of a row is over the other cells.
        """
        if not per_feature:
            return -self.score_samples(X)
        rows = self._check_new_rows(X)

        def entries(module: Any, x: Tensor) -> Tensor:
            logits = module.decode_logits(module.encode(x))
            return self.net_.criterion_.entries(logits, x)

        return self._by_column(self._apply(entries, rows))

    def _by_column(self, entries: np.ndarray) -> np.ndarray:
        """Sum losses of entries of the matrix for each cell of the table."""
        error = np.full((len(entries), self.n_features_in_), np.nan, entries.dtype)
        for i, parts in self.encoder_._columns_of().items():
            losses = [entries[:, part].sum(axis=1) for part in parts]
            error[:, i] = _mean_there(np.stack(losses, axis=1))
        return error

    def score_samples(self, X: Any) -> np.ndarray:
        """Return the negative loss of each row; low scores indicate outliers.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Table.

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            Negative loss, averaged over the columns with a value in the row, in the
            units of `reconstruction_error`. NaN for a row without any value.
        """
        rows = self._check_new_rows(X)
        losses = self._apply(self.net_.row_losses_with, rows)
        return np.where(np.isnan(rows[:]).all(axis=1), np.nan, -losses)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Return one minus the mean loss of the rows.

        It is the mean over the columns of R² for numbers and McFadden's R² for
        categories, with the variances and entropies of `fit`.
        :class:`~sklearn.model_selection.GridSearchCV` maximises it.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Table.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            At most 1; about 0 for the reconstruction of every row by the mean row. NaN
            if no row has a value.
        """
        pairs.warn_of_targets(self, X, y)
        scores = self.score_samples(X)
        weight = np.ones(len(scores))
        if sample_weight is not None:
            weight = checks.check_weights(sample_weight, scores)
        there = ~np.isnan(scores)
        if not weight[there].any():
            return math.nan
        return 1 + float(np.average(scores[there], weights=weight[there]))

    def category_probabilities(self, X: Any) -> dict[Any, dict[Any, np.ndarray]]:
        """Return the probabilities of the levels in the reconstructions.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Table.

        Returns
        -------
        probabilities : dict of dict of ndarray of shape (n_samples,)
            Probability of each level, for each column of categories by its name, or by
            its position in an array. If rare levels share one column of the encoder,
            the most frequent one of them represents all.
        """
        matrix = self._apply(reconstruct_rows, self._check_new_rows(X))
        return {
            block.name: dict(zip(block.levels, matrix[:, block.columns].T, strict=True))
            for block in self.encoder_._blocks_with_values()
            if block.kind == "category"
        }

    def _column_scale(self, net: AutoencoderNet) -> Any:
        return partial(mixed_scale, loss=net.criterion_)

    # Interface of scikit-learn

    @property
    def _n_inputs(self) -> int:
        return self.encoder_.blocks_[-1].columns.stop

    def _sizes_in_words(self) -> str:
        return f"{super()._sizes_in_words()}, {self._n_inputs:,} columns of the matrix"

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags


def _with_values(table: Table, name: str) -> Table:
    """Leave out rows without any value."""
    if not table.missing:
        return table
    empty = np.isnan(table.inputs[:]).all(axis=1)
    if empty.all():
        raise ValueError(
            f"{name} has no value in the columns that had values in fit: there is "
            "nothing to learn from it."
        )
    return table.take(np.flatnonzero(~empty)) if empty.any() else table


def _with_index_of(X: Any, table: Any) -> Any:
    """Set the index of a table if both are frames of pandas."""
    if hasattr(table, "iloc") and hasattr(X, "iloc"):
        table.index = X.index
    return table


def _mean_there(losses: np.ndarray) -> np.ndarray:
    """Average the losses (n_samples, n_blocks) of the blocks of a column."""
    there = ~np.isnan(losses)
    count = there.sum(axis=1)
    total = losses.sum(axis=1, where=there)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
