"""Plots of the losses of a fit by epoch."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skae.plotting._axes import new_axes, shown


class LossCurveDisplay:
    """Training and validation loss by epoch, with the epoch whose state was kept.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
        Mean training loss in each epoch.

    validation_loss_curve : array-like of shape (n_epochs + 1,), default=()
        Validation loss before the first step and after each epoch. It may be empty.

    best_epoch : int, default=None
        Epoch whose state was kept; 0 is the state before training. None marks no epoch.

    start_name : str, default=None
        Name of the state before training, such as "PCA". Its validation loss is drawn
        as a line. None draws no line.

    Attributes
    ----------
    lines_ : list of matplotlib Line2D
        The curves.

    start_line_ : matplotlib Line2D or None
        The line at the validation loss before training.

    ax_ : matplotlib Axes
        Axes of the picture.

    figure_ : matplotlib Figure
        Figure of the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import AutoencoderTransformer
    >>> from skae.plotting import LossCurveDisplay
    >>> X = load_iris().data
    >>> model = AutoencoderTransformer(2, max_epochs=3, random_state=0).fit(X)
    >>> display = LossCurveDisplay.from_estimator(model)
    """

    def __init__(
        self,
        loss_curve: ArrayLike,
        validation_loss_curve: ArrayLike = (),
        best_epoch: int | None = None,
        start_name: str | None = None,
    ) -> None:
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.best_epoch = best_epoch
        self.start_name = start_name

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Plot the losses of a fitted estimator.

        If training starts from PCA, or from another model that it has to improve on,
        the validation loss of this model is drawn as a line.

        Parameters
        ----------
        estimator : estimator
            Fitted autoencoder, or a classifier or regressor that starts from one.

        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        display : LossCurveDisplay
        """
        estimator = shown(
            estimator, cls.__name__, "loss_curve_", "validation_loss_curve_"
        )
        return cls(
            estimator.loss_curve_,
            estimator.validation_loss_curve_,
            getattr(estimator, "best_epoch_", None),
            getattr(estimator, "_start_name", None),
        ).plot(ax=ax)

    def plot(self, ax: Any = None) -> Self:
        """Plot the losses.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to plot; None makes a new figure.

        Returns
        -------
        self : LossCurveDisplay
        """
        ax = new_axes(ax, "LossCurveDisplay.plot")
        training = np.asarray(self.loss_curve)
        validation = np.asarray(self.validation_loss_curve)
        self.start_line_ = None
        self.lines_ = ax.plot(
            np.arange(1, len(training) + 1), training, color="#0072B2", label="training"
        )
        if len(validation):
            self.lines_ += ax.plot(
                np.arange(len(validation)),
                validation,
                color="#D55E00",
                linestyle="--",
                label="validation",
            )
            if self.start_name is not None:
                self.start_line_ = ax.axhline(
                    validation[0], color="#009E73", linewidth=1, label=self.start_name
                )
        if self.best_epoch is not None:
            ax.axvline(self.best_epoch, color="0.4", linestyle=":", label="state kept")
        ax.set(xlabel="epoch", ylabel="loss")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
