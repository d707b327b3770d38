"""Checks of parameters and data that need more than a type and a range."""

import inspect
import math
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.utils.validation import check_is_fitted, validate_data
from skorch.callbacks import Callback, LRScheduler
from torch import Tensor, nn

from skae._report import warn
from skae.noise import Noise
from skae.training import AutoencoderNet, LargeTable, Table, is_large

_NO_LABELS = {"<NA>", "NaT", "None", "nan"}
# Squares of larger numbers overflow float32.
_MAX_MAGNITUDE = 1e18


def check_table(
    estimator: Any,
    X: Any,
    *,
    reset: bool,
    name: str = "X",
    unit_interval: bool = False,
    n_channels: int | None = None,
) -> Any:
    """Check a table of rows, dense or sparse, in memory or in a mapped file.

    Parameters
    ----------
    estimator : estimator
        Has, or gets with `reset`, the number and the names of the columns.

    X : array-like or sparse matrix of shape (n_samples, n_features)
        The table.

    reset : bool
        Whether the columns are to be remembered, rather than compared.

    name : str, default="X"
        Name of the table in messages.

    unit_interval : bool, default=False
        Whether values must be in [0, 1].

    n_channels : int, default=None
        Number of values in a step of a series. Rows may then end in steps that are NaN.

    Returns
    -------
    X : ndarray or LargeTable of shape (n_samples, n_features)
        Rows, of dtype float32 or float64. An array, unless no dense copy is to be made.
    """
    # scikit-learn's checks take several times as long as the codes of one row.
    if not reset and _is_ready(estimator, X):
        check_values(X, name, unit_interval, n_channels)
        return X
    large = is_large(X)
    dtype: Any = [np.float64, np.float32]
    if large and getattr(X, "dtype", None) is not None and X.dtype.kind in "biuf":
        dtype = None  # it is converted when it is read
    X = validate_data(
        estimator,
        X,
        reset=reset,
        accept_sparse="csr",
        dtype=dtype,
        order=None if large else "C",
        ensure_all_finite=False,
    )
    if large:
        if issparse(X) and not X.has_canonical_format:
            X = X.copy()  # it is the caller's
            X.sum_duplicates()
        X = LargeTable(X)
    elif issparse(X):
        X = X.toarray()
    check_values(X, name, unit_interval, n_channels)
    return X


def _is_ready(estimator: Any, X: Any) -> bool:
    """Whether a table is such that scikit-learn would give it back as it is."""
    return (
        type(X) is np.ndarray
        and X.dtype in (np.float32, np.float64)
        and X.flags.c_contiguous
        and X.ndim == 2
        and len(X) > 0
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
        and not is_large(X)
    )


def check_values(
    X: Table, name: str, unit_interval: bool = False, n_channels: int | None = None
) -> None:
    """Refuse numbers that are missing, infinite, or too large for float32.

    With `n_channels`, those that come after the end of a series may be missing.
    """
    start = 0
    for values in X.values() if isinstance(X, LargeTable) else [X]:
        if n_channels is not None and values.ndim == 2:
            values = _without_ends(values, start, name, n_channels)
        low, high = values.min(initial=0), values.max(initial=0)
        if not (math.isfinite(low) and math.isfinite(high)):
            _refuse_not_finite(X, values, start, name)
        start += len(values)
        magnitude = max(abs(low), abs(high))
        if magnitude > _MAX_MAGNITUDE:
            raise ValueError(
                f"{name} has values of magnitude up to {magnitude:.3g}; the net "
                "computes in float32, where squared errors overflow above "
                f"{_MAX_MAGNITUDE:g}. Scale the columns first, for instance with "
                "StandardScaler."
            )
        if unit_interval:
            _check_unit_interval(low, high, name)


