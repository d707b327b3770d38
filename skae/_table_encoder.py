"""Encoder of tables of numbers, dates and categories as matrices of floats."""

import difflib
from collections import Counter
from collections.abc import Iterator
from numbers import Integral
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import Tags, check_array
from sklearn.utils.validation import (
    check_is_fitted,
    has_fit_parameter,
    validate_data,
)

from skae._columns import (
    CategoryColumn,
    Column,
    DateColumn,
    NumberColumn,
    as_column,
    column_at,
    count_levels,
    kind_of,
    narwhals,
)
from skae._doc_link import DocLinkMixin
from skae._dtypes import as_float, as_series, as_table, describe
from skae._inputs import check_is_table, plain
from skae._near_names import NearNamesMixin
from skae._report import unchanged_on_error, warn
from skae._sklearn_compat import (
    HasMethods,
    Interval,
    RealNotInt,
    StrOptions,
    check_feature_names_in,
    fit_context,
)

# Warn of too many levels if a column has that many rows and most levels are rare.
_FEW_ROWS = 20
_MANY_LEVELS = 100


class Block(NamedTuple):
    """Columns of the matrix that encode one column of the table.

    Attributes
    ----------
    name : object
        Name of the column of the table; its position if the table is an array.

    kind : str
        "number", "date" or "category"; "missing" for an indicator of missing numbers or
        dates.

    columns : slice
        Columns of the matrix.

    levels : tuple
        Level of each column of a category. If rare levels share the last column, its
        level is the most frequent one of them. Empty for other kinds.
    """

    name: Any
    kind: str
    columns: slice
    levels: tuple[Any, ...]


