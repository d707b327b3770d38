"""Checks of parameters and data that need more than a type and a range."""

import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils import check_array
from sklearn.utils.validation import validate_data
from skorch.callbacks import Callback, LRScheduler
from torch import Tensor, nn

from skae._inputs import check_is_table, column_without_numbers, plain, without_na
from skae._report import warn
from skae._sklearn_compat import check_sample_weight
from skae.losses import LOSSES, apply_criterion, as_loss, row_losses
from skae.modules import ConditionalMean
from skae.noise import Noise
from skae.training import (
    AutoencoderNet,
    LargeTable,
    Matrix,
    Table,
    column_statistics,
    fill_missing,
    float_tensor,
    is_large,
    n_rows_in,
    recipe,
    share_memory,
)

_NO_LABELS = {"<NA>", "NaT", "None", "nan"}
# Squares of larger numbers overflow float32.
_MAX_MAGNITUDE = 1e18
# Tables are compared in blocks of this size: most differ in the first one.
_COMPARED_BYTES = 2**22
# Squares of smaller deviations are lost in float32.
_MIN_SCALE = 1e-18
# A table with larger numbers that varies so little is constant in float32.
_SMALL_MAGNITUDE = 1e-12


def check_table(
    estimator: Any,
    X: Any,
    *,
    reset: bool,
    name: str = "X",
    loss: Any = None,
    n_channels: int | None = None,
    allow_nan: bool = False,
    unmark: Callable[[Any], Any] | None = None,
) -> Any:
    """Check a table of rows, dense or sparse, in memory or in a mapped file.

    Parameters
    ----------
    estimator : estimator
        Estimator with the number and the names of the columns; `reset` sets them.

    X : array-like or sparse matrix of shape (n_samples, n_features)
        The table.

    reset : bool
        Whether to store the columns, rather than compare them.

    name : str, default="X"
        Name of the table in messages.

    loss : str or torch loss, default=None
        Loss that the rows are targets of; it may need values in an interval.

    n_channels : int, default=None
        Number of values in a step of a series. If set, rows may end in steps of NaN.

    allow_nan : bool, default=False
        Whether a dense table may have missing values, which are NaN.

    unmark : callable, default=None
        Function that replaces other marks of missing values by NaN, before the checks.

    Returns
    -------
    X : ndarray or LargeTable of shape (n_samples, n_features)
        Rows, of dtype float32 or float64: an array, unless a dense copy is too large.
    """
    # scikit-learn's checks take several times as long as encoding one row.
    if reset or not _is_ready(estimator, X):
        allow_nan = allow_nan and not issparse(X)
        check = partial(validate_data, estimator, reset=reset)
        X = _as_numbers(X, name, check, allow_nan)
    if unmark is not None:
        X = unmark(X)
    magnitude = check_values(X, name, loss, n_channels, allow_nan)
    if reset:
        _check_scale(X, name, magnitude)
    return X


def _as_numbers(
    X: Any, name: str, check: Callable[..., Any], allow_nan: bool = False
) -> Any:
    """Return a table after a check of scikit-learn, dense if it is small."""
    check_is_table(X, name)
    X = plain(X, name, fill_masked=allow_nan)
    if allow_nan:
        X = without_na(X)
    large = is_large(X)
    dtype: Any = [np.float64, np.float32]
    given = getattr(X, "dtype", None)  # of a frame, maybe a column
    if large and isinstance(given, np.dtype) and given.kind in "biuf":
        dtype = None  # it is converted when it is read
    try:
        X = check(
            X,
            accept_sparse="csr",
            dtype=dtype,
            order=None if large else "C",
            ensure_all_finite=False,
        )
    except (TypeError, ValueError) as error:
        column = column_without_numbers(X)
        if column is None:
            raise
        raise ValueError(
            f"Column {column!r} of {name} does not hold numbers only: {error}. Encode "
            "such columns first, for instance with TableEncoder, or use "
            "TableAutoencoder."
        ) from error
    if large:
        if issparse(X) and not X.has_canonical_format:
            # Copy it, since it is the caller's, and as floats, since sums may be large.
            single = X.dtype == np.float32
            X = X.astype(np.float32 if single else np.float64, copy=True)
            X.sum_duplicates()
        return LargeTable(X)
    return X.toarray() if issparse(X) else X


# Targets in place of rows


def shape_of(rows: Any) -> tuple[int, ...]:
    """Return the shape of an array, a frame, or a list by its first row."""
    try:
        if hasattr(rows, "shape"):
            return tuple(rows.shape)
        return (len(rows), *np.shape(rows[0]))
    except (TypeError, ValueError, LookupError, RuntimeError):
        return ()  # nested tensors have no shape


def check_targets(
    estimator: Any, y: Any, X: Matrix, *, name: str = "y", loss: Any = None
) -> Any:
    """Check the rows that a decoder should return for rows `X`.

    Parameters
    ----------
    estimator : estimator
        Estimator with the names of the columns of `X`.

    y : array-like or sparse matrix of shape (n_samples, n_features)
        The targets.

    X : ndarray or LargeTable of shape (n_samples, n_features)
        The rows, checked.

    name : str, default="y"
        Name of the targets in messages.

    loss : str or torch loss, default=None
        Loss, which may need values in an interval.

    Returns
    -------
    y : ndarray or LargeTable of shape (n_samples, n_features)
        Targets, of dtype float32 or float64.
    """
    expected = list(getattr(estimator, "feature_names_in_", []))
    names = list(getattr(y, "columns", []))
    if names != expected and set(names) == set(expected):
        raise ValueError(
            f"The columns of {name} are in another order than those of X. Reorder "
            f"them, for instance with {name}[X.columns]."
        )
    y = _as_numbers(y, name, partial(check_array, input_name=name))
    if y.shape != X.shape:
        raise ValueError(
            f"{name} must have the shape of the noisy rows, {X.shape}. Got {y.shape}."
        )
    _check_scale(y, name, check_values(y, name, loss))
    return y