def _without_ends(
    values: np.ndarray, start: int, name: str, n_channels: int
) -> np.ndarray:
    """Give 0 for what comes after the ends of series; refuse other NaN."""
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
            f"Input {name} contains NaN within a series: row {start + row}, step {step}"
            f", both counted from 0, of {n_steps[row]} steps. NaN marks what comes "
            "after the end of a series, in all channels. Fill in missing values first."
        )
    if (n_steps == 0).any():
        row = start + int(np.argmin(n_steps))
        raise ValueError(
            f"Input {name} contains NaN alone in row {row}, counted from 0: a series "
            "of no steps. Leave out such rows."
        )
    return np.where(missing, 0, values)


def _refuse_not_finite(X: Table, values: np.ndarray, start: int, name: str) -> None:
    where = np.argwhere(~np.isfinite(values))[0]
    if isinstance(X, LargeTable) and X.sparse:
        entries = X.array.tocoo()
        row, column = entries.row[where[0]], entries.col[where[0]]
    else:
        row, column = start + where[0], where[1]
    what = "NaN" if np.isnan(values).any() else "infinity"
    raise ValueError(
        f"Input {name} contains {what}: the first value that is not finite is "
        f"{values[tuple(where)]}, in row {row}, column {column}, both counted from 0. "
        "Fill in missing values first, for instance with SimpleImputer, or leave out "
        "such rows."
    )


def _check_unit_interval(low: float, high: float, name: str) -> None:
    """Refuse rows that cross-entropy is not defined for."""
    if low < 0 or high > 1:
        raise ValueError(
            f"loss='binary_cross_entropy' needs values in [0, 1]; {name} has values "
            f"from {low:.4g} to {high:.4g}. Scale the columns with MinMaxScaler("
            "clip=True), or use loss='squared_error'."
        )


def check_count(value: Any, name: str) -> None:
    """Refuse what is no positive int."""
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be an int in the range [1, inf). Got {value!r}.")


def check_groups(groups: Any, X: Table) -> np.ndarray:
    """Turn labels of groups into numbers from 0, one for each row of a table."""
    labels = np.asarray(groups)
    if labels.shape != (len(X),):
        raise ValueError(
            f"groups must have one label for each of the {len(X)} rows of X. Got an "
            f"array of shape {labels.shape}."
        )
    if labels.dtype.kind == "O":
        # What stands for a missing label in object arrays, of pandas or not.
        missing = np.array(
            [not isinstance(x, str) and str(x) in _NO_LABELS for x in labels]
        )
    else:
        missing = labels != labels  # NaN and NaT alone
    if missing.any():
        raise ValueError(
            f"groups has no label in row {int(missing.argmax())}, counted from 0. Give "
            "every row one; a row that belongs to no other needs one of its own."
        )
    try:
        _, number = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise ValueError(
            "The labels in groups must be of one type, all strings or all numbers. Got "
            f"{sorted({type(label).__name__ for label in labels})}."
        ) from error
    return number


def check_offset(mean: np.ndarray, scale: float) -> None:
    """Warn of columns so far from zero that float32 loses what varies in them."""
    offset = np.abs(mean).max()
    if offset * np.finfo(np.float32).eps > 1e-3 * scale:
        warn(
            f"X has a column with mean {offset:.3g} where columns vary by about "
            f"{scale:.3g}: float32, in which the net computes, keeps few digits of the "
            "difference. Centre the columns first, for instance with StandardScaler.",
        )


def layer_widths(sizes: Any, name: str, meaning: str) -> list[int]:
    """Turn a parameter with one width or several into a list of them."""
    widths = [sizes] if isinstance(sizes, Integral) else list(sizes)
    if not all(isinstance(width, Integral) and int(width) > 0 for width in widths):
        raise ValueError(f"{name} must be positive integers, {meaning}. Got {sizes!r}.")
    return [int(width) for width in widths]


def check_new_rows(estimator: Any, X: Any, unit_interval: bool = False) -> Any:
    """Check rows that a fitted estimator is given after `fit`."""
    check_is_fitted(estimator)
    return check_table(estimator, X, reset=False, unit_interval=unit_interval)


