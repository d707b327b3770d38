"""Forms of rows: flat rows, images and series, with conversions to a table and back."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from skae import _checks as checks
from skae._inputs import plain


@dataclass(frozen=True)
class FlatRows:
    """Rows of a table."""

    # Number of values in a step, for rows that are series and may end in NaN.
    n_channels: ClassVar[int | None] = None

    def to_table(self, X: Any, name: str = "X") -> Any:
        """Return rows as a table; invalid ones are left to scikit-learn's checks."""
        return plain(X, name, fill_masked=True)

    def shape(self, n_features: int) -> tuple[int, ...]:
        """Return the shape of a row."""
        return (n_features,)

    def restore(self, rows: np.ndarray) -> np.ndarray:
        """Return rows of a table in the form that `fit` received."""
        return rows.reshape(len(rows), *self.shape(rows.shape[1]))


@dataclass(frozen=True)
class TableRows(FlatRows):
    """Rows of a table of mixed columns, encoded as a matrix.

    Parameters
    ----------
    encoder : TableEncoder
        The fitted encoder.
    """

    encoder: Any

    def restore(self, rows: np.ndarray) -> Any:
        return self.encoder.inverse_transform(rows)


@dataclass(frozen=True)
class ImageRows(FlatRows):
    """Flattened images.

    Parameters
    ----------
    given : tuple of int or None
        Shape of the images in `fit`; None if `fit` received a table.

    asked : tuple of int or None
        The parameter `image_shape`.

    n_features : int, default=None
        Number of columns in `fit`; None during `fit`.
    """

    given: tuple[int, ...] | None
    asked: Any
    n_features: int | None = None

    @classmethod
    def of(cls, X: Any, asked: Any) -> "ImageRows":
        """Return the form of rows that `fit` received."""
        X = _stacked(plain(X))
        are_images = getattr(X, "ndim", 2) in (3, 4)
        return cls(tuple(X.shape[1:]) if are_images else None, asked)

    def to_table(self, X: Any, name: str = "X") -> Any:
        X = _stacked(plain(X, name))
        n_axes = getattr(X, "ndim", 2)
        _check_axes(
            X,
            4,
            "an array of images, of shape (n_images, height, width) or (n_images, "
            "height, width, n_channels), or a table of one flattened image a row",
            "image_shape",
        )
        if n_axes not in (3, 4):
            return X
        shape, expected = tuple(X.shape[1:]), self.asked
        if self.n_features is not None:
            expected = self.image_shape(self.n_features)
        if expected is not None and _with_channels(expected) != _with_channels(shape):
            where = "image_shape is" if self.n_features is None else "in fit they had"
            raise ValueError(
                f"{name} has images of shape {shape}; {where} {tuple(expected)}. Pass "
                "images of that shape; with image_shape=None, fit accepts any."
            )
        return X.reshape(len(X), math.prod(shape))

    def shape(self, n_features: int) -> tuple[int, ...]:
        return self.given or (n_features,)

    def image_shape(self, n_features: int) -> tuple[int, ...]:
        """Return the shape of images with a number of columns in a table."""
        shape = self.asked if self.asked is not None else self.given
        if shape is None:
            side = math.isqrt(n_features)
            return (side, side) if side**2 == n_features else (1, n_features)
        sizes = checks.whole_numbers(shape)
        if sizes is None or len(sizes) not in (2, 3):
            raise ValueError(
                "image_shape must be (height, width) or (height, width, n_channels), "
                f"positive integers, or None. Got {self.asked!r}."
            )
        shape = tuple(sizes)
        if math.prod(shape) != n_features:
            raise ValueError(
                f"image_shape={shape} needs {math.prod(shape)} columns; X has "
                f"{n_features} columns. Set it to a (height, width) or (height, width, "
                "n_channels) with that product."
            )
        return shape


def _check_axes(X: Any, most: int, allowed: str, parameter: str) -> None:
    """Raise if an array has too many axes, or a sparse one more than two."""
    n_axes = getattr(X, "ndim", 2)
    if n_axes > most or (n_axes > 2 and not hasattr(X, "__array__")):
        raise ValueError(
            f"Found array with dim {n_axes}. X must be {allowed}. Got "
            f"{type(X).__name__} of shape {tuple(X.shape)}. Pass "
            f"X.reshape(X.shape[0], -1), and {parameter} to the estimator."
        )


def _stacked(images: Any) -> Any:
    """Stack a list of images to one array; return anything else unchanged."""
    if not (isinstance(images, list | tuple) and len(images) > 0):
        return images
    arrays = [np.asarray(image) for image in images]
    shapes = {array.shape for array in arrays}
    if not any(len(shape) in (2, 3) for shape in shapes):
        return images
    if len(shapes) > 1:
        raise ValueError(
            "All images must have the same shape, (height, width) or (height, width, "
            f"n_channels). Got images of the shapes {sorted(shapes)}: crop or resize "
            "them."
        )
    return np.stack(arrays)


def _with_channels(shape: Sequence[int]) -> tuple[int, ...]:
    """Return a shape of three numbers: images without channels have one."""
    return (*shape, 1) if len(shape) == 2 else tuple(shape)


