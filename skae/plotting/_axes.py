"""What the displays share."""

import copy
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

# Of Okabe and Ito: told apart by the colour-blind, too.
COLOURS = [
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7"),
    *("#E69F00", "#56B4E9", "#000000", "#999999"),
]


def new_axes(ax: Any, caller: str) -> Any:
    """Give `ax`, or the axes of a new figure if it is None."""
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError(
            f"{caller} needs matplotlib, which is not installed. Install it with "
            "`pip install matplotlib`, or skae with the extra 'plot'."
        ) from error
    return plt.subplots(layout="constrained")[1] if ax is None else ax


def check_shows(estimator: Any, display: str, *attributes: str) -> None:
    """Refuse an estimator that is not fitted, or lacks what a display is made of."""
    check_is_fitted(estimator)
    missing = [name for name in attributes if not hasattr(estimator, name)]
    if not missing:
        return
    instead = "Give a fitted autoencoder"
    for name in ("pretrainer_", "autoencoder_"):
        if getattr(estimator, name, None) is not None:
            instead = f"Give its {name}, which is fitted"
    if hasattr(estimator, "steps"):
        instead = (
            "Give the step that has, and rows as the steps before give them: pipe[-1] "
            "and pipe[:-1].transform(X)"
        )
    raise TypeError(
        f"{display} needs an estimator that has {' and '.join(missing)}. Got "
        f"{type(estimator).__name__}. {instead}."
    )


def table(estimator: Any, X: Any) -> np.ndarray:
    """Give rows of any form as a dense table; series of unequal length end in NaN."""
    if hasattr(estimator, "_check_new_rows"):  # an autoencoder knows what it takes
        return np.asarray(estimator._check_new_rows(X)[:])
    return flat(X)


def flat(X: Any) -> np.ndarray:
    """Give a table or images as a dense table of floats."""
    X = np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=float)
    return X.reshape(len(X), -1)


def giving(estimator: Any, output: str) -> Any:
    """Give a fitted estimator whose `transform` gives "code", or something else.

    Transformers that are no autoencoders give codes alone, and are left as they are.
    """
    if not hasattr(estimator, "output"):
        return estimator
    return copy.copy(estimator).set_params(output=output)


def mean_there(values: np.ndarray, axis: int) -> np.ndarray:
    """Give the means of what is not NaN; 0 where all is."""
    there = ~np.isnan(values)
    total = np.where(there, values, 0).sum(axis=axis)
    return total / np.maximum(there.sum(axis=axis), 1)


def mosaic(images: np.ndarray) -> np.ndarray:
    """Put images side by side, with empty lines between them.

    Parameters
    ----------
    images : ndarray of shape (n_rows, n_columns, height, width) or \
            (n_rows, n_columns, height, width, n_channels)
        The images.

    Returns
    -------
    image : ndarray of shape (n_rows * (height + 1) - 1, n_columns * (width + 1) - 1) \
            or the same with n_channels at the end
        One image; what is empty is NaN.
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
    """Show images side by side, from `low` (by default white, or no colour) to `high`.

    Parameters are those of `mosaic`, and the axes; a matplotlib AxesImage is returned.
    """
    image = mosaic(images)
    if image.ndim == 3:  # matplotlib takes colours between 0 and 1
        image = np.nan_to_num((image - low) / ((high - low) or 1), nan=1.0).clip(0, 1)
    ax.spines[:].set_visible(False)
    return ax.imshow(image, cmap=cmap, vmin=low, vmax=high)


def as_images(rows: np.ndarray, image_shape: tuple[int, ...]) -> np.ndarray:
    """Give rows the shape of images, with channels last if there are any."""
    rows = np.asarray(rows)
    if len(image_shape) not in (2, 3) or np.prod(image_shape) != rows.shape[-1]:
        raise ValueError(
            f"image_shape={tuple(image_shape)} makes {np.prod(image_shape)} values; "
            f"rows have {rows.shape[-1]} columns. Give (height, width) or (height, "
            "width, n_channels) of that many."
        )
    return grey(rows.reshape(*rows.shape[:-1], *image_shape), len(image_shape) == 3)


def image_shape_of(
    estimator: Any, image_shape: tuple[int, ...] | None
) -> tuple[int, ...] | None:
    """Give the shape told, or else that of an autoencoder of images, if it is one.

    To convolutions, the rows of a table are images of one line.
    """
    known = getattr(estimator, "image_shape_", None)
    if image_shape is not None or known is None or known[0] == 1:
        return image_shape
    return known


def grey(images: np.ndarray, with_channels: bool) -> np.ndarray:
    """Leave out the channel of images that have one: they have no colours."""
    if with_channels and images.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"Images of {images.shape[-1]} channels have no colours; those of one "
            "channel are shown in grey, those of 3 or 4 as RGB or RGBA. Show one "
            "channel, for instance by ReconstructionDisplay(X[..., 0], X_hat[..., 0])."
        )
    one = with_channels and images.shape[-1] == 1
    return images[..., 0] if one else images