def check_out(out: Any, shape: tuple[int, int]) -> None:
    """Refuse an array that results of a shape cannot be written into."""
    good = isinstance(out, np.ndarray) and out.shape == shape
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


def check_device(device: str | torch.device) -> torch.device:
    """Turn a device parameter into a device that is there."""
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


def check_loss(loss: Any) -> None:
    """Refuse a callable that is not a loss module."""
    is_class = inspect.isclass(loss) and issubclass(loss, nn.Module)
    if not (isinstance(loss, str | nn.Module) or is_class):
        raise ValueError(
            f"loss must be a name, a torch loss such as torch.nn.HuberLoss(delta=2.0), "
            f"or its class. Got {loss!r}."
        )
    for entropy in (nn.BCELoss, nn.BCEWithLogitsLoss):
        if loss is entropy or isinstance(loss, entropy):
            raise ValueError(
                f"Use loss='binary_cross_entropy' in place of {entropy.__name__}: the "
                "decoder then ends in a sigmoid, as the loss needs."
            )


def check_emphasis(emphasis: tuple, loss: Any, noise: Noise) -> None:
    """Refuse weights that are none, and losses and noise that they are not for."""
    good = (
        len(emphasis) == 2
        and all(isinstance(weight, Real) for weight in emphasis)
        and 0 <= min(emphasis) <= max(emphasis) < math.inf
        and max(emphasis) > 0
    )
    if not good:
        raise ValueError(
            "emphasis must be a pair of finite weights that are not negative, of "
            "corrupted and of untouched entries, one of them positive. "
            f"Got {emphasis!r}."
        )
    if not noise.leaves_entries:
        raise ValueError(
            "emphasis is for noise that leaves some entries as they are, such as "
            f"'masking'; {noise} corrupts all. Set emphasis=None."
        )
    if not isinstance(loss, str):
        criterion = loss() if inspect.isclass(loss) else loss
        if not hasattr(criterion, "reduction"):
            raise ValueError(
                "emphasis weights the losses of entries: the loss needs a `reduction` "
                f"attribute, as those of torch have it. Got loss={loss!r}."
            )


def check_schedule(schedule: Any) -> None:
    """Refuse callbacks that schedule nothing, and classes that need arguments."""
    if inspect.isclass(schedule):
        good = issubclass(schedule, torch.optim.lr_scheduler.LRScheduler)
        needed = [
            name
            for name, parameter in inspect.signature(schedule).parameters.items()
            if parameter.default is parameter.empty
        ]
        good = good and len(needed) == 1
    else:
        good = not isinstance(schedule, Callback) or isinstance(schedule, LRScheduler)
    if not good:
        raise ValueError(
            "lr_schedule must be a name, None, a skorch.callbacks.LRScheduler "
            "instance, or a callable that makes a torch scheduler from an optimizer "
            "alone, such as functools.partial(torch.optim.lr_scheduler.StepLR, "
            f"step_size=10). Got {schedule!r}."
        )


def check_optimizer(optimizer: Any) -> None:
    """Refuse a callable that is not an optimizer class."""
    if not isinstance(optimizer, str) and not (
        inspect.isclass(optimizer) and issubclass(optimizer, torch.optim.Optimizer)
    ):
        raise ValueError(
            "optimizer must be a name or a class of torch.optim, not an instance: the "
            "parameters it optimises do not exist yet. Pass its options in net_params, "
            f"as {{'optimizer__momentum': 0.9}}. Got {optimizer!r}."
        )


def check_net_params(
    estimator: Any, *, set_here: set[str], instead: dict[str, str]
) -> None:
    """Refuse arguments of the net that the estimator sets.

    Parameters
    ----------
    estimator : estimator
        It has `net_params`; what has the name of a parameter of its own is refused.

    set_here : set of str
        Arguments that no parameter is for.

    instead : dict of str
        Parameters to use in place of arguments with other names.
    """
    instead = {**{name: name for name in estimator.get_params(deep=False)}, **instead}
    for name in estimator.net_params or {}:
        if name in instead:
            raise ValueError(
                f"net_params may not contain {name!r}: set the parameter "
                f"{instead[name]!r} of {type(estimator).__name__} instead."
            )
        if name in set_here:
            raise ValueError(
                f"net_params may not contain {name!r}: {type(estimator).__name__} sets "
                "it itself."
            )


