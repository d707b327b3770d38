"""Conversion of rows to frames of pandas and polars."""

from typing import Any

import numpy as np


def frame_type(X: Any) -> dict[str, Any] | None:
    """Describe the type of a frame for :func:`frame_like`.

    The description has plain strings and numbers only. The type of a column that holds
    no plain numbers or booleans, such as categories, is None. Return None if `X` is not
    a frame.
    """
    library = type(X).__module__.partition(".")[0]
    if library not in ("pandas", "polars") or type(X).__name__ != "DataFrame":
        return None
    names = [n if isinstance(n, str | int | tuple) else str(n) for n in X.columns]
    dtypes = [str(dtype) for dtype in X.dtypes]
    plain = [d if d.lower().startswith(_PLAIN) else None for d in dtypes]
    return {"library": library, "names": names, "dtypes": plain}


_PLAIN = ("bool", "int", "uint", "float", "double")


def frame_like(rows: np.ndarray, description: dict[str, Any]) -> Any:
    """Build a frame from rows, with the column names and types of a description.

    Values are rounded in columns of integers, and are true above one half in columns of
    booleans. Columns without a type get the dtype of `rows`.
    """
    names, dtypes = description["names"], description["dtypes"]
    columns = map(_as_kind, rows.T, dtypes)
    described = zip(columns, names, dtypes, strict=True)
    if description["library"] == "pandas":
        import pandas as pd

        parts: Any = [pd.Series(values, dtype=dtype) for values, _, dtype in described]
        frame = pd.concat(parts, axis=1)
        frame.columns = pd.Index(names)
        return frame
    import polars as pl

    return pl.DataFrame(
        [
            pl.Series(name, values, dtype=dtype and getattr(pl, dtype))
            for values, name, dtype in described
        ]
    )


def frame_with_index(values: np.ndarray, names: list[Any], X: Any) -> Any:
    """Return values, one row for each row of the frame `X`, as a frame like it."""
    if hasattr(X, "iloc"):
        import pandas as pd

        return pd.DataFrame(values, index=X.index, columns=pd.Index(names))
    import polars as pl

    columns = zip(names, values.T, strict=True)
    return pl.DataFrame({str(name): column for name, column in columns})


def _as_kind(values: np.ndarray, dtype: str | None) -> np.ndarray:
    name = (dtype or "").lower().removesuffix("[pyarrow]")
    if name.startswith("bool"):
        return values > 0.5
    if name.startswith(("int", "uint")):
        whole = np.dtype(name)
        limits = np.iinfo(whole)
        return np.rint(values).clip(limits.min, limits.max).astype(whole)
    return values.copy()
