"""Imputer with a Gaussian and a network that corrects it."""

import math
from collections.abc import Iterator
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import clone
from sklearn.impute import MissingIndicator
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from skae import _checks as checks
from skae._columns import has_other_than_numbers
from skae._dense import LAYER_CONSTRAINTS, refuse_lbfgs
from skae._docs import imputer_docs
from skae._dtypes import as_bools, as_table, index_of
from skae._fitting import RecipeEstimator
from skae._inference import apply_in_batches
from skae._inputs import marks_nan, plain
from skae._plan import Plan
from skae._report import report, unchanged_on_error, warn
from skae._sklearn_compat import (
    Interval,
    MissingValues,
    StrOptions,
    check_feature_names_in,
    fit_context,
    safe_indexing,
)
from skae._table_encoder import TableEncoder, take_encoder
from skae._tasks import FitTasks
from skae._training import fit_net
from skae.modules import ImputingNetwork
from skae.modules._layers import ACTIVATIONS
from skae.noise import MissingNoise
from skae.objectives import Imputation
from skae.training import (
    GaussianStart,
    Matrix,
    Table,
    column_statistics,
    fill_missing,
    float_tensor,
    hold_out,
    hold_out_none,
    mean_one,
    own_modes,
    recipe,
    threads_for,
)

# With fewer rows, the result would depend on which cells are hidden.
_N_NOISY_ROWS = 1024
# Estimates of probabilities may be 0 or less.
_LEAST_PROBABILITY = 1e-3
# In small tables, there is little that the Gaussian does not find.
_STEPS_PER_ROW = 2
# Larger batches take longer, and overfit on tables with few columns.
_BATCH_ROWS_PER_COLUMN = 4


