"""Functions that all displays share."""

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skae.plotting._shown import as_shown

# The palette of Okabe and Ito, which colour-blind readers can distinguish.
COLOURS = [
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7"),
    *("#E69F00", "#56B4E9", "#000000", "#999999"),
]


def new_axes(ax: Any, caller: str) -> Any:
    """Return `ax`, or the axes of a new figure if it is None."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib, which is not installed. Install it with "
            "`pip install matplotlib`, or skae with the extra 'plot'."
        ) from error
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def shown(estimator: Any, display: str, *attributes: str, numbers: bool = False) -> Any:
    """Return a fitted estimator that a display can show.

    Raise an error if it is not fitted or lacks one of `attributes`, or if `numbers` is
    True and its rows are not numbers.
    """
    check_is_fitted(estimator)
    given = estimator
    if isinstance(given, Pipeline) or not all(hasattr(given, a) for a in attributes):
        estimator = as_shown(given)
    if numbers and not getattr(estimator, "_module_takes_rows", True):
        raise TypeError(
            f"{display} shows rows of numbers, but {type(given).__name__} has "
            "tables of mixed columns. Use ReconstructionDisplay, ErrorDisplay or "
            "CodeMapDisplay."
        )
    missing = [name for name in attributes if not hasattr(estimator, name)]
    if not missing:
        return estimator
    instead = "Pass a fitted autoencoder"
    for name in ("pretrainer_", "autoencoder_"):
        if getattr(given, name, None) is not None:
            instead = f"Pass its fitted {name}"
    if hasattr(given, "steps"):
        instead = (
            "Pass the autoencoder step, and the rows that the steps before it return: "
            "pipe[-1] and pipe[:-1].transform(X)"
        )
    raise TypeError(
        f"{display} needs an estimator with {' and '.join(missing)}. Got "
        f"{type(given).__name__}. {instead}."
    )


def mean_there(values: np.ndarray, axis: int) -> np.ndarray:
    """Compute means that ignore NaN; a mean of NaN only is 0."""
    there = ~np.isnan(values)
    total = np.where(there, values, 0).sum(axis=axis)
    return total / np.maximum(there.sum(axis=axis), 1)


def mosaic(images: np.ndarray) -> np.ndarray:
    """Arrange images in a grid, with a gap of one pixel between them.

    Parameters
    ----------
    images : ndarray of shape (n_rows, n_columns, height, width) or \
            (n_rows, n_columns, height, width, n_channels)
        The images.

    Returns
    -------
    image : ndarray of shape (n_rows * (height + 1) - 1, n_columns * (width + 1) - 1) \
            or the same with n_channels at the end
        One image; the gaps are NaN.
    """
    n_rows, n_columns, height, width, *channels = images.shape
    image = np.full(
        (n_rows * (height + 1) - 1, n_columns * (width + 1) - 1, *channels), np.nan
    )
    for i, row in enumerate(images):
        for j, part in enumerate(row):
            top, left = i * (height + 1), j * (width + 1)
            image[top : top + height, left : left + width] = part
    return image


def show_images(
    ax: Any, images: np.ndarray, low: float, high: float, cmap: str = "gray_r"
) -> Any:
    """Show images in a grid, as a matplotlib AxesImage.

    The array `images` has the shape that `mosaic` expects. Values of `low` are white by
    default, or black if there are colour channels.
    """
    image = mosaic(images)
    if image.ndim == 3:  # matplotlib expects colours between 0 and 1
        image = np.nan_to_num((image - low) / ((high - low) or 1), nan=1.0).clip(0, 1)
    ax.spines[:].set_visible(False)
    return ax.imshow(image, cmap=cmap, vmin=low, vmax=high)


def as_images(rows: np.ndarray, image_shape: tuple[int, ...]) -> np.ndarray:
    """Reshape rows to images, with channels last if there are any."""
    rows = np.asarray(rows)
    if len(image_shape) not in (2, 3) or np.prod(image_shape) != rows.shape[-1]:
        raise ValueError(
            f"image_shape={tuple(image_shape)} makes {np.prod(image_shape)} values; "
            f"rows have {rows.shape[-1]} columns. Pass (height, width) or (height, "
            "width, n_channels) whose product is the number of columns."
        )
    return grey(rows.reshape(*rows.shape[:-1], *image_shape), len(image_shape) == 3)


def image_shape_of(
    estimator: Any, image_shape: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    """Return `image_shape`, or the shape that the estimator was fitted to if None.

    The result is None if the estimator was not fitted to images.
    """
    known = getattr(estimator, "image_shape_", None)
    # A convolutional autoencoder treats the rows of a table as images of height 1.
    if image_shape is not None or known is None or known[0] == 1:
        return image_shape
    return known


def grey(images: np.ndarray, with_channels: bool) -> np.ndarray:
    """Drop the channel axis of images with a single channel."""
    if with_channels and images.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"Images must have 1 channel (grey), 3 (RGB) or 4 (RGBA). Got "
            f"{images.shape[-1]} channels. Show one channel, for instance with "
            "ReconstructionDisplay(X[..., 0], X_hat[..., 0])."
        )
    one = with_channels and images.shape[-1] == 1
    return images[..., 0] if one else images