def same_shape(X: Any, y: Any) -> bool:
    """Return whether `y` has the shape of `X`, of two dimensions or more."""
    if y is None:
        return False
    shape = shape_of(X)
    return len(shape) > 1 and shape_of(y) == shape


def same_rows(X: Any, y: Any) -> bool:
    """Return whether `y`, which has the shape of `X`, equals it in float32."""
    if y is X:
        return True
    n_rows, *shape = shape_of(X)
    size = n_rows_in(_COMPARED_BYTES, math.prod(shape))
    return all(
        _same(_part(X, start, start + size), _part(y, start, start + size))
        for start in range(0, n_rows, size)
    )


def _part(rows: Any, start: int, stop: int) -> Any:
    if issparse(rows):
        return rows.tocsr()[start:stop].toarray()
    return getattr(rows, "iloc", rows)[start:stop]


def _same(a: Any, b: Any) -> bool:
    """Return whether rows are equal in float32; lists may differ in length."""
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(_same, a, b))
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            a, b = (np.asarray(each, dtype=np.float32) for each in (a, b))
    except (TypeError, ValueError):
        return False  # no numbers
    return np.array_equal(a, b, equal_nan=True)


def _is_ready(estimator: Any, X: Any) -> bool:
    """Return whether scikit-learn's checks would return a table unchanged."""
    return (
        _is_plain(X)
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
        and not is_large(X)
    )


