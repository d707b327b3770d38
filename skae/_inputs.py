"""Conversion of tensors, masked arrays and nested rows to what scikit-learn accepts."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

# NumPy does not have the other floats of torch, such as bfloat16.
_NUMPY_FLOATS = (torch.float16, torch.float32, torch.float64)


def plain(X: Any, name: str = "X", *, fill_masked: bool = False) -> Any:
    """Convert tensors to arrays and nested rows to lists.

    Nested rows are arrays or lists that are the cells of an array of dtype object, of a
    series of pandas or polars, or of the only column of a frame. All other data is
    returned unchanged.

    Parameters
    ----------
    X : object
        Data of any form.

    name : str, default="X"
        Name of the data in error messages.

    fill_masked : bool, default=False
        Whether to replace masked values by NaN. If False, masked values raise an error.

    Returns
    -------
    X : object
        The data, without tensors and masks.
    """
    if type(X) is np.ndarray and X.dtype != object:
        return X
    if isinstance(X, Tensor):
        return _as_array(X, name)
    if isinstance(X, np.ma.MaskedArray):
        return _without_mask(X, name, fill_masked)
    cells = X if isinstance(X, list | tuple) else _cells(X)
    if cells is None:
        return X
    if cells is X and not any(isinstance(cell, _TO_CONVERT) for cell in cells):
        return X
    return [plain(cell, name, fill_masked=fill_masked) for cell in cells]


_TO_CONVERT = (Tensor, np.ma.MaskedArray)


def _as_array(X: Tensor, name: str) -> Any:
    if X.is_nested:  # tensors of unequal length, as a list has them
        return [_as_array(each, name) for each in X.unbind()]
    if X.layout != torch.strided:
        raise ValueError(
            f"{name} is a tensor of layout {X.layout}. Pass a sparse matrix of SciPy "
            f"or {name}.to_dense()."
        )
    if X.is_floating_point() and X.dtype not in _NUMPY_FLOATS:
        X = X.float()
    return X.numpy(force=True)


def check_is_table(X: Any, name: str) -> None:
    """Raise if NumPy would convert data to one value: dicts, iterators, lazy frames."""
    if hasattr(X, "__array__") or hasattr(X, "shape"):
        return
    one = isinstance(X, str | bytes | Mapping)
    if hasattr(X, "__len__") and hasattr(X, "__getitem__") and not one:
        return
    if hasattr(X, "collect"):
        how = f" Pass {name}.collect()."
    elif isinstance(X, Iterable) and not one:
        how = f" Pass list({name})."
    elif isinstance(X, Mapping):
        how = f" Pass pandas.DataFrame({name}), or list({name}.values()) for rows."
    else:
        how = ""
    raise TypeError(
        f"{name} must be an array, a DataFrame, a tensor, a sparse matrix or a list of "
        f"rows. Got {X!r:.80}, of type {type(X).__name__}.{how}"
    )


def _without_mask(X: np.ma.MaskedArray, name: str, fill: bool) -> np.ndarray:
    values = np.ma.getdata(X)
    mask = np.ma.getmaskarray(X)
    if not mask.any():
        return values
    if not fill:
        raise ValueError(
            f"{name} is a masked array with {mask.sum()} of its {mask.size} values "
            "masked. Masked values are not supported: the values under the mask would "
            "be used. Fill them first, for instance with SimpleImputer()."
            f"fit_transform({name}.filled(numpy.nan)), or remove such rows."
        )
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    return np.where(mask, np.nan, values).astype(values.dtype, copy=False)


def _cells(X: Any) -> list[Any] | None:
    """Return the cells of nested rows, or None if the rows are not nested."""
    shape = getattr(X, "shape", None)
    if not isinstance(shape, tuple) or len(shape) not in (1, 2):
        return None
    if len(shape) == 2 and (isinstance(X, np.ndarray) or shape[1] != 1):
        return None
    if not hasattr(X, "__array__"):  # sparse matrices have no such method
        return None
    cells = np.asarray(X)
    if cells.dtype != object or not len(cells):
        return list(cells) if cells.ndim > 2 else None
    cells = cells.ravel()
    return list(map(_unboxed, cells)) if any(map(_is_row, cells)) else None


def _is_row(cell: Any) -> bool:
    return isinstance(cell, list | tuple) or len(getattr(cell, "shape", ())) > 0


def _unboxed(cell: Any) -> Any:
    """Convert a nested cell, such as one of a list column of polars, to a list."""
    if isinstance(cell, np.ndarray) and cell.dtype == object and cell.ndim == 1:
        return cell.tolist()
    return cell


def targets(y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Convert targets to an array and find the missing ones.

    None, NaN, NaT, `pandas.NA` and masked values are missing.

    Parameters
    ----------
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Targets of any type.

    Returns
    -------
    y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        Targets. The dtype is object if `y` has that dtype, or if it is a list that
        holds strings and other values.

    missing : ndarray of the shape of `y`
        True for each missing target.
    """
    mask = np.ma.getmask(y)
    y = np.ma.getdata(y) if isinstance(y, np.ma.MaskedArray) else plain(y, "y")
    mixed = isinstance(y, list | tuple) and len({isinstance(v, str) for v in y}) > 1
    # Without dtype object, NumPy would convert all values to strings.
    y = np.asarray(y, dtype=object if mixed else None)
    if y.dtype.kind == "f":
        missing = np.isnan(y)
    elif y.dtype.kind in "mM":
        missing = np.isnat(y)
    elif y.dtype.kind == "O":
        missing = np.array([_is_missing(v) for v in y.flat], bool).reshape(y.shape)
    else:
        missing = np.zeros(y.shape, dtype=bool)
    return y, missing | mask


def _is_missing(value: Any) -> bool:
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:  # comparisons with pandas.NA are neither true nor false
        return True
    except ValueError:  # an array
        return False


def marks_nan(missing_values: Any) -> bool:
    """Return whether a mark of missing values is NaN, None or `pandas.NA`."""
    return _is_missing(missing_values)


def without_na(X: Any) -> Any:
    """Replace None and `pandas.NA` by NaN where they are objects in a table."""
    if isinstance(X, list | tuple):
        X = plain(X)
        if any(isinstance(row, list | tuple) for row in X):
            mixed = np.array(X, dtype=object)
            X = mixed if mixed.ndim == 2 else X
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 2:
        missing = np.array([_is_missing(v) for v in X.flat], bool).reshape(X.shape)
        return np.where(missing, np.nan, X) if missing.any() else X
    if object in list(getattr(X, "dtypes", ())) and hasattr(X, "isna"):
        return X.mask(X.isna(), np.nan)
    return X


def column_without_numbers(X: Any) -> Any:
    """Return the first column of a frame that cannot be converted to numbers, or None.

    The name of the column is returned.
    """
    names = getattr(X, "columns", None)
    if names is None:
        return None
    for name, column in zip(names, np.asarray(X).T, strict=False):
        try:
            np.array([v for v in column if not _is_missing(v)], dtype=np.float64)
        except (TypeError, ValueError):
            return name
    return None