@imputer_docs
class AutoencoderImputer(RecipeEstimator):
    """Imputer that fills missing values by a Gaussian and a network that corrects it.

    A multivariate Gaussian is fitted to the rows with missing values, by expectation
    maximisation. Its conditional mean, given the observed values of a row, is the first
    guess of the missing values. A network learns nonlinear relations from the filled
    rows: each training step hides further values, in patterns that other rows have, and
    the loss is the error of these values. The correction by the network is multiplied
    by a factor for each column, chosen on held-out rows. It is kept only if it improves
    held-out values; otherwise the imputer is the Gaussian of all rows.

    Parameters
    ----------
    missing_values : float, int, None or pandas.NA, default=np.nan
        Mark of missing values. NaN, None and pandas.NA are the same mark. With a
        number, for instance in tables of integers, every entry with that number is
        missing, and NaN is an error.

    add_indicator : bool, default=False
        Whether to append an indicator of missing values for each column with missing
        values in `fit`, like :class:`~sklearn.impute.MissingIndicator`.

    keep_empty_features : bool, default=False
        Whether to keep columns without any value in `fit` and fill them with 0; with an
        `encoder_`, they remain empty. By default they are dropped.

    min_value, max_value : float or array-like of shape (n_features,), \
            default=-np.inf and np.inf
        Bounds of imputed values, for all columns or for each.

    encoder : TableEncoder or None, default=None
        Encoder of tables with categories, dates or booleans. None is
        :class:`TableEncoder` with its defaults for DataFrames and arrays with such
        columns, and no encoder for tables of numbers. The parameter `add_indicator` of
        the encoder is not used.

    hidden_layer_sizes : int or sequence of int, default=(256, 256)
        Widths of the hidden layers of the network. ``()`` is the Gaussian alone,
        without training. `random_state` then draws the values that determine its number
        of steps.

    n_passes : int, default=1
        Number of times that the network corrects the values. Each time after the first,
        its input is the row with the values of the time before. More than one often
        helps if most values of a row are missing, and takes more time.

    activation : {"elu", "gelu", "identity", "logistic", "relu", "selu", "silu", \
            "tanh"}, default="gelu"
        Activation of the hidden layers.

    optimizer : {"adam", "adamw", "muon", "sgd"} or torch.optim.Optimizer class, \
            default="adamw"
        Optimizer that minimises the loss, as in :class:`AutoencoderTransformer`.

    weight_decay : float or "auto", default="auto"
        Weight decay of the optimizer: an L2 penalty for "adam" and "sgd", decoupled for
        "adamw" and "muon". "auto" is ``(25 * n_features / n_samples) ** 2``, where
        copies of a row are one sample, and at most 2; it draws the imputer towards the
        Gaussian. It is 0 with an optimizer other than "adamw".

    batch_size : int or "auto", default="auto"
        Number of rows in each step. "auto" is a fifth of the rows, but at most 256, at
        most four for each column, and at least 16.

    max_epochs : int or "auto", default="auto"
        Maximum number of passes over the training rows. "auto" makes 2 steps for each
        row, and at most about 2,000.

    early_stopping : bool or "auto", default="auto"
        Whether to stop when the validation loss has not improved for `n_iter_no_change`
        epochs. "auto" stops if rows are held out, because on many small tables the
        network does not improve on the Gaussian.

    {parameters}

    Attributes
    ----------
    mean_ : ndarray of shape (n_columns,)
        Mean of the Gaussian, for the columns with a value in `fit`.

    covariance_ : ndarray of shape (n_columns, n_columns)
        Covariance of the Gaussian.

    trust_ : ndarray of shape (n_columns,)
        Factors between 0 and 1 of the correction by the network. All are 0 if the
        Gaussian was kept.

    encoder_ : TableEncoder or None
        The fitted encoder of a table with categories, dates or booleans. The Gaussian
        and the network then model the columns of its matrix.

    indicator_ : :class:`~sklearn.impute.MissingIndicator` or None
        Fitted indicator for `add_indicator`.

    {attributes}

    See Also
    --------
    DenoisingAutoencoder : Remove noise from rows whose values are wrong, not missing.
    sklearn.impute.IterativeImputer : Regressions of each column on all others.

    Notes
    -----
    Like all imputers that predict missing values from observed ones, this one assumes
    that the observed values explain why others are missing (missing at random, [1]_).
    If high values are missing because they are high, imputed values are too low.

    The loss of each column is in units of its variance, so columns need not be
    standardised first. Imputed values are expected values: imputed columns vary less
    than complete ones.

    A missing category becomes the most probable level, and a number or date is rounded
    like those of `fit`.

    All autoencoders of skae with dense layers accept missing values and fill them by
    the same Gaussian.

    References
    ----------
    .. [1] R. J. A. Little and D. B. Rubin, "Statistical analysis with missing data",
       third edition, Wiley, 2019; the Gaussian is in section 11.2.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.impute import SimpleImputer
    >>> from skae import AutoencoderImputer
    >>> X = load_digits().data
    >>> hidden = np.random.default_rng(0).random(X.shape) < 0.3
    >>> X_gaps = np.where(hidden, np.nan, X)
    >>> errors = []
    >>> for imputer in (
    ...     SimpleImputer(),
    ...     AutoencoderImputer(max_epochs=20, random_state=0),
    ... ):
    ...     X_filled = imputer.fit_transform(X_gaps)
    ...     errors.append(np.mean((X_filled - X)[hidden] ** 2))
    >>> bool(errors[1] < 0.4 * errors[0])
    True
    """

    def __init__(
        self,
        *,
        missing_values: Any = np.nan,
        add_indicator: bool = False,
        keep_empty_features: bool = False,
        min_value: Any = -np.inf,
        max_value: Any = np.inf,
        encoder: Any = None,
        hidden_layer_sizes: Any = (256, 256),
        n_passes: int = 1,
        activation: str = "gelu",
        optimizer: Any = "adamw",
        lr: float | str = "auto",
        weight_decay: float | str = "auto",
        lr_schedule: Any = "auto",
        max_epochs: int | str = "auto",
        batch_size: int | str = "auto",
        validation_fraction: float | None = 0.1,
        early_stopping: bool | str = "auto",
        n_iter_no_change: int | str = "auto",
        tol: float = 1e-4,
        callbacks: list | None = None,
        net_params: dict[str, Any] | None = None,
        device: str | torch.device = "auto",
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.missing_values = missing_values
        self.add_indicator = add_indicator
        self.keep_empty_features = keep_empty_features
        self.min_value = min_value
        self.max_value = max_value
        self.encoder = encoder
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_passes = n_passes
        self.activation = activation
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
        self.random_state = random_state
        self.verbose = verbose

    _fills_gaps = True

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **RecipeEstimator._parameter_constraints,
        "missing_values": [MissingValues(numeric_only=True), None],
        "add_indicator": ["boolean"],
        "keep_empty_features": ["boolean"],
        "min_value": [Interval(Real, None, None, closed="both"), "array-like"],
        "max_value": [Interval(Real, None, None, closed="both"), "array-like"],
        "encoder": [TableEncoder, None],
        "hidden_layer_sizes": LAYER_CONSTRAINTS["hidden_layer_sizes"],
        "n_passes": [Interval(Integral, 1, None, closed="left")],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "activation": [StrOptions(set(ACTIVATIONS))],
        "weight_decay": [
            Interval(Real, 0, None, closed="left"),
            StrOptions({"auto"}),
        ],
    }

    # Rows

    def _check_X(self, X: Any, *, reset: bool) -> Matrix:
        """Check rows, and return them with NaN where a value is missing."""
        if reset:
            self._fit_encoder(X)
        if self.encoder_ is not None:
            return self.encoder_.transform(X)
        if issparse(X):
            raise TypeError(
                f"{type(self).__name__} does not accept sparse matrices: entries that "
                "they do not store are 0, and not missing. Pass X.toarray()."
            )
        unmark = None if marks_nan(self.missing_values) else self._unmarked
        return checks.check_table(self, X, reset=reset, allow_nan=True, unmark=unmark)

    def _needs_encoder(self, X: Any) -> bool:
        return self.encoder is not None or has_other_than_numbers(X)

    def _fit_encoder(self, X: Any) -> None:
        """Fit the encoder of a table, if it needs one."""
        self.encoder_ = None
        if not self._needs_encoder(X):
            return
        is_default = {
            "missing_values": marks_nan(self.missing_values),
            "min_value": np.array_equal(self.min_value, -np.inf),
            "max_value": np.array_equal(self.max_value, np.inf),
        }
        for name in is_default:
            if not is_default[name]:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} is only for tables of numbers, "
                    "and X has other columns, or an encoder is set. Leave it at its "
                    "default."
                )
        encoder = TableEncoder() if self.encoder is None else clone(self.encoder)
        # With an indicator, imputed values could be missing again.
        encoder.set_params(add_indicator=False).set_output(transform="default")
        encoder._validate_params()
        take_encoder(self, encoder.fit(X))

    def _blocks(self) -> np.ndarray | None:
        """Return the block number of each column, or None for separate columns."""
        return None if self.encoder_ is None else self.encoder_._block_of_each()

    def _cells_missing(self, rows: Matrix) -> np.ndarray:
        """Return which cells of the table are missing."""
        missing = np.isnan(rows[:])
        if self.encoder_ is None:
            return missing
        of_table = np.ones((len(missing), self.n_features_in_), dtype=bool)
        for i, parts in self.encoder_._columns_of().items():
            of_table[:, i] = missing[:, parts[0].start]
        return of_table

    def _with_values(self, rows: Matrix) -> Matrix:
        """Leave out columns without any value in `fit`, as an encoder already does."""
        if self.encoder_ is not None or not self._empty.any():
            return rows
        return rows[:][:, ~self._empty]

    def _unmarked(self, X: Matrix) -> np.ndarray:
        """Replace the number that marks missing values by NaN."""
        if checks.has_gaps(X):
            raise ValueError(
                "Input X contains NaN, and missing values are marked by "
                f"missing_values={self.missing_values!r}. Use one mark for all of them."
            )
        X = X[:]
        with np.errstate(over="ignore"):
            # Compare in the precision of the table, in which 0.1 may be another number.
            marked = np.asarray(self.missing_values).astype(X.dtype) == X
        return np.where(marked, np.nan, X).astype(X.dtype, copy=False)

    def _table(self, X: Any, sample_weight: Any) -> Table:
        """Check training rows; leave out columns and rows without any value."""
        if sample_weight is not None and self._needs_encoder(X):
            # Rows of weight zero must not affect the encoder.
            X = plain(X, fill_masked=True)
            sample_weight = checks.check_weights(sample_weight, X)
            counts = np.flatnonzero(sample_weight)
            X, sample_weight = safe_indexing(X, counts), sample_weight[counts]
        X = self._check_X(X, reset=True)
        weight = None
        if sample_weight is not None:
            weight = checks.check_weights(sample_weight, X)
            if not weight.all():
                table = Table(X, weight=weight).take(np.flatnonzero(weight))
                X, weight = table.inputs, table.weight
        missing = [np.isnan(values) for values in checks.blocks(X)]
        empty = np.all([each.all(axis=0) for each in missing], axis=0)
        rows = ~np.concatenate([each.all(axis=1) for each in missing])
        if empty.all():
            raise ValueError(
                f"X has no value in its {len(X)} rows and {len(empty)} columns: there "
                "is nothing to learn from it."
            )
        any_missing = any(each[:, ~empty].any() for each in missing)
        del missing
        self._empty: np.ndarray = empty
        if self.encoder_ is not None:
            self._empty = np.ones(self.n_features_in_, dtype=bool)
            self._empty[list(self.encoder_._columns_of())] = False
        self.indicator_ = None
        if self.add_indicator:
            indicator = MissingIndicator(error_on_new=False)
            self.indicator_ = indicator.fit(_as_gaps(self._cells_missing(X)))
        table = Table(self._with_values(X), weight=weight)
        if not rows.all():
            table = table.take(np.flatnonzero(rows))
            any_missing = any_missing and checks.has_gaps(table.inputs)
        return replace(table, weight=mean_one(table.weight), missing=any_missing)

    def _limits(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of imputed values, for each column."""
        if self.encoder_ is not None:
            return np.array(-np.inf), np.array(np.inf)
        shape = (self.n_features_in_,)
        limits = []
        for name in ("min_value", "max_value"):
            value = np.asarray(getattr(self, name), dtype=np.float64)
            if value.shape not in ((), shape) or np.isnan(value).any():
                raise ValueError(
                    f"{name} must be a number, or one for each of the "
                    f"{self.n_features_in_} columns of X. Got {getattr(self, name)!r}."
                )
            limits.append(np.broadcast_to(value, shape))
        low, high = limits
        if (low >= high).any():
            raise ValueError(
                "min_value must be lower than max_value in every column. Got "
                f"min_value={self.min_value!r} and max_value={self.max_value!r}."
            )
        return low[~self._empty], high[~self._empty]

    # Fitting

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit the Gaussian, and train the network that corrects it.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows. Rows without any value are left out. A pandas or polars DataFrame may
            have columns of strings, categories, booleans and dates.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows. A row of weight 2 counts as two rows, and a row of
            weight 0 is left out. The number of training steps does not depend on the
            weights.

        Returns
        -------
        self : object
            Fitted imputer.

        Raises
        ------
        ValueError
            If a parameter is invalid, or if `X` has infinite values or no value.
        """
        tasks = FitTasks(self, X, y, sample_weight)
        with own_modes(), unchanged_on_error(self):
            table = self._table(X, sample_weight)
            self._limits()
            self._reset_random_state()
            self._check_training({}, {"criterion", "module__n_features"})
            plan = self._plan(table)
            checks.check_weight_decay(self.optimizer, plan.weight_decay)
            net = self._build(plan, self._seed())
            self._set_evaluation_rows(net, table.n_features)
            with threads_for(net):
                result, n_epochs = fit_net(self, net, plan, table, None, tasks)
            self._store(net, result)
            self._start_name = plan.start_name
            report(self, result, n_epochs, lr=net.lr)
            tasks.end()
        return self

    def _plan(self, table: Table) -> Plan:
        refuse_lbfgs(self)
        widths = checks.layer_widths(
            self.hidden_layer_sizes,
            "hidden_layer_sizes",
            "the widths of the network, or () for the Gaussian alone",
        )
        start = GaussianStart()
        weight_decay = self.weight_decay
        if weight_decay == "auto":
            n_rows = len(table) if table.large else table.n_distinct()
            weight_decay = recipe.weight_decay(self.optimizer, n_rows, table.n_features)
        plan = self._planned(
            len(table),
            module=ImputingNetwork,
            arguments={
                "n_features": table.n_features,
                "hidden_layer_sizes": widths,
                "activation": self.activation,
                "n_passes": int(self.n_passes),
            },
            objective=Imputation(missing=True),
            noise=MissingNoise(block=self._blocks()),
            validates_noisy=True,
            n_noisy_rows=_N_NOISY_ROWS,
            start=start,
            floor=start,
            n_steps=min(self._recipe.n_steps, _STEPS_PER_ROW * len(table)),
            hold_out=hold_out if widths else hold_out_none,
            is_solved=not widths,
            weight_decay=float(weight_decay),
        )
        if self.batch_size != "auto":
            return plan
        most = max(16, _BATCH_ROWS_PER_COLUMN * table.n_features)
        return replace(plan, batch_size=min(plan.batch_size, most))

    # Using what was fitted

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Impute the missing values of rows.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows. A row without any value becomes the mean row.

        Returns
        -------
        X_imputed : ndarray or DataFrame of shape (n_samples, n_features_out)
            Rows without missing values. Values that were not missing are unchanged.
            With an `encoder_`, a table like that of `fit`: of the same library, with
            the same columns and dtypes. Otherwise an array, unless `set_output` sets a
            DataFrame.

        Raises
        ------
        ValueError
            If columns are not those of `fit`, or if the dtype that a column had in
            `fit` does not allow a level.
        """
        check_is_fitted(self)
        rows = self._check_X(X, reset=False)
        if self.encoder_ is not None:
            return self._filled_table(X, rows)
        empty = self._empty
        if not empty.any():
            filled = self._filled(rows)
        else:
            rows = rows[:]
            filled = self._filled(rows[:, ~empty])
            if self.keep_empty_features:
                others = rows[:, empty]
                whole = np.empty_like(rows)
                whole[:, ~empty] = filled
                whole[:, empty] = np.where(np.isnan(others), 0, others)
                filled = whole
            else:
                self._warn_of_dropped()
        if self.indicator_ is None:
            return filled
        return np.hstack([filled, self.indicator_.transform(rows[:])])

    def _filled_table(self, X: Any, rows: Matrix) -> Any:
        """Return a table like that of `fit`, with the observed values of `X`."""
        encoder: Any = self.encoder_
        columns = encoder._filled(X, self._filled(rows))
        names = encoder._names
        if not self.keep_empty_features and self._empty.any():
            self._warn_of_dropped()
            names = [names[i] for i in np.flatnonzero(~self._empty)]
        kept = self.keep_empty_features | ~self._empty
        series = [columns[i][0] for i in np.flatnonzero(kept)]
        if self.indicator_ is not None:
            gaps = _as_gaps(np.stack([missing for _, missing in columns], axis=1))
            marks = self.indicator_.transform(gaps)
            series += [as_bools(mark, series[0]) for mark in marks.T]
            names = [*names, *self.get_feature_names_out()[len(names) :]]
        return as_table(series, names, index_of(X))

    def _warn_of_dropped(self) -> None:
        names = getattr(self, "feature_names_in_", np.arange(len(self._empty)))
        warn(
            "Columns without any value in fit are dropped: "
            f"{', '.join(map(str, names[self._empty]))}. keep_empty_features=True "
            "keeps them."
        )

    def _filled(self, rows: Matrix) -> np.ndarray:
        limits = self._limits()

        def fill(values: np.ndarray, imputed: np.ndarray) -> np.ndarray:
            return np.where(np.isnan(values), imputed.clip(*limits), values)

        return apply_in_batches(
            self.net_.plain_module_,
            _impute,
            rows,
            self.net_.device,
            copy_rows=False,
            then=fill,
        )

    def _transform_as_tensor(self, module: Any, x: Tensor) -> Tensor:
        """Do in torch what `transform` does, for an export."""
        if not marks_nan(self.missing_values):
            x = torch.where(x == float(self.missing_values), torch.nan, x)
        missing = x.isnan()
        with_values = torch.from_numpy(np.flatnonzero(~self._empty))
        low, high = (torch.from_numpy(limit).float() for limit in self._limits())
        rows = x[:, with_values]
        filled = torch.where(rows.isnan(), module(rows).clamp(low, high), rows)
        if self.keep_empty_features and self._empty.any():
            others = torch.where(missing, 0, x)
            filled = others.index_copy(1, with_values, filled)
        if self.indicator_ is None:
            return filled
        indicated = missing[:, torch.from_numpy(self.indicator_.features_)]
        return torch.cat([filled, indicated.to(x.dtype)], dim=1)

    def surprise(self, X: ArrayLike) -> np.ndarray:
        """Return how far each value is from what the rest of its row suggests.

        Each column is hidden in turn and imputed from the others. The result is the
        squared error of a number over the variance of its column in `fit`, or minus the
        logarithm of the probability of the level of a category over the entropy of its
        column. So the mean is 1 for a column that is independent of the others, and
        values far above 1 are likely to be wrong.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        surprise : ndarray of shape (n_samples, n_features)
            Surprise of each value. NaN if the value is missing, is a level that `fit`
            has not seen, or is in a column without any value in `fit`.
        """
        check_is_fitted(self)
        rows = self._with_values(self._check_X(X, reset=False))[:]
        mean, variance = self.mean_, self.covariance_.diagonal()
        surprise = np.full((len(rows), self.n_features_in_), np.nan)
        for i, columns, is_category in self._columns_of_cells():
            hidden = rows.copy()
            hidden[:, columns] = np.nan
            values, filled = rows[:, columns], self._filled(hidden)[:, columns]
            if is_category:
                share = _probabilities(mean[columns])
                entropy = -(share @ np.log(share))
                log_loss = -(values * np.log(_probabilities(filled))).sum(axis=1)
                surprise[:, i] = log_loss / max(entropy, _LEAST_PROBABILITY)
            else:
                error = np.square(values - filled)[:, 0]
                surprise[:, i] = error / variance[columns.start]
        return surprise

    def _columns_of_cells(self) -> Iterator[tuple[int, slice, bool]]:
        """Yield columns of the table, those of the rows, and whether it is a category.

        Columns without any value in `fit` are left out.
        """
        if self.encoder_ is None:
            for place, i in enumerate(np.flatnonzero(~self._empty)):
                yield int(i), slice(place, place + 1), False
            return
        kinds = {block.columns.start: block.kind for block in self.encoder_.blocks_}
        for i, parts in self.encoder_._columns_of().items():
            # An indicator of missing values, if any, comes after the value.
            whole = slice(parts[0].start, parts[-1].stop)
            yield i, whole, kinds[whole.start] == "category"

    def score(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Return the R² of values that are hidden and imputed.

        Values are hidden in the patterns of missing values of other rows of `X`, and
        are the same in each call; if none is missing, three in ten are hidden. The
        score is one minus their squared error over that of the means of the columns.
        :class:`~sklearn.model_selection.GridSearchCV` maximises it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows. With an `encoder_`, the score is that of the encoded rows.

        y : None
            Ignored.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.

        Returns
        -------
        score : float
            At most 1; 0 for the means of the columns. NaN if no value can be hidden.
        """
        check_is_fitted(self)
        rows = self._with_values(self._check_X(X, reset=False))[:]
        weight = np.ones(len(rows))
        if sample_weight is not None:
            weight = checks.check_weights(sample_weight, rows)
        columns = column_statistics(fill_missing(rows, weight), weight)
        unit = np.where(columns.variance > 0, columns.variance, np.inf)
        rows = np.tile(rows, (math.ceil(_N_NOISY_ROWS / len(rows)), 1))
        weight = np.resize(weight, len(rows))
        hidden = _hidden(rows, weight, self._blocks())
        filled = self._filled(np.where(hidden, np.nan, rows))
        error, total = (
            weight @ np.where(hidden, np.square(values - rows) / unit, 0)
            for values in (filled, columns.mean)
        )
        return float(1 - error.sum() / total.sum()) if total.any() else math.nan

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns that `transform` returns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of `X`; those seen in `fit` by default.

        Returns
        -------
        names : ndarray of str
            The names of the columns, and those of the columns of `add_indicator`.
        """
        check_is_fitted(self)
        names = check_feature_names_in(self, input_features)
        kept = names if self.keep_empty_features else names[~self._empty]
        if self.indicator_ is None:
            return kept
        return np.concatenate([kept, self.indicator_.get_feature_names_out(names)])

    @property
    def mean_(self) -> np.ndarray:
        """Mean of the Gaussian."""
        return self.net_.plain_module_.fill.mean.cpu().double().numpy()

    @property
    def covariance_(self) -> np.ndarray:
        """Covariance of the Gaussian."""
        return self.net_.plain_module_.fill.covariance().numpy()

    @property
    def trust_(self) -> np.ndarray:
        """Factors of the correction by the network."""
        trust = self.net_.plain_module_.trust.cpu().double().numpy()
        return trust if self.best_epoch_ > 0 else np.zeros_like(trust)

    @property
    def _module_takes_rows(self) -> bool:
        return self.encoder_ is None

    @property
    def _n_inputs(self) -> int:
        if self.encoder_ is not None:
            return self.encoder_.blocks_[-1].columns.stop
        return int((~self._empty).sum())

    @property
    def _n_features_out(self) -> int:
        return len(self.get_feature_names_out())

    def _parts(self) -> dict[str, Any]:
        return {"network": lambda module, x: module(x)}

    def _sizes_in_words(self) -> str:
        return f"{self.n_features_in_:,} columns"

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        tags.input_tags.allow_nan = marks_nan(self.missing_values)
        return tags


def _impute(module: Any, x: Tensor) -> Tensor:
    return module(x) if x.isnan().any() else x


def _probabilities(values: np.ndarray) -> np.ndarray:
    """Return estimates of zeros and ones as probabilities of the levels."""
    values = np.clip(values, _LEAST_PROBABILITY, None)
    return values / values.sum(axis=-1, keepdims=True)


def _as_gaps(missing: np.ndarray) -> np.ndarray:
    """Return a table with NaN where values are missing, and 0 elsewhere."""
    return np.where(missing, np.nan, 0.0)


def _hidden(
    rows: np.ndarray, weight: np.ndarray, block: np.ndarray | None
) -> np.ndarray:
    """Choose values to hide, the same ones each time for the same rows."""
    generator = torch.Generator().manual_seed(0)
    x = float_tensor(rows, copy=True)
    noise = MissingNoise(block=block)
    noise.lend(x, torch.from_numpy(weight))
    return (noise(x, generator).isnan() & ~x.isnan()).numpy()
