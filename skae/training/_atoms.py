"""Starts of sparse autoencoders: rows as atoms, or the axes of PCA for each sign."""

from typing import Any

import numpy as np
import torch

from skae.training._statistics import Columns
from skae.training._streaming import float_tensor
from skae.training._table import Table

# Number of rows that the length of the atoms is fitted to.
_FIT_ROWS = 2000
# Standard deviation of the logits of codes in [0, 1] at the start.
_LOGIT_SPREAD = 0.5


def set_atoms(
    module: Any,
    table: Table,
    columns: Columns,
    activity: float,
    random_state: np.random.RandomState,
) -> None:
    """Set the atoms of a module, in encoder and decoder, to training rows.

    The atoms are centred rows of length one, times a common factor. This factor
    minimises the squared error of the reconstructions of a sample of rows.

    Parameters
    ----------
    module : SparseLinearAutoencoder
        The module, already standardised.

    table : Table of shape (n_samples, n_features)
        Rows. Only a sample of a large table is used. A row with twice the weight is
        twice as likely to become an atom.

    columns : Columns
        Statistics of the rows.

    activity : float
        Mean of codes in [0, 1]. Not used for other codes.

    random_state : RandomState
        For the choice of the rows, and for the random directions of atoms if there are
        too few rows.
    """
    sample = table.sample()
    X: Any = sample.inputs
    sample_weight = sample.weight
    n_units = module.decoder.in_features
    p, size = None, min(max(n_units, _FIT_ROWS), len(X))
    if sample_weight is not None and np.ptp(sample_weight) > 0:
        # Equal weights draw as no weights do: numpy draws differently with a `p`.
        p = sample_weight / sample_weight.sum()
        size = min(size, np.count_nonzero(p))  # tiny weights become zero
    order = random_state.choice(len(X), size, replace=False, p=p)
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


def set_signed_axes(module: Any, axes: np.ndarray) -> None:
    """Set pairs of units of a module to the two signs of the projection on an axis.

    The reconstruction is the projection on all axes: one unit of each pair is active.
    The remaining units are silent.

    Parameters
    ----------
    module : SparseLinearAutoencoder
        The module, already standardised, with rectified codes.

    axes : ndarray of shape (n_axes, n_features)
        Orthonormal axes, at most half as many as units. A single unit has one axis and
        returns its positive half.
    """
    n_units = module.decoder.in_features
    signed = np.stack([axes, -axes], axis=1).reshape(-1, axes.shape[1])[:n_units]
    encoder = np.zeros((n_units, axes.shape[1]))
    encoder[: len(signed)] = signed
    module.start_linear(torch.as_tensor(encoder), torch.as_tensor(encoder.T))
