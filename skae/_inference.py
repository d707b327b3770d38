"""Apply trained modules to rows in batches."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from skae.training import Matrix, float_tensor, own_modes, recipe


def in_evaluation(module: nn.Module) -> Any:
    """Return a module in evaluation mode, as a copy if it is in training mode."""
    return copy.deepcopy(module).eval() if module.training else module


def in_whole_blocks(x: Tensor) -> Tensor:
    """Repeat the last row until the number of rows is a multiple of the block size."""
    n_missing = -len(x) % recipe.BLOCK_ROWS
    return torch.cat([x, x[-1:].expand(n_missing, -1)]) if n_missing else x


def apply_in_batches(
    module: nn.Module,
    function: Callable[[Any, Tensor], Tensor],
    X: Matrix,
    device: torch.device | str,
    *,
    copy_rows: bool,
    then: Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
    targets: Matrix | None = None,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Apply a function of a module and a batch to all rows.

    Several threads may call it at the same time, as the module is not changed.

    Parameters
    ----------
    module : torch.nn.Module
        The module.

    function : callable
        Function of the module, in evaluation mode, and a batch.

    X : ndarray or LargeTable of shape (n_samples, n_features)
        Rows.

    device : torch.device or str
        Device of the module.

    copy_rows : bool
        Whether to pass copies of the rows, for a module that may change its input.

    then : callable, default=None
        Function of the rows of a batch and the output of `function`, both as arrays. It
        returns the result. None uses the output of `function` as the result.

    targets : ndarray or LargeTable of shape (n_samples, n_features), default=None
        Rows to pass to `then` in place of `X`.

    out : ndarray of shape (n_samples, ...), default=None
        Array to write the results to. Each result is reshaped to the shape of its
        entry. None makes a new array.

    Returns
    -------
    results : ndarray of shape (n_samples, ...)
        `out`, or a new array with the dtype of `X`.
    """
    module = in_evaluation(module)
    batch_size = recipe.evaluation_rows(module, X.shape[1])
    with own_modes(gradients=False):
        for start in range(0, len(X), batch_size):
            rows = slice(start, start + batch_size)
            batch = X[rows]
            x = float_tensor(batch, device, copy=copy_rows)
            n_rows = len(x)
            part = function(module, in_whole_blocks(x))[:n_rows].cpu().numpy()
            if then is not None:
                part = then(batch if targets is None else targets[rows], part)
            if out is None:
                out = np.empty((len(X), *part.shape[1:]), X.dtype)
            out[rows] = part.reshape(len(part), *out.shape[1:])
    assert out is not None  # callers pass at least one row
    return out
