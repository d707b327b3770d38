"""Plots of the features that the units and components of an autoencoder learned."""

import math
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skae._fitted import dense_rows, with_output
from skae.inspection import decoder_directions
from skae.plotting._axes import (
    COLOURS,
    as_images,
    image_shape_of,
    mean_there,
    new_axes,
    show_images,
    shown,
)

_NAMES = {"weights": "unit", "atoms": "component", "inputs": "unit"}
# Attributes that an estimator needs for each kind.
_NEEDED = {
    "weights": ["module_"],
    "atoms": ["transform", "inverse_transform"],
    "inputs": ["transform", "output"],
}


class FeatureDisplay:
    """Learned features: vectors with one entry for each column.

    Features of images are shown as images, from blue (negative) to red (positive).
    Features of a table are shown as bars, side by side.

    Parameters
    ----------
    features : array-like of shape (n_features_shown, n_columns) or \
            (n_features_shown, n_inputs, n_columns)
        The features, or several rows for each of them.

    names : sequence of str, default=None
        Names of the features. None numbers them from 0.

    image_shape : tuple of int, default=None
        (height, width) of features that are images. None means features of a table.

    feature_names : sequence of str, default=None
        Names of the columns of a table.

    n_columns : int, default=20
        Maximum number of columns of a table to show: those with the largest entries.

    Attributes
    ----------
    image_ : matplotlib AxesImage
        The picture. Only set for images.

    bars_ : list of matplotlib BarContainer
        The bars of each feature. Only set for a table. The longest bar, for the largest
        entry of all features, reaches halfway to the next feature.

    ax_ : matplotlib Axes
        Axes of the picture.

    figure_ : matplotlib Figure
        Figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import FeatureDisplay
    >>> X = load_digits().data
    >>> model = AutoencoderTransformer(8, max_epochs=3, random_state=0).fit(X)
    >>> display = FeatureDisplay.from_estimator(
    ...     model, X, kind="atoms", image_shape=(8, 8)
    ... )
    """

    def __init__(
        self,
        features: ArrayLike,
        *,
        names: Sequence[str] | None = None,
        image_shape: tuple[int, ...] | None = None,
        feature_names: Any = None,
        n_columns: int = 20,
    ) -> None:
        self.features = features
        self.names = names
        self.image_shape = image_shape
        self.feature_names = feature_names
        self.n_columns = n_columns

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike | None = None,
        *,
        kind: str = "weights",
        units: Sequence[int] | None = None,
        n_inputs: int = 6,
        image_shape: tuple[int, ...] | None = None,
        n_columns: int = 20,
        ax: Any = None,
    ) -> Self:
        """Plot features of a fitted autoencoder.

        Parameters
        ----------
        estimator : estimator
            Fitted autoencoder.

        X : array-like of shape (n_samples, n_features), default=None
            Rows. Needed for all kinds except "weights".

        kind : {"weights", "atoms", "inputs"}, default="weights"
            "weights" shows the weights of each unit of the encoder's first layer. For a
            convolutional layer it shows the kernels, averaged over the input channels.

            "atoms" shows how each component of the code changes a decoded row when it
            rises by one standard deviation from its median. All other components stay
            at their medians.

            "inputs" shows the rows that activate each hidden unit most, the strongest
            on the left. For a sparse code it shows those of each unit of the code. For
            a table it shows the mean of these rows, in standard deviations from the
            mean row.

        units : sequence of int, default=None
            Units or components to show, counted from 0. Units of the second hidden
            layer come after those of the first. None shows the first 100 for images,
            and the first 10 for a table or for ``kind="inputs"``.

        n_inputs : int, default=6
            Number of rows to show for each unit.

        image_shape : tuple of int, default=None
            (height, width) of rows that are images. None means a table. It is not
            needed for the kernels of a convolutional layer, nor for a
            :class:`~skae.ConvAutoencoder`, which stores the shape of its images.

        n_columns : int, default=20
            Maximum number of columns of a table to show: those with the largest
            entries.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : FeatureDisplay
        """
        if kind not in _NAMES:
            raise ValueError(
                f"kind must be 'weights', 'atoms' or 'inputs'. Got {kind!r}."
            )
        name = f"{cls.__name__} of {kind}"
        estimator = shown(estimator, name, *_NEEDED[kind], numbers=True)
        if kind == "weights":
            features = _first_weights(estimator)
            if features.ndim > 2:
                image_shape = features.shape[1:]
                features = features.reshape(len(features), -1)
        elif X is None:
            raise ValueError(f"kind={kind!r} needs rows: pass X.")
        else:
            image_shape = image_shape_of(estimator, image_shape)
            if kind == "atoms":
                features = decoder_directions(estimator, X)
            else:
                features = _activations(estimator, X).T  # one row for each unit
        many = 100 if image_shape is not None and kind != "inputs" else 10
        if units is None:
            units = range(min(many, len(features)))
        if not all(0 <= unit < len(features) for unit in units):
            raise ValueError(
                f"units must be some of the {len(features)} available units, counted "
                f"from 0. Got {list(units)}."
            )
        features = features[list(units)]
        if kind == "inputs" and X is not None:
            rows = dense_rows(estimator, X)
            top = np.argsort(-features, axis=1, kind="stable")[:, :n_inputs]
            features = rows[top]  # (units, inputs, columns)
            if image_shape is None:
                mean = mean_there(rows, axis=0)
                spread = np.sqrt(mean_there(np.square(rows - mean), axis=0))
                features = mean_there(features - mean, axis=1)
                features /= np.where(spread > 0, spread, 1)
        return cls(
            features,
            names=[f"{_NAMES[kind]} {unit}" for unit in units],
            image_shape=image_shape,
            feature_names=getattr(estimator, "feature_names_in_", None),
            n_columns=n_columns,
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the features.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : FeatureDisplay
        """
        ax = new_axes(ax, "FeatureDisplay.plot")
        features = np.asarray(self.features, dtype=float)
        names = self.names or [str(i) for i in range(len(features))]
        if self.image_shape is None:
            self._plot_bars(ax, features, names)
        elif features.ndim == 3:
            self._plot_inputs(ax, features, names)
        else:
            self._plot_images(ax, features)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _plot_images(self, ax: Any, features: np.ndarray) -> None:
        assert self.image_shape is not None
        n_across = math.ceil(math.sqrt(len(features)))
        n_rows = math.ceil(len(features) / n_across)
        images = as_images(features, self.image_shape)
        grid = np.full((n_rows * n_across, *images.shape[1:]), np.nan)
        grid[: len(images)] = images
        largest = np.abs(features).max() or 1.0
        self.image_ = show_images(
            ax,
            grid.reshape(n_rows, n_across, *images.shape[1:]),
            -largest,
            largest,
            cmap="RdBu_r",
        )
        ax.set(xticks=[], yticks=[])
        if images.ndim == 3:
            ax.figure.colorbar(self.image_, ax=ax)

    def _plot_inputs(self, ax: Any, features: np.ndarray, names: Sequence[str]) -> None:
        assert self.image_shape is not None
        images = as_images(features, self.image_shape)
        self.image_ = show_images(ax, images, features.min(), features.max())
        height = self.image_shape[0] + 1
        ax.set_yticks(np.arange(len(images)) * height + height / 2 - 1, names)
        ax.set(xticks=[], xlabel="rows that activate it most")
        ax.tick_params(length=0)

    def _plot_bars(self, ax: Any, features: np.ndarray, names: Sequence[str]) -> None:
        if features.ndim != 2:
            raise ValueError(
                f"features have the shape {features.shape}. Without image_shape, pass "
                "features of shape (n_features_shown, n_columns)."
            )
        size = np.abs(features).max(axis=0)
        shown = np.sort(np.argsort(-size, kind="stable")[: self.n_columns])
        shares = features[:, shown] / (size.max() or 1.0)
        self.bars_ = []
        for i, share in enumerate(shares):
            colours = np.where(share < 0, COLOURS[0], COLOURS[1])
            self.bars_.append(
                ax.barh(range(len(shown)), share / 2, left=i, color=list(colours))
            )
            ax.axvline(i, color="0.4", linewidth=0.5)
        columns = self.feature_names
        labels = [str(j) if columns is None else str(columns[j]) for j in shown]
        ax.set_yticks(range(len(shown)), labels, fontsize="small")
        ax.set_xticks(range(len(names)), names, rotation=90)
        ax.set(xlim=(-0.5, len(names) - 0.5), ylabel="column")
        ax.invert_yaxis()
        ax.tick_params(length=0)


def _first_weights(estimator: Any) -> np.ndarray:
    """Return the weights of the first layer of the encoder.

    Their shape is (units, columns) or (kernels, height, width).
    """
    encoder = getattr(estimator.module_, "encoder", None)
    if encoder is not None:
        for parameter in encoder.parameters():
            if parameter.ndim == 2:
                return parameter.detach().cpu().numpy()
            if parameter.ndim == 4:
                return parameter.detach().cpu().numpy().mean(axis=1)
    raise ValueError(
        f"kind='weights' needs a module_ with layers in `encoder`, but "
        f"{type(estimator.module_).__name__} has none. Use kind='atoms'."
    )


def _activations(estimator: Any, X: Any) -> np.ndarray:
    # A sparse autoencoder has a single layer, so its units are the code.
    output = "code" if hasattr(estimator, "code_activity_") else "hidden"
    return np.asarray(with_output(estimator, output).transform(X))
