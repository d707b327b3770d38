"""Supervised training of an encoder with a head."""

from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback
from skorch.utils import to_tensor
from torch import Tensor

from skae.losses import row_losses
from skae.training._batches import Rows
from skae.training._tensor_net import TensorNet


class SupervisedNet(TensorNet):
    """skorch net that trains an encoder with a head to predict.

    The module gets copies of rows, because a module of the user may change its input.

    The data are :class:`Rows` of pairs: inputs of the encoder, and targets.

    Parameters
    ----------
    module : torch.nn.Module class or instance
        An :class:`EncoderWithHead`.

    criterion : torch.nn.Module class or instance
        A loss of torch, called with outputs and targets.

    reconstruction_weight : float, default=0.0
        Weight of the reconstruction error in the training loss.

    reconstruction_unit : float, default=1.0
        Mean squared error that counts as a reconstruction error of 1.

    **kwargs : dict
        Further parameters of :class:`TensorNet`.
    """

    def __init__(
        self,
        module: Any,
        criterion: Any,
        *,
        reconstruction_weight: float = 0.0,
        reconstruction_unit: float = 1.0,
        **kwargs: Any,
    ) -> None:
        self.reconstruction_weight = reconstruction_weight
        self.reconstruction_unit = reconstruction_unit
        super().__init__(module, criterion, **kwargs)

    def infer(self, x: Any, **fit_params: Any) -> Tensor:
        rows, _ = to_tensor(x, device=self.device)
        return self.module_(rows.clone(), self.generator_, **fit_params)

    def get_loss(
        self,
        y_pred: Tensor,
        y_true: Tensor | None,
        X: Any = None,
        training: bool = False,
    ) -> Tensor:
        """Compute the mean loss of outputs, with weights `y_true` of the rows.

        `X` is a pair: the rows and their targets.
        """
        rows, target = to_tensor(X, device=self.device)
        losses = row_losses(self.criterion_, y_pred, target)
        if training and self.reconstruction_weight > 0:
            module = self.plain_module_
            x_hat = module.decode(module.encode(rows.clone()))
            error = (x_hat - rows).square().mean(1) / self.reconstruction_unit
            losses = losses + self.reconstruction_weight * error
        if y_true is None:
            return losses.mean()
        return (losses * to_tensor(y_true, device=self.device)).mean()

    def train_step_single(self, batch: Any, **fit_params: Any) -> dict[str, Tensor]:
        with self.guarded():
            return super().train_step_single(batch, **fit_params)

    def row_losses(self, rows: Rows) -> np.ndarray:
        """Compute the loss of each row, in float64."""
        self._set_training(False)
        size = self.evaluation_rows
        batches = zip(*(part.split(size) for part in rows.X), strict=True)
        with torch.no_grad():
            losses = [
                row_losses(self.criterion_, self.module_(x.clone()), y)
                for x, y in batches
            ]
        return torch.cat(losses).cpu().double().numpy()


class FreezeEncoder(Callback):
    """Freeze the autoencoder in the first epochs.

    Parameters
    ----------
    n_epochs : int
        Number of these epochs.

    then : {"none", "all"} or int
        Layers that are frozen afterwards, as in :meth:`EncoderWithHead.freeze`.
    """

    def __init__(self, n_epochs: int, then: str | int) -> None:
        self.n_epochs = n_epochs
        self.then = then

    def on_train_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        self.epochs_left_ = self.n_epochs
        net.plain_module_.freeze("all")

    def on_epoch_begin(self, net: NeuralNet, **kwargs: Any) -> None:
        if self.epochs_left_ == 0:
            net.plain_module_.freeze(self.then)
        self.epochs_left_ -= 1
