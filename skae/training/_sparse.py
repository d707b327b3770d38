"""The engine for sparse autoencoders: penalties on codes, and where they start."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from skae.losses import kl_penalty, l1_penalty
from skae.training._batches import Rows
from skae.training._net import AutoencoderNet
from skae.training._start import Columns
from skae.training._streaming import Table, dense_rows, float_tensor

# Rows that the length of the atoms is fitted to.
_FIT_ROWS = 2000
# Standard deviation of the logits of codes in [0, 1] at the start.
_LOGIT_SPREAD = 0.5


class SparseNet(AutoencoderNet):
    """skorch net that adds a penalty on the activity of units to the loss.

    Training and validation losses have the penalty. Those of `row_losses_with` are of
    the reconstruction alone. In a step `y_pred` is the reconstruction with the
    activities beside it, if there is a penalty.

    Parameters
    ----------
    module : torch.nn.Module, class or callable
        As in skorch. It is, or gives, a :class:`~skae.modules.SparseLinearAutoencoder`.

    penalty : {"l1", "kl"}, default=None
        Penalty. None: there is none.

    penalty_weight : float, default=0.0
        What the penalty is multiplied by, in units of the loss of the mean row.

    sparsity : float, default=0.1
        Mean activity that "kl" draws each unit to.

    **kwargs : dict
        Further parameters of :class:`AutoencoderNet`.
    """

    def __init__(
        self,
        module: Any,
        *,
        penalty: str | None = None,
        penalty_weight: float = 0.0,
        sparsity: float = 0.1,
        **kwargs: Any,
    ) -> None:
        self.penalty = penalty
        self.penalty_weight = penalty_weight
        self.sparsity = sparsity
        super().__init__(module, **kwargs)

    def _penalties(self, activity: Tensor, weight: Tensor | None) -> Tensor:
        penalties = (
            l1_penalty(activity)
            if self.penalty == "l1"
            else kl_penalty(activity, self.sparsity, weight)
        )
        return self.loss_unit * self.penalty_weight * penalties

    def _reconstruct_for_loss(self, x: Tensor) -> Tensor:
        if self.penalty is None:
            return super()._reconstruct_for_loss(x)
        return self._maybe_compiled(x)

    def _forward(self, module: Any, x: Tensor, *args: Any) -> Tensor:
        if self.penalty is None:
            return super()._forward(module, x)
        z = module.encode(x)
        return torch.cat([module.decode(z), module.activity(z)], dim=1)

    def get_loss(
        self,
        y_pred: Tensor,
        y_true: Tensor | None,
        X: Any = None,
        training: bool = False,
    ) -> Tensor:
        """Mean loss with the penalty, with weights `y_true` of the rows."""
        if self.penalty is None:
            return super().get_loss(y_pred, y_true, X, training)
        n_features = X[1].shape[1]
        x_hat, activity = y_pred[:, :n_features], y_pred[:, n_features:]
        penalties = self._penalties(activity, y_true)
        loss = super().get_loss(x_hat, y_true, X, training)
        return loss + (penalties if y_true is None else penalties * y_true).mean()

    def row_losses(self, rows: Rows) -> np.ndarray:
        """Loss of each row with its penalty, in float64."""
        losses = super().row_losses(rows)
        if self.penalty is None:
            return losses
        module = self.plain_module_
        with torch.no_grad():
            activity = torch.cat(
                [
                    module.activity(module.encode(x))
                    for x in rows.X.split(self.evaluation_rows)
                ]
            )
            penalties = self._penalties(activity, rows.y)
        return losses + penalties.cpu().double().numpy()


def start_as_atoms(
    module: Any,
    X: Table,
    columns: Columns,
    activity: float,
    sample_weight: np.ndarray | None,
    random_state: np.random.RandomState,
) -> None:
    """Let training rows be the atoms of a module, in its encoder and its decoder.

    Centred rows of length one are multiplied by one factor, by which the
    reconstructions of a sample of rows have the least squared error.

    Parameters
    ----------
    module : SparseLinearAutoencoder
        The module, already standardised.

    X : ndarray or LargeTable of shape (n_samples, n_features)
        Rows. Of a large dense table, a sample is taken.

    columns : Columns
        Their statistics.

    activity : float
        Mean of codes in [0, 1]; others need none.

    sample_weight : ndarray of shape (n_samples,) or None
        Positive weights of the rows: twice the weight makes it twice as likely that a
        row becomes an atom.

    random_state : RandomState
        For the choice of the rows, and for atoms that there are no rows for, which
        have random directions.
    """
    X, sample_weight = dense_rows(X, sample_weight)
    n_units = module.decoder.in_features
    p = None
    if sample_weight is not None and np.ptp(sample_weight) > 0:
        # With equal weights as without: numpy draws otherwise where there is a `p`.
        p = sample_weight / sample_weight.sum()
    order = random_state.choice(
        len(X), min(max(n_units, _FIT_ROWS), len(X)), replace=False, p=p
    )
    rows = (X[order] - columns.mean) / columns.scale
    atoms = rows[:n_units]
    atoms = np.concatenate([atoms, np.zeros((n_units - len(atoms), X.shape[1]))])
    empty = ~atoms.any(axis=1)
    atoms[empty] = random_state.normal(size=(empty.sum(), X.shape[1]))
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    x = rows[:_FIT_ROWS]
    encoder, bias = atoms, np.zeros(n_units)
    decoder, decoder_bias = atoms.T, np.zeros(X.shape[1])
    if module.in_interval:
        spread = (x @ atoms.T).std(axis=0, keepdims=True).T
        encoder = atoms * (_LOGIT_SPREAD / np.where(spread > 0, spread, 1.0))
        bias += np.log(activity / (1 - activity))
    _start_linear(module, encoder, decoder, bias, decoder_bias)
    device = module.scale.device
    with torch.no_grad():
        z = module.encode(float_tensor(X[order][:_FIT_ROWS], device))
    z = z.cpu().double().numpy()
    mean = np.zeros(n_units)
    if module.in_interval:
        mean = z.mean(axis=0)
    else:
        z /= columns.scale
    x_hat = (z - mean) @ atoms
    length = np.square(x_hat).sum()
    factor = max((x * x_hat).sum() / length, 1e-6) if length > 0 else 1.0
    if module.in_interval:
        decoder, decoder_bias = factor * atoms.T, -factor * (mean @ atoms)
    else:
        encoder = decoder.T * np.sqrt(factor)
        decoder = encoder.T
    _start_linear(module, encoder, decoder, bias, decoder_bias)


def _start_linear(
    module: Any,
    encoder: np.ndarray,
    decoder: np.ndarray,
    bias: np.ndarray,
    decoder_bias: np.ndarray,
) -> None:
    module.start_linear(
        torch.as_tensor(encoder),
        torch.as_tensor(decoder),
        encoder_bias=torch.as_tensor(bias),
        decoder_bias=torch.as_tensor(decoder_bias),
    )


def start_as_pairs(module: Any, axes: np.ndarray) -> None:
    """Let each two units of a module give the projection on an axis, by its sign.

    The reconstruction is the projection on all axes: one unit of each pair is active.
    Units that are left over are silent.

    Parameters
    ----------
    module : SparseLinearAutoencoder
        The module, already standardised, with rectified codes.

    axes : ndarray of shape (n_axes, n_features)
        Orthonormal axes, at most half as many as units; one axis if there is one unit,
        which then gives its positive half.
    """
    n_units = module.decoder.in_features
    signed = np.stack([axes, -axes], axis=1).reshape(-1, axes.shape[1])[:n_units]
    encoder = np.zeros((n_units, axes.shape[1]))
    encoder[: len(signed)] = signed
    module.start_linear(torch.as_tensor(encoder), torch.as_tensor(encoder.T))
