"""The engine for series of unequal length, whose rows end in NaN."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skae.losses import row_losses
from skae.training._batches import Rows
from skae.training._net import AutoencoderNet


class SeriesNet(AutoencoderNet):
    """skorch net for rows that are NaN after the end of a series.

    The loss of a row is the mean over the values that it has: all series count the
    same, and what is reconstructed after their ends counts nothing. So the criterion
    needs a `reduction`, as those of torch have it.
    """

    def initialize_criterion(self) -> "SeriesNet":
        super().initialize_criterion()
        if not hasattr(self.criterion_, "reduction"):
            raise ValueError(
                "What comes after the end of a series is left out of the loss: the "
                "loss needs a `reduction` attribute, as those of torch have it. Got "
                f"loss={self.criterion!r}."
            )
        return self

    def get_loss(
        self,
        y_pred: Tensor,
        y_true: Tensor | None,
        X: Any = None,
        training: bool = False,
    ) -> Tensor:
        """Mean loss of reconstructions, with weights `y_true` of the rows."""
        losses = self._row_losses(y_pred, *X)
        return losses.mean() if y_true is None else (losses * y_true).mean()

    def _row_losses(self, x_hat: Tensor, x_in: Tensor, x: Tensor) -> Tensor:
        missing = x.isnan()
        there = (~missing).to(x_hat.dtype)
        # Whatever stands for NaN has weight 0, but must be a number.
        x = torch.where(missing, x_hat.detach(), x)
        weight = there * (x.shape[1] / there.sum(1, keepdim=True))
        return row_losses(self.criterion_, x_hat, x, weight)

    def row_losses_with(
        self, module: Any, x_in: Tensor, x: Tensor | None = None
    ) -> Tensor:
        """Loss of each row of `x`, or of `x_in`, by a module in evaluation mode."""
        x_hat = module.decode(module.encode(x_in))
        return self._row_losses(x_hat, x_in, x_in if x is None else x)

    def set_loss_unit(self, rows: Rows) -> None:
        """Take for unit the loss of the mean row as every row's reconstruction."""
        rows = rows.in_memory()
        x = rows.X
        if x.isnan().any():
            x = torch.as_tensor(fill_ends(x.cpu().numpy()), device=x.device)
        super().set_loss_unit(Rows(x, rows.y))


def fill_ends(X: np.ndarray, sample_weight: np.ndarray | None = None) -> np.ndarray:
    """Fill the mean of each column in where series have ended.

    To PCA, such values tell nothing: once the rows are centred, they are 0.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Rows.

    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the rows in the mean.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        `X` itself if nothing is missing. Columns that no series reaches are 0.
    """
    missing = np.isnan(X)
    if not missing.any():
        return X
    weight = np.ones(len(X)) if sample_weight is None else sample_weight
    total = weight @ np.where(missing, 0, X)
    mean = total / np.maximum(weight @ ~missing, np.finfo(np.float64).tiny)
    return np.where(missing, mean, X).astype(X.dtype)
