"""Conversion of columns of tables to floats or levels, and back."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from types import ModuleType
from typing import Any

import numpy as np

from skae._dtypes import (
    NAT,
    as_float,
    as_series,
    as_times,
    declared_levels,
    describe,
)
from skae._inputs import targets

_NANOSECONDS = {
    "D": 86_400 * 10**9,
    "h": 3_600 * 10**9,
    "m": 60 * 10**9,
    "s": 10**9,
    "ms": 10**6,
    "us": 10**3,
    "ns": 1,
}
_MAX_DECIMALS = 10


def narwhals() -> ModuleType:
    """Import narwhals, which scikit-learn before 1.9 does not install."""
    try:
        import narwhals.stable.v2 as nw
    except ImportError as error:
        raise ImportError(
            "DataFrames need the package narwhals 2.0.1 or newer, which is not "
            "installed. Install it: pip install 'narwhals>=2.0.1', or skae with the "
            "extra 'tables'. Arrays do not need it."
        ) from error
    return nw


def column_at(X: Any, i: int) -> Any:
    """Return a column: an ndarray, or a series of narwhals."""
    if isinstance(X, np.ndarray):
        return X[:, i]
    # By position, since names in pandas may be anything.
    return as_column(X.iloc[:, i] if hasattr(X, "iloc") else X.to_series(i))


def as_column(series: Any) -> Any:
    """Convert a series of a frame to one of narwhals; return an ndarray unchanged."""
    if isinstance(series, np.ndarray):
        return series
    return narwhals().from_native(series, series_only=True)


def kind_of(column: Any, name: str) -> str:
    """Return the kind of a column by its dtype: a number, a date or a category.

    Raise TypeError for others; `name` is the name of the column in the message.
    """
    dtype = column.dtype
    if isinstance(column, np.ndarray):
        if dtype.kind == "O":
            _, bad = _object_numbers(_cells(column, name))
            return "number" if bad is None else "category"
        if dtype.kind in "fiu":
            return "number"
        return "date" if dtype.kind in "mM" else "category"
    if dtype.is_nested():
        raise _not_a_cell(name, f"{dtype}", None)
    native = str(column.to_native().dtype)
    if native.startswith(("complex", "Sparse")):
        how = "X.sparse.to_dense()" if native.startswith("S") else "real numbers"
        raise TypeError(f"{name} has the dtype {native}. Pass {how}.")
    if dtype.is_temporal():
        return "date"
    return "number" if dtype.is_numeric() else "category"


def has_other_than_numbers(X: Any) -> bool:
    """Return whether a table has columns of strings, dates or categories.

    Booleans are numbers in arrays, but categories in frames.
    """
    if isinstance(X, list | tuple):
        try:
            X = np.array(X, dtype=object)
        except ValueError:  # rows of several lengths, which others refuse
            return False
    if isinstance(X, np.ndarray):
        if X.dtype.kind not in "OSUmM" or X.ndim != 2:
            return False
        return any(kind_of(column, "A column of X") != "number" for column in X.T)
    bases = {base.__module__.partition(".")[0] for base in type(X).__mro__}
    if not (hasattr(X, "columns") and bases & {"pandas", "polars"}):
        return False
    return any(_is_other(column_at(X, i)) for i in range(X.shape[1]))


def _is_other(column: Any) -> bool:
    """Return whether a column of a frame holds anything but numbers."""
    if kind_of(column, f"Column {column.name!r} of X") == "number":
        return False
    if column.dtype != narwhals().Object:
        return True
    return _object_numbers(_cells(column, "A column of X"))[1] is not None


def _not_a_cell(name: str, what: str, row: int | None) -> TypeError:
    where = "" if row is None else f" in row {row}"
    return TypeError(
        f"{name} has {what}{where}: the argument must be a table with one string, "
        "number, boolean or date in a cell. Split the column into columns, or leave it "
        "out."
    )


def _cells(column: Any, name: str) -> list[Any]:
    """Return the values of a column, with None where one is missing."""
    cells = column.tolist() if isinstance(column, np.ndarray) else column.to_list()
    for row, cell in enumerate(cells):
        if isinstance(cell, dict | list | set | tuple | np.ndarray):
            raise _not_a_cell(name, f"a {type(cell).__name__}", row)
    values = np.empty(len(cells), dtype=object)
    values[:] = cells
    missing = targets(values)[1]
    return [None if gone else cell for cell, gone in zip(cells, missing, strict=True)]


def _object_numbers(cells: list[Any]) -> tuple[np.ndarray, int | None]:
    """Convert objects to floats; also return the first row without a number."""
    numbers = np.full(len(cells), np.nan)
    for row, cell in enumerate(cells):
        if cell is None:
            continue
        if isinstance(cell, bool) or not isinstance(cell, Real | Decimal):
            return numbers, row
        numbers[row] = float(cell)
    return numbers, None


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except (TypeError, ValueError):
        return False
    return True


def _no_numbers(cells: list[Any], name: str, dtype: Any) -> ValueError:
    observed = [(row, cell) for row, cell in enumerate(cells) if cell is not None]
    bad = [each for each in observed if not _is_number(each[1])]
    first = (bad or observed)[:1]
    found = "".join(f", for instance {cell!r} in row {row}" for row, cell in first)
    return ValueError(
        f"{name} must hold numbers, but its dtype is {dtype}{found} (rows are counted "
        "from 0). Add it to categorical_features, or convert it to numbers, for "
        "instance with pandas.to_numeric."
    )


def read_numbers(column: Any, name: str) -> np.ndarray:
    """Return a column as floats, with NaN where a value is missing."""
    dtype = column.dtype
    if isinstance(column, np.ndarray):
        plain, is_object = dtype.kind in "fiub", dtype.kind == "O"
    else:
        nw = narwhals()
        plain = dtype.is_numeric() or dtype == nw.Boolean
        is_object = dtype == nw.Object
    if plain:
        if isinstance(column, np.ndarray):
            numbers = column.astype(np.float64)
        elif hasattr(native := column.to_native(), "iloc"):
            numbers = native.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            numbers = column.cast(nw.Float64).to_numpy()
    else:
        cells = _cells(column, name)
        numbers, bad = _object_numbers(cells)
        # A column without values may have any dtype.
        if bad is not None or not (is_object or np.isnan(numbers).all()):
            raise _no_numbers(cells, name, dtype)
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        raise ValueError(
            f"{name} has infinity in {len(infinite)} rows, for instance in row "
            f"{infinite[0]} (rows are counted from 0). Replace it, for instance by "
            "NaN, which is a missing value."
        )
    return numbers


def is_temporal(column: Any) -> bool:
    """Return whether a column has a dtype of dates, times or durations."""
    if isinstance(column, np.ndarray):
        return column.dtype.kind in "mM"
    return column.dtype.is_temporal()


def _is_empty(column: Any, name: str) -> bool:
    """Return whether a column has no value; it may then have any dtype."""
    return not is_temporal(column) and all(
        cell is None for cell in _cells(column, name)
    )


@dataclass
class Times:
    """Dates, times or durations as whole numbers of a unit, and which are missing."""

    what: str
    unit: str
    values: np.ndarray
    missing: np.ndarray


def read_times(column: Any, name: str) -> Times:
    """Return the dates, times or durations of a column."""
    dtype = column.dtype
    if not is_temporal(column):
        raise ValueError(
            f"{name} held dates, times or durations in fit, and has the dtype {dtype} "
            "here. Convert it, for instance with pandas.to_datetime."
        )
    if isinstance(column, np.ndarray):
        if np.datetime_data(dtype) not in [(unit, 1) for unit in _NANOSECONDS]:
            column = column.astype("M8[D]" if dtype.kind == "M" else "m8[ns]")
        what = "datetime" if dtype.kind == "M" else "duration"
        values = column.astype(column.dtype.newbyteorder("=")).view(np.int64)
        unit = np.datetime_data(column.dtype)[0]
        return Times(what, unit, values, values == NAT)
    nw, native = narwhals(), column.to_native()
    missing = column.is_null().to_numpy()
    if dtype in (nw.Date, nw.Datetime):
        what = "datetime"
    else:
        what = "duration" if dtype == nw.Duration else "time"
    unit = "D" if dtype == nw.Date else getattr(dtype, "time_unit", "ns")
    if hasattr(native, "to_physical"):  # polars
        values = native.to_physical().cast(int).fill_null(0).to_numpy()
    elif hasattr(native.array, "asi8"):
        values = native.array.asi8
    else:  # pandas, with columns of Arrow
        text = str(native.dtype)
        bits = 32 if text.startswith(("date32", "time32")) else 64
        if dtype == nw.Time:
            unit = text.partition("[")[2].partition("]")[0]
        whole = native.astype(f"int{bits}[pyarrow]").fillna(0)
        values = whole.to_numpy(dtype=np.int64)
    return Times(what, unit, np.where(missing, 0, values), missing)


# What `fit` stores about each column of the table


@dataclass
class NumberColumn:
    """A column of numbers.

    Attributes
    ----------
    name : object
        Name in the table.

    dtype : object
        Description of the dtype; see :func:`skae._dtypes.describe`.

    gaps : bool
        Whether values were missing.

    low, high : int or float
        Range of the values.

    decimals : int or None
        Number of decimals that values are rounded to; None for no rounding.

    form : str
        Type of the values of cells: int, float, bool, Decimal.
    """

    name: Any
    dtype: Any
    gaps: bool
    low: float
    high: float
    decimals: int | None
    form: str

    kind = "number"

    @classmethod
    def fit(cls, column: Any, name: Any, label: str) -> "NumberColumn | None":
        """Return the column to store, or None if all values are missing."""
        numbers = read_numbers(column, label)
        missing = np.isnan(numbers)
        if missing.all():
            return None
        seen = numbers[~missing]
        low, high = float(seen.min()), float(seen.max())
        form = _form(column)
        if form == "int":
            # Floats would not hold the largest integers.
            low, high = int(column.min()), int(column.max())
        decimals = 0 if form in ("int", "bool") else _decimals(seen, _precision(column))
        if form == "object":
            form = "int" if decimals == 0 else "float"
        return cls(
            name, describe(column), bool(missing.any()), low, high, decimals, form
        )

    def read(self, column: Any, label: str) -> np.ndarray:
        """Return floats, NaN where a value is missing."""
        return read_numbers(column, label)

    def observed(self, column: Any, label: str) -> list[Any]:
        """Return the unchanged values of a column; None where one is missing."""
        return _cells(column, label)

    def cells(self, numbers: np.ndarray) -> list[Any]:
        """Return values for the table; None where a value is missing."""
        if self.decimals is not None:
            numbers = np.round(numbers, self.decimals)
        numbers = np.clip(numbers, self.low, self.high)
        return [None if v != v else self._cell(v) for v in numbers.tolist()]

    def _cell(self, value: float) -> Any:
        if self.form == "int":
            return min(max(int(value), int(self.low)), int(self.high))
        if self.form == "Decimal":
            return Decimal(str(value))
        return bool(value) if self.form == "bool" else value

    def series(self, cells: list[Any]) -> Any:
        """Return a column of the table."""
        if self.dtype == ("numpy", "|O"):
            cells = [np.nan if cell is None else cell for cell in cells]
        dtype = self.dtype
        if self.form == "int" and any(
            isinstance(cell, float) and not cell.is_integer() for cell in cells
        ):
            dtype = as_float(dtype)
        return as_series(cells, dtype)


@dataclass
class DateColumn:
    """A column of dates, times or durations.

    Its numbers are steps from an origin: days if all values in fit were whole days.

    Attributes
    ----------
    name, dtype, gaps, low, high :
        As those of :class:`NumberColumn`.

    what : str
        Kind of the values: "datetime", "duration" or "time".

    unit : str
        Unit of the column.

    step : int
        Number of units in one step.

    origin : int
        Origin in units.
    """

    name: Any
    dtype: Any
    gaps: bool
    low: float
    high: float
    what: str
    unit: str
    step: int
    origin: int

    kind = "date"

    @classmethod
    def fit(cls, column: Any, name: Any, label: str) -> "DateColumn | None":
        """Return the column to store, or None if all values are missing."""
        times = read_times(column, label)
        if times.missing.all():
            return None
        seen = times.values[~times.missing]
        size = _NANOSECONDS[times.unit]
        steps = [each // size for each in _NANOSECONDS.values() if each >= size]
        step = next(step for step in steps if not (seen % step).any())
        # In the middle, so that differences are small.
        origin = (int(seen.min()) + int(seen.max())) // 2 // step * step
        found = cls(
            name,
            describe(column),
            bool(times.missing.any()),
            0,
            0,
            times.what,
            times.unit,
            step,
            origin,
        )
        numbers = found.read(column, label)
        found.low, found.high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
        return found

    def read(self, column: Any, label: str) -> np.ndarray:
        """Return floats, NaN where a value is missing."""
        if _is_empty(column, label):
            return np.full(len(column), np.nan)
        times = read_times(column, label)
        if times.what != self.what:
            raise ValueError(
                f"{label} held values of the kind {self.what} in fit, and holds values "
                f"of the kind {times.what} here. Convert the column."
            )
        here, own = _NANOSECONDS[times.unit], _NANOSECONDS[self.unit]
        values, rest = times.values, np.zeros(len(times.values), dtype=np.int64)
        if here > own:
            values = values * (here // own)
        elif here < own:
            values, rest = np.divmod(values, own // here)
        # Keep whole and fractional steps apart while they are integers, which hold more
        # digits than floats.
        steps, units = np.divmod(values, self.step)
        numbers = (steps - self.origin // self.step) + (
            units + rest / max(own // here, 1)
        ) / self.step
        return np.where(times.missing, np.nan, numbers)

    def observed(self, column: Any, label: str) -> list[Any]:
        """Return the values of a column in units; None where one is missing."""
        if _is_empty(column, label):
            return [None] * len(column)
        times = read_times(column, label)
        own, here = _NANOSECONDS[times.unit], _NANOSECONDS[self.unit]
        return [
            None if gone else value * own // here
            for value, gone in zip(
                times.values.tolist(), times.missing.tolist(), strict=True
            )
        ]

    def cells(self, numbers: np.ndarray) -> list[Any]:
        """Return units; None where a value is missing."""
        numbers = np.rint(np.clip(numbers, self.low, self.high))
        return [
            None if v != v else int(v) * self.step + self.origin
            for v in numbers.tolist()
        ]

    def series(self, cells: list[Any]) -> Any:
        """Return a column of the table."""
        return as_times(cells, self.dtype, self.what, self.unit)


@dataclass
class CategoryColumn:
    """A column of levels. Each level has a column of the matrix.

    Attributes
    ----------
    name, dtype, gaps :
        As those of :class:`NumberColumn`.

    levels : list
        Levels that have a column of their own.

    rare : list
        Levels that share the last column, the most frequent one first.

    rare_counts : list of int
        Number of rows with each of the rare levels.
    """

    name: Any
    dtype: Any
    gaps: bool
    levels: list[Any]
    rare: list[Any]
    rare_counts: list[int]

    kind = "category"

    @property
    def width(self) -> int:
        """Number of columns of the matrix."""
        return len(self.levels) + bool(self.rare)

    def read(self, column: Any, label: str) -> np.ndarray:
        """Return zeros and a one for each value, or NaN if it is missing."""
        place = dict.fromkeys(self.rare, len(self.levels))
        place.update((level, i) for i, level in enumerate(self.levels))
        codes = np.array([place.get(cell, -1) for cell in _cells(column, label)])
        block = np.zeros((len(codes), self.width))
        known = np.flatnonzero(codes >= 0)
        block[known, codes[known]] = 1
        block[codes < 0] = np.nan
        return block

    def observed(self, column: Any, label: str) -> list[Any]:
        """Return the levels of a column; None where one is missing.

        Raise ValueError if the dtype does not allow a level.
        """
        cells = _cells(column, label)
        declared = declared_levels(self.dtype)
        if declared is not None:
            new = set(cells) - {None} - set(declared)
            if new:
                raise ValueError(
                    f"{label} has the level {min(new, key=str)!r}, which the dtype of "
                    "the column in fit does not have. Add it to the categories before "
                    "fit, or replace it."
                )
        return cells

    def cells(
        self, block: np.ndarray, rng: np.random.RandomState | None = None
    ) -> list[Any]:
        """Return the level of the largest value in each row; None if all are NaN.

        With a generator, a level is drawn: the values of a row are probabilities.
        """
        levels = self.levels + self.rare
        missing = np.isnan(block).all(axis=1)
        if missing.all():
            return [None] * len(block)
        if rng is None:
            codes = np.where(np.isnan(block), -np.inf, block).argmax(axis=1)
        else:
            codes = self._drawn(block, rng)
        return [
            None if gone else levels[code]
            for gone, code in zip(missing, codes, strict=True)
        ]

    def _drawn(self, block: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """Draw the positions of levels; rare levels are drawn by their counts."""
        total = block.cumsum(axis=1)
        below = total <= total[:, -1:] * rng.random_sample((len(block), 1))
        codes = below.sum(axis=1).clip(max=block.shape[1] - 1)
        if self.rare:
            is_rare = codes == len(self.levels)
            share = np.array(self.rare_counts) / sum(self.rare_counts)
            codes[is_rare] += rng.choice(len(self.rare), is_rare.sum(), p=share)
        return codes

    def series(self, cells: list[Any]) -> Any:
        """Return a column of the table."""
        return as_series(cells, self.dtype)


Column = NumberColumn | DateColumn | CategoryColumn


def count_levels(column: Any, label: str) -> tuple[dict[Any, int], int]:
    """Return the sorted levels of a column with counts, and the number of missing ones.

    The order is that of the dtype if it has one, else that of the values themselves.
    """
    cells = _cells(column, label)
    counts = Counter(cell for cell in cells if cell is not None)
    return {level: counts[level] for level in _ordered(column, counts)}, len(
        cells
    ) - counts.total()


def _ordered(column: Any, levels: Iterable[Any]) -> list[Any]:
    if not isinstance(column, np.ndarray):
        categories: Any = getattr(column.to_native().dtype, "categories", None)
        if hasattr(categories, "__len__"):  # in polars, they may be a pool of levels
            found = set(levels)
            return [level for level in list(categories) if level in found]
    try:
        return sorted(levels)
    except TypeError:  # of several types
        return list(levels)


def _form(column: Any) -> str:
    dtype = column.dtype
    if isinstance(column, np.ndarray):
        return {"f": "float", "b": "bool", "O": "object"}.get(dtype.kind, "int")
    nw = narwhals()
    if dtype.is_integer():
        return "int"
    if dtype.is_decimal():
        return "Decimal"
    return {nw.Boolean: "bool", nw.Object: "object"}.get(dtype, "float")


def _precision(column: Any) -> float:
    """Return the relative precision of the floats of a column."""
    text = str(column.dtype).lower()
    name = next((n for n in ("float16", "float32") if text == n), "float64")
    return float(np.finfo(name).eps)


def _decimals(numbers: np.ndarray, precision: float) -> int | None:
    """Return the number of decimals that all numbers have, if it is small."""
    allowed = 4 * precision * np.abs(numbers)
    with np.errstate(over="ignore", invalid="ignore"):
        for decimals in range(_MAX_DECIMALS + 1):
            if allowed.max() > 0.1**decimals / 10:
                return None  # floats hold no more digits of such large numbers
            if (np.abs(np.round(numbers, decimals) - numbers) <= allowed).all():
                return decimals
    return None