class TableEncoder(DocLinkMixin, TransformerMixin, NearNamesMixin, BaseEstimator):
    """Encode a table of mixed columns as a matrix of floats, and decode it.

    Numbers, dates, times and durations become a scaled column each. Strings, booleans,
    categories and other objects become a column of zeros and ones for each level, which
    is one of their values. A missing value stays missing: it is NaN in all columns that
    encode it.
    `inverse_transform` returns a table like that of `fit`: of the same library, with
    the same columns, dtypes, categories, time zones and numbers of decimals.

    Parameters
    ----------
    categorical_features : "from_dtype", array-like of str, int or bool, or None, \
            default="from_dtype"
        Columns that are categories. All others must hold numbers, booleans, dates,
        times or durations.

        - "from_dtype": all columns that are not of numbers, dates, times or durations.
          A column of a NumPy array of objects is one if it holds anything but numbers.
        - array-like of str: names of columns, for DataFrames.
        - array-like of int: positions of columns.
        - array-like of bool of shape (n_features,): a mask.
        - None: no column.

    scaler : "standard", transformer or None, default="standard"
        Transformer of the numbers and dates with `inverse_transform`, such as
        :class:`~sklearn.preprocessing.QuantileTransformer`. It must accept NaN if
        values are missing, and keep the number of columns. "standard" is
        :class:`~sklearn.preprocessing.StandardScaler`. None does not scale numbers;
        dates are then numbers of days, hours, minutes, seconds or smaller units, the
        largest unit in which all are whole numbers.

    min_frequency : int or float, default=None
        Rarer levels share one column. An int is a number of rows, a float a share of
        all rows. See :class:`~sklearn.preprocessing.OneHotEncoder`.

    max_categories : int or None, default=100
        Largest number of columns for one column of categories. If there are more
        levels, the rarest share one column. None sets no limit.

    add_indicator : bool, default=False
        Whether to append a column for each number and date that was missing in some row
        of `fit`: 1 where the value is missing and 0 elsewhere. With it,
        `inverse_transform` can return missing values for rows without NaN, such as
        reconstructions.

    Attributes
    ----------
    blocks_ : list of named tuples
        Columns of the matrix that encode each column of the table, in order. Each tuple
        has the fields `name`, of the column of the table; `kind`, which is "number",
        "date", "category" or, for the columns of `add_indicator`, "missing"; `columns`,
        a slice of the columns of the matrix; and `levels`, a tuple with the level of
        each column of a category.

    scaler_ : transformer or None
        The fitted scaler. None if there is nothing to scale.

    n_features_in_ : int
        Number of columns of the table in `fit`.

    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if all of them are strings.

    See Also
    --------
    sklearn.compose.ColumnTransformer : Other encodings of columns, without an inverse.
    sklearn.preprocessing.OneHotEncoder : The encoding of the categories.

    Notes
    -----
    pandas and polars DataFrames need the package narwhals, which scikit-learn requires
    from its version 1.9 on. Arrays do not need it.

    A level that `fit` has not seen is missing in `transform`. Levels that a category
    declares, but that no row of `fit` has, have no column.

    `inverse_transform` accepts any matrix, such as one of reconstructions. Numbers are
    clipped to the range of `fit`, and rounded to the number of decimals of the values
    in `fit`, up to 10. Dates are likewise rounded to whole days, hours, minutes,
    seconds or smaller units, in UTC. Both are computed as 64-bit floats, which hold 15
    digits: larger integers and finer times are rounded. A category becomes the level
    with the largest value; the column of rare levels becomes the most frequent one of
    them. Dtypes without missing values, such as integers of NumPy, become floats or
    objects if a value is missing.

    A column without any value in `fit` has no column in the matrix, and is decoded
    without values. A constant column is encoded like all others.

    Examples
    --------
    >>> import pandas as pd
    >>> from skae import TableEncoder
    >>> table = pd.DataFrame(
    ...     {
    ...         "size": [30.5, 41.0, None, 56.5],
    ...         "rooms": [1, 2, 2, 3],
    ...         "heating": pd.Categorical(["gas", "wood", "gas", None]),
    ...     }
    ... )
    >>> encoder = TableEncoder().set_output(transform="pandas")
    >>> matrix = encoder.fit_transform(table)
    >>> matrix.round(1)
       size  rooms  heating_gas  heating_wood
    0  -1.1   -1.4          1.0           0.0
    1  -0.2    0.0          0.0           1.0
    2   NaN    0.0          1.0           0.0
    3   1.3    1.4          NaN           NaN
    >>> encoder.inverse_transform(matrix)
       size  rooms heating
    0  30.5      1     gas
    1  41.0      2    wood
    2   NaN      2     gas
    3  56.5      3     NaN
    >>> for block in encoder.blocks_:
    ...     print(block.name, block.kind, block.columns, block.levels)
    size number slice(0, 1, None) ()
    rooms number slice(1, 2, None) ()
    heating category slice(2, 4, None) ('gas', 'wood')
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "scaler": [
            StrOptions({"standard"}),
            HasMethods(["fit", "transform", "inverse_transform"]),
            None,
        ],
        "min_frequency": [
            Interval(Integral, 1, None, closed="left"),
            Interval(RealNotInt, 0, 1, closed="neither"),
            None,
        ],
        "max_categories": [Interval(Integral, 1, None, closed="left"), None],
        "add_indicator": ["boolean"],
    }

    def __init__(
        self,
        categorical_features: Any = "from_dtype",
        *,
        scaler: Any = "standard",
        min_frequency: float | None = None,
        max_categories: int | None = 100,
        add_indicator: bool = False,
    ) -> None:
        self.categorical_features = categorical_features
        self.scaler = scaler
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.add_indicator = add_indicator

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn the columns, their levels and their scales.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The table: a pandas or polars DataFrame, a NumPy array, also of strings or
            objects, or a list of rows. NaN, None, NaT and `pandas.NA` are missing.

        y : None
            Ignored.

        Returns
        -------
        self : object
            Fitted encoder.

        Raises
        ------
        TypeError
            If a cell of a column is a list, a struct or the like.

        ValueError
            If a column that is no category holds text or infinity, if names of columns
            are not unique, or if all values are missing.

        ImportError
            If `X` is a DataFrame, and the package narwhals is not installed.

        Warns
        -----
        UserWarning
            If a column has no value, or if most values of a category are rare levels.
        """
        return self._fit(X)

    def _fit(self, X: Any, sample_weight: np.ndarray | None = None) -> Self:
        """Do what `fit` does, with weights for a scaler that accepts them."""
        with unchanged_on_error(self):
            X = self._checked(X, reset=True)
            self._is_array = isinstance(X, np.ndarray)
            self._names = list(range(X.shape[1]) if self._is_array else X.columns)
            self._has_indicators = bool(self.add_indicator)
            chosen = self._chosen()
            self._columns = [self._column(X, i, chosen) for i in range(X.shape[1])]
            self._warn_of_empty()
            self._fit_scaler(X, sample_weight)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Encode a table.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n_samples, n_features)
            The table, with the columns of `fit`.

        Returns
        -------
        matrix : ndarray of shape (n_samples, n_features_out)
            The matrix; NaN where a value is missing or has an unknown level. It is a
            DataFrame if `set_output` is set so.

        Raises
        ------
        TypeError
            If a cell of a column is a list, a struct or the like.

        ValueError
            If columns are not those of `fit`, or if a column of numbers or dates holds
            other values.
        """
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        numbers = self._numbers(X)
        scaled = dict(zip(self._scaled_ones, self._scaled(numbers).T, strict=True))
        missing = dict(zip(self._scaled_ones, np.isnan(numbers).T, strict=True))
        matrix = np.empty((len(X), self._width))
        for i, column, block in self._each_block():
            part = matrix[:, block.columns]
            if block.kind == "category":
                part[:] = column.read(column_at(X, i), self._label(i))
            else:
                values = missing if block.kind == "missing" else scaled
                part[:, 0] = values[i]
        return matrix

    def inverse_transform(self, X: Any) -> Any:
        """Decode a matrix.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features_out)
            A matrix like that of `transform`. NaN is a missing value.

        Returns
        -------
        table : DataFrame or ndarray of shape (n_samples, n_features)
            Table like that of `fit`. A pandas DataFrame has the index of `X` if `X` is
            also one.

        Raises
        ------
        ValueError
            If the number of columns is not that of `transform`.
        """
        check_is_fitted(self)
        index = X.index if hasattr(X, "iloc") else None
        return self._decoded(X, index)

    def _decoded(
        self, X: Any, index: Any = None, rng: np.random.RandomState | None = None
    ) -> Any:
        """Decode a matrix; with a generator, draw the levels of categories."""
        matrix = check_array(X, dtype=np.float64, ensure_all_finite="allow-nan")
        if matrix.shape[1] != self._width:
            raise ValueError(
                f"X has {matrix.shape[1]} columns, but {type(self).__name__} returns "
                f"{self._width}. Pass a matrix like that of transform."
            )
        cells = self._cells(matrix, rng)
        series = [column.series(cells[i]) for i, column in enumerate(self._columns)]
        return as_table(series, self._names, index)

    def _cells(
        self, matrix: np.ndarray, rng: np.random.RandomState | None = None
    ) -> dict[int, list[Any]]:
        """Return the cells of each column of the table, None where one is missing."""
        numbers = dict(zip(self._scaled_ones, self._unscaled(matrix).T, strict=True))
        cells: dict[int, list[Any]] = {}
        for i, column, block in self._each_block():
            part = matrix[:, block.columns]
            if block.kind == "category":
                cells[i] = column.cells(part, rng)
            elif block.kind == "missing":
                gone = part[:, 0] > 0.5
                cells[i] = column.cells(np.where(gone, np.nan, numbers[i]))
            else:
                cells[i] = column.cells(numbers[i])
        return cells

    def _filled(self, X: Any, matrix: np.ndarray) -> list[tuple[Any, np.ndarray]]:
        """Fill missing values of the columns of a table; also return where they were.

        Observed values stay unchanged; others are decoded from a matrix. A column
        without any value in `fit` is not filled.
        """
        X = self._checked(X, reset=False)
        decoded = self._cells(matrix)
        columns = []
        for i, column in enumerate(self._columns):
            cells = column.observed(column_at(X, i), self._label(i))
            missing = np.array([cell is None for cell in cells])
            for row in np.flatnonzero(missing):
                cells[row] = decoded[i][row]
            columns.append((self._series(i, cells, ~missing), missing))
        return columns

    def _series(self, i: int, cells: list[Any], observed: np.ndarray) -> Any:
        """Return cells as a column, whose dtype must allow the observed ones."""
        column, label = self._columns[i], self._label(i)
        series = [lambda: column.series(cells)]
        if column.kind == "number":
            series.append(lambda: as_series(cells, as_float(column.dtype)))
        for make in series:
            try:
                made = make()
                found = column.observed(as_column(made), label)
                same = all(found[row] == cells[row] for row in np.flatnonzero(observed))
            except (OverflowError, TypeError, ValueError):
                same = False
            if same:
                return made
        raise ValueError(
            f"{label} has values that the dtype of the column in fit cannot hold. "
            "Convert it to that dtype, or leave out such rows."
        )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns of the matrix.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of the table. None uses those of `fit`, or "x0", "x1"
            and so on.

        Returns
        -------
        names : ndarray of str
            A number has the name of its column. A level has that name and its own, such
            as "color_red". The name of the column of rare levels ends in
            "infrequent_sklearn", as in scikit-learn's `OneHotEncoder`. Names of columns
            of `add_indicator` begin with "missingindicator".
        """
        check_is_fitted(self)
        names = check_feature_names_in(self, input_features)
        found: list[str] = []
        for i, column, block in self._each_block():
            if block.kind == "category":
                rare = ["infrequent_sklearn"] if column.rare else []
                found += [f"{names[i]}_{level}" for level in [*column.levels, *rare]]
            elif block.kind == "missing":
                found.append(f"missingindicator_{names[i]}")
            else:
                found.append(str(names[i]))
        return np.array(found, dtype=object)

    @property
    def blocks_(self) -> list[Block]:
        """Columns of the matrix that encode each column of the table."""
        check_is_fitted(self)
        return [block for _, _, block in self._each_block()]

    def _blocks_with_values(self) -> list[Block]:
        """Return the blocks, without those of columns without any value in `fit`."""
        return [each for each in self.blocks_ if each.columns.start < each.columns.stop]

    def _block_of_each(self) -> np.ndarray:
        """Return the number, from 0, of the block of each column of the matrix."""
        sizes = [
            each.columns.stop - each.columns.start
            for each in self._blocks_with_values()
        ]
        return np.repeat(np.arange(len(sizes)), sizes)

    def _columns_of(self) -> dict[int, list[slice]]:
        """Return the columns of the matrix that encode each column of the table.

        Columns of the table are numbered from 0, and may have several blocks or none.
        """
        found: dict[int, list[slice]] = {}
        for i, _, block in self._each_block():
            if block.columns.start < block.columns.stop:
                found.setdefault(i, []).append(block.columns)
        return found

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "scaler_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.categorical = True
        return tags

    # Blocks

    def _each_block(self) -> Iterator[tuple[int, Any, Block]]:
        """Yield each block, with the position and the description of its column."""
        start = 0
        for i, (name, column) in enumerate(
            zip(self._names, self._columns, strict=True)
        ):
            parts: list[tuple[str, int, list[Any]]]
            if isinstance(column, CategoryColumn):
                levels = [*column.levels, *column.rare[:1]]
                parts = [("category", len(levels), levels)]
            else:
                parts = [(column.kind, 1, [])]
                if self._has_indicators and column.gaps:
                    parts.append(("missing", 1, []))
            for kind, width, levels in parts:
                stop = start + width
                yield i, column, Block(name, kind, slice(start, stop), tuple(levels))
                start = stop

    @property
    def _width(self) -> int:
        return self.blocks_[-1].columns.stop

    # Tables

    def _checked(self, X: Any, *, reset: bool) -> Any:
        """Return a table as a frame or an array, after checks of its columns."""
        check_is_table(X, "X")
        if not hasattr(X, "columns"):
            X = plain(X, fill_masked=True)
            if not hasattr(X, "dtype"):
                # NumPy would make strings of all values if one is a string.
                rows = np.array(X, dtype=object)
                if any(isinstance(value, str) for value in rows.flat):
                    X = rows
            return validate_data(
                self, X, reset=reset, dtype=None, ensure_all_finite=False
            )
        bases = {base.__module__.partition(".")[0] for base in type(X).__mro__}
        if not bases & {"pandas", "polars"}:
            raise TypeError(
                f"X is a {type(X).__name__} of {type(X).__module__}. Pass a pandas or "
                "polars DataFrame, for instance X.to_pandas()."
            )
        narwhals()  # raise at once if it is not installed
        if 0 in X.shape:
            raise ValueError(
                f"X has shape {X.shape}. It must have at least one row and one column."
            )
        names = list(X.columns)
        twice = [name for name, count in Counter(names).items() if count > 1]
        if twice:
            raise ValueError(
                f"X has several columns with the name {twice[0]!r}. Names must be "
                "unique: rename or drop columns."
            )
        validate_data(self, X, reset=reset, skip_check_array=True)
        # scikit-learn has compared names if they are strings.
        if not (reset or self._is_array or names == self._names):
            raise ValueError(
                f"The columns of X must be those of fit, in the same order: "
                f"{self._names}. Got {names}."
            )
        return X

    def _label(self, i: int) -> str:
        return f"Column {self._names[i]!r} of X"

    # Columns of the table

    def _chosen(self) -> np.ndarray | None:
        """Return a mask of the columns that are categories; None to use the dtypes."""
        given = self.categorical_features
        if isinstance(given, str):
            return None
        n = len(self._names)
        mask = np.zeros(n, dtype=bool)
        entries = [] if given is None else list(given)
        if entries and all(isinstance(each, bool | np.bool_) for each in entries):
            if len(entries) != n:
                raise ValueError(
                    f"categorical_features is a mask of {len(entries)} columns, but X "
                    f"has {n}."
                )
            mask[:] = entries
        elif all(isinstance(each, Integral) for each in entries):
            outside = [each for each in entries if not 0 <= each < n]
            if outside:
                raise ValueError(
                    f"categorical_features has the position {outside[0]}. X has {n} "
                    f"columns, with positions from 0 to {n - 1}."
                )
            mask[[int(each) for each in entries]] = True
        else:
            for name in entries:
                mask[self._position(name)] = True
        return mask

    def _position(self, name: Any) -> int:
        if self._is_array:
            raise ValueError(
                f"categorical_features has the name {name!r}, but X is an array, which "
                "has no names. Use positions or a mask, or pass a DataFrame."
            )
        if name in self._names:
            return self._names.index(name)
        close = difflib.get_close_matches(str(name), map(str, self._names), n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(
            f"categorical_features has the name {name!r}, which is not a column of X."
            f"{hint} The columns are {self._names}."
        )

    def _column(self, X: Any, i: int, chosen: np.ndarray | None) -> Column:
        column, name, label = column_at(X, i), self._names[i], self._label(i)
        kind = kind_of(column, label)
        if chosen is not None and chosen[i]:
            kind = "category"
        elif chosen is not None and kind == "category":
            kind = "number"
        found: Column | None
        if kind == "category":
            found = self._category(column, name, label)
        elif kind == "date":
            found = DateColumn.fit(column, name, label)
        else:
            found = NumberColumn.fit(column, name, label)
        return found or CategoryColumn(name, describe(column), True, [], [], [])

    def _category(self, column: Any, name: Any, label: str) -> CategoryColumn:
        counts, n_missing = count_levels(column, label)
        levels = list(counts)
        rare = self._rare(list(counts.values()), n_missing)
        kept = [level for i, level in enumerate(levels) if i not in rare]
        dropped = sorted((levels[i] for i in rare), key=lambda each: -counts[each])
        n_rows = sum(counts.values())
        n_covered = sum(counts[level] for level in kept)
        nearly_unique = n_rows >= _FEW_ROWS and len(levels) > n_rows / 2
        if nearly_unique or (len(levels) > _MANY_LEVELS and n_covered < n_rows / 2):
            warn(
                f"{label} has {len(levels)} levels in {n_rows} rows. {len(kept)} "
                f"levels, which cover {n_covered / n_rows:.0%} of the rows, are kept; "
                "the others share one column. If it is an identifier, drop it. If it "
                "is text, encode it otherwise, for instance with TfidfVectorizer. If "
                "it holds dates or numbers, convert it. Else merge levels, or set "
                "max_categories or min_frequency."
            )
        return CategoryColumn(
            name,
            describe(column),
            n_missing > 0,
            kept,
            dropped,
            [counts[level] for level in dropped],
        )

    def _rare(self, counts: list[int], n_missing: int) -> set[int]:
        """Return the levels that would share a column in scikit-learn's encoder."""
        if not counts:
            return set()
        codes = np.repeat(np.arange(-1, len(counts)), [n_missing, *counts])
        encoder = OneHotEncoder(
            categories=[np.arange(len(counts))],
            handle_unknown="ignore",  # the missing ones
            min_frequency=self.min_frequency,
            max_categories=self.max_categories,
        ).fit(codes[:, np.newaxis])
        # The attribute does not exist without a limit.
        (rare,) = getattr(encoder, "infrequent_categories_", [None])
        return set() if rare is None else set(rare.tolist())

    def _warn_of_empty(self) -> None:
        empty = [
            column.name
            for column in self._columns
            if isinstance(column, CategoryColumn) and not column.levels + column.rare
        ]
        if len(empty) == len(self._columns):
            raise ValueError("X has no values: all of them are missing.")
        if empty:
            warn(
                f"Columns without any value in fit have no column in the matrix: "
                f"{empty}. inverse_transform returns them without values."
            )

    # Numbers and dates

    @property
    def _scaled_ones(self) -> list[int]:
        """Positions in the table of the numbers and dates."""
        return [
            i
            for i, column in enumerate(self._columns)
            if not isinstance(column, CategoryColumn)
        ]

    def _numbers(self, X: Any) -> np.ndarray:
        columns = [
            self._columns[i].read(column_at(X, i), self._label(i))
            for i in self._scaled_ones
        ]
        return np.stack(columns, axis=1) if columns else np.empty((len(X), 0))

    def _fit_scaler(self, X: Any, sample_weight: Any) -> None:
        self.scaler_ = None
        numbers = self._numbers(X)
        if numbers.shape[1] > 0 and self.scaler is not None:
            standard = isinstance(self.scaler, str)
            scaler = StandardScaler() if standard else clone(self.scaler)
            takes_weights = has_fit_parameter(scaler, "sample_weight")
            if sample_weight is not None and takes_weights:
                scaler.fit(numbers, sample_weight=sample_weight)
            else:
                scaler.fit(numbers)
            self.scaler_ = scaler
        scaled = self._scaled(numbers)
        if scaled.shape != numbers.shape:
            raise ValueError(
                f"scaler={self.scaler!r} maps {numbers.shape[1]} columns to "
                f"{scaled.shape[1]}. Use one that keeps the number of columns."
            )
        self._lowest = np.nanmin(scaled, axis=0, initial=np.inf)
        self._highest = np.nanmax(scaled, axis=0, initial=-np.inf)

    def _scaled(self, numbers: np.ndarray) -> np.ndarray:
        if self.scaler_ is None:
            return numbers
        return np.asarray(self.scaler_.transform(numbers), dtype=np.float64)

    def _unscaled(self, matrix: np.ndarray) -> np.ndarray:
        of_numbers = [
            block.columns.start
            for block in self.blocks_
            if block.kind in ("number", "date")
        ]
        # Some scalers have no inverse outside the range of `fit`.
        scaled = np.clip(matrix[:, of_numbers], self._lowest, self._highest)
        if self.scaler_ is None:
            return scaled
        return np.asarray(self.scaler_.inverse_transform(scaled), dtype=np.float64)


def take_encoder(estimator: Any, encoder: TableEncoder) -> None:
    """Set the fitted encoder of an estimator, and the columns that it was fitted to."""
    estimator.encoder_ = encoder
    estimator.n_features_in_ = encoder.n_features_in_
    if hasattr(encoder, "feature_names_in_"):
        estimator.feature_names_in_ = encoder.feature_names_in_
    elif hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