@dataclass(frozen=True)
class SeriesRows(FlatRows):
    """Flattened series, which may be shorter than the longest one.

    Parameters
    ----------
    steps_and_channels : (int, int)
        Number of steps of the longest series, and of values in a step.

    are_series : bool
        Whether `fit` received series, and not a table.

    may_end : bool
        Whether rows may end in NaN.
    """

    steps_and_channels: Any
    are_series: bool
    may_end: bool

    @classmethod
    def of(cls, X: Any, series_shape: Any) -> "SeriesRows":
        """Return the form of rows that `fit` received."""
        X = plain(X, fill_masked=True)
        series = _series(X)
        may_end = series is not None or series_shape is not None
        return cls(_series_shape(X, series, series_shape), series is not None, may_end)

    @property
    def n_channels(self) -> int | None:  # type: ignore[override]
        """Number of values in a step; None if rows may not end in NaN."""
        return self.steps_and_channels[1] if self.may_end else None

    def to_table(self, X: Any, name: str = "X") -> Any:
        X = plain(X, name, fill_masked=True)
        series = _series(X)
        return X if series is None else _padded(series, self.steps_and_channels)

    def shape(self, n_features: int) -> tuple[int, ...]:
        return self.steps_and_channels if self.are_series else (n_features,)


def _series(X: Any) -> Any:
    """Return an array of three dimensions, or a list of series; None for a table."""
    _check_axes(
        X,
        3,
        "an array of shape (n_series, steps, channels), a list of series or a table of "
        "one flattened series a row",
        "series_shape",
    )
    if getattr(X, "ndim", 2) == 3:
        return np.asarray(X)
    if not (isinstance(X, list | tuple) and len(X) > 0):
        return None
    try:
        series = [np.asarray(each) for each in X]
    except ValueError as error:
        raise ValueError(
            "All series must be of shape (steps, channels), with as many channels in "
            f"each step. {error}"
        ) from error
    if any(each.dtype.kind == "c" for each in series):
        raise ValueError(
            "Complex data not supported. Pass real and imaginary parts as channels, "
            "for instance numpy.concatenate([s.real, s.imag], axis=1) for each series."
        )
    if all(each.ndim == 0 for each in series):
        return None  # for scikit-learn's message
    if all(each.ndim == 1 for each in series):
        if len({len(each) for each in series}) > 1:
            raise ValueError(
                "All series must be of shape (steps, channels). Got some of shape "
                "(steps,), of unequal length: pass numpy.asarray(series)[:, None] for "
                "each, which has one channel."
            )
        return None  # the rows of a table
    n_channels = next(each.shape[1] for each in series if each.ndim > 1)
    for i, each in enumerate(series):
        if each.ndim != 2 or each.shape[1] != n_channels:
            raise ValueError(
                "All series must be of shape (steps, channels), with the same number "
                f"of channels. One has {n_channels} channels. Series {i} has shape "
                f"{each.shape}."
            )
    return series


def _series_shape(X: Any, series: Any, series_shape: Any) -> Any:
    """Return steps and channels of the series, from `series_shape` or from the rows."""
    if series_shape is not None:
        shape = checks.whole_numbers(series_shape)
        if shape is None or len(shape) != 2:
            raise ValueError(
                "series_shape must be (steps, channels), two positive ints, or None. "
                f"Got {series_shape!r}."
            )
        n_steps, n_channels = shape
        if series is None:
            n_columns = (checks.shape_of(X) or np.asarray(X).shape)[1:]
            if n_columns and n_columns[0] != n_steps * n_channels:
                raise ValueError(
                    f"series_shape=({n_steps}, {n_channels}) needs rows of "
                    f"{n_steps * n_channels} columns, and X has {n_columns[0]}. Set "
                    "series_shape to the (steps, channels) of the longest series."
                )
        return n_steps, n_channels
    if series is None:
        n_columns = (checks.shape_of(X) or np.asarray(X).shape)[1:]
        return (n_columns[0], 1) if n_columns else None  # which checks will refuse
    if isinstance(series, list):
        return max(map(len, series)), series[0].shape[1]
    return series.shape[1:]


def _padded(series: Any, shape: tuple[int, int]) -> np.ndarray:
    """Return a table of series, with NaN after the ends."""
    n_steps, n_channels = shape
    longest, found = (
        (max(map(len, series)), series[0].shape[1])
        if isinstance(series, list)
        else series.shape[1:]
    )
    if found != n_channels or longest > n_steps:
        raise ValueError(
            f"Series must have {n_channels} channels and at most {n_steps} steps, like "
            f"those of `fit` or as set by series_shape. Got {found} channels and up to "
            f"{longest} steps. Arrays have the shape (n_series, steps, channels)."
        )
    if not isinstance(series, list) and longest == n_steps:
        return series.reshape(len(series), n_steps * n_channels)
    single = all(each.dtype == np.float32 for each in series)
    table = np.full(
        (len(series), n_steps, n_channels), np.nan, np.float32 if single else np.float64
    )
    for row, each in zip(table, series, strict=True):
        row[: len(each)] = each
    return table.reshape(len(table), n_steps * n_channels)
