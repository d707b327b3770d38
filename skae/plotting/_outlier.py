"""Plots of the results of an outlier detector."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_scalar

from skae.plotting._axes import COLOURS, mean_there, new_axes, shown

_KINDS = ("scores", "p_values", "contributions")


class OutlierDisplay:
    """Scores of rows, their p-values, or the contributions of the columns to them.

    Parameters
    ----------
    values : array-like of shape (n_samples,) or (n_samples, n_features)
        Scores or p-values of the rows, or contributions of the columns.

    kind : {"scores", "p_values", "contributions"}, default="scores"
        "scores" shows histograms of the scores of held-out rows and of other rows.
        "p_values" shows the share of rows with a p-value up to each value, which is
        near the diagonal for normal rows. "contributions" shows a bar for each column,
        the largest first.

    calibration_scores : array-like of shape (n_calibration,), default=None
        Scores of held-out rows.

    threshold : float, default=None
        Score below which a row is an outlier. It is not shown if it is infinite.

    feature_names : sequence of str, default=None
        Names of the columns.

    n_columns : int, default=20
        Maximum number of columns to show.

    Attributes
    ----------
    bars_ : list of BarContainer or BarContainer
        The bars: a list with a container for each histogram, or a single container for
        contributions.

    line_ : matplotlib Line2D
        The line of p-values.

    ax_ : matplotlib Axes
        Axes of the picture.

    figure_ : matplotlib Figure
        Figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderOutlierDetector, AutoencoderTransformer
    >>> from skae.plotting import OutlierDisplay
    >>> X = load_digits().data
    >>> autoencoder = AutoencoderTransformer(5, max_epochs=3)
    >>> detector = AutoencoderOutlierDetector(autoencoder, random_state=0)
    >>> detector = detector.fit(X[:1000])
    >>> display = OutlierDisplay.from_estimator(detector, X[1000:])
    >>> display = OutlierDisplay.from_estimator(detector, X[1000:], kind="p_values")
    """

    def __init__(
        self,
        values: ArrayLike,
        *,
        kind: str = "scores",
        calibration_scores: Any = None,
        threshold: float | None = None,
        feature_names: Any = None,
        n_columns: int = 20,
    ) -> None:
        self.values = values
        self.kind = kind
        self.calibration_scores = calibration_scores
        self.threshold = threshold
        self.feature_names = feature_names
        self.n_columns = n_columns

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: ArrayLike,
        *,
        kind: str = "scores",
        n_columns: int = 20,
        ax: Any = None,
    ) -> Self:
        """Score or explain rows, and plot the result.

        Parameters
        ----------
        estimator : AutoencoderOutlierDetector
            Fitted detector.

        X : array-like of shape (n_samples, n_features)
            Rows that `fit` has not seen. Contributions are averaged over them: pass one
            row to explain that row.

        kind : {"scores", "p_values", "contributions"}, default="scores"
            What to show; see :class:`OutlierDisplay`.

        n_columns : int, default=20
            Maximum number of columns to show.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : OutlierDisplay
        """
        _check_kind(kind)
        check_scalar(n_columns, "n_columns", Integral, min_val=1)
        estimator = shown(estimator, cls.__name__, "calibration_scores_", "explain")
        names = None
        if kind == "scores":
            values = estimator.score_samples(X)
        elif kind == "p_values":
            values = estimator.p_values(X)
        else:
            contributions = estimator.explain(X)
            names = getattr(contributions, "columns", None)
            values = np.asarray(contributions)
            values = values.reshape(len(values), -1)
        return cls(
            values,
            kind=kind,
            calibration_scores=estimator.calibration_scores_,
            threshold=estimator.offset_,
            feature_names=None if names is None else list(names),
            n_columns=n_columns,
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the scores, the p-values or the contributions.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : OutlierDisplay
        """
        _check_kind(self.kind)
        ax = new_axes(ax, "OutlierDisplay.plot")
        show = {
            "scores": self._plot_scores,
            "p_values": self._plot_p_values,
            "contributions": self._plot_contributions,
        }
        show[self.kind](ax, np.asarray(self.values, dtype=float))
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _plot_scores(self, ax: Any, scores: np.ndarray) -> None:
        shown = [(scores, "rows of X", COLOURS[1])]
        if self.calibration_scores is not None:
            held_out = np.asarray(self.calibration_scores, dtype=float)
            shown.insert(0, (held_out, "held-out rows", COLOURS[0]))
        edges = np.histogram_bin_edges(np.concatenate([s for s, _, _ in shown]), 50)
        self.bars_ = [
            ax.hist(
                each,
                edges,
                weights=np.full(len(each), 1 / len(each)),
                color=colour,
                alpha=0.6,
                label=label,
            )[2]
            for each, label, colour in shown
        ]
        if self.threshold is not None and np.isfinite(self.threshold):
            ax.axvline(self.threshold, color=COLOURS[6], label="threshold")
        ax.set(xlabel="score (lower: more unusual)", ylabel="share of the rows")
        ax.legend()

    def _plot_p_values(self, ax: Any, p: np.ndarray) -> None:
        share = np.arange(1, len(p) + 1) / len(p)
        (self.line_,) = ax.step(
            np.sort(p), share, where="post", color=COLOURS[1], label="rows of X"
        )
        ax.axline((0, 0), slope=1, color=COLOURS[7], ls="--", label="normal rows")
        ax.set(
            xlabel="p-value",
            ylabel="share of the rows with this p-value or less",
            xlim=(0, 1),
            ylim=(0, 1),
        )
        ax.legend()

    def _plot_contributions(self, ax: Any, contributions: np.ndarray) -> None:
        mean = mean_there(contributions, axis=0)
        largest = np.argsort(-mean, kind="stable")[: self.n_columns]
        names = self.feature_names
        labels = [str(i) if names is None else str(names[i]) for i in largest]
        self.bars_ = ax.barh(range(len(largest)), mean[largest], color=COLOURS[0])
        ax.axvline(1, color=COLOURS[7], ls="--", label="mean of held-out rows")
        ax.set_yticks(range(len(largest)), labels)
        ax.invert_yaxis()
        ax.set(xlabel="squared error relative to held-out rows", ylabel="column")
        ax.legend()


def _check_kind(kind: str) -> None:
    if kind not in _KINDS:
        raise ValueError(
            f"kind must be 'scores', 'p_values' or 'contributions'. Got {kind!r}."
        )