def module_arguments(
    factory: Any, n_features: int, n_components: int
) -> dict[str, int]:
    """Arguments for a user's module class or factory: those that it names."""
    if isinstance(factory, nn.Module):
        return {}
    sizes = {"n_features": n_features, "n_components": n_components}
    try:
        accepted = inspect.signature(factory).parameters
    except ValueError:  # a builtin has no signature
        return {}
    return {name: size for name, size in sizes.items() if name in accepted}


def check_module(module: Any, x: Tensor, unit_interval: bool = False) -> int:
    """Check that a module encodes and decodes rows, and tell its code size.

    Parameters
    ----------
    module : torch.nn.Module
        The module, in evaluation mode.

    x : tensor of shape (n_rows, n_features)
        A few rows.

    unit_interval : bool, default=False
        Whether the reconstructions must be in [0, 1].

    Returns
    -------
    n_components : int
        Width of the codes.
    """
    name = type(module).__name__
    missing = [part for part in ("encode", "decode") if not hasattr(module, part)]
    if missing:
        raise ValueError(
            "module must be a torch.nn.Module with the methods encode(x) and "
            f"decode(z); {name} lacks {' and '.join(missing)}."
        )
    shape = tuple(x.shape)
    step, given = "encode", shape
    try:
        z = module.encode(x)
        if not isinstance(z, Tensor) or z.ndim != 2 or len(z) != len(x):
            raise ValueError(
                f"It must give a tensor of codes of shape ({shape[0]}, n_components), "
                f"and gave {tuple(z.shape) if isinstance(z, Tensor) else type(z)}"
            )
        step, given = "decode", tuple(z.shape)
        x_hat = module.decode(z)
    except (RuntimeError, ValueError, IndexError) as error:
        raise ValueError(
            f"{name}.{step} failed on a float32 input of shape {given}: {error}. X has "
            f"{shape[1]} columns, and the module must take such rows."
        ) from error
    if x_hat.shape != x.shape:
        raise ValueError(
            f"{name}.decode must map codes of shape {tuple(z.shape)} back to rows of "
            f"shape {shape}. It gave {tuple(x_hat.shape)}."
        )
    if unit_interval and not (x_hat.min() >= 0 and x_hat.max() <= 1):
        raise ValueError(
            f"loss='binary_cross_entropy' needs reconstructions in [0, 1]: let "
            f"{name}.decode end in torch.sigmoid. It gave values from "
            f"{x_hat.min():.4g} to {x_hat.max():.4g}."
        )
    return z.shape[1]


def check_hidden(module: Any, x: Tensor, parameter: str = "output") -> list[int]:
    """Check that a module gives hidden activations of rows, and tell their widths.

    `parameter` is the one that asks for them with "hidden".
    """
    name = type(module).__name__
    if not hasattr(module, "hidden"):
        raise ValueError(
            f"{parameter}='hidden' needs a module with a method hidden(x) that gives a "
            f"list of activations, and {name} has none. Set {parameter}='code'."
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
    """Give the widths of the hidden activations; none if there are no such layers."""
    return [part.shape[1] for part in module.hidden(x)]


def check_noise(net: AutoencoderNet, x: Tensor) -> None:
    """Refuse noise that fails on rows `x`, or gives them another shape."""
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
            f"noise must give rows of the shape it is given, {tuple(x.shape)}. "
            f"It gave {shape}."
        )
    if noisy.dtype != x.dtype or not noisy.isfinite().all():
        raise ValueError(
            "noise must give finite float32 rows, as it is given. "
            f"It gave {noisy.dtype} rows, of which {int((~noisy.isfinite()).sum())} "
            "entries are not finite."
        )