def _is_plain(X: Any) -> bool:
    """Return whether scikit-learn would return an array of valid values unchanged."""
    return (
        type(X) is np.ndarray
        and X.dtype in (np.float32, np.float64)
        and X.flags.c_contiguous
        and X.ndim == 2
        and X.size > 0
    )


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Return a context in which errors about a table other than `X` name it."""
    try:
        yield
    except ValueError as error:
        text = str(error).replace("X has", f"{name} has")  # as scikit-learn says it
        raise ValueError(text if name in text else f"{name}: {text}") from error


def check_codes(X: Any, name: str, *, may_end: bool = False) -> np.ndarray:
    """Check codes, or the rows that `transform` returns in place of them.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_columns)
        The codes.

    name : str
        Name of the codes in messages.

    may_end : bool, default=False
        Whether values may be missing.

    Returns
    -------
    Z : ndarray of shape (n_samples, n_columns)
        Codes, of dtype float32 or float64.
    """
    # As in `check_table`.
    if _is_plain(X) and np.isfinite(X).all():
        return X
    check_is_table(X, "codes")
    return check_array(
        plain(X, "codes"),
        dtype=[np.float64, np.float32],
        order="C",
        ensure_all_finite="allow-nan" if may_end else True,
        input_name=name,
    )


def check_magnitude(Z: np.ndarray) -> None:
    """Raise if codes are too large for float32."""
    magnitude = max(Z.max(), -Z.min())
    if magnitude > _MAX_MAGNITUDE:
        raise ValueError(
            f"inverse_transform got codes of magnitude up to {magnitude:.3g}; the net "
            f"computes in float32 and accepts codes up to {_MAX_MAGNITUDE:g}. Pass "
            "codes like those of transform."
        )


def check_values(
    X: Matrix,
    name: str,
    loss: Any = None,
    n_channels: int | None = None,
    allow_nan: bool = False,
) -> float:
    """Raise if numbers are missing, infinite, or too large for float32.

    With `n_channels`, values after the end of a series may be missing; with
    `allow_nan`, any. Return the largest magnitude.
    """
    start, largest = 0, 0.0
    for values in blocks(X):
        if n_channels is not None and values.ndim == 2:
            values = _without_ends(values, start, name, n_channels)
        low, high = values.min(initial=0), values.max(initial=0)
        if allow_nan and math.isnan(low):
            low, high = np.fmin.reduce(values, None), np.fmax.reduce(values, None)
            low, high = np.fmin(low, 0), np.fmax(high, 0)
        if not (math.isfinite(low) and math.isfinite(high)):
            _refuse_not_finite(X, values, start, name, allow_nan)
        start += len(values)
        magnitude = float(max(abs(low), abs(high)))
        largest = max(largest, magnitude)
        if magnitude > _MAX_MAGNITUDE:
            raise ValueError(
                f"{name} has values of magnitude up to {magnitude:.3g}; the net "
                "computes in float32, where squared errors overflow above "
                f"{_MAX_MAGNITUDE:g}. Scale the columns first, for instance with "
                "StandardScaler."
            )
        if loss is not None:
            _check_domain(loss, low, high, name)
    return largest


def blocks(X: Any) -> Iterable[np.ndarray]:
    """Return the values of a table, block by block if it is large."""
    return X.values() if isinstance(X, LargeTable) else [X[:]]


def has_gaps(X: Matrix) -> bool:
    """Return whether a table has missing values, which are NaN."""
    if isinstance(X, LargeTable):
        return not X.sparse and any(np.isnan(values.min()) for values in X.values())
    return bool(np.isnan(X[:].min()))


def check_gaps(estimator: Any, X: Matrix, name: str, *, columns: bool) -> bool:
    """Return whether values are missing; raise if a row has no value.

    With `columns`, also raise if a column has no value.
    """
    if not has_gaps(X):
        return False
    start, empty = 0, np.ones(X.shape[1], dtype=bool)
    for values in blocks(X):
        missing = np.isnan(values)
        without = missing.all(axis=1)
        if without.any():
            row = start + int(without.argmax())
            raise ValueError(
                f"Input {name} contains NaN in every column of row {row}, counted from "
                "0: there is nothing to learn from it. Leave out such rows."
            )
        empty &= missing.all(axis=0)
        start += len(values)
    if columns and empty.any():
        names = getattr(estimator, "feature_names_in_", np.arange(X.shape[1])).tolist()
        found = [names[i] for i in np.flatnonzero(empty)]
        which = ", ".join(map(repr, found[:10])) + (", ..." if found[10:] else "")
        counted = "" if hasattr(estimator, "feature_names_in_") else ", counted from 0"
        raise ValueError(
            f"{name} has no value in {len(found)} of its {X.shape[1]} columns"
            f"{counted}: {which}. Leave out such columns."
        )
    return True


def _check_scale(X: Matrix, name: str, magnitude: float) -> None:
    """Raise if float32 would lose the squared errors of rows."""
    if not 0 < magnitude < _SMALL_MAGNITUDE:
        return
    rows: Any = Table(X).sample().inputs
    # Squares may underflow float64, too.
    variance = column_statistics(fill_missing(rows) / magnitude).variance
    scale = magnitude * math.sqrt(variance.mean())
    if 0 < scale < _MIN_SCALE:
        raise ValueError(
            f"The columns of {name} vary by about {scale:.3g}; the net computes in "
            f"float32, where squared errors are lost below {_MIN_SCALE:g}. Scale the "
            "columns first, for instance with StandardScaler, or choose a larger unit."
        )


def _without_ends(
    values: np.ndarray, start: int, name: str, n_channels: int
) -> np.ndarray:
    """Replace NaN after the ends of series by 0; raise if there are others."""
    missing = np.isnan(values)
    if not missing.any():
        return values
    steps = missing.reshape(len(values), -1, n_channels)
    ended = steps.all(axis=2)
    n_steps = ended.shape[1] - ended[:, ::-1].argmin(axis=1)
    n_steps[ended.all(axis=1)] = 0
    inside = np.arange(ended.shape[1]) < n_steps[:, None]
    wrong = np.argwhere(steps.any(axis=2) & inside)
    if len(wrong):
        row, step = wrong[0]
        raise ValueError(
            f"Input {name} contains NaN within a series: row {start + row}, step "
            f"{step}, both counted from 0, of {n_steps[row]} steps. NaN is allowed "
            "only after the end of a series, in all channels. Fill in missing values "
            "first."
        )
    if (n_steps == 0).any():
        row = start + int(np.argmin(n_steps))
        raise ValueError(
            f"Input {name} contains NaN in every step of row {row}, counted from 0: a "
            "series without steps. Leave out such rows."
        )
    return np.where(missing, 0, values)


def _refuse_not_finite(
    X: Matrix, values: np.ndarray, start: int, name: str, allow_nan: bool
) -> None:
    wrong = np.isinf(values) if allow_nan else ~np.isfinite(values)
    where = np.argwhere(wrong)[0]
    if isinstance(X, LargeTable) and X.sparse:
        entries = X.array.tocoo()
        row, column = entries.row[where[0]], entries.col[where[0]]
    else:
        row, column = start + where[0], where[1]
    what = "infinity" if allow_nan or not np.isnan(values).any() else "NaN"
    how = "Fill in missing values first, for instance with AutoencoderImputer"
    if allow_nan:
        how = "Replace such values, by NaN if they are missing"
    raise ValueError(
        f"Input {name} contains {what}: the first value that is not finite is "
        f"{values[tuple(where)]}, in row {row}, column {column}, both counted from 0. "
        f"{how}, or leave out such rows."
    )


def _check_domain(loss: Any, low: float, high: float, name: str) -> None:
    """Raise if a loss is not defined for rows."""
    known = as_loss(loss)
    if low < known.low or high > known.high:
        raise ValueError(
            f"loss={loss!r} needs values {known.domain}; {name} has values from "
            f"{low:.4g} to {high + 0.0:.4g}. {known.advice}"
        )


def check_count(value: Any, name: str) -> None:
    """Raise if a value is not a positive int."""
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be an int in the range [1, inf). Got {value!r}.")


def check_groups(groups: Any, X: Matrix) -> np.ndarray:
    """Convert labels of groups to numbers from 0, one for each row of a table."""
    labels = np.asarray(groups)
    if labels.shape != (len(X),):
        raise ValueError(
            f"groups must have one label for each of the {len(X)} rows of X. Got an "
            f"array of shape {labels.shape}."
        )
    if labels.dtype.kind == "O":
        # Missing labels in object arrays, of pandas or not.
        missing = np.array(
            [not isinstance(x, str) and str(x) in _NO_LABELS for x in labels]
        )
    else:
        missing = labels != labels  # NaN and NaT alone
    if missing.any():
        raise ValueError(
            f"groups has no label in row {int(missing.argmax())}, counted from 0. Each "
            "row needs a label; a row without a group needs a label of its own."
        )
    try:
        _, number = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise ValueError(
            "The labels in groups must be of one type, all strings or all numbers. Got "
            f"{sorted({type(label).__name__ for label in labels})}."
        ) from error
    return number


def check_offset(mean: Tensor, scale: Tensor, name: str = "X") -> None:
    """Warn if columns are so far from zero that float32 loses their variation.

    `scale` is one number for all columns, or one for each.
    """
    worst = (mean.abs() / scale).argmax()
    offset, unit = float(mean.abs()[worst]), float(scale.expand_as(mean)[worst])
    if offset * np.finfo(np.float32).eps > 1e-3 * unit:
        warn(
            f"{name} has a column with mean {offset:.3g}, and columns vary by "
            f"about {unit:.3g}: the net computes in float32, which keeps few digits of "
            "the difference. Centre the columns first, for instance with "
            "StandardScaler.",
        )


def layer_widths(sizes: Any, name: str, meaning: str) -> list[int]:
    """Convert a parameter with one width or several to a list."""
    widths = whole_numbers(sizes)
    if widths is None:
        raise ValueError(f"{name} must be positive integers, {meaning}. Got {sizes!r}.")
    return widths


def whole_numbers(sizes: Any) -> list[int] | None:
    """Convert one positive integer or several to a list; return None for others."""
    if hasattr(sizes, "tolist"):
        sizes = sizes.tolist()  # an array of no dimension is a number
    sizes = list(sizes) if isinstance(sizes, Iterable) else [sizes]
    good = all(
        isinstance(each, Integral) and not isinstance(each, bool) and int(each) > 0
        for each in sizes
    )
    return [int(each) for each in sizes] if good else None


def check_weights(sample_weight: Any, X: Any) -> np.ndarray:
    """Check that no weight of a row is negative, and at least one is positive."""
    weight = check_sample_weight(
        plain(sample_weight, "sample_weight"),
        X,
        dtype=np.float64,
        ensure_non_negative=True,
    )
    if not weight.any():
        raise ValueError(
            "sample_weight is zero for every row: at least one row needs a positive "
            "weight."
        )
    return weight


def check_out(out: Any, X: Matrix, *shapes: tuple[int, ...]) -> None:
    """Raise if results for rows `X` cannot be written to an array.

    `shapes` are the allowed shapes; the first one is that of the results.
    """
    shape = shapes[0]
    good = isinstance(out, np.ndarray) and out.shape in shapes
    if not (good and out.dtype.kind == "f" and out.flags.writeable):
        got = type(out).__name__
        if isinstance(out, np.ndarray):
            got = (
                f"shape {out.shape}, dtype {out.dtype}, writeable={out.flags.writeable}"
            )
        raise ValueError(
            f"out must be a writeable array of floats of shape {shape}, for instance "
            f"numpy.memmap(path, dtype='float32', mode='w+', shape={shape}). Got {got}."
        )
    if isinstance(out, np.ma.MaskedArray) and out.hardmask and np.ma.is_masked(out):
        raise ValueError(
            "out is a masked array with a hard mask, and results under the mask would "
            "be lost. Call its soften_mask() first, or pass out.data."
        )
    if _overlaps_itself(out):
        raise ValueError(
            f"Entries of out share memory, as its strides are {out.strides}, and "
            "results would overwrite one another. Pass an array such as "
            f"numpy.empty({shape})."
        )
    if share_memory(X, out):
        raise ValueError(
            "out overlaps X, and results would overwrite rows before they are read. "
            f"Pass a separate array, such as numpy.empty({shape}), or X itself."
        )


def _overlaps_itself(array: np.ndarray) -> bool:
    """Return whether entries may share memory: not if each axis steps over the last."""
    extent = array.itemsize
    for stride, size in sorted(
        (abs(stride), size)
        for stride, size in zip(array.strides, array.shape, strict=True)
        if size > 1
    ):
        if stride < extent:
            return True
        extent = stride * (size - 1) + extent
    return False


def check_device(device: str | torch.device) -> torch.device:
    """Convert a device parameter to an available device."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    available = [
        "cpu",
        "cpu:0",
        *(f"cuda:{i}" for i in range(torch.cuda.device_count())),
    ]
    if torch.backends.mps.is_available():
        available.append("mps")
    try:
        found = torch.device(device)
    except RuntimeError:
        found = None
    if found is not None:
        names = {found.type, str(found)} if found.index is None else {str(found)}
        if names & {*available, *(name.split(":")[0] for name in available)}:
            return found
    raise ValueError(
        f"device={str(device)!r} is not available. Available here: 'auto', "
        f"{', '.join(map(repr, available))}."
    )


