"""Applying a trained module to rows, batch by batch."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skae.training import Table, float_tensor, own_modes, recipe


def in_evaluation(module: nn.Module) -> Any:
    """Give a module in evaluation mode: a copy, if its user left it in another."""
    return copy.deepcopy(module).eval() if module.training else module


def apply_in_batches(
    module: nn.Module,
    function: Callable[[Any, Tensor], Tensor],
    X: Table,
    device: torch.device | str,
    *,
    copy_rows: bool,
    then: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    targets: Table | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Apply a function of a module and rows to all rows.

    Threads may do so at once: nothing about the module is changed.

    Parameters
    ----------
    module : torch.nn.Module
        The module.

    function : callable
        Takes the module in evaluation mode and a batch.

    X : ndarray or LargeTable of shape (n_samples, n_features)
        Rows.

    device : torch.device or str
        Where the module is.

    copy_rows : bool
        Whether the module may change its input, so that it is given copies.

    then : callable, default=None
        Takes the rows of a batch and what the function gave of them, as arrays, and
        gives the result. None: what the function gave is the result.

    targets : ndarray or LargeTable of shape (n_samples, n_features), default=None
        Rows that `then` takes in place of those of `X`.

    out : ndarray of shape (n_samples, ...), default=None
        Where to write the results, each in the shape that it has there; None: into a
        new array.

    Returns
    -------
    results : ndarray of shape (n_samples, ...), dtype of `X`
        `out` if it is given.
    """
    module = in_evaluation(module)
    batch_size = recipe.evaluation_rows(module, X.shape[1])
    with own_modes(gradients=False):
        for start in range(0, len(X), batch_size):
            rows = slice(start, start + batch_size)
            batch = X[rows]
            x = float_tensor(batch, device, copy=copy_rows)
            n_rows = len(x)
            if n_rows % recipe.BLOCK_ROWS:
                x = torch.cat([x, x[-1:].expand(-n_rows % recipe.BLOCK_ROWS, -1)])
            part = function(module, x)[:n_rows].cpu().numpy()
            if then is not None:
                part = then(batch if targets is None else targets[rows], part)
            if out is None:
                out = np.empty((len(X), *part.shape[1:]), X.dtype)
            out[rows] = part.reshape(len(part), *out.shape[1:])
    assert out is not None  # there are rows
    return out
