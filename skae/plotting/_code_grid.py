"""Images that are decoded from codes."""

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skae._fitted import with_output
from skae.plotting._axes import (
    as_images,
    grey,
    image_shape_of,
    new_axes,
    show_images,
    shown,
)


class CodeGridDisplay:
    """Images decoded from codes on a grid.

    Parameters
    ----------
    images : array-like of shape (n_rows, n_columns, height, width) or \
            (n_rows, n_columns, height, width, n_channels)
        The images; the first row is at the top.

    names : (str, str), default=("", "")
        Labels of the horizontal and the vertical axis.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The picture.

    ax_ : matplotlib Axes
        Axes of the picture.

    figure_ : matplotlib Figure
        Figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import CodeGridDisplay
    >>> X = load_digits().data
    >>> model = AutoencoderTransformer(2, max_epochs=3, random_state=0).fit(X)
    >>> display = CodeGridDisplay.from_estimator(model, X, image_shape=(8, 8))
    """

    def __init__(self, images: ArrayLike, names: tuple[str, str] = ("", "")) -> None:
        self.images = images
        self.names = names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        image_shape: tuple[int, ...] | None = None,
        components: tuple[int, int] = (0, 1),
        n_steps: int = 10,
        ax: Any = None,
    ) -> Self:
        """Decode a grid of codes over two components.

        All other components stay at their medians.

        Parameters
        ----------
        estimator : estimator
            Fitted autoencoder.

        X : array-like of shape (n_samples, n_features)
            Rows whose codes set the range of the grid: from the 5th to the 95th
            percentile of each component.

        image_shape : tuple of int, default=None
            (height, width) or (height, width, n_channels). It may be None only for a
            :class:`~skae.ConvAutoencoder`, which stores the shape of its images.

        components : (int, int), default=(0, 1)
            The components that vary from left to right and from bottom to top.

        n_steps : int, default=10
            Number of images in each row and in each column.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : CodeGridDisplay
        """
        needed = "transform", "inverse_transform"
        estimator = shown(estimator, cls.__name__, *needed, numbers=True)
        estimator = with_output(estimator, "code")
        codes = np.asarray(estimator.transform(X))
        across, up = components
        if not all(0 <= i < codes.shape[1] for i in components):
            raise ValueError(
                f"components must be two of the {codes.shape[1]} components of the "
                f"codes, counted from 0. Got {components}."
            )
        low, high = np.percentile(codes, [5, 95], axis=0)
        grid = np.tile(np.median(codes, axis=0), (n_steps, n_steps, 1))
        grid[..., up] = np.linspace(high[up], low[up], n_steps)[:, None]
        grid[..., across] = np.linspace(low[across], high[across], n_steps)
        rows = np.asarray(estimator.inverse_transform(grid.reshape(n_steps**2, -1)))
        images = _images(estimator, rows.reshape(n_steps, n_steps, -1), image_shape)
        return cls(images, (f"component {across}", f"component {up}")).plot(ax=ax)

    @classmethod
    def from_path(
        cls,
        estimator: Any,
        x_from: ArrayLike,
        x_to: ArrayLike,
        *,
        image_shape: tuple[int, ...] | None = None,
        n_steps: int = 10,
        ax: Any = None,
    ) -> Self:
        """Decode codes on the straight line between the codes of two rows.

        Parameters
        ----------
        estimator : estimator
            Fitted autoencoder.

        x_from, x_to : array-like of shape (n_features,)
            The two rows.

        image_shape : tuple of int, default=None
            (height, width) or (height, width, n_channels). It may be None only for a
            :class:`~skae.ConvAutoencoder`, which stores the shape of its images.

        n_steps : int, default=10
            Number of images, including the images of the two codes.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : CodeGridDisplay
        """
        needed = "transform", "inverse_transform"
        estimator = shown(estimator, cls.__name__, *needed, numbers=True)
        estimator = with_output(estimator, "code")
        ends = [_row(x_from), _row(x_to)]
        with warnings.catch_warnings():
            # A row taken from a frame no longer has column names.
            warnings.filterwarnings("ignore", "X does not have valid feature names")
            codes = np.asarray(estimator.transform(ends))
        path = np.linspace(codes[0], codes[1], n_steps)
        rows = np.asarray(estimator.inverse_transform(path))
        images = _images(estimator, rows.reshape(1, n_steps, -1), image_shape)
        return cls(images, ("from x_from to x_to", "")).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the images.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : CodeGridDisplay
        """
        ax = new_axes(ax, "CodeGridDisplay.plot")
        images = np.asarray(self.images, dtype=float)
        images = grey(images, images.ndim == 5)
        self.image_ = show_images(ax, images, images.min(), images.max())
        ax.set(xticks=[], yticks=[], xlabel=self.names[0], ylabel=self.names[1])
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _row(x: Any) -> np.ndarray:
    """Convert a row to an array; a sparse matrix or a frame holds just this row."""
    if hasattr(x, "toarray") or hasattr(x, "columns"):
        return np.ravel(x.toarray() if hasattr(x, "toarray") else x)
    return np.asarray(x)


def _images(
    estimator: Any, rows: np.ndarray, image_shape: tuple[int, ...] | None
) -> np.ndarray:
    shape = image_shape_of(estimator, image_shape)
    if shape is None:
        raise ValueError(
            f"{type(estimator).__name__} decodes codes to rows of {rows.shape[-1]} "
            "columns: pass image_shape, (height, width) or (height, width, n_channels) "
            "whose product is the number of columns."
        )
    return as_images(rows, shape)
