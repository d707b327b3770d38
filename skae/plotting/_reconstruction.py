"""Plots of rows and their reconstructions."""

import math
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skae._fitted import dense_rows, flat
from skae._inputs import targets
from skae.plotting._axes import (
    COLOURS,
    as_images,
    image_shape_of,
    mean_there,
    mosaic,
    new_axes,
    show_images,
    shown,
)


class ReconstructionDisplay:
    """Rows above their reconstructions.

    Images are shown as images, and series as lines. A table is shown as a heat map,
    with each row above its reconstruction. Its columns are centred and divided by their
    standard deviation in the rows shown. A table of mixed columns is shown as text;
    cells with a larger loss are redder.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features) or \
            (n_samples, height, width) or (n_samples, height, width, n_channels), or \
            list of series of shape (steps, n_channels)
        Rows. Series are NaN after their end.

    X_hat : array-like of shape (n_samples, n_features)
        Reconstructions of the rows.

    X_noisy : array-like of shape (n_samples, n_features), default=None
        Input of the encoder, if it was not `X`.

    image_shape : tuple of int, default=None
        (height, width) or (height, width, n_channels) of rows that are images. None
        uses the shape of the images if `X` has more than two dimensions.

    series_shape : tuple of int, default=None
        (n_steps,) or (n_steps, n_channels) of rows that are series. If both shapes are
        None, the rows are shown as a table.

    feature_names : sequence of str, default=None
        Names of the columns of a table.

    cell_error : array-like of shape (n_samples, n_features), default=None
        Losses of the cells of a table of mixed columns, in units of the loss of the
        mean row; NaN where a value is missing. `X` and `X_hat` may then be DataFrames.
        None: all columns are numbers.

    Attributes
    ----------
    error_ : ndarray of shape (n_samples,)
        Mean squared error of each reconstruction, or mean of its `cell_error`.

    image_ : matplotlib AxesImage
        The picture. Only set for images and tables.

    lines_ : dict of str to list of matplotlib Line2D
        The lines of "input", "noisy" and "output", one for each channel of each row.
        Only set for series.

    texts_ : ndarray of matplotlib Text of shape (2 * n_samples, n_features)
        The cells of rows and reconstructions. Only set for tables of mixed columns.

    ax_ : matplotlib Axes
        Axes of the picture.

    figure_ : matplotlib Figure
        Figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import ReconstructionDisplay
    >>> X = load_digits().data
    >>> model = AutoencoderTransformer(8, max_epochs=3, random_state=0).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(
    ...     model, X[:10], image_shape=(8, 8)
    ... )
    """

    def __init__(
        self,
        X: ArrayLike,
        X_hat: ArrayLike,
        *,
        X_noisy: ArrayLike | None = None,
        image_shape: tuple[int, ...] | None = None,
        series_shape: tuple[int, ...] | None = None,
        feature_names: Any = None,
        cell_error: ArrayLike | None = None,
    ) -> None:
        self.X = X
        self.X_hat = X_hat
        self.X_noisy = X_noisy
        self.image_shape = image_shape
        self.series_shape = series_shape
        self.feature_names = feature_names
        self.cell_error = cell_error

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        X_noisy: ArrayLike | None = None,
        image_shape: tuple[int, ...] | None = None,
        series_shape: tuple[int, ...] | None = None,
        ax: Any = None,
    ) -> Self:
        """Reconstruct rows and plot them.

        Parameters
        ----------
        estimator : estimator
            Fitted autoencoder.

        X : {array-like, sparse matrix} of shape (n_samples, n_features) or \
            (n_samples, height, width) or (n_samples, height, width, n_channels), or \
            list of series
            The rows to show, in any form that the autoencoder accepts. About ten are
            easy to read.

        X_noisy : array-like of shape (n_samples, n_features), default=None
            The same rows with noise, as input of the encoder. None uses `X`.

        image_shape : tuple of int, default=None
            (height, width) or (height, width, n_channels) of rows that are images. None
            uses the shape that a :class:`~skae.ConvAutoencoder` was fitted to, or the
            shape of the images if `X` has more than two dimensions.

        series_shape : tuple of int, default=None
            (n_steps,) or (n_steps, n_channels) of rows that are series. If both shapes
            are None, rows of a :class:`~skae.RecurrentAutoencoder` are shown as series
            and other rows as a table.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : ReconstructionDisplay
        """
        estimator = shown(estimator, cls.__name__, "reconstruct")
        if not getattr(estimator, "_module_takes_rows", True):
            _check_no_shapes(estimator, X_noisy, image_shape, series_shape)
            return cls(
                X,
                estimator.reconstruct(X),
                feature_names=estimator.encoder_._names,
                cell_error=estimator.reconstruction_error(X, per_feature=True),
            ).plot(ax=ax)
        if image_shape is None and series_shape is None:
            series_shape = getattr(estimator, "series_shape_", None)
            image_shape = image_shape_of(estimator, None)
            if series_shape is None and image_shape is None and np.ndim(X) > 2:
                image_shape = np.shape(X)[1:]
        noisy = None if X_noisy is None else dense_rows(estimator, X_noisy)
        return cls(
            dense_rows(estimator, X),
            flat(estimator.reconstruct(X if X_noisy is None else X_noisy)),
            X_noisy=noisy,
            image_shape=image_shape,
            series_shape=series_shape,
            feature_names=getattr(estimator, "feature_names_in_", None),
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot rows and reconstructions.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : ReconstructionDisplay
        """
        ax = new_axes(ax, "ReconstructionDisplay.plot")
        self.ax_, self.figure_ = ax, ax.figure
        if self.cell_error is not None:
            self._plot_cells(ax, np.asarray(self.cell_error))
            return self
        parts = {"input": self.X, "noisy": self.X_noisy, "output": self.X_hat}
        rows = {
            name: _flat(part, self.series_shape)
            for name, part in parts.items()
            if part is not None
        }
        image_shape = self.image_shape
        if image_shape is None and self.series_shape is None and np.ndim(self.X) > 2:
            image_shape = np.shape(self.X)[1:]
        self.error_ = mean_there(np.square(rows["input"] - rows["output"]), axis=1)
        if self.series_shape is not None:
            self._plot_series(ax, rows, self.series_shape)
        elif image_shape is not None:
            self._plot_images(ax, rows, image_shape)
        else:
            self._plot_table(ax, rows)
        return self

    def _plot_images(
        self, ax: Any, rows: dict[str, np.ndarray], image_shape: tuple[int, ...]
    ) -> None:
        images = as_images(np.stack(list(rows.values())), image_shape)
        low, high = rows["input"].min(), rows["input"].max()
        self.image_ = show_images(ax, images, low, high)
        height, width = image_shape[0] + 1, image_shape[1] + 1
        ax.set_yticks(np.arange(len(images)) * height + height / 2 - 1, list(rows))
        self._label_errors(ax, width, width / 2 - 1)

    def _plot_series(
        self, ax: Any, rows: dict[str, np.ndarray], series_shape: tuple[int, ...]
    ) -> None:
        n_steps, *channels = series_shape
        n_channels = math.prod(channels)
        n_columns = rows["input"].shape[1]
        if len(channels) > 1 or n_steps * n_channels != n_columns:
            raise ValueError(
                f"series_shape={tuple(series_shape)} makes {n_steps * n_channels} "
                f"values; rows have {n_columns} columns. Pass (n_steps,) or (n_steps, "
                "n_channels) whose product is the number of columns."
            )
        X = rows["input"].reshape(-1, n_steps, n_channels)
        low, high = np.nanmin(X, axis=(0, 1)), np.nanmax(X, axis=(0, 1))
        size = np.where(high > low, high - low, 1)
        width = n_steps * 1.1
        styles = {
            "input": {"color": COLOURS[6], "linewidth": 1.5},
            "noisy": {"color": COLOURS[7], "linewidth": 0.7},
            "output": {"color": COLOURS[1], "linewidth": 1.2, "linestyle": "--"},
        }
        self.lines_ = {}
        for name, part in rows.items():
            series = (part.reshape(X.shape) - low) / size  # each channel from 0 to 1
            self.lines_[name] = [
                ax.plot(
                    i * width + np.arange(n_steps),
                    series[i, :, j] - 1.1 * j,
                    label=name if i + j == 0 else None,
                    # A line through a single step is invisible without a marker.
                    marker="." if np.isfinite(series[i, :, j]).sum() == 1 else "",
                    **styles[name],
                )[0]
                for i in range(len(series))
                for j in range(n_channels)
            ]
        ax.set_yticks(
            0.5 - 1.1 * np.arange(n_channels),
            [f"channel {j}" if n_channels > 1 else "" for j in range(n_channels)],
        )
        self._label_errors(ax, width, (n_steps - 1) / 2)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)

    def _label_errors(self, ax: Any, width: float, middle: float) -> None:
        """Label rows that stand side by side with their errors."""
        ax.set_xticks(
            np.arange(len(self.error_)) * width + middle,
            [f"{error:.2g}" for error in self.error_],
            fontsize="small",
            rotation=90 if len(self.error_) > 6 else 0,
        )
        ax.set_xlabel("mean squared error of the output")
        ax.tick_params(length=0)

    def _plot_table(self, ax: Any, rows: dict[str, np.ndarray]) -> None:
        X = rows["input"]
        spread = X.std(axis=0)
        scaled = (np.stack(list(rows.values()), axis=1) - X.mean(axis=0)) / np.where(
            spread > 0, spread, 1
        )
        n_samples, n_parts, n_features = scaled.shape
        table = mosaic(scaled[:, None])
        self.image_ = ax.imshow(
            table, cmap="RdBu_r", vmin=-3, vmax=3, aspect="auto", interpolation="none"
        )
        labels = [
            f"{name} {i}" if name != "output" else f"output, error {error:.2g}"
            for i, error in enumerate(self.error_)
            for name in rows
        ]
        lines = np.arange(n_samples)[:, None] * (n_parts + 1) + np.arange(n_parts)
        ax.set_yticks(lines.ravel(), labels, fontsize="small")
        ax.tick_params(length=0)
        if self.feature_names is not None and n_features <= 30:
            ax.set_xticks(range(n_features), self.feature_names, rotation=90)
        else:
            ax.set_xlabel("column")
        ax.figure.colorbar(
            self.image_, ax=ax, label="standard deviations from the mean"
        )

    def _plot_cells(self, ax: Any, error: np.ndarray) -> None:
        self.error_ = mean_there(error, axis=1)
        texts = [_texts_of(part) for part in (self.X, self.X_hat)]
        n_samples, n_features = error.shape
        # The third line of each row is the space below it.
        shown = np.full((n_samples, 3, n_features), np.nan)
        shown[:, 1] = error
        self.image_ = ax.imshow(
            shown.reshape(-1, n_features)[:-1],
            cmap="Reds",
            vmin=0,
            vmax=2,
            aspect="auto",
            interpolation="none",
        )
        dark = np.nan_to_num(shown) > _DARK
        self.texts_ = np.array(
            [
                [
                    ax.text(
                        j,
                        3 * i + line,
                        part[i, j],
                        color="white" if dark[i, line, j] else "black",
                        ha="center",
                        va="center",
                        fontsize="x-small",
                    )
                    for j in range(n_features)
                ]
                for i in range(n_samples)
                for line, part in enumerate(texts)
            ]
        )
        labels = [
            text
            for i, mean in enumerate(self.error_)
            for text in (f"input {i}", f"output, error {mean:.2g}")
        ]
        lines = 3 * np.arange(n_samples)[:, None] + np.arange(2)
        ax.set_yticks(lines.ravel(), labels, fontsize="small")
        ax.tick_params(length=0)
        if self.feature_names is not None:
            ax.set_xticks(range(n_features), map(str, self.feature_names), rotation=30)
        else:
            ax.set_xlabel("column")
        ax.figure.colorbar(self.image_, ax=ax, label="loss in units of the column")


# Loss above which the colour of a cell is dark.
_DARK = 1.2


def _check_no_shapes(estimator: Any, *values: Any) -> None:
    """Raise a ValueError if an option for rows of numbers is set for a mixed table."""
    if any(value is not None for value in values):
        raise ValueError(
            f"{type(estimator).__name__} has tables of mixed columns. Leave out "
            "X_noisy, image_shape and series_shape, which are for rows of numbers."
        )


def _texts_of(table: Any, width: int = 12) -> np.ndarray:
    """Return short texts of the cells of a frame or an array."""
    cells = table.to_numpy() if hasattr(table, "to_numpy") else np.asarray(table)
    cells = cells.astype(object)
    missing = targets(cells)[1]
    texts = np.full(cells.shape, "–", dtype=object)
    for place in zip(*np.nonzero(~missing), strict=True):
        cell = cells[place]
        text = f"{cell:.4g}" if isinstance(cell, float) else str(cell)
        texts[place] = text if len(text) <= width else f"{text[: width - 1]}…"
    return texts


def _flat(rows: Any, series_shape: tuple[int, ...] | None) -> np.ndarray:
    """Convert rows to a table; series of unequal length are padded with NaN."""
    is_table = getattr(rows, "ndim", 0) == 2
    if series_shape is not None and not is_table and np.ndim(rows[0]) == 2:
        padded = np.full((len(rows), *series_shape), np.nan)
        for row, series in zip(padded, rows, strict=True):
            row[: len(series)] = series
        rows = padded
    return flat(rows)
