"""Plots of rows decoded along the components of the code."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar

from skae._fitted import dense_rows
from skae.inspection import decoded_ranges
from skae.plotting._axes import (
    as_images,
    image_shape_of,
    mean_there,
    new_axes,
    show_images,
    shown,
)


class CodeRangeDisplay:
    """Rows decoded while one component of the code moves through its range.

    Images are shown as images, with a row of them for each component. Series are shown
    as lines, dark at the lower end of the range and bright at the upper end. Tables are
    shown as heat maps, one for each component, side by side: values are blue below and
    red above the middle of their column.

    Parameters
    ----------
    rows : array-like of shape (n_components, n_steps, n_features)
        The decoded rows. The columns of a table must have comparable units.

    names : sequence of str, default=None
        Names of the components. None numbers them from 0.

    image_shape : tuple of int, default=None
        (height, width) or (height, width, n_channels) of rows that are images.

    series_shape : tuple of int, default=None
        (n_steps,) or (n_steps, n_channels) of rows that are series. If both shapes are
        None, they are rows of a table.

    feature_names : sequence of str, default=None
        Names of the columns of a table.

    n_columns : int, default=20
        Maximum number of columns of a table to show: those that change most.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The picture. Only set for images and tables.

    lines_ : list of matplotlib Line2D
        The lines of series, ordered by component, then step, then channel. Only set for
        series.

    ax_ : matplotlib Axes
        Axes of the picture.

    figure_ : matplotlib Figure
        Figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import CodeRangeDisplay
    >>> X = load_iris(as_frame=True).data
    >>> model = AutoencoderTransformer(2, max_epochs=3, random_state=0).fit(X)
    >>> display = CodeRangeDisplay.from_estimator(model, X)
    """

    def __init__(
        self,
        rows: ArrayLike,
        *,
        names: Sequence[str] | None = None,
        image_shape: tuple[int, ...] | None = None,
        series_shape: tuple[int, ...] | None = None,
        feature_names: Any = None,
        n_columns: int = 20,
    ) -> None:
        self.rows = rows
        self.names = names
        self.image_shape = image_shape
        self.series_shape = series_shape
        self.feature_names = feature_names
        self.n_columns = n_columns

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        components: Sequence[int] | None = None,
        n_steps: int = 7,
        image_shape: tuple[int, ...] | None = None,
        series_shape: tuple[int, ...] | None = None,
        n_columns: int = 20,
        ax: Any = None,
    ) -> Self:
        """Decode the range of each component, and plot the rows.

        Parameters
        ----------
        estimator : estimator
            Fitted autoencoder.

        X : array-like of shape (n_samples, n_features)
            Rows whose codes set the ranges: from the 5th to the 95th percentile of a
            component, with all others at their medians. Columns of a table are shown in
            standard deviations of these rows.

        components : sequence of int, default=None
            Components to show, counted from 0. None shows the first 8.

        n_steps : int, default=7
            Number of rows for each component.

        image_shape : tuple of int, default=None
            (height, width) or (height, width, n_channels) of rows that are images. Not
            needed for a :class:`~skae.ConvAutoencoder`.

        series_shape : tuple of int, default=None
            (n_steps,) or (n_steps, n_channels) of rows that are series. Not needed for
            a :class:`~skae.RecurrentAutoencoder`. If both shapes are None, other
            estimators have rows of a table.

        n_columns : int, default=20
            Maximum number of columns of a table to show: those that change most.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : CodeRangeDisplay
        """
        check_scalar(n_columns, "n_columns", Integral, min_val=1)
        needed = "transform", "inverse_transform"
        estimator = shown(estimator, cls.__name__, *needed, numbers=True)
        rows = decoded_ranges(estimator, X, n_steps)
        if components is None:
            components = range(min(8, len(rows)))
        chosen = np.asarray(components)
        if (
            chosen.ndim != 1
            or not chosen.size
            or not np.isin(chosen, np.arange(len(rows))).all()
        ):
            raise ValueError(
                "components must be a list with some of the "
                f"{len(rows)} components of the codes, counted from 0. "
                f"Got {components!r}."
            )
        rows = rows[chosen.astype(int)]
        image_shape = image_shape_of(estimator, image_shape)
        if image_shape is None and series_shape is None:
            series_shape = getattr(estimator, "series_shape_", None)
        if image_shape is None and series_shape is None:
            table = dense_rows(estimator, X)
            centred = table - mean_there(table, axis=0)
            spread = np.sqrt(mean_there(np.square(centred), axis=0))
            rows = rows / np.where(spread > 0, spread, 1)
        return cls(
            rows,
            names=[f"component {i}" for i in components],
            image_shape=image_shape,
            series_shape=series_shape,
            feature_names=getattr(estimator, "feature_names_in_", None),
            n_columns=n_columns,
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the rows.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : CodeRangeDisplay
        """
        ax = new_axes(ax, "CodeRangeDisplay.plot")
        rows = np.asarray(self.rows, dtype=float)
        names = self.names or [str(i) for i in range(len(rows))]
        if self.series_shape is not None and self.image_shape is None:
            self._plot_series(ax, rows, names)
        elif self.image_shape is None:
            self._plot_columns(ax, rows, names)
        else:
            images = as_images(rows, self.image_shape)
            self.image_ = show_images(ax, images, rows.min(), rows.max())
            height = self.image_shape[0] + 1
            ax.set_yticks(np.arange(len(rows)) * height + height / 2 - 1, names)
            ax.set(xticks=[])
        ax.tick_params(length=0)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _plot_series(self, ax: Any, rows: np.ndarray, names: Sequence[str]) -> None:
        shape: Any = self.series_shape
        if np.prod(shape) != rows.shape[-1]:
            raise ValueError(
                f"series_shape={tuple(shape)} makes {np.prod(shape)} values; rows have "
                f"{rows.shape[-1]} columns. Pass (n_steps,) or (n_steps, n_channels) "
                "whose product is the number of columns."
            )
        series = rows.reshape(*rows.shape[:2], shape[0], -1)
        height = np.nanmax(series) - np.nanmin(series) or 1.0
        middle = (np.nanmax(series) + np.nanmin(series)) / 2
        series = (series - middle) / (1.1 * height)  # each component has a band of 1
        # The channels are side by side, and the components one below the other.
        times = np.arange(shape[0])
        from matplotlib import colormaps

        colours = colormaps["viridis"](np.linspace(0, 0.9, rows.shape[1]))
        self.lines_ = [
            ax.plot(
                times + channel * 1.1 * shape[0],
                series[i, j, :, channel] - i,
                color=colours[j],
            )[0]
            for i in range(series.shape[0])
            for j in range(series.shape[1])
            for channel in range(series.shape[3])
        ]
        ax.set_yticks(-np.arange(len(series)), names)
        ax.set(xticks=[], ylim=(0.5 - len(series), 0.5))

    def _plot_columns(self, ax: Any, rows: np.ndarray, names: Sequence[str]) -> None:
        change = rows - (rows.min(axis=1) + rows.max(axis=1))[:, None] / 2
        size = np.abs(change).max(axis=(0, 1))
        shown = np.sort(np.argsort(-size, kind="stable")[: self.n_columns])
        largest = size.max() or 1.0
        # One block of the mosaic for each component: columns by steps.
        blocks = change[..., shown].swapaxes(1, 2)[None]
        self.image_ = show_images(ax, blocks, -largest, largest, cmap="RdBu_r")
        ax.set_aspect("auto")
        columns = self.feature_names
        labels = [str(j) if columns is None else str(columns[j]) for j in shown]
        ax.set_yticks(range(len(shown)), labels, fontsize="small")
        width = rows.shape[1] + 1
        places = np.arange(len(rows)) * width + width / 2 - 1
        ax.set_xticks(places, names, rotation=90)
        label = "standard deviations from the middle"
        ax.figure.colorbar(self.image_, ax=ax, label=label)