# Losses that compare scores of classes with labels.
_CLASS_LOSSES = (
    nn.CrossEntropyLoss,
    nn.HingeEmbeddingLoss,
    nn.MultiLabelMarginLoss,
    nn.MultiLabelSoftMarginLoss,
    nn.MultiMarginLoss,
    nn.NLLLoss,
    nn.SoftMarginLoss,
)


def check_loss(loss: Any, net_params: dict[str, Any] | None) -> None:
    """Raise if a loss is no loss module, or does not compare rows."""
    is_class = inspect.isclass(loss) and issubclass(loss, nn.Module)
    if not (isinstance(loss, str | nn.Module) or is_class):
        raise ValueError(
            f"loss must be a name, a torch loss such as torch.nn.HuberLoss(delta=2.0), "
            f"or its class. Got {loss!r}."
        )
    if isinstance(loss, str):
        return
    kind = loss if is_class else type(loss)
    for name, known in LOSSES.items():
        criteria = [known.criterion, known.logits_criterion] if known.has_link else []
        # A functools.partial has its class in `func`.
        kinds = tuple(getattr(each, "func", each) for each in criteria if each)
        if issubclass(kind, kinds):
            raise ValueError(
                f"Use loss={name!r} in place of {kind.__name__}: the decoder then ends "
                f"in a {known.link}, as the loss needs."
            )
    if issubclass(kind, _CLASS_LOSSES):
        raise ValueError(
            f"loss={kind.__name__} compares scores of classes with labels, not "
            "reconstructions with rows. Use another, such as 'squared_error', or "
            "'binary_cross_entropy' for values in [0, 1]."
        )
    if is_class:
        _check_arguments("loss", kind, "criterion", net_params)
        return
    options = [name for name in net_params or {} if str(name).startswith("criterion__")]
    if options:
        raise ValueError(
            f"net_params may not contain {options[0]!r} if loss is an instance: "
            f"skorch would make another one. Pass loss={kind.__name__}(...) with this "
            "argument."
        )


