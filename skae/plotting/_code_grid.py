"""What codes stand for."""

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skae.plotting._axes import (
    as_images,
    check_shows,
    giving,
    grey,
    image_shape_of,
    new_axes,
    show_images,
)


class CodeGridDisplay:
    """Images that codes on a grid are decoded to.

    Parameters
    ----------
    images : array-like of shape (n_rows, n_columns, height, width) or \
            (n_rows, n_columns, height, width, n_channels)
        The images, the first row on top.

    names : (str, str), default=("", "")
        Names of what changes from left to right and from bottom to top.

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
        """Decode a grid over two components; all others stay at their medians.

        Parameters
        ----------
        estimator : estimator
            Fitted autoencoder.

        X : array-like of shape (n_samples, n_features)
            Rows whose codes tell where the grid is: from the 5th to the 95th
            percentile of each component.

        image_shape : tuple of int, default=None
            (height, width) or (height, width, n_channels). Only
            :class:`~skae.ConvAutoencoder` knows it by itself.

        components : (int, int), default=(0, 1)
            The components that change from left to right and from bottom to top.

        n_steps : int, default=10
            Images in a row, and in a column.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : CodeGridDisplay
        """
        check_shows(estimator, cls.__name__, "transform", "inverse_transform")
        estimator = giving(estimator, "code")
        codes = np.asarray(estimator.transform(X))
        across, up = components
        if not all(0 <= i < codes.shape[1] for i in components):
            raise ValueError(
                f"components must be two of the {codes.shape[1]} of the codes, counted "
                f"from 0. Got {components}."
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
        """Decode the straight way from the code of one row to that of another.

        Parameters
        ----------
        estimator : estimator
            Fitted autoencoder.

        x_from, x_to : array-like of shape (n_features,)
            The two rows.

        image_shape : tuple of int, default=None
            (height, width) or (height, width, n_channels). Only
            :class:`~skae.ConvAutoencoder` knows it by itself.

        n_steps : int, default=10
            Images, with those of the two codes.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : CodeGridDisplay
        """
        check_shows(estimator, cls.__name__, "transform", "inverse_transform")
        estimator = giving(estimator, "code")
        ends = [_row(x_from), _row(x_to)]
        with warnings.catch_warnings():
            # A row of a frame has lost the names of the columns.
            warnings.filterwarnings("ignore", "X does not have valid feature names")
            codes = np.asarray(estimator.transform(ends))
        path = np.linspace(codes[0], codes[1], n_steps)
        rows = np.asarray(estimator.inverse_transform(path))
        images = _images(estimator, rows.reshape(1, n_steps, -1), image_shape)
        return cls(images, ("way", "")).plot(ax=ax)

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
    """Give a row, also one that is a sparse matrix or a frame of one row."""
    if hasattr(x, "toarray") or hasattr(x, "columns"):
        return np.ravel(x.toarray() if hasattr(x, "toarray") else x)
    return np.asarray(x)


def _images(
    estimator: Any, rows: np.ndarray, image_shape: tuple[int, ...] | None
) -> np.ndarray:
    shape = image_shape_of(estimator, image_shape)
    if shape is None:
        raise ValueError(
            f"What {type(estimator).__name__} decodes are rows of {rows.shape[-1]} "
            "columns: give image_shape, (height, width) or (height, width, n_channels) "
            "of that many."
        )
    return as_images(rows, shape)
