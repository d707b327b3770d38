"""Scatter plots of codes."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.utils.multiclass import type_of_target

from skae._fitted import dense_rows, with_output
from skae._inputs import targets
from skae.plotting._axes import (
    COLOURS,
    as_images,
    grey,
    new_axes,
    shown,
)

_EMBEDDINGS = {
    "pca": lambda: PCA(2, random_state=0),
    "tsne": lambda: TSNE(2, random_state=0),
}

# Thumbnails: smallest distance as a share of the axes, and size in points.
_ROOM = 0.09
_THUMBNAIL = 20
# Points tried for thumbnails; more points rarely make room for another thumbnail.
_MAX_CANDIDATES = 5_000

# Colour of points without a target.
_MISSING = "lightgrey"


class CodeMapDisplay:
    """Scatter plot of codes in two dimensions.

    Parameters
    ----------
    points : array-like of shape (n_samples, 2)
        Coordinates of the rows.

    target : array-like of shape (n_samples,), default=None
        Classes or numbers that set the colours of the points. Those without a value are
        grey. Categories of pandas keep their order in the legend.

    images : array-like of shape (n_samples, height, width) or \
            (n_samples, height, width, n_channels), default=None
        Images of the rows. Some are shown at their points, without overlap.

    name : str, default="code"
        Label of the two axes.

    shares : (float, float), default=None
        Shares of the variance that the two axes explain. They are added to the labels.
        None adds nothing.

    target_name : str, default="target"
        Title of the legend, or label of the colour bar.

    Attributes
    ----------
    points_ : matplotlib PathCollection or list of it
        The points; a list with one collection for each class if there are classes.

    thumbnails_ : list of matplotlib AnnotationBbox
        The images shown.

    ax_ : matplotlib Axes
        Axes of the picture.

    figure_ : matplotlib Figure
        Figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import CodeMapDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> model = AutoencoderTransformer(2, max_epochs=3, random_state=0).fit(X)
    >>> display = CodeMapDisplay.from_estimator(model, X, y)
    """

    def __init__(
        self,
        points: ArrayLike,
        target: ArrayLike | None = None,
        *,
        images: ArrayLike | None = None,
        name: str = "code",
        shares: tuple[float, float] | None = None,
        target_name: str = "target",
    ) -> None:
        self.points = points
        self.target = target
        self.images = images
        self.name = name
        self.shares = shares
        self.target_name = target_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        y: Any = None,
        *,
        embedding: Any = "pca",
        image_shape: tuple[int, ...] | None = None,
        ax: Any = None,
    ) -> Self:
        """Encode rows and plot their codes.

        Parameters
        ----------
        estimator : estimator
            Fitted autoencoder.

        X : array-like of shape (n_samples, n_features)
            Rows.

        y : array-like of shape (n_samples,) or "error", default=None
            Classes or numbers that set the colours of the points; points without a
            value are grey. "error" colours them by the reconstruction error of each
            row.

        embedding : {"pca", "tsne"} or transformer, default="pca"
            Method that maps codes of more than two components to two dimensions. A
            transformer needs `fit_transform`. Codes of two components are shown as they
            are. If the estimator has `explained_variance_ratio_`, its codes are in
            order, and "pca" shows the first two components.

        image_shape : tuple of int, default=None
            (height, width) or (height, width, n_channels) of rows that are images. Some
            of them are then shown at their points. None shows no images.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : CodeMapDisplay
        """
        wants_error = isinstance(y, str) and y == "error"
        needed = ["transform", *(["reconstruction_error"] if wants_error else [])]
        estimator = shown(estimator, cls.__name__, *needed)
        if isinstance(embedding, str) and embedding not in _EMBEDDINGS:
            raise ValueError(
                f"embedding must be 'pca', 'tsne', or a transformer. Got {embedding!r}."
            )
        codes = np.asarray(with_output(estimator, "code").transform(X))
        if codes.shape[1] < 2:
            codes = np.column_stack([codes, np.zeros(len(codes))])
        name, ratio = "code", getattr(estimator, "explained_variance_ratio_", None)
        shares = None
        if ratio is not None and (len(ratio) == 2 or embedding == "pca"):
            # The codes are in the order of PCA already, and uncorrelated.
            codes, shares = codes[:, :2], tuple(ratio[:2]) if len(ratio) > 1 else None
        if codes.shape[1] > 2:
            if len(codes) < 2:
                raise ValueError(
                    f"At least two rows are needed to map codes of {codes.shape[1]} "
                    "components to two dimensions. X has 1 row. Pass more rows."
                )
            if isinstance(embedding, str):
                embedding = _EMBEDDINGS[embedding]()
            name = f"{type(embedding).__name__} of the codes"
            codes = np.asarray(embedding.fit_transform(codes))
        target, target_name = y, "target"
        if wants_error:
            target, target_name = estimator.reconstruction_error(X), "squared error"
        images = None
        if image_shape is not None:
            images = as_images(dense_rows(estimator, X), image_shape)
        return cls(
            codes,
            target,
            images=images,
            name=name,
            shares=shares,
            target_name=target_name,
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the codes.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : CodeMapDisplay
        """
        ax = new_axes(ax, "CodeMapDisplay.plot")
        points = np.asarray(self.points)
        # Thousands of points as vector graphics make files too large to open.
        style: dict[str, Any] = {
            "s": float(np.clip(20_000 / len(points), 1, 20)),
            "linewidths": 0,
            "rasterized": len(points) > 5_000,
        }
        target = None
        if self.target is not None:
            target, missing = targets(self.target)
            if missing.any():
                ax.scatter(*points[missing].T, color=_MISSING, label="missing", **style)
                points, target = points[~missing], target[~missing]
            if target.dtype == object:
                # This makes all values strings if -1 is mixed with strings.
                target = np.array(target.tolist())
        if target is None:
            self.points_ = ax.scatter(*points.T, color=COLOURS[0], **style)
        elif type_of_target(target) in ("binary", "multiclass") and (
            len(np.unique(target)) <= 20
        ):
            classes: Any = np.unique(target)
            levels = getattr(getattr(self.target, "dtype", None), "categories", None)
            if levels is not None:  # keep their order
                classes = [level for level in levels if level in classes]
            colours: Any = COLOURS
            if len(classes) > len(COLOURS):
                import matplotlib

                # Colours of tab20 come in pairs that look alike.
                n = 10 if len(classes) <= 10 else 20
                colours = matplotlib.colormaps[f"tab{n}"](range(n))
            self.points_ = [
                ax.scatter(*points[target == each].T, color=colour, label=each, **style)
                for each, colour in zip(classes, colours, strict=False)
            ]
            ax.legend(
                title=self.target_name,
                markerscale=2,
                loc="upper left",
                bbox_to_anchor=(1, 1),
                frameon=False,
            )
        else:
            self.points_ = ax.scatter(*points.T, c=target, cmap="viridis", **style)
            ax.figure.colorbar(self.points_, ax=ax, label=self.target_name)
        points = np.asarray(self.points)
        self.thumbnails_ = [] if self.images is None else self._show_images(ax, points)
        labels = [f"{self.name}, {i}" for i in range(2)]
        if self.shares is not None:
            pairs = zip(labels, self.shares, strict=True)
            labels = [f"{label} ({share:.1%})" for label, share in pairs]
        ax.set(xlabel=labels[0], ylabel=labels[1])
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _show_images(self, ax: Any, points: np.ndarray) -> list[Any]:
        """Show images at points that are far enough apart."""
        from matplotlib.colors import Normalize
        from matplotlib.offsetbox import AnnotationBbox, OffsetImage

        images = np.asarray(self.images, dtype=float)
        images = grey(images, images.ndim == 4)
        low, high = images.min(), images.max()
        if images.ndim == 4:  # matplotlib expects colours between 0 and 1
            images = (images - low) / ((high - low) or 1)
        size = np.ptp(points, axis=0)
        places = (points - points.min(axis=0)) / np.where(size > 0, size, 1)
        # Random order, so that the thumbnails do not favour the first rows.
        order = np.random.RandomState(0).permutation(len(points))[:_MAX_CANDIDATES]
        taken: list[int] = []
        for i in order:
            distance = np.linalg.norm(places[taken] - places[i], axis=1)
            if not taken or distance.min() > _ROOM:
                taken.append(i)
        zoom = _THUMBNAIL / max(images.shape[1:3])
        style = {"zoom": zoom, "cmap": "gray_r", "norm": Normalize(low, high)}
        return [
            ax.add_artist(
                AnnotationBbox(
                    OffsetImage(images[i], **style), points[i], frameon=False, pad=0
                )
            )
            for i in taken
        ]