def _check_arguments(
    parameter: str, kind: Any, prefix: str, net_params: dict[str, Any] | None
) -> None:
    """Raise if a class needs more arguments than `net_params` has."""
    given = {name.removeprefix(f"{prefix}__") for name in net_params or {}}
    missing = [name for name in required_arguments(kind) if name not in given]
    if missing:
        raise ValueError(
            f"{parameter}={kind.__name__} needs {', '.join(map(repr, missing))}: pass "
            f"an instance, {kind.__name__}({missing[0]}=...), in place of the class."
        )


def check_net(
    net: AutoencoderNet, table: Table, loss: Any, *, with_hidden: bool
) -> int:
    """Check that a net can be trained on rows, and return the size of its codes.

    Parameters
    ----------
    net : AutoencoderNet
        Initialised net.

    table : Table
        Training rows.

    loss : str or torch loss
        The parameter of the estimator.

    with_hidden : bool
        Whether the module must have hidden activations.

    Returns
    -------
    n_components : int
        Width of the codes.
    """
    with torch.no_grad(), net.guarded():
        net.module_.eval()
        few: Any = table.inputs[:2]
        if isinstance(getattr(net.plain_module_, "fill", None), ConditionalMean):
            few = fill_missing(few)  # the layer is not set yet
        rows = float_tensor(few, net.device, copy=True)
        n_components = check_module(net.plain_module_, rows, loss)
        if not isinstance(loss, str):
            check_criterion(net, rows)
        if with_hidden:
            check_hidden(net.plain_module_, rows)
    return n_components


# Fewer rows determine centre and scale poorly.
_MIN_FIRST_ROWS = 30


def check_first_rows(estimator: Any, table: Table) -> None:
    """Warn if the rows of the first `partial_fit` cannot represent all others."""
    if as_loss(estimator.loss).has_link:
        return  # nothing is computed from them
    # Without `n_components`, codes are as long as rows, or longer.
    needed = max(_MIN_FIRST_ROWS, estimator.n_components or 0)
    rows: Any = table.sample().inputs
    same = (rows == rows[0]) | (np.isnan(rows) & np.isnan(rows[0]))
    alike = len(table) > 1 and bool(same.all())
    if len(table) < needed or alike:
        warn(
            f"{type(estimator).__name__}: the first call of partial_fit was given "
            f"{len(table)} row{'s' if len(table) > 1 else ''}"
            + (", all of them the same" if alike else "")
            + ". It computes the centre, the scale, the start and the unit of the loss "
            f"for all calls. Begin with {needed} or more representative rows."
        )


def check_criterion(net: AutoencoderNet, x: Tensor) -> None:
    """Raise if a loss of the user's does not return a loss for rows `x`."""
    criterion: Any = net.criterion_
    name = type(criterion).__name__
    module = net.plain_module_
    with torch.enable_grad():
        x_hat = module.decode(module.encode(x.clone()))
        # A loss need not support missing values.
        x = torch.where(x.isnan(), x_hat.detach(), x)
        loss = losses = None
        try:
            loss = apply_criterion(criterion, x_hat, x)
            if isinstance(loss, Tensor) and loss.ndim == 0 and loss.is_floating_point():
                losses = row_losses(criterion, x_hat, x)
        except Exception as error:
            raise ValueError(
                f"loss={name} failed on reconstructions and rows of shape "
                f"{tuple(x.shape)}: {error_in_words(error)}. A loss takes both and "
                "returns their mean loss, or the loss of each entry if its attribute "
                "`reduction` is 'none'."
            ) from error
    if losses is None:
        raise ValueError(
            f"loss={name} must return the mean loss of reconstructions and rows, a "
            f"tensor of shape () with a gradient. It returned {_kind(loss)}."
        )
    if not loss.requires_grad:
        raise ValueError(
            f"loss={name} has no gradient. Remove detach(), torch.no_grad() and NumPy "
            "from it."
        )
    if loss.isnan() or losses.isnan().any():
        raise ValueError(
            f"loss={name} is NaN for rows of X and their reconstructions before the "
            "first step: it must be defined for all numbers."
        )


