"""Dtypes of columns as plain values, and cells as columns of a dtype."""

from typing import Any

import numpy as np

# How NumPy and pandas store a missing date.
NAT = np.iinfo(np.int64).min
# Names of the dtypes of polars that have no arguments.
_OF_POLARS = {
    *("Binary", "Boolean", "Categorical", "Date", "Null", "Object", "String", "Time"),
    *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64, 128)),
    *("Float16", "Float32", "Float64"),
}


def describe(column: Any) -> tuple[str, Any]:
    """Describe the dtype of a column.

    Return the name of its library and a description that can be stored in a file:
    strings, numbers and collections of them. If there is none, return the dtype in its
    place.
    """
    if isinstance(column, np.ndarray):
        text = column.dtype.str
        return "numpy", "|O" if column.dtype.kind == "T" else text
    dtype = column.to_native().dtype
    if hasattr(column.to_native(), "iloc"):
        library, description = "pandas", _describe_pandas(dtype)
    else:
        library, description = "polars", _describe_polars(dtype)
    try:
        same = _dtype_of(library, description) == dtype
    except (TypeError, ValueError, AttributeError, NotImplementedError, ImportError):
        same = False
    return library, description if same else dtype


def _describe_pandas(dtype: Any) -> Any:
    import pandas as pd

    if isinstance(dtype, pd.CategoricalDtype):
        return {
            "categories": dtype.categories.tolist(),
            "of": _describe_pandas(dtype.categories.dtype),
            "ordered": bool(dtype.ordered),
        }
    if isinstance(dtype, pd.StringDtype):
        return {"storage": dtype.storage, "na": dtype.na_value is pd.NA}
    if isinstance(dtype, pd.ArrowDtype) and str(dtype) == "string[pyarrow]":
        return {"arrow": "string"}  # to pandas, that text is another dtype
    return str(dtype)


def _describe_polars(dtype: Any) -> Any:
    name = dtype.base_type().__name__
    arguments = {
        "Datetime": ("time_unit", "time_zone"),
        "Decimal": ("precision", "scale"),
        "Duration": ("time_unit",),
    }
    if name == "Enum":
        return [name, dtype.categories.to_list()]
    return [name, *(getattr(dtype, each) for each in arguments.get(name, ()))]


def _dtype_of(library: str, description: Any) -> Any:
    """Return the dtype of a description."""
    if library == "numpy":
        return np.dtype(description)
    if library == "polars":
        if not isinstance(description, list):
            return description
        import polars as pl

        name, *arguments = description
        if name not in _OF_POLARS | {"Datetime", "Decimal", "Duration", "Enum"}:
            raise ValueError(f"There is no dtype {name!r}.")
        return getattr(pl, name)(*arguments)
    import pandas as pd

    if isinstance(description, str):
        return pd.api.types.pandas_dtype(description)
    if not isinstance(description, dict):
        return description
    if "categories" in description:
        of = _dtype_of("pandas", description["of"])
        categories = pd.Index(description["categories"], dtype=of)
        return pd.CategoricalDtype(categories, ordered=description["ordered"])
    if "arrow" in description:
        import pyarrow as pa

        return pd.ArrowDtype(pa.type_for_alias(description["arrow"]))
    if description["na"]:
        return pd.StringDtype(description["storage"])
    return pd.StringDtype(description["storage"], na_value=np.nan)


def declared_levels(description: tuple[str, Any]) -> list[Any] | None:
    """Return the levels that a dtype allows; None if it allows any."""
    library, what = description
    if library == "pandas" and isinstance(what, dict) and "categories" in what:
        return what["categories"]
    if library == "polars" and isinstance(what, list) and what[0] == "Enum":
        return what[1]
    categories = getattr(what, "categories", None)
    return None if categories is None else list(categories)


def as_float(description: tuple[str, Any]) -> tuple[str, Any]:
    """Return the description of floats of the same library."""
    library, _ = description
    return library, ["Float64"] if library == "polars" else "float64"


def as_series(cells: list[Any], description: tuple[str, Any]) -> Any:
    """Return cells as a column of a dtype; None is a missing value.

    If the dtype has no missing values, use the one that NumPy or pandas would use.
    """
    library, _ = description
    dtype = _dtype_of(*description)
    has_gaps = any(cell is None for cell in cells)
    if library == "polars":
        import polars as pl

        return pl.Series(values=cells, dtype=dtype, strict=False)
    if library == "pandas":
        import pandas as pd

        if has_gaps and isinstance(dtype, np.dtype) and dtype.kind in "iub":
            dtype = np.dtype(object if dtype.kind == "b" else float)
        return pd.Series(cells, dtype=dtype)
    if has_gaps and dtype.kind in "iu":
        dtype = np.dtype(float)
    elif has_gaps and dtype.kind in "bSU":
        dtype = np.dtype(object)
    elif dtype.kind in "SU" and cells:
        dtype = np.result_type(dtype, np.array(cells, dtype=dtype.kind).dtype)
    return np.array(cells, dtype=dtype)


def as_bools(values: np.ndarray, like: Any) -> Any:
    """Return booleans as a column of the library of another column."""
    if isinstance(like, np.ndarray):
        return values
    library = "pandas" if hasattr(like, "iloc") else "polars"
    dtype = "bool" if library == "pandas" else ["Boolean"]
    return as_series(values.tolist(), (library, dtype))


def index_of(X: Any) -> Any:
    """Return the index of a frame of pandas; None for other tables."""
    return X.index if hasattr(X, "iloc") else None


def as_times(
    cells: list[Any], description: tuple[str, Any], what: str, unit: str
) -> Any:
    """Return whole numbers of a unit as a column of dates, times or durations.

    `what` is "datetime", "duration" or "time". None is a missing value.
    """
    library, _ = description
    dtype = _dtype_of(*description)
    if library == "polars":
        import polars as pl

        return pl.Series(values=cells, dtype=pl.Int64).cast(dtype)
    if library == "pandas" and str(dtype).endswith("[pyarrow]"):
        import pandas as pd

        bits = 32 if str(dtype).startswith(("date32", "time32")) else 64
        return pd.Series(cells, dtype=f"int{bits}[pyarrow]").astype(dtype)
    whole = np.array([NAT if cell is None else cell for cell in cells])
    letter = "M" if what == "datetime" else "m"
    values = whole.astype(np.int64).view(f"{letter}8[{unit}]")
    if library == "numpy":
        return values.astype(dtype)
    import pandas as pd

    column = pd.Series(values)
    if getattr(dtype, "tz", None) is not None:
        column = column.dt.tz_localize("UTC")
    return column.astype(dtype)


def as_table(columns: list[Any], names: list[Any], index: Any = None) -> Any:
    """Return columns as a frame with names, or as an array.

    `index` is that of a frame of pandas.
    """
    if isinstance(columns[0], np.ndarray):
        dtype = _common({column.dtype for column in columns})
        return np.stack([column.astype(dtype) for column in columns], axis=1)
    if not hasattr(columns[0], "iloc"):
        import polars as pl

        return pl.DataFrame(dict(zip(names, columns, strict=True)))
    import pandas as pd

    frame = pd.concat(columns, axis=1)
    frame.columns = pd.Index(names)
    if index is not None:
        frame.index = index
    return frame


def _common(dtypes: set[np.dtype]) -> np.dtype:
    """Return the common dtype of columns; missing values may have changed some."""
    if len(dtypes) > 1 and any(dtype.kind not in "fiu" for dtype in dtypes):
        return np.dtype(object)
    return np.result_type(*dtypes)
