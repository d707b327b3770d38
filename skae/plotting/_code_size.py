"""Plots of explained variance by the size of the code."""

from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skae.plotting._axes import COLOURS, new_axes, shown


class CodeSizeDisplay:
    """Share of the variance of held-out rows that codes of several sizes explain.

    Parameters
    ----------
    sizes : array-like of shape (n_sizes,)
        Numbers of components that were tried, in any order.

    scores : array-like of shape (n_sizes,)
        Share of the variance that each size explains.

    deviations : array-like of shape (n_sizes,), default=None
        Standard deviations of the scores. None shows none.

    pca_scores : array-like of shape (n_pca_sizes,), default=None
        Share of the variance that PCA with 1, 2, ... components explains. None shows no
        PCA.

    share : float, default=None
        Requested share, drawn as a line. None draws no line.

    n_components : int, default=None
        Chosen size, marked with a line. None marks no size.

    Attributes
    ----------
    line_ : matplotlib Line2D
        The scores.

    pca_line_ : matplotlib Line2D or None
        The scores of PCA.

    ax_ : matplotlib Axes
        Axes of the picture.

    figure_ : matplotlib Figure
        Figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import CodeSizeDisplay
    >>> X = load_digits().data / 16
    >>> model = AutoencoderTransformer(0.5, max_epochs=3, random_state=0).fit(X)
    >>> display = CodeSizeDisplay.from_estimator(model)
    """

    def __init__(
        self,
        sizes: ArrayLike,
        scores: ArrayLike,
        *,
        deviations: ArrayLike | None = None,
        pca_scores: ArrayLike | None = None,
        share: float | None = None,
        n_components: int | None = None,
    ) -> None:
        self.sizes = sizes
        self.scores = scores
        self.deviations = deviations
        self.pca_scores = pca_scores
        self.share = share
        self.n_components = n_components

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Plot the sizes that `fit` tried to reach a share of the variance.

        Parameters
        ----------
        estimator : estimator
            Autoencoder, fitted with a float as `n_components`.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : CodeSizeDisplay
        """
        estimator = shown(estimator, cls.__name__, "transform")
        search = getattr(estimator, "n_components_search_", None)
        if search is None:
            raise TypeError(
                f"{cls.__name__} shows the sizes that fit tried for a share of the "
                f"variance, but this {type(estimator).__name__} was fitted with one "
                "size. Set n_components=0.95, or pass a search to from_search."
            )
        return cls(
            search["n_components"],
            search["score"],
            pca_scores=search["pca_score"],
            share=search.get("share"),
            n_components=estimator.n_components_,
        ).plot(ax=ax)

    @classmethod
    def from_search(cls, search: Any, *, ax: Any = None) -> Self:
        """Plot the sizes of a grid search or another search of scikit-learn.

        Parameters
        ----------
        search : GridSearchCV, RandomizedSearchCV or another search
            Fitted search over integers for `n_components` of an autoencoder or of a
            pipeline step. For each size, the best setting is shown.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : CodeSizeDisplay
        """
        search = shown(search, cls.__name__, "cv_results_")
        results = search.cv_results_
        names = [name for name in results if name.endswith("n_components")]
        if len(names) != 1 or "mean_test_score" not in results:
            searched = [name for name in results if name.startswith("param_")]
            raise ValueError(
                f"{cls.__name__} needs a search over one n_components, with one score. "
                f"The search has {', '.join(searched) or 'no parameters'}."
            )
        scores = np.asarray(results["mean_test_score"])
        # One float makes the whole column of the parameter floats.
        name = names[0].removeprefix("param_")
        sizes_of = {i: p[name] for i, p in enumerate(results["params"]) if name in p}
        others = [v for v in sizes_of.values() if not isinstance(v, Integral)]
        if others:
            raise ValueError(
                f"{cls.__name__} shows numbers of components, but the search has "
                f"n_components={others[0]}. Search over integers only."
            )
        best: dict[Any, int] = {}
        for i in np.argsort(scores, kind="stable"):
            if i in sizes_of and np.isfinite(scores[i]):
                best[sizes_of[i]] = i
        sizes = sorted(best)
        chosen = [best[size] for size in sizes]
        return cls(
            sizes, scores[chosen], deviations=results["std_test_score"][chosen]
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the scores.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : CodeSizeDisplay
        """
        ax = new_axes(ax, "CodeSizeDisplay.plot")
        sizes = np.asarray(self.sizes)
        order = np.argsort(sizes)
        deviations = None
        if self.deviations is not None:
            deviations = np.asarray(self.deviations)[order]
        bars = ax.errorbar(
            sizes[order],
            np.asarray(self.scores)[order],
            deviations,
            marker="o",
            color=COLOURS[0],
            label="autoencoder",
        )
        self.line_, self.pca_line_ = bars[0], None
        if self.pca_scores is not None:
            pca = np.asarray(self.pca_scores)
            [self.pca_line_] = ax.plot(
                np.arange(1, len(pca) + 1), pca, color=COLOURS[2], label="PCA"
            )
        if self.share is not None:
            label = f"{self.share:.0%} of the variance"
            ax.axhline(self.share, color="0.4", linewidth=1, label=label)
        if self.n_components is not None:
            ax.axvline(self.n_components, color="0.4", linestyle=":", label="size kept")
        ax.set(xlabel="n_components", ylabel="score of held-out rows")
        ax.xaxis.get_major_locator().set_params(integer=True)
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