def check_callbacks(callbacks: list | None, net_params: dict[str, Any] | None) -> None:
    """Raise if skorch cannot use the callbacks."""
    for each in callbacks or []:
        callback = each
        if isinstance(each, tuple | list) and len(each) == 2:
            name, callback = each
            callback = callback if isinstance(name, str) else each
        is_class = inspect.isclass(callback) and issubclass(callback, Callback)
        if not (callback is None or isinstance(callback, Callback) or is_class):
            raise ValueError(
                "callbacks must be a list of skorch callbacks, such as "
                "skorch.callbacks.EarlyStopping(), of their classes, or of pairs "
                f"(name, callback). Got {each!r} in it."
            )
        if is_class:
            prefix = f"callbacks__{callback.__name__}"
            _check_arguments("callbacks", callback, prefix, net_params)
        if isinstance(callback, LRScheduler):
            _check_policy(callback, "callbacks")


def check_emphasis(emphasis: tuple, loss: nn.Module, noise: Noise | None) -> None:
    """Raise if weights are invalid, or the loss or the noise does not support them."""
    good = (
        len(emphasis) == 2
        and all(isinstance(weight, Real) for weight in emphasis)
        and 0 <= min(emphasis) <= max(emphasis) < math.inf
        and max(emphasis) > 0
    )
    if not good:
        raise ValueError(
            "emphasis must be a pair of finite weights, of corrupted and of untouched "
            "entries. Neither may be negative, and one must be positive. Got "
            f"{emphasis!r}."
        )
    if noise is not None and not noise.leaves_entries:
        raise ValueError(
            "emphasis is for noise that leaves some entries as they are, such as "
            f"'masking'; {noise} corrupts all. Set emphasis=None."
        )
    if not hasattr(loss, "reduction"):
        raise ValueError(
            "emphasis weights the losses of entries: the loss needs a `reduction` "
            f"attribute, like the losses of torch. Got loss={loss!r}."
        )


def check_schedule(schedule: Any) -> None:
    """Raise if a callback schedules nothing, or a class needs arguments."""
    if schedule is None or isinstance(schedule, str):
        return
    if isinstance(schedule, LRScheduler):
        _check_policy(schedule, "lr_schedule")
        return
    good = not isinstance(schedule, Callback)
    if inspect.isclass(schedule):
        good = issubclass(schedule, torch.optim.lr_scheduler.LRScheduler)
    if not good or len(required_arguments(schedule)) > 1:
        raise ValueError(
            "lr_schedule must be a name, None, a skorch.callbacks.LRScheduler "
            "instance, or a callable that makes a torch scheduler from an optimizer "
            "alone, such as functools.partial(torch.optim.lr_scheduler.StepLR, "
            f"step_size=10). Got {schedule!r}."
        )


def _check_policy(schedule: LRScheduler, parameter: str) -> None:
    """Raise if a scheduler of skorch cannot make one of torch."""
    try:
        policy = schedule._get_policy_cls()
    except AttributeError:
        raise ValueError(
            f"{parameter}: LRScheduler has no policy {schedule.policy!r}. Pass a "
            "name or a class of torch.optim.lr_scheduler."
        ) from None
    # The first argument is the optimizer.
    needed = [
        each for each in required_arguments(policy)[1:] if each not in schedule.kwargs
    ]
    if needed:
        raise ValueError(
            f"{parameter}: LRScheduler({policy.__name__!r}) needs "
            f"{', '.join(map(repr, needed))}: pass LRScheduler({policy.__name__!r}, "
            f"{needed[0]}=...)."
        )


def check_optimizer(optimizer: Any) -> None:
    """Raise if a callable is not an optimizer class."""
    if not isinstance(optimizer, str) and not (
        inspect.isclass(optimizer) and issubclass(optimizer, torch.optim.Optimizer)
    ):
        raise ValueError(
            "optimizer must be a name or a class of torch.optim, not an instance: the "
            "parameters it optimises do not exist yet. Pass its options in net_params, "
            f"as {{'optimizer__momentum': 0.9}}. Got {optimizer!r}."
        )


def check_weight_decay(optimizer: Any, weight_decay: float) -> None:
    """Raise if an optimizer does not support weight decay."""
    kind = recipe.OPTIMIZERS.get(optimizer, optimizer)
    if weight_decay > 0 and "weight_decay" not in inspect.signature(kind).parameters:
        raise ValueError(
            f"optimizer={optimizer!r} has no weight decay. Set weight_decay=0, or use "
            f"another optimizer. Got weight_decay={weight_decay}."
        )


