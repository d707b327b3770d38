"""Plots of the reconstruction error."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar

from skae.plotting._axes import COLOURS, mean_there, new_axes, shown

_OF_CELLS = "mean loss in units of the column"


class ErrorDisplay:
    """Squared reconstruction errors of the columns or of the rows.

    Parameters
    ----------
    error : array-like of shape (n_samples, n_features)
        Squared error of each entry; NaN after the end of a series.

    kind : {"columns", "rows"}, default="columns"
        "columns" shows a bar for each column, the largest error first. "rows" shows a
        histogram of the mean errors of the rows.

    feature_names : sequence of str, default=None
        Names of the columns.

    threshold : float, default=None
        Error to mark in the histogram. Rows above it may be anomalies.

    n_columns : int, default=20
        Maximum number of columns to show.

    error_name : str, default="mean squared error"
        Name of the mean error, for the label of an axis.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        The bars.

    ax_ : matplotlib Axes
        Axes of the picture.

    figure_ : matplotlib Figure
        Figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_wine
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import ErrorDisplay
    >>> X = load_wine(as_frame=True).data
    >>> model = AutoencoderTransformer(2, max_epochs=3, random_state=0).fit(X)
    >>> display = ErrorDisplay.from_estimator(model, X)
    """

    def __init__(
        self,
        error: ArrayLike,
        *,
        kind: str = "columns",
        feature_names: Any = None,
        threshold: float | None = None,
        n_columns: int = 20,
        error_name: str = "mean squared error",
    ) -> None:
        self.error = error
        self.kind = kind
        self.feature_names = feature_names
        self.threshold = threshold
        self.n_columns = n_columns
        self.error_name = error_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        kind: str = "columns",
        threshold: float | None = None,
        n_columns: int = 20,
        ax: Any = None,
    ) -> Self:
        """Reconstruct rows and plot the errors.

        Parameters
        ----------
        estimator : estimator
            Fitted autoencoder.

        X : array-like of shape (n_samples, n_features)
            Rows.

        kind : {"columns", "rows"}, default="columns"
            "columns" shows a bar for each column, the largest error first. "rows" shows
            a histogram of the mean errors of the rows.

        threshold : float, default=None
            Error to mark in the histogram of the rows.

        n_columns : int, default=20
            Maximum number of columns to show.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : ErrorDisplay
        """
        check_scalar(n_columns, "n_columns", Integral, min_val=1)
        estimator = shown(estimator, cls.__name__, "reconstruction_error")
        of_numbers = getattr(estimator, "_module_takes_rows", True)
        return cls(
            estimator.reconstruction_error(X, per_feature=True),
            kind=kind,
            feature_names=getattr(estimator, "feature_names_in_", None),
            threshold=threshold,
            n_columns=n_columns,
            error_name="mean squared error" if of_numbers else _OF_CELLS,
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the errors.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : ErrorDisplay
        """
        if self.kind not in ("columns", "rows"):
            raise ValueError(f"kind must be 'columns' or 'rows'. Got {self.kind!r}.")
        ax = new_axes(ax, "ErrorDisplay.plot")
        error = np.asarray(self.error)
        if self.kind == "columns":
            mean = mean_there(error, axis=0)
            worst = np.argsort(-mean, kind="stable")[: self.n_columns]
            names = self.feature_names
            labels = [str(i) if names is None else str(names[i]) for i in worst]
            self.bars_ = ax.barh(range(len(worst)), mean[worst], color=COLOURS[0])
            ax.set_yticks(range(len(worst)), labels)
            ax.invert_yaxis()
            ax.set(xlabel=self.error_name, ylabel="column")
        else:
            _, _, self.bars_ = ax.hist(
                mean_there(error, axis=1), bins=50, color=COLOURS[0]
            )
            ax.set(xlabel=f"{self.error_name} of a row", ylabel="rows")
            if self.threshold is not None:
                ax.axvline(self.threshold, color=COLOURS[1], label="threshold")
                ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