@contextmanager
def building_net(estimator: Any) -> Iterator[None]:
    """Return a context in which errors about arguments of a net name them."""
    name = type(estimator).__name__
    try:
        yield
    except ValueError as error:
        # skorch's message about unknown names is about subclasses.
        _, found, rest = str(error).partition("got unexpected argument(s) ")
        if not found:
            raise  # it says what is wrong
        raise ValueError(
            f"net_params of {name} has unknown names: {rest.partition('. ')[0]}. "
            "Correct or remove them. Allowed are the arguments of skorch.NeuralNet, "
            "and names with prefixes such as optimizer__betas."
        ) from error
    except Exception as error:
        optimizer = getattr(estimator, "optimizer", None)
        raise ValueError(
            f"{name} could not make its net, with net_params={estimator.net_params!r}"
            + (f" and optimizer={optimizer!r}" if optimizer is not None else "")
            + f": {error_in_words(error)}"
        ) from error


def check_net_params(
    estimator: Any, *, reserved: set[str], replaced_by: dict[str, str]
) -> None:
    """Raise if `net_params` has arguments of the net that the estimator sets.

    Parameters
    ----------
    estimator : estimator
        Estimator with `net_params`, which may not have names of its own parameters.

    reserved : set of str
        Arguments that no parameter sets.

    replaced_by : dict of str
        Parameters to use in place of arguments with other names.
    """
    for name in estimator.net_params or {}:
        if not isinstance(name, str):
            raise ValueError(
                f"net_params must have names of arguments as keys. Got {name!r}."
            )
    for name in ("iterator_train__batch_size", "iterator_valid__batch_size"):
        size = (estimator.net_params or {}).get(name, 1)
        if not (isinstance(size, Integral) and (size == -1 or int(size) > 0)):
            raise ValueError(
                f"net_params: {name!r} must be a positive int, or -1 for all rows. Got "
                f"{size!r}."
            )
    replaced_by = {
        **{name: name for name in estimator.get_params(deep=False)},
        **replaced_by,
    }
    for name in estimator.net_params or {}:
        if name in replaced_by:
            raise ValueError(
                f"net_params may not contain {name!r}: set the parameter "
                f"{replaced_by[name]!r} of {type(estimator).__name__} instead."
            )
        if name in reserved:
            raise ValueError(
                f"net_params may not contain {name!r}: {type(estimator).__name__} sets "
                "it itself."
            )


def required_arguments(factory: Any) -> list[str]:
    """Return the names of the required arguments of a class or another callable."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # a builtin has no signature
        return []
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        each.name
        for each in parameters
        if each.default is each.empty and each.kind not in optional
    ]


def module_arguments(
    factory: Any, n_features: int, n_components: int
) -> dict[str, int]:
    """Return the arguments that a user's module class or factory accepts."""
    if isinstance(factory, nn.Module):
        return {}
    sizes = {"n_features": n_features, "n_components": n_components}
    try:
        accepted = inspect.signature(factory).parameters
    except ValueError:  # a builtin has no signature
        return {}
    return {name: size for name, size in sizes.items() if name in accepted}


def check_module_arguments(factory: Any, arguments: dict[str, Any]) -> None:
    """Raise if a user's module class or factory needs more arguments."""
    if isinstance(factory, nn.Module):
        return
    missing = [name for name in required_arguments(factory) if name not in arguments]
    if missing:
        name = getattr(factory, "__name__", repr(factory))
        raise ValueError(
            f"module={name} needs {', '.join(map(repr, missing))}, and gets only "
            "n_features and n_components. Set the others in net_params, as "
            f"{{'module__{missing[0]}': ...}}, or pass an instance."
        )


# Dtypes of codes and rows.
_FLOATS = (torch.float32, torch.float64)


def check_module(module: Any, x: Tensor, loss: Any = "squared_error") -> int:
    """Check that a module encodes and decodes rows, and return its code size.

    Parameters
    ----------
    module : torch.nn.Module
        The module, in evaluation mode.

    x : tensor of shape (n_rows, n_features)
        A few rows.

    loss : str or torch loss, default="squared_error"
        Loss, which may need reconstructions in an interval.

    Returns
    -------
    n_components : int
        Width of the codes.
    """
    name = type(module).__name__
    missing = [
        part for part in ("encode", "decode") if not callable(getattr(module, part, 0))
    ]
    if missing:
        raise ValueError(
            "module must be a torch.nn.Module with the methods encode(x) and "
            f"decode(z); {name} lacks {' and '.join(missing)}."
        )
    n_rows, n_features = x.shape
    with torch.enable_grad():
        z = _called(module, "encode", x.clone(), n_features)
        good = isinstance(z, Tensor) and z.ndim == 2 and len(z) == n_rows
        if not (good and z.shape[1] > 0 and z.dtype in _FLOATS):
            raise ValueError(
                f"{name}.encode must return a tensor of codes of shape ({n_rows}, "
                f"n_components), of dtype float32, for {n_rows} rows of X. It returned "
                f"{_kind(z)}."
            )
        _refuse_not_finite_output(z, f"{name}.encode")
        x_hat = _called(module, "decode", z, n_features)
    shape = (n_rows, n_features)
    good = isinstance(x_hat, Tensor) and x_hat.shape == shape
    if not (good and x_hat.dtype in _FLOATS and x_hat.layout is torch.strided):
        raise ValueError(
            f"{name}.decode must map codes of shape {tuple(z.shape)} back to rows of "
            f"shape {shape}, of dtype float32. It returned {_kind(x_hat)}."
        )
    _refuse_not_finite_output(x_hat, f"{name}.decode")
    known = as_loss(loss)
    if not (x_hat.min() >= known.low and x_hat.max() <= known.high):
        raise ValueError(
            f"loss={loss!r} needs reconstructions {known.domain}: end {name}.decode "
            f"with torch.{known.link}. It returned values from {x_hat.min():.4g} to "
            f"{x_hat.max():.4g}."
        )
    _check_gradient(module, z, x_hat)
    return z.shape[1]


def _called(module: Any, method: str, x: Tensor, n_features: int) -> Any:
    """Call a method of a user's module; describe its input if it fails."""
    try:
        return getattr(module, method)(x)
    except Exception as error:
        raise ValueError(
            f"{type(module).__name__}.{method} failed on a float32 input of shape "
            f"{tuple(x.shape)}: {error_in_words(error)}. X has {n_features} columns, "
            "and the module must take such rows."
        ) from error


def error_in_words(error: Exception) -> str:
    """Return the type of an error and its message, which may be empty."""
    return f"{type(error).__name__}: {error}".rstrip(" :.")


def _kind(value: Any) -> str:
    """Describe a tensor, or the type of another value."""
    if not isinstance(value, Tensor):
        return str(type(value))
    layout = "" if value.layout is torch.strided else f", {value.layout}"
    return f"{tuple(value.shape)}, {value.dtype}{layout}"


def _refuse_not_finite_output(value: Tensor, method: str) -> None:
    n_wrong = int((~value.isfinite()).sum())
    if n_wrong:
        raise ValueError(
            f"{method} must return finite values. For rows of X, {n_wrong} of "
            f"{value.numel()} values are NaN or infinite."
        )


def _check_gradient(module: nn.Module, z: Tensor, x_hat: Tensor) -> None:
    """Raise if a module cannot be trained; warn if its encoder cannot."""
    trainable = {
        name: each for name, each in module.named_parameters() if each.requires_grad
    }
    if not trainable:
        return
    name = type(module).__name__
    if not x_hat.requires_grad:
        raise ValueError(
            f"{name} cannot be trained: the result of decode(encode(x)) has no "
            "gradient. Remove detach(), torch.no_grad(), rounding and NumPy from "
            "encode and decode."
        )
    # The operations that computed the reconstruction.
    nodes: list[Any] = [x_hat.grad_fn]
    found: set[Any] = set()
    while nodes:
        node = nodes.pop()
        if node is not None and node not in found:
            found.add(node)
            nodes += [before for before, _ in node.next_functions]
    if z.grad_fn in found:
        return
    reached = {id(node.variable) for node in found if hasattr(node, "variable")}
    left = [name for name, each in trainable.items() if id(each) not in reached]
    if left:
        warn(
            f"{name}: no gradient goes from decode back through encode, so training "
            f"does not change {', '.join(left)}. Remove detach() and torch.no_grad() "
            "from the module, or set requires_grad=False for these parameters."
        )


def check_hidden(module: Any, x: Tensor, parameter: str = "output") -> list[int]:
    """Check that a module has hidden activations of rows, and return their widths.

    `parameter` is the parameter whose value "hidden" needs them.
    """
    name = type(module).__name__
    if not callable(getattr(module, "hidden", None)):
        raise ValueError(
            f"{parameter}='hidden' needs a module with a method hidden(x) that returns "
            f"a list of activations, and {name} has none. Set {parameter}='code'."
        )
    widths = hidden_widths(module, x)
    if not widths:
        raise ValueError(
            f"{parameter}='hidden' needs an encoder with hidden layers, and {name} has "
            f"none here. Set {parameter}='code', or hidden_layer_sizes of the "
            "autoencoder to one width or more."
        )
    return widths


def hidden_widths(module: Any, x: Tensor) -> list[int]:
    """Return the widths of the hidden activations; none if there are no such layers."""
    parts = _called(module, "hidden", x.clone(), x.shape[1])
    good = isinstance(parts, list | tuple) and all(
        isinstance(part, Tensor)
        and part.ndim == 2
        and len(part) == len(x)
        and part.dtype in _FLOATS
        for part in parts
    )
    if not good:
        several = isinstance(parts, list | tuple)
        raise ValueError(
            f"{type(module).__name__}.hidden must return a list of activations, "
            f"float32 tensors of shape ({len(x)}, width) for {len(x)} rows of X. It "
            f"returned {[_kind(part) for part in parts] if several else _kind(parts)}."
        )
    return [part.shape[1] for part in parts]


def check_noise(net: AutoencoderNet, x: Tensor) -> None:
    """Raise if noise fails on rows `x`, or changes their shape."""
    generator = torch.Generator(net.device).manual_seed(0)
    try:
        noisy = net.corrupt(x, generator)
    except Exception as error:
        raise ValueError(
            f"noise failed on float32 rows of shape {tuple(x.shape)}: {error}"
        ) from error
    shape = tuple(noisy.shape) if isinstance(noisy, Tensor) else type(noisy)
    if shape != tuple(x.shape):
        raise ValueError(
            f"noise must return rows of the shape of its input, {tuple(x.shape)}. "
            f"It returned {shape}."
        )
    if net.makes_gaps:
        noisy = torch.where(noisy.isnan(), x, noisy)
    wrong = ~(noisy.isfinite() | x.isnan())  # gaps stay gaps
    if noisy.dtype != x.dtype or wrong.any():
        raise ValueError(
            "noise must return finite float32 rows, like its input. "
            f"It returned {noisy.dtype} rows with {int(wrong.sum())} entries that are "
            "not finite."
        )
